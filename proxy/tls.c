/*
 * tls.c -- see tls.h.
 */
#include "proxy/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD_BYTES_MAX (16384u + 512u) /* of one record with its frame */
#define IN_BYTES         65536u          /* read from the socket in one go */
#define BATCH_BYTES      49152u          /* encrypted in one go: three records */
#define OUT_BYTES        131072u         /* a batch, or a handshake with a long chain */
#define SILENT_BYTES_MAX 262144u         /* taken at once without a byte for the reader */

struct xf_tls_worker {
    struct xf_tls_contexts *contexts;
    struct xf_slab *slab;
    struct xf_stats_header *stats;
    BIO_METHOD *method;
    size_t in_at, in_end, out_length; /* of the session that is being worked on */
    char in[IN_BYTES], out[OUT_BYTES];
};

struct xf_tls {
    struct xf_tls_worker *worker;
    SSL *ssl;
    struct xf_buffer *kept;   /* ciphertext that was read and not yet wanted */
    struct xf_buffer *unsent; /* ciphertext that did not fit into the socket */
    size_t owed;              /* of the next bytes to send so many are in `unsent` already */
    bool counted;             /* the handshake is over */
    bool failed;              /* nothing more may be done with it */
    bool finished;            /* close_notify was sent */
};

/* ---- OpenSSL's side: memory ---- */

static int take_in(BIO *bio, char *bytes, size_t size, size_t *ret)
{
    struct xf_tls_worker *worker = BIO_get_data(bio);
    size_t rest = worker->in_end - worker->in_at;
    BIO_clear_retry_flags(bio);
    if (rest == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *ret = rest < size ? rest : size;
    memcpy(bytes, worker->in + worker->in_at, *ret);
    worker->in_at += *ret;
    return 1;
}

static int put_out(BIO *bio, const char *bytes, size_t size, size_t *ret)
{
    struct xf_tls_worker *worker = BIO_get_data(bio);
    size_t room = OUT_BYTES - worker->out_length;
    BIO_clear_retry_flags(bio);
    if (room == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    *ret = room < size ? room : size;
    memcpy(worker->out + worker->out_length, bytes, *ret);
    worker->out_length += *ret;
    return 1;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void) bio;
    (void) number;
    (void) pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* ---- the worker's part ---- */

struct xf_tls_worker *xf_tls_worker_create(struct xf_tls_contexts *contexts, struct xf_slab *slab,
                                           struct xf_stats_header *stats)
{
    struct xf_tls_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return NULL;
    }
    worker->contexts = contexts;
    worker->slab = slab;
    worker->stats = stats;
    worker->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "crossfade");
    if (worker->method == NULL || BIO_meth_set_read_ex(worker->method, take_in) != 1 ||
        BIO_meth_set_write_ex(worker->method, put_out) != 1 ||
        BIO_meth_set_ctrl(worker->method, control) != 1) {
        xf_tls_worker_destroy(worker);
        return NULL;
    }
    return worker;
}

void xf_tls_worker_destroy(struct xf_tls_worker *worker)
{
    if (worker != NULL) {
        BIO_meth_free(worker->method);
        free(worker);
    }
}

bool xf_tls_open(struct xf_tls_worker *worker, unsigned listener, struct xf_conn *conn)
{
    struct xf_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return false;
    }
    tls->worker = worker;
    tls->ssl = SSL_new(worker->contexts->of[listener]);
    BIO *bio = tls->ssl != NULL ? BIO_new(worker->method) : NULL;
    if (bio == NULL) {
        SSL_free(tls->ssl);
        free(tls);
        return false;
    }
    BIO_set_data(bio, worker);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
    conn->tls = tls;
    return true;
}

void xf_tls_drop(struct xf_conn *conn)
{
    struct xf_tls *tls = conn->tls;
    conn->tls = NULL;
    SSL_free(tls->ssl);
    xf_slab_put(tls->worker->slab, tls->kept);
    xf_slab_put(tls->worker->slab, tls->unsent);
    free(tls);
}

bool xf_tls_young(const struct xf_conn *conn)
{
    return !conn->tls->counted;
}

/* ---- sending ---- */

