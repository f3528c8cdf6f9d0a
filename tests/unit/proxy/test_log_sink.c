/*
 * test_log_sink.c -- a sink never waits for a reader, and tells a failure once.
 */
#include "proxy/logger/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char page[4096];

static void what_is_written_to_a_file_is_there(void **state)
{
    (void) state;
    char path[] = "/tmp/crossfade-sink-XXXXXX", got[64];
    struct xf_log_sink sink;
    int fd = mkstemp(path);
    xf_log_sink_init(&sink, dup(fd), false);
    assert_int_equal(xf_log_sink_write(&sink, "one\n", 4), 0);
    assert_int_equal(xf_log_sink_write(&sink, "two\n", 4), 0);
    assert_int_equal(pread(fd, got, sizeof(got), 0), 8);
    assert_memory_equal(got, "one\ntwo\n", 8);
    xf_log_sink_release(&sink);
    unlink(path);
    close(fd);
}

static void a_pipe_that_nobody_reads_drops_and_is_told_once(void **state)
{
    (void) state;
    struct xf_log_sink sink;
    int ends[2], told = 0;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    xf_log_sink_init(&sink, ends[1], false);
    memset(page, 'x', sizeof(page));
    page[sizeof(page) - 1] = '\n';
    for (unsigned i = 0; i < 1000; i++) {
        int why = xf_log_sink_write(&sink, page, sizeof(page));
        told += why != 0;
        assert_true(why == 0 || why == EAGAIN);
    }
    assert_int_equal(told, 1);
    assert_true(sink.dropped > 100);
    while (read(ends[0], page, sizeof(page)) > 0) {
    }
    assert_int_equal(xf_log_sink_write(&sink, "again\n", 6), 0);
    assert_false(sink.failing);
    xf_log_sink_release(&sink);
    close(ends[0]);
}

static void a_full_disk_drops_is_told_once_and_a_new_file_works_again(void **state)
{
    (void) state;
    struct xf_log_sink sink;
    char path[] = "/tmp/crossfade-sink-XXXXXX";
    xf_log_sink_init(&sink, open("/dev/full", O_WRONLY), false);
    assert_int_equal(xf_log_sink_write(&sink, "lost\n", 5), ENOSPC);
    assert_int_equal(xf_log_sink_write(&sink, "lost\n", 5), 0);
    assert_int_equal(sink.dropped, 2);
    xf_log_sink_replace(&sink, mkstemp(path));
    assert_int_equal(xf_log_sink_write(&sink, "kept\n", 5), 0);
    assert_int_equal(sink.dropped, 2);
    xf_log_sink_release(&sink);
    unlink(path);
}

/* A pipe takes what fits, in the middle of a line; and lines come in pieces. */
static void after_a_loss_the_next_line_begins_on_its_own(void **state)
{
    (void) state;
    struct xf_log_sink sink;
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    int bytes = fcntl(ends[1], F_SETPIPE_SZ, 4096);
    assert_true(bytes >= 4096);
    xf_log_sink_init(&sink, ends[1], false);
    char *line = malloc((size_t) bytes + 100);
    assert_non_null(line);
    memset(line, 'a', (size_t) bytes + 100);
    assert_int_equal(xf_log_sink_write(&sink, line, (size_t) bytes + 100), EAGAIN);
    assert_int_equal(sink.dropped, 0); /* its end has not come */
    assert_int_equal(read(ends[0], line, (size_t) bytes), bytes);
    assert_int_equal(xf_log_sink_write(&sink, "aaa", 3), 0);
    assert_int_equal(xf_log_sink_write(&sink, "a\nnext\nha", 9), 0);
    assert_int_equal(xf_log_sink_write(&sink, "lf\n", 3), 0);
    assert_int_equal(sink.dropped, 1);
    ssize_t got = read(ends[0], line, (size_t) bytes);
    assert_int_equal(got, 11);
    assert_memory_equal(line, "\nnext\nhalf\n", 11);
    free(line);
    xf_log_sink_release(&sink);
    close(ends[0]);
}

static void a_sink_without_a_file_drops_and_does_not_fall(void **state)
{
    (void) state;
    struct xf_log_sink sink;
    xf_log_sink_init(&sink, -1, false);
    assert_int_equal(xf_log_sink_write(&sink, "lost\n", 5), EBADF);
    assert_int_equal(sink.dropped, 1);
    xf_log_sink_release(&sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_to_a_file_is_there),
        cmocka_unit_test(a_pipe_that_nobody_reads_drops_and_is_told_once),
        cmocka_unit_test(a_full_disk_drops_is_told_once_and_a_new_file_works_again),
        cmocka_unit_test(after_a_loss_the_next_line_begins_on_its_own),
        cmocka_unit_test(a_sink_without_a_file_drops_and_does_not_fall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
