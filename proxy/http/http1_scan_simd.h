/*
 * http1_scan_simd.h -- which vector scanners this build has.
 *
 * They are compiled with function attributes, never with flags for a whole file, so that nothing
 * else of the program uses an instruction that the processor may lack.
 */
#ifndef XF_PROXY_HTTP1_SCAN_SIMD_H
#define XF_PROXY_HTTP1_SCAN_SIMD_H

#include "proxy/http/http1_scan.h"

#if defined(__x86_64__)
#define XF_SCAN_SIMD 1
extern const struct xf_scanner xf_scanner_sse42;
extern const struct xf_scanner xf_scanner_avx2;
#else
#define XF_SCAN_SIMD 0
#endif

#endif
