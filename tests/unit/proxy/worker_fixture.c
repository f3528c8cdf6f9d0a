/*
 * worker_fixture.c -- see worker_fixture.h.
 */
#include "worker_fixture.h"

#include "proxy/board/channel.h"
#include "proxy/worker/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void read_config(struct fixture *fixture, const char *service, const char *more)
{
    char text[8192];
    int length = snprintf(text, sizeof(text),
                          "workers: 1\n"
                          "listeners:\n  - {bind: \"127.0.0.1:8000\", service: web}\n"
                          "services:\n  web:\n    live: blue\n    clusters: [blue, green]\n%s"
                          "clusters:\n"
                          "  blue: {servers: [\"127.0.0.1:%u\", \"127.0.0.1:%u\"]}\n"
                          "  green: {servers: [\"127.0.0.1:%u\", \"127.0.0.1:%u\"]}\n%s",
                          service, fixture->blue[0].port, fixture->blue[1].port,
                          fixture->green[0].port, fixture->green[1].port, more);
    struct xf_problems problems = {0};
    if (xf_config_parse("test.yaml", text, (size_t) length, &fixture->config, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        fail_msg("the fixture's configuration is refused:\n%s", text);
    }
    xf_problems_release(&problems);
}

void fixture_route(struct fixture *fixture, unsigned flags, unsigned weight,
                   const struct xf_route_record *record)
{
    struct xf_route *route = xf_board_route(fixture->board, 0);
    uint64_t word = atomic_load(&route->word);
    unsigned number = (xf_route_record_number(word) + 1) % XF_ROUTE_RECORDS;
    struct xf_route_record made = {.flags = XF_RECORD_RESCUE, .seed = 7, .attempt = 1};
    if (record != NULL) {
        made = *record;
    }
    made.cluster[XF_BLUE] = (uint16_t) xf_config_find_cluster(fixture->config, "blue");
    made.cluster[XF_GREEN] = (uint16_t) xf_config_find_cluster(fixture->config, "green");
    for (unsigned status = 500; status < 600; status++) {
        made.bad_statuses[status / 64] |= 1ull << (status % 64);
    }
    *xf_board_record(fixture->board, 0, number) = made;
    atomic_store(&route->word, xf_route_word(xf_route_generation(word) + 1, number,
                                             XF_ROUTE_VALID | flags, weight));
}

static void run_worker(struct fixture *fixture, int channel)
{
    struct xf_error err;
    if (xf_board_enter_worker(fixture->board, 0, &err) != 0) {
        _exit(99);
    }
    struct xf_worker_start start = {.config = fixture->config,
                                    .board = fixture->board,
                                    .index = 0,
                                    .channel_fd = channel,
                                    .listen_fds = &fixture->listen_fd,
                                    .slots = 1};
    int code = xf_worker_run(&start);
    xf_board_destroy(fixture->board);
    xf_config_destroy(fixture->config);
    if (fixture->look_for_leaks) {
        exit(code);
    }
    _exit(code); /* the search for leaks takes a second of every test */
}

void fixture_send(struct fixture *fixture, unsigned kind, uint64_t a)
{
    static struct xf_channel_message message;
    message = (struct xf_channel_message){.kind = kind, .a = a};
    assert_true(xf_channel_send(fixture->channel, &message));
}

void fixture_start(struct fixture *fixture, const char *service, const char *more)
{
    (void) signal(SIGPIPE, SIG_IGN);
    static unsigned started;
    memset(fixture, 0, sizeof(*fixture));
    /* Threads of an earlier test would look like leaks in the fork: only the first is clean. */
    fixture->look_for_leaks = started++ == 0;
    backend_listen(&fixture->blue[0], "blue-0");
    backend_listen(&fixture->blue[1], "blue-1");
    backend_listen(&fixture->green[0], "green-0");
    backend_listen(&fixture->green[1], "green-1");
    struct backend front;
    backend_listen(&front, "front");
    fixture->listen_fd = front.listen_fd;
    fixture->port = front.port;
    assert_int_equal(fcntl(fixture->listen_fd, F_SETFL, O_NONBLOCK), 0);
    read_config(fixture, service, more);
    struct xf_error err;
    if (xf_board_create(fixture->config, 1, 1, &fixture->board, &err) != 0) {
        fail_msg("%s", err.message);
    }
    fixture->stats = fixture->board->stats[0];
    fixture_route(fixture, 0, 0, NULL);
    int pair[2];
    assert_true(xf_channel_pair(pair));
    (void) fflush(NULL);
    fixture->pid = fork();
    assert_true(fixture->pid >= 0);
    if (fixture->pid == 0) {
        (void) close(pair[0]);
        run_worker(fixture, pair[1]);
    }
    (void) close(pair[1]);
    fixture->channel = pair[0];
    for (unsigned i = 0; i < 2; i++) {
        backend_start(&fixture->blue[i]);
        backend_start(&fixture->green[i]);
    }
    fixture_send(fixture, XF_CHANNEL_ACCEPT, 0);
    assert_true(settles(&fixture->stats->accepting, 1));
}

void fixture_stop(struct fixture *fixture)
{
    int status = 0;
    assert_int_equal(waitpid(fixture->pid, &status, WNOHANG), 0);
    fixture_send(fixture, XF_CHANNEL_STOP, 0);
    assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void) close(fixture->channel);
    fixture_release(fixture);
}

