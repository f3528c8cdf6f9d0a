/*
 * failing_malloc.c -- preloaded: memory that cannot be had, at random, in the workers alone.
 *
 * The file that CROSSFADE_FAIL_MALLOC names has two numbers of 32 bits.  The first: 0, all is well;
 * n, one call in n fails.  Whoever writes it changes it for every process at once.  The second
 * counts the calls that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

struct told {
    _Atomic uint32_t rate, failed;
};

static struct told *told;

__attribute__((constructor)) static void look_up(void)
{
    const char *path = getenv("CROSSFADE_FAIL_MALLOC");
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = file >= 0 ? mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
                          : MAP_FAILED;
    told = map != MAP_FAILED ? map : NULL;
    if (file >= 0) {
        close(file);
    }
}

static int fails(void)
{
    static __thread uint64_t dice;
    char name[16] = "";
    if (told == NULL || told->rate == 0 || prctl(PR_GET_NAME, name) != 0 ||
        strncmp(name, "cf-worker", 9) != 0) {
        return 0;
    }
    if (dice == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        dice = ((uint64_t) now.tv_nsec << 20 | (uint64_t) getpid()) * 2 + 1;
    }
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    if ((dice >> 33) % told->rate != 0) {
        return 0;
    }
    told->failed++;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *made = fails() ? NULL : __libc_memalign(alignment, size);
    if (made == NULL) {
        return ENOMEM;
    }
    *ret = made;
    return 0;
}
