/*
 * test_config.c -- what a good file means: defaults, short forms, references, digests.
 */
#include "config/config.h"

#include "config/cpus.h"
#include "config/paths.h"

#include "config_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_minimal_file_gets_every_default(void **state)
{
    (void) state;
    struct xf_config *config = good_config(VALID_FILE);
    assert_string_equal(config->file, "crossfade.yaml");
    assert_int_equal(config->store.kind, XF_STORE_SQLITE);
    assert_string_equal(config->store.namespace_name, "default");
    assert_true(strncmp(config->store.path, config->state_dir, strlen(config->state_dir)) == 0);
    assert_non_null(strstr(config->store.path, "/state.db"));
    assert_non_null(strstr(config->store.url, "sqlite:/"));
    assert_null(config->journal.url);
    assert_int_equal(config->snapshot_max_age_ms, 24 * 3600 * 1000);
    assert_true(config->proxy_name[0] != '\0');
    assert_non_null(strstr(config->admin.socket, "admin.sock"));
    assert_null(config->admin.listen.text);
    assert_in_range(config->workers, 1, XF_WORKERS_MAX);
    const struct xf_config_timeouts *t = &config->timeouts;
    const int64_t expected[] = {10000, 30000,  30000, 75000,  3000,   60000, 60000,
                                50000, XF_OFF, 5000,  XF_OFF, 600000, 5000};
    const int64_t read[] = {t->header,  t->body,       t->send,          t->idle,
                            t->connect, t->first_byte, t->upstream_body, t->upstream_idle,
                            t->total,   t->queue,      t->tunnel_idle,   t->shutdown,
                            t->lameduck};
    for (size_t i = 0; i < XF_COUNT(expected); i++) {
        assert_int_equal(read[i], expected[i]);
    }
    assert_int_equal(config->limits.head, 32 * 1024);
    assert_int_equal(config->limits.fields, 128);
    assert_int_equal(config->limits.body, 1024 * 1024 * 1024);
    assert_int_equal(config->limits.connections, 20000);
    assert_int_equal(config->limits.buffers, 64 * 1024 * 1024);
    assert_int_equal(config->trusted_count, 0);
    assert_null(config->access_log.path);
    assert_int_equal(config->upgrade_count, 1);
    assert_string_equal(config->upgrade[0], "websocket");
    assert_int_equal(config->drain.policy, XF_DRAIN_NATURAL);
    assert_int_equal(config->drain.quiet_ms, 1000);
    assert_int_equal(config->hooks_count + config->databases_count + config->webhooks_count, 0);
    const struct xf_config_service *web = &config->services[0];
    assert_int_equal(web->fallback, XF_FALLBACK_TO_BLUE);
    assert_int_equal(web->sticky.by, XF_STICKY_NONE);
    assert_int_equal(web->follows, -1);
    assert_int_equal(web->clusters_count, 2);
    assert_int_equal(config->listeners[0].service, 0);
    const struct xf_config_check *check = &config->clusters[0].check;
    assert_null(check->path);
    assert_int_equal(check->every_ms, 2000);
    assert_int_equal(check->timeout_ms, 1000);
    assert_int_equal(check->expect_low, 200);
    assert_int_equal(check->expect_high, 299);
    assert_int_equal(config->clusters[0].servers[0].weight, 100);
    xf_config_destroy(config);
}

