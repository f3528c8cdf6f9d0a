/*
 * test_signal.c -- delivery of the record to a real webhook and a real hook.
 */
#include "shifter/signal/signal.h"
#include "shifter/signal/webhook.h"
#include "tests/unit/shifter/http_bench.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OK_ANSWER   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define BUSY_ANSWER "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

static const struct xf_signal_record record = {.key = "kong-3.1/7",
                                               .sequence = 1,
                                               .event = XF_SIGNAL_DECOMMISSION,
                                               .service = "gateway",
                                               .from = "kong-30",
                                               .to = "kong-31",
                                               .at_ms = 1795348800123};
static const char record_body[] =
    "{\"schema\":1,\"key\":\"kong-3.1/7\",\"sequence\":1,\"event\":\"decommission\","
    "\"service\":\"gateway\",\"from\":\"kong-30\",\"to\":\"kong-31\","
    "\"at\":\"2026-11-22T12:00:00.123Z\"}";

struct place {
    struct event_base *loop;
    struct xf_config config;
    struct xf_config_webhook webhook;
    struct xf_config_hook hook;
    char url[128];
    char secret[64];
    char output[64];
    char script[256];
    char *command[4];
    struct xf_clock clock;
    int64_t late_ms; /* added to the boot-time clock */
    struct xf_signal *signal;
    unsigned checks;
    bool refuse;       /* the answer of a check */
    bool answer_later; /* the test answers */
    int64_t check_lasts_ms;
    unsigned attempts, accepted, delivered;
    char last[XF_SENTENCE_BYTES], receivers[256];
};

static int64_t late_boottime(void *context)
{
    const struct xf_clock *system = xf_clock_system();
    return system->boottime_ns(system->context) + ((struct place *) context)->late_ms * 1000000;
}

static int64_t fixed_wall(void *context)
{
    (void) context;
    return 1795348805999;
}

static int64_t system_monotonic(void *context)
{
    (void) context;
    return xf_clock_system()->monotonic_ns(xf_clock_system()->context);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    place->loop = event_base_new();
    place->clock = (struct xf_clock){system_monotonic, late_boottime, fixed_wall, place};
    snprintf(place->secret, sizeof(place->secret), "/tmp/xf-secret-XXXXXX");
    int fd = mkstemp(place->secret);
    assert_int_equal(write(fd, "key\n", 4), 4);
    close(fd);
    snprintf(place->output, sizeof(place->output), "/tmp/xf-output-XXXXXX");
    close(mkstemp(place->output));
    place->webhook = (struct xf_config_webhook){
        .name = (char *) "ops", .url = place->url, .secret_file = place->secret};
    place->command[0] = (char *) "sh";
    place->command[1] = (char *) "-c";
    place->command[2] = place->script;
    place->hook = (struct xf_config_hook){
        .name = (char *) "remove", .command = place->command, .timeout_ms = 5000};
    place->config = (struct xf_config){
        .webhooks = &place->webhook, .webhooks_count = 1, .hooks = &place->hook, .hooks_count = 1};
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    xf_signal_destroy(place->signal);
    event_base_free(place->loop);
    unlink(place->secret);
    unlink(place->output);
    free(place);
    return 0;
}

static void on_check(void *context, struct xf_signal *signal)
{
    struct place *place = context;
    place->checks++;
    if (!place->answer_later) {
        place->late_ms += place->check_lasts_ms;
        xf_signal_checked(signal, !place->refuse);
    }
}

static void on_attempted(void *context, const char *receiver, unsigned attempt, bool accepted,
                         const char *sentence)
{
    struct place *place = context;
    (void) attempt;
    place->attempts++;
    place->accepted += accepted;
    snprintf(place->last, sizeof(place->last), "%s", sentence);
    size_t used = strlen(place->receivers);
    snprintf(place->receivers + used, sizeof(place->receivers) - used, "%s;", receiver);
}

static void on_delivered(void *context)
{
    ((struct place *) context)->delivered++;
}

