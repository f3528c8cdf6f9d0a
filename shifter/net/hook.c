/*
 * hook.c -- see hook.h.
 *
 * posix_spawn rather than fork: the child never runs our code.  A pidfd tells its end, so nobody
 * has to own SIGCHLD.  The guard is a fork that keeps that pidfd alone; while we live it is never
 * the first to act.
 */
#include "shifter/net/hook.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <paths.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOOK_MAGIC      0x686f6f6bu
#define ENVIRONMENT_MAX 32u
#define READS_A_TURN    16   /* a command that writes without end must not hold the loop */
#define GUARD_MS        3000 /* beyond the time limit: when SIGKILL was sent, were we alive */
#define KILL_MS         2000 /* after SIGTERM */

static const struct timeval kill_after = {KILL_MS / 1000, 0};

struct xf_hook {
    unsigned magic;
    pid_t pid;   /* 0: reaped */
    pid_t guard; /* 0: none, or reaped */
    int pidfd;
    int pipe;
    struct event *ended;
    struct event *readable;
    struct event *timer;
    bool timed_out;
    char output[2 * XF_HOOK_OUTPUT_BYTES + 1];
    size_t output_bytes;
    xf_hook_done *done;
    void *context;
};

/* Keeps the newest bytes: when the room is full, the older half goes. */
static void keep_output(struct xf_hook *hook, const char *bytes, size_t count)
{
    if (hook->output_bytes + count > 2 * XF_HOOK_OUTPUT_BYTES) {
        size_t kept =
            hook->output_bytes < XF_HOOK_OUTPUT_BYTES ? hook->output_bytes : XF_HOOK_OUTPUT_BYTES;
        memmove(hook->output, hook->output + hook->output_bytes - kept, kept);
        hook->output_bytes = kept;
    }
    memcpy(hook->output + hook->output_bytes, bytes, count);
    hook->output_bytes += count;
}

/* Reads what is there; false at the end of the pipe. */
static bool read_output(struct xf_hook *hook)
{
    char bytes[XF_HOOK_OUTPUT_BYTES];
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t got = read(hook->pipe, bytes, sizeof(bytes));
        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        keep_output(hook, bytes, (size_t) got);
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_hook *hook = arg;
    XF_ASSERT(hook->magic == HOOK_MAGIC);
    if (!read_output(hook)) {
        event_del(hook->readable);
    }
}

/* ---- the guard ---- */

/* False: the command runs still.  While it does its number belongs to nobody else. */
static bool has_ended(int pidfd, int64_t ms)
{
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    while (ms > INT_MAX) {
        if (poll(&wait, 1, INT_MAX) > 0) {
            return true;
        }
        ms -= INT_MAX;
    }
    return poll(&wait, 1, (int) ms) > 0;
}

/* In the guard: nothing of the shifter stays open, or a lock would outlive it. */
XF_NORETURN static void run_guard(pid_t command, int pidfd, int64_t timeout_ms)
{
    sigset_t all;
    if (pidfd > 0) {
        close_range(0, (unsigned) pidfd - 1, 0);
    }
    close_range((unsigned) pidfd + 1, ~0u, 0);
    prctl(PR_SET_NAME, "cf-hook-guard");
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* what ends the shifter's group must not end this */
    if (!has_ended(pidfd, timeout_ms + GUARD_MS)) {
        kill(-command, SIGTERM);
        if (!has_ended(pidfd, KILL_MS)) {
            kill(-command, SIGKILL);
        }
    }
    _exit(0);
}

static void end_guard(struct xf_hook *hook)
{
    if (hook->guard > 0) {
        kill(hook->guard, SIGKILL);
        waitpid(hook->guard, NULL, 0); /* it is being killed: this does not wait for its work */
        hook->guard = 0;
    }
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_hook *hook = arg;
    XF_ASSERT(hook->magic == HOOK_MAGIC);
    int status = 0;
    if (waitpid(hook->pid, &status, WNOHANG) != hook->pid) {
        return;
    }
    hook->pid = 0;
    end_guard(hook);
    event_del(hook->ended);
    event_del(hook->timer);
    (void) read_output(hook);
    size_t skipped =
        hook->output_bytes > XF_HOOK_OUTPUT_BYTES ? hook->output_bytes - XF_HOOK_OUTPUT_BYTES : 0;
    hook->output[hook->output_bytes] = '\0';
    struct xf_hook_result result = {.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                                    .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                                    .timed_out = hook->timed_out,
                                    .output = hook->output + skipped};
    hook->done(hook->context, &result);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_hook *hook = arg;
    XF_ASSERT(hook->magic == HOOK_MAGIC);
    kill(-hook->pid, hook->timed_out ? SIGKILL : SIGTERM);
    if (!hook->timed_out) {
        hook->timed_out = true;
        event_add(hook->timer, &kill_after);
    }
}

static int prepare_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGPIPE); /* what it says after our end must not be its end */
    short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    int code = posix_spawnattr_init(attributes);
    if (code == 0 && ((code = posix_spawnattr_setpgroup(attributes, 0)) != 0 ||
                      (code = posix_spawnattr_setsigmask(attributes, &none)) != 0 ||
                      (code = posix_spawnattr_setsigdefault(attributes, &all)) != 0 ||
                      (code = posix_spawnattr_setflags(attributes, flags)) != 0)) {
        posix_spawnattr_destroy(attributes);
    }
    return code;
}

