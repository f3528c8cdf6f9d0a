"""test_start.py -- what refuses to start and says why, systemd's side, and running without root."""

import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness import net, processes
from harness.crossfade import Crossfade, binary
from harness.raw import Raw, request


@pytest.fixture
def web(nginx):
    return nginx("web-v1")


# ---- refusals ----

@pytest.mark.parametrize("text, message", [
    ("listeners: [", "crossfade.yaml:2:1: "),
    ("workers: 0\n", "workers"),
    ("", "crossfade.yaml"),
    (None, "crossfade.yaml"),
])
def test_a_bad_configuration_is_told_with_its_place_and_exit_code_2(crossfade, text, message):
    proxy = crossfade({"web-v1": ["127.0.0.1:1"]}, start=False)
    if text is None:
        proxy.config_path.unlink()
    else:
        proxy.write_config(text)
    done = proxy.cli("serve", "-c", proxy.config_path, timeout=10)
    assert done.code == 2
    assert message in done.err
    assert not proxy.socket.exists()


def test_a_store_that_cannot_be_opened_ends_the_start(crossfade, folder):
    (folder / "file").write_text("")
    proxy = crossfade({"web-v1": ["127.0.0.1:1"]}, start=False,
                      extra={"store": f"sqlite:{folder}/file/state.db"})
    done = proxy.cli("serve", "-c", proxy.config_path, timeout=20)
    assert done.code != 0
    assert "file/state.db" in done.err
    assert not net.accepts(proxy.port)


def test_a_state_directory_without_a_parent_ends_the_start(crossfade):
    proxy = crossfade({"web-v1": ["127.0.0.1:1"]}, start=False,
                      extra={"proxy": {"state_dir": "/nonexistent/crossfade/state"}})
    done = proxy.cli("serve", "-c", proxy.config_path, timeout=10)
    assert done.code == 1
    assert "/nonexistent/crossfade/state" in done.err


def test_a_stale_admin_socket_is_replaced_and_a_file_there_is_not(crossfade, web):
    proxy = crossfade({"web-v1": [web.address]}, start=False)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(proxy.socket))
    left.close()
    proxy.start()
    assert stat.S_IMODE(proxy.socket.stat().st_mode) == 0o660
    assert proxy.admin("/healthz").status == 200
    assert proxy.terminate() == 0
    proxy.socket.write_text("precious")
    done = proxy.cli("serve", "-c", proxy.config_path, timeout=10)
    assert done.code == 1 and "is no socket" in done.err
    assert proxy.socket.read_text() == "precious"


def test_listeners_stay_closed_until_there_is_a_route(crossfade, web):
    proxy = crossfade({"web-v1": [web.address]}, start=False)
    proxy.process = processes.Started([binary(), "proxy", "-c", proxy.config_path],
                                      proxy.folder / "crossfade.log")
    net.wait_until(proxy.workers, 10, "workers")
    net.wait_until(proxy.socket.exists, 5, "the admin socket")
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert not net.accepts(proxy.port)
        time.sleep(0.1)
    answer = proxy.admin("/readyz")
    assert answer.status == 503 and len(answer.body) > 10


# ---- what is left behind ----

def test_reloads_leak_no_descriptors(crossfade, web):
    proxy = crossfade({"web-v1": [web.address]})

    def reload(number):
        proxy.reload()
        net.wait_until(lambda: proxy.log.count("event=edition.over") == number, 20, "the reload")

    def count(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))
    for number in (1, 2):
        reload(number)
    pids = [proxy.pid, proxy.child("agent").pid, proxy.child("logger").pid]
    before = {pid: count(pid) for pid in pids}
    workers = [count(each.pid) for each in proxy.workers()]
    for number in (3, 4, 5, 6):
        reload(number)
    net.wait_until(lambda: {pid: count(pid) for pid in pids} == before, 10, "as many as before")
    assert max(count(each.pid) for each in proxy.workers()) <= max(workers) + 1


# ---- systemd ----

