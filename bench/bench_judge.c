/*
 * bench_judge.c -- cutovers by the thousand, judged by the real modules.
 *
 * Traffic is drawn cell by cell (50 ms) and fed to the judge as the leader feeds it.  The rules
 * of Flagger (success below 99 % in 5 checks of a minute) and of Argo Rollouts (below 95 % in more
 * than 3 checks of five minutes), as their documentation shows them, look at the same streams.
 *
 *     bench_judge healthy|faults|late|slow [RUNS [ROW]]      prints a table in Markdown
 *
 * `late` draws the healthy half hour before the fault once for all faults of the same base rate:
 * the judge is a plain value, and each fault goes on from a copy.
 */
#include "shifter/judge/judge.h"

#include "config/base/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL_S     (XF_CELL_MS / 1000.0)
#define START_MS   INT64_C(1000000000) /* on the grid */
#define PLAN_STEPS 7
#define PLANNED_MS INT64_C(3600000)
#define STEP_MS    INT64_C(180000)  /* of a healthy cutover: 21 minutes in all */
#define HORIZON_MS INT64_C(3600000) /* a fault that is not judged within this counts as missed */
#define LATE_MS    INT64_C(1800000)
#define COARSE_MS  1000 /* after the verdict only the other tools look */
#define LEARNT     5000 /* responses of blue before the start */

/* ---- chance ---- */

struct chance {
    uint64_t a;
    uint64_t b;
};

static struct chance chance_seeded(uint64_t seed)
{
    return (struct chance){seed * 0x9e3779b97f4a7c15u + 1, (seed + 77) * 0xbf58476d1ce4e5b9u + 1};
}

static uint64_t draw_bits(struct chance *chance)
{
    uint64_t a = chance->a;
    uint64_t b = chance->b;
    chance->a = b;
    a ^= a << 23;
    chance->b = a ^ b ^ (a >> 18) ^ (b >> 5);
    return chance->b + b;
}

static double draw(struct chance *chance)
{
    return ((double) (draw_bits(chance) >> 11) + 0.5) / 9007199254740992.0;
}

/* The distribution of one mean: cumulative, with a guide that says where to begin the search. */
#define TABLE_MEAN_MAX 30.0
#define TABLE_COUNTS   128u
#define TABLE_GUIDE    256u
#define TABLES         16u /* a cell needs six */

struct table {
    double mean;
    uint8_t guide[TABLE_GUIDE];
    double below[TABLE_COUNTS]; /* probability of this count or less */
};

static void table_fill(struct table *table, double mean)
{
    double p = exp(-mean);
    double sum = 0;
    for (unsigned i = 0; i < TABLE_COUNTS; i++) {
        sum += p;
        table->below[i] = i + 1 < TABLE_COUNTS ? sum : 1;
        p *= mean / (i + 1);
    }
    unsigned at = 0;
    for (unsigned i = 0; i < TABLE_GUIDE; i++) {
        while (table->below[at] <= (double) i / TABLE_GUIDE && at + 1 < TABLE_COUNTS) {
            at++;
        }
        table->guide[i] = (uint8_t) at;
    }
    table->mean = mean;
}

/* The table of `mean`, made where it is missing in place of the oldest. */
static const struct table *table_for(double mean)
{
    static struct table tables[TABLES];
    static unsigned oldest;
    for (unsigned i = 0; i < TABLES; i++) {
        if (tables[i].mean == mean) {
            return &tables[i];
        }
    }
    oldest = (oldest + 1) % TABLES;
    table_fill(&tables[oldest], mean);
    return &tables[oldest];
}

