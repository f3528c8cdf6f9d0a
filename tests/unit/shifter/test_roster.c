/*
 * test_roster.c -- who must agree, who has, and who is missing.
 */
#include "shifter/control/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_A    "00000000-0000-4000-8000-00000000000a"
#define ID_B    "00000000-0000-4000-8000-00000000000b"
#define BOOT_1  "00000000-0000-4000-9000-000000000001"
#define BOOT_2  "00000000-0000-4000-9000-000000000002"
#define WRITE_1 "00000000-0000-4000-a000-000000000001"

static const char config_text[] = "store: sqlite:/nonexistent/state.db\n"
                                  "proxy: {name: a, state_dir: /nonexistent}\n"
                                  "admin: {socket: /nonexistent/admin.sock}\n"
                                  "listeners: [{bind: \"127.0.0.1:1\", service: web}]\n"
                                  "services: {web: {live: v1, clusters: [v1, v2]}}\n"
                                  "clusters: {v1: \"10.0.0.1:80\", v2: \"10.0.0.2:80\"}\n";

struct bench {
    struct xf_config *config;
    struct xf_roster *roster;
    struct xf_roster_question question;
    struct xf_fleet fleet;
    uint64_t errors; /* that the heartbeats to come tell */
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct xf_problems problems = {0};
    assert_int_equal(
        xf_config_parse("c", config_text, strlen(config_text), &bench->config, &problems), 0);
    xf_problems_release(&problems);
    bench->roster = xf_roster_create(bench->config);
    bench->question = (struct xf_roster_question){.service = "web",
                                                  .version = {1, 5, 0},
                                                  .write_id = WRITE_1,
                                                  .blues = {"v1"},
                                                  .blues_count = 1,
                                                  .green = "v2",
                                                  .now_ms = 10000};
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    xf_roster_destroy(bench->roster);
    xf_config_destroy(bench->config);
    free(bench);
    return 0;
}

struct said {
    const char *id, *boot, *name;
    uint64_t generation;
    bool in_force;
    int64_t quiet_ms;
    uint64_t requests;
    bool left;
};

static void hear(struct bench *bench, const struct said *said)
{
    struct xf_message_heartbeat heartbeat = {.reload_ok = true, .left = said->left};
    snprintf(heartbeat.proxy.id, sizeof(heartbeat.proxy.id), "%s", said->id);
    snprintf(heartbeat.proxy.boot, sizeof(heartbeat.proxy.boot), "%s", said->boot);
    snprintf(heartbeat.proxy.name, sizeof(heartbeat.proxy.name), "%s", said->name);
    heartbeat.services = calloc(1, sizeof(*heartbeat.services));
    heartbeat.services_count = 1;
    strcpy(heartbeat.services[0].name, "web");
    strcpy(heartbeat.services[0].write_id, WRITE_1);
    heartbeat.services[0].version = (struct xf_version){1, said->generation, 0};
    heartbeat.services[0].in_force = said->in_force;
    heartbeat.services[0].pairs = calloc(1, sizeof(*heartbeat.services[0].pairs));
    heartbeat.services[0].pairs_count = 1;
    strcpy(heartbeat.services[0].pairs[0].cluster, "v1");
    heartbeat.services[0].pairs[0].requests = said->requests;
    heartbeat.services[0].pairs[0].errors = bench->errors;
    heartbeat.clusters = calloc(1, sizeof(*heartbeat.clusters));
    heartbeat.clusters_count = 1;
    strcpy(heartbeat.clusters[0].name, "v1");
    heartbeat.clusters[0].quiet_ms = said->quiet_ms;
    assert_true(xf_roster_heartbeat(bench->roster, &heartbeat, bench->question.now_ms));
}

static const struct xf_fleet *fleet(struct bench *bench)
{
    xf_roster_fleet(bench->roster, &bench->question, &bench->fleet);
    return &bench->fleet;
}

