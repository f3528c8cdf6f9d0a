"""`crossfade replay`: recorded runs judged offline, and what is said of files that are none."""

import csv
import random
import resource
import subprocess
import time
from pathlib import Path

import pytest

from harness.crossfade import Done, binary
from harness.load import Load

DATA = Path(__file__).resolve().parents[1] / "data/judge"
KEYS = ["verdict", "t_ms", "soft_hold_ms", "both_ms", "srm_ms", "promote_ms", "sentence"]
HEADER = "t_ms,cluster,result,latency_us\n"


def table(name):
    with open(DATA / name) as file:
        return list(csv.DictReader(file))


def replay(*arguments):
    return Done(subprocess.run([str(binary()), "replay", *map(str, arguments)], capture_output=True, text=True,
                               timeout=60, check=False, stdin=subprocess.DEVNULL))


def judged(*arguments):
    done = replay(*arguments, "-o", "json")
    assert done.code == 0 and done.err == "", done
    return done.json


@pytest.fixture
def trace(tmp_path):
    """Writes rows of traffic: 300 a second, a quarter of it to green after 10 s."""
    def make(seconds=40, blue=0.0, green=0.0, share=0.25, rate=300):
        rng = random.Random(7)
        path = tmp_path / "trace.csv"
        with open(path, "w") as file:
            file.write(HEADER)
            for number in range(seconds * rate):
                ms = number * 1000 // rate
                to = "green" if ms >= 10000 and rng.random() < share else "blue"
                bad = rng.random() < (green if to == "green" else blue)
                file.write(f"{ms},{to},{'err' if bad else 'ok'},{rng.randint(2000, 20000)}\n")
        return path
    return make


@pytest.mark.parametrize("case", table("cases.csv"), ids=lambda case: case["trace"])
def test_the_shared_traces_are_judged_as_expected(case):
    expected = next(row for row in table("expected.csv") if row["trace"] == case["trace"])
    found = judged(DATA / f"{case['trace']}.csv", "--schedule", case["steps"], *case["params"].split())
    assert list(found) == KEYS
    assert found["verdict"] == expected["verdict"].removeprefix("PAUSE-")
    for ours, theirs in (("t_ms", "t_ms"), ("soft_hold_ms", "hold_ms"), ("both_ms", "hold_both_ms"),
                         ("srm_ms", "srm_ms"), ("promote_ms", "promote_ms")):
        assert abs(found[ours] - float(expected[theirs])) <= 1, ours


def test_each_parameter_changes_the_answer(trace):
    healthy = trace(seconds=80)
    args = ["--schedule", "0:0;10000:0.25"]
    plain = judged(healthy, *args)
    assert plain["verdict"] == "none" and 50000 < plain["promote_ms"] < 70000
    assert judged(healthy, *args, "p_ok=0.05")["promote_ms"] < plain["promote_ms"]
    assert judged(healthy, "--schedule", "0:0;10000:0.5")["srm_ms"] > 10000  # the router sent a quarter
    ill = trace(blue=0.02, green=0.08)
    plain = judged(ill, *args)
    assert plain["verdict"] == "errors" and 0 < plain["soft_hold_ms"] <= plain["t_ms"]
    assert judged(ill, *args, "r0=5", "pmax=0.5")["verdict"] == "none"
    assert judged(ill, *args, "floor=0.5", "pmax=0.9")["verdict"] == "none"
    assert judged(ill, *args, "r0=100", "pmax=0.02")["verdict"] == "budget"
    assert judged(ill, *args, "blip_ms=2000")["t_ms"] > plain["t_ms"]
    assert judged(ill, *args, "nsteps=50")["t_ms"] >= plain["t_ms"]
    assert judged(ill, *args, "plan_ms=900000000", "nsteps=1")["t_ms"] <= plain["t_ms"]
    # where the schedule and the trace say it, they need not be given
    assert judged(ill, *args, "nsteps=1", f"plan_ms={40 * 1000 - 10000 - 4}") == plain
    # green proves itself by the ratio where the share alone cannot
    both = trace(seconds=80, blue=0.05, green=0.05)
    assert judged(both, *args, "r1=20", "pmax=0.5")["promote_ms"] > 0
    assert judged(both, *args, "r1=1.05", "pmax=0.5")["promote_ms"] == -1


def test_slow_greens_are_judged_by_r0_lat():
    args = [DATA / "19.csv", "--schedule", "0:0;15000:0.05", "plan_ms=3600000", "nsteps=7"]
    assert judged(*args)["verdict"] == "latency"
    assert judged(*args, "r0_lat=20")["verdict"] == "none"