/* Poisson; a large mean, which only counts of good responses have, is a rounded normal. */
static uint64_t draw_poisson(struct chance *chance, double mean)
{
    if (mean <= 0) {
        return 0;
    }
    if (mean > TABLE_MEAN_MAX) {
        double normal = sqrt(-2 * log(draw(chance))) * cos(6.283185307179586 * draw(chance));
        double value = floor(mean + sqrt(mean) * normal + 0.5);
        return value > 0 ? (uint64_t) value : 0;
    }
    const struct table *table = table_for(mean);
    double u = draw(chance);
    unsigned at = table->guide[(unsigned) (u * TABLE_GUIDE)];
    while (table->below[at] < u) {
        at++;
    }
    return at;
}

static uint64_t draw_binomial(struct chance *chance, uint64_t n, double p)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < n; i++) {
        count += draw(chance) < p;
    }
    return count;
}

/* ---- the world ---- */

struct world {
    const char *name;
    double rps;
    double blue;  /* failing share of blue */
    double green; /* of green before the fault, or of a healthy one */
    double blue_slow;
    double green_slow;
    bool bursts;      /* one a 10 s, 10 errors within the blip, on one cluster by its traffic */
    bool even_bursts; /* likewise, but as often on either cluster */
    bool outages;     /* three times 10 s in which both fail half of all */
    bool storms;      /* three times 30 s: one client adds 50 failing requests a second */
    bool poison;      /* one sticky client whose requests all fail, counted once a step */
    bool drift;       /* the rate that both share moves between 0.1 and 3 % */
};

/* What fails now. */
struct moment {
    double blue;
    double green;
    double blue_slow;
    double green_slow;
    bool green_hangs;
};

struct burst {
    int64_t until_ms;
    double errors; /* a second of them, while it lasts */
    bool green;
};

static double poisson_share(double rps, double share, int64_t ms)
{
    return rps * share * (double) ms / 1000;
}

static struct xf_judge_entry draw_cell(struct chance *chance, const struct moment *now, double rps,
                                       unsigned weight, int64_t ms)
{
    struct xf_judge_entry entry = {.weight = weight};
    double rho = (double) weight / XF_WEIGHT_FULL;
    double rates[2] = {rps * (1 - rho), rps * rho};
    double bad[2] = {now->blue, now->green};
    double slow[2] = {now->blue_slow, now->green_slow};
    for (unsigned role = 0; role < 2; role++) {
        struct xf_judge_counts *counts = &entry.role[role];
        uint64_t failed = draw_poisson(chance, poisson_share(rates[role], bad[role], ms));
        uint64_t good = draw_poisson(chance, poisson_share(rates[role], 1 - bad[role], ms));
        counts->sent = failed + good;
        counts->slow = draw_poisson(chance, poisson_share(rates[role], slow[role], ms));
        if (role == XF_JUDGE_GREEN && now->green_hangs) {
            counts->slow = counts->sent; /* tau is far below the cell in which they are seen */
            continue;
        }
        counts->bad = failed;
        counts->done = failed + good;
    }
    return entry;
}

/* ---- the other tools ---- */

struct checker {
    int64_t every_ms;
    double success;
    unsigned failures_max; /* it stops when there are more */
    int64_t next_ms;
    uint64_t done;
    uint64_t bad;
    unsigned failures;
    int64_t stopped_ms; /* -1: not yet */
    double leaked;
};

static void checker_init(struct checker *checker, int64_t every_ms, double success, unsigned max)
{
    *checker = (struct checker){.every_ms = every_ms,
                                .success = success,
                                .failures_max = max,
                                .next_ms = START_MS + every_ms,
                                .stopped_ms = -1};
}

static void checker_see(struct checker *checker, int64_t end_ms, uint64_t done, uint64_t bad)
{
    if (checker->stopped_ms >= 0) {
        return;
    }
    checker->done += done;
    checker->bad += bad;
    checker->leaked += (double) bad;
    if (end_ms < checker->next_ms) {
        return;
    }
    if (checker->done > 0 &&
        (double) (checker->done - checker->bad) < checker->success * (double) checker->done) {
        checker->failures++;
    }
    if (checker->failures > checker->failures_max) {
        checker->stopped_ms = end_ms;
    }
    checker->done = 0;
    checker->bad = 0;
    checker->next_ms += checker->every_ms;
}

