/*
 * heard.h -- what llhttp makes of the same bytes, for the differential targets.
 *
 * llhttp is Debian's package node-llhttp, compiled into the targets where it is installed; nothing
 * of it is kept here.  Its strict defaults are used.
 */
#ifndef XF_TESTS_FUZZ_HEARD_H
#define XF_TESTS_FUZZ_HEARD_H

#include "fuzz.h"

#include "proxy/http/http1.h"

#include <llhttp.h>
#include <stdbool.h>

#define HEARD_FIELDS_MAX 64

struct heard {
    const char *bytes;
    bool head_complete;
    bool message_complete;
    struct xf_span url;
    uint32_t names;
    uint32_t values;
    struct xf_span name[HEARD_FIELDS_MAX];
    struct xf_span value[HEARD_FIELDS_MAX];
    char *body; /* room for the whole input, or NULL */
    size_t body_length;
    llhttp_errno_t error;
    const char *reason;
    size_t used; /* where it stopped */
};

/* Reads `bytes` until the head is complete, or, with room in ret->body, the message. */
static inline void heard_read(llhttp_t *parser, llhttp_type_t type, const char *bytes, size_t size,
                              struct heard *ret);

static inline struct heard *heard_of(llhttp_t *parser)
{
    return parser->data;
}

static inline struct xf_span heard_span(const struct heard *heard, const char *at, size_t length)
{
    return (struct xf_span){(uint32_t) (at - heard->bytes), (uint32_t) length};
}

static inline int heard_url(llhttp_t *parser, const char *at, size_t length)
{
    heard_of(parser)->url = heard_span(heard_of(parser), at, length);
    return 0;
}

static inline int heard_name(llhttp_t *parser, const char *at, size_t length)
{
    struct heard *heard = heard_of(parser);
    if (heard->names < HEARD_FIELDS_MAX) {
        heard->name[heard->names] = heard_span(heard, at, length);
    }
    heard->names++;
    return 0;
}

/* A folded value comes in several pieces: the span then reaches from the first to the last. */
static inline int heard_value(llhttp_t *parser, const char *at, size_t length)
{
    struct heard *heard = heard_of(parser);
    if (heard->names == 0 || heard->names > HEARD_FIELDS_MAX) {
        return 0;
    }
    struct xf_span *value = &heard->value[heard->names - 1];
    if (heard->values < heard->names) {
        *value = heard_span(heard, at, length);
        heard->values = heard->names;
    } else {
        value->length = (uint32_t) ((size_t) (at - heard->bytes) + length - value->at);
    }
    return 0;
}

static inline int heard_head(llhttp_t *parser)
{
    heard_of(parser)->head_complete = true;
    return heard_of(parser)->body == NULL ? HPE_PAUSED : 0;
}

static inline int heard_body(llhttp_t *parser, const char *at, size_t length)
{
    struct heard *heard = heard_of(parser);
    if (heard->body != NULL) {
        memcpy(heard->body + heard->body_length, at, length);
        heard->body_length += length;
    }
    return 0;
}

static inline int heard_message(llhttp_t *parser)
{
    heard_of(parser)->message_complete = true;
    return HPE_PAUSED;
}

static inline void heard_read(llhttp_t *parser, llhttp_type_t type, const char *bytes, size_t size,
                              struct heard *ret)
{
    static llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_url = heard_url;
    settings.on_header_field = heard_name;
    settings.on_header_value = heard_value;
    settings.on_headers_complete = heard_head;
    settings.on_body = heard_body;
    settings.on_message_complete = heard_message;
    llhttp_init(parser, type, &settings);
    parser->data = ret;
    ret->bytes = bytes;
    ret->error = llhttp_execute(parser, bytes, size);
    ret->reason = ret->error == HPE_OK ? "" : llhttp_get_error_reason(parser);
    const char *position = llhttp_get_error_pos(parser);
    ret->used = position == NULL ? size : (size_t) (position - bytes);
}

/* The same text but for white space at its end, which llhttp keeps. */
static inline bool heard_same(const char *bytes, struct xf_span ours, struct xf_span theirs)
{
    while (theirs.length > 0 && (bytes[theirs.at + theirs.length - 1] == ' ' ||
                                 bytes[theirs.at + theirs.length - 1] == '\t')) {
        theirs.length--;
    }
    if (ours.length == 0 && theirs.length == 0) {
        return true;
    }
    return ours.at == theirs.at && ours.length == theirs.length;
}

static inline void heard_compare_fields(const struct heard *heard, const struct xf_field *fields,
                                        uint32_t count)
{
    FUZZ_CHECK(heard->names == count);
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_CHECK(heard_same(heard->bytes, fields[i].name, heard->name[i]));
        if (i < heard->values) {
            FUZZ_CHECK(heard_same(heard->bytes, fields[i].value, heard->value[i]));
        }
    }
}

static inline bool heard_listed(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

#endif
