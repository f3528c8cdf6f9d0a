/*
 * supervisor_reload.c -- from SIGHUP to an edition that serves, or to a reason why not.
 *
 *     none --asked--> checking (a child reads the file) --good--> asking (the agent compares with
 *       ^                |                                           |  the control state)
 *       |                | bad                              refused  | may
 *       +----------------+-----------------------------------------+ v
 *       +<--- serves, or gives up after OPENING_MS --- opening (the next edition starts)
 *
 * The running configuration goes on serving through all of it.  Asked again meanwhile, it begins
 * once more when it is done, and not within a second of the last beginning: twenty requests in a
 * second are two reloads.
 */
#include "proxy/supervisor/supervisor_state.h"

#include "config/base/log.h"
#include "config/yaml.h"
#include "proxy/supervisor/spawn.h"
#include "proxy/transport/tls_context.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define APART_MS         1000 /* between the beginnings of two reloads */
#define CHECKING_MS      10000
#define ASKING_MS        10000
#define OPENING_MS       30000
#define REPLACE_MS       6000 /* a shifter asked to end for its replacement has this long */
#define REPORT_BYTES_MAX 65536u

/* ---- the file's text ---- */

static void close_file(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static int copy_into(int file, void *place, uint64_t bytes, const char *path, struct xf_error *err)
{
    uint64_t done = 0;
    while (done < bytes) {
        ssize_t got = read(file, (char *) place + done, bytes - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return XF_FAIL(err, XF_E_CONFIG, "%s: cannot read: %s", path,
                           got < 0 ? strerrordesc_np(errno) : "it became shorter meanwhile");
        }
        done += (uint64_t) got;
    }
    return 0;
}

int xf_supervisor_read_text(const char *path, int *ret_fd, struct xf_error *err)
{
    struct stat status;
    XF_CLEANUP(close_file) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 || fstat(file, &status) != 0) {
        return XF_FAIL(err, XF_E_CONFIG, "%s: cannot read: %s", path, strerrordesc_np(errno));
    }
    if (!S_ISREG(status.st_mode) || status.st_size == 0 ||
        (uint64_t) status.st_size > XF_CONFIG_BYTES_MAX) {
        return XF_FAIL(err, XF_E_CONFIG, "%s: is empty, larger than %u bytes, or no file", path,
                       XF_CONFIG_BYTES_MAX);
    }
    uint64_t bytes = (uint64_t) status.st_size;
    int fd;
    if (xf_segment_create("crossfade-config", bytes, &fd, err) != 0) {
        return -1;
    }
    void *place = xf_segment_map(fd, bytes, err);
    int failed = place == NULL ? -1 : copy_into(file, place, bytes, path, err);
    if (place != NULL) {
        munmap(place, bytes);
    }
    if (failed != 0) {
        close(fd);
        return -1;
    }
    *ret_fd = fd;
    return 0;
}

int xf_supervisor_parse_text(const char *path, int fd, struct xf_config **ret,
                             struct xf_problems *ret_problems)
{
    struct xf_error err;
    int failed = xf_edition_parse_text(path, fd, ret, ret_problems);
    if (failed == 0 && xf_tls_check(*ret, &err) != 0) {
        xf_problems_add(ret_problems, 1, 1, false, "%s", err.message);
        xf_config_destroy(*ret);
        *ret = NULL;
        failed = -1;
    }
    return failed;
}

static bool same_text(int a, int b)
{
    struct xf_error err;
    uint64_t a_bytes, b_bytes;
    if (xf_segment_size(a, &a_bytes, &err) != 0 || xf_segment_size(b, &b_bytes, &err) != 0 ||
        a_bytes != b_bytes) {
        return false;
    }
    void *a_text = xf_segment_map(a, a_bytes, &err), *b_text = xf_segment_map(b, b_bytes, &err);
    bool same = a_text != NULL && b_text != NULL && memcmp(a_text, b_text, a_bytes) == 0;
    if (a_text != NULL) {
        munmap(a_text, a_bytes);
    }
    if (b_text != NULL) {
        munmap(b_text, b_bytes);
    }
    return same;
}

/* ---- beginning and ending ---- */

static void enter(struct xf_supervisor *supervisor, enum xf_reload_state state, int64_t ms)
{
    supervisor->reload.state = state;
    supervisor->reload.deadline_ms = xf_supervisor_now(supervisor) + ms;
}

