"""kong_world.py -- a PostgreSQL server with Kong's databases, and emulated Kong nodes.

The databases are built from the facts of Kong's own migrations (which names each version leaves in
schema_meta, which tables and columns it has); no Kong node runs here: its Admin and Status API are
emulated with the JSON that Kong's source produces.
"""

import http.server
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

CORE = [
    "000_base", "003_100_to_110", "004_110_to_120", "005_120_to_130", "006_130_to_140",
    "007_140_to_150", "008_150_to_200", "009_200_to_210", "010_210_to_211", "011_212_to_213",
    "012_213_to_220", "013_220_to_230", "014_230_to_270", "015_270_to_280", "016_280_to_300",
    "017_300_to_310",
]
UP_TO = {"2.8": 14, "3.0": 15, "3.1": 16}
PLUGINS = {
    "acl": ["000_base_acl", "002_130_to_140", "003_200_to_210", "004_212_to_213"],
    "acme": ["000_base_acme", "001_280_to_300"],
    "http-log": ["001_280_to_300"],
    "key-auth": ["000_base_key_auth", "002_130_to_140", "003_200_to_210"],
    "post-function": ["001_280_to_300"],
    "pre-function": ["001_280_to_300"],
    "rate-limiting": ["000_base_rate_limiting", "003_10_to_112", "004_200_to_210"],
    "session": ["000_base_session", "001_add_ttl_index"],
}
NEW_IN_3_0 = {"http-log", "post-function", "pre-function"}

BASE_TABLES = """
CREATE TABLE schema_meta (key TEXT, subsystem TEXT, last_executed TEXT, executed TEXT[],
                          pending TEXT[], PRIMARY KEY (key, subsystem));
CREATE TABLE locks (key TEXT PRIMARY KEY, owner TEXT, ttl TIMESTAMP WITH TIME ZONE);
CREATE TABLE parameters (key TEXT PRIMARY KEY, value TEXT NOT NULL, created_at TIMESTAMPTZ);
CREATE TABLE services (id INT PRIMARY KEY, name TEXT, host TEXT);
CREATE TABLE routes (id INT PRIMARY KEY, name TEXT, paths TEXT[], protocols TEXT[], snis TEXT[]);
CREATE TABLE plugins (id INT PRIMARY KEY, name TEXT, enabled BOOLEAN, config JSONB);
CREATE TABLE upstreams (id INT PRIMARY KEY, name TEXT);
CREATE TABLE keyauth_credentials (id INT PRIMARY KEY, key TEXT, ttl TIMESTAMPTZ);
INSERT INTO parameters VALUES ('cluster_id', '00000000-0000-4000-8000-000000000001', now());
INSERT INTO services VALUES (1, 'orders', 'orders.internal');
INSERT INTO routes VALUES (1, 'orders', '{/orders}', '{http,https}', NULL);
INSERT INTO plugins VALUES (1, 'key-auth', true, '{}');
INSERT INTO upstreams VALUES (1, 'orders');
INSERT INTO keyauth_credentials VALUES (1, 'secret-of-a-consumer', NULL);
"""
ADDED_BY_3_1 = """
ALTER TABLE upstreams ADD COLUMN use_srv_name BOOLEAN DEFAULT false;
CREATE TABLE keys (id INT PRIMARY KEY);
CREATE TABLE key_sets (id INT PRIMARY KEY);
"""


def text_array(names):
    return "NULL" if names is None else "'{" + ",".join(names) + "}'"


def meta_row(subsystem, executed, pending):
    last = "NULL" if not executed else "'" + executed[-1] + "'"
    return (
        "INSERT INTO schema_meta VALUES ('schema_meta', "
        f"'{subsystem}', {last}, {text_array(executed)}, {text_array(pending)});\n"
    )


def fresh(version):
    """The SQL of a database that `kong migrations bootstrap` of `version` leaves."""
    sql = BASE_TABLES + (ADDED_BY_3_1 if version == "3.1" else "")
    sql += meta_row("core", CORE[: UP_TO[version]], [])
    for name, migrations in PLUGINS.items():
        if version == "2.8":
            if name in NEW_IN_3_0:
                continue
            migrations = [m for m in migrations if m != "001_280_to_300"]
        sql += meta_row(name, migrations, None)
    return sql


