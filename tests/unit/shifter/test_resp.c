/*
 * test_resp.c -- the connection to Redis: against a real server, and against hostile answers.
 */
#include "shifter/store/resp.h"
#include "shifter/store/resp_reader.h"
#include "tests/unit/shifter/redis_bench.h"

#include <event2/event.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    struct event_base *loop;
    struct redis_bench bench;
    struct xf_config config;
    struct xf_resp *resp;
    unsigned ups, downs;
    bool up;
    char why[256];
    unsigned answers, lost;
    char texts[64][64];
};

static void on_ready(void *context, bool up, const char *why)
{
    struct place *place = context;
    place->up = up;
    place->ups += up;
    place->downs += !up;
    if (why != NULL) {
        snprintf(place->why, sizeof(place->why), "%s", why);
    }
}

static void on_answer(void *context, const redisReply *reply, const char *why)
{
    struct place *place = context;
    char *text = place->texts[place->answers % 64];
    place->answers++;
    if (reply == NULL) {
        place->lost++;
        snprintf(text, 64, "%s", why);
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(text, 64, "%lld", reply->integer);
    } else {
        snprintf(text, 64, "%s", reply->str != NULL ? reply->str : "");
    }
}

static void connect_to(struct place *place)
{
    struct xf_resp_calls calls = {on_ready, place};
    redis_bench_config(&place->bench, &place->config);
    place->resp = xf_resp_create(place->loop, xf_clock_system(), &place->config.store, &calls);
    assert_non_null(place->resp);
    assert_false(xf_resp_is_ready(place->resp));
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    place->loop = event_base_new();
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    xf_resp_destroy(place->resp);
    event_base_free(place->loop);
    redis_bench_stop(&place->bench);
    free(place);
    return 0;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

static bool until(struct place *place, bool (*done)(struct place *), int ms)
{
    struct event *tick = event_new(place->loop, -1, EV_PERSIST, on_tick, NULL);
    struct timeval every = {0, 2000};
    event_add(tick, &every);
    int64_t end = xf_clock_monotonic_ms(xf_clock_system()) + ms;
    while (!done(place) && xf_clock_monotonic_ms(xf_clock_system()) < end) {
        event_base_loop(place->loop, EVLOOP_ONCE);
    }
    event_free(tick);
    return done(place);
}

static bool is_up(struct place *place)
{
    return place->up;
}

static bool is_down(struct place *place)
{
    return !place->up;
}

static bool has_answer(struct place *place)
{
    return place->answers >= 1;
}

static bool has_three(struct place *place)
{
    return place->answers >= 3;
}

static bool call(struct place *place, const char *one, const char *two, const char *three)
{
    const char *words[] = {one, two, three};
    size_t count = three != NULL ? 3 : two != NULL ? 2 : 1;
    return xf_resp_call(place->resp, count, words, NULL, 0, on_answer, place);
}

static void commands_are_answered_in_their_order(void **state)
{
    struct place *place = *state;
    redis_bench_start(&place->bench);
    connect_to(place);
    assert_false(call(place, "PING", NULL, NULL)); /* not yet connected */
    assert_true(until(place, is_up, 10000));
    assert_true(call(place, "SET", "a", "one"));
    assert_true(call(place, "GET", "a", NULL));
    assert_true(call(place, "STRLEN", "a", NULL));
    assert_int_equal(place->answers, 0);
    assert_true(until(place, has_three, 10000));
    assert_string_equal(place->texts[0], "OK");
    assert_string_equal(place->texts[1], "one");
    assert_string_equal(place->texts[2], "3");
    assert_non_null(strstr(redis_by_hand(&place->bench, "CLIENT LIST"), "name=crossfade"));
}

static void an_error_of_the_server_is_an_answer(void **state)
{
    struct place *place = *state;
    redis_bench_start(&place->bench);
    connect_to(place);
    assert_true(until(place, is_up, 10000));
    assert_true(call(place, "NOSUCH", NULL, NULL));
    assert_true(until(place, has_answer, 10000));
    assert_non_null(strstr(place->texts[0], "ERR unknown command"));
    assert_true(place->up);
}

static void user_password_and_database_are_used(void **state)
{
    struct place *place = *state;
    char path[] = "/tmp/xf-password-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "word\n", 5), 5);
    close(fd);
    redis_bench_start(&place->bench);
    redis_by_hand(&place->bench, "ACL SETUSER cf on >word ~* &* +@all");
    redis_by_hand(&place->bench, "ACL SETUSER default off");
    place->config.store.user = (char *) "cf";
    place->config.store.password_file = path;
    place->config.store.database = 3;
    connect_to(place);
    assert_true(until(place, is_up, 10000));
    assert_true(call(place, "CLIENT", "INFO", NULL));
    assert_true(until(place, has_answer, 10000));
    place->answers = 0;
    assert_true(call(place, "ACL", "WHOAMI", NULL));
    assert_true(until(place, has_answer, 10000));
    assert_string_equal(place->texts[0], "cf");
    unlink(path);
}

static void a_wrong_password_is_told_and_tried_again(void **state)
{
    struct place *place = *state;
    char path[] = "/tmp/xf-password-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "wrong\n", 6), 6);
    close(fd);
    redis_bench_start(&place->bench);
    redis_by_hand(&place->bench, "CONFIG SET requirepass right");
    place->config.store.password_file = path;
    connect_to(place);
    assert_false(until(place, is_up, 300));
    assert_non_null(strstr(xf_resp_why(place->resp), "WRONGPASS"));
    FILE *file = fopen(path, "w");
    fputs("right", file);
    fclose(file);
    assert_true(until(place, is_up, 10000));
    unlink(path);
}

static void a_server_that_dies_is_noticed_and_found_again(void **state)
{
    struct place *place = *state;
    redis_bench_start(&place->bench);
    connect_to(place);
    assert_true(until(place, is_up, 10000));
    redis_bench_kill(&place->bench);
    assert_true(call(place, "GET", "a", NULL));
    assert_true(until(place, is_down, 10000));
    assert_int_equal(place->lost, 1);
    assert_false(call(place, "GET", "a", NULL));
    redis_bench_restart(&place->bench);
    assert_true(until(place, is_up, 5000));
}

static void a_server_that_hangs_costs_its_open_answers_and_is_left(void **state)
{
    struct place *place = *state;
    redis_bench_start(&place->bench);
    connect_to(place);
    assert_true(until(place, is_up, 10000));
    kill(place->bench.pid, SIGSTOP);
    assert_true(call(place, "GET", "a", NULL));
    assert_true(call(place, "GET", "b", NULL));
    assert_true(until(place, is_down, 4000));
    assert_int_equal(place->lost, 2);
    assert_string_equal(place->texts[0], "no answer in time");
    kill(place->bench.pid, SIGCONT);
    assert_true(until(place, is_up, 5000));
}

static void a_command_that_blocks_at_the_server_has_so_much_longer(void **state)
{
    struct place *place = *state;
    redis_bench_start(&place->bench);
    connect_to(place);
    assert_true(until(place, is_up, 10000));
    const char *words[] = {"BLPOP", "nothing", "2.5"};
    assert_true(xf_resp_call(place->resp, 3, words, NULL, 2500, on_answer, place));
    assert_true(until(place, has_answer, 5000));
    assert_int_equal(place->lost, 0);
    assert_true(place->up);
}

static void what_is_open_is_answered_when_it_is_destroyed(void **state)
{
    struct place *place = *state;
    redis_bench_start(&place->bench);
    connect_to(place);
    assert_true(until(place, is_up, 10000));
    assert_true(call(place, "GET", "a", NULL));
    xf_resp_destroy(place->resp);
    place->resp = NULL;
    assert_int_equal(place->lost, 1);
}

static void more_commands_than_may_wait_are_refused(void **state)
{
    struct place *place = *state;
    unsigned sent = 0;
    redis_bench_start(&place->bench);
    connect_to(place);
    assert_true(until(place, is_up, 10000));
    kill(place->bench.pid, SIGSTOP);
    while (sent < 2 * XF_RESP_CALLS_MAX && call(place, "PING", NULL, NULL)) {
        sent++;
    }
    assert_int_equal(sent, XF_RESP_CALLS_MAX);
    kill(place->bench.pid, SIGCONT);
}

/* ---- Sentinel ---- */

static void the_master_is_asked_of_each_sentinel_in_turn(void **state)
{
    struct place *place = *state;
    struct redis_bench sentinel = {.port = 0};
    char answer[64], port[8];
    redis_bench_start(&place->bench);
    snprintf(port, sizeof(port), "%u", place->bench.port);
    snprintf(answer, sizeof(answer), "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port);
    redis_bench_pretend(&sentinel, answer, strlen(answer));
    struct xf_resp_calls calls = {on_ready, place};
    struct xf_endpoint sentinels[3] = {{.host = (char *) "127.0.0.1", .port = 1},
                                       {.host = (char *) "name.invalid", .port = 26379},
                                       {.host = (char *) "127.0.0.1", .port = sentinel.port}};
    redis_bench_config(&place->bench, &place->config);
    place->config.store.endpoints = sentinels;
    place->config.store.endpoints_count = 3;
    place->config.store.sentinel_master = (char *) "mymaster";
    redis_by_hand(&place->bench, "REPLICAOF 127.0.0.1 1");
    place->resp = xf_resp_create(place->loop, xf_clock_system(), &place->config.store, &calls);
    assert_false(until(place, is_up, 1000)); /* what they name says that it is a replica */
    redis_by_hand(&place->bench, "REPLICAOF NO ONE");
    assert_true(until(place, is_up, 10000));
    assert_true(call(place, "SET", "a", "one"));
    assert_true(until(place, has_answer, 10000));
    assert_string_equal(place->texts[0], "OK");
    xf_resp_destroy(place->resp);
    place->resp = NULL;
    redis_bench_stop(&sentinel);
}

static void sentinels_that_know_no_master_or_talk_nonsense_are_told(void **state)
{
    static const struct {
        const char *answer, *why;
    } cases[] = {
        {"*-1\r\n", "knows none"},
        {"-IDONTKNOW\r\n", "IDONTKNOW"},
        {"*2\r\n$9\r\n/tmp/sock\r\n$1\r\n1\r\n", "names no master"},
        {"*2\r\n$0\r\n\r\n$1\r\n1\r\n", "names no master"},
        {"*2\r\n$1\r\nh\r\n$6\r\n999999\r\n", "names no master"},
        {"*3\r\n$1\r\nh\r\n$1\r\n1\r\n:1\r\n", "names no master"},
    };
    struct place *place = *state;
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        redis_bench_pretend(&place->bench, cases[i].answer, strlen(cases[i].answer));
        place->config.store.sentinel_master = (char *) "mymaster";
        connect_to(place);
        assert_false(until(place, is_up, 100));
        assert_non_null(strstr(xf_resp_why(place->resp), cases[i].why));
        xf_resp_destroy(place->resp);
        place->resp = NULL;
        redis_bench_stop(&place->bench);
    }
    redis_bench_pretend(&place->bench, "", 0); /* for the teardown */
}

/* ---- hostile answers ---- */

static void a_server_that_talks_nonsense_is_never_ready_and_costs_little(void **state)
{
    static const char *const cases[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "$536870912\r\n",
        "*2147483647\r\n",
        "*1000000\r\n",
        "*-5\r\n",
        "$99999999999999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "%7\r\n",
        "\r\n\r\n",
        ":12x\r\n",
        "-NOAUTH Authentication required.\r\n-NOAUTH x\r\n",
        "+OK\r\n+OK\r\n+OK\r\n",
    };
    struct place *place = *state;
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        place->up = false;
        redis_bench_pretend(&place->bench, cases[i], strlen(cases[i]));
        connect_to(place);
        until(place, is_up, 150);
        until(place, is_down, 150);
        assert_false(place->up);
        xf_resp_destroy(place->resp);
        place->resp = NULL;
        redis_bench_stop(&place->bench);
    }
    redis_bench_pretend(&place->bench, "", 0); /* for the teardown */
}

