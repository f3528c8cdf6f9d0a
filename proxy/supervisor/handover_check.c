/*
 * handover_check.c -- whether this binary could take over, found out in a process of its own.
 *
 * The running supervisor starts the binary on disk as `check`, with a description of itself and
 * the descriptors of its boards: what would fail after the exec fails here, where it costs nothing.
 */
#include "proxy/supervisor/edition.h"
#include "proxy/supervisor/handover.h"
#include "proxy/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int xf_handover_read(int fd, struct xf_handed *ret, struct xf_error *err)
{
    uint64_t bytes;
    *ret = (struct xf_handed){0};
    if (xf_segment_size(fd, &bytes, err) != 0) {
        return -1;
    }
    if (bytes == 0 || bytes > XF_HANDOVER_BYTES_MAX) {
        return XF_FAIL(err, XF_E_REFUSED, "a handover of an impossible size");
    }
    char *text = xf_segment_map(fd, bytes, err);
    if (text == NULL) {
        return -1;
    }
    int failed = xf_handed_parse(text, bytes, ret, err);
    munmap(text, bytes);
    return failed;
}

bool xf_handover_given(int *ret_fd)
{
    const char *text = getenv(XF_HANDOVER_ENVIRONMENT);
    uint64_t fd;
    bool given = text != NULL && xf_parse_uint(text, INT32_MAX, &fd);
    unsetenv(XF_HANDOVER_ENVIRONMENT);
    if (given) {
        *ret_fd = (int) fd;
    }
    return given;
}

static int check_all(const struct xf_handed *handed, const char *config_path, struct xf_error *err)
{
    for (unsigned i = 0; i < handed->editions; i++) {
        struct xf_edition *edition;
        if (xf_edition_adopt(&handed->edition[i], config_path, -1, &edition, err) != 0) {
            return -1;
        }
        xf_edition_disown(edition);
        xf_edition_destroy(edition);
    }
    return 0;
}

int xf_handover_check(const char *config_path)
{
    struct xf_error err;
    struct xf_handed handed;
    int fd;
    if (!xf_handover_given(&fd)) {
        return 0; /* nobody asked */
    }
    int failed = xf_handover_read(fd, &handed, &err);
    if (failed == 0) {
        failed = check_all(&handed, config_path, &err);
    }
    xf_handed_release(&handed);
    if (failed != 0) {
        fprintf(stderr, "crossfade %s cannot take over: %s\n", XF_VERSION, err.message);
        return 1;
    }
    puts(XF_HANDOVER_ACCEPTED);
    return 0;
}
