/*
 * fleet.c -- a thousand simulated proxies on a real Redis: the agents' side of the bus, nothing
 * behind it.
 *
 *     bench_fleet CONFIG PROXIES CHANGES
 *
 * Each proxy follows the bus as an agent does, sends a heartbeat and a second of judge cells each
 * second, and confirms a version at once.  When all have spoken it prints `steady` and rests for
 * ten seconds; then it orders CHANGES weights, half a second apart, and prints how long each took
 * until every proxy had it and until the leader's answer said so.  bench/fleet.py runs it.
 */
#include "config/base/clock.h"
#include "config/config.h"
#include "shifter/bus/bus.h"
#include "shifter/bus/bus_message.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONFIG_BYTES_MAX (64u * 1024u)
#define STEADY_S         10
#define CHANGES_MAX      1000u
#define CELLS            20u /* of 50 ms: a second */

struct fleet;

struct proxy {
    struct fleet *fleet;
    struct xf_bus_agent *bus;
    struct event *beat;
    struct xf_message_proxy self;
    struct xf_version version;
    char write_id[XF_UUID_TEXT_BYTES];
    uint64_t seq;
    bool up;
};

struct fleet {
    struct event_base *loop;
    struct xf_config *config;
    const char *service, *to;
    struct proxy *proxies;
    unsigned count, up;
    unsigned changes, change; /* wanted; the one under way, 0: the start */
    char request[XF_REQUEST_ID_BYTES];
    bool ordered;
    int64_t ordered_us, store_time_ms;
    uint64_t generation; /* answered or seen first after the order */
    unsigned have;       /* proxies that have it */
    uint64_t before;     /* the newest generation when it was ordered */
    int64_t *reached_us; /* of every change, every proxy */
    size_t reached_count;
    int64_t all_us[CHANGES_MAX], answered_us[CHANGES_MAX];
    struct event *next;
};

static int64_t now_us(void)
{
    return xf_clock_system()->monotonic_ns(xf_clock_system()->context) / 1000;
}

static void send_up(struct proxy *proxy, json_t *message)
{
    if (message != NULL && !xf_bus_send(proxy->bus, message)) {
        fprintf(stderr, "bench_fleet: %s cannot send\n", proxy->self.name);
    }
    json_decref(message);
}

static void send_heartbeat(struct proxy *proxy)
{
    struct fleet *fleet = proxy->fleet;
    struct xf_message_service service = {.version = proxy->version, .in_force = true};
    struct xf_message_server server = {.address = "10.0.0.1:80", .up = true};
    struct xf_message_cluster clusters[2] = {{.quiet_ms = 5000, .servers = &server},
                                             {.quiet_ms = 5000, .servers = &server}};
    struct xf_message_heartbeat heartbeat = {.proxy = proxy->self,
                                             .reload_ok = true,
                                             .services = &service,
                                             .services_count = 1,
                                             .clusters = clusters,
                                             .clusters_count = 2};
    snprintf(service.name, sizeof(service.name), "%s", fleet->service);
    memcpy(service.write_id, proxy->write_id, sizeof(service.write_id));
    memcpy(heartbeat.config_digest, fleet->config->digest, sizeof(heartbeat.config_digest));
    for (unsigned i = 0; i < 2; i++) {
        clusters[i].servers_count = 1;
        snprintf(clusters[i].name, sizeof(clusters[i].name), "%s", fleet->config->clusters[i].name);
    }
    send_up(proxy, xf_message_heartbeat_make(&heartbeat));
}

static void send_samples(struct proxy *proxy)
{
    struct fleet *fleet = proxy->fleet;
    struct xf_message_cell cells[CELLS];
    struct xf_message_samples samples = {.proxy = proxy->self,
                                         .seq = ++proxy->seq,
                                         .attempt = 1,
                                         .cells = cells,
                                         .cells_count = CELLS};
    uint64_t first = (uint64_t) xf_clock_wall_ms(xf_clock_system()) / 50 - CELLS - 2;
    memset(cells, 0, sizeof(cells));
    snprintf(samples.service, sizeof(samples.service), "%s", fleet->service);
    for (unsigned i = 0; i < CELLS; i++) {
        cells[i].number = first + i;
        cells[i].entries_count = 1;
        cells[i].entries[0].weight = 100;
        cells[i].entries[0].counts.sent[0] = cells[i].entries[0].counts.done[0] = 50;
        cells[i].entries[0].counts.sent[1] = cells[i].entries[0].counts.done[1] = 1;
    }
    send_up(proxy, xf_message_samples_make(&samples));
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    struct proxy *proxy = arg;
    (void) fd;
    (void) what;
    if (proxy->up) {
        send_heartbeat(proxy);
        send_samples(proxy);
    }
}

/* ---- orders ---- */

