/*
 * store_redis_request.h -- one call of the store of a fleet on its way; for store_redis*.c only.
 *
 * A call that cannot be sent, and one whose answer is lost, is answered LOST; an error of the
 * server REFUSED.  Both let `ok` fall, and a change that was made lets it rise again: reading
 * alone does not prove that the store takes writes.
 */
#ifndef XF_SHIFTER_STORE_REDIS_REQUEST_H
#define XF_SHIFTER_STORE_REDIS_REQUEST_H

#include "shifter/store/resp.h"
#include "shifter/store/store_answer.h"
#include "shifter/store/store_kinds.h"
#include "shifter/store/store_redis_reply.h"
#include "shifter/store/store_redis_script.h"

#define XF_REDIS_MAGIC          0x72656473u
#define XF_REDIS_ARGUMENTS_MAX  24u
#define XF_REDIS_ROLE_BEATS     5u   /* of a lease, between questions for the replicas */
#define XF_REDIS_SERVERS_MAX    64u  /* connections whose replicas are remembered */
#define XF_REDIS_ACKNOWLEDGE_MS 1000 /* for a replica to have what was written */

struct xf_redis_store {
    struct xf_store base; /* first: the interface hands it back */
    unsigned magic;
    const struct xf_config_store *config;
    const struct xf_clock *clock;
    struct xf_resp *resp;
    struct xf_resp *sure; /* a second connection, for what a replica must have: WAIT blocks it */
    struct xf_store_answers answers;
    char shas[XF_SCRIPTS][XF_SCRIPT_SHA_BYTES];
    struct xf_store_prune prune;
    bool refused;          /* the last change was refused by a server that answers */
    char probe_denied[64]; /* of the probe under way */
    int64_t probed_ms;
    struct {
        unsigned connection; /* of `sure` */
        int64_t ms;          /* boot time at which its server had a replica */
    } replica_seen[XF_REDIS_SERVERS_MAX];
    unsigned replica_seen_next;              /* the oldest */
    unsigned replicas;                       /* as told last */
    struct xf_redis_request *acknowledging;  /* whose WAIT is under way, linked by `next` */
    struct xf_redis_request *unacknowledged; /* who came meanwhile: the next WAIT is theirs */
};

/* One call under way. */
struct xf_redis_request {
    struct xf_redis_store *store;
    struct xf_store_answer *answer;
    enum xf_script_name script; /* XF_SCRIPTS: a read */
    bool changes;
    bool looks; /* then it is asked for replicas */
    /* What a read's answer comes to; NULL for a script. */
    enum xf_store_result (*read)(struct xf_redis_request *request, const redisReply *reply);
    bool newest_first; /* a log is read backwards */
    size_t entries_left;
    bool again; /* the read wants its changed arguments sent */
    size_t count;
    char *arguments[XF_REDIS_ARGUMENTS_MAX]; /* owned */
    bool failed;                             /* out of memory */
    uint64_t generation;                     /* of a write; 0: none */
    char *signal[5];     /* owned: keys and arguments of what is still to be done */
    bool durable;        /* of a write: only what a replica has, and is found again, has happened */
    bool sure;           /* it goes over the second connection */
    bool waits;          /* with `again`: what comes next is a replica's acknowledgement */
    unsigned connection; /* of `sure`: what comes next concerns what was written over it; 0: any */
    struct xf_redis_request *next;
};

struct xf_redis_store *xf_redis_store_of(struct xf_store *base);
/* `ok` follows from the connection and from what was refused last. */
void xf_redis_note_ok(struct xf_redis_store *store);

/* NULL: out of memory, and the asker knows. */
struct xf_redis_request *xf_redis_request_new(struct xf_redis_store *store,
                                              const struct xf_store_asker *asker);
void xf_redis_add(struct xf_redis_request *request, const char *text);
void xf_redis_add_number(struct xf_redis_request *request, uint64_t number);
void xf_redis_add_key(struct xf_redis_request *request, const char *service, const char *name);
/* Begins an EVALSHA of `script` with `keys` keys, which come next. */
void xf_redis_add_script(struct xf_redis_request *request, enum xf_script_name script,
                         unsigned keys, bool changes);
void xf_redis_drop_arguments(struct xf_redis_request *request);
/* The answer to what was sent, NULL where it will not come: the request ends or goes on. */
void xf_redis_request_answered(struct xf_redis_request *request, const redisReply *reply,
                               const char *why);
/* A script over the lease and one key, with holder, epoch and a text.  NULL: it has ended. */
struct xf_redis_request *xf_redis_start_fenced(struct xf_store *base, enum xf_script_name script,
                                               const char *service, const char *key,
                                               const char *holder, uint64_t epoch, const char *text,
                                               xf_store_done *callback, void *context);
/* Both take the request: it ends, now or when it is answered. */
void xf_redis_request_send(struct xf_redis_request *request);
void xf_redis_request_end(struct xf_redis_request *request, enum xf_store_result result,
                          const char *message);

/* In store_redis_probe.c: what the server can do and this user may, said in store->base. */
void xf_redis_probe(struct xf_redis_store *store);
void xf_redis_probe_again(struct xf_redis_store *store); /* where the last was a while ago */
/* In store_redis_signal.c. */
/* Remembers whether the server that has `key` has replicas, for the day on which it has none. */
void xf_redis_look_for_replicas(struct xf_redis_store *store, const char *key);
/* Takes the request: it is answered by a WAIT that serves all that came before it. */
void xf_redis_acknowledge(struct xf_redis_request *request);
/* A write happened: goes on until it is acknowledged and was read again. */
void xf_redis_make_sure(struct xf_redis_request *request);
void xf_redis_write_signal(struct xf_store *base, const char *service, const char *holder,
                           uint64_t epoch, const char *record, xf_store_done *callback,
                           void *context);

#endif
