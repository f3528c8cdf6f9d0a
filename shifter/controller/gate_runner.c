/*
 * gate_runner.c -- a list of gates run in a child with a time limit.
 *
 * The child leaves its answer in a memfd; a pidfd tells its end.
 */
#include "shifter/controller/gate_runner.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNNER_MAGIC     0x67617465u
#define ANSWER_BYTES_MAX (4 * 1024 * 1024)

struct xf_gate_runner {
    unsigned magic;
    pid_t pid; /* 0: reaped */
    int pidfd;
    int answer; /* memfd */
    bool timed_out;
    struct event *ended;
    struct event *timer;
    xf_gates_done *done;
    void *done_context;
};

/* In the child: nothing of the shifter stays open, and it dies with it. */
static void leave_the_shifter(int answer)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (answer > 3) {
        close_range(3, (unsigned) answer - 1, 0);
    }
    close_range((unsigned) answer + 1, ~0u, 0);
}

XF_NORETURN static void run_child(int answer, const char *gates_json,
                                  const struct xf_gate_context *context)
{
    struct xf_checks checks = {0};
    leave_the_shifter(answer);
    xf_gates_run(gates_json, context, &checks);
    json_t *result = xf_checks_json(&checks);
    char *text = result != NULL ? json_dumps(result, JSON_COMPACT) : NULL;
    size_t length = text != NULL ? strlen(text) : 0;
    bool written = length > 0 && write(answer, text, length) == (ssize_t) length;
    _exit(written ? 0 : 1);
}

/* The child's answer, or one failed check that says why there is none. */
static json_t *read_answer(const struct xf_gate_runner *runner, int status)
{
    struct stat info;
    json_t *result = NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && fstat(runner->answer, &info) == 0 &&
        info.st_size > 0 && info.st_size <= ANSWER_BYTES_MAX) {
        size_t length = (size_t) info.st_size;
        char *text = malloc(length);
        if (text != NULL && pread(runner->answer, text, length, 0) == (ssize_t) length) {
            result = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
        }
        free(text);
    }
    if (json_is_object(result)) {
        return result;
    }
    json_decref(result);
    struct xf_checks checks = {0};
    xf_checks_add(&checks, "gates", "time", false, XF_SEVERITY_ERROR, "%s",
                  runner->timed_out ? "the gates did not answer within their time limit"
                                    : "the gates' process ended without an answer");
    result = xf_checks_json(&checks);
    xf_checks_release(&checks);
    return result;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_gate_runner *runner = arg;
    XF_ASSERT(runner->magic == RUNNER_MAGIC);
    int status = 0;
    if (waitpid(runner->pid, &status, WNOHANG) != runner->pid) {
        return;
    }
    runner->pid = 0;
    event_del(runner->ended);
    event_del(runner->timer);
    json_t *result = read_answer(runner, status);
    runner->done(runner->done_context, result); /* may destroy the runner */
    json_decref(result);
}

/* A hook runs in a group of its own, so it must be found before the child that knows it is gone. */
static void kill_family(pid_t pid)
{
    char path[64];
    long child;
    kill(pid, SIGSTOP);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) pid, (int) pid);
    FILE *children = fopen(path, "re");
    while (children != NULL && fscanf(children, "%ld", &child) == 1) {
        kill((pid_t) -child, SIGKILL);
        kill((pid_t) child, SIGKILL);
    }
    if (children != NULL) {
        fclose(children);
    }
    kill(pid, SIGKILL);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void) fd;
    (void) what;
    struct xf_gate_runner *runner = arg;
    XF_ASSERT(runner->magic == RUNNER_MAGIC);
    runner->timed_out = true;
    kill_family(runner->pid);
}

/* 0 or an errno. */
static int start(struct event_base *loop, struct xf_gate_runner *runner, const char *gates_json,
                 const struct xf_gate_context *context, int64_t timeout_ms)
{
    runner->answer = memfd_create("crossfade-gates", MFD_CLOEXEC);
    if (runner->answer < 0) {
        return errno;
    }
    runner->pid = fork();
    if (runner->pid < 0) {
        runner->pid = 0;
        return errno;
    }
    if (runner->pid == 0) {
        run_child(runner->answer, gates_json, context);
    }
    runner->pidfd = (int) syscall(SYS_pidfd_open, runner->pid, 0);
    if (runner->pidfd < 0) {
        return errno;
    }
    struct timeval limit = {timeout_ms / 1000, (suseconds_t) (timeout_ms % 1000) * 1000};
    runner->ended = event_new(loop, runner->pidfd, EV_READ | EV_PERSIST, on_ended, runner);
    runner->timer = evtimer_new(loop, on_timer, runner);
    bool added = runner->ended != NULL && runner->timer != NULL &&
                 event_add(runner->ended, NULL) == 0 && event_add(runner->timer, &limit) == 0;
    return added ? 0 : ENOMEM;
}

int xf_gate_runner_start(struct event_base *loop, const char *gates_json,
                         const struct xf_gate_context *context, int64_t timeout_ms,
                         xf_gates_done *done, void *done_context, struct xf_gate_runner **ret,
                         struct xf_error *err)
{
    struct xf_gate_runner *runner = calloc(1, sizeof(*runner));
    if (runner == NULL) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "gates: out of memory");
    }
    *runner = (struct xf_gate_runner){.magic = RUNNER_MAGIC,
                                      .pidfd = -1,
                                      .answer = -1,
                                      .done = done,
                                      .done_context = done_context};
    int code = start(loop, runner, gates_json, context, timeout_ms);
    if (code != 0) {
        xf_gate_runner_destroy(runner);
        return XF_FAIL(err, XF_E_SYSTEM, "the gates cannot be run: %s", strerror(code));
    }
    *ret = runner;
    return 0;
}

void xf_gate_runner_destroy(struct xf_gate_runner *runner)
{
    if (runner == NULL) {
        return;
    }
    if (runner->pid > 0) {
        kill_family(runner->pid);
        waitpid(runner->pid, NULL, 0); /* killed: this does not wait for its work */
    }
    if (runner->ended != NULL) {
        event_free(runner->ended);
    }
    if (runner->timer != NULL) {
        event_free(runner->timer);
    }
    const int fds[] = {runner->pidfd, runner->answer};
    for (size_t i = 0; i < XF_COUNT(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    free(runner);
}
