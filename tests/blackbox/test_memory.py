"""test_memory.py -- memory that cannot be had in a worker costs requests, never the worker."""

import contextlib
import socket
import ssl
import subprocess
import time

import pytest

from harness.failing import Failing
from harness.net import wait_until
from harness.raw import Raw, request

KINDS = (
    b"GET /bytes/400000 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"GET /part HTTP/1.1\r\nA: " + b"b" * 9000,
    b"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    b"GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + b"x" * 40000)


def hello():
    """The first bytes of a TLS client."""
    to_server = ssl.MemoryBIO()
    rules = ssl.create_default_context()
    rules.check_hostname, rules.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        rules.wrap_bio(ssl.MemoryBIO(), to_server).do_handshake()
    return to_server.read()


def connect(port, data):
    client = socket.create_connection(("127.0.0.1", port), 5)
    with contextlib.suppress(OSError):
        client.sendall(data)
    return client


def in_flight(proxy):
    return {name: value for name, value in proxy.metrics().items() if value and
            ("in_flight" in name or "tunnels" in name or name == "crossfade_client_connections")}


@pytest.mark.release_only
def test_a_worker_outlives_every_lack_of_memory(crossfade, upstream, folder):
    failing = Failing(folder)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True)
    proxy = crossfade({"web-v1": [upstream().address], "web-v2": [upstream("web-v2").address]},
                      start=False, environment=failing.environment,
                      extra={"access_log": {"path": str(folder / "access.log")}})
    with socket.create_server(("127.0.0.1", 0)) as free:
        secured = free.getsockname()[1]
    proxy.config["listeners"].append({"bind": f"127.0.0.1:{secured}", "service": "gateway", "tls": {
        "certificate": str(certificate), "key": str(key)}})
    proxy.write_config()
    proxy.start()
    proxy.cli("start", "--to", "web-v2", check=0)
    proxy.cli("weight", "50%", check=0)
    workers = [each.pid for each in proxy.workers()]
    for one_in in (20, 5, 2, 1):
        failing.let(one_in)
        held = [connect(proxy.port, KINDS[i % len(KINDS)]) for i in range(120)]
        held += [connect(secured, hello()) for _ in range(20)]
        time.sleep(0.4)  # answers come, which nobody reads
        failing.let(0)
        for client in held:
            client.close()
        assert [each.pid for each in proxy.workers()] == workers, proxy.log[-3000:]
    assert failing.failed > 100, "hardly anything failed: the test tries nothing"
    for _ in range(20):
        assert request(proxy.port, "/bytes/90000").status == 200
    with Raw(proxy.port) as client:
        assert client.get("/echo", method="POST", body=b"x" * 70000).body == b"x" * 70000
    wait_until(lambda: not in_flight(proxy), 10, "every gauge at 0")
