"""test_wire.py -- the table of wire_cases.py against a running crossfade.

One proxy and one recording upstream serve all cases.  After each case: nothing that was not
expected reached the upstream, what the client got is strictly valid, the same workers live, and
the next client gets its own answer.
"""

import itertools
import os
import random
import socket
import time

import pytest

import wire_cases
from harness import strict
from harness.crossfade import Crossfade, sanitized
from harness.recorder import Recorder, Script

PATIENCE = 8.0 if sanitized() else 4.0  # seconds until an answer or a close must have come
PAUSE = 0.02  # between the pieces of one case
NUMBERS = itertools.count(1)
HOP_BY_HOP = ("Keep-Alive", "Proxy-Connection", "Transfer-Encoding-Odd", "Trailer", "HTTP2-Settings")


class Stand:
    """The proxy between a client made of raw bytes and the recorder."""

    def __init__(self, folder):
        self.recorder = Recorder()
        self.proxy = Crossfade(folder, {"web-v1": [self.recorder.address],
                                        "web-v2": [self.recorder.address]}, workers=2)
        self.proxy.start()
        self.workers = [each.pid for each in self.proxy.workers()]
        self.recorder.take()

    def end(self):
        self.proxy.end()
        self.recorder.end()
        assert self.proxy.checked() == "", self.proxy.checked()[:4000]

    def talk(self, steps, finals, methods=("GET",), pause=PAUSE):
        """Sends the steps and reads until so many final answers or the end: (messages, ended)."""
        with socket.create_connection(("127.0.0.1", self.proxy.port), timeout=PATIENCE) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for index, step in enumerate(steps):
                if index > 0:
                    time.sleep(pause)
                try:
                    client.sendall(step)
                except ConnectionError:
                    break  # refused and closed before everything was sent
            return self.listen(client, finals, methods)

    @staticmethod
    def listen(client, finals, methods):
        data, ended, deadline = b"", False, time.monotonic() + PATIENCE
        while not ended:
            try:
                messages, left = strict.read_responses(data, methods, False)
                enough = not left and sum(m.status >= 200 or m.status == 101
                                          for m in messages) >= finals
            except strict.Incomplete:
                enough = False
            wait = 0.03 if enough else deadline - time.monotonic()
            if wait <= 0:
                break
            client.settimeout(wait)
            try:
                got = client.recv(262144)
            except socket.timeout:
                break
            except ConnectionError:
                ended = True
                break
            ended = not got
            data += got
        try:
            messages, left = strict.read_responses(data, methods, ended)
        except strict.Incomplete:
            assert False, f"no whole answer within {PATIENCE} s: {data[:500]!r}"
        assert not left, f"stray bytes at the client: {left[:300]!r}"
        return messages, ended

    def next_client(self):
        """Another client's request gets its own answer, and nothing else comes to light."""
        path = f"/next-{next(NUMBERS)}"
        messages, _ = self.talk([f"GET {path} HTTP/1.1\r\nHost: n\r\n\r\n".encode()], 1)
        assert [m.status for m in messages] == [200], f"the next client got {messages}"
        assert messages[0].body == f"GET {path}".encode(), f"the next client got {messages}"
        return path

    def after(self):
        """(requests, partial) that the case brought upstream, hidden ones included."""
        path = self.next_client()
        requests, violations, partial, raw = self.recorder.take()
        assert not violations, f"upstream got what is not valid: {violations}; raw {raw[:2000]!r}"
        assert requests and requests[-1].target == path, f"{requests}"
        for pid in self.workers:
            assert os.path.exists(f"/proc/{pid}"), f"worker {pid} died: {self.proxy.log[-3000:]}"
        return requests[:-1], partial


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wire")
    folder.chmod(0o755)
    for parent in folder.parents[:2]:
        parent.chmod(0o755)  # workers run as another user
    stand = Stand(folder)
    yield stand
    stand.end()


def identity(case):
    return case.name


# ---- requests ----

def check_wants(message, wants):
    """A forwarded request is as the case wants it, and has nothing hop-by-hop left."""
    for name in HOP_BY_HOP:
        assert not message.all(name), f"{name} was forwarded: {message}"
    for token in message.tokens("Connection"):
        assert token in ("upgrade", "te"), f"Connection {token} was forwarded"
    assert message.start[2] == "1.1"
    assert message.all("Via")[-1].endswith(" crossfade"), f"{message}"
    for name in ("method", "target"):
        if name in wants:
            assert getattr(message, name) == wants[name], f"{message}"
    if "host" in wants:
        assert message.first("Host") == wants["host"], f"{message}"
    if "body" in wants:
        assert message.body == wants["body"], f"{message}"
    if "via" in wants:
        assert message.all("Via") == [f"{wants['via']} crossfade"], f"{message}"
    if "first_via" in wants:
        assert message.all("Via")[0].split(",")[0] == wants["first_via"], f"{message}"
    check_fields(message, wants)


