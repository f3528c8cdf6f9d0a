/*
 * handover.c -- the description as text: names and decimal numbers, a line for each thing.
 */
#include "proxy/supervisor/handover.h"

#include "config/base/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define BINDS_MAX (4u * XF_LISTENERS_MAX)
#define FD_MAX    (1 << 30)

bool xf_handed_size_edition(struct xf_handed_edition *edition)
{
    if (edition->workers == 0 || edition->workers > XF_WORKERS_MAX || edition->sockets == 0 ||
        edition->sockets > XF_WORKERS_MAX || edition->listeners > XF_LISTENERS_MAX) {
        return false;
    }
    size_t fds = (size_t) edition->sockets * edition->listeners;
    edition->worker = calloc(edition->workers, sizeof(edition->worker[0]));
    edition->listen_fds = calloc(fds + 1, sizeof(edition->listen_fds[0]));
    edition->keeper = calloc(edition->sockets, sizeof(edition->keeper[0]));
    if (edition->worker == NULL || edition->listen_fds == NULL || edition->keeper == NULL) {
        return false;
    }
    memset(edition->listen_fds, -1, fds * sizeof(edition->listen_fds[0]));
    memset(edition->keeper, -1, edition->sockets * sizeof(edition->keeper[0]));
    for (unsigned i = 0; i < edition->workers; i++) {
        edition->worker[i] =
            (struct xf_handed_worker){.channel = -1, .ring_fd = -1, .stats_fd = -1};
    }
    return true;
}

void xf_handed_release(struct xf_handed *handed)
{
    for (unsigned i = 0; i < XF_COUNT(handed->edition); i++) {
        free(handed->edition[i].worker);
        free(handed->edition[i].listen_fds);
        free(handed->edition[i].keeper);
    }
    free(handed->bind);
    memset(handed, 0, sizeof(*handed));
}

/* ---- writing ---- */

static void write_number(struct xf_text *text, int64_t number)
{
    xf_text_printf(text, " %lld", (long long) number);
}

static void write_numbers(struct xf_text *text, const char *name, const int *numbers, size_t count)
{
    xf_text_puts(text, name);
    for (size_t i = 0; i < count; i++) {
        write_number(text, numbers[i]);
    }
    xf_text_puts(text, "\n");
}

static void write_edition(const struct xf_handed_edition *edition, struct xf_text *text)
{
    xf_text_printf(text, "edition %llu %u %lld %d %d %d %d %u %u %u\n",
                   (unsigned long long) edition->number, edition->state,
                   (long long) edition->deadline_ms, edition->text_fd, edition->log_fd,
                   edition->control_fd, edition->retired_fd, edition->workers, edition->sockets,
                   edition->listeners);
    for (unsigned i = 0; i < edition->workers; i++) {
        const struct xf_handed_worker *worker = &edition->worker[i];
        xf_text_printf(text, "worker %d %d %u %d %d %d %d %lld\n", (int) worker->pid,
                       worker->channel, worker->told, worker->accepting, worker->stopped,
                       worker->ring_fd, worker->stats_fd, (long long) worker->start_at_ms);
    }
    write_numbers(text, "listen", edition->listen_fds,
                  (size_t) edition->sockets * edition->listeners);
    write_numbers(text, "keeper", edition->keeper, edition->sockets);
}

void xf_handed_write(const struct xf_handed *handed, struct xf_text *text)
{
    xf_text_printf(text, "crossfade-handover %u\n", XF_HANDOVER_VERSION);
    xf_text_printf(text, "process %llu %llu %lld %lld\n", (unsigned long long) handed->last_edition,
                   (unsigned long long) handed->attempts, (long long) handed->tickets_at_ms,
                   (long long) handed->watchdog_ms);
    xf_text_printf(text, "descriptors %d %d %d %d %d %d %d %d\n", handed->state_dir_fd,
                   handed->unix_fd, handed->tcp_fd, handed->notify_fd, handed->wake_fd,
                   handed->messages[0], handed->messages[1], handed->next_text_fd);
    for (unsigned i = 0; i < XF_HANDED_CHILDREN; i++) {
        xf_text_printf(text, "child %d %d\n", (int) handed->child[i].pid, handed->child[i].channel);
    }
    xf_text_printf(text, "binds %u %u\n", handed->binds, handed->slots);
    for (unsigned i = 0; i < handed->binds; i++) {
        const struct xf_handed_bind *bind = &handed->bind[i];
        xf_text_printf(text, "bind %d %u", bind->inherited, bind->slots);
        write_numbers(text, "", bind->fds, bind->inherited ? 1 : bind->slots);
    }
    xf_text_printf(text, "editions %u\n", handed->editions);
    for (unsigned i = 0; i < handed->editions; i++) {
        write_edition(&handed->edition[i], text);
    }
    xf_text_puts(text, "end\n");
}

