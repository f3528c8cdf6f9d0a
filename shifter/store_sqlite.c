/*
 * store_sqlite.c -- the embedded store: one file, one process, one host.
 *
 * Each call works at once, in one transaction, and answers in the next turn of the loop.  A write
 * applies the rules of the write script in its order.  When the file stops taking writes, `ok`
 * falls and a probe looks twice a second whether it takes them again.
 */
#include "shifter/store_answer.h"
#include "shifter/store_kinds.h"
#include "shifter/store_sqlite_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_MAGIC 0x73716c31u

/* Between looks at a file that refused a write. */
static const struct timeval probe_every = {0, 500000};

struct sqlite_store {
    struct xf_store base; /* first: the interface hands it back */
    unsigned magic;
    struct xf_sqlite_file file;
    const struct xf_clock *clock;
    struct xf_store_answers answers;
    struct event *probe;
    struct xf_store_prune prune;
};

/* What a service has stored, as far as the rules of a write ask for it. */
struct stored {
    bool present;
    bool readable;
    struct xf_version version; /* 0.0.0 where nothing readable is there */
};

static struct sqlite_store *store_of(struct xf_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *) base;
    XF_ASSERT(store->magic == STORE_MAGIC);
    return store;
}

/* Prepares `sql` and binds by `types`: s text, i number.  NULL on failure. */
static sqlite3_stmt *query(struct sqlite_store *store, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->file.db, sql, -1, &statement, NULL);
    va_list arguments;
    va_start(arguments, types);
    for (int i = 0; code == SQLITE_OK && types[i] != '\0'; i++) {
        if (types[i] == 's') {
            const char *text = va_arg(arguments, const char *);
            code = sqlite3_bind_text(statement, i + 1, text, -1, SQLITE_TRANSIENT);
        } else {
            code = sqlite3_bind_int64(statement, i + 1, va_arg(arguments, sqlite3_int64));
        }
    }
    va_end(arguments);
    if (code != SQLITE_OK) {
        sqlite3_finalize(statement);
        return NULL;
    }
    return statement;
}

/* SQLITE_ROW, SQLITE_DONE, or an error; a statement that could not be prepared is one too. */
static int step(struct sqlite_store *store, sqlite3_stmt *statement)
{
    if (statement != NULL) {
        return sqlite3_step(statement);
    }
    int code = sqlite3_errcode(store->file.db);
    return code != SQLITE_OK ? code : SQLITE_NOMEM;
}

