"""Nothing is signalled while anything still needs the old cluster, who it is is named, and one key arrives."""

import json
import os
import signal
import socket
import struct
import threading
import time

import pytest

from harness import net, processes
from harness.raw import Raw
from harness.redis import Redis
from test_cutover import Receiver
from test_reexec import WebSocket

pytestmark = pytest.mark.slow

QUIET_S = 1.0
BUSY_S = 1.5  # heartbeats and a machine with two cores


class Fleet:
    """Two hosts on one Redis, two services that share the cluster v1, a webhook that must be asked thrice."""

    def __init__(self, crossfade, upstream, started, folder):
        self.redis = Redis(folder)
        started.append(self.redis)
        self.receiver = Receiver(failures=2)
        started.append(self.receiver)
        (folder / "secret").write_text("swordfish\n")
        self.v1, v2, v3 = (upstream(name) for name in ("v1", "v2", "v3"))
        clusters = {"v1": [self.v1.address], "v2": [v2.address], "v3": [v3.address]}
        self.hosts = [crossfade(clusters, workers=2, extra={
            "store": f"redis://127.0.0.1:{self.redis.port}/0", "drain": {"quiet": f"{QUIET_S}s"},
            "proxy": {"name": name}, "upgrade": ["websocket"],
            "services": {"gateway": {"live": "v1", "clusters": ["v1", "v2"]},
                         "aux": {"live": "v3", "clusters": ["v3", "v1"]}},
            "webhooks": {"ops": {"url": f"http://127.0.0.1:{self.receiver.server.server_address[1]}/hook",
                                 "secret_file": str(folder / "secret")}}}) for name in ("edge-1", "edge-2")]
        for host in self.hosts:
            host.wait_status(lambda s: len(s["proxies"]) == 2 and s["leader"] is not None, 20, "two proxies, a leader",
                             service="gateway")

    def start(self):
        one = self.hosts[0]
        one.cli("start", one.plan(json.dumps({
            "name": "gone", "service": "gateway", "to": "v2", "signal": {"webhook": "ops"},
            "guard": {"latency": "off"},
            "steps": [{"weight": "100%", "hold": "100ms", "evidence": "advisory"}]})), "--service", "gateway", check=0)

    def blocked(self, words, timeout=10):
        """Waits until a blocker says so; then nothing may come for longer than the quiet time."""
        def named(status):
            return any(words in text for text in status["signal"]["blockers"])
        self.hosts[0].wait_status(named, timeout, f"a blocker: {words}", service="gateway")
        time.sleep(QUIET_S + 1.5)
        status = self.hosts[0].status("--service", "gateway")
        assert status["state"] == "draining" and status["signal"]["key"] is None, status["signal"]
        assert named(status) and self.receiver.calls == [], status["signal"]
        return status["signal"]["blockers"]

    def records(self):
        return [json.loads(body) for _, body in self.receiver.calls]


@pytest.fixture
def fleet(crossfade, upstream, started, folder):
    return Fleet(crossfade, upstream, started, folder)


def old_edition(host):
    """A request that hangs on v1, and the edition that carries it replaced by a reload."""
    client = Raw(host.port)
    client.send(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n")
    time.sleep(0.3)
    host.reload()
    net.wait_until(lambda: "event=reload.done" in host.log, 20, "the reload")
    return client


@pytest.mark.long
def test_whoever_needs_blue_blocks_and_is_named_and_then_one_key_arrives(fleet):
    one, two = fleet.hosts
    said = []
    tunnel = WebSocket(one.port)
    fleet.v1.mode("hang")
    client = old_edition(two)
    one.cli("start", "--to", "v1", "--service", "aux", check=0)  # another service may choose it
    fleet.start()
    one.wait_status(lambda s: s["state"] == "draining", 20, "draining", service="gateway")
    said.append(fleet.blocked("v1 is in use by aux"))
    one.cli("abort", "--service", "aux", check=0)
    said.append(fleet.blocked("edge-1: v1 has 1 in flight, 1 tunnels"))
    tunnel.close()
    said.append(fleet.blocked("edge-2: v1 has 1 in flight, 0 tunnels"))
    pids = [two.pid] + [child.pid for child in two.children()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # a reset: the client died
        said.append(fleet.blocked("silent: edge-2", 15))
    finally:
        for pid in pids:
            processes.kill_quietly(pid, signal.SIGCONT)
    released = time.monotonic()
    net.wait_until(lambda: fleet.receiver.calls, 20, "the signal")
    took = time.monotonic() - released
    print("\n".join(map(str, said)), f"\nsignalled {took:.2f} s after the last one was released")
    assert took < QUIET_S + 2 + BUSY_S, took
    status = one.wait_status(lambda s: s["signal"]["accepted_at"] is not None, 20, "accepted", service="gateway")
    time.sleep(2)
    assert [each["key"] for each in fleet.records()] == ["gone/1"] * 3 and status["signal"]["sequence"] == 1


@pytest.mark.long
def test_no_decommission_comes_after_a_revocation_from_a_leader_that_was_stopped(fleet):
    """Each time the one that would deliver is stopped while it waits for its next attempt."""
    one, two = fleet.hosts
    fleet.receiver.failures = 10 ** 9
    fleet.start()
    net.wait_until(lambda: fleet.receiver.calls, 30, "the first attempt")
    leader = one.status("--service", "gateway")["leader"]
    delivering = max(fleet.hosts, key=lambda host: host.log.count("event=signal.attempted"))
    shifter = delivering.child("shifter").pid
    os.kill(shifter, signal.SIGSTOP)
    try:
        other = two if delivering is one else one
        other.wait_status(lambda s: s["leader"] is not None and s["leader"]["id"] != leader["id"] and s["store"]["ok"],
                          20, "another leader", service="gateway")
        wait = threading.Thread(target=lambda: other.cli("abort", "--force", "--service", "gateway"))
        wait.start()
        net.wait_until(lambda: fleet.records()[-1]["event"] == "revoked", 20, "the revocation")
    finally:
        processes.kill_quietly(shifter, signal.SIGCONT)
    time.sleep(4)
    fleet.receiver.failures = 0
    wait.join(30)
    other.wait_status(lambda s: s["state"] == "aborted", 30, "the end", service="gateway")
    events = [each["event"] for each in fleet.records()]
    assert events == sorted(events) and events[-1] == "revoked", events  # no decommission behind a revoked
    assert {each["key"] for each in fleet.records()} == {"gone/1"}
