/*
 * lease.h -- who leads a service: takes the lease in the store, keeps it, and knows when it is
 * lost (DESIGN.md section 8).
 *
 * A leader beats each second and stops acting 2 s after it *sent* its last acknowledged beat.  A
 * candidate takes over by compare-and-set after it saw holder and beat unchanged for 3 s of its
 * own CLOCK_BOOTTIME.  The holder of an embedded store's file lock leads at once and never beats.
 *
 * Has no timer of its own: tick() is called several times a second, so the simulation's clock
 * drives it like the real one.
 */
#ifndef XF_SHIFTER_LEASE_H
#define XF_SHIFTER_LEASE_H

#include "shifter/store/store.h"

#define XF_LEASE_BEAT_MS 1000
#define XF_LEASE_STOP_MS 2000 /* after the last acknowledged beat was sent, the leader stops */
#define XF_LEASE_TAKE_MS 3000 /* unchanged for so long, the lease may be taken */

struct xf_lease;
struct xf_lease_calls {
    /* This process leads from now on, in `epoch`. */
    void (*led)(void *context, uint64_t epoch);
    /* It does no longer, and must not act: what is under way will be FENCED. */
    void (*lost)(void *context, const char *why);
    void *context;
};

/* `holder` is the uuid of this process's run, a new one for each start.  NULL: out of memory.
 * Store and clock outlive the lease. */
XF_NODISCARD struct xf_lease *xf_lease_create(struct xf_store *store, const struct xf_clock *clock,
                                              const char *service, const char *holder,
                                              const struct xf_lease_calls *calls);
/* Does what is due.  Calls nothing back but `lost` for lack of time; `led` and the rest come from
 * the store's answers. */
void xf_lease_tick(struct xf_lease *lease);
/* Whether this process may act now; asks the clock each time. */
bool xf_lease_leads(const struct xf_lease *lease);
uint64_t xf_lease_epoch(const struct xf_lease *lease); /* of the time in which it leads or led */
/* An epoch that was met elsewhere (own disk, a heartbeat): the next one will be larger. */
void xf_lease_met_epoch(struct xf_lease *lease, uint64_t epoch);
/* Where it leads it does no longer: `lost` is called with `why`.  The lease, which is its own, is
 * taken again with the next tick, in an epoch larger than each that was met. */
void xf_lease_renew(struct xf_lease *lease, const char *why);
/* Leads no more, without a call of `lost`; the next candidate need not wait. */
void xf_lease_give_up(struct xf_lease *lease);
void xf_lease_destroy(struct xf_lease *lease); /* accepts NULL; from anywhere */

#endif
