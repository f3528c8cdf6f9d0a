/*
 * agent_bench.c -- see agent_bench.h.
 */
#include "agent_bench.h"

#include "shifter/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BENCH_EDITION 1
#define SLOWNESS      4 /* of a busy machine: how much longer a condition may take there */
#define LEADER_ID     "4b1c52a0-6f0e-4d5c-9a55-0d2b5a5a00aa"

/* ---- the leader ---- */

static void take_samples(struct bench *bench, const json_t *message)
{
    struct xf_message_samples samples;
    struct xf_error err = {0};
    assert_int_equal(xf_message_samples_read(message, &samples, &err), 0);
    xf_message_samples_release(&samples);
    json_array_extend(bench->samples, json_object_get(message, "cells"));
}

static void received(void *context, json_t *message)
{
    struct bench *bench = context;
    enum xf_message_kind kind;
    struct xf_error err = {0};
    assert_true(xf_message_kind_of(message, &kind));
    if (kind == XF_MESSAGE_HEARTBEAT) {
        xf_message_heartbeat_release(&bench->heartbeat);
        if (xf_message_heartbeat_read(message, &bench->heartbeat, &err) != 0) {
            fail_msg("a heartbeat does not read: %s", err.message);
        }
        bench->heartbeats++;
    } else if (kind == XF_MESSAGE_SAMPLES) {
        take_samples(bench, message);
    } else if (kind == XF_MESSAGE_COMMAND) {
        json_decref(bench->command);
        bench->command = json_incref(message);
        bench->commands++;
    }
}

static void agents_changed(void *context, unsigned agents)
{
    (void) context;
    (void) agents;
}

