/*
 * cmd_wait.c -- `crossfade wait`: blocks until a cutover is as far as was asked.
 *
 * It looks at the status a few times a second and rides out a daemon that restarts.  Holds that
 * end by themselves are waited through; one that needs a person ends the waiting with exit 3.
 */
#include "shifter/cli/cli.h"
#include "shifter/cli/cmd_verbs.h"

#include "config/base/clock.h"
#include "config/base/text.h"
#include "shifter/plan/document.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 200
#define HISTORY "history?count=5000&since_ms=0" /* as many as the leader gives */

enum goal { GOAL_WEIGHT, GOAL_HELD, GOAL_SAFE, GOAL_FINALIZED };

struct wish {
    enum goal goal;
    unsigned weight;     /* GOAL_WEIGHT */
    const char *cutover; /* NULL: the one at hand when the waiting began */
    char cutover_bytes[XF_CUTOVER_ID_BYTES];
};

static int parse_wish(const char *text, struct wish *ret)
{
    if (strcmp(text, "held") == 0) {
        ret->goal = GOAL_HELD;
    } else if (strcmp(text, "safe") == 0) {
        ret->goal = GOAL_SAFE;
    } else if (strcmp(text, "finalized") == 0) {
        ret->goal = GOAL_FINALIZED;
    } else if (strncmp(text, "weight=", 7) == 0 && xf_parse_weight(text + 7, &ret->weight)) {
        ret->goal = GOAL_WEIGHT;
    } else {
        xf_cli_note("crossfade wait: --for %s: weight=25%%, held, safe or finalized", text);
        return 2;
    }
    return 0;
}

static enum xf_cutover_state state_of(const json_t *status)
{
    enum xf_cutover_state state = XF_CUTOVER_IDLE;
    if (!xf_cutover_state_parse(xf_cli_text(status, "state", "idle"), &state)) {
        return XF_CUTOVER_IDLE;
    }
    return state;
}

static bool reached(const struct wish *wish, const json_t *status)
{
    enum xf_cutover_state state = state_of(status);
    bool past_full = state == XF_CUTOVER_DRAINING || state == XF_CUTOVER_SAFE ||
                     state == XF_CUTOVER_FINALIZING || state == XF_CUTOVER_FINALIZED;
    switch (wish->goal) {
    case GOAL_WEIGHT: {
        double actual = xf_cli_number(json_object_get(status, "weight"), "actual", -1);
        bool moving = state == XF_CUTOVER_SHIFTING || state == XF_CUTOVER_SOAKING;
        return past_full || (moving && actual * 100 + 0.5 >= (double) wish->weight);
    }
    case GOAL_HELD:
        return json_array_size(json_object_get(status, "holds")) > 0;
    case GOAL_SAFE:
        return state == XF_CUTOVER_SAFE || state == XF_CUTOVER_FINALIZING ||
               state == XF_CUTOVER_FINALIZED;
    case GOAL_FINALIZED:
        return state == XF_CUTOVER_FINALIZED;
    }
    return false;
}

/* The first hold that only a person ends, or NULL. */
static const json_t *person_hold(const json_t *status)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(status, "holds"), i, entry)
    {
        enum xf_hold hold;
        if (xf_hold_parse(xf_cli_text(entry, "reason", ""), &hold) && xf_hold_needs_person(hold)) {
            return entry;
        }
    }
    return NULL;
}

/* How a cutover before the last one ended, by the log; idle: that is not known. */
static enum xf_cutover_state end_in_log(const struct xf_cli *cli, const char *cutover)
{
    struct xf_error err;
    json_t *history = NULL;
    enum xf_cutover_state end = XF_CUTOVER_IDLE;
    size_t i;
    json_t *entry;
    if (xf_cli_try_get(cli, HISTORY, &history, &err) != 0) {
        return XF_CUTOVER_IDLE;
    }
    json_array_foreach(json_object_get(history, "entries"), i, entry)
    {
        enum xf_cutover_state state = state_of(json_object_get(entry, "after"));
        bool ends = state == XF_CUTOVER_FINALIZED || state == XF_CUTOVER_ABORTED;
        if (ends && strcmp(xf_cli_text(entry, "cutover", ""), cutover) == 0) {
            end = state;
            break;
        }
    }
    json_decref(history);
    return end;
}

