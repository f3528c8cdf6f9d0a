/*
 * fuzz_handover.c -- what the image before left for this one: refused, or its numbers are within
 * their ranges and it is written again as the same bytes.
 */
#include "fuzz.h"

#include "config/base/limits.h"
#include "proxy/supervisor/handover.h"

static void count(void *context, int fd)
{
    unsigned *seen = context;
    FUZZ_CHECK(fd >= 0);
    ++*seen;
}

static void check(const struct xf_handed *handed, const char *text, size_t size)
{
    struct xf_text written;
    unsigned descriptors = 0;
    FUZZ_CHECK(handed->editions >= 1 && handed->editions < XF_INFORCE_EDITIONS_MAX);
    for (unsigned i = 0; i < handed->editions; i++) {
        const struct xf_handed_edition *edition = &handed->edition[i];
        FUZZ_CHECK(edition->workers >= 1 && edition->workers <= XF_WORKERS_MAX);
        FUZZ_CHECK(edition->sockets >= 1 && edition->sockets <= XF_WORKERS_MAX);
        for (unsigned k = 0; k < edition->sockets; k++) {
            FUZZ_CHECK(edition->keeper[k] < (int) edition->workers);
        }
    }
    xf_handed_each_fd(handed, count, &descriptors);
    xf_handed_close_on_exec(handed); /* of descriptors that are not there */
    xf_text_init(&written, 16u * 1024u * 1024u);
    xf_handed_write(handed, &written);
    FUZZ_CHECK(!written.failed);
    if (written.length == size) { /* else numbers were not in their shortest form */
        FUZZ_CHECK(memcmp(written.data, text, size) == 0);
    } else {
        FUZZ_CHECK(written.length < size);
    }
    xf_text_release(&written);
}

/* Read anew while one allocation fails: it is refused, and what there is can be released. */
static void short_of_memory(const char *text, size_t size, size_t hash)
{
    struct xf_handed handed;
    struct xf_error err = {0};
    fuzz_fail_one(hash);
    int result = xf_handed_parse(text, size, &handed, &err);
    fuzz_fail_none();
    FUZZ_CHECK(result == 0 || err.message[0] != '\0');
    xf_handed_release(&handed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xf_handed handed;
    struct xf_error err = {0};
    char *text = fuzz_exact(data, size);
    fuzz_count_allocations();
    if (xf_handed_parse(text, size, &handed, &err) == 0) {
        check(&handed, text, size);
    } else {
        FUZZ_CHECK(err.code == XF_E_REFUSED && err.message[0] != '\0');
    }
    short_of_memory(text, size, fuzz_hash(data, size));
    xf_handed_release(&handed);
    free(text);
    return 0;
}