static int prepare_files(posix_spawn_file_actions_t *files, int output)
{
    int code = posix_spawn_file_actions_init(files);
    if (code == 0 &&
        ((code = posix_spawn_file_actions_addopen(files, 0, _PATH_DEVNULL, O_RDONLY, 0)) != 0 ||
         (code = posix_spawn_file_actions_adddup2(files, output, 1)) != 0 ||
         (code = posix_spawn_file_actions_adddup2(files, output, 2)) != 0 ||
         (code = posix_spawn_file_actions_addclosefrom_np(files, 3)) != 0 ||
         (code = posix_spawn_file_actions_addchdir_np(files, "/")) != 0)) {
        posix_spawn_file_actions_destroy(files);
    }
    return code;
}

/* 0, or an errno. */
static int spawn(struct xf_hook *hook, char *const *command, const char *const *environment,
                 int output)
{
    static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *variables[ENVIRONMENT_MAX + 2] = {(char *) path};
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (i == ENVIRONMENT_MAX) {
            return E2BIG;
        }
        variables[i + 1] = (char *) environment[i];
    }
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t files;
    int code = prepare_attributes(&attributes);
    if (code != 0) {
        return code;
    }
    code = prepare_files(&files, output);
    if (code == 0) {
        code = posix_spawnp(&hook->pid, command[0], &files, &attributes, command, variables);
        posix_spawn_file_actions_destroy(&files);
    }
    posix_spawnattr_destroy(&attributes);
    if (code != 0) {
        hook->pid = 0;
    }
    return code;
}

/* Pipe, child, guard and events; 0 or an errno. */
static int start(struct event_base *loop, struct xf_hook *hook, char *const *command,
                 const char *const *environment, int64_t timeout_ms)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    hook->pipe = ends[0];
    int code = fcntl(hook->pipe, F_SETFL, O_NONBLOCK) != 0
                   ? errno
                   : spawn(hook, command, environment, ends[1]);
    close(ends[1]);
    if (code != 0) {
        return code;
    }
    hook->pidfd = (int) syscall(SYS_pidfd_open, hook->pid, 0);
    hook->guard = hook->pidfd >= 0 ? fork() : -1;
    if (hook->guard == 0) {
        run_guard(hook->pid, hook->pidfd, timeout_ms);
    }
    if (hook->pidfd < 0 || hook->guard < 0) {
        hook->guard = 0;
        return errno;
    }
    struct timeval limit = {timeout_ms / 1000, (suseconds_t) (timeout_ms % 1000) * 1000};
    hook->ended = event_new(loop, hook->pidfd, EV_READ | EV_PERSIST, on_ended, hook);
    hook->readable = event_new(loop, hook->pipe, EV_READ | EV_PERSIST, on_readable, hook);
    hook->timer = evtimer_new(loop, on_timer, hook);
    bool added = hook->ended != NULL && hook->readable != NULL && hook->timer != NULL &&
                 event_add(hook->ended, NULL) == 0 && event_add(hook->readable, NULL) == 0 &&
                 event_add(hook->timer, &limit) == 0;
    return added ? 0 : ENOMEM;
}

int xf_hook_start(struct event_base *loop, char *const *command, const char *const *environment,
                  int64_t timeout_ms, xf_hook_done *done, void *context, struct xf_hook **ret,
                  struct xf_error *err)
{
    struct xf_hook *hook = calloc(1, sizeof(*hook));
    if (hook == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "hook %s: out of memory", command[0]);
    }
    hook->magic = HOOK_MAGIC;
    hook->pidfd = -1;
    hook->pipe = -1;
    hook->done = done;
    hook->context = context;
    int code = start(loop, hook, command, environment, timeout_ms);
    if (code != 0) {
        xf_hook_destroy(hook);
        return XF_FAIL(err, XF_E_SYSTEM, "hook %s cannot be started: %s", command[0],
                       strerror(code));
    }
    *ret = hook;
    return 0;
}

void xf_hook_destroy(struct xf_hook *hook)
{
    if (hook == NULL) {
        return;
    }
    if (hook->pid > 0) {
        kill(-hook->pid, SIGKILL);
        waitpid(hook->pid, NULL, 0); /* it is being killed: this does not wait for its work */
    }
    end_guard(hook);
    struct event *const events[] = {hook->ended, hook->readable, hook->timer};
    for (size_t i = 0; i < XF_COUNT(events); i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    const int fds[] = {hook->pidfd, hook->pipe};
    for (size_t i = 0; i < XF_COUNT(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(hook);
}

void xf_hook_abandon(struct xf_hook *hook)
{
    if (hook != NULL) {
        hook->pid = 0;
        hook->guard = 0;
        xf_hook_destroy(hook);
    }
}

void xf_hook_describe(const struct xf_hook_result *result, char *out, size_t bytes)
{
    size_t end = strlen(result->output);
    while (end > 0 && result->output[end - 1] == '\n') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && result->output[begin - 1] != '\n') {
        begin--;
    }
    char how[48];
    if (result->timed_out) {
        snprintf(how, sizeof(how), "ended at its time limit");
    } else if (result->exit_status >= 0) {
        snprintf(how, sizeof(how), "exit %d", result->exit_status);
    } else {
        snprintf(how, sizeof(how), "ended by signal %d", result->signal);
    }
    snprintf(out, bytes, "%s%s%.*s", how, end > begin ? ": " : "", (int) (end - begin),
             result->output + begin);
}
