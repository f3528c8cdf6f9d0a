/*
 * agent_state.h -- what the files of the agent share: its one state.
 *
 * The agent is one process with one loop; everything here is touched from that loop only.  Each
 * agent_*.c owns one subject; agent.c makes the state and ends it.  Nothing outside agent_*.c and
 * admin_*.c includes this.
 */
#ifndef XF_SHIFTER_AGENT_STATE_H
#define XF_SHIFTER_AGENT_STATE_H

#include "config/base/clock.h"
#include "proxy/proxy.h"
#include "shifter/agent/agent_route.h"
#include "shifter/agent/agent_snapshot.h"
#include "shifter/agent/agent_snapshot_writer.h"
#include "shifter/agent/agent_stats.h"
#include "shifter/bus/bus.h"
#include "shifter/bus/bus_message.h"

#include <event2/event.h>
#include <string.h>

#define XF_AGENT_SLOTS (XF_ROUTE_RECORDS)

struct xf_admin;
struct xf_agent_checks;
struct xf_agent_drains;
struct xf_agent_rates;
struct xf_agent_forward;
struct xf_lone_judge;
struct xf_agent_samples;
struct xf_tally;

/* Where a service's document came from. */
enum xf_agent_source {
    XF_AGENT_NOTHING,  /* no document */
    XF_AGENT_HELD,     /* from the snapshot, which may not serve (yet) */
    XF_AGENT_SNAPSHOT, /* from the snapshot, serving */
    XF_AGENT_BUS,      /* from the leader, or confirmed by it */
    XF_AGENT_ASSUMED,  /* --assume-live: none, the configured live cluster serves */
};

/* One service of the newest configuration, at the same place as there. */
struct xf_agent_service {
    char name[XF_NAME_BYTES];

    /* What is known. */
    enum xf_agent_source source;
    struct xf_document *document; /* owned */
    struct xf_version version;    /* of the document: the newest ever seen */
    char write_id[XF_UUID_TEXT_BYTES];
    bool store_behind;    /* the store has an older state than this one, or none */
    bool fork;            /* the leader sent the same version with another write_id */
    int64_t confirmed_ms; /* wall clock at which it was last known to be current */
    struct xf_message_progress progress;
    unsigned fleet; /* proxies of the roster as last heard; 0: not known */
    char leader_id[XF_UUID_TEXT_BYTES], leader_name[XF_NAME_BYTES];
    int64_t leader_heard_ms;         /* monotonic; 0: never */
    char trouble[XF_SENTENCE_BYTES]; /* why the document has no route here; empty: it has */
    char foreign[XF_SENTENCE_BYTES]; /* whose state the store has of it; empty: this proxy's */

    /* What the boards hold. */
    bool routed;
    unsigned slot;                       /* record in use */
    uint64_t slot_until[XF_AGENT_SLOTS]; /* a replaced record is free once this is settled */
    uint64_t sequence;                   /* of the write that put the present words there */
    bool postponed;                      /* every record is still in use: tried again later */
    struct xf_version written;           /* the version that the words show */
    char written_id[XF_UUID_TEXT_BYTES];
    unsigned weight, weight_before; /* served by the words, and by those before them */
    bool announced;                 /* a heartbeat said that it is in force */

    struct xf_local_override override;
    struct xf_lone_judge *lone; /* owned; this proxy's own judge; NULL: none yet */
};

struct xf_agent_quiet { /* of one cluster of the newest configuration */
    int64_t since_ms;   /* monotonic; -1: not quiet */
    uint64_t requests;
};

struct xf_agent {
    const struct xf_child_start *start;
    const struct xf_clock *clock;
    struct event_base *loop;
    const struct xf_config *config; /* the newest edition's, else the one it was started with */
    struct xf_message_proxy self;
    int64_t started_ms; /* monotonic */