def check_fields(message, wants):
    for name, value in wants.get("has", {}).items():
        assert message.all(name) == [value], f"{name}: {message}"
    for name, values in wants.get("lines", {}).items():
        assert message.all(name) == values, f"{name}: {message}"
    for name in wants.get("lacks", ()):
        assert not message.all(name), f"{name}: {message}"
    for name, value in wants.get("lacks_value", {}).items():
        assert value not in message.tokens(name), f"{name}: {message}"


def finals(messages):
    return [m.status for m in messages if m.status >= 200]


def judge_refused(case, messages, ended, requests, partial):
    assert not requests and not partial, f"forwarded: {requests} {partial}"
    assert len(finals(messages)) == 1 and messages[-1].status in case.statuses, f"{messages}"
    assert ended, "the connection was kept after a refusal"
    assert messages[-1].tokens("Connection") == ["close"], f"{messages}"


def judge_forwarded(case, messages, _ended, requests, partial):
    wants = case.wants
    assert len(requests) == case.count and not partial, f"forwarded: {requests} {partial}"
    assert finals(messages) == [200] * case.count, f"{messages}"
    check_wants(requests[-1], wants)
    if "interim" in wants:
        assert tuple(m.status for m in messages if m.status < 200) == wants["interim"]
    methods = wants.get("methods", [None] * case.count)
    for request, message, method in zip(requests, [m for m in messages if m.status >= 200], methods):
        if method != "HEAD":
            assert message.body == f"{request.method} {request.target}".encode("latin-1"), \
                f"another request's answer: {messages}"


def judge_either(case, messages, ended, requests, partial):
    if not requests:
        assert messages == [] or messages[-1].status >= 400, f"{messages}"
        judge_refused(wire_cases.Case("", "", [], "refused", (messages[-1].status,)), messages,
                      ended, requests, partial)
    else:
        judge_forwarded(wire_cases.Case("", "", [], "forwarded"), messages, ended, requests,
                        partial)


def judge_broken(case, messages, ended, requests, _partial):
    """A body that goes wrong: the request may have begun upstream but never becomes whole."""
    assert not requests, f"a whole request was forwarded: {requests}"
    assert len(finals(messages)) == 1 and messages[-1].status in case.statuses, f"{messages}"
    assert ended, "the connection was kept after a refusal"


def judge_answered(case, messages, _ended, requests, partial):
    assert not requests and not partial, f"forwarded: {requests} {partial}"
    assert len(finals(messages)) == 1 and messages[-1].status in case.statuses, f"{messages}"


def judge_first(case, messages, ended, requests, partial):
    assert len(requests) == 1 and not partial, f"forwarded: {requests} {partial}"
    assert finals(messages) == [200, case.statuses[0]] and ended, f"{messages}"


JUDGES = {"refused": judge_refused, "forwarded": judge_forwarded, "either": judge_either,
          "broken": judge_broken, "answered": judge_answered, "first": judge_first}


@pytest.mark.parametrize("case", wire_cases.REQUESTS, ids=identity)
def test_request(stand, case):
    expected = case.count if case.verdict == "forwarded" else 2 if case.verdict == "first" else 1
    closes = case.verdict in ("refused", "broken", "first")
    methods = case.wants.get("methods", ["GET"] * expected)
    messages, ended = stand.talk(case.steps, expected + closes, methods)
    requests, partial = stand.after()
    JUDGES[case.verdict](case, messages, ended, requests, partial)


# ---- responses ----

def check_response(message, wants):
    assert message.status == wants.get("status", 200), f"{message}"
    assert message.complete, f"cut short: {message}"
    if "body" in wants:
        assert message.body == wants["body"], f"{message}"
    if "via" in wants:
        assert any("crossfade" in value for value in message.all("Via")), f"{message}"
    if "date" in wants:
        assert len(message.all("Date")) == 1, f"{message}"
    for name in ("Keep-Alive", "Proxy-Connection"):
        assert not message.all(name), f"{message}"
    check_fields(message, wants)