static enum xf_resp_read read_all(const char *bytes, size_t length, unsigned *ret_count)
{
    struct xf_resp_reader *reader = xf_resp_reader_create();
    enum xf_resp_read read = XF_RESP_MORE;
    *ret_count = 0;
    for (size_t at = 0; at < length && read != XF_RESP_BROKEN; at += 1000) {
        size_t piece = length - at < 1000 ? length - at : 1000;
        if (!xf_resp_reader_feed(reader, bytes + at, piece)) {
            read = XF_RESP_BROKEN;
            break;
        }
        redisReply *reply;
        while ((read = xf_resp_reader_next(reader, &reply)) == XF_RESP_REPLY) {
            freeReplyObject(reply);
            (*ret_count)++;
        }
    }
    if (read == XF_RESP_BROKEN) {
        assert_true(xf_resp_reader_why(reader)[0] != '\0');
    }
    xf_resp_reader_destroy(reader);
    return read;
}

static void the_elements_of_one_answer_are_bounded_over_all_its_arrays(void **state)
{
    unsigned count;
    (void) state;
    /* Arrays in an array, each within the bound. */
    size_t room = 200 * 16;
    char *bytes = calloc(1, room);
    size_t length = (size_t) snprintf(bytes, room, "*100\r\n");
    for (int i = 0; i < 100; i++) {
        length += (size_t) snprintf(bytes + length, room - length, "*0\r\n");
    }
    assert_int_equal(read_all(bytes, length, &count), XF_RESP_MORE);
    assert_int_equal(count, 1);
    assert_int_equal(read_all("*2\r\n*65534\r\n", 12, &count), XF_RESP_MORE);
    assert_int_equal(read_all("*2\r\n*65535\r\n", 12, &count), XF_RESP_BROKEN);
    assert_int_equal(read_all("*65537\r\n", 8, &count), XF_RESP_BROKEN);
    assert_int_equal(read_all("*65536\r\n", 8, &count), XF_RESP_MORE);
    free(bytes);
}

