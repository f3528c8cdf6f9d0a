/*
 * sim.c -- the world of the simulation: time, leaders, faults, the operator.
 */
#include "sim.h"

#include "config/base/text.h"
#include "shifter/cutover.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL_MS 1790000000000

static const char config_text[] = "store: redis://127.0.0.1:1/0\n"
                                  "proxy: {name: sim, state_dir: /nonexistent}\n"
                                  "admin: {socket: /nonexistent/admin.sock}\n"
                                  "listeners: [{bind: \"127.0.0.1:1\", service: web}]\n"
                                  "services: {web: {live: v1, clusters: [v1, v2]}}\n"
                                  "clusters: {v1: \"10.0.0.1:80\", v2: \"10.0.0.2:80\"}\n";

static const char usual_plan[] = "name: p\nservice: web\nto: TO\nsteps:\n"
                                 "  - {weight: 10%, hold: 10s, evidence: advisory}\n"
                                 "  - {ramp: 50%, over: 20s, hold: 5s, evidence: advisory}\n"
                                 "  - {weight: 100%, hold: 10s, evidence: advisory}\n";

/* ---- chance, time, words ---- */

uint64_t sim_draw(struct sim *sim, uint64_t below)
{
    uint64_t value = sim->random += 0x9e3779b97f4a7c15ull;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    value ^= value >> 31;
    return below > 0 ? value % below : 0;
}

bool sim_chance(struct sim *sim, unsigned per_mille)
{
    return sim_draw(sim, 1000) < per_mille;
}

bool sim_faulty(const struct sim *sim)
{
    return sim->now > 4000 && sim->now < sim->options.length_ms - 60000;
}

