"""The leader is killed or stopped at random moments of a cutover: the plan goes on where it was."""

import datetime
import json
import os
import random
import re
import signal
import time

import pytest

from harness import net, processes
from harness.load import Load
from harness.redis import Redis

pytestmark = pytest.mark.slow

WEIGHTS = [5, 10, 25, 50, 75, 100]
LED = re.compile(r"^(\S+) .* cf-shifter\[(\d+)\] event=leader\.led .*epoch=(\d+)", re.MULTILINE)
ROUTE = re.compile(r"event=agent\.route .*weight=([0-9.]+)%")
BUSY_S = 1.0  # what a machine with two cores may take for its own part of a step


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Fleet:
    """Two proxies and two shifters, each a daemon of its own, on one Redis."""

    def __init__(self, crossfade, nginx, started, folder):
        self.redis = Redis(folder)
        started.append(self.redis)
        v1, v2 = nginx("v1"), nginx("v2")

        def make(command, name):
            made = crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, start=False, verb=command,
                             extra={"store": f"redis://127.0.0.1:{self.redis.port}/0", "drain": {"quiet": "300ms"},
                                    "proxy": {"name": name}})
            return made.start(ready=command == "proxy")
        self.shifters = [make("shifter", f"brain-{number}") for number in (1, 2)]
        self.proxies = [make("proxy", f"edge-{number}") for number in (1, 2)]
        for proxy in self.proxies:
            proxy.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "proxies, a leader")

    def led(self):
        """(epoch, moment, daemon) of who led last."""
        found = []
        for shifter in self.shifters:
            found += [(int(epoch), seconds(moment), shifter) for moment, _, epoch in LED.findall(shifter.log)]
        return max(found, key=lambda each: each[0])

    def strike(self, how, chance):
        """Takes the leader away; returns how long it took until another led."""
        epoch, _, shifter = self.led()
        process = shifter.child("shifter").pid
        moment = time.time()
        os.kill(process, how)
        try:
            net.wait_until(lambda: self.led()[0] > epoch, 20, "another leader")
            if how == signal.SIGSTOP:
                time.sleep(chance.uniform(0, 1))
        finally:
            if how == signal.SIGSTOP:
                processes.kill_quietly(process, signal.SIGCONT)
        return self.led()[1] - moment

    def changes(self):
        entries = self.proxies[0].cli("history", "-o", "json", "--count", "200", check=0).json["entries"]
        return [each for each in entries if each["cutover"]]


@pytest.fixture
def fleet(crossfade, nginx, started, folder):
    return Fleet(crossfade, nginx, started, folder)


@pytest.mark.parametrize("strikes, hold_s", [(3, 1), pytest.param(20, 10, marks=pytest.mark.long)])
def test_a_leader_lost_at_any_moment_repeats_skips_and_shortens_no_step(fleet, strikes, hold_s):
    chance = random.Random(time.time_ns())
    one = fleet.proxies[0]
    plan = {"name": "six", "service": "gateway", "to": "v2",
            "steps": [{"weight": f"{weight}%", "hold": f"{hold_s}s", "evidence": "advisory"} for weight in WEIGHTS]}
    takeovers, seen = [], []
    with Load(one.port, rate=100) as first, Load(fleet.proxies[1].port, rate=100) as second:
        one.cli("start", one.plan(plan), check=0)
        for number in range(strikes):
            time.sleep(chance.uniform(0.1, 3 if hold_s > 1 else 0.8))
            how = chance.choice([signal.SIGKILL, signal.SIGSTOP])
            takeovers.append(fleet.strike(how, chance))
            seen.append(f"{how.name} {takeovers[-1]:.1f}")
        one.wait_status(lambda s: s["state"] == "safe", 60 + len(WEIGHTS) * hold_s, "safe")
    assert first.failed() == [] and second.failed() == []
    changes = fleet.changes()
    print("strikes:", ", ".join(seen))
    # Every weight comes once, in the plan's order, on every proxy and in the log.
    for proxy in fleet.proxies:
        routed = [float(each) for each in ROUTE.findall(proxy.log)]
        assert [each for i, each in enumerate(routed) if i == 0 or routed[i - 1] != each] == [0, *WEIGHTS], routed
    entered = [each for each in changes if each["after"]["weight"] != each["before"]["weight"]]
    assert [each["after"]["weight"] for each in entered] == WEIGHTS, entered
    # No step is shorter than its hold, and what the losses cost is bounded.
    moments = [seconds(each["at"]) for each in entered]
    left = next(each for each in changes if each["after"]["state"] == "draining")
    moments.append(seconds(left["at"]))
    lasted = [after - before for before, after in zip(moments, moments[1:])]
    assert min(lasted) >= hold_s, lasted
    lost = sum(lasted) - len(WEIGHTS) * hold_s
    print(f"lost {lost:.1f} s in {strikes} losses; take-over at most {max(takeovers):.1f} s; steps {lasted}")
    assert lost <= sum(takeovers) + (2 + BUSY_S) * strikes + BUSY_S * len(WEIGHTS), (lost, takeovers)
    generations = [each["generation"] for each in changes]
    assert generations == sorted(set(generations)) and json.dumps(changes).count('"start"') == 1
