/*
 * store_kinds.h -- the stores' constructors and what they share; for store*.c only.
 */
#ifndef XF_SHIFTER_STORE_KINDS_H
#define XF_SHIFTER_STORE_KINDS_H

#include "shifter/store/store.h"

XF_NODISCARD int xf_store_sqlite_open(const struct xf_config *config, struct event_base *loop,
                                      const struct xf_clock *clock, struct xf_store **ret,
                                      struct xf_error *err);
XF_NODISCARD int xf_store_redis_open(const struct xf_config *config, struct event_base *loop,
                                     const struct xf_clock *clock, struct xf_store **ret,
                                     struct xf_error *err);

/* Notes whether the store answers, and since when. */
void xf_store_set_ok(struct xf_store *store, const struct xf_clock *clock, bool ok);
/* Why this write can never be made, whatever is stored; NULL where it can. */
const char *xf_store_write_problem(const struct xf_store_write *write);

/* When the old entries of each service's log were looked at last. */
struct xf_store_prune {
    struct {
        char log[256]; /* its name or key */
        int64_t at_ms;
    } looked[XF_SERVICES_MAX];
    unsigned count;
};
/* Once an hour for each log: true, and *ret_old_ms is the time before which entries may go. */
bool xf_store_prune_due(struct xf_store_prune *prune, const struct xf_clock *clock, const char *log,
                        int64_t *ret_old_ms);

/* Entries of this generation and later stay, whatever their age; `log`: the service, or the key of
 * its log. */
uint64_t xf_store_floor(const struct xf_store *store, const char *log);

#endif
