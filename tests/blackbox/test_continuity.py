"""test_continuity.py -- a cutover goes on where it was, whichever process dies, and no signal passes
a worker that may still act on an older weight."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from harness import net, processes
from harness.load import Load
from harness.raw import request

pytestmark = pytest.mark.slow

PLAN = {
    "name": "move",
    "service": "gateway",
    "to": "web-v2",
    "steps": [{"weight": "20%", "hold": "1s", "evidence": "advisory"},
              {"weight": "50%", "hold": "600s", "evidence": "advisory"},
              {"weight": "100%", "hold": "1s", "evidence": "advisory"}],
}


@pytest.fixture
def webs(nginx):
    return {name: nginx(name) for name in ("web-v1", "web-v2")}


@pytest.fixture
def make(crossfade, webs):
    def start(**options):
        return crossfade({name: [web.address] for name, web in webs.items()}, **options)
    return start


@pytest.fixture
def public():
    """A folder that workers, which run as another user, can look into."""
    with tempfile.TemporaryDirectory(prefix="crossfade-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


def at_half(proxy):
    return proxy.wait_status(lambda status: status["weight"]["actual"] == 50.0, 30, "50 %")


def shares(proxy, count=400):
    """How many of `count` requests each server answered."""
    seen = {"web-v1": 0, "web-v2": 0}
    for _ in range(count):
        answer = request(proxy.port, "/")
        assert answer.status == 200
        seen[answer.header("X-Server")] += 1
    return seen


@pytest.mark.parametrize("name", ["agent", "shifter"])
def test_a_cutover_goes_on_where_it_was_when_a_helper_is_killed(make, name):
    proxy = make()
    with Load(proxy.port, rate=200, connections=8) as load:
        proxy.cli("start", proxy.plan(PLAN), check=0)
        before = at_half(proxy)
        old = proxy.child(name).pid
        os.kill(old, signal.SIGKILL)
        proxy.wait_child_replaced(name, old)
        after = proxy.wait_status(lambda status: status["state"] == "shifting" and
                                  status["weight"]["actual"] == 50.0, 15, "the same weight")
        assert after["cutover"] == before["cutover"]
        assert after["step"]["index"] == before["step"]["index"]
        proxy.cli("step", check=0)
        proxy.wait_status(lambda status: status["weight"]["actual"] == 100.0, 15, "100 %")
    assert load.results and load.failed() == []


def test_a_restart_after_a_killed_supervisor_serves_at_the_last_weight(make):
    proxy = make()
    proxy.cli("start", proxy.plan(PLAN), check=0)
    with Load(proxy.port, rate=100, connections=4):
        at_half(proxy)
    proxy.process.popen.kill()
    proxy.process.wait(5)
    proxy.start()
    seen = shares(proxy)
    assert 150 < seen["web-v2"] < 250, seen
    status = proxy.status()
    assert status["weight"]["desired"] == 50.0 and status["state"] == "shifting"


def test_a_reload_in_mid_cutover_keeps_the_weight(make):
    proxy = make()
    with Load(proxy.port, rate=200, connections=8) as load:
        proxy.cli("start", proxy.plan(PLAN), check=0)
        at_half(proxy)
        proxy.config["timeouts"] = {"idle": "80s"}
        proxy.write_config()
        proxy.reload()
        net.wait_until(lambda: "event=reload.done" in proxy.log, 15, "the reload")
        mark = time.monotonic()
        time.sleep(2.0)
    assert load.failed() == []
    green = [each for each in load.since(mark) if each.server == "web-v2"]
    assert 0.4 < len(green) / len(load.since(mark)) < 0.6
    assert at_half(proxy)["state"] == "shifting"


def test_no_signal_passes_a_worker_that_stopped_between_choosing_and_counting(make, public):
    stop_file = public / "stop"
    proxy = make(environment={"CROSSFADE_STOP_FILE": str(stop_file)},
                 extra={"drain": {"quiet": "200ms"}})
    stopped = []
    with Load(proxy.port, rate=100, connections=4, timeout=60) as load:
        proxy.cli("start", proxy.plan(PLAN), check=0)
        at_half(proxy)
        stop_file.touch()
        stopped = net.wait_until(
            lambda: [each for each in proxy.workers() if each.state == "T"], 10, "a stop")
        stop_file.unlink()
        time.sleep(0.2)  # the other worker may have seen the file too
        stopped = [each for each in proxy.workers() if each.state == "T"]
        try:
            done = proxy.cli("step", "--timeout", "3s", timeout=30)
            assert done.code != 0, "it was called in force on a stopped worker"
            end = time.monotonic() + 5
            while time.monotonic() < end:
                assert proxy.status()["state"] in ("shifting", "soaking", "draining")
                assert proxy.status()["signal"]["accepted_at"] is None
                time.sleep(0.1)
        finally:
            for worker in stopped:
                processes.kill_quietly(worker.pid, signal.SIGCONT)
        proxy.wait_status(lambda status: status["state"] == "safe", 30, "safe")
    assert load.failed() == []
