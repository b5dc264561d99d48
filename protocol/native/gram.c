/* The exact Gram matrix and the exact weighted sum of a block of int16 rows, for `cohort_protocol.scoring.kernel`.

   Loaded with ctypes: no Python header is needed to build it, and no call holds the interpreter's lock. A block is
   worked through in sub-blocks of at most SUB columns. The rows of a sub-block (wide ones split into limbs) are packed
   into panels of TILE rows, which also gives their sum and their energies; then tiles of TILE x TILE inner products are
   summed in registers, in 32 bits where the Cauchy-Schwarz bound of the panels' energies allows it and in 64 bits where
   it does not; see gram_x86.c. Results are integers, hence the same whatever the instructions, the sub-block or the
   order.

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
/* Packed numbers of a sub-block that a second-level cache holds beside what comes in. */
#define L2_NUMBERS ((size_t)1 << 18)

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

/* One limb of each of x = 2^16 high + low with both in int16, for x in range. */
static void pack_wide(const char *row, size_t count, int16_t *limbs, int high) {
    for (size_t start = 0; start < count; start += COPY) {
        size_t part = count - start < COPY ? count - start : COPY;
        int64_t values[COPY];
        memcpy(values, row + start * sizeof *values, part * sizeof *values);
        for (size_t at = 0; at < part; at++) {
            uint32_t bits = (uint32_t)values[at];
            limbs[start + at] = (int16_t)(uint16_t)(high ? (bits >> 16) + ((bits >> 15) & 1) : bits);
        }
    }
}

static int fits(uint64_t first, uint64_t second) {
    const uint64_t limit = ((uint64_t)1 << 62) - 1;
    return first == 0 || second <= limit / first;
}

/* The rows of a block, one call's worth of memory, and what is known of the sub-block that is packed. */
typedef struct {
    const gram_tiles *tiles;
    const char *const *narrow, *const *wide;
    size_t n, p;
    /* Rows of limbs, and panels that hold them. */
    size_t rows, panels;
    /* panels * TILE * sub numbers. */
    int16_t *packed;
    /* One per panel. */
    uint64_t *energies;
    /* int64[panels * TILE][panels * TILE] */
    int64_t *totals;
    /* TILE rows of SUB numbers, and one of zeros: rows that cannot be packed from where they are. */
    int16_t *copies, *zeros;
} gram_work;

/* Where `count` columns of a row of limbs begin, after copying them to `copy` if they are no int16 in memory or fewer
   than `padded`; these are zeros beyond the last column. */
static const char *placed(const gram_work *work, size_t row, size_t start, size_t count, size_t padded, int16_t *copy) {
    size_t n = work->n, p = work->p;
    if (row >= work->rows) return (const char *)work->zeros;
    if (row < n) {
        if (count == padded) return work->narrow[row] + start * 2;
        memcpy(copy, work->narrow[row] + start * 2, count * 2);
    } else {
        pack_wide(work->wide[(row - n) % p] + start * 8, count, copy, row < n + p);
    }
    memset(copy + count, 0, (padded - count) * 2);
    return (const char *)copy;
}

/* Packs a sub-block and adds its narrow rows to sum, which may be NULL. */
static void pack(const gram_work *work, size_t start, size_t count, size_t padded, int32_t *sum) {
    int32_t sums[SUB];
    int32_t *into = sum;
    if (sum != NULL && count < padded) {
        memset(sums, 0, padded * sizeof *sums);
        memcpy(sums, sum, count * sizeof *sums);
        into = sums;
    }
    for (size_t panel = 0; panel < work->panels; panel++) {
        const char *rows[TILE];
        int16_t counted[TILE];
        for (size_t i = 0; i < TILE; i++) {
            size_t row = panel * TILE + i;
            rows[i] = placed(work, row, start, count, padded, work->copies + i * SUB);
            counted[i] = row < work->n;
        }
        work->tiles->pack(rows, padded, work->packed + panel * TILE * padded, work->energies + panel, counted,
                          counted[0] ? into : NULL);
    }
    if (into != sum) memcpy(sum, sums, count * sizeof *sums);
}

/* next: where the next sub-block begins, `columns` in the end. Its rows are fetched meanwhile. */
static void multiply(const gram_work *work, size_t padded, size_t next, size_t columns) {
    const gram_tiles *tiles = work->tiles;
    size_t stride = work->panels * TILE, fetched = next + padded <= columns ? 0 : work->n;
    for (size_t i = 0; i < work->panels; i++) {
        for (size_t j = i; j < work->panels; j++) {
            const int16_t *first = work->packed + i * TILE * padded, *second = work->packed + j * TILE * padded;
            int64_t *total = work->totals + i * TILE * stride + j * TILE;
            const char *ahead[AHEAD];
            for (size_t at = 0; at < AHEAD; at++, fetched++)
                ahead[at] = fetched < work->n ? work->narrow[fetched] + next * 2 : (const char *)work->zeros;
            if (!fits(work->energies[i], work->energies[j]))
                tiles->wide(first, second, padded, total, stride);
            else if (i == j)
                tiles->narrow_own(first, padded, total, stride, ahead);
            else
                tiles->narrow(first, second, padded, total, stride, ahead);
        }
    }
}

