/*
 * store_bench.c -- see store_bench.h.
 */
#include "tests/unit/shifter/store_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t shifted_wall(void *context)
{
    struct place *place = context;
    const struct xf_clock *system = xf_clock_system();
    return system->wall_ms(system->context) + place->wall_shift_ms;
}

static int64_t system_monotonic(void *context)
{
    (void) context;
    return xf_clock_system()->monotonic_ns(xf_clock_system()->context);
}

static int64_t system_boottime(void *context)
{
    (void) context;
    return xf_clock_system()->boottime_ns(xf_clock_system()->context);
}

void place_clock_init(struct place *place)
{
    place->clock = (struct xf_clock){system_monotonic, system_boottime, shifted_wall, place};
}

void answer_release(struct answer *answer)
{
    free(answer->text);
    answer->text = NULL;
}

static void begin(struct place *place)
{
    answer_release(&place->last);
    place->last = (struct answer){0};
}

static void came(struct answer *answer, enum xf_store_result result, const char *message)
{
    answer->came = true;
    answer->times++;
    answer->result = result;
    snprintf(answer->message, sizeof(answer->message), "%s", message);
}

void answer_done(void *context, enum xf_store_result result, const char *message)
{
    came(context, result, message);
}

static void got_state(void *context, enum xf_store_result result,
                      const struct xf_store_state *state, const char *message)
{
    struct answer *answer = context;
    came(answer, result, message);
    if (state != NULL) {
        answer->state = *state;
        answer->text = strdup(state->document);
        answer->state.document = answer->text;
    }
}

static void got_lease(void *context, enum xf_store_result result,
                      const struct xf_store_lease *lease, const char *message)
{
    struct answer *answer = context;
    came(answer, result, message);
    if (lease != NULL) {
        answer->lease = *lease;
    }
}

static void got_log(void *context, enum xf_store_result result,
                    const struct xf_store_entry *entries, size_t count, const char *message)
{
    struct answer *answer = context;
    came(answer, result, message);
    answer->count = count;
    for (size_t i = 0; i < count && i < 16; i++) {
        answer->entries[i] = entries[i];
        snprintf(answer->lines[i], sizeof(answer->lines[i]), "%s", entries[i].entry);
        answer->entries[i].entry = answer->lines[i];
    }
}

static void got_text(void *context, enum xf_store_result result, const char *text,
                     const char *message)
{
    struct answer *answer = context;
    came(answer, result, message);
    answer->text = text != NULL ? strdup(text) : NULL;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    (void) arg;
}

bool run_until(struct place *place, bool (*done)(struct place *), int ms_max)
{
    struct event *tick = event_new(place->loop, -1, EV_PERSIST, on_tick, NULL);
    event_add(tick, &(struct timeval){0, 5000});
    int64_t end = xf_clock_monotonic_ms(xf_clock_system()) + ms_max;
    bool reached = done != NULL && done(place);
    while (!reached && xf_clock_monotonic_ms(xf_clock_system()) < end) {
        event_base_loop(place->loop, EVLOOP_ONCE);
        reached = done != NULL && done(place);
    }
    event_free(tick);
    return reached;
}

static bool has_come(struct place *place)
{
    return place->last.came;
}

void wait_answer(struct place *place)
{
    assert_true(run_until(place, has_come, 10000));
    assert_int_equal(place->last.times, 1);
}

enum xf_store_result ask_state(struct place *place)
{
    begin(place);
    place->store->calls->read_state(place->store, SERVICE, got_state, &place->last);
    assert_false(place->last.came); /* never inside the call */
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_write(struct place *place, const struct xf_store_write *write)
{
    begin(place);
    place->store->calls->write(place->store, write, answer_done, &place->last);
    assert_false(place->last.came);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_log(struct place *place, uint64_t generation, uint64_t revision,
                             size_t count_max)
{
    begin(place);
    place->store->calls->read_log(place->store, SERVICE, generation, revision, count_max, got_log,
                                  &place->last);
    assert_false(place->last.came);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_log_tail(struct place *place, size_t count_max)
{
    begin(place);
    place->store->calls->read_log_tail(place->store, SERVICE, count_max, got_log, &place->last);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_checkpoint(struct place *place, const char *name)
{
    begin(place);
    place->store->calls->read_checkpoint(place->store, SERVICE, name, got_text, &place->last);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_set_checkpoint(struct place *place, const char *name, const char *holder,
                                        uint64_t epoch, const char *text)
{
    begin(place);
    place->store->calls->write_checkpoint(place->store, SERVICE, name, holder, epoch, text,
                                          answer_done, &place->last);
    assert_false(place->last.came);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_lease(struct place *place)
{
    begin(place);
    place->store->calls->read_lease(place->store, SERVICE, got_lease, &place->last);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_swap(struct place *place, const char *seen_holder, uint64_t seen_beat,
                              const char *holder, uint64_t epoch, uint64_t beat)
{
    struct xf_store_lease seen = {.beat = seen_beat};
    struct xf_store_lease next = {.epoch = epoch, .beat = beat};
    snprintf(seen.holder, sizeof(seen.holder), "%s", seen_holder);
    snprintf(next.holder, sizeof(next.holder), "%s", holder);
    begin(place);
    place->store->calls->swap_lease(place->store, SERVICE, &seen, &next, answer_done, &place->last);
    assert_false(place->last.came);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_roster(struct place *place)
{
    begin(place);
    place->store->calls->read_roster(place->store, SERVICE, got_text, &place->last);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_time(struct place *place)
{
    begin(place);
    place->store->calls->read_time(place->store, got_text, &place->last);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_signal(struct place *place, const char *holder, uint64_t epoch,
                                const char *record)
{
    begin(place);
    place->store->calls->write_signal(place->store, SERVICE, holder, epoch, record, answer_done,
                                      &place->last);
    wait_answer(place);
    return place->last.result;
}

enum xf_store_result ask_check_signal(struct place *place, const char *holder, uint64_t epoch,
                                      const char *record)
{
    begin(place);
    place->store->calls->check_signal(place->store, SERVICE, holder, epoch, record, answer_done,
                                      &place->last);
    wait_answer(place);
    return place->last.result;
}

struct xf_store_write write_of(uint64_t from_generation, uint64_t from_revision,
                               uint64_t generation, uint64_t revision, const char *write_id)
{
    return (struct xf_store_write){.service = SERVICE,
                                   .holder = HOLDER_A,
                                   .expected = {0, from_generation, from_revision},
                                   .next = {1, generation, revision},
                                   .write_id = write_id,
                                   .document = "{\"weight\":0}",
                                   .entry = "{\"verb\":\"start\"}"};
}

void lead(struct place *place)
{
    assert_int_equal(ask_swap(place, "", 0, HOLDER_A, 1, 1), XF_STORE_OK);
}
