/*
 * test_inforce.c -- a word is called in force only when no worker can act on an older one.
 *
 * In the race a worker process toggles its cycle counter as fast as it can while a third process
 * stops and continues it at random.
 */
#include "proxy/board/inforce.h"
#include "sample_config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct shared {
    _Alignas(64) _Atomic uint64_t word;
    _Alignas(64) _Atomic uint64_t confirmed; /* the agent called this word in force */
    _Alignas(64) _Atomic uint64_t violations;
    _Atomic uint64_t turns;
    _Atomic bool stop;
};

struct scene {
    struct sample sample;
    struct xf_board *board;
    struct shared *shared;
    struct xf_inforce inforce;
};

static void open_scene(struct scene *scene)
{
    sample_init(&scene->sample);
    assert_int_equal(xf_board_create(&scene->sample.config, 1, 2, &scene->board, NULL), 0);
    scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(scene->shared, MAP_FAILED);
    xf_inforce_init(&scene->inforce);
}

static void close_scene(struct scene *scene)
{
    xf_inforce_release(&scene->inforce);
    munmap(scene->shared, sizeof(*scene->shared));
    xf_board_destroy(scene->board);
}

static void settled_at_once_when_all_workers_rest(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene);
    assert_true(xf_inforce_begin(&scene.inforce, &scene.board, 1));
    assert_int_equal(scene.inforce.count, 2);
    assert_true(xf_inforce_settled(&scene.inforce));
    close_scene(&scene);
}

static void a_worker_in_mid_turn_blocks_until_it_moves_or_is_forgotten(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene);
    struct xf_stats_header **stats = scene.board->stats;

    xf_cycle_begin(stats[1]);
    assert_true(xf_inforce_begin(&scene.inforce, &scene.board, 1));
    assert_false(xf_inforce_settled(&scene.inforce));
    assert_false(xf_inforce_settled(&scene.inforce));
    xf_cycle_end(stats[1]);
    xf_cycle_begin(stats[1]); /* odd again, but another turn: it reads the newest word */
    assert_true(xf_inforce_settled(&scene.inforce));

    assert_true(xf_inforce_begin(&scene.inforce, &scene.board, 1));
    assert_false(xf_inforce_settled(&scene.inforce));
    xf_inforce_forget(&scene.inforce, stats[0]);
    assert_false(xf_inforce_settled(&scene.inforce));
    xf_inforce_forget(&scene.inforce, stats[1]);
    assert_true(xf_inforce_settled(&scene.inforce));
    close_scene(&scene);
}

static void a_worker_that_began_its_turn_later_does_not_block(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene);
    assert_true(xf_inforce_begin(&scene.inforce, &scene.board, 1));
    xf_cycle_begin(scene.board->stats[0]);
    assert_true(xf_inforce_settled(&scene.inforce));
    close_scene(&scene);
}

/* ---- the race ---- */

/* As xf_cycle_begin(), without the fence that makes it right. */
static void begin_without_fence(struct xf_stats_header *stats)
{
    uint64_t cycle = atomic_load_explicit(&stats->cycle, memory_order_relaxed);
    atomic_store_explicit(&stats->cycle, cycle + 1, memory_order_relaxed);
}

/* One turn of a worker: it reads the word once and acts on it until the turn ends. */
static void act(struct shared *shared)
{
    uint64_t word = atomic_load_explicit(&shared->word, memory_order_relaxed);
    for (volatile unsigned i = 0; i < 20; i++) {
    }
    if (atomic_load_explicit(&shared->confirmed, memory_order_acquire) > word) {
        xf_count(&shared->violations, 1);
    }
    xf_count(&shared->turns, 1);
}

static void run_worker(struct scene *scene, bool fenced)
{
    if (xf_board_enter_worker(scene->board, 0, NULL) != 0) {
        _exit(1);
    }
    struct xf_stats_header *stats = scene->board->stats[0];
    while (!atomic_load_explicit(&scene->shared->stop, memory_order_relaxed)) {
        if (fenced) {
            xf_cycle_begin(stats);
        } else {
            begin_without_fence(stats);
        }
        act(scene->shared);
        xf_cycle_end(stats);
    }
    _exit(0);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The agent's side; it looks without a pause, which is harder than its 100 us. */
static uint64_t confirm_words(struct scene *scene, int64_t until_ms)
{
    struct shared *shared = scene->shared;
    uint64_t word = 0;
    while (now_ms() < until_ms && atomic_load(&shared->violations) == 0) {
        word++;
        atomic_store_explicit(&shared->word, word, memory_order_release);
        assert_true(xf_inforce_begin(&scene->inforce, &scene->board, 1));
        while (!xf_inforce_settled(&scene->inforce)) {
        }
        atomic_store_explicit(&shared->confirmed, word, memory_order_release);
    }
    return word;
}

static void stop_at_random(pid_t worker)
{
    unsigned seed = (unsigned) getpid();
    for (;;) {
        struct timespec pause = {0, rand_r(&seed) % 200000};
        kill(worker, SIGSTOP);
        nanosleep(&pause, NULL);
        kill(worker, SIGCONT);
        pause.tv_nsec = rand_r(&seed) % 2000000;
        nanosleep(&pause, NULL);
    }
}

static uint64_t race(struct scene *scene, bool fenced, int64_t ms)
{
    pid_t worker = fork();
    assert_true(worker >= 0);
    if (worker == 0) {
        run_worker(scene, fenced);
    }
    pid_t stopper = fork();
    assert_true(stopper >= 0);
    if (stopper == 0) {
        stop_at_random(worker);
    }
    uint64_t words = confirm_words(scene, now_ms() + ms);
    kill(stopper, SIGKILL);
    waitpid(stopper, NULL, 0);
    kill(worker, SIGCONT);
    atomic_store(&scene->shared->stop, true);
    waitpid(worker, NULL, 0);
    return words;
}

static void no_worker_acts_on_a_word_older_than_one_in_force(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene);
    uint64_t words = race(&scene, true, 1500);
    print_message("%llu words, %llu turns\n", (unsigned long long) words,
                  (unsigned long long) atomic_load(&scene.shared->turns));
    assert_int_equal(atomic_load(&scene.shared->violations), 0);
    assert_true(words > 100);
    assert_true(atomic_load(&scene.shared->turns) > 1000);
    close_scene(&scene);
}

/* Shows that the race above can find what it looks for; only CPUs that run at once can. */
static void without_the_workers_fence_the_race_finds_a_violation(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene);
    uint64_t words = race(&scene, false, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 20000 : 0);
    uint64_t found = atomic_load(&scene.shared->violations);
    close_scene(&scene);
    print_message("%llu words until the first violation\n", (unsigned long long) words);
    assert_true(found > 0 || sysconf(_SC_NPROCESSORS_ONLN) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settled_at_once_when_all_workers_rest),
        cmocka_unit_test(a_worker_in_mid_turn_blocks_until_it_moves_or_is_forgotten),
        cmocka_unit_test(a_worker_that_began_its_turn_later_does_not_block),
        cmocka_unit_test(no_worker_acts_on_a_word_older_than_one_in_force),
        cmocka_unit_test(without_the_workers_fence_the_race_finds_a_violation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
