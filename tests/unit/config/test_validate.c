/*
 * test_validate.c -- what a bad file is told, with its place.
 */
#include "config/config.h"

#include "config_text.h"

#include <sys/stat.h>
#include <unistd.h>

struct row {
    const char *text, *said; /* one line of what is said */
};

/* Each row must be refused, and `said` must be one of the lines. */
static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *said = refusal(rows[i].text);
        char line[600];
        snprintf(line, sizeof(line), "crossfade.yaml:%s\n", rows[i].said);
        if (strstr(said, line) == NULL) {
            fail_msg("row %zu: expected\n%sgot\n%s", i, line, said);
        }
        free(said);
    }
}

static void keys_are_known_or_refused_with_the_nearest(void **state)
{
    (void) state;
    static const struct row rows[] = {
        {VALID_FILE "workesr: 2\n", "4:1: unknown key \"workesr\" (did you mean \"workers\"?)"},
        {VALID_FILE "xyzzyplugh: 2\n", "4:1: unknown key \"xyzzyplugh\""},
        {VALID_FILE "timeouts: {conect: 1s}\n",
         "4:12: unknown key \"conect\" in timeouts (did you mean \"connect\"?)"},
        {VALID_LISTENERS VALID_SERVICES
         "clusters:\n  web-v1:\n    servers: [h:1]\n    chek: {path: /}\n  web-v2: h:2\n",
         "6:5: unknown key \"chek\" in cluster \"web-v1\" (did you mean \"check\"?)"},
        {VALID_LISTENERS VALID_SERVICES
         "clusters:\n  web-v1:\n    servers: [h:1]\n    check: {pth: /}\n  web-v2: h:2\n",
         "6:13: unknown key \"pth\" in check of cluster \"web-v1\" (did you mean \"path\"?)"},
        {"listeners: [{bnd: 127.0.0.1:1}]\n" VALID_SERVICES VALID_CLUSTERS,
         "1:14: unknown key \"bnd\" in listeners[0] (did you mean \"bind\"?)"},
        {VALID_FILE "\"services.*\": {}\n",
         "4:1: unknown key \"services.*\" (did you mean \"services\"?)"},
        {VALID_FILE "clusters.*.check: {}\n", "4:1: unknown key \"clusters.*.check\""},
        {VALID_FILE "workers: 1\nworkers: 2\n", "5:1: duplicate key \"workers\" (first on line 4)"},
        {VALID_LISTENERS VALID_CLUSTERS, "1:1: missing key \"services\""},
        {VALID_FILE "hooks: {a: {timeout: 1s}}\n", "4:12: missing key \"command\" in hook \"a\""},
        {"[1]\n", "1:1: the file: expected keys such as listeners, services and clusters"},
    };
    check_rows(rows, XF_COUNT(rows));
}