void xf_supervisor_release_reload(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    if (reload->child > 0) {
        (void) kill(reload->child, SIGKILL); /* reaped as a stranger */
        reload->child = 0;
    }
    close_file(&reload->report_fd);
    close_file(&reload->text_fd);
    reload->report_fd = -1;
    reload->text_fd = -1;
    xf_text_release(&reload->report);
    xf_config_destroy(reload->config);
    reload->config = NULL;
    reload->state = XF_RELOAD_NONE;
}

/* What an operator reads: in the log, and through the agent in status and metrics. */
static void finish(struct xf_supervisor *supervisor, const char *why)
{
    struct xf_channel_message message = {.kind = XF_CHANNEL_RELOADED, .a = why == NULL};
    bool reexec = supervisor->reload.reexec;
    if (why == NULL) {
        xf_log(XF_LOG_NOTICE, reexec ? "reexec.done" : "reload.done", "edition=%llu version=%s",
               (unsigned long long) supervisor->reload.edition, XF_VERSION);
    } else {
        char quoted[XF_LOG_QUOTE_BYTES];
        snprintf(message.text, sizeof(message.text), "%s", why);
        message.text[strcspn(message.text, "\n")] = '\0';
        xf_log(XF_LOG_ERROR, reexec ? "reexec.refused" : "reload.refused", "why=%s",
               xf_log_quote(message.text, quoted));
    }
    if (reexec) {
        xf_supervisor_note_reexec(supervisor, why == NULL ? XF_REEXEC_DONE : XF_REEXEC_REFUSED,
                                  message.text);
    }
    (void) xf_supervisor_tell_agent(supervisor, &message);
    xf_notify_send(&supervisor->notify, "READY=1\nSTATUS=%s",
                   why == NULL ? "serving"
                   : reexec    ? "serving; the last re-execution was refused"
                               : "serving; the last reload was refused");
    xf_supervisor_release_reload(supervisor);
}

/* ---- checking: in a child, so that a parser's crash is only a refused reload ---- */

struct check {
    const char *path;
    int text_fd, report_fd;
};

static int run_check(void *context, int channel_fd)
{
    struct check *check = context;
    struct xf_config *config = NULL;
    struct xf_problems problems;
    (void) channel_fd;
    int failed = xf_supervisor_parse_text(check->path, check->text_fd, &config, &problems);
    FILE *report = fdopen(check->report_fd, "w");
    if (report != NULL) {
        xf_problems_print(&problems, report);
        fclose(report);
    }
    xf_problems_release(&problems);
    xf_config_destroy(config);
    return failed == 0 ? 0 : 2;
}

static int fork_checker(struct xf_supervisor *supervisor, struct xf_error *err)
{
    struct xf_reload *reload = &supervisor->reload;
    int ends[2], channel;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make a pipe: %s", strerrordesc_np(errno));
    }
    (void) fcntl(ends[0], F_SETFL, O_NONBLOCK);
    reload->report_fd = ends[0];
    if (reload->reexec) {
        int refused = xf_supervisor_try_binary(supervisor, ends[1], err);
        close(ends[1]);
        return refused;
    }
    struct check check = {
        .path = supervisor->options->config_path, .text_fd = reload->text_fd, .report_fd = ends[1]};
    const int keep[2] = {reload->text_fd, ends[1]};
    struct xf_spawn spawn = {.title = "cf-check",
                             .keep = keep,
                             .keep_count = 2,
                             .stderr_fd = supervisor->messages[1],
                             .run = run_check,
                             .context = &check};
    int failed = xf_spawn(&spawn, &reload->child, &channel, err);
    close(ends[1]);
    if (failed == 0) {
        close(channel); /* the report is all it has to say */
    }
    return failed;
}

static void begin(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    struct xf_error err;
    reload->again = false;
    reload->reexec = supervisor->reexec.asked;
    supervisor->reexec.asked = false;
    if (reload->reexec) { /* which is also a reload */
        supervisor->reexec.attempts++;
        xf_supervisor_note_reexec(supervisor, XF_REEXEC_RUNNING, "");
        xf_log(XF_LOG_NOTICE, "reexec.checking", "binary=%s", supervisor->reexec.binary);
    }
    reload->not_before_ms = xf_supervisor_now(supervisor) + APART_MS;
    reload->question = 0;
    xf_text_init(&reload->report, REPORT_BYTES_MAX);
    xf_notify_send(
        &supervisor->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
        (long long) (supervisor->clock->monotonic_ns(supervisor->clock->context) / 1000));
    enter(supervisor, XF_RELOAD_CHECKING, CHECKING_MS);
    if (xf_supervisor_read_text(supervisor->options->config_path, &reload->text_fd, &err) != 0 ||
        fork_checker(supervisor, &err) != 0) {
        finish(supervisor, err.message);
    }
}

