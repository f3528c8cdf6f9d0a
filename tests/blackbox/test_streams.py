"""test_streams.py -- what must pass through without delay: events, early bodies, pipelines."""

import socket
import struct
import time

import pytest

from harness.raw import Raw

EVENTS = 20
PROMPT = 0.25  # seconds; a proxy that waits for a full buffer, or for more, never gets there


@pytest.fixture
def server(scripted):
    """Hands its one request that is not `GET /` to `serve`, and answers everything else with 200."""
    def make(serve):
        def run(connection):
            data = b""
            while piece := connection.recv(65536):
                data += piece
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    if head.startswith(b"GET / "):
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    else:
                        data = serve(connection, head, data)
        return scripted(run)
    return make


def read_until(client, end):
    data = b""
    while end not in data:
        piece = client.recv(65536)
        assert piece, f"closed behind {data!r}"
        data += piece
    return data


@pytest.mark.parametrize("framing", ["chunked", "until the close"])
def test_each_event_arrives_when_it_is_sent(crossfade, server, framing):
    sent = []

    def serve(connection, _head, data):
        chunked = framing == "chunked"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                           + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked
                              else b"Connection: close\r\n\r\n"))
        for number in range(EVENTS):
            event = b"data: %d.\n\n" % number
            sent.append(time.monotonic())
            connection.sendall(b"%x\r\n%s\r\n" % (len(event), event) if chunked else event)
            time.sleep(0.05)
        connection.sendall(b"0\r\n\r\n" if chunked else b"")
        if not chunked:
            connection.shutdown(socket.SHUT_RDWR)
        return data

    proxy = crossfade({"web-v1": [server(serve).address]})
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        delays, data = [], b""
        for number in range(EVENTS):
            while b"data: %d.\n\n" % number not in data:
                piece = client.recv(65536)
                assert piece, f"closed behind {data!r}"
                data += piece
            delays.append(time.monotonic() - sent[number])
    assert sorted(delays)[EVENTS // 2] < PROMPT / 5 and max(delays) < PROMPT, delays


def test_a_client_that_waits_for_100_is_not_kept_waiting(crossfade, server):
    bodies = []

    def serve(connection, _head, data):
        while len(data) < 5:
            data += connection.recv(100)
        bodies.append(data[:5])
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        return data[5:]

    proxy = crossfade({"web-v1": [server(serve).address]})
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        for _ in range(2):
            began = time.monotonic()
            client.sendall(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                           b"Expect: 100-continue\r\n\r\n")
            assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert time.monotonic() - began < PROMPT
            client.sendall(b"hello")
            assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 201")
    assert bodies == [b"hello"] * 2


def test_a_hundred_pipelined_requests_are_answered_in_order(crossfade, server):
    def serve(connection, head, data):
        path = head.split(b" ")[1]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
        return data

    proxy = crossfade({"web-v1": [server(serve).address]})
    with Raw(proxy.port) as client:
        client.send("".join(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(100)))
        for i in range(100):
            assert client.read().body == b"/%d" % i


LARGE = bytes(range(256)) * 4096 * 6 + b"the end"  # 6 MiB, so that most of it passes unseen


def large_answers(connection, head, data):
    """/whole, /cut: half of it and an end; /reset: half of it and a reset."""
    half = LARGE if b" /whole " in head else LARGE[:len(LARGE) // 2]
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + half)
    if b" /whole " not in head:
        if b" /reset " in head:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        raise ConnectionError
    return data


@pytest.mark.parametrize("slow", [False, True])
def test_a_large_answer_arrives_whole_and_the_connection_goes_on(crossfade, server, slow):
    proxy = crossfade({"web-v1": [server(large_answers).address]})
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        for _ in range(2):
            client.sendall(b"GET /whole HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _, body = read_until(client, b"\r\n\r\n").partition(b"\r\n\r\n")
            assert b"Content-Length: %d" % len(LARGE) in head
            body = bytearray(body)
            while len(body) < len(LARGE):
                if slow and len(body) < 2 << 20:
                    time.sleep(0.02)
                piece = client.recv(65536)
                assert piece, len(body)
                body += piece
            assert body == LARGE


@pytest.mark.parametrize("path", ["cut", "reset"])
def test_a_large_answer_that_is_cut_is_not_taken_for_whole(crossfade, server, path):
    proxy = crossfade({"web-v1": [server(large_answers).address]})
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        got = b""
        try:
            while piece := client.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        assert len(got) < len(LARGE)
        body = got.partition(b"\r\n\r\n")[2]
        assert body == LARGE[:len(body)]
