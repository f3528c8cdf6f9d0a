/*
 * supervisor_reexec.c -- replacing the running binary by the one on disk, with the same pid.
 *
 * A re-execution is a reload (supervisor_reload.c) whose checker is the new binary, and whose new
 * edition is begun by it after the exec:
 *
 *     checking (`NEWBINARY check`, told what it would take over) --> asking --> exec --> opening
 *
 * Until the exec nothing has changed, and whatever is wrong only refuses.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"
#include "proxy/supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT_BYTES 16

/* ---- which file is the binary ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The path that we were started by: it may be a link that an installation moves.  Where it does
 * not lead to us, as for an interpreter of programs, the kernel's word for it. */
void xf_supervisor_find_binary(struct xf_supervisor *supervisor)
{
    const char *given = (const char *) (uintptr_t) getauxval(AT_EXECFN);
    char *path = supervisor->reexec.binary, folder[PATH_MAX];
    size_t bytes = sizeof(supervisor->reexec.binary);
    struct stat own, found;
    int length = -1;
    if (given != NULL && given[0] == '/') {
        length = snprintf(path, bytes, "%s", given);
    } else if (given != NULL && getcwd(folder, sizeof(folder)) != NULL) {
        length = snprintf(path, bytes, "%s/%s", folder, given);
    }
    if (length > 0 && (size_t) length < bytes && stat(path, &found) == 0 &&
        stat("/proc/self/exe", &own) == 0 && same_file(&own, &found)) {
        return;
    }
    ssize_t got = readlink("/proc/self/exe", path, bytes - 1);
    path[got > 0 ? got : 0] = '\0';
}

static int look_at_binary(const struct xf_supervisor *supervisor, struct stat *ret,
                          struct xf_error *err)
{
    const char *path = supervisor->reexec.binary;
    if (path[0] == '\0' || stat(path, ret) != 0) {
        return XF_FAIL(err, XF_E_FAILED, "cannot find the binary %s: %s", path,
                       strerrordesc_np(errno));
    }
    if (!S_ISREG(ret->st_mode) || access(path, X_OK) != 0) {
        return XF_FAIL(err, XF_E_FAILED, "%s is not executable", path);
    }
    return 0;
}

/* ---- asking the new binary ---- */

struct trial {
    const struct xf_supervisor *supervisor;
    const int *fds; /* what it may look at; the description is the first; -1: none */
    unsigned count;
    int report_fd;
};

static void set_environment(int handover_fd)
{
    char number[ENVIRONMENT_BYTES];
    snprintf(number, sizeof(number), "%d", handover_fd);
    (void) setenv(XF_HANDOVER_ENVIRONMENT, number, 1);
}

static int run_trial(void *context, int channel_fd)
{
    struct trial *trial = context;
    const char *path = trial->supervisor->reexec.binary;
    char *const arguments[] = {(char *) (uintptr_t) path, (char *) (uintptr_t) "check",
                               (char *) (uintptr_t) "-c",
                               (char *) (uintptr_t) trial->supervisor->options->config_path, NULL};
    (void) channel_fd;
    (void) dup2(trial->report_fd, STDOUT_FILENO);
    (void) dup2(trial->report_fd, STDERR_FILENO);
    for (unsigned i = 0; i < trial->count; i++) {
        (void) fcntl(trial->fds[i], F_SETFD, 0);
    }
    set_environment(trial->fds[0]);
    (void) execv(path, arguments);
    dprintf(STDERR_FILENO, "cannot execute %s: %s\n", path, strerrordesc_np(errno));
    return 1;
}

/* Memory and texts only: what is not proven to be a crossfade must not hold our sockets. */
static unsigned list_readable(const struct xf_handed *handed, int handover_fd, int *fds)
{
    unsigned count = 0;
    fds[count++] = handover_fd;
    fds[count++] = handed->next_text_fd;
    for (unsigned i = 0; i < handed->editions; i++) {
        const struct xf_handed_edition *edition = &handed->edition[i];
        fds[count++] = edition->text_fd;
        fds[count++] = edition->control_fd;
        fds[count++] = edition->retired_fd;
        for (unsigned w = 0; w < edition->workers; w++) {
            fds[count++] = edition->worker[w].stats_fd;
            fds[count++] = edition->worker[w].ring_fd;
        }
    }
    return count;
}

#define READABLE_MAX (3u + XF_INFORCE_EDITIONS_MAX * (3u + 2u * XF_WORKERS_MAX))
static_assert(READABLE_MAX <= XF_SPAWN_KEEP_MAX, "xf_spawn() takes so many");

