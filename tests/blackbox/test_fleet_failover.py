"""A Redis that fails over, or splits in two: no weight moves by it, and nothing is signalled wrongly."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from harness import net
from harness.fault import Fault
from harness.load import Load
from harness.processes import Started
from harness.redis import Redis
from harness.tls_upstream import make_authority, make_leaf

pytestmark = pytest.mark.slow

RETURN_S = 15  # the failover itself, 5 s of the promise, and a busy machine
KEY = "cf:{default:gateway}:"
TREE = Path(__file__).resolve().parents[2]


class Sentinel:
    """A real redis-sentinel that watches one server."""

    def __init__(self, folder, primary):
        self.port = net.free_port()
        config = folder / "sentinel.conf"
        config.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
                          f"sentinel monitor mymaster 127.0.0.1 {primary} 1\n"
                          "sentinel down-after-milliseconds mymaster 1000\n"
                          "sentinel failover-timeout mymaster 3000\n")
        self.process = Started(["redis-sentinel", config], folder / "sentinel.log")
        net.wait_until(lambda: net.accepts(self.port), 15, "redis-sentinel")

    def end(self):
        self.process.end()


class Pair:
    """A Redis with one replica."""

    def __init__(self, folder, started):
        self.primary = Redis(folder, "primary")
        started.append(self.primary)
        self.replica = Redis(folder, "replica", arguments=["--replicaof", "127.0.0.1", self.primary.port])
        started.append(self.replica)
        self.joined()

    def joined(self):
        net.wait_until(lambda: "state=online" in self.primary.command("INFO", "replication"), 15, "a replica")

    def promoted(self):
        """Sentinel closes the connections of a server that it promotes, redis-cli's too."""
        net.wait_until(lambda: "role:master" in self.replica.run("INFO", "replication").stdout, 30, "a failover")


def two_hosts(crossfade, nginx, stores, **extra):
    v1, v2 = nginx("v1"), nginx("v2")
    hosts = [crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
        "store": store, "drain": {"quiet": "300ms"}, **extra}) for store in stores]
    for host in hosts:
        host.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "two proxies, a leader")
    return hosts


def at(hosts, weight):
    for host in hosts:
        host.wait_status(lambda s: s["store"]["ok"] and s["weight"] == {"desired": weight, "actual": weight}, RETURN_S,
                         f"{weight} % on both")


def steer(host, weight):
    def steered():
        done = host.cli("weight", f"{weight}%", timeout=30)
        assert done.code in (0, 7), done
        return done.code == 0
    net.wait_until(steered, RETURN_S, "it can be steered again")