static void an_empty_roster_has_nothing_in_force_and_no_quiet(void **state)
{
    struct bench *bench = *state;
    assert_false(fleet(bench)->in_force);
    assert_int_equal(bench->fleet.blue_quiet_ms, -1);
    assert_int_equal(bench->fleet.members, 0);
}

static void every_member_counts_and_the_least_quiet_one_decides(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 9000, 0, false});
    assert_true(fleet(bench)->in_force);
    assert_int_equal(bench->fleet.blue_quiet_ms, 9000);
    hear(bench, &(struct said){ID_B, BOOT_2, "b", 4, true, 500, 0, false});
    assert_false(fleet(bench)->in_force);
    assert_string_equal(bench->fleet.lagging, "b");
    assert_int_equal(bench->fleet.blue_quiet_ms, 500);
    hear(bench, &(struct said){ID_B, BOOT_2, "b", 5, false, -1, 0, false});
    assert_false(fleet(bench)->in_force);
    assert_int_equal(bench->fleet.blue_quiet_ms, -1);
    assert_non_null(strstr(bench->fleet.blue_busy, "b: v1"));
    hear(bench, &(struct said){ID_B, BOOT_2, "b", 5, true, 0, 0, false});
    assert_true(fleet(bench)->in_force);
}

static void another_write_of_the_same_version_is_not_in_force(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    bench->question.write_id = BOOT_2;
    assert_false(fleet(bench)->in_force);
}

static struct xf_message_service *said_by(struct bench *bench, unsigned index)
{
    return &((struct xf_member *) xf_roster_member(bench->roster, index))->heartbeat.services[0];
}

static void another_write_of_the_same_version_is_a_fork(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    hear(bench, &(struct said){ID_B, BOOT_2, "b", 4, true, 0, 0, false});
    assert_string_equal(fleet(bench)->forked, "");
    strcpy(said_by(bench, 0)->write_id, BOOT_2);
    strcpy(said_by(bench, 1)->write_id, BOOT_2); /* of another version: that one is behind */
    assert_string_equal(fleet(bench)->forked, "a");
}

static void an_override_counts_until_the_document_has_taken_it_over(void **state)
{
    struct bench *bench = *state;
    struct xf_document *document = xf_document_create("web", "v1");
    document->state = XF_CUTOVER_SHIFTING;
    document->weight = 2500;
    bench->question.document = document;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    hear(bench, &(struct said){ID_B, BOOT_2, "b", 5, true, 0, 0, false});
    said_by(bench, 0)->weight = said_by(bench, 1)->weight = 2500;
    assert_int_equal(fleet(bench)->overrides, 0);
    assert_int_equal(bench->fleet.override_weight, 2500);
    said_by(bench, 1)->override_on = true;
    said_by(bench, 1)->override.weight = 300;
    said_by(bench, 1)->override.base = (struct xf_version){1, 4, 0};
    strcpy(said_by(bench, 1)->override.actor, "ann");
    strcpy(said_by(bench, 1)->override.reason, "smoke");
    assert_int_equal(fleet(bench)->overrides, 1);
    assert_int_equal(bench->fleet.override_weight, 300);
    assert_string_equal(bench->fleet.override_sentence, "proxy b serves 3% by ann: smoke");
    assert_false(bench->fleet.in_force);
    document->weight = 300;
    document->holds[XF_HOLD_OVERRIDE].on = true;
    assert_int_equal(fleet(bench)->overrides, 0);
    bench->question.now_ms += XF_SILENT_MS + 1; /* nobody is heard */
    document->holds[XF_HOLD_OVERRIDE].on = false;
    assert_int_equal(fleet(bench)->overrides, 0);
    xf_document_destroy(document);
}

static void blue_must_be_up_on_every_live_member_and_there_must_be_one(void **state)
{
    struct bench *bench = *state;
    assert_false(fleet(bench)->blue_up);
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    assert_false(fleet(bench)->blue_up); /* it names no server of blue */
    bench->question.now_ms += XF_SILENT_MS + 1;
    assert_false(fleet(bench)->blue_up);
}

