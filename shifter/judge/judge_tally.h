/*
 * judge_tally.h -- who carries the trouble of one attempt: servers and paths, over a fleet.
 *
 * Each agent keeps a tally of what its workers report as bad, slow or 4xx and sends it whole, so
 * that nothing is lost with a message or a leader; the leader sums the newest of every proxy when
 * somebody asks.  Good responses are only counted by cluster.  What a path of green would show
 * were green no worse than blue is what blue shows on that path; a server's fair part is the
 * failing share of blue.  Pure: the caller's memory, no clock, no input or output.
 */
#ifndef XF_SHIFTER_JUDGE_TALLY_H
#define XF_SHIFTER_JUDGE_TALLY_H

#include "config/base/error.h"
#include "shifter/judge/judge_blame.h"
#include "shifter/judge/judge_cell.h"

#include <jansson.h>

#define XF_TALLY_SENT_MAX 16u /* servers, and paths, that a proxy tells of */

struct xf_tally_stream {
    struct xf_blame servers;  /* green's */
    struct xf_blame paths[2]; /* indexed by enum xf_judge_role */
};

struct xf_tally {
    uint64_t done[2]; /* judged responses */
    struct xf_tally_stream streams[XF_STREAMS];
};

void xf_tally_init(struct xf_tally *tally);
void xf_tally_done(struct xf_tally *tally, enum xf_judge_role role, uint64_t count);
/* One response that went badly.  `server` may be NULL: none could be reached. */
void xf_tally_bad(struct xf_tally *tally, enum xf_judge_stream stream, enum xf_judge_role role,
                  const char *server, const char *target, size_t length);
/* Halves every count: what is long ago weighs less. */
void xf_tally_fade(struct xf_tally *tally);

/* {"attempt": n, "done": [blue, green], "errors"|"4xx"|"slow": {"bad": [blue, green], "servers":
 * [[text, bad], …], "paths": [[text, blue, green], …]}}; a new reference, NULL without memory. */
XF_NODISCARD json_t *xf_tally_json(const struct xf_tally *tally, unsigned attempt);
/* Adds another's to `sum`; 0, or -1 and nothing is added.  `message` may be anything. */
XF_NODISCARD int xf_tally_add_json(struct xf_tally *sum, const json_t *message,
                                   unsigned *ret_attempt, struct xf_error *err);

/* {"of": "errors", "bad": n, "servers": [{server, bad, excess}], "paths": [{path, bad, excess}],
 * "sentence"}: at most XF_BLAME_TOP each, the largest excess first; a new reference, NULL where
 * nothing exceeds or without memory.  `servers` is how many green has. */
XF_NODISCARD json_t *xf_tally_explain(const struct xf_tally *tally, enum xf_judge_stream stream,
                                      unsigned servers);

#endif
