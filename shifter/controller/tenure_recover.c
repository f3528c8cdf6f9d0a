/*
 * tenure_recover.c -- a store that knows less than somebody else is told again (DESIGN.md section
 * 8).
 *
 *     loaded --store empty, damaged or older--> hear every member --> take the newest document of
 *     store, own memory and offers --> write it, weight unchanged, as (own epoch, 1 + the largest
 *     generation seen)
 *
 * A member that is ahead of what is known here stops everything until its document was offered.
 * The next epoch is larger than each that was met, so that what is written is newer everywhere.
 */
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTEN_MS 1500 /* a new process hears each member once before it leads */
#define HEAR_MS   1200 /* a heartbeat is not older than this when it was sent each second */
#define SILENT_MS                                                                                  \
    2500 /* so long those that are silent are waited for, where the store is in doubt */
#define OFFER_MS 4000 /* so long a document that a member has is waited for */

void xf_tenure_recover_met(struct xf_tenure *tenure, uint64_t generation)
{
    if (generation > tenure->generation_met) {
        tenure->generation_met = generation;
    }
}

void xf_tenure_recover_beyond(struct xf_tenure *tenure)
{
    if (!tenure->holds_newer) {
        tenure->holds_newer = true;
        tenure->found = tenure->version;
    }
}

void xf_tenure_recover_release(struct xf_tenure *tenure)
{
    xf_document_destroy(tenure->offered);
    free(tenure->offered_text);
    tenure->offered = NULL;
    tenure->offered_text = NULL;
}

bool xf_tenure_recover_absent(struct xf_tenure *tenure)
{
    tenure->found = (struct xf_version){0};
    tenure->doubted = true;
    if (tenure->document != NULL && tenure->version.generation > 0) {
        tenure->holds_newer = true;
        return true;
    }
    const struct xf_config *config = tenure->options.config;
    xf_document_destroy(tenure->document);
    tenure->document =
        xf_document_create(tenure->service->name, config->clusters[tenure->service->live].name);
    if (tenure->document == NULL) {
        return false;
    }
    tenure->document->since_ms = xf_clock_wall_ms(tenure->options.clock);
    tenure->version = (struct xf_version){0};
    return true;
}

void xf_tenure_offer(struct xf_tenure *tenure, const struct xf_message_offer *offer)
{
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    struct xf_document *document = NULL;
    struct xf_error err = {0};
    bool newer = tenure->offered == NULL ||
                 xf_version_compare(&offer->version, &tenure->offered_version) > 0;
    if (!newer || xf_version_compare(&offer->version, &tenure->version) <= 0) {
        return;
    }
    char *text = strdup(offer->document);
    if (text == NULL || xf_document_read(text, &document, &err) != 0 ||
        strcmp(document->service, tenure->service->name) != 0 ||
        (tenure->document != NULL && tenure->version.generation > 1 &&
         strcmp(document->install_id, tenure->document->install_id) != 0)) {
        xf_tenure_note(tenure, "offer.refused",
                       text == NULL             ? "out of memory"
                       : err.message[0] != '\0' ? err.message
                                                : "it is another installation's or service's");
        xf_document_destroy(document);
        free(text);
        return;
    }
    xf_tenure_recover_release(tenure);
    tenure->offered = document;
    tenure->offered_text = text;
    tenure->offered_version = offer->version;
    memcpy(tenure->offered_id, offer->write_id, sizeof(tenure->offered_id));
}

/* The newest version that a member confirmed; every epoch and generation met is remembered. */
static struct xf_version newest_of_fleet(struct xf_tenure *tenure)
{
    const struct xf_roster *roster = tenure->options.roster;
    struct xf_version newest = {0};
    for (unsigned i = 0; i < xf_roster_count(roster); i++) {
        const struct xf_message_service *service =
            xf_member_service(xf_roster_member(roster, i), tenure->service->name);
        if (service != NULL && xf_version_compare(&service->version, &newest) > 0) {
            newest = service->version;
        }
        if (service != NULL) {
            xf_tenure_recover_met(tenure, service->version.generation);
        }
    }
    if (tenure->offered != NULL && xf_version_compare(&tenure->offered_version, &newest) > 0) {
        newest = tenure->offered_version;
    }
    xf_tenure_recover_met(tenure, newest.generation);
    return newest;
}

