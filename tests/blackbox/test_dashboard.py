"""test_dashboard.py -- the dashboard's files as HTTP: who may read them, and what protects them.

What the page shows and does is tried in a real browser: tests/browser.
"""

import json
import os
import re
import signal

import pytest

from harness import net
from harness.crossfade import TREE
from harness.raw import Raw, request

SOURCES = TREE / "shifter/dashboard"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


def place_of(name):
    if name == "index.html":
        return "/"
    return f"/{name}" if name.startswith("dashboard.") else f"/dashboard/{name}"


PLACES = {place_of(file.name): file for file in SOURCES.iterdir() if file.suffix in TYPES}


@pytest.fixture
def proxy(crossfade, nginx):
    made = crossfade({name: [nginx(name).address] for name in ("web-v1", "web-v2")}, start=False)
    made.number = net.free_port()
    made.config["admin"].update(listen=f"127.0.0.1:{made.number}",
                                tokens_file=str(made.folder / "tokens"))
    made.write_config()
    made.cli("token", "add", "--role", "viewer", "-c", made.config_path, check=0)
    return made.start()


def test_the_files_are_served_as_they_stand_and_protected(proxy):
    here = f"127.0.0.1:{proxy.number}"
    assert {"/", "/dashboard.js", "/dashboard.css"} <= set(PLACES)
    for path, file in PLACES.items():
        answer = request(proxy.number, path, host=here)
        assert answer.status == 200 and answer.body == file.read_bytes(), path
        assert answer.header("Content-Type") == TYPES[file.suffix]
        assert answer.header("Content-Length") == str(len(answer.body))
        assert answer.header("Cache-Control") == "no-cache"
        assert answer.header("X-Content-Type-Options") == "nosniff"
        assert answer.header("Referrer-Policy") == "no-referrer"
        assert answer.header("X-Frame-Options") == "DENY"
        policy = dict(part.strip().split(" ", 1)
                      for part in answer.header("Content-Security-Policy").split(";"))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == "'self'" and policy["style-src"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in answer.header("Content-Security-Policy")
        # The same by the socket, which no browser reaches but a forwarded one does.
        assert proxy.admin(path).body == answer.body
    assert proxy.admin("/v1/services").header("Cache-Control") == "no-store"


def test_what_did_not_change_is_not_sent_again(proxy):
    etags = set()
    for path in PLACES:
        first = request(proxy.number, path, host="localhost")
        etag = first.header("ETag")
        etags.add(etag)
        assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
        for field, status in ((etag, 304), (f'W/{etag}, "x"', 304), ("*", 304), ('"x"', 200),
                              (etag.strip('"'), 200), ("", 200)):
            answer = request(proxy.number, path, host="localhost",
                             headers=[("If-None-Match", field)])
            assert answer.status == status, field
            assert answer.header("ETag") == etag
            if status == 304:
                assert answer.header("Content-Length") is None
                assert answer.header("Content-Security-Policy") is not None
    assert len(etags) == len(PLACES)


def test_head_other_methods_and_other_paths(proxy):
    for path, file in PLACES.items():
        head = request(proxy.number, path, method="HEAD", host="localhost")
        assert head.status == 200 and head.body == b""
        assert head.header("Content-Length") == str(file.stat().st_size)
        for method in ("POST", "PUT", "DELETE"):
            answer = request(proxy.number, path, method=method, host="localhost")
            assert answer.status == 405 and answer.header("Allow") == "GET, HEAD"
    for path in ("/dashboard", "/dashboard/", "/dashboard/nothing.js", "/dashboard/api.js/x",
                 "/dashboard/..%2Ftokens", "/dashboard/../api.js", "/index.html", "//",
                 "/dashboard/README.md", "/api.js", "/dashboard/dashboard.js"):
        assert request(proxy.number, path, host="localhost").status == 404, path
    assert request(proxy.number, "/?service=gateway", host="localhost").status == 200


def test_the_page_opens_without_a_token_and_only_by_our_name(proxy):
    for path in PLACES:
        assert request(proxy.number, path, host="localhost").status == 200
        assert request(proxy.number, path, host="evil.example").status == 403
    assert request(proxy.number, "/v1/services", host="localhost").status == 401


def test_a_browser_at_a_forwarded_socket_acts_only_for_our_page(proxy):
    """`ssh -L 9180:admin.sock` gives a browser the rights of the socket: other sites get none."""
    def pause(host, origin):
        with Raw(0, unix=proxy.socket) as connection:
            return connection.get("/v1/services/gateway/pause", method="POST", body=b"{}",
                                  host=host, headers=[("Origin", origin)]).status
    assert pause("localhost:9180", "http://evil.example") == 403
    assert pause("localhost:9180", "null") == 403
    assert pause("evil.example", "http://evil.example") == 403  # a name that was bound anew
    assert pause("localhost:9180", "http://localhost:9180") == 422  # heard; nothing runs
    assert proxy.status()["state"] == "idle"


def test_the_plan_that_runs_is_told(proxy):
    path = "/v1/services/gateway/plan"
    nothing = {"service": "gateway", "cutover": None, "step": None, "plan": None}
    assert json.loads(proxy.admin(path).body) == nothing
    assert request(proxy.number, path, host="localhost").status == 401
    assert proxy.admin("/v1/services/other/plan").status == 404
    steps = [{"weight": "5%", "hold": "1h"}, {"ramp": "50%", "over": "2h", "hold": "10m"},
             {"weight": "100%", "hold": "1h", "approve": True}]
    proxy.cli("start", proxy.plan({"name": "release", "service": "gateway", "to": "web-v2",
                                   "steps": steps}), check=0)
    proxy.wait_status(lambda status: status["step"]["index"] == 1)
    told = json.loads(proxy.admin(path).body)
    assert (told["cutover"], told["step"]) == ("release/1", 1)
    assert [step.get("weight", step.get("ramp")) for step in told["plan"]["steps"]] == \
        ["5%", "50%", "100%"]
    assert told["plan"]["steps"][1]["over"] == "2h" and told["plan"]["steps"][2]["approve"] is True
    assert told["plan"]["guard"]["errors"]["then"] == "retreat"  # defaults are written out
    os.kill(proxy.child("shifter").pid, signal.SIGKILL)  # each host knows it by itself
    assert json.loads(proxy.admin(path).body) == told
    proxy.cli("abort", check=0)
    proxy.wait_status(lambda status: status["state"] == "aborted")
    assert json.loads(proxy.admin(path).body) == nothing
