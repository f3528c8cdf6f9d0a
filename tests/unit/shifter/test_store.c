/*
 * test_store.c -- the contract of shifter/store/store.h, run against every store.
 */
#include "shifter/store/store_redis_request.h"
#include "shifter/store/store_redis_script.h"
#include "tests/unit/shifter/store_bench.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <sqlite3.h>

/* ---- a place of each kind ---- */

static int make_place(struct place **ret)
{
    struct place *place = calloc(1, sizeof(*place));
    place->loop = event_base_new();
    place_clock_init(place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/xf-store-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    *ret = place;
    return 0;
}

static int open_sqlite(struct place *place)
{
    struct xf_error err = {0};
    place->config.store.kind = XF_STORE_SQLITE;
    place->config.store.path = place->path;
    if (xf_store_open(&place->config, place->loop, &place->clock, &place->store, &err) != 0) {
        fail_msg("%s", err.message);
    }
    return 0;
}

static int setup_sqlite(void **state)
{
    struct place *place;
    make_place(&place);
    snprintf(place->path, sizeof(place->path), "%s/state.db", place->folder);
    *state = place;
    return open_sqlite(place);
}

static int teardown_sqlite(void **state)
{
    struct place *place = *state;
    xf_store_close(place->store);
    answer_release(&place->last);
    event_base_free(place->loop);
    char command[160];
    snprintf(command, sizeof(command), "rm -rf '%s'", place->folder);
    int code = system(command);
    free(place);
    return code;
}

/* ---- the contract ---- */

static void an_empty_store_answers_absent(void **state)
{
    struct place *place = *state;
    assert_int_equal(ask_state(place), XF_STORE_ABSENT);
    assert_int_equal(ask_lease(place), XF_STORE_ABSENT);
    assert_int_equal(ask_checkpoint(place, "judge"), XF_STORE_ABSENT);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 0);
    assert_true(place->store->ok);
}

static void a_written_document_is_read_back_with_its_version_and_write_id(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write write = write_of(0, 0, 1, 0, WRITE_1);
    write.document = "{\"weight\":1250,\"reason\":\"a \\u0000 and ümlauts\"}";
    assert_int_equal(ask_write(place, &write), XF_STORE_OK);
    assert_int_equal(ask_state(place), XF_STORE_OK);
    assert_int_equal(place->last.state.version.epoch, 1);
    assert_int_equal(place->last.state.version.generation, 1);
    assert_int_equal(place->last.state.version.revision, 0);
    assert_string_equal(place->last.state.write_id, WRITE_1);
    assert_string_equal(place->last.state.document, write.document);
}

static void the_log_holds_each_change_once_and_oldest_first(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write writes[] = {write_of(0, 0, 1, 0, WRITE_1), write_of(1, 0, 1, 1, WRITE_2),
                                      write_of(1, 1, 2, 0, WRITE_3)};
    writes[1].entry = "{\"verb\":\"ramp\"}";
    writes[2].entry = "{\"verb\":\"pause\"}";
    for (size_t i = 0; i < XF_COUNT(writes); i++) {
        assert_int_equal(ask_write(place, &writes[i]), XF_STORE_OK);
    }
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 3);
    assert_int_equal(place->last.entries[1].generation, 1);
    assert_int_equal(place->last.entries[1].revision, 1);
    assert_string_equal(place->last.entries[1].write_id, WRITE_2);
    assert_string_equal(place->last.entries[1].entry, "{\"verb\":\"ramp\"}");
    assert_int_equal(ask_log(place, 1, 0, 1), XF_STORE_OK);
    assert_int_equal(place->last.count, 1);
    assert_string_equal(place->last.entries[0].write_id, WRITE_2);
    assert_int_equal(ask_log_tail(place, 2), XF_STORE_OK);
    assert_int_equal(place->last.count, 2);
    assert_string_equal(place->last.entries[0].write_id, WRITE_2);
    assert_string_equal(place->last.entries[1].write_id, WRITE_3);
}

static void a_repeated_write_is_already_there_whoever_leads_now(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write write = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &write), XF_STORE_OK);
    assert_int_equal(ask_write(place, &write), XF_STORE_ALREADY);
    struct xf_store_write beyond = write_of(1, 0, 2, 0, WRITE_2);
    assert_int_equal(ask_write(place, &beyond), XF_STORE_OK);
    assert_int_equal(ask_write(place, &write), XF_STORE_ALREADY);
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_B, 2, 1), XF_STORE_OK);
    assert_int_equal(ask_write(place, &write), XF_STORE_ALREADY);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 2);
}

static void only_the_holder_in_its_epoch_may_write(void **state)
{
    struct place *place = *state;
    struct xf_store_write write = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &write), XF_STORE_FENCED); /* nobody leads */
    lead(place);
    write.holder = HOLDER_B;
    assert_int_equal(ask_write(place, &write), XF_STORE_FENCED);
    write.holder = HOLDER_A;
    write.next.epoch = 2;
    assert_int_equal(ask_write(place, &write), XF_STORE_FENCED);
    write.next.epoch = 1;
    assert_int_equal(ask_write(place, &write), XF_STORE_OK);
}

static void a_late_write_of_a_leader_that_lost_its_lease_changes_nothing(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write first = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &first), XF_STORE_OK);
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_B, 2, 1), XF_STORE_OK);
    struct xf_store_write late = write_of(1, 0, 2, 0, WRITE_2);
    late.document = "{\"weight\":10000}";
    assert_int_equal(ask_write(place, &late), XF_STORE_FENCED);
    assert_int_equal(ask_state(place), XF_STORE_OK);
    assert_string_equal(place->last.state.write_id, WRITE_1);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 1);
}

static void a_write_from_another_version_is_stale(void **state)
{
    static const struct {
        uint64_t from_generation, from_revision, generation, revision;
    } cases[] = {{0, 0, 2, 0}, {1, 1, 2, 0}, {2, 0, 3, 0}, {0, 9, 1, 1}};
    struct place *place = *state;
    lead(place);
    struct xf_store_write first = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &first), XF_STORE_OK);
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        struct xf_store_write write = write_of(cases[i].from_generation, cases[i].from_revision,
                                               cases[i].generation, cases[i].revision, WRITE_2);
        assert_int_equal(ask_write(place, &write), XF_STORE_STALE);
    }
    assert_int_equal(ask_state(place), XF_STORE_OK);
    assert_string_equal(place->last.state.write_id, WRITE_1);
}

