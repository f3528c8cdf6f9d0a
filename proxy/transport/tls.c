/*
 * tls.c -- see tls.h.
 */
#include "proxy/transport/tls.h"

#include "proxy/transport/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD_BYTES_MAX  (16384u + 512u) /* of one record with its frame */
#define BATCH_BYTES       49152u          /* encrypted in one go: three records */
#define SILENT_BYTES_MAX  262144u         /* taken at once without a byte for the reader */
#define PATIENT_BYTES_MAX 4096u           /* of a ticket that waits for an answer to leave with */

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
    size_t room = XF_TLS_OUT_BYTES - worker->out_length;
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
        BIO_meth_set_ctrl(worker->method, control) != 1 || !xf_tls_sessions_init(worker)) {
        xf_tls_worker_destroy(worker);
        return NULL;
    }
    return worker;
}

void xf_tls_worker_destroy(struct xf_tls_worker *worker)
{
    if (worker != NULL) {
        xf_tls_sessions_release(worker);
        BIO_meth_free(worker->method);
        free(worker);
    }
}

struct xf_tls *xf_tls_begin(struct xf_tls_worker *worker, SSL_CTX *context)
{
    struct xf_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return NULL;
    }
    tls->worker = worker;
    tls->ssl = SSL_new(context);
    BIO *bio = tls->ssl != NULL ? BIO_new(worker->method) : NULL;
    if (bio == NULL) {
        SSL_free(tls->ssl);
        free(tls);
        return NULL;
    }
    BIO_set_data(bio, worker);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    return tls;
}

