/*
 * test_hook.c -- real children: how they end, what they see, what they say.
 */
#include "shifter/net/hook.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct outcome {
    struct event_base *loop;
    unsigned times;
    struct xf_hook_result result;
    char output[XF_HOOK_OUTPUT_BYTES + 1];
    char described[512];
};

static void ended(void *context, const struct xf_hook_result *result)
{
    struct outcome *outcome = context;
    outcome->times++;
    outcome->result = *result;
    snprintf(outcome->output, sizeof(outcome->output), "%s", result->output);
    xf_hook_describe(result, outcome->described, sizeof(outcome->described));
    event_base_loopbreak(outcome->loop);
}

static struct outcome run(const char *script, int64_t timeout_ms)
{
    char *command[] = {(char *) "sh", (char *) "-c", (char *) script, NULL};
    const char *environment[] = {"CROSSFADE_KEY=kong-3.1/7", NULL};
    struct outcome outcome = {.loop = event_base_new()};
    struct xf_error err = {0};
    struct xf_hook *hook = NULL;
    if (xf_hook_start(outcome.loop, command, environment, timeout_ms, ended, &outcome, &hook,
                      &err) != 0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(outcome.times, 0);
    event_base_dispatch(outcome.loop);
    assert_int_equal(outcome.times, 1);
    xf_hook_destroy(hook);
    event_base_free(outcome.loop);
    return outcome;
}

static void how_a_command_ends_is_told(void **state)
{
    static const struct {
        const char *script;
        int exit_status, signal;
        const char *described;
    } cases[] = {
        {"true", 0, 0, "exit 0"},
        {"echo one; echo two >&2; exit 3", 3, 0, "exit 3: two"},
        {"kill -9 $$", -1, SIGKILL, "ended by signal 9"},
    };
    (void) state;
    for (size_t i = 0; i < XF_COUNT(cases); i++) {
        struct outcome outcome = run(cases[i].script, 10000);
        assert_int_equal(outcome.result.exit_status, cases[i].exit_status);
        assert_int_equal(outcome.result.signal, cases[i].signal);
        assert_string_equal(outcome.described, cases[i].described);
    }
}

static void it_sees_only_path_and_what_it_is_given(void **state)
{
    (void) state;
    setenv("REDIS_PASSWORD", "secret", 1);
    struct outcome outcome = run("env | grep -v '^_=' | grep -v '^PWD=' | sort; pwd", 10000);
    assert_string_equal(outcome.output,
                        "CROSSFADE_KEY=kong-3.1/7\n"
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\n");
}

static void it_inherits_no_descriptor_and_ignores_sigpipe_alone(void **state)
{
    int fds[2];
    (void) state;
    assert_int_equal(pipe(fds), 0); /* without CLOEXEC */
    signal(SIGPIPE, SIG_IGN);
    struct outcome outcome =
        run("ls /proc/$$/fd | tr '\\n' ' '; grep SigIgn /proc/$$/status", 10000);
    signal(SIGPIPE, SIG_DFL);
    close(fds[0]);
    close(fds[1]);
    assert_ptr_equal(strstr(outcome.output, "0 1 2 SigIgn:\t"), outcome.output);
    /* 1 to 28, SIGPIPE being 13; the C library ignores two of its own above */
    assert_non_null(strstr(outcome.output, "0001000\n"));
}

static void its_input_is_empty(void **state)
{
    (void) state;
    struct outcome outcome = run("cat | wc -c", 10000);
    assert_non_null(strstr(outcome.output, "0\n"));
}

static void only_the_end_of_a_long_output_is_kept(void **state)
{
    (void) state;
    struct outcome outcome = run("seq 1 200000; echo the end", 10000);
    size_t length = strlen(outcome.output);
    assert_in_range(length, XF_HOOK_OUTPUT_BYTES / 2, XF_HOOK_OUTPUT_BYTES);
    assert_string_equal(outcome.output + length - 15, "200000\nthe end\n");
    outcome = run("echo first; yes | head -c 5000; printf last", 10000);
    assert_int_equal(strlen(outcome.output), XF_HOOK_OUTPUT_BYTES);
    assert_string_equal(outcome.output + XF_HOOK_OUTPUT_BYTES - 4, "last");
}

static void a_group_that_takes_too_long_is_ended_first_gently_then_for_sure(void **state)
{
    char path[] = "/tmp/xf-hook-XXXXXX";
    char script[256];
    (void) state;
    close(mkstemp(path));
    snprintf(script, sizeof(script), "trap 'echo asked; exit 4' TERM; sleep 60 & wait");
    struct outcome outcome = run(script, 100);
    assert_true(outcome.result.timed_out);
    assert_int_equal(outcome.result.exit_status, 4);
    assert_string_equal(outcome.described, "ended at its time limit: asked");
    /* A grandchild that ignores SIGTERM dies with its group. */
    snprintf(script, sizeof(script),
             "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > %s; while :; do sleep 1; done'", path);
    outcome = run(script, 100);
    assert_true(outcome.result.timed_out);
    assert_int_equal(outcome.result.signal, SIGKILL);
    FILE *file = fopen(path, "r");
    int pid = 0;
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    unlink(path);
    bool gone = false; /* or a zombie that nobody has reaped yet */
    for (int i = 0; i < 200 && !gone; i++) {
        char status[64], state_letter = 'Z';
        snprintf(status, sizeof(status), "/proc/%d/stat", pid);
        FILE *stat = fopen(status, "r");
        gone = stat == NULL || fscanf(stat, "%*d %*s %c", &state_letter) != 1 ||
               state_letter == 'Z' || state_letter == 'X';
        if (stat != NULL) {
            fclose(stat);
        }
        struct timespec pause = {0, 10000000};
        nanosleep(&pause, NULL);
    }
    assert_true(gone);
}

static void a_command_that_does_not_exist_cannot_be_started(void **state)
{
    char *command[] = {(char *) "/does/not/exist", NULL};
    const char *environment[] = {NULL};
    struct event_base *loop = event_base_new();
    struct xf_error err = {0};
    struct xf_hook *hook = NULL;
    (void) state;
    assert_int_equal(xf_hook_start(loop, command, environment, 1000, ended, NULL, &hook, &err), -1);
    assert_non_null(strstr(err.message, "/does/not/exist"));
    assert_non_null(strstr(err.message, "No such file"));
    event_base_free(loop);
}

static void a_destroyed_hook_is_killed_and_tells_nobody(void **state)
{
    char *command[] = {(char *) "sleep", (char *) "60", NULL};
    const char *environment[] = {NULL};
    struct outcome outcome = {.loop = event_base_new()};
    struct xf_error err = {0};
    struct xf_hook *hook = NULL;
    (void) state;
    assert_int_equal(
        xf_hook_start(outcome.loop, command, environment, 60000, ended, &outcome, &hook, &err), 0);
    xf_hook_destroy(hook); /* waits for the child, which would take a minute */
    event_base_loop(outcome.loop, EVLOOP_NONBLOCK);
    assert_int_equal(outcome.times, 0);
    event_base_free(outcome.loop);
}

/* Starts a hook in a process of its own, which is killed; what the hook then does is in `path`. */
static void start_and_die(const char *script, int64_t timeout_ms)
{
    pid_t shifter = fork();
    if (shifter == 0) {
        char *command[] = {(char *) "sh", (char *) "-c", (char *) script, NULL};
        const char *environment[] = {NULL};
        struct outcome outcome = {.loop = event_base_new()};
        struct xf_error err = {0};
        struct xf_hook *hook = NULL;
        signal(SIGPIPE, SIG_IGN); /* as in the shifter; the hook inherits it */
        if (xf_hook_start(outcome.loop, command, environment, timeout_ms, ended, &outcome, &hook,
                          &err) == 0) {
            kill(getpid(), SIGKILL);
        }
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(shifter, &status, 0), shifter);
    assert_true(WIFSIGNALED(status));
}

static bool comes(const char *path, const char *wanted)
{
    struct timespec pause = {0, 50000000};
    char text[64] = "";
    for (int i = 0; i < 400 && strstr(text, wanted) == NULL; i++) {
        nanosleep(&pause, NULL);
        FILE *file = fopen(path, "re");
        size_t got = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
        text[got] = '\0';
        if (file != NULL) {
            fclose(file);
        }
    }
    return strstr(text, wanted) != NULL;
}

static void the_time_limit_outlives_who_started_it(void **state)
{
    (void) state;
    char path[] = "/tmp/crossfade-hook-XXXXXX", script[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(script, sizeof(script),
             "trap 'printf term >> %s; exit 0' TERM; while :; do sleep 0.1; done", path);
    start_and_die(script, 100);
    assert_true(comes(path, "term"));
    assert_int_equal(truncate(path, 0), 0);
    snprintf(script, sizeof(script), "sleep 0.3; printf whole >> %s", path);
    start_and_die(script, 10000);
    assert_true(comes(path, "whole"));
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_a_command_ends_is_told),
        cmocka_unit_test(it_sees_only_path_and_what_it_is_given),
        cmocka_unit_test(it_inherits_no_descriptor_and_ignores_sigpipe_alone),
        cmocka_unit_test(its_input_is_empty),
        cmocka_unit_test(only_the_end_of_a_long_output_is_kept),
        cmocka_unit_test(a_group_that_takes_too_long_is_ended_first_gently_then_for_sure),
        cmocka_unit_test(a_command_that_does_not_exist_cannot_be_started),
        cmocka_unit_test(a_destroyed_hook_is_killed_and_tells_nobody),
        cmocka_unit_test(the_time_limit_outlives_who_started_it),
    };
    return cmocka_run_group_tests_name("hook", tests, NULL, NULL);
}
