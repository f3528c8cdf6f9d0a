"""The kong gate on tables as Kong's own migrations leave them, at each stage of an upgrade."""

import pytest

from kong_schema import FINISH_3_0, SERVICE, UP_3_0, UP_3_1, WORKSPACE, bootstrap_2_8
from test_kong_preflight import clone_gate, world  # noqa: F401 (a fixture)

pytestmark = pytest.mark.slow


def stage(postgres, name, source, *steps):
    """The database `name`, cloned from `source` and migrated by `steps`."""
    postgres.sql("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    postgres.sql("postgres", f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{source}"' if source else ""))
    for sql in steps:
        postgres.sql(name, sql)
    return postgres.url(name)


@pytest.fixture(scope="module")
def stages(postgres):
    made = {"2.8": stage(postgres, "s28", None, bootstrap_2_8())}
    made["3.0 up"] = stage(postgres, "s30u", "s28", UP_3_0)
    made["3.0"] = stage(postgres, "s30", "s30u", FINISH_3_0)
    made["3.1"] = stage(postgres, "s31", "s30", UP_3_1)
    made["3.1 of 3.0 up"] = stage(postgres, "s31u", "s30u", UP_3_1)
    return made


def test_each_stage_of_a_real_schema_fails_exactly_its_own_checks(world, postgres, stages):  # noqa: F811
    def run(old, new, start, end, expect, **more):
        gate = clone_gate(from_version=start, to_version=end, **more)
        world.preflight(gate, {"old": stages[old], "new": stages[new]}, expect=expect)

    run("2.8", "3.0 up", "2.8.2", "3.0", ["new.pending"])
    run("2.8", "3.0", "2.8.2", "3.0", [])
    run("3.0", "3.1", "3.0", "3.1", [])
    assert "17 configuration tables" in world.checks["clone.current"]["message"]
    run("3.0", "3.0", "3.0", "3.1", ["new.level", "distinct"])
    run("3.0", "3.1 of 3.0 up", "3.0", "3.1", ["new.pending", "clone.current"])  # the teardown changes rows
    run("3.0 up", "3.0 up", "2.8.2", "3.0", [], database="shared")
    stages = {**stages, "3.1": stage(postgres, "s31c", "s31")}
    postgres.sql("s31c", "DELETE FROM keyauth_credentials WHERE ttl IS NOT NULL; UPDATE parameters SET value = 'x';"
                        "DELETE FROM cluster_events; DELETE FROM clustering_data_planes; INSERT INTO ratelimiting_metrics"
                        f" VALUES ('x', 'day', now(), '{SERVICE}', '{SERVICE}', 1, now())")
    run("3.0", "3.1", "3.0", "3.1", [])  # what Kong's nodes write by themselves is no change
    changes = {
        "services": "UPDATE services SET ca_certificates = ARRAY[id]",
        "routes": "UPDATE routes SET sources = ARRAY['{\"ip\": \"10.0.0.0/8\"}'::jsonb]",
        "plugins": "UPDATE plugins SET config = '{\"key_names\": [\"key\"]}' WHERE name = 'key-auth'",
        "workspaces": "INSERT INTO workspaces (id, name) VALUES (gen_random_uuid(), 'team')",
        "keyauth_credentials": "UPDATE keyauth_credentials SET key = 'stolen' WHERE ttl IS NULL",
    }
    postgres.sql("s31c", ";".join(changes.values()))
    run("3.0", "3.1", "3.0", "3.1", ["clone.current"])
    named = world.checks["clone.current"]["message"].split("in: ")[1].split(";")[0]
    assert sorted(named.split(", ")) == sorted(changes)
    assert WORKSPACE not in str(world.checks)


ENTERPRISE = """
INSERT INTO schema_meta VALUES ('schema_meta', 'enterprise', '015_3000_to_3100', '{000_base,015_3000_to_3100}', %s),
    ('schema_meta', 'enterprise.acl', '001_1500_to_2100', '{001_1500_to_2100}', NULL),
    ('schema_meta', 'my-own-plugin', '000_base', '{000_base,000_base}', '{000_base}');
CREATE TABLE licenses (id UUID PRIMARY KEY, payload TEXT NOT NULL);
CREATE TABLE workspace_entities (workspace_id UUID, entity_id TEXT, PRIMARY KEY (workspace_id, entity_id));
CREATE TABLE vaults (id UUID PRIMARY KEY, name TEXT, vault_token TEXT);
"""


def test_enterprise_and_own_plugins_count_by_what_they_leave_pending(world, postgres, stages):  # noqa: F811
    old = stage(postgres, "e30", "s30", ENTERPRISE % "NULL")
    new = stage(postgres, "e31", "e30", UP_3_1)
    world.preflight(clone_gate(), {"old": old, "new": new}, expect=[])
    postgres.sql("e31", "UPDATE schema_meta SET pending = '{016_3100_to_3200}' WHERE subsystem = 'enterprise'")
    world.preflight(clone_gate(), {"old": old, "new": new}, expect=["new.pending"])
    assert "enterprise:016_3100_to_3200" in world.checks["new.pending"]["message"]


def test_kongs_schema_may_have_another_name_and_a_role_only_what_is_documented(world, postgres, stages):  # noqa: F811
    both = {}
    for role, source in (("old", "s30"), ("new", "s31")):
        name = f"{role}-renamed"
        stage(postgres, name, source, 'ALTER SCHEMA public RENAME TO "Kong"; CREATE SCHEMA public;'
              " GRANT USAGE ON SCHEMA public TO PUBLIC")
        both[role] = postgres.url(name, "prober")
    postgres.sql("postgres", "DROP ROLE IF EXISTS prober; CREATE ROLE prober LOGIN")
    sides = {role: {"database": role, "schema": "Kong"} for role in both}
    world.preflight(clone_gate(), both, expect=["old.bootstrapped", "new.bootstrapped"])
    assert "`Kong`" in world.checks["new.bootstrapped"]["message"]
    world.preflight(clone_gate(**sides), both, expect=["old.bootstrapped", "new.bootstrapped"])
    assert "USAGE" in world.checks["new.bootstrapped"]["message"]
    for name in ("old-renamed", "new-renamed"):
        postgres.sql(name, 'GRANT USAGE ON SCHEMA "Kong" TO prober; GRANT SELECT ON ALL TABLES IN SCHEMA "Kong" TO prober')
    world.preflight(clone_gate(**sides), both, expect=[])
    for name in ("old-renamed", "new-renamed"):
        postgres.sql(name, "DROP OWNED BY prober")
    postgres.sql("postgres", "DROP ROLE prober")
