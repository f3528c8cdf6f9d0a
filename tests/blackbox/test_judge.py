"""The judge on the built program: what it says of a green that goes bad, how fast, and whom it blames."""

import json
import random
import re
import time

import pytest

from harness import net, processes
from harness.load import Load
from harness.raw import request
from test_fleet import fleet  # noqa: F401  two hosts on one Redis

pytestmark = [pytest.mark.slow, pytest.mark.release_only]

MANY = [f"/p{letter}" for letter in "abcdefghijklmnopqrst"]
PATHS = ["/alpha", "/beta", "/gamma", "/delta", "/epsilon", "/zeta"]
HOUR = [{"weight": "10%", "hold": "1h"}, {"weight": "100%", "hold": "1s"}]


def plan(steps=None, **more):
    return {"name": "release", "service": "gateway", "to": "v2", "steps": steps or HOUR, **more}


@pytest.fixture
def world(crossfade, nginx):
    """crossfade before two clusters of real servers; `green` and `blue` are lists of them."""
    def make(greens=1, blues=1, server=nginx, **options):
        blue = [server("v1") for _ in range(blues)]
        green = [server("v2") for _ in range(greens)]
        made = crossfade({"v1": [each.address for each in blue], "v2": [each.address for each in green]},
                         **options)
        made.blue, made.green = blue, green
        return made
    return make


def begin(made, text=None, weight=10):
    made.cli("start", made.plan(text or plan()), check=0)
    made.wait_status(lambda s: s["weight"]["actual"] == weight, timeout=10)


def status_of(made):
    return json.loads(made.admin("/v1/services/gateway/status").body)


def until(made, condition, timeout, what):
    """Seconds until the status fulfils the condition, and that status."""
    began = time.monotonic()
    last = net.wait_until(lambda: (lambda s: s if condition(s) else None)(status_of(made)), timeout, what)
    return time.monotonic() - began, last


def reasons(status):
    return {hold["reason"] for hold in status["holds"]}


def test_a_weight_by_hand_before_any_step_is_judged_too(world):
    """`start --to` enters no step; the guard must not wait for one."""
    made = world()
    made.green[0].break_path()
    made.cli("start", "--to", "v2", check=0)
    with Load(made.port, rate=300, connections=8) as load:
        made.cli("weight", "10%", check=0)
        until(made, lambda s: s["weight"]["actual"] == 0, 5, "weight 0")
    assert load.failed() == []
    assert made.cli("history", "--verify", "-o", "json", check=0).json["verified"] is True


def test_a_green_that_turns_to_500s_is_at_weight_0_within_a_second(world):
    made = world()
    begin(made)
    with Load(made.port, rate=500, connections=16) as load:
        time.sleep(2.5)
        made.green[0].break_path()
        took, status = until(made, lambda s: s["weight"]["actual"] == 0, 5, "weight 0")
        assert took <= 1.0, took
        count = len(made.green[0].log_entries())
        time.sleep(1)
        assert len(made.green[0].log_entries()) - count <= 2  # what was on its way
    assert load.failed() == []  # they were rescued
    assert status["state"] == "shifting" and "errors" in reasons(status)
    assert status["verdict"]["rule"] in ("errors", "budget")
    assert "paused at 10 %: green fails" in status["verdict"]["sentence"]
    why = made.cli("why", check=0).out
    assert status["verdict"]["sentence"] in why
    verified = made.cli("history", "--verify", "-o", "json", check=0).json
    assert verified["verified"] is True
    assert [each["verified"] for each in verified["entries"] if each.get("verdict")] == [True]


def test_a_green_that_hangs_gets_nothing_within_three_seconds(world):
    made = world()
    with Load(made.port, rate=500, connections=16):
        time.sleep(3)  # blue's p99 is learnt before the step begins
        begin(made)
        with Load(made.port, rate=200, connections=100, prefix="more"):
            time.sleep(1.5)
            made.green[0].freeze()
            took, status = until(made, lambda s: s["weight"]["actual"] == 0, 8, "weight 0")
            made.green[0].freeze(number=18)
            assert took <= 3.0, took
    assert {"latency", "errors"} <= reasons(status), status["holds"]
    assert status["verdict"]["rule"] == "errors", status["verdict"]
    assert "green answers nothing: " in status["verdict"]["sentence"]
    assert made.cli("history", "--verify").code == 0


def test_a_green_that_answers_late_is_slow_and_not_silent(world, upstream):
    made = world(server=upstream)
    with Load(made.port, rate=300, connections=64) as load:
        net.wait_until(lambda: len(load.results) > 1500, 20, "blue's p99")
        begin(made, weight=25, text=plan([{"weight": "25%", "hold": "1h"}, {"weight": "100%", "hold": "1s"}]))
        made.green[0].mode("lag-500")
        until(made, lambda s: "latency" in reasons(s), 10, "the hold latency")
        time.sleep(2.5)
        status = status_of(made)
    assert "errors" not in reasons(status), status["holds"]
    assert status["weight"]["actual"] == 25


