/*
 * lease.c -- see lease.h.
 *
 *   candidate --look: lease changed--> candidate (the 3 s begin again)
 *       |  unchanged for 3 s, given up, or my own
 *       v
 *   read the document's epoch --> swap --OK--> leads --beat each second--> leads
 *                                   |            | no beat acknowledged for 2 s, or taken
 *                                   +- else -----+--> candidate
 */
#include "shifter/store/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_MAGIC 0x6c656173u
#define LOOK_MS     500 /* between a candidate's looks */
#define AGAIN_MS    200 /* after a store that gave no answer */

struct xf_lease {
    unsigned magic;
    struct xf_store *store;
    const struct xf_clock *clock;
    char service[XF_NAME_BYTES];
    char holder[XF_UUID_TEXT_BYTES];
    struct xf_lease_calls calls;
    bool leads;
    bool stopped;  /* given up */
    bool led;      /* the last lease that stood, as far as is known here, was mine */
    bool busy;     /* an answer is due */
    bool orphaned; /* destroyed while busy: the answer frees it */
    uint64_t epoch;
    uint64_t epoch_met;
    int64_t next_ms;            /* when something is due */
    int64_t sent_ms;            /* when the beat or take-over under way was sent */
    int64_t acked_ms;           /* when the last acknowledged one had been sent */
    struct xf_store_lease mine; /* as last acknowledged */
    struct xf_store_lease next; /* as under way */
    bool looked;
    struct xf_store_lease seen; /* as a candidate saw it, and since when it is so */
    int64_t seen_ms;
};

static int64_t now_of(const struct xf_lease *lease)
{
    return xf_clock_boottime_ms(lease->clock);
}

static bool owns_store(const struct xf_lease *lease)
{
    return lease->store->kind == XF_STORE_SQLITE;
}

/* The start of every answer; NULL when nobody waits for it any more. */
static struct xf_lease *answered(void *context)
{
    struct xf_lease *lease = context;
    XF_ASSERT(lease->magic == LEASE_MAGIC);
    XF_ASSERT(lease->busy);
    lease->busy = false;
    if (lease->orphaned) {
        free(lease);
        return NULL;
    }
    return lease->stopped ? NULL : lease;
}

static void lose(struct xf_lease *lease, const char *why)
{
    lease->leads = false;
    lease->looked = false;
    lease->next_ms = 0;
    lease->calls.lost(lease->calls.context, why);
}

static void got_beat(void *context, enum xf_store_result result, const char *message)
{
    (void) message;
    struct xf_lease *lease = answered(context);
    if (lease == NULL || !lease->leads) {
        return;
    }
    if (result == XF_STORE_OK) {
        lease->mine = lease->next;
        lease->acked_ms = lease->sent_ms;
        lease->next_ms = lease->sent_ms + XF_LEASE_BEAT_MS;
    } else if (result == XF_STORE_LOST || result == XF_STORE_REFUSED) {
        lease->next_ms = now_of(lease) + AGAIN_MS; /* the same beat again: it may have arrived */
    } else {
        lose(lease, "the lease is another's, or gone");
    }
}

static void beat(struct xf_lease *lease)
{
    lease->next = lease->mine;
    lease->next.beat++;
    lease->sent_ms = now_of(lease);
    lease->busy = true;
    lease->store->calls->swap_lease(lease->store, lease->service, &lease->mine, &lease->next,
                                    got_beat, lease);
}

static void got_taken(void *context, enum xf_store_result result, const char *message)
{
    (void) message;
    struct xf_lease *lease = answered(context);
    if (lease == NULL) {
        return;
    }
    if (result != XF_STORE_OK) {
        lease->looked = false;
        lease->next_ms = now_of(lease) + AGAIN_MS;
        return;
    }
    if (!owns_store(lease) && now_of(lease) - lease->sent_ms >= XF_LEASE_STOP_MS) {
        lease->next_ms = 0; /* the answer came too late to act on; it is mine to take again */
        return;
    }
    lease->leads = true;
    lease->led = true;
    lease->mine = lease->next;
    lease->epoch = lease->next.epoch;
    lease->acked_ms = lease->sent_ms;
    lease->next_ms = lease->sent_ms + XF_LEASE_BEAT_MS;
    lease->calls.led(lease->calls.context, lease->epoch);
}

