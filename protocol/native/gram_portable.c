/* The tiles in standard C, for any machine. The loops are written so that compilers turn them into whatever vector
   instructions the target has; one lane is the whole row here, and a panel is its rows one after another. */
#include "gram.h"

#include <string.h>

static void pack(const char *const *rows, size_t columns, int16_t *panel, uint64_t *energy, const int16_t *counted,
                 int32_t *sum) {
    *energy = 0;
    for (size_t row = 0; row < TILE; row++) {
        int16_t *packed = panel + row * columns;
        memcpy(packed, rows[row], columns * sizeof *packed);
        uint64_t squares = 0;
        for (size_t at = 0; at < columns; at++) squares += (uint64_t)((int32_t)packed[at] * packed[at]);
        if (squares > *energy) *energy = squares;
        if (sum != NULL && counted[row])
            /* Unsigned, because sums may wrap on the way; the last one fits. */
            for (size_t at = 0; at < columns; at++) sum[at] = (int32_t)((uint32_t)sum[at] + (uint32_t)packed[at]);
    }
}

static void narrow(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride,
                   const char *const *ahead) {
    (void)ahead;
    for (size_t i = 0; i < TILE; i++) {
        for (size_t j = 0; j < TILE; j++) {
            const int16_t *a = rows + i * columns, *b = others + j * columns;
            /* Every partial sum, in any order, is over a subset of the columns: at most sqrt(energy_a energy_b). */
            int32_t sum = 0;
            for (size_t at = 0; at < columns; at++) sum += (int32_t)a[at] * b[at];
            total[i * stride + j] += sum;
        }
    }
}

static void narrow_own(const int16_t *rows, size_t columns, int64_t *total, size_t stride, const char *const *ahead) {
    narrow(rows, rows, columns, total, stride, ahead);
}

static void wide(const int16_t *rows, const int16_t *others, size_t columns, int64_t *total, size_t stride) {
    for (size_t i = 0; i < TILE; i++) {
        for (size_t j = 0; j < TILE; j++) {
            const int16_t *a = rows + i * columns, *b = others + j * columns;
            int64_t sum = 0;
            for (size_t at = 0; at < columns; at++) sum += (int32_t)a[at] * b[at];
            total[i * stride + j] += sum;
        }
    }
}

static void combine(const char *row, int32_t weight, int32_t *sum, size_t columns) {
    for (size_t start = 0; start < columns; start += STEP) {
        int16_t part[STEP];
        memcpy(part, row + start * sizeof *part, sizeof part);
        for (size_t at = 0; at < STEP; at++)
            sum[start + at] = (int32_t)((uint32_t)sum[start + at] + (uint32_t)weight * (uint32_t)part[at]);
    }
}

const gram_tiles gram_portable = {pack, narrow, narrow_own, wide, combine};
