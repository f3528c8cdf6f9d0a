/*
 * exchange.h -- one request and its answer, from a complete head to the last byte.
 *
 * Belongs to one worker; exists only while a request is served.  Its states and their arrows are
 * in exchange_state.h; what happens in them is split by direction:
 *
 *     exchange.c          the pump, deadlines, the end and its accounting
 *     exchange_begin.c    what a request must pass before it is sent anywhere
 *     exchange_choose.c   cluster and server; rescue and fallback
 *     exchange_queue.c    where requests are capped: who waits, who is next
 *     exchange_request.c  client --> server
 *     exchange_answer.c   server --> client
 *     exchange_ahead.c    how far the server is read ahead of the client
 *     exchange_parting.c  the answer that is the connection's last, together with others
 *     exchange_fail.c     what is tried again, what the client is told, who is charged
 *     exchange_tunnel.c   after a 101
 *     exchange_log.c      the access log
 *
 * Back-pressure: a side is read only while nothing read before waits to be sent, so an exchange
 * holds at most one read's worth in each direction.
 */
#ifndef XF_PROXY_EXCHANGE_H
#define XF_PROXY_EXCHANGE_H

#include "proxy/http/body.h"
#include "proxy/board/cells.h"
#include "proxy/worker/client.h"
#include "proxy/worker/exchange_state.h"
#include "proxy/http/fields.h"
#include "proxy/worker/sticky.h"
#include "proxy/worker/upstream.h"
#include "proxy/http/websocket.h"

#define XF_EXCHANGE_TRIES 3u /* connections tried for one request and cluster */

/* Where the request goes and by which record; copied, so that no pointer outlives the turn. */
struct xf_choice {
    uint64_t word;
    uint64_t tau_us;
    uint32_t record_flags;
    uint32_t attempt, step;
    uint16_t cluster;
    uint8_t role;  /* enum xf_role */
    uint8_t why;   /* enum xf_why */
    bool counted;  /* in flight on its cluster */
    bool admitted; /* past the cluster's cap */
    uint64_t bad_statuses[10];
};

enum xf_failure {
    XF_FAILURE_CONNECT,   /* no connection */
    XF_FAILURE_CLOSED,    /* closed or reset before any byte of an answer */
    XF_FAILURE_MALFORMED, /* an answer that breaks the rules */
    XF_FAILURE_TIMEOUT,   /* too slow, before or in the answer */
    XF_FAILURE_TRUNCATED, /* closed in the middle of the answer */
};

enum xf_ending { /* how it ended, for the access log */
                 XF_ENDING_DONE,
                 XF_ENDING_CLIENT, /* the client hung up: 499 */
                 XF_ENDING_SERVER, /* truncated */
                 XF_ENDING_OWN,    /* answered by the proxy */
                 XF_ENDING_CUT,    /* a limit or a drain cut it */
};

struct xf_exchange {
    struct xf_engine *engine;
    struct xf_client *client;
    struct xf_upstream *upstream;
    struct xf_list link;   /* swept_exchanges */
    struct xf_list queued; /* in its cluster's queue */
    uint64_t place;        /* in the order of those who came to that queue */
    bool woken;            /* it was first in the queue: it keeps its place */
    bool called;           /* it is about to go on, before anybody who comes later */
    uint8_t state;         /* enum xf_exchange_state */
    uint8_t service;

    /* The request. */
    uint8_t method; /* enum xf_http_method */
    uint8_t minor;
    bool keep_alive;     /* the client's wish */
    bool expects;        /* a 100 is owed before the body */
    uint8_t upgrade;     /* the configured protocol asked for, counted from 1; 0: none */
    bool upgrade_sought; /* asked for any: what it sent early is no request */
    bool request_moved;  /* some of the request was sent since the last look at deadlines */
    bool replayable;     /* all that was sent is still in `request` */
    bool written;        /* something was written on the present connection */
    bool upload_blocked; /* the server was once slower than the client */
    bool upload_dropped; /* the server takes no more: the rest of the body is thrown away */
    struct xf_body upload;
    struct xf_buffer *request; /* start: the next byte to send; kept for a repetition */

    /* The answer. */
    bool head_sent;      /* something of the final answer went to the client */
    bool persist;        /* the client's connection goes on afterwards */
    bool ends_with_this; /* what is sent now is the last before the connection's end */
    bool parting;        /* the whole answer is put aside until the turn's end */
    bool rechunk;        /* chunked towards the client */
    bool reusable;       /* the server's connection may go back to the pool */
    bool blocked;        /* the client was once slower than the server */
    bool drained;        /* the last read from the server was short */
    bool last;           /* the answer's last byte was read */
    bool tunnel_counted;
    bool websocket; /* the tunnel carries WebSocket frames */
    bool closing;   /* a drain ends the tunnel at the next place between two frames */
    struct xf_websocket frames;
    bool client_ended, server_ended; /* in a tunnel: that side sends no more */
    bool charged;                    /* an error was counted against the present cluster */
    uint8_t ending;                  /* enum xf_ending */
    uint16_t interims;               /* 1xx heads that came on the present connection */
    uint16_t status;                 /* what the client saw; 0: nothing yet */
    struct xf_body download;
    uint64_t limited_from;    /* bytes_out when the client was limited; 0: before this exchange */
    struct xf_buffer *answer; /* what the client has not taken */

