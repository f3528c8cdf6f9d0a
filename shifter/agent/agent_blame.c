/*
 * agent_blame.c -- from the workers' rings of what went badly to a tally of servers and paths.
 *
 * A ring is a stranger's input and is being written while it is read: an event that may have been
 * overwritten meanwhile is thrown away, and every number in the others is bounded.
 */
#include "shifter/agent/agent_state.h"
#include "shifter/judge/judge_tally.h"

static const char *server_text(const struct xf_config *config, int32_t server)
{
    for (unsigned i = 0; server >= 0 && i < config->clusters_count; i++) {
        const struct xf_config_cluster *cluster = &config->clusters[i];
        unsigned place = (unsigned) server - cluster->first_server;
        if ((unsigned) server >= cluster->first_server && place < cluster->servers_count) {
            return cluster->servers[place].endpoint.text;
        }
    }
    return NULL;
}

static void take_event(const struct xf_blame_event *event, const struct xf_config *config,
                       struct xf_tally *tally)
{
    static const enum xf_judge_stream streams[XF_BLAMED_KINDS] = {
        [XF_BLAMED_ERROR] = XF_STREAM_ERRORS,
        [XF_BLAMED_4XX] = XF_STREAM_4XX,
        [XF_BLAMED_SLOW] = XF_STREAM_SLOW,
    };
    if (event->kind < XF_BLAMED_KINDS && event->role < XF_ROLES &&
        event->length <= XF_BLAME_TARGET_BYTES) {
        enum xf_judge_role role = event->role == XF_GREEN ? XF_JUDGE_GREEN : XF_JUDGE_BLUE;
        xf_tally_bad(tally, streams[event->kind], role, server_text(config, event->server),
                     event->target, event->length);
    }
}

bool xf_agent_blame_read(const struct xf_blame_ring *ring, const struct xf_config *config,
                         uint64_t attempt, uint64_t *from, struct xf_tally *tally)
{
    struct xf_blame_event events[XF_BLAME_EVENTS];
    uint64_t end = atomic_load_explicit(&ring->written, memory_order_acquire);
    uint64_t begin = *from > end ? end : *from;
    begin = end - begin > XF_BLAME_EVENTS ? end - XF_BLAME_EVENTS : begin;
    for (uint64_t at = begin; at < end; at++) {
        events[at % XF_BLAME_EVENTS] = ring->events[at % XF_BLAME_EVENTS];
    }
    atomic_thread_fence(memory_order_acquire);
    uint64_t now = xf_read(&ring->written);
    bool any = false;
    for (uint64_t at = begin; at < end; at++) {
        const struct xf_blame_event *event = &events[at % XF_BLAME_EVENTS];
        if (now - at < XF_BLAME_EVENTS && event->attempt == (uint32_t) attempt) {
            take_event(event, config, tally);
            any = true;
        }
    }
    *from = end;
    return any;
}
