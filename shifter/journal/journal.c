/*
 * journal.c -- see journal.h.
 *
 * One connection serves all services; whoever has something to do takes it in turn.  What is asked
 * of the store comes back later, perhaps when the service is led no more: a stream that was begun
 * anew meanwhile (`turn`) takes no old answer.
 */
#include "shifter/journal/journal.h"

#include "config/base/text.h"
#include "shifter/journal/journal_link.h"
#include "shifter/journal/journal_receipts.h"
#include "shifter/journal/journal_rows.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_MAGIC  0x6a6f7572u
#define RECEIPTS_BATCH 64u
#define QUESTIONS_MAX  16u
#define KEPT           "journal" /* the checkpoint */
#define KEEP_MS        1000

static const struct timeval tick_every = {0, 100000};

struct place {
    uint64_t generation, revision;
    char write_id[XF_UUID_TEXT_BYTES];
};

enum stream_step {
    STREAM_IDLE,    /* led by another */
    STREAM_RECALL,  /* the place that an earlier leader kept is to be read */
    STREAM_COUNT,   /* what lies behind `place` is to be counted */
    STREAM_CURSOR,  /* the database is to be asked for its newest row */
    STREAM_COMPARE, /* the store is to be asked whether it knows that row */
    STREAM_RUN,     /* pages are read and added */
};

struct stream { /* of one service */
    struct xf_journal *journal;
    const char *service;
    enum stream_step step;
    unsigned turn;
    bool asked; /* the store has a question of this stream */
    char holder[XF_UUID_TEXT_BYTES];
    uint64_t epoch;
    struct place place;  /* all up to here is in the journal */
    struct place cursor; /* what the database said */
    bool ended;          /* nothing lies behind `place`, as far as known */
    uint64_t backlog;
    uint64_t changed; /* changes since the log was asked last */
    char *page;       /* owned: rows to add; NULL: none read */
    uint64_t page_rows;
    bool page_last; /* the log ended there */
    struct place page_end;
    struct place kept;
    int64_t kept_ms;
    bool keeping;
    bool keep_failed;      /* the last time */
    bool receipts_changed; /* since they were kept last */
};

struct question { /* a history */
    struct stream *stream;
    int64_t since_ms;
    size_t count;
    xf_store_got_log *callback;
    void *context;
};

struct xf_journal {
    unsigned magic;
    const struct xf_clock *clock;
    const struct xf_config *config;
    struct xf_store *store;
    struct xf_journal_calls calls;
    struct xf_journal_link *link;
    struct event *tick;
    struct stream streams[XF_SERVICES_MAX];
    unsigned streams_count;
    unsigned next;        /* the stream whose turn it is */
    struct stream *using; /* whose query is under way; NULL: none of a stream */
    unsigned using_turn;
    json_t *receipts; /* owned; journal_receipts.h */
    json_t *sent;     /* owned; those whose rows are on their way; NULL: none */
    struct question questions[QUESTIONS_MAX];
    unsigned questions_count;
    char why[320];
};

struct store_question { /* what the store was asked, for which turn of the stream */
    struct stream *stream;
    unsigned turn;
};

static struct stream *stream_of(const struct xf_journal *journal, const char *service)
{
    for (unsigned i = 0; i < journal->streams_count; i++) {
        if (strcmp(journal->streams[i].service, service) == 0) {
            return (struct stream *) &journal->streams[i];
        }
    }
    return NULL;
}

static const char *installation(const struct xf_journal *journal)
{
    const struct xf_config *config = journal->config;
    return config->store.kind == XF_STORE_REDIS ? config->store.namespace_name : config->proxy_name;
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->generation == b->generation && a->revision == b->revision &&
           strcmp(a->write_id, b->write_id) == 0;
}

static void poke(struct xf_journal *journal)
{
    event_active(journal->tick, EV_TIMEOUT, 0);
}

static void drop_page(struct stream *stream)
{
    free(stream->page);
    stream->page = NULL;
}

/* ---- questions to the store ---- */

static struct store_question *ask_store(struct stream *stream)
{
    struct store_question *question = calloc(1, sizeof(*question));
    if (question != NULL) {
        *question = (struct store_question){stream, stream->turn};
        stream->asked = true;
    }
    return question;
}