    /* The choice. */
    struct xf_choice choice;
    int32_t server; /* over all clusters; -1: none */
    uint32_t tried[XF_EXCHANGE_TRIES];
    uint8_t tries;
    uint8_t failure; /* enum xf_failure: the last one */
    bool no_pool;    /* a pooled connection failed: take a new one */
    bool rescued;
    bool no_route;   /* this answer is counted as such */
    bool cookie_new; /* the client gets a cookie with cookie_id */
    char cookie_id[XF_STICKY_ID_BYTES];

    /* Time. */
    struct xf_deadline client_deadline, server_deadline, total_deadline;
    uint8_t client_deadline_kind, server_deadline_kind;
    uint64_t begun_us, dispatched_us, connected_us, first_byte_us;
    uint64_t body_since_ms, body_waited_ms; /* the client was waited for (limits.body_rate) */
    uint64_t bytes_in, bytes_out;
    struct xf_address source; /* the client, or whom trusted proxies say they speak for */
    struct xf_judging judging;
    struct xf_buffer *line; /* what the access log needs of the head; NULL: no log */
    uint32_t retries;
};

/* Begins with a request whose head stands complete in bytes[0, length); takes what belongs to it
 * and leaves the rest in client->in.  The client's exchange is set, or already over. */
/* `all`: the read that brought it was short. */
void xf_exchange_begin(struct xf_client *client, char *bytes, size_t length, bool all,
                       const struct xf_http_request *request);

/* Moves what can be moved.  The exchange may be over afterwards. */
void xf_exchange_pump(struct xf_exchange *exchange);

/* What the loop reports, already noted in the connection. */
void xf_exchange_client_event(struct xf_exchange *exchange, short what);
void xf_exchange_server_event(struct xf_exchange *exchange, short what);
void xf_exchange_connected(struct xf_exchange *exchange, bool success);
void xf_exchange_expired(struct xf_exchange *exchange, enum xf_deadline_kind kind);
void xf_exchange_cut(struct xf_exchange *exchange); /* at once: shutdown's limit, a drain's */

/* ---- between the exchange_*.c files ---- */

enum xf_step { XF_STEP_IDLE, XF_STEP_MOVED, XF_STEP_GONE /* the exchange is over */ };

void xf_exchange_enter(struct xf_exchange *exchange, enum xf_exchange_event on);

/* exchange.c */
/* Everything is counted and given back; the caller decides what becomes of the client. */
void xf_exchange_release(struct xf_exchange *exchange);
/* Ends it, and the client goes on if `persist`. */
void xf_exchange_end(struct xf_exchange *exchange, bool persist);
void xf_exchange_client_lost(struct xf_exchange *exchange); /* hung up: 499; the exchange is over */
/* Ends an answer that has begun so that the client sees that it is not whole (RFC 9112 8): what it
 * was sent arrives where the end says so, else a reset tells it. */
void xf_exchange_break_off(struct xf_exchange *exchange, enum xf_ending ending);
void xf_exchange_attach(struct xf_exchange *exchange, struct xf_upstream *upstream);
void xf_exchange_detach(struct xf_exchange *exchange, bool reusable);
/* Ends it with an answer of the proxy's own. */
void xf_exchange_answer_self(struct xf_exchange *exchange, unsigned status, const char *text);

/* exchange_choose.c */
/* Reads the route and chooses a cluster; false: the board holds no route for the service. */
bool xf_exchange_choose(struct xf_exchange *exchange, const struct xf_sticky_key *key);
/* The cluster that a guarded override names; false: not now, or not that one. */
bool xf_exchange_override(struct xf_exchange *exchange, struct xf_piece named);
/* Finds a server and a connection.  False: the exchange is over. */
XF_NODISCARD bool xf_exchange_try(struct xf_exchange *exchange);
/* Moves a failed request to the other cluster where the route of this moment lets it.  True: it
 * is on its way again from CHOOSING; call try. */
XF_NODISCARD bool xf_exchange_rescue(struct xf_exchange *exchange);
XF_NODISCARD bool xf_exchange_fall_back(struct xf_exchange *exchange);
/* Moves the rescue cap's window on to `second`; slots that are passed begin at 0. */
void xf_service_second(struct xf_engine_service *service, uint64_t second);
void xf_exchange_uncount(struct xf_exchange *exchange); /* no longer in flight on its cluster */

