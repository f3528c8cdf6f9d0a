"""test_resilience.py -- what clients see while servers come, go and lie, and what it costs."""

import os
import signal
import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import net, processes
from harness.crossfade import binary, sanitized
from harness.load import Load
from harness.raw import Closed, Raw, request

MIB = 1024 * 1024


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("ended")
        head += piece
    return head


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(connection):
    """An answer without an end, a little every 50 ms; `/` is answered at once."""
    while True:
        if read_head(connection).startswith(b"GET / "):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            continue
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            time.sleep(0.05)


def gauges(proxy):
    """What is going on, by name; everything is 0 when nothing is."""
    return {name: value for name, value in proxy.metrics().items()
            if ("in_flight" in name or "tunnels" in name or "queued" in name
                or name == "crossfade_client_connections")}


def quiet(proxy, timeout=5.0):
    net.wait_until(lambda: not any(gauges(proxy).values()), timeout, "every gauge at 0")


def established(port):
    """The kernel's own count of connections that clients have to the port."""
    count = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        count += int(fields[1].split(":")[1], 16) == port and fields[3] in ("01", "08")
    return count


def counter(proxy, name, **labels):
    return sum(value for key, value in proxy.metrics().items()
               if key.partition("{")[0] == name and
               all(f'{label}="{text}"' in key for label, text in labels.items()))


# Servers come and go.

@pytest.mark.slow
def test_no_get_fails_and_no_post_runs_twice_while_servers_come_and_go(crossfade, upstream):
    servers = {name: [upstream(f"{name}-{i}") for i in range(2)] for name in ("web-v1", "web-v2")}
    everyone = [each for pair in servers.values() for each in pair]
    proxy = crossfade({name: [each.address for each in pair] for name, pair in servers.items()})
    proxy.cli("start", "--to", "web-v2", check=0)
    moved = []
    stop = threading.Event()

    def move_weight():
        while not stop.wait(0.1):
            weight = f"{(17 * len(moved)) % 100}%"
            moved.append(proxy.cli("weight", weight, "--force").code)
    mover = threading.Thread(target=move_weight)
    with Load(proxy.port, rate=200, connections=50, path="/bytes/900") as gets, \
            Load(proxy.port, rate=20, connections=5, method="POST", prefix="p",
                 headers=[("Content-Length", "0")]) as posts:
        mover.start()
        for each in everyone:  # killed in turn
            each.process.popen.kill()
            each.process.wait(5)
            time.sleep(0.3)
            each.start()
        for each in everyone:  # restarted gracefully in turn
            each.process.signal(signal.SIGTERM)
            each.process.wait(5)
            each.start()
        for each in everyone:
            each.mode("silent")
        time.sleep(2)
        for each in everyone:
            each.mode("200")
        everyone[0].process.signal(signal.SIGSTOP)
        time.sleep(3)
        everyone[0].process.signal(signal.SIGCONT)
        time.sleep(0.5)
        stop.set()
        mover.join(20)
    assert len(gets.results) > 1000 and gets.failed() == []
    assert moved.count(0) > 10, moved
    runs = Counter()
    for each in everyone:
        runs.update(each.executions())
    twice = [name for name, count in runs.items() if name.startswith("p") and count > 1]
    assert len(posts.results) > 50 and twice == []


def test_a_green_that_only_fails_is_not_seen_by_clients(crossfade, upstream):
    blue, green = upstream("web-v1"), upstream("web-v2")
    proxy = crossfade({"web-v1": [blue.address], "web-v2": [green.address]})
    green.mode("503")
    with Load(proxy.port, rate=200, connections=20) as load:
        proxy.cli("start", proxy.plan({"name": "move", "service": "gateway", "to": "web-v2",
                                       "steps": [{"weight": "25%", "hold": "600s"},
                                                 {"weight": "100%", "hold": "1s"}]}), check=0)
        net.wait_until(lambda: len(green.log_entries()) > 30, 20, "requests to green")
    assert load.failed() == []
    executed = len(green.log_entries())

    def same():
        seen = proxy.status()["clusters"]["web-v2"]
        return seen["requests"] == seen["errors"] == seen["rescued"] == executed
    net.wait_until(same, 5, f"{executed} errors counted on green")


# Ends in the middle.

