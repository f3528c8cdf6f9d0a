"""The PROXY protocol: from a balancer in front, and towards the servers."""

import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from harness import net
from harness.raw import Raw

pytestmark = pytest.mark.slow

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n"


def version2(client, server="198.51.100.1", port=4711, command=0x21):
    body = socket.inet_aton(client) + socket.inet_aton(server) + struct.pack(">HH", port, 443)
    return SIGNATURE + bytes([command, 0x11]) + struct.pack(">H", len(body)) + body


class Listener:
    """A server that keeps what each connection brought and answers every head."""

    def __init__(self):
        self.seen = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        got = b""
        with connection:
            connection.settimeout(10)
            while True:
                try:
                    more = connection.recv(65536)
                except OSError:
                    more = b""
                if not more:
                    return
                got += more
                if got.endswith(b"\r\n\r\n") and b"HTTP/1.1" in got:
                    self.seen.append(got)
                    got = b""
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def end(self):
        self.socket.close()


@pytest.fixture
def server(started):
    made = Listener()
    started.append(made)
    return made


def say(port, *pieces):
    """Sends the pieces apart; what came back until the end or an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
            time.sleep(0.02)
        got = b""
        while not got.endswith(b"ok"):
            try:
                more = client.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            got += more
        return got


@pytest.fixture
def made(crossfade, server):
    thing = crossfade({"v1": [server.address]}, workers=1, start=False,
                      extra={"forwarded": {"trusted": ["10.0.0.0/8"]}})
    thing.balanced = net.free_port()
    thing.config["listeners"].append({"bind": f"127.0.0.1:{thing.balanced}", "service": "gateway",
                                      "proxy_protocol": True})
    thing.write_config()
    return thing.start()


def field(head, name):
    found = [line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(name.lower() + b": ")]
    return found[0].decode() if found else None


def test_the_header_names_the_client(made, server):
    rows = [
        ([b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n" + GET], "192.0.2.7"),
        ([b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n" + GET], "2001:db8::7"),
        ([version2("192.0.2.8") + GET], "192.0.2.8"),
        ([bytes([byte]) for byte in version2("192.0.2.9")] + [GET], "192.0.2.9"),
        ([b"PROXY UNKNOWN\r\n", GET], "127.0.0.1"),
        ([version2("192.0.2.8", command=0x20) + GET], "127.0.0.1"),
    ]
    for pieces, client in rows:
        before = len(server.seen)
        assert say(made.balanced, *pieces).startswith(b"HTTP/1.1 200"), client
        head = server.seen[before]
        assert field(head, b"X-Real-IP") == client and field(head, b"X-Forwarded-For") == client
        assert b"PROXY" not in head and b"QUIT" not in head


def test_what_is_believed_is_asked_about_the_named_address(made, server):
    before = len(server.seen)
    assert say(made.balanced, version2("10.1.2.3") + GET).startswith(b"HTTP/1.1 200")
    assert field(server.seen[before], b"X-Forwarded-For") == "9.9.9.9, 10.1.2.3"


def test_who_sends_no_good_header_is_not_served(made, server):
    before = len(server.seen)
    for pieces in ([GET], [b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n" + GET], [version2("1.2.3.4", command=0x22) + GET],
                   [b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + GET], [SIGNATURE[:5] + b"x" + GET]):
        assert say(made.balanced, *pieces) == b"", pieces
    assert say(made.port, version2("1.2.3.4") + GET).startswith(b"HTTP/1.1 400")  # not expected there
    assert all(b"1.2.3.4" not in head for head in server.seen[before:])


def test_the_header_stands_before_tls(made, server):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=localhost", "-keyout", made.folder / "k", "-out", made.folder / "c"],
                   check=True, capture_output=True)
    made.config["listeners"][1]["tls"] = {"certificate": str(made.folder / "c"), "key": str(made.folder / "k")}
    made.write_config()
    made.terminate()
    made.start()
    rules = ssl.create_default_context()
    rules.check_hostname, rules.verify_mode = False, ssl.CERT_NONE
    before = len(server.seen)
    with socket.create_connection(("127.0.0.1", made.balanced), timeout=10) as client:
        client.sendall(version2("192.0.2.10"))
        with rules.wrap_socket(client) as wrapped:
            wrapped.sendall(GET)
            assert wrapped.recv(1000).startswith(b"HTTP/1.1 200")
    assert field(server.seen[before], b"X-Real-IP") == "192.0.2.10"
    assert field(server.seen[before], b"X-Forwarded-Proto") == "https"


def test_the_servers_are_told_the_client(crossfade, server):
    made = crossfade({"v1": [server.address]}, workers=1, start=False)
    made.config["clusters"]["v1"]["send_proxy"] = True
    made.write_config()
    made.start()
    server.seen.clear()
    with Raw(made.port) as one:
        for _ in range(2):
            assert one.get("/x").status == 200
    net.wait_until(lambda: len(server.seen) >= 2, 5, "two requests")
    for head in server.seen[-2:]:  # each on a connection of its own
        assert head.startswith(SIGNATURE + b"\x21\x11\x00\x0c" + socket.inet_aton("127.0.0.1") * 2), head
        assert struct.unpack(">H", head[26:28])[0] == made.port
        assert head[28:].startswith(b"GET /x HTTP/1.1\r\n")
    net.wait_until(lambda: made.status()["clusters"]["v1"]["servers"][0]["up"], 5, "checks with LOCAL")