static void of_two_writers_from_one_version_the_second_is_stale(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    struct xf_store_write two = write_of(0, 0, 1, 0, WRITE_2);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    assert_int_equal(ask_write(place, &two), XF_STORE_STALE);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 1);
}

static void versions_beyond_what_a_double_holds_are_compared_exactly(void **state)
{
    const uint64_t big = 9007199254740993u; /* 2^53 + 1: a double rounds it to 2^53 */
    struct place *place = *state;
    lead(place);
    struct xf_store_write write = write_of(0, 0, big - 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &write), XF_STORE_OK);
    struct xf_store_write wrong = write_of(big, 0, big + 1, 0, WRITE_2);
    assert_int_equal(ask_write(place, &wrong), XF_STORE_STALE);
    struct xf_store_write next = write_of(big - 1, 0, big, 0, WRITE_3);
    assert_int_equal(ask_write(place, &next), XF_STORE_OK);
    assert_int_equal(ask_state(place), XF_STORE_OK);
    assert_true(place->last.state.version.generation == big);
    assert_int_equal(ask_log_tail(place, 1), XF_STORE_OK);
    assert_true(place->last.entries[0].generation == big);
}

static void a_write_that_is_no_step_forward_or_too_large_is_refused(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write same = write_of(1, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &same), XF_STORE_REFUSED);
    struct xf_store_write zero = write_of(0, 0, 0, 1, WRITE_1);
    assert_int_equal(ask_write(place, &zero), XF_STORE_REFUSED);
    struct xf_store_write large = write_of(0, 0, 1, 0, WRITE_1);
    char *document = malloc(XF_DOCUMENT_BYTES_MAX + 2);
    memset(document, 'x', XF_DOCUMENT_BYTES_MAX + 1);
    document[XF_DOCUMENT_BYTES_MAX + 1] = '\0';
    large.document = document;
    assert_int_equal(ask_write(place, &large), XF_STORE_REFUSED);
    document[XF_DOCUMENT_BYTES_MAX] = '\0';
    assert_int_equal(ask_write(place, &large), XF_STORE_OK);
    free(document);
    assert_int_equal(ask_state(place), XF_STORE_OK);
    assert_int_equal(strlen(place->last.state.document), XF_DOCUMENT_BYTES_MAX);
}

static void checkpoints_take_no_generation_and_are_fenced(void **state)
{
    struct place *place = *state;
    lead(place);
    assert_int_equal(ask_set_checkpoint(place, "judge", HOLDER_A, 1, "{\"n\":1}"), XF_STORE_OK);
    assert_int_equal(ask_set_checkpoint(place, "judge", HOLDER_A, 1, "{\"n\":2}"), XF_STORE_OK);
    assert_int_equal(ask_set_checkpoint(place, "judge", HOLDER_B, 1, "{}"), XF_STORE_FENCED);
    assert_int_equal(ask_set_checkpoint(place, "judge", HOLDER_A, 2, "{}"), XF_STORE_FENCED);
    assert_int_equal(ask_checkpoint(place, "judge"), XF_STORE_OK);
    assert_string_equal(place->last.text, "{\"n\":2}");
    assert_int_equal(ask_checkpoint(place, "progress"), XF_STORE_ABSENT);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 0);
}

static void a_lease_is_swapped_only_as_it_was_seen(void **state)
{
    struct place *place = *state;
    lead(place);
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_A, 1, 2), XF_STORE_OK);
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_A, 1, 2), XF_STORE_OK); /* answer lost */
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_B, 2, 1), XF_STORE_STALE);
    assert_int_equal(ask_swap(place, "", 0, HOLDER_B, 2, 1), XF_STORE_STALE);
    assert_int_equal(ask_swap(place, HOLDER_A, 2, HOLDER_B, 1, 1), XF_STORE_EPOCH_BEHIND);
    assert_int_equal(ask_swap(place, HOLDER_A, 2, HOLDER_B, 2, 1), XF_STORE_OK);
    assert_int_equal(ask_swap(place, HOLDER_A, 2, HOLDER_A, 1, 3), XF_STORE_STALE);
    assert_int_equal(ask_lease(place), XF_STORE_OK);
    assert_string_equal(place->last.lease.holder, HOLDER_B);
    assert_int_equal(place->last.lease.epoch, 2);
    assert_int_equal(place->last.lease.beat, 1);
}

static void the_stores_clock_is_a_wall_clock_in_milliseconds(void **state)
{
    struct place *place = *state;
    int64_t before = xf_clock_wall_ms(xf_clock_system());
    assert_int_equal(ask_time(place), XF_STORE_OK);
    int64_t there = strtoll(place->last.text, NULL, 10);
    assert_in_range(there, before - 1000, before + 10000);
}

static void the_signals_record_is_written_and_checked_under_the_fence(void **state)
{
    struct place *place = *state;
    lead(place);
    assert_int_equal(ask_check_signal(place, HOLDER_A, 1, "{\"sequence\":1}"), XF_STORE_STALE);
    assert_int_equal(ask_signal(place, HOLDER_B, 1, "{\"sequence\":1}"), XF_STORE_FENCED);
    assert_int_equal(ask_signal(place, HOLDER_A, 1, "{\"sequence\":1}"), XF_STORE_OK);
    assert_int_equal(ask_check_signal(place, HOLDER_A, 1, "{\"sequence\":1}"), XF_STORE_OK);
    assert_int_equal(ask_signal(place, HOLDER_A, 1, "{\"sequence\":2}"), XF_STORE_OK);
    assert_int_equal(ask_check_signal(place, HOLDER_A, 1, "{\"sequence\":1}"), XF_STORE_STALE);
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_B, 2, 1), XF_STORE_OK);
    assert_int_equal(ask_check_signal(place, HOLDER_A, 1, "{\"sequence\":2}"), XF_STORE_FENCED);
}

struct closing {
    struct xf_store *store;
    unsigned answered;
    unsigned asked_again;
};

static void closing_done(void *context, enum xf_store_result result, const char *message)
{
    (void) result;
    (void) message;
    ((struct closing *) context)->answered++;
}

