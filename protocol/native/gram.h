/* Exact Gram matrices of 16-bit rows: what the parts of the native kernel share. See gram.c. */
#ifndef COHORT_GRAM_H
#define COHORT_GRAM_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Columns of a sub-block: 4 KiB per row, so that the eight rows of a tile fill a first-level cache of 32 KiB and some
   hundred rows a second-level cache of 512 KiB. */
#define SUB 2048
/* Rows of a tile's side. */
#define TILE 4

/* One instruction set's way to do the things that take time. Rows are packed: SUB columns each, aligned to
   64 bytes, zeros beyond the last column. */
typedef struct {
    /* An upper bound of the largest, over the lanes of an accumulator, sum of squares that one row brings into a lane.
       At most 2^42. */
    uint64_t (*energy)(const int16_t *row);
    /* total[i * stride + j] += <rows[i], rows[SUB-wide others j]> for i, j < TILE. Exact if energy_i * energy_j < 2^62
       for all i, j. */
    void (*narrow)(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride);
    /* The same for any rows. */
    void (*wide)(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride);
    /* sum[at] += weight * row[at], modulo 2^32. Neither need be aligned to more than its type. */
    void (*combine)(const int16_t *row, int32_t weight, int32_t *sum);
} gram_tiles;

extern const gram_tiles gram_portable;
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define COHORT_X86 1
extern const gram_tiles gram_avx2;
extern const gram_tiles gram_avx512;
#endif

#endif
