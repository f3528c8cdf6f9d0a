/*
 * agent.c -- makes the agent's state, runs its loop, ends it.
 *
 * Three timers: a tick (judge cells, quiet), a beat (heartbeat, rates, start without a store) and
 * the snapshot's.  Everything else is driven by the channel, the bus and the admin socket.
 */
#include "shifter/agent/agent.h"

#include "config/base/log.h"
#include "shifter/admin/admin.h"
#include "shifter/agent/admin_access.h"
#include "shifter/agent/admin_events.h"
#include "shifter/agent/admin_routes.h"
#include "shifter/agent/agent_checks.h"
#include "shifter/agent/agent_forward.h"
#include "shifter/agent/agent_identity.h"
#include "shifter/agent/agent_drain.h"
#include "shifter/agent/agent_judge.h"
#include "shifter/agent/agent_rates.h"
#include "shifter/agent/agent_state.h"
#include "shifter/agent/agent_view.h"
#include "shifter/agent/lone_judge.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <xxhash.h>

#define TICK_US      50000 /* a judge cell */
#define BEAT_US      1000000
#define SNAPSHOT_US  250000
#define FALL_BACK_MS 10000
#define RESAVE_MS    30000 /* how often an unchanged snapshot is made younger */
#define STAT_BYTES   4096u

/* ---- who this is ---- */

static void read_line(const char *path, char *out, size_t bytes)
{
    out[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(out, (int) bytes, file) == NULL) {
            out[0] = '\0';
        }
        fclose(file);
    }
}

/* One boot is one run of the supervisor, also when the agent is restarted or the binary replaced:
 * the same kernel boot, process and start time. */
static void make_boot(char ret[XF_UUID_TEXT_BYTES])
{
    char path[64], stat[STAT_BYTES], kernel[64], text[STAT_BYTES + 256];
    (void) snprintf(path, sizeof(path), "/proc/%ld/stat", (long) getppid());
    read_line(path, stat, sizeof(stat));
    read_line("/proc/sys/kernel/random/boot_id", kernel, sizeof(kernel));
    const char *field = strrchr(stat, ')');
    char *copy = strdup(field != NULL ? field + 1 : "");
    const char *start = "";
    char *rest = NULL;
    unsigned number = 2;
    for (char *word = copy != NULL ? strtok_r(copy, " ", &rest) : NULL; word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        if (++number == 22) { /* starttime, see proc(5) */
            start = word;
        }
    }
    (void) snprintf(text, sizeof(text), "%s %ld %s", kernel, (long) getppid(), start);
    free(copy);
    XXH128_hash_t hash = XXH3_128bits(text, strlen(text));
    (void) snprintf(ret, XF_UUID_TEXT_BYTES, "%08x-%04x-4%03x-8%03x-%012" PRIx64,
                    (unsigned) (hash.high64 >> 32), (unsigned) (hash.high64 >> 16) & 0xffff,
                    (unsigned) hash.high64 & 0xfff, (unsigned) (hash.low64 >> 52) & 0xfff,
                    hash.low64 & 0xffffffffffffu);
}

static int identify(struct xf_agent *agent, struct xf_error *err)
{
    if (xf_agent_identity_load(agent->start->state_dir_fd, agent->self.id, err) != 0) {
        return -1;
    }
    const char *name = agent->config->proxy_name;
    xf_agent_copy(agent->self.name, sizeof(agent->self.name), name != NULL ? name : "");
    make_boot(agent->self.boot);
    return 0;
}

/* ---- timers ---- */

static void tick(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_agent *agent = arg;
    xf_agent_samples_tick(agent, false);
    xf_agent_judge_tick(agent);
    xf_agent_quiet_tick(agent);
    xf_agent_drain_tick(agent);
}

static void beat(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_agent *agent = arg;
    int64_t now_ms = xf_agent_now_ms(agent);
    if (now_ms - agent->started_ms >= FALL_BACK_MS) {
        xf_agent_start_fall_back(agent);
    }
    xf_agent_view_refresh(agent);
    xf_agent_samples_tick(agent, true);
    xf_agent_heartbeat_send(agent, false);
    xf_agent_offer_tick(agent);
    xf_agent_rates_tick(agent->rates, agent->config, &agent->totals, now_ms);
}

static void save(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_agent *agent = arg;
    int64_t newest_ms = 0;
    for (unsigned i = 0; i < agent->services_count; i++) {
        if (agent->services[i].confirmed_ms > newest_ms) {
            newest_ms = agent->services[i].confirmed_ms;
        }
    }
    if (agent->snapshot_due || newest_ms - agent->snapshot_saved_ms > RESAVE_MS) {
        agent->snapshot_saved_ms = newest_ms;
        xf_agent_start_save(agent);
    }
}