static void closing_lease(void *context, enum xf_store_result result,
                          const struct xf_store_lease *lease, const char *message)
{
    struct closing *closing = context;
    (void) lease;
    closing_done(context, result, message);
    if (closing->asked_again++ == 0) { /* as a candidate does that has seen the lease */
        closing->store->calls->read_lease(closing->store, SERVICE, closing_lease, closing);
    }
}

static void what_a_last_answer_asks_is_answered_too(void **state)
{
    struct place *place = *state;
    struct closing closing = {.store = place->store};
    place->store->calls->read_lease(place->store, SERVICE, closing_lease, &closing);
    xf_store_close(place->store);
    place->store = NULL;
    assert_int_equal(closing.answered, 2);
}

static void what_is_open_when_a_store_closes_is_answered_once(void **state)
{
    struct place *place = *state;
    struct closing closing = {0};
    struct xf_store_write write = write_of(0, 0, 1, 0, WRITE_1);
    place->store->calls->write(place->store, &write, closing_done, &closing);
    place->store->calls->write(place->store, &write, closing_done, &closing);
    assert_int_equal(closing.answered, 0);
    xf_store_close(place->store);
    place->store = NULL;
    assert_int_equal(closing.answered, 2);
}

/* ---- SQLite alone ---- */

/* Runs SQL on the file behind the store's back. */
static void by_hand(struct place *place, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void sqlite_a_log_that_disagrees_with_the_document_stops_writes(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    struct xf_store_write three = write_of(2, 0, 3, 0, WRITE_3);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    assert_int_equal(ask_write(place, &two), XF_STORE_OK);
    by_hand(place, "DELETE FROM log WHERE generation = 2");
    assert_int_equal(ask_write(place, &three), XF_STORE_LOG_BEHIND);
    by_hand(place, "INSERT INTO log VALUES('gateway', 7, 0, 'x', 0, '{}')");
    assert_int_equal(ask_write(place, &three), XF_STORE_LOG_AHEAD);
    /* The entry is mine and only the document is missing: the write is completed. */
    by_hand(place, "DELETE FROM log WHERE generation = 7;"
                   "INSERT INTO log VALUES('gateway', 3, 0, '" WRITE_3 "', 0, '{}')");
    assert_int_equal(ask_write(place, &three), XF_STORE_OK);
    assert_int_equal(ask_write(place, &three), XF_STORE_ALREADY);
}

static void sqlite_recovery_writes_beyond_document_and_log(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    by_hand(place, "INSERT INTO log VALUES('gateway', 7, 0, 'x', 0, '{}')");
    struct xf_store_write low = write_of(1, 0, 7, 0, WRITE_2);
    low.restored = true;
    assert_int_equal(ask_write(place, &low), XF_STORE_LOG_AHEAD);
    struct xf_store_write restored = write_of(1, 0, 8, 0, WRITE_2);
    assert_int_equal(ask_write(place, &restored), XF_STORE_LOG_AHEAD);
    restored.restored = true;
    assert_int_equal(ask_write(place, &restored), XF_STORE_OK);
    struct xf_store_write next = write_of(8, 0, 9, 0, WRITE_3);
    assert_int_equal(ask_write(place, &next), XF_STORE_OK);
}

static void sqlite_what_crossfade_did_not_write_is_unreadable_and_can_be_restored(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    by_hand(place, "UPDATE state SET generation = 'seven'");
    assert_int_equal(ask_state(place), XF_STORE_UNREADABLE);
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    assert_int_equal(ask_write(place, &two), XF_STORE_UNREADABLE);
    struct xf_store_write restored = write_of(0, 0, 2, 0, WRITE_2);
    restored.restored = true;
    assert_int_equal(ask_write(place, &restored), XF_STORE_OK);
    assert_int_equal(ask_state(place), XF_STORE_OK);
}

static void sqlite_a_document_with_a_larger_epoch_refuses_the_write(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    by_hand(place, "UPDATE state SET epoch = 9");
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    assert_int_equal(ask_write(place, &two), XF_STORE_EPOCH_BEHIND);
    two.restored = true;
    assert_int_equal(ask_write(place, &two), XF_STORE_EPOCH_BEHIND);
}

static void sqlite_a_second_opener_is_told_who_holds_the_file(void **state)
{
    struct place *place = *state;
    struct xf_store *second = NULL;
    struct xf_error err = {0};
    char pid[16];
    snprintf(pid, sizeof(pid), "pid %d", (int) getpid());
    assert_int_equal(xf_store_open(&place->config, place->loop, &place->clock, &second, &err), -1);
    assert_int_equal(err.code, XF_E_UNREACHABLE);
    assert_non_null(strstr(err.message, pid));
    xf_store_close(place->store);
    assert_int_equal(xf_store_open(&place->config, place->loop, &place->clock, &place->store, &err),
                     0);
}

static void sqlite_what_was_written_outlives_a_kill(void **state)
{
    struct place *place = *state;
    xf_store_close(place->store);
    place->store = NULL;
    pid_t child = fork();
    if (child == 0) {
        event_reinit(place->loop);
        open_sqlite(place);
        lead(place);
        struct xf_store_write write = write_of(0, 0, 1, 0, WRITE_1);
        ask_write(place, &write);
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_sqlite(place);
    assert_int_equal(ask_state(place), XF_STORE_OK);
    assert_string_equal(place->last.state.write_id, WRITE_1);
}

static void sqlite_a_file_that_cannot_be_written_is_refused_with_the_reason(void **state)
{
    struct place *place = *state;
    struct xf_store *second = NULL;
    struct xf_error err = {0};
    char paths[3][160];
    snprintf(paths[0], sizeof(paths[0]), "%s/missing/deeper/state.db", place->folder);
    snprintf(paths[1], sizeof(paths[1]), "%s", place->folder); /* a folder */
    snprintf(paths[2], sizeof(paths[2]), "/proc/crossfade.db");
    for (size_t i = 0; i < 3; i++) {
        struct xf_config config = {.store = {.kind = XF_STORE_SQLITE, .path = paths[i]}};
        err.message[0] = '\0';
        assert_int_equal(xf_store_open(&config, place->loop, &place->clock, &second, &err), -1);
        assert_non_null(strstr(err.message, "cannot be written"));
        assert_non_null(strstr(err.message, paths[i]));
    }
    char lock[160];
    snprintf(lock, sizeof(lock), "%s.lock", place->folder);
    unlink(lock);
}

static void sqlite_a_file_that_is_no_database_is_refused(void **state)
{
    struct place *place = *state;
    struct xf_store *second = NULL;
    struct xf_error err = {0};
    char path[160];
    snprintf(path, sizeof(path), "%s/other.db", place->folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database\n", file);
    }
    fclose(file);
    struct xf_config config = {.store = {.kind = XF_STORE_SQLITE, .path = path}};
    assert_int_equal(xf_store_open(&config, place->loop, &place->clock, &second, &err), -1);
    assert_non_null(strstr(err.message, "cannot be used"));
}

static void sqlite_a_newer_schema_is_refused(void **state)
{
    struct place *place = *state;
    struct xf_error err = {0};
    xf_store_close(place->store);
    place->store = NULL;
    by_hand(place, "PRAGMA user_version = 2");
    assert_int_equal(xf_store_open(&place->config, place->loop, &place->clock, &place->store, &err),
                     -1);
    assert_non_null(strstr(err.message, "newer"));
}

static bool store_is_ok(struct place *place)
{
    return place->store->ok;
}

static void sqlite_a_full_disk_is_told_and_the_store_comes_back_by_itself(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    struct rlimit tiny = {1024, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    enum xf_store_result result = ask_write(place, &two);
    assert_true(result == XF_STORE_LOST || result == XF_STORE_REFUSED);
    assert_true(place->last.message[0] != '\0');
    assert_false(place->store->ok);
    assert_int_equal(ask_state(place), XF_STORE_OK); /* reading goes on */
    assert_int_equal(place->last.state.version.generation, 1);
    assert_false(place->store->ok);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(run_until(place, store_is_ok, 5000));
    assert_int_equal(ask_write(place, &two), XF_STORE_OK);
}

static void sqlite_a_file_that_was_replaced_is_not_written(void **state)
{
    struct place *place = *state;
    lead(place);
    char aside[160];
    snprintf(aside, sizeof(aside), "%s/aside.db", place->folder);
    assert_int_equal(rename(place->path, aside), 0);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_REFUSED);
    assert_non_null(strstr(place->last.message, "removed or replaced"));
    assert_false(place->store->ok);
    assert_int_equal(rename(aside, place->path), 0);
    assert_true(run_until(place, store_is_ok, 5000));
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
}

static void sqlite_the_log_keeps_30_days_and_the_cutover_at_hand(void **state)
{
    const int64_t day = 24 * 3600 * 1000;
    struct place *place = *state;
    lead(place);
    struct xf_store_write writes[] = {write_of(0, 0, 1, 0, WRITE_1), write_of(1, 0, 2, 0, WRITE_2),
                                      write_of(2, 0, 3, 0, WRITE_3)};
    writes[0].entry = "{\"cutover\":\"a/1\"}";
    writes[1].entry = "{\"cutover\":\"b/2\"}";
    writes[2].entry = "{\"cutover\":\"b/2\"}";
    writes[2].document = "{\"cutover\":\"b/2\"}";
    place->wall_shift_ms = -60 * day;
    assert_int_equal(ask_write(place, &writes[0]), XF_STORE_OK);
    assert_int_equal(ask_write(place, &writes[1]), XF_STORE_OK);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 2);
    place->wall_shift_ms = 0;
    assert_int_equal(ask_write(place, &writes[2]), XF_STORE_OK);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 2);
    assert_string_equal(place->last.entries[0].write_id, WRITE_2);
}