/* Adds to what waits for the socket. */
static bool keep_unsent(struct xf_tls *tls, const char *bytes, size_t length)
{
    uint32_t before = xf_buffer_length(tls->unsent);
    if (length == 0) {
        return true;
    }
    if (before + length > OUT_BYTES) {
        return false; /* it makes us speak and does not listen */
    }
    struct xf_buffer *larger = xf_slab_get(tls->worker->slab, before + length);
    if (larger == NULL) {
        return false;
    }
    if (before > 0) {
        memcpy(larger->bytes, tls->unsent->bytes + tls->unsent->start, before);
    }
    memcpy(larger->bytes + before, bytes, length);
    larger->end = before + (uint32_t) length;
    xf_slab_put(tls->worker->slab, tls->unsent);
    tls->unsent = larger;
    return true;
}

static bool push_unsent(struct xf_conn *conn, int flags)
{
    struct xf_tls *tls = conn->tls;
    struct xf_buffer *unsent = tls->unsent;
    if (unsent == NULL) {
        return true;
    }
    ssize_t sent =
        xf_conn_send_raw(conn, unsent->bytes + unsent->start, xf_buffer_length(unsent), flags);
    if (sent < 0) {
        tls->failed = true;
        return false;
    }
    unsent->start += (uint32_t) sent;
    if (unsent->start == unsent->end) {
        xf_slab_put(tls->worker->slab, unsent);
        tls->unsent = NULL;
    }
    return true;
}

/* Sends what OpenSSL made, behind what already waits. */
static bool push_out(struct xf_conn *conn, int flags)
{
    struct xf_tls *tls = conn->tls;
    struct xf_tls_worker *worker = tls->worker;
    ssize_t sent = 0;
    if (tls->unsent == NULL && worker->out_length > 0) {
        sent = xf_conn_send_raw(conn, worker->out, worker->out_length, flags);
    }
    bool good =
        sent >= 0 && keep_unsent(tls, worker->out + sent, worker->out_length - (size_t) sent);
    worker->out_length = 0;
    tls->failed |= !good;
    return good;
}

bool xf_tls_flush(struct xf_conn *conn)
{
    return !conn->tls->failed && push_unsent(conn, 0);
}

static bool encrypt(struct xf_tls *tls, const char *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        size_t taken = 0;
        ERR_clear_error();
        if (SSL_write_ex(tls->ssl, bytes + done, length - done, &taken) != 1) {
            tls->failed = true;
            return false;
        }
        done += taken;
    }
    return true;
}

ssize_t xf_tls_send(struct xf_conn *conn, const void *bytes, size_t size, int flags)
{
    struct xf_tls *tls = conn->tls;
    if (tls->failed || !push_unsent(conn, flags)) {
        return XF_CONN_ERROR;
    }
    if (tls->unsent != NULL) {
        return 0;
    }
    size_t done = tls->owed < size ? tls->owed : size;
    tls->owed -= done;
    tls->worker->out_length = 0;
    while (done < size) {
        size_t batch = size - done < BATCH_BYTES ? size - done : BATCH_BYTES;
        bool last = done + batch == size;
        if (!encrypt(tls, (const char *) bytes + done, batch) ||
            !push_out(conn, last ? flags : flags | MSG_MORE)) {
            return XF_CONN_ERROR;
        }
        if (tls->unsent != NULL) { /* the caller brings these bytes again: then they are skipped */
            tls->owed = batch;
            break;
        }
        done += batch;
    }
    return (ssize_t) done;
}

void xf_tls_finish(struct xf_conn *conn)
{
    struct xf_tls *tls = conn->tls;
    if (tls->failed || tls->finished || !tls->counted || tls->unsent != NULL || tls->owed > 0) {
        return;
    }
    tls->finished = true;
    tls->worker->out_length = 0;
    ERR_clear_error();
    (void) SSL_shutdown(tls->ssl);
    (void) push_out(conn, 0);
}

/* ---- receiving ---- */

enum ending {
    GOES_ON,
    FULL,  /* the reader's memory is */
    ENDED, /* in order, or by the end of the connection */
    LOST
};

