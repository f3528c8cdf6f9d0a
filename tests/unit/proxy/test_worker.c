/*
 * test_worker.c -- one worker as a process: what clients get, and what it counts.
 */
#include "worker_fixture.h"

#include "proxy/board/channel.h"
#include "proxy/board/pick.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct fixture fix;

static int start_plain(void **state)
{
    (void) state;
    fixture_start(&fix, "", "");
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

static void a_get_is_answered_and_the_connection_stays(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(client_ask(fd, GET("/x")), 200);
    }
    (void) close(fd);
    struct xf_stats_pair *blue = fixture_pair(&fix, "blue");
    assert_true(settles(&fix.stats->clients, 0));
    assert_int_equal(xf_read(&blue->requests), 100);
    assert_int_equal(xf_read(&blue->class[2]), 100);
    assert_int_equal(xf_read(&blue->why[XF_WHY_WEIGHT]), 100);
    assert_int_equal(xf_read(&fixture_cluster(&fix, "blue")->in_flight), 0);
    assert_true(atomic_load(&fix.blue[0].connections) + atomic_load(&fix.blue[1].connections) <= 2);
}

/* How the server frames its answer, and how large it is. */
static void every_framing_of_an_answer_arrives_whole(void **state)
{
    static const char *const kinds[] = {"len", "chunked", "close"};
    static const size_t sizes[] = {0, 1, 100, 65536, 300000, 5000000};
    (void) state;
    int fd = fixture_connect(&fix);
    for (unsigned kind = 0; kind < 3; kind++) {
        for (unsigned i = 0; i < 6; i++) {
            char text[128];
            struct client_answer answer;
            (void) snprintf(text, sizeof(text), "GET /%s/%zu HTTP/1.1\r\nHost: a\r\n\r\n",
                            kinds[kind], sizes[i]);
            client_put(fd, text);
            client_read(fd, false, &answer);
            assert_int_equal(answer.status, 200);
            assert_int_equal(answer.length, sizes[i]);
            client_answer_release(&answer);
        }
    }
    (void) close(fd);
}

static void every_framing_of_a_request_arrives_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 60000};
    (void) state;
    int fd = fixture_connect(&fix);
    for (unsigned chunked = 0; chunked < 2; chunked++) {
        for (unsigned i = 0; i < 4; i++) {
            char head[256], *body = calloc(1, sizes[i] + 1);
            memset(body, 'b', sizes[i]);
            if (chunked) {
                (void) snprintf(head, sizeof(head),
                                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                                "\r\n%zx\r\n",
                                sizes[i]);
            } else {
                (void) snprintf(head, sizeof(head),
                                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                                sizes[i]);
            }
            client_put(fd, head);
            client_put(fd, body);
            if (chunked) {
                client_put(fd, sizes[i] > 0 ? "\r\n0\r\n\r\n" : "\r\n");
            }
            struct client_answer answer;
            client_read(fd, false, &answer);
            assert_int_equal(answer.status, 200);
            assert_int_equal(answer.length, sizes[i]);
            assert_true(sizes[i] == 0 || memcmp(answer.body, body, sizes[i]) == 0);
            client_answer_release(&answer);
            free(body);
        }
    }
    (void) close(fd);
}

static void a_head_that_comes_byte_by_byte_is_understood(void **state)
{
    (void) state;
    static const char text[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    int fd = fixture_connect(&fix);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_int_equal(write(fd, text + i, 1), 1);
    }
    struct client_answer answer;
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "abc");
    client_answer_release(&answer);
    (void) close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    char text[8192] = "";
    for (unsigned i = 0; i < 50; i++) {
        (void) snprintf(text + strlen(text), sizeof(text) - strlen(text),
                        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n%02u", i);
    }
    client_put(fd, text);
    for (unsigned i = 0; i < 50; i++) {
        struct client_answer answer;
        char wanted[3];
        (void) snprintf(wanted, sizeof(wanted), "%02u", i);
        client_read(fd, false, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, wanted);
        client_answer_release(&answer);
    }
    (void) close(fd);
}