class NotifySocket:
    """The socket that systemd would listen on."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.05)
        self.lines = []

    def heard(self, line):
        try:
            while True:
                self.lines += self.socket.recv(4096).decode().split("\n")
        except TimeoutError:
            pass
        return any(each.startswith(line) for each in self.lines)

    def end(self):
        self.socket.close()


def test_systemd_is_told_of_readiness_reload_life_and_the_end(crossfade, web, folder, started):
    notify = NotifySocket(folder / "notify.sock")
    started.append(notify)
    proxy = crossfade({"web-v1": [web.address]},
                      environment={"NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "400000"})
    assert notify.heard("READY=1")
    net.wait_until(lambda: notify.heard("WATCHDOG=1"), what="a sign of life")
    assert not notify.heard("RELOADING=1")
    proxy.reload()
    net.wait_until(lambda: "event=reload.done" in proxy.log, 10, "the reload")
    assert notify.heard("RELOADING=1") and notify.heard("MONOTONIC_USEC=")
    assert notify.lines.count("READY=1") == 2
    assert proxy.terminate() == 0
    assert notify.heard("STOPPING=1")


def test_sockets_from_systemd_are_served_by_all_workers(crossfade, web):
    proxy = crossfade({"web-v1": [web.address]}, start=False)
    with socket.create_server(("127.0.0.1", proxy.port), backlog=64) as passed:
        os.set_inheritable(passed.fileno(), True)
        script = f'exec 3<&{passed.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        proxy.process = processes.Started(
            ["bash", "-c", script, "bash", binary(), "serve", "-c", proxy.config_path],
            proxy.folder / "crossfade.log", pass_fds=[passed.fileno()])
        proxy.wait_ready()
        assert all(request(proxy.port, "/").status == 200 for _ in range(30))
        os.kill(proxy.workers()[0].pid, 9)
        assert request(proxy.port, "/").status == 200
        assert proxy.terminate() == 0
        assert net.accepts(proxy.port), "systemd's socket goes on"


# ---- without root ----

@pytest.fixture
def unprivileged():
    """A folder of another user, and a function that runs commands as that user."""
    if os.geteuid() != 0:
        yield Path(tempfile.mkdtemp(prefix="crossfade-")), {}
        return
    user = pwd.getpwnam("nobody")
    place = Path(tempfile.mkdtemp(prefix="crossfade-"))
    os.chown(place, user.pw_uid, user.pw_gid)
    os.chmod(place, 0o755)
    yield place, {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    shutil.rmtree(place)


def test_it_runs_without_root(web, unprivileged, started):
    place, identity = unprivileged
    program = place / "crossfade"  # the tree itself may be closed to that user
    shutil.copy(binary(), program)
    program.chmod(0o755)
    proxy = Crossfade(place, {"web-v1": [web.address]})
    started.append(proxy)
    proxy.config_path.chmod(0o644)
    proxy.process = processes.Started([program, "serve", "-c", proxy.config_path],
                                      "/dev/null", cwd="/", **identity)
    net.wait_until(lambda: net.accepts(proxy.port), 20, "a listener")
    assert request(proxy.port, "/").status == 200
    with Raw(0, unix=proxy.socket) as connection:
        assert connection.get("/healthz", host="localhost").status == 200
    worker = proxy.workers()[0]
    os.kill(worker.pid, 9)
    net.wait_until(lambda: len(proxy.workers()) == 2 and worker.pid not in
                   [each.pid for each in proxy.workers()], 5, "its successor")
    proxy.reload()
    old = [each.pid for each in proxy.workers()]
    net.wait_until(lambda: not set(old) & {each.pid for each in proxy.workers()}, 15, "a reload")
    assert request(proxy.port, "/").status == 200
    assert proxy.terminate() == 0


def test_check_says_what_a_file_holds():
    with tempfile.TemporaryDirectory() as place:
        proxy = Crossfade(place, {"web-v1": ["127.0.0.1:1"], "web-v2": ["127.0.0.1:2"]})
        done = subprocess.run([binary(), "check", "-c", proxy.config_path], text=True,
                              capture_output=True, timeout=10, check=False)
        assert done.returncode == 0 and "2 clusters" in done.stdout
