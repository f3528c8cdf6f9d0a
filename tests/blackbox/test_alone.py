"""A proxy without its store: its own judge, break-glass, and how the fleet follows when they meet again."""

import time

import pytest

from harness import net
from harness.fault import Fault
from harness.load import Load
from harness.redis import Redis

pytestmark = pytest.mark.slow

PLAN = {"name": "release", "service": "gateway", "to": "v2", "guard": {"blip": "100ms"},
        "steps": [{"weight": "10%", "hold": "1h"}, {"weight": "100%", "hold": "1h"}]}


class Fleet:
    """Two hosts on one Redis, the second behind a link that can be cut."""

    def __init__(self, hosts, redis, link, blue, green):
        self.hosts, self.redis, self.link, self.blue, self.green = hosts, redis, link, blue, green

    def start(self, **more):
        one = self.hosts[0]
        one.cli("start", one.plan({**PLAN, **more}), check=0)
        for host in self.hosts:
            host.wait_status(lambda s: s["weight"] == {"desired": 10, "actual": 10}, 20, "10 % everywhere")

    def together(self, condition, what, timeout=20):
        for host in self.hosts:
            host.wait_status(lambda s: s["leader"] is not None and condition(s), timeout, what)


def holds(status):
    return {each["reason"]: each for each in status["holds"]}


@pytest.fixture
def fleet(crossfade, upstream, started, folder):
    redis = Redis(folder, arguments=("--appendonly", "yes"))  # it remembers what it was told, also when killed
    started.append(redis)
    link = Fault(redis.port)
    started.append(link)
    blue, green = upstream("v1"), upstream("v2")
    hosts = [crossfade({"v1": [blue.address], "v2": [green.address]}, workers=1, extra={
        "store": f"redis://127.0.0.1:{port}/0", "drain": {"quiet": "300ms"}}) for port in (redis.port, link.port)]
    for host in hosts:
        host.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "two proxies, one leader")
    return Fleet(hosts, redis, link, blue, green)


def test_with_redis_killed_each_proxy_retreats_by_itself_and_says_so(fleet):
    fleet.start()
    one, two = fleet.hosts
    with Load(one.port, rate=250) as first, Load(two.port, rate=250) as second:
        time.sleep(1)
        fleet.redis.kill()
        time.sleep(1)
        assert [host.status()["weight"]["actual"] for host in fleet.hosts] == [10, 10]
        fleet.green.mode("500")
        bad = time.monotonic()
        for host in fleet.hosts:
            net.wait_until(lambda h=host: h.status()["weight"]["actual"] == 0, 5, "weight 0")
        took = time.monotonic() - bad
        assert took < 2.0, f"{took:.2f} s"  # the driver's own calls take a part of it
        time.sleep(0.5)
        settled = time.monotonic()
        time.sleep(1)
    for load, host in ((first, one), (second, two)):
        assert [each for each in load.since(settled) if not each.good] == []
        status = host.status()
        assert status["weight"] == {"desired": 10, "actual": 0} and status["state"] == "shifting"
        assert not status["store"]["ok"] and status["store"]["stale_s"] > 1
        held = holds(status)
        assert held["override"]["by"] == "judge" and "its own judge" in held["override"]["sentence"]
        assert "does not answer" in held["store"]["sentence"]
        assert status["verdict"]["rule"] == "errors" and status["verdict"]["samples_green"] > 0
        assert "own judge" in host.cli("why").out
        assert "event=agent.retreat" in host.log and 'actor="judge"' in host.log
    fleet.green.mode("200")
    fleet.redis.start()
    fleet.together(lambda s: s["weight"] == {"desired": 0, "actual": 0} and "override" in holds(s)
                   and all(p["in_force"] for p in s["proxies"]), "the fleet follows")
    entries = [e for e in one.cli("history", "-o", "json").json["entries"] if e["verb"] == "override"]
    assert len(entries) == 1 and entries[0]["actor"] == "judge" and entries[0]["after"]["weight"] == 0
    time.sleep(1)
    assert one.status()["weight"]["desired"] == 0  # nothing flips back by itself
    one.cli("resume", "override", check=0)
    fleet.together(lambda s: s["weight"]["actual"] == 10 and not s["holds"], "it climbs again")


@pytest.mark.long
def test_with_redis_killed_each_proxy_leaves_a_green_that_hangs(fleet):
    one, two = fleet.hosts
    with Load(one.port, rate=250, connections=64) as first, Load(two.port, rate=250, connections=64) as second:
        net.wait_until(lambda: min(len(first.results), len(second.results)) > 1500, 30, "blue's p99")
        fleet.start()
        time.sleep(1)
        fleet.redis.kill()
        time.sleep(1)
        fleet.green.mode("hang")
        for host in fleet.hosts:
            net.wait_until(lambda h=host: h.status()["weight"]["actual"] == 0, 10, "weight 0")
    for host in fleet.hosts:
        assert host.status()["verdict"]["rule"] == "errors", host.status()["verdict"]
        assert "green answers nothing" in host.status()["verdict"]["sentence"]
        assert "its own judge" in holds(host.status())["override"]["sentence"]


def test_without_store_off_leaves_the_weight_alone(fleet):
    fleet.start(guard={"blip": "100ms", "without_store": "off"})
    one = fleet.hosts[0]
    with Load(one.port, rate=250):
        fleet.redis.kill()
        fleet.green.mode("500")
        time.sleep(3)
        assert one.status()["weight"]["actual"] == 10 and "override" not in holds(one.status())


def test_a_proxy_cut_off_and_aborted_locally_stays_on_blue_and_the_fleet_follows(fleet):
    fleet.start()
    one, two = fleet.hosts
    assert one.cli("abort", "--local").code == 6  # the store answers
    fleet.link.set("refuse")
    two.wait_status(lambda s: not s["store"]["ok"], 10, "cut off")
    assert two.cli("abort", "--local").code == 6  # not yet 5 s
    net.wait_until(lambda: two.cli("abort", "--local", "--reason", "smoke").code == 0, 10, "break-glass", every=0.3)
    assert two.cli("weight", "25%", "--local").code == 6
    status = two.status()
    assert status["weight"] == {"desired": 10, "actual": 0} and "smoke" in holds(status)["override"]["sentence"]
    assert one.status()["weight"] == {"desired": 10, "actual": 10}
    with Load(two.port, rate=100) as load:
        time.sleep(0.5)
        fleet.link.set("pass")
        fleet.together(lambda s: s["weight"] == {"desired": 0, "actual": 0} and "override" in holds(s)
                       and all(p["in_force"] for p in s["proxies"]), "the fleet follows")
        time.sleep(2)
        assert one.status()["weight"] == {"desired": 0, "actual": 0}
    assert load.failed() == [] and set(load.servers()) == {"v1"}
    hold = holds(one.status())["override"]
    assert "smoke" in hold["sentence"] and hold["since"] and "resume override" in hold["lifted_by"]
    assert one.cli("step").code == 3
    one.cli("weight", "5%", check=0)
    fleet.together(lambda s: s["weight"]["actual"] == 5 and set(holds(s)) == {"operator"}, "an operator ends it")
