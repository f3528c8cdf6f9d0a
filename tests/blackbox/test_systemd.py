"""test_systemd.py -- the units are tight, and what systemd is told over a re-execution and when a
loop no longer turns."""

import os
import signal
import socket
import subprocess
import time

import pytest

from harness import net, processes
from harness import crossfade as program
from harness.crossfade import TREE
from harness.raw import request

UNITS = {"crossfade": "crossfade serve", "crossfade-proxy": "crossfade proxy",
         "crossfade-shifter": "crossfade shifter", "crossfade-hook@": "/hooks/%i"}


def unit_text(name):
    text = (TREE / "systemd" / f"{name}.service.in").read_text()
    for word, value in (("CMAKE_INSTALL_FULL_BINDIR", "/usr/bin"),
                        ("CMAKE_INSTALL_FULL_DOCDIR", "/usr/share/doc/crossfade")):
        text = text.replace(f"@{word}@", value)
    assert "@CMAKE" not in text
    return text


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_exposed_at_most_2_0(tmp_path, name):
    path = tmp_path / f"{name.replace('@', '@some')}.service"
    path.write_text(unit_text(name))
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", path],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and "Overall exposure level" in done.stdout, done


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_says_nothing_that_systemd_does_not_know(tmp_path, name):
    path = tmp_path / f"{name.replace('@', '@some')}.service"
    text = unit_text(name).replace("/usr/bin/crossfade", "/bin/true").replace("/etc/crossfade/hooks/%i", "/bin/true")
    path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stdout + done.stderr == "", done
    path.write_text(text.replace("[Service]", "[Service]\nNoSuchKey=1"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path],
                          capture_output=True, text=True, check=False, timeout=60)
    assert "NoSuchKey" in done.stderr


@pytest.mark.parametrize("name", [name for name in UNITS if "@" not in name])
def test_a_unit_waits_for_readiness_and_is_watched(name):
    lines = unit_text(name).splitlines()
    assert "Type=notify" in lines and "WatchdogSec=30s" in lines
    assert any(line.startswith("ExecStart=/usr/bin/" + UNITS[name]) for line in lines)
    assert "ExecReload=/bin/kill -HUP $MAINPID" in lines
    filters = [line for line in lines if line.startswith("SystemCallFilter=")]
    # ~@privileged takes capset away, without which no worker may drop what it has.
    assert filters.index("SystemCallFilter=capset") > filters.index("SystemCallFilter=~@privileged")


class Notified:
    """The socket that systemd would listen on."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.02)

    def take(self):
        """The lines since the last call."""
        lines = []
        try:
            while True:
                lines += self.socket.recv(4096).decode().split("\n")
        except TimeoutError:
            return lines

    def end(self):
        self.socket.close()


@pytest.fixture
def notified(folder, started):
    heard = Notified(folder / "notify.sock")
    started.append(heard)
    return heard


@pytest.fixture
def web(nginx):
    return nginx("web-v1")


@pytest.mark.slow
def test_systemd_is_told_of_a_reexecution_and_its_sockets_go_on(crossfade, web, notified):
    proxy = crossfade({"web-v1": [web.address]}, start=False)
    with socket.create_server(("127.0.0.1", proxy.port), backlog=64) as passed:
        os.set_inheritable(passed.fileno(), True)
        script = f'exec 3<&{passed.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        proxy.process = processes.Started(
            ["bash", "-c", script, "bash", program.binary(), "serve", "-c", proxy.config_path],
            proxy.folder / "crossfade.log", pass_fds=[passed.fileno()],
            env={**os.environ, "NOTIFY_SOCKET": notified.path, "WATCHDOG_USEC": "1000000"})
        proxy.wait_ready()
        heard = notified.take()
        assert "READY=1" in heard and "STATUS=serving" in heard
        pid = proxy.pid
        proxy.cli("reexec", check=0)
        heard = notified.take()
        assert heard.index("RELOADING=1") < heard.index("READY=1")
        assert any(line.startswith("MONOTONIC_USEC=") for line in heard)
        assert not any(line.startswith("MAINPID=") for line in heard) and proxy.pid == pid
        assert all(request(proxy.port, "/").status == 200 for _ in range(20))
        net.wait_until(lambda: "WATCHDOG=1" in notified.take(), what="a sign of life")
        assert proxy.terminate() == 0
        assert "STOPPING=1" in notified.take()
        assert net.accepts(proxy.port), "systemd's socket goes on"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["worker", "agent"])
def test_the_watchdog_is_not_fed_while_a_loop_stands_still(crossfade, web, notified, name):
    proxy = crossfade({"web-v1": [web.address]}, environment={
        "NOTIFY_SOCKET": notified.path, "WATCHDOG_USEC": "400000"})
    net.wait_until(lambda: "WATCHDOG=1" in notified.take(), what="a sign of life")
    victim = proxy.workers()[0].pid if name == "worker" else proxy.child("agent").pid
    os.kill(victim, signal.SIGSTOP)
    try:
        net.wait_until(lambda: "event=watchdog.not_fed" in proxy.log, 10, "the hunger")
        notified.take()
        time.sleep(1.0)
        assert "WATCHDOG=1" not in notified.take()
    finally:
        os.kill(victim, signal.SIGCONT)
    net.wait_until(lambda: "WATCHDOG=1" in notified.take(), 5, "a sign of life again")
