"""test_access_log.py -- lines reach their file or pipe, and no reader or disk holds up a request."""

import json
import os
import signal
import time

import pytest

from harness import net
from harness.load import Load
from harness.raw import request


@pytest.fixture
def web(nginx):
    return nginx("web-v1")


@pytest.fixture
def logged(crossfade, web, folder):
    """A proxy that logs to `folder/access.log`, or to the path given."""
    def make(path="access.log", form="json"):
        return crossfade({"web-v1": [web.address]},
                         extra={"access_log": {"path": str(folder / path), "format": form}})
    return make


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def dropped(proxy):
    return proxy.metrics()["crossfade_log_dropped_total"]


def test_every_request_is_one_line(logged, folder):
    proxy = logged()
    with Load(proxy.port, rate=400, connections=8) as load:
        time.sleep(1.0)
    path = folder / "access.log"
    count = len(load.results) + 1  # and the one that found it ready
    net.wait_until(lambda: len(lines_of(path)) >= count, what=f"{count} lines")
    assert len(lines_of(path)) - count <= 2  # start-up may have asked more than once
    for line in lines_of(path):
        assert json.loads(line)["status"] == 200


def test_the_client_behind_a_trusted_proxy_is_the_one_it_names(crossfade, web, folder):
    path = folder / "access.log"
    proxy = crossfade({"web-v1": [web.address]}, extra={
        "access_log": {"path": str(path)}, "forwarded": {"trusted": ["127.0.0.0/8"]}})
    claim = [("X-Forwarded-For", "192.0.2.1, 198.51.100.7, 127.0.0.9")]
    request(proxy.port, "/claimed", headers=claim)
    net.wait_until(lambda: any("/claimed" in line for line in lines_of(path)), what="the line")
    line = next(json.loads(line) for line in lines_of(path) if "/claimed" in line)
    assert line["client"] == "198.51.100.7"


def test_sigusr1_opens_the_file_anew(logged, folder):
    proxy = logged()
    path, moved = folder / "access.log", folder / "access.log.1"
    request(proxy.port, "/before")
    net.wait_until(lambda: any("/before" in line for line in lines_of(path)), what="the line")
    path.rename(moved)
    proxy.signal(signal.SIGUSR1)
    net.wait_until(path.exists, what="a new file")
    request(proxy.port, "/after")
    net.wait_until(lambda: any("/after" in line for line in lines_of(path)), what="the line")
    assert not any("/after" in line for line in lines_of(moved))


def test_a_pipe_that_nobody_reads_holds_up_no_request(logged, folder):
    os.mkfifo(folder / "pipe", 0o622)
    proxy = logged("pipe")
    with Load(proxy.port, rate=1000, connections=8) as load:
        time.sleep(2.0)
    assert load.results and load.failed() == []
    assert max(each.ended - each.began for each in load.results) < 1.0
    assert proxy.log.count("event=access_log.failed") <= 4  # one a second
    net.wait_until(lambda: dropped(proxy) > 0, what="the lost lines in the metrics")


def test_a_full_disk_holds_up_no_request_and_is_told_once(crossfade, web):
    proxy = crossfade({"web-v1": [web.address]}, extra={"access_log": {"path": "/dev/full"}})
    with Load(proxy.port, rate=500, connections=8) as load:
        time.sleep(1.0)
    assert load.results and load.failed() == []
    net.wait_until(lambda: "event=access_log.failed" in proxy.log, what="the report")
    assert proxy.log.count("event=access_log.failed") == 1
    net.wait_until(lambda: dropped(proxy) >= len(load.results), what="every line counted as lost")


def test_a_logger_that_is_stopped_holds_up_no_request_and_loses_no_line(logged, folder):
    proxy = logged()
    logger = proxy.child("logger").pid
    os.kill(logger, signal.SIGSTOP)
    try:
        with Load(proxy.port, rate=400, connections=8) as load:
            time.sleep(1.0)
    finally:
        os.kill(logger, signal.SIGCONT)
    assert load.results and load.failed() == []
    path = folder / "access.log"
    net.wait_until(lambda: len(lines_of(path)) > len(load.results), what="the lines")


def test_lines_survive_the_death_of_the_logger_and_of_a_reload(logged, folder):
    proxy = logged()
    path = folder / "access.log"
    request(proxy.port, "/one")
    old = proxy.child("logger").pid
    os.kill(old, signal.SIGKILL)
    request(proxy.port, "/two")
    proxy.wait_child_replaced("logger", old)
    proxy.reload()
    net.wait_until(lambda: "event=reload.done" in proxy.log, 10, "the reload")
    request(proxy.port, "/three")
    for wanted in ("/one", "/two", "/three"):
        net.wait_until(lambda: any(wanted in line for line in lines_of(path)), what=wanted)
    assert proxy.terminate() == 0
