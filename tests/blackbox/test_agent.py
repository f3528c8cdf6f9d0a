"""test_agent.py -- the agent as operators and scrapers meet it: status, metrics, health checks, the
snapshot when the store is away, break-glass, and hostile bytes on the admin socket."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import net, processes
from harness.crossfade import binary
from harness.raw import Raw, request
from wire_cases import send_all_requests

pytestmark = pytest.mark.slow

CHECK = {"every": "200ms", "timeout": "200ms", "rise": 2, "fall": 2}
PLAN = {
    "name": "move",
    "service": "gateway",
    "to": "web-v2",
    "steps": [{"weight": "50%", "hold": "600s", "evidence": "advisory"},
              {"weight": "100%", "hold": "1s", "evidence": "advisory"}],
}


@pytest.fixture
def webs(nginx):
    return {name: nginx(name) for name in ("web-v1", "web-v2")}


@pytest.fixture
def proxy(crossfade, webs):
    return crossfade({name: [web.address] for name, web in webs.items()})


def at_half(proxy):
    proxy.cli("start", proxy.plan(PLAN), check=0)
    return proxy.wait_status(lambda status: status["weight"]["actual"] == 50.0, 30, "50 %")


def test_status_and_metrics_count_what_the_servers_logged(crossfade, upstream):
    servers = {name: upstream(name) for name in ("web-v1", "web-v2")}
    proxy = crossfade({name: [server.address] for name, server in servers.items()})
    at_half(proxy)
    for _ in range(300):
        assert request(proxy.port, "/").status == 200
    counts = {name: len(server.log_entries()) for name, server in servers.items()}
    assert sum(counts.values()) >= 300 and min(counts.values()) > 100
    metrics = net.wait_until(
        lambda: {name: proxy.metrics()[f'crossfade_requests_total{{service="gateway",'
                                       f'cluster="{name}",code="2xx"}}'] for name in counts}
        == counts and proxy.metrics(), 5, "the same numbers in metrics")
    assert metrics['crossfade_weight_actual_ratio{service="gateway"}'] == 0.5
    status = proxy.wait_status(
        lambda status: {name: cluster["requests"] for name, cluster
                        in status["clusters"].items()} == counts, 5, "the same numbers in status")
    assert status["leader"]["epoch"] >= 1 and status["proxies"][0]["in_force"]


def test_promtool_accepts_what_a_live_agent_says(proxy):
    text = proxy.admin("/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"\ncrossfade_build_info{" in text


def test_a_server_that_stops_answering_is_named_and_comes_back(crossfade, upstream):
    first, second = upstream("one"), upstream("two")
    proxy = crossfade({"web-v1": [first.address, second.address]}, start=False)
    proxy.config["clusters"]["web-v1"]["check"] = CHECK
    proxy.write_config()
    proxy.start()
    second.process.end()

    def servers(status):
        return {server["address"]: (server["up"], server["reason"])
                for server in status["clusters"]["web-v1"]["servers"]}
    proxy.wait_status(lambda status: servers(status)[second.address] ==
                      (False, "Connection refused"), 10, "the server is down")
    for _ in range(50):
        assert request(proxy.port, "/").status == 200
    second.start()
    proxy.wait_status(lambda status: servers(status)[second.address] == (True, None), 10,
                      "the server is up again")


def test_an_operator_takes_one_server_out_and_back(crossfade, upstream):
    first, second = upstream("one"), upstream("two")
    proxy = crossfade({"web-v1": [first.address, second.address]})
    proxy.cli("server", "drain", "web-v1", second.address, check=0)
    before = len(second.log_entries())
    for _ in range(40):
        assert request(proxy.port, "/").status == 200
    assert len(second.log_entries()) == before
    assert "drained by an operator" in proxy.cli("server", "list", check=0).out
    proxy.reload()
    proxy.wait_status(lambda status: "edition=2" in proxy.log and [
        server["reason"] for server in status["clusters"]["web-v1"]["servers"]] ==
        [None, "drained by an operator"], 20, "the order holds over a reload")
    proxy.cli("server", "ready", second.address, check=0)  # one cluster alone has it
    for _ in range(40):
        assert request(proxy.port, "/").status == 200
    assert len(second.log_entries()) > before
    assert proxy.cli("server", "drain", "web-v1", "10.9.9.9:1").code == 2
    assert proxy.cli("server", "weight", "web-v1", second.address, "0").code == 2
    assert proxy.cli("server", "drain", "10.9.9.9:1").code == 2


def test_an_ordered_weight_may_be_above_every_configured_one(crossfade, upstream):
    first, second = upstream("one"), upstream("two")
    proxy = crossfade({"web-v1": [first.address, second.address]})
    before = len(first.log_entries())
    proxy.cli("server", "weight", first.address, "900", check=0)
    for _ in range(400):
        assert request(proxy.port, "/").status == 200
    assert len(first.log_entries()) - before > 300  # 360 expected


def serve_without_a_store(proxy):
    """`crossfade proxy` on the same state directory: nobody leads, nobody has the store."""
    proxy.process = processes.Started([binary(), "proxy", "-c", proxy.config_path],
                                      proxy.folder / "proxy.log")
    return proxy


def test_without_the_store_a_restarted_proxy_serves_from_its_snapshot(proxy):
    at_half(proxy)
    time.sleep(1)  # the snapshot is written at most a quarter of a second after the state
    os.kill(proxy.pid, signal.SIGKILL)
    proxy.process.wait(10)
    serve_without_a_store(proxy)
    net.wait_until(lambda: "event=edition.serving" in proxy.log, 40, "it serves after 10 s")
    seen = {"web-v1": 0, "web-v2": 0}
    for _ in range(200):
        answer = request(proxy.port, "/")
        assert answer.status == 200
        seen[answer.header("X-Server")] += 1
    assert min(seen.values()) > 60
    status = proxy.cli("status", "-o", "json", check=0).json
    assert status["leader"] is None and status["state"] == "shifting"
    assert status["store"]["ok"] is False and status["store"]["stale_s"] > 5
    assert "No leader answers" in proxy.cli("why", check=0).out
    assert proxy.metrics()['crossfade_stale{service="gateway"}'] == 1


DAMAGES = {
    "empty": lambda text: b"",
    "cut": lambda text: text[:len(text) // 2],
    "flipped": lambda text: text[:-20] + bytes([text[-20] ^ 4]) + text[-19:],
    "gone": lambda text: None,
}


def twin(proxy, crossfade, webs, name):
    """A proxy that is not started, with a copy of the state directory of one that has ended."""
    made = crossfade({name: [web.address] for name, web in webs.items()}, start=False)
    (made.folder / "state").mkdir(mode=0o700)
    for each in ("id", "snapshot"):
        shutil.copy(proxy.folder / "state" / each, made.folder / "state" / each)
    made.name = name
    return made


def test_a_snapshot_that_is_damaged_or_left_opens_no_listener(proxy, crossfade, webs):
    time.sleep(1)
    os.kill(proxy.pid, signal.SIGKILL)
    proxy.process.wait(10)
    twins = []
    for name, damage in DAMAGES.items():
        made = twin(proxy, crossfade, webs, name)
        path = made.folder / "state" / "snapshot"
        text = damage(path.read_bytes())
        path.unlink()
        if text is not None:
            path.write_bytes(text)
        twins.append(made)
    proxy.start()
    assert proxy.terminate() == 0
    twins.append(twin(proxy, crossfade, webs, "left"))
    for made in twins:
        serve_without_a_store(made)
    for made in twins:
        net.wait_until(made.socket.exists, 10, "the admin socket")
    time.sleep(12)
    for made in twins:
        assert not net.accepts(made.port), made.name
        answer = made.admin("/readyz")
        assert answer.status == 503 and b"snapshot" in answer.body, (made.name, answer.body)
        assert made.name != "left" or b"--allow-stale" in answer.body
        assert made.admin("/healthz").status == 200


def test_break_glass_moves_this_proxy_back_while_nobody_leads(proxy):
    at_half(proxy)
    assert proxy.cli("abort", "--local").code == 6  # the leader is there
    shifter = proxy.child("shifter").pid
    os.kill(shifter, signal.SIGSTOP)
    try:
        net.wait_until(lambda: proxy.cli("abort", "--local", "--reason", "fire").code == 0, 30,
                       "break-glass after 10 s without a leader", every=1)
        for _ in range(100):
            assert request(proxy.port, "/").header("X-Server") == "web-v1"
        assert proxy.cli("weight", "80%", "--local").code == 6
    finally:
        os.kill(shifter, signal.SIGCONT)
    proxy.wait_status(lambda status: status["leader"] is not None, 20, "the leader is back")
    for _ in range(100):
        assert request(proxy.port, "/").header("X-Server") == "web-v1"


def test_a_verb_without_a_leader_says_so_with_exit_7(proxy):
    at_half(proxy)
    shifter = proxy.child("shifter").pid
    os.kill(shifter, signal.SIGSTOP)
    try:
        done = proxy.cli("pause", timeout=90)
        assert done.code == 7 and "no leader" in done.err, done
        assert request(proxy.port, "/").status == 200
    finally:
        os.kill(shifter, signal.SIGCONT)


def test_hostile_bytes_on_the_admin_socket_harm_nobody(proxy):
    agent = proxy.child("agent").pid
    send_all_requests(lambda: Raw(0, unix=proxy.socket, timeout=5))
    assert proxy.child("agent").pid == agent
    assert proxy.admin("/healthz").status == 200


def test_slow_clients_do_not_keep_operators_out(proxy):
    held = []
    try:
        for _ in range(200):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(5)
            try:
                connection.connect(str(proxy.socket))
                connection.sendall(b"GET /healthz HT")
                held.append(connection)
            except OSError:
                connection.close()
        net.wait_until(lambda: _healthy(proxy), 5, "an answer while the slow ones stay")
    finally:
        for connection in held:
            connection.close()
    assert processes.memory_kib(proxy.child("agent").pid) < 200 * 1024


def _healthy(proxy):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(proxy.socket))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False
