"""How tunnels leave a cluster: by policy, by hand, at the fleet's pace, told 1001 between frames."""

import asyncio
import http
import json
import signal
import socket
import threading
import time

import pytest
import websockets

from harness import net
from harness.processes import kill_quietly
from harness.redis import Redis

pytestmark = pytest.mark.slow

QUICK = {"evidence": "advisory"}
BUSY = b"x" * 3000  # one frame of it is more than one segment of a slow start


class WebSockets:
    """A WebSocket server (an echo that also speaks by itself) and its clients, in one loop."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = net.free_port()
        self.clients, self.closed = [], []
        self.ends = {}  # when those of a proxy's port were closed
        self.pause = 0.05  # between two frames of the server
        self.call(self._serve())

    def call(self, coroutine, timeout=30):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def _serve(self):
        async def speak(socket, _path):
            try:
                while True:
                    await socket.send(BUSY)
                    await asyncio.sleep(self.pause)
            except websockets.ConnectionClosed:
                pass

        async def plain(_path, headers):
            return None if "Upgrade" in headers else (http.HTTPStatus.OK, [], b"ok")
        self.server = await websockets.serve(speak, "127.0.0.1", self.port, process_request=plain,
                                             compression=None, ping_interval=None)

    async def _client(self, port):
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/", compression=None,
                                          ping_interval=None)
        self.clients.append(socket)

        async def listen():
            try:
                while True:
                    assert await socket.recv() == BUSY
            except websockets.ConnectionClosed as end:
                code = end.rcvd.code if end.rcvd is not None else None
                self.closed.append((time.monotonic(), code))
                self.ends.setdefault(port, []).append(time.monotonic())
        self.loop.create_task(listen())

    def open(self, port, count):
        for _ in range(count):
            self.call(self._client(port))

    def codes(self):
        return {code for _, code in self.closed}

    def end(self):
        async def stop():
            self.server.close()
            for socket in self.clients:
                socket.transport.abort()
            await self.server.wait_closed()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        self.call(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


@pytest.fixture
def sockets(started):
    made = WebSockets()
    started.append(made)
    return made


@pytest.fixture
def pair(crossfade, sockets, nginx):
    made = crossfade({"v1": [sockets.address], "v2": [nginx("v2").address]}, workers=2)
    made.sockets = sockets
    return made


def unevenly(made, sockets, count):
    """Opens `count` WebSockets, nearly all of them through one worker."""
    stopped = made.workers()[0]
    few = count // 10
    sockets.open(made.port, few)
    kill_quietly(stopped.pid, signal.SIGSTOP)
    try:
        time.sleep(2)  # a sibling takes its listening socket
        sockets.open(made.port, count - few)
    finally:
        kill_quietly(stopped.pid, signal.SIGCONT)


def tunnels(made, cluster="v1"):
    return made.status()["clusters"][cluster]["tunnels"]


@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.long)])
def test_unevenly_spread_websockets_leave_at_the_fleets_pace(pair, count):
    pair.sockets.pause *= count / 60  # as many frames for many as for few: the test is one process
    unevenly(pair, pair.sockets, count)
    plan = {"name": "ws", "service": "gateway", "to": "v2", "drain": {"policy": "paced", "rate": "20/s"},
            "steps": [{"weight": "50%", "hold": "1s", **QUICK}, {"weight": "100%", "hold": "3s", **QUICK}]}
    pair.cli("start", pair.plan(plan), check=0)
    pair.wait_status(lambda s: s["state"] == "soaking")
    assert pair.sockets.closed == []  # a change of weight closes none
    pair.wait_status(lambda s: s["state"] == "draining")
    begun = time.monotonic()
    net.wait_until(lambda: len(pair.sockets.closed) == count, count / 20 + 5, "all are closed")
    took = pair.sockets.closed[-1][0] - begun
    assert pair.sockets.codes() == {1001}
    assert count / 20 - 0.5 <= took <= count / 20 + 2, took
    pair.wait_status(lambda s: s["state"] == "safe", timeout=10)


@pytest.fixture
def fleet(crossfade, sockets, nginx, started, folder):
    """Three proxies with one, one and two workers, and one shifter, on one Redis."""
    redis = Redis(folder)
    started.append(redis)
    clusters = {"v1": [sockets.address], "v2": [nginx("v2").address]}
    extra = {"store": f"redis://127.0.0.1:{redis.port}/0"}
    proxies = [crossfade(clusters, workers=workers, extra=extra, verb="proxy", start=False)
               for workers in (1, 1, 2)]
    shifter = crossfade(clusters, extra=extra, verb="shifter", start=False)
    shifter.start(ready=False)
    for each in proxies:
        each.start(ready=False)
    for each in proxies:
        each.wait_ready(60)
        each.wait_status(lambda s: len(s["proxies"]) == 3 and s["leader"] is not None, 30,
                         "three proxies, one leader")
    return proxies


@pytest.mark.long
def test_several_proxies_share_the_rate_by_what_they_hold(fleet, sockets):
    spread = (90, 25, 5)
    for proxy, count in zip(fleet, spread):
        sockets.open(proxy.port, count)
    one = fleet[0]
    plan = {"name": "ws", "service": "gateway", "to": "v2", "drain": {"policy": "paced", "rate": "20/s"},
            "steps": [{"weight": "50%", "hold": "1s", **QUICK}, {"weight": "100%", "hold": "3s", **QUICK}]}
    one.cli("start", one.plan(plan), check=0)
    one.wait_status(lambda s: s["state"] == "soaking", 40)
    assert sockets.closed == []
    one.wait_status(lambda s: s["state"] == "draining", 40)
    begun = time.monotonic()
    net.wait_until(lambda: len(sockets.closed) == sum(spread), 20, "all are closed")
    took = sockets.closed[-1][0] - begun
    assert sockets.codes() == {1001}
    assert sum(spread) / 20 - 0.5 <= took <= sum(spread) / 20 + 2, took
    lasts = [sockets.ends[proxy.port][-1] - begun for proxy in fleet]
    print(f"{spread} closed in {took:.1f} s; the last of each proxy: {[round(t, 1) for t in lasts]}")
    assert max(lasts[0], lasts[1]) - min(lasts[0], lasts[1]) <= 2, lasts  # parted by what they hold
    one.wait_status(lambda s: s["state"] == "safe", timeout=20)


def test_drain_by_hand_ends_what_was_there_and_no_more(pair):
    sockets = pair.sockets
    assert pair.cli("drain").code == 6
    assert pair.cli("drain", "--rate", "fast").code == 2
    assert pair.cli("drain", "--cluster", "nope").code == 2
    assert pair.cli("drain", "--cluster", "v1", "--rate", "20").code == 2
    assert pair.cli("drain", "--cluster", "v1", "--rate", "1/s", "--now").code == 2
    sockets.open(pair.port, 30)
    net.wait_until(lambda: tunnels(pair) == 30, 5, "the count of tunnels")
    begun = time.monotonic()
    done = pair.cli("drain", "--cluster", "v1", "--rate", "20/s", "--reason", "tidy", "-o", "json", check=0)
    assert done.json["exit"] == 0 and "v1 is drained at 20/s" in done.json["message"]
    time.sleep(0.3)
    sockets.open(pair.port, 3)  # v1 still serves: these came later
    net.wait_until(lambda: len(sockets.closed) >= 30, 6, "the drain")
    took = sockets.closed[29][0] - begun
    assert 1.0 <= took <= 3.5, took
    time.sleep(1)
    assert len(sockets.closed) == 30 and sockets.codes() == {1001}
    pair.cli("drain", "--cluster", "v1", "--now", check=0)
    net.wait_until(lambda: len(sockets.closed) == 33, 3, "the rest")
    assert sockets.codes() == {1001}
    entries = pair.cli("history", "-o", "json", check=0).json["entries"]
    assert [e["reason"] for e in entries if e["verb"] == "drain"][:1] == ["tidy"]


def test_green_is_emptied_by_the_policy_after_an_abort(crossfade, sockets, nginx):
    made = crossfade({"v2": [nginx("v2").address], "v1": [sockets.address]}, workers=2,
                     extra={"drain": {"policy": "paced", "rate": "30/s"}})
    made.cli("start", "--to", "v1", check=0)
    made.cli("weight", "100%", check=0)
    sockets.open(made.port, 30)
    made.cli("abort", check=0)
    net.wait_until(lambda: len(sockets.closed) == 30, 5, "green is empty")
    assert sockets.codes() == {1001}


def test_an_abort_over_a_time_returns_at_weight_0_and_tells_the_tunnels_left(crossfade, sockets, nginx):
    made = crossfade({"v2": [nginx("v2").address], "v1": [sockets.address]}, workers=2)
    made.cli("start", "--to", "v1", check=0)
    made.cli("weight", "100%", check=0)
    sockets.open(made.port, 3)
    net.wait_until(lambda: tunnels(made) == 3, 5, "the count of tunnels")
    begun = time.monotonic()
    done = made.cli("abort", "--over", "1s", check=0)
    assert time.monotonic() - begun >= 1 and "3 tunnels left on v1" in done.out, done
    status = made.status()
    assert status["weight"]["desired"] == 0 and status["state"] in ("aborting", "aborted"), status
    assert sockets.closed == []


HEADS = {"length": b"Content-Length: 1000000", "chunked": b"Transfer-Encoding: chunked",
         "close": b"Connection: close"}


class Endless:
    """A server whose answers begin and never end, framed as the path says; `/N` is whole after N seconds."""

    def __init__(self, scripted):
        self.address = scripted(self.serve).address

    @staticmethod
    def serve(connection):
        data = b""
        while piece := connection.recv(65536):
            data += piece
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                said = head.split(b" ")[1].decode().strip("/")
                if said in HEADS:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + HEADS[said] + b"\r\n\r\n")
                    while True:
                        connection.sendall(b"1\r\nx\r\n" if said == "chunked" else b"x")
                        time.sleep(0.1)
                body = b"ok" * 2
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body[:2])
                time.sleep(float(said or 0))
                connection.sendall(body[2:])


def begin(made, path, minor=1):
    client = socket.create_connection(("127.0.0.1", made.port))
    client.settimeout(30)
    client.sendall(b"GET /%s HTTP/1.%d\r\nHost: a\r\n\r\n" % (path.encode(), minor))
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def end_of(client):
    """What came, and how it ended: "close" or "reset"."""
    data = b""
    try:
        while piece := client.recv(65536):
            data += piece
        return data, "close"
    except ConnectionResetError:
        return data, "reset"
    finally:
        client.close()


def in_flight(made, cluster):
    return made.status()["clusters"][cluster]["in_flight"]


@pytest.mark.long
@pytest.mark.parametrize("policy", [{"policy": "paced", "rate": "5/s"}, {"policy": "deadline", "deadline": "5s"}],
                         ids=["paced", "deadline"])
@pytest.mark.parametrize("emptied", ["blue", "green"])
def test_endless_answers_leave_by_the_policy_and_the_client_sees_it(crossfade, scripted, folder, policy, emptied):
    clusters = {"v1": [Endless(scripted).address], "v2": [Endless(scripted).address]}
    made = crossfade(clusters, workers=2, extra={
        "drain": policy, "access_log": {"path": str(folder / "access.log")}})
    steps = [{"weight": "100%", "hold": "1s", **QUICK}]
    plan = {"name": "sse", "service": "gateway", "to": "v2", "steps": steps}
    cluster = "v1"
    if emptied == "green":
        cluster, steps[0]["hold"] = "v2", "1h"
        made.cli("start", made.plan(plan), check=0)
        made.wait_status(lambda s: s["weight"]["actual"] == 100)
    clients = {begin(made, framing): "close" for framing in HEADS for _ in range(3)}
    clients[begin(made, "close", minor=0)] = "reset"  # nothing else could tell it
    net.wait_until(lambda: in_flight(made, cluster) == len(clients), 5, "all are in flight")
    if emptied == "green":
        made.cli("abort", check=0)
    else:
        made.cli("start", made.plan(plan), check=0)
        made.wait_status(lambda s: s["state"] == "soaking")
    begun = time.monotonic()
    short = begin(made, "2")  # one that ends by itself, and is let
    ends = []
    threads = [threading.Thread(target=lambda c=c: ends.append((c, *end_of(c), time.monotonic()))) for c in clients]
    for each in threads:
        each.start()
    for each in threads:
        each.join(40)
    assert len(ends) == len(clients)
    for client, data, end in [each[:3] for each in ends]:
        assert end == clients[client] and b"x" in data and not data.endswith(b"0\r\n\r\n"), (end, data[:300])
    took = max(each[3] for each in ends) - min(each[3] for each in ends)
    if policy["policy"] == "paced":
        assert took >= (len(clients) - 1) / 5 - 0.5, took
    short.settimeout(5)
    data = b""
    while not data.endswith(b"okok"):
        data += short.recv(100)
    short.close()
    print(f"{len(clients)} answers ended over {took:.1f} s, the last {ends[-1][3] - begun:.1f} s after")
    if emptied == "blue":
        made.wait_status(lambda s: s["state"] == "safe", 20)
    net.wait_until(lambda: in_flight(made, cluster) == 0, 5, "nothing in flight")
    status = made.status()
    assert status["clusters"][cluster]["errors"] == 0 and not status["holds"], status
    ended = f'crossfade_drained_total{{cluster="{cluster}",kind="answer"}}'
    assert made.metrics()[ended] == len(clients)
    lines = [json.loads(line) for line in (folder / "access.log").read_text().splitlines()]
    assert [line["ended"] for line in lines].count("cut") == len(clients)
    assert {line["status"] for line in lines if line["ended"] == "cut"} == {200}


def test_a_bare_drain_by_hand_is_for_the_cluster_that_traffic_left(pair):
    pair.sockets.open(pair.port, 4)
    pair.cli("start", "--to", "v2", check=0)
    pair.cli("weight", "100%", check=0)
    time.sleep(1.5)
    assert pair.sockets.closed == []
    pair.cli("drain", check=0)
    net.wait_until(lambda: len(pair.sockets.closed) == 4, 3, "blue is empty")
    assert pair.sockets.codes() == {1001}
