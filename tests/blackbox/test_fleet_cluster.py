"""A fleet on a real Redis Cluster: each service where its hash tag belongs, while slots move and servers die."""

import json
import re
import threading
import time
from pathlib import Path

import pytest

from harness import net
from harness.load import Load
from harness.redis import Redis
from harness.redis_cluster import Cluster
from harness.tls_upstream import make_authority, make_leaf

pytestmark = pytest.mark.slow

BACK_S = 15  # 5 s of the promise, what the cluster itself takes to promote a replica, and a busy machine
TREE = Path(__file__).resolve().parents[2]


def two_hosts(crossfade, nginx, urls, **more):
    v1, v2 = nginx("v1"), nginx("v2")
    hosts = [crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
        "store": url, "drain": {"quiet": "300ms"}, **more}) for url in urls]
    for host in hosts:
        for service in more.get("services", ["gateway"]):
            host.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "proxies, a leader",
                             service=service)
    return hosts


def url(*nodes):
    return "redis://" + ",".join(f"127.0.0.1:{getattr(node, 'port', node)}" for node in nodes)


def at(hosts, weight, service="gateway"):
    for host in hosts:
        host.wait_status(lambda s: s["weight"] == {"desired": weight, "actual": weight} and s["store"]["ok"], BACK_S,
                         f"{service} at {weight} %", service=service)


def steer(host, weight, service="gateway"):
    def steered():
        done = host.cli("weight", f"{weight}%", "--service", service, timeout=30)
        assert done.code in (0, 7), done
        return done.code == 0
    net.wait_until(steered, BACK_S, "it can be steered again")


def replica_reads(replica, *words):
    """A replica answers for its primary's slots only after READONLY."""
    return replica.run_all("READONLY", " ".join(words)).partition("\n")[2]


class Watched:
    """Every weight that a host shows meanwhile."""

    def __init__(self, hosts, service="gateway"):
        self.hosts, self.service, self.seen, self.stopping = hosts, service, [], False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopping:
            for host in self.hosts:
                done = host.cli("status", "-o", "json", "--service", self.service)
                if done.code == 0 and (not self.seen or self.seen[-1] != done.json["weight"]["desired"]):
                    self.seen.append(done.json["weight"]["desired"])
            time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join(70)


def test_servers_that_are_no_cluster_are_refused_as_one(crossfade, nginx, started, folder):
    """Of two that know nothing of each other, each would have a state of its own."""
    alone = Redis(folder)
    started.append(alone)
    v1, v2 = nginx("v1"), nginx("v2")
    host = crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, start=False, extra={
        "store": f"redis://127.0.0.1:{alone.port},localhost:{alone.port}"})
    host.start(ready=False)
    net.wait_until(lambda: re.search("event=store.away .*several servers are named, but this one is not in a Redis "
                                     "Cluster", host.log), 20, "what is wrong")
    assert alone.keys() == []


@pytest.mark.long
def test_a_whole_cutover_on_a_cluster_is_signalled_once_a_replica_has_it(crossfade, nginx, started, folder):
    cluster = Cluster(folder, started)
    owner = cluster.owner("gateway")
    replica = cluster.add_replica(owner)
    others = [node for node in cluster.nodes[:3] if node is not owner]
    hosts = two_hosts(crossfade, nginx, [url(*others), url(net.free_port(), replica)])  # one of them is not there
    plan = hosts[0].plan(json.dumps({"name": "whole", "service": "gateway", "to": "v2", "guard": {"latency": "off"}, "steps": [
        {"weight": "20%", "hold": "1s", "evidence": "advisory"}, {"weight": "100%", "hold": "1s", "evidence": "advisory"}]}))
    with Load(hosts[0].port, rate=100) as first, Load(hosts[1].port, rate=100) as second, Watched(hosts) as watched:
        hosts[0].cli("start", plan, check=0)
        for host in hosts:
            host.wait_status(lambda s: s["state"] == "safe" and s["signal"]["sequence"] == 1, 60, "safe")
    assert first.failed() == [] and second.failed() == []
    assert watched.seen == sorted(watched.seen) and set(watched.seen) <= {0, 20, 100}, watched.seen
    record = replica_reads(replica, "GET", "cf:{default:gateway}:decommission")
    assert json.loads(record)["sequence"] == 1, record
    hosts[1].cli("finalize", check=0)
    hosts[0].wait_status(lambda s: s["state"] == "finalized", 20, "finalized")


