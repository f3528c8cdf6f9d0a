/*
 * sim_store.c -- the store of the simulation: the rules of the write script, and bad luck.
 *
 * A call is a letter: it arrives after a while or never, what it asks for happens then, and the
 * answer comes back after a while or never, in which case the caller is told LOST.
 */
#include "sim.h"

#include "config/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOST_MS 1500

enum op_kind { OP_STATE, OP_WRITE, OP_TAIL, OP_PUT, OP_GET, OP_LEASE, OP_SWAP, OP_TIME, OP_SIGNAL };

struct sim_store {
    struct xf_store base;      /* first */
    struct sim_leader *leader; /* NULL: destroyed */
    unsigned letters; /* under way, answered or not: the store lives until the last is back */
    struct op *ops;   /* of them, newest first */
};

struct op {
    enum op_kind kind;
    struct sim_store *store;
    struct op *next;
    struct xf_store_entry top;
    int64_t asked_at;
    bool answered; /* the caller has its answer; the letter may still be on its way */
    bool arrives, returns;
    struct xf_store_write write;
    char holder[XF_UUID_TEXT_BYTES], write_id[XF_UUID_TEXT_BYTES];
    char *document, *entry, *text;
    unsigned checkpoint;
    uint64_t epoch;
    struct xf_store_lease seen, swap;
    enum xf_store_result result;
    struct xf_store_state state;
    void *callback, *context;
};

struct sim_store *sim_store_create(struct sim_leader *leader)
{
    struct sim_store *store = calloc(1, sizeof(*store));
    store->leader = leader;
    return store;
}

static void op_free(struct op *op)
{
    free(op->document);
    free(op->entry);
    free(op->text);
    free(op);
}

static void answer(struct op *op, enum xf_store_result result)
{
    struct sim_store *store = op->store;
    struct op **place = &store->ops;
    while (*place != op) {
        place = &(*place)->next;
    }
    *place = op->next;
    op->answered = true;
    store->base.ok = result != XF_STORE_LOST && result != XF_STORE_REFUSED;
    switch (op->kind) {
    case OP_STATE:
        op->state.document = op->document;
        ((xf_store_got_state *) op->callback)(op->context, result, &op->state, "");
        break;
    case OP_LEASE:
        ((xf_store_got_lease *) op->callback)(op->context, result, &op->seen, "");
        break;
    case OP_GET:
    case OP_TIME:
        ((xf_store_got_text *) op->callback)(op->context, result, op->text, "");
        break;
    case OP_TAIL:
        ((xf_store_got_log *) op->callback)(op->context, result, &op->top,
                                            op->top.generation > 0 ? 1 : 0, "");
        break;
    case OP_WRITE:
    case OP_PUT:
    case OP_SWAP:
    case OP_SIGNAL:
        ((xf_store_done *) op->callback)(op->context, result, "");
        break;
    }
}

/* ---- the rules ---- */

static bool fenced(const struct sim *sim, const struct op *op)
{
    return sim->options.mutant != SIM_NO_FENCE &&
           (strcmp(sim->lease.holder, op->holder) != 0 || sim->lease.epoch != op->epoch);
}

static enum xf_store_result check_write(const struct sim *sim, const struct op *op)
{
    const struct xf_store_write *write = &op->write;
    for (size_t i = 0; i < sim->log_count; i++) {
        if (sim->log[i].generation == write->next.generation &&
            sim->log[i].revision == write->next.revision &&
            strcmp(sim->log[i].write_id, op->write_id) == 0) {
            return XF_STORE_ALREADY;
        }
    }
    if (fenced(sim, op)) {
        return XF_STORE_FENCED;
    }
    if (sim->version.epoch > write->next.epoch) {
        return XF_STORE_EPOCH_BEHIND;
    }
    if (write->restored && (sim->version.generation > write->next.generation ||
                            (sim->version.generation == write->next.generation &&
                             sim->version.revision >= write->next.revision))) {
        return XF_STORE_STALE; /* a recovery goes beyond what stands */
    }
    bool compared = !write->restored || sim->options.embedded;
    if (compared && sim->options.mutant != SIM_NO_EXPECTED &&
        sim->options.mutant != SIM_NEW_ID_ON_RETRY &&
        (sim->version.generation != write->expected.generation ||
         sim->version.revision != write->expected.revision)) {
        return XF_STORE_STALE;
    }
    return XF_STORE_OK;
}

/* A retry that carries another id is not known again; without the comparison of versions it counts
 * as a new change. */