void xf_supervisor_ask_reload(struct xf_supervisor *supervisor)
{
    supervisor->reload.again = true;
}

static void read_report(struct xf_reload *reload)
{
    char bytes[4096];
    ssize_t got;
    while (reload->report_fd >= 0 && (got = read(reload->report_fd, bytes, sizeof(bytes))) > 0) {
        xf_text_append(&reload->report, bytes, (size_t) got);
    }
}

/* Each line of the report is a problem with its place. */
static void log_report(const struct xf_reload *reload, enum xf_log_level level)
{
    const char *line = reload->report.data;
    while (*line != '\0') {
        char copy[XF_CHANNEL_TEXT_BYTES], quoted[XF_LOG_QUOTE_BYTES];
        size_t length = strcspn(line, "\n");
        snprintf(copy, sizeof(copy), "%.*s", (int) length, line);
        xf_log(level, "reload.problem", "problem=%s", xf_log_quote(copy, quoted));
        line += length + (line[length] == '\n');
    }
}

/* ---- asking ---- */

static bool same_string(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_store(const struct xf_config_store *old, const struct xf_config_store *new)
{
    return same_string(old->path, new->path) && same_string(old->url, new->url) &&
           same_string(old->password_file, new->password_file) && same_string(old->ca, new->ca) &&
           same_string(old->certificate, new->certificate) && same_string(old->key, new->key) &&
           same_string(old->namespace_name, new->namespace_name) && old->kind == new->kind;
}

/* What is opened once, at the start: NULL, or the key that needs a restart. */
static const char *needs_restart(const struct xf_config *old, const struct xf_config *new)
{
    if (!same_string(old->state_dir, new->state_dir)) {
        return "proxy.state_dir";
    }
    if (!same_store(&old->store, &new->store)) {
        return "store";
    }
    if (!same_string(old->admin.socket, new->admin.socket)) {
        return "admin.socket";
    }
    return same_string(old->admin.listen.text, new->admin.listen.text) ? NULL : "admin.listen";
}

/* The child found it good: now it may be parsed here. */
static void take_config(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    struct xf_problems problems;
    int failed = xf_supervisor_parse_text(supervisor->options->config_path, reload->text_fd,
                                          &reload->config, &problems);
    xf_problems_release(&problems);
    if (failed != 0) {
        reload->config = NULL;
        finish(supervisor, "the file's references changed while it was checked");
        return;
    }
    const char *key = needs_restart(xf_supervisor_newest(supervisor)->config, reload->config);
    if (key != NULL) {
        char why[128];
        snprintf(why, sizeof(why), "%s cannot change in a running process; restart it", key);
        finish(supervisor, why);
        return;
    }
    enter(supervisor, XF_RELOAD_ASKING, ASKING_MS);
}

bool xf_supervisor_reaped_checker(struct xf_supervisor *supervisor, pid_t pid, int status)
{
    struct xf_reload *reload = &supervisor->reload;
    if (reload->child != pid) {
        return false;
    }
    reload->child = 0;
    read_report(reload);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        if (reload->reexec && !xf_supervisor_binary_accepted(supervisor)) {
            finish(supervisor, "the binary is no crossfade that could take over from this one");
            return true;
        }
        if (!reload->reexec) {
            log_report(reload, XF_LOG_WARNING);
        }
        take_config(supervisor);
        return true;
    }
    log_report(reload, XF_LOG_ERROR);
    finish(supervisor, WIFEXITED(status) && reload->report.length > 0
                           ? reload->report.data
                           : "the process that checked the file died");
    return true;
}

