/*
 * agent_bench.h -- a real agent process between a supervisor and a leader that the test plays.
 *
 * The test owns the board, so it can stop a "worker" in mid-turn, set gauges and fill judge cells;
 * it hears what the agent sends up and asks its admin socket.
 */
#ifndef XF_TESTS_AGENT_BENCH_H
#define XF_TESTS_AGENT_BENCH_H

#include "agent_fixture.h"

#include "proxy/proxy.h"
#include "shifter/bus/bus.h"
#include "shifter/bus/bus_message.h"

#include <event2/event.h>
#include <sys/types.h>

#define BENCH_WORKERS 2u

struct bench {
    char directory[64];
    char *config_text;
    struct xf_config *config;
    struct event_base *loop;
    struct xf_board *board;
    struct xf_bus_leader *leader;
    int channel; /* the supervisor's end */
    pid_t agent;
    /* The newest of each. */
    struct xf_message_heartbeat heartbeat;
    unsigned heartbeats;
    json_t *samples; /* all cells heard, as arrays */
    json_t *command; /* the last one */
    unsigned commands;
    unsigned routed;
};

/* Begins an agent with its board; `text` is the configuration without store and state_dir. */
void bench_begin(struct bench *bench, const char *text);
void bench_end(struct bench *bench);
/* The agent alone, on the same state directory and board. */
void bench_start_agent(struct bench *bench);
void bench_kill_agent(struct bench *bench);
void bench_lead(struct bench *bench);
void bench_unlead(struct bench *bench);

/* Publishes `document` (borrowed) as that version. */
void bench_publish(struct bench *bench, const struct xf_document *document, uint64_t generation,
                   const char *write_id);

/* Runs the loop until `done` says so; fails the test after `ms`. */
void bench_until(struct bench *bench, bool (*done)(struct bench *bench), int ms, const char *what);
void bench_run(struct bench *bench, int ms);

const struct xf_message_service *bench_service(const struct bench *bench, const char *name);
const struct xf_message_cluster *bench_cluster(const struct bench *bench, const char *name);
uint64_t bench_word(const struct bench *bench, unsigned service);

/* One HTTP exchange with the admin socket, while the loop runs; *ret_status is 0 where the
 * connection ended without an answer.  The caller frees the body. */
char *bench_http(struct bench *bench, const char *request, unsigned *ret_status);
char *bench_get(struct bench *bench, const char *path, unsigned *ret_status);

#endif
