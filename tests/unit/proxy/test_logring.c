/*
 * test_logring.c -- lines from a worker to the logger.
 */
#include "proxy/board/logring.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
    int wake;
    struct xf_log_ring *writer, *reader;
};

static struct ends open_ring(uint32_t bytes)
{
    struct ends ends = {.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    assert_int_equal(xf_log_ring_create(bytes, ends.wake, &ends.writer, NULL), 0);
    int copy = dup(xf_log_ring_fd(ends.writer));
    assert_int_equal(xf_log_ring_attach(copy, ends.wake, &ends.reader, NULL), 0);
    return ends;
}

static void close_ring(struct ends *ends)
{
    xf_log_ring_destroy(ends->writer);
    xf_log_ring_destroy(ends->reader);
    close(ends->wake);
}

static uint64_t *map_words(const struct ends *ends)
{
    int fd = xf_log_ring_fd(ends->writer);
    uint64_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(words, MAP_FAILED);
    return words;
}

static void lines_come_out_as_they_went_in_around_the_rings_end(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    char line[128], out[256];
    for (unsigned i = 0; i < 500; i++) {
        int length = snprintf(line, sizeof(line), "line %u with some length\n", i * 7919);
        assert_true(xf_log_ring_write(ends.writer, line, (size_t) length));
        size_t got = xf_log_ring_read(ends.reader, out, sizeof(out));
        got += xf_log_ring_read(ends.reader, out + got, sizeof(out) - got);
        assert_int_equal(got, length);
        assert_memory_equal(out, line, got);
    }
    close_ring(&ends);
}

static void what_does_not_fit_is_dropped_whole_and_counted(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    char line[1000], out[4096];
    memset(line, 'x', sizeof(line));
    for (unsigned i = 0; i < 4; i++) {
        assert_true(xf_log_ring_write(ends.writer, line, sizeof(line)));
    }
    assert_false(xf_log_ring_write(ends.writer, line, sizeof(line)));
    assert_true(xf_log_ring_write(ends.writer, line, 96));
    assert_false(xf_log_ring_write(ends.writer, line, 1));
    assert_int_equal(xf_log_ring_dropped(ends.reader), 2);
    assert_int_equal(xf_log_ring_read(ends.reader, out, sizeof(out)), 4096);
    assert_true(xf_log_ring_write(ends.writer, line, 1));
    close_ring(&ends);
}

static void lines_that_the_logger_lost_are_counted_once_by_whoever_writes(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    xf_log_ring_lose(ends.reader, 2);
    xf_log_ring_lose(ends.reader, 1);
    assert_int_equal(xf_log_ring_take_lost(ends.writer), 3);
    assert_int_equal(xf_log_ring_take_lost(ends.writer), 0);
    xf_log_ring_lose(ends.reader, 4);
    assert_int_equal(xf_log_ring_take_lost(ends.writer), 4);
    assert_int_equal(xf_log_ring_dropped(ends.reader), 0);
    close_ring(&ends);
}

static void the_eventfd_is_written_only_for_a_sleeping_reader(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    uint64_t count;
    char out[64];
    assert_true(xf_log_ring_write(ends.writer, "a\n", 2));
    assert_int_equal(read(ends.wake, &count, sizeof(count)), -1);
    assert_false(xf_log_ring_sleep(ends.reader));
    assert_int_equal(xf_log_ring_read(ends.reader, out, sizeof(out)), 2);
    assert_true(xf_log_ring_sleep(ends.reader));
    assert_true(xf_log_ring_write(ends.writer, "b\n", 2));
    assert_true(xf_log_ring_write(ends.writer, "c\n", 2));
    assert_int_equal(read(ends.wake, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    close_ring(&ends);
}

static void a_new_logger_goes_on_where_the_old_one_ended(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    char out[64];
    assert_true(xf_log_ring_write(ends.writer, "one\ntwo\n", 8));
    assert_int_equal(xf_log_ring_read(ends.reader, out, 4), 4);
    xf_log_ring_destroy(ends.reader);
    int copy = dup(xf_log_ring_fd(ends.writer));
    assert_int_equal(xf_log_ring_attach(copy, ends.wake, &ends.reader, NULL), 0);
    assert_int_equal(xf_log_ring_read(ends.reader, out, sizeof(out)), 4);
    assert_memory_equal(out, "two\n", 4);
    close_ring(&ends);
}

/* A worker in a stranger's hands writes anything into the ring's memory. */
static void a_damaged_head_costs_lines_but_never_a_fault(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    char out[8192];
    uint64_t *words = map_words(&ends);
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned k = 0; k < 64; k++) {
            words[k] = UINT64_MAX / (i + 1) - k;
        }
        for (unsigned k = 0; k < 4; k++) {
            assert_true(xf_log_ring_read(ends.reader, out, sizeof(out)) <= 4096);
        }
    }
    munmap(words, 4096);
    close_ring(&ends);
}

static void a_ring_whose_header_does_not_fit_is_refused(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    struct xf_log_ring *other = NULL;
    uint64_t *words = map_words(&ends);
    words[1] = 1 << 20;
    int copy = dup(xf_log_ring_fd(ends.writer));
    assert_int_equal(xf_log_ring_attach(copy, ends.wake, &other, NULL), -1);
    int unsealed = memfd_create("x", MFD_CLOEXEC);
    assert_int_equal(xf_log_ring_attach(unsealed, ends.wake, &other, NULL), -1);
    assert_null(other);
    munmap(words, 4096);
    close_ring(&ends);
}

#define NUMBERS 200000u

static void *write_numbers(void *arg)
{
    struct xf_log_ring *ring = arg;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        while (!xf_log_ring_write(ring, &i, sizeof(i))) {
        }
    }
    return NULL;
}

static void one_writer_and_one_reader_need_no_lock(void **state)
{
    (void) state;
    struct ends ends = open_ring(4096);
    pthread_t thread;
    uint32_t expected = 0, numbers[16];
    assert_int_equal(pthread_create(&thread, NULL, write_numbers, ends.writer), 0);
    while (expected < NUMBERS) {
        size_t got = xf_log_ring_read(ends.reader, numbers, sizeof(numbers));
        for (size_t i = 0; i < got / sizeof(numbers[0]); i++) {
            assert_int_equal(numbers[i], expected);
            expected++;
        }
    }
    pthread_join(thread, NULL);
    close_ring(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_as_they_went_in_around_the_rings_end),
        cmocka_unit_test(what_does_not_fit_is_dropped_whole_and_counted),
        cmocka_unit_test(lines_that_the_logger_lost_are_counted_once_by_whoever_writes),
        cmocka_unit_test(the_eventfd_is_written_only_for_a_sleeping_reader),
        cmocka_unit_test(a_new_logger_goes_on_where_the_old_one_ended),
        cmocka_unit_test(a_damaged_head_costs_lines_but_never_a_fault),
        cmocka_unit_test(a_ring_whose_header_does_not_fit_is_refused),
        cmocka_unit_test(one_writer_and_one_reader_need_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
