"""test_admin_port.py -- the admin port: tokens, roles, names, and the command line from afar."""

import json
import os
import stat
import subprocess

import pytest

from harness import net, processes
from harness.crossfade import TREE, sanitized
from harness.raw import Closed, Raw, request
from wire_cases import send_all_requests

pytestmark = pytest.mark.slow

SERVICE = "/v1/services/gateway/"


class Port:
    """A proxy with an admin port and one token of each role."""

    def __init__(self, crossfade, nginx, listeners=()):
        self.number = net.free_port()
        self.listeners = []  # of events
        webs = {name: [nginx(name).address] for name in ("web-v1", "web-v2")}
        self.proxy = crossfade(webs, start=False)
        self.proxy.config["listeners"] += list(listeners)
        self.tokens_file = self.proxy.folder / "tokens"
        self.proxy.config["admin"].update(listen=f"127.0.0.1:{self.number}",
                                          tokens_file=str(self.tokens_file))
        self.proxy.write_config()
        self.tokens = {role: self.add(role) for role in ("viewer", "operator", "admin")}
        self.proxy.start()

    def token(self, *arguments, check=0):
        return self.proxy.cli("token", *arguments, "-c", self.proxy.config_path, check=check)

    def add(self, role, name=None):
        return self.token("add", "--role", role, "--name", name or role).out.strip()

    def ask(self, path, role=None, method="GET", body=None, host="localhost", headers=(),
            token=None):
        token = token or self.tokens.get(role)
        headers = list(headers) + ([("Authorization", f"Bearer {token}")] if token else [])
        data = b"" if body is None else json.dumps(body).encode()
        return request(self.number, path, method=method, host=host, headers=headers, body=data)

    def afar(self, role, *arguments, check=None):
        """The command line over the port, with that role's token."""
        place = self.proxy.folder / f"{role}.token"
        place.write_text(self.tokens[role] + "\n")
        return self.proxy.cli("--url", f"http://127.0.0.1:{self.number}", "--token-file", place,
                              *arguments, check=check)


@pytest.fixture
def port(crossfade, nginx):
    made = Port(crossfade, nginx)
    yield made
    for each in made.listeners:
        each.raw.close()


def test_without_a_token_only_probes_and_to_this_host_the_metrics(port):
    for path in ("/healthz", "/readyz"):
        assert port.ask(path, host="balancer.example").status == 200
    assert b"crossfade_build_info" in port.ask("/metrics").body
    for path in ("/v1/services", SERVICE + "status", SERVICE + "history", "/v1/servers"):
        answer = port.ask(path)
        assert answer.status == 401 and answer.header("WWW-Authenticate").startswith("Bearer")
        assert json.loads(answer.body)["exit"] == 8
    assert port.ask(SERVICE + "pause", method="POST", body={}).status == 401
    assert port.ask("/metrics", host="evil.example").status == 403
    assert port.ask("/metrics", "viewer", host="edge-1.example:9180").status == 200


def test_a_role_may_what_it_may_and_no_more(port):
    proxy = port.proxy
    proxy.cli("start", "--to", "web-v2", check=0)
    table = [
        ("viewer", "GET", "status", None, 200),
        ("viewer", "GET", "why", None, 200),
        ("viewer", "POST", "pause", {}, 403),
        ("viewer", "POST", "abort", {}, 403),
        ("operator", "POST", "weight", {"arguments": {"weight": 2500}}, 200),
        ("operator", "POST", "weight", {"arguments": {"weight": 3000, "force": True}}, 403),
        ("operator", "POST", "drain", {"arguments": {"cluster": "web-v1", "now": True}}, 403),
        ("operator", "POST", "finalize", {"arguments": {"skip": 1}}, 403),
        ("operator", "POST", "forget", {"arguments": {"proxy": "edge-9"}}, 403),
        ("admin", "POST", "forget", {"arguments": {"proxy": "edge-9"}}, 400),
        ("admin", "POST", "weight", {"arguments": {"weight": 3000, "force": True}}, 200),
        ("operator", "POST", "nothing", {}, 404),
        ("operator", "GET", "pause", None, 405),
    ]
    for role, method, what, body, status in table:
        answer = port.ask(SERVICE + what, role, method, body)
        assert answer.status == status, (role, method, what, body, answer.body)
        if status == 403:
            assert json.loads(answer.body)["exit"] == 8
    entries = proxy.cli("history", "-o", "json", check=0).json["entries"]
    assert entries[-1]["actor"] == "token admin"


