/*
 * edition_handover.c -- an edition as it is left to the next image of the supervisor, and taken
 * over from the one before.
 *
 * Its workers go on under the binary that forked them; one that dies while its edition serves is
 * replaced by the new one.  Adopting maps and checks, and writes nothing: `check` uses it to find
 * out whether it would succeed.
 */
#include "proxy/supervisor/edition.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int xf_edition_parse_text(const char *path, int fd, struct xf_config **ret,
                          struct xf_problems *ret_problems)
{
    struct xf_error err;
    uint64_t bytes;
    *ret_problems = (struct xf_problems){.file = path};
    if (xf_segment_size(fd, &bytes, &err) != 0) {
        return -1;
    }
    char *text = xf_segment_map(fd, bytes, &err);
    if (text == NULL) {
        return -1;
    }
    int failed = xf_config_parse(path, text, bytes, ret, ret_problems);
    munmap(text, bytes);
    return failed;
}

/* ---- leaving ---- */

int xf_edition_describe(const struct xf_edition *edition, struct xf_handed_edition *ret,
                        struct xf_error *err)
{
    *ret = (struct xf_handed_edition){.number = edition->number,
                                      .state = edition->state,
                                      .deadline_ms = edition->deadline_ms,
                                      .text_fd = edition->text_fd,
                                      .log_fd = edition->log_fd,
                                      .control_fd = edition->board->control_fd,
                                      .retired_fd = edition->board->retired_fd,
                                      .workers = edition->workers,
                                      .sockets = edition->sockets,
                                      .listeners = edition->config->listeners_count};
    if (!xf_handed_size_edition(ret)) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory to describe an edition");
    }
    for (unsigned i = 0; i < edition->workers; i++) {
        const struct xf_worker_slot *slot = &edition->slot[i];
        ret->worker[i] = (struct xf_handed_worker){
            .pid = slot->pid,
            .channel = slot->channel,
            .told = slot->told,
            .accepting = slot->accepting,
            .stopped = slot->stopped,
            .ring_fd = slot->ring != NULL ? xf_log_ring_fd(slot->ring) : -1,
            .stats_fd = edition->board->stats_fd[i],
            .start_at_ms = slot->start_at_ms};
    }
    size_t fds = (size_t) edition->sockets * edition->config->listeners_count;
    if (edition->state < XF_EDITION_RETIRING) { /* later it forks nobody, and some are closed */
        memcpy(ret->listen_fds, edition->listen_fds, fds * sizeof(ret->listen_fds[0]));
    }
    memcpy(ret->keeper, edition->keeper, edition->sockets * sizeof(ret->keeper[0]));
    return 0;
}

/* ---- taking over ---- */

static int adopt_config(const struct xf_handed_edition *handed, const char *path,
                        struct xf_config **ret, struct xf_error *err)
{
    struct xf_problems problems;
    int failed = xf_edition_parse_text(path, handed->text_fd, ret, &problems);
    if (failed != 0) {
        (void) XF_FAIL(err, XF_E_REFUSED,
                       "this binary cannot read the configuration that edition %llu serves: %s",
                       (unsigned long long) handed->number,
                       problems.count > 0 ? problems.items[0].message : "no text");
    }
    xf_problems_release(&problems);
    if (failed != 0) {
        *ret = NULL;
        return -1;
    }
    struct xf_config *config = *ret;
    config->workers = handed->workers;
    if (handed->listeners == 0) {
        config->listeners_count = 0; /* `crossfade shifter` */
    }
    return config->listeners_count == handed->listeners
               ? 0
               : XF_FAIL(err, XF_E_REFUSED, "edition %llu has %u listeners, its text %u",
                         (unsigned long long) handed->number, handed->listeners,
                         config->listeners_count);
}

