/*
 * override.c -- see override.h.
 *
 * Secrets are compared in a time that depends on their length alone.
 */
#include "proxy/worker/override.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_BYTES_MIN 1u
#define SECRET_BYTES_MAX 512u

struct secret {
    char bytes[SECRET_BYTES_MAX];
    size_t length; /* 0: none */
};

struct xf_overrides {
    unsigned count;
    struct secret secrets[]; /* by the services' numbers */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The file's text without the white space around it. */
static int read_secret(const char *path, struct secret *ret, struct xf_error *err)
{
    char text[SECRET_BYTES_MAX + 64];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return XF_FAIL(err, XF_E_CONFIG, "%s: %s", path, strerror(errno));
    }
    ssize_t got = read(fd, text, sizeof(text));
    int failed = errno;
    close(fd);
    if (got < 0) {
        return XF_FAIL(err, XF_E_CONFIG, "%s: %s", path, strerror(failed));
    }
    size_t begin = 0, end = (size_t) got;
    while (begin < end && is_space(text[begin])) {
        begin++;
    }
    while (end > begin && is_space(text[end - 1])) {
        end--;
    }
    if (end - begin < SECRET_BYTES_MIN || end - begin > SECRET_BYTES_MAX) {
        return XF_FAIL(err, XF_E_CONFIG, "%s: a secret has %u to %u characters", path,
                       SECRET_BYTES_MIN, SECRET_BYTES_MAX);
    }
    ret->length = end - begin;
    memcpy(ret->bytes, text + begin, ret->length);
    OPENSSL_cleanse(text, sizeof(text));
    return 0;
}

int xf_overrides_load(const struct xf_config *config, struct xf_overrides **ret,
                      struct xf_error *err)
{
    bool any = false;
    for (unsigned i = 0; i < config->services_count; i++) {
        any = any || config->services[i].override.header != NULL;
    }
    *ret = NULL;
    if (!any) {
        return 0;
    }
    struct xf_overrides *overrides =
        calloc(1, sizeof(*overrides) + config->services_count * sizeof(struct secret));
    if (overrides == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for secrets");
    }
    overrides->count = config->services_count;
    for (unsigned i = 0; i < config->services_count; i++) {
        const char *path = config->services[i].override.secret_file;
        if (path != NULL && read_secret(path, &overrides->secrets[i], err) != 0) {
            xf_overrides_free(overrides);
            return -1;
        }
    }
    *ret = overrides;
    return 0;
}

void xf_overrides_free(struct xf_overrides *overrides)
{
    if (overrides != NULL) {
        OPENSSL_cleanse(overrides->secrets, overrides->count * sizeof(struct secret));
        free(overrides);
    }
}

/* The one field of that name; none where there are two: it would not be clear which one counts. */
static bool find_field(const char *name, const char *bytes, const struct xf_http_request *request,
                       const struct xf_field *fields, struct xf_piece *ret)
{
    bool found = false;
    for (unsigned i = 0; i < request->fields; i++) {
        if (xf_http_field_is(bytes, &fields[i], name)) {
            if (found) {
                return false;
            }
            found = true;
            *ret = (struct xf_piece){bytes + fields[i].value.at, fields[i].value.length};
        }
    }
    return found;
}

static bool name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

struct xf_piece xf_override_find(const struct xf_overrides *overrides,
                                 const struct xf_config_service *service, const char *bytes,
                                 const struct xf_http_request *request,
                                 const struct xf_field *fields, const struct xf_address *peer)
{
    const struct xf_config_override *rules = &service->override;
    struct xf_piece none = {NULL, 0}, value = none;
    XF_ASSERT(service->index < overrides->count);
    if (rules->header == NULL || !find_field(rules->header, bytes, request, fields, &value)) {
        return none;
    }
    struct xf_piece name = {value.bytes, 0};
    while (name.length < value.length && name_character(name.bytes[name.length])) {
        name.length++;
    }
    size_t at = name.length;
    while (at < value.length && (value.bytes[at] == ' ' || value.bytes[at] == '\t')) {
        at++;
    }
    size_t rest = value.length - at;
    const struct secret *secret = &overrides->secrets[service->index];
    bool knows = at > name.length && secret->length > 0 && rest == secret->length &&
                 CRYPTO_memcmp(value.bytes + at, secret->bytes, rest) == 0;
    bool near = rest == 0 && xf_address_in(peer, rules->networks, rules->networks_count);
    return knows || near ? name : none;
}