bool xf_tls_open(struct xf_tls_worker *worker, unsigned listener, struct xf_conn *conn)
{
    conn->tls = xf_tls_begin(worker, worker->contexts->of[listener]);
    if (conn->tls == NULL) {
        return false;
    }
    SSL_set_accept_state(conn->tls->ssl);
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

bool xf_tls_hungry(const struct xf_conn *conn)
{
    return conn->tls->kept == NULL && !conn->tls->failed;
}

bool xf_tls_young(const struct xf_conn *conn)
{
    return !conn->tls->counted;
}

/* ---- sending ---- */

/* A ticket that is made while a request is there already leaves with the answer: alone it would
 * be a send, a segment and a wake-up of the client for nothing. */
static bool hold_back(struct xf_tls *tls)
{
    struct xf_tls_worker *worker = tls->worker;
    if (tls->unsent != NULL || worker->out_length > PATIENT_BYTES_MAX) {
        return false;
    }
    tls->unsent = xf_slab_get(worker->slab, worker->out_length);
    if (tls->unsent == NULL) {
        return false;
    }
    memcpy(tls->unsent->bytes, worker->out, worker->out_length);
    tls->unsent->end = (uint32_t) worker->out_length;
    tls->patient = true;
    worker->out_length = 0;
    return true;
}

/* What was held back goes before what is made next. */
static void begin_out(struct xf_tls *tls)
{
    struct xf_tls_worker *worker = tls->worker;
    worker->out_length = 0;
    if (tls->patient) {
        worker->out_length = xf_buffer_length(tls->unsent);
        memcpy(worker->out, tls->unsent->bytes, worker->out_length);
        xf_slab_put(worker->slab, tls->unsent);
        tls->unsent = NULL;
        tls->patient = false;
    }
}

/* Adds to what waits for the socket. */
static bool keep_unsent(struct xf_tls *tls, const char *bytes, size_t length)
{
    uint32_t before = xf_buffer_length(tls->unsent);
    if (length == 0) {
        return true;
    }
    if (before + length > XF_TLS_OUT_BYTES) {
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

bool xf_tls_push_out(struct xf_conn *conn, int flags)
{
    struct xf_tls *tls = conn->tls;
    struct xf_tls_worker *worker = tls->worker;
    ssize_t sent = 0;
    if (tls->patient && worker->out_length > 0) { /* no answer comes first: it waits no longer */
        tls->patient = false;
        if (!push_unsent(conn, flags | MSG_MORE)) {
            worker->out_length = 0;
            return false;
        }
    }
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
    return !conn->tls->failed && (conn->tls->patient || push_unsent(conn, 0));
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

/* Our word of an end, behind what was encrypted. */
static void say_end(struct xf_tls *tls)
{
    tls->finished = true;
    ERR_clear_error();
    (void) SSL_shutdown(tls->ssl);
}

ssize_t xf_tls_send(struct xf_conn *conn, const void *bytes, size_t size, int flags)
{
    struct xf_tls *tls = conn->tls;
    if (tls->failed || (!tls->patient && !push_unsent(conn, flags))) {
        return XF_CONN_ERROR;
    }
    if (tls->unsent != NULL && !tls->patient) {
        return 0;
    }
    size_t done = tls->owed < size ? tls->owed : size;
    tls->owed -= done;
    begin_out(tls);
    while (done < size) {
        size_t batch = size - done < BATCH_BYTES ? size - done : BATCH_BYTES;
        bool last = done + batch == size;
        if (!encrypt(tls, (const char *) bytes + done, batch)) {
            return XF_CONN_ERROR;
        }
        if (last && (flags & MSG_MORE) != 0) { /* the connection's end follows (transport.h) */
            say_end(tls);
        }
        if (!xf_tls_push_out(conn, last ? flags : flags | MSG_MORE)) {
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
    bool blocked = tls->unsent != NULL && !tls->patient;
    if (tls->failed || tls->finished || !tls->counted || blocked || tls->owed > 0) {
        return;
    }
    begin_out(tls);
    say_end(tls);
    (void) xf_tls_push_out(conn, 0);
}

/* ---- receiving ---- */

/* True: the handshake has just come to its end. */
static bool count(struct xf_tls *tls)
{
    if (tls->counted || !SSL_is_init_finished(tls->ssl)) {
        return false;
    }
    tls->counted = true;
    xf_count(&tls->worker->stats->tls_handshakes, 1);
    if (SSL_session_reused(tls->ssl)) {
        xf_count(&tls->worker->stats->tls_resumed, 1);
    }
    return true;
}

/* Gives OpenSSL what is there, and what it says to the peer to the socket. */
static enum xf_tls_ending decrypt(struct xf_conn *conn, char *bytes, size_t size, size_t *got)
{
    struct xf_tls *tls = conn->tls;
    enum xf_tls_ending ending = XF_TLS_GOES_ON;
    while (*got < size) {
        size_t length = 0;
        ERR_clear_error();
        if (SSL_read_ex(tls->ssl, bytes + *got, size - *got, &length) == 1) {
            *got += length;
            continue;
        }
        int error = SSL_get_error(tls->ssl, 0);
        if (error == SSL_ERROR_ZERO_RETURN) {
            ending = XF_TLS_ENDED;
        } else if (error != SSL_ERROR_WANT_READ) {
            ending = XF_TLS_LOST;
        }
        break;
    }
    bool held =
        count(tls) && !tls->to_server && *got > 0 && ending == XF_TLS_GOES_ON && hold_back(tls);
    if (!held && !xf_tls_push_out(conn, 0)) {
        ending = XF_TLS_LOST;
    }
    return ending == XF_TLS_GOES_ON && *got == size ? XF_TLS_FULL : ending;
}

enum xf_tls_ending xf_tls_feed(struct xf_conn *conn, size_t size, bool *ret_last)
{
    struct xf_tls_worker *worker = conn->tls->worker;
    size_t want = size < RECORD_BYTES_MAX ? RECORD_BYTES_MAX : size;
    want = want < XF_TLS_IN_BYTES ? want : XF_TLS_IN_BYTES;
    ssize_t got = xf_conn_receive_raw(conn, worker->in, want);
    worker->in_at = 0;
    worker->in_end = got > 0 ? (size_t) got : 0;
    *ret_last = got < (ssize_t) want;
    if (got == 0) { /* without close_notify: from a server it may be a cut answer (9112 9.8) */
        return conn->tls->to_server ? XF_TLS_LOST : XF_TLS_ENDED;
    }
    return got == XF_CONN_ERROR ? XF_TLS_LOST : XF_TLS_GOES_ON;
}

bool xf_tls_keep_input(struct xf_tls *tls)
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
    enum xf_tls_ending ending = decrypt(conn, bytes, size, &got);
    /* Until there is something and the socket had no more: a reader that got less than it asked
     * for may take it that nothing is left. */
    while (ending == XF_TLS_GOES_ON && conn->readable && !(last && got > 0)) {
        ending = xf_tls_feed(conn, size, &last);
        fed += tls->worker->in_end;
        if (ending == XF_TLS_GOES_ON && tls->worker->in_end > 0) {
            ending = decrypt(conn, bytes, size, &got);
        }
        if (got == 0 && fed > SILENT_BYTES_MAX) {
            ending = XF_TLS_LOST;
        }
    }
    if (ending == XF_TLS_FULL && !xf_tls_keep_input(tls)) {
        ending = XF_TLS_LOST;
    }
    tls->failed |= ending == XF_TLS_LOST;
    conn->hung_up |= ending == XF_TLS_ENDED || ending == XF_TLS_LOST;
    if (got > 0) {
        return (ssize_t) got;
    }
    return ending == XF_TLS_ENDED ? 0 : ending == XF_TLS_LOST ? XF_CONN_ERROR : XF_CONN_AGAIN;
}
