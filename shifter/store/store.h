/*
 * store.h -- where a service's control state lives: SQLite on one host, Redis for a fleet.
 *
 * The interface of DESIGN.md section 8.  Every call is answered later, from the loop, through its
 * callback: exactly once, also when the store is lost or closed.  The rules of a write are those of
 * the write script, in its order, for both stores; tests/unit/shifter/test_store.c is the contract.
 */
#ifndef XF_SHIFTER_STORE_H
#define XF_SHIFTER_STORE_H

#include "config/base/clock.h"
#include "config/base/error.h"
#include "config/base/text.h"
#include "config/base/version.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

enum xf_store_result {
    XF_STORE_OK,
    XF_STORE_ALREADY, /* my write_id stands in the log at this id, the hash is there or beyond */
    XF_STORE_FENCED,  /* holder or epoch are another's */
    XF_STORE_EPOCH_BEHIND, /* the stored epoch is above mine */
    XF_STORE_STALE,        /* (generation, revision) is not what was expected */
    XF_STORE_LOG_AHEAD,    /* the log knows more than the hash */
    XF_STORE_LOG_BEHIND,
    XF_STORE_LOST,       /* no answer: it may or may not have happened; retry with the same id */
    XF_STORE_REFUSED,    /* the store said no: read-only, full, not permitted */
    XF_STORE_ABSENT,     /* nothing there (a read) */
    XF_STORE_ROSTER,     /* a proxy joined or left since the roster was read */
    XF_STORE_UNREADABLE, /* something is there, but not what crossfade wrote (recovery) */
};
const char *xf_store_result_name(enum xf_store_result result); /* `FENCED`, as in the script */

/* A service's decisions as stored. */
struct xf_store_state {
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    const char *document; /* JSON; valid during the callback */
};

struct xf_store_write {
    const char *service;
    const char *holder;         /* the leader's uuid */
    struct xf_version expected; /* generation and revision that must be stored; 0.0: none yet */
    struct xf_version next;     /* next.epoch is the writer's */
    const char *write_id;
    const char *document; /* JSON */
    const char *entry;    /* JSON: the log's entry (who, why, before, after); write_id
                             is kept beside it */
    bool restored;        /* recovery: log and hash may disagree; `next` must then be
                             beyond both, and what is unreadable counts as absent */
    const char *roster;   /* the roster's version that must stand; NULL: any; a fleet's store */
    bool durable;         /* OK only once a replica has it, where Redis has any, and it was
                             found there again; LOST until then */
};

struct xf_store_entry {
    uint64_t generation, revision;
    char write_id[XF_UUID_TEXT_BYTES];
    const char *entry; /* JSON */
};

struct xf_store_lease {
    char holder[XF_UUID_TEXT_BYTES]; /* empty: none */
    uint64_t epoch;
    uint64_t beat;
};

typedef void xf_store_done(void *context, enum xf_store_result result, const char *message);
typedef void xf_store_got_state(void *context, enum xf_store_result result,
                                const struct xf_store_state *state, const char *message);
typedef void xf_store_got_lease(void *context, enum xf_store_result result,
                                const struct xf_store_lease *lease, const char *message);
typedef void xf_store_got_log(void *context, enum xf_store_result result,
                              const struct xf_store_entry *entries, size_t count,
                              const char *message);
typedef void xf_store_got_text(void *context, enum xf_store_result result, const char *text,
                               const char *message);

