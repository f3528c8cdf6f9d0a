/*
 * error.h -- one type for every failure that somebody has to read.
 *
 * Fallible set-up work returns 0 or -1 and fills `err`; the message says what was tried and what
 * to do.  The hot path returns small enums instead and formats nothing.
 */
#ifndef XF_BASE_ERROR_H
#define XF_BASE_ERROR_H

#include "config/base/check.h"

#include <stddef.h>

#define XF_ERROR_MESSAGE_BYTES 512

/* What a program branches on.  The comment names the exit code of DESIGN.md section 13. */
enum xf_errcode {
    XF_E_NONE = 0,
    XF_E_FAILED,      /* 1: tried and failed, for a reason in the message */
    XF_E_NO_MEMORY,   /* 1 */
    XF_E_SYSTEM,      /* 1: a system call failed; the message holds strerror */
    XF_E_RUNNING,     /* 1: another instance holds the lock or the address */
    XF_E_USAGE,       /* 2: the command line */
    XF_E_CONFIG,      /* 2: a configuration or plan file */
    XF_E_HELD,        /* 3: held by the guard */
    XF_E_CONFLICT,    /* 4: another generation, step or cutover */
    XF_E_ABORTED,     /* 5 */
    XF_E_REFUSED,     /* 6: not in this state */
    XF_E_UNREACHABLE, /* 7: daemon or store */
    XF_E_DENIED,      /* 8: not permitted */
    XF_E_TIMED_OUT,   /* 124 */
};

/* A place in a file that a person wrote; line and column count from 1, 0 is "unknown". */
struct xf_location {
    const char *file; /* outlives the error: a literal or a path the caller keeps */
    unsigned line;
    unsigned column;
};

struct xf_error {
    enum xf_errcode code;
    struct xf_location at; /* the configuration line, or the C line that gave up */
    char message[XF_ERROR_MESSAGE_BYTES];
};

/* Fills `err` (which may be NULL) and returns -1, so that `return XF_FAIL(…)` reads well. */
int xf_error_set(struct xf_error *err, enum xf_errcode code, struct xf_location at,
                 const char *format, ...) XF_PRINTF(4, 5);

#define XF_FAIL(err, code, ...)                                                                    \
    xf_error_set((err), (code), (struct xf_location){__FILE__, __LINE__, 0}, __VA_ARGS__)

/* The process exit code of DESIGN.md section 13 for `code`. */
int xf_error_exit_code(enum xf_errcode code);

#endif
