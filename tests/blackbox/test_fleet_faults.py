"""The store of a fleet fails in every way at hand: no request fails, no weight moves, and it goes on by itself."""

import time

import pytest

from harness import net
from harness.fault import Fault
from harness.load import Load
from harness.redis import Redis

pytestmark = pytest.mark.slow

RETURN_S = 5
KEYS = ["state", "log", "lease", "roster", "progress", "judge", "shown", "offer", "decommission"]


class Fleet:
    """Two hosts on one Redis behind a fault proxy, in a cutover at 30 %."""

    def __init__(self, crossfade, nginx, started, folder):
        self.redis = Redis(folder)
        started.append(self.redis)
        self.fault = Fault(self.redis.port)
        started.append(self.fault)
        v1, v2 = nginx("v1"), nginx("v2")
        self.weight = 30
        self.hosts = [crossfade({"v1": [v1.address], "v2": [v2.address]}, workers=1, extra={
            "store": f"redis://127.0.0.1:{self.fault.port}/0", "drain": {"quiet": "300ms"}}) for _ in range(2)]
        for host in self.hosts:
            host.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "two proxies, a leader")
        self.hosts[0].cli("start", "--to", "v2", check=0)
        self.hosts[0].cli("weight", "30%", check=0)

    def key(self, name):
        return "cf:{default:gateway}:" + name

    def history(self):
        return self.hosts[0].cli("history", "-o", "json", check=0).json["entries"]

    def unmoved(self, status):
        assert status["weight"]["desired"] == self.weight, status["weight"]
        assert status["weight"]["actual"] in (self.weight, None), status["weight"]

    def says_lost(self, timeout=8):
        for host in self.hosts:
            status = host.wait_status(lambda s: not s["store"]["ok"], timeout, "a store that is not well")
            self.unmoved(status)

    def goes_on(self, what):
        """Both hosts are steered again, soon after the store is back, from the weight that was."""
        began = time.monotonic()
        for index, host in enumerate(self.hosts):
            self.unmoved(host.status())

            def steered(host=host, weight=self.weight + 1):
                done = host.cli("weight", f"{weight}%", timeout=30)
                assert done.code in (0, 7), f"{what}: {done}"
                return done.code == 0
            net.wait_until(steered, 15, f"{what}: steered again")
            self.weight += 1
            took = time.monotonic() - began
            print(f"{what}: host {index} steered {took:.1f} s after the return")
            assert index > 0 or took < RETURN_S, f"{what}: {took:.1f} s"
        for host in self.hosts:
            host.wait_status(lambda s: s["store"]["ok"] and s["weight"] == {
                "desired": self.weight, "actual": self.weight}, 5, f"{what}: both at {self.weight} %")


@pytest.fixture
def fleet(crossfade, nginx, started, folder):
    return Fleet(crossfade, nginx, started, folder)


@pytest.fixture
def load(fleet):
    """Requests through both hosts during the whole test; none may fail."""
    with Load(fleet.hosts[0].port, rate=100) as first, Load(fleet.hosts[1].port, rate=100) as second:
        yield
    assert first.failed() == [] and second.failed() == []


def test_a_redis_that_was_flushed_or_frozen_is_told_again(fleet, load):
    fleet.redis.command("FLUSHALL")
    fleet.goes_on("FLUSHALL")
    before = [sorted(child.pid for child in host.children()) for host in fleet.hosts]
    fleet.redis.freeze()
    fleet.says_lost()
    fleet.redis.thaw()
    fleet.goes_on("frozen")
    assert before == [sorted(child.pid for child in host.children()) for host in fleet.hosts]
    verbs = [each["verb"] for each in fleet.history()]
    assert "restored" in verbs and "created" not in verbs[verbs.index("restored"):], verbs


@pytest.mark.long
def test_a_redis_that_lost_what_it_knew_is_told_again(fleet, load):
    redis = fleet.redis
    for name in KEYS:
        redis.command("DEL", fleet.key(name))
        fleet.goes_on(f"DEL {name}")
    redis.command("SAVE")
    fleet.hosts[0].cli("weight", f"{fleet.weight + 5}%", check=0)
    fleet.weight += 5
    redis.kill()
    redis.start()
    fleet.goes_on("an older save")
    redis.kill()
    (redis.folder / "dump.rdb").unlink()
    redis.start()
    fleet.goes_on("restarted empty")