/* The stream that asked; NULL where the answer came too late. */
static struct stream *answered(struct store_question *question)
{
    struct stream *stream = question->stream;
    bool current = stream->turn == question->turn;
    XF_ASSERT(stream->journal->magic == JOURNAL_MAGIC);
    free(question);
    if (current) {
        stream->asked = false;
    }
    return current ? stream : NULL;
}

static void got_kept(void *context, enum xf_store_result result, const char *text,
                     const char *message)
{
    struct stream *stream = answered(context);
    (void) message;
    if (stream == NULL ||
        (result != XF_STORE_OK && result != XF_STORE_ABSENT && result != XF_STORE_UNREADABLE)) {
        return; /* asked again at the next tick */
    }
    json_t *root = result == XF_STORE_OK ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *id = json_string_value(json_object_get(root, "write_id"));
    json_int_t generation = json_integer_value(json_object_get(root, "generation"));
    json_int_t revision = json_integer_value(json_object_get(root, "revision"));
    if (id != NULL && xf_uuid_valid(id) && generation > 0 && revision >= 0) {
        stream->place = (struct place){(uint64_t) generation, (uint64_t) revision, ""};
        memcpy(stream->place.write_id, id, sizeof(stream->place.write_id));
        stream->kept = stream->place;
    }
    xf_journal_receipts_recall(stream->journal->receipts, stream->service,
                               json_object_get(root, "receipts"));
    json_decref(root);
    stream->step = STREAM_COUNT;
    poke(stream->journal);
}

static void got_count(void *context, enum xf_store_result result,
                      const struct xf_store_entry *entries, size_t count, const char *message)
{
    struct stream *stream = answered(context);
    (void) entries;
    (void) message;
    if (stream == NULL || (result != XF_STORE_OK && result != XF_STORE_ABSENT)) {
        return;
    }
    /* A change made while this was under way may be in both numbers; the log's end sets it right.
     */
    stream->backlog = count + stream->changed;
    stream->ended = false;
    stream->step = STREAM_CURSOR;
    poke(stream->journal);
}

/* The row that the database has newest, looked for in the log. */
static void got_compared(void *context, enum xf_store_result result,
                         const struct xf_store_entry *entries, size_t count, const char *message)
{
    struct stream *stream = answered(context);
    (void) message;
    if (stream == NULL || (result != XF_STORE_OK && result != XF_STORE_ABSENT)) {
        return;
    }
    const struct place *cursor = &stream->cursor;
    bool known = result == XF_STORE_OK && count > 0 &&
                 entries[0].generation == cursor->generation &&
                 entries[0].revision == cursor->revision &&
                 strcmp(entries[0].write_id, cursor->write_id) == 0;
    /* A log that does not know it is another one, or was set back: all of it is offered again, and
     * the rows that are there already stay as they are. */
    struct place place = known ? *cursor : (struct place){0};
    bool same = same_place(&place, &stream->place);
    stream->place = place;
    drop_page(stream);
    stream->step = same ? STREAM_RUN : STREAM_COUNT;
    stream->ended = false;
    poke(stream->journal);
}

static bool signal_stands(void *context, const json_t *signal)
{
    struct stream *stream = context;
    const struct xf_journal_calls *calls = &stream->journal->calls;
    return calls->stands(calls->context, stream->service, signal);
}

static void got_page(void *context, enum xf_store_result result,
                     const struct xf_store_entry *entries, size_t count, const char *message)
{
    struct stream *stream = answered(context);
    (void) message;
    if (stream == NULL || (result != XF_STORE_OK && result != XF_STORE_ABSENT)) {
        return;
    }
    if (result == XF_STORE_ABSENT || count == 0) {
        stream->backlog = stream->changed;
        stream->ended = stream->changed == 0;
        return;
    }
    stream->backlog = stream->backlog > count ? stream->backlog : count;
    size_t used = 0;
    stream->page = xf_journal_rows_make(entries, count, xf_clock_wall_ms(stream->journal->clock),
                                        signal_stands, stream, &used);
    if (stream->page != NULL && used > 0) {
        stream->page_rows = used;
        stream->page_last = used == count && count < XF_JOURNAL_ROWS_MAX;
        stream->page_end =
            (struct place){entries[used - 1].generation, entries[used - 1].revision, ""};
        memcpy(stream->page_end.write_id, entries[used - 1].write_id,
               sizeof(stream->page_end.write_id));
    }
    poke(stream->journal);
}