def test_the_command_line_works_from_afar(port):
    assert port.afar("viewer", "status", "-o", "json", check=0).json["service"] == "gateway"
    assert "needs the role operator" in port.afar("viewer", "start", "--to", "web-v2", check=8).err
    port.afar("operator", "start", "--to", "web-v2", "--actor", "jane@laptop", check=0)
    port.afar("operator", "weight", "25%", check=0)
    assert "needs the role admin" in port.afar("operator", "weight", "30%", "--force",
                                               check=8).err
    done = port.proxy.cli("status", "-o", "json", check=0).json
    assert done["weight"]["desired"] == 25.0
    log = port.proxy.cli("history", "-o", "json", check=0).json["entries"]
    assert any(entry["actor"] == "jane@laptop (token operator)" for entry in log)
    url = f"http://127.0.0.1:{port.number}"
    assert port.proxy.cli("status", "--url", url, check=8).code == 8
    assert port.proxy.cli("wait", "--for", "safe", "--timeout", "1s", "--url", url).code == 8


def test_tokens_are_shown_once_hashed_and_taken_away_at_once(port):
    text = port.tokens_file.read_text()
    assert stat.S_IMODE(os.stat(port.tokens_file).st_mode) == 0o600
    assert not any(token in text or token[3:] in text for token in port.tokens.values())
    made = port.token("add", "--role", "viewer", "--name", "ci", "-o", "json").json
    assert made["role"] == "viewer" and made["name"] == "ci"
    assert port.ask("/v1/services", token=made["token"]).status == 200
    names = [entry["name"] for entry in port.token("list", "-o", "json").json["tokens"]]
    assert names == ["viewer", "operator", "admin", "ci"]
    assert made["token"] not in port.token("list").out
    assert "already" in port.token("add", "--role", "admin", "--name", "ci", check=2).err
    port.token("remove", "ci")
    assert port.ask("/v1/services", token=made["token"]).status == 401
    port.token("remove", "ci", check=1)
    for wrong in (("add",), ("add", "--role", "king"), ("remove",), ("list", "x"), ("sell",),
                  ("add", "--role", "viewer", "--name", "a b")):
        port.token(*wrong, check=2)


def test_other_sites_and_other_names_are_refused(port):
    token = port.tokens["admin"]
    for host in ("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.org"):
        assert port.ask(SERVICE + "status", token=token, host=host).status == 403
    for host in ("localhost", f"127.0.0.1:{port.number}", "[::1]:9180", os.uname().nodename):
        assert port.ask(SERVICE + "status", token=token, host=host).status == 200
    here = f"127.0.0.1:{port.number}"
    for origin, status in ((f"http://{here}", 200), ("http://evil.example", 403), ("null", 403),
                           ("http://127.0.0.1:1", 403)):
        answer = port.ask(SERVICE + "status", token=token, host=here,
                          headers=[("Origin", origin)])
        assert answer.status == status, origin


def test_who_fails_to_log_in_too_often_must_wait(port):
    answers = [port.ask("/v1/services", token="cf_" + f"{i:064x}").status for i in range(12)]
    assert answers == [401] * 10 + [429] * 2
    answer = port.ask("/v1/services", "admin")
    assert answer.status == 429 and 0 < int(answer.header("Retry-After")) <= 60
    assert port.ask("/healthz").status == 200
    assert "event=admin.login_failed" in port.proxy.log
    assert port.proxy.status()["service"] == "gateway"  # the socket is not concerned


