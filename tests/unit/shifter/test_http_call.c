/*
 * test_http_call.c -- requests to a real server in a child: answers, TLS, limits; and URLs.
 */
#include "shifter/net/http_call.h"
#include "shifter/net/url.h"
#include "tests/unit/shifter/http_bench.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct outcome {
    struct event_base *loop;
    struct xf_http_call *call;
    unsigned times;
    bool answered;
    unsigned status;
    char body[256];
    char why[XF_ERROR_MESSAGE_BYTES];
};

static void got(void *context, const struct xf_http_answer *answer, const char *why)
{
    struct outcome *outcome = context;
    outcome->times++;
    outcome->answered = answer != NULL;
    if (answer != NULL) {
        outcome->status = answer->status;
        snprintf(outcome->body, sizeof(outcome->body), "%s", answer->body);
        assert_null(why);
    } else {
        snprintf(outcome->why, sizeof(outcome->why), "%s", why);
    }
    xf_http_call_destroy(outcome->call); /* allowed here */
    outcome->call = NULL;
    event_base_loopbreak(outcome->loop);
}

static struct xf_http_call_options options_of(const char *url)
{
    return (struct xf_http_call_options){
        .method = "GET", .url = url, .timeout_ms = 5000, .answer_bytes_max = 100};
}

static struct outcome call(const struct xf_http_call_options *options)
{
    struct outcome outcome = {.loop = event_base_new()};
    struct xf_error err = {0};
    if (xf_http_call_start(outcome.loop, options, got, &outcome, &outcome.call, &err) == 0) {
        assert_int_equal(outcome.times, 0);
        event_base_dispatch(outcome.loop);
        assert_int_equal(outcome.times, 1);
    } else {
        snprintf(outcome.why, sizeof(outcome.why), "%s", err.message);
    }
    event_base_free(outcome.loop);
    return outcome;
}

static struct outcome call_bench(const struct http_bench *bench, const char *scheme,
                                 const char *host, const char *ca)
{
    char url[128];
    snprintf(url, sizeof(url), "%s://%s:%u/hook?x=1", scheme, host, bench->port);
    struct xf_http_call_options options = options_of(url);
    options.ca = ca;
    return call(&options);
}

static void answers_are_read_however_they_are_delimited(void **state)
{
    static const struct {
        const char *answer;
        unsigned status;  /* 0: none */
        const char *text; /* body, or part of the reason */
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", 200, "good"},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, ""},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", 201,
         "x"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
         200, "abcde"},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 0, "closed"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0, "malformed"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0, ""},
        {"SSH-2.0-OpenSSH\r\n", 0, "status line"},
        {"", 0, "closed"},
    };
    (void) state;
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        const char *answers[] = {cases[i].answer, NULL};
        struct http_bench bench;
        http_bench_start(&bench, answers, NULL);
        struct outcome outcome = call_bench(&bench, "http", "127.0.0.1", NULL);
        http_bench_stop(&bench);
        assert_int_equal(outcome.status, cases[i].status);
        if (cases[i].status != 0) {
            assert_string_equal(outcome.body, cases[i].text);
        } else {
            assert_non_null(strstr(outcome.why, cases[i].text));
        }
    }
}

static void an_answer_larger_than_allowed_is_refused(void **state)
{
    char answer[400] = "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n";
    memset(answer + strlen(answer), 'x', 101);
    const char *answers[] = {answer, NULL};
    struct http_bench bench;
    (void) state;
    http_bench_start(&bench, answers, NULL);
    struct outcome outcome = call_bench(&bench, "http", "127.0.0.1", NULL);
    http_bench_stop(&bench);
    assert_false(outcome.answered);
    assert_non_null(strstr(outcome.why, "too large"));
}

static void the_request_names_the_host_and_carries_the_body(void **state)
{
    const char *answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL};
    struct http_bench bench;
    char url[64], host[64];
    (void) state;
    http_bench_start(&bench, answers, NULL);
    snprintf(url, sizeof(url), "http://localhost:%u/a/b?c=d", bench.port);
    snprintf(host, sizeof(host), "\r\nHost: localhost:%u\r\n", bench.port);
    struct xf_http_call_options options = options_of(url);
    options.method = "POST";
    options.headers = "X-Extra: 1\r\n";
    options.body = "{\"a\":1}";
    options.body_bytes = 7;
    struct outcome outcome = call(&options); /* the name is in /etc/hosts */
    char *requests = http_bench_requests(&bench);
    http_bench_stop(&bench);
    assert_int_equal(outcome.status, 200);
    assert_ptr_equal(strstr(requests, "POST /a/b?c=d HTTP/1.1\r\n"), requests);
    assert_non_null(strstr(requests, host));
    assert_non_null(strstr(requests, "\r\nX-Extra: 1\r\n"));
    assert_non_null(strstr(requests, "\r\nContent-Length: 7\r\n\r\n{\"a\":1}"));
    free(requests);
}

static void tls_is_verified_against_authority_and_host(void **state)
{
    static const struct {
        const char *names, *host;
        bool with_ca;
        const char *why; /* NULL: accepted */
    } cases[] = {
        {"IP:127.0.0.1,DNS:localhost", "127.0.0.1", true, NULL},
        {"IP:127.0.0.1,DNS:localhost", "localhost", true, NULL},
        {"IP:127.0.0.1,DNS:localhost", "127.0.0.1", false, "certificate is refused"},
        {"DNS:example.com", "127.0.0.1", true, "certificate is refused"},
        {"DNS:example.com", "localhost", true, "certificate is refused"},
    };
    const char *answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret", NULL};
    (void) state;
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        struct http_bench bench;
        http_bench_start(&bench, answers, cases[i].names);
        struct outcome outcome =
            call_bench(&bench, "https", cases[i].host, cases[i].with_ca ? bench.ca : NULL);
        unsigned count = http_bench_count(&bench);
        http_bench_stop(&bench);
        if (cases[i].why == NULL) {
            assert_int_equal(outcome.status, 200);
            assert_string_equal(outcome.body, "secret");
        } else {
            assert_false(outcome.answered);
            assert_non_null(strstr(outcome.why, cases[i].why));
            assert_int_equal(count, 0);
        }
    }
}