void sim_trace(struct sim *sim, const char *format, ...)
{
    if (!sim->options.trace) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%8.3f ", (double) sim->now / 1000.0);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void sim_breach(struct sim *sim, const char *format, ...)
{
    if (sim->breach[0] != '\0') {
        return;
    }
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void) snprintf(sim->breach, sizeof(sim->breach), "at %.3f s: %s", (double) sim->now / 1000.0,
                    text);
    sim_trace(sim, "BREACH %s", sim->breach);
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_later(struct sim *sim, int64_t delay_ms, void (*run)(struct sim *, void *), void *argument)
{
    if (sim->events_count == sim->events_capacity) {
        sim->events_capacity = sim->events_capacity == 0 ? 256 : sim->events_capacity * 2;
        sim->events = realloc(sim->events, sim->events_capacity * sizeof(*sim->events));
    }
    unsigned i = sim->events_count++;
    struct sim_event event = {sim->now + delay_ms, sim->order++, run, argument};
    for (; i > 0 && before(&event, &sim->events[(i - 1) / 2]); i = (i - 1) / 2) {
        sim->events[i] = sim->events[(i - 1) / 2];
    }
    sim->events[i] = event;
}

static struct sim_event take_event(struct sim *sim)
{
    struct sim_event first = sim->events[0];
    struct sim_event last = sim->events[--sim->events_count];
    unsigned i = 0;
    for (;;) {
        unsigned child = 2 * i + 1;
        if (child >= sim->events_count) {
            break;
        }
        if (child + 1 < sim->events_count && before(&sim->events[child + 1], &sim->events[child])) {
            child++;
        }
        if (!before(&sim->events[child], &last)) {
            break;
        }
        sim->events[i] = sim->events[child];
        i = child;
    }
    sim->events[i] = last;
    return first;
}

static int64_t leader_boot_ns(void *context)
{
    const struct sim_leader *leader = context;
    int64_t speed = leader->sim->options.mutant == SIM_FAST_CLOCK ? 3 : 1;
    return (leader->sim->now * speed + leader->boot_offset) * 1000000;
}

static int64_t leader_wall_ms(void *context)
{
    const struct sim_leader *leader = context;
    return leader->sim->now + WALL_MS + leader->wall_offset;
}

/* ---- what a tenure calls ---- */

struct state_letter {
    unsigned proxy;
    struct xf_message_state state;
    char *document;
};

static void state_arrives(struct sim *sim, void *argument)
{
    struct state_letter *letter = argument;
    struct sim_proxy *proxy = &sim->proxies[letter->proxy];
    if (proxy->alive && sim->now < proxy->frozen_until) {
        sim_later(sim, proxy->frozen_until - sim->now + 1, state_arrives, letter);
        return;
    }
    if (proxy->alive) {
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
}

/* An attempt begins as soon as the check says so; half of them are not accepted. */
static void checked(void *context, const char *service, bool stands)
{
    struct sim_leader *leader = context;
    struct sim *sim = leader->sim;
    (void) service;
    leader->checking = false;
    leader->attempt_at = sim->now + 1000;
    const struct xf_document *document = xf_tenure_document(leader->tenure);
    if (!leader->alive || !stands || leader->delivering == 0) {
        return;
    }
    sim->deliveries++;
    if (leader->delivering == 1 && sim->revoked_seen != 0 &&
        strcmp(sim->revoked_key, document->signal.key) == 0) {
        sim_breach(sim, "I7: decommission of %s is sent after revoked", document->signal.key);
    }
    if (leader->delivering == 2) {
        sim->revoked_seen = 1;
        memcpy(sim->revoked_key, document->signal.key, sizeof(sim->revoked_key));
    }
    if (!sim_faulty(sim) || sim_chance(sim, 500)) {
        xf_tenure_delivered(leader->tenure, leader->delivering);
    }
}

/* ---- leaders ---- */

static void leader_begin(struct sim *sim, unsigned number)
{
    struct sim_leader *leader = &sim->leaders[number];
    char holder[XF_UUID_TEXT_BYTES];
    snprintf(holder, sizeof(holder), "00000000-0000-4000-a000-%012llx",
             (unsigned long long) sim_draw(sim, 1ull << 40));
    leader->sim = sim;
    leader->number = number;
    leader->frozen_until = 0;
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
                                    .in_use_by = nobody,
                                    .signalled_by = nobody,
                                    .context = leader};
    leader->delivering = 0;
    leader->checking = false;
    leader->alive = true;
    leader->tenure = xf_tenure_create(&options, &calls);
}

static void leader_end(struct sim *sim, unsigned number)
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

static void leader_returns(struct sim *sim, void *argument)
{
    unsigned *number = argument;
    if (!sim->leaders[*number].alive) {
        sim_trace(sim, "leader %u starts", *number);
        leader_begin(sim, *number);
    }
    free(number);
}

static void proxy_returns(struct sim *sim, void *argument)
{
    unsigned *number = argument;
    if (!sim->proxies[*number].alive) {
        sim_trace(sim, "proxy %u starts", *number);
        sim_proxy_begin(sim, *number);
    }
    free(number);
}

static void return_later(struct sim *sim, unsigned number, int64_t delay_ms,
                         void (*run)(struct sim *, void *))
{
    unsigned *argument = malloc(sizeof(*argument));
    *argument = number;
    sim_later(sim, delay_ms, run, argument);
}

/* ---- the operator ---- */

static void command(struct sim *sim, const char *actor, const char *verb, const char *arguments)
{
    struct xf_message_command message = {0};
    bool again = sim->options.operators && sim->requests > 0 && sim_chance(sim, 100);
    sim->requests += !again;
    snprintf(message.request, sizeof(message.request), "r%u", sim->requests);
    snprintf(message.service, sizeof(message.service), "web");
    snprintf(message.verb, sizeof(message.verb), "%s", verb);
    snprintf(message.actor, sizeof(message.actor), "%s", actor);
    message.arguments = json_loads(arguments, 0, NULL);
    if (strcmp(verb, "start") == 0) {
        const char *plan = sim->options.plan != NULL ? sim->options.plan : usual_plan;
        char *text = strdup(plan);
        char *place = strstr(text, "TO\n");
        const char *live = "v1";
        struct xf_document *document = NULL;
        if (sim->present && xf_document_read(sim->document, &document, NULL) == 0) {
            live = strcmp(document->live, "v1") == 0 ? "v1" : "v2";
        }
        if (place != NULL) {
            memcpy(place, strcmp(live, "v1") == 0 ? "v2" : "v1", 2);
        }
        json_object_set_new(message.arguments, "plan", json_string(text));
        xf_document_destroy(document);
        free(text);
    }
    sim_trace(sim, "%s: %s %s", actor, verb, arguments);
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        struct sim_leader *leader = &sim->leaders[i];
        if (leader->alive && sim->now >= leader->frozen_until && xf_tenure_leads(leader->tenure)) {
            xf_tenure_command(leader->tenure, &message);
        }
    }
    json_decref(message.arguments);
}