@pytest.mark.long
def test_slots_move_in_the_middle_of_a_cutover(crossfade, nginx, started, folder):
    cluster = Cluster(folder, started)
    services = ["gateway", next(f"svc-{n}" for n in range(99) if
                                cluster.owner(f"svc-{n}") is not cluster.owner("gateway"))]
    hosts = two_hosts(crossfade, nginx, [url(node) for node in cluster.nodes[:2]],
                      services={name: {"live": "v1", "clusters": ["v1", "v2"]} for name in services})
    with Load(hosts[0].port, rate=100) as first, Load(hosts[1].port, rate=100) as second, Watched(hosts) as watched:
        for host, service in zip(hosts, services):
            host.cli("start", "--to", "v2", "--service", service, check=0)
            host.cli("weight", "30%", "--service", service, check=0)
            at(hosts, 30, service)
        for turn, moving in enumerate((*services, "fleet")):
            halves = []

            def each(moved, turn=turn, moving=moving):
                """Some of the keys are here, some there: who is not concerned is steered on."""
                if len(moved) == 2 and not halves:
                    halves.append(moved)
                    for name in services:
                        if name != moving:
                            steer(hosts[turn % 2], 31 + turn, name)
                    time.sleep(3)
            moved = cluster.move(moving, next(n for n in cluster.nodes if n is not cluster.owner(moving)), each)
            ended = time.monotonic()
            assert len(moved) > 2, moved
            for name in sorted(services, key=lambda each: each != moving):
                steer(hosts[turn % 2], 31 + turn, name)
                print(f"{moving}: {len(moved)} keys moved, {name} steered {time.monotonic() - ended:.2f} s later")
            for name in services:
                at(hosts, 31 + turn, name)
    assert first.failed() == [] and second.failed() == []
    assert watched.seen == sorted(watched.seen), watched.seen
    cluster.owner("gateway").kill()  # it has no replica: the cluster is down, and traffic goes on
    with Load(hosts[1].port, rate=100) as load:
        status = hosts[1].wait_status(lambda s: not s["store"]["ok"], 20, "a store that is away", service="gateway")
        assert status["weight"]["desired"] == 33
    assert load.failed() == []


@pytest.mark.long
def test_a_primary_dies_and_its_replica_lacks_the_last_writes(crossfade, nginx, started, folder):
    cluster = Cluster(folder, started)
    primary = cluster.owner("gateway")
    replica = cluster.add_replica(primary)
    hosts = two_hosts(crossfade, nginx, [url(*cluster.nodes[:3]), url(primary, replica)])
    hosts[0].cli("start", "--to", "v2", check=0)
    hosts[0].cli("weight", "30%", check=0)
    at(hosts, 30)
    net.wait_until(lambda: primary.command("HGET", "cf:{default:gateway}:state", "generation") == replica_reads(
        replica, "HGET", "cf:{default:gateway}:state", "generation"), 10, "a replica that has it")
    with Load(hosts[0].port, rate=100) as first, Load(hosts[1].port, rate=100) as second, Watched(hosts) as watched:
        replica.command("CONFIG", "SET", "masterauth", "wrong")  # its link is cut, and does not come back
        replica.command("CLIENT", "KILL", "TYPE", "master")
        net.wait_until(lambda: "master_link_status:down" in replica.command("INFO", "replication"), 10, "a cut link")
        hosts[1].cli("weight", "42%", check=0)
        primary.kill()
        net.wait_until(lambda: "role:master" in replica.command("INFO", "replication"), 60, "a promotion")
        began = time.monotonic()
        at(hosts, 42)
        back = time.monotonic() - began
        steer(hosts[0], 43)
        at(hosts, 43)
        print(f"42 % and store ok on both {back:.2f} s after the promotion, steered {time.monotonic() - began:.2f} s after")
        primary.start()  # the old one comes back and becomes a replica
        net.wait_until(lambda: "role:slave" in primary.command("INFO", "replication"), 30, "a replica again")
        steer(hosts[1], 44)
        at(hosts, 44)
    assert first.failed() == [] and second.failed() == []
    assert watched.seen == sorted(watched.seen) and set(watched.seen) <= {30, 42, 43, 44}, watched.seen
    verbs = [each["verb"] for each in hosts[0].cli("history", "-o", "json", check=0).json["entries"]]
    assert "restored" in verbs, verbs


RIGHTS = re.search(r"-@all [^`]*", (TREE / "shifter/STORE.md").read_text()).group(0)


@pytest.mark.long
def test_a_cluster_over_tls_with_the_least_rights(crossfade, nginx, started, folder):
    authority = make_authority(folder, "redis-ca")
    certificate, key = make_leaf(folder, authority, "redis")
    cluster = Cluster(folder, started, arguments=[
        "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority[0], "--user", "default", "on",
        "nopass", "~*", "&*", "+@all"], tls=True)
    for node in cluster.nodes:
        node.command("ACL", "SETUSER", "cf", "on", ">word", "~cf:{prod:*", "&cf:{prod:*", *RIGHTS.split())
    (folder / "word").write_text("word\n")
    store = {"url": "rediss://cf@" + ",".join(f"127.0.0.1:{node.tls_port}" for node in cluster.nodes[:2]), "password_file": str(folder / "word"),
             "namespace": "prod", "ca": str(authority[0]), "certificate": str(certificate), "key": str(key)}
    hosts = two_hosts(crossfade, nginx, [store, store])
    hosts[0].cli("start", "--to", "v2", check=0)
    hosts[1].cli("weight", "30%", check=0)
    at(hosts, 30)
