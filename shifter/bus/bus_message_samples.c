/*
 * bus_message_samples.c -- a proxy's judge cells on their way to the leader; see bus_message.h.
 *
 * A cell is [number, [weight, sent, done, bad, slow, 4xx of blue, the same of green], …].
 * `answers` has one [asked, answered of blue, the same of green] for each cell.
 */
#include "shifter/bus/bus_message.h"

#include "shifter/bus/bus_message_parts.h"
#include "shifter/net/json.h"

#include <stdlib.h>

#define ENTRY_NUMBERS  11u
#define ANSWER_NUMBERS 4u
#define COUNT_MAX      ((json_int_t) 1 << 40) /* of one cell: beyond any host's requests */

static json_t *cell_make(const struct xf_message_cell *cell)
{
    json_t *array = json_array();
    bool ok = array != NULL;
    ok = json_array_append_new(array, json_integer((json_int_t) cell->number)) == 0 && ok;
    for (unsigned i = 0; i < cell->entries_count; i++) {
        const struct xf_message_counts *counts = &cell->entries[i].counts;
        json_t *entry = json_array();
        ok = json_array_append_new(entry, json_integer(cell->entries[i].weight)) == 0 && ok;
        for (unsigned role = 0; role < 2; role++) {
            const uint64_t numbers[] = {counts->sent[role], counts->done[role], counts->bad[role],
                                        counts->slow[role], counts->bad_4xx[role]};
            for (unsigned j = 0; j < XF_COUNT(numbers); j++) {
                ok = json_array_append_new(entry, json_integer((json_int_t) numbers[j])) == 0 && ok;
            }
        }
        ok = json_array_append_new(array, entry) == 0 && ok;
    }
    return xf_message_finish(array, ok);
}

static json_t *answers_make(const struct xf_message_cell *cell)
{
    return json_pack("[I, I, I, I]", (json_int_t) cell->asked[0], (json_int_t) cell->answered[0],
                     (json_int_t) cell->asked[1], (json_int_t) cell->answered[1]);
}

/* An agent of an earlier release does not tell: what it counted as ended was answered. */
static void answers_guess(struct xf_message_cell *cell)
{
    for (unsigned i = 0; i < cell->entries_count; i++) {
        for (unsigned role = 0; role < 2; role++) {
            cell->answered[role] += cell->entries[i].counts.done[role];
        }
    }
}

static bool answers_read(const json_t *array, struct xf_message_cell *cell)
{
    uint64_t *const to[ANSWER_NUMBERS] = {&cell->asked[0], &cell->answered[0], &cell->asked[1],
                                          &cell->answered[1]};
    for (unsigned i = 0; i < ANSWER_NUMBERS; i++) {
        const json_t *number = json_array_get(array, i);
        json_int_t value = json_integer_value(number);
        if (!json_is_integer(number) || value < 0 || value > COUNT_MAX) {
            return false;
        }
        *to[i] = (uint64_t) value;
    }
    return true;
}

static bool entry_read(const json_t *entry, struct xf_message_cell *cell)
{
    json_int_t numbers[ENTRY_NUMBERS];
    if (json_array_size(entry) != ENTRY_NUMBERS || cell->entries_count >= XF_SAMPLE_ENTRIES_MAX) {
        return false;
    }
    for (unsigned i = 0; i < ENTRY_NUMBERS; i++) {
        const json_t *number = json_array_get(entry, i);
        numbers[i] = json_integer_value(number);
        if (!json_is_integer(number) || numbers[i] < 0 || numbers[i] > COUNT_MAX) {
            return false;
        }
    }
    if (numbers[0] > (json_int_t) XF_WEIGHT_FULL) {
        return false;
    }
    struct xf_message_counts *counts = &cell->entries[cell->entries_count].counts;
    cell->entries[cell->entries_count].weight = (unsigned) numbers[0];
    for (unsigned role = 0; role < 2; role++) {
        const json_int_t *from = &numbers[1 + role * 5];
        counts->sent[role] = (uint64_t) from[0];
        counts->done[role] = (uint64_t) from[1];
        counts->bad[role] = (uint64_t) from[2];
        counts->slow[role] = (uint64_t) from[3];
        counts->bad_4xx[role] = (uint64_t) from[4];
    }
    cell->entries_count++;
    return true;
}

