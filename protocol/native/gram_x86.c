/* The tiles with AVX2 (pair products by vpmaddwd) and AVX-512 VNNI (pair products added in one instruction, vpdpwssd).

   A panel holds a vector of its first row, the same columns of its second row, and so on, then the next columns: what
   a tile reads next always lies next.

   Overflow. A pair product is the sum of two products of int16, which lies in -2147418112 .. 2^31 and so fits int32
   except for the one value 2^31 of two pairs of -32768, which wraps to -2^31.
   - narrow: what a lane holds in the end is a sum over a subset of the columns, at most sqrt(energy_a energy_b) < 2^31
     in size by Cauchy and Schwarz. 32-bit sums are exact modulo 2^32 whatever wraps on the way (vpaddd and vpdpwssd
     wrap, they do not saturate), so the lane holds it.
   - wide: 1 is taken from each pair product, which makes the wrapped one right again (2^31 - 1) and wraps none of the
     others; its upper and lower 16 bits are summed apart, at most 2^8 times 2^16 each; the ones are given back in the
     end. */
#include "gram.h"

#ifdef COHORT_X86
#include <immintrin.h>

#define LANES2 8
#define LANES5 16
/* Squares of a pair are at most 2^31; this many bits are dropped so that SUB / 16 of them fit 32 bits. */
#define DROPPED 8
#define UNROLL _Pragma("GCC unroll 5")

#define AVX2 __attribute__((target("avx2")))
#define AVX5 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static uint64_t bound_of(const uint32_t *lanes, size_t count, uint64_t steps) {
    uint64_t largest = 0;
    for (size_t at = 0; at < count; at++)
        if (lanes[at] > largest) largest = lanes[at];
    /* Each of the steps dropped less than 2^DROPPED. */
    return (largest + steps) << DROPPED;
}

/* --- AVX2: 8 lanes; 2 x 5 sums live in registers ----------------------------------------------------------------- */

#define AT2(panel, at, row) ((const __m256i *)((panel) + ((at) * TILE + (row)) * 16))

AVX2 static void pack2(const char *const *rows, size_t columns, int16_t *panel, uint64_t *energy,
                       const int16_t *counted, int32_t *sum) {
    __m256i squares[TILE];
    for (size_t row = 0; row < TILE; row++) squares[row] = _mm256_setzero_si256();
    for (size_t at = 0; at < columns / 16; at++) {
        for (size_t row = 0; row < TILE; row++) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(rows[row] + at * 32));
            _mm256_store_si256((__m256i *)AT2(panel, at, row), x);
            squares[row] = _mm256_add_epi32(squares[row], _mm256_srli_epi32(_mm256_madd_epi16(x, x), DROPPED));
        }
        if (sum == NULL) continue;
        __m256i *first = (__m256i *)(sum + at * 16), *second = first + 1;
        __m256i low = _mm256_loadu_si256(first), high = _mm256_loadu_si256(second);
        for (size_t row = 0; row < TILE; row++) {
            if (!counted[row]) continue;
            __m256i x = _mm256_load_si256(AT2(panel, at, row));
            low = _mm256_add_epi32(low, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(x)));
            high = _mm256_add_epi32(high, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(x, 1)));
        }
        _mm256_storeu_si256(first, low);
        _mm256_storeu_si256(second, high);
    }
    *energy = 0;
    for (size_t row = 0; row < TILE; row++) {
        uint32_t lanes[LANES2];
        _mm256_storeu_si256((__m256i *)lanes, squares[row]);
        uint64_t bound = bound_of(lanes, LANES2, columns / 16);
        if (bound > *energy) *energy = bound;
    }
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

AVX2 static inline __attribute__((always_inline)) void rows2(const int16_t *rows, size_t i, size_t count,
                                                             const int16_t *others, size_t columns, int64_t *total,
                                                             size_t stride) {
    __m256i s[2][TILE];
    for (size_t k = 0; k < count; k++)
        UNROLL for (size_t j = 0; j < TILE; j++) s[k][j] = _mm256_setzero_si256();
    for (size_t at = 0; at < columns / 16; at++) {
        __m256i x[2];
        for (size_t k = 0; k < count; k++) x[k] = _mm256_load_si256(AT2(rows, at, i + k));
        UNROLL for (size_t j = 0; j < TILE; j++) {
            __m256i y = _mm256_load_si256(AT2(others, at, j));
            for (size_t k = 0; k < count; k++) s[k][j] = _mm256_add_epi32(s[k][j], _mm256_madd_epi16(x[k], y));
        }
    }
    for (size_t k = 0; k < count; k++)
        for (size_t j = 0; j < TILE; j++) total[(i + k) * stride + j] += sum2(s[k][j]);
}

AVX2 static void narrow2(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride,
                         const char *const *ahead) {
    (void)ahead;
    rows2(rows, 0, 2, others, columns, total, stride);
    rows2(rows, 2, 2, others, columns, total, stride);
    rows2(rows, 4, 1, others, columns, total, stride);
}