static void values_are_of_their_type_and_range(void **state)
{
    (void) state;
    static const struct row rows[] = {
        {VALID_FILE "workers: 0\n", "4:10: workers: 0 is out of range (auto|1..128)"},
        {VALID_FILE "workers: 129\n", "4:10: workers: 129 is out of range (auto|1..128)"},
        {VALID_FILE "workers: many\n", "4:10: workers: \"many\" is not a whole number"},
        {VALID_FILE "workers: \"2\"\n", "4:10: workers: \"2\" is not a whole number"},
        {VALID_FILE "workers: -1\n", "4:10: workers: \"-1\" is not a whole number"},
        {VALID_FILE "workers: 99999999999999999999\n",
         "4:10: workers: \"99999999999999999999\" is not a whole number"},
        {VALID_FILE "workers: 1..128\n", "4:10: workers: \"1..128\" is not a whole number"},
        {VALID_FILE "workers: [1]\n", "4:10: workers: expected a whole number"},
        {VALID_FILE "workers:\n",
         "4:9: workers: is empty: expected a whole number, or leave it out"},
        {VALID_FILE "workers: ~\n",
         "4:10: workers: is empty: expected a whole number, or leave it out"},
        {VALID_FILE "timeouts:\n", "4:10: timeouts: is empty: give it keys, or leave it out"},
        {VALID_FILE "timeouts: 5s\n", "4:11: timeouts: expected a section of keys"},
        {VALID_FILE "timeouts: {idle: 5}\n",
         "4:18: timeouts.idle: \"5\" is not a duration such as 250ms, 10s or 1h30m"},
        {VALID_FILE "timeouts: {idle: 0s}\n", "4:18: timeouts.idle: 0s is out of range (1ms..24h)"},
        {VALID_FILE "timeouts: {header: off}\n",
         "4:20: timeouts.header: \"off\" is not a duration such as 250ms, 10s or 1h30m"},
        {VALID_FILE "limits: {head: 1MiB}\n",
         "4:16: limits.head: 1MiB is out of range (1KiB..256KiB)"},
        {VALID_FILE "limits: {head: big}\n",
         "4:16: limits.head: \"big\" is not a size such as 512, 64KiB or 1GiB"},
        {VALID_FILE "upgrade: websocket\n", "4:10: upgrade: expected a list"},
        {VALID_FILE "upgrade: [h2c]\n", "4:11: upgrade: h2c is never forwarded (RFC 9110 7.8)"},
        {VALID_FILE "upgrade: [a b]\n",
         "4:11: upgrade[0]: \"a b\" is not a token of letters, digits and dashes"},
        {VALID_FILE "services: x\n", "4:1: duplicate key \"services\" (first on line 2)"},
        {"services: x\n" VALID_LISTENERS VALID_CLUSTERS,
         "1:11: services: expected names with a section each"},
        {VALID_FILE "drain: {policy: quick}\n",
         "4:17: drain.policy: \"quick\" is none of natural|paced|deadline"},
        {VALID_FILE "drain: {rate: 20}\n", "4:15: drain.rate: \"20\" is not a rate such as 20/s"},
        {VALID_FILE "forwarded: {trusted: [10.0.0.1/8]}\n",
         "4:23: forwarded.trusted[0]: \"10.0.0.1/8\" is not a network such as 10.0.0.0/8"},
        {VALID_FILE "forwarded: {trusted: [\"::/129\"]}\n",
         "4:23: forwarded.trusted[0]: \"::/129\" is not a network such as 10.0.0.0/8"},
        {VALID_FILE "hooks: {a: {command: [x], repeatable: yes}}\n",
         "4:39: hooks.a.repeatable: \"yes\" is not true or false"},
        {VALID_FILE "hooks: {A: {command: [x]}}\n",
         "4:9: \"A\" is no name for a hook: 1 to 63 lower-case letters, digits and dashes, not "
         "beginning with a dash"},
        {VALID_FILE "webhooks: {a: \"ftp://h\"}\n",
         "4:15: webhooks.a: \"ftp://h\" is not a URL such as https://host/path"},
        {VALID_FILE "databases: {a: mysql}\n",
         "4:16: databases.a: \"mysql\" is not a URL such as postgresql://user@host/database"},
        {VALID_FILE "access_log: {path: logs/a}\n",
         "4:20: access_log.path: expected an absolute path or syslog:"},
    };
    check_rows(rows, XF_COUNT(rows));
}

static void addresses_are_checked_as_written(void **state)
{
    (void) state;
#define SERVER_ROW(address)                                                                        \
    {                                                                                              \
        "clusters: {a: [\"" address "\"]}\n" VALID_LISTENERS "services: {web: {}}\n",              \
            "1:16: clusters.a[0]: \"" address                                                      \
            "\" is not a host with its port such as 10.0.0.11:8000 or web.example:80"              \
    }
#define BIND_ROW(address)                                                                          \
    {                                                                                              \
        "listeners: [{bind: \"" address "\"}]\n" VALID_SERVICES VALID_CLUSTERS,                    \
            "1:20: listeners[0].bind: \"" address                                                  \
            "\" is not a numeric address with its port such as 127.0.0.1:8000 or \"[::]:8443\""    \
    }
    static const struct row rows[] = {
        SERVER_ROW("10.0.0.1"),
        SERVER_ROW("10.0.0.1:"),
        SERVER_ROW("10.0.0.1:0"),
        SERVER_ROW("10.0.0.1:65536"),
        SERVER_ROW("10.0.0.300:80"),
        SERVER_ROW(":80"),
        SERVER_ROW("::1:80"),
        SERVER_ROW("[::1]80"),
        SERVER_ROW("[::g]:80"),
        SERVER_ROW("http://h:80"),
        SERVER_ROW("a b:80"),
        SERVER_ROW("a..b:80"),
        SERVER_ROW("-a:80"),
        SERVER_ROW("h:080808"),
        SERVER_ROW("user@h:80"),
        BIND_ROW("localhost:80"),
        BIND_ROW("*:80"),
        BIND_ROW("80"),
        BIND_ROW("127.0.0.1"),
        BIND_ROW("[::1%lo]:80"),
    };
    check_rows(rows, XF_COUNT(rows));
}

