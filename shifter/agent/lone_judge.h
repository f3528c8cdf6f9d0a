/*
 * lone_judge.h -- the judge of one proxy that is on its own.
 *
 * Pure: time and facts are handed in.  The same modules as the leader's judge, over the cells of
 * one proxy, with guard.false_pause divided by the number of proxies.  It can say one thing only:
 * retreat.  While somebody leads it listens and says nothing: the leader saw the same cells and
 * many more, so what it did not act on within five seconds is forgotten here.
 */
#ifndef XF_SHIFTER_LONE_JUDGE_H
#define XF_SHIFTER_LONE_JUDGE_H

#include "config/base/error.h"
#include "shifter/bus/bus_message.h"
#include "shifter/plan/document.h"

#include <stdbool.h>
#include <stdint.h>

struct xf_lone_judge;

struct xf_lone_facts {
    const struct xf_document *document; /* with a plan */
    unsigned weight;                    /* served by this proxy */
    unsigned fleet;                     /* proxies that judge apart; 0: not known */
    bool sticky;
    struct xf_learnt learnt; /* by this proxy before the cutover */
    bool alone;              /* nobody who judges the whole fleet is there */
    int64_t store_ms;        /* the clock that labels cells */
    int64_t clock_offset_us; /* of that clock; a large change begins everything anew */
    int64_t monotonic_ms;
};

XF_NODISCARD struct xf_lone_judge *xf_lone_judge_create(void);
void xf_lone_judge_destroy(struct xf_lone_judge *lone); /* accepts NULL */

/* What this proxy counted, in the order of time. */
void xf_lone_judge_take(struct xf_lone_judge *lone, const struct xf_lone_facts *facts,
                        struct xf_message_cell *cells, size_t count);
/* Closes cells; true: retreat now.  It is said once for each verdict. */
bool xf_lone_judge_tick(struct xf_lone_judge *lone, const struct xf_lone_facts *facts);

/* Why it said so last: words, and a verdict's JSON as status shows it (NULL without memory); both
 * borrowed until the next tick. */
const char *xf_lone_judge_sentence(const struct xf_lone_judge *lone);
const char *xf_lone_judge_verdict(const struct xf_lone_judge *lone);

#endif
