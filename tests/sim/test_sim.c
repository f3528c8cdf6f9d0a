/*
 * test_sim.c -- storms by their seeds, healthy hours, and the command line.
 *
 *     test_sim                     1,000 seeds, every scenario, every mutant; with CROSSFADE_LONG
 *                                  100,000 seeds
 *     test_sim --few               60 seeds and every scenario: for sanitized builds
 *     test_sim --seeds 1 100000    so many seeds from the first on
 *     test_sim --replay SEED       one seed with a trace
 *     test_sim --scenarios         the scenarios with a trace; --mutants, --mutant N
 */
#include "sim_runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEW_SEEDS      60u /* under sanitizers, where each costs five times as much */
#define ORDINARY_SEEDS 1000u
#define LONG_SEEDS     100000u
#define LONG_HOURS     200u

/* What storms beyond the ordinary ones found, run with each of these. */
static const uint64_t found_before[] = {
    8057,  /* a proxy that was away when the store was emptied was not waited for */
    15827, /* likewise */
    50886, /* nor where the checkpoint alone was lost */
    51096, /* the same leader writes a step again that the store lost: it was no shorter (I14) */
    58343, /* likewise, the leader after it */
    69809, /* a write ten seconds late was decided before the configuration differed */
    56019, /* a leader of two seconds raised before it had heard the fleet (I11) */
    61519, /* likewise, a moment after a resume, and after a load of what was restored */
    8619,  /* proxies told of failures once a second, not as cells close (I11) */
    57041, /* safe on what a proxy said just before it died; the one after it is quiet (I6) */
};

static bool drawn(uint64_t seed, unsigned place, unsigned of)
{
    uint64_t value = seed * 0x9e3779b97f4a7c15u + place * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 30)) * 0x94d049bb133111ebu;
    return (value ^ (value >> 31)) % of == 0;
}

struct sim_options sim_stormy(uint64_t seed)
{
    struct sim_options options = {.seed = seed,
                                  .length_ms = 300000,
                                  .store_faults = seed % 3 == 0 ? 100 : 20,
                                  .late_writes = seed % 4 == 1 ? 100 : 0,
                                  .message_loss = seed % 5 == 0 ? 200 : 30,
                                  .store_outages = seed % 2 == 0,
                                  .leader_kills = seed % 3 != 1,
                                  .leader_freezes = seed % 4 != 2,
                                  .proxy_freezes = true,
                                  .proxy_restarts = seed % 2 == 1,
                                  .long_absence = seed % 7 == 0,
                                  .clock_jumps = seed % 3 == 2,
                                  .operators = true,
                                  .green_fails = seed % 4 == 3,
                                  .store_loss = drawn(seed, 1, 4),
                                  .store_flushes = drawn(seed, 2, 5),
                                  .one_redis = drawn(seed, 3, 2),
                                  .snapshots = drawn(seed, 4, 2),
                                  .proxy_cuts = drawn(seed, 5, 3),
                                  .forgets = drawn(seed, 6, 4),
                                  .digests = drawn(seed, 7, 6),
                                  .garbage = drawn(seed, 8, 4),
                                  .generations = drawn(seed, 9, 2),
                                  .hooks_fail = drawn(seed, 10, 3),
                                  .freeze_in_safe = drawn(seed, 11, 5),
                                  .embedded = drawn(seed, 16, 3)};
    options.overrides = drawn(seed, 12, 3) && options.late_writes == 0;
    options.plan = drawn(seed, 13, 3)   ? sim_hook_plan
                   : drawn(seed, 14, 4) ? sim_approve_plan
                   : drawn(seed, 15, 4) ? sim_proof_plan
                                        : NULL;
    return options;
}

bool sim_run_seed(const struct sim_options *options, struct sim_sums *sums, char breach[512])
{
    static struct sim sim;
    bool good = sim_run(&sim, options);
    memcpy(breach, sim.breach, sizeof(sim.breach));
    sums->seeds++;
    sums->changes += sim.changes;
    sums->safes += sim.safes;
    sums->finalized += sim.finalized;
    sums->aborted += sim.aborted;
    sums->retreats += sim.retreats;
    sums->deliveries += sim.deliveries;
    sums->losses += sim.lost_saves;
    sim_release(&sim);
    return good;
}

static unsigned run_some(uint64_t first, uint64_t end, uint64_t stride)
{
    struct sim_sums sums = {0};
    unsigned failed = 0;
    for (uint64_t seed = first; seed < end; seed += stride) {
        struct sim_options options = sim_stormy(seed);
        char breach[512];
        if (!sim_run_seed(&options, &sums, breach)) {
            printf("seed %llu: %s\n  replay: test_sim --replay %llu\n", (unsigned long long) seed,
                   breach, (unsigned long long) seed);
            failed++;
        }
    }
    printf("%u seeds: %u changes, %u safe, %u finalized, %u aborted, %u retreats, %u deliveries, "
           "%u losses; %u failed\n",
           sums.seeds, sums.changes, sums.safes, sums.finalized, sums.aborted, sums.retreats,
           sums.deliveries, sums.losses, failed);
    return failed;
}

