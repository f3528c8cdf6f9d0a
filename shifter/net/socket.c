/*
 * socket.c -- see socket.h.
 */
#include "shifter/net/socket.h"

#include <errno.h>
#include <event2/buffer.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FILL_BYTES 65536
#define PIECES     16

static int outcome(ssize_t count)
{
    if (count > 0) {
        return 1;
    }
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

int xf_socket_flush(struct evbuffer *out, int fd)
{
    struct evbuffer_iovec pieces[PIECES];
    int count = evbuffer_peek(out, -1, NULL, pieces, PIECES);
    if (count == 0) {
        return 1;
    }
    struct iovec vector[PIECES];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count < PIECES ? count : PIECES};
    for (size_t i = 0; i < message.msg_iovlen; i++) {
        vector[i] = (struct iovec){pieces[i].iov_base, pieces[i].iov_len};
    }
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
        evbuffer_drain(out, (size_t) sent);
    }
    return outcome(sent);
}

int xf_socket_fill(struct evbuffer *in, int fd)
{
    struct evbuffer_iovec room;
    if (evbuffer_reserve_space(in, FILL_BYTES, &room, 1) < 1) {
        errno = ENOMEM;
        return -1;
    }
    ssize_t got = recv(fd, room.iov_base, room.iov_len < FILL_BYTES ? room.iov_len : FILL_BYTES,
                       MSG_DONTWAIT);
    if (got > 0) {
        room.iov_len = (size_t) got;
        evbuffer_commit_space(in, &room, 1);
    } else if (got == 0) {
        errno = 0;
    }
    return outcome(got);
}