static void change_id(struct sim *sim, struct op *op)
{
    for (size_t i = 0; i < sim->log_count; i++) {
        if (strcmp(sim->log[i].write_id, op->write_id) == 0) {
            snprintf(op->write_id, sizeof(op->write_id), "00000000-0000-4000-c000-%012llx",
                     (unsigned long long) sim_draw(sim, 1ull << 40));
        }
    }
}

static char *approved(const char *text)
{
    json_t *root = json_loads(text, 0, NULL);
    json_object_set_new(root, "approved", json_true());
    char *changed = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return changed;
}

static void do_write(struct sim *sim, struct op *op)
{
    if (sim->options.mutant == SIM_NEW_ID_ON_RETRY) {
        change_id(sim, op);
    }
    op->result = check_write(sim, op);
    if (op->result != XF_STORE_OK) {
        return;
    }
    op->write.document = op->document;
    op->write.entry = op->entry;
    op->write.write_id = op->write_id;
    op->write.holder = op->holder;
    op->write.service = "web";
    sim->asked_at = op->asked_at;
    sim_check_write(sim, sim->present ? sim->document : NULL, &op->write);
    if (sim->log_count == sim->log_capacity) {
        sim->log_capacity = sim->log_capacity == 0 ? 64 : sim->log_capacity * 2;
        sim->log = realloc(sim->log, sim->log_capacity * sizeof(*sim->log));
    }
    struct sim_log *log = &sim->log[sim->log_count++];
    *log = (struct sim_log){.generation = op->write.next.generation,
                            .revision = op->write.next.revision,
                            .entry = strdup(op->entry)};
    memcpy(log->write_id, op->write_id, sizeof(log->write_id));
    free(sim->document);
    sim->document = sim->options.mutant == SIM_RESUME_APPROVES && sim->resumed
                        ? approved(op->document)
                        : strdup(op->document);
    sim->version = op->write.next;
    memcpy(sim->write_id, op->write_id, sizeof(sim->write_id));
    sim->present = true;
    sim->written_at = sim->now;
}

/* The document as a leader would see it that broke one rule. */
static char *misread(const struct sim *sim, const char *text)
{
    json_t *root = json_loads(text, 0, NULL);
    json_t *signal = json_object_get(root, "signal");
    json_t *action = json_object_get(root, "action");
    switch (sim->options.mutant) {
    case SIM_HOLDS_LOST:
        json_object_set_new(root, "holds", json_object());
        json_object_set_new(root, "pauses", json_array());
        break;
    case SIM_REVOKED_UNNUMBERED:
        if (json_integer_value(json_object_get(signal, "sequence")) == 2) {
            json_object_set_new(signal, "sequence", json_integer(1));
        }
        break;
    case SIM_ACTION_AGAIN:
        if (json_is_object(action)) {
            json_object_set_new(action, "started", json_false());
        }
        break;
    default:
        break;
    }
    char *changed = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return changed;
}

static void do_swap(struct sim *sim, struct op *op)
{
    bool same = sim->options.mutant == SIM_LEASE_FOR_ALL ||
                (strcmp(sim->lease.holder, op->seen.holder) == 0 &&
                 sim->lease.beat == op->seen.beat && sim->lease.epoch == op->seen.epoch);
    bool again = strcmp(sim->lease.holder, op->swap.holder) == 0 &&
                 sim->lease.beat == op->swap.beat && sim->lease.epoch == op->swap.epoch;
    op->result = again ? XF_STORE_ALREADY : same ? XF_STORE_OK : XF_STORE_FENCED;
    if (same) {
        sim->lease = op->swap;
    }
}

