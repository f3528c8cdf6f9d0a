/*
 * test_worker_faults.c -- one worker among slow, rude and broken peers, and what it says of them.
 */
#include "worker_fixture.h"

#include "proxy/board/channel.h"
#include "proxy/http/http1.h"

#include <poll.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct fixture fix;

static int start_quick(void **state)
{
    (void) state;
    fixture_start(&fix,
                  "    timeouts: {header: 300ms, body: 300ms, first_byte: 300ms, idle: 500ms}\n"
                  "    limits: {body: 1000}\n",
                  "forwarded: {trusted: [10.0.0.0/8]}\n");
    return 0;
}

static int start_plain(void **state)
{
    (void) state;
    fixture_start(&fix, "", "");
    return 0;
}

static int start_sticky(void **state)
{
    (void) state;
    fixture_start(&fix, "    sticky: {by: cookie, name: seat}\n", "");
    return 0;
}

static int start_narrow(void **state)
{
    (void) state;
    fixture_start(&fix, "", "limits: {connections: 4}\n");
    return 0;
}

static int release(void **state)
{
    (void) state;
    fixture_release(&fix);
    return 0;
}

static int stop(void **state)
{
    (void) state;
    fixture_stop(&fix);
    return 0;
}

static void reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void) close(fd);
}

static void what_does_not_come_in_time_is_told_and_closed(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHo", 408},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", 408},
        {GET("/slow/1500"), 504},
        {"", 0}, /* nothing at all: closed without a word */
    };
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        int fd = fixture_connect(&fix);
        assert_int_equal(client_ask(fd, rows[i].text), rows[i].status);
        if (rows[i].status != 504) {
            assert_true(client_at_end(fd));
        }
        (void) close(fd);
    }
    assert_int_equal(xf_read(&fixture_pair(&fix, "blue")->errors[XF_ERROR_TIMEOUT]), 1);
}

static void an_idle_client_is_closed_silently(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    assert_true(client_at_end(fd));
    (void) close(fd);
}

static void a_body_beyond_the_limit_is_413(void **state)
{
    (void) state;
    char chunks[3000] =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n";
    size_t at = strlen(chunks);
    memset(chunks + at, 'x', 2000);
    static const char length[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n";
    const char *const rows[] = {length, chunks};
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        int fd = fixture_connect(&fix);
        assert_int_equal(client_ask(fd, rows[i]), 413);
        (void) close(fd);
    }
}

static void only_trusted_clients_speak_for_others(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, "GET /head HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n");
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strcasestr(answer.body, "X-Forwarded-For: 127.0.0.1\r\n"));
    assert_null(strstr(answer.body, "1.2.3.4"));
    assert_non_null(strcasestr(answer.body, "X-Request-Id: "));
    assert_non_null(strcasestr(answer.body, "Via: 1.1 crossfade\r\n"));
    client_answer_release(&answer);
    (void) close(fd);
}

static void a_client_that_resets_while_it_waits_is_noticed_at_once(void **state)
{
    (void) state;
    struct xf_stats_cluster *gauges = fixture_cluster(&fix, "blue");
    int fd = fixture_connect(&fix);
    client_put(fd, GET("/slow/3000"));
    assert_true(settles(&gauges->in_flight, 1));
    reset(fd);
    for (unsigned i = 0; i < 500 && xf_read(&gauges->in_flight) > 0; i++) {
        (void) poll(NULL, 0, 1);
    }
    assert_int_equal(xf_read(&gauges->in_flight), 0);
    assert_true(settles(&fixture_pair(&fix, "blue")->client_aborts, 1));
    assert_int_equal(xf_read(&fixture_pair(&fix, "blue")->errors[XF_ERROR_RESET]), 0);
}

static void a_reset_together_with_data_leaves_nothing_behind(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 50; i++) {
        int fd = fixture_connect(&fix);
        /* A body that is not whole, then a reset, all before the worker looks. */
        client_put(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
        if (i % 2 == 0) {
            (void) shutdown(fd, SHUT_WR);
        }
        reset(fd);
    }
    assert_true(settles(&fix.stats->clients, 0));
    assert_int_equal(xf_read(&fixture_cluster(&fix, "blue")->in_flight), 0);
}

static void a_client_that_closed_its_half_gets_its_answer(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, GET("/slow/100"));
    (void) shutdown(fd, SHUT_WR);
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200);
    client_answer_release(&answer);
    assert_true(client_at_end(fd));
    (void) close(fd);
}

static void a_slow_reader_gets_every_byte(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, GET("/chunked/20000000"));
    (void) poll(NULL, 0, 200);
    assert_true(xf_read(&fix.stats->buffers) <= 2 * XF_RELAY_BYTES_HIGH);
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.length, 20000000);
    client_answer_release(&answer);
    (void) close(fd);
}

