/*
 * gate.h -- gates: checks that change nothing, and what they found (DESIGN.md section 6).
 *
 * A gate is a member of a plan's `gates`, as JSON: `{kong: {…}}`, `{http: {…}}`, …  Each makes one
 * or more checks.  Running one blocks: it happens in a child with a time limit, or in the CLI.
 */
#ifndef XF_SHIFTER_GATE_H
#define XF_SHIFTER_GATE_H

#include "config/base/check.h"
#include "config/config.h"

#include <jansson.h>
#include <stdbool.h>

struct xf_message_heartbeat;

enum xf_gate_phase {
    XF_GATE_BEFORE_START,
    XF_GATE_DURING,
    XF_GATE_BEFORE_FINALIZE,
    XF_GATE_VERIFY, /* after an action of finalize */
};

enum xf_severity { XF_SEVERITY_ERROR, XF_SEVERITY_WARNING };

#define XF_CHECK_NAME_BYTES    48
#define XF_CHECK_MESSAGE_BYTES 1024

struct xf_check {
    char gate[XF_CHECK_NAME_BYTES];
    char check[XF_CHECK_NAME_BYTES];
    bool passed;
    enum xf_severity severity;
    char message[XF_CHECK_MESSAGE_BYTES]; /* printable: foreign bytes are replaced */
};

struct xf_checks {
    struct xf_check *items;
    unsigned count, capacity;
    bool failed;          /* without memory: the whole does not pass */
    json_t *fingerprints; /* what the drift gate saw; NULL: it did not run */
};
void xf_checks_release(struct xf_checks *checks);
/* The message is formatted and made printable. */
void xf_checks_add(struct xf_checks *checks, const char *gate, const char *check, bool passed,
                   enum xf_severity severity, const char *format, ...) XF_PRINTF(6, 7);
/* `passed: false, severity: warning, message: "not checked: …"` */
void xf_checks_skip(struct xf_checks *checks, const char *gate, const char *check,
                    const char *format, ...) XF_PRINTF(4, 5);
/* Whether no check failed with severity error. */
bool xf_checks_passed(const struct xf_checks *checks);
/* {passed, checks: [{gate, check, passed, severity, message}]}; a new reference. */
XF_NODISCARD json_t *xf_checks_json(const struct xf_checks *checks);
/* Replaces control bytes and what is not UTF-8 by `?`. */
void xf_printable(char *text);

struct xf_gate_context {
    const struct xf_config *config; /* databases, clusters, hooks */
    const char *from, *to;          /* names of the clusters; may be empty */
    enum xf_gate_phase phase;
    /* What the proxy at `index` of the fleet said last, NULL behind the last one; the function is
     * NULL where no other proxy is known than this host. */
    const struct xf_message_heartbeat *(*proxy)(const void *fleet, unsigned index);
    const void *fleet;
};

/* The name of the gate's kind (`kong`, `http`, …), or NULL for a malformed one. */
const char *xf_gate_kind(const json_t *gate);
/* Runs one gate.  A malformed gate is a failed check of its own. */
void xf_gate_run(const json_t *gate, const struct xf_gate_context *context,
                 struct xf_checks *checks);
/* Runs the gates of a plan's list (a JSON array as text; NULL: none). */
void xf_gates_run(const char *gates_json, const struct xf_gate_context *context,
                  struct xf_checks *checks);

#endif