def test_blue_and_green_that_fail_together_are_held_as_both(world):
    made = world()
    begin(made)
    with Load(made.port, rate=500, connections=16):
        time.sleep(2)
        made.green[0].break_path()
        made.blue[0].break_path()
        _, status = until(made, lambda s: "both" in reasons(s), 5, "the hold both")
        time.sleep(2)
        status = status_of(made)
        assert reasons(status) & {"errors", "latency"} == set()
        assert status["weight"] == {"desired": 10.0, "actual": 10.0}
        assert "this is not green" in made.cli("why", check=0).out
        made.green[0].mend()
        made.blue[0].mend()
        _, status = until(made, lambda s: "both" not in reasons(s), 15, "the end of both")
        assert status["weight"]["actual"] == 10


def test_too_little_traffic_is_held_with_the_number_and_the_time(world):
    made = world()
    begin(made, plan([{"weight": "50%", "hold": "1s"}, {"weight": "100%", "hold": "1s"}]), weight=50)
    _, status = until(made, lambda s: "evidence" in reasons(s), 10, "the hold evidence")
    assert ": 0 green responses" in status["holds"][0]["sentence"], status["holds"]  # nobody came yet
    assert "437 needed to rule out 1 % (no traffic to tell how long)" in status["holds"][0]["sentence"]
    with Load(made.port, rate=4, connections=1):
        time.sleep(2)
    _, status = until(made, lambda s: "at this rate" in s["holds"][0]["sentence"], 5, "the time it takes")
    why = made.cli("why", "-o", "json", check=0).json
    assert "needed to rule out 1 %" in why["missing"]["sentence"], why
    assert 300 < why["missing"]["missing"] <= 440 and why["missing"]["missing_s"] > 100
    assert str(why["missing"]["missing"]) in why["text"] or "more" in why["text"], why["text"]


@pytest.mark.long
def test_two_requests_a_minute_are_held_with_the_number_and_the_time(world):
    made = world()
    begin(made, plan([{"weight": "10%", "hold": "1s"}, {"weight": "100%", "hold": "1s"}]))
    for _ in range(5):
        time.sleep(30)
        assert request(made.port, "/").status == 200
    time.sleep(2)
    status = status_of(made)
    assert reasons(status) == {"evidence"} and status["weight"]["actual"] == 10
    why = made.cli("why", "-o", "json", check=0).json
    assert 430 <= why["missing"]["missing"] <= 437, why
    hours = why["missing"]["missing_s"] / 3600  # one in ten, 2 a minute: 36 h; from one of five 18 h
    assert 8 < hours < 80, why
    assert "437 needed to rule out 1 % (about " in status["holds"][0]["sentence"], status["holds"]
    assert " h at this rate)" in why["text"], why["text"]


def test_blue_that_fails_much_itself_raises_the_budget_from_before_the_start(world):
    made = world()
    made.blue[0].break_path(MANY[0])
    with Load(made.port, rate=500, connections=16, path=MANY) as load:
        net.wait_until(lambda: len(load.results) > 1500, 30, "what blue fails")
        time.sleep(1.2)  # a heartbeat
        begin(made, plan(HOUR))
        line = next(each for each in made.log.splitlines() if "event=judge.learnt" in each)
    found = re.search(r"blip (\d+) ms, budget ([\d.]+) %, from ([\d,]+) responses of blue, (\d+) failed", line)
    assert found, line
    done, bad = int(found[3].replace(",", "")), int(found[4])
    assert done >= 1000 and 0.02 < bad / done < 0.09, line
    assert abs(float(found[2]) / 100 - 3 * bad / done) < 0.01, line


@pytest.mark.long
def test_the_blip_is_learnt_from_blues_bursts_before_the_start(world):
    made = world()
    with Load(made.port, rate=300, connections=16):
        for _ in range(14):
            time.sleep(2)
            made.blue[0].break_path()
            time.sleep(0.5)
            made.blue[0].mend()
        begin(made, plan(HOUR))
    line = next(each for each in made.log.splitlines() if "event=judge.learnt" in each)
    blip = int(re.search(r"blip (\d+) ms", line)[1])
    assert 400 <= blip <= 1600, line


def test_a_doubled_p99_is_held_as_latency(world, upstream):
    made = world(server=upstream)
    made.blue[0].mode("lag-200")  # far above what a busy machine adds
    made.green[0].mode("lag-200")
    with Load(made.port, rate=300, connections=64):
        time.sleep(5)
        begin(made, plan([{"weight": "25%", "hold": "1h"}, {"weight": "100%", "hold": "1s"}]), weight=25)
        time.sleep(1)
        assert reasons(status_of(made)) == set()
        made.green[0].mode("lag-400")
        _, status = until(made, lambda s: "latency" in reasons(s), 30, "the hold latency")
    assert status["weight"]["actual"] == 25
    assert "slower than blue's p99" in status["verdict"]["sentence"]


