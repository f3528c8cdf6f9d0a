/*
 * show.c -- the status object in words and columns.
 */
#include "shifter/cli/show.h"

#include "config/base/clock.h"
#include "shifter/cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOLD          "\033[1m"
#define RED           "\033[31m"
#define GREEN         "\033[32m"
#define YELLOW        "\033[33m"
#define BLUE          "\033[34m"
#define RESET         "\033[0m"
#define BAR_CELLS_MIN 20u
#define BAR_CELLS_MAX 60u

bool xf_show_may_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR");
    return isatty(fd) && (no_colour == NULL || no_colour[0] == '\0');
}

static const char *paint(const struct xf_show_options *options, const char *code)
{
    return options->colour ? code : "";
}

/* Foreign text on a terminal: control bytes would be commands to it. */
static void put_plain(struct xf_text *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char byte = (unsigned char) *p;
        xf_text_append(out, byte < 0x20 || byte == 0x7f ? "?" : p, 1);
    }
}

static void put_percent(struct xf_text *out, const json_t *value)
{
    if (!json_is_number(value)) {
        xf_text_puts(out, "?");
        return;
    }
    xf_text_printf(out, "%.4g%%", json_number_value(value));
}

static void put_age(struct xf_text *out, const char *time)
{
    int64_t then_ms;
    char text[XF_DURATION_TEXT_BYTES];
    if (!xf_parse_time(time, &then_ms)) {
        return;
    }
    int64_t age_ms = xf_clock_wall_ms(xf_clock_system()) - then_ms;
    if (age_ms >= 0) {
        xf_text_printf(out, " (%s ago)", xf_format_duration(age_ms / 1000 * 1000, text));
    }
}

