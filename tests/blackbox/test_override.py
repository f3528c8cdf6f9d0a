"""The guarded override: requests that name their cluster, with leave."""

import time

import pytest

from harness import net
from harness.raw import Raw

pytestmark = pytest.mark.slow

SECRET = "open-sesame-0815"
QUICK = {"evidence": "advisory"}


def make(crossfade, upstream, folder, **override):
    secret = folder / "override.secret"
    secret.write_text(SECRET + "\n")
    v1, v2 = upstream("v1"), upstream("v2")
    if override.pop("guarded", True):
        override["secret_file"] = str(secret)
    log = folder / "access.log"
    made = crossfade({"v1": [v1.address], "v2": [v2.address]}, extra={
        "services": {"gateway": {"live": "v1", "clusters": ["v1", "v2"], "override": override}},
        "access_log": {"path": str(log)}})
    made.v1, made.v2, made.access_log = v1, v2, log
    return made


def who(made, value=None, path="/"):
    headers = [] if value is None else [("X-Crossfade", value)]
    before = len(made.v1.log_entries()), len(made.v2.log_entries())
    with Raw(made.port) as one:
        answer = one.get(path, headers=headers)
    assert answer.status == 200
    after = len(made.v1.log_entries()), len(made.v2.log_entries())
    return {(1, 0): "v1", (0, 1): "v2"}[after[0] - before[0], after[1] - before[1]]


def test_a_secret_chooses_and_nothing_else_does(crossfade, upstream, folder):
    made = make(crossfade, upstream, folder)
    assert who(made, f"green {SECRET}") == "v1"  # no cutover: there is one cluster only
    made.cli("start", "--to", "v2", check=0)
    assert who(made, f"green {SECRET}") == who(made, f"v2 {SECRET}") == "v2"
    assert who(made, f"blue {SECRET}") == who(made, f"v1 {SECRET}") == "v1"
    for value in (None, "green", f"green {SECRET}x", f"green {SECRET[:-1]}", SECRET, f"v3 {SECRET}"):
        assert who(made, value) == "v1", value
    made.cli("weight", "100%", check=0)
    assert who(made) == "v2" and who(made, f"blue {SECRET}") == "v1"
    time.sleep(1.2)
    found = made.metrics()
    assert sum(v for k, v in found.items() if k.startswith("crossfade_choices_total") and "override" in k) == 5
    net.wait_until(lambda: made.access_log.read_text().count('"override"') == 5, 5, "the log's lines")


def test_nobody_returns_to_blue_once_it_drains_nor_to_green_after_an_abort(crossfade, upstream, folder):
    made = make(crossfade, upstream, folder)
    plan = {"name": "p", "service": "gateway", "to": "v2", "steps": [{"weight": "100%", "hold": "200ms", **QUICK}]}
    made.cli("start", made.plan(plan), check=0)
    made.cli("wait", "--for", "safe", "--timeout", "20s", check=0)
    assert who(made, f"blue {SECRET}") == "v2"
    made.cli("finalize", check=0)
    made.cli("wait", "--for", "finalized", "--timeout", "10s", check=0)
    plan["to"] = "v1"
    plan["steps"][0]["hold"] = "1h"
    made.cli("start", made.plan(plan), check=0)
    made.wait_status(lambda s: s["weight"]["actual"] == 100)
    made.cli("abort", check=0)
    assert who(made, f"v1 {SECRET}") == "v2"


def test_a_network_needs_no_secret(crossfade, upstream, folder):
    made = make(crossfade, upstream, folder, guarded=False, networks=["127.0.0.0/8"])
    made.cli("start", "--to", "v2", check=0)
    assert who(made, "green") == "v2" and who(made) == "v1"


def test_an_override_is_neither_judged_nor_rescued(crossfade, upstream, folder):
    made = make(crossfade, upstream, folder)
    plan = {"name": "p", "service": "gateway", "to": "v2", "steps": [
        {"weight": "10%", "hold": "1h"}, {"weight": "100%", "hold": "1s"}]}
    made.cli("start", made.plan(plan), check=0)
    made.cli("weight", "0%", check=0)
    made.v2.mode("500")
    with Raw(made.port) as one:
        for _ in range(200):
            answer = one.get("/", headers=[("X-Crossfade", f"green {SECRET}")])
            assert answer.status == 500
    time.sleep(2)
    status = made.status()
    assert [h["reason"] for h in status["holds"]] == ["operator"] and status["verdict"]["rule"] is None