/* Runs a statement that changes; frees it. */
static int run(struct sqlite_store *store, sqlite3_stmt *statement)
{
    int code = step(store, statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool number_of(sqlite3_stmt *row, int column, uint64_t *ret)
{
    sqlite3_int64 value = sqlite3_column_int64(row, column);
    if (sqlite3_column_type(row, column) != SQLITE_INTEGER || value < 0) {
        return false;
    }
    *ret = (uint64_t) value;
    return true;
}

static const char *text_of(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    return text != NULL ? (const char *) text : "";
}

static int begin(struct sqlite_store *store)
{
    if (xf_sqlite_file_moved(&store->file)) {
        return SQLITE_READONLY_DBMOVED;
    }
    return sqlite3_exec(store->file.db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

static void note_ok(struct sqlite_store *store, bool ok)
{
    xf_store_set_ok(&store->base, store->clock, ok);
    if (!ok && !evtimer_pending(store->probe, NULL)) {
        event_add(store->probe, &probe_every);
    }
}

static void on_probe(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct sqlite_store *store = arg;
    XF_ASSERT(store->magic == STORE_MAGIC);
    note_ok(store,
            !xf_sqlite_file_moved(&store->file) && xf_sqlite_file_probe(&store->file) == SQLITE_OK);
}

static const char *reason(struct sqlite_store *store, int code)
{
    return code == SQLITE_READONLY_DBMOVED ? "the file was removed or replaced"
                                           : sqlite3_errmsg(store->file.db);
}

/* Ends a transaction: commits where both code and result are OK.  A commit that failed may yet
 * be found after a crash, so its result is LOST. */
static void finish(struct sqlite_store *store, struct xf_store_answer *answer, int code,
                   enum xf_store_result result)
{
    bool committing = code == SQLITE_OK && result == XF_STORE_OK;
    if (committing) {
        code = sqlite3_exec(store->file.db, "COMMIT", NULL, NULL, NULL);
    }
    char message[XF_STORE_MESSAGE_BYTES] = "";
    if (code != SQLITE_OK) {
        snprintf(message, sizeof(message), "store %s: %s", store->file.path, reason(store, code));
        result = committing ? XF_STORE_LOST : XF_STORE_REFUSED;
    }
    if (sqlite3_get_autocommit(store->file.db) == 0) {
        sqlite3_exec(store->file.db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (committing || code != SQLITE_OK) {
        note_ok(store, code == SQLITE_OK);
    }
    xf_store_answer_give(&store->answers, answer, result, "%s", message);
}

/* The end of a read. */
static void finish_read(struct sqlite_store *store, struct xf_store_answer *answer, int code,
                        enum xf_store_result result)
{
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        xf_store_answer_give(&store->answers, answer, result, NULL);
        return;
    }
    note_ok(store, false);
    xf_store_answer_give(&store->answers, answer, XF_STORE_REFUSED, "store %s: %s",
                         store->file.path, reason(store, code));
}

/* ---- reads ---- */

static bool state_of_row(sqlite3_stmt *row, struct xf_store_answer *answer)
{
    struct xf_version *version = &answer->state.version;
    if (!number_of(row, 0, &version->epoch) || !number_of(row, 1, &version->generation) ||
        !number_of(row, 2, &version->revision)) {
        return false;
    }
    snprintf(answer->state.write_id, sizeof(answer->state.write_id), "%s", text_of(row, 3));
    if ((size_t) sqlite3_column_bytes(row, 4) > XF_DOCUMENT_BYTES_MAX) {
        return false;
    }
    answer->text = strdup(text_of(row, 4));
    return answer->text != NULL;
}

static void sqlite_read_state(struct xf_store *base, const char *service,
                              xf_store_got_state *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_STATE, {.state = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    sqlite3_stmt *row = query(store,
                              "SELECT epoch, generation, revision, write_id, document"
                              " FROM state WHERE service = ?1",
                              "s", service);
    int code = step(store, row);
    enum xf_store_result result = XF_STORE_ABSENT;
    if (code == SQLITE_ROW) {
        result = state_of_row(row, answer) ? XF_STORE_OK : XF_STORE_UNREADABLE;
    }
    finish_read(store, answer, code, result);
    sqlite3_finalize(row);
}

/* Rows (generation, revision, write_id, entry), oldest first. */
static void read_entries(struct sqlite_store *store, sqlite3_stmt *rows,
                         const struct xf_store_asker *asker)
{
    struct xf_store_answer *answer = xf_store_answer_create(asker);
    enum xf_store_result result = XF_STORE_OK;
    int code = SQLITE_DONE;
    while (answer != NULL && (code = step(store, rows)) == SQLITE_ROW) {
        uint64_t generation, revision;
        if (!number_of(rows, 0, &generation) || !number_of(rows, 1, &revision)) {
            result = XF_STORE_UNREADABLE;
            break;
        }
        if (!xf_store_answer_add_entry(answer, generation, revision, text_of(rows, 2),
                                       text_of(rows, 3), sqlite3_column_bytes(rows, 3))) {
            code = SQLITE_NOMEM;
            break;
        }
    }
    if (answer != NULL) {
        finish_read(store, answer, code, result);
    }
    sqlite3_finalize(rows);
}

static sqlite3_int64 bounded_count(size_t count)
{
    return count < XF_STORE_LOG_COUNT_MAX ? (sqlite3_int64) count : XF_STORE_LOG_COUNT_MAX;
}

static void sqlite_read_log(struct xf_store *base, const char *service, uint64_t generation,
                            uint64_t revision, size_t count_max, xf_store_got_log *callback,
                            void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_LOG, {.log = callback}, context};
    sqlite3_stmt *rows = query(store,
                               "SELECT generation, revision, write_id, entry FROM log"
                               " WHERE service = ?1 AND (generation, revision) > (?2, ?3)"
                               " ORDER BY generation, revision LIMIT ?4",
                               "siii", service, (sqlite3_int64) generation,
                               (sqlite3_int64) revision, bounded_count(count_max));
    read_entries(store, rows, &asker);
}

static void sqlite_read_log_tail(struct xf_store *base, const char *service, size_t count_max,
                                 xf_store_got_log *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_LOG, {.log = callback}, context};
    sqlite3_stmt *rows = query(store,
                               "SELECT * FROM (SELECT generation, revision, write_id, entry"
                               " FROM log WHERE service = ?1"
                               " ORDER BY generation DESC, revision DESC LIMIT ?2)"
                               " ORDER BY generation, revision",
                               "si", service, bounded_count(count_max));
    read_entries(store, rows, &asker);
}

static void sqlite_read_checkpoint(struct xf_store *base, const char *service, const char *name,
                                   xf_store_got_text *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    sqlite3_stmt *row = query(store, "SELECT text FROM checkpoint WHERE service = ?1 AND name = ?2",
                              "ss", service, name);
    int code = step(store, row);
    enum xf_store_result result = XF_STORE_ABSENT;
    if (code == SQLITE_ROW) {
        result = XF_STORE_OK;
        answer->text = strdup(text_of(row, 0));
        code = answer->text != NULL ? code : SQLITE_NOMEM;
    }
    finish_read(store, answer, code, result);
    sqlite3_finalize(row);
}

/* SQLITE_OK; *ret_present says whether there is a lease that can be read. */
static int find_lease(struct sqlite_store *store, const char *service, struct xf_store_lease *ret,
                      bool *ret_present)
{
    sqlite3_stmt *row =
        query(store, "SELECT holder, epoch, beat FROM lease WHERE service = ?1", "s", service);
    int code = step(store, row);
    *ret = (struct xf_store_lease){0};
    *ret_present =
        code == SQLITE_ROW && number_of(row, 1, &ret->epoch) && number_of(row, 2, &ret->beat);
    if (*ret_present) {
        snprintf(ret->holder, sizeof(ret->holder), "%s", text_of(row, 0));
    }
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void sqlite_read_lease(struct xf_store *base, const char *service,
                              xf_store_got_lease *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_LEASE, {.lease = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    bool present = false;
    int code = find_lease(store, service, &answer->lease, &present);
    finish_read(store, answer, code == SQLITE_OK ? SQLITE_DONE : code,
                present ? XF_STORE_OK : XF_STORE_ABSENT);
}

static void sqlite_read_time(struct xf_store *base, xf_store_got_text *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long) xf_clock_wall_ms(store->clock));
    answer->text = strdup(text);
    xf_store_answer_give(&store->answers, answer,
                         answer->text != NULL ? XF_STORE_OK : XF_STORE_LOST, NULL);
}

/* ---- the rules of a write ---- */

static int find_stored(struct sqlite_store *store, const char *service, struct stored *ret)
{
    sqlite3_stmt *row = query(
        store, "SELECT epoch, generation, revision FROM state WHERE service = ?1", "s", service);
    int code = step(store, row);
    *ret = (struct stored){.present = code == SQLITE_ROW};
    struct xf_version version;
    if (ret->present && number_of(row, 0, &version.epoch) &&
        number_of(row, 1, &version.generation) && number_of(row, 2, &version.revision)) {
        ret->readable = true;
        ret->version = version;
    }
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The newest entry's place in the log as a version without epoch; 0.0 where there is none. */
static int find_top(struct sqlite_store *store, const char *service, struct xf_version *ret)
{
    sqlite3_stmt *row = query(store,
                              "SELECT generation, revision FROM log WHERE service = ?1"
                              " ORDER BY generation DESC, revision DESC LIMIT 1",
                              "s", service);
    int code = step(store, row);
    *ret = (struct xf_version){0};
    if (code == SQLITE_ROW) {
        ret->generation = (uint64_t) sqlite3_column_int64(row, 0);
        ret->revision = (uint64_t) sqlite3_column_int64(row, 1);
    }
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Whether the log holds this very write at its place. */
static int find_own_entry(struct sqlite_store *store, const struct xf_store_write *write, bool *ret)
{
    sqlite3_stmt *row = query(store,
                              "SELECT 1 FROM log WHERE service = ?1 AND generation = ?2"
                              " AND revision = ?3 AND write_id = ?4",
                              "siis", write->service, (sqlite3_int64) write->next.generation,
                              (sqlite3_int64) write->next.revision, write->write_id);
    int code = step(store, row);
    *ret = code == SQLITE_ROW;
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int find_holder(struct sqlite_store *store, const char *service, const char *holder,
                       uint64_t epoch, bool *ret)
{
    struct xf_store_lease lease;
    bool present = false;
    int code = find_lease(store, service, &lease, &present);
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
static int decide(struct sqlite_store *store, const struct xf_store_write *write,
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

static int apply(struct sqlite_store *store, const struct xf_store_write *write, bool own)
{
    int code = SQLITE_OK;
    if (!own) {
        code = run(store, query(store, "INSERT INTO log VALUES(?1, ?2, ?3, ?4, ?5, ?6)", "siisis",
                                write->service, (sqlite3_int64) write->next.generation,
                                (sqlite3_int64) write->next.revision, write->write_id,
                                (sqlite3_int64) xf_clock_wall_ms(store->clock), write->entry));
    }
    if (code != SQLITE_OK) {
        return code;
    }
    return run(store,
               query(store, "INSERT OR REPLACE INTO state VALUES(?1, ?2, ?3, ?4, ?5, ?6)", "siiiss",
                     write->service, (sqlite3_int64) write->next.epoch,
                     (sqlite3_int64) write->next.generation, (sqlite3_int64) write->next.revision,
                     write->write_id, write->document));
}

/* Drops what is older than 30 days, but nothing of the cutover that the document names and never
 * the newest entry.  Looked for once an hour; a failure is left to the next look. */
static void prune(struct sqlite_store *store, const char *service)
{
    int64_t old;
    if (!xf_store_prune_due(&store->prune, store->clock, service, &old)) {
        return;
    }
    (void) run(store, query(store,
                            "DELETE FROM log WHERE service = ?1 AND at_ms < ?2 AND generation <"
                            " (SELECT generation FROM state WHERE service = ?1) AND generation <"
                            " coalesce((SELECT min(l.generation) FROM log l, state s"
                            "  WHERE l.service = ?1 AND s.service = ?1 AND json_valid(l.entry)"
                            "  AND json_valid(s.document) AND json_extract(l.entry, '$.cutover') ="
                            "  json_extract(s.document, '$.cutover')), 9223372036854775807)",
                            "si", service, (sqlite3_int64) old));
}

static void sqlite_write(struct xf_store *base, const struct xf_store_write *write,
                         xf_store_done *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
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
    int code = begin(store);
    if (code == SQLITE_OK) {
        code = decide(store, write, &result, &own);
    }
    if (code == SQLITE_OK && result == XF_STORE_OK) {
        code = apply(store, write, own);
    }
    bool written = code == SQLITE_OK && result == XF_STORE_OK;
    finish(store, answer, code, result);
    if (written) {
        prune(store, write->service);
    }
}

/* ---- checkpoints, lease, signal ---- */

/* Runs `change` (which it frees) in a transaction while holder and epoch are these. */
static void change_fenced(struct sqlite_store *store, const struct xf_store_asker *asker,
                          const char *service, const char *holder, uint64_t epoch,
                          sqlite3_stmt *change)
{
    struct xf_store_answer *answer = xf_store_answer_create(asker);
    if (answer == NULL) {
        sqlite3_finalize(change);
        return;
    }
    bool holds = false;
    int code = begin(store);
    if (code == SQLITE_OK) {
        code = find_holder(store, service, holder, epoch, &holds);
    }
    if (code == SQLITE_OK && holds) {
        code = step(store, change) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(store->file.db);
    }
    sqlite3_finalize(change);
    finish(store, answer, code, holds ? XF_STORE_OK : XF_STORE_FENCED);
}

static void sqlite_write_checkpoint(struct xf_store *base, const char *service, const char *name,
                                    const char *holder, uint64_t epoch, const char *text,
                                    xf_store_done *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    if (strlen(text) > XF_DOCUMENT_BYTES_MAX) {
        xf_store_answer_plain(&store->answers, &asker, XF_STORE_REFUSED,
                              "the checkpoint is larger than a store keeps");
        return;
    }
    /* The last second may be lost in a power cut: that is what a checkpoint may cost. */
    sqlite3_exec(store->file.db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
    change_fenced(store, &asker, service, holder, epoch,
                  query(store, "INSERT OR REPLACE INTO checkpoint VALUES(?1, ?2, ?3)", "sss",
                        service, name, text));
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

static void sqlite_swap_lease(struct xf_store *base, const char *service,
                              const struct xf_store_lease *seen, const struct xf_store_lease *next,
                              xf_store_done *callback, void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    struct xf_store_lease stored;
    bool present = false;
    bool change = false;
    enum xf_store_result result = XF_STORE_OK;
    int code = begin(store);
    if (code == SQLITE_OK) {
        code = find_lease(store, service, &stored, &present);
    }
    if (code == SQLITE_OK) {
        result = compare_lease(&stored, seen, next, &change);
    }
    if (code == SQLITE_OK && change) {
        code = run(store, query(store, "INSERT OR REPLACE INTO lease VALUES(?1, ?2, ?3, ?4)",
                                "ssii", service, next->holder, (sqlite3_int64) next->epoch,
                                (sqlite3_int64) next->beat));
    }
    finish(store, answer, code, result);
}

static void sqlite_write_signal(struct xf_store *base, const char *service, const char *holder,
                                uint64_t epoch, const char *record, xf_store_done *callback,
                                void *context)
{
    struct sqlite_store *store = store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_DONE, {.done = callback}, context};
    change_fenced(
        store, &asker, service, holder, epoch,
        query(store, "INSERT OR REPLACE INTO decommission VALUES(?1, ?2)", "ss", service, record));
}

static void sqlite_check_signal(struct xf_store *base, const char *service, const char *holder,
                                uint64_t epoch, const char *record, xf_store_done *callback,
                                void *context)
{
    struct sqlite_store *store = store_of(base);
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
        row = query(store, "SELECT record = ?2 FROM decommission WHERE service = ?1", "ss", service,
                    record);
        code = step(store, row);
    }
    if (code == SQLITE_ROW && holds && sqlite3_column_int(row, 0) == 1) {
        result = XF_STORE_OK;
    }
    finish_read(store, answer, code, result);
    sqlite3_finalize(row);
}

/* ---- life ---- */

static void sqlite_destroy(struct xf_store *base)
{
    struct sqlite_store *store = store_of(base);
    xf_store_answers_release(&store->answers);
    if (store->probe != NULL) {
        event_free(store->probe);
    }
    xf_sqlite_file_close(&store->file);
    free(store);
}

static const struct xf_store_vtable sqlite_calls = {
    .read_state = sqlite_read_state,
    .write = sqlite_write,
    .read_log = sqlite_read_log,
    .read_log_tail = sqlite_read_log_tail,
    .write_checkpoint = sqlite_write_checkpoint,
    .read_checkpoint = sqlite_read_checkpoint,
    .read_lease = sqlite_read_lease,
    .swap_lease = sqlite_swap_lease,
    .read_time = sqlite_read_time,
    .write_signal = sqlite_write_signal,
    .check_signal = sqlite_check_signal,
    .destroy = sqlite_destroy,
};

int xf_store_sqlite_open(const struct xf_config *config, struct event_base *loop,
                         const struct xf_clock *clock, struct xf_store **ret, struct xf_error *err)
{
    struct sqlite_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", config->store.path);
    }
    store->base = (struct xf_store){.calls = &sqlite_calls, .kind = XF_STORE_SQLITE};
    store->magic = STORE_MAGIC;
    store->clock = clock;
    store->file.lock_fd = -1;
    snprintf(store->base.scope, sizeof(store->base.scope), "this host");
    if (xf_sqlite_file_open(config->store.path, &store->file, err) != 0) {
        sqlite_destroy(&store->base);
        return -1;
    }
    store->probe = evtimer_new(loop, on_probe, store);
    if (store->probe == NULL || xf_store_answers_init(&store->answers, loop) != 0) {
        sqlite_destroy(&store->base);
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", config->store.path);
    }
    store->base.ok_since_ms = xf_clock_boottime_ms(clock);
    store->base.ok = true;
    *ret = &store->base;
    return 0;
}
