/*
 * sim_leader.c -- a leader of the simulation: the real tenure, and what it calls.
 */
#include "sim.h"

#include "config/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t leader_boot_ns(void *context)
{
    const struct sim_leader *leader = context;
    int64_t speed = leader->sim->options.mutant == SIM_FAST_CLOCK ? 3 : 1;
    return (leader->sim->now * speed + leader->boot_offset) * 1000000;
}

static int64_t leader_wall_ms(void *context)
{
    const struct sim_leader *leader = context;
    int64_t blind = leader->sim->options.mutant == SIM_WINDOW_BLIND ? 150000 : 0;
    return leader->sim->now + SIM_WALL_MS + leader->wall_offset + blind;
}

/* ---- what a tenure calls ---- */

struct state_letter {
    unsigned proxy;
    struct xf_message_state state;
    char *document;
};

bool sim_bus_down(const struct sim *sim, const struct sim_proxy *proxy)
{
    return sim->now < proxy->cut_until || (sim->options.one_redis && sim->now < sim->down_until);
}

static void state_arrives(struct sim *sim, void *argument)
{
    struct state_letter *letter = argument;
    struct sim_proxy *proxy = &sim->proxies[letter->proxy];
    if (proxy->alive && sim->now < proxy->frozen_until) {
        sim_later(sim, proxy->frozen_until - sim->now + 1, state_arrives, letter);
        return;
    }
    if (proxy->alive && !sim_bus_down(sim, proxy)) {
        letter->state.document = letter->document;
        sim_proxy_receive(sim, letter->proxy, &letter->state);
    }
    free(letter->document);
    free(letter);
}

static void publish(void *context, const struct xf_message_state *state)
{
    struct sim_leader *leader = context;
    struct sim *sim = leader->sim;
    for (unsigned i = 0; leader->alive && i < SIM_PROXIES; i++) {
        unsigned copies = sim_faulty(sim) && sim_chance(sim, sim->options.message_loss)
                              ? (unsigned) sim_draw(sim, 3)
                              : 1;
        for (; copies > 0; copies--) {
            struct state_letter *letter = calloc(1, sizeof(*letter));
            letter->proxy = i;
            letter->state = *state;
            letter->document = strdup(state->document);
            if (sim->options.garbage && sim_faulty(sim) && sim_chance(sim, 50)) {
                letter->document[sim_draw(sim, strlen(letter->document))] = '\0';
            }
            sim_later(sim, 1 + (int64_t) sim_draw(sim, sim_chance(sim, 20) ? 1500 : 20),
                      state_arrives, letter);
        }
    }
}

static void reply(void *context, const struct xf_message_reply *answer)
{
    struct sim_leader *leader = context;
    if (leader->alive) {
        leader->sim->replies++;
        sim_check_reply(leader->sim, answer);
        sim_trace(leader->sim, "reply %s: %d %s", answer->request, answer->exit, answer->message);
    }
}

static void note(void *context, const char *service, const char *event, const char *text,
                 const json_t *entry)
{
    struct sim_leader *leader = context;
    (void) service;
    if (leader->alive && entry == NULL) {
        sim_trace(leader->sim, "leader %u: %s %s", leader->number, event, text);
    }
}

static const char *nobody(void *context, const char *service, const char *cluster)
{
    (void) context;
    (void) service;
    (void) cluster;
    return NULL;
}

static void deliver(void *context, const char *service, const struct xf_signal_record *record,
                    const struct xf_plan *plan)
{
    struct sim_leader *leader = context;
    (void) service;
    (void) plan;
    leader->delivering = record != NULL ? record->sequence : 0;
    leader->checking = false;
    leader->attempt_at = leader->sim->now;
    struct sim *sim = leader->sim;
    if (sim->options.freeze_in_safe && sim_faulty(sim) && !sim->froze_in_safe &&
        leader->delivering == 1) {
        sim->froze_in_safe = true;
        leader->frozen_until = sim->now + 25000;
        sim_trace(sim, "leader %u stops between safe and sending", leader->number);
    }
}

/* ---- hooks of finalize ---- */

struct hook_end {
    unsigned leader, life;
    bool good;
};

static void hook_ends(struct sim *sim, void *argument)
{
    struct hook_end *end = argument;
    struct sim_leader *leader = &sim->leaders[end->leader];
    if (leader->alive && leader->life == end->life) {
        xf_tenure_action_done(leader->tenure, end->good, end->good ? "proven" : "not proven");
    }
    free(end);
}

/* A run does its work at once; only its end is seen later, or by nobody.  A look finds whether it
 * was done. */
