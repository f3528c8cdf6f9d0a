/*
 * test_worker_ring.c -- a worker whose kernel does with its rings what it likes.
 *
 * Many connections that carry one request each are the work that is done by rings from their first
 * read to their end.
 */
#include "ring_kernel.h"
#include "worker_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define AT_ONCE 12u

static struct fixture fix;

static int stop(void **state)
{
    (void) state;
    fixture_stop(&fix);
    ring_kernel = KERNEL_WORKS;
    return 0;
}

static void start(enum ring_kernel kernel)
{
    ring_kernel = kernel; /* which the worker inherits */
    fixture_start(&fix, "", "");
}

static void one_request_each(const char *path, unsigned minor, size_t length)
{
    int fds[AT_ONCE];
    char text[128];
    (void) snprintf(text, sizeof(text), "GET %s HTTP/1.%u\r\nHost: a\r\n%s\r\n", path, minor,
                    minor > 0 ? "Connection: close\r\n" : "");
    for (unsigned i = 0; i < AT_ONCE; i++) {
        fds[i] = fixture_connect(&fix);
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        client_put(fds[i], text);
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct client_answer answer;
        client_read(fds[i], false, &answer);
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.length, length);
        client_answer_release(&answer);
        assert_true(client_at_end(fds[i]));
        (void) close(fds[i]);
    }
}

static void everything_is_answered_whole_and_ended(void)
{
    static const struct {
        const char *path;
        unsigned minor;
        size_t length;
    } rows[] = {
        {"/len/1000", 1, 1000},     {"/len/1000", 0, 1000},   {"/chunked/1000", 1, 1000},
        {"/chunked/900", 0, 900},   {"/close/1000", 1, 1000}, {"/len/3900", 1, 3900},
        {"/len/100000", 1, 100000},
    };
    unsigned asked = 0;
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        one_request_each(rows[i].path, rows[i].minor, rows[i].length);
        asked += AT_ONCE;
    }
    struct xf_stats_pair *blue = fixture_pair(&fix, "blue");
    assert_true(settles(&fix.stats->clients, 0));
    assert_true(settles(&fix.stats->buffers, 0));
    assert_int_equal(xf_read(&blue->requests), asked);
    assert_int_equal(xf_read(&blue->class[2]), asked);
    assert_int_equal(xf_read(&blue->client_aborts), 0);
}

static void a_worker_with_its_rings_answers_whole(void **state)
{
    (void) state;
    start(KERNEL_WORKS);
    everything_is_answered_whole_and_ended();
}

static void a_worker_without_rings_answers_whole(void **state)
{
    (void) state;
    start(KERNEL_REFUSES);
    everything_is_answered_whole_and_ended();
}

static void a_worker_whose_calls_are_not_begun_answers_whole(void **state)
{
    (void) state;
    start(KERNEL_BEGINS_NOTHING);
    everything_is_answered_whole_and_ended();
}

static void a_worker_whose_calls_are_begun_in_part_answers_whole(void **state)
{
    (void) state;
    start(KERNEL_BEGINS_ONE);
    everything_is_answered_whole_and_ended();
}

static void a_client_that_resets_before_its_answer_is_counted_as_gone(void **state)
{
    (void) state;
    start(KERNEL_WORKS);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    for (unsigned i = 0; i < AT_ONCE; i++) {
        int fd = fixture_connect(&fix);
        client_put(fd, "GET /slow/30 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_true(settles(&fix.stats->accepted, i + 1));
        (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        (void) close(fd);
    }
    assert_true(settles(&fix.stats->clients, 0));
    /* Whoever was held up for 30 ms before his reset has got his answer. */
    assert_in_range(xf_read(&fixture_pair(&fix, "blue")->client_aborts), 1, AT_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_worker_with_its_rings_answers_whole, stop),
        cmocka_unit_test_teardown(a_worker_without_rings_answers_whole, stop),
        cmocka_unit_test_teardown(a_worker_whose_calls_are_not_begun_answers_whole, stop),
        cmocka_unit_test_teardown(a_worker_whose_calls_are_begun_in_part_answers_whole, stop),
        cmocka_unit_test_teardown(a_client_that_resets_before_its_answer_is_counted_as_gone, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