static bool cell_read(const json_t *array, struct xf_message_cell *ret)
{
    const json_t *number = json_array_get(array, 0);
    if (!json_is_integer(number) || json_integer_value(number) < 0 ||
        json_integer_value(number) > INT64_MAX / XF_CELL_MS) {
        return false;
    }
    ret->number = (uint64_t) json_integer_value(number);
    for (size_t i = 1; i < json_array_size(array); i++) {
        if (!entry_read(json_array_get(array, i), ret)) {
            return false;
        }
    }
    return true;
}

json_t *xf_message_samples_make(const struct xf_message_samples *samples)
{
    json_t *message = xf_message_new(XF_MESSAGE_SAMPLES);
    bool ok = message != NULL;
    xf_json_put(message, "proxy", xf_message_proxy_make(&samples->proxy), &ok);
    xf_json_put_int(message, "seq", (int64_t) samples->seq, &ok);
    xf_json_put_string(message, "service", samples->service, &ok);
    xf_json_put_int(message, "attempt", (int64_t) samples->attempt, &ok);
    json_t *cells = json_array();
    json_t *answers = json_array();
    for (size_t i = 0; i < samples->cells_count; i++) {
        ok = json_array_append_new(cells, cell_make(&samples->cells[i])) == 0 && ok;
        ok = json_array_append_new(answers, answers_make(&samples->cells[i])) == 0 && ok;
    }
    xf_json_put(message, "cells", cells, &ok);
    xf_json_put(message, "answers", answers, &ok);
    if (samples->blame != NULL) {
        xf_json_put(message, "blame", json_incref(samples->blame), &ok);
    }
    return xf_message_finish(message, ok);
}

int xf_message_samples_read(const json_t *message, struct xf_message_samples *ret,
                            struct xf_error *err)
{
    struct xf_json reader = {.what = "samples", .err = err};
    struct xf_message_samples read = {0};
    xf_message_proxy_read(&reader, message, &read.proxy);
    xf_json_uint(&reader, message, "seq", XF_JSON_NEEDED, INT64_MAX, &read.seq);
    xf_message_name_read(&reader, message, "service", read.service);
    xf_json_uint(&reader, message, "attempt", XF_JSON_NEEDED, INT64_MAX, &read.attempt);
    const json_t *cells =
        xf_json_array(&reader, message, "cells", XF_JSON_NEEDED, XF_SAMPLE_CELLS_MAX);
    const json_t *answers = json_object_get(message, "answers");
    if (!reader.failed) {
        read.cells = calloc(json_array_size(cells) + 1, sizeof(*read.cells));
        if (read.cells == NULL) {
            xf_json_fail(&reader, "cells", "does not fit into memory");
        }
    }
    for (; !reader.failed && read.cells_count < json_array_size(cells); read.cells_count++) {
        struct xf_message_cell *cell = &read.cells[read.cells_count];
        if (!cell_read(json_array_get(cells, read.cells_count), cell) ||
            (read.cells_count > 0 && cell->number <= cell[-1].number)) {
            xf_json_fail(&reader, "cells", "holds a malformed or unordered cell");
        } else if (answers == NULL) {
            answers_guess(cell);
        } else if (!answers_read(json_array_get(answers, read.cells_count), cell)) {
            xf_json_fail(&reader, "answers", "does not fit the cells");
        }
    }
    json_t *blame = json_object_get(message, "blame");
    read.blame = json_is_object(blame) ? json_incref(blame) : NULL;
    if (reader.failed) {
        xf_message_samples_release(&read);
        return -1;
    }
    *ret = read;
    return 0;
}

void xf_message_samples_release(struct xf_message_samples *samples)
{
    free(samples->cells);
    json_decref(samples->blame);
    *samples = (struct xf_message_samples){0};
}
