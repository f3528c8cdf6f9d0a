/*
 * sim.h -- the control plane on a fake clock, with seeded faults.
 *
 * Two leaders (tenure, roster, lease: the real code), three proxies, a store with the rules of the
 * write script, and an operator, all driven by one queue of events.  What goes wrong, and when, is
 * drawn from the seed; a run is a function of seed and options.  After every event that can break
 * one, the invariants are checked; a breach ends the run with its sentence.
 */
#ifndef XF_TESTS_SIM_H
#define XF_TESTS_SIM_H

#include "config/config.h"
#include "shifter/document.h"
#include "shifter/roster.h"
#include "shifter/store.h"
#include "shifter/tenure.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_LEADERS  2u
#define SIM_PROXIES  3u
#define SIM_FLIGHTS  8u
#define SIM_QUIET_MS 1000
#define SIM_TICK_MS  100

/* One rule broken on purpose; each must be caught by a seed. */
enum sim_mutant {
    SIM_HEALTHY,
    SIM_NO_FENCE,        /* the store does not ask who writes */
    SIM_NO_EXPECTED,     /* the store does not compare versions */
    SIM_SMALLER_APPLIED, /* a proxy applies whatever comes */
    SIM_QUIET_LIE,       /* a proxy calls blue quiet at once */
    SIM_FORGETFUL,       /* checkpoints are lost: who was silent is not known any more */
    SIM_FAST_CLOCK,      /* the leaders' clocks run threefold */
    SIM_HOLDS_LOST,      /* a new leader does not see the holds */
    SIM_IN_FORCE_LIE,    /* a proxy confirms before it obeys */
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
    bool long_absence;         /* a proxy that died stays away for a minute or more */
    bool store_loss;           /* the store is restored from an older save */
    bool operators;            /* random verbs */
    bool green_fails;          /* from a random moment on, for a while */
    unsigned both_fail;        /* per mille of all responses, on either side alike */
    const char *plan;          /* NULL: the usual one */
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
    int64_t beat_at;
};

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
    char *document, *saved_document;
    struct xf_version saved_version;
    char saved_write_id[XF_UUID_TEXT_BYTES];
    struct sim_log *log;
    size_t log_count, log_capacity, saved_log_count;
    char *checkpoints[2]; /* progress, judge */
    struct xf_store_lease lease;
    int64_t down_until, written_at;
    unsigned lost_saves; /* how often the store was set back */

    int64_t step_entered_at, step_lost_ms;
    bool green_bad;
    unsigned revoked_seen; /* a receiver has begun to take sequence 2 of the present key */
    char revoked_key[XF_CUTOVER_ID_BYTES];
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

/* sim_store.c */
struct sim_store *sim_store_create(struct sim_leader *leader);
struct xf_store *sim_store_base(struct sim_store *store);
/* Every open call is answered with LOST; the store is freed when none is left under way. */
void sim_store_destroy(struct sim_store *store);
void sim_store_save(struct sim *sim);
void sim_store_restore(struct sim *sim);

/* sim_proxy.c */
void sim_proxy_begin(struct sim *sim, unsigned number);
void sim_proxy_receive(struct sim *sim, unsigned number, const struct xf_message_state *state);
void sim_proxy_tick(struct sim *sim, struct sim_proxy *proxy);
bool sim_proxy_in_force(const struct sim *sim, const struct sim_proxy *proxy);
unsigned sim_proxy_busy(const struct sim *sim, const struct sim_proxy *proxy);

/* sim_check.c: the invariants. */
void sim_check_write(struct sim *sim, const char *before, const struct xf_store_write *write);

#endif
