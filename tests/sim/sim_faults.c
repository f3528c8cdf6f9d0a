/*
 * sim_faults.c -- what goes wrong, and everything that happens ten times a second.
 */
#include "sim.h"

#include <stdlib.h>

static void proxy_returns(struct sim *sim, void *argument)
{
    unsigned *number = argument;
    if (!sim->proxies[*number].alive) {
        sim_trace(sim, "proxy %u starts", *number);
        sim_proxy_begin(sim, *number);
    }
    free(number);
}

static void return_later(struct sim *sim, unsigned number, int64_t delay_ms,
                         void (*run)(struct sim *, void *))
{
    unsigned *argument = malloc(sizeof(*argument));
    *argument = number;
    sim_later(sim, delay_ms, run, argument);
}
/* ---- faults ---- */

static void freeze_proxy(struct sim *sim, struct sim_proxy *proxy, int64_t ms)
{
    sim_trace(sim, "%s stops for %lld ms", proxy->name, (long long) ms);
    for (unsigned i = 0; i < SIM_FLIGHTS; i++) { /* what is in flight stays so */
        if (proxy->flights[i] > sim->now) {
            proxy->flights[i] += ms;
        }
    }
    proxy->in_force_at += proxy->in_force_at > sim->now ? ms : 0;
    proxy->frozen_until = sim->now + ms;
}

static void leader_faults(struct sim *sim)
{
    unsigned number = (unsigned) sim_draw(sim, SIM_LEADERS);
    struct sim_leader *leader = &sim->leaders[number];
    if (!leader->alive || sim->now < leader->frozen_until) {
        return;
    }
    if (sim->options.leader_kills && sim_chance(sim, 2)) {
        sim_trace(sim, "leader %u dies", number);
        sim_leader_end(sim, number);
        return_later(sim, number, 100 + (int64_t) sim_draw(sim, 8000), sim_leader_returns);
    } else if (sim->options.leader_freezes && sim_chance(sim, 2)) {
        leader->frozen_until = sim->now + (int64_t) sim_draw(sim, 9000);
        sim_trace(sim, "leader %u stops until %.3f", number,
                  (double) leader->frozen_until / 1000.0);
    } else if (sim->options.clock_jumps && sim_chance(sim, 3)) {
        leader->wall_offset += ((int64_t) sim_draw(sim, 7200) - 3600) * 1000;
        sim_trace(sim, "leader %u: the wall clock jumps", number);
    }
}

static void proxy_faults(struct sim *sim)
{
    struct sim_proxy *proxy = &sim->proxies[sim_draw(sim, SIM_PROXIES)];
    if (!proxy->alive || sim->now < proxy->frozen_until) {
        return;
    }
    if (sim->options.proxy_freezes && sim_chance(sim, 3)) {
        freeze_proxy(sim, proxy, (int64_t) sim_draw(sim, 15000));
    } else if (sim->options.proxy_restarts && sim_chance(sim, 2)) {
        sim_trace(sim, "%s dies", proxy->name);
        proxy->alive = false;
        proxy->reached_at = INT64_MAX;
        proxy->frozen_until = sim->now;
        int64_t away_ms = sim->options.long_absence ? 60000 + (int64_t) sim_draw(sim, 60000)
                                                    : 500 + (int64_t) sim_draw(sim, 20000);
        return_later(sim, proxy->number, away_ms, proxy_returns);
    }
}

/* Cut off, steered by hand where nobody leads any more, configured otherwise. */
static void odd_faults(struct sim *sim)
{
    struct sim_proxy *proxy = &sim->proxies[sim_draw(sim, SIM_PROXIES)];
    if (!proxy->alive || sim->now < proxy->frozen_until) {
        return;
    }
    if (sim->options.proxy_cuts && sim->now >= proxy->cut_until && sim_chance(sim, 3)) {
        proxy->cut_until = sim->now + 1000 + (int64_t) sim_draw(sim, 25000);
        sim_trace(sim, "%s is cut off until %.3f", proxy->name, (double) proxy->cut_until / 1000.0);
    }
    if (sim->options.overrides && sim_chance(sim, 60)) {
        sim_proxy_break_glass(sim, proxy);
    }
    if (sim->options.digests && sim_chance(sim, proxy->digest_since < 0 ? 2 : 15)) {
        proxy->digest_since = proxy->digest_since < 0 ? sim->now : -1;
        sim_trace(sim, "%s is configured %s", proxy->name,
                  proxy->digest_since < 0 ? "alike" : "otherwise");
    }
}

static void store_faults(struct sim *sim)
{
    if (sim->options.store_outages && sim->now >= sim->down_until && sim_chance(sim, 2)) {
        sim->down_until = sim->now + (int64_t) sim_draw(sim, 10000);
        sim_trace(sim, "the store is away until %.3f", (double) sim->down_until / 1000.0);
    }
    if (sim->options.store_loss) {
        if (sim_chance(sim, 10)) {
            sim_store_save(sim);
        } else if (sim_chance(sim, 3)) {
            sim_trace(sim, "the store is set back");
            sim_store_restore(sim);
        }
    }
    if (sim->options.store_flushes && sim_chance(sim, 2)) {
        sim_trace(sim, "the store is emptied");
        sim_store_flush(sim);
    }
}

/* The rule that a mutant breaks: silence would end a membership. */
static void forget_silent(struct sim_leader *leader)
{
    int64_t boot_ms = leader->clock.boottime_ns(leader->clock.context) / 1000000;
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        (void) xf_roster_forget(leader->roster, leader->sim->proxies[i].id, boot_ms);
    }
}

static void attempt(struct sim_leader *leader)
{
    leader->checking = true;
    if (leader->sim->options.mutant == SIM_NO_RECHECK) {
        sim_leader_attempt(leader);
    } else {
        xf_tenure_signal_check(leader->tenure);
    }
}

/* Everything that happens ten times a second. */
void sim_tick(struct sim *sim, void *argument)
{
    if (sim_faulty(sim)) {
        leader_faults(sim);
        proxy_faults(sim);
        odd_faults(sim);
        store_faults(sim);
        if (sim->options.operators && sim_chance(sim, 20)) {
            sim_random_command(sim);
        }
        if (sim->options.green_fails && sim_chance(sim, 3)) {
            sim->green_bad = !sim->green_bad;
            sim_trace(sim, "green is %s", sim->green_bad ? "bad" : "good");
        }
        if (sim->options.green_bad_from_ms > 0 && !sim->green_bad &&
            sim->now >= sim->options.green_bad_from_ms) {
            sim->green_bad = true;
        }
    } else if (sim->now > sim->options.length_ms - 60000) {
        sim->green_bad = false;
        for (unsigned i = 0; i < SIM_PROXIES; i++) {
            sim->proxies[i].digest_since = -1;
        }
    }
    for (unsigned i = 0; i < SIM_PROXIES; i++) {
        sim_proxy_tick(sim, &sim->proxies[i]);
    }
    for (unsigned i = 0; i < SIM_LEADERS; i++) {
        struct sim_leader *leader = &sim->leaders[i];
        if (!leader->alive || sim->now < leader->frozen_until) {
            continue;
        }
        if (sim->options.mutant == SIM_SILENCE_FORGETS) {
            forget_silent(leader);
        }
        if (leader->delivering != 0 && !leader->checking && sim->now >= leader->attempt_at) {
            attempt(leader); /* its timer may come before the tick that finds the lease lost */
        }
        xf_tenure_tick(leader->tenure);
    }
    sim_check_tick(sim);
    sim_later(sim, SIM_TICK_MS, sim_tick, argument);
}
