/*
 * test_supervisor_tickets.c -- the keys of session tickets over the life of a supervisor: when
 * they are made, shared with the next edition, replaced, and read again from a file.
 */
#include "proxy/supervisor/supervisor_state.h"
#include "proxy/transport/tls_tickets.h"

#include "sample_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MINUTE_MS 60000
#define HOUR_MS   (60 * MINUTE_MS)
#define KEY_BYTES 80u
#define EDITIONS  3u

struct host {
    struct sample sample;
    struct xf_config_listener listener;
    int64_t now_ms;
    struct xf_clock clock;
    struct xf_edition editions[EDITIONS];
    struct xf_supervisor supervisor;
    char file[64];
};

static int64_t now_ns(void *context)
{
    const struct host *host = context;
    return host->now_ms * 1000000;
}

static int set_up(void **state)
{
    struct host *host = calloc(1, sizeof(*host));
    assert_non_null(host);
    sample_init(&host->sample);
    host->sample.config.listeners = &host->listener;
    host->sample.config.listeners_count = 1;
    host->now_ms = HOUR_MS;
    host->clock = (struct xf_clock){.boottime_ns = now_ns, .context = host};
    host->supervisor.clock = &host->clock;
    strcpy(host->file, "/tmp/crossfade-test-XXXXXX");
    int file = mkstemp(host->file);
    assert_true(file >= 0);
    close(file);
    *state = host;
    return 0;
}

static int tear_down(void **state)
{
    struct host *host = *state;
    for (unsigned i = 0; i < host->supervisor.editions_count; i++) {
        xf_board_destroy(host->editions[i].board);
    }
    unlink(host->file);
    free(host);
    return 0;
}

/* As supervisor_editions.c does: keys first, then it counts as the newest. */
static const struct xf_ticket_keys *begin(struct host *host)
{
    struct xf_supervisor *supervisor = &host->supervisor;
    struct xf_edition *edition = &host->editions[supervisor->editions_count];
    edition->config = &host->sample.config;
    assert_int_equal(xf_board_create(edition->config, 1, 1, &edition->board, NULL), 0);
    xf_supervisor_begin_tickets(supervisor, edition);
    supervisor->editions[supervisor->editions_count++] = edition;
    return xf_board_tickets(edition->board);
}

static void turn_after(struct host *host, int64_t ms)
{
    host->now_ms += ms;
    xf_supervisor_turn_tickets(&host->supervisor);
}

static bool same(const struct xf_ticket_keys *a, const struct xf_ticket_keys *b)
{
    return a->count == b->count && memcmp(a->keys, b->keys, sizeof(a->keys)) == 0;
}

static void write_file(const struct host *host, unsigned keys, int first)
{
    FILE *file = fopen(host->file, "we");
    assert_non_null(file);
    for (unsigned i = 0; i < keys * KEY_BYTES; i++) {
        fputc(first + (int) (i / KEY_BYTES), file);
    }
    fclose(file);
}

static void the_first_edition_gets_one_random_key(void **state)
{
    static const uint8_t zeros[KEY_BYTES];
    const struct xf_ticket_keys *keys = begin(*state);
    assert_int_equal(keys->count, 1);
    assert_memory_not_equal(keys->keys[0], zeros, KEY_BYTES);
}

static void the_next_edition_shares_the_keys_and_the_hour_at_which_they_end(void **state)
{
    struct host *host = *state;
    const struct xf_ticket_keys *first = begin(host);
    turn_after(host, 11 * HOUR_MS);
    const struct xf_ticket_keys *second = begin(host);
    assert_true(same(first, second));
    turn_after(host, HOUR_MS); /* twelve after the first, one after the second */
    assert_int_equal(second->count, 2);
}

static void keys_are_replaced_every_twelve_hours_in_all_editions(void **state)
{
    struct host *host = *state;
    const struct xf_ticket_keys *first = begin(host), *second = begin(host);
    for (unsigned turn = 1; turn <= 4; turn++) {
        struct xf_ticket_keys before = *second;
        turn_after(host, 12 * HOUR_MS - 1);
        assert_true(same(&before, second));
        turn_after(host, 1);
        assert_int_equal(second->count, turn < 3 ? turn + 1 : 3);
        assert_memory_not_equal(second->keys[0], before.keys[0], KEY_BYTES);
        assert_memory_equal(second->keys[1], before.keys[0], KEY_BYTES); /* it still opens */
        assert_true(same(first, second));
    }
}

static void nothing_is_replaced_where_no_edition_is(void **state)
{
    struct host *host = *state;
    turn_after(host, 24 * HOUR_MS);
    assert_int_equal(host->supervisor.tickets_at_ms, 0);
}

static void a_file_is_read_at_the_beginning_and_every_hour(void **state)
{
    struct host *host = *state;
    host->listener.tls.ticket_keys_file = host->file;
    write_file(host, 2, 'a');
    const struct xf_ticket_keys *first = begin(host), *second = begin(host);
    assert_int_equal(first->count, 2);
    assert_int_equal(first->keys[1][79], 'b');
    write_file(host, 3, 'k');
    turn_after(host, HOUR_MS - 1);
    assert_int_equal(first->keys[0][0], 'a');
    turn_after(host, 1);
    assert_int_equal(second->count, 3);
    assert_int_equal(second->keys[0][0], 'k');
    assert_true(same(first, second));
    write_file(host, 1, 'z');
    const struct xf_ticket_keys *third = begin(host); /* a reload reads it at once */
    assert_int_equal(third->count, 1);
    assert_int_equal(third->keys[0][0], 'z');
}

static void a_file_that_went_bad_keeps_the_keys_and_is_tried_every_minute(void **state)
{
    struct host *host = *state;
    host->listener.tls.ticket_keys_file = host->file;
    write_file(host, 1, 'a');
    const struct xf_ticket_keys *keys = begin(host);
    assert_int_equal(truncate(host->file, 79), 0);
    turn_after(host, HOUR_MS);
    assert_int_equal(keys->keys[0][0], 'a');
    write_file(host, 1, 'b');
    turn_after(host, MINUTE_MS - 1);
    assert_int_equal(keys->keys[0][0], 'a');
    turn_after(host, 1);
    assert_int_equal(keys->keys[0][0], 'b');
}

static void an_edition_whose_file_is_bad_begins_with_the_last_keys(void **state)
{
    struct host *host = *state;
    const struct xf_ticket_keys *first = begin(host);
    host->listener.tls.ticket_keys_file = host->file; /* empty: no key */
    const struct xf_ticket_keys *second = begin(host);
    assert_true(same(first, second));
    write_file(host, 1, 'c');
    turn_after(host, MINUTE_MS);
    assert_int_equal(second->keys[0][0], 'c');
    assert_true(same(first, second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_edition_gets_one_random_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            the_next_edition_shares_the_keys_and_the_hour_at_which_they_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_replaced_every_twelve_hours_in_all_editions,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_replaced_where_no_edition_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_is_read_at_the_beginning_and_every_hour, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_went_bad_keeps_the_keys_and_is_tried_every_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_edition_whose_file_is_bad_begins_with_the_last_keys,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