static void read_log(struct stream *stream, uint64_t generation, uint64_t revision, size_t count,
                     xf_store_got_log *callback)
{
    struct xf_store *store = stream->journal->store;
    struct store_question *question = ask_store(stream);
    if (question != NULL) {
        stream->changed = 0;
        store->calls->read_log(store, stream->service, generation, revision, count, callback,
                               question);
    }
}

static void recall(struct stream *stream)
{
    struct xf_store *store = stream->journal->store;
    struct store_question *question = ask_store(stream);
    if (question != NULL) {
        store->calls->read_checkpoint(store, stream->service, KEPT, got_kept, question);
    }
}

static void compare(struct stream *stream)
{
    const struct place *cursor = &stream->cursor;
    if (cursor->generation == 0) {
        read_log(stream, 0, 0, 1, got_compared);
    } else if (cursor->revision > 0) {
        read_log(stream, cursor->generation, cursor->revision - 1, 1, got_compared);
    } else {
        read_log(stream, cursor->generation - 1, INT64_MAX, 1, got_compared);
    }
}

/* ---- place and receipts, kept in the store for the next leader, and for what trims the log ----
 */

static void kept_place(void *context, enum xf_store_result result, const char *message)
{
    struct store_question *question = context;
    struct stream *stream = question->stream;
    (void) message;
    stream->keeping = false; /* a place that was not kept: the next leader asks the database */
    stream->keep_failed = result != XF_STORE_OK;
    stream->receipts_changed = stream->receipts_changed || stream->keep_failed;
    free(question);
}