def judge_response(case, messages, ended):
    final = [m for m in messages if m.status >= 200]
    assert len(final) == 1, f"{messages}"
    verdict = case.verdict
    if verdict == "either":
        verdict = "bad" if final[0].status == 502 else "passed"
    if verdict == "passed":
        check_response(final[0], case.wants)
        if "interim" in case.wants:
            assert tuple(m.status for m in messages if m.status < 200) == case.wants["interim"]
    elif verdict == "bad":
        assert final[0].status == 502 and final[0].complete, f"{messages}"
    else:
        assert final[0].status == 502 or (ended and not final[0].complete), f"{messages}"


@pytest.mark.parametrize("case", wire_cases.RESPONSES, ids=identity)
def test_response(stand, case):
    wants = case.wants
    path = f"/response-{next(NUMBERS)}"
    poison = wants.get("poison", False) or case.verdict in ("bad", "cut")
    script = Script(*case.steps, close=wants.get("close", False), poison=poison)
    stand.recorder.script(path, script)
    method, version = wants.get("method", "GET"), wants.get("version", "1.1")
    request = f"{method} {path} HTTP/{version}\r\nHost: a\r\n\r\n".encode()
    messages, ended = stand.talk([request], 1, [method])
    if poison:
        script.sent.wait(PATIENCE)  # what comes too much has come before the next client
        time.sleep(0.05)
    for _ in range(2 if poison else 0):
        stand.next_client()
    requests, partial = stand.after()
    assert not partial
    # A GET whose pooled connection ended without a byte may be tried again (9110 9.2.2).
    assert 1 <= len([r for r in requests if r.target == path]) <= 4, f"{requests}"
    judge_response(case, messages, ended)


# ---- what needs more than one exchange ----

