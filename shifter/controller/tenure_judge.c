/*
 * tenure_judge.c -- the judge of the cutover at hand: fed with the fleet's closed cells, kept in
 * step with the document, asked for its verdicts.
 */
#include "shifter/judge/judge_checkpoint.h"
#include "shifter/judge/judge_explain.h"
#include "shifter/judge/judge_sentence.h"
#include "shifter/plan/plan_judge.h"
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Failures are told as their cells close, before the next heartbeat: from who was heard so late
 * that much is known.  A take-over may cost a step 2 s beyond itself, and released blockers must
 * not hold the signal for longer: so no more than this. */
#define LISTEN_MS 1500
#define TOLD_MS   500

/* The checkpoint says which step of which attempt it was taken in: {"attempt", "step_entry",
 * "judge": text}.  Of another cutover or attempt it says nothing. */
static void load_checkpoint(struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    json_t *root = tenure->judge_text != NULL ? json_loads(tenure->judge_text, 0, NULL) : NULL;
    const json_t *attempt = json_object_get(root, "attempt");
    const json_t *entry = json_object_get(root, "step_entry");
    const char *text = json_string_value(json_object_get(root, "judge"));
    struct xf_judge loaded = tenure->judge;
    if (json_is_integer(attempt) && json_is_integer(entry) && text != NULL &&
        (uint64_t) json_integer_value(attempt) == document->attempts &&
        xf_judge_load(&loaded, text, NULL) == 0 && loaded.attempt == document->verdict_attempt) {
        tenure->judge = loaded;
        tenure->judge_step_entry = (uint64_t) json_integer_value(entry);
    }
    json_decref(root);
}

char *xf_tenure_judge_save(const struct xf_tenure *tenure)
{
    char *text = tenure->judging ? xf_judge_save(&tenure->judge) : NULL;
    json_t *root =
        text != NULL ? json_pack("{s:I, s:I, s:s}", "attempt", (json_int_t) tenure->judge_attempt,
                                 "step_entry", (json_int_t) tenure->judge_step_entry, "judge", text)
                     : NULL;
    free(text);
    text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

void xf_tenure_judge_explain(const struct xf_tenure *tenure, json_t *entry)
{
    json_t *verdict = json_object_get(entry, "verdict");
    const char *name = json_string_value(json_object_get(verdict, "rule"));
    for (enum xf_judge_rule rule = XF_JUDGE_ERRORS; name != NULL && rule < XF_JUDGE_RULES; rule++) {
        json_t *payload = strcmp(name, xf_judge_rule_name(rule)) == 0
                              ? xf_judge_explain_json(&tenure->judge, rule)
                              : NULL;
        if (payload != NULL) {
            (void) json_object_set_new(verdict, "proof", payload);
        }
    }
    json_t *blame = json_is_object(verdict) ? xf_tenure_blame(tenure) : NULL;
    if (blame != NULL) {
        (void) json_object_set_new(verdict, "blame", blame);
    }
}

/* A judge for the document's cutover, from its checkpoint where that is of the same judgement. */
static void make_judge(struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    struct xf_judge_options options;
    xf_plan_judge_options(document->plan, tenure->service->sticky.by != XF_STICKY_NONE, &options);
    struct xf_error err;
    tenure->judging = xf_judge_options_check(&options, &err) == 0;
    if (!tenure->judging) {
        xf_tenure_note(tenure, "judge.off", err.message);
        return;
    }
    xf_judge_init(&tenure->judge, &options, xf_tenure_store_time(tenure));
    tenure->judge.attempt = document->verdict_attempt;
    load_checkpoint(tenure);
    free(tenure->judge_text);
    tenure->judge_text = NULL;
    tenure->judge_attempt = document->attempts;
    tenure->judge_verdict_attempt = document->verdict_attempt;
    xf_tenure_blame_drop(tenure);
    if (document->weight > 0) { /* else it begins: there is nothing to be heard of green yet */
        tenure->listens_since_ms = xf_tenure_now(tenure);
    }
}

/* What the proxies learnt of blue before the cutover began; taken once, before the first step. */
static void take_learnt(struct xf_tenure *tenure)
{
    struct xf_judge *judge = &tenure->judge;
    const struct xf_roster *roster = tenure->options.roster;
    struct xf_learnt learnt = {.done = 0};
    for (unsigned i = 0; i < xf_roster_count(roster); i++) {
        const struct xf_message_service *service =
            xf_member_service(xf_roster_member(roster, i), tenure->service->name);
        if (service != NULL) {
            xf_learnt_add(&learnt, &service->learnt);
        }
    }
    xf_judge_learnt(judge, &learnt);
}

/* Says by what the cutover is judged, once what was learnt is in force. */
static void tell_learnt(struct xf_tenure *tenure)
{
    const struct xf_judge *judge = &tenure->judge;
    char text[XF_SENTENCE_BYTES], limit[XF_SHARE_TEXT_BYTES], done[XF_COUNT_TEXT_BYTES],
        bad[XF_COUNT_TEXT_BYTES];
    snprintf(text, sizeof(text), "blip %u ms, budget %s, from %s responses of blue, %s failed",
             judge->blip_ms, xf_format_share(judge->limit, limit),
             xf_format_count(judge->blue_done, done), xf_format_count(judge->blue_bad, bad));
    xf_tenure_note(tenure, "judge.learnt", text);
}

void xf_tenure_judge_follow(struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    int64_t now = xf_tenure_store_time(tenure);
    if (!xf_cutover_runs(document->state)) {
        tenure->judging = false;
        return;
    }
    if (!tenure->judging || tenure->judge_attempt != document->attempts) {
        tenure->judge_step_entry = UINT64_MAX;
        make_judge(tenure);
    }
    if (!tenure->judging) {
        return;
    }
    if (tenure->judge_verdict_attempt != document->verdict_attempt) {
        xf_judge_reset(&tenure->judge, now);
        tenure->listens_since_ms = xf_tenure_now(tenure);
        xf_grid_forget(&tenure->grid, now); /* clean cells come with the next heartbeat */
        tenure->judge.attempt = document->verdict_attempt;
        tenure->judge_verdict_attempt = document->verdict_attempt;
    }
    if (tenure->judge_step_entry != document->step_entry && document->step >= 0) {
        bool first = !tenure->judge.stepped && tenure->judge.attempt == 1;
        if (first) {
            take_learnt(tenure);
        }
        xf_judge_step_started(&tenure->judge, now, document->weight);
        tenure->judge_step_entry = document->step_entry;
        if (first) {
            tell_learnt(tenure);
        }
    }
    xf_judge_set_weight(&tenure->judge, document->weight);
    tenure->judge_weight = document->weight;
}

void xf_tenure_samples(struct xf_tenure *tenure, const struct xf_message_samples *samples)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    if (tenure->phase == XF_TENURE_LEADING && tenure->judging &&
        samples->attempt == tenure->document->attempts) {
        (void) xf_grid_add(&tenure->grid, samples, xf_tenure_store_time(tenure));
        xf_tenure_blame_take(tenure, samples);
    }
}

