/*
 * tenure_journal.c -- the journal as one tenure sees it: what it adds to an entry of the log so
 * that its copy can be summed up, and what it keeps waiting.
 *
 * Only rises, `safe` and `finalize` ever wait; what lowers a weight or pauses never does.
 */
#include "shifter/journal/journal.h"
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row takes some milliseconds; what takes longer is shown as a hold. */
#define GRACE_MS 1000

static json_t *side_traffic(const struct xf_tenure *tenure, const char *blue, const char *green)
{
    struct xf_traffic old;
    struct xf_traffic new;
    int64_t now = xf_tenure_now(tenure);
    const struct xf_roster *roster = tenure->options.roster;
    xf_roster_traffic(roster, tenure->service->name, blue, now, &old);
    xf_roster_traffic(roster, tenure->service->name, green, now, &new);
    return json_pack("{s:I, s:I, s:I, s:I}", "blue_requests", (json_int_t) old.requests,
                     "blue_errors", (json_int_t) old.errors, "green_requests",
                     (json_int_t) new.requests, "green_errors", (json_int_t) new.errors);
}

/* The names of the holds that this change brought. */
static json_t *new_holds(const struct xf_document *before, const struct xf_document *after)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < XF_HOLDS; i++) {
        if (after->holds[i].on && !before->holds[i].on) {
            (void) json_array_append_new(names, json_string(xf_hold_name((enum xf_hold) i)));
        }
    }
    return names;
}

void xf_tenure_journal_explain(struct xf_tenure *tenure, const struct xf_document *after,
                               const struct xf_version *next, json_t *entry)
{
    const struct xf_document *before = tenure->document;
    const struct xf_document *named = after->from[0] != '\0' ? after : before;
    (void) json_object_set_new(entry, "epoch", json_integer((json_int_t) next->epoch));
    (void) json_object_set_new(entry, "held", new_holds(before, after));
    if (named->from[0] != '\0') {
        (void) json_object_set_new(entry, "traffic", side_traffic(tenure, named->from, named->to));
    }
    if (after->signal.sequence != 0 && (after->signal.sequence != before->signal.sequence ||
                                        strcmp(after->signal.key, before->signal.key) != 0)) {
        struct xf_signal_record record;
        xf_tenure_signal_record(after, &record);
        char *body = xf_signal_body(&record);
        (void) json_object_set_new(entry, "signal",
                                   body != NULL ? json_loads(body, 0, NULL) : NULL);
        free(body);
    }
}

void xf_tenure_journal_facts(struct xf_tenure *tenure, struct xf_facts *ret)
{
    struct xf_journal_view view;
    if (tenure->options.journal == NULL) {
        return;
    }
    xf_journal_look(tenure->options.journal, tenure->service->name, &view);
    bool required = tenure->options.config->journal.required;
    bool held = tenure->document->holds[XF_HOLD_JOURNAL].on;
    bool waits = required && (!view.ok || view.behind);
    if (!waits) {
        tenure->journal_behind_ms = 0;
    } else if (tenure->journal_behind_ms == 0) {
        tenure->journal_behind_ms = ret->boot_ms;
    }
    bool late = waits && (held || ret->boot_ms - tenure->journal_behind_ms >= GRACE_MS);
    bool full = view.backlog >= XF_JOURNAL_BACKLOG_MAX ||
                (held && view.backlog > XF_JOURNAL_BACKLOG_MAX / 2);
    (void) snprintf(tenure->journal_why, sizeof(tenure->journal_why),
                    "the journal lacks %llu change%s%s%.300s", (unsigned long long) view.backlog,
                    view.backlog == 1 ? "" : "s", view.why[0] != '\0' ? ": " : "", view.why);
    ret->journal = late || full ? tenure->journal_why : NULL;
    ret->journal_waits = waits;
    ret->journal_away = required && !view.ok ? tenure->journal_why : NULL;
}
