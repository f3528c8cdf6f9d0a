/*
 * schedule.c -- the clocks of a cutover; see schedule.h.
 */
#include "shifter/plan/schedule.h"

#include "shifter/plan/cutover.h"
#include "shifter/net/json.h"
#include "shifter/plan/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct xf_plan_step *xf_schedule_step(const struct xf_document *document)
{
    if (document->plan == NULL || document->step < 0) {
        return NULL;
    }
    return &document->plan->steps[document->step];
}

bool xf_schedule_last(const struct xf_document *document)
{
    return document->plan != NULL && document->step >= 0 &&
           (unsigned) document->step + 1 == document->plan->steps_count;
}

static bool ramping(const struct xf_document *document)
{
    const struct xf_plan_step *step = xf_schedule_step(document);
    return document->state == XF_CUTOVER_SHIFTING && !document->retreated && step != NULL &&
           step->ramp_ms > 0 && document->weight < step->weight;
}

/* Whether time at this weight is time of the step's hold: the last step's hold is the soak. */
static bool holding(const struct xf_document *document)
{
    const struct xf_plan_step *step = xf_schedule_step(document);
    if (step == NULL || document->retreated || document->weight < step->weight) {
        return false;
    }
    return xf_schedule_last(document) ? document->state == XF_CUTOVER_SOAKING
                                      : document->state == XF_CUTOVER_SHIFTING;
}

/* Until start_at, and until its first window opens, a cutover's time has not begun. */
static bool awaited(const struct xf_document *document)
{
    return document->step < 0 && document->weight == 0 && document->holds[XF_HOLD_WINDOW].on;
}

void xf_progress_tick(struct xf_progress *progress, const struct xf_document *document,
                      int64_t boot_ms, bool in_force, bool counts)
{
    int64_t passed = progress->ticked ? boot_ms - progress->last_ms : 0;
    passed = passed < 0 ? 0 : passed > XF_TICK_MS_MAX ? XF_TICK_MS_MAX : passed;
    progress->last_ms = boot_ms;
    progress->ticked = true;
    progress->lag_ms = in_force ? 0 : progress->lag_ms + passed;
    if (progress->attempt != document->attempts) {
        *progress = (struct xf_progress){.attempt = document->attempts,
                                         .step_entry = document->step_entry,
                                         .weight = document->weight,
                                         .lag_ms = progress->lag_ms,
                                         .last_ms = boot_ms,
                                         .ticked = true};
    }
    if (progress->step_entry != document->step_entry) {
        progress->weight = document->weight;
        progress->step_entry = document->step_entry;
        progress->step_ms = 0;
        progress->holding = false;
        progress->ramp_ms = 0;
        progress->retreat_ms = 0;
        progress->moved_ms = 0;
    }
    bool held_on = progress->holding;
    progress->holding = counts && holding(document);
    if (!xf_cutover_runs(document->state)) {
        return;
    }
    progress->elapsed_ms += awaited(document) ? 0 : passed;
    progress->moved_ms = progress->weight == document->weight ? progress->moved_ms + passed : 0;
    progress->weight = document->weight;
    if (document->retreated) {
        progress->retreat_ms += passed;
    }
    if (document->state == XF_CUTOVER_ABORTING) {
        progress->ramp_ms += passed;
    } else if (counts && ramping(document)) {
        progress->ramp_ms += passed;
    } else if (held_on && progress->holding) {
        progress->step_ms += passed;
    }
}

char *xf_progress_write(const struct xf_progress *progress)
{
    json_t *root =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "attempt", (json_int_t) progress->attempt,
                  "step_entry", (json_int_t) progress->step_entry, "step_ms",
                  (json_int_t) progress->step_ms, "ramp_ms", (json_int_t) progress->ramp_ms,
                  "retreat_ms", (json_int_t) progress->retreat_ms, "elapsed_ms",
                  (json_int_t) progress->elapsed_ms, "moved_ms", (json_int_t) progress->moved_ms);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

int xf_progress_read(const char *json, struct xf_progress *ret, struct xf_error *err)
{
    struct xf_json reader = {.what = "progress", .err = err};
    struct xf_progress read = {0};
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    const int64_t most = INT64_MAX / 4;
    xf_json_uint(&reader, root, "attempt", XF_JSON_NEEDED, INT64_MAX, &read.attempt);
    xf_json_uint(&reader, root, "step_entry", XF_JSON_NEEDED, INT64_MAX, &read.step_entry);
    xf_json_int(&reader, root, "step_ms", XF_JSON_NEEDED, 0, most, &read.step_ms);
    xf_json_int(&reader, root, "ramp_ms", XF_JSON_NEEDED, 0, most, &read.ramp_ms);
    xf_json_int(&reader, root, "retreat_ms", XF_JSON_NEEDED, 0, most, &read.retreat_ms);
    xf_json_int(&reader, root, "elapsed_ms", XF_JSON_NEEDED, 0, most, &read.elapsed_ms);
    xf_json_int(&reader, root, "moved_ms", XF_JSON_NEEDED, 0, most, &read.moved_ms);
    json_decref(root);
    if (reader.failed) {
        return -1;
    }
    *ret = read;
    return 0;
}

