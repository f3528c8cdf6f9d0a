/*
 * error.c -- filling an error, and the exit code it means.
 */
#include "config/base/error.h"

#include <stdarg.h>
#include <stdio.h>

int xf_error_set(struct xf_error *err, enum xf_errcode code, struct xf_location at,
                 const char *format, ...)
{
    XF_ASSERT(code != XF_E_NONE);
    if (err == NULL) {
        return -1;
    }
    err->code = code;
    err->at = at;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof(err->message), format, arguments);
    va_end(arguments);
    return -1;
}

int xf_error_exit_code(enum xf_errcode code)
{
    static const int codes[] = {
        [XF_E_NONE] = 0,     [XF_E_FAILED] = 1,      [XF_E_NO_MEMORY] = 1, [XF_E_SYSTEM] = 1,
        [XF_E_RUNNING] = 1,  [XF_E_USAGE] = 2,       [XF_E_CONFIG] = 2,    [XF_E_HELD] = 3,
        [XF_E_CONFLICT] = 4, [XF_E_ABORTED] = 5,     [XF_E_REFUSED] = 6,   [XF_E_UNREACHABLE] = 7,
        [XF_E_DENIED] = 8,   [XF_E_TIMED_OUT] = 124,
    };
    XF_ASSERT((size_t) code < XF_COUNT(codes));
    return codes[code];
}
