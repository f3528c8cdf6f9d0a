/*
 * worker_fixture.h -- one worker process over two clusters, for the tests of the data path.
 *
 * Cluster `blue` has the servers blue[0] and blue[1], `green` likewise; each is a backend of
 * backend.h.  The fixture plays supervisor and agent: it makes the board, sets the route, forks
 * xf_worker_run() and tells it to accept.
 */
#ifndef XF_TEST_WORKER_FIXTURE_H
#define XF_TEST_WORKER_FIXTURE_H

#include "backend.h"
#include "config/config.h"
#include "proxy/board/board.h"

#include <sys/types.h>

struct fixture {
    struct backend blue[2], green[2];
    struct xf_config *config;
    struct xf_board *board;
    struct xf_stats_header *stats;
    pid_t pid;
    int channel;
    int listen_fd;
    bool look_for_leaks; /* in the worker, when it exits */
    unsigned short port;
};

/* `more` is put at the end of the file (YAML at the top level); `service` into the service. */
void fixture_start(struct fixture *fixture, const char *service, const char *more);
/* Asserts that the worker lives, stops it, asserts that it exits with 0 and left no gauge. */
void fixture_stop(struct fixture *fixture);
/* For a worker that has already exited: the same about gauges, and frees everything. */
void fixture_release(struct fixture *fixture);
/* Writes record and word. */
void fixture_route(struct fixture *fixture, unsigned flags, unsigned weight,
                   const struct xf_route_record *record);
struct xf_stats_pair *fixture_pair(struct fixture *fixture, const char *cluster);
struct xf_stats_cluster *fixture_cluster(struct fixture *fixture, const char *cluster);
void fixture_send(struct fixture *fixture, unsigned kind, uint64_t a);

int fixture_connect(struct fixture *fixture);
void client_put(int fd, const char *text);
/* Reads one answer whole (by length, chunks, or to the end), its body into `body` unless NULL.
 * Returns the status, 0 where the connection ended without one, -1 where it was cut short. */
struct client_answer {
    int status;
    char head[8192];
    char *body; /* freed by client_answer_release() */
    size_t length;
    bool closed; /* the connection ended behind it */
};
void client_read(int fd, bool head_only, struct client_answer *ret);
void client_answer_release(struct client_answer *answer);
/* One request, one answer: sends `text`, returns the status. */
int client_ask(int fd, const char *text);
bool client_at_end(int fd); /* waits up to 3 s for the peer's end */
/* Waits up to 3 s for `counter` to be `value`. */
bool settles(const _Atomic uint64_t *counter, uint64_t value);

#endif
