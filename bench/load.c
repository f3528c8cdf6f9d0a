/*
 * load.c -- a load generator and a backend that cost as little as can be.
 *
 *     load backend PORT                  serves GET /N with N bytes; reads a POST's body
 *     load relay PORT TO                 copies bytes, one upstream connection per client
 *     load client PORT PATH KIND CONNECTIONS SECONDS
 *                                        closed loop; KIND: get, browser, post or new;
 *                                        tls, tls-full or tls-resumed over TLS 1.3
 *     load idle PORT CONNECTIONS         one request each, then holds them until stdin ends
 *     load tls-idle PORT CONNECTIONS     the same over TLS
 *
 * One thread, epoll, edge-triggered.  The client learns the length of an answer on each
 * connection's first one and expects every later one to be as long, so that it need not parse.
 * Prints one line of JSON.
 */
#include "bench/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t load_now_us(void)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000u + (uint64_t) now.tv_nsec / 1000u;
}

void load_die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t) port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int load_listen(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(fd, 8192) != 0) {
        load_die("listen");
    }
    return fd;
}

int load_connect(unsigned port)
{
    struct sockaddr_in address = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        load_die("socket");
    }
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0 && errno != EINPROGRESS) {
        load_die("connect");
    }
    return fd;
}

/* Opens connections one after the other, blocking, each with one request answered. */
static int hold_idle(unsigned port, unsigned count)
{
    static const char request[] = "GET /128 HTTP/1.1\r\nHost: bench\r\n\r\n";
    char answer[4096];
    for (unsigned i = 0; i < count; i++) {
        int fd = load_connect(port);
        if (fcntl(fd, F_SETFL, 0) != 0) {
            load_die("fcntl");
        }
        if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0 ||
            recv(fd, answer, sizeof(answer), 0) <= 0) {
            load_die("idle request");
        }
    }
    (void) printf("{\"idle\": %u}\n", count);
    (void) fflush(stdout);
    while (read(STDIN_FILENO, answer, sizeof(answer)) > 0) {
    }
    return 0;
}

static unsigned number(const char *text)
{
    return (unsigned) strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &files);
    }
    if (argc == 3 && strcmp(argv[1], "backend") == 0) {
        return load_backend(number(argv[2]));
    }
    if (argc == 4 && strcmp(argv[1], "relay") == 0) {
        return load_relay(number(argv[2]), number(argv[3]));
    }
    if (argc == 4 && strcmp(argv[1], "idle") == 0) {
        return hold_idle(number(argv[2]), number(argv[3]));
    }
    if (argc == 4 && strcmp(argv[1], "tls-idle") == 0) {
        return load_tls_idle(number(argv[2]), number(argv[3]));
    }
    if (argc == 7 && strcmp(argv[1], "client") == 0) {
        struct load_options options = {.port = number(argv[2]),
                                       .path = argv[3],
                                       .kind = argv[4],
                                       .connections = number(argv[5]),
                                       .seconds = strtod(argv[6], NULL)};
        return strncmp(argv[4], "tls", 3) == 0 ? load_tls_client(&options) : load_client(&options);
    }
    (void) fprintf(stderr,
                   "usage: load backend PORT | relay PORT TO | idle PORT N | tls-idle PORT N |\n"
                   "       client PORT PATH get|browser|post|new|tls|tls-full|tls-resumed "
                   "CONNECTIONS SECONDS\n");
    return 2;
}