static void silence_blocks_until_it_ends_or_is_forgotten(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    bench->question.now_ms += XF_SILENT_MS + 1;
    assert_false(fleet(bench)->in_force);
    assert_string_equal(bench->fleet.silent_names, "a");
    bench->question.now_ms += 86400000; /* no time-out lifts it */
    assert_int_equal(fleet(bench)->silent, 1);
    assert_true(xf_roster_forget(bench->roster, "a", bench->question.now_ms));
    assert_int_equal(fleet(bench)->members, 0);
}

static void who_speaks_is_not_forgotten_and_who_leaves_is_gone(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    assert_false(xf_roster_forget(bench->roster, "a", bench->question.now_ms));
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, true});
    assert_int_equal(fleet(bench)->members, 0);
}

static void a_forgotten_member_that_speaks_again_is_a_member_and_is_noticed(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    assert_false(xf_roster_find(bench->roster, "a")->returned);
    bench->question.now_ms += XF_SILENT_MS + 1;
    assert_true(xf_roster_forget(bench->roster, "a", bench->question.now_ms));
    assert_true(xf_roster_forgotten(bench->roster, "a"));
    assert_true(xf_roster_forgotten(bench->roster, ID_A));
    assert_false(xf_roster_forgotten(bench->roster, "b"));
    assert_null(xf_roster_find(bench->roster, "a"));
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    assert_true(xf_roster_find(bench->roster, "a")->returned);
    assert_false(xf_roster_forgotten(bench->roster, "a"));
    assert_int_equal(fleet(bench)->members, 1);
    xf_roster_noticed(bench->roster, ID_A);
    assert_false(xf_roster_find(bench->roster, ID_A)->returned);
}

static void who_an_earlier_leader_forgot_does_not_come_back_by_the_stores_roster(void **state)
{
    struct bench *bench = *state;
    int64_t now_ms = bench->question.now_ms;
    for (unsigned i = 0; i < 2 * XF_FORGOTTEN_MAX; i++) { /* at each loading; kept once */
        xf_roster_recall_forgotten(bench->roster, ID_A, now_ms);
    }
    xf_roster_recall_forgotten(bench->roster, ID_B, now_ms);
    assert_true(xf_roster_joined(bench->roster, ID_A, "a", now_ms));
    assert_true(xf_roster_joined(bench->roster, ID_B, "b", now_ms));
    assert_int_equal(fleet(bench)->members, 0);
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    assert_true(xf_roster_find(bench->roster, "a")->returned);
    xf_roster_recall_forgotten(bench->roster, ID_A, now_ms); /* it speaks */
    assert_int_equal(fleet(bench)->members, 1);
    assert_false(xf_roster_forgotten(bench->roster, ID_A));
}

static void one_identity_with_two_live_boots_blocks(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    bench->question.now_ms += 500;
    hear(bench, &(struct said){ID_A, BOOT_2, "a", 5, true, 0, 0, false});
    assert_false(fleet(bench)->in_force);
    bench->question.now_ms += 500;
    hear(bench, &(struct said){ID_A, BOOT_2, "a", 5, true, 0, 0, false});
    assert_true(fleet(bench)->in_force); /* the old one is heard no more */
}

static void a_member_recalled_from_the_store_is_silent_until_heard(void **state)
{
    struct bench *bench = *state;
    assert_true(xf_roster_recall(bench->roster, ID_A, "a"));
    assert_true(xf_roster_recall(bench->roster, ID_A, "a"));
    assert_int_equal(fleet(bench)->members, 1);
    assert_int_equal(bench->fleet.silent, 1);
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 0, false});
    assert_true(fleet(bench)->in_force);
}