static void put_head(const json_t *status, const struct xf_show_options *options,
                     struct xf_text *out)
{
    bool held = json_array_size(json_object_get(status, "holds")) > 0;
    const char *state = xf_cli_text(status, "state", "unknown");
    const char *colour = held ? YELLOW : strcmp(state, "aborted") == 0 ? RED : GREEN;
    xf_text_puts(out, paint(options, BOLD));
    put_plain(out, xf_cli_text(status, "service", "?"));
    xf_text_printf(out, "%s  %s", paint(options, RESET), paint(options, colour));
    for (const char *p = state; *p != '\0'; p++) {
        xf_text_printf(out, "%c", *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    }
    xf_text_printf(out, "%s%s", held ? " HELD" : "", paint(options, RESET));
    const char *cutover = xf_cli_text(status, "cutover", "");
    if (cutover[0] != '\0') {
        xf_text_puts(out, "  ");
        put_plain(out, cutover);
    }
    xf_text_puts(out, "  since ");
    put_plain(out, xf_cli_text(status, "since", "?"));
    put_age(out, xf_cli_text(status, "since", ""));
    xf_text_puts(out, "\n");
}

static void put_bar(const json_t *status, const struct xf_show_options *options,
                    struct xf_text *out)
{
    const json_t *weight = json_object_get(status, "weight");
    double wanted = xf_cli_number(weight, "desired", 0);
    double actual = xf_cli_number(weight, "actual", wanted);
    unsigned cells = options->columns > 40 ? options->columns - 30 : BAR_CELLS_MIN;
    cells = cells > BAR_CELLS_MAX ? BAR_CELLS_MAX : cells < BAR_CELLS_MIN ? BAR_CELLS_MIN : cells;
    unsigned filled = (unsigned) lround(actual / 100 * cells);
    unsigned mark = (unsigned) lround(wanted / 100 * cells);
    xf_text_printf(out, "  [%s", paint(options, GREEN));
    for (unsigned i = 0; i < cells; i++) {
        if (i == filled) {
            xf_text_puts(out, paint(options, BLUE));
        }
        xf_text_puts(out, i < filled ? "#" : i < mark ? ">" : "-");
    }
    xf_text_printf(out, "%s]  wanted ", paint(options, RESET));
    put_percent(out, json_object_get(weight, "desired"));
    xf_text_puts(out, "  actual ");
    put_percent(out, json_object_get(weight, "actual"));
    xf_text_puts(out, "\n");
}

static void put_seconds(struct xf_text *out, const char *label, const json_t *value)
{
    char text[XF_DURATION_TEXT_BYTES];
    if (json_is_number(value)) {
        int64_t ms = (int64_t) (json_number_value(value)) * 1000;
        xf_text_printf(out, "  %s %s", label, xf_format_duration(ms, text));
    }
}

static void put_step(const json_t *status, struct xf_text *out)
{
    const json_t *step = json_object_get(status, "step");
    const json_t *index = json_object_get(step, "index");
    if (!json_is_integer(index)) {
        return;
    }
    long long number = (long long) json_integer_value(index);
    xf_text_printf(out, "  step %lld of %d", number, (int) xf_cli_number(step, "count", 0));
    if (json_is_number(json_object_get(step, "weight"))) {
        xf_text_puts(out, " (to ");
        put_percent(out, json_object_get(step, "weight"));
        xf_text_puts(out, ")");
    }
    put_seconds(out, "held for", json_object_get(step, "elapsed_s"));
    put_seconds(out, "left", json_object_get(step, "remaining_s"));
    const char *eta = xf_cli_text(step, "eta", "");
    if (eta[0] != '\0') {
        xf_text_puts(out, "  done about ");
        put_plain(out, eta);
    }
    xf_text_puts(out, "\n");
}

static void put_holds(const json_t *status, const struct xf_show_options *options,
                      struct xf_text *out)
{
    size_t i;
    json_t *hold;
    json_array_foreach(json_object_get(status, "holds"), i, hold)
    {
        xf_text_printf(out, "  %sheld (%s)%s ", paint(options, YELLOW),
                       xf_cli_text(hold, "reason", "?"), paint(options, RESET));
        put_plain(out, xf_cli_text(hold, "sentence", ""));
        put_age(out, xf_cli_text(hold, "since", ""));
        const char *lifted_by = xf_cli_text(hold, "lifted_by", "");
        if (lifted_by[0] != '\0') {
            xf_text_puts(out, "\n      ends: ");
            put_plain(out, lifted_by);
        }
        xf_text_puts(out, "\n");
    }
}

static void put_number(struct xf_text *out, const json_t *object, const char *key,
                       const char *format, int width, double scale)
{
    const json_t *value = json_object_get(object, key);
    char text[32] = "-";
    if (json_is_number(value)) {
        snprintf(text, sizeof(text), strcmp(format, "%") == 0 ? "%.2f%%" : "%.0f",
                 json_number_value(value) * scale);
    }
    xf_text_printf(out, " %*s", width, text);
}

static void put_clusters(const json_t *status, const struct xf_show_options *options,
                         struct xf_text *out)
{
    const char *name;
    json_t *cluster;
    xf_text_printf(out, "  %-24s %-6s %9s %8s %8s %8s %9s %8s %10s\n", "cluster", "role", "req/s",
                   "errors", "p50 ms", "p99 ms", "in flight", "tunnels", "requests");
    json_object_foreach(json_object_get(status, "clusters"), name, cluster)
    {
        const char *role = xf_cli_text(cluster, "role", "");
        const char *colour = strcmp(role, "green") == 0  ? GREEN
                             : strcmp(role, "blue") == 0 ? BLUE
                                                         : "";
        xf_text_printf(out, "  %s%-24s %-6s%s", paint(options, colour), name, role,
                       paint(options, RESET));
        put_number(out, cluster, "rps", "0", 9, 1);
        put_number(out, cluster, "error_ratio", "%", 8, 100);
        put_number(out, cluster, "p50_ms", "0", 8, 1);
        put_number(out, cluster, "p99_ms", "0", 8, 1);
        put_number(out, cluster, "in_flight", "0", 9, 1);
        put_number(out, cluster, "tunnels", "0", 8, 1);
        put_number(out, cluster, "requests", "0", 10, 1);
        xf_text_puts(out, "\n");
        size_t i;
        json_t *server;
        json_array_foreach(json_object_get(cluster, "servers"), i, server)
        {
            bool up = xf_cli_true(server, "up");
            if (!options->servers && up) {
                continue;
            }
            xf_text_puts(out, "      ");
            put_plain(out, xf_cli_text(server, "address", "?"));
            xf_text_printf(out, "  %s%s%s", paint(options, up ? GREEN : RED), up ? "up" : "down",
                           paint(options, RESET));
            const char *reason = xf_cli_text(server, "reason", "");
            if (reason[0] != '\0') {
                xf_text_puts(out, "  ");
                put_plain(out, reason);
            }
            xf_text_puts(out, "\n");
        }
    }
}

static void put_proxies(const json_t *status, const struct xf_show_options *options,
                        struct xf_text *out)
{
    size_t i;
    json_t *proxy;
    json_array_foreach(json_object_get(status, "proxies"), i, proxy)
    {
        bool silent = xf_cli_true(proxy, "silent");
        bool in_force = xf_cli_true(proxy, "in_force");
        if (!options->servers && !silent && in_force) {
            continue;
        }
        xf_text_puts(out, "  proxy ");
        put_plain(out, xf_cli_text(proxy, "name", "?"));
        xf_text_printf(out, "  %s%s%s  version %s  seen %.1f s ago\n",
                       paint(options, silent || !in_force ? YELLOW : GREEN),
                       silent     ? "silent"
                       : in_force ? "in force"
                                  : "behind",
                       paint(options, RESET), xf_cli_text(proxy, "version", "none"),
                       xf_cli_number(proxy, "last_seen_s", 0));
    }
}

static void put_rest(const json_t *status, const struct xf_show_options *options,
                     struct xf_text *out)
{
    const json_t *verdict = json_object_get(status, "verdict");
    if (json_is_object(verdict)) {
        xf_text_puts(out, "  judge: ");
        put_plain(out, xf_cli_text(verdict, "sentence", "no verdict"));
        xf_text_puts(out, "\n");
    }
    const json_t *signal = json_object_get(status, "signal");
    if (json_is_string(json_object_get(signal, "key"))) {
        bool revoked = xf_cli_number(signal, "sequence", 1) > 1;
        xf_text_printf(out, "  %ssignal: %s %s%s", paint(options, BOLD),
                       revoked ? "REVOKED" : "the old cluster may be decommissioned, key",
                       xf_cli_text(signal, "key", ""), paint(options, RESET));
        const char *accepted = xf_cli_text(signal, "accepted_at", "");
        xf_text_printf(out, "%s%s\n", accepted[0] != '\0' ? ", accepted " : ", being delivered",
                       accepted);
    }
    size_t i;
    json_t *blocker;
    json_array_foreach(json_object_get(signal, "blockers"), i, blocker)
    {
        xf_text_puts(out, "  signal blocked: ");
        put_plain(out, json_string_value(blocker) != NULL ? json_string_value(blocker) : "?");
        xf_text_puts(out, "\n");
    }
    const json_t *leader = json_object_get(status, "leader");
    if (!json_is_object(leader)) {
        xf_text_printf(out, "  %sno leader%s: traffic stays as it is, verbs wait or exit 7\n",
                       paint(options, RED), paint(options, RESET));
    }
    const json_t *store = json_object_get(status, "store");
    if (json_is_object(store) && !xf_cli_true(store, "ok")) {
        xf_text_printf(out, "  %sstore %s away%s", paint(options, RED),
                       xf_cli_text(store, "kind", ""), paint(options, RESET));
        put_seconds(out, "shown state is", json_object_get(store, "stale_s"));
        xf_text_puts(out, " old\n");
    }
    const json_t *config = json_object_get(status, "config");
    if (json_is_false(json_object_get(config, "reload_ok"))) {
        xf_text_printf(out, "  %slast reload refused%s: ", paint(options, RED),
                       paint(options, RESET));
        put_plain(out, xf_cli_text(config, "error", ""));
        xf_text_puts(out, "\n");
    }
}

void xf_show_status(const json_t *status, const struct xf_show_options *options,
                    struct xf_text *out)
{
    put_head(status, options, out);
    const char *from = xf_cli_text(status, "from", "");
    if (from[0] != '\0') {
        xf_text_printf(out, "  %s (blue) -> %s (green)\n", from, xf_cli_text(status, "to", "?"));
        put_bar(status, options, out);
        put_step(status, out);
    } else {
        xf_text_printf(out, "  live: %s\n", xf_cli_text(status, "live", "?"));
    }
    put_holds(status, options, out);
    put_clusters(status, options, out);
    put_proxies(status, options, out);
    put_rest(status, options, out);
}

void xf_show_line(const json_t *status, struct xf_text *out)
{
    const json_t *weight = json_object_get(status, "weight");
    const json_t *index = json_object_get(json_object_get(status, "step"), "index");
    xf_text_printf(out, "%s %s %s wanted ", xf_cli_text(status, "service", "?"),
                   xf_cli_text(status, "cutover", "-"), xf_cli_text(status, "state", "?"));
    put_percent(out, json_object_get(weight, "desired"));
    xf_text_puts(out, " actual ");
    put_percent(out, json_object_get(weight, "actual"));
    if (json_is_integer(index)) {
        xf_text_printf(out, " step %lld/%d", (long long) json_integer_value(index),
                       (int) xf_cli_number(json_object_get(status, "step"), "count", 0));
    }
    size_t i;
    json_t *hold;
    json_array_foreach(json_object_get(status, "holds"), i, hold)
    {
        xf_text_printf(out, "%s%s", i == 0 ? " held: " : ", ", xf_cli_text(hold, "reason", "?"));
    }
    const json_t *signal = json_object_get(status, "signal");
    if (json_is_string(json_object_get(signal, "key"))) {
        xf_text_printf(out, " signal %s/%d", xf_cli_text(signal, "key", ""),
                       (int) xf_cli_number(signal, "sequence", 1));
    }
}