@pytest.mark.long
def test_a_failover_that_loses_writes_moves_no_weight(crossfade, nginx, started, folder):
    pair = Pair(folder, started)
    sentinel = Sentinel(folder, pair.primary.port)
    started.append(sentinel)
    hosts = two_hosts(crossfade, nginx, [f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"] * 2)
    hosts[0].cli("start", "--to", "v2", check=0)
    hosts[0].cli("weight", "30%", check=0)
    nowhere = Fault(1)  # the replica's link is cut: what follows is lost
    started.append(nowhere)
    nowhere.set("refuse")
    with Load(hosts[0].port, rate=100) as first, Load(hosts[1].port, rate=100) as second:
        pair.replica.command("REPLICAOF", "127.0.0.1", nowhere.port)
        hosts[1].cli("weight", "42%", check=0)
        pair.primary.kill()
        pair.promoted()
        began = time.monotonic()
        at(hosts, 42)
        steer(hosts[0], 43)
        assert time.monotonic() - began < RETURN_S
        at(hosts, 43)
        pair.primary.start()  # the old one comes back and becomes a replica
        net.wait_until(lambda: "role:slave" in pair.primary.command("INFO", "replication"), 30, "a replica again")
        time.sleep(2)
        at(hosts, 43)
        steer(hosts[1], 44)
        at(hosts, 44)
    assert first.failed() == [] and second.failed() == []
    verbs = [each["verb"] for each in hosts[0].cli("history", "-o", "json", check=0).json["entries"]]
    assert "restored" in verbs, verbs


class Split:
    """Two hosts, each with its own way to Redis, which can lead to the replica."""

    def __init__(self, crossfade, nginx, started, folder, **extra):
        self.pair = Pair(folder, started)
        self.ways = [Fault(self.pair.primary.port) for _ in range(2)]
        started.extend(self.ways)
        self.hosts = two_hosts(crossfade, nginx, [f"redis://127.0.0.1:{way.port}/0" for way in self.ways], **extra)

    def part(self):
        self.pair.replica.command("REPLICAOF", "NO", "ONE")
        self.ways[1].target = self.pair.replica.port
        self.ways[1].set("pass")  # a change of mode closes what is open

    def heal(self):
        self.ways[1].target = self.pair.primary.port
        self.ways[1].set("pass")
        self.pair.replica.command("REPLICAOF", "127.0.0.1", self.pair.primary.port)

    def records(self):
        return [redis.command("GET", KEY + "decommission").strip() for redis in (self.pair.primary, self.pair.replica)]


@pytest.fixture
def split(crossfade, nginx, started, folder):
    return Split(crossfade, nginx, started, folder)


@pytest.mark.long
def test_two_primaries_move_no_weight(split):
    hosts = split.hosts
    hosts[0].cli("start", "--to", "v2", check=0)
    hosts[0].cli("weight", "30%", check=0)
    at(hosts, 30)
    with Load(hosts[0].port, rate=100) as first, Load(hosts[1].port, rate=100) as second:
        split.part()
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for host in hosts:
                assert host.status()["weight"]["desired"] == 30
            time.sleep(0.5)
        for host in hosts:  # each half knows that it is one
            host.wait_status(lambda s: any(p["silent"] for p in s["proxies"]) or not s["store"]["ok"], 5, "a silence")
        split.heal()
        at(hosts, 30)
        steer(hosts[1], 31)
        at(hosts, 31)
    assert first.failed() == [] and second.failed() == []


@pytest.mark.long
def test_two_primaries_signal_nothing_and_later_once(split):
    hosts = split.hosts
    plan = hosts[0].plan(json.dumps({"name": "split", "service": "gateway", "to": "v2", "guard": {"both": "hold"},
                                     "steps": [{"weight": "100%", "hold": "6s", "evidence": "advisory"}]}))
    hosts[0].cli("start", plan, check=0)
    hosts[0].wait_status(lambda s: s["weight"]["actual"] == 100, 20, "all on green")
    split.part()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for host in hosts:
            status = host.status()
            assert status["state"] in ("soaking", "shifting", "draining"), status["state"]
            assert status["signal"] is None or status["signal"]["key"] is None, status["signal"]
        time.sleep(0.5)
    assert split.records() == ["", ""]
    split.heal()
    for host in hosts:
        host.wait_status(lambda s: s["state"] == "safe", 40, "safe")
    record = net.wait_until(lambda: split.records()[0], 10, "the signal's record")
    assert json.loads(record)["sequence"] == 1, record


@pytest.mark.long
def test_a_silent_replica_holds_the_signal_back(split):
    """Nothing is safe that a failover could forget."""
    hosts = split.hosts
    plan = hosts[0].plan(json.dumps({"name": "slow", "service": "gateway", "to": "v2",
                                     "steps": [{"weight": "100%", "hold": "1s", "evidence": "advisory"}]}))
    split.pair.replica.freeze()
    try:
        hosts[0].cli("start", plan, check=0)
        hosts[0].wait_status(lambda s: s["state"] == "draining" and any(
            hold["reason"] == "store" for hold in s["holds"]) or not s["store"]["ok"], 30, "a store that is not sure")
        epoch = hosts[0].status()["leader"]["epoch"]
        time.sleep(6)
        assert split.pair.primary.command("GET", KEY + "decommission").strip() == ""
        status = hosts[1].status()  # who blocks is named, and waiting for it costs no lease
        held = next(hold for hold in status["holds"] if hold["reason"] == "store")
        assert "no replica acknowledged" in held["sentence"] and "1 connected" in held["sentence"], held
        assert "no replica acknowledged" in hosts[1].cli("why").out
        assert status["leader"]["epoch"] == epoch
    finally:
        split.pair.replica.thaw()
    hosts[0].wait_status(lambda s: s["state"] == "safe" and s["signal"]["sequence"] == 1, 20, "safe")


def test_a_proxy_that_joined_a_moment_ago_blocks_the_signal(crossfade, nginx, started, folder):
    """Its entry in the roster stands before its first heartbeat: whoever it is, it is waited for."""
    redis = Redis(folder)
    started.append(redis)
    v1, v2 = nginx("v1"), nginx("v2")
    host = crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
        "store": f"redis://127.0.0.1:{redis.port}/0", "drain": {"quiet": "300ms"}})
    host.wait_status(lambda s: len(s["proxies"]) == 1 and s["leader"] is not None, 20, "a proxy, a leader")
    plan = host.plan(json.dumps({"name": "joins", "service": "gateway", "to": "v2",
                                 "steps": [{"weight": "100%", "hold": "2s", "evidence": "advisory"}]}))
    host.cli("start", plan, check=0)
    identity = "12345678-0000-4000-8000-000000000001"
    redis.command("HSET", KEY + "roster", identity, "12345678-0000-4000-8000-000000000002 edge-9", "version", "1.1")
    status = host.wait_status(lambda s: any(p["name"] == "edge-9" and p["silent"] for p in s["proxies"]), 20, "edge-9")
    time.sleep(3)
    status = host.status()
    assert status["state"] != "safe" and any(hold["reason"] == "lag" for hold in status["holds"]), status["holds"]
    host.cli("forget", identity, "--yes", check=0)
    host.wait_status(lambda s: s["state"] == "safe", 20, "safe")
    # Whoever leaves takes itself out.
    assert identity in redis.command("HKEYS", KEY + "roster")
    own = (host.folder / "state" / "id").read_text().split()[0]
    assert own in redis.command("HKEYS", KEY + "roster")
    os.kill(host.pid, signal.SIGTERM)
    net.wait_until(lambda: own not in redis.command("HKEYS", KEY + "roster"), 15, "its leave")


