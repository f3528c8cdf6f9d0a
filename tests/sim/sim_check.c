/*
 * sim_check.c -- the invariants of DESIGN.md section 16, looked at with each write that takes
 * effect.  The simulation knows what the leaders can only be told.
 */
#include "sim.h"

#include "shifter/plan/cutover.h"
#include "shifter/plan/schedule.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define GONE_MS 8000 /* who has been away for so long is known to be */

/* I9, I10: versions only rise, and no write_id stands twice. */
static void check_order(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    const struct xf_version *next = &look->write->next;
    struct xf_version was = {0, sim->version.generation, sim->version.revision};
    struct xf_version is = {0, next->generation, next->revision};
    if (xf_version_compare(&was, &is) >= 0) {
        sim_breach(sim, "I10: %llu.%llu is written after %llu.%llu",
                   (unsigned long long) is.generation, (unsigned long long) is.revision,
                   (unsigned long long) was.generation, (unsigned long long) was.revision);
    }
    if (next->epoch < sim->version.epoch) {
        sim_breach(sim, "I10: epoch %llu writes after epoch %llu", (unsigned long long) next->epoch,
                   (unsigned long long) sim->version.epoch);
    }
    if (strcmp(look->write->holder, sim->lease.holder) != 0) {
        sim_breach(sim, "I10: who does not hold the lease writes");
    }
    for (size_t i = 0; i < sim->log_count; i++) {
        if (strcmp(sim->log[i].write_id, look->write->write_id) == 0) {
            sim_breach(sim, "I7: one change stands in the log twice");
        }
    }
}

/* Every change of state is an arrow. */
static void check_arrow(const struct sim_look *look)
{
    enum xf_cutover_state from = look->before->state;
    enum xf_cutover_state to = look->after->state;
    bool arrow = from == to || strcmp(look->verb, "restored") == 0;
    /* a start without a plan takes two arrows at once */
    arrow = arrow || (!xf_cutover_runs(from) && to == XF_CUTOVER_SHIFTING);
    for (unsigned on = 0; on < XF_CUTOVER_EVENTS && !arrow; on++) {
        enum xf_cutover_state next;
        arrow = xf_cutover_next(from, (enum xf_cutover_event) on, &next) && next == to;
    }
    if (!arrow) {
        sim_breach(look->sim, "%s: no arrow leads from %s to %s", look->verb,
                   xf_cutover_state_name(from), xf_cutover_state_name(to));
    }
}

/* I14: a step lasts at least its hold, in true time. */
static void check_step_time(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    const struct xf_plan_step *step = xf_schedule_step(look->before);
    bool leaves = look->by_itself && step != NULL && look->after->step == look->before->step + 1 &&
                  look->before->state == XF_CUTOVER_SHIFTING && strcmp(look->verb, "step") == 0;
    leaves = leaves || (look->by_itself && look->before->state == XF_CUTOVER_SOAKING &&
                        look->after->state == XF_CUTOVER_DRAINING);
    if (leaves && !look->before->evidence_waived && step != NULL &&
        sim->now - sim->step_entered_at < step->hold_ms + look->before->extended_ms) {
        sim_breach(sim, "I14: step %d lasted %lld ms of %lld", look->before->step + 1,
                   (long long) (sim->now - sim->step_entered_at), (long long) step->hold_ms);
    }
    if (look->after->step_entry != look->before->step_entry) {
        sim->step_entered_at = sim->now;
    }
}

/* Invariant 4, I6, I8: nobody that may still reach blue when it is called safe.  A write that is
 * late says what was true when it was decided; so does what a process said just before it died,
 * if the one after it has not used blue either (it serves nothing before it hears the state, or
 * for 10 s). */
