"""kong_schema.py -- Kong's tables with the columns and types that its own migrations leave.

Written from the facts of those migrations, hop by hop as an operator runs them: `bootstrap_2_8()`,
then `UP_3_0`, `FINISH_3_0`, `UP_3_1` (which leaves nothing to finish).  kong_world.py has smaller
databases for everything that does not ask for the types.
"""

CORE_2_8 = ["000_base", "003_100_to_110", "004_110_to_120", "005_120_to_130", "006_130_to_140", "007_140_to_150",
            "008_150_to_200", "009_200_to_210", "010_210_to_211", "011_212_to_213", "012_213_to_220", "013_220_to_230",
            "014_230_to_270", "015_270_to_280"]
CREDENTIALS = {"basic-auth": "basic_auth", "hmac-auth": "hmac_auth", "jwt": "jwt", "key-auth": "key_auth"}
PLUGINS_2_8 = {
    "acl": ["000_base_acl", "002_130_to_140", "003_200_to_210", "004_212_to_213"],
    "acme": ["000_base_acme"],
    "bot-detection": ["001_200_to_210"],
    "ip-restriction": ["001_200_to_210"],
    "oauth2": ["000_base_oauth2", "003_130_to_140", "004_200_to_210", "005_210_to_211"],
    "rate-limiting": ["000_base_rate_limiting", "003_10_to_112", "004_200_to_210"],
    "response-ratelimiting": ["000_base_response_rate_limiting"],
    "session": ["000_base_session", "001_add_ttl_index"],
    **{name: [f"000_base_{short}", "002_130_to_140", "003_200_to_210"] for name, short in CREDENTIALS.items()},
}
STAMPS = "created_at TIMESTAMPTZ DEFAULT (CURRENT_TIMESTAMP(0) AT TIME ZONE 'UTC')"
OWNED = f"id UUID PRIMARY KEY, {STAMPS}, consumer_id UUID REFERENCES consumers (id) ON DELETE CASCADE, tags TEXT[], " \
        "ws_id UUID REFERENCES workspaces (id)"

