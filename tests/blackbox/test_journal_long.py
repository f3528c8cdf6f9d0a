"""The journal in the long run: ten thousand changes on a fleet, while PostgreSQL and leaders go."""

import json
import os
import signal
import tempfile
import threading
import time
import uuid
from collections import deque
from pathlib import Path

import pytest

from harness.raw import Closed, Raw
from harness.redis import Redis
from test_journal import Server

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.release_only]

CHANGES = 10_000
PER_S = 50
BACKLOG_MAX = 1000
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_kib(pid):
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


class Changes:
    """Weights by hand at a steady rate, each repeated until it is answered."""

    def __init__(self, hosts):
        self.hosts, self.left, self.odd = hosts, deque(range(1, CHANGES + 1)), []
        self.held = False  # the journal lacks too many: what rises is refused

    def tell(self, host, number):
        """One change; repeated with the same id until the leader, whoever it is, has answered."""
        body = json.dumps({"request": str(uuid.uuid4()), "reason": f"change {number}",
                           "arguments": {"weight": 100 * (1 + number % 40)}}).encode()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with Raw(0, unix=host.socket, timeout=30) as one:
                    answer = one.get("/v1/services/gateway/weight", method="POST", host="localhost", body=body,
                                     headers=[("Content-Type", "application/json")])
            except (Closed, OSError):
                continue
            if answer.status != 503:
                return json.loads(answer.body)
        return {"exit": 7}

    def run(self, left, begun):
        while len(self.left) > left and not self.held:
            number = self.left.popleft()
            pause = begun + (CHANGES - len(self.left)) / PER_S - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            answer = self.tell(self.hosts[number % len(self.hosts)], number)
            if answer["exit"] == 3 and "the journal lacks" in answer["message"]:
                self.held = True
                self.left.append(number)
            elif answer["exit"] != 0:
                self.odd.append(answer)

    def until(self, left, threads=8):
        """Until so many are left, or the journal holds."""
        self.held = False
        arguments = (left, time.monotonic() - (CHANGES - len(self.left)) / PER_S)
        running = [threading.Thread(target=self.run, args=arguments) for _ in range(threads)]
        for each in running:
            each.start()
        for each in running:
            each.join()
        assert self.odd == [], self.odd[:3]
        return self.held


@pytest.fixture
def postgres():
    with tempfile.TemporaryDirectory(prefix="crossfade-journal-") as folder:
        server = Server(folder)
        try:
            yield server.start()
        finally:
            server.stop()


def leader_of(hosts):
    """The host that leads, its shifter's process, and the leader as status names it."""
    leader = hosts[0].wait_status(lambda s: s["leader"] is not None, 20, "a leader")["leader"]
    host = next(each for each in hosts if each.config["proxy"]["name"] == leader["name"])
    return host, host.child("shifter").pid, leader


def test_ten_thousand_changes_through_three_outages_and_two_leaders_are_ten_thousand_rows(
        crossfade, nginx, started, folder, postgres):
    postgres.fresh()
    redis = Redis(folder)
    started.append(redis)
    v1, v2 = nginx("v1"), nginx("v2")
    hosts = [crossfade({"v1": [v1.address], "v2": [v2.address]}, start=False, workers=1, extra={
        "proxy": {"name": name}, "store": f"redis://127.0.0.1:{redis.port}/0",
        "journal": {"url": postgres.url("journal")}}) for name in ("one", "two")]
    first = hosts[0]
    first.cli("db", "migrate", "-c", first.config_path, check=0)
    for host in hosts:
        host.start()
    first.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None)
    first.cli("start", "--to", "v2", check=0)
    changes = Changes(hosts)
    backlogs, leaders = [], set()
    core_s = lasted_s = 0.0

    def lead(left):
        """Changes under one leader, whose share of a core is measured; its host and process."""
        nonlocal core_s, lasted_s
        host, pid, leader = leader_of(hosts)
        leaders.add(leader["id"])
        began, before = time.monotonic(), cpu_s(pid)
        held = changes.until(left)
        core_s += cpu_s(pid) - before
        lasted_s += time.monotonic() - began
        return held, host, pid

    for outage in range(3):
        held, _, _ = lead(CHANGES - 2500 * outage - 1200)
        assert not held
        postgres.kill()
        held, host, pid = lead(0)
        assert held
        status = first.status()
        assert any(hold["reason"] == "journal" for hold in status["holds"])
        backlogs.append(status["journal"]["backlog"])
        if outage < 2:
            os.kill(pid, signal.SIGKILL)
            host.wait_child_replaced("shifter", pid)
            first.wait_status(lambda s: s["leader"] is not None and s["leader"]["id"] not in leaders, 30,
                              "another leader")
        postgres.start()
        first.wait_status(lambda s: s["journal"] == {"ok": True, "backlog": 0} and s["holds"] != [] and all(
            hold["reason"] != "journal" for hold in s["holds"]), 60, "all written, and the hold lifted")
    _, _, pid = lead(0)
    began = time.monotonic()
    first.wait_status(lambda s: s["journal"] == {"ok": True, "backlog": 0}, 60, "all written")
    caught_up_s = time.monotonic() - began
    reasons = postgres.sql("journal", "SELECT reason FROM crossfade.log WHERE verb = 'weight'"
                                      " ORDER BY epoch, generation, revision").split("\n")[:-1]
    log = int(redis.command("XLEN", "cf:{default:gateway}:log"))
    rows = int(postgres.value("SELECT count(*) FROM crossfade.log"))
    gaps = int(postgres.value(
        "SELECT count(*) FROM (SELECT generation - lag(generation) OVER (ORDER BY epoch, generation, revision)"
        " AS step FROM crossfade.log) AS s WHERE step <> 1"))
    epochs = int(postgres.value("SELECT count(DISTINCT epoch) FROM crossfade.log"))
    print(f"{len(reasons)} changes; {rows} rows of {log} entries, {gaps} gaps, {epochs} epochs; backlogs {backlogs};"
          f" CPU {100 * core_s / lasted_s:.1f} % of a core over {lasted_s:.0f} s, {len(reasons) / lasted_s:.0f}"
          f" changes/s; {memory_kib(pid)} KiB; the last row {caught_up_s:.1f} s after the last change")
    assert rows == log and gaps == 0
    assert sorted(reasons) == sorted(f"change {i + 1}" for i in range(CHANGES))
    assert all(BACKLOG_MAX <= backlog <= BACKLOG_MAX + 100 for backlog in backlogs)  # falls are never refused
    assert len(leaders) >= 3 and epochs >= 3
    assert core_s < 0.1 * lasted_s
