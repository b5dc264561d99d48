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

/* Most columns of a sub-block: 8 KiB per row. Always a multiple of STEP. */
#define SUB 4096
/* Columns are padded with zeros to a multiple of this. */
#define STEP 32
/* Rows of a tile's side. The 5 x 5 sums of a tile, five vectors of one side and one of the other are 31 of the 32
   vector registers of AVX-512: 25 products for 10 loads. */
#define TILE 5
#define AHEAD 2

/* One instruction set's way to do the things that take time. TILE rows are packed together into a panel, in an order
   that is each instruction set's own. */
typedef struct {
    /* Packs `columns` (a multiple of STEP) columns of TILE rows.
       rows: no alignment needed. panel: TILE * columns numbers, aligned to 64 bytes.
       energy: gets an upper bound, at most 2^43, of the largest, over the rows and the lanes of an accumulator, sum of
       squares that one row brings into a lane.
       sum: NULL, or int32[columns], to which those rows are added, modulo 2^32, whose `counted` is 1 and not 0. */
    void (*pack)(const char *const *rows, size_t columns, int16_t *panel, uint64_t *energy, const int16_t *counted,
                 int32_t *sum);
    /* total[i * stride + j] += <rows[i], others[j]> for i, j < TILE, of two panels. Exact if the product of their
       energies is less than 2^62.
       ahead: where `columns` numbers each of AHEAD rows lie that will be packed soon; they may be fetched into the
       cache. */
    void (*narrow)(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride,
                   const char *const *ahead);
    /* The same of one panel with itself, for i <= j at least. */
    void (*narrow_own)(const int16_t *rows, size_t columns, int64_t *total, size_t stride, const char *const *ahead);
    /* As `narrow`, exact for any rows. */
    void (*wide)(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride);
    /* sum[at] += weight * row[at], modulo 2^32, for `columns` (a multiple of STEP) of them. row: no alignment needed. */
    void (*combine)(const char *row, int32_t weight, int32_t *sum, size_t columns);
} gram_tiles;

extern const gram_tiles gram_portable;
#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define COHORT_X86 1
extern const gram_tiles gram_avx2;
extern const gram_tiles gram_avx512;
#endif

#endif