TABLES_2_8 = f"""
CREATE TABLE schema_meta (key TEXT, subsystem TEXT, last_executed TEXT, executed TEXT[], pending TEXT[],
                          PRIMARY KEY (key, subsystem));
CREATE TABLE locks (key TEXT PRIMARY KEY, owner TEXT, ttl TIMESTAMP WITH TIME ZONE);
CREATE INDEX locks_ttl_idx ON locks (ttl);
CREATE TABLE parameters (key TEXT PRIMARY KEY, value TEXT NOT NULL, created_at TIMESTAMPTZ);
CREATE TABLE cluster_events (id UUID PRIMARY KEY, node_id UUID NOT NULL, at TIMESTAMPTZ NOT NULL, nbf TIMESTAMPTZ,
                             expire_at TIMESTAMPTZ NOT NULL, channel TEXT, data TEXT);
CREATE TABLE clustering_data_planes (id UUID PRIMARY KEY, hostname TEXT NOT NULL, ip TEXT NOT NULL,
    last_seen TIMESTAMPTZ DEFAULT (CURRENT_TIMESTAMP(0) AT TIME ZONE 'UTC'), config_hash TEXT NOT NULL,
    ttl TIMESTAMPTZ, version TEXT, sync_status TEXT NOT NULL DEFAULT 'unknown');
CREATE TABLE tags (entity_id UUID PRIMARY KEY, entity_name TEXT, tags TEXT[]);
CREATE TABLE ttls (primary_key_value TEXT NOT NULL, primary_uuid_value UUID, table_name TEXT NOT NULL,
    primary_key_name TEXT NOT NULL, expire_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    PRIMARY KEY (primary_key_value, table_name));
CREATE TABLE workspaces (id UUID PRIMARY KEY, name TEXT UNIQUE, comment TEXT, {STAMPS}, meta JSONB, config JSONB);
CREATE TABLE certificates (id UUID PRIMARY KEY, {STAMPS}, cert TEXT, key TEXT, tags TEXT[],
    ws_id UUID REFERENCES workspaces (id), cert_alt TEXT, key_alt TEXT);
CREATE TABLE ca_certificates (id UUID PRIMARY KEY, {STAMPS}, cert TEXT NOT NULL, tags TEXT[],
    cert_digest TEXT NOT NULL UNIQUE);
CREATE TABLE snis (id UUID PRIMARY KEY, {STAMPS}, name TEXT NOT NULL UNIQUE,
    certificate_id UUID REFERENCES certificates (id), tags TEXT[], ws_id UUID REFERENCES workspaces (id));
CREATE TABLE services (id UUID PRIMARY KEY, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ, name TEXT, retries BIGINT,
    protocol TEXT, host TEXT, port BIGINT, path TEXT, connect_timeout BIGINT, write_timeout BIGINT,
    read_timeout BIGINT, tags TEXT[], client_certificate_id UUID REFERENCES certificates (id), tls_verify BOOLEAN,
    tls_verify_depth SMALLINT, ca_certificates UUID[], ws_id UUID REFERENCES workspaces (id), enabled BOOLEAN
    DEFAULT true);
CREATE TABLE routes (id UUID PRIMARY KEY, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ, name TEXT,
    service_id UUID REFERENCES services (id), protocols TEXT[], methods TEXT[], hosts TEXT[], paths TEXT[],
    snis TEXT[], sources JSONB[], destinations JSONB[], regex_priority BIGINT, strip_path BOOLEAN,
    preserve_host BOOLEAN, tags TEXT[], https_redirect_status_code INTEGER, headers JSONB, path_handling TEXT
    DEFAULT 'v0', ws_id UUID REFERENCES workspaces (id), request_buffering BOOLEAN, response_buffering BOOLEAN);
CREATE TABLE consumers (id UUID PRIMARY KEY, {STAMPS}, username TEXT, custom_id TEXT, tags TEXT[],
    ws_id UUID REFERENCES workspaces (id));
CREATE TABLE plugins (id UUID PRIMARY KEY, {STAMPS}, name TEXT NOT NULL,
    consumer_id UUID REFERENCES consumers (id) ON DELETE CASCADE, service_id UUID REFERENCES services (id)
    ON DELETE CASCADE, route_id UUID REFERENCES routes (id) ON DELETE CASCADE, config JSONB NOT NULL,
    enabled BOOLEAN NOT NULL, cache_key TEXT UNIQUE, protocols TEXT[], tags TEXT[],
    ws_id UUID REFERENCES workspaces (id));
CREATE TABLE upstreams (id UUID PRIMARY KEY, created_at TIMESTAMPTZ DEFAULT (CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC'),
    name TEXT, hash_on TEXT, hash_fallback TEXT, hash_on_header TEXT, hash_fallback_header TEXT, hash_on_cookie TEXT,
    hash_on_cookie_path TEXT, slots INTEGER NOT NULL, healthchecks JSONB, tags TEXT[], algorithm TEXT,
    host_header TEXT, client_certificate_id UUID REFERENCES certificates (id), ws_id UUID REFERENCES workspaces (id));
CREATE TABLE targets (id UUID PRIMARY KEY, created_at TIMESTAMPTZ DEFAULT (CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC'),
    upstream_id UUID REFERENCES upstreams (id) ON DELETE CASCADE, target TEXT NOT NULL, weight INTEGER NOT NULL,
    tags TEXT[], ws_id UUID REFERENCES workspaces (id));
CREATE TABLE vaults_beta (id UUID PRIMARY KEY, ws_id UUID REFERENCES workspaces (id), prefix TEXT UNIQUE,
    name TEXT NOT NULL, description TEXT, config JSONB NOT NULL, {STAMPS}, updated_at TIMESTAMPTZ, tags TEXT[]);
CREATE TABLE acls ({OWNED}, "group" TEXT, cache_key TEXT UNIQUE);
CREATE TABLE basicauth_credentials ({OWNED}, username TEXT, password TEXT);
CREATE TABLE hmacauth_credentials ({OWNED}, username TEXT, secret TEXT);
CREATE TABLE jwt_secrets ({OWNED}, key TEXT, secret TEXT, algorithm TEXT, rsa_public_key TEXT);
CREATE TABLE keyauth_credentials ({OWNED}, key TEXT, ttl TIMESTAMPTZ);
CREATE TABLE oauth2_credentials ({OWNED}, name TEXT, client_id TEXT, client_secret TEXT, redirect_uris TEXT[],
    client_type TEXT, hash_secret BOOLEAN);
CREATE TABLE oauth2_tokens (id UUID PRIMARY KEY, {STAMPS}, access_token TEXT, ttl TIMESTAMPTZ);
CREATE TABLE oauth2_authorization_codes (id UUID PRIMARY KEY, {STAMPS}, code TEXT, ttl TIMESTAMPTZ);
CREATE TABLE sessions (id UUID PRIMARY KEY, session_id TEXT UNIQUE, expires INTEGER, data TEXT, {STAMPS},
                       ttl TIMESTAMPTZ);
CREATE TABLE acme_storage (id UUID PRIMARY KEY, key TEXT UNIQUE, value TEXT, {STAMPS}, ttl TIMESTAMPTZ);
CREATE TABLE ratelimiting_metrics (identifier TEXT, period TEXT, period_date TIMESTAMPTZ, service_id UUID, route_id UUID,
    value INTEGER, ttl TIMESTAMPTZ, PRIMARY KEY (identifier, period, period_date, service_id, route_id));
CREATE TABLE response_ratelimiting_metrics (identifier TEXT, period TEXT, period_date TIMESTAMPTZ, service_id UUID,
    route_id UUID, value INTEGER, PRIMARY KEY (identifier, period, period_date, service_id, route_id));
"""