/* A mutant's names nobody. */
static char *read_checkpoint_text(const struct sim *sim, const char *kept)
{
    if (sim->options.mutant != SIM_FORGETFUL) {
        return strdup(kept);
    }
    json_t *root = json_loads(kept, 0, NULL);
    (void) json_object_del(root, "members");
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void perform(struct sim *sim, struct op *op)
{
    char number[32];
    op->result = XF_STORE_OK;
    switch (op->kind) {
    case OP_STATE:
        op->result = sim->present ? XF_STORE_OK : XF_STORE_ABSENT;
        op->state.version = sim->version;
        memcpy(op->state.write_id, sim->write_id, sizeof(op->state.write_id));
        if (sim->present) {
            op->document = sim->options.mutant == SIM_HEALTHY ? strdup(sim->document)
                                                              : misread(sim, sim->document);
        }
        break;
    case OP_WRITE:
        do_write(sim, op);
        break;
    case OP_TAIL: /* one entry is enough: whether the log's top is the state */
        op->top = (struct xf_store_entry){.generation = sim->present ? sim->version.generation : 0,
                                          .revision = sim->version.revision,
                                          .entry = "{}"};
        break;
    case OP_PUT:
        if (fenced(sim, op)) {
            op->result = XF_STORE_FENCED;
        } else {
            free(sim->checkpoints[op->checkpoint]);
            sim->checkpoints[op->checkpoint] = strdup(op->text);
        }
        break;
    case OP_GET: {
        const char *kept = sim->checkpoints[op->checkpoint];
        op->result = kept != NULL ? XF_STORE_OK : XF_STORE_ABSENT;
        op->text = kept != NULL ? read_checkpoint_text(sim, kept) : NULL;
        break;
    }
    case OP_LEASE:
        op->seen = sim->lease;
        op->result = sim->lease.holder[0] != '\0' ? XF_STORE_OK : XF_STORE_ABSENT;
        break;
    case OP_SWAP:
        do_swap(sim, op);
        break;
    case OP_TIME:
        snprintf(number, sizeof(number), "%lld", (long long) (sim->now + 1790000000000));
        op->text = strdup(number);
        break;
    case OP_SIGNAL:
        op->result = fenced(sim, op) ? XF_STORE_FENCED : XF_STORE_OK;
        break;
    }
}

/* ---- letters ---- */

static void returned(struct sim *sim, void *argument)
{
    struct op *op = argument;
    if (!op->answered) {
        if (op->store->leader != NULL && op->store->leader->frozen_until > sim->now) {
            sim_later(sim, op->store->leader->frozen_until - sim->now + 1, returned, op);
            return;
        }
        answer(op, op->returns ? op->result : XF_STORE_LOST);
    }
    struct sim_store *store = op->store;
    op_free(op);
    store->letters--;
    if (store->leader == NULL && store->letters == 0) {
        free(store);
    }
}

static void arrived(struct sim *sim, void *argument)
{
    struct op *op = argument;
    bool down = sim->now < sim->down_until;
    if (op->arrives && !down) {
        if (op->kind == OP_WRITE && sim_faulty(sim) &&
            sim_chance(sim, sim->options.store_faults / 4)) {
            op->result = XF_STORE_REFUSED;
        } else {
            perform(sim, op);
        }
    } else {
        op->returns = false;
    }
    sim_later(sim, op->returns ? 1 + (int64_t) sim_draw(sim, 20) : LOST_MS, returned, op);
}

static struct op *post(struct xf_store *base, enum op_kind kind, void *callback, void *context)
{
    struct sim_store *store = (struct sim_store *) base;
    struct sim *sim = store->leader->sim;
    struct op *op = calloc(1, sizeof(*op));
    *op = (struct op){.kind = kind,
                      .store = store,
                      .next = store->ops,
                      .callback = callback,
                      .context = context,
                      .asked_at = sim->now};
    store->ops = op;
    store->letters++;
    unsigned faults = sim_faulty(sim) ? sim->options.store_faults : 0;
    op->arrives = !sim_chance(sim, faults / 2);
    op->returns = op->arrives && !sim_chance(sim, faults);
    uint64_t way = sim_chance(sim, faults) ? (sim_chance(sim, 200) ? 8000 : 900) : 10;
    if (kind == OP_WRITE && sim_faulty(sim) && sim_chance(sim, sim->options.late_writes)) {
        way = SIM_LATE_MS;
    }
    sim_later(sim, 1 + (int64_t) sim_draw(sim, way), arrived, op);
    return op;
}

static void store_read_state(struct xf_store *base, const char *service, xf_store_got_state *done,
                             void *context)
{
    (void) service;
    (void) post(base, OP_STATE, (void *) done, context);
}

static void store_write(struct xf_store *base, const struct xf_store_write *write,
                        xf_store_done *done, void *context)
{
    struct op *op = post(base, OP_WRITE, (void *) done, context);
    op->write = *write;
    op->epoch = write->next.epoch;
    op->document = strdup(write->document);
    op->entry = strdup(write->entry);
    snprintf(op->holder, sizeof(op->holder), "%s", write->holder);
    snprintf(op->write_id, sizeof(op->write_id), "%s", write->write_id);
}

static void store_read_log_tail(struct xf_store *base, const char *service, size_t count,
                                xf_store_got_log *done, void *context)
{
    (void) service;
    (void) count;
    (void) post(base, OP_TAIL, (void *) done, context);
}

static void store_read_log(struct xf_store *base, const char *service, uint64_t generation,
                           uint64_t revision, size_t count, xf_store_got_log *done, void *context)
{
    (void) generation;
    (void) revision;
    store_read_log_tail(base, service, count, done, context);
}

static void store_write_checkpoint(struct xf_store *base, const char *service, const char *name,
                                   const char *holder, uint64_t epoch, const char *text,
                                   xf_store_done *done, void *context)
{
    (void) service;
    struct op *op = post(base, OP_PUT, (void *) done, context);
    op->checkpoint = strcmp(name, "judge") == 0;
    op->epoch = epoch;
    op->text = strdup(text);
    snprintf(op->holder, sizeof(op->holder), "%s", holder);
}

static void store_read_checkpoint(struct xf_store *base, const char *service, const char *name,
                                  xf_store_got_text *done, void *context)
{
    (void) service;
    struct op *op = post(base, OP_GET, (void *) done, context);
    op->checkpoint = strcmp(name, "judge") == 0;
}

static void store_read_lease(struct xf_store *base, const char *service, xf_store_got_lease *done,
                             void *context)
{
    (void) service;
    (void) post(base, OP_LEASE, (void *) done, context);
}

static void store_swap_lease(struct xf_store *base, const char *service,
                             const struct xf_store_lease *seen, const struct xf_store_lease *next,
                             xf_store_done *done, void *context)
{
    (void) service;
    struct op *op = post(base, OP_SWAP, (void *) done, context);
    op->seen = *seen;
    op->swap = *next;
}

static void store_read_time(struct xf_store *base, xf_store_got_text *done, void *context)
{
    (void) post(base, OP_TIME, (void *) done, context);
}

static void store_write_signal(struct xf_store *base, const char *service, const char *holder,
                               uint64_t epoch, const char *record, xf_store_done *done,
                               void *context)
{
    (void) service;
    (void) record;
    struct op *op = post(base, OP_SIGNAL, (void *) done, context);
    op->epoch = epoch;
    snprintf(op->holder, sizeof(op->holder), "%s", holder);
}

static const struct xf_store_vtable sim_calls = {
    .read_state = store_read_state,
    .write = store_write,
    .read_log = store_read_log,
    .read_log_tail = store_read_log_tail,
    .write_checkpoint = store_write_checkpoint,
    .read_checkpoint = store_read_checkpoint,
    .read_lease = store_read_lease,
    .swap_lease = store_swap_lease,
    .read_time = store_read_time,
    .write_signal = store_write_signal,
};

struct xf_store *sim_store_base(struct sim_store *store)
{
    store->base.calls = &sim_calls;
    store->base.kind = XF_STORE_REDIS;
    store->base.ok = true;
    return &store->base;
}

void sim_store_destroy(struct sim_store *store)
{
    while (store->ops != NULL) {
        answer(store->ops, XF_STORE_LOST);
    }
    store->leader = NULL;
    if (store->letters == 0) {
        free(store);
    }
}

void sim_store_save(struct sim *sim)
{
    free(sim->saved_document);
    sim->saved_document = sim->present ? strdup(sim->document) : NULL;
    sim->saved_version = sim->version;
    sim->saved_log_count = sim->log_count;
    sim->saved_step_entered_at = sim->step_entered_at;
    memcpy(sim->saved_write_id, sim->write_id, sizeof(sim->write_id));
}

/* As after a crash: what was written since the save is gone. */
void sim_store_restore(struct sim *sim)
{
    if (sim->saved_document == NULL) {
        return;
    }
    free(sim->document);
    sim->document = strdup(sim->saved_document);
    sim->present = true;
    sim->version = sim->saved_version;
    memcpy(sim->write_id, sim->saved_write_id, sizeof(sim->write_id));
    sim->step_entered_at =
        sim->saved_step_entered_at; /* a step that nobody heard of is made anew */
    while (sim->log_count > sim->saved_log_count) {
        free(sim->log[--sim->log_count].entry);
    }
    sim->lost_saves++;
}

/* FLUSHALL: lease and checkpoints go as well. */
void sim_store_flush(struct sim *sim)
{
    free(sim->document);
    sim->document = NULL;
    sim->present = false;
    sim->version = (struct xf_version){0};
    sim->write_id[0] = '\0';
    while (sim->log_count > 0) {
        free(sim->log[--sim->log_count].entry);
    }
    for (unsigned i = 0; i < 2; i++) {
        free(sim->checkpoints[i]);
        sim->checkpoints[i] = NULL;
    }
    sim->lease = (struct xf_store_lease){0};
    sim->lost_saves++;
}