AVX2 static void narrow_own2(const int16_t *rows, size_t columns, int64_t *total, size_t stride,
                             const char *const *ahead) {
    narrow2(rows, rows, columns, total, stride, ahead);
}

AVX2 static void wide2(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride) {
    const __m256i one = _mm256_set1_epi32(1), lower = _mm256_set1_epi32(0xFFFF);
    for (size_t i = 0; i < TILE; i++) {
        __m256i high[TILE], low[TILE];
        UNROLL for (size_t j = 0; j < TILE; j++) high[j] = low[j] = _mm256_setzero_si256();
        for (size_t at = 0; at < columns / 16; at++) {
            __m256i x = _mm256_load_si256(AT2(rows, at, i));
            UNROLL for (size_t j = 0; j < TILE; j++) {
                __m256i pair = _mm256_sub_epi32(_mm256_madd_epi16(x, _mm256_load_si256(AT2(others, at, j))), one);
                high[j] = _mm256_add_epi32(high[j], _mm256_srai_epi32(pair, 16));
                low[j] = _mm256_add_epi32(low[j], _mm256_and_si256(pair, lower));
            }
        }
        for (size_t j = 0; j < TILE; j++)
            total[i * stride + j] += sum2(high[j]) * 65536 + sum2(low[j]) + (int64_t)(columns / 2);
    }
}

AVX2 static void combine2(const char *row, int32_t weight, int32_t *sum, size_t columns) {
    const __m256i w = _mm256_set1_epi32(weight);
    for (size_t at = 0; at < columns; at += 8) {
        __m256i x = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(row + at * 2)));
        __m256i product = _mm256_mullo_epi32(x, w);
        _mm256_storeu_si256((__m256i *)(sum + at),
                            _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)(sum + at)), product));
    }
}

const gram_tiles gram_avx2 = {pack2, narrow2, narrow_own2, wide2, combine2};

/* --- AVX-512 with VNNI: 16 lanes; the 5 x 5 sums of a tile live in registers --------------------------------------- */

/* s += the pair products of x and y. Not the intrinsic: with it gcc copies sums that could stay where they are, and then
   they do not fit the registers. */
#define ADD_PAIRS(s, x, y) __asm__("vpdpwssd %2, %1, %0" : "+v"(s) : "v"(x), "v"(y))

#define AT5(panel, at, row) ((panel) + ((at) * TILE + (row)) * 32)

/* For rows whose sums of squares leave 31 bits in a lane: as coarse as in AVX2, but never too small. */
AVX5 static uint64_t large_energy5(const int16_t *panel, size_t columns, size_t row) {
    __m512i squares = _mm512_setzero_si512();
    for (size_t at = 0; at < columns / 32; at++) {
        __m512i x = _mm512_load_si512(AT5(panel, at, row));
        squares = _mm512_add_epi32(squares, _mm512_srli_epi32(_mm512_madd_epi16(x, x), DROPPED));
    }
    uint32_t lanes[LANES5];
    _mm512_storeu_si512(lanes, squares);
    return bound_of(lanes, LANES5, columns / 32);
}

/* Interleaves the columns of two rows, so that a pair product is a sum of one column of both. */
#define PAIRED(low, high, x, y, counts)                                                                             \
    low = _mm512_dpwssd_epi32(low, _mm512_unpacklo_epi16(x, y), counts),                                               \
    high = _mm512_dpwssd_epi32(high, _mm512_unpackhi_epi16(x, y), counts)

AVX5 static void pack5(const char *const *rows, size_t columns, int16_t *panel, uint64_t *energy,
                       const int16_t *counted, int32_t *sum) {
    const __m512i zero = _mm512_setzero_si512();
    /* Unpacking leaves columns 0-3 of each eight in `low`, 4-7 in `high`. */
    const __m512i front = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), back = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    __m512i counts[3], squares[TILE];
    for (size_t pair = 0; pair < 3; pair++) {
        uint32_t first = (uint16_t)counted[2 * pair], second = pair < 2 ? (uint16_t)counted[2 * pair + 1] : 0;
        counts[pair] = _mm512_set1_epi32((int32_t)(first | second << 16));
    }
    UNROLL for (size_t row = 0; row < TILE; row++) squares[row] = zero;
    for (size_t at = 0; at < columns / 32; at++) {
        __m512i x[TILE];
        UNROLL for (size_t row = 0; row < TILE; row++) {
            x[row] = _mm512_loadu_si512(rows[row] + at * 64);
            _mm512_store_si512(AT5(panel, at, row), x[row]);
            /* Saturates instead of wrapping. */
            squares[row] = _mm512_dpwssds_epi32(squares[row], x[row], x[row]);
        }
        if (sum == NULL) continue;
        __m512i low = zero, high = zero;
        PAIRED(low, high, x[0], x[1], counts[0]);
        PAIRED(low, high, x[2], x[3], counts[1]);
        PAIRED(low, high, x[4], zero, counts[2]);
        int32_t *into = sum + at * 32;
        __m512i first = _mm512_add_epi32(_mm512_loadu_si512(into), _mm512_permutex2var_epi64(low, front, high));
        __m512i second = _mm512_add_epi32(_mm512_loadu_si512(into + 16), _mm512_permutex2var_epi64(low, back, high));
        _mm512_storeu_si512(into, first);
        _mm512_storeu_si512(into + 16, second);
    }
    *energy = 0;
    for (size_t row = 0; row < TILE; row++) {
        uint64_t most = (uint64_t)_mm512_reduce_max_epi32(squares[row]);
        uint64_t bound = most < INT32_MAX ? most : large_energy5(panel, columns, row);
        if (bound > *energy) *energy = bound;
    }
}

