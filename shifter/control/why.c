/*
 * why.c -- the sentences of `why`, from the same view as the status document.
 *
 * One paragraph per subject, the gravest first; nothing is computed here, only said.
 */
#include "shifter/control/why.h"

#include <stdlib.h>
#include <string.h>

#define WHY_BYTES_MAX (64u * 1024u)

static void say_place(struct xf_text *text, const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    char wanted[XF_WEIGHT_TEXT_BYTES], actual[XF_WEIGHT_TEXT_BYTES];
    if (!xf_status_in_cutover(document)) {
        xf_text_printf(text, "%s is %s: all traffic goes to %s.\n", view->service,
                       xf_cutover_state_name(document->state), document->live);
        return;
    }
    xf_text_printf(text, "%s is %s: %s moves it from %s to %s.\n", view->service,
                   xf_cutover_state_name(document->state), document->cutover, document->from,
                   document->to);
    xf_text_printf(text, "%s is wanted on %s", xf_format_weight(document->weight, wanted),
                   document->to);
    if (view->weight_actual == XF_STATUS_UNKNOWN) {
        xf_text_puts(text, "; what is in force is not known");
    } else if ((unsigned) view->weight_actual != document->weight) {
        xf_text_printf(text, ", %s is in force",
                       xf_format_weight((unsigned) view->weight_actual, actual));
    }
    if (document->plan != NULL && document->step >= 0) {
        xf_text_printf(text, " (step %d of %u)", document->step + 1, document->plan->steps_count);
    }
    xf_text_puts(text, ".\n");
}

static void say_store(struct xf_text *text, const struct xf_status_view *view)
{
    if (!view->leader.known) {
        xf_text_puts(text, "No leader answers: the weight stays as it is until one does.\n");
    }
    if (!view->store.ok) {
        xf_text_printf(text,
                       "The store (%s) does not answer, or takes no changes: no step advances.\n",
                       view->store.kind != NULL ? view->store.kind : "unknown");
    }
    if (view->store.stale_s >= 0) {
        xf_text_printf(text, "What is shown here is %.0f s old.\n", view->store.stale_s);
    }
}

static void say_holds(struct xf_text *text, const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    int64_t now_ms = view->wall_ms;
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        const struct xf_hold_entry *hold = &document->holds[i];
        if (!hold->on) {
            continue;
        }
        char age[XF_DURATION_TEXT_BYTES], since[XF_TIME_TEXT_BYTES];
        int64_t ms = now_ms > hold->since_ms ? (now_ms - hold->since_ms) / 1000 * 1000 : 0;
        xf_text_printf(text, "Held by `%s` for %s (since %s)", xf_hold_name((enum xf_hold) i),
                       xf_format_duration(ms, age), xf_format_time(hold->since_ms, since));
        if (hold->by[0] != '\0') {
            xf_text_printf(text, ", set by %s", hold->by);
        }
        const char *sentence = xf_status_hold_sentence(view, (enum xf_hold) i);
        xf_text_printf(text, "%s%s.\n", sentence[0] != '\0' ? ": " : "", sentence);
        if (hold->lifted_by[0] != '\0') {
            xf_text_printf(text, "  Lifted by: %s.\n", hold->lifted_by);
        } else if (xf_hold_needs_person((enum xf_hold) i)) {
            xf_text_puts(text, "  Only a person lifts it.\n");
        } else {
            xf_text_puts(text, "  It ends by itself when its cause does.\n");
        }
    }
}

static void say_verdict(struct xf_text *text, json_t *verdict)
{
    const char *sentence = json_string_value(json_object_get(verdict, "sentence"));
    if (sentence != NULL) {
        xf_text_printf(text, "The last verdict: %s.\n", sentence);
    }
}

static void say_blame(struct xf_text *text, const struct xf_status_view *view)
{
    const char *sentence = json_string_value(json_object_get(view->blame, "sentence"));
    const char *of = json_string_value(json_object_get(view->blame, "of"));
    if (sentence != NULL && of != NULL) {
        bool slow = strcmp(of, "slow") == 0;
        xf_text_printf(text, "%s of %s, beyond what %s has: %s.\n",
                       slow ? "Slow responses" : "Errors", view->document->to, view->document->from,
                       sentence);
    }
}

