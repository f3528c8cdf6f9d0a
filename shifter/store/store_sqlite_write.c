/*
 * store_sqlite_write.c -- what changes the embedded store: the rules of the write script in its
 * order, and everything that is fenced by the lease.
 */
#include "shifter/store/store_sqlite_parts.h"

#include <stdio.h>
#include <string.h>

/* What a service has stored, as far as the rules of a write ask for it. */
struct stored {
    bool present;
    bool readable;
    struct xf_version version; /* 0.0.0 where nothing readable is there */
};

/* ---- the rules of a write ---- */

static int find_stored(struct xf_sqlite_store *store, const char *service, struct stored *ret)
{
    sqlite3_stmt *row = xf_sqlite_query(
        store, "SELECT epoch, generation, revision FROM state WHERE service = ?1", "s", service);
    int code = xf_sqlite_step(store, row);
    *ret = (struct stored){.present = code == SQLITE_ROW};
    struct xf_version version;
    if (ret->present && xf_sqlite_number(row, 0, &version.epoch) &&
        xf_sqlite_number(row, 1, &version.generation) &&
        xf_sqlite_number(row, 2, &version.revision)) {
        ret->readable = true;
        ret->version = version;
    }
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The newest entry's place in the log as a version without epoch; 0.0 where there is none. */
static int find_top(struct xf_sqlite_store *store, const char *service, struct xf_version *ret)
{
    sqlite3_stmt *row = xf_sqlite_query(store,
                                        "SELECT generation, revision FROM log WHERE service = ?1"
                                        " ORDER BY generation DESC, revision DESC LIMIT 1",
                                        "s", service);
    int code = xf_sqlite_step(store, row);
    *ret = (struct xf_version){0};
    if (code == SQLITE_ROW) {
        ret->generation = (uint64_t) sqlite3_column_int64(row, 0);
        ret->revision = (uint64_t) sqlite3_column_int64(row, 1);
    }
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Whether the log holds this very write at its place. */
static int find_own_entry(struct xf_sqlite_store *store, const struct xf_store_write *write,
                          bool *ret)
{
    sqlite3_stmt *row =
        xf_sqlite_query(store,
                        "SELECT 1 FROM log WHERE service = ?1 AND generation = ?2"
                        " AND revision = ?3 AND write_id = ?4",
                        "siis", write->service, (sqlite3_int64) write->next.generation,
                        (sqlite3_int64) write->next.revision, write->write_id);
    int code = xf_sqlite_step(store, row);
    *ret = code == SQLITE_ROW;
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int find_holder(struct xf_sqlite_store *store, const char *service, const char *holder,
                       uint64_t epoch, bool *ret)
{
    struct xf_store_lease lease;
    bool present = false;
    int code = xf_sqlite_find_lease(store, service, &lease, &present);
    *ret = present && lease.epoch == epoch && strcmp(lease.holder, holder) == 0;
    return code;
}

static int compare_places(const struct xf_version *a, const struct xf_version *b)
{
    struct xf_version left = {0, a->generation, a->revision};
    struct xf_version right = {0, b->generation, b->revision};
    return xf_version_compare(&left, &right);
}

/* Steps 4 and 5 of the script; `own` says that the entry of this write is in the log already. */
static enum xf_store_result compare_log(const struct xf_store_write *write,
                                        const struct stored *stored, const struct xf_version *top,
                                        bool own)
{
    if (compare_places(&stored->version, &write->expected) != 0) {
        return XF_STORE_STALE;
    }
    bool own_is_top = own && compare_places(top, &write->next) == 0;
    if (write->restored) {
        return own_is_top || compare_places(top, &write->next) < 0 ? XF_STORE_OK
                                                                   : XF_STORE_LOG_AHEAD;
    }
    int order = compare_places(top, &stored->version);
    if (order == 0 || own_is_top) {
        return XF_STORE_OK;
    }
    return order > 0 ? XF_STORE_LOG_AHEAD : XF_STORE_LOG_BEHIND;
}

/* The write script's questions in its order; *ret_own: the entry need not be added again. */
static int decide(struct xf_sqlite_store *store, const struct xf_store_write *write,
                  enum xf_store_result *ret, bool *ret_own)
{
    struct stored stored;
    struct xf_version top;
    bool holds = false;
    int code = find_own_entry(store, write, ret_own);
    if (code != SQLITE_OK || (code = find_stored(store, write->service, &stored)) != SQLITE_OK ||
        (code = find_top(store, write->service, &top)) != SQLITE_OK ||
        (code = find_holder(store, write->service, write->holder, write->next.epoch, &holds)) !=
            SQLITE_OK) {
        return code;
    }
    if (*ret_own && compare_places(&stored.version, &write->next) >= 0) {
        *ret = XF_STORE_ALREADY;
    } else if (!holds) {
        *ret = XF_STORE_FENCED;
    } else if (stored.version.epoch > write->next.epoch) {
        *ret = XF_STORE_EPOCH_BEHIND;
    } else if (stored.present && !stored.readable && !write->restored) {
        *ret = XF_STORE_UNREADABLE;
    } else {
        *ret = compare_log(write, &stored, &top, *ret_own);
    }
    return SQLITE_OK;
}

static int apply(struct xf_sqlite_store *store, const struct xf_store_write *write, bool own)
{
    int code = SQLITE_OK;
    if (!own) {
        code = xf_sqlite_run(
            store, xf_sqlite_query(store, "INSERT INTO log VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                                   "siisis", write->service, (sqlite3_int64) write->next.generation,
                                   (sqlite3_int64) write->next.revision, write->write_id,
                                   (sqlite3_int64) xf_clock_wall_ms(store->clock), write->entry));
    }
    if (code != SQLITE_OK) {
        return code;
    }
    return xf_sqlite_run(
        store,
        xf_sqlite_query(store, "INSERT OR REPLACE INTO state VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                        "siiiss", write->service, (sqlite3_int64) write->next.epoch,
                        (sqlite3_int64) write->next.generation,
                        (sqlite3_int64) write->next.revision, write->write_id, write->document));
}

/* Drops what is older than 30 days, but nothing of the cutover that the document names and never
 * the newest entry.  Looked for once an hour; a failure is left to the next look. */
static void prune(struct xf_sqlite_store *store, const char *service)
{
    int64_t old;
    if (!xf_store_prune_due(&store->prune, store->clock, service, &old)) {
        return;
    }
    (void) xf_sqlite_run(
        store,
        xf_sqlite_query(
            store,
            "DELETE FROM log WHERE service = ?1 AND at_ms < ?2 AND generation < ?3 AND generation <"
            " (SELECT generation FROM state WHERE service = ?1) AND generation <"
            " coalesce((SELECT min(l.generation) FROM log l, state s"
            "  WHERE l.service = ?1 AND s.service = ?1 AND json_valid(l.entry)"
            "  AND json_valid(s.document) AND json_extract(l.entry, '$.cutover') ="
            "  json_extract(s.document, '$.cutover')), 9223372036854775807)",
            "sii", service, (sqlite3_int64) old,
            (sqlite3_int64) xf_store_floor(&store->base, service)));
}

void xf_sqlite_write(struct xf_store *base, const struct xf_store_write *write,
                     xf_store_done *callback, void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    const char *problem = xf_store_write_problem(write);
    if (answer == NULL) {
        return;
    }
    if (problem != NULL) {
        xf_store_answer_give(&store->answers, answer, XF_STORE_REFUSED, "%s", problem);
        return;
    }
    enum xf_store_result result = XF_STORE_OK;
    bool own = false;
    int code = xf_sqlite_begin(store);
    if (code == SQLITE_OK) {
        code = decide(store, write, &result, &own);
    }
    if (code == SQLITE_OK && result == XF_STORE_OK) {
        code = apply(store, write, own);
    }
    bool written = code == SQLITE_OK && result == XF_STORE_OK;
    xf_sqlite_finish(store, answer, code, result);
    if (written) {
        prune(store, write->service);
    }
}

/* ---- checkpoints, lease, signal ---- */

/* Runs `change` (which it frees) in a transaction while holder and epoch are these. */
static void change_fenced(struct xf_sqlite_store *store, const struct xf_store_asker *asker,
                          const char *service, const char *holder, uint64_t epoch,
                          sqlite3_stmt *change)
{
    struct xf_store_answer *answer = xf_store_answer_create(asker);
    if (answer == NULL) {
        sqlite3_finalize(change);
        return;
    }
    bool holds = false;
    int code = xf_sqlite_begin(store);
    if (code == SQLITE_OK) {
        code = find_holder(store, service, holder, epoch, &holds);
    }
    if (code == SQLITE_OK && holds) {
        code = xf_sqlite_step(store, change) == SQLITE_DONE ? SQLITE_OK
                                                            : sqlite3_errcode(store->file.db);
    }
    sqlite3_finalize(change);
    xf_sqlite_finish(store, answer, code, holds ? XF_STORE_OK : XF_STORE_FENCED);
}

void xf_sqlite_write_checkpoint(struct xf_store *base, const char *service, const char *name,
                                const char *holder, uint64_t epoch, const char *text,
                                xf_store_done *callback, void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    if (strlen(text) > XF_DOCUMENT_BYTES_MAX) {
        xf_store_answer_plain(&store->answers, &asker, XF_STORE_REFUSED,
                              "the checkpoint is larger than a store keeps");
        return;
    }
    /* The last second may be lost in a power cut: that is what a checkpoint may cost. */
    sqlite3_exec(store->file.db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
    change_fenced(store, &asker, service, holder, epoch,
                  xf_sqlite_query(store, "INSERT OR REPLACE INTO checkpoint VALUES(?1, ?2, ?3)",
                                  "sss", service, name, text));
    sqlite3_exec(store->file.db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
}

static bool same_lease(const struct xf_store_lease *a, const struct xf_store_lease *b)
{
    return a->epoch == b->epoch && a->beat == b->beat && strcmp(a->holder, b->holder) == 0;
}

/* What swapping `stored` for `next` comes to; *ret_change says whether there is one to make. */
static enum xf_store_result compare_lease(const struct xf_store_lease *stored,
                                          const struct xf_store_lease *seen,
                                          const struct xf_store_lease *next, bool *ret_change)
{
    *ret_change = false;
    if (same_lease(stored, next)) {
        return XF_STORE_OK;
    }
    if (stored->beat != seen->beat || strcmp(stored->holder, seen->holder) != 0) {
        return XF_STORE_STALE;
    }
    bool another = next->holder[0] != '\0' && strcmp(stored->holder, next->holder) != 0;
    if (next->epoch < stored->epoch || (another && next->epoch == stored->epoch)) {
        return XF_STORE_EPOCH_BEHIND;
    }
    *ret_change = true;
    return XF_STORE_OK;
}

void xf_sqlite_swap_lease(struct xf_store *base, const char *service,
                          const struct xf_store_lease *seen, const struct xf_store_lease *next,
                          xf_store_done *callback, void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    struct xf_store_lease stored;
    bool present = false;
    bool change = false;
    enum xf_store_result result = XF_STORE_OK;
    int code = xf_sqlite_begin(store);
    if (code == SQLITE_OK) {
        code = xf_sqlite_find_lease(store, service, &stored, &present);
    }
    if (code == SQLITE_OK) {
        result = compare_lease(&stored, seen, next, &change);
    }
    if (code == SQLITE_OK && change) {
        code = xf_sqlite_run(
            store, xf_sqlite_query(store, "INSERT OR REPLACE INTO lease VALUES(?1, ?2, ?3, ?4)",
                                   "ssii", service, next->holder, (sqlite3_int64) next->epoch,
                                   (sqlite3_int64) next->beat));
    }
    xf_sqlite_finish(store, answer, code, result);
}

void xf_sqlite_write_signal(struct xf_store *base, const char *service, const char *holder,
                            uint64_t epoch, const char *record, xf_store_done *callback,
                            void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    change_fenced(store, &asker, service, holder, epoch,
                  xf_sqlite_query(store, "INSERT OR REPLACE INTO decommission VALUES(?1, ?2)", "ss",
                                  service, record));
}

void xf_sqlite_check_signal(struct xf_store *base, const char *service, const char *holder,
                            uint64_t epoch, const char *record, xf_store_done *callback,
                            void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    bool holds = false;
    int code = find_holder(store, service, holder, epoch, &holds);
    enum xf_store_result result = holds ? XF_STORE_STALE : XF_STORE_FENCED;
    sqlite3_stmt *row = NULL;
    if (code == SQLITE_OK) {
        row = xf_sqlite_query(store, "SELECT record = ?2 FROM decommission WHERE service = ?1",
                              "ss", service, record);
        code = xf_sqlite_step(store, row);
    }
    if (code == SQLITE_ROW && holds && sqlite3_column_int(row, 0) == 1) {
        result = XF_STORE_OK;
    }
    xf_sqlite_finish_read(store, answer, code, result);
    sqlite3_finalize(row);
}
