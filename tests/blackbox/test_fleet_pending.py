"""Redis fails while a signal is due or already pending: none comes wrongly, and in the end one key arrives once."""

import json
import time

import pytest

from harness import net
from harness.fault import Fault
from harness.load import Load
from harness.redis import Redis
from test_cutover import Receiver
from test_fleet_failover import Pair, Sentinel, Split, two_hosts
from test_fleet_faults import ANSWERS, RETURN_S
from test_reexec import WebSocket

pytestmark = [pytest.mark.slow, pytest.mark.long]

NEVER = 10 ** 9
OWN = ["state", "log", "lease", "roster", "progress", "judge", "shown", "offer", "decommission"]
KEYS = ["gateway}:" + name for name in OWN] + ["fleet}:" + name for name in ("up", "commands", "replies", "samples")]


class Pending:
    """A webhook that takes nothing yet, and two hosts that are to tell it."""

    def __init__(self, started, folder):
        self.receiver = Receiver(failures=NEVER)
        started.append(self.receiver)
        (folder / "secret").write_text("swordfish\n")
        self.webhooks = {"ops": {"url": f"http://127.0.0.1:{self.receiver.server.server_address[1]}/hook",
                                 "secret_file": str(folder / "secret")}}
        self.hosts = []

    def start(self):
        one = self.hosts[0]
        one.cli("start", one.plan(json.dumps({
            "name": "gone", "service": "gateway", "to": "v2", "signal": {"webhook": "ops"}, "guard": {"latency": "off"},
            "steps": [{"weight": "100%", "hold": "100ms", "evidence": "advisory"}]})), check=0)

    def events(self):
        return {(each["key"], each["sequence"], each["event"]) for each in
                (json.loads(body) for _, body in self.receiver.calls)}

    def taken_once(self, what):
        """The receiver takes the next attempt; nothing comes after that."""
        tried = len(self.receiver.calls)
        self.receiver.failures = 0
        for host in self.hosts:
            host.wait_status(lambda s: s["signal"]["accepted_at"] is not None, 90, f"{what}: accepted")
        assert len(self.receiver.calls) == tried + 1, what
        time.sleep(2)
        assert len(self.receiver.calls) == tried + 1, what
        assert self.events() == {("gone/1", 1, "decommission")}, self.events()


class Fleet(Pending):
    """Two hosts on one Redis behind a fault proxy."""

    def __init__(self, crossfade, upstream, started, folder):
        super().__init__(started, folder)
        self.redis = Redis(folder)
        started.append(self.redis)
        self.fault = Fault(self.redis.port)
        started.append(self.fault)
        v1, v2 = upstream("v1"), upstream("v2")
        self.hosts = [crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
            "store": f"redis://127.0.0.1:{self.fault.port}/0", "drain": {"quiet": "300ms"}, "upgrade": ["websocket"],
            "webhooks": self.webhooks}) for _ in range(2)]
        self.well("a fleet", 20)
        self.redis.command("SAVE")  # the older save: of before the cutover

    def well(self, what, timeout):
        """Both hosts see a leader and everybody in force again; returns the last status and how long that took."""
        began = time.monotonic()
        needed = ["cf:{default:gateway}:" + name for name in ("state", "log", "lease", "roster", "shown")]
        net.wait_until(lambda: self.redis.run("EXISTS", *needed).stdout.strip() == str(len(needed)), timeout,
                       f"{what}: told again")
        for host in self.hosts:
            status = host.wait_status(
                lambda s: s["store"]["ok"] and s["leader"] is not None and len(s["proxies"]) == 2 and
                all(p["in_force"] and not p["silent"] for p in s["proxies"]), timeout, f"{what}: all well again")
        return status, time.monotonic() - began

    def says_lost(self):
        for host in self.hosts:
            host.wait_status(lambda s: not s["store"]["ok"], 15, "a store that is not well")


@pytest.fixture
def fleet(crossfade, upstream, started, folder):
    return Fleet(crossfade, upstream, started, folder)


@pytest.fixture
def load(fleet):
    with Load(fleet.hosts[0].port, rate=50) as first, Load(fleet.hosts[1].port, rate=50) as second:
        yield
    assert first.failed() == [] and second.failed() == []


def kill(fleet, keep):
    fleet.redis.kill()
    if not keep:
        (fleet.redis.folder / "dump.rdb").unlink()


def fill(fleet):
    fleet.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    fleet.redis.command("CONFIG", "SET", "maxmemory", "1mb")