def test_a_repeated_key_acts_once_and_the_signal_is_found_by_its_key(port):
    port.proxy.cli("start", "--to", "web-v2", check=0)
    key = [("Idempotency-Key", "5f0c9a3e-one")]
    first, again = (port.ask(SERVICE + "weight", "operator", "POST",
                             {"arguments": {"weight": 1000}}, headers=key) for _ in range(2))
    assert first.status == 200 and json.loads(first.body) == json.loads(again.body)
    assert port.ask(SERVICE + "weight", "operator", "POST", {},
                    headers=[("Idempotency-Key", "x" * 100)]).status == 400
    assert port.ask(SERVICE + "signal/to-web-v2%2F1", "viewer").status == 404
    assert port.ask(SERVICE + "signal/to-web-v2/1", "viewer").status == 404


def test_bytes_that_are_no_request_are_refused_and_harm_nobody(port):
    agent = port.proxy.child("agent").pid
    send_all_requests(lambda: Raw(port.number, timeout=5))
    assert port.ask(SERVICE + "status", "viewer").status == 200
    assert port.proxy.child("agent").pid == agent


def test_many_scrapes_and_readers_that_stop_cost_no_memory_and_lock_nobody_out(port):
    agent = port.proxy.child("agent").pid
    before = processes.memory_kib(agent)
    scrape = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    stuck = []
    for _ in range(100):  # more than may be connected, none of them reads
        connection = Raw(port.number)
        connection.send(scrape * 20)
        stuck.append(connection)
    scrapes = 500 if sanitized() else 10000
    done = 0
    while done < scrapes:
        with Raw(port.number) as connection:
            try:
                while done < scrapes:
                    assert connection.get("/metrics", host="localhost").status == 200
                    done += 1
            except (Closed, OSError):
                pass  # it had to make room for another
    for connection in stuck:
        connection.close()
    assert port.proxy.status()["service"] == "gateway"
    assert port.proxy.child("agent").pid == agent
    if not sanitized():
        assert processes.memory_kib(agent) < before + 32 * 1024


class Events:
    """A listener of /v1/events."""

    def __init__(self, port, path="/v1/events"):
        self.raw = Raw(port.number)
        port.listeners.append(self)
        self.raw.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                      f"Authorization: Bearer {port.tokens['viewer']}\r\n\r\n")
        self.status, self.headers, _ = self.raw.read_head()

    def next(self):
        lines = self.raw.until(b"\n\n").decode().split("\n")
        assert lines[0] == "event: change" and lines[1].startswith("data: ")
        return json.loads(lines[1][6:])

    def until(self, condition):
        while True:
            event = self.next()
            if condition(event):
                return event


def test_events_tell_every_change_as_it_comes(port):
    listeners = [Events(port), Events(port, "/events")]
    for each in listeners:
        assert each.status == 200 and ("Content-Type", "text/event-stream") in each.headers
        first = each.next()
        assert first["service"] == "gateway" and first["state"] == "idle"
    port.proxy.cli("start", "--to", "web-v2", check=0)
    port.proxy.cli("weight", "12.5%", check=0)
    for each in listeners:
        seen = each.until(lambda event: event["weight"] == {"desired": 12.5, "actual": 12.5})
        assert seen["state"] == "shifting" and "operator" in seen["holds"]
        assert seen["cutover"] == "to-web-v2/1" and seen["generation"] >= 2
    assert port.ask("/v1/events").status == 401


