"""Whose a fleet's state is: another installation's is not touched, one identity serves once, and
what a shifter knew is not lost with Redis."""

import os
import shutil
import signal
import time

import pytest

from harness import net
from harness.redis import Redis

pytestmark = pytest.mark.slow

KEY = "cf:{default:gateway}:"


@pytest.fixture
def host(crossfade, nginx):
    """host(redis): a daemon on that Redis; all have the same clusters."""
    v1, v2 = nginx("v1"), nginx("v2")

    def make(redis, **options):
        return crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
            "store": f"redis://127.0.0.1:{redis.port}/0", "drain": {"quiet": "300ms"}}, **options)
    return make


@pytest.fixture
def redis(started, folder):
    def make(name):
        server = Redis(folder, name)
        started.append(server)
        return server
    return make


def led(made, proxies=1):
    return made.wait_status(lambda s: len(s["proxies"]) == proxies and s["leader"] is not None and
                            all(p["in_force"] for p in s["proxies"]), 20, "a leader")


def has_snapshot(proxy):
    """It is written a quarter of a second after a change."""
    net.wait_until((proxy.folder / "state" / "snapshot").exists, 10, "a snapshot")


def at(made, weight):
    made.cli("start", "--to", "v2", check=0)
    made.cli("weight", f"{weight}%", check=0)


def ready_problem(made):
    return made.admin("/readyz").body.decode()


def test_the_state_of_another_installation_is_neither_followed_nor_written(host, redis):
    ours, theirs = redis("ours"), redis("theirs")
    one, other = host(ours), host(theirs)
    for made, weight in ((one, 30), (other, 60)):
        led(made)
        at(made, weight)
    assert other.terminate() == 0
    other.config["store"] = f"redis://127.0.0.1:{ours.port}/0"  # as by mistake
    other.write_config()
    members = ours.command("HKEYS", KEY + "roster")
    other.start(ready=False)
    net.wait_until(lambda: "event=agent.foreign" in other.log and "event=store.foreign" in other.log, 20, "a refusal")
    assert "another installation" in ready_problem(other), ready_problem(other)
    done = other.cli("abort", timeout=30)
    assert done.code == 7 and "another installation" in done.err, done
    shifter = one.child("shifter").pid
    os.kill(shifter, signal.SIGSTOP)  # nobody leads there: the other one does not step in
    time.sleep(5)
    os.kill(shifter, signal.SIGCONT)
    status = one.wait_status(lambda s: s["weight"]["actual"] is not None, 20, "its leader again")
    assert status["weight"] == {"desired": 30, "actual": 30} and len(status["proxies"]) == 1
    assert ours.command("HKEYS", KEY + "roster") == members
    assert {each["verb"] for each in one.cli("history", "-o", "json", check=0).json["entries"]} <= {
        "created", "start", "weight", "hold"}
    assert "event=leader.led" not in other.log.split("event=supervisor.started")[-1]


@pytest.mark.long
def test_one_service_of_another_installation_is_named_though_the_others_are_ours(crossfade, nginx, redis):
    ours, theirs = redis("ours"), redis("theirs")
    v1, v2 = nginx("v1"), nginx("v2")
    one, other = (crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
        "store": f"redis://127.0.0.1:{each.port}/0", "services": {
            "gateway": {"live": "v1", "clusters": ["v1", "v2"]}, "web": {"live": "v2", "clusters": ["v1", "v2"]}}})
        for each in (ours, theirs))
    for made in (one, other):
        for service in ("gateway", "web"):
            made.wait_status(lambda s: s["leader"] is not None, 20, "a leader", service=service)
        assert made.terminate() == 0
    for key in theirs.keys():
        if key.startswith("cf:{default:web}:"):
            theirs.command("MIGRATE", "127.0.0.1", ours.port, key, 0, 5000, "REPLACE")
    other.config["store"] = f"redis://127.0.0.1:{ours.port}/0"
    other.write_config()
    other.start(ready=False)
    net.wait_until(lambda: "event=agent.foreign" in other.log, 20, "a refusal")
    for _ in range(10):  # and it stays
        time.sleep(0.2)
        assert "another installation" in ready_problem(other), ready_problem(other)


@pytest.mark.long
def test_a_proxy_that_was_forgotten_serves_only_after_it_has_joined_again(host, redis):
    server = redis("redis")
    one, two = host(server), host(server)
    led(one, 2)
    at(one, 30)
    identity = (two.folder / "state" / "id").read_text().split()[0]
    has_snapshot(two)
    children = two.children()
    two.process.popen.kill()
    two.process.popen.wait()
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    one.wait_status(lambda s: any(p["silent"] for p in s["proxies"]), 20, "silence")
    one.cli("forget", identity, "--yes", check=0)
    net.wait_until(lambda: "gone." + identity in server.command("HKEYS", KEY + "roster"), 10, "the mark")
    assert identity not in server.command("HKEYS", KEY + "roster").split()
    server.command("REPLICAOF", "127.0.0.1", "1")  # it can be read; nobody can join
    two.start(ready=False)
    net.wait_until(lambda: "event=agent.forgotten" in two.log, 20, "it reads that it was forgotten")
    snapshot = two.folder / "state" / "snapshot"
    net.wait_until(lambda: b'"forgotten":true' in snapshot.read_bytes(), 10, "a mark in its snapshot")
    time.sleep(12)  # beyond the 10 s after which a snapshot serves
    assert not net.accepts(two.port) and "forgotten" in ready_problem(two), ready_problem(two)
    server.command("REPLICAOF", "NO", "ONE")
    assert led(one, 2)["weight"] == {"desired": 30, "actual": 30}
    net.wait_until(lambda: net.accepts(two.port), 20, "its listener")
    net.wait_until(lambda: b'"forgotten":false' in snapshot.read_bytes(), 10, "a snapshot that may serve")
    assert "event=roster.returned" in one.log + two.log


def test_two_hosts_with_one_identity_serve_once(host, redis):
    server = redis("redis")
    one, twin = host(server), host(server, start=False)
    led(one)
    at(one, 30)
    has_snapshot(one)
    state = twin.folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    for name in ("id", "snapshot"):  # a virtual machine's disk was copied
        shutil.copy2(one.folder / "state" / name, state / name)
    twin.start(ready=False)
    net.wait_until(lambda: "event=agent.twice" in twin.log, 20, "the alarm")
    assert "identity" in ready_problem(twin) and not net.accepts(twin.port)
    time.sleep(9)  # beyond the 10 s after which a snapshot serves where the store is away
    assert not net.accepts(twin.port) and led(one)["weight"]["actual"] == 30
    one.cli("weight", "40%", check=0)
    one.process.popen.kill()  # the first one is gone for good, and did not leave
    for child in one.children():
        os.kill(child.pid, signal.SIGKILL)
    net.wait_until(lambda: net.accepts(twin.port), 30, "the second one takes its place")
    assert led(twin)["weight"] == {"desired": 40, "actual": 40}


def test_a_shifter_gives_back_what_redis_and_all_proxies_lost(host, redis):
    server = redis("redis")
    made = host(server)
    led(made)
    at(made, 30)
    net.wait_until(lambda: b"crossfade-snapshot" in (made.folder / "state" / "shifter").read_bytes(), 5, "a copy")
    time.sleep(0.5)
    assert made.terminate() == 0
    server.kill()
    server.start()  # empty
    (made.folder / "state" / "snapshot").unlink()
    made.start()
    status = led(made)
    assert status["weight"] == {"desired": 30, "actual": 30} and status["state"] == "shifting"
    assert "verb=restored" in made.log
