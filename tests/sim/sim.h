/*
 * sim.h -- the control plane on a fake clock, with seeded faults.
 *
 * Two leaders (tenure, roster, lease: the real code), three proxies, a store with the rules of the
 * write script, and operators, all driven by one queue of events.  What goes wrong, and when, is
 * drawn from the seed; a run is a function of seed and options.  After every event that can break
 * one, the invariants are checked; a breach ends the run with its sentence.
 */
#ifndef XF_TESTS_SIM_H
#define XF_TESTS_SIM_H

#include "config/config.h"
#include "shifter/plan/document.h"
#include "shifter/control/roster.h"
#include "shifter/store/store.h"
#include "shifter/controller/tenure.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_LEADERS  2u
#define SIM_PROXIES  3u
#define SIM_FLIGHTS  8u
#define SIM_QUIET_MS 1000
#define SIM_TICK_MS  100
#define SIM_LATE_MS  10000 /* a late write is on its way for up to so long */

#define SIM_WALL_MS 1790000000000 /* 2026-09-21 14:13:20 UTC, a Monday: time 0 */

/* One rule broken on purpose; each must be caught by a seed (sim_mutants.c). */
enum sim_mutant {
    SIM_HEALTHY,
    SIM_NO_FENCE,
    SIM_NO_EXPECTED,
    SIM_SMALLER_APPLIED,
    SIM_QUIET_LIE,
    SIM_FORGETFUL,
    SIM_FAST_CLOCK,
    SIM_HOLDS_LOST,
    SIM_IN_FORCE_LIE,
    SIM_FAILS_OPEN,
    SIM_GARBAGE_APPLIED,
    SIM_ROSTER_BLIND,
    SIM_SILENCE_FORGETS,
    SIM_NEW_ID_ON_RETRY,
    SIM_NO_RECHECK,
    SIM_REVOKED_UNNUMBERED,
    SIM_LEASE_FOR_ALL,
    SIM_RESUME_APPROVES,
    SIM_ERRORS_UNSEEN,
    SIM_DATA_MADE_UP,
    SIM_CONFIRMS_FOR_ALL,
    SIM_GENERATION_IGNORED,
    SIM_WINDOW_BLIND,
    SIM_OFFERS_LOST,
    SIM_ACTION_AGAIN,
    SIM_OVERRIDE_UNSEEN,
    SIM_DIGEST_UNSEEN,
    SIM_MUTANTS
};

/* What may go wrong. */
struct sim_options {
    uint64_t seed;
    enum sim_mutant mutant;
    int64_t length_ms;     /* faults end 60 s before */
    unsigned store_faults; /* per mille of calls: lost request, lost answer, refused */
    unsigned late_writes;  /* per mille of writes: up to 10 s on their way */
    unsigned message_loss; /* per mille, either way */
    bool store_outages, leader_kills, leader_freezes, proxy_freezes, proxy_restarts, clock_jumps;
    bool long_absence;    /* a proxy that died stays away for a minute or more */
    bool store_loss;      /* the store is restored from an older save */
    bool store_flushes;   /* FLUSHALL */
    bool embedded;        /* SQLite's rule: a restored write must expect what stands, too */
    bool one_redis;       /* the bus goes with the store */
    bool snapshots;       /* a proxy that returns has its snapshot, sometimes an older one */
    bool proxy_cuts;      /* proxies are cut off from the bus for a while */
    bool overrides;       /* ... and steered locally then */
    bool forgets;         /* operators forget proxies that are silent */
    bool digests;         /* a proxy has another configuration for a while */
    bool no_offers;       /* proxies have what the store lost, and cannot give it away */
    bool garbage;         /* states arrive cut short */
    bool generations;     /* operators send if_generation, sometimes an old one */
    bool hooks_fail;      /* a hook ends badly now and then */
    bool freeze_in_safe;  /* the leader stops between writing `safe` and sending */
    int64_t mute_from_ms; /* from then on no samples are sent; 0: never */
    int64_t open_from_ms, open_until_ms; /* the plan's window in true time; 0: always open */
    bool operators;                      /* random verbs */
    bool green_fails;                    /* from a random moment on, for a while */
    int64_t green_bad_from_ms;           /* 0: never */
    unsigned both_fail;                  /* per mille of all responses, on either side alike */
    const char *plan;                    /* NULL: the usual one */
    const char *const *script; /* "30000 ann abort {}" lines, in the order of time; NULL: none */
    bool trace;                /* print what happens */
};