unsigned xf_schedule_weight(const struct xf_document *document, const struct xf_progress *progress)
{
    const struct xf_plan_step *step = xf_schedule_step(document);
    if (step == NULL) {
        return document->weight;
    }
    if (step->ramp_ms == 0 || document->ramp_from >= step->weight ||
        progress->ramp_ms >= step->ramp_ms) {
        return step->weight;
    }
    uint64_t way = step->weight - document->ramp_from;
    int64_t passed = progress->step_entry == document->step_entry ? progress->ramp_ms : 0;
    return document->ramp_from + (unsigned) (way * (uint64_t) passed / (uint64_t) step->ramp_ms);
}

unsigned xf_schedule_fall(const struct xf_document *document, const struct xf_progress *progress)
{
    if (document->fall_ms == 0 || progress->ramp_ms >= document->fall_ms) {
        return 0;
    }
    int64_t passed = progress->step_entry == document->step_entry ? progress->ramp_ms : 0;
    return document->fall_from - (unsigned) ((uint64_t) document->fall_from * (uint64_t) passed /
                                             (uint64_t) document->fall_ms);
}

int64_t xf_schedule_remaining_ms(const struct xf_document *document,
                                 const struct xf_progress *progress)
{
    const struct xf_plan_step *step = xf_schedule_step(document);
    if (step == NULL || document->evidence_waived) {
        return 0;
    }
    int64_t passed = progress->step_entry == document->step_entry ? progress->step_ms : 0;
    int64_t left = step->hold_ms + document->extended_ms - passed;
    return left > 0 ? left : 0;
}

bool xf_schedule_time_over(const struct xf_document *document, const struct xf_progress *progress)
{
    return holding(document) && progress->step_entry == document->step_entry &&
           xf_schedule_remaining_ms(document, progress) == 0;
}

int64_t xf_schedule_left_ms(const struct xf_document *document, const struct xf_progress *progress)
{
    bool climbs = document->state == XF_CUTOVER_SHIFTING || document->state == XF_CUTOVER_SOAKING;
    if (!climbs || document->retreated) {
        return -1;
    }
    int64_t left = xf_schedule_remaining_ms(document, progress);
    if (ramping(document)) {
        int64_t ramp_left = xf_schedule_step(document)->ramp_ms - progress->ramp_ms;
        left += ramp_left > 0 ? ramp_left : 0;
    }
    for (unsigned i = (unsigned) (document->step + 1); i < document->plan->steps_count; i++) {
        left += document->plan->steps[i].ramp_ms + document->plan->steps[i].hold_ms;
    }
    return left;
}

static bool window_open(const struct xf_plan_window *window, int64_t wall_ms)
{
    struct xf_zone_time now = xf_zone_local(window->zone, wall_ms);
    bool today = (window->days >> now.weekday & 1) != 0;
    bool yesterday = (window->days >> ((now.weekday + 6) % 7) & 1) != 0;
    if (window->from_minute < window->to_minute) {
        return today && now.minute >= window->from_minute && now.minute < window->to_minute;
    }
    return (today && now.minute >= window->from_minute) ||
           (yesterday && now.minute < window->to_minute);
}

bool xf_schedule_open(const struct xf_plan *plan, int64_t wall_ms, char ret_why[XF_SENTENCE_BYTES])
{
    if (wall_ms < plan->start_at_ms) {
        char at[XF_TIME_TEXT_BYTES];
        (void) snprintf(ret_why, XF_SENTENCE_BYTES, "the plan starts at %s",
                        xf_format_time(plan->start_at_ms, at));
        return false;
    }
    for (unsigned i = 0; i < plan->windows_count; i++) {
        if (window_open(&plan->windows[i], wall_ms)) {
            return true;
        }
    }
    if (plan->windows_count > 0) {
        (void) snprintf(ret_why, XF_SENTENCE_BYTES, "outside the plan's windows");
        return false;
    }
    return true;
}

int64_t xf_plan_length_ms(const struct xf_plan *plan)
{
    int64_t length = 0;
    for (unsigned i = 0; i < plan->steps_count; i++) {
        length += plan->steps[i].ramp_ms + plan->steps[i].hold_ms;
    }
    return length;
}
