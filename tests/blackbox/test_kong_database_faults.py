"""Kong's PostgreSQL in trouble: each fault has its own message with what to do, and nothing passes.

Also that passwords and hostile values from a database show nowhere.
"""

import json
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from harness.crossfade import binary
from kong_world import Node, Postgres, fresh

pytestmark = pytest.mark.slow

BINARY = str(binary())
SECRET = "s3cret-of-the-role"
GATE = {"topology": "traditional", "database": "clone", "from_version": "3.0", "to_version": "3.1",
        "old": {"database": "old"}, "new": {"database": "new"}}
NOT_LOOKED_AT = {"new.level", "new.pending", "distinct", "clone.current"}


@pytest.fixture(scope="module")
def postgres(postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    return postgres


class Relay:
    """A TCP relay before PostgreSQL: slow, silent after a number of bytes from the server, or deaf after
    a number of messages to it."""

    def __init__(self, port, delay=0.0, silent_after=None, deaf_after=None):
        self.port_behind, self.delay, self.silent_after, self.deaf_after = port, delay, silent_after, deaf_after
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = [self.listener]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port_behind))
            self.open += [near, far]
            threading.Thread(target=self.pump, args=(near, far, None, self.deaf_after), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, self.silent_after), daemon=True).start()

    def pump(self, source, sink, limit, messages=None):
        passed = count = 0
        try:
            while data := source.recv(65536):
                passed += len(data)
                count += 1
                if (limit is not None and passed > limit) or (messages is not None and count > messages):
                    continue
                time.sleep(self.delay)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        for one in self.open:
            one.close()


def write(folder, databases, gate=GATE):
    listed = "".join(f"  {name}: {json.dumps(entry)}\n" for name, entry in databases.items())
    (folder / "crossfade.yaml").write_text(
        f"store: sqlite:{folder}/state.db\n"
        f"proxy: {{name: t, state_dir: {folder}/state}}\n"
        "listeners: [{bind: 127.0.0.1:18000, service: gateway}]\n"
        "services: {gateway: {live: kong-old, clusters: [kong-old, kong-new]}}\n"
        'clusters: {kong-old: "127.0.0.1:1", kong-new: "127.0.0.1:1"}\n'
        f"databases:\n{listed}")
    (folder / "plan.yaml").write_text(
        "name: kong-3.1\nservice: gateway\nto: kong-new\nsteps: [{weight: 100%, hold: 1s}]\n"
        f"gates: {{before_start: [{{kong: {json.dumps(gate)}}}]}}\n")


def preflight(folder, databases, gate=GATE, words=("-o", "json")):
    write(folder, databases, gate)
    done = subprocess.run(
        [BINARY, "preflight", str(folder / "plan.yaml"), "-c", str(folder / "crossfade.yaml"), *words],
        capture_output=True, text=True, timeout=90)
    assert done.returncode in (0, 1), done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done


def failed(done):
    answer = json.loads(done.stdout)
    assert answer["passed"] == (done.returncode == 0)
    checks = {row["check"]: row for row in answer["checks"]}
    names = {n for n, row in checks.items() if not row["passed"] and row["severity"] == "error"}
    return names, checks


def hurt_new(folder, postgres, entry, *said):
    """`new` has the fault: exactly new.bootstrapped fails, in these words; the rest is not checked."""
    names, checks = failed(preflight(folder, {"old": postgres.url("k30"), "new": entry}))
    assert names == {"new.bootstrapped"}, json.dumps(checks, indent=1)
    message = checks["new.bootstrapped"]["message"]
    for words in said:
        assert words in message, message
    for name in NOT_LOOKED_AT:
        assert not checks[name]["passed"] and checks[name]["severity"] == "warning"
        assert checks[name]["message"].startswith("not checked: ")
    return message