void xf_tenure_judge_tick(struct xf_tenure *tenure)
{
    struct xf_judge_cell cell;
    int64_t now = xf_tenure_store_time(tenure);
    while (xf_grid_take(&tenure->grid, now, &cell)) {
        if (!tenure->judging) {
            continue;
        }
        if (tenure->document->step < 0 && tenure->document->weight == 0) {
            xf_judge_learn(&tenure->judge, &cell);
        } else {
            xf_judge_feed(&tenure->judge, &cell);
        }
    }
    if (tenure->judging) {
        xf_judge_advance(&tenure->judge, now - XF_GRID_CLOSE_MS);
    }
}

bool xf_tenure_judge_listen(struct xf_tenure *tenure, const struct xf_fleet *fleet)
{
    const struct xf_roster *roster = tenure->options.roster;
    int64_t now = xf_tenure_now(tenure);
    int64_t passed = now - tenure->listened_at_ms;
    tenure->listened_at_ms = now;
    if (passed > XF_TICK_MS_MAX) { /* who was stopped heard nothing */
        tenure->listens_since_ms += passed - XF_TICK_MS_MAX;
    }
    if (fleet->members == 0 || fleet->silent > 0) {
        tenure->listens_since_ms = now;
    }
    bool heard = now - tenure->listens_since_ms >= LISTEN_MS;
    for (unsigned i = 0; heard && i < xf_roster_count(roster); i++) {
        heard = xf_roster_member(roster, i)->seen_ms >= tenure->listens_since_ms + TOLD_MS;
    }
    return heard;
}

void xf_tenure_judge_facts(const struct xf_tenure *tenure, struct xf_facts *ret)
{
    ret->judged = tenure->judging;
    if (!tenure->judging) {
        return;
    }
    ret->judge_attempt = tenure->judge_attempt;
    ret->judge_verdict_attempt = tenure->judge_verdict_attempt;
    ret->judge_step_entry = tenure->judge_step_entry;
    ret->standing = xf_judge_standing(&tenure->judge);
    for (enum xf_judge_rule rule = XF_JUDGE_ERRORS; rule <= XF_JUDGE_ROUTER; rule++) {
        if ((ret->standing >> rule & 1) != 0) {
            xf_judge_verdict_of(&tenure->judge, rule, &ret->verdicts[rule]);
        }
    }
    xf_judge_evidence(&tenure->judge, &ret->evidence);
}
