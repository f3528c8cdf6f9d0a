/*
 * test_agent_blame.c -- a worker's ring of what went badly is read once, and not believed.
 */
#include "shifter/agent/agent_state.h"
#include "shifter/judge/judge_tally.h"

#include "config/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct xf_blame_ring ring;
static struct xf_tally tally;
static struct xf_config config;
static struct xf_config_cluster clusters[2];
static struct xf_config_server servers[3];
static uint64_t from;

static int set_up(void **state)
{
    (void) state;
    memset(&ring, 0, sizeof(ring));
    memset(servers, 0, sizeof(servers));
    for (unsigned i = 0; i < XF_COUNT(servers); i++) {
        servers[i].endpoint.text =
            (char *[]){(char *) "blue:1", (char *) "green:1", (char *) "green:2"}[i];
    }
    clusters[0] = (struct xf_config_cluster){
        .name = (char *) "v1", .servers = &servers[0], .first_server = 0, .servers_count = 1};
    clusters[1] = (struct xf_config_cluster){
        .name = (char *) "v2", .servers = &servers[1], .first_server = 1, .servers_count = 2};
    config.clusters = clusters;
    config.clusters_count = 2;
    from = 0;
    xf_tally_init(&tally);
    xf_tally_done(&tally, XF_JUDGE_BLUE, 1000);
    xf_tally_done(&tally, XF_JUDGE_GREEN, 1000);
    return 0;
}

static struct xf_blame_event event_of(unsigned attempt, int32_t server, const char *target)
{
    struct xf_blame_event event = {.attempt = attempt,
                                   .server = server,
                                   .role = XF_GREEN,
                                   .kind = XF_BLAMED_ERROR,
                                   .length = (uint8_t) strlen(target)};
    memcpy(event.target, target, strlen(target));
    return event;
}

static void write_event(struct xf_blame_event event)
{
    uint64_t written = atomic_load(&ring.written);
    ring.events[written % XF_BLAME_EVENTS] = event;
    atomic_store(&ring.written, written + 1);
}

static bool read_ring(uint64_t attempt)
{
    return xf_agent_blame_read(&ring, &config, attempt, &from, &tally);
}

static json_int_t bad(enum xf_judge_stream stream)
{
    static const char *const names[XF_STREAMS] = {"errors", "4xx", "slow"};
    json_t *told = xf_tally_json(&tally, 1);
    json_int_t count = json_integer_value(json_array_get(
        json_object_get(json_object_get(told, names[stream]), "bad"), XF_JUDGE_GREEN));
    json_decref(told);
    return count;
}

static void each_event_is_counted_once_with_its_server_and_path(void **state)
{
    (void) state;
    assert_false(read_ring(3));
    for (unsigned i = 0; i < 12; i++) {
        write_event(event_of(3, 2, "/pay"));
    }
    assert_true(read_ring(3));
    assert_false(read_ring(3));
    assert_int_equal(from, 12);
    assert_int_equal(bad(XF_STREAM_ERRORS), 12);
    json_t *told = xf_tally_explain(&tally, XF_STREAM_ERRORS, 2);
    const char *sentence = json_string_value(json_object_get(told, "sentence"));
    assert_non_null(strstr(sentence, "server green:2"));
    assert_non_null(strstr(sentence, "path /pay"));
    json_decref(told);
}

static void the_kinds_go_to_their_own_streams(void **state)
{
    (void) state;
    struct xf_blame_event event = event_of(3, 1, "/");
    for (unsigned kind = 0; kind < XF_BLAMED_KINDS; kind++) {
        event.kind = (uint8_t) kind;
        for (unsigned i = 0; i <= kind; i++) {
            write_event(event);
        }
    }
    assert_true(read_ring(3));
    assert_int_equal(bad(XF_STREAM_ERRORS), XF_BLAMED_ERROR + 1);
    assert_int_equal(bad(XF_STREAM_4XX), XF_BLAMED_4XX + 1);
    assert_int_equal(bad(XF_STREAM_SLOW), XF_BLAMED_SLOW + 1);
}

static void events_of_another_attempt_are_left_out(void **state)
{
    (void) state;
    write_event(event_of(2, 1, "/old"));
    write_event(event_of(4, 1, "/new"));
    assert_false(read_ring(3));
    assert_int_equal(bad(XF_STREAM_ERRORS), 0);
    assert_int_equal(from, 2);
}

static void a_ring_that_ran_over_gives_its_newest_events(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 3 * XF_BLAME_EVENTS; i++) {
        write_event(event_of(3, 1, "/"));
    }
    assert_true(read_ring(3));
    /* the oldest of them may be written over at this moment */
    assert_in_range(bad(XF_STREAM_ERRORS), XF_BLAME_EVENTS - 1, XF_BLAME_EVENTS);
    assert_int_equal(from, 3 * XF_BLAME_EVENTS);
}

static void wild_numbers_are_not_believed(void **state)
{
    (void) state;
    struct xf_blame_event wild = event_of(3, 1, "/");
    wild.kind = 200;
    write_event(wild);
    wild = event_of(3, 1, "/");
    wild.role = 9;
    write_event(wild);
    wild = event_of(3, 1, "/");
    wild.length = 255;
    write_event(wild);
    (void) read_ring(3);
    assert_int_equal(bad(XF_STREAM_ERRORS), 0);
    write_event(event_of(3, -1, "/unreached")); /* no server could be reached */
    write_event(event_of(3, INT32_MAX, "/unreached"));
    write_event(event_of(3, INT32_MIN, "/unreached"));
    write_event(event_of(3, 3, "/unreached")); /* one more than there are */
    assert_true(read_ring(3));
    assert_int_equal(bad(XF_STREAM_ERRORS), 4);
    json_t *told = xf_tally_explain(&tally, XF_STREAM_ERRORS, 2);
    assert_int_equal(json_array_size(json_object_get(told, "servers")), 0);
    json_decref(told);
    from = UINT64_MAX; /* a ring that was begun anew */
    assert_false(read_ring(3));
    assert_int_equal(from, atomic_load(&ring.written));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_event_is_counted_once_with_its_server_and_path, set_up),
        cmocka_unit_test_setup(the_kinds_go_to_their_own_streams, set_up),
        cmocka_unit_test_setup(events_of_another_attempt_are_left_out, set_up),
        cmocka_unit_test_setup(a_ring_that_ran_over_gives_its_newest_events, set_up),
        cmocka_unit_test_setup(wild_numbers_are_not_believed, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
