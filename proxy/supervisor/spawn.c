/*
 * spawn.c -- fork, then leave everything behind.
 *
 * The child never returns from xf_spawn(): it ends with _exit(), so that nothing the supervisor
 * registered for its own end runs twice.
 */
#include "proxy/supervisor/spawn.h"

#include "config/base/log.h"
#include "proxy/board/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void xf_spawn_harden(void)
{
#ifndef __SANITIZE_ADDRESS__ /* its leak checker must be able to look at its own process */
    (void) prctl(PR_SET_DUMPABLE, 0);
#endif
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* ---- descriptors ---- */

static int compare_fds(const void *a, const void *b)
{
    int left = *(const int *) a, right = *(const int *) b;
    return (left > right) - (left < right);
}

/* Closes all but standard input, output and error, the channel and those to keep. */
static bool close_others(const struct xf_spawn *spawn, int channel_fd)
{
    int *fds = calloc(spawn->keep_count + 1, sizeof(fds[0]));
    unsigned from = STDERR_FILENO + 1;
    if (fds == NULL) {
        return false;
    }
    if (spawn->keep_count > 0) {
        memcpy(fds, spawn->keep, spawn->keep_count * sizeof(fds[0]));
    }
    fds[spawn->keep_count] = channel_fd;
    qsort(fds, spawn->keep_count + 1, sizeof(fds[0]), compare_fds);
    for (unsigned i = 0; i <= spawn->keep_count; i++) {
        if (fds[i] < (int) from) {
            continue;
        }
        if (fds[i] > (int) from) {
            (void) close_range(from, (unsigned) fds[i] - 1, 0);
        }
        from = (unsigned) fds[i] + 1;
    }
    (void) close_range(from, ~0u, 0);
    free(fds);
    return true;
}

static void set_standard_streams(const struct xf_spawn *spawn)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        (void) dup2(null, STDIN_FILENO);
        close(null);
    }
    if (spawn->stderr_fd >= 0) {
        (void) dup2(spawn->stderr_fd, STDERR_FILENO);
    }
}

/* ---- signals ---- */

static void do_nothing(int signal_number)
{
    (void) signal_number;
}

/* Handlers rather than SIG_IGN, which would go on through exec into hooks. */
static void reset_signals(void)
{
    static const int quiet[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < XF_COUNT(quiet); i++) {
        (void) sigaction(quiet[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    (void) sigaction(SIGPIPE, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- privileges ---- */

static int drop_capabilities(struct xf_error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct nothing[2] = {{0}};
    (void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, nothing) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot drop capabilities: %s", strerrordesc_np(errno));
    }
    return 0;
}

static int become_nobody(struct xf_error *err)
{
    const struct passwd *user = getpwnam("crossfade");
    if (user == NULL) {
        user = getpwnam("nobody");
    }
    if (user == NULL) {
        return XF_FAIL(err, XF_E_SYSTEM, "neither the user `crossfade` nor `nobody` exists");
    }
    if (setgroups(0, NULL) != 0 || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot become the user `%s`: %s", user->pw_name,
                       strerrordesc_np(errno));
    }
    return 0;
}

static int drop_privileges(const struct xf_spawn *spawn, struct xf_error *err)
{
    bool root = geteuid() == 0;
    if (spawn->unprivileged && root && become_nobody(err) != 0) {
        return -1;
    }
    /* As root the agent and the shifter keep what root has: their files may be anybody's. */
    if ((spawn->unprivileged || !root) && drop_capabilities(err) != 0) {
        return -1;
    }
    (void) prctl(PR_SET_DUMPABLE, 0); /* again: a change of user resets it */
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return 0;
}

/* ---- the child's life ---- */

static int live(const struct xf_spawn *spawn, int channel_fd)
{
    struct xf_error err;
    (void) prctl(PR_SET_NAME, spawn->title);
    reset_signals();
    set_standard_streams(spawn);
    xf_log_init(spawn->title, XF_LOG_INFO);
    if (!close_others(spawn, channel_fd)) {
        return 1;
    }
    if ((spawn->prepare != NULL && spawn->prepare(spawn->context, &err) != 0) ||
        drop_privileges(spawn, &err) != 0) {
        char quoted[XF_LOG_QUOTE_BYTES];
        xf_log(XF_LOG_ERROR, "child.unprepared", "why=%s", xf_log_quote(err.message, quoted));
        return 1;
    }
    return spawn->run(spawn->context, channel_fd);
}

int xf_spawn(const struct xf_spawn *spawn, pid_t *ret_pid, int *ret_channel, struct xf_error *err)
{
    int ends[2];
    XF_ASSERT(spawn->keep_count <= XF_SPAWN_KEEP_MAX);
    if (!xf_channel_pair(ends)) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make a channel: %s", strerrordesc_np(errno));
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        int saved = errno;
        close(ends[0]);
        close(ends[1]);
        return XF_FAIL(err, XF_E_SYSTEM, "cannot fork %s: %s", spawn->title,
                       strerrordesc_np(saved));
    }
    if (pid == 0) {
        int code = live(spawn, ends[1]);
        fflush(NULL);
        _exit(code);
    }
    close(ends[1]);
    *ret_pid = pid;
    *ret_channel = ends[0];
    return 0;
}
