/*
 * check.c -- the end of a process whose own invariants are broken.
 *
 * Writes with write(2) alone: the heap may be what is broken.
 */
#include "config/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void xf_check_failed(const char *file, int line, const char *condition)
{
    char text[512];
    int length = snprintf(text, sizeof(text), "event=assertion.failed at=%s:%d condition=\"%s\"\n",
                          file, line, condition);
    if (length > 0) {
        size_t bytes = (size_t) length < sizeof(text) ? (size_t) length : sizeof(text) - 1;
        ssize_t written = write(STDERR_FILENO, text, bytes);
        (void) written;
    }
    abort();
}