static void what_names_something_must_find_it(void **state)
{
    (void) state;
#define TWO_SERVICES                                                                               \
    "listeners: [{bind: 127.0.0.1:1, service: a}]\nclusters: {a1: h:1, a2: h:2, b1: h:3, b2: "     \
    "h:4}\n"
    static const struct row rows[] = {
        {"listeners: [{bind: 127.0.0.1:1, service: wep}]\n" VALID_SERVICES VALID_CLUSTERS,
         "1:42: there is no service \"wep\" (did you mean \"web\"?)"},
        {VALID_LISTENERS VALID_CLUSTERS "services: {web: {live: web-v3}}\n",
         "3:24: there is no cluster \"web-v3\" (did you mean \"web-v1\"?)"},
        {VALID_LISTENERS VALID_CLUSTERS "services: {web: {live: web-v2, clusters: [web-v1]}}\n",
         "3:24: live: cluster \"web-v2\" is none of the clusters of \"web\""},
        {VALID_LISTENERS VALID_CLUSTERS "services: {web: {clusters: [web-v1, web-v1]}}\n",
         "3:37: service \"web\" has cluster \"web-v1\" twice"},
        {VALID_LISTENERS VALID_CLUSTERS "services: {web: {clusters: []}}\n",
         "3:28: service \"web\" has no cluster"},
        {VALID_LISTENERS VALID_CLUSTERS "services: {web: {}}\n",
         "3:17: service \"web\" needs \"live\": which of its clusters serves now"},
        {VALID_LISTENERS VALID_CLUSTERS "services: {}\n", "3:11: there is no service"},
        {VALID_LISTENERS VALID_SERVICES "clusters: {}\n", "3:11: there is no cluster"},
        {VALID_LISTENERS VALID_SERVICES "clusters: {web-v1: []}\n",
         "3:20: cluster \"web-v1\" has no server"},
        {"listeners: []\n" VALID_SERVICES VALID_CLUSTERS, "1:12: there is no listener"},
        {VALID_LISTENERS VALID_CLUSTERS "services: {a: {live: web-v1}, b: {live: web-v2}}\n",
         "3:15: service \"a\" needs \"clusters\": there is more than one service"},
        {VALID_LISTENERS VALID_CLUSTERS
         "services: {a: {clusters: [web-v1]}, b: {clusters: [web-v2]}}\n",
         "1:13: missing key \"service\": there is more than one service"},
        {TWO_SERVICES
         "services: {a: {live: a1, clusters: [a1, a2]}, b: {follows: a, clusters: [b1]}}\n",
         "3:60: \"b\" has 1 clusters and \"a\" has 2: they pair by position"},
        {TWO_SERVICES
         "services: {a: {follows: b, clusters: [a1]}, b: {follows: a, clusters: [b1]}}\n",
         "3:25: \"b\" follows another service itself: name that one"},
        {TWO_SERVICES "services: {a: {follows: a, clusters: [a1]}, b: {clusters: [b1]}}\n",
         "3:25: service \"a\" cannot follow itself"},
        {TWO_SERVICES
         "services: {a: {clusters: [a1]}, b: {follows: a, live: b1, clusters: [b1]}}\n",
         "3:55: live is not set in a service that follows: it is the pair of the other's"},
        {TWO_SERVICES "services: {a: {clusters: [a1]}, b: {follows: c, clusters: [b1]}}\n",
         "3:46: there is no service \"c\" (did you mean \"a\"?)"},
        {TWO_SERVICES "services: {a: {clusters: [a1]}, b: {follows: a, clusters: [b1], sticky: "
                      "{by: client-ip}}}\n",
         "3:73: sticky has no meaning in a service that follows another"},
    };
    check_rows(rows, XF_COUNT(rows));
}

