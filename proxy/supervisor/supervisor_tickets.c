/*
 * supervisor_tickets.c -- the keys of session tickets: made here, shared by all editions, replaced
 * by time.
 *
 * A file (`ticket_keys_file`) is for a fleet: whoever writes it replaces the keys, and it is read
 * again when an edition begins and every hour.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"
#include "proxy/transport/tls_tickets.h"

#define ROTATE_MS 43200000 /* so a ticket, which lives for two hours, opens for at least a day */
#define REREAD_MS 3600000
#define RETRY_MS  60000 /* after a failure */

static void warn(const char *event, const struct xf_error *err)
{
    char quoted[XF_LOG_QUOTE_BYTES];
    xf_log(XF_LOG_WARNING, event, "why=%s", xf_log_quote(err->message, quoted));
}

void xf_supervisor_begin_tickets(struct xf_supervisor *supervisor, struct xf_edition *edition)
{
    struct xf_error err;
    struct xf_ticket_keys *keys = xf_board_tickets(edition->board);
    const struct xf_edition *before = xf_supervisor_newest(supervisor);
    const char *file = xf_tls_tickets_file(edition->config);
    int64_t now_ms = xf_supervisor_now(supervisor);
    if (file != NULL && xf_tls_load_tickets(keys, file, &err) == 0) {
        supervisor->tickets_at_ms = now_ms + REREAD_MS;
        return;
    }
    if (before == NULL || supervisor->tickets_at_ms == 0) {
        supervisor->tickets_at_ms = now_ms + ROTATE_MS;
    }
    if (file != NULL) {
        warn("tickets.not_read", &err);
        supervisor->tickets_at_ms = now_ms + RETRY_MS;
    }
    /* The same in all editions: a reload ends no session. */
    if (xf_tls_set_tickets(keys, before != NULL ? xf_board_tickets(before->board) : NULL, &err) !=
        0) {
        warn("tickets.none", &err); /* it serves without, for a while */
        supervisor->tickets_at_ms = now_ms + RETRY_MS;
    }
}

void xf_supervisor_turn_tickets(struct xf_supervisor *supervisor)
{
    struct xf_edition *newest = xf_supervisor_newest(supervisor);
    int64_t now_ms = xf_supervisor_now(supervisor);
    if (newest == NULL || now_ms < supervisor->tickets_at_ms) {
        return;
    }
    struct xf_error err;
    struct xf_ticket_keys *keys = xf_board_tickets(newest->board);
    const char *file = xf_tls_tickets_file(newest->config);
    int failed =
        file != NULL ? xf_tls_load_tickets(keys, file, &err) : xf_tls_rotate_tickets(keys, &err);
    for (unsigned i = 0; i + 1 < supervisor->editions_count && failed == 0; i++) {
        failed = xf_tls_set_tickets(xf_board_tickets(supervisor->editions[i]->board), keys, &err);
    }
    if (failed != 0) {
        warn("tickets.not_replaced", &err);
    }
    supervisor->tickets_at_ms = now_ms + (failed != 0    ? RETRY_MS
                                          : file != NULL ? REREAD_MS
                                                         : ROTATE_MS);
}
