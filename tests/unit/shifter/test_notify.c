/*
 * test_notify.c -- notifications to a real server: who gets them, in which form, how often.
 */
#include "shifter/signal/notify.h"
#include "tests/unit/shifter/http_bench.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK_ANSWER   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define BUSY_ANSWER "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

static const struct xf_notification retreat = {.severity = XF_LOG_WARNING,
                                               .event = "cutover.retreat",
                                               .service = "gateway",
                                               .cutover = "kong-3.1/7",
                                               .state = "shifting",
                                               .weight = 1250,
                                               .sentence = "errors <5% & \"more\">",
                                               .at_ms = 1795348800123};

struct place {
    struct event_base *loop;
    struct xf_config config;
    struct xf_config_webhook webhooks[2];
    char urls[2][64];
    struct http_bench benches[2];
    struct xf_notify *notify;
    unsigned dropped;
    char why[256];
};

static void on_dropped(void *context, const char *webhook, const char *why)
{
    struct place *place = context;
    (void) webhook;
    place->dropped++;
    snprintf(place->why, sizeof(place->why), "%.200s", why);
}

static void start(struct place *place, const char *const *first, const char *const *second)
{
    const char *const *const answers[2] = {first, second};
    struct xf_notify_calls calls = {on_dropped, place};
    place->loop = event_base_new();
    for (int i = 0; i < 2; i++) {
        http_bench_start(&place->benches[i], answers[i], NULL);
        snprintf(place->urls[i], sizeof(place->urls[i]), "http://127.0.0.1:%u/",
                 place->benches[i].port);
        place->webhooks[i].url = place->urls[i];
    }
    place->webhooks[0].name = (char *) "ops";
    place->webhooks[1].name = (char *) "chat";
    place->webhooks[1].format = XF_WEBHOOK_SLACK;
    place->config.webhooks = place->webhooks;
    place->config.webhooks_count = 2;
    place->notify = xf_notify_create(place->loop, xf_clock_system(), &place->config, 5, &calls);
}

static void stop(struct place *place)
{
    xf_notify_destroy(place->notify);
    event_base_free(place->loop);
    http_bench_stop(&place->benches[0]);
    http_bench_stop(&place->benches[1]);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

/* Runs the loop until the benches have had so many requests, or so many were dropped. */
static void run(struct place *place, unsigned first, unsigned second, unsigned dropped)
{
    struct event *tick = event_new(place->loop, -1, EV_PERSIST, on_tick, NULL);
    struct timeval every = {0, 5000};
    event_add(tick, &every);
    int64_t end = xf_clock_monotonic_ms(xf_clock_system()) + 10000;
    while (xf_clock_monotonic_ms(xf_clock_system()) < end &&
           (http_bench_count(&place->benches[0]) < first ||
            http_bench_count(&place->benches[1]) < second || place->dropped < dropped)) {
        event_base_loop(place->loop, EVLOOP_ONCE);
    }
    event_free(tick);
    assert_int_equal(http_bench_count(&place->benches[0]), first);
    assert_int_equal(http_bench_count(&place->benches[1]), second);
    assert_int_equal(place->dropped, dropped);
}

static void both_forms_say_what_happened(void **state)
{
    (void) state;
    char *plain = xf_notify_body(&retreat, XF_WEBHOOK_JSON);
    char *slack = xf_notify_body(&retreat, XF_WEBHOOK_SLACK);
    assert_string_equal(plain,
                        "{\"schema\":1,\"event\":\"cutover.retreat\",\"severity\":\"warning\","
                        "\"service\":\"gateway\",\"cutover\":\"kong-3.1/7\",\"state\":\"shifting\","
                        "\"weight\":12.5,\"sentence\":\"errors <5% & \\\"more\\\">\","
                        "\"at\":\"2026-11-22T12:00:00.123Z\"}");
    assert_string_equal(slack, "{\"text\":\"*warning* gateway kong-3.1/7 (shifting, 12.5%): "
                               "errors &lt;5% &amp; \\\"more\\\"&gt;\"}");
    free(plain);
    free(slack);
}

static void a_notification_goes_to_those_whose_severity_it_reaches(void **state)
{
    static const char *const answers[] = {OK_ANSWER, NULL};
    static const struct xf_plan_notify targets[] = {
        {"ops", XF_LOG_WARNING}, {"chat", XF_LOG_ERROR}, {"gone", XF_LOG_DEBUG}};
    struct xf_notification error = retreat;
    struct place place = {0};
    (void) state;
    start(&place, answers, answers);
    xf_notify_tell(place.notify, targets, 3, &retreat);
    run(&place, 1, 0, 0);
    error.severity = XF_LOG_ERROR;
    xf_notify_tell(place.notify, targets, 3, &error);
    run(&place, 2, 1, 0);
    char *requests = http_bench_requests(&place.benches[1]);
    assert_non_null(strstr(requests, "{\"text\":\"*error*"));
    free(requests);
    stop(&place);
}

static void one_that_is_refused_is_tried_again_and_holds_up_no_other(void **state)
{
    static const char *const bad[] = {BUSY_ANSWER, BUSY_ANSWER, OK_ANSWER, NULL};
    static const char *const good[] = {OK_ANSWER, NULL};
    static const struct xf_plan_notify targets[] = {{"ops", XF_LOG_WARNING},
                                                    {"chat", XF_LOG_WARNING}};
    struct place place = {0};
    (void) state;
    start(&place, bad, good);
    xf_notify_tell(place.notify, targets, 2, &retreat);
    run(&place, 3, 1, 0);
    stop(&place);
}

static void after_five_tries_it_is_given_up_and_told(void **state)
{
    static const char *const bad[] = {BUSY_ANSWER, NULL};
    static const struct xf_plan_notify targets[] = {{"ops", XF_LOG_WARNING}};
    struct place place = {0};
    (void) state;
    start(&place, bad, bad);
    xf_notify_tell(place.notify, targets, 1, &retreat);
    run(&place, XF_NOTIFY_TRIES, 0, 1);
    assert_string_equal(place.why, "answered 503");
    stop(&place);
}

static void when_many_wait_the_oldest_goes(void **state)
{
    static const char *const good[] = {OK_ANSWER, NULL};
    static const struct xf_plan_notify targets[] = {{"chat", XF_LOG_WARNING}};
    struct place place = {0};
    (void) state;
    start(&place, good, good);
    for (unsigned i = 0; i < XF_NOTIFY_WAITING_MAX + 10; i++) {
        struct xf_notification numbered = retreat;
        char sentence[32];
        snprintf(sentence, sizeof(sentence), "number %u.", i);
        numbered.sentence = sentence;
        xf_notify_tell(place.notify, targets, 1, &numbered);
    }
    run(&place, 0, XF_NOTIFY_WAITING_MAX, 0);
    char *requests = http_bench_requests(&place.benches[1]);
    assert_null(strstr(requests, "number 9."));
    assert_non_null(strstr(requests, "number 10."));
    free(requests);
    stop(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_say_what_happened),
        cmocka_unit_test(a_notification_goes_to_those_whose_severity_it_reaches),
        cmocka_unit_test(one_that_is_refused_is_tried_again_and_holds_up_no_other),
        cmocka_unit_test(after_five_tries_it_is_given_up_and_told),
        cmocka_unit_test(when_many_wait_the_oldest_goes),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