struct sim;
struct sim_store;

struct sim_event {
    int64_t at;
    uint64_t order;
    void (*run)(struct sim *sim, void *argument);
    void *argument; /* freed by run */
};

struct sim_leader {
    struct sim *sim;
    unsigned number;
    bool alive;
    int64_t frozen_until, wake_at;
    int64_t wall_offset, boot_offset;
    struct xf_clock clock;
    struct sim_store *store;
    struct xf_roster *roster;
    struct xf_tenure *tenure;
    unsigned life;       /* +1 at each start: what belongs to an earlier one is dropped */
    unsigned delivering; /* sequence */
    bool checking;
    int64_t attempt_at;
};

struct sim_proxy {
    unsigned number;
    bool alive;
    int64_t frozen_until;
    char id[XF_UUID_TEXT_BYTES], boot[XF_UUID_TEXT_BYTES], name[XF_NAME_BYTES];
    uint64_t seq;
    struct xf_version applied, largest;
    char write_id[XF_UUID_TEXT_BYTES];
    struct xf_document *document; /* applied */
    int64_t in_force_at;
    unsigned old_weight; /* still served until in_force_at */
    bool old_draining;
    int64_t flights[SIM_FLIGHTS]; /* ends of requests on blue; 0: none */
    int64_t quiet_since;
    int64_t blue_used_at; /* when it last might have: here nothing ends with a process */
    int64_t beat_at, beat_sent_at;
    uint64_t told_cell;    /* the last whose counts were sent */
    int64_t telling_since; /* of a green that fails and has 5 % or more; INT64_MAX: it is not */
    int64_t began_at, reached_at; /* since when it runs; since when it hears and is heard */
    int64_t heard_at;             /* the newest state from a leader */
    int64_t cut_until;
    bool held;                /* a snapshot stands, but nothing is served yet */
    struct xf_document *kept; /* an older snapshot on disk; NULL: none */
    struct xf_version kept_version;
    char kept_id[XF_UUID_TEXT_BYTES];
    bool forgotten;
    int64_t excused_until; /* it was forgotten, and is back since a moment */
    int64_t digest_since;  /* its configuration differs; -1: it does not */
    struct {
        bool on;
        unsigned weight;
        char id[XF_UUID_TEXT_BYTES];
        struct xf_version base;
        int64_t since;
    } override;
    unsigned ordered_weight; /* what a valid document or an override told it last */
};

#define SIM_HOOKS 2u /* `finish`, which may run once, and `again` */

struct sim_log {
    uint64_t generation, revision;
    char write_id[XF_UUID_TEXT_BYTES];
    char *entry;
};

struct sim {
    struct sim_options options;
    uint64_t random;
    int64_t now;
    struct sim_event *events;
    unsigned events_count, events_capacity;
    uint64_t order;
    struct xf_config *config;

    struct sim_leader leaders[SIM_LEADERS];
    struct sim_proxy proxies[SIM_PROXIES];

    /* the store */
    bool present;
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    struct xf_version largest; /* ever written, whatever the store forgot since */
    unsigned largest_weight;
    char *document, *saved_document;
    struct xf_version saved_version;
    char saved_write_id[XF_UUID_TEXT_BYTES];
    struct sim_log *log;
    size_t log_count, log_capacity, saved_log_count;
    char *checkpoints[2]; /* progress, judge */
    struct xf_store_lease lease;
    int64_t down_until, written_at;
    int64_t asked_at;    /* when the change that takes effect was last asked for */
    unsigned lost_saves; /* how often the store was set back */