    /* agent_channel, agent_editions */
    struct event *channel_event;
    struct xf_agent_edition *editions[XF_INFORCE_EDITIONS_MAX]; /* oldest first */
    unsigned editions_count;
    struct xf_config *offered; /* owned; of the next EDITION message */
    uint64_t offered_edition;
    bool reload_ok;
    char reload_error[XF_CHANNEL_TEXT_BYTES];
    struct {
        uint64_t attempts;
        unsigned outcome; /* as XF_CHANNEL_REEXECED tells it */
        char why[XF_CHANNEL_TEXT_BYTES];
    } reexec;
    bool stopping;
    bool left; /* the fleet was told that this proxy is gone: nothing more is said */

    /* agent_routes */
    struct xf_agent_service *services; /* [services_count of config] */
    unsigned services_count;
    struct xf_inforce inforce;
    struct event *look_event;
    bool looking;
    int64_t looking_since_ms;
    uint64_t sequence;         /* of the last write of words */
    uint64_t sequence_awaited; /* what the present wait covers */
    uint64_t sequence_settled; /* in force up to here */

    /* agent_bus */
    struct xf_bus_agent *bus; /* NULL: not possible; xf_agent_bus_problem says why */
    struct event *bus_retry;
    bool bus_up;
    bool forgotten; /* by an operator, and no state was heard since */
    bool refused;   /* another live boot has this identity: nothing is served from the snapshot */
    int64_t bus_changed_ms; /* wall clock */
    int64_t bus_lost_ms;    /* monotonic: since when it is not connected */
    int64_t beat_sent_ms;   /* monotonic: of the last heartbeat that was sent; 0: none */
    int64_t
        muted_until_ms; /* monotonic: no heartbeat before, so that the leader counts us silent */
    char bus_error[XF_ERROR_MESSAGE_BYTES]; /* empty: none, but perhaps a service's `foreign` */
    int64_t clock_offset_us;
    bool clock_offset_known;

    /* agent_stats, agent_heartbeat, agent_samples */
    struct xf_totals totals;
    struct xf_agent_quiet *quiet;   /* [clusters_count of config] */
    struct xf_agent_drains *drains; /* for the places of config */
    struct xf_agent_samples *samples;
    struct event *tick_event, *beat_event;
    struct xf_agent_rates *rates;

    /* agent_snapshot */
    struct xf_snapshot_writer *writer;
    struct event *snapshot_event;
    char snapshot_error[XF_ERROR_MESSAGE_BYTES]; /* why it may not serve; empty: it may */
    int64_t snapshot_saved_ms;                   /* wall clock of the one that was loaded; 0 */
    bool snapshot_due;

    struct xf_admin *admin;
    struct xf_admin_access *access;
    struct xf_admin_events *events;
    struct xf_agent_forward *forward;
    struct xf_agent_checks *checks;
};

static inline int64_t xf_agent_now_ms(const struct xf_agent *agent)
{
    return xf_clock_monotonic_ms(agent->clock);
}

/* Copies `text`, cut to fit, with its NUL. */
static inline void xf_agent_copy(char *out, size_t bytes, const char *text)
{
    size_t length = 0;
    while (length < bytes - 1 && text[length] != '\0') {
        out[length] = text[length];
        length++;
    }
    out[length] = '\0';
}

/* The service of that name, or NULL. */
struct xf_agent_service *xf_agent_find(struct xf_agent *agent, const char *name);
/* The service whose document decides for `service` (itself, or the followed one). */
struct xf_agent_service *xf_agent_deciding(struct xf_agent *agent, unsigned service);

/* ---- agent_editions: configurations and boards that live ---- */
void xf_agent_editions_offer(struct xf_agent *agent, uint64_t number, int config_fd);
void xf_agent_editions_add(struct xf_agent *agent, const struct xf_channel_message *message);
void xf_agent_editions_remove(struct xf_agent *agent, uint64_t number);
void xf_agent_editions_release(struct xf_agent *agent);
/* Makes `config` the agent's: services keep, by name, what is known of them. */
XF_NODISCARD bool xf_agent_editions_adopt(struct xf_agent *agent, const struct xf_config *config);
/* Sends ROUTED for every edition whose board now has a route for every service. */
void xf_agent_editions_announce(struct xf_agent *agent);
/* Whether `config` has every cluster that a document names; false: `reason` says which it lacks. */
bool xf_agent_editions_allow(struct xf_agent *agent, const struct xf_config *config, char *reason,
                             size_t bytes);
