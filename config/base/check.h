/*
 * check.h -- assertions, attributes and the few macros every file may use.
 *
 * An assertion states what only a bug of ours can break.  It stays on in release builds, and
 * nothing that a peer, a file, a store or a command can send may reach one.
 */
#ifndef XF_BASE_CHECK_H
#define XF_BASE_CHECK_H

#include <stddef.h>

#define XF_NODISCARD    __attribute__((warn_unused_result))
#define XF_NORETURN     __attribute__((noreturn))
#define XF_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define XF_CLEANUP(fn)  __attribute__((cleanup(fn))) /* fn(&variable) runs when the scope ends */
#define XF_LIKELY(x)    __builtin_expect(!!(x), 1)
#define XF_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define XF_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define XF_CACHE_LINE   64
#define XF_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *) (void *) ((char *) (pointer) -offsetof(type, member)))

XF_NORETURN void xf_check_failed(const char *file, int line, const char *condition);

#define XF_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (XF_UNLIKELY(!(condition))) {                                                           \
            xf_check_failed(__FILE__, __LINE__, #condition);                                       \
        }                                                                                          \
    } while (0)

#endif