static int fork_trial(struct xf_supervisor *supervisor, const struct xf_handed *handed,
                      int handover_fd, int report_fd, struct xf_error *err)
{
    int channel, *fds = calloc(READABLE_MAX, sizeof(fds[0]));
    if (fds == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory to ask the new binary");
    }
    struct trial trial = {.supervisor = supervisor, .fds = fds, .report_fd = report_fd};
    trial.count = list_readable(handed, handover_fd, fds);
    fds[trial.count] = report_fd;
    struct xf_spawn spawn = {.title = "cf-check",
                             .keep = fds,
                             .keep_count = trial.count + 1,
                             .stderr_fd = supervisor->messages[1],
                             .run = run_trial,
                             .context = &trial};
    int failed = xf_spawn(&spawn, &supervisor->reload.child, &channel, err);
    free(fds);
    if (failed == 0) {
        close(channel);
    }
    return failed;
}

int xf_supervisor_try_binary(struct xf_supervisor *supervisor, int report_fd, struct xf_error *err)
{
    struct xf_handed handed;
    int handover_fd;
    if (look_at_binary(supervisor, &supervisor->reexec.looked_at, err) != 0) {
        return -1;
    }
    if (supervisor->editions_count == XF_INFORCE_EDITIONS_MAX) {
        return XF_FAIL(err, XF_E_REFUSED, "%u editions are still finishing what they began",
                       XF_INFORCE_EDITIONS_MAX);
    }
    int failed = xf_supervisor_describe(supervisor, &handed, err);
    if (failed == 0) {
        failed = xf_supervisor_write_handover(&handed, &handover_fd, err);
    }
    if (failed == 0) {
        failed = fork_trial(supervisor, &handed, handover_fd, report_fd, err);
        close(handover_fd);
    }
    xf_handed_release(&handed);
    return failed;
}

bool xf_supervisor_binary_accepted(const struct xf_supervisor *supervisor)
{
    return strstr(supervisor->reload.report.data, XF_HANDOVER_ACCEPTED) != NULL;
}

/* ---- becoming it ---- */

static void keep_over_exec(void *context, int fd)
{
    (void) context;
    (void) fcntl(fd, F_SETFD, 0);
}

static int become(struct xf_supervisor *supervisor, const struct xf_handed *handed, int handover_fd,
                  struct xf_error *err)
{
    char *const *given = supervisor->options->arguments;
    size_t count = 0;
    while (given[count] != NULL) {
        count++;
    }
    char **arguments = calloc(count + 2, sizeof(arguments[0]));
    if (arguments == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "no memory for the arguments");
    }
    arguments[0] = supervisor->reexec.binary;
    memcpy(&arguments[1], given, count * sizeof(arguments[0]));
    xf_handed_each_fd(handed, keep_over_exec, NULL);
    keep_over_exec(NULL, handover_fd);
    set_environment(handover_fd);
    (void) execv(supervisor->reexec.binary, arguments);
    int saved = errno;
    unsetenv(XF_HANDOVER_ENVIRONMENT);
    xf_handed_close_on_exec(handed);
    free(arguments);
    return XF_FAIL(err, XF_E_SYSTEM, "cannot execute %s: %s", supervisor->reexec.binary,
                   strerrordesc_np(saved));
}

int xf_supervisor_become_binary(struct xf_supervisor *supervisor, struct xf_error *err)
{
    struct xf_handed handed;
    struct stat now;
    const struct stat *before = &supervisor->reexec.looked_at;
    int handover_fd;
    if (look_at_binary(supervisor, &now, err) != 0) {
        return -1;
    }
    if (!same_file(&now, before) || now.st_size != before->st_size ||
        now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != before->st_mtim.tv_nsec) {
        return XF_FAIL(err, XF_E_REFUSED, "%s changed while it was being checked",
                       supervisor->reexec.binary);
    }
    int failed = xf_supervisor_describe(supervisor, &handed, err);
    if (failed == 0) {
        failed = xf_supervisor_write_handover(&handed, &handover_fd, err);
    }
    if (failed == 0) {
        xf_log(XF_LOG_NOTICE, "reexec.exec", "binary=%s version=%s", supervisor->reexec.binary,
               XF_VERSION);
        failed = become(supervisor, &handed, handover_fd, err); /* returns only when it failed */
        close(handover_fd);
    }
    xf_handed_release(&handed);
    return failed;
}

/* ---- what became of it ---- */

void xf_supervisor_ask_reexec(struct xf_supervisor *supervisor)
{
    supervisor->reexec.asked = true;
}

void xf_supervisor_note_reexec(struct xf_supervisor *supervisor, enum xf_reexec_outcome outcome,
                               const char *why)
{
    supervisor->reexec.outcome = outcome;
    supervisor->reexec.told = false;
    snprintf(supervisor->reexec.why, sizeof(supervisor->reexec.why), "%s", why);
}