/* exchange_queue.c */
/* Lets the request past its cluster's cap; false: it is reached, or others wait already. */
XF_NODISCARD bool xf_exchange_admit(struct xf_exchange *exchange);
/* Puts it in the queue of its cluster; false: the exchange is over, or on its way elsewhere. */
XF_NODISCARD bool xf_exchange_enqueue(struct xf_exchange *exchange);
/* It has waited for `timeouts.queue`; false: the exchange is over. */
XF_NODISCARD bool xf_exchange_waited_enough(struct xf_exchange *exchange);
/* It leaves the queue, or gives back what it was let past. */
void xf_exchange_leave(struct xf_exchange *exchange);
/* A request of `cluster` has made room: the next in the queue goes on in the next turn. */
void xf_cluster_wake(struct xf_engine *engine, unsigned cluster);

/* exchange_request.c */
enum xf_step xf_exchange_push_request(struct xf_exchange *exchange);
enum xf_step xf_exchange_pull_request(struct xf_exchange *exchange);
static inline uint32_t xf_exchange_unsent(const struct xf_exchange *exchange)
{
    return xf_buffer_length(exchange->request);
}

/* exchange_answer.c */
enum xf_step xf_exchange_push_answer(struct xf_exchange *exchange);
enum xf_step xf_exchange_pull_answer(struct xf_exchange *exchange);
/* Sends what fits and keeps the rest; false: the client is lost or memory is out. */
XF_NODISCARD bool xf_exchange_to_client(struct xf_exchange *exchange, const char *bytes,
                                        size_t length);

/* exchange_ahead.c */
#define XF_LARGE_LENGTH_BYTES (1u << 20)
#define XF_LARGE_SENT_BYTES   (1u << 18) /* of unknown length: a server may be far ahead by then */
/* Limits what the kernel holds of a large answer, or frees it where the client has proved that it
 * reads.  Call it where the answer is large: */
void xf_exchange_limit_ahead(struct xf_exchange *exchange);
static inline bool xf_exchange_is_large(const struct xf_exchange *exchange)
{
    const struct xf_body *body = &exchange->download;
    return exchange->state == XF_EXCHANGE_ANSWERING &&
           (body->framing == XF_FRAMING_LENGTH
                ? exchange->bytes_out + body->left > XF_LARGE_LENGTH_BYTES
                : exchange->bytes_out > XF_LARGE_SENT_BYTES);
}

/* exchange_parting.c */
/* Puts a whole answer aside, behind which the connection ends; false: send it. */
XF_NODISCARD bool xf_exchange_part(struct xf_exchange *exchange, const char *bytes, size_t length);
/* Sends what was put aside: before the loop sleeps, and before any time limit is looked at. */
void xf_exchange_part_all(struct xf_engine *engine);

/* exchange_fail.c: false: the exchange is over. */
XF_NODISCARD bool xf_exchange_failed(struct xf_exchange *exchange, enum xf_failure failure);
/* No server is left to try. */
XF_NODISCARD bool xf_exchange_gave_up(struct xf_exchange *exchange);
/* Its cluster has no room for it. */
XF_NODISCARD bool xf_exchange_no_room(struct xf_exchange *exchange, const char *text);
void xf_exchange_charge(struct xf_exchange *exchange, enum xf_error_kind kind);

/* exchange_log.c */
void xf_exchange_log_begin(struct xf_exchange *exchange, const char *bytes,
                           const struct xf_http_request *request);
void xf_exchange_log_end(struct xf_exchange *exchange);
/* A line for a head that was refused before there was an exchange; bytes[0, length) is what came
 * of it. */
void xf_exchange_log_refused(const struct xf_client *client, const char *bytes, size_t length,
                             unsigned status, const char *reason);

/* exchange.c: tells the judge how the first attempt ended; later calls do nothing. */
void xf_exchange_judge(struct xf_exchange *exchange, enum xf_judged_outcome outcome);

/* exchange_tunnel.c */
/* Whether a 101 may open a tunnel here. */
bool xf_exchange_switches(const struct xf_exchange *exchange, const char *bytes,
                          const struct xf_http_response *response);
/* Passes the 101 on; bytes[0, length) begins with its head. */
enum xf_step xf_exchange_switch(struct xf_exchange *exchange, char *bytes, size_t length,
                                const struct xf_http_response *response);
enum xf_step xf_exchange_tunnel(struct xf_exchange *exchange);
/* Ends a tunnel for a drain: a WebSocket with 1001 between two frames, another one at once. */
void xf_exchange_close_tunnel(struct xf_exchange *exchange);

#endif
