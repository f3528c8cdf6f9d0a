/*
 * kong_drift.h -- has anybody changed Kong's configuration in the databases since the start?
 *
 * A baseline is a JSON text: [{database, schema, new, tables}], one member for each database that
 * the plan's `kong` gates name; `new`: the new cluster lives on it; `tables` is {TABLE:
 * "ROWS:MD5"}, null until it was looked at.  Each database is held against its own baseline: a
 * migration changes rows, so old and new differ.
 */
#ifndef XF_SHIFTER_KONG_DRIFT_H
#define XF_SHIFTER_KONG_DRIFT_H

#include "shifter/gates/gate.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The databases of a plan's list of gates (as text; NULL: none) with nothing looked at yet; NULL:
 * it names none, or no memory.  The caller frees it. */
XF_NODISCARD char *xf_kong_drift_begin(const char *gates_json);
/* The same databases, to be looked at anew; NULL: no memory, or no such text. */
XF_NODISCARD char *xf_kong_drift_forget(const char *baseline);
/* Whether some database of `baseline` was not looked at yet. */
bool xf_kong_drift_incomplete(const char *baseline);
/* What was found where `baseline` knows nothing, else what it knows; NULL: no memory. */
XF_NODISCARD char *xf_kong_drift_fill(const char *baseline, const json_t *found);

/* The list of gates [{drift: {baseline, finalize}}] as text, behind those of `gates_json` (NULL:
 * none).  No plan can hold that gate. */
XF_NODISCARD char *xf_kong_drift_gate(const char *gates_json, const char *baseline, bool finalize);
/*
 * Runs it: one check `drift`, and checks->fingerprints [{database, schema, problem, tables,
 * changed}].  A database that does not answer is `not checked`, which does not fail; but before
 * finalize one that the new cluster lives on must be seen.
 */
void xf_gate_drift(const json_t *options, const struct xf_gate_context *context,
                   struct xf_checks *checks);

#endif