static void the_weight_splits_to_within_the_carry(void **state)
{
    (void) state;
    static const unsigned weights[] = {0, 1250, 5000, 10000};
    int fd = fixture_connect(&fix);
    uint64_t before = 0;
    for (unsigned i = 0; i < XF_COUNT(weights); i++) {
        fixture_route(&fix, XF_ROUTE_CUTOVER, weights[i], NULL);
        for (unsigned n = 0; n < 2000; n++) {
            assert_int_equal(client_ask(fd, GET("/x")), 200);
        }
        uint64_t now = xf_read(&fixture_pair(&fix, "green")->requests);
        int64_t off = (int64_t) (now - before) - (int64_t) (2000 * weights[i] / XF_WEIGHT_FULL);
        assert_true(off >= -1 && off <= 1);
        before = now;
    }
    (void) close(fd);
}

static void a_head_answer_has_no_body_and_keeps_its_length(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    client_put(fd, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" GET("/x"));
    struct client_answer answer;
    client_read(fd, true, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.head, "Content-Length: 1234\r\n"));
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello");
    client_answer_release(&answer);
    (void) close(fd);
}

static void a_malformed_request_is_refused_and_nothing_is_forwarded(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417},
    };
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        int fd = fixture_connect(&fix);
        struct client_answer answer;
        client_put(fd, rows[i].text);
        client_read(fd, false, &answer);
        assert_int_equal(answer.status, rows[i].status);
        assert_non_null(strstr(answer.head, "Connection: close\r\n"));
        client_answer_release(&answer);
        assert_true(client_at_end(fd));
        (void) close(fd);
    }
    assert_int_equal(atomic_load(&fix.blue[0].requests) + atomic_load(&fix.blue[1].requests), 0);
}

static void a_host_too_long_to_be_repeated_upstream_is_431(void **state)
{
    (void) state;
    char name[30001];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    int fd = fixture_connect(&fix);
    client_put(fd, "GET / HTTP/1.1\r\nHost: ");
    client_put(fd, name);
    assert_int_equal(client_ask(fd, "\r\n\r\n"), 431);
    assert_true(client_at_end(fd));
    (void) close(fd);
}

static void a_client_that_waits_for_100_continue_gets_it(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                   "Content-Length: 3\r\n\r\n");
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 100);
    client_put(fd, "abc");
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "abc");
    client_answer_release(&answer);
    (void) close(fd);
}

static void an_early_answer_reaches_a_client_that_still_sends(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc");
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 403);
    assert_non_null(strstr(answer.head, "Connection: close\r\n"));
    client_answer_release(&answer);
    (void) close(fd);
}

static void an_interim_answer_is_passed_on(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    client_put(fd, GET("/hints"));
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 103);
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 200);
    client_answer_release(&answer);
    (void) close(fd);
}

static void a_tunnel_carries_bytes_both_ways_and_is_counted(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    char back[6] = "";
    client_put(fd, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\n\r\n");
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 101);
    assert_true(settles(&fixture_cluster(&fix, "blue")->tunnels, 1));
    client_put(fd, "hello");
    assert_int_equal(recv(fd, back, 5, MSG_WAITALL), 5);
    assert_string_equal(back, "hello");
    (void) shutdown(fd, SHUT_WR);
    assert_true(client_at_end(fd));
    (void) close(fd);
    assert_true(settles(&fixture_cluster(&fix, "blue")->tunnels, 0));
}

/* As the agent does. */
static void order_drain(const char *cluster, uint64_t order, uint32_t rate_milli,
                        uint64_t deadline_ms)
{
    int number = xf_config_find_cluster(fix.config, cluster);
    int pair = xf_config_pair(fix.config, 0, (unsigned) number);
    struct xf_drain *drain = xf_board_drain(fix.board, (unsigned) pair);
    atomic_store(&drain->order, 0);
    atomic_store(&drain->since_us, 0);
    atomic_store(&drain->deadline_ms, deadline_ms);
    atomic_store(&drain->rate_milli[0], rate_milli);
    atomic_store(&drain->order, order);
}

