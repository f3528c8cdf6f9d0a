/*
 * fetch.c -- one GET of a whole URL.
 */
#include "shifter/net/fetch.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ORIGIN_BYTES 300u
#define PATH_BYTES   4096u

int xf_fetch(const char *url, int64_t timeout_ms, struct xf_client_answer *ret,
             struct xf_error *err)
{
    return xf_fetch_as(url, NULL, timeout_ms, ret, err);
}

/* What may stand in a Host field: a name or an address, and a port. */
static bool is_host(const char *host)
{
    return host[0] != '\0' && strlen(host) < 256 &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") ==
               strlen(host);
}

int xf_fetch_as(const char *url, const char *host_field, int64_t timeout_ms,
                struct xf_client_answer *ret, struct xf_error *err)
{
    if (host_field != NULL && !is_host(host_field)) {
        return XF_FAIL(err, XF_E_USAGE, "`%.100s` is no host", host_field);
    }
    char origin[ORIGIN_BYTES];
    char path[PATH_BYTES];
    const char *scheme_end = strstr(url, "://");
    if (scheme_end == NULL ||
        (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)) {
        return XF_FAIL(err, XF_E_USAGE, "%.200s: a URL begins with http:// or https://", url);
    }
    const char *host = scheme_end + 3;
    size_t origin_length = (size_t) (host - url) + strcspn(host, "/?#");
    const char *rest = url + origin_length;
    size_t rest_length = strcspn(rest, "#");
    if (origin_length >= sizeof(origin) || rest_length + 2 > sizeof(path)) {
        return XF_FAIL(err, XF_E_USAGE, "%.200s: too long", url);
    }
    if (memchr(host, '@', (size_t) (rest - host)) != NULL) {
        return XF_FAIL(err, XF_E_USAGE, "a URL in a plan may hold no credentials");
    }
    for (size_t i = 0; i < rest_length; i++) {
        if ((unsigned char) rest[i] <= ' ' || (unsigned char) rest[i] >= 0x7f) {
            return XF_FAIL(err, XF_E_USAGE, "a URL holds no spaces or control bytes");
        }
    }
    snprintf(origin, sizeof(origin), "%.*s", (int) origin_length, url);
    snprintf(path, sizeof(path), "%s%.*s", rest[0] == '/' ? "" : "/", (int) rest_length, rest);
    bool port_given = strchr(host + (host[0] == '[' ? strcspn(host, "]") : 0), ':') != NULL &&
                      strchr(host + (host[0] == '[' ? strcspn(host, "]") : 0), ':') < rest;
    if (!port_given) {
        size_t used = strlen(origin);
        snprintf(origin + used, sizeof(origin) - used, "%s",
                 strncmp(url, "https", 5) == 0 ? ":443" : ":80");
    }
    struct xf_client_target target = {.url = origin};
    struct xf_client_request request = {
        .method = "GET", .host = host_field, .path = path, .timeout_ms = timeout_ms};
    return xf_client_call(&target, &request, ret, err);
}