static char *kept_text(const struct stream *stream)
{
    json_t *receipts = xf_journal_receipts_of(stream->journal->receipts, stream->service);
    json_t *root =
        json_pack("{s:I, s:I, s:s, s:o}", "generation", (json_int_t) stream->place.generation,
                  "revision", (json_int_t) stream->place.revision, "write_id",
                  stream->place.write_id, "receipts", receipts);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static void keep(struct stream *stream, int64_t now)
{
    struct xf_store *store = stream->journal->store;
    struct store_question *question = calloc(1, sizeof(*question));
    char *text = kept_text(stream);
    if (question != NULL && text != NULL) {
        question->stream = stream;
        stream->keeping = true;
        stream->receipts_changed = false;
        stream->kept = stream->place;
        stream->kept_ms = now;
        if (stream->place.generation > 0) {
            xf_store_keep_from(store, stream->service, stream->place.generation);
        }
        store->calls->write_checkpoint(store, stream->service, KEPT, stream->holder, stream->epoch,
                                       text, kept_place, question);
        question = NULL; /* it is the answer's */
    }
    free(question);
    free(text);
}

/* Receipts at once: with the shifter they would be gone. */
static void keep_tick(struct stream *stream)
{
    int64_t now = xf_clock_boottime_ms(stream->journal->clock);
    bool lately = now - stream->kept_ms < KEEP_MS;
    bool moved = stream->step == STREAM_RUN && stream->place.generation > 0 &&
                 !same_place(&stream->kept, &stream->place);
    bool receipts = stream->receipts_changed && !(lately && stream->keep_failed);
    if (!stream->keeping && ((moved && !lately) || receipts)) {
        keep(stream, now);
    }
}

/* ---- questions to the database ---- */

/* The stream whose answer this is; NULL where it was begun anew meanwhile. */
static struct stream *take_using(struct xf_journal *journal)
{
    struct stream *stream = journal->using;
    journal->using = NULL;
    return stream != NULL && stream->turn == journal->using_turn ? stream : NULL;
}

static void query(struct stream *stream, const char *sql, int parameters_count,
                  const char *const *parameters, xf_journal_rows *done)
{
    struct xf_journal *journal = stream->journal;
    journal->using = stream;
    journal->using_turn = stream->turn;
    xf_journal_link_query(journal->link, sql, parameters_count, parameters, done, journal);
}

static void got_cursor(void *context, const PGresult *rows)
{
    struct xf_journal *journal = context;
    struct stream *stream = take_using(journal);
    if (stream == NULL || rows == NULL || stream->step != STREAM_CURSOR) {
        return;
    }
    stream->cursor = (struct place){0};
    if (PQntuples(rows) == 1 && strlen(PQgetvalue(rows, 0, 2)) < XF_UUID_TEXT_BYTES) {
        stream->cursor.generation = strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
        stream->cursor.revision = strtoull(PQgetvalue(rows, 0, 1), NULL, 10);
        memcpy(stream->cursor.write_id, PQgetvalue(rows, 0, 2), strlen(PQgetvalue(rows, 0, 2)) + 1);
    }
    stream->step = STREAM_COMPARE;
    poke(journal);
}

static void added(void *context, const PGresult *rows)
{
    struct xf_journal *journal = context;
    struct stream *stream = take_using(journal);
    if (stream == NULL || rows == NULL) {
        return; /* the next connection asks for the cursor: it may have been committed */
    }
    stream->place = stream->page_end;
    stream->backlog -= stream->page_rows < stream->backlog ? stream->page_rows : stream->backlog;
    stream->ended = stream->page_last && stream->changed == 0;
    drop_page(stream);
    poke(journal);
}

static void receipts_added(void *context, const PGresult *rows)
{
    struct xf_journal *journal = context;
    if (rows != NULL) {
        xf_journal_receipts_remove(journal->receipts, journal->sent);
        for (unsigned i = 0; i < journal->streams_count; i++) {
            journal->streams[i].receipts_changed = true;
        }
    }
    json_decref(journal->sent);
    journal->sent = NULL;
    poke(journal);
}

static void add_receipts(struct xf_journal *journal)
{
    size_t count = json_array_size(journal->receipts);
    journal->sent = json_array();
    for (size_t i = 0; i < count && i < RECEIPTS_BATCH; i++) {
        (void) json_array_append(journal->sent, json_array_get(journal->receipts, i));
    }
    char *text = json_dumps(journal->sent, JSON_COMPACT);
    if (text != NULL) {
        const char *parameters[] = {text, installation(journal)};
        xf_journal_link_query(journal->link, xf_journal_receipts_sql, 2, parameters, receipts_added,
                              journal);
    } else {
        json_decref(journal->sent);
        journal->sent = NULL;
    }
    free(text);
}

/* ---- history ---- */

static struct question take_question(struct xf_journal *journal)
{
    struct question question = journal->questions[0];
    journal->questions_count--;
    memmove(journal->questions, journal->questions + 1,
            journal->questions_count * sizeof(*journal->questions));
    return question;
}

static void lose_questions(struct xf_journal *journal)
{
    while (journal->questions_count > 0) {
        struct question question = take_question(journal);
        question.callback(question.context, XF_STORE_LOST, NULL, 0, journal->why);
    }
}

static void got_history(void *context, const PGresult *rows)
{
    struct xf_journal *journal = context;
    if (rows == NULL || journal->questions_count == 0) { /* they were told LOST */
        return;
    }
    struct question question = take_question(journal);
    size_t count = (size_t) PQntuples(rows);
    struct xf_store_entry *entries = calloc(count + 1, sizeof(*entries));
    for (size_t i = 0; entries != NULL && i < count; i++) {
        entries[i].generation = strtoull(PQgetvalue(rows, (int) i, 0), NULL, 10);
        entries[i].revision = strtoull(PQgetvalue(rows, (int) i, 1), NULL, 10);
        (void) snprintf(entries[i].write_id, sizeof(entries[i].write_id), "%.36s",
                        PQgetvalue(rows, (int) i, 2));
        entries[i].entry = PQgetvalue(rows, (int) i, 3);
    }
    question.callback(question.context, entries != NULL ? XF_STORE_OK : XF_STORE_LOST, entries,
                      entries != NULL ? count : 0, "out of memory");
    free(entries);
    poke(journal);
}

static void ask_history(struct xf_journal *journal)
{
    const struct question *question = &journal->questions[0];
    char since[24];
    char count[24];
    (void) snprintf(since, sizeof(since), "%lld", (long long) question->since_ms);
    (void) snprintf(count, sizeof(count), "%zu", question->count);
    const char *parameters[] = {installation(journal), question->stream->service, since, count};
    xf_journal_link_query(journal->link, xf_journal_history_sql, 4, parameters, got_history,
                          journal);
}

bool xf_journal_history(struct xf_journal *journal, const char *service, int64_t since_ms,
                        size_t count, xf_store_got_log *callback, void *context)
{
    struct stream *stream = stream_of(journal, service);
    struct xf_journal_view view;
    xf_journal_look(journal, service, &view);
    if (!view.ok || view.behind || journal->questions_count == QUESTIONS_MAX) {
        return false;
    }
    journal->questions[journal->questions_count++] =
        (struct question){stream, since_ms, count, callback, context};
    poke(journal);
    return true;
}

/* ---- the turn of a stream ---- */

/* What needs no database. */
static void step_store(struct stream *stream)
{
    if (stream->step > STREAM_RECALL) {
        keep_tick(stream);
    }
    if (stream->asked || stream->step == STREAM_IDLE) {
        return;
    }
    if (stream->step == STREAM_RECALL) {
        recall(stream);
    } else if (stream->step == STREAM_COUNT) {
        read_log(stream, stream->place.generation, stream->place.revision, XF_JOURNAL_BACKLOG_MAX,
                 got_count);
    } else if (stream->step == STREAM_COMPARE) {
        compare(stream);
    } else if (stream->step == STREAM_RUN && stream->page == NULL && !stream->ended) {
        read_log(stream, stream->place.generation, stream->place.revision, XF_JOURNAL_ROWS_MAX,
                 got_page);
    }
}

static void step_database(struct stream *stream)
{
    struct xf_journal *journal = stream->journal;
    if (stream->step == STREAM_CURSOR) {
        const char *parameters[] = {installation(journal), stream->service};
        query(stream, xf_journal_cursor_sql, 2, parameters, got_cursor);
    } else if (stream->step == STREAM_RUN && stream->page != NULL && !stream->asked) {
        const char *parameters[] = {stream->page, installation(journal), stream->service};
        query(stream, xf_journal_add_sql, 3, parameters, added);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_journal *journal = arg;
    XF_ASSERT(journal->magic == JOURNAL_MAGIC);
    for (unsigned i = 0; i < journal->streams_count; i++) {
        step_store(&journal->streams[i]);
    }
    for (unsigned i = 0; i < journal->streams_count && xf_journal_link_idle(journal->link); i++) {
        step_database(&journal->streams[journal->next]);
        journal->next = (journal->next + 1) % journal->streams_count;
    }
    if (xf_journal_link_idle(journal->link) && json_array_size(journal->receipts) > 0) {
        add_receipts(journal);
    }
    if (xf_journal_link_idle(journal->link) && journal->questions_count > 0) {
        ask_history(journal);
    }
}

static void on_up(void *context)
{
    struct xf_journal *journal = context;
    XF_ASSERT(journal->magic == JOURNAL_MAGIC);
    journal->why[0] = '\0';
    journal->calls.note(journal->calls.context, true, "");
    poke(journal);
}

static void on_down(void *context, const char *why)
{
    struct xf_journal *journal = context;
    XF_ASSERT(journal->magic == JOURNAL_MAGIC);
    if (strcmp(journal->why, why) != 0) {
        (void) snprintf(journal->why, sizeof(journal->why), "%s", why);
        journal->calls.note(journal->calls.context, false, why);
    }
    for (unsigned i = 0; i < journal->streams_count; i++) {
        struct stream *stream = &journal->streams[i];
        if (stream->step >= STREAM_CURSOR) {
            stream->step = STREAM_CURSOR;
            stream->turn++; /* what the store still answers was about the old cursor */
            stream->asked = false;
            drop_page(stream);
        }
    }
    lose_questions(journal);
}

/* ---- calls ---- */

struct xf_journal *xf_journal_create(struct event_base *loop, const struct xf_clock *clock,
                                     const struct xf_config *config, struct xf_store *store,
                                     const struct xf_journal_calls *calls)
{
    struct xf_journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL) {
        return NULL;
    }
    *journal = (struct xf_journal){.magic = JOURNAL_MAGIC,
                                   .clock = clock,
                                   .config = config,
                                   .store = store,
                                   .calls = *calls,
                                   .why = "not connected yet"};
    struct xf_journal_link_calls link_calls = {on_up, on_down, journal};
    for (unsigned i = 0; i < config->services_count; i++) {
        if (config->services[i].follows < 0) {
            journal->streams[journal->streams_count++] =
                (struct stream){.journal = journal, .service = config->services[i].name};
        }
    }
    journal->receipts = json_array();
    journal->tick = event_new(loop, -1, EV_PERSIST, on_tick, journal);
    journal->link = xf_journal_link_create(loop, &config->journal, &link_calls);
    if (journal->receipts == NULL || journal->tick == NULL || journal->link == NULL ||
        event_add(journal->tick, &tick_every) != 0) {
        xf_journal_destroy(journal);
        return NULL;
    }
    return journal;
}

static void begin_anew(struct stream *stream, enum stream_step step)
{
    stream->turn++;
    stream->asked = false;
    stream->step = step;
    stream->ended = false;
    stream->backlog = 0;
    stream->changed = 0;
    stream->place = (struct place){0};
    stream->kept = (struct place){0};
    drop_page(stream);
}

void xf_journal_lead(struct xf_journal *journal, const char *service, const char *holder,
                     uint64_t epoch)
{
    struct stream *stream = stream_of(journal, service);
    if (stream != NULL) {
        begin_anew(stream, STREAM_RECALL);
        (void) snprintf(stream->holder, sizeof(stream->holder), "%s", holder);
        stream->epoch = epoch;
        poke(journal);
    }
}

void xf_journal_leave(struct xf_journal *journal, const char *service)
{
    struct stream *stream = stream_of(journal, service);
    if (stream != NULL) {
        begin_anew(stream, STREAM_IDLE);
    }
}

void xf_journal_changed(struct xf_journal *journal, const char *service)
{
    struct stream *stream = stream_of(journal, service);
    if (stream != NULL && stream->step != STREAM_IDLE) {
        stream->backlog++;
        stream->changed++;
        stream->ended = false;
        poke(journal);
    }
}

void xf_journal_look(const struct xf_journal *journal, const char *service,
                     struct xf_journal_view *ret)
{
    const struct stream *stream = stream_of(journal, service);
    *ret = (struct xf_journal_view){
        .ok = journal->link != NULL && xf_journal_link_up(journal->link), .behind = true};
    if (stream != NULL) {
        ret->backlog = stream->backlog;
        ret->behind = stream->backlog > 0 || !(stream->ended && stream->step >= STREAM_CURSOR);
    }
    (void) snprintf(ret->why, sizeof(ret->why), "%s", journal->why);
}

void xf_journal_receipt(struct xf_journal *journal, const char *service, const char *key,
                        unsigned sequence, const char *receiver, unsigned attempt, bool accepted,
                        const char *sentence)
{
    struct stream *stream = stream_of(journal, service);
    struct xf_journal_receipt receipt = {.service = service,
                                         .key = key,
                                         .sequence = sequence,
                                         .receiver = receiver,
                                         .attempt = attempt,
                                         .accepted = accepted,
                                         .sentence = sentence,
                                         .at_ms = xf_clock_wall_ms(journal->clock)};
    if (stream != NULL && xf_journal_receipts_add(journal->receipts, &receipt)) {
        stream->receipts_changed = true;
        poke(journal);
    }
}

bool xf_journal_receipts_kept(const struct xf_journal *journal, const char *service)
{
    const struct stream *stream = stream_of(journal, service);
    return stream == NULL || (!stream->keeping && !stream->receipts_changed);
}

void xf_journal_stop(struct xf_journal *journal)
{
    if (journal != NULL) {
        xf_journal_link_destroy(journal->link);
        journal->link = NULL;
        lose_questions(journal);
    }
}

void xf_journal_destroy(struct xf_journal *journal)
{
    if (journal == NULL) {
        return;
    }
    xf_journal_stop(journal);
    for (unsigned i = 0; i < journal->streams_count; i++) {
        drop_page(&journal->streams[i]);
    }
    if (journal->tick != NULL) {
        event_free(journal->tick);
    }
    json_decref(journal->receipts);
    json_decref(journal->sent);
    journal->magic = 0;
    free(journal);
}