/* Likewise: at the rate answers end, too, whose request began so long ago. */
static void drain_answers(const char *cluster, uint32_t after_ms)
{
    int number = xf_config_find_cluster(fix.config, cluster);
    int pair = xf_config_pair(fix.config, 0, (unsigned) number);
    atomic_store(&xf_board_drain(fix.board, (unsigned) pair)->answers_after_ms, after_ms);
}

/* A request whose answer begins and does not end; its head and first bytes are read. */
static int begin_endless(const char *framing, unsigned minor)
{
    int fd = fixture_connect(&fix);
    char text[256];
    (void) snprintf(text, sizeof(text), "GET /endless/%s HTTP/1.%u\r\nHost: a\r\n\r\n", framing,
                    minor);
    client_put(fd, text);
    memset(text, 0, sizeof(text));
    for (size_t at = 0; strstr(text, "begun") == NULL; at++) {
        assert_true(at < sizeof(text) - 1);
        assert_int_equal(recv(fd, text + at, 1, 0), 1);
    }
    if (strcasestr(text, "chunked") != NULL) {
        assert_int_equal(recv(fd, text, 2, MSG_WAITALL), 2);
    }
    return fd;
}

/* Whether the end came without the last chunk: by a close, or by a reset. */
static void expect_end(int fd, bool by_reset)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    assert_int_equal(got, by_reset ? -1 : 0);
    assert_true(!by_reset || errno == ECONNRESET);
    (void) close(fd);
}

static void assert_nobody_is_charged(const char *cluster)
{
    const struct xf_stats_pair *pair = fixture_pair(&fix, cluster);
    for (unsigned i = 0; i < XF_ERROR_KINDS; i++) {
        assert_int_equal(xf_read(&pair->errors[i]), 0);
    }
    assert_int_equal(xf_read(&pair->client_aborts), 0);
    for (unsigned cell = 0; cell < XF_CELLS; cell++) {
        for (unsigned i = 0; i < XF_CELL_WEIGHTS; i++) {
            struct xf_cell_entry *entry = &xf_stats_cells(fix.stats, 0)[cell].entry[i];
            assert_int_equal(atomic_load(&entry->bad[XF_BLUE]) + atomic_load(&entry->bad[XF_GREEN]),
                             0);
        }
    }
}

static void answers_are_cut(uint32_t rate_milli, uint64_t deadline_ms)
{
    static const struct {
        const char *framing;
        unsigned minor;
        bool by_reset; /* nothing but that can tell the client */
    } rows[] = {
        {"length", 1, false}, {"chunked", 1, false}, {"close", 1, false},
        {"length", 0, false}, {"chunked", 0, true},  {"close", 0, true},
    };
    int fds[XF_COUNT(rows)];
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        fds[i] = begin_endless(rows[i].framing, rows[i].minor);
    }
    struct xf_stats_cluster *blue = fixture_cluster(&fix, "blue");
    assert_true(settles(&blue->in_flight, XF_COUNT(rows)));
    fixture_route(&fix, XF_ROUTE_CUTOVER | XF_ROUTE_DRAINING, 10000, NULL);
    drain_answers("blue", 1);
    order_drain("blue", XF_DRAIN_ALL, rate_milli, deadline_ms);
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        expect_end(fds[i], rows[i].by_reset);
    }
    assert_true(settles(&blue->in_flight, 0));
    assert_true(settles(&blue->drained[XF_DRAINED_ANSWER], XF_COUNT(rows)));
    assert_int_equal(xf_read(&blue->drained[XF_DRAINED_TUNNEL]), 0);
    assert_nobody_is_charged("blue");
}

static void a_paced_drain_ends_answers_so_that_the_client_sees_it(void **state)
{
    (void) state;
    answers_are_cut(20000, 0);
}

static void a_drain_deadline_ends_answers_so_that_the_client_sees_it(void **state)
{
    (void) state;
    answers_are_cut(0, 1);
}