def half_way_to_3_0():
    """2.8 to 3.0 after `up`, before `finish`."""
    sql = BASE_TABLES + meta_row("core", CORE[:14], ["016_280_to_300"])
    for name in NEW_IN_3_0:
        sql += meta_row(name, None, ["001_280_to_300"])
    sql += meta_row("acme", ["000_base_acme", "001_280_to_300"], None)
    sql += meta_row("rate-limiting", PLUGINS["rate-limiting"], None)
    return sql


def two_hops_unfinished():
    """2.8 to 3.1 after `up` over two hops, before `finish`: the top is reached, a hole pends."""
    sql = BASE_TABLES + ADDED_BY_3_1
    sql += meta_row("core", CORE[:14] + ["017_300_to_310"], ["016_280_to_300"])
    for name in NEW_IN_3_0:
        sql += meta_row(name, None, ["001_280_to_300"])
    sql += meta_row("acme", ["000_base_acme", "001_280_to_300"], None)
    return sql


def died_after_core():
    """`up` to 3.0 that died after core: its plugins never came."""
    return BASE_TABLES + meta_row("core", CORE[:14], ["016_280_to_300"]) + meta_row(
        "acme", ["000_base_acme"], None
    )


class Postgres:
    """A server of Debian's PostgreSQL in a folder of its own, on a port of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.bin = max(Path("/usr/lib/postgresql").glob("*/bin"))
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            self.port = holder.getsockname()[1]
        self.as_user = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.process = None

    def start(self):
        data = self.folder / "data"
        if not data.exists():
            subprocess.run(
                [self.bin / "initdb", "-D", data, "-U", "kong", "-A", "trust", "-N"],
                check=True, capture_output=True, cwd=self.folder, **self.as_user,
            )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", data, "-p", str(self.port), "-k", str(self.folder),
                 "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=50"],
                stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, **self.as_user,
            )
        until = time.monotonic() + 30
        while time.monotonic() < until:
            ready = subprocess.run(
                [self.bin / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)],
                capture_output=True,
            )
            if ready.returncode == 0:
                return self
            time.sleep(0.1)
        raise RuntimeError("PostgreSQL does not start: " + (self.folder / "log").read_text())

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # a fast shutdown; SIGTERM waits for clients
            self.process.wait(20)
            self.process = None
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def sql(self, database, text):
        done = subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
             "-U", "kong", "-At", database],
            input=text, text=True, capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, name, sql):
        self.sql("postgres", f'DROP DATABASE IF EXISTS "{name}"; ')
        self.sql("postgres", f'CREATE DATABASE "{name}"')
        self.sql(name, sql)

    def url(self, name, user="kong"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"


class Node:
    """An emulated Kong node: answers as its `pages` say, path by path."""

    def __init__(self, version, plugins=("key-auth", "rate-limiting"), enabled=("key-auth",),
                 reachable=True, **configuration):
        old_shape = version.startswith("2.")
        available = {name: True if old_shape else {"version": version, "priority": 1} for name in plugins}
        self.pages = {
            "/": {
                "tagline": "Welcome to kong", "version": version, "hostname": "node", "node_id": "1",
                "plugins": {"available_on_server": available, "enabled_in_cluster": list(enabled)},
                "configuration": {"trusted_ips": ["127.0.0.1/32"], "real_ip_header": "X-Real-IP",
                                  **configuration},
            },
            "/status": {"server": {}, "memory": {}, "database": {"reachable": reachable}},
        }
        self.texts = {}
        self.hosts = None  # virtual hosts of the routes; None: any
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                if node.hosts is not None and not self.path.startswith("/status") and self.path != "/" \
                        and self.headers["Host"] not in node.hosts:
                    path = self.path = "/no-route"
                if self.path in node.texts:
                    status, kind, body = node.texts[self.path]
                elif self.path in node.pages or path in node.pages:
                    status, kind = 200, "application/json"
                    body = json.dumps(node.pages.get(self.path, node.pages.get(path)))
                else:
                    status, kind = 404, "application/json"
                    body = json.dumps({"message": "no Route matched with those values"})
                raw = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
