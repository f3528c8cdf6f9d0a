/*
 * ring_kernel.c -- see ring_kernel.h.
 */
#include "ring_kernel.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum ring_kernel ring_kernel = KERNEL_WORKS;

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_io_uring_setup && ring_kernel == KERNEL_REFUSES) {
        errno = EPERM;
        return -1;
    }
    if (number == SYS_io_uring_enter && ring_kernel == KERNEL_BEGINS_NOTHING) {
        errno = EBUSY;
        return -1;
    }
    if (number == SYS_io_uring_enter && ring_kernel == KERNEL_ANSWERS_NOTHING) {
        return b;
    }
    if (number == SYS_io_uring_enter && ring_kernel == KERNEL_BEGINS_ONE) {
        return __real_syscall(number, a, 1, c > 0, d, e, f);
    }
    return __real_syscall(number, a, b, c, d, e, f);
}
