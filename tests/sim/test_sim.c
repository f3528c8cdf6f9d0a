/*
 * test_sim.c -- seeds, scenarios and mutants.
 *
 *     test_sim                     200 seeds, every scenario, every mutant
 *     test_sim --seeds 1 5000      so many seeds from the first on
 *     test_sim --replay SEED       one seed with a trace
 *     test_sim --scenarios         the scenarios with a trace; --mutants, --mutant N
 */
#include "sim.h"

#include "config/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim_options stormy(uint64_t seed)
{
    return (struct sim_options){.seed = seed,
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
                                .green_fails = seed % 4 == 3};
}

struct sums {
    unsigned seeds, changes, safes, finalized, aborted, retreats, deliveries;
};

static bool run_seed(const struct sim_options *options, struct sums *sums, char breach[512])
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
    sim_release(&sim);
    return good;
}

static unsigned run_seeds(uint64_t first, uint64_t count)
{
    struct sums sums = {0};
    unsigned failed = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim_options options = stormy(seed);
        char breach[512];
        if (!run_seed(&options, &sums, breach)) {
            printf("seed %llu: %s\n  replay: test_sim --replay %llu\n", (unsigned long long) seed,
                   breach, (unsigned long long) seed);
            failed++;
        }
    }
    printf("%u seeds: %u changes, %u safe, %u finalized, %u aborted, %u retreats, %u deliveries; "
           "%u failed\n",
           sums.seeds, sums.changes, sums.safes, sums.finalized, sums.aborted, sums.retreats,
           sums.deliveries, failed);
    return failed;
}

/* ---- scenarios: what must come of a few words ---- */

struct scenario {
    const char *name;
    struct sim_options options;
    const char *script[8];
    unsigned finalized, aborted, retreats; /* what must come of it */
    bool never_safe;
};

#define CALM .length_ms = 240000
static const struct scenario scenarios[] = {
    {"a_calm_cutover_is_finalized", {CALM}, {"5000 ann start", "120000 ann finalize"}, 1, 0, 0, 0},
    {"it_goes_there_and_back_again",
     {.length_ms = 400000},
     {"5000 ann start", "120000 ann finalize", "130000 ann start", "250000 ann finalize"},
     2,
     0,
     0,
     0},
    {"a_bad_green_is_sent_home", {CALM, .green_fails = true}, {"5000 ann start"}, 0, 0, 1, true},
    {"an_abort_ends_on_blue", {CALM}, {"5000 ann start", "25000 ann abort"}, 0, 1, 0, true},
    {"a_paced_abort_ends_on_blue",
     {CALM},
     {"5000 ann start", "40000 ann abort {\"over_ms\": 20000}"},
     0,
     1,
     0,
     true},
    {"a_pause_holds_until_its_own_hand_lifts_it",
     {CALM},
     {"5000 ann start", "10000 ann pause", "20000 bob resume"},
     0,
     0,
     0,
     true},
    {"a_pause_and_its_end_cost_only_time",
     {CALM},
     {"5000 ann start", "10000 ann pause", "40000 ann resume", "150000 ann finalize"},
     1,
     0,
     0,
     0},
    {"a_weight_by_hand_never_soaks",
     {CALM},
     {"5000 ann start", "12000 ann weight {\"weight\": 10000}"},
     0,
     0,
     0,
     true},
    {"steps_by_hand_reach_the_end",
     {CALM},
     {"5000 ann start", "8000 ann step", "12000 ann promote {\"full\": true}", "16000 ann step",
      "60000 ann finalize"},
     1,
     0,
     0,
     0},
    {"finalize_too_early_is_refused", {CALM}, {"5000 ann start", "20000 ann finalize"}, 0, 0, 0, 0},
    {"a_forced_abort_in_safe_revokes_first",
     {CALM},
     {"5000 ann start", "110000 ann abort {\"force\": true}"},
     0,
     1,
     0,
     0},
    {"an_abort_in_safe_without_force_changes_nothing",
     {CALM},
     {"5000 ann start", "110000 ann abort", "120000 ann finalize"},
     1,
     0,
     0,
     0},
    {"leaders_die_and_it_goes_on", {CALM, .leader_kills = true}, {"5000 ann start"}, 0, 0, 0, 0},
    {"leaders_freeze_and_it_goes_on",
     {CALM, .leader_freezes = true},
     {"5000 ann start"},
     0,
     0,
     0,
     0},
    {"answers_get_lost_and_nothing_happens_twice",
     {CALM, .store_faults = 300},
     {"5000 ann start"},
     0,
     0,
     0,
     0},
    {"the_store_comes_and_goes", {CALM, .store_outages = true}, {"5000 ann start"}, 0, 0, 0, 0},
    {"messages_get_lost", {CALM, .message_loss = 400}, {"5000 ann start"}, 0, 0, 0, 0},
    {"proxies_freeze_in_the_middle", {CALM, .proxy_freezes = true}, {"5000 ann start"}, 0, 0, 0, 0},
    {"proxies_die_and_return", {CALM, .proxy_restarts = true}, {"5000 ann start"}, 0, 0, 0, 0},
    {"clocks_jump", {CALM, .clock_jumps = true}, {"5000 ann start"}, 0, 0, 0, 0},
    {"the_store_is_set_back_to_an_older_save",
     {CALM, .store_loss = true},
     {"5000 ann start"},
     0,
     0,
     0,
     0},
};

