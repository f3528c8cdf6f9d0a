/*
 * ring_kernel.h -- what the kernel does with an io_uring, as a test wants it.
 *
 * For tests that are linked with --wrap=syscall: ring_kernel.c stands between ring.c and the
 * kernel.
 */
#ifndef XF_TEST_RING_KERNEL_H
#define XF_TEST_RING_KERNEL_H

enum ring_kernel {
    KERNEL_WORKS,
    KERNEL_REFUSES,         /* no ring is made */
    KERNEL_BEGINS_NOTHING,  /* no call is made */
    KERNEL_BEGINS_ONE,      /* the first call is made, the others are not */
    KERNEL_ANSWERS_NOTHING, /* calls are taken, and nothing is heard of them */
};

extern enum ring_kernel ring_kernel; /* KERNEL_WORKS at the beginning */

#endif