static void a_cluster_may_be_written_short(void **state)
{
    (void) state;
    struct xf_config *config = good_config(
        VALID_LISTENERS "services: {web: {live: one}}\n"
                        "clusters:\n"
                        "  one: 10.0.0.1:80\n"
                        "  list: [10.0.0.1:80, \"[::1]:81\"]\n"
                        "  whole:\n"
                        "    servers:\n"
                        "      - web.example:80\n"
                        "      - {address: \"10.0.0.3:80\", weight: 7, backup: true}\n");
    assert_int_equal(config->servers_count, 5);
    assert_int_equal(config->clusters[0].servers_count, 1);
    assert_int_equal(config->clusters[1].first_server, 1);
    assert_int_equal(config->clusters[2].first_server, 3);
    const struct xf_endpoint *v6 = &config->clusters[1].servers[1].endpoint;
    assert_true(v6->numeric);
    assert_string_equal(v6->host, "::1");
    assert_int_equal(v6->address.ss_family, AF_INET6);
    assert_int_equal(v6->address_bytes, sizeof(struct sockaddr_in6));
    const struct xf_config_server *named = &config->clusters[2].servers[0];
    assert_false(named->endpoint.numeric);
    assert_string_equal(named->endpoint.host, "web.example");
    assert_int_equal(named->endpoint.port, 80);
    const struct xf_config_server *backup = &config->clusters[2].servers[1];
    assert_int_equal(backup->weight, 7);
    assert_true(backup->backup);
    const struct sockaddr_in *address = (const void *) &backup->endpoint.address;
    assert_int_equal(ntohs(address->sin_port), 80);
    assert_int_equal(ntohl(address->sin_addr.s_addr), 0x0a000003);
    xf_config_destroy(config);
}

/* What the tests of TLS need of a file is only that it can be read. */
#define READABLE "{certificate: " XF_TEST_TREE "/README.md, key: " XF_TEST_TREE "/CHANGELOG.md"

static void one_certificate_or_a_list_of_them(void **state)
{
    (void) state;
    static const struct {
        const char *tls;
        unsigned more;
    } rows[] = {{READABLE "}", 0},
                {"[" READABLE "}]", 0},
                {"[" READABLE ", client_ca: " XF_TEST_TREE "/README.md}, " READABLE "}]", 1},
                {"[" READABLE "}, " READABLE "}, " READABLE "}]", 2}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char text[4096];
        snprintf(text, sizeof(text), "listeners: [{bind: 127.0.0.1:8000, tls: %s}]\n%s",
                 rows[i].tls, VALID_SERVICES VALID_CLUSTERS);
        struct xf_config *config = good_config(text);
        const struct xf_config_listener *listener = &config->listeners[0];
        assert_string_equal(listener->tls.certificate, XF_TEST_TREE "/README.md");
        assert_int_equal(listener->tls_more_count, rows[i].more);
        for (unsigned k = 0; k < rows[i].more; k++) {
            assert_string_equal(listener->tls_more[k].certificate, XF_TEST_TREE "/README.md");
            assert_string_equal(listener->tls_more[k].key, XF_TEST_TREE "/CHANGELOG.md");
        }
        assert_int_equal(listener->tls.client_ca != NULL, strstr(rows[i].tls, "ca:") != NULL);
        xf_config_destroy(config);
    }
}

static void a_list_of_certificates_says_what_is_wrong_in_it(void **state)
{
    (void) state;
    static const struct {
        const char *tls, *said;
    } rows[] = {{"[]", "listeners[0].tls: is empty: give it a section, or leave it out"},
                {"[" READABLE "}, 7]", "listeners[0].tls[1]: expected a section of keys"},
                {"[" READABLE "}, {key: " XF_TEST_TREE "/README.md}]",
                 "missing key \"certificate\" in listeners[0].tls[1]"},
                {"[" READABLE "}, " READABLE ", kei: 1}]",
                 "unknown key \"kei\" in listeners[0].tls[1] (did you mean \"key\"?)"},
                {"[" READABLE "}, " READABLE ", client_ca: " XF_TEST_TREE "/README.md}]",
                 "client_ca and ticket_keys_file stand with the first certificate"}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char text[4096];
        snprintf(text, sizeof(text), "listeners: [{bind: 127.0.0.1:8000, tls: %s}]\n%s",
                 rows[i].tls, VALID_SERVICES VALID_CLUSTERS);
        char *said = refusal(text);
        if (strstr(said, rows[i].said) == NULL) {
            fail_msg("expected:\n%s\nsaid:\n%s", rows[i].said, said);
        }
        free(said);
    }
}