static void random_command(struct sim *sim)
{
    static const struct {
        const char *verb, *arguments;
        unsigned weight;
    } verbs[] = {
        {"start", "{}", 30},
        {"step", "{}", 8},
        {"promote", "{\"full\": true}", 3},
        {"back", "{}", 3},
        {"pause", "{}", 6},
        {"resume", "{}", 12},
        {"resume", "{\"of\": \"ann\"}", 6},
        {"resume", "{\"of\": \"bob\"}", 6},
        {"resume", "{\"at_once\": true}", 3},
        {"weight", "{\"weight\": 3000}", 3},
        {"weight", "{\"weight\": 10000, \"force\": true}", 2},
        {"weight", "{\"weight\": 0}", 2},
        {"extend", "{\"ms\": 5000}", 3},
        {"approve", "{}", 2},
        {"abort", "{}", 3},
        {"abort", "{\"over_ms\": 9000}", 2},
        {"abort", "{\"force\": true}", 3},
        {"finalize", "{}", 12},
    };
    unsigned total = 0;
    for (size_t i = 0; i < XF_COUNT(verbs); i++) {
        total += verbs[i].weight;
    }
    unsigned drawn = (unsigned) sim_draw(sim, total);
    size_t choice = 0;
    while (drawn >= verbs[choice].weight) {
        drawn -= verbs[choice++].weight;
    }
    command(sim, sim_chance(sim, 500) ? "ann" : "bob", verbs[choice].verb, verbs[choice].arguments);
}

static void scripted(struct sim *sim, void *argument)
{
    long long at;
    char actor[32];
    char verb[32];
    char arguments[256] = "{}";
    if (sscanf(argument, "%lld %31s %31s %255[^\n]", &at, actor, verb, arguments) >= 3) {
        command(sim, actor, verb, arguments);
    }
}

/* ---- faults ---- */

static void freeze_proxy(struct sim *sim, struct sim_proxy *proxy, int64_t ms)
{
    sim_trace(sim, "%s stops for %lld ms", proxy->name, (long long) ms);
    for (unsigned i = 0; i < SIM_FLIGHTS; i++) { /* what is in flight stays so */
        if (proxy->flights[i] > sim->now) {
            proxy->flights[i] += ms;
        }
    }
    proxy->in_force_at += proxy->in_force_at > sim->now ? ms : 0;
    proxy->frozen_until = sim->now + ms;
}

static void leader_faults(struct sim *sim)
{
    unsigned number = (unsigned) sim_draw(sim, SIM_LEADERS);
    struct sim_leader *leader = &sim->leaders[number];
    if (!leader->alive || sim->now < leader->frozen_until) {
        return;
    }
    if (sim->options.leader_kills && sim_chance(sim, 2)) {
        sim_trace(sim, "leader %u dies", number);
        leader_end(sim, number);
        return_later(sim, number, 100 + (int64_t) sim_draw(sim, 8000), leader_returns);
    } else if (sim->options.leader_freezes && sim_chance(sim, 2)) {
        leader->frozen_until = sim->now + (int64_t) sim_draw(sim, 9000);
        sim_trace(sim, "leader %u stops until %.3f", number,
                  (double) leader->frozen_until / 1000.0);
    } else if (sim->options.clock_jumps && sim_chance(sim, 3)) {
        leader->wall_offset += ((int64_t) sim_draw(sim, 7200) - 3600) * 1000;
        sim_trace(sim, "leader %u: the wall clock jumps", number);
    }
}

static void proxy_faults(struct sim *sim)
{
    struct sim_proxy *proxy = &sim->proxies[sim_draw(sim, SIM_PROXIES)];
    if (!proxy->alive || sim->now < proxy->frozen_until) {
        return;
    }
    if (sim->options.proxy_freezes && sim_chance(sim, 3)) {
        freeze_proxy(sim, proxy, (int64_t) sim_draw(sim, 15000));
    } else if (sim->options.proxy_restarts && sim_chance(sim, 2)) {
        sim_trace(sim, "%s dies", proxy->name);
        proxy->alive = false;
        proxy->frozen_until = sim->now;
        int64_t away_ms = sim->options.long_absence ? 60000 + (int64_t) sim_draw(sim, 60000)
                                                    : 500 + (int64_t) sim_draw(sim, 20000);
        return_later(sim, proxy->number, away_ms, proxy_returns);
    }
}

