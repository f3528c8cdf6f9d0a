/*
 * parting.c -- see parting.h.
 *
 * MSG_DONTWAIT has the kernel answer at once; MSG_WAITALL has it take a short send for a failure,
 * so that the close behind it is not made; MSG_MORE lets the bytes leave with the close.  Should
 * an answer be missing all the same, its connection is lost, its descriptor may not be touched
 * any more, and nothing is put aside from then on.
 */
#include "proxy/transport/parting.h"

#include "proxy/transport/ring.h"
#include "proxy/transport/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define UNANSWERED INT32_MIN

struct place {
    struct xf_conn *conn;
    void *owner; /* NULL: forgotten */
    size_t length;
    int32_t sent, closed; /* as of send() and close(), an error negative */
    char bytes[XF_PARTING_BYTES];
};

struct xf_parting {
    struct xf_ring ring;
    bool spoiled; /* an answer is missing */
    bool running;
    unsigned count;
    struct place places[XF_PARTING_PLACES];
};

struct xf_parting *xf_parting_create(void)
{
    struct xf_parting *parting = calloc(1, sizeof(*parting));
    if (parting == NULL || !xf_ring_open(&parting->ring, 2 * XF_PARTING_PLACES)) {
        free(parting);
        return NULL;
    }
    return parting;
}

void xf_parting_destroy(struct xf_parting *parting)
{
    if (parting != NULL) {
        xf_ring_close(&parting->ring);
        free(parting);
    }
}

bool xf_parting_full(const struct xf_parting *parting)
{
    return parting->count == XF_PARTING_PLACES;
}

bool xf_parting_add(struct xf_parting *parting, struct xf_conn *conn, const char *bytes,
                    size_t length, void *owner)
{
    if (parting->spoiled || parting->running || xf_parting_full(parting) ||
        length > XF_PARTING_BYTES) {
        return false;
    }
    struct place *place = &parting->places[parting->count++];
    place->conn = conn;
    place->owner = owner;
    place->length = length;
    place->sent = UNANSWERED;
    place->closed = UNANSWERED;
    memcpy(place->bytes, bytes, length);
    return true;
}

void xf_parting_forget(struct xf_parting *parting, const void *owner)
{
    for (unsigned i = 0; i < parting->count; i++) {
        if (parting->places[i].owner == owner) {
            parting->places[i].owner = NULL;
        }
    }
}

static unsigned put_calls(struct xf_parting *parting)
{
    unsigned calls = 0;
    for (unsigned i = 0; i < parting->count; i++) {
        struct place *place = &parting->places[i];
        if (place->owner == NULL) {
            continue;
        }
        xf_ring_put(&parting->ring,
                    &(struct io_uring_sqe){
                        .opcode = IORING_OP_SEND,
                        .flags = IOSQE_IO_LINK,
                        .fd = xf_conn_fd(place->conn),
                        .addr = (uint64_t) (uintptr_t) place->bytes,
                        .len = (uint32_t) place->length,
                        .msg_flags = MSG_DONTWAIT | MSG_WAITALL | MSG_MORE | MSG_NOSIGNAL,
                        .user_data = 2 * i,
                    });
        xf_ring_put(&parting->ring, &(struct io_uring_sqe){
                                        .opcode = IORING_OP_CLOSE,
                                        .fd = xf_conn_fd(place->conn),
                                        .user_data = 2 * i + 1,
                                    });
        calls += 2;
    }
    return calls;
}

static void take_answers(struct xf_parting *parting)
{
    uint64_t call;
    int32_t result;
    while (xf_ring_answer(&parting->ring, &call, &result)) {
        if (call < 2 * (uint64_t) parting->count) {
            struct place *place = &parting->places[call / 2];
            *(call % 2 == 0 ? &place->sent : &place->closed) = result;
        }
    }
}

/* What the owner is told; `begun`: the kernel began with the send, with the close. */
static ssize_t result_of(struct xf_parting *parting, const struct place *place, unsigned begun)
{
    if ((begun > 0 && place->sent == UNANSWERED) || (begun > 1 && place->closed == UNANSWERED)) {
        parting->spoiled = true;
        xf_conn_forget_fd(place->conn);
        return XF_CONN_ERROR;
    }
    if (begun > 1 && place->closed == 0) {
        xf_conn_forget_fd(place->conn);
        return place->sent == (int32_t) place->length ? place->sent : XF_CONN_ERROR;
    }
    bool nothing = begun == 0 || place->sent == -EAGAIN || place->sent == -ENOBUFS ||
                   place->sent == -EINTR || place->sent == -ENOMEM || place->sent == -ECANCELED;
    return nothing ? 0 : place->sent < 0 ? XF_CONN_ERROR : place->sent;
}

void xf_parting_run(struct xf_parting *parting, xf_parted *parted)
{
    if (parting == NULL || parting->count == 0) {
        return;
    }
    unsigned calls = put_calls(parting);
    unsigned made = calls > 0 ? xf_ring_make(&parting->ring, calls, true) : 0;
    take_answers(parting);
    parting->running = true;
    for (unsigned i = 0; i < parting->count; i++) {
        struct place *place = &parting->places[i];
        if (place->owner == NULL) {
            continue;
        }
        unsigned begun = made < 2 ? made : 2;
        made -= begun;
        ssize_t sent = result_of(parting, place, begun);
        parted(place->owner, sent, place->bytes, place->length);
    }
    parting->running = false;
    parting->count = 0;
}
