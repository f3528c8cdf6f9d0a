/*
 * test_board.c -- layout and seals of segments, what is refused, and what a worker may write.
 */
#include "proxy/board/board.h"
#include "sample_config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3u

static struct xf_board *make_board(struct sample *sample)
{
    struct xf_board *board;
    sample_init(sample);
    assert_int_equal(xf_board_create(&sample->config, 7, WORKERS, &board, NULL), 0);
    return board;
}

static void a_new_board_is_zero_but_for_its_headers_and_health(void **state)
{
    (void) state;
    struct sample sample;
    struct xf_board *board = make_board(&sample);
    assert_int_equal(board->control->edition, 7);
    assert_int_equal(atomic_load(&xf_board_route(board, 1)->word), 0);
    assert_int_equal(xf_board_record(board, 1, XF_ROUTE_RECORDS - 1)->flags, 0);
    struct xf_server_health *health = xf_board_health(board, 3);
    struct sockaddr_in address;
    memcpy(&address, &health->address, sizeof(address));
    assert_int_equal(atomic_load(&health->up), 1);
    assert_int_equal(atomic_load(&health->weight), 100);
    assert_int_equal(ntohs(address.sin_port), 1004);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(board->stats[i]->worker, i);
        assert_int_equal(xf_read(&xf_stats_pair(board->stats[i], 2)->requests), 0);
    }
    xf_board_destroy(board);
}

static void segments_can_neither_shrink_nor_grow(void **state)
{
    (void) state;
    struct sample sample;
    struct xf_board *board = make_board(&sample);
    assert_int_not_equal(ftruncate(board->control_fd, 4096), 0);
    assert_int_not_equal(ftruncate(board->stats_fd[0], 1 << 30), 0);
    xf_board_destroy(board);
}

struct fds {
    int control, retired, stats[WORKERS];
};

static struct fds copy_fds(const struct xf_board *board)
{
    struct fds fds = {.control = dup(board->control_fd), .retired = dup(board->retired_fd)};
    for (unsigned i = 0; i < WORKERS; i++) {
        fds.stats[i] = dup(board->stats_fd[i]);
    }
    return fds;
}

static struct xf_board *attach(struct fds fds)
{
    struct xf_board *board = NULL;
    struct xf_error err;
    int result = xf_board_attach(fds.control, fds.retired, fds.stats, WORKERS, &board, &err);
    assert_int_equal(result, board != NULL ? 0 : -1);
    return board;
}

static void who_attaches_sees_what_the_others_write(void **state)
{
    (void) state;
    struct sample sample;
    struct xf_board *board = make_board(&sample);
    struct xf_board *other = attach(copy_fds(board));
    assert_non_null(other);
    assert_int_equal(other->edition, 7);
    atomic_store(&xf_board_route(other, 0)->word, 42);
    assert_int_equal(atomic_load(&xf_board_route(board, 0)->word), 42);
    xf_count(&xf_stats_pair(board->stats[2], 1)->requests, 5);
    assert_int_equal(xf_read(&xf_stats_pair(other->stats[2], 1)->requests), 5);
    xf_board_destroy(other);
    xf_board_destroy(board);
}

static void who_adopts_folds_and_refuses_a_board_of_another_version(void **state)
{
    (void) state;
    struct sample sample;
    struct xf_error err;
    struct xf_board *board = make_board(&sample), *adopted = NULL;
    struct fds fds = copy_fds(board);
    xf_count(&xf_stats_pair(board->stats[1], 0)->requests, 5);
    assert_int_equal(xf_board_adopt(fds.control, fds.retired, fds.stats, WORKERS, &adopted, &err),
                     0);
    xf_board_fold_worker(adopted, 1);
    assert_int_equal(xf_read(&xf_stats_pair(board->retired, 0)->requests), 5);
    xf_board_destroy(adopted);

    board->control->version = XF_BOARD_VERSION + 1;
    fds = copy_fds(board);
    assert_int_equal(xf_board_adopt(fds.control, fds.retired, fds.stats, WORKERS, &adopted, &err),
                     -1);
    assert_non_null(strstr(err.message, "version"));
    xf_board_destroy(board);
}

#define CONTROL(field) true, offsetof(struct xf_control_header, field)
#define STATS(field)   false, offsetof(struct xf_stats_header, field)