/* Whether every member was heard lately; those that stay silent are not waited for for ever. */
static bool heard(const struct xf_tenure *tenure)
{
    const struct xf_roster *roster = tenure->options.roster;
    int64_t now = xf_tenure_now(tenure);
    if (tenure->options.store->kind == XF_STORE_SQLITE) {
        return true; /* one host, and its file was written through to the disk */
    }
    if (now - tenure->created_ms < LISTEN_MS) {
        return false;
    }
    if (!tenure->doubted || now - tenure->led_ms >= SILENT_MS) {
        return true;
    }
    for (unsigned i = 0; i < xf_roster_count(roster); i++) {
        if (xf_roster_member(roster, i)->seen_ms < tenure->led_ms - HEAR_MS) {
            return false;
        }
    }
    return true;
}

void xf_tenure_recover_facts(const struct xf_tenure *tenure, struct xf_facts *ret)
{
    const struct xf_roster *roster = tenure->options.roster;
    size_t length = 0;
    for (unsigned i = 0; tenure->restored_ms > 0 && i < xf_roster_count(roster); i++) {
        const struct xf_member *member = xf_roster_member(roster, i);
        const char *name = member->heartbeat.proxy.name;
        if (member->seen_ms < tenure->restored_ms - HEAR_MS &&
            xf_member_silent(member, ret->boot_ms) &&
            length + strlen(name) + 3 < sizeof(ret->fleet.unheard)) {
            length +=
                (size_t) snprintf(ret->fleet.unheard + length, sizeof(ret->fleet.unheard) - length,
                                  "%s%s", length > 0 ? ", " : "", name);
        }
    }
}

static void adopt_offer(struct xf_tenure *tenure)
{
    char before[XF_VERSION_TEXT_BYTES], after[XF_VERSION_TEXT_BYTES], text[160];
    (void) snprintf(text, sizeof(text), "a proxy has %s, the store had %s",
                    xf_version_format(&tenure->offered_version, after),
                    xf_version_format(&tenure->version, before));
    xf_tenure_note(tenure, "store.offered", text);
    xf_tenure_recover_beyond(tenure);
    xf_document_destroy(tenure->document);
    free(tenure->document_text);
    tenure->document = tenure->offered;
    tenure->document_text = tenure->offered_text;
    tenure->version = tenure->offered_version;
    memcpy(tenure->write_id, tenure->offered_id, sizeof(tenure->write_id));
    tenure->offered = NULL;
    tenure->offered_text = NULL;
    tenure->ahead_ms = 0;
    tenure->progress = (struct xf_progress){.weight = tenure->document->weight};
    xf_tenure_judge_follow(tenure);
}

bool xf_tenure_recovering(struct xf_tenure *tenure)
{
    struct xf_version newest = newest_of_fleet(tenure);
    int64_t now = xf_tenure_now(tenure);
    xf_tenure_recover_met(tenure, tenure->version.generation);
    xf_tenure_recover_met(tenure, tenure->found.generation);
    if (!heard(tenure)) {
        return true;
    }
    bool ahead = xf_version_compare(&newest, &tenure->version) > 0;
    if (newest.epoch > xf_lease_epoch(tenure->lease)) {
        xf_lease_met_epoch(tenure->lease, newest.epoch);
        xf_lease_renew(tenure->lease, "a larger epoch was met"); /* taken again at once */
        return true;
    }
    if (ahead && tenure->offered != NULL &&
        xf_version_compare(&tenure->offered_version, &newest) >= 0) {
        adopt_offer(tenure);
    } else if (ahead) {
        if (tenure->ahead_ms == 0) {
            tenure->ahead_ms = now;
            xf_tenure_note(tenure, "store.behind", "a proxy has a newer state than the store");
        }
        if (now - tenure->ahead_ms < OFFER_MS) {
            return true;
        }
        if (tenure->offered != NULL &&
            xf_version_compare(&tenure->offered_version, &tenure->version) > 0) {
            adopt_offer(tenure);
        } else {
            xf_tenure_recover_beyond(
                tenure); /* nobody gives it away: the best known is written beyond it */
        }
    } else {
        tenure->ahead_ms = 0;
    }
    if (tenure->unreadable && tenure->version.generation == 0) {
        return true; /* nobody knows a state: what stands there is not overwritten */
    }
    return false;
}
