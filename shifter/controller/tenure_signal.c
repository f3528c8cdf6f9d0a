/*
 * tenure_signal.c -- the signal: when a delivery is to run, and whether it may go on.
 *
 * Attempts and their pace are the deliverer's (signal.h).  Before each of them it asks here, and
 * the record is published in the store by a call that re-checks lease and epoch; only then the
 * attempt may begin.  The larger sequence wins: its delivery replaces the one before.
 */
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void xf_tenure_signal_record(const struct xf_document *document, struct xf_signal_record *ret)
{
    bool over = document->from[0] == '\0'; /* then it is the last one */
    const char *from = over ? document->last.from : document->from;
    const char *to = over ? document->last.to : document->to;
    if (from[0] == '\0') { /* a document from before the last one's clusters were kept */
        from = document->signalled;
        to = document->live;
    }
    *ret = (struct xf_signal_record){
        .sequence = document->signal.sequence,
        .event = document->signal.sequence == 2 ? XF_SIGNAL_REVOKED : XF_SIGNAL_DECOMMISSION,
        .at_ms = document->signal.at_ms,
    };
    memcpy(ret->key, document->signal.key, sizeof(ret->key));
    memcpy(ret->service, document->service, sizeof(ret->service));
    (void) snprintf(ret->from, sizeof(ret->from), "%s", from);
    (void) snprintf(ret->to, sizeof(ret->to), "%s", to);
}

static struct xf_tenure_sent sent_of(const struct xf_document *document)
{
    struct xf_tenure_sent sent = {.sequence = document->signal.sequence};
    memcpy(sent.key, document->signal.key, sizeof(sent.key));
    return sent;
}

static bool same_signal(const struct xf_tenure_sent *a, const struct xf_tenure_sent *b)
{
    return a->sequence == b->sequence && (a->sequence == 0 || strcmp(a->key, b->key) == 0);
}

unsigned xf_tenure_signal_accepted(const struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    bool of_this = document != NULL && strcmp(tenure->accepted.key, document->signal.key) == 0;
    return of_this ? tenure->accepted.sequence : 0;
}

void xf_tenure_signal_lead(struct xf_tenure *tenure)
{
    tenure->accepted = tenure->document->signal.accepted_at_ms != 0 ? sent_of(tenure->document)
                                                                    : (struct xf_tenure_sent){0};
}

/* What is loaded must be the fleet's newest first: the store may have lost that it was revoked. */
static bool may_send(const struct xf_tenure *tenure)
{
    return xf_tenure_leads(tenure) && !tenure->unsure;
}

/* Sent until accepted: through finalizing and finalized as well, while no new cutover begins. */
static bool due(const struct xf_tenure *tenure)
{
    const struct xf_document *document = tenure->document;
    return document != NULL && document->signal.sequence > 0 &&
           document->signal.accepted_at_ms == 0 &&
           xf_tenure_signal_accepted(tenure) < document->signal.sequence;
}

void xf_tenure_delivered(struct xf_tenure *tenure, unsigned sequence)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    if (sequence == tenure->delivering.sequence) {
        tenure->accepted = tenure->delivering;
    }
}

static void record_stands(void *context, enum xf_store_result result, const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->checking = false;
    bool stands = result == XF_STORE_OK && may_send(tenure) && due(tenure);
    if (stands) {
        struct xf_tenure_sent now = sent_of(tenure->document);
        stands = same_signal(&tenure->checked, &now);
    }
    if (result != XF_STORE_OK) {
        xf_tenure_note(tenure, "signal.record_failed", message != NULL ? message : "");
    }
    if (tenure->delivering.sequence != 0) {
        tenure->calls.checked(tenure->calls.context, tenure->service->name, stands);
    }
}

/* Who began to use blue a moment ago, led elsewhere, may not have seen `safe` when it started. */
static bool in_use(const struct xf_tenure *tenure, const struct xf_signal_record *record)
{
    return record->event == XF_SIGNAL_DECOMMISSION &&
           tenure->calls.in_use_by(tenure->calls.context, record->service, record->from) != NULL;
}

void xf_tenure_signal_check(struct xf_tenure *tenure)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    struct xf_store *store = tenure->options.store;
    struct xf_signal_record record;
    if (tenure->checking) {
        return; /* its answer serves */
    }
    char *body = NULL;
    if (may_send(tenure) && due(tenure)) {
        xf_tenure_signal_record(tenure->document, &record);
        body = in_use(tenure, &record) ? NULL : xf_signal_body(&record);
    }
    if (body == NULL) {
        tenure->calls.checked(tenure->calls.context, tenure->service->name, false);
        return;
    }
    tenure->checking = true;
    tenure->checked = sent_of(tenure->document);
    store->calls->write_signal(store, tenure->service->name, tenure->holder,
                               xf_lease_epoch(tenure->lease), body, record_stands, tenure);
    free(body);
}

void xf_tenure_signal_tick(struct xf_tenure *tenure)
{
    if (tenure->write.on) {
        return;
    }
    struct xf_tenure_sent wanted = {0};
    if (may_send(tenure) && due(tenure)) {
        wanted = sent_of(tenure->document);
    }
    if (same_signal(&wanted, &tenure->delivering)) {
        return;
    }
    tenure->delivering = wanted;
    struct xf_signal_record record;
    xf_tenure_signal_record(tenure->document, &record);
    tenure->calls.deliver(tenure->calls.context, tenure->service->name,
                          wanted.sequence != 0 ? &record : NULL, tenure->document->plan);
}