void fixture_release(struct fixture *fixture)
{
    for (unsigned i = 0; i < fixture->config->clusters_count; i++) {
        struct xf_stats_cluster *gauges = xf_stats_cluster(fixture->stats, i);
        assert_int_equal(xf_read(&gauges->in_flight), 0);
        assert_int_equal(xf_read(&gauges->tunnels), 0);
        assert_int_equal(xf_read(&gauges->pooled), 0);
    }
    assert_int_equal(xf_read(&fixture->stats->clients), 0);
    assert_int_equal(xf_read(&fixture->stats->buffers), 0);
    assert_int_equal(xf_read(&fixture->stats->cycle) % 2, 0);
    (void) close(fixture->listen_fd);
    for (unsigned i = 0; i < 2; i++) {
        backend_refuse(&fixture->blue[i]);
        backend_refuse(&fixture->green[i]);
    }
    xf_board_destroy(fixture->board);
    xf_config_destroy(fixture->config);
}

struct xf_stats_pair *fixture_pair(struct fixture *fixture, const char *cluster)
{
    int number = xf_config_find_cluster(fixture->config, cluster);
    return xf_stats_pair(fixture->stats,
                         (unsigned) xf_config_pair(fixture->config, 0, (unsigned) number));
}

struct xf_stats_cluster *fixture_cluster(struct fixture *fixture, const char *cluster)
{
    return xf_stats_cluster(fixture->stats,
                            (unsigned) xf_config_find_cluster(fixture->config, cluster));
}

bool settles(const _Atomic uint64_t *counter, uint64_t value)
{
    for (unsigned i = 0; i < 3000 && xf_read(counter) != value; i++) {
        (void) poll(NULL, 0, 1);
    }
    return xf_read(counter) == value;
}

int fixture_connect(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(fixture->port)};
    int on = 1;
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static void put_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the test sees it in what it reads */
        }
        bytes += sent;
        length -= (size_t) sent;
    }
}

void client_put(int fd, const char *text)
{
    put_all(fd, text, strlen(text));
}

static bool read_exactly(int fd, char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t got = recv(fd, bytes, length, 0);
        if (got <= 0) {
            return false;
        }
        bytes += got;
        length -= (size_t) got;
    }
    return true;
}

static bool read_line(int fd, char *line, size_t size)
{
    size_t at = 0;
    while (at + 1 < size && read_exactly(fd, line + at, 1)) {
        if (line[at++] == '\n') {
            line[at] = '\0';
            return true;
        }
    }
    return false;
}

static bool append(int fd, struct client_answer *ret, size_t count)
{
    ret->body = realloc(ret->body, ret->length + count + 1);
    assert_non_null(ret->body);
    if (!read_exactly(fd, ret->body + ret->length, count)) {
        return false;
    }
    ret->length += count;
    ret->body[ret->length] = '\0';
    return true;
}

static bool read_chunks(int fd, struct client_answer *ret)
{
    char line[256];
    while (read_line(fd, line, sizeof(line))) {
        size_t size = strtoul(line, NULL, 16);
        if (size > 0 && !append(fd, ret, size)) {
            return false;
        }
        if (!read_line(fd, line, sizeof(line)) || strcmp(line, "\r\n") != 0) {
            return false;
        }
        if (size == 0) {
            return true;
        }
    }
    return false;
}

void client_read(int fd, bool head_only, struct client_answer *ret)
{
    memset(ret, 0, sizeof(*ret));
    size_t at = 0;
    do {
        if (!read_line(fd, ret->head + at, sizeof(ret->head) - at)) {
            ret->status = at > 0 ? -1 : 0;
            ret->closed = true;
            return;
        }
        at += strlen(ret->head + at);
    } while (at < 4 || strcmp(ret->head + at - 4, "\r\n\r\n") != 0);
    ret->status = atoi(ret->head + 9);
    if (head_only || ret->status / 100 == 1 || ret->status == 204 || ret->status == 304) {
        return;
    }
    const char *length = strcasestr(ret->head, "\r\ncontent-length: ");
    bool whole = true;
    if (strcasestr(ret->head, "\r\ntransfer-encoding: chunked") != NULL) {
        whole = read_chunks(fd, ret);
    } else if (length != NULL) {
        whole = append(fd, ret, strtoul(length + 18, NULL, 10));
    } else {
        while (append(fd, ret, 1)) {
        }
        ret->closed = true;
    }
    if (!whole) {
        ret->status = -1;
        ret->closed = true;
    }
}

void client_answer_release(struct client_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

int client_ask(int fd, const char *text)
{
    struct client_answer answer;
    client_put(fd, text);
    client_read(fd, strncmp(text, "HEAD ", 5) == 0, &answer);
    client_answer_release(&answer);
    return answer.status;
}

bool client_at_end(int fd)
{
    char byte;
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 3000) == 1 && recv(fd, &byte, 1, 0) <= 0;
}
