/*
 * gate_runner.h -- a list of gates run in a child with a time limit.
 *
 * Gates block (libpq, HTTP, hooks), so the shifter's loop never runs one itself.
 */
#ifndef XF_SHIFTER_GATE_RUNNER_H
#define XF_SHIFTER_GATE_RUNNER_H

#include "config/base/error.h"
#include "shifter/gates/gate.h"

#include <jansson.h>
#include <stdint.h>

struct event_base;
struct xf_gate_runner;

/* Comes once, later, from the loop.  `result` is {passed, checks} of xf_checks_json(), borrowed; a
 * child that died or took too long gives one failed check that says so.  The runner may be
 * destroyed here. */
typedef void xf_gates_done(void *context, const json_t *result);

/* Forks.  `gates_json` is a plan's list; everything is copied by the fork. */
XF_NODISCARD int xf_gate_runner_start(struct event_base *loop, const char *gates_json,
                                      const struct xf_gate_context *context, int64_t timeout_ms,
                                      xf_gates_done *done, void *done_context,
                                      struct xf_gate_runner **ret, struct xf_error *err);
/* Accepts NULL; kills what still runs, without a call of `done`. */
void xf_gate_runner_destroy(struct xf_gate_runner *runner);

#endif
