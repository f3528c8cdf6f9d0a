/*
 * replay_log.h -- one line of crossfade's own access log (JSON), as the judge is told of it.
 */
#ifndef XF_SHIFTER_REPLAY_LOG_H
#define XF_SHIFTER_REPLAY_LOG_H

#include "shifter/judge/replay.h"

enum xf_replay_line {
    XF_LINE_COUNTS,  /* a response of one of the two clusters */
    XF_LINE_SKIPPED, /* answered by the proxy itself, another cluster's, or an override */
    XF_LINE_BAD      /* *ret_problem says why, as the end of a sentence */
};

/* `line` has no NUL byte within `length` and one behind it.  Times are wall time in microseconds.
 */
enum xf_replay_line xf_replay_log_line(const char *line, size_t length,
                                       const struct xf_replay_clusters *clusters,
                                       struct xf_replay_response *ret, const char **ret_problem);

#endif