static void begin(struct place *place, const char *webhook, const char *hook)
{
    struct xf_signal_calls calls = {on_check, on_attempted, on_delivered, place};
    struct xf_signal_options options = {&place->config, webhook, hook, 10, 20};
    struct xf_error err = {0};
    if (xf_signal_create(place->loop, &place->clock, &record, &options, &calls, &place->signal,
                         &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(place->checks, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

/* Runs the loop until *count reaches `least`, at most 10 s; or for `ms` where count is NULL. */
static void run(struct place *place, const unsigned *count, unsigned least, int ms)
{
    struct event *tick = event_new(place->loop, -1, EV_PERSIST, on_tick, NULL);
    struct timeval every = {0, 2000};
    event_add(tick, &every);
    int64_t end = xf_clock_monotonic_ms(xf_clock_system()) + ms;
    while (xf_clock_monotonic_ms(xf_clock_system()) < end && (count == NULL || *count < least)) {
        event_base_loop(place->loop, EVLOOP_ONCE);
    }
    event_free(tick);
    if (count != NULL) {
        assert_true(*count >= least);
    }
}

static void start_bench(struct place *place, struct http_bench *bench, const char *const *answers)
{
    http_bench_start(bench, answers, NULL);
    snprintf(place->url, sizeof(place->url), "http://127.0.0.1:%u/signal", bench->port);
}

static void the_body_is_the_record(void **state)
{
    (void) state;
    char *body = xf_signal_body(&record);
    assert_string_equal(body, record_body);
    free(body);
}

static void the_signature_is_hmac_sha256_over_time_and_body(void **state)
{
    char out[XF_WEBHOOK_SIGNATURE_BYTES];
    (void) state;
    /* printf '1795348805.{}' | openssl dgst -sha256 -hmac key */
    xf_webhook_sign("key", 3, 1795348805, "{}", out);
    assert_string_equal(
        out, "t=1795348805,v1=8b3f6de8497bdfeb8b4b1705baf9835081fc26ad45b96c5d2efaef5a398b26bd");
}

static void a_webhook_gets_the_signed_body_again_and_again_until_it_takes_it(void **state)
{
    struct place *place = *state;
    struct http_bench bench;
    const char *answers[] = {BUSY_ANSWER, "", OK_ANSWER, NULL};
    start_bench(place, &bench, answers);
    begin(place, "ops", "");
    run(place, &place->delivered, 1, 10000);
    assert_int_equal(place->attempts, 3);
    assert_int_equal(place->accepted, 1);
    assert_int_equal(place->checks, 3);
    assert_string_equal(place->last, "answered 200");
    assert_string_equal(place->receivers, "webhook ops;webhook ops;webhook ops;");
    char *requests = http_bench_requests(&bench);
    char signature[XF_WEBHOOK_SIGNATURE_BYTES];
    char line[XF_WEBHOOK_SIGNATURE_BYTES + 40];
    xf_webhook_sign("key", 3, 1795348805, record_body, signature); /* without the newline */
    snprintf(line, sizeof(line), "\r\nX-Crossfade-Signature: %s\r\n", signature);
    assert_ptr_equal(strstr(requests, "POST /signal HTTP/1.1\r\n"), requests);
    assert_non_null(strstr(requests, line));
    assert_non_null(strstr(requests, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(requests, record_body));
    free(requests);
    run(place, NULL, 0, 100);
    assert_int_equal(http_bench_count(&bench), 3);
    assert_int_equal(place->delivered, 1);
    http_bench_stop(&bench);
}

static void a_hook_gets_the_record_in_its_environment(void **state)
{
    struct place *place = *state;
    snprintf(place->script, sizeof(place->script), "env | grep CROSSFADE | sort > %s",
             place->output);
    begin(place, "", "remove");
    run(place, &place->delivered, 1, 10000);
    assert_string_equal(place->receivers, "hook remove;");
    char text[512] = "";
    FILE *file = fopen(place->output, "r");
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "CROSSFADE_EVENT=decommission\nCROSSFADE_FROM=kong-30\n"
                              "CROSSFADE_KEY=kong-3.1/7\nCROSSFADE_SEQUENCE=1\n"
                              "CROSSFADE_SERVICE=gateway\nCROSSFADE_TO=kong-31\n");
}

static void a_hook_that_fails_is_run_again(void **state)
{
    struct place *place = *state;
    snprintf(place->script, sizeof(place->script), "echo x >> %s; test $(wc -l < %s) -ge 3",
             place->output, place->output);
    begin(place, "", "remove");
    run(place, &place->delivered, 1, 10000);
    assert_int_equal(place->attempts, 3);
    assert_int_equal(place->checks, 3);
}

static void each_receiver_is_retried_by_itself_and_both_must_take_it(void **state)
{
    struct place *place = *state;
    struct http_bench bench;
    const char *answers[] = {BUSY_ANSWER, BUSY_ANSWER, OK_ANSWER, NULL};
    start_bench(place, &bench, answers);
    snprintf(place->script, sizeof(place->script), "echo x >> %s", place->output);
    begin(place, "ops", "remove");
    run(place, &place->delivered, 1, 10000);
    assert_int_equal(http_bench_count(&bench), 3);
    char text[64] = "";
    FILE *file = fopen(place->output, "r");
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "x\n"); /* not run again for the webhook's sake */
    http_bench_stop(&bench);
}

static void nothing_is_attempted_while_the_check_says_no(void **state)
{
    struct place *place = *state;
    struct http_bench bench;
    const char *answers[] = {OK_ANSWER, NULL};
    start_bench(place, &bench, answers);
    place->refuse = true;
    begin(place, "ops", "");
    run(place, &place->checks, 5, 10000);
    assert_int_equal(place->attempts, 0);
    assert_int_equal(http_bench_count(&bench), 0);
    place->refuse = false;
    run(place, &place->delivered, 1, 10000);
    assert_int_equal(http_bench_count(&bench), 1);
    http_bench_stop(&bench);
}

static void an_answer_older_than_2_s_is_asked_for_again(void **state)
{
    struct place *place = *state;
    struct http_bench bench;
    const char *answers[] = {OK_ANSWER, NULL};
    start_bench(place, &bench, answers);
    place->check_lasts_ms = 2100; /* a leader that was frozen between asking and sending */
    begin(place, "ops", "");
    run(place, &place->checks, 4, 10000);
    assert_int_equal(place->attempts, 0);
    assert_int_equal(http_bench_count(&bench), 0);
    place->check_lasts_ms = 1000;
    run(place, &place->delivered, 1, 10000);
    http_bench_stop(&bench);
}

static void a_leader_frozen_while_connecting_does_not_send(void **state)
{
    struct place *place = *state;
    struct http_bench bench;
    const char *answers[] = {OK_ANSWER, NULL};
    start_bench(place, &bench, answers);
    place->answer_later = true;
    begin(place, "ops", "");
    run(place, &place->checks, 1, 10000);
    xf_signal_checked(place->signal, true); /* begins to connect */
    place->late_ms += 5000;                 /* and stands still */
    run(place, &place->attempts, 1, 10000);
    assert_int_equal(place->accepted, 0);
    assert_int_equal(http_bench_count(&bench), 0);
    run(place, &place->checks, 2, 10000);
    xf_signal_checked(place->signal, true);
    run(place, &place->delivered, 1, 10000);
    http_bench_stop(&bench);
}

static void a_destroyed_signal_sends_no_more(void **state)
{
    struct place *place = *state;
    struct http_bench bench;
    const char *answers[] = {BUSY_ANSWER, NULL};
    start_bench(place, &bench, answers);
    begin(place, "ops", "");
    run(place, &place->attempts, 2, 10000);
    xf_signal_destroy(place->signal);
    place->signal = NULL;
    run(place, NULL, 0, 20); /* what was under way ends */
    unsigned before = http_bench_count(&bench);
    run(place, NULL, 0, 100);
    assert_int_equal(http_bench_count(&bench), before);
    http_bench_stop(&bench);
}

static void a_record_without_receivers_is_published_and_delivered(void **state)
{
    struct place *place = *state;
    begin(place, "", "");
    assert_int_equal(place->delivered, 0);
    run(place, &place->delivered, 1, 10000);
    assert_int_equal(place->checks, 1); /* which publishes it in the store */
}

static void an_unknown_receiver_and_a_missing_secret_are_told(void **state)
{
    struct place *place = *state;
    struct xf_signal_calls calls = {on_check, on_attempted, on_delivered, place};
    struct xf_signal_options options = {&place->config, "other", "", 10, 20};
    struct xf_error err = {0};
    assert_int_equal(xf_signal_create(place->loop, &place->clock, &record, &options, &calls,
                                      &place->signal, &err),
                     -1);
    assert_non_null(strstr(err.message, "other"));
    options.webhook = "";
    options.hook = "other";
    assert_int_equal(xf_signal_create(place->loop, &place->clock, &record, &options, &calls,
                                      &place->signal, &err),
                     -1);
    unlink(place->secret);
    begin(place, "ops", "");
    run(place, &place->attempts, 2, 10000); /* and tried again: the file may come back */
    assert_non_null(strstr(place->last, "secret"));
    assert_int_equal(place->accepted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_is_the_record),
        cmocka_unit_test(the_signature_is_hmac_sha256_over_time_and_body),
        cmocka_unit_test_setup_teardown(
            a_webhook_gets_the_signed_body_again_and_again_until_it_takes_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hook_gets_the_record_in_its_environment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hook_that_fails_is_run_again, setup, teardown),
        cmocka_unit_test_setup_teardown(each_receiver_is_retried_by_itself_and_both_must_take_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_attempted_while_the_check_says_no, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_answer_older_than_2_s_is_asked_for_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_leader_frozen_while_connecting_does_not_send, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_destroyed_signal_sends_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_without_receivers_is_published_and_delivered,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_receiver_and_a_missing_secret_are_told, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("signal", tests, NULL, NULL);
}