/* ---- reading ---- */

struct reader {
    const char *at, *end;
    bool failed; /* everything after a failure fails too: looked at once, at the end */
};

static void take_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);
    if (reader->failed || (size_t) (reader->end - reader->at) < length ||
        memcmp(reader->at, word, length) != 0) {
        reader->failed = true;
        return;
    }
    reader->at += length;
}

/* A blank and a number within [least, most]; 0 after a failure. */
static int64_t take_number(struct reader *reader, int64_t least, int64_t most)
{
    take_word(reader, " ");
    bool negative = !reader->failed && reader->at < reader->end && *reader->at == '-';
    reader->at += negative ? 1 : 0;
    const char *begin = reader->at;
    int64_t value = 0;
    while (!reader->failed && reader->at < reader->end && *reader->at >= '0' &&
           *reader->at <= '9') {
        int digit = *reader->at++ - '0';
        if (value > (INT64_MAX - digit) / 10) {
            reader->failed = true;
            return 0;
        }
        value = value * 10 + digit;
    }
    value = negative ? -value : value;
    if (reader->failed || reader->at == begin || value < least || value > most) {
        reader->failed = true;
        return 0;
    }
    return value;
}

static int take_fd(struct reader *reader)
{
    int fd = (int) take_number(reader, -1, FD_MAX);
    return reader->failed ? -1 : fd;
}

static unsigned take_count(struct reader *reader, unsigned least, unsigned most)
{
    return (unsigned) take_number(reader, least, most);
}

static pid_t take_pid(struct reader *reader)
{
    return (pid_t) take_number(reader, 0, INT32_MAX);
}

static void take_worker(struct reader *reader, struct xf_handed_worker *worker)
{
    take_word(reader, "worker");
    worker->pid = take_pid(reader);
    worker->channel = take_fd(reader);
    worker->told = take_count(reader, 0, 16);
    worker->accepting = take_count(reader, 0, 1) != 0;
    worker->stopped = take_count(reader, 0, 1) != 0;
    worker->ring_fd = take_fd(reader);
    worker->stats_fd = take_fd(reader);
    worker->start_at_ms = take_number(reader, 0, INT64_MAX);
    take_word(reader, "\n");
}

static void take_edition(struct reader *reader, struct xf_handed_edition *edition)
{
    take_word(reader, "edition");
    edition->number = (uint64_t) take_number(reader, 1, INT64_MAX);
    edition->state = take_count(reader, 0, 16);
    edition->deadline_ms = take_number(reader, 0, INT64_MAX);
    edition->text_fd = take_fd(reader);
    edition->log_fd = take_fd(reader);
    edition->control_fd = take_fd(reader);
    edition->retired_fd = take_fd(reader);
    edition->workers = take_count(reader, 1, XF_WORKERS_MAX);
    edition->sockets = take_count(reader, 1, XF_WORKERS_MAX);
    edition->listeners = take_count(reader, 0, XF_LISTENERS_MAX);
    take_word(reader, "\n");
    if (reader->failed || !xf_handed_size_edition(edition)) {
        reader->failed = true;
        return;
    }
    for (unsigned i = 0; i < edition->workers; i++) {
        take_worker(reader, &edition->worker[i]);
    }
    take_word(reader, "listen");
    for (size_t i = 0; i < (size_t) edition->sockets * edition->listeners; i++) {
        edition->listen_fds[i] = take_fd(reader);
    }
    take_word(reader, "\nkeeper");
    for (unsigned i = 0; i < edition->sockets; i++) {
        edition->keeper[i] = (int) take_number(reader, -1, (int64_t) edition->workers - 1);
    }
    take_word(reader, "\n");
}

static void take_binds(struct reader *reader, struct xf_handed *ret)
{
    take_word(reader, "binds");
    unsigned binds = take_count(reader, 0, BINDS_MAX);
    ret->slots = take_count(reader, 0, XF_WORKERS_MAX);
    take_word(reader, "\n");
    ret->bind = calloc(binds + 1, sizeof(ret->bind[0]));
    if (ret->bind == NULL) {
        reader->failed = true;
        return;
    }
    ret->binds = binds;
    for (unsigned i = 0; i < binds; i++) {
        struct xf_handed_bind *bind = &ret->bind[i];
        memset(bind->fds, -1, sizeof(bind->fds));
        take_word(reader, "bind");
        bind->inherited = take_count(reader, 0, 1) != 0;
        bind->slots = take_count(reader, 0, XF_WORKERS_MAX);
        for (unsigned k = 0; k < (bind->inherited ? 1 : bind->slots); k++) {
            bind->fds[k] = take_fd(reader);
        }
        take_word(reader, "\n");
    }
}

