/*
 * test_status.c -- every key of DESIGN.md section 13 is always there.
 */
#include "agent_fixture.h"

#include "shifter/control/status.h"
#include "shifter/control/why.h"

#include <math.h>
#include <stdlib.h>

/* Keys with the members they must have; `*` stands for any one member. */
static const char *const keys[] = {
    "schema",
    "service",
    "cutover",
    "state",
    "since",
    "live",
    "from",
    "to",
    "last.cutover",
    "last.outcome",
    "last.at",
    "generation",
    "version",
    "weight.desired",
    "weight.actual",
    "holds",
    "step.index",
    "step.count",
    "step.weight",
    "step.elapsed_s",
    "step.remaining_s",
    "step.eta",
    "approval",
    "verdict.rule",
    "verdict.measured",
    "verdict.limit",
    "verdict.sentence",
    "verdict.samples_blue",
    "verdict.samples_green",
    "clusters",
    "fence",
    "proxies",
    "leader",
    "store.kind",
    "store.scope",
    "store.ok",
    "store.since",
    "store.stale_s",
    "journal.ok",
    "journal.backlog",
    "config.digest",
    "config.reload_ok",
    "config.error",
    "signal.key",
    "signal.sequence",
    "signal.accepted_at",
    "signal.blockers",
};
static const char *const cluster_keys[] = {
    "role",   "servers", "in_flight", "tunnels", "rps",     "error_ratio",
    "p50_ms", "p99_ms",  "requests",  "errors",  "rescued", "no_route",
};
static const char *const hold_keys[] = {"reason", "since", "sentence", "by", "lifted_by"};
static const char *const server_keys[] = {"address", "up", "reason", "in_flight"};
static const char *const proxy_keys[] = {"name",     "id",          "version",
                                         "in_force", "last_seen_s", "silent"};
static const char *const leader_keys[] = {"name", "id", "epoch"};

static json_t *at(json_t *object, const char *path)
{
    char word[64];
    while (*path != '\0') {
        size_t length = strcspn(path, ".");
        memcpy(word, path, length);
        word[length] = '\0';
        object = json_object_get(object, word);
        path += length + (path[length] == '.' ? 1 : 0);
    }
    return object;
}

static void assert_keys(json_t *object, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (at(object, names[i]) == NULL) {
            fail_msg("the key \"%s\" is missing", names[i]);
        }
    }
}

static const struct xf_status_view nothing = {
    .service = "gateway",
    .wall_ms = 1790000060000,
    .weight_actual = XF_STATUS_UNKNOWN,
    .step = {XF_STATUS_UNKNOWN, XF_STATUS_UNKNOWN, XF_STATUS_UNKNOWN},
    .store = {.kind = "sqlite", .scope = "this host", .stale_s = -1},
};

static void every_key_is_there_when_nothing_is_known(void **state)
{
    (void) state;
    json_t *status = xf_status_build(&nothing);
    assert_non_null(status);
    assert_keys(status, keys, XF_COUNT(keys));
    static const char *const nulls[] = {"state",  "live",           "cutover",    "generation",
                                        "leader", "weight.desired", "step.index", "verdict.rule",
                                        "fence",  "signal.key",     "journal.ok", "store.stale_s"};
    for (unsigned i = 0; i < XF_COUNT(nulls); i++) {
        assert_true(json_is_null(at(status, nulls[i])));
    }
    json_decref(status);
}

static struct xf_status_view full_view(struct xf_document *document)
{
    static const struct xf_status_server server = {
        .address = "10.0.0.1:80", .up = false, .reason = "connection refused", .in_flight = 2};
    static const struct xf_status_cluster clusters[] = {{.name = "old",
                                                         .servers = &server,
                                                         .servers_count = 1,
                                                         .in_flight = 2,
                                                         .requests = 1000,
                                                         .errors = 3,
                                                         .rps = 12.5,
                                                         .error_ratio = 0.003,
                                                         .p50_ms = 1.5,
                                                         .p99_ms = NAN},
                                                        {.name = "new"}};
    static const struct xf_status_proxy proxy = {.name = "edge-1",
                                                 .id = "id-1",
                                                 .version_known = true,
                                                 .version = {1, 2, 3},
                                                 .last_seen_s = 7,
                                                 .silent = true};
    static const char *const blockers[] = {"edge-2: old has 1 tunnel"};
    struct xf_status_view view = nothing;
    document->holds[XF_HOLD_ERRORS] =
        (struct xf_hold_entry){.on = true,
                               .since_ms = 1790000000000,
                               .sentence = "green fails 3.5 %",
                               .by = "judge",
                               .lifted_by = "crossfade resume errors"};
    document->last_verdict_json = strdup("{\"rule\": \"errors\", \"measured\": 0.035, \"limit\": "
                                         "0.01, \"sentence\": \"green fails\", \"secret\": [1]}");
    document->signal.sequence = 1;
    (void) snprintf(document->signal.key, sizeof(document->signal.key), "move/7");
    view.document = document;
    view.version = (struct xf_version){1, 42, 0};
    view.weight_actual = 1234;
    view.step.elapsed_ms = 61500;
    view.step.remaining_ms = 0;
    view.clusters = clusters;
    view.clusters_count = 2;
    view.proxies = &proxy;
    view.proxies_count = 1;
    view.leader.known = true;
    view.leader.name = "edge-1";
    view.leader.id = "id-9";
    view.leader.epoch = 5;
    view.blockers = blockers;
    view.blockers_count = 1;
    return view;
}