RIGHTS = re.search(r"-@all [^`]*", (TREE / "shifter/STORE.md").read_text()).group(0)


def test_redis_over_tls_with_the_least_rights_and_a_right_that_lacks_is_named(crossfade, nginx, started, folder):
    authority = make_authority(folder, "redis-ca")
    certificate, key = make_leaf(folder, authority, "redis")
    port = net.free_port()
    redis = Redis(folder, arguments=[
        "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority[0],
        "--user", "default", "on", "nopass", "~*", "&*", "+@all"])
    started.append(redis)
    redis.command("ACL", "SETUSER", "cf", "on", ">word", "~cf:{prod:*", "&cf:{prod:*", *RIGHTS.split())
    redis.command("ACL", "SETUSER", "cf", "-hdel")
    (folder / "word").write_text("word\n")
    store = {"url": f"rediss://cf@127.0.0.1:{port}/0", "password_file": str(folder / "word"), "namespace": "prod",
             "ca": str(authority[0]), "certificate": str(certificate), "key": str(key)}
    v1, v2 = nginx("v1"), nginx("v2")
    host = crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, start=False, extra={"store": store})
    host.start(ready=False)
    net.wait_until(lambda: re.search(r"event=store.denied command=HDEL .*STORE\.md", host.log), 20, "the right that lacks")
    redis.command("ACL", "SETUSER", "cf", "+hdel")
    host.wait_ready()
    host.wait_status(lambda s: s["leader"] is not None and s["store"]["ok"], 20, "a leader")
    host.cli("start", "--to", "v2", check=0)
    host.cli("weight", "30%", check=0)
    assert "event=store.warning" in host.log and "there is no replica" in host.log
