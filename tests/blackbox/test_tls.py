"""test_tls.py -- TLS on a listener: versions, bodies, resumption, limits, renewed certificates."""

import hashlib
import os
import socket
import ssl
import subprocess
import time

import pytest

from harness import net
from harness.crossfade import valgrind
from harness.raw import PATIENCE, request
from harness.tls_upstream import make_authority, make_leaf

BODY = os.urandom(1024 * 1024) * 10
# Seconds for a handshake and a head: under Valgrind a handshake alone takes some.
HEADER = 30 if valgrind() else 1


def make_certificate(folder, name="localhost", days=2):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(days), "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True, capture_output=True)


@pytest.fixture
def proxy(crossfade, upstream, folder):
    make_certificate(folder)
    server = upstream("v1")
    thing = crossfade({"v1": [server.address]}, start=False,
                      extra={"timeouts": {"header": f"{HEADER}s"}})
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
        raw = socket.create_connection(("127.0.0.1", proxy.tls_port), timeout=2 * PATIENCE)
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
    with socket.create_connection(("127.0.0.1", proxy.tls_port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in sock.recv(4096)
    client = Client(proxy)
    assert client.ask("/")[0] == 200
    client.close()


def test_a_handshake_that_stands_still_is_ended(proxy):
    with socket.create_connection(("127.0.0.1", proxy.tls_port), timeout=PATIENCE) as sock:
        sock.sendall(b"\x16\x03\x01\x00\xc8\x01")
        began = time.monotonic()
        assert sock.recv(4096) == b""
        assert HEADER / 2 < time.monotonic() - began < 5 * HEADER


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


def add_to_tls(proxy, **keys):
    proxy.config["listeners"][1]["tls"].update({k: str(v) for k, v in keys.items()})
    proxy.write_config()


def reloaded(proxy):
    seen = proxy.log.count("event=edition.over")
    proxy.reload()  # what the kernel had given to the old workers by then is theirs
    net.wait_until(lambda: proxy.log.count("event=edition.over") > seen, 20, "the old workers' end")


def served_name(proxy, name):
    """Whose certificate is shown to a client that asks for `name`."""
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.tls_port}",
         *(["-servername", name] if name else ["-noservername"])],
        stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=PATIENCE).stdout
    return shown.split("subject=")[1].split("\n")[0].split("CN = ")[1]


def test_the_certificate_is_the_one_of_the_name_asked_for(proxy, folder):
    authority = make_authority(folder, "authority")
    tls = [proxy.config["listeners"][1]["tls"]]
    for name, alternatives in (("one.example", "DNS:one.example"),
                               ("wild.example", "DNS:*.wild.example")):
        certificate, key = make_leaf(folder, authority, name, alternatives)
        tls.append({"certificate": str(certificate), "key": str(key)})
    proxy.config["listeners"][1]["tls"] = tls
    proxy.write_config()
    reloaded(proxy)
    for asked, shown in (("one.example", "one.example"), ("a.wild.example", "wild.example"),
                         ("localhost", "localhost"), ("other.example", "localhost"),
                         (None, "localhost")):
        assert served_name(proxy, asked) == shown
    expiry = [name for name in proxy.metrics() if "certificate_expiry" in name]
    assert len(expiry) == 3


def test_clients_need_the_certificate_that_is_asked_for(proxy, folder):
    authority, stranger = make_authority(folder, "clients"), make_authority(folder, "strangers")
    good = make_leaf(folder, authority, "good-client")
    bad = make_leaf(folder, stranger, "bad-client")
    open_rules = context()
    _, ticket = resumes(proxy, open_rules, None)
    add_to_tls(proxy, client_ca=authority[0])
    reloaded(proxy)
    rules = context()
    rules.load_cert_chain(*good)
    session = None
    for resumed in (False, True, True):
        reused, session = resumes(proxy, rules, session)
        assert reused == resumed
    strange = context()
    strange.load_cert_chain(*bad)
    # The ticket was given when nobody had to prove anything: it opens nothing.
    for refused, session in ((context(), None), (strange, None), (open_rules, ticket)):
        with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
            client = Client(proxy, refused, session)
            try:  # in 1.3 the refusal comes behind the client's end of the handshake
                client.ask("/")
            finally:
                client.close()


def test_a_fleet_shares_the_keys_of_tickets_through_a_file(proxy, folder):
    keys = folder / "ticket.keys"
    first, second = os.urandom(80), os.urandom(80)
    keys.write_bytes(first)
    add_to_tls(proxy, ticket_keys_file=keys)
    assert proxy.terminate() == 0
    proxy.start()
    rules = context()
    _, session = resumes(proxy, rules, None)
    assert proxy.terminate() == 0
    proxy.start()  # as another host of the fleet, with the same file
    reused, session = resumes(proxy, rules, session)
    assert reused
    keys.write_bytes(second + first)
    reloaded(proxy)
    reused, session = resumes(proxy, rules, session)
    assert reused
    keys.write_bytes(second)
    reloaded(proxy)
    reused, session = resumes(proxy, rules, session)  # it was sealed with the second by then
    assert reused
    keys.write_bytes(os.urandom(80))
    reloaded(proxy)
    assert not resumes(proxy, rules, session)[0]
    keys.write_bytes(b"short")
    assert "expected one to 3 keys of 80 bytes" in \
        proxy.cli("check", "-c", proxy.config_path, check=2).err


def test_metrics_tell_when_the_served_certificate_ends(proxy, folder):
    name = (f'crossfade_tls_certificate_expiry_timestamp_seconds'
            f'{{listener="127.0.0.1:{proxy.tls_port}",certificate="{folder}/tls.crt"}}')
    before = proxy.metrics()[name]
    assert 86400 < before - time.time() < 2 * 86400 + 5
    make_certificate(folder, days=30)
    assert proxy.metrics()[name] == before  # not loaded yet
    reloaded(proxy)
    net.wait_until(lambda: proxy.metrics()[name] - time.time() > 29 * 86400, 5, "the new one")
