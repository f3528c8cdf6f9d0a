"""The kong gate, against real PostgreSQL databases and emulated nodes: exactly the checks that must
fail do, by name."""

import json
import socket
import subprocess
import time

import pytest

from harness.crossfade import binary
from kong_world import (
    BASE_TABLES, CORE, Node, died_after_core, fresh, half_way_to_3_0, meta_row, two_hops_unfinished,
)

pytestmark = pytest.mark.slow

BINARY = str(binary())


class World:
    def __init__(self, folder, postgres):
        self.folder = folder
        self.postgres = postgres
        self.nodes = []

    def node(self, *arguments, **keywords):
        made = Node(*arguments, **keywords)
        self.nodes.append(made)
        return made

    def preflight(self, gate, databases, green="127.0.0.1:1", expect=None, only=None):
        listed = "".join(f"  {name}: {json.dumps(url)}\n" for name, url in databases.items())
        config = self.folder / "crossfade.yaml"
        config.write_text(
            f"store: sqlite:{self.folder}/state.db\n"
            f"proxy: {{name: t, state_dir: {self.folder}/state}}\n"
            "listeners: [{bind: 127.0.0.1:18000, service: gateway}]\n"
            "services: {gateway: {live: kong-old, clusters: [kong-old, kong-new]}}\n"
            f'clusters: {{kong-old: "127.0.0.1:1", kong-new: "{green}"}}\n'
            + ("databases:\n" + listed if listed else "")
        )
        plan = self.folder / "plan.yaml"
        plan.write_text(
            "name: kong-3.1\nservice: gateway\nto: kong-new\nsteps: [{weight: 100%, hold: 1s}]\n"
            f"gates: {{before_start: [{{kong: {json.dumps(gate)}}}]}}\n"
        )
        words = [BINARY, "preflight", str(plan), "-c", str(config), "-o", "json"]
        done = subprocess.run(words + (["--only", only] if only else []), capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        answer = json.loads(done.stdout)
        assert answer["passed"] == (done.returncode == 0)
        self.checks = {row["check"]: row for row in answer["checks"]}
        failed = {
            row["check"] for row in answer["checks"] if not row["passed"] and row["severity"] == "error"
        }
        if expect is not None:
            assert failed == set(expect), json.dumps(answer, indent=1)
        return answer


@pytest.fixture
def world(tmp_path, postgres):
    made = World(tmp_path, postgres)
    yield made
    for node in made.nodes:
        node.close()


def clone_gate(**more):
    return {
        "topology": "traditional", "database": "clone", "from_version": "3.0", "to_version": "3.1",
        "old": {"database": "old"}, "new": {"database": "new"}, **more,
    }


def test_a_finished_clone_passes_and_says_what_was_not_checked(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    world.preflight(clone_gate(), {"old": postgres.url("k30"), "new": postgres.url("k31")}, expect=[])
    assert world.checks["old.reachable"]["message"].startswith("not checked:")
    assert world.checks["new.level"]["passed"]
    assert world.checks["clone.current"]["passed"]


@pytest.mark.parametrize(
    "old, new, versions, expect",
    [
        ("3.0", "3.0", ("3.0", "3.1"), ["new.level"]),
        ("3.1", "3.1", ("3.0", "3.1"), ["old.unchanged"]),
        ("2.8", "half", ("2.8.2", "3.0"), ["new.pending"]),
        ("2.8", "two", ("2.8.2", "3.1"), ["path", "new.pending"]),
        ("2.8", "died", ("2.8.2", "3.0"), ["new.level", "new.pending"]),
        ("half", "3.0", ("2.8.2", "3.0"), ["old.unchanged"]),
        ("3.0", "3.1", ("3.1", "3.0"), ["path", "new.level"]),
        ("2.8", "3.1", ("2.8.2", "3.1"), ["path"]),
        ("2.8", "3.0", ("2.8", "3.0"), []),
        ("2.8", "3.0", ("2.8.1", "3.0"), ["path"]),
    ],
)
def test_each_state_of_the_databases_fails_its_own_checks(world, postgres, old, new, versions, expect):
    made = {
        "2.8": fresh("2.8"), "3.0": fresh("3.0"), "3.1": fresh("3.1"), "half": half_way_to_3_0(),
        "two": two_hops_unfinished(), "died": died_after_core(),
    }
    postgres.make("a", made[old])
    postgres.make("b", made[new])
    gate = clone_gate(from_version=versions[0], to_version=versions[1])
    world.preflight(gate, {"old": postgres.url("a"), "new": postgres.url("b")}, expect=expect)


def test_the_wrong_databases_are_told_apart(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    postgres.make("other", "CREATE TABLE t (x INT)")
    one = {"old": postgres.url("k31"), "new": postgres.url("k31")}
    world.preflight(clone_gate(), one, expect=["distinct", "old.unchanged"])
    world.preflight(clone_gate(database="shared"), one, expect=[])
    two = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    world.preflight(clone_gate(database="shared"), two, expect=["distinct"])
    none = {"old": postgres.url("k30"), "new": postgres.url("other")}
    world.preflight(clone_gate(), none, expect=["new.bootstrapped"])
    away = {"old": postgres.url("k30"), "new": "postgresql://kong@127.0.0.1:1/kong"}
    world.preflight(clone_gate(), away, expect=["new.bootstrapped"])
    assert "cannot be reached" in world.checks["new.bootstrapped"]["message"]


def test_a_shared_database_may_pend_until_finalize(world, postgres):
    postgres.make("shared", half_way_to_3_0())
    gate = clone_gate(database="shared", from_version="2.8.2", to_version="3.0")
    both = {"old": postgres.url("shared"), "new": postgres.url("shared")}
    world.preflight(gate, both, expect=[])
    assert "finalize" in world.checks["new.pending"]["message"]


def test_a_row_written_after_the_clone_names_its_table(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    postgres.sql("k30", "UPDATE services SET host = 'elsewhere' WHERE id = 1")
    world.preflight(clone_gate(), {"old": postgres.url("k30"), "new": postgres.url("k31")},
                    expect=["clone.current"])
    message = world.checks["clone.current"]["message"]
    assert "services" in message and "upstreams" not in message
    world.preflight(clone_gate(allow=["clone.current"]),
                    {"old": postgres.url("k30"), "new": postgres.url("k31")}, expect=[])
    assert world.checks["clone.current"]["message"].startswith("allowed by the plan")


def test_a_migration_in_progress_is_seen_and_an_expired_lock_is_not(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    postgres.sql("k31", "INSERT INTO locks VALUES ('migrations', 'cli-1', now() + interval '1 minute')")
    world.preflight(clone_gate(), both, expect=["lock"])
    postgres.sql("k31", "UPDATE locks SET ttl = now() - interval '1 second'")
    world.preflight(clone_gate(), both, expect=[])


def test_a_role_without_rights_and_a_wrong_schema_have_their_own_words(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", "CREATE SCHEMA gateway; SET search_path = gateway; " + fresh("3.1"))
    postgres.sql("postgres", "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    old = {"old": postgres.url("k30", "stranger"), "new": postgres.url("k31")}
    world.preflight(clone_gate(), old, expect=["old.bootstrapped", "new.bootstrapped"])
    assert "SELECT" in world.checks["old.bootstrapped"]["message"]
    assert "`gateway`" in world.checks["new.bootstrapped"]["message"]
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    world.preflight(clone_gate(new={"database": "new", "schema": "gateway"}), both, expect=[])


def test_nodes_are_asked_for_version_database_and_plugins(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    old = world.node("3.0.1")
    new = world.node("3.1.0.0-enterprise-edition")

    def gate(new_node, **more):
        return clone_gate(old={"database": "old", "admin": [old.url]},
                          new={"database": "new", "admin": [new_node.url]}, **more)

    world.preflight(gate(new), both, expect=[])
    assert "what this host (" in world.checks["fronting"]["message"]
    world.preflight(gate(world.node("3.2.0")), both, expect=["new.version"])
    world.preflight(gate(world.node("3.1.0", reachable=False)), both, expect=["new.database_reachable"])
    world.preflight(gate(world.node("3.1.0", plugins=("rate-limiting",))), both, expect=["plugins"])
    html = world.node("3.1.0")
    html.texts["/"] = (200, "text/html", "<html>login</html>")
    world.preflight(gate(html), both, expect=["new.reachable"])
    assert "Admin API" in world.checks["new.reachable"]["message"]
    world.preflight(gate(world.node("3.1.0", trusted_ips=[])), both, green="127.0.0.1:1", expect=["fronting"])
    loads = world.node("3.1.0", plugins=("key-auth", "oauth2"))
    world.preflight(gate(loads), both, expect=["new.level"])
    assert "oauth2" in world.checks["new.level"]["message"]


def test_an_empty_green_is_found_by_a_real_route(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    green = world.node("3.1.0")
    gate = clone_gate(routes=["/orders"])
    world.preflight(gate, both, green=f"127.0.0.1:{green.port}", expect=["new.not_empty"])
    green.pages["/orders"] = {"orders": []}
    world.preflight(gate, both, green=f"127.0.0.1:{green.port}", expect=[])


def test_a_route_of_a_virtual_host_is_asked_with_its_host(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    green = world.node("3.1.0")
    green.hosts = ["api.example.com"]
    green.pages["/orders"] = {"orders": []}

    def run(*routes, expect=()):
        world.preflight(clone_gate(routes=list(routes)), both, green=f"127.0.0.1:{green.port}", expect=expect)
        return world.checks["new.not_empty"]["message"]

    run({"host": "api.example.com", "path": "/orders"}, "api.example.com/orders")
    assert "no Route matched" in run("/orders", expect=["new.not_empty"])
    assert "api.example.org" in run("api.example.org/orders", expect=["new.not_empty"])
    assert "is no host" in run({"host": "a\r\nX: y", "path": "/orders"}, expect=["new.not_empty"])
    assert "path" in run({"hots": "x"}, expect=["new.not_empty"])


def test_one_database_by_two_names_is_one(world, postgres):
    postgres.make("k31", fresh("3.1"))
    other_name = f"host={postgres.folder} port={postgres.port} user=kong dbname=k31"
    both = {"old": postgres.url("k31"), "new": other_name}
    world.preflight(clone_gate(from_version="3.1", to_version="3.1"), both, expect=["distinct"])
    world.preflight(clone_gate(from_version="3.1", to_version="3.1", database="shared"), both, expect=[])


def test_an_empty_clone_and_an_unfinished_crash_are_seen(world, postgres):
    tables = "services routes plugins upstreams keyauth_credentials".split()
    postgres.make("k30", fresh("3.0"))
    postgres.make("empty", fresh("3.1") + "".join(f"DELETE FROM {table};" for table in tables))
    world.preflight(clone_gate(), {"old": postgres.url("k30"), "new": postgres.url("empty")},
                    expect=["clone.current"])
    assert all(table in world.checks["clone.current"]["message"] for table in tables)
    # `up` died after core, then `finish`: nothing pends, the plugins' migrations are missing.
    postgres.make("crashed", BASE_TABLES + meta_row("core", CORE[:15], []) + meta_row(
        "acme", ["000_base_acme"], None))
    postgres.make("k28", fresh("2.8"))
    gate = clone_gate(from_version="2.8.2", to_version="3.0",
                      new={"database": "new", "admin": [world.node("3.0.0", ("key-auth", "http-log")).url]})
    world.preflight(gate, {"old": postgres.url("k28"), "new": postgres.url("crashed")}, expect=["new.level"])
    assert "acme:001_280_to_300" in world.checks["new.level"]["message"]
    assert "http-log:001_280_to_300" in world.checks["new.level"]["message"]


def test_a_migration_without_a_live_lock_row_shows_by_its_table_locks(world, postgres):
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k31"), "new": postgres.url("k31")}
    words = ["psql", "-X", "-q", "-At", "-d", postgres.url("k31")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
        psql.stdin.write("BEGIN; ALTER TABLE keys ADD COLUMN late INT; SELECT 'locked';\n")
        psql.stdin.flush()
        assert psql.stdout.readline().strip() == "locked"
        world.preflight(clone_gate(database="shared"), both, expect=["lock"])
        assert "keys" in world.checks["lock"]["message"]
    world.preflight(clone_gate(database="shared"), both, expect=[])


def test_the_nodes_tell_the_patch_that_the_plan_leaves_open(world, postgres):
    postgres.make("k28", fresh("2.8"))
    postgres.make("k30", fresh("3.0"))
    both = {"old": postgres.url("k28"), "new": postgres.url("k30")}

    def gate(old):
        return clone_gate(from_version="2.8", to_version="3.0", old={"database": "old", "admin": [old.url]})

    world.preflight(gate(world.node("2.8.2")), both, expect=[])
    world.preflight(gate(world.node("2.8.4.1-enterprise-edition")), both, expect=[])
    world.preflight(gate(world.node("2.8.1")), both, expect=["path"])
    assert "2.8.2" in world.checks["path"]["message"]


def test_both_clusters_must_believe_this_proxy(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    new = world.node("3.1.0")

    def gate(old, new=new):
        return clone_gate(old={"database": "old", "admin": [old.url]}, new={"database": "new", "admin": [new.url]})

    world.preflight(gate(world.node("3.0.0", trusted_ips=["10.0.0.0/8"])), both, expect=["fronting"])
    world.preflight(gate(world.node("3.0.0", real_ip_header="X-Client")), both, expect=["fronting"])
    world.preflight(gate(world.node("3.0.0"), world.node("3.1.0", trusted_ips=["10.0.0.0/8"])), both,
                    green="localhost:1", expect=["fronting"])  # a server by name is looked up
    world.preflight(gate(world.node("3.0.0")), both, expect=[])


def test_hybrid_wants_the_old_control_plane_gone_and_data_planes_in_sync(world, postgres):
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k31"), "new": postgres.url("k31")}
    plane = world.node("3.1.0")
    now = int(time.time())
    row = {"id": "1", "hostname": "dp", "last_seen": now, "sync_status": "normal", "config_hash": "a" * 32}
    stale = {**row, "id": "2", "hostname": "dp-silent", "last_seen": now - 1000, "sync_status": "unknown"}

    def run(rows, expect, old_admin="http://127.0.0.1:1"):
        plane.pages["/clustering/data-planes"] = {"data": rows, "next": None}
        gate = {
            "topology": "hybrid", "from_version": "3.0", "to_version": "3.1",
            "old": {"database": "old", "admin": [old_admin]},
            "new": {"database": "new", "admin": [plane.url]},
        }
        world.preflight(gate, both, expect=expect)

    run([row, stale], [])
    assert "dp-silent" in world.checks["data_planes"]["message"]
    run([stale], ["data_planes"])
    run([{**row, "config_hash": "0" * 32}], ["data_planes"])
    run([row, {**row, "id": "3", "config_hash": "b" * 32}], ["data_planes"])
    run([{**row, "sync_status": "plugin_set_incompatible"}], ["data_planes"])
    run([row], ["old.control_plane_stopped"], old_admin=world.node("3.0.0").url)
    with socket.create_server(("127.0.0.1", 0)) as hung:  # takes connections, says nothing
        run([row], ["old.control_plane_stopped"], old_admin=f"http://127.0.0.1:{hung.getsockname()[1]}")
    postgres.sql("k31", "INSERT INTO plugins VALUES (9, 'rate-limiting-advanced', true, "
                        "'{\"strategy\": \"cluster\"}')")
    run([row], ["strategy"])


def test_counters_routes_and_templates_are_looked_at(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    for name in ("k30", "k31"):
        postgres.sql(name, "INSERT INTO plugins VALUES (2, 'rate-limiting', true, '{\"policy\": \"local\"}')")
    world.preflight(clone_gate(), both, expect=[])
    assert not world.checks["counters"]["passed"] and "rate-limiting" in world.checks["counters"]["message"]
    world.preflight(clone_gate(templates=["location / { Kong.serve_admin_api() }"]), both, expect=["templates"])
    world.preflight(clone_gate(templates=["location / { Kong.admin_content() }"]), both, expect=[])
    for name in ("k30", "k31"):
        postgres.sql(name, "INSERT INTO routes VALUES (2, 'stream', NULL, '{tcp}', NULL)")
    world.preflight(clone_gate(), both, expect=["fronting"])
    assert "stream" in world.checks["fronting"]["message"]


def test_hostile_names_in_a_database_reach_nothing_unescaped(world, postgres):
    postgres.make("k30", fresh("3.0"))
    postgres.make("k31", fresh("3.1"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k31")}
    postgres.sql("k31", "INSERT INTO schema_meta VALUES ('schema_meta', E'evil\\x1b[2J\\r\\n\"', NULL, NULL, "
                        "'{\"x''; DROP TABLE routes; --\"}')")
    world.preflight(clone_gate(), both, expect=["new.pending"])
    message = world.checks["new.pending"]["message"]
    assert "\x1b" not in message and "\r" not in message
    assert postgres.sql("k31", "SELECT count(*) FROM routes").strip() == "1"


def test_only_the_checks_named_are_shown(world, postgres):
    postgres.make("k30", fresh("3.0"))
    both = {"old": postgres.url("k30"), "new": postgres.url("k30")}
    answer = world.preflight(clone_gate(), both, only="path,lock")
    assert [row["check"] for row in answer["checks"]] == ["path", "lock"] and answer["passed"]
    words = [BINARY, "preflight", str(world.folder / "plan.yaml"), "-c", str(world.folder / "crossfade.yaml")]
    nothing = subprocess.run(words + ["--only", "pathh"], capture_output=True, text=True)
    assert nothing.returncode == 2 and "pathh" in nothing.stderr


def test_dbless_needs_no_database(world):
    gate = {"topology": "dbless", "from_version": "3.0", "to_version": "3.1",
            "new": {"admin": [world.node("3.1.0").url]}}
    world.preflight(gate, {}, expect=[])
    empty = world.node("3.1.0")
    empty.pages["/status"] = {"database": {"reachable": True}, "configuration_hash": "0" * 32}
    world.preflight({**gate, "new": {"admin": [empty.url]}}, {}, expect=["new.not_empty"])
    full = world.node("3.1.0")
    full.pages["/routes"] = {"data": [{"name": "orders", "protocols": ["http"], "snis": None}],
                             "next": "/routes?offset=1"}
    full.pages["/routes?offset=1"] = {"data": [{"name": "chat", "protocols": ["grpc"]}], "next": None}
    world.preflight({**gate, "new": {"admin": [full.url]}}, {}, expect=["fronting"])
    assert "chat" in world.checks["fronting"]["message"] and "orders" not in world.checks["fronting"]["message"]
    full.pages["/routes?offset=1"] = {"data": [], "next": None}
    world.preflight({**gate, "new": {"admin": [full.url]}}, {}, expect=[])
    assert world.checks["fronting"]["passed"]
