/*
 * hook.h -- one run of a configured command.
 *
 * The command comes from the configuration alone.  It runs in a process group of its own, with
 * `/` as its folder, nothing of ours open, /dev/null as input, and an environment of PATH and what
 * the caller names.  SIGPIPE is ignored in it, so that it outlives us.  After the time limit its
 * group gets SIGTERM and, 2 s later, SIGKILL; where we were killed meanwhile a guard, a process of
 * its own, does that 3 s later.  The last 4 KiB of what it said are kept for the log.
 */
#ifndef XF_SHIFTER_HOOK_H
#define XF_SHIFTER_HOOK_H

#include "config/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XF_HOOK_OUTPUT_BYTES 4096u

struct event_base;
struct xf_hook;

struct xf_hook_result {
    int exit_status; /* 0..255, or -1: ended by `signal` */
    int signal;
    bool timed_out;
    const char *output; /* terminated; the end of what it wrote to stdout and stderr */
};

/* Comes once, later, from the loop, when the command itself has ended.  The hook may be destroyed
 * here. */
typedef void xf_hook_done(void *context, const struct xf_hook_result *result);

/* `command` is an argv; `environment` is NULL-terminated `NAME=value`.  Fails when the command
 * cannot be started: it is not there, or not executable. */
XF_NODISCARD int xf_hook_start(struct event_base *loop, char *const *command,
                               const char *const *environment, int64_t timeout_ms,
                               xf_hook_done *done, void *context, struct xf_hook **ret,
                               struct xf_error *err);
/* Accepts NULL; kills what still runs, without a call of `done`. */
void xf_hook_destroy(struct xf_hook *hook);
/* The same, but what still runs goes on, unheard; its guard keeps its time limit. */
void xf_hook_abandon(struct xf_hook *hook);

/* `exit 3: last line of its output` for logs and history. */
void xf_hook_describe(const struct xf_hook_result *result, char *out, size_t bytes);

#endif
