/*
 * segment.c -- memfds, their seals and their maps.
 *
 * A map with PROT_READ of a descriptor opened for writing protects nothing: mprotect() makes it
 * writable again.  So what a process must not write is mapped from a descriptor that was opened
 * read-only, through /proc/self/fd.
 */
#include "proxy/board/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static int fill_segment(int fd, uint64_t bytes, struct xf_error *err)
{
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t) bytes) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot size a memory segment of %llu bytes: %s",
                       (unsigned long long) bytes, strerror(errno));
    }
    int failed;
    do { /* a page that cannot be had must be an error now, not a SIGBUS under load */
        failed = posix_fallocate(fd, 0, (off_t) bytes);
    } while (failed == EINTR);
    if (failed != 0) {
        return XF_FAIL(err, XF_E_NO_MEMORY, "cannot allocate a memory segment of %llu bytes: %s",
                       (unsigned long long) bytes, strerror(failed));
    }
    if (fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot seal a memory segment: %s", strerror(errno));
    }
    return 0;
}

int xf_segment_create(const char *name, uint64_t bytes, int *ret_fd, struct xf_error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot create a memory segment: %s", strerror(errno));
    }
    if (fill_segment(fd, bytes, err) != 0) {
        close(fd);
        return -1;
    }
    *ret_fd = fd;
    return 0;
}

int xf_segment_size(int fd, uint64_t *ret_bytes, struct xf_error *err)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS) {
        return XF_FAIL(err, XF_E_FAILED, "descriptor %d is no sealed memory segment", fd);
    }
    if (fstat(fd, &status) != 0) {
        return XF_FAIL(err, XF_E_SYSTEM, "cannot look at a memory segment: %s", strerror(errno));
    }
    *ret_bytes = (uint64_t) status.st_size;
    return 0;
}

static void *report_map(void *place, struct xf_error *err)
{
    if (place == MAP_FAILED) {
        (void) XF_FAIL(err, XF_E_NO_MEMORY, "cannot map a memory segment: %s", strerror(errno));
        return NULL;
    }
    return place;
}

void *xf_segment_map(int fd, uint64_t bytes, struct xf_error *err)
{
    return report_map(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0),
                      err);
}

static int reopen_read_only(int fd, struct xf_error *err)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reopened = open(path, O_RDONLY | O_CLOEXEC);
    if (reopened < 0) {
        (void) XF_FAIL(err, XF_E_SYSTEM, "cannot open a memory segment read-only (%s): %s", path,
                       strerror(errno));
    }
    return reopened;
}

void *xf_segment_map_guarded(int fd, uint64_t bytes, uint64_t fixed, struct xf_error *err)
{
    XF_ASSERT(fixed == bytes || (fixed < bytes && fixed % XF_SEGMENT_PAGE_BYTES == 0));

    int guarded = reopen_read_only(fd, err);
    if (guarded < 0) {
        return NULL;
    }
    /* One map over the whole range first, so that both parts lie side by side. */
    char *place =
        report_map(mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, guarded, 0), err);
    if (place != NULL && fixed < bytes) {
        void *rest = mmap(place + fixed, bytes - fixed, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, (off_t) fixed);
        if (report_map(rest, err) == NULL) {
            munmap(place, bytes);
            place = NULL;
        }
    }
    close(guarded);
    return place;
}