/* Headers that a stranger could have written; who attaches must refuse, not fault. */
static void a_header_that_does_not_fit_is_refused(void **state)
{
    (void) state;
    static const struct {
        bool control;
        size_t at, bytes;
        uint64_t value;
    } damages[] = {
        {CONTROL(magic), 8, 1},
        {CONTROL(version), 4, XF_BOARD_VERSION - 1},
        {CONTROL(version), 4, XF_BOARD_VERSION + 1},
        {CONTROL(bytes), 8, UINT64_MAX},
        {CONTROL(services), 4, UINT32_MAX},
        {CONTROL(servers), 4, XF_SERVERS_MAX},
        {CONTROL(workers), 4, WORKERS + 1},
        {CONTROL(routes_at), 8, UINT64_MAX - 8},
        {CONTROL(records_at), 8, 0},
        {CONTROL(health_at), 8, 1ull << 40},
        {CONTROL(tickets_at), 8, 8},
        {STATS(magic), 8, 0},
        {STATS(version), 4, 0},
        {STATS(bytes), 8, 64},
        {STATS(edition), 8, 8},
        {STATS(worker), 4, 2},
        {STATS(services), 4, XF_SERVICES_MAX},
        {STATS(clusters), 4, UINT32_MAX},
        {STATS(servers), 4, 5},
        {STATS(pairs), 4, 4},
        {STATS(services_at), 8, 0},
        {STATS(pairs_at), 8, UINT64_MAX},
        {STATS(clusters_at), 8, 1ull << 63},
        {STATS(servers_at), 8, 4096},
        {STATS(cells_at), 8, 1},
    };
    for (size_t i = 0; i < XF_COUNT(damages); i++) {
        struct sample sample;
        struct xf_board *board = make_board(&sample);
        struct fds fds = copy_fds(board);
        char *target = damages[i].control ? (char *) board->control : (char *) board->stats[1];
        memcpy(target + damages[i].at, &damages[i].value, damages[i].bytes);
        assert_null(attach(fds));
        xf_board_destroy(board);
    }
}

static void what_is_no_sealed_segment_of_the_right_size_is_refused(void **state)
{
    (void) state;
    struct sample sample;
    struct xf_board *board = make_board(&sample);

    struct fds fds = copy_fds(board);
    close(fds.control);
    fds.control = memfd_create("unsealed", MFD_CLOEXEC);
    assert_null(attach(fds));

    fds = copy_fds(board);
    close(fds.stats[1]);
    assert_int_equal(xf_segment_create("small", 4096, &fds.stats[1], NULL), 0);
    assert_null(attach(fds));
    xf_board_destroy(board);
}

/* ---- what a worker may do, each tried in a child of its own ---- */

enum deed { READ_ROUTE, COUNT, WRITE_ROUTE, WRITE_IDENTITY, UNPROTECT_CONTROL, UNPROTECT_IDENTITY };

static int try_deed(struct xf_board *board, enum deed deed)
{
    int control_fd = board->control_fd;
    int stats_fd = board->stats_fd[0];
    if (xf_board_enter_worker(board, 1, NULL) != 0 || fcntl(control_fd, F_GETFD) != -1 ||
        fcntl(stats_fd, F_GETFD) != -1 || board->stats[0] != NULL || board->retired != NULL) {
        return 2;
    }
    struct xf_stats_header *stats = board->stats[1];
    switch (deed) {
    case READ_ROUTE:
        return atomic_load(&xf_board_route(board, 0)->word) == 42 ? 0 : 3;
    case COUNT:
        xf_cycle_begin(stats);
        xf_count(&xf_stats_pair(stats, 0)->requests, 9);
        return 0;
    case WRITE_ROUTE:
        atomic_store(&xf_board_route(board, 0)->word, 1);
        return 4;
    case WRITE_IDENTITY:
        stats->pairs_at = 0;
        return 5;
    case UNPROTECT_CONTROL:
        return mprotect(board->control, 4096, PROT_READ | PROT_WRITE) != 0 ? 0 : 6;
    case UNPROTECT_IDENTITY:
        return mprotect(stats, 4096, PROT_READ | PROT_WRITE) != 0 ? 0 : 7;
    }
    return 8;
}

static int run_deed(struct xf_board *board, enum deed deed)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would turn it into an exit code */
        _exit(try_deed(board, deed));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_worker_reads_routes_and_writes_only_its_own_counters(void **state)
{
    (void) state;
    struct sample sample;
    struct xf_board *board = make_board(&sample);
    atomic_store(&xf_board_route(board, 0)->word, 42);
    assert_int_equal(run_deed(board, READ_ROUTE), 0);
    assert_int_equal(run_deed(board, COUNT), 0);
    assert_int_equal(xf_read(&xf_stats_pair(board->stats[1], 0)->requests), 9);
    assert_int_equal(run_deed(board, UNPROTECT_CONTROL), 0);
    assert_int_equal(run_deed(board, UNPROTECT_IDENTITY), 0);
    int status = run_deed(board, WRITE_ROUTE);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = run_deed(board, WRITE_IDENTITY);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    xf_board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_board_is_zero_but_for_its_headers_and_health),
        cmocka_unit_test(segments_can_neither_shrink_nor_grow),
        cmocka_unit_test(who_attaches_sees_what_the_others_write),
        cmocka_unit_test(who_adopts_folds_and_refuses_a_board_of_another_version),
        cmocka_unit_test(a_header_that_does_not_fit_is_refused),
        cmocka_unit_test(what_is_no_sealed_segment_of_the_right_size_is_refused),
        cmocka_unit_test(a_worker_reads_routes_and_writes_only_its_own_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