static void take_all(struct reader *reader, struct xf_handed *ret)
{
    take_word(reader, "process");
    ret->last_edition = (uint64_t) take_number(reader, 0, INT64_MAX);
    ret->attempts = (uint64_t) take_number(reader, 0, INT64_MAX);
    ret->tickets_at_ms = take_number(reader, 0, INT64_MAX);
    ret->watchdog_ms = take_number(reader, 0, INT64_MAX);
    take_word(reader, "\ndescriptors");
    int *fds[] = {&ret->state_dir_fd, &ret->unix_fd,     &ret->tcp_fd,      &ret->notify_fd,
                  &ret->wake_fd,      &ret->messages[0], &ret->messages[1], &ret->next_text_fd};
    for (size_t i = 0; i < XF_COUNT(fds); i++) {
        *fds[i] = take_fd(reader);
    }
    take_word(reader, "\n");
    for (unsigned i = 0; i < XF_HANDED_CHILDREN; i++) {
        take_word(reader, "child");
        ret->child[i].pid = take_pid(reader);
        ret->child[i].channel = take_fd(reader);
        take_word(reader, "\n");
    }
    take_binds(reader, ret);
    take_word(reader, "editions");
    unsigned editions = take_count(reader, 1, XF_INFORCE_EDITIONS_MAX - 1); /* one will follow */
    take_word(reader, "\n");
    for (unsigned i = 0; i < editions && !reader->failed; i++) {
        ret->editions = i + 1;
        take_edition(reader, &ret->edition[i]);
    }
    take_word(reader, "end\n");
}

int xf_handed_parse(const char *text, size_t length, struct xf_handed *ret, struct xf_error *err)
{
    struct reader reader = {.at = text, .end = text + length};
    memset(ret, 0, sizeof(*ret));
    take_word(&reader, "crossfade-handover");
    int64_t version = take_number(&reader, 0, INT32_MAX);
    take_word(&reader, "\n");
    if (!reader.failed && version != XF_HANDOVER_VERSION) {
        return XF_FAIL(err, XF_E_REFUSED, "the handover has version %lld, this binary knows %u",
                       (long long) version, XF_HANDOVER_VERSION);
    }
    take_all(&reader, ret);
    if (reader.failed || reader.at != reader.end) {
        return XF_FAIL(err, XF_E_REFUSED, "the handover is malformed at byte %zu",
                       (size_t) (reader.at - text));
    }
    return 0;
}

/* ---- descriptors ---- */

static void call_all(const int *fds, size_t count, void (*each)(void *context, int fd),
                     void *context)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            each(context, fds[i]);
        }
    }
}

static void each_of_edition(const struct xf_handed_edition *edition,
                            void (*each)(void *context, int fd), void *context)
{
    const int fds[] = {edition->text_fd, edition->log_fd, edition->control_fd, edition->retired_fd};
    call_all(fds, XF_COUNT(fds), each, context);
    call_all(edition->listen_fds, (size_t) edition->sockets * edition->listeners, each, context);
    for (unsigned i = 0; i < edition->workers; i++) {
        const struct xf_handed_worker *worker = &edition->worker[i];
        const int own[] = {worker->channel, worker->ring_fd, worker->stats_fd};
        call_all(own, XF_COUNT(own), each, context);
    }
}

void xf_handed_each_fd(const struct xf_handed *handed, void (*each)(void *context, int fd),
                       void *context)
{
    const int fds[] = {handed->state_dir_fd, handed->unix_fd,     handed->tcp_fd,
                       handed->notify_fd,    handed->wake_fd,     handed->messages[0],
                       handed->messages[1],  handed->next_text_fd};
    call_all(fds, XF_COUNT(fds), each, context);
    for (unsigned i = 0; i < XF_HANDED_CHILDREN; i++) {
        call_all(&handed->child[i].channel, 1, each, context);
    }
    for (unsigned i = 0; i < handed->binds; i++) {
        call_all(handed->bind[i].fds, XF_WORKERS_MAX, each, context);
    }
    for (unsigned i = 0; i < handed->editions; i++) {
        each_of_edition(&handed->edition[i], each, context);
    }
}

static void close_on_exec(void *context, int fd)
{
    (void) context;
    (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void xf_handed_close_on_exec(const struct xf_handed *handed)
{
    xf_handed_each_fd(handed, close_on_exec, NULL);
}