WEBSOCKET = ("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\nUpgrade: {upgrade}\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
SWITCHING = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def open_tunnel(stand, early=b""):
    """(the client's socket, what it has received) after an upgrade that was taken up."""
    path = f"/tunnel-{next(NUMBERS)}"
    stand.recorder.script(path, Script(SWITCHING, tunnel=True))
    client = socket.create_connection(("127.0.0.1", stand.proxy.port), timeout=PATIENCE)
    client.sendall(WEBSOCKET.format(path=path, connection="Upgrade",
                                    upgrade="websocket").encode() + early)
    data = b""
    while b"\r\n\r\n" not in data:
        got = client.recv(65536)
        assert got, f"closed: {data!r}"
        data += got
    return client, data


def receive(client, data, count):
    while len(data) < count:
        got = client.recv(65536)
        assert got, f"closed: {data!r}"
        data += got
    return data


def test_a_tunnel_opens_on_101_and_passes_every_byte(stand):
    """9110 7.8"""
    client, data = open_tunnel(stand)
    with client:
        (message,), left = strict.read_responses(data, ["GET"], False)
        assert message.status == 101 and message.first("Upgrade").lower() == "websocket"
        assert message.tokens("Connection") == ["upgrade"]
        bytes_of_any_kind = b"\0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n" + bytes(range(256))
        client.sendall(bytes_of_any_kind)
        assert receive(client, left, len(bytes_of_any_kind)) == bytes_of_any_kind
    requests, partial = stand.after()
    assert len(requests) == 1 and not partial, f"{requests} {partial}"


def test_bytes_sent_early_behind_an_upgrade_are_no_request(stand):
    """9110 7.8"""
    early = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    client, data = open_tunnel(stand, early)
    with client:
        _, left = strict.read_responses(data, ["GET"], False)
        assert receive(client, left, len(early)) == early
    requests, partial = stand.after()
    assert len(requests) == 1 and not partial, f"{requests} {partial}"


def test_bytes_behind_an_upgrade_that_is_refused_do_not_run_unseen(stand):
    """9110 7.8: the answer is no 101, so what follows is the next request, or nothing."""
    path = f"/no-tunnel-{next(NUMBERS)}"
    request = WEBSOCKET.format(path=path, connection="Upgrade", upgrade="websocket")
    second = b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    messages, _ = stand.talk([request.encode() + second], 2, ["GET", "GET"])
    requests, _ = stand.after()
    assert [r.target for r in requests] in ([path], [path, "/second"]), f"{requests}"
    assert len(messages) == len(requests), f"{messages}"


@pytest.mark.parametrize("connection, upgrade", [
    ("keep-alive", "websocket"), ("Upgrade", "h2c"), ("Upgrade", "x/1")])
def test_a_101_to_a_request_that_did_not_ask_is_502(stand, connection, upgrade):
    """9110 15.2.2"""
    path = f"/uninvited-{next(NUMBERS)}"
    stand.recorder.script(path, Script(SWITCHING, tunnel=True, poison=True))
    request = WEBSOCKET.format(path=path, connection=connection, upgrade=upgrade)
    messages, _ = stand.talk([request.encode()], 1)
    assert [m.status for m in messages] == [502], f"{messages}"
    stand.after()


def test_a_101_of_http_1_0_is_502(stand):
    """9110 15.2: HTTP/1.0 defines no 1xx."""
    path = f"/old-{next(NUMBERS)}"
    stand.recorder.script(path, Script(SWITCHING.replace(b"HTTP/1.1", b"HTTP/1.0"), tunnel=True))
    request = WEBSOCKET.format(path=path, connection="Upgrade", upgrade="websocket")
    messages, _ = stand.talk([request.encode()], 1)
    assert [m.status for m in messages] == [502], f"{messages}"
    stand.after()


def test_a_101_for_another_protocol_is_502(stand):
    """9110 7.8: the server may only choose what was offered."""
    path = f"/other-{next(NUMBERS)}"
    stand.recorder.script(path, Script(SWITCHING.replace(b"Upgrade: websocket", b"Upgrade: x/1"),
                                       tunnel=True))
    request = WEBSOCKET.format(path=path, connection="Upgrade", upgrade="websocket")
    messages, _ = stand.talk([request.encode()], 1)
    assert [m.status for m in messages] == [502], f"{messages}"
    stand.after()


@pytest.mark.parametrize("framing", ["Content-Length: 500000", "Transfer-Encoding: chunked"])
def test_an_answer_before_the_body_is_done_keeps_both_sides_in_step(stand, framing):
    """9112 9.3: the rest is read, or the connection closed; never taken for a request."""
    path = f"/early-{next(NUMBERS)}"
    stand.recorder.script(path, Script(
        b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        close=True, early=True))
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode()
    start = b"5\r\nhello\r\n" if "chunked" in framing else b"hello"
    hidden = b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"
    messages, _ = stand.talk([head + start, hidden], 1)
    assert messages[0].status in (413, 502, 400), f"{messages}"
    requests, _ = stand.after()
    assert [r.target for r in requests] == [path], f"{requests}"


def test_a_client_that_leaves_in_a_body_leaves_no_request(stand):
    """9112 8: an incomplete message is never made whole."""
    for framing, body in (("Content-Length: 10", b"hello"),
                          ("Transfer-Encoding: chunked", b"5\r\nhel")):
        with socket.create_connection(("127.0.0.1", stand.proxy.port)) as client:
            client.sendall(f"POST /left HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n".encode() + body)
            time.sleep(0.05)
        time.sleep(0.05)
        requests, _ = stand.after()
        assert not requests, f"{requests}"


def test_a_head_that_comes_byte_by_byte_is_one_request(stand):
    """9112 2.2"""
    head = b"GET /slow HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stand.proxy.port), timeout=PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head:
            client.sendall(bytes([byte]))
            time.sleep(0.001)
        messages, _ = stand.listen(client, 1, ["GET"])
    assert [m.status for m in messages] == [200]
    requests, partial = stand.after()
    assert [r.target for r in requests] == ["/slow"] and not partial


@pytest.mark.parametrize("head, fields, closes", [
    ("HTTP/1.1", "", False), ("HTTP/1.1", "Connection: close\r\n", True),
    ("HTTP/1.1", "Connection: x, CLOSE\r\n", True), ("HTTP/1.0", "", True),
    ("HTTP/1.0", "Connection: keep-alive\r\n", False),
    ("HTTP/1.0", "Connection: keep-alive, close\r\n", True)])
def test_the_connection_persists_as_it_was_said(stand, head, fields, closes):
    """9112 9.3"""
    path = f"/persist-{next(NUMBERS)}"
    with socket.create_connection(("127.0.0.1", stand.proxy.port), timeout=PATIENCE) as client:
        client.sendall(f"GET {path} {head}\r\nHost: a\r\n{fields}\r\n".encode())
        (message,), ended = stand.listen(client, 2 if closes else 1, ["GET", "GET"])
        assert message.status == 200 and ended == closes, f"{message} {ended}"
        said = message.tokens("Connection")
        assert said == (["close"] if closes else [] if head == "HTTP/1.1" else ["keep-alive"])
    requests, partial = stand.after()
    assert [r.target for r in requests] == [path] and not partial


def test_a_refusal_instead_of_100_leaves_no_request_behind(stand):
    """9110 10.1.1: the final answer comes before the body; what follows is body or nothing."""
    path = f"/no-continue-{next(NUMBERS)}"
    stand.recorder.script(path, Script(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
                                       early=True, poison=True))
    hidden = b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"
    head = (f"POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            f"Content-Length: {len(hidden)}\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", stand.proxy.port), timeout=PATIENCE) as client:
        client.sendall(head)
        messages, ended = stand.listen(client, 1, ["POST"])
        assert [m.status for m in messages if m.status != 100] == [401], f"{messages}"
        if not ended:
            try:
                client.sendall(hidden)
            except ConnectionError:
                pass
            time.sleep(0.1)
    requests, _ = stand.after()
    assert [r.target for r in requests] == [path], f"{requests}"


def test_a_1_0_client_is_told_the_end_by_the_close(stand):
    """9112 6.3: no length upstream and no chunks for 1.0, so keep-alive cannot be kept."""
    path = f"/until-close-{next(NUMBERS)}"
    stand.recorder.script(path, Script(b"HTTP/1.1 200 OK\r\n\r\nhello", close=True))
    request = f"GET {path} HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    (message,), ended = stand.talk([request.encode()], 2, ["GET", "GET"])
    assert message.body == b"hello" and ended and message.until_close
    assert message.tokens("Connection") == ["close"]
    stand.after()


# ---- the same bytes, cut at random ----

def cut(data, dice):
    """The bytes in two to six pieces, cut anywhere."""
    places = sorted(dice.sample(range(1, len(data)), dice.randint(1, 5)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nA: b\r\n\r\nhello world", False, b"hello world"),
    (INTERIM + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, b"hello"),
    (INTERIM * 2 + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n"
     b"a\r\n0123456789\r\n0\r\nX: y\r\n\r\n", False, b"hello0123456789"),
    (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nuntil the end", True, b"until the end"),
    (b"HTTP/1.0 200\r\n\r\nuntil the end", True, b"until the end"),
    (b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", False, b""),
]


@pytest.mark.parametrize("seed", range(48))
def test_an_answer_cut_anywhere_arrives_whole(stand, seed):
    """9112 2.2: where packets end means nothing."""
    dice = random.Random(seed)
    data, close, body = ANSWERS[seed % len(ANSWERS)]
    version = dice.choice(("1.1", "1.1", "1.0"))
    path = f"/cut-{next(NUMBERS)}"
    stand.recorder.script(path, Script(*cut(data, dice), close=close, pause=0.004))
    messages, _ = stand.talk([f"GET {path} HTTP/{version}\r\nHost: a\r\n\r\n".encode()], 1)
    interim = [m.status for m in messages if m.status < 200]
    assert interim == [103] * (data.count(b" 103 ") if version == "1.1" else 0), f"{messages}"
    assert messages[-1].body == body and messages[-1].complete, f"{messages}"
    requests, partial = stand.after()
    assert [r.target for r in requests] == [path] and not partial


@pytest.mark.parametrize("seed", range(48))
def test_requests_cut_anywhere_arrive_whole_and_in_order(stand, seed):
    """9112 9.3.2: where packets end means nothing."""
    dice = random.Random(1000 + seed)
    kinds = [dice.choice(("plain", "length", "chunked", "head")) for _ in range(dice.randint(1, 5))]
    data, expected = b"", []
    for kind in kinds:
        path = f"/cut-{next(NUMBERS)}"
        body = bytes(dice.choice(b"\r\n0aG ") for _ in range(dice.randint(1, 40)))
        method = {"plain": "GET", "head": "HEAD"}.get(kind, "POST")
        head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n"
        if kind == "length":
            data += f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        elif kind == "chunked":
            half = len(body) // 2
            data += f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
            for part in (body[:half], body[half:]):
                data += b"%x;a\r\n%b\r\n" % (len(part), part) if part else b""
            data += b"0\r\n\r\n"
        else:
            data, body = data + head.encode() + b"\r\n", b""
        expected.append((method, path, body))
    methods = [method for method, _, _ in expected]
    messages, _ = stand.talk(cut(data, dice), len(expected), methods, pause=0.004)
    requests, partial = stand.after()
    assert [(r.method, r.target, r.body) for r in requests] == expected and not partial
    for (method, path, _), message in zip(expected, messages):
        assert message.status == 200
        assert message.body == (b"" if method == "HEAD" else f"{method} {path}".encode())
