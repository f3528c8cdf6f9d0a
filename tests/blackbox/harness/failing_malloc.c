/*
 * failing_malloc.c -- preloaded: memory that cannot be had, in the processes that the test names.
 *
 * The file that CROSSFADE_FAIL_MALLOC names is a struct told, shared by the test and every process.
 * Either one call in `rate` fails, or the calls `first` to `last` since `counted` was set to 0.
 * Whoever writes it changes it for every process at once.
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
extern void __libc_free(void *memory);

struct told {
    _Atomic uint32_t rate;        /* 0: none at random */
    _Atomic uint32_t failed;      /* calls that failed so far */
    _Atomic uint32_t first, last; /* 0: none by number */
    _Atomic uint32_t counted;     /* calls of those concerned */
    _Atomic uint32_t pid;         /* who is concerned: this process, else by name */
    _Atomic int64_t live;         /* what process `pid` has asked for less what it gave back */
    char name[16];                /* how the names of those concerned begin */
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

static int concerned(void)
{
    if (told->pid != 0) {
        return told->pid == (uint32_t) getpid();
    }
    char name[16] = "";
    return prctl(PR_GET_NAME, name) == 0 && strncmp(name, told->name, strlen(told->name)) == 0;
}

static int drawn(void)
{
    static __thread uint64_t dice;
    if (dice == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        dice = ((uint64_t) now.tv_nsec << 20 | (uint64_t) getpid()) * 2 + 1;
    }
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (dice >> 33) % told->rate == 0;
}

static int fails(void)
{
    if (told == NULL || (told->rate == 0 && told->first == 0) || !concerned()) {
        return 0;
    }
    uint32_t number = ++told->counted;
    if (told->rate != 0 ? !drawn() : number < told->first || number > told->last) {
        return 0;
    }
    told->failed++;
    errno = ENOMEM;
    return 1;
}

static void *had(void *memory)
{
    if (memory != NULL && told != NULL && told->pid == (uint32_t) getpid()) {
        told->live++;
    }
    return memory;
}

void *malloc(size_t size)
{
    return fails() ? NULL : had(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : had(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    if (fails()) {
        return NULL;
    }
    void *made = __libc_realloc(old, size);
    return old == NULL ? had(made) : made;
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : had(__libc_memalign(alignment, size));
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *made = aligned_alloc(alignment, size);
    if (made == NULL) {
        return ENOMEM;
    }
    *ret = made;
    return 0;
}

void free(void *memory)
{
    if (memory != NULL && told != NULL && told->pid == (uint32_t) getpid()) {
        told->live--;
    }
    __libc_free(memory);
}