struct xf_store;
struct xf_store_vtable {
    void (*read_state)(struct xf_store *, const char *service, xf_store_got_state *, void *);
    void (*write)(struct xf_store *, const struct xf_store_write *, xf_store_done *, void *);
    /* Entries after (generation, revision), oldest first, at most `count_max`. */
    void (*read_log)(struct xf_store *, const char *service, uint64_t generation, uint64_t revision,
                     size_t count_max, xf_store_got_log *, void *);
    /* The newest `count_max` entries, oldest first. */
    void (*read_log_tail)(struct xf_store *, const char *service, size_t count_max,
                          xf_store_got_log *, void *);
    /* Checkpoints `progress` and `judge`: fenced by holder and epoch, no generation, no log. */
    void (*write_checkpoint)(struct xf_store *, const char *service, const char *name,
                             const char *holder, uint64_t epoch, const char *text, xf_store_done *,
                             void *);
    void (*read_checkpoint)(struct xf_store *, const char *service, const char *name,
                            xf_store_got_text *, void *);
    /* The lease: compare-and-set on (holder, beat) as read; `next` is written.  STALE: it is not
     * as seen.  EPOCH_BEHIND: another holder needs a larger epoch than the stored one.  OK also
     * where `next` is stored already.  `next` without a holder gives the lease up. */
    void (*read_lease)(struct xf_store *, const char *service, xf_store_got_lease *, void *);
    void (*swap_lease)(struct xf_store *, const char *service, const struct xf_store_lease *seen,
                       const struct xf_store_lease *next, xf_store_done *, void *);
    /* A fleet's store (else NULL): who has joined, `{"version": …, "members": [[id, name] …]}`.
     * Without a roster, or where it is not ours, the version is `?`. */
    void (*read_roster)(struct xf_store *, const char *service, xf_store_got_text *, void *);
    /* A fleet's store (else NULL): takes a member that was forgotten out of the roster, and leaves
     * a mark for it to find there. */
    void (*forget_member)(struct xf_store *, const char *service, const char *holder,
                          uint64_t epoch, const char *id, xf_store_done *, void *);
    /* The store's wall clock in milliseconds, as text: the grid of the judge's cells. */
    void (*read_time)(struct xf_store *, xf_store_got_text *, void *);
    /* Publishes the signal's record where others can see it (`…:decommission`), re-checking
     * holder and epoch in the same step. */
    void (*write_signal)(struct xf_store *, const char *service, const char *holder, uint64_t epoch,
                         const char *record, xf_store_done *, void *);
    /* Before an attempt to deliver: OK only while holder and epoch are these (else FENCED) and
     * the record stands as written (else STALE). */
    void (*check_signal)(struct xf_store *, const char *service, const char *holder, uint64_t epoch,
                         const char *record, xf_store_done *, void *);
    void (*destroy)(struct xf_store *);
};
struct xf_store {
    const struct xf_store_vtable *calls;
    enum xf_store_kind kind;
    bool ok;             /* the last answer came; false while the store is away */
    int64_t ok_since_ms; /* CLOCK_BOOTTIME of the last change of `ok` */
    char scope[32];      /* `this host` or `fleet` */
    /* Of a server: asked at each connection. */
    unsigned probes;    /* how often what follows was found out */
    char denied[64];    /* a command that it does not permit; empty: none */
    char warnings[320]; /* what it cannot promise; empty: nothing */
    char away[192];     /* why a server did not answer, or what it refused with; empty: it does */
    bool journalled;    /* its logs are copied elsewhere: an entry stays until that is done */
    struct {
        char service[XF_NAME_BYTES];
        uint64_t generation; /* older ones are copied */
    } copied[XF_SERVICES_MAX];
    unsigned copied_count;
};

#define XF_STORE_ENTRY_BYTES_MAX (64u * 1024u) /* one entry of the log */
#define XF_STORE_LOG_DAYS        30            /* DESIGN.md section 8 */
#define XF_STORE_LOG_COUNT_MAX   1000u         /* entries of one read */

/* Opens `config->store` on `loop`.  SQLite: makes file and schema, takes the exclusive lock beside
 * the file (XF_E_UNREACHABLE, exit 7, when another holds it); a file that cannot be written is an
 * error that says so.  Redis: returns at once and connects from the loop. */
XF_NODISCARD int xf_store_open(const struct xf_config *config, struct event_base *loop,
                               const struct xf_clock *clock, struct xf_store **ret,
                               struct xf_error *err);
/* Of a log that is copied: entries of `generation` and later must stay. */
void xf_store_keep_from(struct xf_store *store, const char *service, uint64_t generation);
/* Accepts NULL.  What is open is answered from inside this call, with LOST where its answer is not
 * known.  Not to be called from inside a callback of this store. */
void xf_store_close(struct xf_store *store);

#endif