static void a_paced_drain_leaves_young_answers_and_those_that_have_not_begun(void **state)
{
    (void) state;
    int young = begin_endless("chunked", 1), waiting = fixture_connect(&fix);
    client_put(waiting, GET("/slow/600"));
    struct xf_stats_cluster *blue = fixture_cluster(&fix, "blue");
    assert_true(settles(&blue->in_flight, 2));
    drain_answers("blue", 3600 * 1000);
    order_drain("blue", XF_DRAIN_ALL, 1000000, 0);
    struct client_answer answer;
    client_read(waiting, false, &answer); /* many ticks later */
    assert_int_equal(answer.status, 200);
    client_answer_release(&answer);
    (void) close(waiting);
    assert_true(settles(&blue->in_flight, 1));
    drain_answers("blue", 0); /* an operator's order on a cluster that serves: tunnels alone */
    assert_int_equal(client_ask(waiting = fixture_connect(&fix), GET("/slow/300")), 200);
    (void) close(waiting);
    assert_true(settles(&blue->in_flight, 1));
    drain_answers("blue", 1);
    expect_end(young, false);
    assert_true(settles(&blue->drained[XF_DRAINED_ANSWER], 1));
}

/* What never ends by itself goes first, though the answer's client came before it. */
static void at_a_rate_tunnels_go_before_answers(void **state)
{
    (void) state;
    int answer_fd = begin_endless("length", 1), tunnel = fixture_connect(&fix);
    struct client_answer answer;
    client_put(tunnel, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                       "Upgrade: websocket\r\n\r\n");
    client_read(tunnel, false, &answer);
    assert_int_equal(answer.status, 101);
    struct xf_stats_cluster *blue = fixture_cluster(&fix, "blue");
    assert_true(settles(&blue->tunnels, 1));
    drain_answers("blue", 1);
    order_drain("blue", XF_DRAIN_ALL, 20000, 0);
    expect_end(answer_fd, false);
    assert_int_equal(xf_read(&blue->drained[XF_DRAINED_TUNNEL]), 1);
    assert_true(settles(&blue->in_flight, 0));
    (void) close(tunnel);
}

static void a_drained_websocket_is_told_1001_between_two_frames(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    struct client_answer answer;
    char back[16] = "";
    client_put(fd, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\n\r\n");
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 101);
    fixture_route(&fix, XF_ROUTE_CUTOVER, 10000, NULL); /* a weight change alone ends none */
    client_put(fd, "\x81\x05he"); /* the backend sends back half a frame of 5 bytes */
    assert_int_equal(recv(fd, back, 4, MSG_WAITALL), 4);
    fixture_route(&fix, XF_ROUTE_CUTOVER | XF_ROUTE_DRAINING, 10000, NULL);
    order_drain("blue", XF_DRAIN_ALL, 20000, 0);
    struct timeval limit = {.tv_sec = 1, .tv_usec = 500000}; /* the slow tick has passed */
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(recv(fd, back, 1, 0), -1); /* not in the middle of a frame */
    client_put(fd, "llo\x81\x01x");
    limit.tv_sec = 10;
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(recv(fd, back, 7, MSG_WAITALL), 7);
    assert_memory_equal(back, "llo\x88\x02\x03\xe9", 7);
    assert_true(client_at_end(fd));
    (void) close(fd);
    assert_true(settles(&fixture_cluster(&fix, "blue")->tunnels, 0));
}

static void a_drain_deadline_cuts_what_is_left(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    client_put(fd, GET("/slow/5000"));
    assert_true(settles(&fixture_cluster(&fix, "blue")->in_flight, 1));
    fixture_route(&fix, XF_ROUTE_CUTOVER | XF_ROUTE_DRAINING, 10000, NULL);
    order_drain("blue", XF_DRAIN_ALL, 0, 1);
    assert_true(settles(&fixture_cluster(&fix, "blue")->in_flight, 0));
    struct client_answer answer;
    client_read(fd, false, &answer);
    assert_int_equal(answer.status, 503);
    client_answer_release(&answer);
    (void) close(fd);
}

