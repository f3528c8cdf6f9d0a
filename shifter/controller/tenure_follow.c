/*
 * tenure_follow.c -- what is known of a service while somebody else leads it, and whose it is.
 *
 * Other services' cutovers ask whether a route names their cluster, so what stands in the store is
 * read each second; what is older than XF_FOLLOW_MS is not known.  It begins with this host's own
 * copy: a store that knows less is told again, and one that holds the state of another installation
 * (its first document had another id) is not led, nor written.
 */
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool xf_tenure_foreign(struct xf_tenure *tenure, const struct xf_version *version,
                       const struct xf_document *document)
{
    const struct xf_document *own = tenure->document;
    bool known = own != NULL && tenure->version.generation > 0 &&
                 tenure->options.store->kind == XF_STORE_REDIS;
    bool made_anew =
        known && version->generation <= 1 && xf_version_compare(version, &tenure->version) < 0;
    bool foreign = known && !made_anew && strcmp(own->install_id, document->install_id) != 0;
    if (foreign && !tenure->foreign) {
        char text[XF_SENTENCE_BYTES];
        (void) snprintf(text, sizeof(text),
                        "the store holds the state of another installation (%.36s, this one is "
                        "%.36s): nothing is led; see store.namespace",
                        document->install_id, own->install_id);
        xf_tenure_note(tenure, "store.foreign", text);
    }
    tenure->foreign = foreign;
    return foreign;
}

bool xf_tenure_keep(struct xf_tenure *tenure, const struct xf_store_state *state,
                    struct xf_document *document)
{
    char *text = strdup(state->document);
    if (text == NULL) {
        xf_document_destroy(document);
        return false;
    }
    xf_document_destroy(tenure->document);
    free(tenure->document_text);
    tenure->document = document;
    tenure->document_text = text;
    tenure->version = state->version;
    (void) snprintf(tenure->write_id, sizeof(tenure->write_id), "%s", state->write_id);
    return true;
}

/* Takes what stands in the store, where it is newer than what is known. */
static void take(struct xf_tenure *tenure, const struct xf_store_state *state)
{
    struct xf_document *document = NULL;
    struct xf_error err = {0};
    bool same = tenure->document != NULL && !tenure->foreign &&
                xf_version_compare(&state->version, &tenure->version) == 0 &&
                strcmp(state->write_id, tenure->write_id) == 0;
    if (same) {
        tenure->followed_ms = xf_tenure_now(tenure);
        return;
    }
    if (xf_document_read(state->document, &document, &err) != 0 ||
        strcmp(document->service, tenure->service->name) != 0 ||
        xf_tenure_foreign(tenure, &state->version, document) ||
        (tenure->document != NULL && xf_version_compare(&state->version, &tenure->version) < 0)) {
        xf_document_destroy(document);
        return;
    }
    if (xf_tenure_keep(tenure, state, document)) {
        tenure->followed_ms = xf_tenure_now(tenure);
    }
}

static void got_state(void *context, enum xf_store_result result,
                      const struct xf_store_state *state, const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    (void) message;
    tenure->following = false;
    if (result == XF_STORE_LOST || result == XF_STORE_REFUSED) {
        return;
    }
    tenure->settled = true;
    if (tenure->phase != XF_TENURE_ASIDE) {
        return; /* it is loaded and led now */
    }
    if (result == XF_STORE_OK) {
        take(tenure, state);
    } else {
        tenure->foreign = false;
    }
}

void xf_tenure_follow_tick(struct xf_tenure *tenure)
{
    struct xf_store *store = tenure->options.store;
    int64_t now = xf_tenure_now(tenure);
    if (tenure->phase != XF_TENURE_ASIDE || store->kind == XF_STORE_SQLITE || tenure->following ||
        now - tenure->asked_ms < XF_LOOK_MS) {
        return;
    }
    tenure->asked_ms = now;
    tenure->following = true;
    store->calls->read_state(store, tenure->service->name, got_state, tenure);
}

bool xf_tenure_may_lead(const struct xf_tenure *tenure)
{
    return tenure->settled && !tenure->foreign;
}

bool xf_tenure_knows(const struct xf_tenure *tenure)
{
    bool own = tenure->phase != XF_TENURE_ASIDE; /* or just about to be loaded anew */
    return tenure->document != NULL && tenure->version.generation > 0 &&
           (own ? xf_lease_leads(tenure->lease)
                : xf_tenure_now(tenure) - tenure->followed_ms < XF_FOLLOW_MS);
}

void xf_tenure_remember(struct xf_tenure *tenure, const struct xf_snapshot_service *copy)
{
    struct xf_document *document = copy != NULL ? xf_document_copy(copy->document) : NULL;
    char *text = document != NULL ? xf_document_write(document) : NULL;
    tenure->settled = text == NULL; /* nothing that another installation could differ from */
    if (text == NULL) {
        xf_document_destroy(document);
        return;
    }
    tenure->document = document;
    tenure->document_text = text;
    tenure->version = copy->version;
    memcpy(tenure->write_id, copy->write_id, sizeof(tenure->write_id));
}
