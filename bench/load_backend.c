/*
 * load_backend.c -- the backend and the bare relay of bench/load.
 */
#include "bench/load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MAX (16u << 20)

/* ---- backend ---- */

struct peer {
    int fd;
    size_t skip;     /* bytes of a request's body still to come */
    const char *out; /* blocked output */
    size_t out_length;
    char head[4096]; /* a partial head */
    size_t head_length;
};

static char *answers[64]; /* by slot of the size */
static size_t answer_sizes[64], answer_lengths[64];

/* The whole answer of `size` bytes; made once. */
static const char *find_answer(size_t size, size_t *ret_length)
{
    unsigned i = 0;
    while (i < 63 && answers[i] != NULL && answer_sizes[i] != size) {
        i++;
    }
    if (answers[i] == NULL || answer_sizes[i] != size) {
        answers[i] = malloc(size + 512);
        if (answers[i] == NULL) {
            load_die("malloc");
        }
        int head =
            snprintf(answers[i], 512,
                     "HTTP/1.1 200 OK\r\nServer: bench\r\n"
                     "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
                     "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n%s\r\n",
                     size,
                     size == 400 ? "Cache-Control: private, max-age=0\r\nVary: "
                                   "Accept-Encoding\r\nETag: \"abcdef0123456789\"\r\n"
                                 : "");
        memset(answers[i] + head, 'b', size);
        answer_sizes[i] = size;
        answer_lengths[i] = (size_t) head + size;
    }
    *ret_length = answer_lengths[i];
    return answers[i];
}

static bool flush_out(struct peer *peer)
{
    while (peer->out_length > 0) {
        ssize_t sent = send(peer->fd, peer->out, peer->out_length, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN;
        }
        peer->out += sent;
        peer->out_length -= (size_t) sent;
    }
    return true;
}

/* Serves what stands in bytes; returns what it used.  Requests come one at a time. */
static size_t serve(struct peer *peer, const char *bytes, size_t length)
{
    if (peer->skip > 0) {
        size_t used = length < peer->skip ? length : peer->skip;
        peer->skip -= used;
        if (peer->skip == 0) {
            (void) flush_out(peer);
        }
        return used;
    }
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    const char *path = memchr(bytes, '/', (size_t) (end - bytes));
    size_t size = path == NULL ? 0 : strtoul(path + 1, NULL, 10);
    peer->out = find_answer(size < BODY_MAX ? size : BODY_MAX, &peer->out_length);
    if (bytes[0] == 'P') {
        const char *field = strcasestr(bytes, "\ncontent-length:");
        peer->skip = field == NULL || field > end ? 0 : strtoul(field + 16, NULL, 10);
    }
    if (peer->skip == 0) {
        (void) flush_out(peer);
    }
    return (size_t) (end + 4 - bytes);
}

static bool peer_read(struct peer *peer)
{
    static char input[65536 + 1];
    for (;;) {
        memcpy(input, peer->head, peer->head_length);
        size_t room = sizeof(input) - 1 - peer->head_length;
        ssize_t got = recv(peer->fd, input + peer->head_length, room, 0);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN;
        }
        size_t length = peer->head_length + (size_t) got, at = 0, used;
        input[length] = '\0';
        while (at < length && (used = serve(peer, input + at, length - at)) > 0) {
            at += used;
        }
        peer->head_length = length - at;
        if (peer->head_length > sizeof(peer->head)) {
            return false;
        }
        memmove(peer->head, input + at, peer->head_length);
        if ((size_t) got < room) {
            return true;
        }
    }
}

static void accept_all(int listener, int epoll)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *peer = calloc(1, sizeof(*peer));
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = peer};
        if (peer == NULL) {
            load_die("calloc");
        }
        peer->fd = fd;
        (void) epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int load_backend(unsigned port)
{
    int epoll = epoll_create1(0), listener = load_listen(port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    (void) epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer == NULL) {
                accept_all(listener, epoll);
                continue;
            }
            bool alive = (events[i].events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) == 0;
            if (alive && (events[i].events & EPOLLOUT) != 0 && peer->skip == 0) {
                alive = flush_out(peer);
            }
            if (!alive || ((events[i].events & EPOLLIN) != 0 && !peer_read(peer))) {
                (void) close(peer->fd);
                free(peer);
            }
        }
    }
}

/* ---- relay ---- */

struct side {
    int fd;
    struct side *other;
    bool readable, writable, dead;
    char *held; /* what the other side has not taken */
    size_t held_at, held_length;
};

#define RELAY_BYTES (256u * 1024u)

static void close_both(struct side *side)
{
    if (!side->dead) {
        side->dead = side->other->dead = true;
        (void) close(side->fd);
        (void) close(side->other->fd);
        /* The two structs are left: a relay lives for a run. */
        free(side->held);
        free(side->other->held);
    }
}

/* Moves from `from` to the other side until one of them blocks. */
static void pump(struct side *from)
{
    static char input[RELAY_BYTES];
    struct side *to = from->other;
    while (!from->dead) {
        if (from->held_length > 0) {
            if (!to->writable) {
                return;
            }
            ssize_t sent =
                send(to->fd, from->held + from->held_at, from->held_length, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                to->writable = false;
                return;
            }
            if (sent < 0) {
                close_both(from);
                return;
            }
            from->held_at += (size_t) sent;
            from->held_length -= (size_t) sent;
            continue;
        }
        if (!from->readable) {
            return;
        }
        ssize_t got = recv(from->fd, input, sizeof(input), 0);
        if (got < 0 && errno == EAGAIN) {
            from->readable = false;
            return;
        }
        if (got <= 0) {
            close_both(from);
            return;
        }
        if ((size_t) got < sizeof(input)) {
            from->readable = false;
        }
        ssize_t sent = to->writable ? send(to->fd, input, (size_t) got, MSG_NOSIGNAL) : 0;
        if (sent < 0) {
            sent = 0;
        }
        if (sent < got) {
            to->writable = false;
            if (from->held == NULL) {
                from->held = malloc(RELAY_BYTES);
            }
            if (from->held == NULL) {
                load_die("malloc");
            }
            from->held_at = 0;
            from->held_length = (size_t) (got - sent);
            memcpy(from->held, input + sent, from->held_length);
        }
    }
}

static void add_side(int epoll, struct side *side, int fd, struct side *other)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = side};
    side->fd = fd;
    side->other = other;
    (void) epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int load_relay(unsigned port, unsigned to)
{
    int epoll = epoll_create1(0), listener = load_listen(port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    (void) epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct side *side = events[i].data.ptr;
            if (side == NULL) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    struct side *pair = calloc(2, sizeof(*pair));
                    if (pair == NULL) {
                        load_die("calloc");
                    }
                    add_side(epoll, &pair[0], fd, &pair[1]);
                    add_side(epoll, &pair[1], load_connect(to), &pair[0]);
                }
                continue;
            }
            if (side->dead) {
                continue;
            }
            side->readable |=
                (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
            side->writable |= (events[i].events & EPOLLOUT) != 0;
            pump(side);
            pump(side->other);
        }
    }
}
