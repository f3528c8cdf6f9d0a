/*
 * test_handover.c -- the description that one image of the supervisor leaves to the next.
 */
#include "proxy/supervisor/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct xf_handed *handed)
{
    *handed = (struct xf_handed){.last_edition = 7,
                                 .attempts = 2,
                                 .tickets_at_ms = 123456789012,
                                 .watchdog_ms = 15000,
                                 .state_dir_fd = 5,
                                 .unix_fd = 6,
                                 .tcp_fd = -1,
                                 .notify_fd = -1,
                                 .wake_fd = 9,
                                 .messages = {10, 11},
                                 .next_text_fd = 12,
                                 .child = {{100, 20}, {101, 21}, {0, -1}},
                                 .slots = 3,
                                 .binds = 2,
                                 .editions = 2};
    handed->bind = calloc(2, sizeof(handed->bind[0]));
    handed->bind[0].slots = 3;
    memset(handed->bind[0].fds, -1, sizeof(handed->bind[0].fds));
    memset(handed->bind[1].fds, -1, sizeof(handed->bind[1].fds));
    for (int i = 0; i < 3; i++) {
        handed->bind[0].fds[i] = 30 + i;
    }
    handed->bind[1].inherited = true;
    handed->bind[1].fds[0] = 3;
    for (unsigned i = 0; i < 2; i++) {
        struct xf_handed_edition *edition = &handed->edition[i];
        *edition = (struct xf_handed_edition){.number = 6 + i,
                                              .state = 3 - i,
                                              .deadline_ms = 99,
                                              .text_fd = 40,
                                              .log_fd = -1,
                                              .control_fd = 41,
                                              .retired_fd = 42,
                                              .workers = 2,
                                              .sockets = 3,
                                              .listeners = 2};
        assert_true(xf_handed_size_edition(edition));
        edition->worker[0] = (struct xf_handed_worker){200, 50, 1, true, false, -1, 52, 77};
        edition->listen_fds[5] = 32;
        edition->keeper[2] = 1;
    }
}

static char *written(const struct xf_handed *handed)
{
    struct xf_text text;
    xf_text_init(&text, XF_HANDOVER_BYTES_MAX);
    xf_handed_write(handed, &text);
    char *copy = xf_text_take(&text);
    assert_non_null(copy);
    return copy;
}

static void what_was_written_reads_back_the_same(void **state)
{
    struct xf_handed handed, read;
    struct xf_error err;
    (void) state;
    fill(&handed);
    char *text = written(&handed);
    assert_int_equal(xf_handed_parse(text, strlen(text), &read, &err), 0);
    assert_int_equal(read.child[XF_HANDED_SHIFTER].pid, 101);
    assert_int_equal(read.edition[0].worker[0].start_at_ms, 77);
    assert_int_equal(read.edition[1].worker[1].channel, -1);
    assert_int_equal(read.edition[1].listen_fds[5], 32);
    assert_int_equal(read.edition[0].keeper[2], 1);
    char *again = written(&read);
    assert_string_equal(again, text);
    free(again);
    free(text);
    xf_handed_release(&handed);
    xf_handed_release(&read);
}

static void a_handover_of_another_version_is_refused(void **state)
{
    struct xf_handed read;
    struct xf_error err;
    const char *text = "crossfade-handover 2\nwhatever the next version writes\n";
    (void) state;
    assert_int_equal(xf_handed_parse(text, strlen(text), &read, &err), -1);
    assert_int_equal(err.code, XF_E_REFUSED);
    assert_non_null(strstr(err.message, "version 2"));
    xf_handed_release(&read);
}

static void whatever_is_cut_off_or_changed_is_refused_or_bounded(void **state)
{
    struct xf_handed handed, read;
    struct xf_error err;
    (void) state;
    fill(&handed);
    char *text = written(&handed);
    size_t length = strlen(text);
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(xf_handed_parse(text, cut, &read, &err), -1);
        xf_handed_release(&read);
    }
    for (size_t i = 0; i < length; i++) {
        static const char others[] = "9-x \n";
        char kept = text[i];
        for (size_t k = 0; others[k] != '\0'; k++) {
            text[i] = others[k];
            if (xf_handed_parse(text, length, &read, &err) == 0) { /* a number became another */
                assert_true(read.editions <= XF_INFORCE_EDITIONS_MAX);
                assert_true(read.edition[0].workers <= XF_WORKERS_MAX);
            }
            xf_handed_release(&read);
        }
        text[i] = kept;
    }
    free(text);
    xf_handed_release(&handed);
}

static void count_fd(void *context, int fd)
{
    int *seen = context;
    assert_true(fd >= 0 && fd < 64);
    seen[fd]++;
}

static void every_descriptor_is_named_once_for_each_place(void **state)
{
    struct xf_handed handed;
    int seen[64] = {0};
    static const int expected[] = {3, 5, 6, 9, 10, 11, 12, 20, 21, 30, 31, 32, 40, 41, 42, 50, 52};
    (void) state;
    fill(&handed);
    xf_handed_each_fd(&handed, count_fd, seen);
    for (size_t i = 0; i < XF_COUNT(expected); i++) {
        assert_true(seen[expected[i]] > 0);
        seen[expected[i]] = 0;
    }
    for (int fd = 0; fd < 64; fd++) {
        assert_int_equal(seen[fd], 0);
    }
    xf_handed_release(&handed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_reads_back_the_same),
        cmocka_unit_test(a_handover_of_another_version_is_refused),
        cmocka_unit_test(whatever_is_cut_off_or_changed_is_refused_or_bounded),
        cmocka_unit_test(every_descriptor_is_named_once_for_each_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
