/*
 * agent_samples.c -- judge cells from the workers' rings to the leader.
 *
 * Every tick the cells that have closed are read again and what was added since the last look is
 * taken, so that a count which came late is sent once, with its own cell.  A cell with a bad or
 * slow answer goes at once, clean ones with the heartbeat.  The rings are a stranger's input: a
 * number outside the last seconds, a weight above 100 % or a count that fell is left out.
 */
#include "shifter/agent/agent_state.h"

#include "shifter/agent/agent_judge.h"
#include "shifter/judge/judge_silence.h"
#include "shifter/judge/judge_tally.h"

#include <stdlib.h>
#include <string.h>

#define LATE_MS   10u /* a turn of a worker's loop may end a little after the cell's end */
#define KINDS     5u  /* sent, done, bad, slow, 4xx */
#define COUNT_MAX (1u << 30)
#define FADE_MS   300000 /* what is older than this weighs half in the tally of the blame */

struct seen_cell {
    uint64_t number;
    uint32_t asked[XF_ROLES], answered[XF_ROLES];
    struct {
        uint32_t weight; /* plus 1, as in the ring; 0: not seen */
        uint32_t counts[KINDS][XF_ROLES];
    } entry[XF_CELL_WEIGHTS];
};

struct seen_ring { /* of one worker of one edition, for one service */
    struct seen_ring *next;
    uint64_t edition;
    unsigned worker;
    char service[XF_NAME_BYTES];
    uint64_t blamed; /* events of the blame ring that were read */
    struct seen_cell cells[XF_CELLS];
};

struct batch { /* cells in the order of time */
    struct xf_message_cell cells[XF_SAMPLE_CELLS_MAX];
    size_t count;
};

struct outbox { /* of one service */
    struct outbox *next;
    char service[XF_NAME_BYTES];
    uint64_t attempt;
    struct batch batch; /* not yet sent */
    bool urgent;
    uint64_t unanswered; /* requests to green since its last answer */

    bool learning; /* no cutover runs */
    struct xf_learner learner;

    /* Who carries the trouble of this attempt; sent whole. */
    unsigned verdict_attempt;
    struct xf_tally tally;
    bool blaming, blame_new; /* it holds something; and something that was not sent */
    int64_t faded_ms;
    uint64_t faded_done; /* green's responses then */
};

struct xf_agent_samples {
    struct seen_ring *rings;
    struct outbox *outboxes;
    struct batch fresh; /* what one service gained in this tick */
    uint64_t seq;
};

struct xf_agent_samples *xf_agent_samples_create(void)
{
    return calloc(1, sizeof(struct xf_agent_samples));
}

void xf_agent_samples_destroy(struct xf_agent_samples *samples)
{
    if (samples == NULL) {
        return;
    }
    while (samples->rings != NULL) {
        struct seen_ring *ring = samples->rings;
        samples->rings = ring->next;
        free(ring);
    }
    while (samples->outboxes != NULL) {
        struct outbox *box = samples->outboxes;
        samples->outboxes = box->next;
        free(box);
    }
    free(samples);
}

void xf_agent_samples_forget(struct xf_agent *agent, uint64_t edition)
{
    struct seen_ring **link = &agent->samples->rings;
    while (*link != NULL) {
        struct seen_ring *ring = *link;
        if (ring->edition == edition) {
            *link = ring->next;
            free(ring);
        } else {
            link = &ring->next;
        }
    }
}

static struct seen_ring *find_ring(struct xf_agent_samples *samples, uint64_t edition,
                                   unsigned worker, const char *service)
{
    for (struct seen_ring *ring = samples->rings; ring != NULL; ring = ring->next) {
        if (ring->edition == edition && ring->worker == worker &&
            strcmp(ring->service, service) == 0) {
            return ring;
        }
    }
    struct seen_ring *ring = calloc(1, sizeof(*ring));
    if (ring != NULL) {
        ring->edition = edition;
        ring->worker = worker;
        memcpy(ring->service, service, strnlen(service, XF_NAME_BYTES - 1));
        ring->next = samples->rings;
        samples->rings = ring;
    }
    return ring;
}

