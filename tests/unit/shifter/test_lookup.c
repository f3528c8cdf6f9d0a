/*
 * test_lookup.c -- an address in figures needs no name server.
 */
#include "shifter/net/lookup.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

struct heard {
    struct event_base *loop;
    char text[INET6_ADDRSTRLEN];
    unsigned calls, port;
};

static void on_done(void *context, const struct sockaddr_storage *addresses, size_t count,
                    unsigned ttl_s, const char *why)
{
    struct heard *heard = context;
    (void) ttl_s;
    heard->calls++;
    event_base_loopbreak(heard->loop);
    if (why != NULL || count != 1) {
        return;
    }
    const struct sockaddr_in *four = (const struct sockaddr_in *) addresses;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *) addresses;
    bool is_four = addresses->ss_family == AF_INET;
    heard->port = ntohs(is_four ? four->sin_port : six->sin6_port);
    inet_ntop(addresses->ss_family,
              is_four ? (const void *) &four->sin_addr : (const void *) &six->sin6_addr,
              heard->text, sizeof(heard->text));
}

/* Without descriptors nobody can be asked, and no file can be read. */
static void test_figures_are_their_own_address_and_nobody_is_asked(void **state)
{
    (void) state;
    static const char *const hosts[] = {"127.0.0.1", "10.20.30.40", "::1", "2001:db8::7"};
    struct rlimit before, none;
    struct heard heard = {.loop = event_base_new()};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct xf_lookup *lookup = NULL;
        struct xf_error err;
        heard.calls = heard.port = 0;
        heard.text[0] = '\0';
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        int started =
            xf_lookup_start(heard.loop, hosts[i], 8080, 2000, on_done, &heard, &lookup, &err);
        unsigned calls_at_once = heard.calls;
        if (started == 0) {
            event_base_dispatch(heard.loop);
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        xf_lookup_destroy(lookup);
        assert_int_equal(started, 0);
        assert_int_equal(calls_at_once, 0);
        assert_int_equal(heard.calls, 1);
        assert_string_equal(heard.text, hosts[i]);
        assert_int_equal(heard.port, 8080);
    }
    event_base_free(heard.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_are_their_own_address_and_nobody_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
