"""test_access_log.py -- lines reach their file or pipe, and no reader or disk holds up a request."""

import json
import os
import signal
import time

import pytest

from harness import net
from harness.load import Load
from harness.raw import Raw, request


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


REFUSED = {
    b"GET /two HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": ("GET", "/two", 400),
    b"GET /old HTTP/3.0\r\nHost: a\r\n\r\n": ("GET", "/old", 505),
    b"POST /odd HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n": ("POST", "/odd", 501),
    b"GET /many HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200 + b"\r\n": ("GET", "/many", 431),
    b"PUT /large HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n": ("PUT", "/large", 413),
    b"GET http://me:secret@a/ HTTP/1.1\r\nHost: a\r\n\r\n": ("GET", "", 400),
    b"\x16\x03\x01 \"\xff\r\n\r\n": ("", "", 400),
}


@pytest.mark.parametrize("form", ["json", pytest.param("combined", marks=pytest.mark.long)])
def test_a_refused_head_leaves_its_line(logged, folder, form):
    proxy = logged(form=form)

    def refused():  # and not what found it ready
        found = lines_of(folder / "access.log")
        return [line for line in found if '"GET / HTTP/1.1"' not in line and '"path":"/",' not in line]
    for number, (head, (method, target, status)) in enumerate(REFUSED.items()):
        with Raw(proxy.port) as client:
            client.send(head)
            assert client.read().status == status
        net.wait_until(lambda: len(refused()) > number, what=f"the line of {head[:40]}")
        assert len(refused()) == number + 1
        line = refused()[-1]
        assert "secret" not in line
        if form == "json":
            entry = json.loads(line)
            assert (entry["method"], entry["path"], entry["status"]) == (method, target, status)
            assert entry["client"] == "127.0.0.1" and entry["ended"] == "proxy" and entry["reason"]
            assert entry["cluster"] is entry["server"] is entry["why"] is None
        else:
            said = f'"{method} {target or "-"} HTTP/1.1" {status} 0' if method else f'"-" {status} 0'
            assert said in line and line.startswith("127.0.0.1 - - ["), line
    proxy.wait_status(lambda s: s["clusters"]["web-v1"]["in_flight"] == 0)  # a second behind
    assert proxy.status()["clusters"]["web-v1"]["errors"] == 0


def test_a_head_that_does_not_come_leaves_its_line(crossfade, web, folder):
    path = folder / "access.log"
    proxy = crossfade({"web-v1": [web.address]}, extra={
        "access_log": {"path": str(path)}, "timeouts": {"header": "200ms"}})
    with Raw(proxy.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHo")
        assert client.read().status == 408
    net.wait_until(lambda: any("/slow" in line for line in lines_of(path)), what="the line")
    line = next(json.loads(line) for line in lines_of(path) if "/slow" in line)
    assert (line["method"], line["status"], line["ended"]) == ("GET", 408, "proxy")


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