AVX5 static inline __attribute__((always_inline)) int64_t sum5(__m512i lanes) {
    __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(lanes));
    __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(lanes, 1));
    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
}

static inline __attribute__((always_inline)) void fetch_ahead(const char *const *ahead, size_t at) {
    for (size_t row = 0; row < AHEAD; row++) _mm_prefetch(ahead[row] + at * 64, _MM_HINT_T1);
}

AVX5 static void narrow5(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride,
                         const char *const *ahead) {
    __m512i s[TILE][TILE];
    UNROLL for (size_t i = 0; i < TILE; i++)
        UNROLL for (size_t j = 0; j < TILE; j++) s[i][j] = _mm512_setzero_si512();
    for (size_t at = 0; at < columns / 32; at++) {
        __m512i x[TILE];
        UNROLL for (size_t i = 0; i < TILE; i++) x[i] = _mm512_load_si512(AT5(rows, at, i));
        fetch_ahead(ahead, at);
        UNROLL for (size_t j = 0; j < TILE; j++) {
            __m512i y = _mm512_load_si512(AT5(others, at, j));
            UNROLL for (size_t i = 0; i < TILE; i++) ADD_PAIRS(s[i][j], x[i], y);
        }
    }
    UNROLL for (size_t i = 0; i < TILE; i++)
        UNROLL for (size_t j = 0; j < TILE; j++) total[i * stride + j] += sum5(s[i][j]);
}

AVX5 static void narrow_own5(const int16_t *rows, size_t columns, int64_t *total, size_t stride,
                             const char *const *ahead) {
    __m512i s[TILE][TILE];
    UNROLL for (size_t i = 0; i < TILE; i++)
        UNROLL for (size_t j = i; j < TILE; j++) s[i][j] = _mm512_setzero_si512();
    for (size_t at = 0; at < columns / 32; at++) {
        __m512i x[TILE];
        UNROLL for (size_t i = 0; i < TILE; i++) x[i] = _mm512_load_si512(AT5(rows, at, i));
        fetch_ahead(ahead, at);
        UNROLL for (size_t i = 0; i < TILE; i++)
            UNROLL for (size_t j = i; j < TILE; j++) ADD_PAIRS(s[i][j], x[i], x[j]);
    }
    UNROLL for (size_t i = 0; i < TILE; i++)
        UNROLL for (size_t j = i; j < TILE; j++) total[i * stride + j] += sum5(s[i][j]);
}

AVX5 static void wide5(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride) {
    const __m512i one = _mm512_set1_epi32(1), lower = _mm512_set1_epi32(0xFFFF);
    for (size_t i = 0; i < TILE; i++) {
        __m512i high[TILE], low[TILE];
        UNROLL for (size_t j = 0; j < TILE; j++) high[j] = low[j] = _mm512_setzero_si512();
        for (size_t at = 0; at < columns / 32; at++) {
            __m512i x = _mm512_load_si512(AT5(rows, at, i));
            UNROLL for (size_t j = 0; j < TILE; j++) {
                __m512i pair = _mm512_sub_epi32(_mm512_madd_epi16(x, _mm512_load_si512(AT5(others, at, j))), one);
                high[j] = _mm512_add_epi32(high[j], _mm512_srai_epi32(pair, 16));
                low[j] = _mm512_add_epi32(low[j], _mm512_and_si512(pair, lower));
            }
        }
        for (size_t j = 0; j < TILE; j++)
            total[i * stride + j] += sum5(high[j]) * 65536 + sum5(low[j]) + (int64_t)(columns / 2);
    }
}

AVX5 static void combine5(const char *row, int32_t weight, int32_t *sum, size_t columns) {
    const __m512i w = _mm512_set1_epi32(weight);
    for (size_t at = 0; at < columns; at += 16) {
        __m512i x = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(row + at * 2)));
        _mm512_storeu_si512(sum + at, _mm512_add_epi32(_mm512_loadu_si512(sum + at), _mm512_mullo_epi32(x, w)));
        /* The next sub-block of this row; nothing happens beyond its end. */
        if (at % 32 == 0) _mm_prefetch((const char *)((uintptr_t)row + (at + SUB) * 2), _MM_HINT_T1);
    }
}

const gram_tiles gram_avx512 = {pack5, narrow5, narrow_own5, wide5, combine5};
#endif