static void who_joined_lags_until_it_is_heard_and_is_silent_soon(void **state)
{
    struct bench *bench = *state;
    hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 100, 0, false});
    assert_true(fleet(bench)->in_force);
    assert_true(xf_roster_joined(bench->roster, ID_B, "b", bench->question.now_ms));
    assert_false(fleet(bench)->in_force);
    assert_string_equal(bench->fleet.lagging, "b");
    assert_int_equal(bench->fleet.silent, 0);
    bench->question.now_ms += 2100;
    assert_int_equal(fleet(bench)->silent, 1);
    hear(bench, &(struct said){ID_B, BOOT_1, "b", 5, true, 100, 0, false});
    hear(bench, &(struct said){ID_B, BOOT_1, "b", 5, true, 100, 0, true});
    assert_true(xf_roster_joined(bench->roster, ID_B, "b", bench->question.now_ms));
    assert_int_equal(fleet(bench)->members, 1); /* a roster read before it left */
    bench->question.now_ms += 11000;
    assert_true(xf_roster_joined(bench->roster, ID_B, "b", bench->question.now_ms));
    assert_int_equal(fleet(bench)->members, 2);
    bench->question.now_ms += 4000;
    assert_true(xf_roster_forget(bench->roster, ID_B, bench->question.now_ms));
    assert_true(xf_roster_joined(bench->roster, ID_B, "b", bench->question.now_ms));
    assert_int_equal(fleet(bench)->members, 1);
}

static void rates_are_differences_and_a_new_boot_starts_them_anew(void **state)
{
    struct bench *bench = *state;
    struct xf_traffic traffic;
    for (unsigned i = 0; i < 8; i++) {
        hear(bench, &(struct said){ID_A, BOOT_1, "a", 5, true, 0, 1000 + 70 * i, false});
        bench->question.now_ms += 1000;
    }
    xf_roster_traffic(bench->roster, "web", "v1", bench->question.now_ms, &traffic);
    assert_true(traffic.rps > 60.0 && traffic.rps <= 70.0);
    assert_int_equal(traffic.requests, 1490);
    bench->question.now_ms += 10000;
    hear(bench, &(struct said){ID_A, BOOT_2, "a", 5, true, 0, 1000000, false});
    bench->question.now_ms += 1000;
    xf_roster_traffic(bench->roster, "web", "v1", bench->question.now_ms, &traffic);
    assert_true(traffic.rps == 0.0);
}

/* The last requests before traffic leaves fail after the seconds that counted them. */
static void the_share_of_errors_is_at_most_all(void **state)
{
    struct bench *bench = *state;
    struct xf_traffic traffic;
    struct said said = {ID_A, BOOT_1, "a", 5, true, 0, 100, false};
    bench->question.now_ms = 100000;
    hear(bench, &said);
    said.requests = 102;
    bench->errors = 57;
    bench->question.now_ms = 101000;
    hear(bench, &said);
    xf_roster_traffic(bench->roster, "web", "v1", 102500, &traffic);
    assert_true(traffic.error_ratio == 1.0);
    assert_int_equal(traffic.errors, 57);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_empty_roster_has_nothing_in_force_and_no_quiet),
        CASE(every_member_counts_and_the_least_quiet_one_decides),
        CASE(another_write_of_the_same_version_is_not_in_force),
        CASE(another_write_of_the_same_version_is_a_fork),
        CASE(an_override_counts_until_the_document_has_taken_it_over),
        CASE(blue_must_be_up_on_every_live_member_and_there_must_be_one),
        CASE(silence_blocks_until_it_ends_or_is_forgotten),
        CASE(who_speaks_is_not_forgotten_and_who_leaves_is_gone),
        CASE(a_forgotten_member_that_speaks_again_is_a_member_and_is_noticed),
        CASE(who_an_earlier_leader_forgot_does_not_come_back_by_the_stores_roster),
        CASE(one_identity_with_two_live_boots_blocks),
        CASE(a_member_recalled_from_the_store_is_silent_until_heard),
        CASE(who_joined_lags_until_it_is_heard_and_is_silent_soon),
        CASE(rates_are_differences_and_a_new_boot_starts_them_anew),
        CASE(the_share_of_errors_is_at_most_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