static void sqlite_its_files_are_for_the_owner_alone(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"state.db", "state.db-wal", "state.db.lock"};
    lead(place);
    for (size_t i = 0; i < XF_COUNT(names); i++) {
        char path[160];
        struct stat status;
        snprintf(path, sizeof(path), "%s/%s", place->folder, names[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

/* ---- Redis alone ---- */

/* Both of its connections stand, and it was found out what the server may do: nothing is open. */
static bool redis_is_quiet(struct place *place)
{
    return store_is_ok(place) && place->store->probes > 0 &&
           xf_resp_is_ready(xf_redis_store_of(place->store)->sure);
}

static int open_redis(struct place *place)
{
    struct xf_error err = {0};
    redis_bench_config(&place->redis, &place->config);
    assert_int_equal(xf_store_open(&place->config, place->loop, &place->clock, &place->store, &err),
                     0);
    return run_until(place, redis_is_quiet, 10000) ? 0 : -1;
}

/* One server for all tests: each begins with it empty. */
static struct redis_bench shared;

static int group_setup_redis(void **state)
{
    (void) state;
    redis_bench_start(&shared);
    return 0;
}

static int group_teardown_redis(void **state)
{
    (void) state;
    redis_bench_stop(&shared);
    return 0;
}

static int setup_redis(void **state)
{
    struct place *place;
    make_place(&place);
    place->redis = shared;
    redis_by_hand(&shared, "FLUSHALL");
    *state = place;
    return open_redis(place);
}

static int teardown_redis(void **state)
{
    struct place *place = *state;
    shared.pid = place->redis.pid;
    return teardown_sqlite(state);
}

#define STATE_KEY "cf:{test:gateway}:state"
#define LOG_KEY   "cf:{test:gateway}:log"
#define LEASE_KEY "cf:{test:gateway}:lease"

static void redis_a_log_that_disagrees_with_the_document_stops_writes(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    struct xf_store_write three = write_of(2, 0, 3, 0, WRITE_3);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    assert_int_equal(ask_write(place, &two), XF_STORE_OK);
    redis_by_hand(&place->redis, "XDEL " LOG_KEY " 2-0");
    assert_int_equal(ask_write(place, &three), XF_STORE_LOG_BEHIND);
    /* The entry is mine and only the document is missing: the write is completed. */
    redis_by_hand(&place->redis, "XADD " LOG_KEY " 3-0 write_id " WRITE_3 " entry {}");
    assert_int_equal(ask_write(place, &three), XF_STORE_OK);
    assert_int_equal(ask_write(place, &three), XF_STORE_ALREADY);
    redis_by_hand(&place->redis, "XADD " LOG_KEY " 9-0 write_id x entry {}");
    struct xf_store_write four = write_of(3, 0, 4, 0, WRITE_1);
    assert_int_equal(ask_write(place, &four), XF_STORE_LOG_AHEAD);
    /* An entry that was deleted: the stream takes no smaller id any more. */
    redis_by_hand(&place->redis, "XDEL " LOG_KEY " 9-0");
    assert_int_equal(ask_write(place, &four), XF_STORE_LOG_AHEAD);
    assert_int_equal(ask_state(place), XF_STORE_OK);
    assert_int_equal(place->last.state.version.generation, 3);
}

static void redis_recovery_writes_beyond_document_and_log(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    redis_by_hand(&place->redis, "XADD " LOG_KEY " 7-0 write_id x entry {}");
    struct xf_store_write low = write_of(1, 0, 7, 0, WRITE_2);
    low.restored = true;
    assert_int_equal(ask_write(place, &low), XF_STORE_LOG_AHEAD);
    struct xf_store_write restored = write_of(1, 0, 8, 0, WRITE_2);
    restored.restored = true;
    assert_int_equal(ask_write(place, &restored), XF_STORE_OK);
    assert_int_equal(ask_write(place, &restored), XF_STORE_ALREADY);
    struct xf_store_write next = write_of(8, 0, 9, 0, WRITE_3);
    assert_int_equal(ask_write(place, &next), XF_STORE_OK);
}

static void redis_what_crossfade_did_not_write_is_unreadable_and_can_be_restored(void **state)
{
    static const char *const damages[] = {
        "HSET " STATE_KEY " generation seven",
        "HSET " STATE_KEY " generation -1",
        "HSET " STATE_KEY " epoch 99999999999999999999999",
        "HDEL " STATE_KEY " revision",
        "SET " STATE_KEY " text",
        "SET " LOG_KEY " text",
    };
    struct place *place = *state;
    for (size_t i = 0; i < XF_COUNT(damages); i++) {
        redis_by_hand(&place->redis, "FLUSHALL");
        lead(place);
        struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
        assert_int_equal(ask_write(place, &one), XF_STORE_OK);
        redis_by_hand(&place->redis, "%s", damages[i]);
        bool log_damaged = i == XF_COUNT(damages) - 1;
        if (log_damaged) {
            assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_UNREADABLE);
        } else {
            assert_int_equal(ask_state(place), XF_STORE_UNREADABLE);
        }
        struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
        assert_int_equal(ask_write(place, &two), XF_STORE_UNREADABLE);
        struct xf_store_write restored = write_of(log_damaged ? 1 : 0, 0, 2, 0, WRITE_2);
        restored.restored = true;
        assert_int_equal(ask_write(place, &restored), XF_STORE_OK);
        assert_int_equal(ask_state(place), XF_STORE_OK);
        assert_int_equal(place->last.state.version.generation, 2);
        assert_true(place->store->ok);
    }
}

static void redis_a_document_with_a_larger_epoch_refuses_the_write(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    redis_by_hand(&place->redis, "HSET " STATE_KEY " epoch 10");
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    assert_int_equal(ask_write(place, &two), XF_STORE_EPOCH_BEHIND);
}

static void redis_an_emptied_store_fences_its_leader(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    redis_by_hand(&place->redis, "FLUSHALL");
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    assert_int_equal(ask_write(place, &two), XF_STORE_FENCED);
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_A, 1, 2), XF_STORE_STALE);
    assert_int_equal(ask_state(place), XF_STORE_ABSENT);
}

