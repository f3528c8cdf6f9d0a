"""The journal's PostgreSQL in trouble: full, read-only, locked, behind a slow link, failed over; and how
a connection may be described (TLS, service, passfile).  No fault fails a request or loses a change."""

import os
import pwd
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import net
from test_journal import Load, Server, check_complete, journalled, plan, reach
from test_kong_database_faults import Relay

pytestmark = [pytest.mark.slow, pytest.mark.long]

PASSWORD = "s3cret-of-the-journal"


@pytest.fixture
def postgres():
    with tempfile.TemporaryDirectory(prefix="crossfade-journal-") as folder:
        server = Server(folder)
        try:
            yield server.start()
        finally:
            server.stop()


@pytest.fixture
def make(crossfade, nginx, postgres):
    def make(url=None, environment=None, start=True):
        postgres.fresh()
        v1, v2 = nginx("v1"), nginx("v2")
        made = crossfade({"v1": [v1.address], "v2": [v2.address]}, start=False, environment=environment,
                         extra={"drain": {"quiet": "100ms"}, "journal": {"url": postgres.url("journal")}})
        made.cli("db", "migrate", "-c", made.config_path, check=0)
        if url is not None:
            made.config["journal"]["url"] = url
            made.write_config()
        return made.start() if start else made
    return make


def through(proxy, hurt, mend, said, postgres):
    """A cutover to its end, with a fault within it: nothing fails, and then nothing is missing."""
    with Load(proxy.port) as load:
        proxy.cli("start", proxy.plan(plan()), check=0)
        reach(proxy, 1)
        journalled(proxy)
        hurt()
        proxy.cli("approve", check=0)
        reach(proxy, 2)
        net.wait_until(lambda: said in proxy.log, 40, f"the log says: {said}")
        mend()
        proxy.cli("approve", check=0)
        proxy.cli("wait", "--for", "safe", "--timeout", "60s", check=0)
    assert load.count > 0 and load.failed == []
    check_complete(proxy, postgres)


def test_a_database_that_turns_read_only(make, postgres):
    def set_to(value):
        postgres.sql("postgres", f"ALTER DATABASE journal SET default_transaction_read_only = {value};"
                                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'journal'")
    through(make(), lambda: set_to("on"), lambda: set_to("off"), "takes no writes", postgres)


def test_a_table_that_somebody_has_locked(make, postgres):
    words = ["psql", "-X", "-q", "-At", "-d", postgres.url("journal")]
    proxy = make()
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
        def lock():
            psql.stdin.write("BEGIN; LOCK TABLE crossfade.log; SELECT 'locked';\n")
            psql.stdin.flush()
            assert psql.stdout.readline().strip() == "locked"

        def unlock():
            psql.stdin.write("COMMIT;\n")
            psql.stdin.flush()
        through(proxy, lock, unlock, "lock timeout", postgres)


def test_a_disk_that_is_full(make, postgres):
    """A tablespace of its own holds the database, so that the server itself lives on."""
    small = Path(postgres.folder) / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", small], check=True)
    try:
        os.chown(small, *pwd.getpwnam("postgres")[2:4])
        postgres.sql("postgres", f"CREATE TABLESPACE small LOCATION '{small}'")
        proxy = make(start=False)
        postgres.sql("postgres", "ALTER DATABASE journal SET TABLESPACE small")
        proxy.start()

        def fill():
            file = os.open(small / "fill", os.O_CREAT | os.O_WRONLY)
            try:
                while os.write(file, bytes(4096)) > 0:
                    pass
            except OSError:
                os.close(file)
            # What the table's own pages still have room for does not count: its rows go elsewhere.
            postgres.sql("journal", "ALTER TABLE crossfade.log SET (fillfactor = 10)")

        through(proxy, fill, (small / "fill").unlink, "No space left on device", postgres)
        proxy.terminate()
        postgres.sql("postgres", "DROP DATABASE journal WITH (FORCE)")
        postgres.sql("postgres", "DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_link_that_is_slow(make, postgres):
    relay = Relay(postgres.port, delay=0.2)
    try:
        proxy = make(url=f"postgresql://kong@127.0.0.1:{relay.port}/journal")
        with Load(proxy.port) as load:
            proxy.cli("start", proxy.plan(plan()), check=0)
            reach(proxy, 1)
            proxy.cli("approve", check=0)
            reach(proxy, 2)
            proxy.cli("abort", check=0)
        assert load.failed == []
        check_complete(proxy, postgres)
    finally:
        relay.close()


def test_a_failover_to_a_standby_goes_on_there(make, postgres):
    with tempfile.TemporaryDirectory(prefix="crossfade-standby-") as folder:
        standby = Server(folder)
        postgres.fresh()
        subprocess.run([postgres.bin / "pg_basebackup", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "kong",
                        "-D", standby.folder / "data", "-R", "-c", "fast"], check=True, capture_output=True,
                       cwd=folder, **standby.as_user)
        standby.start()
        try:
            proxy = make(url=f"postgresql://kong@127.0.0.1:{postgres.port},127.0.0.1:{standby.port}/journal"
                             "?target_session_attrs=read-write")

            def promote():
                subprocess.run([standby.bin / "pg_ctl", "-D", standby.folder / "data", "promote"], check=True,
                               capture_output=True, cwd=folder, **standby.as_user)
            net.wait_until(lambda: "journal" in standby.sql("postgres", "SELECT datname FROM pg_database"), 20, "a copy")
            through(proxy, postgres.kill, promote, "event=journal.down", standby)
        finally:
            standby.stop()
            postgres.start()


def certificates(folder):
    """A CA, a server's certificate for `localhost` by it, and a CA that signed nothing."""
    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)
    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", f"/CN={name}", "-keyout",
                f"{name}.key", "-out", f"{name}.crt")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out",
            "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2,
            "-extfile", "names", "-out", "server.crt")