def test_each_fault_of_the_address_or_the_role_has_its_own_words(tmp_path, postgres):
    base = f"127.0.0.1:{postgres.port}"
    postgres.sql("postgres", "CREATE ROLE closed NOLOGIN; CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    messages = [
        hurt_new(tmp_path, postgres, "postgresql://kong@127.0.0.1:1/k31", "is PostgreSQL running"),
        hurt_new(tmp_path, postgres, f"postgresql://kong@{base}/nope", "check the database's name"),
        hurt_new(tmp_path, postgres, f"postgresql://nobody@{base}/k31", "create the role"),
        hurt_new(tmp_path, postgres, f"postgresql://closed@{base}/k31", "give the role LOGIN"),
        hurt_new(tmp_path, postgres, f"postgresql://crowded@{base}/k31", "no free connection"),
        hurt_new(tmp_path, postgres, "postgresql://kong@no-such-host.invalid/k31", "DNS"),
    ]
    assert len(set(messages)) == len(messages)
    names, checks = failed(preflight(
        tmp_path, {"old": postgres.url("k30"), "new": f"postgresql://kong@{base}/postgres"}))
    assert names == {"new.bootstrapped"} and "never bootstrapped" in checks["new.bootstrapped"]["message"]


def test_a_password_in_a_malformed_url_is_not_quoted(tmp_path, postgres):
    base = f"127.0.0.1:{postgres.port}"
    for url in (f"postgresql://kong:a{SECRET}@b{SECRET}@{base}/k31", f"host=127.0.0.1 password={SECRET} {SECRET}",
                f"postgresql://kong:{SECRET}@{base}/k31?sslmoed={SECRET}",
                f"postgresql://kong:x/{SECRET}@{base}/k31"):
        names, checks = failed(preflight(tmp_path, {"old": postgres.url("k30"), "new": url}))
        assert names == {"new.bootstrapped"}
        assert "new" in checks["new.bootstrapped"]["message"]


def test_a_hung_server_is_given_up_and_says_so(tmp_path, postgres):
    # Silent from the connection on, as a stopped process is: the kernel still takes the bytes.
    with socket.create_server(("127.0.0.1", 0)) as hung:
        began = time.monotonic()
        hurt_new(tmp_path, postgres, f"postgresql://kong@127.0.0.1:{hung.getsockname()[1]}/k31",
                 "timeout expired", "it hangs")
        assert time.monotonic() - began < 30


@pytest.mark.long
def test_a_server_that_stops_within_a_query_is_given_up_and_says_so(tmp_path, postgres):
    relay = Relay(postgres.port, silent_after=700)
    try:
        hurt_new(tmp_path, postgres, f"postgresql://kong@127.0.0.1:{relay.port}/k31", "said nothing for 20 s")
    finally:
        relay.close()