static void action(void *context, const char *service, const struct xf_document *document,
                   const struct xf_plan_action *wanted, bool run)
{
    struct sim_leader *leader = context;
    struct sim *sim = leader->sim;
    unsigned hook = strcmp(wanted->hook, "finish") == 0 ? 0 : 1;
    struct hook_end *end = calloc(1, sizeof(*end));
    (void) service;
    bool fails = sim->options.hooks_fail && sim_faulty(sim) && sim_chance(sim, 400);
    if (run && leader->alive) {
        sim_trace(sim, "hook %s %s", wanted->hook, fails ? "fails" : "runs");
        sim_check_hook(sim, hook, document->attempts);
    }
    *end = (struct hook_end){leader->number, leader->life,
                             sim->hooks[hook].attempts == document->attempts &&
                                 sim->hooks[hook].ran > 0 && !fails};
    sim_later(sim, 50 + (int64_t) sim_draw(sim, 3000), hook_ends, end);
}

/* Half of the attempts are not accepted. */
void sim_leader_attempt(struct sim_leader *leader)
{
    struct sim *sim = leader->sim;
    const struct xf_document *document = xf_tenure_document(leader->tenure);
    leader->checking = false;
    leader->attempt_at = sim->now + 1000;
    sim->deliveries++;
    sim_trace(sim, "leader %u sends %u of %s", leader->number, leader->delivering,
              document->signal.key);
    if (leader->delivering == 1 && sim->revoked_seen != 0 &&
        strcmp(sim->revoked_key, document->signal.key) == 0) {
        sim_breach(sim, "I7: decommission of %s is sent after revoked", document->signal.key);
    }
    if (leader->delivering == 2) {
        sim->revoked_seen = 1;
        memcpy(sim->revoked_key, document->signal.key, sizeof(sim->revoked_key));
    }
    if (!sim_faulty(sim) || sim_chance(sim, 500)) {
        uint64_t *taken = &sim->taken[leader->delivering];
        *taken = document->attempts > *taken ? document->attempts : *taken;
        xf_tenure_delivered(leader->tenure, leader->delivering);
    }
}

/* An attempt begins as soon as the check says so. */
static void checked(void *context, const char *service, bool stands)
{
    struct sim_leader *leader = context;
    (void) service;
    leader->checking = false;
    leader->attempt_at = leader->sim->now + 1000;
    if (leader->alive && stands && leader->delivering != 0) {
        sim_leader_attempt(leader);
    }
}

/* ---- leaders ---- */

void sim_leader_begin(struct sim *sim, unsigned number)
{
    struct sim_leader *leader = &sim->leaders[number];
    char holder[XF_UUID_TEXT_BYTES];
    snprintf(holder, sizeof(holder), "00000000-0000-4000-a000-%012llx",
             (unsigned long long) sim_draw(sim, 1ull << 40));
    leader->sim = sim;
    leader->number = number;
    leader->frozen_until = 0;
    leader->life++;
    leader->boot_offset = 1000000 + (int64_t) sim_draw(sim, 1000000);
    leader->clock = (struct xf_clock){.monotonic_ns = leader_boot_ns,
                                      .boottime_ns = leader_boot_ns,
                                      .wall_ms = leader_wall_ms,
                                      .context = leader};
    leader->store = sim_store_create(leader);
    leader->roster = xf_roster_create(sim->config);
    struct xf_tenure_options options = {.config = sim->config,
                                        .service = 0,
                                        .store = sim_store_base(leader->store),
                                        .clock = &leader->clock,
                                        .roster = leader->roster,
                                        .holder = holder,
                                        .name = "sim",
                                        .seed = sim_draw(sim, 1ull << 60) + 1};
    struct xf_tenure_calls calls = {.publish = publish,
                                    .reply = reply,
                                    .note = note,
                                    .deliver = deliver,
                                    .checked = checked,
                                    .action = action,
                                    .in_use_by = nobody,
                                    .signalled_by = nobody,
                                    .context = leader};
    leader->delivering = 0;
    leader->checking = false;
    leader->alive = true;
    leader->tenure = xf_tenure_create(&options, &calls);
}

void sim_leader_end(struct sim *sim, unsigned number)
{
    struct sim_leader *leader = &sim->leaders[number];
    (void) sim;
    if (leader->tenure == NULL) {
        return;
    }
    leader->alive = false; /* what it says from now on is heard by nobody */
    sim_store_destroy(leader->store);
    xf_tenure_destroy(leader->tenure);
    xf_roster_destroy(leader->roster);
    leader->store = NULL;
    leader->tenure = NULL;
    leader->roster = NULL;
}

void sim_leader_returns(struct sim *sim, void *argument)
{
    unsigned *number = argument;
    if (!sim->leaders[*number].alive) {
        sim_trace(sim, "leader %u starts", *number);
        sim_leader_begin(sim, *number);
    }
    free(number);
}
