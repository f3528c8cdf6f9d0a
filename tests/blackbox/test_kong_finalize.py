"""The point of no return: gates, actions proven by query, crashes in between, and the way back."""

import os
import signal
import time

import pytest

from kong_world import half_way_to_3_0

pytestmark = pytest.mark.slow

FINISHED = ("UPDATE schema_meta SET executed = coalesce(executed, '{}') || pending, pending = '{}' "
            "WHERE pending IS NOT NULL")


class World:
    """crossfade before two clusters that share one of Kong's databases, in `safe`."""

    def __init__(self, crossfade, nginx, postgres, folder):
        postgres.make("shared", half_way_to_3_0())
        self.postgres = postgres
        self.ran = folder / "ran"
        self.script = folder / "finish.sh"
        self.hook("true")
        v1, v2 = nginx("v1"), nginx("v2")
        self.proxy = crossfade(
            {"v1": [v1.address], "v2": [v2.address]},
            extra={
                "drain": {"quiet": "100ms"},
                "databases": {"kong": postgres.url("shared")},
                "hooks": {"kong-finish": {"command": [str(self.script)], "timeout": "1m"},
                          "again": {"command": [str(self.script)], "timeout": "1m", "repeatable": True},
                          "gone": {"command": ["/nonexistent/kong"]}},
            })

    def hook(self, *lines):
        self.script.write_text(f"#!/bin/sh\necho run >> {self.ran}\n" + "\n".join(lines) + "\n")
        self.script.chmod(0o755)

    def finish(self):
        return (f'psql -X -q -h 127.0.0.1 -p {self.postgres.port} -U kong shared '
                f'-c "{FINISHED}"')

    def runs(self):
        return len(self.ran.read_text().split()) if self.ran.exists() else 0

    def to_safe(self, action="kong-finish", when="manual", **gates):
        verify = {"kong": {"topology": "traditional", "database": "shared", "from_version": "2.8.2",
                           "to_version": "3.0", "old": {"database": "kong"}, "new": {"database": "kong"}}}
        plan = {"name": "kong-3.0", "service": "gateway", "to": "v2",
                "steps": [{"weight": "100%", "hold": "100ms", "evidence": "advisory"}],
                "finalize": {"when": when, "actions": [{"hook": action, "verify": verify}]}}
        if gates:
            plan["gates"] = gates
        self.proxy.cli("start", self.proxy.plan(plan), check=0)
        self.proxy.cli("wait", "--for", "safe", "--timeout", "30s", check=0)

    def ended(self, timeout=20):
        return self.proxy.wait_status(lambda s: s["state"] == "finalized", timeout)

    def waits(self, timeout=20):
        return self.proxy.wait_status(
            lambda s: any(h["reason"] == "approval" for h in s["holds"]), timeout)


@pytest.fixture
def world(crossfade, nginx, postgres, folder):
    return World(crossfade, nginx, postgres, folder)


def test_an_action_is_verified_by_query_and_then_there_is_one_way_back(world):
    world.hook(world.finish())
    world.to_safe()
    assert world.runs() == 0
    world.proxy.cli("finalize", check=0)
    world.proxy.cli("wait", "--for", "finalized", "--timeout", "20s", check=0)
    assert world.runs() == 1 and world.proxy.status()["live"] == "v2"
    back = world.proxy.cli("abort")
    assert back.code == 6 and "start --service gateway --to" in back.err
    entries = world.proxy.cli("history", "-o", "json", check=0).json["entries"]
    said = [entry["sentence"] for entry in entries if entry["verb"] == "action"]
    assert len(said) == 2 and "starts" in said[0] and "done" in said[1] and "verified" in said[1]


def test_a_hook_that_says_0_and_did_nothing_waits_for_redo_or_skip(world):
    world.to_safe()
    world.proxy.cli("finalize", check=0)
    status = world.waits()
    assert status["state"] == "finalizing" and world.runs() == 1
    sentence = status["holds"][0]["sentence"]
    assert "new.pending" in sentence and "exit 0" in sentence
    assert world.proxy.cli("wait", "--for", "finalized", "--timeout", "5s").code == 3
    assert world.proxy.cli("abort").code == 6
    assert world.proxy.cli("finalize", "--redo", "2").code == 6
    assert "finalize --redo 1" in world.proxy.cli("why", check=0).out
    world.hook(world.finish())
    world.proxy.cli("finalize", "--redo", "1", check=0)
    world.ended()
    assert world.runs() == 2


def test_a_skipped_action_ends_the_cutover_and_is_in_the_history(world):
    world.to_safe(action="gone")
    world.proxy.cli("finalize", check=0)
    assert "cannot be started" in world.waits()["holds"][0]["sentence"]
    world.proxy.cli("finalize", "--skip", "1", "--reason", "by hand", check=0)
    world.ended()
    assert world.runs() == 0
    assert "skipped" in world.proxy.cli("history", check=0).out


def test_what_was_finished_by_hand_is_found_without_a_word(world):
    world.to_safe()
    world.proxy.cli("finalize", check=0)
    world.waits()
    world.postgres.sql("shared", FINISHED)
    world.ended()
    assert world.runs() == 1


def test_a_failing_gate_keeps_safe_and_the_hook_unrun(world):
    gate = {"postgres": {"database": "kong", "query": "SELECT 1", "equals": "2"}}
    world.to_safe(before_finalize=[gate])
    refused = world.proxy.cli("finalize")
    assert refused.code == 1 and "query" in refused.err
    assert world.proxy.status()["state"] == "safe" and world.runs() == 0


def test_an_automatic_finalize_waits_for_its_gates(world):
    world.hook(world.finish())
    world.postgres.sql("shared", "CREATE TABLE ready (x INT)")
    gate = {"postgres": {"database": "kong", "query": "SELECT * FROM ready", "rows": 1}}
    world.to_safe(when="auto", before_finalize=[gate])
    status = world.proxy.wait_status(lambda s: any(h["reason"] == "gate" for h in s["holds"]))
    assert status["state"] == "safe" and world.runs() == 0
    world.postgres.sql("shared", "INSERT INTO ready VALUES (1)")
    world.ended(timeout=40)
    assert world.runs() == 1


@pytest.mark.parametrize("moment", ["before", "within", "after"])
def test_a_killed_leader_never_runs_a_hook_twice(world, moment):
    slow = {"before": ["sleep 1", world.finish()], "within": ["sleep 1", "echo more", world.finish()],
            "after": [world.finish(), "sleep 2"]}
    world.hook(*slow[moment])
    world.to_safe()
    old = world.proxy.child("shifter")
    world.proxy.cli("finalize", check=0)
    if moment != "before":
        world.proxy.wait_status(lambda s: world.runs() == 1)
        time.sleep(0.5)
    os.kill(old.pid, signal.SIGKILL)
    world.proxy.wait_child_replaced("shifter", old.pid)
    status = world.proxy.wait_status(
        lambda s: s["state"] == "finalized" or any(h["reason"] == "approval" for h in s["holds"]), 40)
    if status["state"] != "finalized" and world.runs() == 0:
        world.proxy.cli("finalize", "--redo", "1", check=0)  # killed before the hook began
    world.ended(40)
    assert world.runs() == 1


def test_a_repeatable_hook_runs_again_after_a_crash(world):
    world.hook("sleep 30")
    world.to_safe(action="again")
    old = world.proxy.child("shifter")
    world.proxy.cli("finalize", check=0)
    world.proxy.wait_status(lambda s: world.runs() == 1)
    world.hook(world.finish())
    os.kill(old.pid, signal.SIGKILL)
    world.ended(40)
    assert world.runs() == 2
