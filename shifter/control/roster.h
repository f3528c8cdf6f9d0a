/*
 * roster.h -- the proxies that must agree: who they are, what each confirmed, how long it is
 * silent, and what the fleet's traffic looks like.
 *
 * Fed with heartbeats; keeps the newest of each member.  A member leaves by its own word (`left`)
 * or is forgotten by an operator; silence never removes it.  Time is CLOCK_BOOTTIME as handed in.
 */
#ifndef XF_SHIFTER_ROSTER_H
#define XF_SHIFTER_ROSTER_H

#include "config/config.h"
#include "shifter/bus/bus_message.h"
#include "shifter/control/control.h"

#include <stdbool.h>
#include <stdint.h>

#define XF_SILENT_MS 3000 /* a member not heard of for longer is silent */

struct xf_roster;

struct xf_member {
    struct xf_message_heartbeat heartbeat; /* the newest */
    int64_t seen_ms;
    bool twice;    /* its id speaks with two live boots */
    bool returned; /* it was forgotten and spoke again: told once to whoever asks */
};

XF_NODISCARD struct xf_roster *xf_roster_create(const struct xf_config *config);
void xf_roster_destroy(struct xf_roster *roster); /* accepts NULL */

/* Takes the heartbeat over (it is zeroed).  False: there are XF_PROXIES_MAX members already. */
bool xf_roster_heartbeat(struct xf_roster *roster, struct xf_message_heartbeat *heartbeat,
                         int64_t now_ms);
/* A member that an earlier leader knew: silent until it is heard of. */
bool xf_roster_recall(struct xf_roster *roster, const char *id, const char *name);
/* A member that the store's roster names: if it was not heard of it lags until it is.  Who was
 * forgotten, or left a moment ago, does not come back by this. */
bool xf_roster_joined(struct xf_roster *roster, const char *id, const char *name, int64_t now_ms);
/* A member that a restored state names: silent until it is heard of.  Who was forgotten, or was
 * heard leaving, is none. */
bool xf_roster_expect(struct xf_roster *roster, const char *id, const char *name);
/* By name or id; false: unknown, or not silent.  Its id is remembered, so that its return is seen.
 */
bool xf_roster_forget(struct xf_roster *roster, const char *proxy, int64_t now_ms);
/* Who an earlier leader was told to forget: by id, and not if it speaks.  No member need be known
 * by it: the store's roster may still name it. */
void xf_roster_recall_forgotten(struct xf_roster *roster, const char *id, int64_t now_ms);
/* A member by name or id, NULL: there is none. */
const struct xf_member *xf_roster_find(const struct xf_roster *roster, const char *proxy);
/* The return of `id` was told. */
void xf_roster_noticed(struct xf_roster *roster, const char *id);
/* Whether `proxy` (name or id) was forgotten and has not come back. */
bool xf_roster_forgotten(const struct xf_roster *roster, const char *proxy);
#define XF_FORGOTTEN_MAX 64u
struct xf_forgotten {
    char id[XF_UUID_TEXT_BYTES];
    char name[XF_NAME_BYTES];
};
/* Those remembered, in no order; *ret is the roster's. */
unsigned xf_roster_tombs(const struct xf_roster *roster, const struct xf_forgotten **ret);

/* +1 whenever a member comes or goes. */
uint64_t xf_roster_version(const struct xf_roster *roster);
unsigned xf_roster_count(const struct xf_roster *roster);
const struct xf_member *xf_roster_member(const struct xf_roster *roster, unsigned index);
/* The same member's last heartbeat, NULL behind the last one; for gates, which know no roster. */
const struct xf_message_heartbeat *xf_roster_said(const void *roster, unsigned index);
bool xf_member_silent(const struct xf_member *member, int64_t now_ms);
const struct xf_message_service *xf_member_service(const struct xf_member *member,
                                                   const char *service);
const struct xf_message_cluster *xf_member_cluster(const struct xf_member *member,
                                                   const char *cluster);

struct xf_roster_question {
    const char *service;
    struct xf_version version;
    const char *write_id;
    const char *blues[XF_SERVICES_MAX]; /* blue, and what its followers pair with it */
    unsigned blues_count;
    const char *green; /* empty: none */
    int64_t now_ms;
    const struct xf_document *document; /* says which overrides it has taken over; NULL: none is
                                           looked for */
};
/* What matters to one service and one version of it. */
void xf_roster_fleet(const struct xf_roster *roster, const struct xf_roster_question *question,
                     struct xf_fleet *ret);
/* Whether every live member has `version` or a later one in force; names those that have not,
 * and the silent ones. */
bool xf_roster_reached(const struct xf_roster *roster, const struct xf_roster_question *question,
                       char ret_lagging[XF_SENTENCE_BYTES], char ret_silent[XF_SENTENCE_BYTES]);

/* Numbers of one cluster of one service over all members. */
struct xf_traffic {
    uint64_t requests, errors, rescued, no_route; /* totals of the members' boots */
    double rps, error_ratio;                      /* over the last seconds; negative: none */
    uint64_t in_flight, tunnels, pooled;
    uint64_t latency[XF_HISTOGRAM_BUCKETS]; /* of the last half to whole minute */
};
void xf_roster_traffic(const struct xf_roster *roster, const char *service, const char *cluster,
                       int64_t now_ms, struct xf_traffic *ret);

#endif
