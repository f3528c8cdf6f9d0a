"""test_tls.py -- TLS on a listener: versions, bodies, resumption, limits, renewed certificates."""

import hashlib
import os
import socket
import ssl
import subprocess
import time

import pytest

from harness import net
from harness.raw import request

BODY = os.urandom(1024 * 1024) * 10


def make_certificate(folder, name="localhost"):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True, capture_output=True)


@pytest.fixture
def proxy(crossfade, upstream, folder):
    make_certificate(folder)
    server = upstream("v1")
    thing = crossfade({"v1": [server.address]}, start=False,
                      extra={"timeouts": {"header": "1s"}})
    thing.tls_port = net.free_port()
    thing.config["listeners"].append({
        "bind": f"127.0.0.1:{thing.tls_port}", "service": thing.service,
        "tls": {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")}})
    thing.write_config()
    return thing.start()


def context(version=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


class Client:
    """One connection over TLS."""

    def __init__(self, proxy, rules=None, session=None):
        raw = socket.create_connection(("127.0.0.1", proxy.tls_port), timeout=20)
        self.sock = (rules or context()).wrap_socket(raw, server_hostname="localhost",
                                                     session=session)
        self.file = self.sock.makefile("rb")

    def ask(self, path, body=None):
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        self.sock.sendall(head.encode() + b"\r\n" + (body or b""))
        return self.answer()

    def answer(self):
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, self.file.read(int(headers["content-length"]))

    def close(self):
        self.file.close()
        self.sock.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_follow_each_other_on_one_connection(proxy, version):
    client = Client(proxy, context(version))
    for _ in range(20):
        assert client.ask("/") == (200, b"v1\n")
    status, head = client.ask("/headers")
    assert status == 200 and b"x-forwarded-proto: https" in head.lower()
    client.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_ten_mebibytes_go_both_ways_unchanged(proxy, version):
    client = Client(proxy, context(version))
    for _ in range(2):
        status, body = client.ask("/echo", BODY)
        assert status == 200
        assert hashlib.sha256(body).digest() == hashlib.sha256(BODY).digest()
    client.close()


def test_a_slow_reader_gets_every_byte(proxy):
    client = Client(proxy)
    client.sock.sendall(b"GET /bytes/20000001 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(0.5)
    status, body = client.answer()
    assert status == 200 and body == b"x" * 20000001
    assert client.ask("/") == (200, b"v1\n")
    client.close()


def test_pipelined_requests_are_answered_in_order(proxy):
    client = Client(proxy)
    client.sock.sendall(b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % size
                                 for size in range(1, 60)))
    for size in range(1, 60):
        assert client.answer() == (200, b"x" * size)
    client.close()


def test_the_end_is_said_with_close_notify(proxy):
    client = Client(proxy)
    client.sock.suppress_ragged_eofs = False
    client.sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert client.answer()[0] == 200
    assert client.sock.recv(1) == b""  # raises without close_notify
    client.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(proxy):
    rules = context()
    rules.minimum_version = ssl.TLSVersion.TLSv1
    rules.maximum_version = ssl.TLSVersion.TLSv1_1
    rules.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        Client(proxy, rules)


def test_alpn_answers_http_1_1_and_nothing_else(proxy):
    rules = context()
    rules.set_alpn_protocols(["h2", "http/1.1"])
    client = Client(proxy, rules)
    assert client.sock.selected_alpn_protocol() == "http/1.1"
    client.close()
    rules = context()
    rules.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError):
        Client(proxy, rules)


def test_plain_text_is_closed_in_order(proxy):
    with socket.create_connection(("127.0.0.1", proxy.tls_port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in sock.recv(4096)
    client = Client(proxy)
    assert client.ask("/")[0] == 200
    client.close()


def test_a_handshake_that_stands_still_is_ended(proxy):
    with socket.create_connection(("127.0.0.1", proxy.tls_port), timeout=10) as sock:
        sock.sendall(b"\x16\x03\x01\x00\xc8\x01")
        began = time.monotonic()
        assert sock.recv(4096) == b""
        assert 0.5 < time.monotonic() - began < 5


def resumes(proxy, rules, session):
    """Whether a new connection resumes it; then the session of that one."""
    client = Client(proxy, rules, session)
    assert client.ask("/")[0] == 200
    reused, latest = client.sock.session_reused, client.sock.session
    client.close()
    return reused, latest


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_resume_in_every_worker_and_after_a_reload(proxy, folder, version):
    rules = context(version)
    _, session = resumes(proxy, rules, None)
    for _ in range(12):  # two workers share the connections
        reused, session = resumes(proxy, rules, session)
        assert reused
    make_certificate(folder, "renewed")
    proxy.reload()
    net.wait_until(lambda: "event=reload.done" in proxy.log, 20, "the reload")
    for _ in range(6):
        reused, session = resumes(proxy, rules, session)
        assert reused


def common_name(proxy):
    client = Client(proxy)
    found = ssl.DER_cert_to_PEM_cert(client.sock.getpeercert(True))
    client.close()
    return subprocess.run(["openssl", "x509", "-noout", "-subject"], input=found, text=True,
                          check=True, capture_output=True).stdout


def test_a_renewed_certificate_is_served_after_sighup_and_a_bad_one_is_not(proxy, folder):
    old = Client(proxy)
    assert old.ask("/")[0] == 200
    make_certificate(folder, "renewed")
    proxy.reload()
    net.wait_until(lambda: "event=reload.done" in proxy.log, 20, "the reload")
    # The old workers still serve whom the kernel had given them by then.
    net.wait_until(lambda: "renewed" in common_name(proxy), 5, "the renewed certificate")
    assert old.ask("/")[0] == 200  # its connection was not cut
    old.close()
    (folder / "tls.crt").write_text("nonsense\n")
    proxy.reload()
    net.wait_until(lambda: "event=reload.refused" in proxy.log, 20, "the refusal")
    assert "tls.crt" in proxy.log
    assert "renewed" in common_name(proxy)


def test_a_key_of_another_certificate_is_told_by_check_and_at_the_start(proxy, folder):
    kept = (folder / "tls.crt").read_text()
    make_certificate(folder)
    (folder / "tls.crt").write_text(kept)
    told = proxy.cli("check", "-c", proxy.config_path, check=2)
    assert "listeners[1].tls.key" in told.err and "tls.key" in told.err
    assert proxy.terminate() == 0
    ended = proxy.cli("serve", "-c", proxy.config_path, check=2)
    assert "listeners[1].tls.key" in ended.err


def test_plain_listeners_beside_it_stay_plain(proxy):
    answer = request(proxy.port, "/headers")
    assert b"x-forwarded-proto: http\r" in answer.body.lower()