AWAY = {  # how it goes away, how it comes back
    "killed, empty": (lambda f: kill(f, False), lambda f: f.redis.start()),
    "killed, an older save": (lambda f: kill(f, True), lambda f: f.redis.start()),
    "frozen": (lambda f: f.redis.freeze(), lambda f: f.redis.thaw()),
    "read-only": (lambda f: f.redis.command("REPLICAOF", "127.0.0.1", "1"),
                  lambda f: f.redis.command("REPLICAOF", "NO", "ONE")),
    "full": (fill, lambda f: f.redis.command("CONFIG", "SET", "maxmemory", "0")),
}
for mode in ("refuse", "reset", "blackhole", "deaf"):
    AWAY[mode] = (lambda f, mode=mode: f.fault.set(mode), lambda f: f.fault.set("pass"))
for name in ("garbage", "512 MiB", "loading"):
    AWAY[name] = (lambda f, name=name: f.fault.says(ANSWERS[name]), lambda f: f.fault.set("pass"))


@pytest.mark.parametrize("how", list(AWAY))
def test_a_signal_that_is_pending_while_redis_is_away_arrives_once(fleet, load, how):
    fleet.start()
    net.wait_until(lambda: fleet.receiver.calls, 40, "the first attempt")
    goes, comes = AWAY[how]
    goes(fleet)
    fleet.says_lost()
    time.sleep(0.5)  # an attempt that had been allowed
    tried = len(fleet.receiver.calls)
    time.sleep(3)
    assert len(fleet.receiver.calls) == tried, "an attempt without the store"
    for host in fleet.hosts:
        assert host.status()["weight"]["desired"] == 100
    comes(fleet)
    status, took = fleet.well(how, 30)
    print(f"{how}: all well {took:.1f} s after the return")
    assert status["state"] == "safe" and status["weight"] == {"desired": 100, "actual": 100}
    assert took < RETURN_S, took
    fleet.taken_once(how)


@pytest.mark.parametrize("state", ["draining", "safe"])
def test_no_key_that_is_lost_brings_or_loses_a_signal(fleet, load, state):
    tunnel = WebSocket(fleet.hosts[0].port) if state == "draining" else None
    fleet.start()
    fleet.hosts[0].wait_status(lambda s: s["state"] == state, 40, state)
    seen = {key.split("{default:")[1] for key in fleet.redis.keys() if "{default:" in key}
    assert seen <= set(KEYS), f"keys that this test does not know: {seen - set(KEYS)}"
    for key in [*KEYS, None]:
        fleet.redis.command(*(["DEL", "cf:{default:" + key] if key else ["FLUSHALL"]))
        time.sleep(1.2)  # the leader looks each second
        status, took = fleet.well(f"DEL {key}", 30)
        print(f"DEL {key}: all well {took + 1.2:.1f} s later")
        assert took + 1.2 < RETURN_S, (key, took)
        assert status["state"] == state and status["weight"] == {"desired": 100, "actual": 100}, key
        if tunnel is not None:
            assert fleet.receiver.calls == [] and status["signal"]["key"] is None, key
    if tunnel is not None:
        tunnel.close()
        net.wait_until(lambda: fleet.receiver.calls, 20, "the signal")
    assert json.loads(fleet.redis.command("GET", "cf:{default:gateway}:decommission"))["key"] == "gone/1"
    fleet.taken_once(state)


@pytest.fixture
def pending(started, folder):
    return Pending(started, folder)


def safe(host):
    return host.wait_status(lambda s: s["store"]["ok"] and s["leader"] is not None and s["state"] == "safe", 40, "safe")


def test_a_signal_that_is_pending_over_a_failover_arrives_once(pending, crossfade, nginx, started, folder):
    """What the new primary had is lost as well: only the fleet knows that it is safe."""
    pair = Pair(folder, started)
    sentinel = Sentinel(folder, pair.primary.port)
    started.append(sentinel)
    pending.hosts = two_hosts(crossfade, nginx, [f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"] * 2,
                              webhooks=pending.webhooks)
    pending.start()
    net.wait_until(lambda: pending.receiver.calls, 40, "the first attempt")
    pair.primary.kill()
    pair.promoted()
    net.wait_until(lambda: pair.replica.run("FLUSHALL").returncode == 0, 10, "an empty one")
    for host in pending.hosts:
        assert safe(host)["weight"] == {"desired": 100, "actual": 100}
    pending.taken_once("failover")


def test_a_signal_that_is_pending_while_there_are_two_primaries_arrives_once(pending, crossfade, nginx, started, folder):
    split = Split(crossfade, nginx, started, folder, webhooks=pending.webhooks)
    pending.hosts = split.hosts
    pending.start()
    net.wait_until(lambda: pending.receiver.calls, 40, "the first attempt")
    split.part()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for host in split.hosts:
            status = host.status()
            assert status["state"] == "safe" and status["weight"]["desired"] == 100, status
        time.sleep(0.5)
    split.heal()
    for host in split.hosts:
        safe(host)
    pending.taken_once("two primaries")
