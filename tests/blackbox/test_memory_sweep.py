"""test_memory_sweep.py -- the n-th allocation fails, n = 1, 2, … over one action, in one process.

Whatever n hits, no process ends by it, nobody waits for ever, the next action works at once, and
nothing is left behind: no gauge, no connection, no POST that was executed twice, no moved weight.
"""

import contextlib
import itertools
import socket
import ssl
import time
from pathlib import Path

import pytest

from harness import net
from harness.failing import EVER, Failing
from harness.raw import Closed, Raw
from harness.tls_upstream import TlsNginx, make_authority, make_leaf

pytestmark = pytest.mark.release_only

LIMIT = 60  # seconds: far more than the time limits below; whoever waits longer hangs
TIMEOUTS = dict.fromkeys(("header", "body", "send", "idle", "connect", "first_byte", "upstream_body", "queue"), "10s")
LOST = (Closed, ConnectionError, ssl.SSLError, EOFError)
ids = itertools.count(1)


def anything(connection):
    """A scripted server that closes after each answer: the next request needs a new connection."""
    connection.settimeout(LIMIT)
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            return
        got += more
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")


def rules():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


class World:
    """One worker before every sort of server, in a cutover at 50 %."""

    def __init__(self, crossfade, upstream, scripted, folder, started):
        self.failing = Failing(folder)
        authority = make_authority(folder, "authority")
        leaf = make_leaf(folder, authority, "leaf")
        self.servers = [upstream("v1"), upstream("v2")]
        self.slow = upstream("slow")
        nginx = TlsNginx(folder, "secure", leaf, rules="keepalive_timeout 0;")
        started.append(nginx)
        self.ports = dict(zip(("plain", "tls", "proxied", "secure", "fresh", "capped"), net.free_ports(6)))
        extra = {
            "timeouts": TIMEOUTS, "access_log": {"path": str(folder / "access.log")}, "upgrade": ["websocket"],
            "listeners": [
                {"bind": self.bind("plain"), "service": "gateway"},
                {"bind": self.bind("tls"), "service": "gateway",
                 "tls": {"certificate": str(leaf[0]), "key": str(leaf[1])}},
                {"bind": self.bind("proxied"), "service": "gateway", "proxy_protocol": True},
                {"bind": self.bind("secure"), "service": "secure"},
                {"bind": self.bind("fresh"), "service": "fresh"},
                {"bind": self.bind("capped"), "service": "capped"}],
            "services": {"gateway": {"live": "v1", "clusters": ["v1", "v2"],
                                     "sticky": {"by": "header", "name": "x-test-id"}},
                         "secure": {"live": "secure", "clusters": ["secure"]},
                         "fresh": {"live": "fresh", "clusters": ["fresh"]},
                         "capped": {"live": "capped", "clusters": ["capped"]}},
            "clusters": {
                **{each.name: {"servers": [each.address],
                               "check": {"path": "/", "every": "100ms", "timeout": "10s"}} for each in self.servers},
                "secure": {"servers": [nginx.address], "tls": {"ca": str(authority[0])}},
                "fresh": {"servers": [scripted(anything).address]},
                "capped": {"servers": [self.slow.address], "max_in_flight": 1}}}
        self.proxy = crossfade({"v1": []}, workers=1, start=False, extra=extra,
                               environment=self.failing.environment)
        self.proxy.port = self.ports["plain"]
        self.proxy.start()
        plan = self.proxy.plan({"name": "sweep", "service": "gateway", "to": "v2", "steps": [
            {"weight": "50%", "hold": "10h"}, {"weight": "100%", "hold": "10h"}]})
        self.proxy.cli("start", plan, "--service", "gateway", check=0)
        self.proxy.wait_status(lambda s: s["weight"]["actual"] == 50, 20, "half", service="gateway")
        self.proxy.cli("pause", "--service", "gateway", check=0)
        self.pids = self.processes()

    def bind(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def processes(self):
        return {each.name: each.pid for each in self.proxy.children()}

    @property
    def worker(self):
        return self.proxy.workers()[0].pid

    def renew(self):
        """A worker that never had a request: that of the next edition."""
        old, serving = self.worker, self.proxy.log.count("event=edition.serving")
        self.proxy.reload()
        net.wait_until(lambda: self.proxy.log.count("event=edition.serving") > serving
                       and old not in self.processes().values(), 60, "the next edition alone", every=0.005)
        self.pids = self.processes()

    # Whether all is as before.

    def check_alive(self, what):
        assert self.processes() == self.pids, f"{what}: {self.processes()} were {self.pids}"

    def check_answers(self, what):
        """The very next request is answered, on a connection of its own; how long it took."""
        began = time.monotonic()
        with Raw(self.ports["plain"], timeout=LIMIT) as client:
            status = client.get("/", headers=[("X-Test-Id", f"next-{next(ids)}")]).status
        assert status == 200, f"{what}: the next request got {status}"
        return time.monotonic() - began

    def kernel_clients(self):
        """The connections with clients, as the kernel counts them."""
        wanted = set(self.ports.values())
        count = 0
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            count += int(fields[1].split(":")[1], 16) in wanted and fields[3] in ("01", "08") and fields[9] != "0"
        return count

    def check_clean(self, what):
        def left():
            return {name: value for name, value in self.proxy.metrics().items() if value and (
                "in_flight" in name or "tunnels" in name or "queued" in name
                or name == "crossfade_client_connections")}
        with contextlib.suppress(AssertionError):
            net.wait_until(lambda: not left() and self.kernel_clients() == 0, LIMIT, "")
        assert (left(), self.kernel_clients()) == ({}, 0), what
        status = self.proxy.status("--service", "gateway")
        assert status["weight"] == {"desired": 50, "actual": 50}, what
        twice = {i: n for each in (*self.servers, self.slow) for i, n in each.executions().items()
                 if i.startswith("post-") and n > 1}
        assert twice == {}, what

    # Actions: each ends by itself, with the status or None where the connection was lost.

    def get(self, port="plain", path="/", extra=()):
        with Raw(self.ports[port], timeout=LIMIT) as client:
            answer = client.get(path, headers=[("X-Test-Id", f"get-{next(ids)}"), *extra])
            if answer.status == 200 and path.startswith("/bytes/"):
                assert len(answer.body) == int(path[7:])
            return answer.status

    def post(self):
        with Raw(self.ports["plain"], timeout=LIMIT) as client:
            client.send(f"POST /echo HTTP/1.1\r\nHost: a\r\nX-Test-Id: post-{next(ids)}\r\nTrailer: X-Sum\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n".encode() + b"5\r\nhello\r\n" +
                        b"4e20\r\n" + b"y" * 20000 + b"\r\n0\r\n\r\n")
            answer = client.read("POST")
            assert answer.status != 200 or answer.body == b"hello" + b"y" * 20000
            return answer.status

    def tunnel(self):
        with Raw(self.ports["plain"], timeout=LIMIT) as client:
            client.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            status = client.read().status
            if status == 101:
                for frame in (b"\x82\x05hello", b"z" * 70000):
                    client.send(frame)
                    assert client.exactly(len(frame)) == frame
            return status

    def tls(self, version=None):
        context = rules()
        if version is not None:
            context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", self.ports["tls"]), LIMIT) as raw, \
                context.wrap_socket(raw) as client:
            client.sendall(b"GET /bytes/20000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            got = b""
            while more := client.recv(65536):
                got += more
            if len(got.partition(b"\r\n\r\n")[2]) != 20000:
                raise Closed("cut short")
            return int(got.split()[1])

    def proxied(self):
        with Raw(self.ports["proxied"], timeout=LIMIT) as client:
            client.send(b"PROXY TCP4 10.1.2.3 10.1.2.4 4711 443\r\n")
            return client.get("/").status

    def queued(self):
        """Two at once where one may be: the second waits for its turn."""
        with Raw(self.ports["capped"], timeout=LIMIT) as one, Raw(self.ports["capped"], timeout=LIMIT) as two:
            for client in (one, two):
                client.send(f"GET /slow/5 HTTP/1.1\r\nHost: a\r\nX-Test-Id: q-{next(ids)}\r\n\r\n")
            found = []
            for client in (one, two):
                try:
                    found.append(client.read().status)
                except LOST:
                    found.append(None)
            return min(found, key=lambda status: status or 0)

    def together(self):
        """Many heads in one turn, whose answers part with their connections."""
        clients = [Raw(self.ports["plain"], timeout=LIMIT) for _ in range(12)]
        statuses = []
        for client in clients:
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-Test-Id: t-{next(ids)}\r\nConnection: close\r\n\r\n")
        for client in clients:
            with client:
                try:
                    statuses.append(client.read().status)
                    assert client.at_end(LIMIT)
                except LOST:
                    statuses.append(None)
        return min(statuses, key=lambda status: status or 0)

    def pipelined(self):
        with Raw(self.ports["plain"], timeout=LIMIT) as client:
            client.send(b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size for size in (1, 9000, 3)))
            return [client.read().status for _ in range(3)][-1]

    def slow_head(self):
        with Raw(self.ports["plain"], timeout=LIMIT) as client:
            client.send(b"GET /headers HTTP/1.1\r\nHost: a\r\nX-Long: " + b"l" * 9000)
            time.sleep(0.002)
            client.send(b"\r\n\r\n")
            return client.read().status


ACTIONS = {
    "a small GET": lambda world: world.get(),
    "a POST in chunks with trailers": World.post,
    "an answer of 64 KiB": lambda world: world.get(path="/bytes/65536"),
    "an answer of 2 MiB": lambda world: world.get(path="/bytes/2097152"),
    "an answer of 2 MiB that is the last": lambda world: world.get(path="/bytes/2097152",
                                                                   extra=[("Connection", "close")]),
    "a tunnel and its frames": World.tunnel,
    "TLS 1.3": World.tls,
    "TLS 1.2": lambda world: world.tls(ssl.TLSVersion.TLSv1_2),
    "a PROXY header": World.proxied,
    "a new connection to a server": lambda world: world.get("fresh"),
    "TLS to a server": lambda world: world.get("secure"),
    "a request that waits for its turn": World.queued,
    "answers that part together": World.together,
    "requests in a row": World.pipelined,
    "a long head in two pieces": World.slow_head,
}


QUICK = ("a small GET", "a POST in chunks with trailers", "a new connection to a server",
         "answers that part together", "a long head in two pieces")
GOOD = (200, 101)


def attempt(world, action):
    """The status, None where the connection was lost; fails if somebody waits too long."""
    try:
        return action(world)
    except LOST:
        return None


def one(n):
    """The n-th call alone fails."""
    return n


def rest(_n):
    """And every one behind it, until the action is over."""
    return EVER


def sweep(world, name, last, fresh=False, step=1):
    """Every n until none is reached any more; `fresh`: each meets a worker of its own.

    Returns N, how many actions failed, and the longest time (s) that the next request took.
    """
    action, failing = ACTIONS[name], world.failing
    failing.whom(world.worker)
    unreached, lost, longest, n = 0, 0, 0.0, 1 - step
    while unreached < 3:
        n += step
        if fresh:
            world.renew()
            failing.whom(world.worker)
        failing.arm(n, last(n))
        try:
            status = attempt(world, action)
        except (TimeoutError, socket.timeout) as error:
            raise AssertionError(f"{name}, n = {n}: somebody waits for ever") from error
        finally:
            count = failing.calm()
        unreached = unreached + 1 if count < n else 0
        lost += status not in GOOD
        what = f"{name}, n = {n}, {status}"
        assert unreached == 0 or status in GOOD, f"{what}: only {count} calls, so nothing failed"
        longest = max(longest, world.check_answers(what))
        again = attempt(world, action)
        assert again in GOOD, f"{what}: the next such action got {again}"
        world.check_alive(what)
    world.check_clean(f"{name}, after n = {n}")
    return n - unreached * step, lost, longest


def report(name, last, found):
    print(f"{name}, {last.__name__}: N = {found[0]}, {found[1]} failed, next within {found[2] * 1000:.0f} ms")


@pytest.fixture
def world(crossfade, upstream, scripted, folder, started):
    return World(crossfade, upstream, scripted, folder, started)


def test_a_request_survives_any_one_lack_of_memory(world):
    for name, last in itertools.product(QUICK, (one, rest)):
        report(name, last, sweep(world, name, last))
    assert world.failing.failed > 0, "nothing failed: the test tries nothing"


@pytest.mark.long
@pytest.mark.parametrize("last", [one, rest])
@pytest.mark.parametrize("name", ACTIONS)
def test_whatever_a_worker_does_survives_any_lack_of_memory(world, name, last):
    report(name, last, sweep(world, name, last))


@pytest.mark.long
@pytest.mark.parametrize("last", [one, rest])
@pytest.mark.parametrize("name", ACTIONS)
def test_the_first_thing_that_a_worker_does_survives_any_lack_of_memory(world, name, last):
    report(name, last, sweep(world, name, last, fresh=True, step=23 if "TLS" in name else 1))


@pytest.mark.long
@pytest.mark.parametrize("name", ["TLS 1.3", "TLS 1.2", "TLS to a server"])
def test_handshakes_work_again_after_none_ever_did(world, name):
    """OpenSSL remembers what it could not look up, and authorities that it could not read."""
    world.failing.whom(world.worker)
    for n in itertools.count(1):
        world.failing.arm(n, EVER)
        status = attempt(world, ACTIONS[name])
        world.failing.calm()
        if status == 200:
            break
        assert n < 4000, "not one handshake works"
    assert attempt(world, ACTIONS[name]) == 200
    world.check_alive(name)
    world.check_clean(name)