static void what_contradicts_itself_is_refused(void **state)
{
    (void) state;
    static const struct row rows[] = {
        {"listeners: [{bind: 127.0.0.1:1}, {bind: 127.0.0.1:1}]\n" VALID_SERVICES VALID_CLUSTERS,
         "1:41: bind: 127.0.0.1:1 is taken by the listener on line 1"},
        {VALID_FILE "admin: {listen: 127.0.0.1:8000, tokens_file: /dev/null}\n",
         "4:17: admin.listen: 127.0.0.1:8000 is taken by the listener on line 1"},
        {VALID_FILE "admin: {listen: 127.0.0.1:9180}\n",
         "4:17: admin.listen needs admin.tokens_file (or tls with client_ca)"},
        {VALID_LISTENERS VALID_SERVICES "clusters: {web-v1: [h:1, \"H:1\"]}\n",
         "3:26: H:1 stands in cluster \"web-v1\" twice"},
        {VALID_LISTENERS VALID_SERVICES "clusters: {web-v1: [\"[::1]:1\", \"[0::1]:1\"]}\n",
         "3:32: [0::1]:1 stands in cluster \"web-v1\" twice"},
        {VALID_LISTENERS VALID_SERVICES
         "clusters: {web-v1: {servers: [{address: h:1, backup: true}]}}\n",
         "3:20: cluster \"web-v1\" has only backup servers"},
        {VALID_LISTENERS VALID_SERVICES
         "clusters: {web-v1: {servers: [h:1], check: {expect: 200}}}\n",
         "3:53: expect belongs to a check with \"path\""},
        {VALID_LISTENERS VALID_CLUSTERS "services: {web: {live: web-v1, sticky: {by: header}}}\n",
         "3:40: sticky by header needs \"name\""},
        {VALID_LISTENERS VALID_CLUSTERS
         "services: {web: {live: web-v1, sticky: {by: client-ip, name: x}}}\n",
         "3:62: name belongs to sticky by header or cookie"},
        {VALID_LISTENERS VALID_CLUSTERS
         "services: {web: {live: web-v1, override: {header: X-Go}}}\n",
         "3:42: override needs secret_file or networks"},
        {VALID_FILE "drain: {policy: paced}\n",
         "4:8: drain.policy paced needs \"rate\", for example 20/s"},
        {VALID_FILE "store: \"redis://u:secret@h/0\"\n",
         "4:8: store: a Redis URL may hold no password: write it into a file and name that with "
         "password_file"},
        {VALID_FILE "store: \"redis://:secret@h/0\"\n",
         "4:8: store: a Redis URL may hold no password: write it into a file and name that with "
         "password_file"},
        {VALID_FILE "store: \"redis://h/x\"\n",
         "4:8: store: expected redis://[user@]host[:port][/database], or redis://h1,h2,h3 of one "
         "Redis Cluster, which has no other database than 0"},
        {VALID_FILE "store: \"redis://a,b/1\"\n",
         "4:8: store: expected redis://[user@]host[:port][/database], or redis://h1,h2,h3 of one "
         "Redis Cluster, which has no other database than 0"},
        {VALID_FILE "store: \"redis://a,,b\"\n",
         "4:8: store: expected redis://[user@]host[:port][/database], or redis://h1,h2,h3 of one "
         "Redis Cluster, which has no other database than 0"},
        {VALID_FILE "store: \"redis://\"\n",
         "4:8: store: expected redis://[user@]host[:port][/database], or redis://h1,h2,h3 of one "
         "Redis Cluster, which has no other database than 0"},
        {VALID_FILE "store: \"sqlite:state.db\"\n",
         "4:8: store: expected sqlite:/path with an absolute path"},
        {VALID_FILE "store: \"mysql://h\"\n",
         "4:8: store: unknown kind of store: expected a URL such as sqlite:/path or "
         "redis://host:6379/0"},
        {VALID_FILE "store: {url: \"sqlite:/x\", password_file: /dev/null}\n",
         "4:42: store.password_file: /dev/null is empty"},
        {VALID_FILE "store: {url: \"sqlite:/x\", password_file: /etc/passwd}\n",
         "4:42: password_file belongs to a store in Redis"},
    };
    check_rows(rows, XF_COUNT(rows));
}

static void a_refused_password_is_never_repeated(void **state)
{
    (void) state;
    char *said = refusal(VALID_FILE "store: \"redis://u:hunter2@h/0\"\n");
    assert_null(strstr(said, "hunter2"));
    free(said);
}

static void named_files_are_tried_by_reading_them(void **state)
{
    (void) state;
    static const struct row rows[] = {
        {VALID_FILE "webhooks: {a: {url: http://h, secret_file: /nonexistent}}\n",
         "4:44: webhooks.a.secret_file: cannot read /nonexistent: No such file or directory"},
        {VALID_FILE "webhooks: {a: {url: http://h, secret_file: /tmp}}\n",
         "4:44: webhooks.a.secret_file: cannot read /tmp: Is a directory"},
        {VALID_FILE "webhooks: {a: {url: http://h, secret_file: /dev/null}}\n",
         "4:44: webhooks.a.secret_file: /dev/null is empty"},
    };
    check_rows(rows, XF_COUNT(rows));
}

