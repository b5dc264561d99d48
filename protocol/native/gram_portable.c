/* The tiles in standard C, for any machine. The loops are written so that compilers turn them into whatever vector
   instructions the target has; one lane is the whole row here. */
#include "gram.h"

static uint64_t energy(const int16_t *row) {
    uint64_t sum = 0;
    for (size_t at = 0; at < SUB; at++) sum += (uint64_t)((int32_t)row[at] * row[at]);
    return sum;
}

static void narrow(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride) {
    for (size_t i = 0; i < TILE; i++) {
        for (size_t j = 0; j < TILE; j++) {
            const int16_t *a = rows + i * SUB, *b = others + j * SUB;
            /* Every partial sum, in any order, is over a subset of the columns: at most sqrt(energy_a energy_b). */
            int32_t sum = 0;
            for (size_t at = 0; at < SUB; at++) sum += (int32_t)a[at] * b[at];
            total[i * stride + j] += sum;
        }
    }
}

static void wide(const int16_t *rows, const int16_t *others, int64_t *total, size_t stride) {
    for (size_t i = 0; i < TILE; i++) {
        for (size_t j = 0; j < TILE; j++) {
            const int16_t *a = rows + i * SUB, *b = others + j * SUB;
            int64_t sum = 0;
            for (size_t at = 0; at < SUB; at++) sum += (int32_t)a[at] * b[at];
            total[i * stride + j] += sum;
        }
    }
}

static void combine(const int16_t *row, int32_t weight, int32_t *sum) {
    /* Unsigned, because sums may wrap on the way; the last one fits. */
    for (size_t at = 0; at < SUB; at++) sum[at] = (int32_t)((uint32_t)sum[at] + (uint32_t)weight * (uint32_t)row[at]);
}

const gram_tiles gram_portable = {energy, narrow, wide, combine};
