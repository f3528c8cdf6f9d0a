/*
 * sim_mutants.c -- one rule broken on purpose, each in its turn: a seed must see it.
 */
#include "sim_runs.h"

#include "config/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUTANT_SEEDS 400u

static void two_leaders(struct sim_options *options)
{
    options->late_writes = 300; /* writes that arrive after another took over */
    options->leader_kills = options->leader_freezes = true;
}

static void absent(struct sim_options *options)
{ /* somebody must be away while leaders change */
    options->long_absence = options->proxy_restarts = options->leader_kills = true;
    options->green_fails = options->overrides = options->forgets = false;
}

static void outages(struct sim_options *options)
{
    options->store_outages = true;
}

static void garbage(struct sim_options *options)
{
    options->garbage = true;
}

static void lost_answers(struct sim_options *options)
{
    options->store_faults = 200;
}

static const char *const revoking[] = {"3000 ann start", "66000 ann abort {\"force\": true}",
                                       "70000 ann abort {\"force\": true}",
                                       "74000 ann abort {\"force\": true}", NULL};

static void revoked_late(struct sim_options *options)
{
    options->freeze_in_safe = true;
    options->operators = false;
    options->script = revoking;
    options->plan = NULL;
    options->proxy_restarts = options->proxy_freezes = options->green_fails = false;
    options->proxy_cuts = options->digests = options->forgets = false;
    options->store_loss = options->store_flushes = false;
}

static void revoked_while_leaders_die(struct sim_options *options)
{
    revoked_late(options);
    options->leader_kills = true;
}

static void approvals(struct sim_options *options)
{
    options->plan = sim_approve_plan;
    options->leader_kills = true;
    options->store_loss = options->store_flushes = false;
}

static void bad_green(struct sim_options *options)
{
    options->green_fails = true;
    options->plan = NULL;
}

static void no_samples(struct sim_options *options)
{
    options->plan = sim_proof_plan;
    options->mute_from_ms = 1;
}

static void generations(struct sim_options *options)
{
    options->generations = options->operators = true;
    options->store_loss = options->store_flushes = false;
}

static void windows(struct sim_options *options)
{
    options->plan = sim_window_plan;
    options->open_from_ms = 100000;
    options->open_until_ms = 160000;
    options->clock_jumps = false;
}

static void losses(struct sim_options *options)
{
    options->store_loss = options->leader_kills = true;
}

static void hooks(struct sim_options *options)
{
    static const char *const starts[] = {"3000 ann start", NULL};
    options->plan = sim_hook_plan;
    options->script = starts;
    options->operators = options->green_fails = false;
    options->leader_kills = true;
    options->proxy_restarts = options->proxy_cuts = options->digests = false;
    options->store_loss = options->store_flushes = false;
}

static void overrides(struct sim_options *options)
{
    options->overrides = options->proxy_cuts = true;
    options->late_writes = 0;
}

static void digests(struct sim_options *options)
{
    options->digests = true;
}

static const struct {
    const char *rule; /* of DESIGN.md section 16 or FAULTS.md */
    const char *what;
    void (*stage)(struct sim_options *options); /* what must be there for it; NULL: any storm */
    uint64_t likely; /* where it was last caught late: tried first, to save minutes */
} mutants[SIM_MUTANTS] = {
    [SIM_NO_FENCE] = {"I10", "the store does not ask who writes", two_leaders, 0},
    [SIM_NO_EXPECTED] = {"I10", "the store does not compare versions", two_leaders, 0},
    [SIM_SMALLER_APPLIED] = {"I9", "a proxy applies a smaller version", NULL, 0},
    [SIM_QUIET_LIE] = {"I6", "the quiet time is 0", NULL, 0},
    [SIM_FORGETFUL] = {"I8", "who was silent is forgotten with the leader", absent, 0},
    [SIM_FAST_CLOCK] = {"I14", "hold time is counted threefold", NULL, 0},
    [SIM_HOLDS_LOST] = {"invariant 3", "a new leader does not see the holds", NULL, 0},
    [SIM_IN_FORCE_LIE] = {"I6", "a proxy confirms before it obeys", NULL, 0},
    [SIM_FAILS_OPEN] = {"I4", "a proxy leaves its weight when the store is away", outages, 0},
    [SIM_GARBAGE_APPLIED] = {"I5", "what does not read counts as weight 0", garbage, 0},
    [SIM_ROSTER_BLIND] = {"I6", "one member of the roster is not compared", NULL, 0},
    [SIM_SILENCE_FORGETS] = {"I8", "silence ends a membership", absent, 0},
    [SIM_NEW_ID_ON_RETRY] = {"I7, I10", "a retry comes without its write_id", lost_answers, 0},
    [SIM_NO_RECHECK] = {"I6", "the signal is sent without a re-check", revoked_late, 0},
    [SIM_REVOKED_UNNUMBERED] = {"I7", "revoked has no larger sequence", revoked_while_leaders_die,
                                0},
    [SIM_LEASE_FOR_ALL] = {"I10", "the lease is given to whoever asks", two_leaders, 0},
    [SIM_RESUME_APPROVES] = {"section 7", "resume lifts approval", approvals, 0},
    [SIM_ERRORS_UNSEEN] = {"I11", "failures of green are not counted", bad_green, 0},
    [SIM_DATA_MADE_UP] = {"I11", "no data is good data", no_samples, 0},
    [SIM_CONFIRMS_FOR_ALL] = {"I12", "a heartbeat confirms the newest version", NULL, 0},
    [SIM_GENERATION_IGNORED] = {"I13", "if_generation is not compared", generations, 0},
    [SIM_WINDOW_BLIND] = {"I14", "the window is held against a wrong clock", windows, 0},
    [SIM_OFFERS_LOST] = {"I9", "what proxies offer is not looked at", losses, 0},
    [SIM_ACTION_AGAIN] = {"section 7", "a started action is started again", hooks, 0},
    [SIM_OVERRIDE_UNSEEN] = {"invariant 4", "a local override is not seen", overrides, 0},
    [SIM_DIGEST_UNSEEN] = {"hold config", "configurations are not compared", digests, 0},
};

static bool is_caught(enum sim_mutant mutant)
{
    char breach[512] = "";
    for (uint64_t tried = 0; tried <= MUTANT_SEEDS; tried++) {
        uint64_t seed = tried == 0 ? mutants[mutant].likely : tried;
        if (seed == 0) {
            continue;
        }
        struct sim_sums sums = {0};
        struct sim_options options = sim_stormy(seed);
        options.mutant = mutant;
        if (mutants[mutant].stage != NULL) {
            mutants[mutant].stage(&options);
        }
        if (!sim_run_seed(&options, &sums, breach)) {
            printf("mutant \"%s\" (%s): seed %llu, %s\n", mutants[mutant].what,
                   mutants[mutant].rule, (unsigned long long) seed, breach);
            options.mutant = SIM_HEALTHY;
            if (sim_run_seed(&options, &sums, breach)) {
                return true;
            }
            printf("  but unbroken it fails too: %s\n", breach);
            return false;
        }
    }
    printf("mutant \"%s\" (%s) survived %u seeds\n", mutants[mutant].what, mutants[mutant].rule,
           MUTANT_SEEDS);
    return false;
}

unsigned sim_run_mutants(enum sim_mutant first, enum sim_mutant end)
{
    unsigned survivors = 0;
    for (enum sim_mutant mutant = first; mutant < end; mutant++) {
        survivors += !is_caught(mutant);
    }
    printf("%u mutants, %u survived\n", (unsigned) (end - first), survivors);
    return survivors;
}