static void wait_for_next(struct fleet *fleet, int ms)
{
    struct timeval delay = {ms / 1000, (ms % 1000) * 1000};
    event_add(fleet->next, &delay);
}

static void order(struct fleet *fleet)
{
    struct xf_message_command command = {.sent_ms = xf_clock_wall_ms(xf_clock_system())};
    char number[32];
    snprintf(number, sizeof(number), "%u", fleet->change);
    snprintf(fleet->request, sizeof(fleet->request), "bench-%d-%s", (int) getpid(), number);
    memcpy(command.request, fleet->request, sizeof(command.request));
    snprintf(command.service, sizeof(command.service), "%s", fleet->service);
    snprintf(command.verb, sizeof(command.verb), fleet->change == 0 ? "start" : "weight");
    snprintf(command.actor, sizeof(command.actor), "bench");
    command.arguments = fleet->change == 0
                            ? json_pack("{s:s}", "to", fleet->to)
                            : json_pack("{s:i}", "weight", (int) (100 + fleet->change % 50));
    for (unsigned i = 0; i < fleet->count && !fleet->ordered; i++) {
        uint64_t generation = fleet->proxies[i].version.generation;
        fleet->before = generation > fleet->before ? generation : fleet->before;
    }
    if (!fleet->ordered) {
        fleet->have = 0;
        fleet->generation = 0;
        fleet->ordered = true;
        fleet->ordered_us = now_us();
    }
    wait_for_next(fleet, 6000); /* the same again, should it get lost */
    send_up(&fleet->proxies[0], xf_message_command_make(&command));
    json_decref(command.arguments);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a;
    int64_t y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

static double ms_at(int64_t *values, size_t count, double share)
{
    qsort(values, count, sizeof(*values), by_size);
    return count == 0 ? 0 : (double) values[(size_t) ((double) (count - 1) * share)] / 1000.0;
}

static void report(struct fleet *fleet)
{
    printf("{\"proxies\": %u, \"changes\": %u, \"proxy_p50_ms\": %.1f, \"proxy_p99_ms\": %.1f, ",
           fleet->count, fleet->changes, ms_at(fleet->reached_us, fleet->reached_count, 0.5),
           ms_at(fleet->reached_us, fleet->reached_count, 0.99));
    printf("\"all_p50_ms\": %.1f, \"all_p99_ms\": %.1f, ",
           ms_at(fleet->all_us + 1, fleet->changes, 0.5),
           ms_at(fleet->all_us + 1, fleet->changes, 0.99));
    printf("\"answered_p50_ms\": %.1f, \"answered_p99_ms\": %.1f}\n",
           ms_at(fleet->answered_us + 1, fleet->changes, 0.5),
           ms_at(fleet->answered_us + 1, fleet->changes, 0.99));
    fflush(stdout);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
    struct fleet *fleet = arg;
    (void) fd;
    (void) what;
    if (fleet->change == 1 && !fleet->ordered) {
        printf("rested\n");
        fflush(stdout);
    }
    order(fleet);
}

/* The leader says that all have it. */
static void answered(struct fleet *fleet, const struct xf_message_reply *reply)
{
    if (!fleet->ordered || strcmp(reply->request, fleet->request) != 0) {
        return;
    }
    fleet->ordered = false;
    fleet->answered_us[fleet->change] = now_us() - fleet->ordered_us;
    if (fleet->change > 0 && fleet->have < fleet->count) {
        fprintf(stderr, "bench_fleet: answered, and %u of %u have it\n", fleet->have, fleet->count);
        fleet->all_us[fleet->change] = fleet->answered_us[fleet->change];
    }
    if (reply->exit != 0) {
        fprintf(stderr, "bench_fleet: exit %d: %s\n", reply->exit, reply->message);
    }
    if (fleet->change == fleet->changes) {
        report(fleet);
        event_base_loopbreak(fleet->loop);
        event_del(fleet->next);
        return;
    }
    if (fleet->change == 0) {
        printf("steady\n");
        fflush(stdout);
    }
    wait_for_next(fleet, fleet->change == 0 ? STEADY_S * 1000 : 500);
    fleet->change++;
}

static void applied(struct proxy *proxy, const struct xf_message_state *state)
{
    struct fleet *fleet = proxy->fleet;
    uint64_t had = proxy->version.generation;
    if (xf_version_compare(&state->version, &proxy->version) <= 0) {
        return;
    }
    proxy->version = state->version;
    memcpy(proxy->write_id, state->write_id, sizeof(proxy->write_id));
    send_heartbeat(proxy);
    if (!fleet->ordered || state->version.generation <= fleet->before) {
        return;
    }
    if (fleet->generation == 0) {
        fleet->generation = state->version.generation;
    }
    if (had < fleet->generation && fleet->change > 0) { /* that one or, if it slept, a later one */
        int64_t took = now_us() - fleet->ordered_us;
        fleet->reached_us[fleet->reached_count++] = took;
        if (++fleet->have == fleet->count) {
            fleet->all_us[fleet->change] = took;
        }
    }
}

static void on_received(void *context, json_t *message)
{
    struct proxy *proxy = context;
    enum xf_message_kind kind;
    struct xf_message_state state;
    struct xf_message_reply reply;
    if (!xf_message_kind_of(message, &kind)) {
        return;
    }
    if (kind == XF_MESSAGE_STATE && xf_message_state_read(message, &state, NULL) == 0) {
        applied(proxy, &state);
    } else if (kind == XF_MESSAGE_REPLY && proxy == proxy->fleet->proxies &&
               xf_message_reply_read(message, &reply, NULL) == 0) {
        answered(proxy->fleet, &reply);
    }
}

static void on_connected(void *context, bool up)
{
    struct proxy *proxy = context;
    struct fleet *fleet = proxy->fleet;
    if (up && !proxy->up && ++fleet->up == fleet->count) {
        printf("connected\n");
        fflush(stdout);
        wait_for_next(fleet, 6000); /* each has spoken, and a leader was found */
    }
    proxy->up = up || proxy->up;
}

/* Beats are spread over the second. */
static bool begin(struct fleet *fleet, unsigned number)
{
    struct proxy *proxy = &fleet->proxies[number];
    struct xf_bus_agent_calls calls = {
        .received = on_received, .connected = on_connected, .context = proxy, .self = &proxy->self};
    struct xf_error err = {0};
    struct timeval second = {1, 0};
    proxy->fleet = fleet;
    snprintf(proxy->self.id, sizeof(proxy->self.id), "00000000-0000-4000-8000-%012x", number);
    snprintf(proxy->self.boot, sizeof(proxy->self.boot), "00000000-0000-4000-9000-%012x", number);
    snprintf(proxy->self.name, sizeof(proxy->self.name), "edge-%u", number);
    if (xf_bus_follow(fleet->config, fleet->loop, &calls, &proxy->bus, &err) != 0) {
        fprintf(stderr, "bench_fleet: %s\n", err.message);
        return false;
    }
    proxy->beat = event_new(fleet->loop, -1, EV_PERSIST, on_beat, proxy);
    return proxy->beat != NULL && event_add(proxy->beat, &second) == 0;
}

static struct xf_config *read_config(const char *path)
{
    static char text[CONFIG_BYTES_MAX];
    struct xf_problems problems = {0};
    struct xf_config *config = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    if (fd >= 0) {
        close(fd);
    }
    if (length < 0 || xf_config_parse(path, text, (size_t) length, &config, &problems) != 0) {
        xf_problems_print(&problems, stderr);
        config = NULL;
    }
    xf_problems_release(&problems);
    return config;
}

static void end(struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->count; i++) {
        xf_bus_agent_destroy(fleet->proxies[i].bus);
        if (fleet->proxies[i].beat != NULL) {
            event_free(fleet->proxies[i].beat);
        }
    }
    event_free(fleet->next);
    event_base_free(fleet->loop);
    free(fleet->reached_us);
    free(fleet->proxies);
    xf_config_destroy(fleet->config);
}