/* The document's epoch is known, or there is none that can be read: take the lease as seen. */
static void got_state(void *context, enum xf_store_result result,
                      const struct xf_store_state *state, const char *message)
{
    (void) message;
    struct xf_lease *lease = answered(context);
    if (lease == NULL) {
        return;
    }
    if (result == XF_STORE_LOST || result == XF_STORE_REFUSED) {
        lease->next_ms = now_of(lease) + AGAIN_MS;
        return;
    }
    if (state != NULL) {
        xf_lease_met_epoch(lease, state->version.epoch);
    }
    xf_lease_met_epoch(lease, lease->seen.epoch);
    lease->next = (struct xf_store_lease){.epoch = lease->epoch_met + 1, .beat = 1};
    snprintf(lease->next.holder, sizeof(lease->next.holder), "%s", lease->holder);
    lease->next.beat = lease->seen.beat + 1;
    lease->sent_ms = now_of(lease);
    lease->busy = true;
    lease->store->calls->swap_lease(lease->store, lease->service, &lease->seen, &lease->next,
                                    got_taken, lease);
}

/* Whether the lease as it was seen may be taken now.  Where the store lost the lease, who held it
 * last takes it at once: it knows most, and the script lets only one have it. */
static bool may_take(const struct xf_lease *lease, bool present)
{
    bool given_up = present && lease->seen.holder[0] == '\0';
    return owns_store(lease) || given_up || (!present && lease->led) ||
           strcmp(lease->seen.holder, lease->holder) == 0 ||
           now_of(lease) - lease->seen_ms >= XF_LEASE_TAKE_MS;
}

static void got_lease(void *context, enum xf_store_result result,
                      const struct xf_store_lease *found, const char *message)
{
    (void) message;
    struct xf_lease *lease = answered(context);
    if (lease == NULL) {
        return;
    }
    if (result == XF_STORE_LOST || result == XF_STORE_REFUSED) {
        lease->looked = false; /* it may have changed unseen: the 3 s begin again */
        lease->next_ms = now_of(lease) + AGAIN_MS;
        return;
    }
    struct xf_store_lease now = found != NULL ? *found : (struct xf_store_lease){0};
    if (!lease->looked || now.beat != lease->seen.beat ||
        strcmp(now.holder, lease->seen.holder) != 0) {
        lease->looked = true;
        lease->seen_ms = now_of(lease);
    }
    lease->seen = now;
    lease->led = lease->led && (now.holder[0] == '\0' || strcmp(now.holder, lease->holder) == 0);
    if (!may_take(lease, found != NULL)) {
        lease->next_ms = now_of(lease) + LOOK_MS;
        return;
    }
    lease->busy = true;
    lease->store->calls->read_state(lease->store, lease->service, got_state, lease);
}

struct xf_lease *xf_lease_create(struct xf_store *store, const struct xf_clock *clock,
                                 const char *service, const char *holder,
                                 const struct xf_lease_calls *calls)
{
    struct xf_lease *lease = calloc(1, sizeof(*lease));
    if (lease == NULL) {
        return NULL;
    }
    lease->magic = LEASE_MAGIC;
    lease->store = store;
    lease->clock = clock;
    lease->calls = *calls;
    snprintf(lease->service, sizeof(lease->service), "%s", service);
    snprintf(lease->holder, sizeof(lease->holder), "%s", holder);
    return lease;
}

void xf_lease_tick(struct xf_lease *lease)
{
    XF_ASSERT(lease->magic == LEASE_MAGIC);
    if (lease->stopped) {
        return;
    }
    if (lease->leads && !xf_lease_leads(lease)) {
        lose(lease, "no beat was acknowledged for 2 s");
        return;
    }
    if (lease->busy || now_of(lease) < lease->next_ms) {
        return;
    }
    if (!lease->leads) {
        lease->busy = true;
        lease->store->calls->read_lease(lease->store, lease->service, got_lease, lease);
    } else if (!owns_store(lease)) {
        beat(lease);
    }
}

bool xf_lease_leads(const struct xf_lease *lease)
{
    return lease->leads &&
           (owns_store(lease) || now_of(lease) - lease->acked_ms < XF_LEASE_STOP_MS);
}

uint64_t xf_lease_epoch(const struct xf_lease *lease)
{
    return lease->epoch;
}

void xf_lease_met_epoch(struct xf_lease *lease, uint64_t epoch)
{
    if (epoch > lease->epoch_met) {
        lease->epoch_met = epoch;
    }
}

void xf_lease_renew(struct xf_lease *lease, const char *why)
{
    if (lease->leads) {
        lose(lease, why);
    }
}

static void got_nothing(void *context, enum xf_store_result result, const char *message)
{
    (void) context;
    (void) result;
    (void) message;
}

void xf_lease_give_up(struct xf_lease *lease)
{
    bool led = lease->leads;
    lease->stopped = true;
    lease->leads = false;
    if (led) {
        struct xf_store_lease given = {.epoch = lease->mine.epoch, .beat = lease->mine.beat + 1};
        lease->store->calls->swap_lease(lease->store, lease->service, &lease->mine, &given,
                                        got_nothing, NULL);
    }
}

void xf_lease_destroy(struct xf_lease *lease)
{
    if (lease != NULL && lease->busy) {
        lease->orphaned = true;
    } else {
        free(lease);
    }
}