def test_listeners_are_bounded_and_leave_room_for_others(port):
    agent = port.proxy.child("agent").pid
    listeners = [Events(port) for _ in range(32)]
    assert all(each.status == 200 for each in listeners)
    assert Events(port).status == 503
    assert port.ask(SERVICE + "status", "viewer").status == 200
    for each in listeners[1:]:
        each.raw.close()
    port.proxy.cli("start", "--to", "web-v2", check=0)
    listeners[0].until(lambda event: event["state"] == "shifting")
    net.wait_until(lambda: Events(port).status == 200, 10, "room for another listener")
    assert port.proxy.child("agent").pid == agent


def test_what_the_api_answers_is_what_openapi_describes(port):
    paths = json.loads((TREE / "shifter/openapi.json").read_text())["paths"]
    asked = [("get", SERVICE + "signal/none%2F1", "/v1/services/{service}/signal/{key}")]
    for path, methods in paths.items():
        concrete = path.replace("{service}", "gateway").replace("{key}", "none%2F1")
        concrete = concrete.replace("{file}", "api.js").replace("{cluster}", "web-v1").replace("{address}", "10.9.9.9%3A1")
        asked += [(method, concrete, path) for method in methods if "events" not in path]
    for role in (None, "viewer", "operator", "admin"):
        for method, concrete, path in asked:
            if role == "admin" and path.endswith("/reexec"):
                continue  # the program would be another one
            body = {} if method == "post" else None
            answer = port.ask(concrete, role, method.upper(), body)
            described = paths[path][method]["responses"]
            assert str(answer.status) in described, (role, method, concrete, answer.status)


def make_authority(folder):
    """An authority, the server's certificate by it, and one of each kind of client."""
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *ec, "-days", 2, "-subj", "/CN=authority", "-keyout",
            folder / "ca.key", "-out", folder / "ca.crt")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name, subject in (("server", "/CN=localhost"), ("jane", "/OU=viewer/CN=jane"),
                          ("ops", "/CN=ops"), ("root", "/OU=admin/CN=root")):
        openssl("req", *ec, "-subj", subject, "-keyout", folder / f"{name}.key", "-out",
                folder / f"{name}.csr")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-CAkey",
                folder / "ca.key", "-CAcreateserial", "-days", 2, "-extfile", folder / "names",
                "-out", folder / f"{name}.crt")


def test_the_port_speaks_tls_and_certificates_say_who_comes(crossfade, nginx, folder):
    make_authority(folder)
    number = net.free_port()
    webs = {name: [nginx(name).address] for name in ("web-v1", "web-v2")}
    proxy = crossfade(webs, start=False)
    proxy.config["admin"].update(listen=f"127.0.0.1:{number}", tls={
        "certificate": str(folder / "server.crt"), "key": str(folder / "server.key"),
        "client_ca": str(folder / "ca.crt")})
    proxy.write_config()
    proxy.cli("check", "-c", proxy.config_path, check=0)
    proxy.start()
    url = f"https://127.0.0.1:{number}"

    def afar(name, *arguments, check):
        own = ("--certificate", folder / f"{name}.crt", "--key", folder / f"{name}.key")
        return proxy.cli(*arguments, "--url", url, "--ca", folder / "ca.crt",
                         *(own if name else ()), check=check)

    assert afar("jane", "status", "-o", "json", check=0).json["service"] == "gateway"
    steps = [{"weight": "100%", "hold": "1s"}]
    afar("jane", "plan", proxy.plan({"name": "web", "service": "gateway", "to": "web-v2",
                                     "steps": steps}), check=0)
    afar("jane", "start", "--to", "web-v2", check=8)
    afar("ops", "start", "--to", "web-v2", check=0)
    afar("ops", "weight", "10%", "--force", check=8)
    afar("root", "weight", "10%", "--force", check=0)
    assert afar(None, "status", check=7).code == 7  # the handshake fails
    proxy.cli("status", "--url", url, check=7)  # an authority that nobody knows
    with Raw(number) as plain:
        plain.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " not in plain.rest()
    entries = proxy.cli("history", "-o", "json", check=0).json["entries"]
    assert entries[-1]["actor"].endswith("(token root)")