static void redis_a_lease_of_another_type_keeps_nobody_from_leading(void **state)
{
    struct place *place = *state;
    redis_by_hand(&place->redis, "SET " LEASE_KEY " text");
    assert_int_equal(ask_lease(place), XF_STORE_UNREADABLE);
    assert_int_equal(ask_swap(place, "", 0, HOLDER_A, 1, 1), XF_STORE_OK);
    assert_int_equal(ask_lease(place), XF_STORE_OK);
}

static void redis_forgotten_scripts_are_sent_again(void **state)
{
    struct place *place = *state;
    lead(place);
    redis_by_hand(&place->redis, "SCRIPT FLUSH");
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
}

static void redis_a_write_whose_answer_was_lost_happened_once(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_set_checkpoint(place, "judge", HOLDER_A, 1, "{}"), XF_STORE_OK);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK); /* the script is known now */
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    kill(place->redis.pid, SIGSTOP); /* it takes the command and cannot answer */
    assert_int_equal(ask_write(place, &two), XF_STORE_LOST);
    assert_false(place->store->ok);
    kill(place->redis.pid, SIGCONT);
    assert_true(run_until(place, store_is_ok, 5000));
    enum xf_store_result again = ask_write(place, &two);
    assert_true(again == XF_STORE_ALREADY || again == XF_STORE_OK);
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 2);
}

static void redis_killed_and_started_again_it_goes_on(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write one = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &one), XF_STORE_OK);
    redis_bench_kill(&place->redis);
    assert_int_equal(ask_state(place), XF_STORE_LOST);
    assert_int_equal(ask_state(place), XF_STORE_LOST);
    assert_true(place->last.message[0] != '\0');
    assert_false(place->store->ok);
    redis_bench_restart(&place->redis);
    assert_true(run_until(place, store_is_ok, 5000));
    struct xf_store_write two = write_of(1, 0, 2, 0, WRITE_2);
    assert_int_equal(ask_write(place, &two), XF_STORE_OK);
}

