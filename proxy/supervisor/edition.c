/*
 * edition.c -- the state machine of an edition, and its making and unmaking.
 */
#include "proxy/supervisor/edition.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Everything not in this table changes nothing. */
static const struct edge {
    enum xf_edition_state from;
    enum xf_edition_event on;
    enum xf_edition_state to;
} edges[] = {
    {XF_EDITION_STARTING, XF_ON_ROUTED, XF_EDITION_OPENING},
    {XF_EDITION_STARTING, XF_ON_SUPERSEDED, XF_EDITION_RETIRING},
    {XF_EDITION_STARTING, XF_ON_STOP, XF_EDITION_RETIRING},
    {XF_EDITION_OPENING, XF_ON_ALL_ACCEPT, XF_EDITION_SERVING},
    {XF_EDITION_OPENING, XF_ON_SUPERSEDED, XF_EDITION_RETIRING},
    {XF_EDITION_OPENING, XF_ON_STOP, XF_EDITION_RETIRING},
    {XF_EDITION_SERVING, XF_ON_SUPERSEDED, XF_EDITION_RETIRING},
    {XF_EDITION_SERVING, XF_ON_STOP, XF_EDITION_RETIRING},
    {XF_EDITION_RETIRING, XF_ON_EMPTY, XF_EDITION_OVER},
};

const char *xf_edition_state_name(enum xf_edition_state state)
{
    static const char *const names[XF_EDITION_STATES] = {"starting", "opening", "serving",
                                                         "retiring", "over"};
    return state < XF_EDITION_STATES ? names[state] : "unknown";
}

bool xf_edition_next(enum xf_edition_state from, enum xf_edition_event on,
                     enum xf_edition_state *ret)
{
    for (size_t i = 0; i < XF_COUNT(edges); i++) {
        if (edges[i].from == from && edges[i].on == on) {
            *ret = edges[i].to;
            return true;
        }
    }
    return false;
}

bool xf_edition_feed(struct xf_edition *edition, enum xf_edition_event event)
{
    return xf_edition_next(edition->state, event, &edition->state);
}

/* ---- making ---- */

int xf_edition_open_log(const struct xf_config *config, int *ret, struct xf_error *err)
{
    const char *path = config->access_log.path;
    *ret = -1;
    if (path == NULL || strcmp(path, "syslog:") == 0) {
        return 0;
    }
    int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, O_WRONLY | flags, 0640);
    if (fd < 0 && errno == ENXIO) { /* a named pipe that nobody reads yet */
        fd = open(path, O_RDWR | flags, 0640);
    }
    if (fd < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot open access_log.path %s: %s", path,
                       strerrordesc_np(errno));
    }
    *ret = fd;
    return 0;
}

static int allocate_slots(struct xf_edition *edition, struct xf_error *err)
{
    size_t fds = (size_t) edition->sockets * edition->config->listeners_count;
    edition->slot = calloc(edition->workers, sizeof(edition->slot[0]));
    edition->listen_fds = calloc(fds + 1, sizeof(edition->listen_fds[0]));
    edition->keeper = calloc(edition->sockets, sizeof(edition->keeper[0]));
    if (edition->slot == NULL || edition->listen_fds == NULL || edition->keeper == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for an edition of %u workers",
                       edition->workers);
    }
    for (unsigned i = 0; i < edition->workers; i++) {
        edition->slot[i].channel = -1;
    }
    for (unsigned i = 0; i < edition->sockets; i++) {
        edition->keeper[i] = -1;
    }
    return 0;
}

static int create_rings(struct xf_edition *edition, int wake_fd, struct xf_error *err)
{
    for (unsigned i = 0; edition->config->access_log.path != NULL && i < edition->workers; i++) {
        if (xf_log_ring_create(XF_LOG_RING_BYTES, wake_fd, &edition->slot[i].ring, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Unmakes all but what the caller gave. */
static void release_made(struct xf_edition *edition)
{
    for (unsigned i = 0; edition->slot != NULL && i < edition->workers; i++) {
        XF_ASSERT(edition->slot[i].pid == 0);
        xf_log_ring_destroy(edition->slot[i].ring);
        if (edition->slot[i].channel >= 0) {
            close(edition->slot[i].channel);
        }
    }
    if (edition->log_fd >= 0) {
        close(edition->log_fd);
    }
    xf_board_destroy(edition->board);
    free(edition->slot);
    free(edition->listen_fds);
    free(edition->keeper);
}

int xf_edition_create(const struct xf_edition_options *options, struct xf_edition **ret,
                      struct xf_error *err)
{
    struct xf_edition *edition = calloc(1, sizeof(*edition));
    if (edition == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for an edition");
    }
    *edition = (struct xf_edition){.number = options->number,
                                   .config = options->config,
                                   .text_fd = options->text_fd,
                                   .log_fd = -1,
                                   .workers = options->config->workers,
                                   .sockets = options->listeners->slots};
    if (allocate_slots(edition, err) != 0 ||
        xf_edition_open_log(edition->config, &edition->log_fd, err) != 0 ||
        create_rings(edition, options->wake_fd, err) != 0 ||
        xf_board_create(edition->config, edition->number, edition->workers, &edition->board, err) !=
            0) {
        release_made(edition);
        free(edition);
        return -1;
    }
    xf_listeners_fill(options->listeners, edition->config, edition->listen_fds);
    *ret = edition;
    return 0;
}

void xf_edition_destroy(struct xf_edition *edition)
{
    if (edition == NULL) {
        return;
    }
    release_made(edition);
    if (edition->text_fd >= 0) {
        close(edition->text_fd);
    }
    xf_config_destroy(edition->config);
    free(edition);
}