WORKSPACE, SERVICE, ROUTE, CONSUMER, UPSTREAM = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(1, 6))
ROWS_2_8 = f"""
INSERT INTO parameters VALUES ('cluster_id', '{WORKSPACE}', now());
INSERT INTO workspaces (id, name) VALUES ('{WORKSPACE}', 'default');
INSERT INTO services (id, created_at, updated_at, name, host, port, protocol, retries, ws_id, tags)
    VALUES ('{SERVICE}', now(), now(), 'orders', 'orders.internal', 80, 'http', 5, '{WORKSPACE}', '{{a,b}}');
INSERT INTO routes (id, created_at, name, service_id, protocols, paths, headers, sources, ws_id)
    VALUES ('{ROUTE}', now(), 'orders', '{SERVICE}', '{{http,https}}', '{{/orders,"/v1/(?<id>[0-9]+)"}}',
            '{{"x-a": ["b"]}}', NULL, '{WORKSPACE}');
INSERT INTO consumers (id, username, ws_id) VALUES ('{CONSUMER}', 'jane', '{WORKSPACE}');
INSERT INTO keyauth_credentials (id, consumer_id, key, ws_id, ttl)
    VALUES (gen_random_uuid(), '{CONSUMER}', 'secret-of-a-consumer', '{WORKSPACE}', NULL),
           (gen_random_uuid(), '{CONSUMER}', 'short-lived', '{WORKSPACE}', now() + interval '1 day');
INSERT INTO plugins (id, name, config, enabled, protocols, ws_id) VALUES
    (gen_random_uuid(), 'key-auth', '{{"key_names": ["apikey"]}}', true, '{{http,https}}', '{WORKSPACE}'),
    (gen_random_uuid(), 'pre-function', '{{"functions": ["return"], "access": []}}', true, NULL, '{WORKSPACE}'),
    (gen_random_uuid(), 'http-log', '{{"headers": {{"x-y": ["z"]}}}}', false, NULL, '{WORKSPACE}');
INSERT INTO upstreams (id, name, slots, healthchecks, ws_id)
    VALUES ('{UPSTREAM}', 'orders', 10000, '{{"active": {{}}}}', '{WORKSPACE}');
INSERT INTO targets (id, upstream_id, target, weight, ws_id, created_at)
    SELECT gen_random_uuid(), '{UPSTREAM}', '10.0.0.1:80', 100, '{WORKSPACE}', now() - n * interval '1 hour'
    FROM generate_series(1, 2) AS n;
INSERT INTO vaults_beta (id, prefix, name, config, ws_id) VALUES (gen_random_uuid(), 'env', 'env', '{{}}', '{WORKSPACE}');
INSERT INTO clustering_data_planes (id, hostname, ip, config_hash, version) VALUES
    (gen_random_uuid(), 'dp-1', '10.0.0.9', md5('x'), '2.8.2');
INSERT INTO cluster_events VALUES (gen_random_uuid(), gen_random_uuid(), now(), NULL, now() + interval '1 hour', 'x', 'y');
"""