static struct event *every(struct xf_agent *agent, event_callback_fn callback, long us)
{
    struct event *event = event_new(agent->loop, -1, EV_PERSIST, callback, agent);
    struct timeval interval = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    if (event != NULL && event_add(event, &interval) != 0) {
        event_free(event);
        return NULL;
    }
    return event;
}

/* ---- life ---- */

static struct event_base *make_loop(void)
{
    struct event_config *options = event_config_new();
    if (options == NULL) {
        return NULL;
    }
    event_config_set_flag(options, EVENT_BASE_FLAG_PRECISE_TIMER); /* looks are 100 us apart */
    struct event_base *loop = event_base_new_with_config(options);
    event_config_free(options);
    return loop;
}

static int make_parts(struct xf_agent *agent, struct xf_error *err)
{
    struct xf_admin_calls calls = {.handle = xf_admin_route, .context = agent};
    agent->loop = make_loop();
    if (agent->loop == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "agent: no memory for its loop");
    }
    agent->look_event = evtimer_new(agent->loop, xf_agent_routes_look, agent);
    agent->tick_event = every(agent, tick, TICK_US);
    agent->beat_event = every(agent, beat, BEAT_US);
    agent->snapshot_event = every(agent, save, SNAPSHOT_US);
    agent->samples = xf_agent_samples_create();
    agent->writer = xf_snapshot_writer_create(agent->start->state_dir_fd, XF_SNAPSHOT_FILE);
    agent->forward = xf_agent_forward_create(agent);
    agent->checks = xf_agent_checks_create();
    agent->access = xf_admin_access_create();
    agent->events = xf_admin_events_create(agent);
    agent->admin = xf_admin_create(agent->loop, agent->clock, &calls);
    xf_inforce_init(&agent->inforce);
    if (agent->look_event == NULL || agent->tick_event == NULL || agent->beat_event == NULL ||
        agent->snapshot_event == NULL || agent->samples == NULL || agent->writer == NULL ||
        agent->forward == NULL || agent->checks == NULL || agent->access == NULL ||
        agent->events == NULL || agent->admin == NULL ||
        !xf_agent_editions_adopt(agent, agent->start->config)) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "agent: no memory to begin");
    }
    return 0;
}

static void release_event(struct event *event)
{
    if (event != NULL) {
        event_free(event);
    }
}

static void release(struct xf_agent *agent)
{
    xf_admin_destroy(agent->admin);
    xf_admin_access_destroy(agent->access);
    xf_admin_events_destroy(agent->events);
    xf_agent_forward_destroy(agent->forward);
    xf_agent_checks_destroy(agent->checks);
    xf_agent_bus_close(agent);
    xf_snapshot_writer_destroy(agent->writer);
    release_event(agent->channel_event);
    release_event(agent->look_event);
    release_event(agent->tick_event);
    release_event(agent->beat_event);
    release_event(agent->snapshot_event);
    xf_inforce_release(&agent->inforce);
    xf_agent_editions_release(agent);
    xf_agent_samples_destroy(agent->samples);
    xf_agent_rates_destroy(agent->rates);
    xf_agent_drains_destroy(agent->drains);
    for (unsigned i = 0; i < agent->services_count; i++) {
        xf_document_destroy(agent->services[i].document);
        xf_lone_judge_destroy(agent->services[i].lone);
    }
    free(agent->services);
    free(agent->quiet);
    xf_totals_release(&agent->totals);
    if (agent->loop != NULL) {
        event_base_free(agent->loop);
    }
}

static int begin(struct xf_agent *agent, struct xf_error *err)
{
    if (make_parts(agent, err) != 0 || identify(agent, err) != 0) {
        return -1;
    }
    agent->clock_offset_us = xf_clock_wall_ms(agent->clock) * 1000 -
                             agent->clock->boottime_ns(agent->clock->context) / 1000;
    xf_agent_start_load(agent);
    if (xf_agent_channel_open(agent, err) != 0) {
        return -1;
    }
    xf_agent_bus_open(agent);
    return 0;
}

int xf_agent_main(const struct xf_child_start *start)
{
    struct xf_agent agent = {
        .start = start, .clock = xf_clock_system(), .config = start->config, .reload_ok = true};
    struct xf_error err = {0};
    char quoted[XF_LOG_QUOTE_BYTES];
    agent.started_ms = xf_agent_now_ms(&agent);
    agent.bus_changed_ms = xf_clock_wall_ms(agent.clock);
    agent.bus_lost_ms = agent.started_ms;
    signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_DUMPABLE, 0);
    int result = begin(&agent, &err);
    if (result == 0) {
        event_base_dispatch(agent.loop);
    } else {
        xf_log(XF_LOG_ERROR, "agent.failed", "problem=%s", xf_log_quote(err.message, quoted));
    }
    release(&agent);
    return result == 0 ? 0 : xf_error_exit_code(err.code);
}
