"""test_tls_upstream.py -- TLS to servers: who is believed, what is reused, what a failure means."""

import hashlib
import os
import socket
import time

import pytest

from harness import net
from harness.crossfade import valgrind
from harness.raw import request
from harness.tls_upstream import RudeTls, TlsNginx, make_authority, make_leaf

# A handshake is a part of connecting, and under Valgrind it alone takes a second.
CONNECT = 20 if valgrind() else 1


@pytest.fixture
def world(folder, started, crossfade):
    """Authorities, a certificate for 127.0.0.1 and kong.example, and makers of things."""
    class World:
        authority = make_authority(folder, "authority")
        stranger = make_authority(folder, "stranger")
        leaf = make_leaf(folder, authority, "kong.example", "DNS:kong.example,IP:127.0.0.1")

        @staticmethod
        def nginx(name="v1", **how):
            thing = TlsNginx(folder, name, World.leaf, **how)
            started.append(thing)
            return thing

        @staticmethod
        def rude(answer, polite=False):
            thing = RudeTls(World.leaf, answer, polite)
            started.append(thing)
            return thing

        @staticmethod
        def proxy(servers, tls=None, **cluster):
            tls = {"ca": str(World.authority[0])} if tls is None else tls
            thing = crossfade({"v1": []}, workers=1, start=False, extra={
                "timeouts": {"connect": f"{CONNECT}s"},
                "clusters": {"v1": {"servers": servers, "tls": tls, **cluster}}})
            thing.start(ready=False)  # not all of them ever answer well
            net.wait_until(lambda: net.accepts(thing.port), 100 if valgrind() else 20, "the listener")
            return thing
    return World


def test_requests_share_one_connection_to_a_server_that_proved_itself(world):
    server = world.nginx()
    proxy = world.proxy([server.address])
    for _ in range(20):
        answer = request(proxy.port, "/")
        assert (answer.status, answer.body) == (200, b"v1\n")
    entries = server.logged(20)
    assert len(entries) >= 20
    assert len({entry[0] for entry in entries}) == 1  # one handshake for all
    assert entries[0][3] == "TLSv1.3"
    assert entries[0][1] == "-"  # an address is no name


def test_the_name_is_sent_and_verified(world):
    server = world.nginx()
    ca = str(world.authority[0])
    proxy = world.proxy([server.address], {"ca": ca, "server_name": "kong.example"})
    assert request(proxy.port, "/").status == 200
    assert server.logged(1)[0][1] == "kong.example"
    proxy = world.proxy([server.address], {"ca": ca, "server_name": "other.example"})
    assert request(proxy.port, "/").status == 502
    assert "event=upstream.tls_failed" in proxy.log and "hostname mismatch" in proxy.log
    proxy = world.proxy([server.address],
                        {"ca": ca, "server_name": "other.example", "verify": False})
    assert request(proxy.port, "/").status == 200


def test_a_stranger_is_not_believed_but_where_verify_is_off(world):
    server = world.nginx()
    proxy = world.proxy([server.address], {"ca": str(world.stranger[0])})
    assert request(proxy.port, "/").status == 502
    assert server.log_entries() == []
    assert "the certificate is refused" in proxy.log
    proxy = world.proxy([server.address], {})  # the system does not know it either
    assert request(proxy.port, "/").status == 502
    proxy = world.proxy([server.address], {"verify": False})
    assert request(proxy.port, "/").status == 200


def test_a_server_without_tls_is_a_failed_connection_and_another_is_tried(world, nginx):
    plain, good = nginx("plain"), world.nginx("good")
    proxy = world.proxy([plain.address, good.address])
    for number in range(20):
        answer = request(proxy.port, "/", method="POST", body=b"x" * number)
        assert (answer.status, answer.body) == (200, b"good\n")
    assert "event=upstream.tls_failed" in proxy.log


def test_the_handshake_is_a_part_of_connecting(world):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = world.proxy(["127.0.0.1:%d" % silent.getsockname()[1]])
        began = time.monotonic()
        assert request(proxy.port, "/").status == 502
        assert CONNECT - 0.1 < time.monotonic() - began < 10 * CONNECT