@pytest.mark.long
def test_keys_of_another_type_are_overwritten(fleet, load):
    for name in KEYS:
        fleet.redis.command("DEL", fleet.key(name))
        fleet.redis.command("LPUSH", fleet.key(name), "x")
        fleet.goes_on(f"another type of {name}")
    for name in ("up", "commands", "replies"):
        key = "cf:{default:fleet}:" + name
        fleet.redis.command("DEL", key)
        fleet.redis.command("SET", key, "x")
        time.sleep(1)
        fleet.redis.command("DEL", key)
        fleet.goes_on(f"another type of {name}")
    fleet.redis.command("HSET", fleet.key("state"), "doc", "{\"schema\":")
    fleet.goes_on("a document cut short")
    fleet.redis.command("HSET", fleet.key("state"), "generation", "-1")
    fleet.goes_on("a negative generation")


@pytest.mark.long
@pytest.mark.parametrize("refusal", ["read-only", "full"])
def test_a_redis_that_takes_no_writes_changes_nothing(fleet, load, refusal):
    if refusal == "read-only":
        fleet.redis.command("REPLICAOF", "127.0.0.1", "1")
    else:
        fleet.redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        fleet.redis.command("CONFIG", "SET", "maxmemory", "1mb")
    fleet.says_lost()
    assert fleet.hosts[0].cli("weight", "77%").code == 7
    time.sleep(2)
    for host in fleet.hosts:
        fleet.unmoved(host.status())
    if refusal == "read-only":
        fleet.redis.command("REPLICAOF", "NO", "ONE")
    else:
        fleet.redis.command("CONFIG", "SET", "maxmemory", "0")
    fleet.goes_on(refusal)


@pytest.mark.long
def test_a_redis_that_misses_its_replicas_changes_nothing_until_one_is_there(fleet, load, folder, started):
    """`min-replicas-to-write`: NOREPLICAS to every write, and each read is answered."""
    fleet.redis.command("CONFIG", "SET", "min-replicas-to-write", "1")
    fleet.says_lost()
    done = fleet.hosts[0].cli("weight", "77%")
    assert done.code == 7, done
    assert any("event=store.away" in host.log and "NOREPLICAS" in host.log for host in fleet.hosts)
    for host in fleet.hosts:
        fleet.unmoved(host.status())
        assert any(hold["reason"] == "store" for hold in host.status()["holds"]), host.status()["holds"]
    replica = Redis(folder, "replica", arguments=["--replicaof", "127.0.0.1", fleet.redis.port])
    started.append(replica)
    net.wait_until(lambda: "min_slaves_good_slaves:1" in fleet.redis.command("INFO", "replication"), 20, "a replica")
    fleet.goes_on("a replica is there")
    assert fleet.hosts[0].cli("weight", "78%").code == 0
    fleet.weight = 78
    replica.freeze()  # lags for more than min-replicas-max-lag (10 s)
    fleet.redis.command("CONFIG", "SET", "min-replicas-max-lag", "1")
    fleet.says_lost(20)
    replica.thaw()
    fleet.goes_on("the replica is back")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["refuse", "reset", "blackhole", "deaf"])
def test_a_redis_out_of_reach_changes_nothing(fleet, load, mode):
    fleet.fault.set(mode)
    fleet.says_lost()
    time.sleep(2)
    fleet.fault.set("pass")
    fleet.goes_on(mode)


ANSWERS = {
    "garbage": b"\x00\xff!!\r\nnot redis\r\n",
    "512 MiB": b"$536870912\r\n" + b"x" * 65536,
    "nested": b"*1\r\n" * 4096,
    "many": b"*2147483647\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "noauth": b"-NOAUTH Authentication required.\r\n",
    "moved": b"-MOVED 1 127.0.0.1:1\r\n",
    "negative": b"$-2\r\n",
}


@pytest.mark.long
def test_no_answer_of_a_server_that_is_not_redis_changes_anything(fleet, load):
    for name, text in ANSWERS.items():
        fleet.fault.says(text)
        fleet.says_lost()
        time.sleep(0.5)
        fleet.fault.set("pass")
        fleet.goes_on(name)


@pytest.mark.long
def test_an_answer_that_is_lost_after_the_write_is_not_written_twice(fleet, load):
    generation = fleet.hosts[0].status()["generation"]
    for _ in range(4):
        fleet.fault.set("deaf")
        code = fleet.hosts[0].cli("weight", f"{fleet.weight + 1}%", timeout=30).code
        fleet.fault.set("pass")
        assert code in (0, 7)
        status = fleet.hosts[1].wait_status(lambda s: s["store"]["ok"] and s["leader"] is not None, 15, "a leader")
        assert status["weight"]["desired"] in (fleet.weight, fleet.weight + 1)
        fleet.weight = round(status["weight"]["desired"])
        fleet.goes_on("answers lost")
    seen = [each["generation"] for each in fleet.history()]
    assert len(seen) == len(set(seen)) and max(seen) > generation