static void a_service_inherits_what_it_does_not_set(void **state)
{
    (void) state;
    struct xf_config *config =
        good_config(VALID_LISTENERS VALID_CLUSTERS
                    "timeouts: {connect: 1s, idle: 9s}\n"
                    "limits: {head: 4KiB}\n"
                    "services: {web: {live: web-v1, timeouts: {idle: 8s, total: 2m},\n"
                    "                 limits: {body: 1MiB}, fallback: both,\n"
                    "                 sticky: {by: header, name: ApiKey, else: client-ip}}}\n");
    const struct xf_config_service *web = &config->services[0];
    assert_int_equal(config->timeouts.idle, 9000);
    assert_int_equal(web->timeouts.idle, 8000);
    assert_int_equal(web->timeouts.connect, 1000);
    assert_int_equal(web->timeouts.total, 120000);
    assert_int_equal(web->timeouts.header, 10000);
    assert_int_equal(web->limits.head, 4096);
    assert_int_equal(web->limits.body, 1024 * 1024);
    assert_int_equal(web->limits.fields, 128);
    assert_int_equal(web->fallback, XF_FALLBACK_BOTH);
    assert_int_equal(web->sticky.by, XF_STICKY_HEADER);
    assert_string_equal(web->sticky.name, "apikey");
    assert_int_equal(web->sticky.otherwise, XF_STICKY_CLIENT_IP);
    xf_config_destroy(config);
}

static void a_follower_goes_live_on_the_pair_of_the_others(void **state)
{
    (void) state;
    struct xf_config *config = good_config(
        "listeners: [{bind: 127.0.0.1:1, service: b}, {bind: 127.0.0.1:2, service: a}]\n"
        "services:\n"
        "  a: {follows: b, clusters: [a1, a2]}\n"
        "  b: {live: b2, clusters: [b1, b2]}\n"
        "clusters: {a1: h:1, a2: h:2, b1: h:3, b2: h:4}\n");
    const struct xf_config_service *a = &config->services[0];
    assert_int_equal(a->follows, 1);
    assert_string_equal(config->clusters[a->live].name, "a2");
    assert_int_equal(config->listeners[0].service, 1);
    assert_int_equal(config->pairs_count, 4);
    assert_int_equal(xf_config_find_service(config, "b"), 1);
    assert_int_equal(xf_config_find_service(config, "c"), -1);
    int b2 = xf_config_find_cluster(config, "b2");
    assert_int_equal(xf_config_pair(config, 1, (unsigned) b2), 3);
    assert_int_equal(xf_config_pair(config, 0, (unsigned) b2), -1);
    xf_config_destroy(config);
}

static void a_store_is_known_by_its_url(void **state)
{
    (void) state;
    static const struct {
        const char *url, *host, *user;
        enum xf_store_kind kind;
        unsigned port, database, hosts;
    } rows[] = {
        {"sqlite:/tmp/x.db", NULL, NULL, XF_STORE_SQLITE, 0, 0, 0},
        {"redis://h", "h", NULL, XF_STORE_REDIS, 6379, 0, 1},
        {"redis://me@10.0.0.9:7000/3", "10.0.0.9", "me", XF_STORE_REDIS, 7000, 3, 1},
        {"redis://[::1]:7001/", "::1", NULL, XF_STORE_REDIS, 7001, 0, 1},
        {"redis://[::1]", "::1", NULL, XF_STORE_REDIS, 6379, 0, 1},
        {"redis://me@a:7001,[::1]:7002,c/0", "a", "me", XF_STORE_REDIS, 7001, 0, 3},
        {"rediss://a,b", "a", NULL, XF_STORE_REDIS, 6379, 0, 2},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char text[512];
        snprintf(text, sizeof(text), "%sstore: \"%s\"\n", VALID_FILE, rows[i].url);
        struct xf_config *config = good_config(text);
        const struct xf_config_store *store = &config->store;
        assert_string_equal(store->url, rows[i].url);
        assert_int_equal(store->kind, rows[i].kind);
        assert_int_equal(store->database, rows[i].database);
        if (rows[i].host != NULL) {
            assert_int_equal(store->endpoints_count, rows[i].hosts);
            assert_string_equal(store->endpoints[0].host, rows[i].host);
            assert_int_equal(store->endpoints[0].port, rows[i].port);
        } else {
            assert_string_equal(store->path, "/tmp/x.db");
        }
        if (rows[i].user == NULL) {
            assert_null(store->user);
        } else {
            assert_string_equal(store->user, rows[i].user);
        }
        xf_config_destroy(config);
    }
}

