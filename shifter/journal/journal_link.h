/*
 * journal_link.h -- one connection to the journal's database that never blocks the loop.
 *
 * Connects by itself and again after every trouble, with a jittered back-off; one query at a time,
 * each with a time limit.  A query that fails ends the connection: what became of it is asked for
 * anew on the next one.
 *
 *     waiting --> resolving --> connecting --> checking --> up <--> querying
 *        ^                                                   |
 *        +------------------ any trouble --------------------+
 */
#ifndef XF_SHIFTER_JOURNAL_LINK_H
#define XF_SHIFTER_JOURNAL_LINK_H

#include "config/config.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct event_base;
struct xf_journal_link;

struct xf_journal_link_calls {
    void (*up)(void *context); /* the schema fits and the server takes writes */
    void (*down)(void *context, const char *why);
    void *context;
};

/* `rows` NULL: it failed, or its answer was lost; the link is down already. */
typedef void xf_journal_rows(void *context, const PGresult *rows);

/* Config and loop outlive it.  NULL: out of memory. */
XF_NODISCARD struct xf_journal_link *
xf_journal_link_create(struct event_base *loop, const struct xf_config_journal *config,
                       const struct xf_journal_link_calls *calls);
/* Up, and no query under way. */
bool xf_journal_link_idle(const struct xf_journal_link *link);
bool xf_journal_link_up(const struct xf_journal_link *link);
/* Only while idle.  `done` comes once, from the loop, or with NULL from inside this call where the
 * query could not be sent; not after a destroy. */
void xf_journal_link_query(struct xf_journal_link *link, const char *sql, int parameters_count,
                           const char *const *parameters, xf_journal_rows *done, void *context);
void xf_journal_link_destroy(struct xf_journal_link *link); /* accepts NULL */

#endif
