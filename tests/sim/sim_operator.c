/*
 * sim_operator.c -- operators: random verbs, and those of a script.
 */
#include "sim.h"

#include "config/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usual_plan[] = "name: p\nservice: web\nto: TO\nsteps:\n"
                                 "  - {weight: 10%, hold: 10s, evidence: advisory}\n"
                                 "  - {ramp: 50%, over: 20s, hold: 5s, evidence: advisory}\n"
                                 "  - {weight: 100%, hold: 10s, evidence: advisory}\n";

/* ---- the operator ---- */

/* What the operator read last, sometimes a generation ago. */
static void bind_generation(struct sim *sim, struct xf_message_command *message)
{
    uint64_t generation = sim->version.generation;
    generation -= generation > 0 && sim_chance(sim, 400);
    unsigned slot = sim->bound_next++ % 16;
    snprintf(sim->bound[slot].request, sizeof(sim->bound[slot].request), "%s", message->request);
    sim->bound[slot].generation = generation;
    message->if_generation_set = sim->options.mutant != SIM_GENERATION_IGNORED;
    message->if_generation = generation;
}

void sim_command(struct sim *sim, const char *actor, const char *verb, const char *arguments)
{
    struct xf_message_command message = {0};
    bool again = sim->options.operators && sim->requests > 0 && sim_chance(sim, 100);
    sim->requests += !again;
    snprintf(message.request, sizeof(message.request), "r%u", sim->requests);
    snprintf(message.service, sizeof(message.service), "web");
    snprintf(message.verb, sizeof(message.verb), "%s", verb);
    snprintf(message.actor, sizeof(message.actor), "%s", actor);
    message.arguments = json_loads(arguments, 0, NULL);
    for (unsigned i = 0; again && i < XF_COUNT(sim->bound); i++) {
        if (strcmp(sim->bound[i].request, message.request) == 0) {
            sim->bound[i].request[0] = '\0'; /* this time it is asked without */
        }
    }
    if (sim->options.generations && !again && sim_chance(sim, 300)) {
        bind_generation(sim, &message);
    }
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

void sim_random_command(struct sim *sim)
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
        {"finalize", "{\"redo\": 1}", 2},
        {"finalize", "{\"skip\": 1}", 2},
        {"finalize", "{\"skip\": 2}", 2},
        {"resume", "{\"hold\": \"override\"}", 4},
        {"drain", "{\"now\": true}", 2},
        {"fence", "{\"up\": true}", 1},
        {"fence", "{\"up\": false}", 1},
    };
    if (sim->options.forgets && sim_chance(sim, 250)) {
        static const char *const whom[SIM_PROXIES] = {
            "{\"proxy\": \"edge-0\"}", "{\"proxy\": \"edge-1\"}", "{\"proxy\": \"edge-2\"}"};
        sim_command(sim, "ann", "forget", whom[sim_draw(sim, SIM_PROXIES)]);
        return;
    }
    unsigned total = 0;
    for (size_t i = 0; i < XF_COUNT(verbs); i++) {
        total += verbs[i].weight;
    }
    unsigned drawn = (unsigned) sim_draw(sim, total);
    size_t choice = 0;
    while (drawn >= verbs[choice].weight) {
        drawn -= verbs[choice++].weight;
    }
    sim_command(sim, sim_chance(sim, 500) ? "ann" : "bob", verbs[choice].verb,
                verbs[choice].arguments);
}

void sim_scripted(struct sim *sim, void *argument)
{
    long long at;
    char actor[32];
    char verb[32];
    char arguments[256] = "{}";
    if (sscanf(argument, "%lld %31s %31s %255[^\n]", &at, actor, verb, arguments) >= 3) {
        sim_command(sim, actor, verb, arguments);
    }
}
