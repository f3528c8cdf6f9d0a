/*
 * http1_message.c -- the rules that hold for request and response heads alike.
 *
 * What delimits a body is decided here (RFC 9112 6), from fields that were read strictly before.
 */
#include "proxy/http/http1_message.h"

#include "proxy/http/http1_names.h"
#include "proxy/http/tokens.h"

#include <string.h>

static_assert(XF_FIELD_NAMES <= 32, "struct xf_head has one bit for each known field");

enum xf_http_verdict xf_head_refuse(struct xf_head *head, uint16_t status, const char *reason)
{
    *head->refusal = (struct xf_http_refusal){.status = status, .reason = reason};
    return XF_HTTP_BAD;
}

enum xf_http_verdict xf_head_short(struct xf_head *head, uint16_t status)
{
    if (!head->full) {
        return XF_HTTP_MORE;
    }
    return xf_head_refuse(head, status, status == 414 ? "request line too long" : "head too long");
}

bool xf_head_unchanged(const struct xf_head *head, size_t seen)
{
    if (seen == 0 || seen > head->end || head->full) {
        return false;
    }
    return head->scanner->text(head->bytes, seen - 1, head->end) == head->end;
}

/* Says which fields are known ones, and where each stands first; `first` comes zeroed. */
static void index_fields(struct xf_head *head)
{
    uint32_t here = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        struct xf_field *field = &head->fields[i];
        enum xf_field_name known =
            xf_field_lookup(head->bytes + field->name.at, field->name.length);
        field->known = (uint8_t) known;
        field->nominated = false;
        if (known == XF_FIELD_OTHER) {
            continue;
        }
        uint32_t bit = 1u << known;
        if ((here & bit) != 0) {
            head->repeated |= bit;
            continue;
        }
        here |= bit;
        head->first[known] = (uint16_t) (i + 1);
    }
}

enum xf_http_verdict xf_head_fields(struct xf_head *head, uint32_t room)
{
    struct xf_scan_fields scan = {.at = head->at};
    switch (head->scanner->fields(head->bytes, head->end, head->fields, room, &scan)) {
    case XF_SCAN_DONE:
        head->at = scan.at;
        head->count = scan.count;
        index_fields(head);
        return XF_HTTP_DONE;
    case XF_SCAN_SHORT:
        return xf_head_short(head, 431);
    case XF_SCAN_MANY:
        return xf_head_refuse(head, 431, "too many fields");
    case XF_SCAN_BAD:
        break;
    }
    return xf_head_refuse(head, 400, scan.reason);
}

const struct xf_field *xf_head_next(const struct xf_head *head, enum xf_field_name known,
                                    uint32_t *at)
{
    if (head->first[known] == 0) {
        return NULL;
    }
    if (*at == 0) {
        *at = head->first[known];
        return &head->fields[*at - 1];
    }
    if ((head->repeated & (1u << known)) == 0) {
        return NULL;
    }
    for (uint32_t i = *at; i < head->count; i++) {
        if (head->fields[i].known == known) {
            *at = i + 1;
            return &head->fields[i];
        }
    }
    return NULL;
}

/* Marks every field that `option` names, but those that Connection may not remove. */
static void nominate(struct xf_head *head, const char *option, size_t length)
{
    for (uint32_t i = 0; i < head->count; i++) {
        struct xf_field *field = &head->fields[i];
        const char *name = head->bytes + field->name.at;
        if (field->name.length == length && xf_bytes_same(name, length, option, length) &&
            !xf_field_protected(name, length, (enum xf_field_name) field->known)) {
            field->nominated = true;
        }
    }
}

bool xf_head_connection(struct xf_head *head, struct xf_connection *ret)
{
    *ret = (struct xf_connection){0};
    uint32_t members = 0;
    uint32_t line = 0;
    const struct xf_field *field;
    while ((field = xf_head_next(head, XF_FIELD_CONNECTION, &line)) != NULL) {
        const char *value = head->bytes + field->value.at;
        const char *member;
        size_t length;
        size_t at = 0;
        while (xf_list_next(value, field->value.length, &at, &member, &length)) {
            if (++members > XF_CONNECTION_MEMBERS_MAX) {
                return false;
            }
            if (xf_bytes_are(member, length, "close")) {
                ret->close = true;
            } else if (xf_bytes_are(member, length, "keep-alive")) {
                ret->keep_alive = true;
            } else if (length > 0) {
                ret->upgrade = ret->upgrade || xf_bytes_are(member, length, "upgrade");
                nominate(head, member, length);
            }
        }
    }
    return true;
}

const char *xf_head_length(const struct xf_head *head, uint64_t *ret)
{
    const char *first = NULL;
    size_t first_length = 0;
    uint32_t line = 0;
    const struct xf_field *field;
    while ((field = xf_head_next(head, XF_FIELD_CONTENT_LENGTH, &line)) != NULL) {
        const char *value = head->bytes + field->value.at;
        const char *member;
        size_t length;
        size_t at = 0;
        while (xf_list_next(value, field->value.length, &at, &member, &length)) {
            if (first == NULL) {
                if (!xf_bytes_decimal(member, length, INT64_MAX, ret)) {
                    return "invalid Content-Length";
                }
                first = member;
                first_length = length;
            } else if (length != first_length || memcmp(first, member, length) != 0) {
                return "differing Content-Length values";
            }
        }
    }
    return NULL;
}

enum xf_coding xf_head_coding(const struct xf_head *head)
{
    bool chunked = false;
    bool unknown = false;
    uint32_t line = 0;
    const struct xf_field *field;
    while ((field = xf_head_next(head, XF_FIELD_TRANSFER_ENCODING, &line)) != NULL) {
        const char *value = head->bytes + field->value.at;
        const char *member;
        size_t length;
        size_t at = 0;
        while (xf_list_next(value, field->value.length, &at, &member, &length)) {
            if (chunked || !xf_bytes_all(member, length, XF_BYTE_TOKEN)) {
                return XF_CODING_BAD;
            }
            chunked = xf_bytes_are(member, length, "chunked");
            unknown = unknown || !chunked;
        }
    }
    return unknown ? XF_CODING_UNKNOWN : XF_CODING_CHUNKED;
}