static void count(struct xf_tls *tls)
{
    if (tls->counted || !SSL_is_init_finished(tls->ssl)) {
        return;
    }
    tls->counted = true;
    xf_count(&tls->worker->stats->tls_handshakes, 1);
    if (SSL_session_reused(tls->ssl)) {
        xf_count(&tls->worker->stats->tls_resumed, 1);
    }
}

/* Gives OpenSSL what is there, and what it says to the peer to the socket. */
static enum ending decrypt(struct xf_conn *conn, char *bytes, size_t size, size_t *got)
{
    struct xf_tls *tls = conn->tls;
    enum ending ending = GOES_ON;
    while (*got < size) {
        size_t length = 0;
        ERR_clear_error();
        if (SSL_read_ex(tls->ssl, bytes + *got, size - *got, &length) == 1) {
            *got += length;
            continue;
        }
        int error = SSL_get_error(tls->ssl, 0);
        if (error == SSL_ERROR_ZERO_RETURN) {
            ending = ENDED;
        } else if (error != SSL_ERROR_WANT_READ) {
            ending = LOST;
        }
        break;
    }
    count(tls);
    if (!push_out(conn, 0)) {
        ending = LOST;
    }
    return ending == GOES_ON && *got == size ? FULL : ending;
}

/* Reads from the socket into the worker's memory. */
static enum ending feed(struct xf_conn *conn, size_t size, bool *ret_last)
{
    struct xf_tls_worker *worker = conn->tls->worker;
    size_t want = size < RECORD_BYTES_MAX ? RECORD_BYTES_MAX : size;
    want = want < IN_BYTES ? want : IN_BYTES;
    ssize_t got = xf_conn_receive_raw(conn, worker->in, want);
    worker->in_at = 0;
    worker->in_end = got > 0 ? (size_t) got : 0;
    *ret_last = got < (ssize_t) want;
    return got == 0 ? ENDED : got == XF_CONN_ERROR ? LOST : GOES_ON;
}

static bool keep_input(struct xf_tls *tls)
{
    struct xf_tls_worker *worker = tls->worker;
    size_t rest = worker->in_end - worker->in_at;
    if (rest == 0) {
        return true;
    }
    tls->kept = xf_slab_get(worker->slab, rest);
    if (tls->kept == NULL) {
        return false;
    }
    memcpy(tls->kept->bytes, worker->in + worker->in_at, rest);
    tls->kept->end = (uint32_t) rest;
    return true;
}

static void take_kept(struct xf_tls *tls)
{
    struct xf_tls_worker *worker = tls->worker;
    worker->in_at = 0;
    worker->in_end = xf_buffer_length(tls->kept);
    worker->out_length = 0;
    if (tls->kept != NULL) {
        memcpy(worker->in, tls->kept->bytes, worker->in_end);
        xf_slab_put(worker->slab, tls->kept);
        tls->kept = NULL;
    }
}

ssize_t xf_tls_receive(struct xf_conn *conn, void *bytes, size_t size)
{
    struct xf_tls *tls = conn->tls;
    size_t got = 0, fed = 0;
    bool last = false;
    if (tls->failed) {
        return XF_CONN_ERROR;
    }
    take_kept(tls);
    enum ending ending = decrypt(conn, bytes, size, &got);
    /* Until there is something and the socket had no more: a reader that got less than it asked
     * for may take it that nothing is left. */
    while (ending == GOES_ON && conn->readable && !(last && got > 0)) {
        ending = feed(conn, size, &last);
        fed += tls->worker->in_end;
        if (ending == GOES_ON && tls->worker->in_end > 0) {
            ending = decrypt(conn, bytes, size, &got);
        }
        if (got == 0 && fed > SILENT_BYTES_MAX) {
            ending = LOST;
        }
    }
    if (ending == FULL && !keep_input(tls)) {
        ending = LOST;
    }
    tls->failed |= ending == LOST;
    conn->hung_up |= ending == ENDED || ending == LOST;
    if (got > 0) {
        return (ssize_t) got;
    }
    return ending == ENDED ? 0 : ending == LOST ? XF_CONN_ERROR : XF_CONN_AGAIN;
}
