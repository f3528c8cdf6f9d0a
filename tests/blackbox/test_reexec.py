"""test_reexec.py -- the running binary is replaced by the one on disk: same pid, same sockets, no
request lost; and what must make it refuse."""

import os
import shutil
import signal
import time

import pytest

from harness import net, processes
from harness import crossfade as program
from harness.load import Load
from harness.raw import Raw, request

pytestmark = pytest.mark.slow

RATE = 200 if program.sanitized() else 1000


@pytest.fixture
def web(nginx):
    return nginx("web-v1")


@pytest.fixture
def copy(folder, monkeypatch):
    """A binary of our own, which may be replaced."""
    path = folder / "bin" / "crossfade"
    path.parent.mkdir()
    shutil.copy2(program.binary(), path)
    monkeypatch.setenv("CROSSFADE_BINARY", str(path))
    return path


@pytest.fixture
def proxy(copy, crossfade, web):
    return crossfade({"web-v1": [web.address]})


def replace(path, content=None):
    """As a package does: a new file under the old name.  None: the same program again."""
    fresh = path.with_suffix(".new")
    if content is None:
        shutil.copy2(path, fresh)
    else:
        fresh.write_bytes(content)
        fresh.chmod(0o755)
    os.replace(fresh, path)


def count_in_log(proxy, event):
    return proxy.log.count(f"event={event} ")


def inode_of(pid):
    return os.stat(f"/proc/{pid}/exe").st_ino


def serving(proxy):
    return request(proxy.port, "/").status == 200


class WebSocket:
    """A tunnel that echoes; alive() sends a frame through it."""

    KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

    def __init__(self, port):
        self.raw = Raw(port, timeout=20)
        self.raw.send(b"GET /tunnel HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\n"
                      b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      b"Sec-WebSocket-Key: " + self.KEY + b"\r\n\r\n")
        assert self.raw.read_head()[0] == 101

    def alive(self):
        frame = b"\x82\x88\0\0\0\0" + os.urandom(8)
        self.raw.send(frame)
        return self.raw.exactly(len(frame)) == frame

    def close(self):
        self.raw.close()


