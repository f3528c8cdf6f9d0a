/*
 * gather.c -- see gather.h.
 *
 * The ring is used as a list of calls to make and nothing else: no operation may be left to the
 * kernel to finish later, because its place would be written to after it was given to another
 * connection.  MSG_DONTWAIT sees to that; should an answer be missing all the same, its connection
 * is lost and nothing is gathered any more.
 */
#include "proxy/transport/gather.h"

#include "proxy/transport/ring.h"
#include "proxy/transport/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define UNANSWERED INT32_MIN

struct xf_gathered {
    struct xf_gather *gather;
    struct xf_conn *conn; /* NULL: free, or given up */
    struct xf_gathered *next;
    int32_t result; /* as of recv(), an error negative */
    uint32_t at;
    char bytes[XF_GATHER_BYTES];
};

struct xf_gather {
    struct xf_ring ring;
    bool spoiled; /* an answer is missing: its place may yet be written to */
    unsigned asked_count;
    struct xf_gathered *asked[XF_GATHER_PLACES];
    struct xf_gathered *free;
    struct xf_gathered places[XF_GATHER_PLACES];
};

struct xf_gather *xf_gather_create(void)
{
    struct xf_gather *gather = calloc(1, sizeof(*gather));
    if (gather == NULL || !xf_ring_open(&gather->ring, XF_GATHER_PLACES)) {
        free(gather);
        return NULL;
    }
    for (unsigned i = 0; i < XF_GATHER_PLACES; i++) {
        gather->places[i].gather = gather;
        gather->places[i].next = gather->free;
        gather->free = &gather->places[i];
    }
    return gather;
}

void xf_gather_destroy(struct xf_gather *gather)
{
    if (gather != NULL) {
        xf_ring_close(&gather->ring);
        free(gather);
    }
}

void xf_gather_ask(struct xf_gather *gather, struct xf_conn *conn)
{
    struct xf_gathered *place = gather->free;
    if (place == NULL || gather->spoiled || conn->gathered != NULL) {
        return;
    }
    gather->free = place->next;
    place->conn = conn;
    place->result = UNANSWERED;
    place->at = 0;
    conn->gathered = place;
    xf_ring_put(&gather->ring, &(struct io_uring_sqe){
                                   .opcode = IORING_OP_RECV,
                                   .fd = xf_conn_fd(conn),
                                   .addr = (uint64_t) (uintptr_t) place->bytes,
                                   .len = XF_GATHER_BYTES,
                                   .msg_flags = MSG_DONTWAIT,
                                   .user_data = gather->asked_count,
                               });
    gather->asked[gather->asked_count++] = place;
}

static void give_back(struct xf_gathered *place)
{
    struct xf_gather *gather = place->gather;
    if (place->conn != NULL) {
        place->conn->gathered = NULL;
        place->conn = NULL;
    }
    place->next = gather->free;
    gather->free = place;
}

/* Whether the connection's own read would say the same again, so that nothing need be kept. */
static bool says_nothing(int32_t result)
{
    return result == -EAGAIN || result == -EINTR || result == -EINVAL || result == -ENOMEM ||
           result == -ECANCELED || result == -EOPNOTSUPP;
}

static void take_answers(struct xf_gather *gather)
{
    uint64_t call;
    int32_t result;
    while (xf_ring_answer(&gather->ring, &call, &result)) {
        if (call < gather->asked_count) {
            gather->asked[call]->result = result;
        }
    }
}

void xf_gather_read(struct xf_gather *gather)
{
    if (gather->asked_count == 0) {
        return;
    }
    unsigned count = xf_ring_make(&gather->ring, gather->asked_count, false);
    take_answers(gather);
    for (unsigned i = 0; i < gather->asked_count; i++) {
        struct xf_gathered *place = gather->asked[i];
        if (place->result == UNANSWERED && i < count) {
            gather->spoiled = true;   /* the place is never used again */
            place->conn->lost = true; /* what came may yet be read into it */
            place->conn->gathered = NULL;
            place->conn = NULL;
        } else if (place->result == UNANSWERED || says_nothing(place->result)) {
            place->conn->readable &= place->result != -EAGAIN;
            give_back(place);
        }
    }
    gather->asked_count = 0;
}

ssize_t xf_gathered_take(struct xf_conn *conn, void *bytes, size_t size, bool *ret_more)
{
    struct xf_gathered *place = conn->gathered;
    *ret_more = false;
    if (place->result <= 0) {
        ssize_t result = place->result == 0 ? 0 : XF_CONN_ERROR;
        give_back(place);
        return result;
    }
    size_t rest = (size_t) place->result - place->at;
    size_t taken = rest < size ? rest : size;
    memcpy(bytes, place->bytes + place->at, taken);
    place->at += (uint32_t) taken;
    if (taken == rest) {
        *ret_more = place->result == XF_GATHER_BYTES;
        give_back(place);
    }
    return (ssize_t) taken;
}

void xf_gathered_drop(struct xf_conn *conn)
{
    if (conn->gathered != NULL) {
        give_back(conn->gathered);
    }
}
