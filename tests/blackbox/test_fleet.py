"""Two hosts on one Redis: one leads, both serve, and no loss of Redis moves a weight."""

import os
import signal
import time

import pytest

from harness.load import Load
from harness.net import wait_until
from harness.redis import Redis

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(crossfade, nginx, started, folder):
    redis = Redis(folder)
    started.append(redis)
    v1, v2 = nginx("v1"), nginx("v2")
    hosts = [crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
        "store": f"redis://127.0.0.1:{redis.port}/0", "drain": {"quiet": "300ms"}}) for _ in range(2)]
    for host in hosts:
        host.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "two proxies, one leader")
    return hosts, redis, v1, v2


def test_a_verb_given_to_one_host_is_in_force_on_both(fleet):
    (one, two), _, _, v2 = fleet
    one.cli("start", "--to", "v2", check=0)
    two.cli("weight", "100%", check=0)
    for host in (one, two):
        assert host.status()["weight"] == {"desired": 100, "actual": 100}
    before = len(v2.log_entries())
    with Load(one.port, rate=200) as first, Load(two.port, rate=200) as second:
        time.sleep(1)
    assert first.failed() == [] and second.failed() == []
    assert set(first.servers()) == set(second.servers()) and len(v2.log_entries()) > before
    leaders = {host.status()["leader"]["id"] for host in (one, two)}
    assert len(leaders) == 1


@pytest.mark.parametrize("loss", ["flushed", "killed", "stopped"])
def test_no_loss_of_redis_fails_a_request_or_moves_a_weight(fleet, loss):
    (one, two), redis, _, _ = fleet
    one.cli("start", "--to", "v2", check=0)
    one.cli("weight", "40%", check=0)
    with Load(one.port, rate=200) as first, Load(two.port, rate=200) as second:
        if loss == "flushed":
            redis.command("FLUSHALL")
        elif loss == "killed":
            redis.process.signal(signal.SIGKILL)
            redis.process.wait(5)
        else:
            redis.process.signal(signal.SIGSTOP)
        time.sleep(5)
        if loss != "flushed":
            status = two.status()
            assert status["weight"]["desired"] == 40 and not status["store"]["ok"]
        if loss == "killed":
            redis.start()
        elif loss == "stopped":
            redis.process.signal(signal.SIGCONT)
        status = two.wait_status(lambda s: s["store"]["ok"] and s["leader"] is not None
                                 and all(p["in_force"] for p in s["proxies"]), 15, "recovery")
        assert status["weight"]["desired"] == 40 and status["state"] == "shifting"
        two.cli("weight", "60%", check=0)  # it can be steered again
    assert first.failed() == [] and second.failed() == []


def test_another_leads_when_the_leader_is_killed_and_the_weight_stays(fleet):
    (one, two), _, _, _ = fleet
    one.cli("start", "--to", "v2", check=0)
    one.cli("weight", "30%", check=0)
    with Load(one.port, rate=200) as load:
        epochs = []
        for _ in range(2):
            leader = one.status()["leader"]
            epochs.append(leader["epoch"])
            for host in (one, two):
                os.kill(host.child("shifter").pid, signal.SIGKILL)
            status = one.wait_status(lambda s: s["leader"] is not None and s["leader"]["id"] != leader["id"],
                                     20, "another leader")
            assert status["weight"]["desired"] == 30 and status["state"] == "shifting"
        epochs.append(one.status()["leader"]["epoch"])
        assert epochs == sorted(set(epochs))
        one.cli("weight", "35%", check=0)
    assert load.failed() == []


def test_a_silent_proxy_blocks_until_it_is_forgotten_and_is_noticed_when_it_speaks_again(fleet):
    (one, two), redis, _, _ = fleet
    one.cli("start", "--to", "v2", check=0)
    identity = (two.folder / "state" / "id").read_text().split()[0]
    assert one.cli("forget", "nobody", "--yes").code == 2
    assert one.cli("forget", identity, "--yes").code == 6  # it speaks
    processes = [two.pid] + [child.pid for child in two.children()]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        one.wait_status(lambda s: s["leader"] is not None and any(p["silent"] for p in s["proxies"]), 20, "silence")
        assert "silent" in one.cli("weight", "10%", check=0).err
        one.wait_status(lambda s: any(h["reason"] == "lag" for h in s["holds"]), 20, "a hold")
        one.cli("forget", identity, "--yes", check=0)
        one.cli("forget", identity, "--yes", check=0)  # harmless
        status = one.wait_status(lambda s: len(s["proxies"]) == 1, 5, "one proxy")
        assert all(hold["reason"] != "lag" for hold in status["holds"])
        progress = next(key for key in redis.keys() if key.endswith(":progress"))
        wait_until(lambda: identity in redis.command("GET", progress).split("forgotten")[1], 5, "a checkpoint with it")
        shifter = one.child("shifter").pid
        os.kill(shifter, signal.SIGKILL)
        one.wait_child_replaced("shifter", shifter)
        status = one.wait_status(lambda s: s["leader"] is not None and s["leader"]["id"] != status["leader"]["id"]
                                 and s["proxies"] != [], 20, "a leader that was never told")
        assert [proxy["silent"] for proxy in status["proxies"]] == [False]
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
    one.wait_status(lambda s: len(s["proxies"]) == 2 and all(p["in_force"] for p in s["proxies"]), 20, "its return")
    assert "event=roster.returned" in one.log + two.log
