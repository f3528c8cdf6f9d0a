/*
 * store_bench.h -- what the tests of the stores share: a place for a store, and calls that wait.
 *
 * Every call here asks the store and runs the loop until its answer came, so that a test reads
 * as a sequence.  `struct place` hides which store it is.
 */
#ifndef XF_TEST_STORE_BENCH_H
#define XF_TEST_STORE_BENCH_H

#include "shifter/store/store.h"
#include "tests/unit/shifter/redis_bench.h"

#include <event2/event.h>

#define SERVICE  "gateway"
#define HOLDER_A "aaaaaaaa-0000-4000-8000-000000000001"
#define HOLDER_B "bbbbbbbb-0000-4000-8000-000000000002"
#define WRITE_1  "11111111-0000-4000-8000-000000000001"
#define WRITE_2  "22222222-0000-4000-8000-000000000002"
#define WRITE_3  "33333333-0000-4000-8000-000000000003"

/* What came back. */
struct answer {
    bool came;
    unsigned times;
    enum xf_store_result result;
    char message[256];
    struct xf_store_state state; /* document: `text` */
    struct xf_store_lease lease;
    char *text;
    size_t count;
    struct xf_store_entry entries[16]; /* entry: `lines` */
    char lines[16][64];
};

struct place {
    struct event_base *loop;
    struct xf_config config;
    struct xf_store *store;
    struct xf_clock clock; /* the system's, wall time shifted */
    int64_t wall_shift_ms;
    struct redis_bench redis;
    char folder[64];
    char path[128];
    struct answer last;
};

/* An xf_store_done whose context is a struct answer. */
void answer_done(void *context, enum xf_store_result result, const char *message);
void place_clock_init(struct place *place);
void answer_release(struct answer *answer);

/* Runs the loop until the answer is there; fails the test after 10 s. */
void wait_answer(struct place *place);
/* Runs the loop for a while, or until `done` says so; returns whether it did. */
bool run_until(struct place *place, bool (*done)(struct place *), int ms_max);

enum xf_store_result ask_state(struct place *place);
enum xf_store_result ask_write(struct place *place, const struct xf_store_write *write);
enum xf_store_result ask_log(struct place *place, uint64_t generation, uint64_t revision,
                             size_t count_max);
enum xf_store_result ask_log_tail(struct place *place, size_t count_max);
enum xf_store_result ask_checkpoint(struct place *place, const char *name);
enum xf_store_result ask_set_checkpoint(struct place *place, const char *name, const char *holder,
                                        uint64_t epoch, const char *text);
enum xf_store_result ask_lease(struct place *place);
enum xf_store_result ask_swap(struct place *place, const char *seen_holder, uint64_t seen_beat,
                              const char *holder, uint64_t epoch, uint64_t beat);
enum xf_store_result ask_roster(struct place *place);
enum xf_store_result ask_time(struct place *place);
enum xf_store_result ask_signal(struct place *place, const char *holder, uint64_t epoch,
                                const char *record);
enum xf_store_result ask_check_signal(struct place *place, const char *holder, uint64_t epoch,
                                      const char *record);
/* A write by HOLDER_A in epoch 1 from (generation, revision) to the next ones. */
struct xf_store_write write_of(uint64_t from_generation, uint64_t from_revision,
                               uint64_t generation, uint64_t revision, const char *write_id);
/* HOLDER_A takes the lease in epoch 1. */
void lead(struct place *place);

#endif