def test_a_client_certificate_is_shown(world, folder):
    leaf = make_leaf(folder, world.authority, "crossfade")
    server = world.nginx(rules=f"ssl_client_certificate {world.authority[0]}; "
                               f"ssl_verify_client on;")
    ca = str(world.authority[0])
    proxy = world.proxy([server.address], {"ca": ca, "certificate": str(leaf[0]),
                                           "key": str(leaf[1])})
    assert request(proxy.port, "/").status == 200
    assert "crossfade" in server.logged(1)[0][4]
    proxy = world.proxy([server.address], {"ca": ca})
    assert request(proxy.port, "/").status == 400  # nginx's word


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
def test_a_new_connection_resumes_the_last_session(world, protocol):
    server = world.nginx(protocols=protocol, rules="keepalive_requests 1;")
    proxy = world.proxy([server.address])
    for _ in range(5):
        assert request(proxy.port, "/").status == 200
        time.sleep(0.05)
    entries = server.logged(5)
    assert [entry[2] for entry in entries] == [False, True, True, True, True]
    assert {entry[3] for entry in entries} == {protocol}


def test_groups_are_those_configured(world):
    server = world.nginx(rules="ssl_ecdh_curve P-384;")
    ca = str(world.authority[0])
    proxy = world.proxy([server.address], {"ca": ca})
    assert request(proxy.port, "/").status == 502
    proxy = world.proxy([server.address], {"ca": ca, "groups": "P-384"})
    assert request(proxy.port, "/").status == 200


def test_large_bodies_pass_unchanged(world):
    server = world.nginx()
    body = os.urandom(1024 * 1024) * 8
    wanted = hashlib.sha256(body).digest()
    (server.folder / "files" / "large").write_bytes(body)
    proxy = world.proxy([server.address])
    for _ in range(3):
        answer = request(proxy.port, "/file/large")
        assert answer.status == 200 and hashlib.sha256(answer.body).digest() == wanted


@pytest.mark.parametrize("polite", [True, False])
def test_an_end_without_close_notify_is_no_end(world, polite):
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    server = world.rude(head + b"part", polite)
    proxy = world.proxy([server.address])
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = b""
        try:
            while b"0\r\n\r\n" not in got:
                piece = sock.recv(65536)
                if not piece:
                    break
                got += piece
        except ConnectionResetError:
            pass
    assert (got.endswith(b"0\r\n\r\n")) == polite  # the last chunk vouches for the whole
    if not polite:
        net.wait_until(lambda: "cut short" in proxy.log, 5, "the truncation in the log")


def test_a_whole_answer_needs_no_close_notify(world):
    server = world.rude(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell")
    proxy = world.proxy([server.address])
    for _ in range(3):
        answer = request(proxy.port, "/")
        assert (answer.status, answer.body) == (200, b"well")


def test_checks_speak_tls_and_say_why_they_fail(world):
    server = world.nginx()
    ca = str(world.authority[0])
    check = {"path": "/check", "every": "100ms", "timeout": "1s", "rise": 1, "fall": 2}
    proxy = world.proxy([server.address], {"ca": ca}, check=check)
    net.wait_until(lambda: len(server.log_entries("/check")) >= 3, 10, "checks")
    assert request(proxy.port, "/").status == 200
    proxy = world.proxy([server.address], {"ca": str(world.stranger[0])}, check=check)
    net.wait_until(lambda: "event=server.down" in proxy.log, 10, "the server to be down")
    assert 'reason="TLS: ' in proxy.log
    assert request(proxy.port, "/").status == 503


def test_files_that_do_not_fit_are_told_by_check(world, folder):
    (folder / "nonsense.crt").write_text("nonsense\n")
    proxy = world.proxy([world.nginx().address])
    for tls, said in (
            ({"ca": str(folder / "nonsense.crt")}, "clusters.v1.tls.ca"),
            ({"certificate": str(world.leaf[0]), "key": str(world.authority[1])},
             "clusters.v1.tls.key"),
            ({"certificate": str(world.leaf[0])}, "belong together"),
            ({"groups": "Z-1"}, "clusters.v1.tls.groups")):
        proxy.config["clusters"]["v1"]["tls"] = tls
        proxy.write_config()
        assert said in proxy.cli("check", "-c", proxy.config_path, check=2).err
