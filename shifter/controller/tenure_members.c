/*
 * tenure_members.c -- who is known to be in the fleet beyond those that speak now.
 *
 * Three sources: the checkpoint of an earlier leader; the roster in the store, which a proxy enters
 * before its listeners accept; and, where the store lost both, the members that the document names,
 * which every proxy's snapshot has.  Who is named there and was not heard of blocks.  The roster's
 * version as read here is compared by the writes of `safe` and `finalizing`.
 */
#include "shifter/controller/tenure_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void take_member(struct xf_tenure *tenure, const char *id, const char *name);

/* `take` is called with each member of {"members": [[id, name] ...]} that makes sense. */
static void read_members(struct xf_tenure *tenure, const json_t *root, take_member *take)
{
    const json_t *members = json_object_get(root, "members");
    for (size_t i = 0; i < json_array_size(members) && i < XF_PROXIES_MAX; i++) {
        const json_t *member = json_array_get(members, i);
        const char *id = json_string_value(json_array_get(member, 0));
        const char *name = json_string_value(json_array_get(member, 1));
        if (id != NULL && name != NULL && xf_uuid_valid(id) && strlen(name) < XF_NAME_BYTES) {
            take(tenure, id, name);
        }
    }
}

static void recall(struct xf_tenure *tenure, const char *id, const char *name)
{
    (void) xf_roster_recall(tenure->options.roster, id, name);
}

static void expect(struct xf_tenure *tenure, const char *id, const char *name)
{
    (void) xf_roster_expect(tenure->options.roster, id, name);
}

static void joined(struct xf_tenure *tenure, const char *id, const char *name)
{
    (void) xf_roster_joined(tenure->options.roster, id, name, xf_tenure_now(tenure));
}

/* Whether all changes so far were made or led here: then no checkpoint and no document knows more
 * of who came and went than this process. */
static bool has_counted(const struct xf_tenure *tenure)
{
    return xf_version_compare(&tenure->version, &tenure->counted) <= 0;
}

/* The members that an earlier leader knew: who is silent since then must still block.  Where it was
 * this one, the checkpoint may be older than the last `forget`. */
void xf_tenure_members_recall(struct xf_tenure *tenure, const char *text)
{
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    read_members(tenure, root, has_counted(tenure) ? expect : recall);
    const json_t *forgotten = json_object_get(root, "forgotten");
    for (size_t i = 0; i < json_array_size(forgotten) && i < XF_FORGOTTEN_MAX; i++) {
        const char *id = json_string_value(json_array_get(forgotten, i));
        if (id != NULL && xf_uuid_valid(id)) {
            xf_roster_recall_forgotten(tenure->options.roster, id, xf_tenure_now(tenure));
        }
    }
    json_decref(root);
}

/* [[id, name] ...]; NULL: no memory. */
static json_t *list_members(const struct xf_tenure *tenure)
{
    json_t *members = json_array();
    for (unsigned i = 0; i < xf_roster_count(tenure->options.roster); i++) {
        const struct xf_message_proxy *proxy =
            &xf_roster_member(tenure->options.roster, i)->heartbeat.proxy;
        if (json_array_append_new(members, json_pack("[s, s]", proxy->id, proxy->name)) != 0) {
            json_decref(members);
            return NULL;
        }
    }
    return members;
}

bool xf_tenure_members_keep(const struct xf_tenure *tenure, struct xf_document *document)
{
    if (tenure->options.store->kind == XF_STORE_SQLITE) {
        return true; /* one host: its file is not lost behind its back */
    }
    json_t *members = list_members(tenure);
    char *text = members != NULL ? json_dumps(members, JSON_COMPACT) : NULL;
    json_decref(members);
    if (text == NULL) {
        return false;
    }
    free(document->members_json);
    document->members_json = text;
    return true;
}

/* Lost: the proxy is no member all the same, only its own snapshot is not told. */
static void marked(void *context, enum xf_store_result result, const char *message)
{
    (void) context;
    (void) result;
    (void) message;
}

void xf_tenure_members_forget(struct xf_tenure *tenure, const char *proxy)
{
    struct xf_store *store = tenure->options.store;
    const struct xf_member *member = xf_roster_find(tenure->options.roster, proxy);
    char id[XF_UUID_TEXT_BYTES] = "";
    if (member != NULL) {
        memcpy(id, member->heartbeat.proxy.id, sizeof(id));
    }
    if (xf_roster_forget(tenure->options.roster, proxy, xf_tenure_now(tenure)) &&
        store->calls->forget_member != NULL) {
        store->calls->forget_member(store, tenure->service->name, tenure->holder,
                                    xf_lease_epoch(tenure->lease), id, marked, tenure);
    }
}

void xf_tenure_members_expect(struct xf_tenure *tenure)
{
    const char *text = tenure->document->members_json;
    if (text == NULL || has_counted(tenure)) {
        return;
    }
    json_t *root = json_pack("{s:o}", "members", json_loads(text, 0, NULL));
    read_members(tenure, root, expect);
    json_decref(root);
}

char *xf_tenure_members_text(const struct xf_tenure *tenure)
{
    char *clocks = xf_progress_write(&tenure->progress);
    json_t *root = clocks != NULL ? json_loads(clocks, 0, NULL) : NULL;
    json_t *members = list_members(tenure);
    bool ok = root != NULL && members != NULL && json_object_set(root, "members", members) == 0;
    const struct xf_forgotten *tombs;
    unsigned tombs_count = xf_roster_tombs(tenure->options.roster, &tombs);
    json_t *forgotten = json_array();
    for (unsigned i = 0; ok && i < tombs_count; i++) {
        ok = tombs[i].id[0] == '\0' ||
             json_array_append_new(forgotten, json_string(tombs[i].id)) == 0;
    }
    ok = ok && json_object_set(root, "forgotten", forgotten) == 0;
    json_decref(forgotten);
    char *text = ok ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(members);
    json_decref(root);
    free(clocks);
    return text;
}

/* ---- the store's roster ---- */

static void take_roster(struct xf_tenure *tenure, const char *text)
{
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *version = json_string_value(json_object_get(root, "version"));
    read_members(tenure, root, joined);
    (void) snprintf(tenure->members, sizeof(tenure->members), "%.40s",
                    version != NULL ? version : "?");
    json_decref(root);
}

static void got_roster(void *context, enum xf_store_result result, const char *text,
                       const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    (void) message;
    tenure->counting = false;
    if (result == XF_STORE_OK && text != NULL) {
        take_roster(tenure, text);
    } else if (result == XF_STORE_UNREADABLE) {
        (void) snprintf(tenure->members, sizeof(tenure->members), "?");
    }
}

static void loaded_roster(void *context, enum xf_store_result result, const char *text,
                          const char *message)
{
    struct xf_tenure *tenure = context;
    XF_ASSERT(tenure->magic == XF_TENURE_MAGIC);
    tenure->reading = XF_READ_NONE;
    if (result == XF_STORE_OK && text != NULL) {
        take_roster(tenure, text);
    } else if (result != XF_STORE_UNREADABLE) {
        xf_tenure_load_failed(tenure, "roster", message);
        return;
    }
    tenure->read_roster = false;
}

void xf_tenure_members_read(struct xf_tenure *tenure, bool loading)
{
    struct xf_store *store = tenure->options.store;
    if (store->calls->read_roster == NULL || (!loading && tenure->counting)) {
        return;
    }
    if (loading) {
        tenure->reading = XF_READ_ROSTER;
    } else {
        tenure->counting = true;
    }
    store->calls->read_roster(store, tenure->service->name, loading ? loaded_roster : got_roster,
                              tenure);
}