static void a_broken_server_is_hidden_or_told_as_502(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {GET("/garbage"), 502},
        {GET("/drop"), 502},
        {GET("/half"), -1},
        {GET("/reset"), -1},
    };
    for (unsigned i = 0; i < XF_COUNT(rows); i++) {
        int fd = fixture_connect(&fix);
        assert_int_equal(client_ask(fd, rows[i].text), rows[i].status);
        (void) close(fd);
    }
    struct xf_stats_pair *blue = fixture_pair(&fix, "blue");
    assert_int_equal(xf_read(&blue->errors[XF_ERROR_RESET]), 2);
    assert_int_equal(xf_read(&blue->errors[XF_ERROR_TRUNCATED]), 2);
}

static void a_server_that_closes_silently_fails_no_request(void **state)
{
    (void) state;
    atomic_store(&fix.blue[0].silent_close, true);
    atomic_store(&fix.blue[1].silent_close, true);
    int fd = fixture_connect(&fix);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(client_ask(fd, GET("/x")), 200);
    }
    (void) close(fd);
}

static void a_dead_server_costs_no_request_while_another_lives(void **state)
{
    (void) state;
    backend_refuse(&fix.blue[0]);
    int fd = fixture_connect(&fix);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(client_ask(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                                        "\r\nhi"),
                         200);
    }
    (void) close(fd);
    assert_int_equal(atomic_load(&fix.blue[1].posts), 100);
}

static void a_server_whose_address_changes_is_reached_there(void **state)
{
    (void) state;
    struct xf_server_health *health = xf_board_health(fix.board, 0);
    const struct xf_server_health *other = xf_board_health(fix.board, 1);
    atomic_store(&xf_board_health(fix.board, 1)->drained, 1);
    int fd = fixture_connect(&fix);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    assert_int_equal(atomic_load(&fix.blue[0].requests), 1);
    /* as the agent writes it */
    atomic_store(&health->sequence, atomic_load(&health->sequence) | 1);
    health->address = other->address;
    atomic_store(&health->sequence, atomic_load(&health->sequence) + 1);
    assert_true(settles(&fixture_cluster(&fix, "blue")->pooled, 0)); /* though nobody asks */
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(client_ask(fd, GET("/x")), 200);
    }
    assert_int_equal(atomic_load(&fix.blue[0].requests), 1);
    assert_int_equal(atomic_load(&fix.blue[1].requests), 10);
    (void) close(fd);
}

static void a_weight_above_every_configured_one_counts_whole(void **state)
{
    (void) state;
    atomic_store(&xf_board_health(fix.board, 0)->weight, 900);
    int fd = fixture_connect(&fix);
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(client_ask(fd, GET("/x")), 200);
    }
    unsigned heavy = atomic_load(&fix.blue[0].requests);
    assert_in_range(heavy, 300, 399); /* 360 expected, 200 where it counts as the others' 100 */
    assert_int_equal(heavy + atomic_load(&fix.blue[1].requests), 400);
    (void) close(fd);
}

static void a_failing_green_is_rescued_and_charged(void **state)
{
    (void) state;
    atomic_store(&fix.green[0].bad, true);
    atomic_store(&fix.green[1].bad, true);
    fixture_route(&fix, XF_ROUTE_CUTOVER, 2500, NULL);
    int fd = fixture_connect(&fix);
    for (unsigned i = 0; i < XF_PICK_BLOCK; i++) {
        assert_int_equal(client_ask(fd, GET("/x")), 200);
    }
    struct xf_stats_pair *green = fixture_pair(&fix, "green");
    assert_true(xf_read(&green->requests) >= 250 && xf_read(&green->requests) <= 251);
    assert_int_equal(xf_read(&green->errors[XF_ERROR_STATUS]), xf_read(&green->requests));
    assert_int_equal(xf_read(&green->rescued), xf_read(&green->requests));
    (void) close(fd);
}

static void draining_sends_nothing_to_blue_and_closes_its_pool(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    assert_true(settles(&fixture_cluster(&fix, "blue")->pooled, 1));
    fixture_route(&fix, XF_ROUTE_CUTOVER | XF_ROUTE_DRAINING, 10000, NULL);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    assert_true(settles(&fixture_cluster(&fix, "blue")->pooled, 0));
    assert_int_equal(xf_read(&fixture_pair(&fix, "green")->requests), 1);
    (void) close(fd);
}