@pytest.mark.parametrize("line, words", [
    ("x,blue,ok,1", "t_ms must be"), ("2,red,ok,1", "cluster must be"), ("2,blue,fine,1", "result must be"),
    ("2,blue,ok,-1", "latency_us must be"), ("2,blue,ok", "4 fields"), ("2,blue,ok,1,1", "4 fields"),
    ("nan,blue,ok,1", "t_ms must be"), ("2,blue,ok,inf", "latency_us must be"), ("2,blue,ok\0,1", "NUL"),
    ("2,blue,ok," + "1" * 70000, "too long"), ("\xff\xfe", "4 fields")])
def test_a_bad_row_is_told_with_its_line(tmp_path, line, words):
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + "1,blue,ok,1\n\n" + line + "\n3,blue,ok,1\n")
    done = replay(path, "--schedule", "0:0;10:0.5")
    assert done.code == 2 and done.out == "", done
    assert done.err.startswith(f"{path}:4: ") and words in done.err, done


@pytest.mark.parametrize("arguments, words", [
    ((), "no trace"), (("TRACE",), "schedule"), (("TRACE", "--schedule", "10"), "schedule"),
    (("TRACE", "--schedule", "0:2"), "share"), (("TRACE", "--schedule", "0:0;10:0.5", "r0=x"), "r0=x"),
    (("TRACE", "--schedule", "0:0;10:0.5", "r3=1"), "r3=1"), (("TRACE", "--schedule", "0:0;10:0.5", "pmax=7"), "7"),
    (("TRACE", "--schedule", "0:0;10:0.5", "nsteps=0"), "steps"), (("TRACE", "--nonsense"), "--nonsense"),
    (("/nowhere", "--schedule", "0:0"), "/nowhere")])
def test_what_cannot_be_replayed_is_exit_2(tmp_path, arguments, words):
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + "1,blue,ok,1\n")
    done = replay(*[path if each == "TRACE" else each for each in arguments])
    assert done.code == 2 and words in done.err and done.out == "", done


@pytest.mark.release_only
@pytest.mark.parametrize("kind", ["trace", pytest.param("log", marks=pytest.mark.long)])
def test_a_million_rows_take_less_than_two_seconds(tmp_path, kind):
    path = tmp_path / kind
    rng = random.Random(3)
    tails = []
    for _ in range(2000):  # drawn once: writing a million of them must not take a minute
        to, latency = rng.choice(["blue"] * 9 + ["green"]), rng.randint(2000, 30000)
        tails.append((to, latency, "err" if rng.random() < 0.001 else "ok"))
    with open(path, "w") as file:
        file.write(HEADER if kind == "trace" else "")
        for number in range(1000000):
            to, latency, result = tails[number % 2000 if number % 3 else rng.randrange(2000)]
            if kind == "trace":
                file.write(f"{number},{to if number > 60000 else 'blue'},{result},{latency}\n")
                continue
            s = number // 1000
            file.write(f'{{"time":"2026-11-22T10:{s // 60:02d}:{s % 60:02d}.{number % 1000:03d}Z","service":"gateway",'
                       f'"client":"10.0.0.1","method":"GET","path":"/a/b?c={number}","status":200,"bytes":1234,'
                       f'"cluster":"{to}","server":"10.0.0.2:8000","why":"weight","weight":10.00,"generation":4,'
                       f'"connect_ms":null,"first_byte_ms":3.1,"total_ms":{latency / 1000},"retries":0,"ended":"ok"}}\n')
    arguments = ["--schedule", "0:0;60000:0.1"] if kind == "trace" else ["--blue", "blue", "--green", "green"]
    best = 1e9
    for _ in range(2):  # of processor time, so that others on the machine do not matter
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert judged(path, *arguments)["verdict"] == "none"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert best < 2.0, best


@pytest.mark.slow
def test_what_the_guard_did_live_is_found_in_the_access_log(crossfade, nginx, folder):
    blue, green = nginx("v1"), nginx("v2")
    log = folder / "access.log"
    made = crossfade({"v1": [blue.address], "v2": [green.address]},
                     extra={"access_log": {"path": str(log), "format": "json"}})
    with Load(made.port, rate=400, connections=16):
        time.sleep(1)
        made.cli("start", made.plan({"name": "release", "service": "gateway", "to": "v2", "steps": [
            {"weight": "10%", "hold": "1h"}, {"weight": "100%", "hold": "1s"}]}), check=0)
        made.wait_status(lambda s: s["weight"]["actual"] == 10)
        time.sleep(1)
        green.break_path()
        made.wait_status(lambda s: s["verdict"] is not None and s["weight"]["actual"] == 0, 10, "the verdict")
    made.terminate()
    found = judged(log, "--blue", "v1", "--green", "v2")
    assert found["verdict"] in ("errors", "budget") and "paused at 10 %: green fails" in found["sentence"], found
    assert replay(log).code == 2  # whose clusters?