/* Shared between two processes where there is much to do. */
static unsigned run_seeds(uint64_t first, uint64_t count)
{
    unsigned jobs = count >= 500 ? 2 : 1;
    unsigned failed = 0;
    if (jobs == 1) {
        return run_some(first, first + count, 1);
    }
    for (unsigned i = 0; i < jobs; i++) {
        if (fork() == 0) {
            _exit(run_some(first + i, first + count, jobs) != 0);
        }
    }
    for (unsigned i = 0; i < jobs; i++) {
        int status = 0;
        failed += wait(&status) < 0 || status != 0;
    }
    return failed;
}

/* ---- a healthy hour: 1 % errors on both sides are no reason to stop ---- */

static unsigned run_healthy(uint64_t first, uint64_t count)
{
    static const char plan[] =
        "{\"name\": \"healthy\", \"service\": \"web\", \"to\": \"v2\", \"steps\": ["
        "{\"weight\": \"1%\", \"hold\": \"8m\"}, {\"weight\": \"5%\", \"hold\": \"8m\"}, "
        "{\"weight\": \"10%\", \"hold\": \"8m\"}, {\"weight\": \"25%\", \"hold\": \"8m\"}, "
        "{\"weight\": \"50%\", \"hold\": \"8m\"}, {\"weight\": \"80%\", \"hold\": \"8m\"}, "
        "{\"weight\": \"100%\", \"hold\": \"8m\"}]}";
    static const char *const script[] = {"5000 ann start", NULL};
    unsigned failed = 0;
    struct sim_sums sums = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim_options options = {
            .seed = seed, .length_ms = 4200000, .both_fail = 10, .plan = plan, .script = script};
        unsigned safes = sums.safes;
        char breach[512];
        bool good = sim_run_seed(&options, &sums, breach);
        if (!good || sums.retreats > 0 || sums.safes == safes) {
            printf("healthy hour, seed %llu: %s\n", (unsigned long long) seed,
                   good ? "paused, or not safe within the hour" : breach);
            failed++;
        }
    }
    printf("%u healthy hours: %u safe, %u retreats; %u failed\n", sums.seeds, sums.safes,
           sums.retreats, failed);
    return failed;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "--replay") == 0) {
        struct sim_sums sums = {0};
        struct sim_options options = sim_stormy(strtoull(argv[2], NULL, 10));
        char breach[512];
        options.trace = true;
        bool good = sim_run_seed(&options, &sums, breach);
        printf("%s\n", good ? "holds" : breach);
        return good ? 0 : 1;
    }
    if (argc == 4 && strcmp(argv[1], "--seeds") == 0) {
        return run_seeds(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10)) != 0;
    }
    if (argc == 4 && strcmp(argv[1], "--healthy") == 0) {
        return run_healthy(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10)) != 0;
    }
    if (argc == 2 && strcmp(argv[1], "--scenarios") == 0) {
        return sim_run_scenarios(true, 3) != 0;
    }
    if (argc == 2 && strcmp(argv[1], "--mutants") == 0) {
        return sim_run_mutants(SIM_NO_FENCE, SIM_MUTANTS) != 0;
    }
    if (argc == 3 && strcmp(argv[1], "--mutant") == 0) {
        unsigned mutant = (unsigned) strtoul(argv[2], NULL, 10);
        return mutant == 0 || mutant >= SIM_MUTANTS ||
               sim_run_mutants((enum sim_mutant) mutant, (enum sim_mutant)(mutant + 1)) != 0;
    }
    uint64_t seeds = ORDINARY_SEEDS;
    if (argc == 2 && strcmp(argv[1], "--few") == 0) {
        seeds = FEW_SEEDS;
    } else if (argc != 1) {
        fprintf(stderr, "test_sim: see tests/sim/README.md\n");
        return 2;
    } else if (getenv("CROSSFADE_LONG") != NULL) {
        seeds = LONG_SEEDS;
    }
    unsigned hours = seeds == FEW_SEEDS ? 1 : seeds == LONG_SEEDS ? LONG_HOURS : 2;
    unsigned failed = 0;
    for (size_t i = 0; i < XF_COUNT(found_before); i++) {
        failed += run_some(found_before[i], found_before[i] + 1, 1);
    }
    failed += run_seeds(1, seeds) + sim_run_scenarios(false, seeds == FEW_SEEDS ? 1 : 3) +
              run_healthy(1, hours);
    if (seeds != FEW_SEEDS) {
        failed += sim_run_mutants(SIM_NO_FENCE, SIM_MUTANTS);
    }
    return failed != 0;
}
