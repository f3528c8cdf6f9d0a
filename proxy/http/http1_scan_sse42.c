/*
 * http1_scan_sse42.c -- the scanner for processors with SSE4.2: 16 bytes at a step.
 */
#include "proxy/http/http1_scan_simd.h"

#if XF_SCAN_SIMD

#include <immintrin.h>

#define VECTOR              __m128i
#define VECTOR_BYTES        16
#define VECTOR_TARGET       "sse4.2"
#define ON_LANES(operation) _mm_##operation
#define ON_WHOLE(operation) _mm_##operation##_si128
#define TABLE(...)          _mm_setr_epi8(__VA_ARGS__)
#define SCANNER             xf_scanner_sse42
#define SCANNER_NAME        "sse4.2"

#include "proxy/http/http1_scan_vector.h"

#endif
