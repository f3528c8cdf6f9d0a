/*
 * bus_message.h -- what leader and agents say to each other, one builder and one reader a kind.
 *
 * A message is a JSON object with a member `kind`.  A reader checks every field and every count:
 * what it returns may be used without a further look.  Members that a newer version added are
 * ignored.  Builders return a new reference, or NULL without memory; readers return 0, or -1 with
 * `err`.  What a reader allocates is freed by the kind's release function, which accepts a zeroed
 * value.
 */
#ifndef XF_SHIFTER_BUS_MESSAGE_H
#define XF_SHIFTER_BUS_MESSAGE_H

#include "config/base/error.h"
#include "config/base/limits.h"
#include "config/base/text.h"
#include "config/base/version.h"
#include "shifter/judge/judge_learnt.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum xf_message_kind {
    XF_MESSAGE_HEARTBEAT, /* up */
    XF_MESSAGE_SAMPLES,   /* up */
    XF_MESSAGE_COMMAND,   /* up */
    XF_MESSAGE_STATE,     /* down */
    XF_MESSAGE_REPLY,     /* down */
    XF_MESSAGE_OFFER,     /* up: a state that the store does not have any more */
    XF_MESSAGE_ABSENT,    /* from the bus itself: the store has no readable state of a service */
};
bool xf_message_kind_of(const json_t *message, enum xf_message_kind *ret);

#define XF_DIGEST_BYTES       17u
#define XF_ADDRESS_BYTES      128u /* of a server, as in the configuration */
#define XF_WHY_DOWN_BYTES     128u
#define XF_VERB_BYTES         16u
#define XF_REQUEST_ID_BYTES   64u
#define XF_SAMPLE_CELLS_MAX   128u
#define XF_SAMPLE_ENTRIES_MAX 16u /* weights in one cell, summed over a host's workers */

struct xf_message_proxy {
    char id[XF_UUID_TEXT_BYTES];
    char name[XF_NAME_BYTES];
    char boot[XF_UUID_TEXT_BYTES]; /* new for each start of the supervisor */
};

/* ---- heartbeat: once a second, and at once when a version has come in force ---- */

/* Totals of one (service, cluster) over all workers, living and dead, of this proxy's boot. */
struct xf_message_pair {
    char cluster[XF_NAME_BYTES];
    uint64_t requests, errors, rescued, client_aborts, no_route;
    uint64_t *latency; /* [XF_HISTOGRAM_BUCKETS], cumulative, owned; sent sparse; NULL: none */
};

struct xf_message_service {
    char name[XF_NAME_BYTES];
    struct xf_version version;         /* the newest applied; 0.0.0: none */
    char write_id[XF_UUID_TEXT_BYTES]; /* of that version; empty: none */
    bool in_force;                     /* that version, on every worker of every live edition */
    unsigned weight;                   /* served now */
    char digest[XF_DIGEST_BYTES];      /* of the configuration of the service's clusters */
    uint64_t fenced;                   /* requests that a fence refused, followers' too */
    bool override_on;                  /* break-glass stands on this proxy */
    struct {
        char id[XF_UUID_TEXT_BYTES];
        unsigned weight;
        char actor[XF_ACTOR_BYTES];
        char reason[XF_REASON_BYTES];
        struct xf_version base;
    } override;
    struct xf_learnt learnt;       /* of the live cluster while no cutover ran */
    struct xf_message_pair *pairs; /* owned */
    size_t pairs_count;
};

struct xf_message_server {
    char address[XF_ADDRESS_BYTES];
    bool up;
    char reason[XF_WHY_DOWN_BYTES]; /* empty: none */
    char from[INET6_ADDRSTRLEN];    /* the address that the server sees; empty: not known */
    uint64_t in_flight;
};

/* Gauges of one cluster over all services, workers and live editions of this proxy. */
struct xf_message_cluster {
    char name[XF_NAME_BYTES];
    uint64_t in_flight, tunnels, pooled;
    /* For how long all three have been 0 without a break, on the proxy's own monotonic clock;
     * counted anew whenever a version comes in force.  -1: they are not 0. */
    int64_t quiet_ms;
    struct xf_message_server *servers; /* owned */
    size_t servers_count;
};

struct xf_message_heartbeat {
    struct xf_message_proxy proxy;
    char config_digest[XF_DIGEST_BYTES];
    bool reload_ok;
    char reload_error[XF_SENTENCE_BYTES]; /* empty: none */
    struct xf_message_service *services;  /* owned */
    size_t services_count;
    struct xf_message_cluster *clusters; /* owned */
    size_t clusters_count;
    bool left; /* the proxy has drained and goes: its last word */
};
XF_NODISCARD json_t *xf_message_heartbeat_make(const struct xf_message_heartbeat *heartbeat);
XF_NODISCARD int xf_message_heartbeat_read(const json_t *message, struct xf_message_heartbeat *ret,
                                           struct xf_error *err);
