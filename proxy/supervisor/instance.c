/*
 * instance.c -- the lock and the probe.
 */
#include "proxy/supervisor/instance.h"

#include "config/base/clock.h"
#include "config/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PID_FILE      "crossfade.pid"
#define TRY_EVERY_MS  50
#define PID_BYTES_MAX 16

static int open_state_dir(const char *path, int *ret, struct xf_error *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make proxy.state_dir %s: %s", path,
                       strerrordesc_np(errno));
    }
    *ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot open proxy.state_dir %s: %s", path,
                       strerrordesc_np(errno));
    }
    return 0;
}

static unsigned long read_pid(int state_dir_fd)
{
    char text[PID_BYTES_MAX] = "";
    uint64_t pid = 0;
    int fd = openat(state_dir_fd, PID_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        ssize_t length = read(fd, text, sizeof(text) - 1);
        close(fd);
        text[length > 0 ? length : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (!xf_parse_uint(text, INT32_MAX, &pid)) {
            pid = 0;
        }
    }
    return (unsigned long) pid;
}

static int write_pid(int state_dir_fd, struct xf_error *err)
{
    char text[PID_BYTES_MAX];
    int length = snprintf(text, sizeof(text), "%d\n", (int) getpid());
    int fd =
        openat(state_dir_fd, PID_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool written = fd >= 0 && write(fd, text, (size_t) length) == length;
    int saved = errno;
    if (fd >= 0) {
        close(fd);
    }
    return written ? 0
                   : XF_FAIL(err, XF_E_SYSTEM, "cannot write %s in proxy.state_dir: %s", PID_FILE,
                             strerrordesc_np(saved));
}

static int try_bind(const struct xf_endpoint *endpoint, struct xf_error *err)
{
    int on = 1;
    int fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot make a socket for %s: %s", endpoint->text,
                       strerrordesc_np(errno));
    }
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (endpoint->address.ss_family == AF_INET6) {
        (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    int failed = bind(fd, (const struct sockaddr *) &endpoint->address, endpoint->address_bytes);
    int saved = errno;
    close(fd);
    if (failed == 0) {
        return 0;
    }
    return XF_FAIL(err, saved == EADDRINUSE ? XF_E_RUNNING : XF_E_SYSTEM, "cannot bind %s: %s",
                   endpoint->text, strerrordesc_np(saved));
}

struct attempt {
    const struct xf_config *config;
    bool (*skip)(void *context, const struct xf_endpoint *endpoint);
    void *context;
    int state_dir_fd;
};

/* XF_E_RUNNING is worth another try; other failures are not. */
static int try_once(const struct attempt *attempt, struct xf_error *err)
{
    if (flock(attempt->state_dir_fd, LOCK_EX | LOCK_NB) != 0) {
        return XF_FAIL(err, errno == EWOULDBLOCK ? XF_E_RUNNING : XF_E_SYSTEM,
                       "already running, pid %lu (it holds %s)", read_pid(attempt->state_dir_fd),
                       attempt->config->state_dir);
    }
    for (unsigned i = 0; i < attempt->config->listeners_count; i++) {
        const struct xf_endpoint *endpoint = &attempt->config->listeners[i].bind;
        if (attempt->skip != NULL && attempt->skip(attempt->context, endpoint)) {
            continue;
        }
        if (try_bind(endpoint, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int try_for(const struct attempt *attempt, int64_t wait_ms, struct xf_error *err)
{
    const struct xf_clock *clock = xf_clock_system();
    int64_t until_ms = xf_clock_monotonic_ms(clock) + wait_ms;
    const struct timespec pause = {0, TRY_EVERY_MS * 1000000};
    struct xf_error why;
    while (try_once(attempt, &why) != 0) {
        if (why.code != XF_E_RUNNING || xf_clock_monotonic_ms(clock) >= until_ms) {
            return XF_FAIL(err, why.code, "%s", why.message);
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

int xf_instance_take(const struct xf_config *config, int64_t wait_ms,
                     bool (*skip)(void *context, const struct xf_endpoint *endpoint), void *context,
                     struct xf_instance *ret, struct xf_error *err)
{
    struct attempt attempt = {.config = config, .skip = skip, .context = context};
    if (open_state_dir(config->state_dir, &attempt.state_dir_fd, err) != 0) {
        return -1;
    }
    if (try_for(&attempt, wait_ms, err) != 0 || write_pid(attempt.state_dir_fd, err) != 0) {
        close(attempt.state_dir_fd);
        return -1;
    }
    ret->state_dir_fd = attempt.state_dir_fd;
    return 0;
}

void xf_instance_release(struct xf_instance *instance)
{
    if (instance->state_dir_fd >= 0) {
        (void) unlinkat(instance->state_dir_fd, PID_FILE, 0);
        close(instance->state_dir_fd);
        instance->state_dir_fd = -1;
    }
}