static struct outbox *find_outbox(struct xf_agent_samples *samples, const char *service)
{
    for (struct outbox *box = samples->outboxes; box != NULL; box = box->next) {
        if (strcmp(box->service, service) == 0) {
            return box;
        }
    }
    struct outbox *box = calloc(1, sizeof(*box));
    if (box != NULL) {
        memcpy(box->service, service, strnlen(service, XF_NAME_BYTES - 1));
        xf_learner_init(&box->learner);
        box->next = samples->outboxes;
        samples->outboxes = box;
    }
    return box;
}

/* The cell of that number in the order of time, made if it is not there. */
static struct xf_message_cell *place_cell(struct batch *batch, uint64_t number)
{
    size_t at = batch->count;
    while (at > 0 && batch->cells[at - 1].number > number) {
        at--;
    }
    if (at > 0 && batch->cells[at - 1].number == number) {
        return &batch->cells[at - 1];
    }
    if (batch->count == XF_SAMPLE_CELLS_MAX) { /* nobody takes them: the oldest goes */
        if (at == 0) {
            return NULL;
        }
        memmove(&batch->cells[0], &batch->cells[1], (batch->count - 1) * sizeof(batch->cells[0]));
        batch->count--;
        at--;
    }
    memmove(&batch->cells[at + 1], &batch->cells[at],
            (batch->count - at) * sizeof(batch->cells[0]));
    memset(&batch->cells[at], 0, sizeof(batch->cells[0]));
    batch->cells[at].number = number;
    batch->count++;
    return &batch->cells[at];
}

static struct xf_message_counts *place_entry(struct xf_message_cell *cell, unsigned weight)
{
    unsigned nearest = 0;
    for (unsigned i = 0; i < cell->entries_count; i++) {
        unsigned apart = weight > cell->entries[i].weight ? weight - cell->entries[i].weight
                                                          : cell->entries[i].weight - weight;
        unsigned best = weight > cell->entries[nearest].weight
                            ? weight - cell->entries[nearest].weight
                            : cell->entries[nearest].weight - weight;
        nearest = apart < best ? i : nearest;
        if (apart == 0) {
            return &cell->entries[i].counts;
        }
    }
    if (cell->entries_count == XF_SAMPLE_ENTRIES_MAX) {
        return &cell->entries[nearest].counts;
    }
    cell->entries[cell->entries_count].weight = weight;
    return &cell->entries[cell->entries_count++].counts;
}

static void read_entry(const struct xf_cell_entry *entry, uint32_t ret[KINDS][XF_ROLES])
{
    const _Atomic uint32_t *kinds[KINDS] = {entry->sent, entry->done, entry->bad, entry->slow,
                                            entry->bad_4xx};
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned role = 0; role < XF_ROLES; role++) {
            ret[kind][role] = atomic_load_explicit(&kinds[kind][role], memory_order_relaxed);
        }
    }
}

/* What one entry gained since it was seen; false: nothing, or nothing to be believed. */
static bool take_gain(const struct xf_cell_entry *entry, struct seen_cell *seen, unsigned number,
                      struct xf_message_counts *ret)
{
    uint32_t weight = atomic_load_explicit(&entry->weight, memory_order_relaxed);
    uint32_t now[KINDS][XF_ROLES];
    uint64_t *sums[KINDS] = {ret->sent, ret->done, ret->bad, ret->slow, ret->bad_4xx};
    if (weight == 0 || weight > XF_WEIGHT_FULL + 1) {
        return false;
    }
    read_entry(entry, now);
    if (seen->entry[number].weight != weight) {
        memset(&seen->entry[number], 0, sizeof(seen->entry[number]));
        seen->entry[number].weight = weight;
    }
    bool any = false;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (unsigned role = 0; role < XF_ROLES; role++) {
            uint32_t before = seen->entry[number].counts[kind][role];
            if (now[kind][role] > before && now[kind][role] < COUNT_MAX) {
                sums[kind][role] = now[kind][role] - before;
                seen->entry[number].counts[kind][role] = now[kind][role];
                any = true;
            }
        }
    }
    return any;
}