void bench_lead(struct bench *bench)
{
    struct xf_error err = {0};
    struct xf_bus_leader_calls calls = {received, agents_changed, bench};
    if (xf_bus_lead(bench->config, bench->loop, &calls, &bench->leader, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

void bench_unlead(struct bench *bench)
{
    xf_bus_leader_destroy(bench->leader);
    bench->leader = NULL;
}

void bench_publish(struct bench *bench, const struct xf_document *document, uint64_t generation,
                   const char *write_id)
{
    char *text = xf_document_write(document);
    struct xf_message_state state = {
        .version = {1, generation, 0},
        .document = text,
        .progress = {.step_elapsed_ms = 1000, .step_remaining_ms = 2000, .proxies = 1},
        .store_time_ms = xf_clock_wall_ms(xf_clock_system())};
    (void) snprintf(state.service, sizeof(state.service), "%s", document->service);
    (void) snprintf(state.write_id, sizeof(state.write_id), "%s", write_id);
    (void) snprintf(state.leader.id, sizeof(state.leader.id), "%s", LEADER_ID);
    (void) snprintf(state.leader.name, sizeof(state.leader.name), "here");
    json_t *message = xf_message_state_make(&state);
    assert_non_null(message);
    xf_bus_publish(bench->leader, message);
    json_decref(message);
    free(text);
}

/* ---- the supervisor ---- */

static int text_memfd(const char *text)
{
    int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static int listen_admin(const struct bench *bench)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/admin.sock", bench->directory);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static void send_fds(struct bench *bench, struct xf_channel_message *message)
{
    assert_true(xf_channel_send(bench->channel, message));
}

static void introduce(struct bench *bench)
{
    struct xf_channel_message admin = {.kind = XF_CHANNEL_ADMIN, .fds_count = 1};
    admin.fds[0] = listen_admin(bench);
    send_fds(bench, &admin);
    close(admin.fds[0]);
    struct xf_channel_message config = {
        .kind = XF_CHANNEL_CONFIG, .a = BENCH_EDITION, .fds_count = 1};
    config.fds[0] = text_memfd(bench->config_text);
    send_fds(bench, &config);
    close(config.fds[0]);
    struct xf_channel_message edition = {.kind = XF_CHANNEL_EDITION,
                                         .a = BENCH_EDITION,
                                         .b = BENCH_WORKERS,
                                         .fds_count = BENCH_WORKERS + 2};
    edition.fds[0] = bench->board->control_fd;
    edition.fds[1] = bench->board->retired_fd;
    for (unsigned i = 0; i < BENCH_WORKERS; i++) {
        edition.fds[i + 2] = bench->board->stats_fd[i];
    }
    send_fds(bench, &edition);
}

void bench_start_agent(struct bench *bench)
{
    int pair[2];
    assert_true(xf_channel_pair(pair));
    bench->channel = pair[0];
    bench->agent = fork();
    if (bench->agent == 0) {
        close(pair[0]);
        struct xf_child_start start = {.config = bench->config,
                                       .config_path = "none",
                                       .channel_fd = pair[1],
                                       .state_dir_fd = open(bench->directory, O_DIRECTORY)};
        _exit(xf_agent_main(&start));
    }
    close(pair[1]);
    introduce(bench);
}

void bench_kill_agent(struct bench *bench)
{
    int status;
    kill(bench->agent, SIGKILL);
    waitpid(bench->agent, &status, 0);
    close(bench->channel);
}

void bench_begin(struct bench *bench, const char *text)
{
    memset(bench, 0, sizeof(*bench));
    (void) snprintf(bench->directory, sizeof(bench->directory), "/tmp/xf-agent-XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    assert_true(asprintf(&bench->config_text,
                         "proxy: {name: here, state_dir: %s}\nadmin: {socket: %s/admin.sock}\n%s",
                         bench->directory, bench->directory, text) > 0);
    bench->config = fixture_config_of(bench->config_text);
    bench->loop = event_base_new();
    bench->samples = json_array();
    struct xf_error err = {0};
    if (xf_board_create(bench->config, BENCH_EDITION, BENCH_WORKERS, &bench->board, &err) != 0) {
        fail_msg("%s", err.message);
    }
    bench_start_agent(bench); /* first: it must not inherit the leader's socket */
    bench_lead(bench);
}

static void remove_directory(const struct bench *bench)
{
    static const char *const names[] = {"id",       "id.new",     "snapshot",
                                        "bus.sock", "admin.sock", "snapshot.new"};
    int fd = open(bench->directory, O_DIRECTORY);
    for (unsigned i = 0; i < XF_COUNT(names); i++) {
        (void) unlinkat(fd, names[i], 0);
    }
    close(fd);
    (void) rmdir(bench->directory);
}

/* The end of the channel ends the agent, with code 0. */
void bench_end(struct bench *bench)
{
    int status = -1;
    close(bench->channel);
    waitpid(bench->agent, &status, 0);
    bench_unlead(bench);
    remove_directory(bench);
    xf_message_heartbeat_release(&bench->heartbeat);
    json_decref(bench->samples);
    json_decref(bench->command);
    xf_board_destroy(bench->board);
    xf_config_destroy(bench->config);
    event_base_free(bench->loop);
    free(bench->config_text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- waiting and looking ---- */

static void read_channel(struct bench *bench)
{
    struct xf_channel_message message;
    while (xf_channel_receive(bench->channel, &message) == XF_CHANNEL_GOT) {
        bench->routed += message.kind == XF_CHANNEL_ROUTED;
    }
}

static void turn(struct bench *bench)
{
    struct timeval soon = {.tv_usec = 5000};
    event_base_loopexit(bench->loop, &soon);
    event_base_dispatch(bench->loop);
    read_channel(bench);
}

void bench_run(struct bench *bench, int ms)
{
    int64_t end_ms = xf_clock_monotonic_ms(xf_clock_system()) + ms;
    while (xf_clock_monotonic_ms(xf_clock_system()) < end_ms) {
        turn(bench);
    }
}

void bench_until(struct bench *bench, bool (*done)(struct bench *bench), int ms, const char *what)
{
    int64_t end_ms = xf_clock_monotonic_ms(xf_clock_system()) + (int64_t) ms * SLOWNESS;
    while (!done(bench)) {
        if (xf_clock_monotonic_ms(xf_clock_system()) > end_ms) {
            fail_msg("not within %d ms: %s", ms, what);
        }
        turn(bench);
    }
}

const struct xf_message_service *bench_service(const struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->heartbeat.services_count; i++) {
        if (strcmp(bench->heartbeat.services[i].name, name) == 0) {
            return &bench->heartbeat.services[i];
        }
    }
    return NULL;
}

const struct xf_message_cluster *bench_cluster(const struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->heartbeat.clusters_count; i++) {
        if (strcmp(bench->heartbeat.clusters[i].name, name) == 0) {
            return &bench->heartbeat.clusters[i];
        }
    }
    return NULL;
}

uint64_t bench_word(const struct bench *bench, unsigned service)
{
    return atomic_load_explicit(&xf_board_route(bench->board, service)->word, memory_order_acquire);
}

static int connect_admin(const struct bench *bench)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/admin.sock", bench->directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

char *bench_http(struct bench *bench, const char *request, unsigned *ret_status)
{
    enum { CAPACITY = 4 * 1024 * 1024 };
    int fd = connect_admin(bench);
    size_t sent = 0, total = strlen(request), length = 0;
    char *answer = malloc(CAPACITY);
    int64_t end_ms = xf_clock_monotonic_ms(xf_clock_system()) + 20000;
    for (;;) {
        if (sent < total) {
            ssize_t put = send(fd, request + sent, total - sent, MSG_NOSIGNAL);
            sent += put > 0 ? (size_t) put : 0;
        }
        ssize_t got = recv(fd, answer + length, CAPACITY - 1 - length, 0);
        length += got > 0 ? (size_t) got : 0;
        if (got == 0 || (got < 0 && errno != EAGAIN) ||
            xf_clock_monotonic_ms(xf_clock_system()) > end_ms) {
            break;
        }
        turn(bench);
    }
    close(fd);
    answer[length] = '\0';
    *ret_status = length > 12 ? (unsigned) strtoul(answer + 9, NULL, 10) : 0;
    const char *body = strstr(answer, "\r\n\r\n");
    char *ret = strdup(body != NULL ? body + 4 : "");
    free(answer);
    return ret;
}

char *bench_get(struct bench *bench, const char *path, unsigned *ret_status)
{
    char request[512];
    (void) snprintf(request, sizeof(request),
                    "GET %s HTTP/1.1\r\nHost: crossfade\r\nConnection: close\r\n\r\n", path);
    return bench_http(bench, request, ret_status);
}