static void readers_that_read_nothing_are_bounded_and_hurt_nobody(void **state)
{
    (void) state;
    int fds[40];
    for (unsigned i = 0; i < XF_COUNT(fds); i++) {
        fds[i] = fixture_connect(&fix);
        client_put(fds[i], GET("/len/30000000"));
    }
    (void) poll(NULL, 0, 500);
    assert_true(xf_read(&fix.stats->buffers) <= fix.config->limits.buffers);
    int fd = fixture_connect(&fix);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    (void) close(fd);
    for (unsigned i = 0; i < XF_COUNT(fds); i++) {
        reset(fds[i]);
    }
    assert_true(settles(&fix.stats->clients, 0));
}

static void aborted_requests_leave_no_gauge(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 300; i++) {
        int fd = fixture_connect(&fix);
        client_put(fd, i % 3 == 0 ? GET("/slow/20") : GET("/chunked/300000"));
        if (i % 2 == 0) {
            (void) poll(NULL, 0, 1);
        }
        if (i % 5 == 0) {
            (void) close(fd);
        } else {
            reset(fd);
        }
    }
    assert_true(settles(&fix.stats->clients, 0));
    assert_int_equal(xf_read(&fixture_cluster(&fix, "blue")->in_flight), 0);
    assert_true(settles(&fix.stats->buffers, 0));
}

static void a_connection_beyond_the_limit_waits_its_turn(void **state)
{
    (void) state;
    int fds[4];
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = fixture_connect(&fix);
        assert_int_equal(client_ask(fds[i], GET("/x")), 200);
    }
    int late = fixture_connect(&fix);
    client_put(late, GET("/x"));
    struct pollfd look = {.fd = late, .events = POLLIN};
    assert_int_equal(poll(&look, 1, 200), 0);
    (void) close(fds[0]);
    struct client_answer answer;
    client_read(late, false, &answer);
    assert_int_equal(answer.status, 200);
    client_answer_release(&answer);
    for (unsigned i = 1; i < 4; i++) {
        (void) close(fds[i]);
    }
    (void) close(late);
}

static void a_cookie_is_set_only_in_a_cutover_and_never_sent_on(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, GET("/head"));
    client_read(fd, false, &answer);
    assert_null(strcasestr(answer.head, "Set-Cookie"));
    client_answer_release(&answer);
    fixture_route(&fix, XF_ROUTE_CUTOVER, 5000, NULL);
    client_put(fd, GET("/head"));
    client_read(fd, false, &answer);
    const char *cookie = strcasestr(answer.head, "Set-Cookie: seat=");
    assert_non_null(cookie);
    char request[512], name[64] = "", first[64] = "";
    (void) snprintf(request, sizeof(request),
                    "GET /head HTTP/1.1\r\nHost: a\r\nCookie: a=b; seat=%.32s\r\n\r\n",
                    cookie + 17);
    (void) sscanf(strcasestr(answer.head, "X-Name: "), "X-Name: %63[a-z]", first);
    client_answer_release(&answer);
    for (unsigned i = 0; i < 20; i++) {
        client_put(fd, request);
        client_read(fd, false, &answer);
        assert_null(strcasestr(answer.head, "Set-Cookie"));
        assert_null(strstr(answer.body, "seat"));
        assert_non_null(strstr(answer.body, "a=b"));
        (void) sscanf(strcasestr(answer.head, "X-Name: "), "X-Name: %63[a-z]", name);
        assert_string_equal(name, first); /* the same colour every time */
        client_answer_release(&answer);
    }
    (void) close(fd);
}

