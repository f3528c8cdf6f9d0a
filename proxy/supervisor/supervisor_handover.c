/*
 * supervisor_handover.c -- the supervisor as its image leaves it, and as the next one takes it
 * over.
 *
 * The old image's workers go on as old editions.  Its agent, shifter and logger are let go, and
 * are started anew from the new binary as soon as they are reaped; the routes stay on the boards
 * meanwhile.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define AGENT_ENDS_MS   2000
#define SHIFTER_ENDS_MS 6000
#define LOGGER_ENDS_MS  300 /* it has emptied the rings, and would wait for all our children */

/* ---- leaving ---- */

static void describe_child(const struct xf_child *child, struct xf_handed_child *ret)
{
    *ret = (struct xf_handed_child){.pid = child->pid, .channel = child->channel};
}

int xf_supervisor_describe(const struct xf_supervisor *supervisor, struct xf_handed *ret,
                           struct xf_error *err)
{
    const struct xf_notify *notify = &supervisor->notify;
    *ret = (struct xf_handed){.last_edition = supervisor->last_edition,
                              .attempts = supervisor->reexec.attempts,
                              .tickets_at_ms = supervisor->tickets_at_ms,
                              .watchdog_ms = notify->watchdog_ms,
                              .state_dir_fd = supervisor->instance.state_dir_fd,
                              .unix_fd = supervisor->admin.unix_fd,
                              .tcp_fd = supervisor->admin.tcp_fd,
                              .notify_fd = notify->fd,
                              .wake_fd = supervisor->wake_fd,
                              .messages = {supervisor->messages[0], supervisor->messages[1]},
                              .next_text_fd = supervisor->reload.text_fd};
    describe_child(&supervisor->agent, &ret->child[XF_HANDED_AGENT]);
    describe_child(&supervisor->shifter, &ret->child[XF_HANDED_SHIFTER]);
    describe_child(&supervisor->logger, &ret->child[XF_HANDED_LOGGER]);
    if (xf_listeners_describe(&supervisor->listeners, ret, err) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        ret->editions = i + 1;
        if (xf_edition_describe(supervisor->editions[i], &ret->edition[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

int xf_supervisor_write_handover(const struct xf_handed *handed, int *ret_fd, struct xf_error *err)
{
    struct xf_text text;
    xf_text_init(&text, XF_HANDOVER_BYTES_MAX);
    xf_handed_write(handed, &text);
    int failed = text.failed ? XF_FAIL(err, XF_E_NO_MEMORY, "no memory for the handover") : 0;
    if (failed == 0) {
        failed = xf_segment_create("crossfade-handover", text.length, ret_fd, err);
    }
    if (failed == 0) {
        void *place = xf_segment_map(*ret_fd, text.length, err);
        if (place != NULL) {
            memcpy(place, text.data, text.length);
            munmap(place, text.length);
        } else {
            close(*ret_fd);
            failed = -1;
        }
    }
    xf_text_release(&text);
    return failed;
}

/* ---- taking over ---- */

/* It ends when its channel does; who does not is killed by turn_children(). */
static void replace(struct xf_supervisor *supervisor, const struct xf_handed_child *handed,
                    int64_t ms, struct xf_child *child)
{
    child->pid = handed->pid;
    child->channel = handed->channel;
    child->replaced = child->pid != 0;
    child->start_at_ms = child->pid != 0 ? xf_supervisor_now(supervisor) + ms : 0;
    xf_supervisor_let_go(child);
}

/* The old logger empties the rings once more before it is let go. */
static void empty_rings(const struct xf_supervisor *supervisor, const struct xf_handed *handed)
{
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        struct xf_channel_message message = {.kind = XF_CHANNEL_RINGS_OVER,
                                             .a = supervisor->editions[i]->number};
        if (handed->child[XF_HANDED_LOGGER].channel >= 0) {
            (void) !xf_channel_send(handed->child[XF_HANDED_LOGGER].channel, &message);
        }
    }
}

static int adopt_editions(struct xf_supervisor *supervisor, const struct xf_handed *handed,
                          struct xf_error *err)
{
    for (unsigned i = 0; i < handed->editions; i++) {
        struct xf_edition **place = &supervisor->editions[supervisor->editions_count];
        if (xf_edition_adopt(&handed->edition[i], supervisor->options->config_path,
                             supervisor->wake_fd, place, err) != 0) {
            return -1;
        }
        xf_supervisor_fit_limits((*place)->config, supervisor->listeners.slots);
        supervisor->editions_count++;
    }
    return 0;
}

/* What was asked for: an edition of this binary, with the configuration that was checked. */
static void begin_next(struct xf_supervisor *supervisor, int text_fd)
{
    struct xf_reload *reload = &supervisor->reload;
    struct xf_problems problems;
    reload->text_fd = text_fd;
    int failed = xf_supervisor_parse_text(supervisor->options->config_path, text_fd,
                                          &reload->config, &problems);
    xf_problems_release(&problems);
    if (failed != 0) {
        reload->config = NULL;
    }
    xf_supervisor_open_adopted(supervisor);
}

static void take_values(struct xf_supervisor *supervisor, const struct xf_handed *handed)
{
    supervisor->last_edition = handed->last_edition;
    supervisor->reexec.attempts = handed->attempts;
    supervisor->tickets_at_ms = handed->tickets_at_ms;
    supervisor->instance.state_dir_fd = handed->state_dir_fd;
    supervisor->admin.unix_fd = handed->unix_fd;
    supervisor->admin.tcp_fd = handed->tcp_fd;
    supervisor->notify.fd = handed->notify_fd;
    supervisor->notify.watchdog_ms = handed->watchdog_ms;
    supervisor->wake_fd = handed->wake_fd;
    supervisor->messages[0] = handed->messages[0];
    supervisor->messages[1] = handed->messages[1];
    supervisor->listening = true;
    supervisor->ready = true;
}

int xf_supervisor_adopt(struct xf_supervisor *supervisor, int fd, struct xf_error *err)
{
    struct xf_handed handed;
    int failed = xf_handover_read(fd, &handed, err);
    if (failed == 0) {
        close(fd);
        xf_handed_close_on_exec(&handed);
        take_values(supervisor, &handed);
        failed = xf_listeners_adopt(&supervisor->listeners, &handed, err);
    }
    if (failed == 0) {
        failed = adopt_editions(supervisor, &handed, err);
    }
    if (failed == 0) {
        empty_rings(supervisor, &handed);
        replace(supervisor, &handed.child[XF_HANDED_AGENT], AGENT_ENDS_MS, &supervisor->agent);
        replace(supervisor, &handed.child[XF_HANDED_SHIFTER], SHIFTER_ENDS_MS,
                &supervisor->shifter);
        replace(supervisor, &handed.child[XF_HANDED_LOGGER], LOGGER_ENDS_MS, &supervisor->logger);
        begin_next(supervisor, handed.next_text_fd);
    }
    xf_handed_release(&handed);
    return failed;
}