static int adopt_board(const struct xf_handed_edition *handed, const struct xf_config *config,
                       struct xf_board **ret, struct xf_error *err)
{
    int stats[XF_WORKERS_MAX];
    for (unsigned i = 0; i < handed->workers; i++) {
        stats[i] = handed->worker[i].stats_fd;
    }
    if (xf_board_adopt(handed->control_fd, handed->retired_fd, stats, handed->workers, ret, err) !=
        0) {
        return -1;
    }
    const struct xf_control_header *control = (*ret)->control;
    if (control->edition != handed->number || control->services != config->services_count ||
        control->servers != config->servers_count || control->pairs != config->pairs_count ||
        (*ret)->retired->clusters != config->clusters_count) {
        return XF_FAIL(err, XF_E_REFUSED,
                       "the board of edition %llu does not fit its configuration as this binary "
                       "reads it",
                       (unsigned long long) handed->number);
    }
    return 0;
}

static int adopt_workers(const struct xf_handed_edition *handed, int wake_fd,
                         struct xf_edition *edition, struct xf_error *err)
{
    edition->slot = calloc(handed->workers, sizeof(edition->slot[0]));
    if (edition->slot == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for an edition");
    }
    for (unsigned i = 0; i < handed->workers; i++) {
        edition->slot[i].channel = -1;
    }
    for (unsigned i = 0; i < handed->workers; i++) {
        const struct xf_handed_worker *worker = &handed->worker[i];
        struct xf_worker_slot *slot = &edition->slot[i];
        *slot = (struct xf_worker_slot){.pid = worker->pid,
                                        .channel = worker->channel,
                                        .told = (enum xf_told) worker->told,
                                        .accepting = worker->accepting,
                                        .stopped = worker->stopped,
                                        .start_at_ms = worker->start_at_ms};
        if (worker->ring_fd >= 0 &&
            xf_log_ring_attach(worker->ring_fd, wake_fd, &slot->ring, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int fill_adopted(const struct xf_handed_edition *handed, const char *config_path,
                        int wake_fd, struct xf_edition *edition, struct xf_error *err)
{
    size_t fds = (size_t) handed->sockets * handed->listeners;
    *edition = (struct xf_edition){.number = handed->number,
                                   .state = (enum xf_edition_state) handed->state,
                                   .text_fd = handed->text_fd,
                                   .log_fd = handed->log_fd,
                                   .workers = handed->workers,
                                   .sockets = handed->sockets,
                                   .deadline_ms = handed->deadline_ms,
                                   .foreign = true};
    if (handed->state >= XF_EDITION_OVER) {
        return XF_FAIL(err, XF_E_REFUSED,
                       "edition %llu is in a state that this binary does not "
                       "know",
                       (unsigned long long) handed->number);
    }
    edition->listen_fds = calloc(fds + 1, sizeof(edition->listen_fds[0]));
    edition->keeper = calloc(handed->sockets, sizeof(edition->keeper[0]));
    if (edition->listen_fds == NULL || edition->keeper == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for an edition");
    }
    memcpy(edition->listen_fds, handed->listen_fds, fds * sizeof(edition->listen_fds[0]));
    memcpy(edition->keeper, handed->keeper, handed->sockets * sizeof(edition->keeper[0]));
    if (adopt_config(handed, config_path, &edition->config, err) != 0 ||
        adopt_board(handed, edition->config, &edition->board, err) != 0) {
        return -1;
    }
    return adopt_workers(handed, wake_fd, edition, err);
}

int xf_edition_adopt(const struct xf_handed_edition *handed, const char *config_path, int wake_fd,
                     struct xf_edition **ret, struct xf_error *err)
{
    struct xf_edition *edition = calloc(1, sizeof(*edition));
    if (edition == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for an edition");
    }
    if (fill_adopted(handed, config_path, wake_fd, edition, err) != 0) {
        xf_edition_disown(edition);
        xf_edition_destroy(edition);
        return -1;
    }
    *ret = edition;
    return 0;
}

void xf_edition_disown(struct xf_edition *edition)
{
    for (unsigned i = 0; edition->slot != NULL && i < edition->workers; i++) {
        edition->slot[i].pid = 0;
    }
}
