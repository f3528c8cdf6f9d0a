/*
 * fuzz_cookie.c -- the first line is the name of a cookie, the rest a Cookie line: a reading that
 * copies the line and cuts it at each semicolon finds the same value.
 */
#include "fuzz.h"

#include "proxy/http/cookies.h"
#include "proxy/http/fields.h"

/* `text` without the blanks at its ends; changes it. */
static char *trim(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t", text[length - 1]) != NULL) {
        text[--length] = '\0';
    }
    return text + strspn(text, " \t");
}

/* The first pair named `name`; NULL: none.  Copies are freed by the caller. */
static char *naive(const char *line, const char *name)
{
    char *copy = strdup(line), *found = NULL;
    FUZZ_CHECK(copy != NULL);
    char *rest = copy;
    while (found == NULL && rest != NULL) {
        char *pair = strsep(&rest, ";");
        char *equals = strchr(pair, '=');
        if (equals != NULL) {
            *equals = '\0';
        }
        if (strcmp(trim(pair), name) == 0) { /* one without `=` has an empty value */
            found = strdup(equals != NULL ? trim(equals + 1) : "");
        }
    }
    free(copy);
    return found;
}

static void check_pairs(const char *line, uint32_t length)
{
    struct xf_cookie cookie;
    uint32_t at = 0, end = 0;
    while (xf_cookie_next(line, (struct xf_span){0, length}, &at, &cookie)) {
        FUZZ_CHECK(cookie.pair.at >= end && cookie.pair.at + cookie.pair.length <= length);
        end = cookie.pair.at + cookie.pair.length;
        FUZZ_CHECK(cookie.name.at + cookie.name.length <= end);
        FUZZ_CHECK(cookie.value.at + cookie.value.length <= end);
        FUZZ_CHECK(at >= end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *feed = size > 0 ? memchr(data, '\n', size) : NULL;
    if (feed == NULL || feed == data || memchr(data, '\0', size) != NULL) {
        return 0; /* a cookie's configured name is not empty, and no field has a NUL */
    }
    char name[256];
    size_t name_length = (size_t) (feed - data);
    if (name_length >= sizeof(name)) {
        return 0;
    }
    memcpy(name, data, name_length);
    name[name_length] = '\0';
    if (name[strcspn(name, "=; \t")] != '\0') {
        return 0; /* no token */
    }
    uint32_t length = (uint32_t) (size - name_length - 1);
    char *exact = fuzz_exact(feed + 1, length), *text = strndup(exact, length);
    check_pairs(exact, length);
    struct xf_field field = {.known = XF_FIELD_COOKIE, .value = {0, length}};
    struct xf_http_request request = {.fields = 1};
    request.first[XF_FIELD_COOKIE] = 1;
    struct xf_span value;
    bool found = xf_find_cookie(exact, &request, &field, name, &value);
    char *expect = naive(text, name);
    FUZZ_CHECK(found == (expect != NULL));
    FUZZ_CHECK(!found || (value.length == strlen(expect) &&
                          memcmp(exact + value.at, expect, value.length) == 0));
    free(expect);
    free(text);
    free(exact);
    return 0;
}
