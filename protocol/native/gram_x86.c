/* The tiles with AVX2 (pair products by vpmaddwd) and AVX-512 VNNI (pair products added in one instruction, vpdpwssd).

   Overflow. A pair product is the sum of two products of int16, which lies in -2147418112 .. 2^31 and so fits int32
   except for the one value 2^31 of two pairs of -32768, which wraps to -2^31.
   - narrow: what a lane holds in the end is a sum over a subset of the columns, at most sqrt(energy_a energy_b) < 2^31
     in size by Cauchy and Schwarz. 32-bit sums are exact modulo 2^32 whatever wraps on the way (vpaddd and vpdpwssd
     wrap, they do not saturate), so the lane holds it.
   - wide: 1 is taken from each pair product, which makes the wrapped one right again (2^31 - 1) and wraps none of the
     others; its upper and lower 16 bits are summed apart, at most 2^7 times 2^16 each; the ones are given back in the
     end. */
#include "gram.h"

#ifdef COHORT_X86
#include <immintrin.h>

#define LANES2 8
#define STEPS2 (SUB / 16)
#define LANES5 16
#define STEPS5 (SUB / 32)
#define GIVEN_BACK (SUB / 2)
/* Squares of a pair are at most 2^31; this many bits are dropped so that SUB / 16 of them fit 32 bits. */
#define DROPPED 7

#define AVX2 __attribute__((target("avx2")))
#define AVX5 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static uint64_t bound_of(const uint32_t *lanes, size_t count, uint64_t steps) {
    uint64_t largest = 0;
    for (size_t at = 0; at < count; at++)
        if (lanes[at] > largest) largest = lanes[at];
    /* Each of the steps dropped less than 2^DROPPED. */
    return (largest + steps) << DROPPED;
}

/* --- AVX2: 8 lanes; 2 x 4 sums live in registers, twice for a tile --------------------------------------------------*/

AVX2 static uint64_t energy2(const int16_t *row) {
    __m256i sum = _mm256_setzero_si256();
    for (size_t at = 0; at < SUB; at += 16) {
        __m256i x = _mm256_load_si256((const __m256i *)(row + at));
        sum = _mm256_add_epi32(sum, _mm256_srli_epi32(_mm256_madd_epi16(x, x), DROPPED));
    }
    uint32_t lanes[LANES2];
    _mm256_storeu_si256((__m256i *)lanes, sum);
    return bound_of(lanes, LANES2, STEPS2);
}

AVX2 static int64_t sum2(__m256i lanes) {
    __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(lanes));
    __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(lanes, 1));
    __m256i both = _mm256_add_epi64(low, high);
    __m128i pair = _mm_add_epi64(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    int64_t parts[2];
    _mm_storeu_si128((__m128i *)parts, pair);
    return parts[0] + parts[1];
}

AVX2 static void narrow2(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride) {
    for (size_t i = 0; i < TILE; i += 2) {
        const int16_t *a = rows + i * SUB;
        __m256i s[2][TILE];
        for (size_t j = 0; j < TILE; j++) s[0][j] = s[1][j] = _mm256_setzero_si256();
        for (size_t at = 0; at < SUB; at += 16) {
            __m256i x0 = _mm256_load_si256((const __m256i *)(a + at));
            __m256i x1 = _mm256_load_si256((const __m256i *)(a + SUB + at));
#pragma GCC unroll 4
            for (size_t j = 0; j < TILE; j++) {
                __m256i y = _mm256_load_si256((const __m256i *)(others + j * SUB + at));
                s[0][j] = _mm256_add_epi32(s[0][j], _mm256_madd_epi16(x0, y));
                s[1][j] = _mm256_add_epi32(s[1][j], _mm256_madd_epi16(x1, y));
            }
        }
        for (size_t j = 0; j < TILE; j++) {
            total[i * stride + j] += sum2(s[0][j]);
            total[(i + 1) * stride + j] += sum2(s[1][j]);
        }
    }
}

AVX2 static void wide2(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride) {
    const __m256i one = _mm256_set1_epi32(1), lower = _mm256_set1_epi32(0xFFFF);
    for (size_t i = 0; i < TILE; i++) {
        __m256i high[TILE], low[TILE];
        for (size_t j = 0; j < TILE; j++) high[j] = low[j] = _mm256_setzero_si256();
        for (size_t at = 0; at < SUB; at += 16) {
            __m256i x = _mm256_load_si256((const __m256i *)(rows + i * SUB + at));
#pragma GCC unroll 4
            for (size_t j = 0; j < TILE; j++) {
                __m256i y = _mm256_load_si256((const __m256i *)(others + j * SUB + at));
                __m256i pair = _mm256_sub_epi32(_mm256_madd_epi16(x, y), one);
                high[j] = _mm256_add_epi32(high[j], _mm256_srai_epi32(pair, 16));
                low[j] = _mm256_add_epi32(low[j], _mm256_and_si256(pair, lower));
            }
        }
        for (size_t j = 0; j < TILE; j++)
            total[i * stride + j] += sum2(high[j]) * 65536 + sum2(low[j]) + GIVEN_BACK;
    }
}