int main(int argc, char **argv)
{
    static struct fleet fleet;
    struct rlimit files;
    if (argc != 4 || (fleet.config = read_config(argv[1])) == NULL) {
        fprintf(stderr, "bench_fleet CONFIG PROXIES CHANGES\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    fleet.count = (unsigned) strtoul(argv[2], NULL, 10);
    fleet.changes = (unsigned) strtoul(argv[3], NULL, 10);
    fleet.changes = fleet.changes < CHANGES_MAX ? fleet.changes : CHANGES_MAX - 1;
    fleet.service = fleet.config->services[0].name;
    fleet.to = fleet.config->clusters[1].name;
    fleet.proxies = calloc(fleet.count, sizeof(*fleet.proxies));
    fleet.reached_us = calloc((size_t) fleet.count * (fleet.changes + 1), sizeof(int64_t));
    fleet.loop = event_base_new();
    fleet.next = event_new(fleet.loop, -1, 0, on_next, &fleet);
    for (unsigned i = 0; i < fleet.count; i++) {
        if (!begin(&fleet, i)) {
            return 1;
        }
        if (fleet.count > 100 && i % 20 == 19) { /* not all at the same moment of the second */
            struct timeval pause = {0, 20000000 / (int) fleet.count};
            event_base_loopexit(fleet.loop, &pause);
            event_base_dispatch(fleet.loop);
        }
    }
    event_base_dispatch(fleet.loop);
    end(&fleet);
    return 0;
}