static void checkers_init(struct checker *flagger, struct checker *argo)
{
    checker_init(flagger, 60000, 0.99, 4);
    checker_init(argo, 300000, 0.95, 3);
}

/* ---- one cutover ---- */

static void begin_judge(struct xf_judge *judge, struct chance *chance, const struct world *world,
                        int64_t planned_ms)
{
    struct xf_judge_options options;
    xf_judge_options_default(&options);
    options.steps = PLAN_STEPS;
    options.planned_ms = planned_ms;
    options.blip_ms = XF_JUDGE_BLIP_MS;
    xf_judge_init(judge, &options, START_MS);
    struct xf_judge_cell cell;
    xf_judge_cell_init(&cell, START_MS - 60000, 60000);
    struct xf_judge_counts counts = {.done = LEARNT};
    counts.bad = draw_poisson(chance, LEARNT * world->blue);
    xf_judge_cell_add(&cell, 0, XF_JUDGE_BLUE, &counts);
    xf_judge_learn(judge, &cell);
}

#define PAUSES (1u << XF_JUDGE_ERRORS | 1u << XF_JUDGE_BUDGET | 1u << XF_JUDGE_LATENCY)

static void feed(struct xf_judge *judge, int64_t t_ms, const struct xf_judge_entry *entry)
{
    struct xf_judge_cell cell;
    xf_judge_cell_init(&cell, t_ms, XF_CELL_MS);
    cell.entries[cell.entry_count++] = *entry;
    xf_judge_feed(judge, &cell);
}

/* A burst: 10 errors on average within one blip, the first at the start of a random moment. */
static void add_burst(struct chance *chance, const struct world *world, struct burst *burst,
                      int64_t t_ms, struct xf_judge_entry *entry)
{
    double rho = (double) entry->weight / XF_WEIGHT_FULL;
    int64_t end_ms = t_ms + XF_CELL_MS;
    if (t_ms >= burst->until_ms && draw(chance) < CELL_S / 10) {
        burst->green = draw(chance) < (world->even_bursts ? 0.5 : rho);
        double share = world->even_bursts ? (burst->green ? rho : 1 - rho) * world->rps : 100;
        burst->errors = share;
        burst->until_ms = t_ms + (int64_t) (draw(chance) * XF_CELL_MS) + XF_JUDGE_BLIP_MS;
        t_ms = burst->until_ms - XF_JUDGE_BLIP_MS;
    }
    int64_t until_ms = burst->until_ms < end_ms ? burst->until_ms : end_ms;
    if (until_ms > t_ms) {
        double mean = burst->errors * (double) (until_ms - t_ms) / 1000;
        uint64_t errors = draw_poisson(chance, mean);
        struct xf_judge_counts *counts = &entry->role[burst->green];
        counts->done += errors; /* not sent: a burst fails what was in flight, and routes nothing */
        counts->bad += errors;
    }
}

static void add_storm(struct chance *chance, double rps, struct xf_judge_entry *entry)
{
    uint64_t errors = draw_poisson(chance, rps * CELL_S);
    uint64_t green = draw_binomial(chance, errors, (double) entry->weight / XF_WEIGHT_FULL);
    uint64_t parts[2] = {errors - green, green};
    for (unsigned role = 0; role < 2; role++) {
        entry->role[role].sent += parts[role];
        entry->role[role].done += parts[role];
        entry->role[role].bad += parts[role];
    }
}

/* Three stretches spread over the cutover, none in its last step, where green is alone. */
static bool in_stretch(int64_t at_ms, int64_t length_ms)
{
    static const int64_t starts_ms[] = {STEP_MS / 3, 2 * STEP_MS + STEP_MS / 3,
                                        5 * STEP_MS + STEP_MS / 3};
    for (size_t i = 0; i < XF_COUNT(starts_ms); i++) {
        if (at_ms >= starts_ms[i] && at_ms < starts_ms[i] + length_ms) {
            return true;
        }
    }
    return false;
}