static void every_member_of_a_list_has_its_keys(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 2500);
    struct xf_status_view view = full_view(document);
    json_t *status = xf_status_build(&view);
    assert_non_null(status);
    assert_keys(status, keys, XF_COUNT(keys));
    assert_keys(at(status, "clusters.old"), cluster_keys, XF_COUNT(cluster_keys));
    assert_keys(at(status, "clusters.new"), cluster_keys, XF_COUNT(cluster_keys));
    assert_keys(json_array_get(at(status, "clusters.old.servers"), 0), server_keys,
                XF_COUNT(server_keys));
    assert_keys(json_array_get(at(status, "holds"), 0), hold_keys, XF_COUNT(hold_keys));
    assert_keys(json_array_get(at(status, "proxies"), 0), proxy_keys, XF_COUNT(proxy_keys));
    assert_keys(at(status, "leader"), leader_keys, XF_COUNT(leader_keys));
    json_decref(status);
    xf_document_destroy(document);
}

static void values_are_what_the_view_says(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 2500);
    struct xf_status_view view = full_view(document);
    json_t *status = xf_status_build(&view);
    assert_string_equal(json_string_value(at(status, "state")), "shifting");
    assert_string_equal(json_string_value(at(status, "version")), "1.42.0");
    assert_string_equal(json_string_value(at(status, "approval")), "needed");
    assert_string_equal(json_string_value(at(status, "clusters.old.role")), "blue");
    assert_string_equal(json_string_value(at(status, "clusters.new.role")), "green");
    assert_string_equal(json_string_value(at(status, "verdict.rule")), "errors");
    assert_null(at(status, "verdict.secret"));
    assert_true(json_is_null(at(status, "verdict.samples_blue")));
    assert_true(json_is_null(at(status, "clusters.old.p99_ms")));
    assert_int_equal(json_integer_value(at(status, "step.index")), 1);
    assert_int_equal(json_integer_value(at(status, "step.count")), 2);
    assert_true(json_real_value(at(status, "weight.desired")) == 25.0);
    assert_true(json_real_value(at(status, "weight.actual")) == 12.34);
    assert_true(json_real_value(at(status, "step.elapsed_s")) == 61.5);
    assert_string_equal(json_string_value(at(status, "since")), "2026-09-21T14:13:20.000Z");
    json_decref(status);
    xf_document_destroy(document);
}

static void foreign_bytes_do_not_lose_the_document(void **state)
{
    (void) state;
    struct xf_status_view view = nothing;
    view.config.error = "\xff\xfe";
    json_t *status = xf_status_build(&view);
    assert_non_null(status);
    assert_keys(status, keys, XF_COUNT(keys));
    json_decref(status);
}

static void why_names_state_hold_verdict_proxy_and_blocker(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 2500);
    struct xf_status_view view = full_view(document);
    view.evidence.known = true;
    view.evidence.missing = 400;
    view.evidence.missing_ms = 120000;
    json_t *why = xf_why_build(&view);
    static const char *const members[] = {"service", "state",   "held",     "holds", "verdict",
                                          "blame",   "missing", "blockers", "text"};
    assert_keys(why, members, XF_COUNT(members));
    assert_true(json_is_true(at(why, "held")));
    assert_int_equal(json_integer_value(at(why, "missing.missing")), 400);
    const char *text = json_string_value(at(why, "text"));
    static const char *const sayings[] = {
        "gateway is shifting",      "step 1 of 2",
        "Held by `errors` for 1m",  "green fails 3.5 %",
        "crossfade resume errors",  "The last verdict: green fails",
        "400 clean answers of new", "Proxy edge-1 (id-1) is silent",
        "edge-2: old has 1 tunnel"};
    for (unsigned i = 0; i < XF_COUNT(sayings); i++) {
        if (strstr(text, sayings[i]) == NULL) {
            fail_msg("\"%s\" is not said in:\n%s", sayings[i], text);
        }
    }
    json_decref(why);
    xf_document_destroy(document);
}

static void the_hold_evidence_says_what_is_missing_now(void **state)
{
    (void) state;
    struct xf_document *document = fixture_document(XF_CUTOVER_SHIFTING, 2500);
    struct xf_hold_entry *hold = &document->holds[XF_HOLD_EVIDENCE];
    *hold = (struct xf_hold_entry){.on = true, .since_ms = document->since_ms};
    (void) snprintf(hold->sentence, sizeof(hold->sentence), "not advancing: 0 green responses");
    struct xf_status_view view = full_view(document);
    view.evidence.known = true;
    view.evidence.sentence = "not advancing: 37 green responses";
    json_t *why = xf_why_build(&view);
    char *text = json_dumps(why, JSON_COMPACT);
    assert_non_null(strstr(text, "37 green responses"));
    assert_null(strstr(text, "0 green responses"));
    assert_null(strstr(text, "Still missing")); /* it is said once */
    free(text);
    json_decref(why);
    view.evidence.known = false; /* a proxy without a leader knows what the document says */
    why = xf_why_build(&view);
    text = json_dumps(why, JSON_COMPACT);
    assert_non_null(strstr(text, "0 green responses"));
    free(text);
    json_decref(why);
    xf_document_destroy(document);
}

static void why_says_that_nothing_is_known(void **state)
{
    (void) state;
    json_t *why = xf_why_build(&nothing);
    assert_non_null(strstr(json_string_value(at(why, "text")), "Nothing is known of gateway"));
    assert_false(json_is_true(at(why, "held")));
    json_decref(why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_there_when_nothing_is_known),
        cmocka_unit_test(every_member_of_a_list_has_its_keys),
        cmocka_unit_test(values_are_what_the_view_says),
        cmocka_unit_test(foreign_bytes_do_not_lose_the_document),
        cmocka_unit_test(why_names_state_hold_verdict_proxy_and_blocker),
        cmocka_unit_test(the_hold_evidence_says_what_is_missing_now),
        cmocka_unit_test(why_says_that_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
