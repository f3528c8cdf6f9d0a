/*
 * sim.c -- the world of the simulation: chance, time, one run from its beginning to its end.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char config_text[] = "store: redis://127.0.0.1:1/0\n"
                                  "proxy: {name: sim, state_dir: /nonexistent}\n"
                                  "admin: {socket: /nonexistent/admin.sock}\n"
                                  "listeners: [{bind: \"127.0.0.1:1\", service: web}]\n"
                                  "services: {web: {live: v1, clusters: [v1, v2]}}\n"
                                  "hooks:\n"
                                  "  finish: {command: [/bin/true], repeatable: false}\n"
                                  "  again: {command: [/bin/true], repeatable: true}\n"
                                  "clusters: {v1: \"10.0.0.1:80\", v2: \"10.0.0.2:80\"}\n";

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
            sim->now - 8000 > proxy->began_at &&
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
        sim_leader_begin(sim, i);
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        sim_proxy_begin(sim, i);
    }
    for (const char *const *line = options->script; line != NULL && *line != NULL; line++) {
        sim_later(sim, strtoll(*line, NULL, 10), sim_scripted, (void *) (uintptr_t) *line);
    }
    sim_later(sim, 0, sim_tick, NULL);
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
        sim_leader_end(sim, i);
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        sim->proxies[i].alive = false;
    }
    sim->options.operators = false;
    while (sim->events_count > 0) { /* each event frees what it carries */
        struct sim_event event = take_event(sim);
        if (event.run == sim_leader_returns) {
            free(event.argument);
        } else if (event.run != sim_tick && event.run != sim_scripted) {
            sim->now = event.at;
            event.run(sim, event.argument);
        }
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        xf_document_destroy(sim->proxies[i].document);
        xf_document_destroy(sim->proxies[i].kept);
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