static void plans_find_hooks_databases_and_webhooks(void **state)
{
    (void) state;
    struct xf_config *config = good_config(
        VALID_FILE "hooks: {fin: {command: [kong, finish], repeatable: true}}\n"
                   "databases: {old: \"postgresql://u@h/d\", new: {url: service=kong}}\n"
                   "webhooks: {ops: https://h/x, chat: {url: http://h/y, format: slack}}\n"
                   "upgrade: [WebSocket, foo]\n"
                   "forwarded: {trusted: [10.0.0.0/8, \"fd00::/8\"]}\n"
                   "drain: {policy: paced, rate: 90/m}\n"
                   "access_log: {path: /tmp/a.log, format: combined}\n");
    assert_string_equal(config->hooks[0].command[1], "finish");
    assert_null(config->hooks[0].command[2]);
    assert_true(config->hooks[0].repeatable);
    assert_int_equal(config->hooks[0].timeout_ms, 300000);
    assert_string_equal(config->databases[0].url, "postgresql://u@h/d");
    assert_string_equal(config->databases[1].url, "service=kong");
    assert_string_equal(config->webhooks[0].url, "https://h/x");
    assert_int_equal(config->webhooks[1].format, XF_WEBHOOK_SLACK);
    assert_string_equal(config->upgrade[0], "websocket");
    assert_int_equal(config->trusted[0].prefix, 8);
    assert_int_equal(config->trusted[1].family, AF_INET6);
    assert_true(config->drain.rate > 1.49 && config->drain.rate < 1.51);
    assert_int_equal(config->access_log.format, XF_LOG_FORMAT_COMBINED);
    xf_config_destroy(config);
}

static void a_digest_sees_servers_and_nothing_else(void **state)
{
    (void) state;
#define DIGEST_FILE(servers, more)                                                                 \
    VALID_LISTENERS VALID_SERVICES "clusters: {web-v1: {servers: " servers "}, web-v2: "           \
                                   "h:2}\n" more
    static const struct {
        const char *text;
        bool same;
    } rows[] = {
        {DIGEST_FILE("[h:1, \"g:1\"]", ""), true},
        {DIGEST_FILE("[H:1, \"G:1\"]", ""), true},
        {DIGEST_FILE("[\"g:1\", h:1]", ""), true},
        {DIGEST_FILE("[h:1, g:1]", "workers: 3\ntimeouts: {idle: 5s}\nproxy: {name: x}\n"), true},
        {DIGEST_FILE("[h:1]", ""), false},
        {DIGEST_FILE("[h:1, g:2]", ""), false},
        {DIGEST_FILE("[h:1, {address: g:1, weight: 5}]", ""), false},
        {DIGEST_FILE("[h:1, {address: g:1, backup: true}]", ""), false},
    };
    char first[17] = "";
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_config *config = good_config(rows[i].text);
        assert_int_equal(strlen(config->digest), 16);
        if (i == 0) {
            memcpy(first, config->services[0].digest, sizeof(first));
        }
        bool same = strcmp(first, config->services[0].digest) == 0;
        if (same != rows[i].same) {
            fail_msg("row %zu", i);
        }
        xf_config_destroy(config);
    }
}

static const char *variables[3][2]; /* name and value */

static const char *fake_variable(const char *name)
{
    for (size_t i = 0; i < XF_COUNT(variables); i++) {
        if (variables[i][0] != NULL && strcmp(variables[i][0], name) == 0) {
            return variables[i][1];
        }
    }
    return NULL;
}

