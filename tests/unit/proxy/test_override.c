/*
 * test_override.c -- which requests may name their cluster.
 */
#include "proxy/worker/override.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char header[] = "x-crossfade";
static char path[] = "/tmp/crossfade-secret-XXXXXX";
static struct xf_config_network near = {.family = AF_INET, .bytes = {10}, .prefix = 8};
static const struct xf_address stranger = {{192, 0, 2, 1}, 4};
static const struct xf_address neighbour = {{10, 9, 8, 7}, 4};

static int write_secret(void **state)
{
    (void) state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, " open sesame \n", 14), 14);
    return close(fd);
}

static int remove_secret(void **state)
{
    (void) state;
    return unlink(path);
}

static struct xf_overrides *load(struct xf_config_service *service)
{
    struct xf_config config = {.services = service, .services_count = 1};
    struct xf_overrides *overrides = NULL;
    struct xf_error err = {0};
    assert_int_equal(xf_overrides_load(&config, &overrides, &err), 0);
    return overrides;
}

/* What the field's lines let `peer` choose; "" for nothing. */
static const char *find(struct xf_config_service *service, const struct xf_address *peer,
                        const char *lines)
{
    static char name[64];
    struct xf_field fields[64];
    struct xf_http_request request;
    struct xf_http_limits limits = {8192, 64};
    struct xf_http_refusal refusal;
    char text[1024];
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    assert_int_equal(
        xf_http_parse_request(text, strlen(text), 0, &limits, fields, &request, &refusal),
        XF_HTTP_DONE);
    struct xf_overrides *overrides = load(service);
    struct xf_piece found = xf_override_find(overrides, service, text, &request, fields, peer);
    snprintf(name, sizeof(name), "%.*s", (int) found.length,
             found.bytes != NULL ? found.bytes : "");
    xf_overrides_free(overrides);
    return name;
}

static void only_the_secret_or_a_network_gives_leave(void **state)
{
    (void) state;
    struct xf_config_service secret = {.override = {.header = header, .secret_file = path}};
    struct xf_config_service network = {
        .override = {.header = header, .networks = &near, .networks_count = 1}};
    struct xf_config_service both = {
        .override = {
            .header = header, .secret_file = path, .networks = &near, .networks_count = 1}};
    const struct {
        const char *lines;
        const char *by_secret, *by_network, *by_both_near, *by_both_far;
    } rows[] = {
        {"", "", "", "", ""},
        {"X-Crossfade: green\r\n", "", "green", "green", ""},
        {"X-Crossfade: green open sesame\r\n", "green", "", "green", "green"},
        {"x-crossfade:  kong-31 \t open sesame \r\n", "kong-31", "", "kong-31", "kong-31"},
        {"X-Crossfade: green open sesam\r\n", "", "", "", ""},
        {"X-Crossfade: green open sesame!\r\n", "", "", "", ""},
        {"X-Crossfade: greenopen sesame\r\n", "", "", "", ""},
        {"X-Crossfade: open sesame\r\n", "", "", "", ""},
        {"X-Crossfade:\r\n", "", "", "", ""},
        {"X-Crossfade: green open sesame\r\nX-Crossfade: blue\r\n", "", "", "", ""},
        {"X-Other: green open sesame\r\n", "", "", "", ""},
    };
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        assert_string_equal(find(&secret, &stranger, rows[i].lines), rows[i].by_secret);
        assert_string_equal(find(&secret, &neighbour, rows[i].lines), rows[i].by_secret);
        assert_string_equal(find(&network, &neighbour, rows[i].lines), rows[i].by_network);
        assert_string_equal(find(&network, &stranger, rows[i].lines), "");
        assert_string_equal(find(&both, &neighbour, rows[i].lines), rows[i].by_both_near);
        assert_string_equal(find(&both, &stranger, rows[i].lines), rows[i].by_both_far);
    }
}

static void a_secret_that_cannot_be_read_is_an_error(void **state)
{
    (void) state;
    static char nowhere[] = "/nonexistent/secret", nothing[] = "/dev/null", endless[] = "/dev/zero";
    char *const paths[] = {nowhere, nothing, endless};
    for (size_t i = 0; i < XF_COUNT(paths); i++) {
        struct xf_config_service service = {
            .override = {.header = header, .secret_file = paths[i]}};
        struct xf_config config = {.services = &service, .services_count = 1};
        struct xf_overrides *overrides = NULL;
        struct xf_error err = {0};
        assert_int_equal(xf_overrides_load(&config, &overrides, &err), -1);
        assert_non_null(strstr(err.message, paths[i]));
    }
}

static void without_an_override_nothing_is_loaded(void **state)
{
    (void) state;
    struct xf_config_service service = {0};
    assert_null(load(&service));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_secret_or_a_network_gives_leave),
        cmocka_unit_test(a_secret_that_cannot_be_read_is_an_error),
        cmocka_unit_test(without_an_override_nothing_is_loaded),
    };
    return cmocka_run_group_tests(tests, write_secret, remove_secret);
}
