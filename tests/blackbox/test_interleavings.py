"""Two operators at once, on two hosts of one fleet, each repeating itself: one wins, and the log says so once.

Both base their command on the same generation; delays are drawn from a seed.  A command may be sent again, with the
same request id, to either host, before or after its answer.  One of the two changes the state and the other is told
the conflict; every copy of what was done gets the answer of the first; the log holds the change once.
"""

import json
import random
import threading
import time

import pytest

from harness.raw import Raw
from harness.redis import Redis

SERVICE = "/v1/services/gateway"
COMMANDS = [("weight", lambda draw: {"weight": draw.randrange(1, 9000)}), ("pause", lambda draw: {}),
            ("extend", lambda draw: {"ms": draw.randrange(1000, 9000)}), ("approve", lambda draw: {}),
            ("fence", lambda draw: {"up": draw.random() < 0.5}), ("back", lambda draw: {}),
            ("start", lambda draw: {"to": "v2"}), ("abort", lambda draw: {})]
PLAN = "name: p\nservice: gateway\nto: v2\nsteps:\n" + "".join(
    f"  - {{weight: {weight}%, hold: 10h, evidence: advisory}}\n" for weight in (1, 100))


class Copy(threading.Thread):
    """One sending of a command; the same request id makes it a repetition."""

    def __init__(self, host, verb, body, after):
        super().__init__(daemon=True)
        self.host, self.verb, self.body, self.after, self.answer = host, verb, body, after, None
        self.start()

    def run(self):
        time.sleep(self.after)
        with Raw(0, unix=self.host.socket, timeout=60) as connection:
            self.answer = json.loads(connection.get(
                f"{SERVICE}/{self.verb}", method="POST", body=json.dumps(self.body).encode(), host="localhost",
                headers=[("Content-Type", "application/json")]).body)


def status_of(host):
    return json.loads(host.admin(f"{SERVICE}/status").body)


def send(draw, host, other, verb, body):
    """The command, and perhaps repetitions of it."""
    copies = [Copy(host, verb, body, draw.random() * 0.02)]
    for _ in range(draw.choice((0, 0, 1, 2))):
        copies.append(Copy(draw.choice((host, other)), verb, body, draw.random() * 0.06))
    return copies


def whole_log(redis):
    """{generation: [entries]}"""
    found = {}
    lines = redis.command("XRANGE", "cf:{default:gateway}:log", "-", "+").splitlines()
    for place, word, text in zip(lines, lines[5:], lines[6:]):
        if word == "entry":
            found.setdefault(int(place.split("-")[0]), []).append(json.loads(text))
    return found


@pytest.mark.parametrize("rounds", [25, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.slow
def test_of_two_commands_for_one_generation_one_wins_and_no_repetition_acts(rounds, crossfade, upstream, started, folder):
    redis = Redis(folder)
    started.append(redis)
    clusters = {"v1": [upstream("v1").address], "v2": [upstream("v2").address]}
    hosts = [crossfade(clusters, workers=1, extra={"store": f"redis://127.0.0.1:{redis.port}/0"}) for _ in range(2)]
    for host in hosts:
        host.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "two proxies, one leader")
    draw = random.Random(20261122)
    expected = {}  # reason: verb, of those that won
    lost, apart, number, wins = set(), 0, 0, [0, 0]
    while sum(wins) < rounds:
        number += 1
        before = status_of(hosts[0])
        running = before["state"] in ("shifting", "soaking", "draining")
        pair = draw.choices(COMMANDS[:-2] * 4 + COMMANDS[-1:], k=2)
        if not running:
            pair = [COMMANDS[-2], COMMANDS[-2]]
        copies = []
        for i, (verb, arguments) in enumerate(pair):
            body = {"request": f"r{number}-{i}", "actor": f"op{i}", "reason": f"r{number}-{i}",
                    "if_generation": before["generation"], "arguments": arguments(draw)}
            if verb == "start":
                body["arguments"] = {"plan": PLAN, "file": "p.yaml"}
            copies.append(send(draw, hosts[i], hosts[1 - i], verb, body))
        for copy in copies[0] + copies[1]:
            copy.join(90)
            assert copy.answer is not None, f"{copy.verb} {copy.body}: no answer"
        exits = [sorted({copy.answer["exit"] for copy in mine}) for mine in copies]
        said = [copy.answer for copy in copies[0] + copies[1]]
        # A refusal is not kept: what the state forbids now may be a conflict when it is repeated.
        assert all(each == [0] or 0 not in each for each in exits), (pair, said)
        exits = [each[0] if len(each) == 1 else 6 for each in exits]
        assert set(exits) <= {0, 3, 4, 6} and exits != [0, 0], (pair, said)
        if 0 in exits:
            winner = exits.index(0)
            expected[f"r{number}-{winner}"] = copies[winner][0].verb
        for i in (0, 1):
            if exits[i] != 0:
                lost.add(f"r{number}-{i}")
        if exits not in ([0, 4], [4, 0]):  # the leader itself was faster (a hold), or the state forbids one
            apart += 1
            assert apart < rounds, said
            continue
        wins[winner] += 1
        told = copies[1 - winner][0].answer
        assert "generation" in told["message"] and told["state"] != "" and told["generation"] > before["generation"], told
        messages = {copy.answer["message"].split(";")[0] for copy in copies[winner]}  # `; silent: …` is of the moment
        assert len(messages) == 1 and all(copy.answer["generation"] > before["generation"] for copy in copies[winner])
    entries = [entry for generation in whole_log(redis).values() for entry in generation
               if entry["actor"].startswith("op")]
    reasons = [entry["reason"] for entry in entries]
    assert {entry["reason"]: entry["verb"] for entry in entries} == expected
    assert len(reasons) == len(set(reasons)) == len(expected) and not lost & set(reasons)
    assert min(wins) > rounds / 10, wins
    print(f"{rounds} pairs: won by {wins[0]} and {wins[1]}, {apart} more told apart by their state")