/* Reads a sealed memfd with a configuration's text; takes the descriptor. */
struct xf_config *xf_agent_editions_read(int fd, char *reason, size_t bytes);

/* ---- agent_channel: the supervisor ---- */
XF_NODISCARD int xf_agent_channel_open(struct xf_agent *agent, struct xf_error *err);

/* ---- agent_routes: words and records on the boards ---- */
/* Makes every live board hold what the documents say now; writes only what differs. */
void xf_agent_routes_update(struct xf_agent *agent);
/* Whether the newest known version of `service` is in force on every worker of every edition. */
bool xf_agent_routes_in_force(const struct xf_agent *agent, const struct xf_agent_service *service);
void xf_agent_routes_look(evutil_socket_t fd, short what, void *arg);

/* ---- agent_bus: the leader ---- */
void xf_agent_bus_open(struct xf_agent *agent);
void xf_agent_bus_close(struct xf_agent *agent);
/* Whether a leader was heard lately enough to forward a command to. */
bool xf_agent_bus_led(const struct xf_agent *agent, const struct xf_agent_service *service);

/* Why the store cannot be followed, or may not; empty: it can. */
const char *xf_agent_bus_problem(const struct xf_agent *agent);

/* ---- agent_offer: what the store lost ---- */
void xf_agent_offer_absent(struct xf_agent *agent, const json_t *message);
void xf_agent_offer_tick(struct xf_agent *agent);

/* ---- agent_local: break-glass ---- */
/* A document came: an override that it has caught up with ends. */
void xf_agent_local_reconcile(struct xf_agent *agent, struct xf_agent_service *service);

/* ---- agent_quiet: how long a cluster has been empty ---- */
void xf_agent_quiet_tick(struct xf_agent *agent);
void xf_agent_quiet_reset(struct xf_agent *agent); /* a version was written or came in force */
int64_t xf_agent_quiet_ms(const struct xf_agent *agent, unsigned cluster); /* -1: not quiet */

/* ---- agent_heartbeat ---- */
void xf_agent_heartbeat_send(struct xf_agent *agent, bool left);

/* ---- agent_samples: judge cells ---- */
struct xf_agent_samples *xf_agent_samples_create(void);
void xf_agent_samples_destroy(struct xf_agent_samples *samples);
/* Reads the cells that closed; sends those with a bad or slow answer at once, all if `all`. */
void xf_agent_samples_tick(struct xf_agent *agent, bool all);
/* What this proxy learnt of the service's live cluster before its cutover, or learns now. */
struct xf_learnt xf_agent_samples_learnt(const struct xf_agent *agent, const char *service);
/* An edition has ended: what was remembered of its cells is let go. */
void xf_agent_samples_forget(struct xf_agent *agent, uint64_t edition);

/* ---- agent_blame: who carries the trouble ---- */
/* Adds the events of `attempt` since *from to the tally and moves *from on; whether there were
 * any. */
bool xf_agent_blame_read(const struct xf_blame_ring *ring, const struct xf_config *config,
                         uint64_t attempt, uint64_t *from, struct xf_tally *tally);

/* ---- agent_start: snapshot and start-up without a store ---- */
void xf_agent_start_load(struct xf_agent *agent);
/* After 10 s without the bus: the snapshot, else --assume-live. */
void xf_agent_start_fall_back(struct xf_agent *agent);
void xf_agent_start_save(struct xf_agent *agent);
/* It reads that it was forgotten: the snapshot is marked, and serves no longer by itself. */
void xf_agent_start_forgotten(struct xf_agent *agent);
/* Whether every service has a route; false: `reason` says why not. */
bool xf_agent_start_ready(struct xf_agent *agent, char *reason, size_t bytes);

#endif