void xf_message_heartbeat_release(struct xf_message_heartbeat *heartbeat);
/* What it says of the cluster of that name; NULL: nothing. */
const struct xf_message_cluster *xf_message_cluster_of(const struct xf_message_heartbeat *heartbeat,
                                                       const char *name);

/* ---- samples: a proxy's judge cells of one service ---- */

struct xf_message_counts { /* by role: [XF_BLUE], [XF_GREEN] */
    uint64_t sent[2], done[2], bad[2], slow[2], bad_4xx[2];
};
struct xf_message_cell {
    uint64_t number; /* (store's time in ms) / XF_CELL_MS */
    unsigned entries_count;
    struct {
        unsigned weight; /* at dispatch */
        struct xf_message_counts counts;
    } entries[XF_SAMPLE_ENTRIES_MAX];
    uint64_t asked[2], answered[2]; /* by role, whatever the weight (judge_silence.h) */
};
struct xf_message_samples {
    struct xf_message_proxy proxy;
    uint64_t seq; /* of this boot, from 1; a repeated one is dropped */
    char service[XF_NAME_BYTES];
    uint64_t attempt;              /* of the cutover the cells belong to */
    struct xf_message_cell *cells; /* owned; in the order of time, each number once */
    size_t cells_count;
    json_t *blame; /* held, not looked into (judge_tally.h); NULL: nothing to tell */
};
XF_NODISCARD json_t *xf_message_samples_make(const struct xf_message_samples *samples);
XF_NODISCARD int xf_message_samples_read(const json_t *message, struct xf_message_samples *ret,
                                         struct xf_error *err);
void xf_message_samples_release(struct xf_message_samples *samples);

/* ---- command: a verb of an operator; `status`, `why`, `history`, `signal` only ask ---- */

struct xf_message_command {
    char request[XF_REQUEST_ID_BYTES];
    char service[XF_NAME_BYTES];
    char verb[XF_VERB_BYTES];
    json_t *arguments; /* an object; held */
    char actor[XF_ACTOR_BYTES];
    char reason[XF_REASON_BYTES]; /* empty: none */
    bool if_generation_set, if_step_set;
    uint64_t if_generation;
    int64_t if_step; /* as shown in status: 1 is the first, 0 before it */
    int64_t sent_ms; /* wall clock of the host that took it */
};
XF_NODISCARD json_t *xf_message_command_make(const struct xf_message_command *command);
XF_NODISCARD int xf_message_command_read(const json_t *message, struct xf_message_command *ret,
                                         struct xf_error *err);
void xf_message_command_release(struct xf_message_command *command);

/* ---- state: the document as it stands in the store ---- */

/* The cutover's clocks: a checkpoint beside the document, without a version. */
struct xf_message_progress {
    int64_t step_elapsed_ms, step_remaining_ms; /* -1: no step runs */
    uint64_t tunnels;   /* on the cluster that is being emptied, over the fleet: paced draining */
    uint64_t in_flight; /* likewise: tunnels and requests */
    uint64_t ordered_tunnels, ordered_in_flight; /* on the one that is drained by hand */
    unsigned proxies;                            /* of the roster; 0: not said */
    unsigned journal; /* 0: there is none; 1: it takes no rows; 2: it does */
    uint64_t journal_backlog;
};
struct xf_message_state {
    char service[XF_NAME_BYTES];
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    const char *document; /* JSON text, as xf_document_read wants it; lives with the message */
    struct xf_message_progress progress;
    int64_t store_time_ms; /* the store's clock when this was sent: the grid of the cells */
    struct {               /* who leads */
        char id[XF_UUID_TEXT_BYTES];
        char name[XF_NAME_BYTES];
    } leader;
};
XF_NODISCARD json_t *xf_message_state_make(const struct xf_message_state *state);
XF_NODISCARD int xf_message_state_read(const json_t *message, struct xf_message_state *ret,
                                       struct xf_error *err);

/* ---- offer: a document newer than the store's, from a proxy that saw it ---- */

struct xf_message_offer {
    char service[XF_NAME_BYTES];
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    const char *document; /* JSON text; lives with the message */
};
XF_NODISCARD json_t *xf_message_offer_make(const struct xf_message_offer *offer);
XF_NODISCARD int xf_message_offer_read(const json_t *message, struct xf_message_offer *ret,
                                       struct xf_error *err);

/* ---- absent: said by the bus, names the service ---- */
XF_NODISCARD json_t *xf_message_absent_make(const char *service);
XF_NODISCARD int xf_message_absent_read(const json_t *message, char ret_service[XF_NAME_BYTES],
                                        struct xf_error *err);

/* ---- reply: the answer to one command ---- */

struct xf_message_reply {
    char request[XF_REQUEST_ID_BYTES];
    int exit; /* DESIGN.md section 13 */
    char message[XF_SENTENCE_BYTES];
    const json_t *body; /* borrowed; NULL: none.  For a verb: the members of API.md's answer */
};
XF_NODISCARD json_t *xf_message_reply_make(const struct xf_message_reply *reply);
XF_NODISCARD int xf_message_reply_read(const json_t *message, struct xf_message_reply *ret,
                                       struct xf_error *err);

#endif
