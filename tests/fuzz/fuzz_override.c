/*
 * fuzz_override.c -- a request head with a guarded override: a cluster is named only by a value
 * that is its name and the secret, or its name alone from a trusted network; a second reading of
 * the field agrees.  Files that hold no secret are tried once, at the start.
 */
#include "oracle.h"

#include "proxy/worker/override.h"

#include <sys/socket.h>
#include <unistd.h>

#define FIELDS_MAX 48
#define SECRET     "open sesame"

static const struct xf_http_limits limits = {.head_bytes_max = 65536, .fields_max = FIELDS_MAX};
static struct xf_field fields[FIELDS_MAX];
static struct xf_config_network trusted = {.family = AF_INET, .bytes = {192, 0, 2}, .prefix = 24};
static const struct xf_address stranger = {{198, 51, 100, 1}, 4};
static const struct xf_address neighbour = {{192, 0, 2, 7}, 4};
static struct xf_config_service service;
static struct xf_overrides *overrides;

static void load(void)
{
    static char header[] = "x-crossfade", path[] = "/tmp/fuzz-override-XXXXXX";
    struct xf_error err;
    int fd = mkstemp(path);
    FUZZ_CHECK(fd >= 0 && write(fd, SECRET "\n", strlen(SECRET) + 1) > 0);
    close(fd);
    service.override.header = header;
    service.override.secret_file = path;
    service.override.networks = &trusted;
    service.override.networks_count = 1;
    struct xf_config config = {.services = &service, .services_count = 1};
    FUZZ_CHECK(xf_overrides_load(&config, &overrides, &err) == 0 && overrides != NULL);
    unlink(path);
}

/* Nothing, a folder, an empty file and one that is too long hold no secret. */
static void refuse_files(void)
{
    static char header[] = "x-crossfade", missing[] = "/nonexistent", folder[] = "/";
    static char path[] = "/tmp/fuzz-override-XXXXXX", much[1000];
    struct xf_config_service other = {.override = {.header = header}};
    struct xf_config config = {.services = &other, .services_count = 1};
    char *const paths[] = {missing, folder, path, path};
    struct xf_overrides *none = NULL;
    struct xf_error err;
    int fd = mkstemp(path);
    FUZZ_CHECK(fd >= 0);
    for (size_t i = 0; i < XF_COUNT(paths); i++) {
        other.override.secret_file = paths[i];
        FUZZ_CHECK(xf_overrides_load(&config, &none, &err) != 0 && none == NULL);
        memset(much, 's', sizeof(much));
        FUZZ_CHECK(i + 2 < XF_COUNT(paths) || write(fd, much, sizeof(much)) > 0);
    }
    close(fd);
    unlink(path);
    other.override.header = NULL;
    FUZZ_CHECK(xf_overrides_load(&config, &none, &err) == 0 && none == NULL);
    xf_overrides_free(none);
}

/* The cluster that `peer` may name by `value`, read from its end; its length, or 0. */
static size_t naive(const char *value, size_t length, bool near)
{
    size_t secret = strlen(SECRET), name = length;
    bool knows = length > secret && memcmp(value + length - secret, SECRET, secret) == 0;
    if (knows) {
        name = length - secret;
        while (name > 0 && strchr(" \t", value[name - 1]) != NULL) {
            name--;
        }
        knows = name < length - secret;
    }
    if (!knows && !near) {
        return 0;
    }
    name = knows ? name : length; /* a neighbour's value is a name and nothing else */
    for (size_t i = 0; i < name; i++) {
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-", value[i]) == NULL) {
            return 0;
        }
    }
    return name;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (overrides == NULL) {
        refuse_files();
        load();
    }
    struct xf_http_request request;
    struct xf_http_refusal refusal;
    char *bytes = fuzz_exact(data, size);
    if (xf_http_parse_request(bytes, size, 0, &limits, fields, &request, &refusal) ==
        XF_HTTP_DONE) {
        struct xf_span value = {0, 0};
        unsigned count =
            oracle_count(bytes, fields, request.fields, service.override.header, &value);
        for (unsigned near = 0; near < 2; near++) {
            struct xf_piece named = xf_override_find(overrides, &service, bytes, &request, fields,
                                                     near != 0 ? &neighbour : &stranger);
            size_t expect = count == 1 ? naive(bytes + value.at, value.length, near != 0) : 0;
            FUZZ_CHECK(named.length == expect);
            FUZZ_CHECK(expect == 0 || named.bytes == bytes + value.at);
        }
    }
    free(bytes);
    return 0;
}