AVX2 static void combine2(const int16_t *row, int32_t weight, int32_t *sum) {
    const __m256i w = _mm256_set1_epi32(weight);
    for (size_t at = 0; at < SUB; at += 8) {
        __m256i x = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(row + at)));
        __m256i product = weight == 1 ? x : _mm256_mullo_epi32(x, w);
        _mm256_storeu_si256((__m256i *)(sum + at),
                            _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)(sum + at)), product));
    }
}

const gram_tiles gram_avx2 = {energy2, narrow2, wide2, combine2};

/* --- AVX-512 with VNNI: 16 lanes; the 4 x 4 sums of a tile live in registers ----------------------------------------*/

AVX5 static uint64_t energy5(const int16_t *row) {
    __m512i sum = _mm512_setzero_si512();
    for (size_t at = 0; at < SUB; at += 32) {
        __m512i x = _mm512_load_si512(row + at);
        sum = _mm512_add_epi32(sum, _mm512_srli_epi32(_mm512_madd_epi16(x, x), DROPPED));
    }
    uint32_t lanes[LANES5];
    _mm512_storeu_si512(lanes, sum);
    return bound_of(lanes, LANES5, STEPS5);
}

AVX5 static int64_t sum5(__m512i lanes) {
    __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(lanes));
    __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(lanes, 1));
    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
}

AVX5 static void narrow5(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride) {
    __m512i s[TILE][TILE];
#pragma GCC unroll 4
    for (size_t i = 0; i < TILE; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < TILE; j++) s[i][j] = _mm512_setzero_si512();
    for (size_t at = 0; at < SUB; at += 32) {
        __m512i x[TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < TILE; i++) x[i] = _mm512_load_si512(rows + i * SUB + at);
#pragma GCC unroll 4
        for (size_t j = 0; j < TILE; j++) {
            __m512i y = _mm512_load_si512(others + j * SUB + at);
#pragma GCC unroll 4
            for (size_t i = 0; i < TILE; i++) s[i][j] = _mm512_dpwssd_epi32(s[i][j], x[i], y);
        }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < TILE; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < TILE; j++) total[i * stride + j] += sum5(s[i][j]);
}

AVX5 static void wide5(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride) {
    const __m512i one = _mm512_set1_epi32(1), lower = _mm512_set1_epi32(0xFFFF);
    for (size_t i = 0; i < TILE; i += 2) {
        __m512i high[2][TILE], low[2][TILE];
        for (size_t j = 0; j < TILE; j++)
            high[0][j] = high[1][j] = low[0][j] = low[1][j] = _mm512_setzero_si512();
        for (size_t at = 0; at < SUB; at += 32) {
            __m512i x[2] = {_mm512_load_si512(rows + i * SUB + at), _mm512_load_si512(rows + (i + 1) * SUB + at)};
#pragma GCC unroll 4
            for (size_t j = 0; j < TILE; j++) {
                __m512i y = _mm512_load_si512(others + j * SUB + at);
#pragma GCC unroll 2
                for (size_t k = 0; k < 2; k++) {
                    __m512i pair = _mm512_sub_epi32(_mm512_madd_epi16(x[k], y), one);
                    high[k][j] = _mm512_add_epi32(high[k][j], _mm512_srai_epi32(pair, 16));
                    low[k][j] = _mm512_add_epi32(low[k][j], _mm512_and_si512(pair, lower));
                }
            }
        }
        for (size_t k = 0; k < 2; k++)
            for (size_t j = 0; j < TILE; j++)
                total[(i + k) * stride + j] += sum5(high[k][j]) * 65536 + sum5(low[k][j]) + GIVEN_BACK;
    }
}

AVX5 static void combine5(const int16_t *row, int32_t weight, int32_t *sum) {
    const __m512i w = _mm512_set1_epi32(weight);
    for (size_t at = 0; at < SUB; at += 16) {
        __m512i x = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(row + at)));
        __m512i product = weight == 1 ? x : _mm512_mullo_epi32(x, w);
        _mm512_storeu_si512(sum + at, _mm512_add_epi32(_mm512_loadu_si512(sum + at), product));
    }
}

const gram_tiles gram_avx512 = {energy5, narrow5, wide5, combine5};
#endif