static struct moment healthy_moment(const struct world *world, int64_t at_ms)
{
    struct moment now = {.blue = world->blue,
                         .green = world->green,
                         .blue_slow = world->blue_slow,
                         .green_slow = world->green_slow};
    if (world->outages && in_stretch(at_ms, 10000)) {
        now.blue = 0.5;
        now.green = 0.5;
    }
    if (world->drift) {
        double wave = 0.5 + 0.5 * sin((double) (at_ms / 1000) / 40);
        now.blue = 0.001 * pow(30, wave);
        now.green = now.blue;
    }
    return now;
}

struct healthy_result {
    unsigned rules;
    bool flagger;
    bool argo;
};

static struct healthy_result run_healthy(const struct world *world, uint64_t number)
{
    static const unsigned weights[PLAN_STEPS] = {100, 500, 1000, 2500, 5000, 8000, 10000};
    struct chance chance = chance_seeded(number);
    struct xf_judge judge;
    struct checker flagger, argo;
    struct burst burst = {.until_ms = 0};
    checkers_init(&flagger, &argo);
    begin_judge(&judge, &chance, world, PLAN_STEPS * STEP_MS);
    unsigned rules = 0;
    for (int64_t at_ms = 0; at_ms < PLAN_STEPS * STEP_MS; at_ms += XF_CELL_MS) {
        unsigned weight = weights[at_ms / STEP_MS];
        if (at_ms % STEP_MS == 0) {
            xf_judge_step_started(&judge, START_MS + at_ms, weight);
        }
        struct moment now = healthy_moment(world, at_ms);
        struct xf_judge_entry entry = draw_cell(&chance, &now, world->rps, weight, XF_CELL_MS);
        if (world->bursts || world->even_bursts) {
            add_burst(&chance, world, &burst, START_MS + at_ms, &entry);
        }
        if (world->storms && in_stretch(at_ms, 30000)) {
            add_storm(&chance, 50, &entry);
        }
        if (world->poison && at_ms % STEP_MS == 0) {
            add_storm(&chance, 1 / CELL_S, &entry);
        }
        feed(&judge, START_MS + at_ms, &entry);
        rules |= xf_judge_standing(&judge);
        const struct xf_judge_counts *green = &entry.role[XF_JUDGE_GREEN];
        int64_t end_ms = START_MS + at_ms + XF_CELL_MS;
        checker_see(&flagger, end_ms, green->done, green->bad);
        checker_see(&argo, end_ms, green->done, green->bad);
    }
    return (struct healthy_result){rules, flagger.stopped_ms >= 0, argo.stopped_ms >= 0};
}

struct fault {
    unsigned weight;
    int64_t begins_ms; /* after the step's start */
    double green;      /* its failing share then */
    double green_slow;
    bool hangs;
};

struct fault_result {
    bool judged;
    double leaked;   /* failed responses of green until the verdict */
    double requests; /* requests sent to green until then */
    double seconds;
    struct checker flagger;
    struct checker argo;
};

/* Where a run stands when its fault begins: a plain value, so that several faults can begin there.
 */
struct stage {
    struct chance chance;
    struct xf_judge judge;
};

/* The step's start and `healthy_ms` of health after it. */
static void set_stage(const struct world *world, unsigned weight, uint64_t number,
                      int64_t healthy_ms, struct stage *ret)
{
    struct moment now = {.blue = world->blue,
                         .green = world->green,
                         .blue_slow = world->blue_slow,
                         .green_slow = world->green_slow};
    ret->chance = chance_seeded(number);
    begin_judge(&ret->judge, &ret->chance, world, PLANNED_MS);
    xf_judge_step_started(&ret->judge, START_MS, weight);
    for (int64_t at_ms = 0; at_ms < healthy_ms; at_ms += XF_CELL_MS) {
        struct xf_judge_entry entry = draw_cell(&ret->chance, &now, world->rps, weight, XF_CELL_MS);
        feed(&ret->judge, START_MS + at_ms, &entry);
    }
}