def array(names):
    return "NULL" if names is None else "'{" + ",".join(names) + "}'"


def meta(subsystem, executed, pending):
    return ("INSERT INTO schema_meta VALUES ('schema_meta', '%s', '%s', %s, %s);\n"
            % (subsystem, executed[-1], array(executed), array(pending)))


def bootstrap_2_8():
    """What `kong migrations bootstrap` of 2.8.2 leaves, with a little configuration."""
    return TABLES_2_8 + ROWS_2_8 + meta("core", CORE_2_8, []) + "".join(
        meta(name, migrations, None) for name, migrations in PLUGINS_2_8.items())


def pends(subsystem, name):
    return ("INSERT INTO schema_meta (key, subsystem, pending) VALUES ('schema_meta', '%s', '{%s}') "
            "ON CONFLICT (key, subsystem) DO UPDATE SET pending = array_append(schema_meta.pending, '%s');\n"
            % (subsystem, name, name))


def executed(subsystem, name):
    return ("UPDATE schema_meta SET executed = array_append(executed, '%s'), last_executed = '%s' "
            "WHERE subsystem = '%s';\n" % (name, name, subsystem))


def finished(subsystem, name):
    return executed(subsystem, name) + (
        "UPDATE schema_meta SET pending = array_remove(pending, '%s') WHERE subsystem = '%s';\n" % (name, subsystem))


TEARDOWNS_3_0 = {"core": "016_280_to_300", "http-log": "001_280_to_300", "post-function": "001_280_to_300",
                 "pre-function": "001_280_to_300"}
UP_3_0 = f"""
ALTER TABLE targets ADD COLUMN cache_key TEXT UNIQUE;
ALTER TABLE upstreams ADD hash_on_query_arg TEXT, ADD hash_fallback_query_arg TEXT, ADD hash_on_uri_capture TEXT,
                      ADD hash_fallback_uri_capture TEXT;
ALTER TABLE routes ADD expression TEXT, ADD priority BIGINT;
CREATE TABLE sm_vaults (id UUID PRIMARY KEY, ws_id UUID REFERENCES workspaces (id), prefix TEXT UNIQUE, name TEXT NOT NULL,
    description TEXT, config JSONB NOT NULL, {STAMPS}, updated_at TIMESTAMPTZ, tags TEXT[]);
UPDATE routes SET paths = ARRAY(SELECT CASE WHEN p LIKE '%(%' THEN '~' || p ELSE p END FROM unnest(paths) AS p);
UPDATE plugins SET config = jsonb_set(config, '{{access}}', config->'functions') WHERE name = 'pre-function';
""" + "".join(pends(*each) for each in TEARDOWNS_3_0.items()) + executed("acme", "001_280_to_300")
FINISH_3_0 = """
DROP TABLE IF EXISTS vaults_beta, vaults;
DELETE FROM targets t1 USING targets t2 WHERE t1.created_at < t2.created_at AND t1.upstream_id = t2.upstream_id
    AND t1.target = t2.target;
UPDATE targets SET cache_key = concat('targets:', upstream_id, ':', target, '::::', ws_id);
UPDATE plugins SET config = config - 'functions' WHERE name = 'pre-function';
UPDATE plugins SET config = jsonb_set(config, '{headers}', '{"x-y": "z"}') WHERE name = 'http-log';
""" + "".join(finished(*each) for each in TEARDOWNS_3_0.items())
UP_3_1 = """
ALTER TABLE upstreams ADD use_srv_name BOOLEAN DEFAULT false;
CREATE TABLE key_sets (id UUID PRIMARY KEY, name TEXT UNIQUE, tags TEXT[], ws_id UUID REFERENCES workspaces (id),
    created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ);
CREATE TABLE keys (id UUID PRIMARY KEY, set_id UUID REFERENCES key_sets (id) ON DELETE CASCADE, name TEXT UNIQUE,
    cache_key TEXT UNIQUE, ws_id UUID REFERENCES workspaces (id), kid TEXT, jwk TEXT, pem JSONB, tags TEXT[],
    created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ, UNIQUE (kid, set_id));
""" + executed("core", "017_300_to_310")
