/*
 * sim_runs.h -- what test_sim runs: storms drawn from a seed, scenarios, mutants.
 */
#ifndef XF_TESTS_SIM_RUNS_H
#define XF_TESTS_SIM_RUNS_H

#include "sim.h"

struct sim_sums {
    unsigned seeds, changes, safes, finalized, aborted, retreats, deliveries, losses;
};

extern const char sim_hook_plan[], sim_approve_plan[], sim_proof_plan[], sim_window_plan[];

/* All that may go wrong together, as the seed says. */
struct sim_options sim_stormy(uint64_t seed);
bool sim_run_seed(const struct sim_options *options, struct sim_sums *sums, char breach[512]);
/* Each returns how many failed. */
unsigned sim_run_scenarios(bool trace, unsigned seeds);
unsigned sim_run_mutants(enum sim_mutant first, enum sim_mutant end);

#endif