static void open_edition(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    struct xf_error err;
    if (reload->reexec) {
        (void) !xf_supervisor_become_binary(supervisor, &err);
        finish(supervisor, err.message);
        return;
    }
    const struct xf_edition *before = xf_supervisor_newest(supervisor);
    bool same = same_text(before->text_fd, reload->text_fd);
    if (xf_supervisor_begin_edition(supervisor, reload->config, reload->text_fd, &err) != 0) {
        finish(supervisor, err.message);
        return;
    }
    reload->config = NULL; /* both are the edition's now */
    reload->text_fd = -1;
    reload->edition = supervisor->last_edition;
    if (!same && supervisor->shifter.pid != 0) {
        supervisor->shifter.replaced = true;
        supervisor->shifter.start_at_ms = xf_supervisor_now(supervisor) + REPLACE_MS;
        xf_supervisor_let_go(&supervisor->shifter);
    }
    enter(supervisor, XF_RELOAD_OPENING, OPENING_MS);
}

void xf_supervisor_open_adopted(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    struct xf_error err;
    reload->reexec = true;
    reload->not_before_ms = xf_supervisor_now(supervisor) + APART_MS;
    if (reload->config == NULL) {
        finish(supervisor, "the file's references changed while the binary was replaced");
    } else if (xf_supervisor_begin_edition(supervisor, reload->config, reload->text_fd, &err) !=
               0) {
        finish(supervisor, err.message);
    } else {
        reload->config = NULL; /* both are the edition's now */
        reload->text_fd = -1;
        reload->edition = supervisor->last_edition;
        enter(supervisor, XF_RELOAD_OPENING, OPENING_MS);
    }
}

static void ask_agent(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    if (supervisor->options->agent_main == NULL) {
        open_edition(supervisor);
        return;
    }
    struct xf_channel_message message = {.kind = XF_CHANNEL_CHECK,
                                         .a = supervisor->last_edition + 1,
                                         .fds_count = 1,
                                         .fds = {reload->text_fd}};
    if (reload->question == 0 && xf_supervisor_newest(supervisor)->agent_knows &&
        xf_supervisor_tell_agent(supervisor, &message)) {
        reload->question = message.a;
    }
}

void xf_supervisor_verdict(struct xf_supervisor *supervisor,
                           const struct xf_channel_message *message)
{
    struct xf_reload *reload = &supervisor->reload;
    if (reload->state != XF_RELOAD_ASKING || reload->question == 0 ||
        message->a != reload->question) {
        return;
    }
    if (message->b == 1) {
        open_edition(supervisor);
    } else {
        finish(supervisor, message->text[0] != '\0' ? message->text : "refused by the agent");
    }
}

/* ---- opening ---- */

static void turn_opening(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    struct xf_edition *edition = NULL;
    for (unsigned i = 0; i < supervisor->editions_count; i++) {
        if (supervisor->editions[i]->number == reload->edition) {
            edition = supervisor->editions[i];
        }
    }
    if (edition != NULL && edition->state == XF_EDITION_SERVING) {
        finish(supervisor, NULL);
    } else if (edition == NULL || edition->state >= XF_EDITION_RETIRING ||
               xf_supervisor_now(supervisor) >= reload->deadline_ms) {
        if (edition != NULL && xf_edition_feed(edition, XF_ON_SUPERSEDED)) {
            edition->deadline_ms = xf_supervisor_now(supervisor);
        }
        finish(supervisor, "the new workers did not come to serve");
    }
}

void xf_supervisor_turn_reload(struct xf_supervisor *supervisor)
{
    struct xf_reload *reload = &supervisor->reload;
    const struct xf_edition *newest = xf_supervisor_newest(supervisor);
    read_report(reload);
    switch (reload->state) {
    case XF_RELOAD_NONE:
        if ((reload->again || supervisor->reexec.asked) && supervisor->phase == XF_PHASE_RUNNING &&
            newest != NULL && newest->state == XF_EDITION_SERVING &&
            xf_supervisor_now(supervisor) >= reload->not_before_ms) {
            begin(supervisor);
        }
        break;
    case XF_RELOAD_CHECKING:
        if (xf_supervisor_now(supervisor) >= reload->deadline_ms) {
            finish(supervisor, "checking took too long");
        }
        break;
    case XF_RELOAD_ASKING:
        if (xf_supervisor_now(supervisor) >= reload->deadline_ms) {
            finish(supervisor, "the agent did not say whether the control state allows it");
        } else {
            ask_agent(supervisor);
        }
        break;
    case XF_RELOAD_OPENING:
        turn_opening(supervisor);
        break;
    }
}