static void store_faults(struct sim *sim)
{
    if (sim->options.store_outages && sim->now >= sim->down_until && sim_chance(sim, 2)) {
        sim->down_until = sim->now + (int64_t) sim_draw(sim, 10000);
        sim_trace(sim, "the store is away until %.3f", (double) sim->down_until / 1000.0);
    }
    if (sim->options.store_loss) {
        if (sim_chance(sim, 10)) {
            sim_store_save(sim);
        } else if (sim_chance(sim, 3)) {
            sim_trace(sim, "the store is set back");
            sim_store_restore(sim);
        }
    }
}

/* Everything that happens ten times a second. */
static void tick(struct sim *sim, void *argument)
{
    if (sim_faulty(sim)) {
        leader_faults(sim);
        proxy_faults(sim);
        store_faults(sim);
        if (sim->options.operators && sim_chance(sim, 20)) {
            random_command(sim);
        }
        if (sim->options.green_fails && sim_chance(sim, 3)) {
            sim->green_bad = !sim->green_bad;
            sim_trace(sim, "green is %s", sim->green_bad ? "bad" : "good");
        }
    } else if (sim->now > sim->options.length_ms - 60000) {
        sim->green_bad = false;
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        sim_proxy_tick(sim, &sim->proxies[i]);
    }
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        struct sim_leader *leader = &sim->leaders[i];
        if (!leader->alive || sim->now < leader->frozen_until) {
            continue;
        }
        xf_tenure_tick(leader->tenure);
        if (leader->delivering != 0 && !leader->checking && sim->now >= leader->attempt_at) {
            leader->checking = true;
            xf_tenure_signal_check(leader->tenure);
        }
    }
    sim_later(sim, SIM_TICK_MS, tick, argument);
}

/* When the faults have ended long ago, one leads and every proxy obeys what is stored. */
static void check_end(struct sim *sim)
{
    unsigned leading = 0;
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        leading += sim->leaders[i].alive && xf_tenure_leads(sim->leaders[i].tenure);
    }
    if (leading != 1) {
        sim_breach(sim, "I16: %u lead at the end", leading);
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        const struct sim_proxy *proxy = &sim->proxies[i];
        if (proxy->alive && sim->now - sim->written_at > 8000 &&
            (xf_version_compare(&proxy->applied, &sim->version) != 0 ||
             !sim_proxy_in_force(sim, proxy))) {
            sim_breach(sim, "I16: %s does not obey the stored version at the end", proxy->name);
        }
    }
}

bool sim_run(struct sim *sim, const struct sim_options *options)
{
    struct xf_problems problems = {0};
    *sim = (struct sim){.options = *options, .random = options->seed * 0x2545f4914f6cdd1dull};
    if (xf_config_parse("sim.yaml", config_text, strlen(config_text), &sim->config, &problems) !=
        0) {
        xf_problems_print(&problems, stderr);
        xf_problems_release(&problems);
        sim_breach(sim, "the simulation's configuration is refused");
        return false;
    }
    xf_problems_release(&problems);
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        leader_begin(sim, i);
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        sim_proxy_begin(sim, i);
    }
    for (const char *const *line = options->script; line != NULL && *line != NULL; line++) {
        sim_later(sim, strtoll(*line, NULL, 10), scripted, (void *) (uintptr_t) *line);
    }
    sim_later(sim, 0, tick, NULL);
    while (sim->breach[0] == '\0' && sim->events_count > 0) {
        struct sim_event event = take_event(sim);
        if (event.at > options->length_ms) {
            sim_later(sim, 0, event.run, event.argument);
            break;
        }
        sim->now = event.at;
        event.run(sim, event.argument);
    }
    if (sim->breach[0] == '\0') {
        check_end(sim);
    }
    return sim->breach[0] == '\0';
}

void sim_release(struct sim *sim)
{
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        leader_end(sim, i);
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        sim->proxies[i].alive = false;
    }
    sim->options.operators = false;
    while (sim->events_count > 0) { /* each event frees what it carries */
        struct sim_event event = take_event(sim);
        if (event.run != tick && event.run != scripted && event.run != leader_returns) {
            sim->now = event.at;
            event.run(sim, event.argument);
        } else if (event.run == leader_returns) {
            free(event.argument);
        }
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        xf_document_destroy(sim->proxies[i].document);
    }
    for (size_t i = 0; i < sim->log_count; i++) {
        free(sim->log[i].entry);
    }
    free(sim->log);
    free(sim->document);
    free(sim->saved_document);
    free(sim->checkpoints[0]);
    free(sim->checkpoints[1]);
    free(sim->events);
    xf_config_destroy(sim->config);
}
