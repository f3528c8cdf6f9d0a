/*
 * http1.c -- the small facts about HTTP that need no parsing state: methods, lists, reasons.
 */
#include "proxy/http/http1.h"

#include "proxy/http/tokens.h"

#include <string.h>

bool xf_http_method_safe(enum xf_http_method method)
{
    return method == XF_METHOD_GET || method == XF_METHOD_HEAD || method == XF_METHOD_OPTIONS ||
           method == XF_METHOD_TRACE;
}

bool xf_http_method_idempotent(enum xf_http_method method)
{
    return xf_http_method_safe(method) || method == XF_METHOD_PUT || method == XF_METHOD_DELETE;
}

bool xf_http_field_is(const char *bytes, const struct xf_field *field, const char *name)
{
    return xf_bytes_are(bytes + field->name.at, field->name.length, name);
}

bool xf_http_list_has(const char *value, size_t length, const char *token)
{
    const char *member;
    size_t member_length;
    size_t at = 0;
    while (xf_list_next(value, length, &at, &member, &member_length)) {
        const char *semicolon = member_length == 0 ? NULL : memchr(member, ';', member_length);
        if (semicolon != NULL) {
            member_length = (size_t) (semicolon - member);
            while (member_length > 0 && xf_byte_is_space(member[member_length - 1])) {
                member_length--;
            }
        }
        if (xf_bytes_are(member, member_length, token)) {
            return true;
        }
    }
    return false;
}

const char *xf_http_reason(unsigned status)
{
    static const struct {
        uint16_t status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {102, "Processing"},
        {103, "Early Hints"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < XF_COUNT(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}
