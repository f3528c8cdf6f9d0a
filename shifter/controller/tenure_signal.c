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
    /* After the end from and to are gone from the document: then live is `to`. */
    const char *from = document->from[0] != '\0' ? document->from : document->signalled;
    const char *to = document->to[0] != '\0' ? document->to : document->live;
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
           document->signal.accepted_at_ms == 0 && tenure->accepted < document->signal.sequence;
}

void xf_tenure_delivered(struct xf_tenure *tenure, unsigned sequence)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    if (sequence == tenure->delivering) {
        tenure->accepted = sequence;
    }
}

static void record_stands(void *context, enum xf_store_result result, const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->checking = false;
    bool stands = result == XF_STORE_OK && may_send(tenure) && due(tenure) &&
                  tenure->checked_sequence == tenure->document->signal.sequence;
    if (result != XF_STORE_OK) {
        xf_tenure_note(tenure, "signal.record_failed", message != NULL ? message : "");
    }
    if (tenure->delivering != 0) {
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
    tenure->checked_sequence = record.sequence;
    store->calls->write_signal(store, tenure->service->name, tenure->holder,
                               xf_lease_epoch(tenure->lease), body, record_stands, tenure);
    free(body);
}

void xf_tenure_signal_tick(struct xf_tenure *tenure)
{
    unsigned wanted = may_send(tenure) && due(tenure) && !tenure->write.on
                          ? tenure->document->signal.sequence
                          : 0;
    if (tenure->write.on || wanted == tenure->delivering) {
        return;
    }
    tenure->delivering = wanted;
    struct xf_signal_record record;
    xf_tenure_signal_record(tenure->document, &record);
    tenure->calls.deliver(tenure->calls.context, tenure->service->name,
                          wanted != 0 ? &record : NULL, tenure->document->plan);
}