def test_tls_service_and_passfile_are_understood(make, postgres, folder):
    certificates(folder)
    data = Path(postgres.folder) / "data"
    for name in ("server.crt", "server.key"):
        (data / name).write_bytes((folder / name).read_bytes())
        (data / name).chmod(0o600)
        os.chown(data / name, *pwd.getpwnam("postgres")[2:4])
    proxy = make(start=False)
    postgres.sql("postgres", "ALTER SYSTEM SET ssl = on")
    postgres.sql("journal", f"CREATE ROLE secure LOGIN PASSWORD '{PASSWORD}' IN ROLE kong")
    hba = data / "pg_hba.conf"
    hba.write_text("hostssl all secure 0.0.0.0/0 scram-sha-256\nhost all secure 0.0.0.0/0 reject\n"
                   "hostssl all secure ::/0 scram-sha-256\nhost all secure ::/0 reject\n" + hba.read_text())
    postgres.kill()
    postgres.start()
    passfile, services = folder / "pgpass", folder / "pg_service.conf"
    passfile.write_text(f"*:*:journal:secure:{PASSWORD}\n")
    passfile.chmod(0o600)
    services.write_text(f"[journal]\nhost=localhost\nport={postgres.port}\ndbname=journal\nuser=secure\n"
                        f"sslmode=verify-full\nsslrootcert={folder}/ca.crt\npassfile={passfile}\n")
    proxy.environment["PGSERVICEFILE"] = str(services)
    base = f"postgresql://secure@localhost:{postgres.port}/journal?passfile={passfile}"
    config = ["-c", proxy.config_path]

    def status(url):
        proxy.config["journal"]["url"] = url
        proxy.write_config()
        return proxy.cli("db", "status", *config)
    assert "certificate verify failed" in status(f"{base}&sslmode=verify-full&sslrootcert={folder}/other.crt").err
    assert "does not match host name" in status(
        base.replace("localhost", "127.0.0.1") + f"&sslmode=verify-full&sslrootcert={folder}/ca.crt").err
    assert status(f"{base}&sslmode=disable").code == 7
    for url in ("postgresql:///?service=journal", f"{base}&sslmode=verify-full&sslrootcert={folder}/ca.crt",
                f"{base}&sslmode=verify-full&sslrootcert={folder}/ca.crt&target_session_attrs=read-write"):
        assert status(url).code == 0, url
        proxy.start()
        journalled(proxy)
        proxy.cli("start", "--to", "v2", check=0)
        proxy.cli("abort", check=0)
        check_complete(proxy, postgres)
        used = postgres.value("SELECT ssl::text || s.usename FROM pg_stat_ssl JOIN pg_stat_activity s USING (pid)"
                              " WHERE s.application_name = 'crossfade'")
        assert used == "truesecure", used
        assert PASSWORD not in proxy.log + proxy.cli("status").out
        assert proxy.terminate() == 0
