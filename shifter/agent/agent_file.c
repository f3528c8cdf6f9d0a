/*
 * agent_file.c -- reading with a ceiling, and replacing so that a crash leaves old or new.
 */
#include "shifter/agent/agent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME_BYTES 128

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        int kept = errno;
        close(*fd);
        errno = kept;
    }
}

static ssize_t read_all(int fd, char *bytes, size_t capacity)
{
    size_t length = 0;
    while (length < capacity) {
        ssize_t got = read(fd, bytes + length, capacity - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        length += (size_t) got;
    }
    return (ssize_t) length;
}

int xf_agent_file_read(int dir_fd, const char *name, size_t bytes_max, char **ret,
                       size_t *ret_length, struct xf_error *err)
{
    XF_CLEANUP(close_fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0) {
        int failed = errno;
        (void) XF_FAIL(err, XF_E_SYSTEM, "cannot read \"%s\" in the state directory: %s", name,
                       strerror(failed));
        errno = failed;
        return -1;
    }
    if (!S_ISREG(about.st_mode) || (uint64_t) about.st_size > bytes_max) {
        errno = EFBIG;
        return XF_FAIL(err, XF_E_FAILED, "\"%s\" in the state directory is no file of ours", name);
    }
    size_t capacity = (size_t) about.st_size;
    char *bytes = malloc(capacity + 1);
    ssize_t length = bytes != NULL ? read_all(fd, bytes, capacity) : -1;
    if (length < 0) {
        free(bytes);
        errno = EIO;
        return XF_FAIL(err, XF_E_SYSTEM, "cannot read \"%s\" in the state directory", name);
    }
    bytes[length] = '\0';
    *ret = bytes;
    *ret_length = (size_t) length;
    return 0;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        bytes += put;
        length -= (size_t) put;
    }
    return true;
}

int xf_agent_file_replace(int dir_fd, const char *name, const void *bytes, size_t length,
                          struct xf_error *err)
{
    char fresh[FILE_NAME_BYTES];
    (void) snprintf(fresh, sizeof(fresh), "%s.new", name);
    XF_CLEANUP(close_fd)
    int fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !write_all(fd, bytes, length) || fsync(fd) != 0 ||
        renameat(dir_fd, fresh, dir_fd, name) != 0 || fsync(dir_fd) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot write \"%s\" in the state directory: %s", name,
                       strerror(errno));
    }
    return 0;
}