def test_after_resume_back_and_a_weight_by_hand_the_judge_begins_anew_and_numbers_the_attempt(world):
    made = world()
    begin(made, plan([{"weight": "5%", "hold": "1h"}, *HOUR]), weight=5)
    sentences = []

    def fail(weight, *verb):
        before = len(made.green[0].log_entries())
        made.cli(*verb, check=0)
        made.wait_status(lambda s: s["weight"]["actual"] == weight, timeout=5)
        time.sleep(1)
        assert status_of(made)["weight"]["actual"] == weight
        made.green[0].break_path()
        _, status = until(made, lambda s: s["weight"]["actual"] == 0, 5, "weight 0")
        made.green[0].mend()
        seen = len(made.green[0].log_entries()) - before  # what came before is forgotten
        assert len(sentences) == 0 or status["verdict"]["samples_green"] <= seen, (seen, status["verdict"])
        return status["verdict"]["sentence"]

    with Load(made.port, rate=500, connections=16):
        sentences.append(fail(10, "step"))
        sentences.append(fail(10, "resume", "errors", "--at-once"))
        sentences.append(fail(20, "weight", "20%", "--force"))
        made.cli("resume", "--at-once", check=0)
        made.wait_status(lambda s: s["weight"]["actual"] == 10, timeout=5)
        sentences.append(fail(5, "back"))
    assert made.cli("history", "--verify").code == 0
    assert "paused at 10 %: " in sentences[0]
    assert "paused at 10 % (attempt 2): " in sentences[1]
    assert "paused at 20 % (attempt 3): " in sentences[2]
    assert "paused at 5 % (attempt 5): " in sentences[3]  # 4 by resume, 5 by back


@pytest.mark.parametrize("what", ["server", "path"])
def test_why_names_the_one_that_is_bad(world, what):
    made = world(greens=3)
    begin(made)
    culprit, path = random.choice(made.green), random.choice(PATHS)
    with Load(made.port, rate=500, connections=16, path=PATHS):
        time.sleep(2)
        for each in made.green:
            if what == "server" and each is culprit:
                each.break_path()
            elif what == "path":
                each.break_path(path)
        until(made, lambda s: s["weight"]["actual"] == 0, 8, "weight 0")
        time.sleep(1.2)
    text = made.cli("why", check=0).out
    why = made.cli("why", "-o", "json", check=0).json["blame"]
    if what == "server":
        assert [each["server"] for each in why["servers"]] == [culprit.address], why
        assert f"server {culprit.address} (" in text, text
        assert not any(each.address in text for each in made.green if each is not culprit), text
    else:
        assert [each["path"] for each in why["paths"]] == [path], why
        assert f"path {path} (" in text, text
        assert not any(each in text for each in PATHS if each != path), text
        assert "mostly server" not in text, text
    entries = made.cli("history", "-o", "json", check=0).json["entries"]
    blamed = [each["verdict"]["blame"] for each in entries if each.get("verdict")]
    assert blamed and blamed[0]["bad"] > 0


def test_two_proxies_take_green_out_within_a_second_of_its_first_500(fleet):  # noqa: F811
    (one, two), _, _, v2 = fleet
    begin(one)
    with Load(one.port, rate=250, connections=8), Load(two.port, rate=250, connections=8, prefix="two"):
        time.sleep(2)
        before = len(v2.log_entries())
        v2.break_path()
        net.wait_until(lambda: any(e[3] == 500 for e in v2.log_entries()[before:]), 3, "a failure")
        took, _ = until(one, lambda s: s["weight"]["actual"] == 0 and all(p["in_force"] for p in s["proxies"]),
                        5, "weight 0 on both")
    assert took <= 1.0, took


def test_a_verdict_survives_the_death_of_its_leader_half_way(fleet):  # noqa: F811
    (one, two), _, _, v2 = fleet
    begin(one)
    with Load(one.port, rate=150, connections=8, path=MANY), \
            Load(two.port, rate=150, connections=8, path=MANY, prefix="two"):
        net.wait_until(lambda: v2.log_entries(), 10, "a response of green")
        net.wait_until(lambda: status_of(one)["leader"] is not None, 10, "a leader")
        leader = one if "leader.led" in one.log else two
        other = two if leader is one else one
        epoch = status_of(other)["leader"]["epoch"]
        seen_bad = len(v2.log_entries())
        v2.break_path(random.choice(MANY))  # one in twenty: a verdict takes some seconds
        net.wait_until(lambda: sum(e[3] == 500 for e in v2.log_entries()[seen_bad:]) >= 2, 10, "two failures")
        processes.kill_quietly(leader.child("shifter").pid)
        began = time.monotonic()
        status = other.wait_status(lambda s: s["weight"]["actual"] == 0, 15, "weight 0")
        took = time.monotonic() - began
    failures = sum(each[3] == 500 for each in v2.log_entries())
    assert status["verdict"]["rule"] == "errors" and "errors" in reasons(status), status
    assert status["leader"]["epoch"] > epoch
    assert took <= 10, took
    assert failures <= 45, failures  # a judge that began anew would need as many again
    assert "attempt" not in status["verdict"]["sentence"]  # it is still the first
    assert other.cli("history", "--verify").code == 0