def test_a_server_that_resets_in_mid_answer_is_charged_at_once(crossfade, scripted):
    def serve(connection):
        while True:
            if read_head(connection).startswith(b"GET / "):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000)
            time.sleep(0.1)
            reset(connection)
            return
    proxy = crossfade({"web-v1": [scripted(serve).address]})
    began = time.monotonic()
    with Raw(proxy.port) as client:
        with pytest.raises(Closed):
            client.get("/cut")
    assert time.monotonic() - began < 1.0
    quiet(proxy, 2)
    assert counter(proxy, "crossfade_upstream_errors_total", reason="truncated") == 1


def test_a_connection_whose_end_is_known_carries_no_request(crossfade, scripted):
    """A request and the server's close come in one turn: a POST could not be sent again."""
    used = []

    def serve(connection):
        while True:
            if read_head(connection).startswith(b"POST"):
                used.append(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    proxy = crossfade({"web-v1": [scripted(serve).address]})
    post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    with Raw(proxy.port) as client:
        for _ in range(3):
            client.send(post)
            assert client.read().status == 200
            for worker in proxy.workers():
                os.kill(worker.pid, signal.SIGSTOP)
            net.wait_until(lambda: all(each.state == "T" for each in proxy.workers()), 1, "a stop")
            client.send(post)
            time.sleep(0.05)
            used[-1].shutdown(socket.SHUT_RDWR)
            time.sleep(0.05)
            for worker in proxy.workers():
                os.kill(worker.pid, signal.SIGCONT)
            assert client.read().status == 200
    assert len(used) == 6 and len(set(used)) > 3


def test_an_answer_read_ahead_of_its_event_leaves_the_connection_in_the_pool(crossfade, scripted):
    """The client's event and the server's come in one turn: the client's goes on with the answer."""
    used, answer = [], threading.Event()

    def serve(connection):
        while True:
            if read_head(connection).startswith(b"GET /asked"):
                used.append(connection)
                answer.wait(5)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    proxy = crossfade({"web-v1": [scripted(serve).address]})
    with Raw(proxy.port) as client:
        answer.set()
        client.send("GET /asked HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read().status == 200
        answer.clear()
        client.send("GET /asked HTTP/1.1\r\nHost: a\r\n\r\n")
        net.wait_until(lambda: len(used) == 2, 2, "the second request")
        for worker in proxy.workers():
            os.kill(worker.pid, signal.SIGSTOP)
        net.wait_until(lambda: all(each.state == "T" for each in proxy.workers()), 1, "a stop")
        client.send("GET /asked HTTP/1.1\r\n")
        time.sleep(0.05)
        answer.set()
        time.sleep(0.05)
        for worker in proxy.workers():
            os.kill(worker.pid, signal.SIGCONT)
        assert client.read().status == 200
        time.sleep(0.05)
        client.send("Host: a\r\n\r\n")
        assert client.read().status == 200
    assert len(used) == 3 and len(set(used)) == 1


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_leaves_in_mid_answer_frees_its_server_at_once(crossfade, scripted, how):
    proxy = crossfade({"web-v1": [scripted(drip).address]})
    client = Raw(proxy.port)
    client.send("GET /drip HTTP/1.1\r\nHost: a\r\n\r\n")
    client.until(b"x" * 1000)
    net.wait_until(lambda: any(gauges(proxy).values()), 5, "it is in flight")
    if how == "reset":
        reset(client.socket)
    else:
        client.close()  # a FIN, or a reset where something lay unread
    quiet(proxy, 0.5 if not sanitized() else 2)
    assert counter(proxy, "crossfade_client_aborts_total") == 1
    assert counter(proxy, "crossfade_upstream_errors_total") == 0


def test_a_server_that_resets_while_the_client_does_not_read_is_noticed(crossfade, scripted):
    cut = threading.Event()

    def serve(connection):
        while True:
            if read_head(connection).startswith(b"GET / "):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            connection.settimeout(1)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" +
                                   b"x" * 50000000)
            except TimeoutError:
                cut.set()
                reset(connection)
            return
    proxy = crossfade({"web-v1": [scripted(serve).address]})
    with Raw(proxy.port) as client:
        client.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
        assert cut.wait(20)
        quiet(proxy, 1)
    assert counter(proxy, "crossfade_upstream_errors_total", reason="truncated") == 1


def test_a_client_that_closed_its_half_gets_its_answer(crossfade, upstream):
    proxy = crossfade({"web-v1": [upstream().address]})
    with Raw(proxy.port) as client:
        client.send("GET /slow/300 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read().status == 200
    with Raw(proxy.port) as client:  # in the middle of its body: it will never be whole
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        time.sleep(0.1)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.at_end(1.0)
    quiet(proxy, 2)
    assert counter(proxy, "crossfade_client_aborts_total") == 1


# Many connections.

@pytest.mark.slow
def test_connections_opened_and_closed_leave_nothing_behind(crossfade, upstream):
    server = upstream()
    proxy = crossfade({"web-v1": [server.address]})
    for _ in range(100):
        batch = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(100)]
        for each in batch:
            each.close()
    for i in range(3000):
        client = socket.create_connection(("127.0.0.1", proxy.port))
        client.sendall(b"GET /slow/5 HTTP/1.1\r\nHost: a\r\n\r\n")
        if i % 3 == 0:
            client.close()
        else:
            reset(client)
    with Raw(proxy.port, timeout=60) as client:
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            client.send(b"1\r\nx\r\n" * 1000)
        client.send(b"0\r\n\r\n")
        assert client.read().body == b"x" * 100000
        net.wait_until(lambda: gauges(proxy)["crossfade_client_connections"] == 1
                       == established(proxy.port), 10, "one connection, as the kernel says")
    quiet(proxy, 10)
    net.wait_until(lambda: established(proxy.port) == 0, 5, "none")


@pytest.fixture
def narrow(folder, monkeypatch):
    """Crossfade gets 256 descriptors a process."""
    script = folder / "narrow"
    script.write_text(f"#!/bin/sh\nulimit -n 256\nexec {binary().resolve()} \"$@\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("CROSSFADE_BINARY", str(script))


@pytest.mark.usefixtures("narrow")
def test_idle_connections_to_one_server_make_room_for_another(crossfade, upstream):
    blue, green = upstream("web-v1"), upstream("web-v2")
    proxy = crossfade({"web-v1": [blue.address], "web-v2": [green.address]}, workers=1)
    proxy.cli("start", "--to", "web-v2", check=0)
    clients = [Raw(proxy.port) for _ in range(90)]
    for weight in ("0%", "100%", "0%"):
        proxy.cli("weight", weight, "--force", check=0)
        for client in clients:
            client.send("GET /slow/500 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert {client.read().status for client in clients} == {200}
    assert counter(proxy, "crossfade_upstream_errors_total") == 0
    for client in clients:
        client.close()


def test_at_the_limit_idle_clients_make_room_and_busy_ones_stay(crossfade, upstream):
    proxy = crossfade({"web-v1": [upstream().address]}, workers=1,
                      extra={"limits": {"connections": 10}})
    clients = [Raw(proxy.port) for _ in range(10)]
    for client in clients:
        assert client.get("/").status == 200
    busy = clients[0]
    busy.send("GET /slow/3000 HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(1.1)  # who was answered within the last second is not closed
    newcomers = [Raw(proxy.port) for _ in range(3)]
    began = time.monotonic()
    for client in newcomers:
        assert client.get("/").status == 200
    assert time.monotonic() - began < (0.5 if not sanitized() else 3)
    assert [client.at_end(0.2) for client in clients[1:]] == [True] * 3 + [False] * 6
    assert busy.read().status == 200
    for client in clients + newcomers:
        client.close()


@pytest.mark.release_only
@pytest.mark.usefixtures("narrow")
def test_it_recovers_from_a_lack_of_descriptors_and_does_not_spin(crossfade, upstream):
    server = upstream()
    proxy = crossfade({"web-v1": [server.address]}, workers=1)
    clients = []
    for _ in range(400):
        client = socket.create_connection(("127.0.0.1", proxy.port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        clients.append(client)
    time.sleep(0.5)
    everybody = [proxy.pid] + [each.pid for each in processes.descendants(proxy.pid)]
    before = sum(map(processes.cpu_seconds, everybody))
    time.sleep(2)
    assert sum(map(processes.cpu_seconds, everybody)) - before < 0.2, "it spins"
    for client in clients:
        client.close()
    began = time.monotonic()
    assert request(proxy.port, "/").status == 200
    assert time.monotonic() - began < 0.5
    quiet(proxy)


@pytest.mark.release_only
def test_it_uses_next_to_nothing_when_idle(crossfade, upstream):
    proxy = crossfade({"web-v1": [upstream().address]})
    idle = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(500)]
    for each in idle:
        each.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(1.5)
    everybody = [proxy.pid] + [each.pid for each in processes.descendants(proxy.pid)]
    before = sum(map(processes.cpu_seconds, everybody))
    time.sleep(4)
    used = sum(map(processes.cpu_seconds, everybody)) - before
    for each in idle:
        each.close()
    assert used <= 0.08, f"{used / 4:.1%} of a core"


# Memory.

def memory(proxy):
    return {each.pid: processes.memory_kib(each.pid)
            for each in processes.descendants(proxy.pid) if processes.alive(each.pid)}


def growth(before, after):
    return max(after[pid] - before.get(pid, 0) for pid in after if pid in before)


@pytest.mark.release_only
def test_a_slow_reader_and_a_slow_upload_cost_next_to_no_memory(crossfade, nginx, scripted):
    def slow(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        while True:
            if b"Content-Length" not in read_head(connection):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            while connection.recv(16384):
                time.sleep(0.02)
    web = nginx()
    proxy = crossfade({"web-v1": [web.address], "sink": [scripted(slow).address]}, extra={
        "limits": {"body": "2GiB"}})
    path = web.file(1024 * MIB)
    for _ in range(20):
        assert request(proxy.port, "/").status == 200
    before = memory(proxy)
    with Raw(proxy.port) as reader:
        reader.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(60):
            reader.socket.recv(65536)
            time.sleep(0.02)
        assert growth(before, memory(proxy)) <= 2048
    quiet(proxy)
    proxy.cli("start", "--to", "sink", check=0)
    proxy.cli("promote", "--full", check=0)
    before = memory(proxy)
    with Raw(proxy.port, timeout=0.5) as sender:
        sender.send(f"POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: {1024 * MIB}\r\n\r\n")
        pushed, end = 0, time.monotonic() + 3
        while time.monotonic() < end:
            try:
                pushed += sender.socket.send(b"x" * MIB)
            except TimeoutError:
                pass
        assert growth(before, memory(proxy)) <= 2048
        assert pushed < 64 * MIB
        reset(sender.socket)
    quiet(proxy, 0.5)


@pytest.mark.parametrize("framing", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
def test_a_server_is_read_at_most_8_mib_ahead_of_a_client_who_reads_nothing(
        crossfade, scripted, framing):
    sent, stalled = [0], threading.Event()

    def generous(connection):
        while b"/big" not in read_head(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % framing.encode())
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        connection.settimeout(0.5)
        at, full = 0, False
        while not full or sent[0] <= MIB:
            try:
                taken = connection.send(piece[at:])
                at = (at + taken) % len(piece)
                sent[0] += taken
            except TimeoutError:
                full = True
        stalled.set()
        connection.recv(1)
    proxy = crossfade({"web-v1": [scripted(generous).address]})
    with Raw(proxy.port) as reader:
        reader.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stalled.wait(20), f"still sending after {sent[0] / MIB:.1f} MiB"
        assert sent[0] <= 8 * MIB, f"{sent[0] / MIB:.1f} MiB"
        reset(reader.socket)


@pytest.mark.long
@pytest.mark.release_only
def test_a_thousand_readers_who_read_nothing_keep_every_process_small(crossfade, nginx):
    web, others = nginx(), nginx("others")  # the others' server has nothing to do with the readers
    calm = net.free_port()
    proxy = crossfade({"web-v1": [web.address], "others": [others.address]}, start=False)
    proxy.config["listeners"] = [{"bind": f"127.0.0.1:{proxy.port}", "service": "gateway"},
                                 {"bind": f"127.0.0.1:{calm}", "service": "calm"}]
    proxy.config["services"] = {"gateway": {"live": "web-v1", "clusters": ["web-v1"]},
                                "calm": {"live": "others", "clusters": ["others"]}}
    proxy.write_config()
    proxy.start()
    path = web.file(10 * MIB)
    readers = []
    for _ in range(1000):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)  # the kernel's share
        reader.connect(("127.0.0.1", proxy.port))
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        readers.append(reader)
    def settled():
        before = processes.cpu_seconds(web.pid)
        time.sleep(1)
        return processes.cpu_seconds(web.pid) - before < 0.05
    net.wait_until(settled, 300, "all that goes into buffers has gone there")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with Load(calm, rate=100, connections=4) as load:
            time.sleep(1)
        assert load.failed() == []
        assert max(memory(proxy).values()) < 80 * 1024, memory(proxy)
    for reader in readers:
        reader.close()
    quiet(proxy, 30)