static void plain_http_where_tls_is_expected_fails_with_a_reason(void **state)
{
    const char *answers[] = {"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", NULL};
    struct http_bench bench;
    (void) state;
    http_bench_start(&bench, answers, "IP:127.0.0.1");
    struct outcome outcome = call_bench(&bench, "http", "127.0.0.1", NULL);
    http_bench_stop(&bench);
    assert_false(outcome.answered);
    assert_true(outcome.why[0] != '\0');
}

static void nobody_there_and_silence_are_told(void **state)
{
    const char *answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL};
    struct http_bench bench;
    (void) state;
    http_bench_start(&bench, answers, NULL);
    kill(bench.pid, SIGSTOP); /* the kernel accepts, nobody answers */
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", bench.port);
    struct xf_http_call_options options = options_of(url);
    options.timeout_ms = 200;
    struct outcome outcome = call(&options);
    assert_non_null(strstr(outcome.why, "in time"));
    http_bench_stop(&bench);
    outcome = call(&options);
    assert_non_null(strstr(outcome.why, "refused"));
    options.url = "http://name.invalid/";
    options.timeout_ms = 3000;
    outcome = call(&options);
    assert_non_null(strstr(outcome.why, "lookup"));
}

static bool never(void *context)
{
    (void) context;
    return false;
}

static void nothing_is_sent_when_the_owner_says_no_at_the_last_moment(void **state)
{
    const char *answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL};
    struct http_bench bench;
    char url[64];
    (void) state;
    http_bench_start(&bench, answers, NULL);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", bench.port);
    struct xf_http_call_options options = options_of(url);
    options.may_send = never;
    struct outcome outcome = call(&options);
    assert_false(outcome.answered);
    assert_int_equal(http_bench_count(&bench), 0);
    http_bench_stop(&bench);
}

static void urls_are_taken_apart_strictly(void **state)
{
    static const struct {
        const char *text;
        bool good, tls;
        const char *host;
        unsigned port;
        const char *target;
    } cases[] = {
        {"http://a", true, false, "a", 80, "/"},
        {"https://a.example/x?y=z", true, true, "a.example", 443, "/x?y=z"},
        {"HTTPS://a:8443?q", true, true, "a", 8443, "/?q"},
        {"http://[::1]:81/", true, false, "::1", 81, "/"},
        {"http://[::1]", true, false, "::1", 80, "/"},
        {"ftp://a", false, false, NULL, 0, NULL},
        {"//a", false, false, NULL, 0, NULL},
        {"http://", false, false, NULL, 0, NULL},
        {"http:///x", false, false, NULL, 0, NULL},
        {"http://user:word@a/", false, false, NULL, 0, NULL},
        {"http://a:0/", false, false, NULL, 0, NULL},
        {"http://a:65536/", false, false, NULL, 0, NULL},
        {"http://a:/", false, false, NULL, 0, NULL},
        {"http://a:8x/", false, false, NULL, 0, NULL},
        {"http://[::1/", false, false, NULL, 0, NULL},
        {"http://[::1]x/", false, false, NULL, 0, NULL},
        {"http://a/x y", false, false, NULL, 0, NULL},
        {"http://a/\r\nX: y", false, false, NULL, 0, NULL},
        {"http://a/#f", false, false, NULL, 0, NULL},
        {"http://\xc3\xbc/", false, false, NULL, 0, NULL},
    };
    (void) state;
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        struct xf_url url;
        struct xf_error err;
        assert_int_equal(xf_url_parse(cases[i].text, &url, &err), cases[i].good ? 0 : -1);
        if (cases[i].good) {
            assert_int_equal(url.tls, cases[i].tls);
            assert_string_equal(url.host, cases[i].host);
            assert_int_equal(url.port, cases[i].port);
            assert_string_equal(url.target, cases[i].target);
        }
    }
}

static void test_what_is_put_into_a_url_is_escaped(void **state)
{
    (void) state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", ""},
        {"az-AZ_0.9~", "az-AZ_0.9~"},
        {"10.0.0.1:80", "10.0.0.1%3A80"},
        {"a/b?c=d&e#f g", "a%2Fb%3Fc%3Dd%26e%23f%20g"},
        {"\xC3\xA9\r\n%", "%C3%A9%0D%0A%25"},
    };
    char out[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_ptr_equal(xf_url_escape(cases[i].text, out, sizeof(out)), out);
        assert_string_equal(out, cases[i].expected);
    }
    assert_null(xf_url_escape("////", out, 12));
    assert_non_null(xf_url_escape("///", out, 12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_into_a_url_is_escaped),
        cmocka_unit_test(answers_are_read_however_they_are_delimited),
        cmocka_unit_test(an_answer_larger_than_allowed_is_refused),
        cmocka_unit_test(the_request_names_the_host_and_carries_the_body),
        cmocka_unit_test(tls_is_verified_against_authority_and_host),
        cmocka_unit_test(plain_http_where_tls_is_expected_fails_with_a_reason),
        cmocka_unit_test(nobody_there_and_silence_are_told),
        cmocka_unit_test(nothing_is_sent_when_the_owner_says_no_at_the_last_moment),
        cmocka_unit_test(urls_are_taken_apart_strictly),
    };
    return cmocka_run_group_tests_name("http_call", tests, NULL, NULL);
}