static void add_counts(struct xf_message_counts *to, const struct xf_message_counts *gain)
{
    for (unsigned role = 0; role < XF_ROLES; role++) {
        to->sent[role] += gain->sent[role];
        to->done[role] += gain->done[role];
        to->bad[role] += gain->bad[role];
        to->slow[role] += gain->slow[role];
        to->bad_4xx[role] += gain->bad_4xx[role];
    }
}

static bool is_trouble(const struct xf_message_counts *gain)
{
    return (gain->bad[XF_BLUE] | gain->bad[XF_GREEN] | gain->slow[XF_BLUE] | gain->slow[XF_GREEN] |
            gain->bad_4xx[XF_BLUE] | gain->bad_4xx[XF_GREEN]) != 0;
}

/* What one counter of a ring gained; nothing, where it is not to be believed. */
static uint32_t take_count(const _Atomic uint32_t *counter, uint32_t *seen)
{
    uint32_t now = atomic_load_explicit(counter, memory_order_relaxed);
    uint32_t gain = now > *seen && now < COUNT_MAX ? now - *seen : 0;
    *seen += gain;
    return gain;
}

/* A green that answers nothing is told at once too: with a sticky key nothing else may say so. */
static void take_answers(struct outbox *box, struct batch *fresh, const struct xf_cell *cell,
                         struct seen_cell *seen, uint64_t number)
{
    uint32_t asked[XF_ROLES], answered[XF_ROLES];
    bool any = false;
    for (unsigned role = 0; role < XF_ROLES; role++) {
        asked[role] = take_count(&cell->asked[role], &seen->asked[role]);
        answered[role] = take_count(&cell->answered[role], &seen->answered[role]);
        any = any || asked[role] > 0 || answered[role] > 0;
    }
    struct xf_message_cell *to = any ? place_cell(fresh, number) : NULL;
    for (unsigned role = 0; to != NULL && role < XF_ROLES; role++) {
        to->asked[role] += asked[role];
        to->answered[role] += answered[role];
    }
    box->unanswered = answered[XF_GREEN] > 0 ? 0 : box->unanswered + asked[XF_GREEN];
    box->urgent = box->urgent || (asked[XF_GREEN] > 0 && box->unanswered >= XF_SILENCE_ASKED_MIN);
}

static void take_cell(struct outbox *box, struct batch *fresh, const struct xf_cell *cell,
                      struct seen_cell *seen, uint64_t number)
{
    if (seen->number != number) {
        memset(seen, 0, sizeof(*seen));
        seen->number = number;
    }
    take_answers(box, fresh, cell, seen, number);
    for (unsigned i = 0; i < XF_CELL_WEIGHTS; i++) {
        struct xf_message_counts gain = {0};
        if (!take_gain(&cell->entry[i], seen, i, &gain)) {
            continue;
        }
        struct xf_message_cell *to = place_cell(fresh, number);
        if (to == NULL) {
            return;
        }
        add_counts(place_entry(to, seen->entry[i].weight - 1), &gain);
        xf_tally_done(&box->tally, XF_JUDGE_BLUE, gain.done[XF_BLUE]);
        xf_tally_done(&box->tally, XF_JUDGE_GREEN, gain.done[XF_GREEN]);
        box->urgent = box->urgent || is_trouble(&gain);
    }
}