@pytest.mark.long
def test_a_query_that_is_a_copy_fails_its_gate_and_ends(tmp_path, postgres):
    write(tmp_path, {"old": postgres.url("k30")})
    gate = {"postgres": {"database": "old", "query": "COPY (SELECT 1) TO STDOUT"}}
    (tmp_path / "copy.yaml").write_text(
        "name: kong-3.1\nservice: gateway\nto: kong-new\nsteps: [{weight: 100%, hold: 1s}]\n"
        f"gates: {{before_start: [{json.dumps(gate)}]}}\n")
    done = subprocess.run(
        [BINARY, "preflight", str(tmp_path / "copy.yaml"), "-c", str(tmp_path / "crossfade.yaml")],
        capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "write the query as SELECT" in done.stdout, done.stderr


def test_a_stopped_server_hangs_and_a_killed_one_refuses(tmp_path):
    with tempfile.TemporaryDirectory(prefix="crossfade-postgres-") as folder:
        server = Postgres(folder)
        try:
            server.start()
            server.make("k31", fresh("3.1"))
            both = {"old": server.url("k31"), "new": server.url("k31")}
            gate = {**GATE, "database": "shared"}
            assert failed(preflight(tmp_path, both, gate))[0] == set()
            server.process.send_signal(signal.SIGSTOP)
            names, checks = failed(preflight(tmp_path, both, gate))
            server.process.send_signal(signal.SIGCONT)
            assert names == {"old.bootstrapped", "new.bootstrapped"}
            assert "it hangs" in checks["new.bootstrapped"]["message"]
            server.process.kill()
            server.process.wait()
            server.process = None
            names, checks = failed(preflight(tmp_path, both, gate))
            assert names == {"old.bootstrapped", "new.bootstrapped"}
            assert "is PostgreSQL running" in checks["new.bootstrapped"]["message"]
        finally:
            server.stop()


def test_a_slow_link_is_only_slow(tmp_path, postgres):
    relay = Relay(postgres.port, delay=0.03)
    try:
        slow = f"postgresql://kong@127.0.0.1:{relay.port}/k31"
        names, checks = failed(preflight(tmp_path, {"old": postgres.url("k30"), "new": slow}))
        assert names == set() and checks["clone.current"]["passed"]
    finally:
        relay.close()


def test_locks_on_a_table_end_the_query_and_are_named(tmp_path, postgres):
    words = ["psql", "-X", "-q", "-At", "-d", postgres.url("k31")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
        psql.stdin.write("BEGIN; LOCK TABLE services; SELECT 'locked';\n")
        psql.stdin.flush()
        assert psql.stdout.readline().strip() == "locked"
        names, checks = failed(preflight(tmp_path, {"old": postgres.url("k30"), "new": postgres.url("k31")}))
        assert names == {"clone.current", "lock"}
        assert "holds locks" in checks["clone.current"]["message"]


@pytest.mark.long
def test_a_standby_is_refused_by_name(tmp_path, postgres):
    with tempfile.TemporaryDirectory(prefix="crossfade-standby-") as folder:
        standby = Postgres(folder)
        try:
            subprocess.run(
                [postgres.bin / "pg_basebackup", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "kong",
                 "-D", Path(folder) / "data", "-R", "-c", "fast", "-X", "stream"],
                check=True, capture_output=True, cwd=folder, **standby.as_user)
            standby.start()
            hurt_new(tmp_path, postgres, standby.url("k31"), "is a standby", "point it to the primary")
            hurt_new(tmp_path, postgres, standby.url("k31") + "?target_session_attrs=primary",
                     "this is none", "name the primary")
        finally:
            standby.stop()


def test_rights_are_asked_for_table_by_table(tmp_path, postgres):
    postgres.sql("k31", "CREATE ROLE reader LOGIN; GRANT SELECT ON schema_meta, locks TO reader")
    names, checks = failed(preflight(tmp_path, {"old": postgres.url("k30"), "new": postgres.url("k31", "reader")}))
    assert names == {"clone.current", "fronting"}, json.dumps(checks, indent=1)
    assert "reader needs USAGE on the schema and SELECT" in checks["clone.current"]["message"]
    postgres.sql("k31", "GRANT SELECT ON services, routes, plugins, upstreams, keyauth_credentials, keys, "
                        "key_sets TO reader")
    assert failed(preflight(
        tmp_path, {"old": postgres.url("k30"), "new": postgres.url("k31", "reader")}))[0] == set()
    hurt = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    names, checks = failed(preflight(tmp_path, hurt, {**GATE, "new": {"database": "new", "schema": "Kong\"; --"}}))
    assert names == {"new.bootstrapped"} and "`public`" in checks["new.bootstrapped"]["message"]


def test_an_admin_api_that_is_none_has_its_own_words(tmp_path, postgres):
    pages = {"<html>login</html>": "without a JSON object", "[]": "without a JSON object",
             '{"hello": 1}': "without a version", "": "without a JSON object"}
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    for body, said in pages.items():
        node = Node("3.1.0")
        node.texts["/"] = (200, "text/html", body)
        names, checks = failed(preflight(tmp_path, both, {**GATE, "new": {"database": "new", "admin": [node.url]}}))
        node.close()
        assert names == {"new.reachable"}
        assert said in checks["new.reachable"]["message"] and "Admin API" in checks["new.reachable"]["message"]
        for name in ("new.version", "new.database_reachable", "plugins", "fronting"):
            assert checks[name]["message"].startswith("not checked: ")


HOSTILE = "evil\x1b[2J\x1b]0;x\x07\r\nX-Evil: 1\u009b31m"


def test_hostile_values_reach_a_terminal_only_as_plain_text(tmp_path, postgres):
    quoted = "E'" + HOSTILE.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\r", "\\r").replace(
        "\n", "\\n").replace("\u009b", "\\u009b") + "; DROP TABLE routes; --'"
    postgres.make("hostile", fresh("3.1") + (
        f"INSERT INTO schema_meta VALUES ('schema_meta', {quoted}, NULL, NULL, ARRAY[{quoted}]);"
        f"INSERT INTO routes VALUES (9, {quoted}, NULL, '{{tcp}}', NULL);"
        f"INSERT INTO locks VALUES ('migrations', {quoted}, now() + interval '1 minute');"
        f"INSERT INTO plugins VALUES (9, 'rate-limiting', true, jsonb_build_object('policy', 'local'));"))
    node = Node("3.1.0" + HOSTILE, plugins=(HOSTILE,), enabled=(HOSTILE, "key-auth"), real_ip_header=HOSTILE)
    gate = {**GATE, "new": {"database": "new", "admin": [node.url]}, "old": {"database": "old", "admin": [node.url]}}
    databases = {"old": postgres.url("k30"), "new": postgres.url("hostile")}
    names, checks = failed(preflight(tmp_path, databases, gate))
    assert {"new.pending", "fronting", "lock", "new.version", "plugins"} <= names
    text = preflight(tmp_path, databases, gate, words=()).stdout
    node.close()
    assert text.count("\n") == len(checks) + 1
    for part in [text, *(row["message"] for row in checks.values())]:
        assert not any(ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0 for c in part), part
    assert postgres.sql("hostile", "SELECT count(*) FROM routes").strip() == "2"


def processes_of(pid):
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from processes_of(int(child))


def test_passwords_show_in_no_title_environment_log_or_answer(crossfade, nginx, postgres):
    v1, v2 = nginx("v1"), nginx("v2")
    proxy = crossfade({"v1": [v1.address], "v2": [v2.address]}, start=False)
    file = Path(proxy.folder) / "password"
    file.write_text(SECRET + "\n")
    proxy.config["databases"] = {
        "old": {"url": postgres.url("k30"), "password_file": str(file)},
        "new": postgres.url("k31").replace("kong@", f"kong:{SECRET}@"),
        "away": f"postgresql://kong:{SECRET}@127.0.0.1:1/x",
    }
    proxy.write_config()
    proxy.start()
    away = {**GATE, "old": {"database": "old"}, "new": {"database": "away"}}
    gates = [json.loads(json.dumps({"kong": gate})) for gate in (GATE, away)]  # YAML without anchors
    path = proxy.plan({"name": "k", "service": "gateway", "to": "v2", "steps": [{"weight": "100%", "hold": "1s"}],
                       "gates": {"before_start": gates}})
    said = [proxy.cli(*words) for words in (("preflight", path), ("start", path), ("status", "-o", "json"),
                                             ("why",), ("history",), ("explain", "-c", str(proxy.config_path)))]
    assert said[0].code == 1 and "cannot be reached" in said[0].out
    shown = "".join(answer.out + answer.err for answer in said)
    pids = list(processes_of(proxy.pid))
    assert len(pids) >= 3
    for pid in pids:
        for kind in ("cmdline", "environ", "comm"):
            shown += Path(f"/proc/{pid}/{kind}").read_bytes().decode(errors="replace")
    for log in Path(proxy.folder).rglob("*.log"):
        shown += log.read_text(errors="replace")
    assert SECRET not in shown
