/*
 * test_agent_probe.c -- one check against servers that answer well, badly, late or not at all.
 */
#include "agent_fixture.h"

#include "shifter/agent/agent_probe.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct outcome {
    struct event_base *loop;
    bool over, passed;
    char reason[XF_PROBE_REASON_BYTES];
};

struct server {
    int listener, client;
    const char *answer; /* NULL: accepts and says nothing */
    bool keeps_open;
    char heard[4096];
    size_t heard_bytes;
    struct event *acceptable, *readable;
    struct event_base *loop;
};

static void server_heard(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct server *server = arg;
    ssize_t got = recv(fd, server->heard + server->heard_bytes,
                       sizeof(server->heard) - 1 - server->heard_bytes, 0);
    server->heard_bytes += got > 0 ? (size_t) got : 0;
    if (got <= 0 || server->answer == NULL || server->heard_bytes < 4 ||
        memcmp(server->heard + server->heard_bytes - 4, "\r\n\r\n", 4) != 0) {
        return;
    }
    assert_int_equal(send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL),
                     strlen(server->answer));
    if (!server->keeps_open) {
        shutdown(fd, SHUT_WR);
    }
}

static void server_accept(evutil_socket_t fd, short what, void *arg)
{
    (void) what;
    struct server *server = arg;
    server->client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    server->readable =
        event_new(server->loop, server->client, EV_READ | EV_PERSIST, server_heard, server);
    event_add(server->readable, NULL);
}

static struct sockaddr_storage server_open(struct server *server, struct event_base *loop)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *in = (struct sockaddr_in *) &address;
    socklen_t bytes = sizeof(*in);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->loop = loop;
    server->client = -1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *) in, bytes), 0);
    assert_int_equal(listen(server->listener, 4), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *) in, &bytes), 0);
    server->acceptable =
        event_new(loop, server->listener, EV_READ | EV_PERSIST, server_accept, server);
    event_add(server->acceptable, NULL);
    return address;
}

static void server_close(struct server *server)
{
    event_free(server->acceptable);
    if (server->readable != NULL) {
        event_free(server->readable);
    }
    if (server->client >= 0) {
        close(server->client);
    }
    close(server->listener);
}

static void probe_over(void *context, bool passed, const char *reason)
{
    struct outcome *outcome = context;
    outcome->over = true;
    outcome->passed = passed;
    (void) snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
    event_base_loopbreak(outcome->loop);
}

/* Checks a server that answers so; `options` without its address. */
static struct outcome check(const char *answer, bool keeps_open, struct xf_probe_options options,
                            char heard[4096])
{
    struct outcome outcome = {.loop = event_base_new()};
    struct server server = {.answer = answer, .keeps_open = keeps_open};
    struct sockaddr_storage address = server_open(&server, outcome.loop);
    options.address = &address;
    options.host = "10.0.0.1:80";
    options.timeout_ms = options.timeout_ms != 0 ? options.timeout_ms : 5000;
    assert_non_null(xf_probe_start(outcome.loop, &options, probe_over, &outcome));
    assert_false(outcome.over); /* never from within start() */
    event_base_dispatch(outcome.loop);
    assert_true(outcome.over);
    if (heard != NULL) {
        memcpy(heard, server.heard, sizeof(server.heard));
    }
    server_close(&server);
    event_base_free(outcome.loop);
    return outcome;
}

#define GET_200                                                                                    \
    {                                                                                              \
        .path = "/status", .expect_low = 200, .expect_high = 299                                   \
    }

static void answers_are_judged_by_status_text_and_form(void **state)
{
    (void) state;
    static const struct {
        const char *answer;
        bool keeps_open;
        const char *body;
        bool passed;
        const char *reason;
    } table[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, NULL, true, ""},
        {"HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n", true, NULL, true, ""},
        {"HTTP/1.1 300 No\r\nContent-Length: 0\r\n\r\n", true, NULL, false, "status 300"},
        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", true, NULL, false, "status 503"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall ready", true, "ready", true, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot today", false, "ready", false,
         "the body does not contain the expected text"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot today", true, "ready", false,
         "the body does not contain the expected text"},
        {"HTTP/1.1 200 OK\r\nReady: ready\r\n\r\n", false, "ready", false,
         "the body does not contain the expected text"},
        {"SSH-2.0-OpenSSH\r\n\r\n", true, NULL, false, "malformed answer"},
        {"HTTP/1.1 200 OK\r\nContent-Le", false, NULL, false, "closed before"},
        {"", false, NULL, false, "closed before"},
    };
    for (unsigned i = 0; i < XF_COUNT(table); i++) {
        struct xf_probe_options options = GET_200;
        options.body = table[i].body;
        struct outcome outcome = check(table[i].answer, table[i].keeps_open, options, NULL);
        if (outcome.passed != table[i].passed ||
            strncmp(outcome.reason, table[i].reason, strlen(table[i].reason)) != 0) {
            fail_msg("answer %u: %s, \"%s\"", i, outcome.passed ? "passed" : "failed",
                     outcome.reason);
        }
    }
}

static void the_request_names_path_and_host(void **state)
{
    (void) state;
    char heard[4096];
    struct xf_probe_options options = GET_200;
    options.send_proxy = true;
    (void) check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, options, heard);
    assert_memory_equal(heard, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0GET /status", 27);
    options.send_proxy = false;
    (void) check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, options, heard);
    assert_true(strncmp(heard, "GET /status HTTP/1.1\r\nHost: 10.0.0.1:80\r\n", 41) == 0);
}

static void a_connect_is_enough_without_a_path(void **state)
{
    (void) state;
    struct outcome outcome = check(NULL, true, (struct xf_probe_options){0}, NULL);
    assert_true(outcome.passed);
}

static void silence_ends_with_the_time_limit(void **state)
{
    (void) state;
    struct xf_probe_options options = GET_200;
    options.timeout_ms = 50;
    struct outcome outcome = check(NULL, true, options, NULL);
    assert_false(outcome.passed);
    assert_string_equal(outcome.reason, "timed out");
}

static void a_refused_connection_fails_with_its_reason(void **state)
{
    (void) state;
    struct outcome outcome = {.loop = event_base_new()};
    struct server server = {0};
    struct sockaddr_storage address = server_open(&server, outcome.loop);
    server_close(&server); /* nobody listens at its port any more */
    struct xf_probe_options options = {.address = &address, .host = "x", .timeout_ms = 5000};
    assert_non_null(xf_probe_start(outcome.loop, &options, probe_over, &outcome));
    event_base_dispatch(outcome.loop);
    assert_false(outcome.passed);
    assert_string_equal(outcome.reason, "Connection refused");
    event_base_free(outcome.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_judged_by_status_text_and_form),
        cmocka_unit_test(the_request_names_path_and_host),
        cmocka_unit_test(a_connect_is_enough_without_a_path),
        cmocka_unit_test(silence_ends_with_the_time_limit),
        cmocka_unit_test(a_refused_connection_fails_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
