/*
 * sim_check_rules.c -- further invariants: what may raise the weight, what a recovery may write,
 * what a person must have said, what an answer may claim, what a proxy serves.
 */
#include "sim.h"

#include "config/base/text.h"
#include "shifter/plan/cutover.h"
#include "shifter/plan/schedule.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_MS   8000 /* so long after it began, what all can see must have been seen */
#define VERDICT_MS 5000 /* half of all green's responses fail: seen before by whoever listens */

/* Invariant 3: no rise by itself while anything holds; no verdict raises. */
static void check_held(const struct sim_look *look)
{
    if (xf_document_held(look->before)) {
        sim_breach(look->sim, "invariant 3: %s raises %u to %u while held", look->verb,
                   look->before->weight, look->after->weight);
    }
    if (strcmp(look->verb, "step") != 0 && strcmp(look->verb, "ramp") != 0) {
        sim_breach(look->sim, "invariant 3: %s raises the weight", look->verb);
    }
}

/* What holds whoever leads, and was there to be seen for long when the write was decided. */
static void check_seen(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    int64_t late_ms = sim->options.late_writes > 0 ? SIM_LATE_MS : 0;
    int64_t long_ago = sim->now - KNOWN_MS - late_ms;
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        const struct sim_proxy *proxy = &sim->proxies[i];
        bool heard = proxy->alive && proxy->reached_at <= long_ago;
        if (!heard) {
            continue;
        }
        if (proxy->digest_since >= 0 && proxy->digest_since <= long_ago) {
            sim_breach(sim, "hold config: %s raises although %s is configured otherwise",
                       look->verb, proxy->name);
        }
        if (proxy->override.on && proxy->override.since <= long_ago) {
            sim_breach(sim, "hold override: %s raises although %s is steered locally", look->verb,
                       proxy->name);
        }
    }
}

/* I14: not outside the plan's window, in true time. */
static void check_window(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    const struct sim_options *options = &sim->options;
    if (options->open_until_ms > 0 &&
        (sim->now < options->open_from_ms - 1000 || sim->now > options->open_until_ms + 11000)) {
        sim_breach(sim, "I14: %s raises outside of the window", look->verb);
    }
}

/* I11: who asks for a rise knows what a proxy has been telling all the time, even if he began to
 * lead a moment ago, or his detectors began anew: then he listens first. */
static void check_told(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        const struct sim_proxy *proxy = &sim->proxies[i];
        if (proxy->telling_since < sim->asked_at - VERDICT_MS) {
            sim_breach(sim, "I11: %s raises to %u although green fails on %s", look->verb,
                       look->after->weight, proxy->name);
        }
    }
}

void sim_check_rise(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    if (!look->by_itself || look->after->weight <= look->before->weight) {
        return;
    }
    check_held(look);
    check_seen(look);
    check_window(look);
    check_told(look);
    const struct xf_plan_step *step = xf_schedule_step(look->before);
    bool proven = step == NULL || step->evidence_advisory || look->before->evidence_waived ||
                  look->after->step == look->before->step;
    if (!proven && sim->samples_at < sim->step_entered_at) {
        sim_breach(sim, "I11: step %d ends although nobody sent a sample", look->before->step + 1);
    }
}

/* I9: what was lost may stall, but it moves no weight: the newest that the fleet has is written, or
 * what a leader wrote after that and remembers. */
void sim_check_restored(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    const struct sim_proxy *newest = NULL;
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        const struct sim_proxy *proxy = &sim->proxies[i];
        bool heard = proxy->alive && proxy->document != NULL &&
                     proxy->reached_at <= sim->now - KNOWN_MS && !proxy->override.on;
        if (heard &&
            (newest == NULL || xf_version_compare(&proxy->applied, &newest->applied) > 0)) {
            newest = proxy;
        }
    }
    bool remembered = newest != NULL && look->after->weight == sim->largest_weight &&
                      xf_version_compare(&sim->largest, &newest->applied) > 0;
    if (newest != NULL && !remembered && !sim->options.no_offers &&
        xf_version_compare(&newest->applied, &sim->version) > 0 &&
        look->after->weight != newest->document->weight) {
        sim_breach(sim, "I9: the recovery writes weight %u, %s had %u", look->after->weight,
                   newest->name, newest->document->weight);
    }
}

