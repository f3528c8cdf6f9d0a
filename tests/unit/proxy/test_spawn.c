/*
 * test_spawn.c -- a child holds nothing but what it was given.
 */
#include "proxy/board/channel.h"
#include "proxy/supervisor/spawn.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct given {
    int kept, dropped;
    uid_t before;
};

/* Each check has an exit code of its own. */
static int look_around(void *context, int channel_fd)
{
    const struct given *given = context;
    struct xf_channel_message message = {.kind = XF_CHANNEL_ACCEPTING};
    char name[16] = "";
    (void) prctl(PR_GET_NAME, name);
    if (fcntl(given->kept, F_GETFD) < 0) {
        return 2;
    }
    if (fcntl(given->dropped, F_GETFD) >= 0) {
        return 3;
    }
    if (strcmp(name, "cf-test") != 0) {
        return 4;
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0) {
        return 5;
    }
    if (given->before == 0 && (getuid() == 0 || geteuid() == 0 || setuid(0) == 0)) {
        return 6;
    }
    (void) raise(SIGTERM); /* what to do comes through the channel, not by signals */
    return xf_channel_send(channel_fd, &message) ? 0 : 7;
}

static int run_child(struct xf_spawn *spawn, struct xf_channel_message *ret)
{
    pid_t pid;
    int channel, status;
    assert_int_equal(xf_spawn(spawn, &pid, &channel, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (xf_channel_receive(channel, ret) != XF_CHANNEL_GOT) {
        ret->kind = 0;
    }
    close(channel);
    return WEXITSTATUS(status);
}

static void a_child_has_its_channel_and_what_it_keeps_and_no_privileges(void **state)
{
    (void) state;
    struct xf_channel_message message;
    struct given given = {.kept = dup(0), .dropped = dup(0), .before = geteuid()};
    const int keep[] = {-1, given.kept};
    struct xf_spawn spawn = {.title = "cf-test",
                             .keep = keep,
                             .keep_count = 2,
                             .stderr_fd = -1,
                             .unprivileged = true,
                             .run = look_around,
                             .context = &given};
    assert_int_equal(run_child(&spawn, &message), 0);
    assert_int_equal(message.kind, XF_CHANNEL_ACCEPTING);
    close(given.kept);
    close(given.dropped);
}

static int refuse(void *context, struct xf_error *err)
{
    (void) context;
    return XF_FAIL(err, XF_E_SYSTEM, "no board");
}

static void a_child_that_cannot_be_prepared_ends(void **state)
{
    (void) state;
    struct xf_channel_message message;
    int ends[2];
    char said[512];
    assert_int_equal(pipe(ends), 0);
    struct xf_spawn spawn = {
        .title = "cf-test", .stderr_fd = ends[1], .prepare = refuse, .run = look_around};
    assert_int_equal(run_child(&spawn, &message), 1);
    assert_int_equal(message.kind, 0);
    ssize_t length = read(ends[0], said, sizeof(said) - 1);
    assert_true(length > 0);
    said[length] = '\0';
    assert_non_null(strstr(said, "no board"));
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_has_its_channel_and_what_it_keeps_and_no_privileges),
        cmocka_unit_test(a_child_that_cannot_be_prepared_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