/* `others`: on until the other tools stop too, an hour at most. */
static void run_fault(const struct world *world, const struct fault *fault,
                      const struct stage *stage, bool others, struct fault_result *ret)
{
    struct stage run = *stage;
    struct moment now = {.blue = world->blue,
                         .green = fault->green,
                         .blue_slow = world->blue_slow,
                         .green_slow = fault->green_slow,
                         .green_hangs = fault->hangs};
    *ret = (struct fault_result){.judged = false};
    checkers_init(&ret->flagger, &ret->argo);
    int64_t begins_ms = START_MS + fault->begins_ms;
    int64_t ms = XF_CELL_MS;
    for (int64_t at_ms = 0; at_ms < HORIZON_MS; at_ms += ms) {
        ms = ret->judged ? COARSE_MS : XF_CELL_MS;
        struct xf_judge_entry entry = draw_cell(&run.chance, &now, world->rps, fault->weight, ms);
        const struct xf_judge_counts *green = &entry.role[XF_JUDGE_GREEN];
        checker_see(&ret->flagger, START_MS + at_ms + ms, green->done, green->bad);
        checker_see(&ret->argo, START_MS + at_ms + ms, green->done, green->bad);
        if (!ret->judged) {
            feed(&run.judge, begins_ms + at_ms, &entry);
            ret->leaked += (double) green->bad;
            ret->requests += (double) green->sent;
            ret->seconds = (double) (at_ms + ms) / 1000;
            ret->judged = (xf_judge_standing(&run.judge) & PAUSES) != 0;
        }
        if (ret->judged &&
            (!others || (ret->flagger.stopped_ms >= 0 && ret->argo.stopped_ms >= 0))) {
            break;
        }
    }
}

/* ---- rows ---- */

static const struct world healthy_worlds[] = {
    {.name = "equal, 0.1 %", .rps = 200, .blue = 0.001, .green = 0.001},
    {.name = "equal, 1 %", .rps = 200, .blue = 0.01, .green = 0.01},
    {.name = "equal, 5 %", .rps = 200, .blue = 0.05, .green = 0.05},
    {.name = "equal, 1 %, 2,000/s", .rps = 2000, .blue = 0.01, .green = 0.01},
    {.name = "at the margin: 1.2x errors of 1 %, 1.5x slow",
     .rps = 200,
     .blue = 0.01,
     .green = 0.012,
     .green_slow = 0.015},
    {.name = "bursts of 10 errors within the blip, every 10 s",
     .rps = 200,
     .blue = 0.001,
     .green = 0.001,
     .bursts = true},
    {.name = "shared outages: 3 x 10 s, half of all fails",
     .rps = 200,
     .blue = 0.001,
     .green = 0.001,
     .outages = true},
    {.name = "shared drift between 0.1 and 3 %", .rps = 200, .drift = true, .blue = 0.01},
    {.name = "one client's storm: 3 x 30 s, 50 failing/s",
     .rps = 200,
     .blue = 0.001,
     .green = 0.001,
     .storms = true},
    {.name = "sticky poison client, counted once a step",
     .rps = 200,
     .blue = 0.001,
     .green = 0.001,
     .poison = true},
    {.name = "outside the assumption: a cluster fails whole for one blip, green as often as blue",
     .rps = 200,
     .blue = 0.001,
     .green = 0.001,
     .even_bursts = true},
};