/* Columns of a sub-block: as many as fill half a second-level cache of a megabyte, half or all of SUB. */
static size_t sub_block(size_t rows, size_t columns) {
    size_t sub = rows * SUB <= L2_NUMBERS ? SUB : SUB / 2;
    return columns < sub ? (columns + STEP - 1) / STEP * STEP : sub;
}

/* Adds weight * row to sum, count columns of it; what fills no step goes through copies. */
static void combine(const gram_tiles *tiles, const char *row, size_t count, int32_t weight, int32_t *sum) {
    size_t whole = count / STEP * STEP, rest = count - whole;
    tiles->combine(row, weight, sum, whole);
    if (rest == 0) return;
    int16_t values[STEP] = {0};
    int32_t sums[STEP] = {0};
    memcpy(values, row + whole * 2, rest * sizeof *values);
    memcpy(sums, sum + whole, rest * sizeof *sums);
    tiles->combine((const char *)values, weight, sums, STEP);
    memcpy(sum + whole, sums, rest * sizeof *sums);
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
    gram_work work = {.tiles = tiles, .narrow = narrow, .wide = wide, .n = n, .p = p, .rows = n + 2 * p};
    work.panels = (work.rows + TILE - 1) / TILE;
    size_t stride = work.panels * TILE, sub = sub_block(stride, columns);
    /* One allocation: packed panels and copies aligned to 64 bytes, then totals and energies; totals and zeros zero. */
    size_t panel_numbers = stride * sub, copies = (TILE + 1) * SUB;
    size_t total_bytes = stride * stride * sizeof *work.totals;
    char *memory = malloc(64 + (panel_numbers + copies) * 2 + total_bytes + work.panels * sizeof *work.energies);
    if (memory == NULL) return OUT_OF_MEMORY;
    work.packed = (int16_t *)(memory + (64 - (uintptr_t)memory % 64));
    work.copies = work.packed + panel_numbers;
    work.zeros = work.copies + TILE * SUB;
    work.totals = (int64_t *)(work.copies + copies);
    work.energies = (uint64_t *)(work.totals + stride * stride);
    memset(work.zeros, 0, SUB * sizeof *work.zeros);
    memset(work.totals, 0, total_bytes);
    for (size_t start = 0; start < columns; start += sub) {
        size_t count = columns - start < sub ? columns - start : sub, padded = (count + STEP - 1) / STEP * STEP;
        pack(&work, start, count, padded, sum == NULL ? NULL : sum + start);
        multiply(&work, padded, start + count, columns);
    }
    for (size_t i = 0; i < work.rows; i++)
        for (size_t j = i; j < work.rows; j++) total[i * work.rows + j] += work.totals[i * stride + j];
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

/* into[c] = base * sum[c] + sum over rows of weights[row] * rows[row][c], modulo 2^32, as a signed number.
   into: int64[columns], which may overlap `sum` if it begins at least 4 * columns bytes earlier. */
EXPORT int cohort_settle_block(int level, const char *const *rows, const int32_t *weights, size_t n, int32_t base,
                               size_t columns, const int32_t *sum, int64_t *into) {
    const gram_tiles *tiles = tiles_of(level);
    if (tiles == NULL) return NO_SUCH_LEVEL;
    for (size_t start = 0; start < columns; start += SUB) {
        size_t count = columns - start < SUB ? columns - start : SUB;
        int32_t sums[SUB];
        memcpy(sums, (const char *)sum + start * sizeof *sums, count * sizeof *sums);
        for (size_t at = 0; at < count; at++) sums[at] = (int32_t)((uint32_t)base * (uint32_t)sums[at]);
        for (size_t row = 0; row < n; row++) combine(tiles, rows[row] + start * 2, count, weights[row], sums);
        /* By way of memcpy, since the same memory holds numbers of both widths. */
        for (size_t at = 0; at < count; at += COPY) {
            size_t part = count - at < COPY ? count - at : COPY;
            int64_t values[COPY];
            for (size_t each = 0; each < part; each++) values[each] = sums[at + each];
            memcpy((char *)into + (start + at) * sizeof *values, values, part * sizeof *values);
        }
    }
    return 0;
}