static void a_retired_worker_answers_its_clients_and_says_close(void **state)
{
    (void) state;
    int fd = fixture_connect(&fix);
    assert_int_equal(client_ask(fd, GET("/x")), 200);
    fixture_send(&fix, XF_CHANNEL_RETIRE, 0);
    struct client_answer answer;
    do { /* the message is on its way */
        client_put(fd, GET("/x"));
        client_read(fd, false, &answer);
        assert_int_equal(answer.status, 200);
        client_answer_release(&answer);
    } while (strstr(answer.head, "Connection: close\r\n") == NULL);
    int status = 0;
    assert_int_equal(waitpid(fix.pid, &status, 0), fix.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void) close(fd);
}

static bool served_after_stop(void)
{
    int off = 0;
    (void) setsockopt(fix.listen_fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &off, sizeof(off));
    int idle = fixture_connect(&fix), fresh = fixture_connect(&fix);
    assert_int_equal(client_ask(idle, GET("/x")), 200);
    assert_true(settles(&fix.stats->clients, 2));
    fixture_send(&fix, XF_CHANNEL_STOP, 0);
    assert_true(client_at_end(idle)); /* it has obeyed */
    bool served = client_ask(fresh, GET("/x")) == 200;
    int status = 0;
    assert_int_equal(waitpid(fix.pid, &status, 0), fix.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void) close(fresh);
    (void) close(idle);
    return served;
}

/* It is waited for 300 ms, which this process may oversleep: then once more. */
static void who_has_just_connected_is_served_though_the_worker_stops(void **state)
{
    bool served = served_after_stop();
    for (unsigned i = 0; i < 5 && !served; i++) {
        (void) release(state);
        (void) start_plain(state);
        served = served_after_stop();
    }
    assert_true(served);
}

#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, start_plain, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORKER_TEST(a_get_is_answered_and_the_connection_stays),
        WORKER_TEST(every_framing_of_an_answer_arrives_whole),
        WORKER_TEST(every_framing_of_a_request_arrives_whole),
        WORKER_TEST(a_head_that_comes_byte_by_byte_is_understood),
        WORKER_TEST(pipelined_requests_are_answered_in_order),
        WORKER_TEST(the_weight_splits_to_within_the_carry),
        WORKER_TEST(a_head_answer_has_no_body_and_keeps_its_length),
        WORKER_TEST(a_malformed_request_is_refused_and_nothing_is_forwarded),
        WORKER_TEST(a_host_too_long_to_be_repeated_upstream_is_431),
        WORKER_TEST(a_client_that_waits_for_100_continue_gets_it),
        WORKER_TEST(an_early_answer_reaches_a_client_that_still_sends),
        WORKER_TEST(an_interim_answer_is_passed_on),
        WORKER_TEST(a_tunnel_carries_bytes_both_ways_and_is_counted),
        WORKER_TEST(a_drained_websocket_is_told_1001_between_two_frames),
        WORKER_TEST(a_drain_deadline_cuts_what_is_left),
        WORKER_TEST(a_paced_drain_ends_answers_so_that_the_client_sees_it),
        WORKER_TEST(a_drain_deadline_ends_answers_so_that_the_client_sees_it),
        WORKER_TEST(a_paced_drain_leaves_young_answers_and_those_that_have_not_begun),
        WORKER_TEST(at_a_rate_tunnels_go_before_answers),
        WORKER_TEST(a_broken_server_is_hidden_or_told_as_502),
        WORKER_TEST(a_server_that_closes_silently_fails_no_request),
        WORKER_TEST(a_dead_server_costs_no_request_while_another_lives),
        WORKER_TEST(a_server_whose_address_changes_is_reached_there),
        WORKER_TEST(a_weight_above_every_configured_one_counts_whole),
        WORKER_TEST(a_failing_green_is_rescued_and_charged),
        WORKER_TEST(draining_sends_nothing_to_blue_and_closes_its_pool),
        cmocka_unit_test_setup_teardown(a_retired_worker_answers_its_clients_and_says_close,
                                        start_plain, release),
        cmocka_unit_test_setup_teardown(who_has_just_connected_is_served_though_the_worker_stops,
                                        start_plain, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