static void all_problems_are_told_at_once_and_in_order(void **state)
{
    (void) state;
    char *said = refusal("workers: 0\n"
                         "listeners: [{bind: x}]\n"
                         "services: {web: {live: v3}}\n"
                         "clusters: {v1: h}\n"
                         "clusters: {v2: h}\n"
                         "drain: {policy: paced}\n");
    const char *at = said;
    static const char *const expected[] = {
        ":1:10: ", ":2:20: ", ":3:24: ", ":4:16: ", ":5:1: ", ":6:8: "};
    for (size_t i = 0; i < XF_COUNT(expected); i++) {
        at = strstr(at, expected[i]);
        if (at == NULL) {
            fail_msg("%s is missing or out of order in\n%s", expected[i], said);
        }
    }
    free(said);
}

/* A list or mapping of `count` entries between `before` and `after`. */
static char *many(const char *before, const char *format_first, const char *format_second,
                  unsigned count, const char *after)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    fputs(before, stream);
    for (unsigned i = 0; i < count; i++) {
        fprintf(stream, "%s%s%u%s", i == 0 ? "" : ", ", format_first, i + 1, format_second);
    }
    fputs(after, stream);
    fclose(stream);
    return text;
}

static void more_than_a_host_may_have_is_refused(void **state)
{
    (void) state;
    const struct {
        const char *before, *first, *second, *after, *said;
        unsigned most;
    } rows[] = {
        {VALID_SERVICES VALID_CLUSTERS "listeners: [", "{bind: \"127.0.0.1:", "\"}", "]\n",
         "more than 64 listeners", XF_LISTENERS_MAX},
        {VALID_LISTENERS "services: {web: {live: c1, clusters: [c1]}}\nclusters: {", "c", ": h:1",
         "}\n", "more than 128 clusters", XF_CLUSTERS_MAX},
        {"listeners: [{bind: 127.0.0.1:1, service: s1}]\n" VALID_CLUSTERS "services: {", "s",
         ": {clusters: [web-v1]}", "}\n", "more than 64 services", XF_SERVICES_MAX},
        {VALID_LISTENERS "services: {web: {live: c1}}\nclusters: {", "c", ": h:1", "}\n",
         "has more than 16 clusters: list its own", XF_SERVICE_CLUSTERS_MAX},
        {VALID_LISTENERS VALID_SERVICES "clusters: {web-v1: [", "\"h:", "\"", "]}\n",
         "more than 4096", XF_SERVERS_MAX},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        char *text =
            many(rows[i].before, rows[i].first, rows[i].second, rows[i].most, rows[i].after);
        xf_config_destroy(good_config(text));
        free(text);
        text = many(rows[i].before, rows[i].first, rows[i].second, rows[i].most + 1, rows[i].after);
        char *said = refusal(text);
        bool servers = rows[i].most == XF_SERVERS_MAX; /* a list has as many entries at most */
        assert_non_null(strstr(said, servers ? "too many entries in one place" : rows[i].said));
        free(said);
        free(text);
    }
    char *text = many(VALID_LISTENERS VALID_SERVICES "clusters: {web-v2: g:1, web-v1: [",
                      "\"h:", "\"", XF_SERVERS_MAX, "]}\n");
    char *said = refusal(text);
    assert_non_null(strstr(said, "more than 4096 servers over all clusters"));
    free(said);
    free(text);
}

static void what_is_odd_but_works_is_only_a_warning(void **state)
{
    (void) state;
    static const char text[] =
        VALID_LISTENERS "services: {web: {live: web-v1, clusters: [web-v1]}}\n" VALID_CLUSTERS
                        "admin: {listen: 127.0.0.1:9180, tokens_file: /nonexistent}\n";
    struct xf_config *config = NULL;
    struct xf_problems problems;
    assert_int_equal(xf_config_parse("c", text, strlen(text), &config, &problems), 0);
    char *said = problems_text(&problems);
    assert_non_null(strstr(said, "c:3:44: warning: cluster \"web-v2\" serves no service\n"));
    assert_non_null(strstr(said, "c:4:46: warning: admin.tokens_file: /nonexistent is not there "
                                 "yet: `crossfade token add` makes it\n"));
    free(said);
    xf_problems_release(&problems);
    xf_config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_known_or_refused_with_the_nearest),
        cmocka_unit_test(values_are_of_their_type_and_range),
        cmocka_unit_test(addresses_are_checked_as_written),
        cmocka_unit_test(what_names_something_must_find_it),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(a_refused_password_is_never_repeated),
        cmocka_unit_test(named_files_are_tried_by_reading_them),
        cmocka_unit_test(all_problems_are_told_at_once_and_in_order),
        cmocka_unit_test(more_than_a_host_may_have_is_refused),
        cmocka_unit_test(what_is_odd_but_works_is_only_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
