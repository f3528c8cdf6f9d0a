/*
 * test_sticky.c -- what makes a client recognisable.
 */
#include "proxy/worker/sticky.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char name[] = "apikey";

static struct xf_sticky_key find(const struct xf_config_sticky *sticky, const char *text,
                                 bool *ret_new)
{
    static struct xf_field fields[64];
    static struct xf_http_request request;
    static const struct xf_address client = {{192, 0, 2, 1}, 4};
    struct xf_http_limits limits = {8192, 64};
    struct xf_http_refusal refusal;
    assert_int_equal(
        xf_http_parse_request(text, strlen(text), 0, &limits, fields, &request, &refusal),
        XF_HTTP_DONE);
    return xf_sticky_find(sticky, text, &request, fields, &client, ret_new);
}

static void the_key_is_the_first_such_field_without_white_space(void **state)
{
    (void) state;
    struct xf_config_sticky sticky = {.by = XF_STICKY_HEADER, .name = name};
    bool fresh;
    struct xf_sticky_key key =
        find(&sticky, "GET / HTTP/1.1\r\nHost: a\r\nApiKey:  k1 \r\nAPIKEY: k2\r\n\r\n", &fresh);
    assert_int_equal(key.length, 2);
    assert_memory_equal(key.bytes, "k1", 2);
    key = find(&sticky, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &fresh);
    assert_int_equal(key.length, 0);
    sticky.otherwise = XF_STICKY_CLIENT_IP;
    key = find(&sticky, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &fresh);
    assert_int_equal(key.length, 4);
    assert_memory_equal(key.bytes, "\xc0\x00\x02\x01", 4);
    assert_false(fresh);
}

static void a_client_without_its_cookie_gets_an_id(void **state)
{
    (void) state;
    struct xf_config_sticky sticky = {.by = XF_STICKY_COOKIE, .name = name};
    bool fresh;
    struct xf_sticky_key key =
        find(&sticky, "GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; apikey=me\r\n\r\n", &fresh);
    assert_int_equal(key.length, 2);
    assert_false(fresh);
    key = find(&sticky, "GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1\r\n\r\n", &fresh);
    assert_int_equal(key.length, 0);
    assert_true(fresh);

    struct xf_random random = {{1, 2, 3, 4}};
    char one[XF_STICKY_ID_BYTES], two[XF_STICKY_ID_BYTES], cookie[XF_STICKY_COOKIE_BYTES];
    xf_sticky_make(&random, one);
    xf_sticky_make(&random, two);
    assert_memory_not_equal(one, two, sizeof(one));
    size_t length = xf_sticky_cookie(cookie, "id", one, true);
    assert_int_equal(length, strlen(cookie));
    assert_non_null(strstr(cookie, "; HttpOnly; SameSite=Lax; Secure"));
    xf_sticky_cookie(cookie, "id", one, false);
    assert_null(strstr(cookie, "Secure"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_the_first_such_field_without_white_space),
        cmocka_unit_test(a_client_without_its_cookie_gets_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
