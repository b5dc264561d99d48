/* The exact Gram matrix and the exact weighted sum of a block of int16 rows, for `cohort_protocol.scoring.kernel`.

   Loaded with ctypes: no Python header is needed to build it, and no call holds the interpreter's lock. A block is
   worked through in sub-blocks of SUB columns. The rows of a sub-block are packed side by side (aligned, padded with
   zeros, wide rows split into limbs), and tiles of TILE x TILE inner products are summed in registers, in 32 bits where
   the Cauchy-Schwarz bound of the packed rows allows it and in 64 bits where it does not; see gram_x86.c. Results are
   integers, hence the same whatever the instructions, the sub-block or the order.

   Every function returns 0, or one of the codes below; then nothing was written. */
#include "gram.h"

#include <stdlib.h>
#include <string.h>

#define OUT_OF_MEMORY 1
/* A wide value is outside -2^31 .. 2^31 - 1. */
#define OUT_OF_RANGE 2
/* A wide value is at least 2^31 - 2^15: its upper limb does not fit int16. No weighted sum of updates reaches it. */
#define OUT_OF_LIMBS 3
#define NO_SUCH_LEVEL 4

#define COPY 256

static const gram_tiles *tiles_of(int level) {
    if (level == 0) return &gram_portable;
#ifdef COHORT_X86
    if (level == 1 && __builtin_cpu_supports("avx2")) return &gram_avx2;
    if (level == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        return &gram_avx512;
#endif
    return NULL;
}

/* Bit i is set if level i runs on this machine: 0 portable C, 1 AVX2, 2 AVX-512 VNNI. */
EXPORT int cohort_gram_levels(void) {
    int levels = 0;
    for (int level = 0; level < 3; level++)
        if (tiles_of(level) != NULL) levels |= 1 << level;
    return levels;
}

static int check_wide(const char *row, size_t columns) {
    uint64_t outside = 0, edge = 0;
    for (size_t start = 0; start < columns; start += COPY) {
        size_t count = columns - start < COPY ? columns - start : COPY;
        int64_t values[COPY];
        memcpy(values, row + start * sizeof *values, count * sizeof *values);
        for (size_t at = 0; at < count; at++) {
            outside |= ((uint64_t)values[at] + 0x80000000u) >> 32;
            edge |= ((uint64_t)0x7FFF7FFF - (uint64_t)values[at]) >> 63;
        }
    }
    return outside ? OUT_OF_RANGE : edge ? OUT_OF_LIMBS : 0;
}

/* x = 2^16 high + low with both in int16, for x in range. */
static void pack_wide(const char *row, size_t count, int16_t *high, int16_t *low) {
    for (size_t start = 0; start < count; start += COPY) {
        size_t part = count - start < COPY ? count - start : COPY;
        int64_t values[COPY];
        memcpy(values, row + start * sizeof *values, part * sizeof *values);
        for (size_t at = 0; at < part; at++) {
            uint32_t bits = (uint32_t)values[at];
            low[start + at] = (int16_t)(uint16_t)bits;
            high[start + at] = (int16_t)(uint16_t)((bits >> 16) + ((bits >> 15) & 1));
        }
    }
}

static void pack(const char *const *narrow, size_t n, const char *const *wide, size_t p, size_t start, size_t count,
                 int16_t *packed) {
    for (size_t row = 0; row < n; row++) memcpy(packed + row * SUB, narrow[row] + start * 2, count * 2);
    for (size_t row = 0; row < p; row++)
        pack_wide(wide[row] + start * 8, count, packed + (n + row) * SUB, packed + (n + p + row) * SUB);
    if (count < SUB)
        for (size_t row = 0; row < n + 2 * p; row++) memset(packed + row * SUB + count, 0, (SUB - count) * 2);
}

static int fits(uint64_t first, uint64_t second) {
    const uint64_t limit = ((uint64_t)1 << 62) - 1;
    return first == 0 || second <= limit / first;
}

static void multiply(const gram_tiles *tiles, const int16_t *packed, size_t rows, uint64_t *energies, int64_t *total) {
    for (size_t tile = 0; tile < rows / TILE; tile++) {
        energies[tile] = 0;
        for (size_t row = tile * TILE; row < (tile + 1) * TILE; row++) {
            uint64_t energy = tiles->energy(packed + row * SUB);
            if (energy > energies[tile]) energies[tile] = energy;
        }
    }
    for (size_t i = 0; i < rows; i += TILE)
        for (size_t j = i; j < rows; j += TILE)
            (fits(energies[i / TILE], energies[j / TILE]) ? tiles->narrow : tiles->wide)(
                packed + i * SUB, packed + j * SUB, total + i * rows + j, rows);
}

/* Adds weight * row to sum, columns of it, a sub-block at a time through aligned copies. */
static void combine(const gram_tiles *tiles, const char *row, size_t count, int32_t weight, int32_t *sum) {
    if (count == SUB && (uintptr_t)row % sizeof(int16_t) == 0) {
        tiles->combine((const int16_t *)row, weight, sum);
        return;
    }
    int16_t values[SUB] = {0};
    int32_t sums[SUB] = {0};
    memcpy(values, row, count * sizeof *values);
    memcpy(sums, sum, count * sizeof *sums);
    tiles->combine(values, weight, sums);
    memcpy(sum, sums, count * sizeof *sums);
}

/* total[i][j] += <row i, row j> for i <= j over `columns` columns, rows: n narrow ones (int16), then the upper limbs of
   p wide ones (int64), then their lower limbs. total: int64[(n + 2p) * (n + 2p)], row by row.
   sum: NULL, or int32[columns], to which the sum of the narrow rows is added modulo 2^32. */
EXPORT int cohort_gram_block(int level, const char *const *narrow, size_t n, const char *const *wide, size_t p,
                             size_t columns, int64_t *total, int32_t *sum) {
    const gram_tiles *tiles = tiles_of(level);
    if (tiles == NULL) return NO_SUCH_LEVEL;
    for (size_t row = 0; row < p; row++) {
        int code = check_wide(wide[row], columns);
        if (code) return code;
    }
    size_t rows = n + 2 * p, padded = (rows + TILE - 1) / TILE * TILE;
    /* One allocation: packed rows aligned to 64 bytes, then totals and energies, all zero. */
    size_t packed_bytes = padded * SUB * sizeof(int16_t), total_bytes = padded * padded * sizeof(int64_t);
    char *memory = calloc(1, 64 + packed_bytes + total_bytes + padded / TILE * sizeof(uint64_t));
    if (memory == NULL) return OUT_OF_MEMORY;
    char *aligned = memory + (64 - (uintptr_t)memory % 64);
    int16_t *packed = (int16_t *)aligned;
    int64_t *sums = (int64_t *)(aligned + packed_bytes);
    uint64_t *energies = (uint64_t *)(aligned + packed_bytes + total_bytes);
    for (size_t start = 0; start < columns; start += SUB) {
        size_t count = columns - start < SUB ? columns - start : SUB;
        pack(narrow, n, wide, p, start, count, packed);
        multiply(tiles, packed, padded, energies, sums);
        if (sum != NULL)
            for (size_t row = 0; row < n; row++) combine(tiles, (char *)(packed + row * SUB), count, 1, sum + start);
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t j = i; j < rows; j++) total[i * rows + j] += sums[i * padded + j];
    free(memory);
    return 0;
}

/* sum[c] += sum over rows of weights[row] * rows[row][c], modulo 2^32. rows: n of int16[columns]. */
EXPORT int cohort_combine_block(int level, const char *const *rows, const int32_t *weights, size_t n, size_t columns,
                                int32_t *sum) {
    const gram_tiles *tiles = tiles_of(level);
    if (tiles == NULL) return NO_SUCH_LEVEL;
    for (size_t start = 0; start < columns; start += SUB) {
        size_t count = columns - start < SUB ? columns - start : SUB;
        for (size_t row = 0; row < n; row++)
            if (weights[row] != 0) combine(tiles, rows[row] + start * 2, count, weights[row], sum + start);
    }
    return 0;
}
