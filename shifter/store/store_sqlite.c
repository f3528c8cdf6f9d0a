/*
 * store_sqlite.c -- the embedded store: one file, one process, one host.
 *
 * Each call works at once, in one transaction, and answers in the next turn of the loop.  When the
 * file stops taking writes, `ok` falls and a probe looks twice a second whether it takes them
 * again.
 */
#include "shifter/store/store_sqlite_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between looks at a file that refused a write. */
static const struct timeval probe_every = {0, 500000};

struct xf_sqlite_store *xf_sqlite_store_of(struct xf_store *base)
{
    struct xf_sqlite_store *store = (struct xf_sqlite_store *) base;
    XF_ASSERT(store->magic == XF_SQLITE_MAGIC);
    return store;
}

/* Prepares `sql` and binds by `types`: s text, i number.  NULL on failure. */
sqlite3_stmt *xf_sqlite_query(struct xf_sqlite_store *store, const char *sql, const char *types,
                              ...)
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
int xf_sqlite_step(struct xf_sqlite_store *store, sqlite3_stmt *statement)
{
    if (statement != NULL) {
        return sqlite3_step(statement);
    }
    int code = sqlite3_errcode(store->file.db);
    return code != SQLITE_OK ? code : SQLITE_NOMEM;
}

/* Runs a statement that changes; frees it. */
int xf_sqlite_run(struct xf_sqlite_store *store, sqlite3_stmt *statement)
{
    int code = xf_sqlite_step(store, statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

bool xf_sqlite_number(sqlite3_stmt *row, int column, uint64_t *ret)
{
    sqlite3_int64 value = sqlite3_column_int64(row, column);
    if (sqlite3_column_type(row, column) != SQLITE_INTEGER || value < 0) {
        return false;
    }
    *ret = (uint64_t) value;
    return true;
}

const char *xf_sqlite_text(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    return text != NULL ? (const char *) text : "";
}

int xf_sqlite_begin(struct xf_sqlite_store *store)
{
    if (xf_sqlite_file_moved(&store->file)) {
        return SQLITE_READONLY_DBMOVED;
    }
    return sqlite3_exec(store->file.db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

static void note_ok(struct xf_sqlite_store *store, bool ok)
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
    struct xf_sqlite_store *store = arg;
    XF_ASSERT(store->magic == XF_SQLITE_MAGIC);
    note_ok(store,
            !xf_sqlite_file_moved(&store->file) && xf_sqlite_file_probe(&store->file) == SQLITE_OK);
}

static const char *reason(struct xf_sqlite_store *store, int code)
{
    return code == SQLITE_READONLY_DBMOVED ? "the file was removed or replaced"
                                           : sqlite3_errmsg(store->file.db);
}

/* Ends a transaction: commits where both code and result are OK.  A commit that failed may yet
 * be found after a crash, so its result is LOST. */
void xf_sqlite_finish(struct xf_sqlite_store *store, struct xf_store_answer *answer, int code,
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
void xf_sqlite_finish_read(struct xf_sqlite_store *store, struct xf_store_answer *answer, int code,
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
    if (!xf_sqlite_number(row, 0, &version->epoch) ||
        !xf_sqlite_number(row, 1, &version->generation) ||
        !xf_sqlite_number(row, 2, &version->revision)) {
        return false;
    }
    snprintf(answer->state.write_id, sizeof(answer->state.write_id), "%s", xf_sqlite_text(row, 3));
    if ((size_t) sqlite3_column_bytes(row, 4) > XF_DOCUMENT_BYTES_MAX) {
        return false;
    }
    answer->text = strdup(xf_sqlite_text(row, 4));
    return answer->text != NULL;
}

static void sqlite_read_state(struct xf_store *base, const char *service,
                              xf_store_got_state *callback, void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_STATE, {.state = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    sqlite3_stmt *row = xf_sqlite_query(store,
                                        "SELECT epoch, generation, revision, write_id, document"
                                        " FROM state WHERE service = ?1",
                                        "s", service);
    int code = xf_sqlite_step(store, row);
    enum xf_store_result result = XF_STORE_ABSENT;
    if (code == SQLITE_ROW) {
        result = state_of_row(row, answer) ? XF_STORE_OK : XF_STORE_UNREADABLE;
    }
    xf_sqlite_finish_read(store, answer, code, result);
    sqlite3_finalize(row);
}

/* Rows (generation, revision, write_id, entry), oldest first. */
static void read_entries(struct xf_sqlite_store *store, sqlite3_stmt *rows,
                         const struct xf_store_asker *asker)
{
    struct xf_store_answer *answer = xf_store_answer_create(asker);
    enum xf_store_result result = XF_STORE_OK;
    int code = SQLITE_DONE;
    while (answer != NULL && (code = xf_sqlite_step(store, rows)) == SQLITE_ROW) {
        uint64_t generation, revision;
        if (!xf_sqlite_number(rows, 0, &generation) || !xf_sqlite_number(rows, 1, &revision)) {
            result = XF_STORE_UNREADABLE;
            break;
        }
        if (!xf_store_answer_add_entry(answer, generation, revision, xf_sqlite_text(rows, 2),
                                       xf_sqlite_text(rows, 3), sqlite3_column_bytes(rows, 3))) {
            code = SQLITE_NOMEM;
            break;
        }
    }
    if (answer != NULL) {
        xf_sqlite_finish_read(store, answer, code, result);
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
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_LOG, {.log = callback}, context};
    sqlite3_stmt *rows = xf_sqlite_query(store,
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
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_LOG, {.log = callback}, context};
    sqlite3_stmt *rows =
        xf_sqlite_query(store,
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
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_TEXT, {.text = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    sqlite3_stmt *row = xf_sqlite_query(
        store, "SELECT text FROM checkpoint WHERE service = ?1 AND name = ?2", "ss", service, name);
    int code = xf_sqlite_step(store, row);
    enum xf_store_result result = XF_STORE_ABSENT;
    if (code == SQLITE_ROW) {
        result = XF_STORE_OK;
        answer->text = strdup(xf_sqlite_text(row, 0));
        code = answer->text != NULL ? code : SQLITE_NOMEM;
    }
    xf_sqlite_finish_read(store, answer, code, result);
    sqlite3_finalize(row);
}

int xf_sqlite_find_lease(struct xf_sqlite_store *store, const char *service,
                         struct xf_store_lease *ret, bool *ret_present)
{
    sqlite3_stmt *row = xf_sqlite_query(
        store, "SELECT holder, epoch, beat FROM lease WHERE service = ?1", "s", service);
    int code = xf_sqlite_step(store, row);
    *ret = (struct xf_store_lease){0};
    *ret_present = code == SQLITE_ROW && xf_sqlite_number(row, 1, &ret->epoch) &&
                   xf_sqlite_number(row, 2, &ret->beat);
    if (*ret_present) {
        snprintf(ret->holder, sizeof(ret->holder), "%s", xf_sqlite_text(row, 0));
    }
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void sqlite_read_lease(struct xf_store *base, const char *service,
                              xf_store_got_lease *callback, void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    struct xf_store_asker asker = {XF_ANSWER_LEASE, {.lease = callback}, context};
    struct xf_store_answer *answer = xf_store_answer_create(&asker);
    if (answer == NULL) {
        return;
    }
    bool present = false;
    int code = xf_sqlite_find_lease(store, service, &answer->lease, &present);
    xf_sqlite_finish_read(store, answer, code == SQLITE_OK ? SQLITE_DONE : code,
                          present ? XF_STORE_OK : XF_STORE_ABSENT);
}

static void sqlite_read_time(struct xf_store *base, xf_store_got_text *callback, void *context)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
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

/* ---- life ---- */

static void sqlite_destroy(struct xf_store *base)
{
    struct xf_sqlite_store *store = xf_sqlite_store_of(base);
    xf_store_answers_release(&store->answers);
    if (store->probe != NULL) {
        event_free(store->probe);
    }
    xf_sqlite_file_close(&store->file);
    free(store);
}

static const struct xf_store_vtable sqlite_calls = {
    .read_state = sqlite_read_state,
    .write = xf_sqlite_write,
    .read_log = sqlite_read_log,
    .read_log_tail = sqlite_read_log_tail,
    .write_checkpoint = xf_sqlite_write_checkpoint,
    .read_checkpoint = sqlite_read_checkpoint,
    .read_lease = sqlite_read_lease,
    .swap_lease = xf_sqlite_swap_lease,
    .read_time = sqlite_read_time,
    .write_signal = xf_sqlite_write_signal,
    .check_signal = xf_sqlite_check_signal,
    .destroy = sqlite_destroy,
};

int xf_store_sqlite_open(const struct xf_config *config, struct event_base *loop,
                         const struct xf_clock *clock, struct xf_store **ret, struct xf_error *err)
{
    struct xf_sqlite_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "store %s: out of memory", config->store.path);
    }
    store->base = (struct xf_store){.calls = &sqlite_calls, .kind = XF_STORE_SQLITE};
    store->magic = XF_SQLITE_MAGIC;
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
