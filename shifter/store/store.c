/*
 * store.c -- picks the store that the configuration names; what both have in common.
 */
#include "shifter/store/store.h"
#include "shifter/store/store_kinds.h"

#include <stdio.h>
#include <string.h>

#define PRUNE_EVERY_MS 3600000

const char *xf_store_result_name(enum xf_store_result result)
{
    switch (result) {
    case XF_STORE_OK:
        return "OK";
    case XF_STORE_ALREADY:
        return "already";
    case XF_STORE_FENCED:
        return "FENCED";
    case XF_STORE_EPOCH_BEHIND:
        return "EPOCH_BEHIND";
    case XF_STORE_STALE:
        return "STALE";
    case XF_STORE_LOG_AHEAD:
        return "LOG_AHEAD";
    case XF_STORE_LOG_BEHIND:
        return "LOG_BEHIND";
    case XF_STORE_LOST:
        return "LOST";
    case XF_STORE_REFUSED:
        return "REFUSED";
    case XF_STORE_ABSENT:
        return "ABSENT";
    case XF_STORE_ROSTER:
        return "ROSTER";
    case XF_STORE_UNREADABLE:
        return "UNREADABLE";
    }
    return "?";
}

void xf_store_set_ok(struct xf_store *store, const struct xf_clock *clock, bool ok)
{
    if (store->ok != ok) {
        store->ok = ok;
        store->ok_since_ms = xf_clock_boottime_ms(clock);
    }
}

const char *xf_store_write_problem(const struct xf_store_write *write)
{
    if (strlen(write->document) > XF_DOCUMENT_BYTES_MAX) {
        return "the document is larger than a store keeps";
    }
    if (strlen(write->entry) > XF_STORE_ENTRY_BYTES_MAX) {
        return "the log entry is larger than a store keeps";
    }
    if (write->next.epoch > INT64_MAX || write->next.generation > INT64_MAX ||
        write->next.revision > INT64_MAX || write->next.generation == 0) {
        return "the version is out of range";
    }
    struct xf_version before = {0, write->expected.generation, write->expected.revision};
    struct xf_version after = {0, write->next.generation, write->next.revision};
    return xf_version_compare(&before, &after) < 0 ? NULL : "the next version is not a larger one";
}

bool xf_store_prune_due(struct xf_store_prune *prune, const struct xf_clock *clock, const char *log,
                        int64_t *ret_old_ms)
{
    int64_t now = xf_clock_wall_ms(clock);
    unsigned i = 0;
    while (i < prune->count && strcmp(prune->looked[i].log, log) != 0) {
        i++;
    }
    if (i == XF_SERVICES_MAX ||
        (i < prune->count && now - prune->looked[i].at_ms < PRUNE_EVERY_MS)) {
        return false;
    }
    if (i == prune->count) {
        prune->count++;
        snprintf(prune->looked[i].log, sizeof(prune->looked[i].log), "%s", log);
    }
    prune->looked[i].at_ms = now;
    *ret_old_ms = now - (int64_t) XF_STORE_LOG_DAYS * 24 * 3600 * 1000;
    return true;
}

/* `log` is the service, or `…:SERVICE}:log`. */
static bool is_log_of(const char *log, const char *service)
{
    const char *end = strstr(log, "}:log");
    size_t length = strlen(service);
    if (end == NULL) {
        return strcmp(log, service) == 0;
    }
    return (size_t) (end - log) > length && memcmp(end - length, service, length) == 0 &&
           end[-(ptrdiff_t) length - 1] == ':';
}

uint64_t xf_store_floor(const struct xf_store *store, const char *log)
{
    for (unsigned i = 0; i < store->copied_count; i++) {
        if (is_log_of(log, store->copied[i].service)) {
            return store->copied[i].generation;
        }
    }
    return store->journalled ? 0 : INT64_MAX;
}

void xf_store_keep_from(struct xf_store *store, const char *service, uint64_t generation)
{
    unsigned i = 0;
    while (i < store->copied_count && strcmp(store->copied[i].service, service) != 0) {
        i++;
    }
    if (i == XF_SERVICES_MAX) {
        return;
    }
    if (i == store->copied_count) {
        store->copied_count++;
        snprintf(store->copied[i].service, sizeof(store->copied[i].service), "%s", service);
    }
    store->copied[i].generation = generation;
}

int xf_store_open(const struct xf_config *config, struct event_base *loop,
                  const struct xf_clock *clock, struct xf_store **ret, struct xf_error *err)
{
    int result = config->store.kind == XF_STORE_REDIS
                     ? xf_store_redis_open(config, loop, clock, ret, err)
                     : xf_store_sqlite_open(config, loop, clock, ret, err);
    if (result == 0) {
        (*ret)->journalled = config->journal.url != NULL;
    }
    return result;
}

void xf_store_close(struct xf_store *store)
{
    if (store != NULL) {
        store->calls->destroy(store);
    }
}