static void a_green_that_is_down_falls_back_to_blue(void **state)
{
    (void) state;
    struct xf_route_record record = {.flags = XF_RECORD_FALLBACK_BLUE, .attempt = 1};
    backend_refuse(&fix.green[0]);
    backend_refuse(&fix.green[1]);
    fixture_route(&fix, XF_ROUTE_CUTOVER, 10000, &record);
    int fd = fixture_connect(&fix);
    assert_int_equal(
        client_ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"), 200);
    assert_int_equal(xf_read(&fixture_pair(&fix, "blue")->why[XF_WHY_FALLBACK]), 1);
    assert_int_equal(xf_read(&fixture_pair(&fix, "green")->errors[XF_ERROR_CONNECT]), 1);
    /* From draining on, nothing new goes to blue. */
    fixture_route(&fix, XF_ROUTE_CUTOVER | XF_ROUTE_DRAINING, 10000, &record);
    assert_int_equal(client_ask(fd, GET("/x")), 502);
    assert_int_equal(xf_read(&fixture_pair(&fix, "blue")->requests), 1);
    (void) close(fd);
}

static void a_fence_refuses_and_names_the_cutover(void **state)
{
    (void) state;
    struct xf_route_record record = {.flags = XF_RECORD_FENCE,
                                     .attempt = 1,
                                     .cutover = "kong-3.1/7",
                                     .fence_methods = 1u << XF_METHOD_POST,
                                     .fence_paths_count = 1,
                                     .fence_allow = {"/ec*"}};
    fixture_route(&fix, XF_ROUTE_CUTOVER, 0, &record);
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, "POST /services HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strcasestr(answer.head, "Retry-After: "));
    assert_non_null(strstr(answer.body, "kong-3.1/7"));
    client_answer_release(&answer);
    assert_int_equal(client_ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
                     200);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    (void) close(fd);
}

/* Sums one count over all cells and weights. */
static unsigned judged(size_t offset, enum xf_role role)
{
    struct xf_cell *cells = xf_stats_cells(fix.stats, 0);
    unsigned sum = 0;
    for (unsigned i = 0; i < XF_CELLS; i++) {
        for (unsigned w = 0; w < XF_CELL_WEIGHTS; w++) {
            const char *entry = (const char *) &cells[i].entry[w];
            sum += ((const _Atomic uint32_t *) (const void *) (entry + offset))[role];
        }
    }
    return sum;
}
#define JUDGED(what, role) judged(offsetof(struct xf_cell_entry, what), role)

static void the_judge_sees_first_attempts_and_hung_requests(void **state)
{
    (void) state;
    struct xf_route_record record = {
        .flags = XF_RECORD_JUDGED | XF_RECORD_RESCUE, .attempt = 1, .step = 1, .tau_us = 100000};
    atomic_store(&fix.green[0].bad, true);
    atomic_store(&fix.green[1].bad, true);
    fixture_route(&fix, XF_ROUTE_CUTOVER, 10000, &record);
    int fd = fixture_connect(&fix);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(client_ask(fd, GET("/x")), 200); /* rescued */
    }
    assert_int_equal(JUDGED(sent, XF_GREEN), 5);
    assert_int_equal(JUDGED(bad, XF_GREEN), 5);
    assert_int_equal(JUDGED(done, XF_GREEN), 5);
    assert_int_equal(JUDGED(sent, XF_BLUE), 0);
    fixture_route(&fix, XF_ROUTE_CUTOVER, 0, &record);
    client_put(fd, GET("/slow/600"));
    for (unsigned i = 0; i < 400 && JUDGED(slow, XF_BLUE) == 0; i++) {
        (void) poll(NULL, 0, 1);
    }
    assert_int_equal(JUDGED(slow, XF_BLUE), 1); /* before its answer */
    assert_int_equal(JUDGED(done, XF_BLUE), 0);
    struct client_answer answer;
    client_read(fd, false, &answer);
    client_answer_release(&answer);
    (void) close(fd);
}

static void the_end_of_the_supervisor_ends_the_worker(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    client_put(fd, GET("/slow/300"));
    assert_true(settles(&fixture_cluster(&fix, "blue")->in_flight, 1));
    (void) close(fix.channel);
    struct client_answer answer;
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200); /* what was in flight is finished */
    client_answer_release(&answer);
    int status = 0;
    assert_int_equal(waitpid(fix.pid, &status, 0), fix.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void) close(fd);
}

static void a_retired_worker_ends_at_its_time(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
    fixture_send(&fix, XF_CHANNEL_RETIRE,
                 (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000 + 300);
    int status = 0;
    assert_int_equal(waitpid(fix.pid, &status, 0), fix.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void) close(fd);
}

#define WITH(start, name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(start_quick, what_does_not_come_in_time_is_told_and_closed),
        WITH(start_quick, an_idle_client_is_closed_silently),
        WITH(start_quick, a_body_beyond_the_limit_is_413),
        WITH(start_quick, only_trusted_clients_speak_for_others),
        WITH(start_plain, a_client_that_resets_while_it_waits_is_noticed_at_once),
        WITH(start_plain, a_reset_together_with_data_leaves_nothing_behind),
        WITH(start_plain, a_client_that_closed_its_half_gets_its_answer),
        WITH(start_plain, a_slow_reader_gets_every_byte),
        WITH(start_plain, readers_that_read_nothing_are_bounded_and_hurt_nobody),
        WITH(start_plain, aborted_requests_leave_no_gauge),
        WITH(start_narrow, a_connection_beyond_the_limit_waits_its_turn),
        WITH(start_sticky, a_cookie_is_set_only_in_a_cutover_and_never_sent_on),
        WITH(start_plain, a_green_that_is_down_falls_back_to_blue),
        WITH(start_plain, a_fence_refuses_and_names_the_cutover),
        WITH(start_plain, the_judge_sees_first_attempts_and_hung_requests),
        cmocka_unit_test_setup_teardown(the_end_of_the_supervisor_ends_the_worker, start_plain,
                                        release),
        cmocka_unit_test_setup_teardown(a_retired_worker_ends_at_its_time, start_plain, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