static unsigned run_scenarios(bool trace)
{
    unsigned failed = 0;
    for (size_t i = 0; i < XF_COUNT(scenarios); i++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            static struct sim sim;
            const struct scenario *scenario = &scenarios[i];
            struct sim_options options = scenario->options;
            options.seed = seed * 1000 + i;
            options.script = scenario->script;
            options.trace = trace;
            bool good = sim_run(&sim, &options);
            bool calm = scenario->finalized + scenario->aborted > 0 || scenario->never_safe;
            if (good && calm &&
                (sim.finalized != scenario->finalized || sim.aborted != scenario->aborted ||
                 sim.retreats < scenario->retreats || (scenario->never_safe && sim.safes > 0))) {
                good = false;
                snprintf(sim.breach, sizeof(sim.breach),
                         "%u finalized, %u aborted, %u retreats, %u safe", sim.finalized,
                         sim.aborted, sim.retreats, sim.safes);
            }
            if (!good) {
                printf("scenario %s, seed %llu: %s\n", scenario->name,
                       (unsigned long long) options.seed, sim.breach);
                failed++;
            }
            sim_release(&sim);
        }
    }
    printf("%zu scenarios, 3 seeds each; %u failed\n", XF_COUNT(scenarios), failed);
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
    struct sums sums = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim_options options = {
            .seed = seed, .length_ms = 4200000, .both_fail = 10, .plan = plan, .script = script};
        unsigned safes = sums.safes;
        char breach[512];
        bool good = run_seed(&options, &sums, breach);
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

/* ---- mutants: a broken rule must be seen ---- */

static const char *const mutant_names[SIM_MUTANTS] = {
    [SIM_HEALTHY] = "healthy",
    [SIM_NO_FENCE] = "the store does not ask who writes",
    [SIM_NO_EXPECTED] = "the store does not compare versions",
    [SIM_SMALLER_APPLIED] = "a proxy applies a smaller version",
    [SIM_QUIET_LIE] = "the quiet time is 0",
    [SIM_FORGETFUL] = "who was silent is forgotten with the leader",
    [SIM_FAST_CLOCK] = "hold time is counted threefold",
    [SIM_HOLDS_LOST] = "a new leader does not see the holds",
    [SIM_IN_FORCE_LIE] = "a proxy confirms before it obeys",
};

#define MUTANT_SEEDS 400u

/* Where a mutant was last caught late: tried first, to save minutes; then 1, 2, 3, … */
static const uint64_t mutant_likely[SIM_MUTANTS] = {
    [SIM_NO_EXPECTED] = 195, [SIM_FORGETFUL] = 41, [SIM_IN_FORCE_LIE] = 41};

static unsigned run_mutants(enum sim_mutant first, enum sim_mutant end)
{
    unsigned survivors = 0;
    for (enum sim_mutant mutant = first; mutant < end; mutant++) {
        bool caught = false;
        char breach[512] = "";
        uint64_t seed = 0;
        for (uint64_t tried = 0; tried <= MUTANT_SEEDS && !caught; tried++) {
            seed = tried == 0 ? mutant_likely[mutant] : tried;
            if (seed == 0) {
                continue;
            }
            struct sums sums = {0};
            struct sim_options options = stormy(seed);
            options.mutant = mutant;
            if (mutant == SIM_NO_FENCE || mutant == SIM_NO_EXPECTED) {
                options.late_writes = 300; /* writes that arrive after another took over */
                options.leader_kills = options.leader_freezes = true;
            }
            if (mutant == SIM_FORGETFUL) { /* somebody must be away while leaders change */
                options.long_absence = options.proxy_restarts = options.leader_kills = true;
                options.green_fails = false;
            }
            caught = !run_seed(&options, &sums, breach);
        }
        if (caught) {
            printf("mutant \"%s\": seed %llu, %s\n", mutant_names[mutant],
                   (unsigned long long) seed, breach);
        } else {
            printf("mutant \"%s\" survived %u seeds\n", mutant_names[mutant], MUTANT_SEEDS);
            survivors++;
        }
    }
    return survivors;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "--replay") == 0) {
        struct sums sums = {0};
        struct sim_options options = stormy(strtoull(argv[2], NULL, 10));
        char breach[512];
        options.trace = true;
        bool good = run_seed(&options, &sums, breach);
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
        return run_scenarios(true) != 0;
    }
    if (argc == 2 && strcmp(argv[1], "--mutants") == 0) {
        return run_mutants(SIM_NO_FENCE, SIM_MUTANTS) != 0;
    }
    if (argc == 3 && strcmp(argv[1], "--mutant") == 0) {
        unsigned mutant = (unsigned) strtoul(argv[2], NULL, 10);
        return mutant == 0 || mutant >= SIM_MUTANTS ||
               run_mutants((enum sim_mutant) mutant, (enum sim_mutant)(mutant + 1)) != 0;
    }
    unsigned failed = run_seeds(1, 200) + run_scenarios(false) + run_healthy(1, 2) +
                      run_mutants(SIM_NO_FENCE, SIM_MUTANTS);
    return failed != 0;
}