static void redis_a_server_that_refuses_is_told_and_comes_back_by_itself(void **state)
{
    static const struct {
        const char *begin, *end, *message;
    } cases[] = {
        {"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY"},
        {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"},
        {"CONFIG SET min-replicas-to-write 3", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"},
        {"ACL SETUSER default -hset", "ACL SETUSER default +@all", "can't run"},
    };
    struct place *place = *state;
    lead(place);
    struct xf_store_write first = write_of(0, 0, 1, 0, WRITE_1);
    assert_int_equal(ask_write(place, &first), XF_STORE_OK);
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        struct xf_store_write write = write_of(1 + i, 0, 2 + i, 0, WRITE_2);
        redis_by_hand(&place->redis, "%s", cases[i].begin);
        assert_int_equal(ask_write(place, &write), XF_STORE_REFUSED);
        assert_non_null(strstr(place->last.message, cases[i].message));
        assert_false(place->store->ok);
        redis_by_hand(&place->redis, "%s", cases[i].end);
        run_until(place, NULL, 300); /* READONLY: it looks for another server */
        enum xf_store_result result = ask_write(place, &write);
        /* Denied in the middle of a script, the entry is there already: completed all the same. */
        assert_int_equal(result, XF_STORE_OK);
        assert_true(place->store->ok);
    }
    assert_int_equal(ask_log(place, 0, 0, 10), XF_STORE_OK);
    assert_int_equal(place->last.count, 1 + XF_COUNT(cases));
}

static void redis_of_two_stores_that_write_at_once_one_wins(void **state)
{
    struct place *place = *state;
    struct place other = {.loop = place->loop, .config = place->config};
    struct xf_error err = {0};
    place_clock_init(&other);
    lead(place);
    assert_int_equal(xf_store_open(&place->config, place->loop, &other.clock, &other.store, &err),
                     0);
    assert_true(run_until(&other, store_is_ok, 5000));
    for (unsigned i = 0; i < 50; i++) {
        char ids[2][XF_UUID_TEXT_BYTES];
        struct answer answers[2] = {{0}};
        struct xf_store *const stores[2] = {place->store, other.store};
        for (unsigned k = 0; k < 2; k++) {
            unsigned which = (k + i) % 2;
            xf_uuid_make(ids[which]);
            struct xf_store_write write = write_of(i, 0, i + 1, 0, ids[which]);
            stores[which]->calls->write(stores[which], &write, answer_done, &answers[which]);
        }
        while (!answers[0].came || !answers[1].came) {
            event_base_loop(place->loop, EVLOOP_ONCE);
        }
        assert_true((answers[0].result == XF_STORE_OK) != (answers[1].result == XF_STORE_OK));
        assert_true(answers[0].result == XF_STORE_STALE || answers[1].result == XF_STORE_STALE);
    }
    assert_int_equal(ask_log_tail(place, 16), XF_STORE_OK);
    assert_int_equal(place->last.entries[15].generation, 50);
    xf_store_close(other.store);
}

static void redis_a_server_that_talks_nonsense_is_a_store_that_is_away(void **state)
{
    static const char *const nonsense[] = {"$536870912\r\n", "*2147483647\r\n", "HTTP/1.1 400\r\n",
                                           "-LOADING Redis is loading\r\n-LOADING x\r\n"};
    struct place *place = *state;
    for (size_t i = 0; i < XF_COUNT(nonsense); i++) {
        struct redis_bench liar;
        struct place away = {.loop = place->loop};
        struct xf_error err = {0};
        place_clock_init(&away);
        redis_bench_pretend(&liar, nonsense[i], strlen(nonsense[i]));
        redis_bench_config(&liar, &away.config);
        assert_int_equal(xf_store_open(&away.config, away.loop, &away.clock, &away.store, &err), 0);
        run_until(&away, NULL, 100);
        assert_int_equal(ask_state(&away), XF_STORE_LOST);
        assert_false(away.store->ok);
        xf_store_close(away.store);
        redis_bench_stop(&liar);
    }
}

static void redis_a_long_log_is_read_page_by_page(void **state)
{
    struct place *place = *state;
    /* One command: 250 of them may take longer than the store's own may wait for the loop. */
    redis_by_hand(&place->redis,
                  "EVAL for\ti=1,250\tdo\tredis.call('XADD',KEYS[1],i..'-0','write_id',"
                  "'w','entry','{}')end 1 " LOG_KEY);
    assert_int_equal(ask_log(place, 10, 0, 1000), XF_STORE_OK);
    assert_int_equal(place->last.count, 240);
    assert_int_equal(place->last.entries[0].generation, 11);
    assert_int_equal(ask_log(place, 0, 0, 150), XF_STORE_OK);
    assert_int_equal(place->last.count, 150);
    assert_int_equal(ask_log_tail(place, 205), XF_STORE_OK);
    assert_int_equal(place->last.count, 205);
    assert_int_equal(place->last.entries[0].generation, 46);
    assert_int_equal(ask_log_tail(place, 100), XF_STORE_OK);
    assert_int_equal(place->last.count, 100);
}

static bool has_replica(struct place *place)
{
    return strstr(redis_by_hand(&place->redis, "INFO replication"), "state=online") != NULL;
}

static void redis_where_there_are_replicas_one_must_have_the_signals_record(void **state)
{
    struct place *place = *state;
    struct redis_bench replica;
    lead(place);
    redis_bench_start(&replica);
    redis_by_hand(&replica, "REPLICAOF 127.0.0.1 %u", place->redis.port);
    assert_true(run_until(place, has_replica, 15000));
    assert_int_equal(ask_signal(place, HOLDER_A, 1, "{\"sequence\":1}"), XF_STORE_OK);
    assert_string_equal(redis_by_hand(&replica, "GET cf:{test:gateway}:decommission"),
                        "{\"sequence\":1}");
    kill(replica.pid, SIGSTOP);
    assert_int_equal(ask_signal(place, HOLDER_A, 1, "{\"sequence\":2}"), XF_STORE_REFUSED);
    assert_non_null(strstr(place->last.message, "replica"));
    kill(replica.pid, SIGCONT);
    assert_int_equal(ask_signal(place, HOLDER_A, 1, "{\"sequence\":2}"), XF_STORE_OK);
    redis_bench_stop(&replica);
}

static void redis_a_replica_that_does_not_acknowledge_delays_no_beat(void **state)
{
    struct place *place = *state;
    struct redis_bench replica;
    struct answer signals[3] = {0};
    lead(place);
    redis_bench_start(&replica);
    redis_by_hand(&replica, "REPLICAOF 127.0.0.1 %u", place->redis.port);
    assert_true(run_until(place, has_replica, 15000));
    assert_int_equal(ask_signal(place, HOLDER_A, 1, "{}"), XF_STORE_OK);
    kill(replica.pid, SIGSTOP);
    for (size_t i = 0; i < XF_COUNT(signals); i++) { /* one WAIT each would take three seconds */
        place->store->calls->write_signal(place->store, SERVICE, HOLDER_A, 1, "{\"n\":1}",
                                          answer_done, &signals[i]);
    }
    (void) run_until(place, NULL, 200);
    int64_t began = xf_clock_monotonic_ms(xf_clock_system());
    assert_int_equal(ask_swap(place, HOLDER_A, 1, HOLDER_A, 1, 2), XF_STORE_OK);
    assert_true(xf_clock_monotonic_ms(xf_clock_system()) - began < 500);
    assert_false(signals[0].came);
    (void) run_until(place, NULL, 2600);
    for (size_t i = 0; i < XF_COUNT(signals); i++) {
        assert_int_equal(signals[i].times, 1);
        assert_int_equal(signals[i].result, XF_STORE_REFUSED);
        assert_non_null(strstr(signals[i].message, "no replica acknowledged the record (1 conn"));
    }
    redis_bench_stop(&replica);
}

static void redis_a_last_write_needs_a_replica_and_is_repeated_until_one_has_it(void **state)
{
    struct place *place = *state;
    struct redis_bench replica;
    lead(place);
    struct xf_store_write write = write_of(0, 0, 1, 0, WRITE_1);
    write.durable = true;
    assert_int_equal(ask_write(place, &write), XF_STORE_OK); /* there is no replica */
    redis_bench_start(&replica);
    redis_by_hand(&replica, "REPLICAOF 127.0.0.1 %u", place->redis.port);
    assert_true(run_until(place, has_replica, 15000));
    kill(replica.pid, SIGSTOP);
    write = write_of(1, 0, 2, 0, WRITE_2);
    write.durable = true;
    assert_int_equal(ask_write(place, &write), XF_STORE_LOST);
    assert_non_null(strstr(place->last.message, "replica"));
    kill(replica.pid, SIGCONT);
    assert_int_equal(ask_write(place, &write), XF_STORE_OK);
    /* The replica goes its own way: it may lead another half of the fleet. */
    redis_by_hand(&replica, "REPLICAOF NO ONE");
    write = write_of(2, 0, 3, 0, WRITE_3);
    write.durable = true;
    assert_int_equal(ask_write(place, &write), XF_STORE_LOST);
    redis_bench_stop(&replica);
}

static void redis_a_last_write_is_refused_where_the_roster_changed(void **state)
{
    struct place *place = *state;
    lead(place);
    struct xf_store_write write = write_of(0, 0, 1, 0, WRITE_1);
    write.roster = "?";
    assert_int_equal(ask_write(place, &write), XF_STORE_ROSTER); /* nobody is in it */
    assert_int_equal(ask_roster(place), XF_STORE_OK);
    assert_string_equal(place->last.text, "{\"version\":\"?\",\"members\":[]}");
    redis_by_hand(&place->redis, "HSET cf:{test:gateway}:roster version 7.1 " HOLDER_A " %s",
                  "boot_edge-1");
    redis_by_hand(&place->redis, "HSET cf:{test:gateway}:roster junk x");
    assert_int_equal(ask_roster(place), XF_STORE_OK);
    assert_string_equal(place->last.text, "{\"version\":\"7.1\",\"members\":[]}");
    write.roster = "7.0";
    assert_int_equal(ask_write(place, &write), XF_STORE_ROSTER);
    write.roster = "7.1";
    assert_int_equal(ask_write(place, &write), XF_STORE_OK);
}

static bool is_probed(struct place *place)
{
    return place->store->probes > 0;
}

static bool is_denied(struct place *place)
{
    return place->store->denied[0] != '\0';
}

static void redis_a_right_that_lacks_is_named_and_nothing_is_done_without_it(void **state)
{
    static const char *const lacking[] = {"WAIT", "XTRIM", "ROLE", "HDEL", "PUBLISH", "EVALSHA"};
    struct place *place = *state;
    assert_true(run_until(place, is_probed, 5000));
    assert_false(is_denied(place));
    assert_non_null(strstr(place->store->warnings, "no replica"));
    assert_null(strstr(place->store->warnings, "evict"));
    for (size_t i = 0; i < XF_COUNT(lacking); i++) {
        redis_by_hand(&place->redis, "ACL SETUSER default -%s", lacking[i]);
        xf_store_close(place->store);
        struct xf_error err = {0};
        assert_int_equal(
            xf_store_open(&place->config, place->loop, &place->clock, &place->store, &err), 0);
        assert_true(run_until(place, is_denied, 10000));
        assert_string_equal(place->store->denied, lacking[i]);
        assert_int_equal(ask_state(place), XF_STORE_REFUSED);
        assert_non_null(strstr(place->last.message, lacking[i]));
        redis_by_hand(&place->redis, "ACL SETUSER default +@all");
    }
    for (int i = 0; i < 20 && is_denied(place); i++) { /* it is asked again */
        (void) ask_state(place);
        run_until(place, NULL, 200);
    }
    assert_false(is_denied(place));
    an_empty_store_answers_absent(state);
}

static void redis_the_signal_is_announced_on_its_channel(void **state)
{
    struct place *place = *state;
    lead(place);
    redisContext *redis = redisConnect("127.0.0.1", place->redis.port);
    freeReplyObject(redisCommand(redis, "SUBSCRIBE cf:{test:gateway}:decommission"));
    assert_int_equal(ask_signal(place, HOLDER_A, 1, "{\"sequence\":1}"), XF_STORE_OK);
    redisReply *message = NULL;
    assert_int_equal(redisGetReply(redis, (void **) &message), REDIS_OK);
    assert_string_equal(message->element[2]->str, "{\"sequence\":1}");
    freeReplyObject(message);
    redisFree(redis);
}

static void redis_the_log_keeps_30_days_and_the_cutover_at_hand(void **state)
{
    struct place *place = *state;
    long long old = (long long) xf_clock_wall_ms(xf_clock_system()) - 31LL * 24 * 3600 * 1000;
    lead(place);
    for (int i = 1; i <= 150; i++) { /* more than a page */
        redis_by_hand(&place->redis, "XADD " LOG_KEY " %d-0 write_id w at %lld entry %s", i, old,
                      i < 140 ? "{\"cutover\":\"a/1\"}" : "{\"cutover\":\"b/2\"}");
    }
    redis_by_hand(&place->redis,
                  "HSET " STATE_KEY " epoch 1 generation 150 revision 0 write_id w doc {}");
    struct xf_store_write write = write_of(150, 0, 151, 0, WRITE_1);
    write.document = "{\"cutover\":\"b/2\"}";
    assert_int_equal(ask_write(place, &write), XF_STORE_OK);
    run_until(place, NULL, 200);
    assert_int_equal(ask_log(place, 0, 0, 1000), XF_STORE_OK);
    assert_int_equal(place->last.entries[0].generation, 140);
    assert_int_equal(place->last.count, 12);
}

static void redis_the_least_rights_that_are_documented_are_enough(void **state)
{
    struct place *place = *state;
    char path[] = "/tmp/xf-password-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "word", 4), 4);
    close(fd);
    redis_by_hand(&place->redis,
                  "ACL SETUSER cf " XF_REDIS_RIGHTS " on >word ~cf:{test:* &cf:{test:*");
    xf_store_close(place->store);
    place->config.store.user = (char *) "cf";
    place->config.store.password_file = path;
    assert_int_equal(open_redis(place), 0);
    an_empty_store_answers_absent(state);
    the_log_holds_each_change_once_and_oldest_first(state);
    redis_by_hand(&place->redis, "FLUSHALL");
    the_signals_record_is_written_and_checked_under_the_fence(state);
    the_stores_clock_is_a_wall_clock_in_milliseconds(state);
    redis_by_hand(&place->redis, "FLUSHALL");
    checkpoints_take_no_generation_and_are_fenced(state);
    unlink(path);
}

static void redis_the_documentation_names_these_rights(void **state)
{
    static char text[200000];
    (void) state;
    FILE *file = fopen(XF_TEST_TREE "/shifter/STORE.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(text, XF_REDIS_RIGHTS));
}

#define ON_REDIS(test)  cmocka_unit_test_setup_teardown(test, setup_redis, teardown_redis)
#define ON_SQLITE(test) cmocka_unit_test_setup_teardown(test, setup_sqlite, teardown_sqlite)
#define CONTRACT(on)                                                                               \
    on(an_empty_store_answers_absent),                                                             \
        on(a_written_document_is_read_back_with_its_version_and_write_id),                         \
        on(the_log_holds_each_change_once_and_oldest_first),                                       \
        on(a_repeated_write_is_already_there_whoever_leads_now),                                   \
        on(only_the_holder_in_its_epoch_may_write),                                                \
        on(a_late_write_of_a_leader_that_lost_its_lease_changes_nothing),                          \
        on(a_write_from_another_version_is_stale),                                                 \
        on(of_two_writers_from_one_version_the_second_is_stale),                                   \
        on(versions_beyond_what_a_double_holds_are_compared_exactly),                              \
        on(a_write_that_is_no_step_forward_or_too_large_is_refused),                               \
        on(checkpoints_take_no_generation_and_are_fenced),                                         \
        on(a_lease_is_swapped_only_as_it_was_seen),                                                \
        on(the_stores_clock_is_a_wall_clock_in_milliseconds),                                      \
        on(the_signals_record_is_written_and_checked_under_the_fence),                             \
        on(what_is_open_when_a_store_closes_is_answered_once),                                     \
        on(what_a_last_answer_asks_is_answered_too)

int main(void)
{
    const struct CMUnitTest sqlite_tests[] = {
        CONTRACT(ON_SQLITE),
        ON_SQLITE(sqlite_a_log_that_disagrees_with_the_document_stops_writes),
        ON_SQLITE(sqlite_recovery_writes_beyond_document_and_log),
        ON_SQLITE(sqlite_what_crossfade_did_not_write_is_unreadable_and_can_be_restored),
        ON_SQLITE(sqlite_a_document_with_a_larger_epoch_refuses_the_write),
        ON_SQLITE(sqlite_a_second_opener_is_told_who_holds_the_file),
        ON_SQLITE(sqlite_what_was_written_outlives_a_kill),
        ON_SQLITE(sqlite_a_file_that_cannot_be_written_is_refused_with_the_reason),
        ON_SQLITE(sqlite_a_file_that_is_no_database_is_refused),
        ON_SQLITE(sqlite_a_newer_schema_is_refused),
        ON_SQLITE(sqlite_a_full_disk_is_told_and_the_store_comes_back_by_itself),
        ON_SQLITE(sqlite_a_file_that_was_replaced_is_not_written),
        ON_SQLITE(sqlite_the_log_keeps_30_days_and_the_cutover_at_hand),
        ON_SQLITE(sqlite_its_files_are_for_the_owner_alone),
    };
    const struct CMUnitTest redis_tests[] = {
        CONTRACT(ON_REDIS),
        ON_REDIS(redis_a_log_that_disagrees_with_the_document_stops_writes),
        ON_REDIS(redis_recovery_writes_beyond_document_and_log),
        ON_REDIS(redis_what_crossfade_did_not_write_is_unreadable_and_can_be_restored),
        ON_REDIS(redis_a_document_with_a_larger_epoch_refuses_the_write),
        ON_REDIS(redis_an_emptied_store_fences_its_leader),
        ON_REDIS(redis_a_lease_of_another_type_keeps_nobody_from_leading),
        ON_REDIS(redis_forgotten_scripts_are_sent_again),
        ON_REDIS(redis_a_write_whose_answer_was_lost_happened_once),
        ON_REDIS(redis_killed_and_started_again_it_goes_on),
        ON_REDIS(redis_a_server_that_refuses_is_told_and_comes_back_by_itself),
        ON_REDIS(redis_of_two_stores_that_write_at_once_one_wins),
        ON_REDIS(redis_a_server_that_talks_nonsense_is_a_store_that_is_away),
        ON_REDIS(redis_a_long_log_is_read_page_by_page),
        ON_REDIS(redis_a_last_write_needs_a_replica_and_is_repeated_until_one_has_it),
        ON_REDIS(redis_a_replica_that_does_not_acknowledge_delays_no_beat),
        ON_REDIS(redis_a_last_write_is_refused_where_the_roster_changed),
        ON_REDIS(redis_a_right_that_lacks_is_named_and_nothing_is_done_without_it),
        ON_REDIS(redis_where_there_are_replicas_one_must_have_the_signals_record),
        ON_REDIS(redis_the_signal_is_announced_on_its_channel),
        ON_REDIS(redis_the_log_keeps_30_days_and_the_cutover_at_hand),
        ON_REDIS(redis_the_least_rights_that_are_documented_are_enough),
        cmocka_unit_test(redis_the_documentation_names_these_rights),
    };
    return cmocka_run_group_tests_name("sqlite", sqlite_tests, NULL, NULL) +
           cmocka_run_group_tests_name("redis", redis_tests, group_setup_redis,
                                       group_teardown_redis);
}