static void print_healthy(unsigned runs, int only)
{
    printf("| healthy cutover, 7 steps | paused | of these errors | budget | latency | held both | "
           "router | Flagger | Argo |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < XF_COUNT(healthy_worlds); i++) {
        if (only >= 0 && (int) i != only) {
            continue;
        }
        struct world world = healthy_worlds[i];
        world.blue_slow = 0.01;
        world.green_slow = world.green_slow > 0 ? world.green_slow : 0.01;
        unsigned found[XF_JUDGE_RULES] = {0};
        unsigned paused = 0;
        unsigned flagger = 0;
        unsigned argo = 0;
        for (unsigned run = 0; run < runs; run++) {
            struct healthy_result result = run_healthy(&world, i * 1000003 + run);
            paused += (result.rules & PAUSES) != 0;
            flagger += result.flagger;
            argo += result.argo;
            for (unsigned rule = 0; rule < XF_JUDGE_RULES; rule++) {
                found[rule] += result.rules >> rule & 1;
            }
        }
        double percent = 100.0 / runs;
        printf("| %s | **%.2f %%** | %.2f | %.2f | %.2f | %.2f | %.2f | %.1f %% | %.1f %% |\n",
               world.name, percent * paused, percent * found[XF_JUDGE_ERRORS],
               percent * found[XF_JUDGE_BUDGET], percent * found[XF_JUDGE_LATENCY],
               percent * found[XF_JUDGE_BOTH], percent * found[XF_JUDGE_ROUTER], percent * flagger,
               percent * argo);
        fflush(stdout);
    }
}

struct sums {
    double leaked;
    double requests;
    double seconds;
    unsigned judged;
    double flagger_leaked;
    double argo_leaked;
    unsigned flagger;
    unsigned argo;
};

static void add_result(struct sums *sums, const struct fault_result *result)
{
    sums->leaked += result->leaked;
    sums->requests += result->requests;
    sums->seconds += result->seconds;
    sums->judged += result->judged;
    sums->flagger_leaked += result->flagger.leaked;
    sums->argo_leaked += result->argo.leaked;
    sums->flagger += result->flagger.stopped_ms >= 0;
    sums->argo += result->argo.stopped_ms >= 0;
}

static void print_fault_row(const char *name, unsigned weight, double rps, bool others,
                            const struct sums *sums, unsigned runs)
{
    double n = runs;
    printf("| %s | %u %% | %.0f/s | %.1f | %.2f | %.0f | %.1f %% | ", name, weight / 100, rps,
           sums->leaked / n, sums->seconds / n, sums->requests / n, 100 * sums->judged / n);
    if (others) {
        printf("%.0f (%.0f %%) | %.0f (%.0f %%) |\n", sums->flagger_leaked / n,
               100 * sums->flagger / n, sums->argo_leaked / n, 100 * sums->argo / n);
    } else {
        printf("| |\n");
    }
    fflush(stdout);
}

static const struct {
    const char *name;
    double blue;
    double green;
} faults[] = {
    {"2x of 1 %", 0.01, 0.02},     {"10x of 1 %", 0.01, 0.1}, {"5x of 0.1 %", 0.001, 0.005},
    {"10x of 0.1 %", 0.001, 0.01}, {"50 %", 0.001, 0.5},      {"100 %", 0.001, 1},
};

/* The faults from `first` to before `end`, which share blue's rate, in one world at one split. */
static void add_faults(const struct world *world, unsigned weight, int64_t begins_ms, unsigned runs,
                       size_t first, size_t end, struct sums *sums)
{
    for (unsigned run = 0; run < runs; run++) {
        struct stage stage;
        set_stage(world, weight, run * 7919 + 13, begins_ms, &stage);
        for (size_t i = first; i < end; i++) {
            struct fault fault = {.weight = weight,
                                  .begins_ms = begins_ms,
                                  .green = faults[i].green,
                                  .green_slow = world->green_slow};
            struct fault_result result;
            run_fault(world, &fault, &stage, begins_ms == 0, &result);
            add_result(&sums[i], &result);
        }
    }
}

