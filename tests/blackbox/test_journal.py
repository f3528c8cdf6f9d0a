"""The journal: the copy of the log in PostgreSQL, through outages, without touching a request."""

import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from harness import net
from harness.crossfade import request
from kong_world import Postgres
from test_kong_database_faults import Relay

pytestmark = pytest.mark.slow

ROLES = Path(__file__).parents[2] / "shifter" / "journal_roles.sql"
STEPS = [{"weight": "10%", "hold": "200ms", "evidence": "advisory", "approve": True},
         {"weight": "50%", "hold": "200ms", "evidence": "advisory", "approve": True},
         {"weight": "100%", "hold": "200ms", "evidence": "advisory"}]


def plan(**more):
    return {"name": "web", "service": "gateway", "to": "v2", "steps": STEPS, **more}


class Server(Postgres):
    """PostgreSQL that can be killed, stopped and brought back with its data."""

    def kill(self):
        subprocess.run([self.bin / "pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop"],
                       check=True, capture_output=True, cwd=self.folder, **self.as_user)
        self.process.wait(20)

    def pids(self):
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                               capture_output=True, text=True, check=False).stdout
        return [self.process.pid, *map(int, found.split())]

    def fresh(self, name="journal"):
        self.sql("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.sql("postgres", f'CREATE DATABASE "{name}"')

    def value(self, sql, name="journal"):
        return self.sql(name, sql).strip()


@pytest.fixture(scope="module")
def postgres():
    with tempfile.TemporaryDirectory(prefix="crossfade-journal-") as folder:
        server = Server(folder)
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def make(crossfade, nginx, postgres):
    def make(start=True, migrate=True, url=None, **journal):
        if postgres.process.poll() is not None:  # a test that failed left it killed
            postgres.start()
        postgres.fresh()
        v1, v2 = nginx("v1"), nginx("v2")
        made = crossfade({"v1": [v1.address], "v2": [v2.address]}, start=False,
                         extra={"drain": {"quiet": "100ms"},
                                "journal": {"url": url or postgres.url("journal"), **journal}})
        if migrate:
            made.cli("db", "migrate", "-c", made.config_path, check=0)
        return made.start() if start else made
    return make


def history(proxy):
    return proxy.cli("history", "--count", "1000", "-o", "json", check=0).json


def entries(proxy):
    answer = history(proxy)
    return answer["entries"] if isinstance(answer, dict) else answer


def journalled(proxy, timeout=20):
    return proxy.wait_status(lambda s: s["journal"] == {"ok": True, "backlog": 0}, timeout,
                             "every change in the journal")


def check_complete(proxy, postgres):
    """Every change of the log is in the journal, once, and nothing else is."""
    journalled(proxy)
    rows = postgres.sql("journal", "SELECT write_id FROM crossfade.log ORDER BY epoch, generation,"
                                   " revision").split()
    wanted = [entry["write_id"] for entry in entries(proxy)]
    assert rows == wanted
    assert len(set(rows)) == len(rows)


def reach(proxy, step):
    return proxy.wait_status(lambda s: s["step"]["index"] == step and any(
        hold["reason"] == "approval" for hold in s["holds"]), what=f"approval of step {step}")


class Load:
    """Requests all the time; `failed` are those that were not answered 200."""

    def __init__(self, port):
        self.port, self.count, self.failed, self.over = port, 0, [], False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over:
            try:
                status = request(self.port, "/").status
            except Exception as error:  # whatever it is, it failed
                status = error
            self.count += 1
            if status != 200:
                self.failed.append(status)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


def test_the_schema_is_made_once_and_a_newer_one_is_refused(make, postgres):
    proxy = make(start=False, migrate=False)
    config = ["-c", proxy.config_path]
    missing = proxy.cli("db", "status", *config, "-o", "json", check=1).json
    assert missing["schema"] == 0 and missing["known"] >= 1 and not missing["ok"]
    assert proxy.cli("db", "migrate", *config, "-o", "json", check=0).json["applied"] >= 1
    assert proxy.cli("db", "migrate", *config, "-o", "json", check=0).json["applied"] == 0
    assert proxy.cli("db", "status", *config, "-o", "json", check=0).json["ok"]
    postgres.sql("journal", "INSERT INTO crossfade.migration VALUES (9999, 'from the future')")
    for verb in ("migrate", "status"):
        refused = proxy.cli("db", verb, *config, check=6)
        assert "newer" in refused.err
    proxy.start()
    proxy.wait_status(lambda s: s["journal"]["ok"] is False)
    net.wait_until(lambda: "use the newer crossfade" in proxy.log, 10, "the log says why")


def test_a_database_that_does_not_answer_is_exit_code_7(make):
    proxy = make(start=False, migrate=False, url=f"postgresql://x@127.0.0.1:{net.free_port()}/x")
    assert "journal" in proxy.cli("db", "status", "-c", proxy.config_path, check=7).err
    assert "usage" in proxy.cli("db", "drop", check=2).err


@pytest.mark.long
def test_a_database_that_hangs_or_is_locked_ends_db_with_its_own_words(make, postgres):
    proxy = make()
    config = ["-c", proxy.config_path]
    proxy.terminate()
    words = ["psql", "-X", "-q", "-At", "-d", postgres.url("journal")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
        psql.stdin.write("BEGIN; LOCK TABLE crossfade.migration; SELECT 'locked';\n")
        psql.stdin.flush()
        assert psql.stdout.readline().strip() == "locked"
        for verb in ("status", "migrate"):
            assert "holds a lock on the tables" in proxy.cli("db", verb, *config, check=1).err
    relay = Relay(postgres.port, deaf_after=2)  # TLS is asked for, the session begins, no question is answered
    proxy.config["journal"]["url"] = f"postgresql://kong@127.0.0.1:{relay.port}/journal"
    proxy.write_config()
    try:
        for verb in ("status", "migrate"):
            began = time.monotonic()
            assert "said nothing for 20 s" in proxy.cli("db", verb, *config, check=7).err
            assert time.monotonic() - began < 30
    finally:
        relay.close()


def test_a_cutover_is_in_the_journal_once_and_summed_up(make, postgres):
    proxy = make()
    listener = subprocess.Popen(
        ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "kong", "journal"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    listener.stdin.write("LISTEN crossfade_decommission;\n")
    with Load(proxy.port) as load:
        proxy.cli("start", proxy.plan(plan()), check=0)
        reach(proxy, 1)
        proxy.cli("approve", "--reason", "it's \"fine\" \\ ü", check=0)
        reach(proxy, 2)
        proxy.cli("approve", check=0)
        assert proxy.cli("wait", "--for", "safe", "--timeout", "30s").code == 0
    proxy.cli("finalize", check=0)
    proxy.wait_status(lambda s: s["state"] == "finalized")
    assert load.failed == []
    check_complete(proxy, postgres)
    net.wait_until(lambda: proxy.metrics().get('crossfade_journal_up{service="gateway"}') == 1
                   and proxy.metrics()['crossfade_journal_backlog_changes{service="gateway"}'] == 0,
                   5, "the metrics")
    assert postgres.value("SELECT reason FROM crossfade.log WHERE verb = 'approve' AND reason <> ''"
                          ) == "it's \"fine\" \\ ü"
    told = ""
    until = time.monotonic() + 10
    while "decommission" not in told and time.monotonic() < until:
        listener.stdin.write("SELECT 1;\n")
        if select.select([listener.stdout], [], [], 0.2)[0]:
            told += os.read(listener.stdout.fileno(), 65536).decode()
    listener.stdin.close()
    listener.stdout.close()
    listener.wait(10)
    assert told.count("Asynchronous notification") == 1 and '"event":"decommission"' in told, told
    summed = postgres.value("SELECT state, cutover, requests > 0, errors, seconds > 0, holds > 0"
                            " FROM crossfade.cutovers")
    assert summed == "finalized|web/1|t|0|t|t"
    assert postgres.value("SELECT string_agg(step::text, ',' ORDER BY step)"
                          " FROM crossfade.steps") == "1,2,3"
    answer = proxy.cli("history", "--since", "1h", "-o", "json", check=0).json
    assert answer  # from the journal, and the same as the store's


def test_postgresql_killed_in_mid_cutover_costs_nothing_and_lacks_nothing(make, postgres):
    proxy = make()
    with Load(proxy.port) as load:
        proxy.cli("start", proxy.plan(plan()), check=0)
        reach(proxy, 1)
        postgres.kill()
        proxy.wait_status(lambda s: s["journal"]["ok"] is False)
        proxy.cli("approve", check=0)
        reach(proxy, 2)
        proxy.wait_status(lambda s: s["journal"]["backlog"] > 0)
        assert entries(proxy)[-1]["verb"] == "hold"  # from the store
        postgres.start()
        proxy.cli("approve", check=0)
        assert proxy.cli("wait", "--for", "safe", "--timeout", "30s").code == 0
    assert load.count > 0 and load.failed == []
    check_complete(proxy, postgres)


def test_a_shifter_killed_while_the_journal_is_away_goes_on_at_the_cursor(make, postgres):
    proxy = make()
    proxy.cli("start", proxy.plan(plan()), check=0)
    reach(proxy, 1)
    journalled(proxy)
    postgres.kill()
    proxy.cli("approve", check=0)
    reach(proxy, 2)
    shifter = proxy.child("shifter")
    os.kill(shifter.pid, signal.SIGKILL)
    proxy.wait_child_replaced("shifter", shifter.pid)
    proxy.wait_status(lambda s: (s["journal"]["backlog"] or 0) > 0 and s["leader"] is not None)
    postgres.start()
    check_complete(proxy, postgres)


def test_receipts_of_a_signal_outlive_the_shifter_that_had_them(make, postgres, folder):
    said = folder / "said"
    hook = folder / "hook.sh"
    hook.write_text(f"#!/bin/sh\necho x >> {said}\n[ $(wc -l < {said}) -gt 1 ] || {{ echo not yet; exit 3; }}\n")
    hook.chmod(0o755)
    proxy = make(start=False)
    proxy.config["hooks"] = {"tell": {"command": [str(hook)]}}
    proxy.write_config()
    proxy.start()
    proxy.cli("start", proxy.plan(plan(steps=STEPS[2:], signal={"hook": "tell"})), check=0)
    journalled(proxy)
    postgres.kill()
    status = proxy.wait_status(lambda s: s["signal"] is not None and s["signal"]["accepted_at"] is not None, 30,
                               "a signal that was accepted")
    shifter = proxy.child("shifter").pid
    os.kill(shifter, signal.SIGKILL)
    proxy.wait_child_replaced("shifter", shifter)
    postgres.start()
    check_complete(proxy, postgres)
    receipts = "SELECT attempt, accepted, sentence FROM crossfade.receipt WHERE receiver = 'hook tell' AND key = '%s'"
    wanted = ["1|f|exit 3: not yet", "2|t|exit 0"]
    net.wait_until(lambda: sorted(postgres.value(receipts % status["signal"]["key"]).split("\n")) == wanted, 10,
                   "both receipts, once")
    assert said.read_text() == "x\nx\n"


def test_required_holds_rises_with_journal_but_never_an_abort(make, postgres):
    proxy = make(required=True)
    proxy.cli("start", proxy.plan(plan()), check=0)
    reach(proxy, 1)
    postgres.kill()
    held = proxy.wait_status(lambda s: any(h["reason"] == "journal" for h in s["holds"]))
    assert held["weight"]["desired"] == 10
    proxy.cli("approve", check=0)
    assert "journal" in proxy.cli("step", check=3).err
    assert "journal" in proxy.cli("weight", "20%", check=3).err
    proxy.cli("weight", "5%", check=0)  # what lowers waits for nothing
    time.sleep(1)
    assert proxy.status()["weight"]["desired"] == 5
    proxy.cli("pause", check=0)
    proxy.cli("abort", check=0)
    proxy.wait_status(lambda s: s["state"] == "aborted")
    postgres.start()
    check_complete(proxy, postgres)
    proxy.cli("start", proxy.plan(plan()), check=0)
    reach(proxy, 1)
    proxy.cli("approve", check=0)
    reach(proxy, 2)
    check_complete(proxy, postgres)


@pytest.mark.long
def test_a_server_that_hangs_is_left_and_found_again(make, postgres):
    proxy = make(required=True)
    proxy.cli("start", proxy.plan(plan()), check=0)
    reach(proxy, 1)
    journalled(proxy)
    frozen = postgres.pids()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        proxy.cli("extend", "100ms", check=0)
        proxy.wait_status(lambda s: any(h["reason"] == "journal" for h in s["holds"]), 10)
        proxy.wait_status(lambda s: s["journal"]["ok"] is False, 30, "that nobody answers")
        assert request(proxy.port, "/").status == 200
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    proxy.wait_status(lambda s: not any(h["reason"] == "journal" for h in s["holds"]), 30)
    check_complete(proxy, postgres)


def copying(listener):
    """A server that lets everybody in and answers each question with a COPY that brings nothing."""
    while True:
        try:
            client = listener.accept()[0]
        except OSError:
            return
        with client:
            if client.recv(8)[4:] == struct.pack("!I", 80877103):  # wants TLS
                client.sendall(b"N")
            client.recv(4096)
            client.sendall(b"R" + struct.pack("!II", 8, 0) + b"Z" + struct.pack("!I", 5) + b"I")
            client.recv(4096)
            client.sendall(b"H" + struct.pack("!IbH", 7, 0, 0))
            client.recv(4096)  # until it is left


def test_a_server_that_answers_with_a_copy_does_not_hold_the_leader_up(make):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=copying, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        proxy = make(migrate=False, url=f"postgresql://x@127.0.0.1:{port}/x?sslmode=prefer")
        net.wait_until(lambda: "answered oddly" in proxy.log, 10, "the log says why")
        proxy.cli("start", proxy.plan(plan()), check=0)
        listener.shutdown(socket.SHUT_RDWR)


def test_roles_from_the_documented_script_are_enough_and_no_more(make, postgres):
    proxy = make(start=False, migrate=False, url=postgres.url("journal", "crossfade"))
    postgres.sql("journal", ROLES.read_text())
    postgres.sql("journal", "CREATE ROLE crossfade LOGIN IN ROLE crossfade_writer;"
                            "CREATE ROLE jane LOGIN IN ROLE crossfade_owner;"
                            "CREATE ROLE joe LOGIN IN ROLE crossfade_reader")
    try:
        config = ["-c", proxy.config_path]
        assert "owner" in proxy.cli("db", "migrate", *config, check=8).err
        proxy.cli("db", "migrate", *config, "--user", "jane", check=0)
        proxy.start()
        proxy.cli("start", proxy.plan(plan()), check=0)
        reach(proxy, 1)
        check_complete(proxy, postgres)
        for sql in ("UPDATE crossfade.log SET actor = 'nobody'", "DELETE FROM crossfade.log",
                    "INSERT INTO crossfade.migration VALUES (2, 'x')"):
            with pytest.raises(AssertionError, match="permission denied"):
                postgres.sql("journal", f"SET ROLE crossfade; {sql}")
        assert int(postgres.value("SET ROLE joe; SELECT count(*) FROM crossfade.cutovers")) == 1
    finally:
        proxy.end()
        postgres.fresh()
        postgres.sql("postgres", "DROP ROLE crossfade, jane, joe, crossfade_owner,"
                                 " crossfade_writer, crossfade_reader")


def test_a_standby_is_refused_in_its_own_words(make, postgres):
    with tempfile.TemporaryDirectory(prefix="crossfade-standby-") as folder:
        standby = Server(folder)
        done = subprocess.run(
            [postgres.bin / "pg_basebackup", "-h", "127.0.0.1", "-p", str(postgres.port), "-U",
             "kong", "-D", standby.folder / "data", "-R", "-c", "fast"],
            capture_output=True, text=True, cwd=folder, **standby.as_user, check=False)
        assert done.returncode == 0, done.stderr
        standby.start()
        try:
            proxy = make(start=False)
            net.wait_until(lambda: standby.sql("postgres", "SELECT 1 FROM pg_database WHERE"
                                               " datname = 'journal'").strip() == "1", 10, "a copy")
            proxy.config["journal"]["url"] = standby.url("journal")
            proxy.write_config()
            assert "standby" in proxy.cli("db", "migrate", "-c", proxy.config_path, check=6).err
            proxy.start()
            net.wait_until(lambda: "read-only standby" in proxy.log, 10, "the log says why")
            assert proxy.status()["journal"]["ok"] is False
            both = (f"postgresql://kong@127.0.0.1:{standby.port},127.0.0.1:{postgres.port}/journal"
                    "?target_session_attrs=read-write")
            proxy.config["journal"]["url"] = both
            proxy.write_config()
            proxy.terminate()
            proxy.start()
            check_complete(proxy, postgres)
        finally:
            standby.stop()
