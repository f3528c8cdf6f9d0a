/*
 * socket.h -- the two system calls that links and streams share.
 */
#ifndef XF_SHIFTER_SOCKET_H
#define XF_SHIFTER_SOCKET_H

struct evbuffer;

/* Sends what `out` holds, without SIGPIPE.  1: something went, 0: not now, -1: with errno. */
int xf_socket_flush(struct evbuffer *out, int fd);
/* Receives once, at most 64 KiB.  1: something came, 0: not now, -1: the end (errno 0) or an
 * error. */
int xf_socket_fill(struct evbuffer *in, int fd);

#endif