static void check_safe(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    int64_t long_ago = sim->now - GONE_MS - (sim->options.late_writes > 0 ? SIM_LATE_MS : 0);
    if (look->after->state != XF_CUTOVER_SAFE || look->before->state == XF_CUTOVER_SAFE) {
        return;
    }
    if (xf_document_held(look->before)) {
        sim_breach(sim, "invariant 4: safe while held");
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        const struct sim_proxy *proxy = &sim->proxies[i];
        if (proxy->forgotten || sim->now < proxy->excused_until) {
            continue; /* a person said that it does not count */
        }
        if (!proxy->alive || proxy->document == NULL) {
            if (long_ago > proxy->frozen_until &&
                long_ago > proxy->began_at) { /* dead for long: it must block */
                sim_breach(sim, "I8: safe although %s has vanished", proxy->name);
            }
            continue;
        }
        bool young = proxy->began_at >= long_ago;
        if (proxy->override.on) {
            sim_breach(sim, "invariant 4: safe although %s has an override", proxy->name);
        } else if (young && sim->now - proxy->blue_used_at < SIM_QUIET_MS) {
            sim_breach(sim, "invariant 4: safe although %s, begun anew, used blue", proxy->name);
        } else if (young) {
            continue;
        } else if (proxy->document->state != XF_CUTOVER_DRAINING ||
                   !sim_proxy_in_force(sim, proxy)) {
            sim_breach(sim, "invariant 4: safe although %s has not draining in force", proxy->name);
        } else if (sim_proxy_busy(sim, proxy) > 0) {
            sim_breach(sim, "invariant 4: safe although %s has %u requests on blue", proxy->name,
                       sim_proxy_busy(sim, proxy));
        } else if (proxy->quiet_since < 0 || sim->now - proxy->quiet_since < SIM_QUIET_MS) {
            sim_breach(sim, "invariant 4: safe although %s is not quiet long enough", proxy->name);
        }
    }
    sim->safes++;
}

/* Whom a person forgot, and what a person allowed a hook. */
static void check_forgotten(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    if (strcmp(look->verb, "forget") == 0) {
        for (unsigned i = 0; i < SIM_PROXIES; i++) {
            if (strstr(look->sentence, sim->proxies[i].name) != NULL) {
                sim->proxies[i].forgotten = true;
            }
        }
    }
    if (strcmp(look->verb, "finalize") == 0 && strstr(look->sentence, "run again") != NULL) {
        sim->hooks[look->before->action.index % SIM_HOOKS].allowed++;
    }
}

static void count(const struct sim_look *look)
{
    struct sim *sim = look->sim;
    sim->changes++;
    sim->finalized +=
        look->after->state == XF_CUTOVER_FINALIZED && look->before->state != XF_CUTOVER_FINALIZED;
    sim->aborted +=
        look->after->state == XF_CUTOVER_ABORTED && look->before->state != XF_CUTOVER_ABORTED;
    sim->retreats += look->after->retreated && !look->before->retreated;
}

void sim_check_write(struct sim *sim, const char *before_text, const struct xf_store_write *write)
{
    struct xf_document *before = NULL;
    struct xf_document *after = NULL;
    struct xf_error err = {0};
    json_t *entry = json_loads(write->entry, 0, NULL);
    struct sim_look look = {.sim = sim, .write = write};
    if (entry == NULL || xf_document_read(write->document, &after, &err) != 0) {
        sim_breach(sim, "I5: what is written does not read back: %s", err.message);
        json_decref(entry);
        return;
    }
    look.verb = json_string_value(json_object_get(entry, "verb"));
    look.sentence = json_string_value(json_object_get(entry, "sentence"));
    sim->resumed = strcmp(look.verb, "resume") == 0;
    const char *actor = json_string_value(json_object_get(entry, "actor"));
    look.by_itself = strcmp(actor, "crossfade") == 0 || strcmp(actor, "guard") == 0;
    look.after = after;
    sim_trace(sim, "%s by %s: %s %u step %d (%s)", look.verb, actor,
              xf_cutover_state_name(after->state), after->weight, after->step + 1, look.sentence);
    check_order(&look);
    if (before_text != NULL && xf_document_read(before_text, &before, NULL) == 0) {
        look.before = before;
        if (strcmp(look.verb, "restored") == 0) {
            sim->step_entered_at = 0; /* the store had lost steps that were truly made */
            sim_check_restored(&look);
        } else {
            check_arrow(&look);
            sim_check_rise(&look);
            sim_check_approval(&look);
            sim_check_taken(&look);
            check_step_time(&look);
            check_safe(&look);
            check_forgotten(&look);
            count(&look);
        }
    }
    if (xf_version_compare(&write->next, &sim->largest) > 0) {
        sim->largest = write->next;
        sim->largest_weight = after->weight;
    }
    xf_document_destroy(before);
    xf_document_destroy(after);
    json_decref(entry);
}