def test_the_binary_is_replaced_and_everything_goes_on(copy, crossfade, upstream):
    server = upstream("v1")
    proxy = crossfade({"v1": [server.address]}, extra={"upgrade": ["websocket"]})
    pid, workers = proxy.pid, {each.pid for each in proxy.workers()}
    sockets = [WebSocket(proxy.port) for _ in range(10)]
    replace(copy)
    with Raw(proxy.port) as download, \
            Load(proxy.port, rate=RATE * 3 // 4, connections=16) as load, \
            Load(proxy.port, rate=RATE // 4, connections=4, fresh=True, prefix="f") as fresh:
        download.send(b"GET /bytes/8000000 HTTP/1.1\r\nHost: t\r\n\r\n")
        assert download.read_head()[0] == 200
        time.sleep(0.3)
        done = proxy.cli("reexec", check=0)
        assert "re-executed" in done.out
        assert download.exactly(8000000) == b"x" * 8000000
        time.sleep(0.5)
    assert load.failed() == [] and fresh.failed() == [] and len(load.results) > RATE // 2
    assert proxy.process.running() and inode_of(pid) == copy.stat().st_ino
    assert all(socket.alive() for socket in sockets)
    now = {each.pid for each in proxy.workers()}
    assert now & workers, "workers of the old binary hold the WebSockets"
    assert len(now - workers) == 2, "and two of the new one take what comes"
    for name in ("agent", "shifter", "logger"):
        assert inode_of(proxy.child(name).pid) == copy.stat().st_ino
    for socket in sockets:
        socket.close()
    net.wait_until(lambda: not {each.pid for each in proxy.workers()} & workers, 10,
                   "the end of the old workers")
    proxy.wait_status(lambda now: now["config"]["reload_ok"], 5, "the status to say so")
    assert serving(proxy) and proxy.terminate() == 0
    assert processes.children(pid) == [] and not proxy.socket.exists()


def test_sigusr2_does_the_same_and_counters_go_on(proxy, copy):
    def total():
        return sum(value for name, value in proxy.metrics().items()
                   if name.startswith("crossfade_requests_total{") and 'cluster="web-v1"' in name)
    for _ in range(50):
        assert serving(proxy)
    net.wait_until(lambda: total() >= 50, what="the count")
    old = inode_of(proxy.pid)
    replace(copy)
    proxy.signal(signal.SIGUSR2)
    net.wait_until(lambda: count_in_log(proxy, "reexec.done") == 1, 20, "the re-execution")
    assert inode_of(proxy.pid) != old
    net.wait_until(lambda: count_in_log(proxy, "edition.over") == 1, 10, "the old edition's end")
    assert total() >= 50
    # The new binary restarts, reloads and re-executes like the first.
    os.kill(proxy.workers()[0].pid, signal.SIGKILL)
    net.wait_until(lambda: len(proxy.workers()) == 2, 5, "a new worker")
    proxy.reload()
    net.wait_until(lambda: count_in_log(proxy, "reload.done") == 1, 15, "a reload")
    proxy.cli("reexec", check=0)
    assert serving(proxy)


def script(text):
    return b"#!/bin/sh\n" + text + b"\n"


BINARIES = {  # what stands where the binary was, and what is said of it
    "another program": (script(b"exit 0"), "no crossfade"),
    "another version": (script(b"echo 'the handover has version 1' >&2; exit 1"), "version 1"),
    "garbage": (b"\x7fELF garbage", "cannot execute"),
    "empty": (b"", "cannot execute"),
}


def run_original(proxy, *arguments):
    """A verb by the program under test, wherever the copy went."""
    name = os.environ.pop("CROSSFADE_BINARY")
    try:
        return proxy.cli(*arguments)
    finally:
        os.environ["CROSSFADE_BINARY"] = name


def test_a_binary_that_cannot_take_over_is_refused_and_nothing_changes(proxy, copy):
    before = {each.pid for each in proxy.children()}
    inode = inode_of(proxy.pid)
    shutil.copy2(copy, copy.with_suffix(".good"))

    def refused(said):
        count = count_in_log(proxy, "reexec.refused")
        done = run_original(proxy, "reexec")
        assert done.code == 1 and said in done.err, done
        assert count_in_log(proxy, "reexec.refused") == count + 1
        net.wait_until(lambda: said in (run_original(proxy, "status", "-o", "json")
                                        .json["config"]["error"] or ""), 5, "the status to say so")
        assert proxy.metrics()["crossfade_config_reload_success"] == 0
        assert serving(proxy) and inode_of(proxy.pid) == inode
        assert {each.pid for each in proxy.children()} == before
    for content, said in BINARIES.values():
        replace(copy, content)
        refused(said)
    copy.chmod(0o644)
    refused("not executable")
    copy.unlink()
    refused("cannot find")
    copy.with_suffix(".good").rename(copy)
    proxy.cli("reexec", check=0)
    assert inode_of(proxy.pid) != inode and serving(proxy)


def test_a_broken_file_refuses_a_reexecution(proxy):
    proxy.write_config("nonsense: 1\n")
    done = proxy.cli("reexec")
    assert done.code == 1 and "crossfade.yaml" in done.err
    config = refused_config(proxy)
    assert config["reload_ok"] is False and "crossfade.yaml" in config["error"]
    assert serving(proxy) and proxy.process.running()
    proxy.write_config()
    proxy.cli("reexec", check=0)
    proxy.wait_status(lambda now: now["config"]["reload_ok"], 5, "the status to say so")


def refused_config(proxy):
    return proxy.wait_status(lambda now: now["config"]["error"], 5, "the refusal")["config"]


def test_a_file_that_drops_a_cluster_in_use_refuses_reload_and_reexecution(copy, crossfade, nginx):
    proxy = crossfade({name: [nginx(name).address] for name in ("web-v1", "web-v2")})
    del proxy.config["clusters"]["web-v1"]
    proxy.config["services"]["gateway"] = {"live": "web-v2", "clusters": ["web-v2"]}
    proxy.write_config()
    proxy.reload()
    net.wait_until(lambda: count_in_log(proxy, "reload.refused") == 1, 15, "the refusal")
    config = refused_config(proxy)
    assert config["reload_ok"] is False and "web-v1" in config["error"]
    assert proxy.metrics()["crossfade_config_reload_success"] == 0
    done = proxy.cli("reexec")
    assert done.code == 1 and "web-v1" in done.err
    assert request(proxy.port, "/").header("X-Server") == "web-v1"


def test_no_signal_while_the_old_binary_still_carries_a_tunnel(copy, crossfade, upstream):
    proxy = crossfade({"v1": [upstream("v1").address], "v2": [upstream("v2").address]},
                      extra={"upgrade": ["websocket"], "drain": {"quiet": "200ms"}})
    tunnel = WebSocket(proxy.port)
    proxy.cli("reexec", check=0)
    plan = {"name": "move", "service": "gateway", "to": "v2",
            "steps": [{"weight": "100%", "hold": "1s", "evidence": "advisory"}]}
    proxy.cli("start", proxy.plan(plan), check=0)
    with Load(proxy.port, rate=50, connections=2):
        status = proxy.wait_status(lambda now: now["state"] == "draining", 30, "draining")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            status = proxy.status()
            assert status["state"] == "draining" and status["signal"]["accepted_at"] is None
            time.sleep(0.1)
        assert status["clusters"]["v1"]["tunnels"] == 1 and status["signal"]["blockers"]
        assert tunnel.alive()
        tunnel.close()
        proxy.wait_status(lambda now: now["state"] == "safe", 20, "safe")


def test_sigterm_after_a_reexecution_finishes_what_the_old_binary_began(copy, crossfade, upstream):
    proxy = crossfade({"v1": [upstream("v1").address]})
    with Raw(proxy.port) as slow:
        slow.send(b"GET /slow/2500 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        proxy.cli("reexec", check=0)
        proxy.signal(signal.SIGTERM)
        assert slow.read().status == 200
        assert proxy.process.wait(5) == 0


@pytest.mark.long
def test_ten_reloads_and_three_reexecutions_under_load_lose_nothing(copy, crossfade, upstream):
    proxy = crossfade({"v1": [upstream("v1").address]}, extra={"upgrade": ["websocket"]})
    tunnels = [WebSocket(proxy.port) for _ in range(100)]
    with Load(proxy.port, rate=RATE * 9 // 10, connections=16) as load, \
            Load(proxy.port, rate=RATE // 10, connections=4, fresh=True, prefix="f") as fresh:
        for turn in range(13):
            if turn % 4 == 3:
                replace(copy)
                proxy.cli("reexec", check=0)
            else:
                done = count_in_log(proxy, "reload.done")
                proxy.reload()
                net.wait_until(lambda: count_in_log(proxy, "reload.done") == done + 1, 20, "reload")
            assert all(tunnel.alive() for tunnel in tunnels)
    assert count_in_log(proxy, "reload.done") == 10 and count_in_log(proxy, "reexec.done") == 3
    assert load.failed() == [] and fresh.failed() == []
    for tunnel in tunnels:
        assert tunnel.alive()
        tunnel.close()