/* One split at one rate of traffic: every fault. */
static void print_faults_at(unsigned weight, double rps, int64_t begins_ms, unsigned runs)
{
    struct sums sums[XF_COUNT(faults)] = {{.leaked = 0}};
    size_t end;
    for (size_t first = 0; first < XF_COUNT(faults); first = end) {
        for (end = first; end < XF_COUNT(faults) && faults[end].blue == faults[first].blue;) {
            end++;
        }
        struct world world = {.rps = rps,
                              .blue = faults[first].blue,
                              .green = faults[first].blue,
                              .blue_slow = 0.01,
                              .green_slow = 0.01};
        add_faults(&world, weight, begins_ms, runs, first, end, sums);
    }
    for (size_t i = 0; i < XF_COUNT(faults); i++) {
        print_fault_row(faults[i].name, weight, rps, begins_ms == 0, &sums[i], runs);
    }
}

static void print_faults(unsigned runs, int64_t begins_ms, int only)
{
    static const struct {
        unsigned weight;
        double rps;
    } rows[] = {{100, 200}, {100, 2000}, {500, 200}, {500, 2000}, {2500, 200}, {2500, 2000}};
    printf(
        "| green fails | split | traffic | leaked | seconds | green requests | judged within 1 h "
        "| Flagger leaks (stops) | Argo leaks (stops) |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        if (only < 0 || (int) i == only) {
            print_faults_at(rows[i].weight, rows[i].rps, begins_ms, runs);
        }
    }
}

/* A doubled p99: with a log-normal spread of 0.76, as the traces have, 8 % of green's requests
 * pass blue's p99. */
static void print_slow(unsigned runs)
{
    static const struct {
        const char *name;
        unsigned weight;
        double rps;
        double slow;
        bool hangs;
    } rows[] = {
        {"p99 doubled", 100, 200, 0.078, false},
        {"p99 doubled", 500, 200, 0.078, false},
        {"p99 doubled", 500, 2000, 0.078, false},
        {"p99 doubled", 2500, 200, 0.078, false},
        {"p99 doubled", 2500, 2000, 0.078, false},
        {"hangs", 500, 200, 0, true},
        {"hangs", 2500, 200, 0, true},
    };
    printf("| green | split | traffic | failed | seconds | green requests | judged within 1 h | "
           "| |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < XF_COUNT(rows); i++) {
        struct world world = {.rps = rows[i].rps,
                              .blue = 0.001,
                              .green = 0.001,
                              .blue_slow = 0.01,
                              .green_slow = 0.01};
        struct fault fault = {.weight = rows[i].weight,
                              .green = 0.001,
                              .green_slow = rows[i].slow,
                              .hangs = rows[i].hangs};
        struct sums sums = {.leaked = 0};
        for (unsigned run = 0; run < runs; run++) {
            struct stage stage;
            struct fault_result result;
            set_stage(&world, fault.weight, run * 7919 + 13, 0, &stage);
            run_fault(&world, &fault, &stage, true, &result);
            add_result(&sums, &result);
        }
        print_fault_row(rows[i].name, fault.weight, world.rps, true, &sums, runs);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    unsigned runs = argc > 2 ? (unsigned) strtoul(argv[2], NULL, 10) : 10000;
    int only = argc > 3 ? (int) strtol(argv[3], NULL, 10) : -1;
    if (runs == 0) {
        runs = 1;
    }
    if (strcmp(what, "healthy") == 0) {
        print_healthy(runs, only);
    } else if (strcmp(what, "faults") == 0) {
        print_faults(runs, 0, only);
    } else if (strcmp(what, "late") == 0) {
        print_faults(runs, LATE_MS, only);
    } else if (strcmp(what, "slow") == 0) {
        print_slow(runs);
    } else {
        fprintf(stderr, "usage: bench_judge healthy|faults|late|slow [RUNS] [ROW]\n");
        return 2;
    }
    return 0;
}