/* A step that waits for a person ends by a person. */
void sim_check_approval(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    const struct xf_plan_step *step = xf_schedule_step(look->before);
    bool person = strcmp(look->verb, "approve") == 0 || strcmp(look->verb, "step") == 0 ||
                  strcmp(look->verb, "promote") == 0;
    if (person && !look->by_itself) {
        sim->approved.attempts = look->before->attempts;
        sim->approved.step = look->before->step;
    }
    bool leaves =
        look->by_itself && step != NULL && step->approve &&
        (look->after->step > look->before->step ||
         (look->before->state == XF_CUTOVER_SOAKING && look->after->state == XF_CUTOVER_DRAINING));
    if (leaves && sim->lost_saves == 0 &&
        (sim->approved.attempts != look->before->attempts ||
         sim->approved.step != look->before->step)) {
        sim_breach(sim, "hold approval: step %d ends without one", look->before->step + 1);
    }
}

/* I7: "accepted" is said of a signal that a receiver took, each cutover's own. */
void sim_check_taken(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    const struct xf_document *after = look->after;
    if (strcmp(look->verb, "signal") == 0 && after->signal.sequence < XF_COUNT(sim->taken) &&
        sim->taken[after->signal.sequence] < after->attempts) {
        sim_breach(sim, "I7: %s has sequence %u accepted, which nobody took", after->signal.key,
                   after->signal.sequence);
    }
}

void sim_check_hook(struct sim *sim, unsigned hook, uint64_t attempts)
{
    if (sim->hooks[hook].attempts != attempts) {
        sim->hooks[hook].attempts = attempts;
        sim->hooks[hook].ran = 0;
        sim->hooks[hook].allowed = 0;
    }
    sim->hooks[hook].ran++;
    if (hook == 0 && sim->hooks[hook].ran > 1 + sim->hooks[hook].allowed && sim->lost_saves == 0) {
        sim_breach(sim, "DESIGN 7: the hook runs %u times and may once", sim->hooks[hook].ran);
    }
}

/* The change that this answer is about: the first with its sentence; NULL: there is none. */
static const struct sim_log *find_change(const struct sim *sim, const char *message, uint64_t after)
{
    for (size_t i = 0; i < sim->log_count; i++) {
        if (sim->log[i].generation <= after) {
            continue;
        }
        json_t *entry = json_loads(sim->log[i].entry, 0, NULL);
        const char *sentence = json_string_value(json_object_get(entry, "sentence"));
        bool found = sentence != NULL && strncmp(message, sentence, strlen(sentence)) == 0;
        json_decref(entry);
        if (found) {
            return &sim->log[i];
        }
    }
    return NULL;
}

/* I12: who answers that it is done has every live proxy behind it, or names those that lag. */
static void check_confirmed(struct sim *sim, const struct sim_log *change, const char *message)
{
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        const struct sim_proxy *proxy = &sim->proxies[i];
        bool newer = proxy->applied.generation > change->generation ||
                     (proxy->applied.generation == change->generation &&
                      proxy->applied.revision >= change->revision);
        if (proxy->alive && proxy->reached_at <= sim->now - KNOWN_MS && !proxy->forgotten &&
            !newer && strstr(message, proxy->name) == NULL) {
            sim_breach(sim, "I12: \"%.120s\" is answered, but %s has it not", message, proxy->name);
        }
    }
}

void sim_check_reply(struct sim *sim, const struct xf_message_reply *reply)
{
    if (reply->exit != 0 || sim->lost_saves > 0) {
        return;
    }
    uint64_t bound = 0;
    bool is_bound = false;
    for (unsigned i = 0; i < XF_COUNT(sim->bound); i++) {
        if (sim->bound[i].request[0] != '\0' &&
            strcmp(sim->bound[i].request, reply->request) == 0) {
            bound = sim->bound[i].generation;
            is_bound = true;
        }
    }
    const struct sim_log *change = find_change(sim, reply->message, bound);
    if (change != NULL) {
        check_confirmed(sim, change, reply->message);
    }
    if (is_bound && change != NULL && change->generation != bound + 1) {
        sim_breach(sim, "I13: a command for generation %llu became %llu",
                   (unsigned long long) bound, (unsigned long long) change->generation);
    }
}

/* I4, I5, invariant 6: what is served changes by a valid document or a person alone. */
void sim_check_tick(struct sim *sim)
{
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        const struct sim_proxy *proxy = &sim->proxies[i];
        if (proxy->alive && proxy->document != NULL &&
            sim_proxy_weight(proxy) != proxy->ordered_weight) {
            sim_breach(sim, "I4: %s serves %u, it was told %u", proxy->name,
                       sim_proxy_weight(proxy), proxy->ordered_weight);
        }
    }
}