/* `open` is the number of the cell that has not closed yet. */
static void take_ring(struct xf_agent_samples *samples, struct outbox *box,
                      const struct xf_agent_edition *edition, unsigned worker, unsigned service,
                      uint64_t open)
{
    struct seen_ring *ring = find_ring(samples, edition->number, worker, box->service);
    const struct xf_cell *cells = xf_stats_cells(edition->board->stats[worker], service);
    for (unsigned i = 0; ring != NULL && i < XF_CELLS; i++) {
        uint64_t number = atomic_load_explicit(&cells[i].number, memory_order_acquire);
        if (number >= open || number + XF_CELLS / 2 < open ||
            atomic_load_explicit(&cells[i].attempt, memory_order_relaxed) !=
                (uint32_t) box->attempt) {
            continue;
        }
        take_cell(box, &samples->fresh, &cells[i], &ring->cells[i], number);
    }
    if (ring != NULL &&
        xf_agent_blame_read(xf_stats_blame(edition->board->stats[worker], service), edition->config,
                            box->attempt, &ring->blamed, &box->tally)) {
        box->blaming = true;
        box->blame_new = true;
    }
}

/* This proxy's own judge hears it first; then it waits to be sent. */
static void keep_fresh(struct xf_agent *agent, unsigned service, struct outbox *box)
{
    struct batch *fresh = &agent->samples->fresh;
    xf_agent_judge_take(agent, service, fresh->cells, fresh->count);
    for (size_t i = 0; i < fresh->count; i++) {
        const struct xf_message_cell *cell = &fresh->cells[i];
        struct xf_message_cell *to = place_cell(&box->batch, cell->number);
        for (unsigned j = 0; to != NULL && j < cell->entries_count; j++) {
            add_counts(place_entry(to, cell->entries[j].weight), &cell->entries[j].counts);
        }
        for (unsigned role = 0; to != NULL && role < XF_ROLES; role++) {
            to->asked[role] += cell->asked[role];
            to->answered[role] += cell->answered[role];
        }
    }
}

/* Halved now and then, so that a late fault is seen; but not while green gets nothing, so that
 * the blame for a retreat stays. */
static void fade(struct outbox *box, int64_t now_ms)
{
    uint64_t done = box->tally.done[XF_JUDGE_GREEN];
    if (now_ms - box->faded_ms < FADE_MS) {
        return;
    }
    box->faded_ms = now_ms;
    if (done > box->faded_done) {
        xf_tally_fade(&box->tally);
    }
    box->faded_done = box->tally.done[XF_JUDGE_GREEN];
}

static void send_box(struct xf_agent *agent, struct outbox *box, bool all)
{
    bool blame = box->blaming && (all || box->blame_new);
    struct xf_message_samples message = {
        .proxy = agent->self,
        .seq = agent->samples->seq + 1,
        .attempt = box->attempt,
        .cells = box->batch.cells,
        .cells_count = box->batch.count,
        .blame = blame ? xf_tally_json(&box->tally, box->verdict_attempt) : NULL};
    memcpy(message.service, box->service, sizeof(message.service));
    json_t *json = xf_message_samples_make(&message);
    if (json != NULL && agent->bus != NULL && xf_bus_send(agent->bus, json)) {
        agent->samples->seq++;
        box->batch.count = 0;
        box->urgent = false;
        box->blame_new = box->blame_new && !blame;
    }
    json_decref(json);
    json_decref(message.blame);
}

static bool is_judged(const struct xf_agent_service *service)
{
    return service->document != NULL && service->document->state >= XF_CUTOVER_PREFLIGHT &&
           service->document->state <= XF_CUTOVER_FINALIZING;
}