static void the_bytes_of_one_answer_are_bounded_but_not_those_of_many(void **state)
{
    unsigned count;
    (void) state;
    size_t room = XF_RESP_ANSWER_BYTES_MAX + 4096;
    char *bytes = malloc(room);
    memset(bytes, 'x', room);
    memcpy(bytes, "$536870912\r\n", 12);
    assert_int_equal(read_all(bytes, room, &count), XF_RESP_BROKEN);
    assert_int_equal(read_all(bytes, XF_RESP_ANSWER_BYTES_MAX, &count), XF_RESP_MORE);
    for (size_t at = 0; at + 7 <= room; at += 7) {
        memcpy(bytes + at, "+FINE\r\n", 7);
    }
    assert_int_equal(read_all(bytes, room - room % 7, &count), XF_RESP_MORE);
    assert_int_equal(count, room / 7);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_elements_of_one_answer_are_bounded_over_all_its_arrays),
        cmocka_unit_test(the_bytes_of_one_answer_are_bounded_but_not_those_of_many),
        cmocka_unit_test_setup_teardown(commands_are_answered_in_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_of_the_server_is_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(user_password_and_database_are_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_password_is_told_and_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_dies_is_noticed_and_found_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_server_that_hangs_costs_its_open_answers_and_is_left,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_command_that_blocks_at_the_server_has_so_much_longer,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_open_is_answered_when_it_is_destroyed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_commands_than_may_wait_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_master_is_asked_of_each_sentinel_in_turn, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sentinels_that_know_no_master_or_talk_nonsense_are_told,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_server_that_talks_nonsense_is_never_ready_and_costs_little, setup, teardown),
    };
    return cmocka_run_group_tests_name("resp", tests, NULL, NULL);
}