    int64_t step_entered_at, saved_step_entered_at, step_lost_ms;
    bool green_bad;
    int64_t samples_at; /* the last that a leader could have read */
    struct {            /* approvals that people gave: of which attempt and step */
        uint64_t attempts;
        int step;
    } approved;
    struct { /* of the attempt at hand: how often each hook ran, how often a person said so */
        uint64_t attempts;
        unsigned ran, allowed;
    } hooks[SIM_HOOKS];
    bool froze_in_safe;
    bool resumed; /* the last change was a `resume` */
    struct {      /* the last commands with if_generation */
        char request[64];
        uint64_t generation;
    } bound[16];
    unsigned bound_next;
    unsigned revoked_seen; /* a receiver has begun to take sequence 2 of the present key */
    char revoked_key[XF_CUTOVER_ID_BYTES];
    uint64_t taken[3]; /* by sequence: the last attempt whose signal a receiver took */
    unsigned requests;
    unsigned changes, safes, finalized, aborted, retreats, deliveries, replies;
    char breach[512];
};

/* Runs one simulation; false: an invariant was broken, sim->breach says which. */
bool sim_run(struct sim *sim, const struct sim_options *options);
void sim_release(struct sim *sim);

uint64_t sim_draw(struct sim *sim, uint64_t below);
bool sim_chance(struct sim *sim, unsigned per_mille);
void sim_later(struct sim *sim, int64_t delay_ms, void (*run)(struct sim *, void *),
               void *argument);
void sim_breach(struct sim *sim, const char *format, ...) XF_PRINTF(2, 3);
void sim_trace(struct sim *sim, const char *format, ...) XF_PRINTF(2, 3);
bool sim_faulty(const struct sim *sim); /* faults may still happen */

/* sim_leader.c */
void sim_leader_begin(struct sim *sim, unsigned number);
void sim_leader_end(struct sim *sim, unsigned number);
void sim_leader_returns(struct sim *sim, void *argument);
void sim_leader_attempt(struct sim_leader *leader); /* to send the signal */
bool sim_bus_down(const struct sim *sim, const struct sim_proxy *proxy);

/* sim_operator.c */
void sim_command(struct sim *sim, const char *actor, const char *verb, const char *arguments);
void sim_random_command(struct sim *sim);
void sim_scripted(struct sim *sim, void *argument);

/* sim_faults.c: ten times a second. */
void sim_tick(struct sim *sim, void *argument);

/* sim_store.c */
struct sim_store *sim_store_create(struct sim_leader *leader);
struct xf_store *sim_store_base(struct sim_store *store);
/* Every open call is answered with LOST; the store is freed when none is left under way. */
void sim_store_destroy(struct sim_store *store);
void sim_store_save(struct sim *sim);
void sim_store_restore(struct sim *sim);
void sim_store_flush(struct sim *sim);

/* sim_proxy.c */
void sim_proxy_begin(struct sim *sim, unsigned number);
void sim_proxy_receive(struct sim *sim, unsigned number, const struct xf_message_state *state);
void sim_proxy_tick(struct sim *sim, struct sim_proxy *proxy);
unsigned sim_proxy_weight(const struct sim_proxy *proxy); /* served, once in force */
/* `abort --local`, where break-glass allows it. */
void sim_proxy_break_glass(struct sim *sim, struct sim_proxy *proxy);
bool sim_proxy_in_force(const struct sim *sim, const struct sim_proxy *proxy);
unsigned sim_proxy_busy(const struct sim *sim, const struct sim_proxy *proxy);

/* sim_message.c: what goes up to the leaders. */
void sim_proxy_tell(struct sim *sim, struct sim_proxy *proxy);
/* Ten times a second: cells with failures go as they close (DESIGN.md section 11). */
void sim_proxy_tell_failures(struct sim *sim, struct sim_proxy *proxy);

/* sim_check.c, sim_check_rules.c: the invariants. */
void sim_check_tick(struct sim *sim);
void sim_check_reply(struct sim *sim, const struct xf_message_reply *reply);
void sim_check_hook(struct sim *sim, unsigned hook, uint64_t attempts);

struct sim_look { /* one write that takes effect */
    struct sim *sim;
    const struct xf_document *before, *after; /* before: NULL at the first */
    const struct xf_store_write *write;
    const char *verb, *sentence;
    bool by_itself;
};
void sim_check_rise(const struct sim_look *look);
void sim_check_restored(const struct sim_look *look);
void sim_check_approval(const struct sim_look *look);
void sim_check_taken(const struct sim_look *look);
void sim_check_write(struct sim *sim, const char *before, const struct xf_store_write *write);

#endif