/* What the workers of every live edition counted since the last look, into `fresh`. */
static void take_fresh(struct xf_agent *agent, const struct xf_agent_service *service,
                       struct outbox *box, uint64_t open)
{
    agent->samples->fresh.count = 0;
    for (unsigned i = 0; i < agent->editions_count; i++) {
        const struct xf_agent_edition *edition = agent->editions[i];
        int place = xf_config_find_service(edition->config, service->name);
        for (unsigned w = 0; place >= 0 && !edition->refused && w < edition->board->workers; w++) {
            take_ring(agent->samples, box, edition, w, (unsigned) place, open);
        }
    }
}

/* While no cutover runs, one cluster has all traffic: what is normal for it is learnt. */
static void learn_service(struct xf_agent *agent, const struct xf_agent_service *service,
                          uint64_t open)
{
    struct outbox *box = find_outbox(agent->samples, service->name);
    if (box == NULL) {
        return;
    }
    if (!box->learning) {
        box->learning = true;
        box->attempt = 0; /* the workers' cells are of no attempt */
        box->batch.count = 0;
        xf_learner_init(&box->learner);
    }
    take_fresh(agent, service, box, open);
    box->urgent = false;
    box->blaming = false;
    for (size_t i = 0; i < agent->samples->fresh.count; i++) {
        const struct xf_message_cell *cell = &agent->samples->fresh.cells[i];
        uint64_t done = 0;
        uint64_t bad = 0;
        for (unsigned j = 0; j < cell->entries_count; j++) {
            done += cell->entries[j].counts.done[XF_BLUE];
            bad += cell->entries[j].counts.bad[XF_BLUE];
        }
        xf_learner_cell(&box->learner, (int64_t) cell->number * XF_CELL_MS, done, bad);
    }
    xf_learner_seen(&box->learner, (int64_t) open * XF_CELL_MS);
}

struct xf_learnt xf_agent_samples_learnt(const struct xf_agent *agent, const char *service)
{
    struct outbox *box = find_outbox(agent->samples, service);
    return box != NULL ? xf_learner_learnt(&box->learner) : (struct xf_learnt){.done = 0};
}

static void tick_service(struct xf_agent *agent, struct xf_agent_service *service, uint64_t open,
                         bool all)
{
    struct outbox *box = find_outbox(agent->samples, service->name);
    if (box == NULL) {
        return;
    }
    box->learning = false;
    if (box->attempt != service->document->attempts) {
        box->attempt = service->document->attempts;
        box->batch.count = 0;
        box->verdict_attempt = 0;
        box->unanswered = 0;
    }
    if (box->verdict_attempt != service->document->verdict_attempt) {
        box->verdict_attempt = service->document->verdict_attempt;
        xf_tally_init(&box->tally);
        box->blaming = false;
        box->faded_ms = xf_agent_now_ms(agent);
        box->faded_done = 0;
    }
    take_fresh(agent, service, box, open);
    keep_fresh(agent, (unsigned) (service - agent->services), box);
    if (box->batch.count > 0 &&
        (all || box->urgent || box->batch.count > XF_SAMPLE_CELLS_MAX / 2)) {
        send_box(agent, box, all);
    }
    fade(box, xf_agent_now_ms(agent));
}

void xf_agent_samples_tick(struct xf_agent *agent, bool all)
{
    if (!agent->clock_offset_known) {
        return;
    }
    int64_t store_ms =
        (agent->clock->boottime_ns(agent->clock->context) / 1000 + agent->clock_offset_us) / 1000;
    if (store_ms < (int64_t) LATE_MS) {
        return;
    }
    if (agent->samples->seq == 0) { /* larger than any of an agent before this one of this boot */
        agent->samples->seq = (uint64_t) xf_clock_boottime_ms(agent->clock) * 1000u;
    }
    uint64_t open = (uint64_t) (store_ms - LATE_MS) / XF_CELL_MS;
    for (unsigned i = 0; i < agent->services_count; i++) {
        if (is_judged(&agent->services[i])) {
            tick_service(agent, &agent->services[i], open, all);
        } else if (agent->services[i].document != NULL) {
            learn_service(agent, &agent->services[i], open);
        }
    }
}