/* The cutover waited for is no longer the one at hand: how did it end? */
static int ended_elsewhere(const struct xf_cli *cli, const struct wish *wish, const json_t *status)
{
    const json_t *last = json_object_get(status, "last");
    bool is_last = strcmp(xf_cli_text(last, "cutover", ""), wish->cutover) == 0;
    enum xf_cutover_state end = XF_CUTOVER_ABORTED;
    if (!is_last) {
        end = end_in_log(cli, wish->cutover);
    } else if (strcmp(xf_cli_text(last, "outcome", ""), "finalized") == 0) {
        end = XF_CUTOVER_FINALIZED;
    }
    if (end == XF_CUTOVER_IDLE) {
        xf_cli_note(
            "crossfade wait: %s is not the cutover at hand, nor one whose end is in the log",
            wish->cutover);
        return 6;
    }
    if (end == XF_CUTOVER_FINALIZED) {
        return 0;
    }
    xf_cli_note("%s was aborted", wish->cutover);
    return 5;
}

/* -1: go on waiting; else the exit code, explained. */
static int judge_status(const struct xf_cli *cli, struct wish *wish, const json_t *status)
{
    const char *cutover = xf_cli_text(status, "cutover", "");
    enum xf_cutover_state state = state_of(status);
    if (wish->cutover == NULL && cutover[0] != '\0') {
        snprintf(wish->cutover_bytes, sizeof(wish->cutover_bytes), "%s", cutover);
        wish->cutover = wish->cutover_bytes;
    }
    if (wish->cutover == NULL) {
        xf_cli_note("crossfade wait: no cutover has been started on %s",
                    xf_cli_text(status, "service", "this service"));
        return 6;
    }
    if (strcmp(wish->cutover, cutover) != 0) {
        return ended_elsewhere(cli, wish, status);
    }
    if (reached(wish, status)) {
        return 0;
    }
    if (state == XF_CUTOVER_ABORTING || state == XF_CUTOVER_ABORTED) {
        xf_cli_note("%s was aborted", wish->cutover);
        return 5;
    }
    if (state == XF_CUTOVER_FINALIZED) { /* only `held` gets here: it cannot come any more */
        xf_cli_note("%s is finalized", wish->cutover);
        return 6;
    }
    const json_t *hold = person_hold(status);
    if (hold != NULL && wish->goal != GOAL_HELD) {
        xf_cli_note("held (%s): %s", xf_cli_text(hold, "reason", "?"),
                    xf_cli_text(hold, "sentence", ""));
        return 3;
    }
    return -1;
}

int xf_cli_wait(const struct xf_cli *cli, const char *wait_for, const char *cutover,
                int64_t timeout_ms)
{
    struct wish wish = {.cutover = cutover};
    int result = parse_wish(wait_for, &wish);
    if (result != 0) {
        return result;
    }
    const struct xf_clock *clock = xf_clock_system();
    int64_t began_ms = xf_clock_monotonic_ms(clock);
    bool seen = false; /* the daemon answered once: from then on its absence is ridden out */
    bool told = false;
    for (;;) {
        struct xf_error err;
        json_t *status = NULL;
        if (xf_cli_try_get(cli, "status", &status, &err) == 0) {
            seen = true;
            told = false;
            result = judge_status(cli, &wish, status);
            json_decref(status);
            if (result >= 0) {
                return result;
            }
        } else if (!seen || (err.code != XF_E_UNREACHABLE && err.code != XF_E_TIMED_OUT)) {
            return xf_cli_fail(&err);
        } else if (!told) {
            xf_cli_note("waiting for the daemon: %s", err.message);
            told = true;
        }
        if (timeout_ms >= 0 && xf_clock_monotonic_ms(clock) - began_ms >= timeout_ms) {
            xf_cli_note("crossfade wait: not %s within the time limit", wait_for);
            return 124;
        }
        usleep(LOOK_MS * 1000);
    }
}

int xf_cmd_wait(int argc, char **argv)
{
    struct xf_cli cli;
    int result = xf_cli_parse(argc, argv, XF_CLI_REACH | XF_CLI_WAIT, 0, 0, &cli);
    if (result != 0) {
        return result;
    }
    if (cli.wait_for == NULL) {
        xf_cli_note("crossfade wait: --for weight=25%%, held, safe or finalized is needed");
        return 2;
    }
    result = xf_cli_service(&cli);
    return result != 0 ? result : xf_cli_wait(&cli, cli.wait_for, cli.cutover, cli.timeout_ms);
}
