/*
 * http1_scan_avx2.c -- the scanner for processors with AVX2: 32 bytes at a step.
 */
#include "proxy/http/http1_scan_simd.h"

#if XF_SCAN_SIMD

#include <immintrin.h>

#define VECTOR              __m256i
#define VECTOR_BYTES        32
#define VECTOR_TARGET       "avx2"
#define ON_LANES(operation) _mm256_##operation
#define ON_WHOLE(operation) _mm256_##operation##_si256
#define TABLE(...)          _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__)
#define SCANNER             xf_scanner_avx2
#define SCANNER_NAME        "avx2"

#include "proxy/http/http1_scan_vector.h"

#endif