static void places_follow_the_user_and_the_environment(void **state)
{
    (void) state;
    static const struct {
        const char *variables[3][2];
        unsigned user;
        const char *state_dir, *socket;
    } rows[] = {
        {{{NULL, NULL}}, 0, "/var/lib/crossfade", "/run/crossfade/admin.sock"},
        {{{"XDG_STATE_HOME", "/s"}, {"XDG_RUNTIME_DIR", "/r"}},
         7,
         "/s/crossfade",
         "/r/crossfade/admin.sock"},
        {{{"HOME", "/home/u"}}, 7, "/home/u/.local/state/crossfade", "/tmp/crossfade-7/admin.sock"},
        {{{"XDG_STATE_HOME", "relative"}, {"HOME", "/home/u"}},
         7,
         "/home/u/.local/state/crossfade",
         "/tmp/crossfade-7/admin.sock"},
        {{{"XDG_STATE_HOME", "/s"}}, 0, "/var/lib/crossfade", "/run/crossfade/admin.sock"},
        {{{"STATE_DIRECTORY", "/v/a:/v/b"}, {"RUNTIME_DIRECTORY", "/run/x"}},
         7,
         "/v/a",
         "/run/x/admin.sock"},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_paths paths;
        memcpy(variables, rows[i].variables, sizeof(variables));
        xf_paths_for(rows[i].user, fake_variable, &paths);
        assert_string_equal(paths.state_dir, rows[i].state_dir);
        assert_string_equal(paths.socket, rows[i].socket);
    }
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static void the_cgroup_s_quota_caps_the_workers(void **state)
{
    (void) state;
    static const struct {
        const char *outer, *inner;
        unsigned cpus;
    } rows[] = {{"max 100000\n", "max 100000\n", 0},    {"max 100000\n", "200000 100000\n", 2},
                {"150000 100000\n", "max 100000\n", 2}, {"100000 100000\n", "400000 100000\n", 1},
                {"max 100000\n", "1000 100000\n", 1},   {"x\n", "100000 0\n", 0}};
    char folder[] = "/tmp/crossfade-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[512], self[512];
    snprintf(path, sizeof(path), "%s/a", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/a/b", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(self, sizeof(self), "%s/self", folder);
    write_file(folder, "self", "1:name=systemd:/x\n0::/a/b\n");
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        write_file(folder, "a/cpu.max", rows[i].outer);
        write_file(folder, "a/b/cpu.max", rows[i].inner);
        assert_int_equal(xf_cpus_quota(self, folder), rows[i].cpus);
    }
    assert_int_equal(xf_cpus_quota("/nonexistent", folder), 0);
    assert_true(xf_cpus_usable() >= 1);
    static const char *const made[] = {"a/b/cpu.max", "a/cpu.max", "self", "a/b", "a", ""};
    for (size_t i = 0; i < XF_COUNT(made); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, made[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void a_file_that_cannot_be_read_is_one_problem(void **state)
{
    (void) state;
    static const struct {
        const char *path, *said;
    } rows[] = {
        {"/nonexistent.yaml", "/nonexistent.yaml: cannot read: No such file or directory\n"},
        {"/", "/: cannot read: Is a directory\n"},
        {"/dev/zero", "/dev/zero: larger than 4194304 bytes\n"}};
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct xf_config *config = NULL;
        struct xf_problems problems;
        assert_int_equal(xf_config_read(rows[i].path, &config, &problems), -1);
        char *said = problems_text(&problems);
        assert_string_equal(said, rows[i].said);
        free(said);
        xf_problems_release(&problems);
    }
}

static void a_file_is_read_from_its_path(void **state)
{
    (void) state;
    struct xf_config *config = NULL;
    struct xf_problems problems;
    int result = xf_config_read(XF_TEST_TREE "/config/samples/minimal.yaml", &config, &problems);
    assert_int_equal(result, 0);
    assert_int_equal(problems.count, 0);
    assert_string_equal(config->clusters[1].name, "web-v2");
    xf_config_destroy(config);
    xf_problems_release(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minimal_file_gets_every_default),
        cmocka_unit_test(a_cluster_may_be_written_short),
        cmocka_unit_test(one_certificate_or_a_list_of_them),
        cmocka_unit_test(a_list_of_certificates_says_what_is_wrong_in_it),
        cmocka_unit_test(a_service_inherits_what_it_does_not_set),
        cmocka_unit_test(a_follower_goes_live_on_the_pair_of_the_others),
        cmocka_unit_test(a_store_is_known_by_its_url),
        cmocka_unit_test(plans_find_hooks_databases_and_webhooks),
        cmocka_unit_test(a_digest_sees_servers_and_nothing_else),
        cmocka_unit_test(places_follow_the_user_and_the_environment),
        cmocka_unit_test(the_cgroup_s_quota_caps_the_workers),
        cmocka_unit_test(a_file_that_cannot_be_read_is_one_problem),
        cmocka_unit_test(a_file_is_read_from_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