static void say_progress(struct xf_text *text, const struct xf_status_view *view)
{
    char left[XF_DURATION_TEXT_BYTES];
    bool said = view->document->holds[XF_HOLD_EVIDENCE].on; /* as the reason of that hold */
    if (view->evidence.known && !view->evidence.enough && !said) {
        if (view->evidence.sentence != NULL && view->evidence.sentence[0] != '\0') {
            xf_text_printf(text, "Still missing: %s.\n", view->evidence.sentence);
        } else {
            xf_text_printf(text, "Still missing: %llu clean answers of %s.\n",
                           (unsigned long long) view->evidence.missing, view->document->to);
        }
    }
    if (view->step.remaining_ms > 0) {
        xf_text_printf(text, "This step must hold for another %s.\n",
                       xf_format_duration(view->step.remaining_ms / 1000 * 1000, left));
    }
    if (!xf_document_held(view->document) && xf_status_in_cutover(view->document)) {
        xf_text_puts(text, "Nothing holds it.\n");
    }
}

static void say_drift(struct xf_text *text, const struct xf_status_view *view)
{
    if (view->drift_unseen != NULL) {
        xf_text_printf(text, "Whether Kong's configuration was changed since the start: %s.\n",
                       view->drift_unseen);
    }
}

static void say_proxies(struct xf_text *text, const struct xf_status_view *view)
{
    for (size_t i = 0; i < view->proxies_count; i++) {
        const struct xf_status_proxy *proxy = &view->proxies[i];
        if (proxy->silent) {
            xf_text_printf(text, "Proxy %s (%s) is silent, last seen %.0f s ago.\n", proxy->name,
                           proxy->id, proxy->last_seen_s);
        } else if (!proxy->in_force) {
            xf_text_printf(text, "Proxy %s (%s) has not confirmed the present version.\n",
                           proxy->name, proxy->id);
        }
    }
}

static void say_no_route(struct xf_text *text, const struct xf_status_view *view)
{
    for (size_t i = 0; i < view->clusters_count; i++) {
        const struct xf_status_cluster *cluster = &view->clusters[i];
        if (cluster->no_route > 0) {
            xf_text_printf(text,
                           "%s answered %llu requests with Kong's 404 `no Route matched`: its "
                           "configuration lacks those routes.\n",
                           cluster->name, (unsigned long long) cluster->no_route);
        }
    }
}

static void say_signal(struct xf_text *text, const struct xf_status_view *view)
{
    const struct xf_document *document = view->document;
    if (document->signal.sequence == 1) {
        xf_text_printf(
            text, "%s: %s may be decommissioned; %s.\n", document->signal.key, document->signalled,
            document->signal.accepted_at_ms > 0 ? "every receiver took the signal"
                                                : "the signal is sent until it is accepted");
    }
    for (size_t i = 0; i < view->blockers_count; i++) {
        xf_text_printf(text, "The signal waits: %s.\n", view->blockers[i]);
    }
}

static char *say_all(const struct xf_status_view *view, json_t *verdict)
{
    struct xf_text text;
    xf_text_init(&text, WHY_BYTES_MAX);
    if (view->document == NULL) {
        xf_text_printf(&text, "Nothing is known of %s yet.\n", view->service);
        say_store(&text, view);
    } else {
        say_place(&text, view);
        say_store(&text, view);
        say_holds(&text, view);
        say_verdict(&text, verdict);
        say_blame(&text, view);
        say_progress(&text, view);
        say_no_route(&text, view);
        say_drift(&text, view);
        say_proxies(&text, view);
        say_signal(&text, view);
    }
    char *ret = xf_text_take(&text);
    xf_text_release(&text);
    return ret;
}

static json_t *build_missing(const struct xf_status_view *view)
{
    if (!view->evidence.known || view->evidence.enough) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:o, s:s?}", "green", (json_int_t) view->evidence.green, "missing",
                     (json_int_t) view->evidence.missing, "missing_s",
                     view->evidence.missing_ms >= 0
                         ? json_real((double) view->evidence.missing_ms / 1000.0)
                         : json_null(),
                     "sentence", view->evidence.sentence);
}

json_t *xf_why_build(const struct xf_status_view *view)
{
    json_t *status = xf_status_build(view);
    json_t *verdict = json_object_get(status, "verdict");
    char *text = say_all(view, verdict);
    json_t *why = NULL;
    if (status != NULL && text != NULL) {
        bool held = view->document != NULL && xf_document_held(view->document);
        why =
            json_pack("{s:O, s:O, s:b, s:O, s:O, s:O?, s:o, s:O, s:s}", "service",
                      json_object_get(status, "service"), "state", json_object_get(status, "state"),
                      "held", held, "holds", json_object_get(status, "holds"), "verdict", verdict,
                      "blame", view->blame, "missing", build_missing(view), "blockers",
                      json_object_get(json_object_get(status, "signal"), "blockers"), "text", text);
    }
    free(text);
    json_decref(status);
    return why;
}
