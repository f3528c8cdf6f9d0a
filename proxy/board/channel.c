/*
 * channel.c -- packets between the supervisor and its children.
 *
 * The worker's end is in the hands of a process that parses what strangers send, so the
 * supervisor believes nothing of a packet but what it checked; what is malformed ends the channel.
 */
#include "proxy/board/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct packet { /* on the wire, followed by the text without a NUL */
    uint32_t kind;
    uint32_t fds_count;
    uint64_t a, b, c, d;
};

union control {
    char bytes[CMSG_SPACE(XF_CHANNEL_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

bool xf_channel_pair(int ret[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret) == 0;
}

static void attach_fds(struct msghdr *header, union control *control,
                       const struct xf_channel_message *message)
{
    size_t bytes = message->fds_count * sizeof(int);
    memset(control, 0, sizeof(*control));
    header->msg_control = control->bytes;
    header->msg_controllen = CMSG_SPACE(bytes);
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(item), message->fds, bytes);
}

bool xf_channel_send(int fd, const struct xf_channel_message *message)
{
    XF_ASSERT(message->fds_count <= XF_CHANNEL_FDS_MAX);

    struct packet packet = {.kind = message->kind,
                            .fds_count = message->fds_count,
                            .a = message->a,
                            .b = message->b,
                            .c = message->c,
                            .d = message->d};
    struct iovec parts[2] = {
        {.iov_base = &packet, .iov_len = sizeof(packet)},
        {.iov_base = (char *) message->text,
         .iov_len = strnlen(message->text, XF_CHANNEL_TEXT_BYTES - 1)},
    };
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
    union control control;
    if (message->fds_count > 0) {
        attach_fds(&header, &control, message);
    }
    ssize_t sent;
    do {
        sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

static void take_fds(struct msghdr *header, struct xf_channel_message *ret)
{
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL;
         item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(fd));
            if (ret->fds_count < XF_CHANNEL_FDS_MAX) {
                ret->fds[ret->fds_count++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static enum xf_channel_result refuse(struct xf_channel_message *message)
{
    for (unsigned i = 0; i < message->fds_count; i++) {
        close(message->fds[i]);
    }
    message->fds_count = 0;
    return XF_CHANNEL_CLOSED;
}

enum xf_channel_result xf_channel_receive(int fd, struct xf_channel_message *ret)
{
    struct packet packet;
    union control control;
    struct iovec parts[2] = {
        {.iov_base = &packet, .iov_len = sizeof(packet)},
        {.iov_base = ret->text, .iov_len = XF_CHANNEL_TEXT_BYTES - 1},
    };
    struct msghdr header = {.msg_iov = parts,
                            .msg_iovlen = 2,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t length;
    do {
        length = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (length < 0 && errno == EINTR);
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return XF_CHANNEL_EMPTY;
    }
    ret->fds_count = 0;
    if (length <= 0) {
        return XF_CHANNEL_CLOSED;
    }
    take_fds(&header, ret);
    if ((size_t) length < sizeof(packet) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        packet.kind == 0 || packet.kind >= XF_CHANNEL_KINDS || packet.fds_count != ret->fds_count) {
        return refuse(ret);
    }
    ret->kind = packet.kind;
    ret->a = packet.a;
    ret->b = packet.b;
    ret->c = packet.c;
    ret->d = packet.d;
    ret->text[(size_t) length - sizeof(packet)] = '\0';
    return XF_CHANNEL_GOT;
}
