/* Sums s_1 P_1 + s_2 P_2 + ... over many points of BN254 with AVX-512 IFMA: see msm.c. */
#ifndef COHORT_MSM_H
#define COHORT_MSM_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Words of a sum that is not finished. */
#define COHORT_MSM_SUM 15

/* Results of cohort_msm_window. */
enum { COHORT_MSM_DONE, COHORT_MSM_NO_MEMORY, COHORT_MSM_COINCIDENCE };

/* Whether this processor has the instructions; nothing below may be called if not. */
EXPORT int cohort_msm_runs_here(void);

/* count points, x and y of 4 words each in Montgomery form with 2^256, to the form that the other functions take, with
   2^260; `to` may be `from`. */
EXPORT void cohort_msm_points(const uint64_t *from, uint64_t *to, size_t count);

/* Digit number `window` of scalars below 2^l, l <= 254, 4 words each: s = sum_w digit_w 2^(bits w), |digit| <=
   2^(bits - 1), for windows * bits > l and bits <= 24. */
EXPORT void cohort_msm_digits(const uint64_t *scalars, size_t count, unsigned bits, unsigned window, unsigned windows,
                              int32_t *digits);

/* sum digits_i points_i, |digits_i| <= most, as a sum that is not finished. COHORT_MSM_COINCIDENCE: two points, or sums
   of points, that were to be added have the same x; the caller takes another way. Never for different points whose
   relations nobody knows. Takes some 2 MiB, and 4 bytes a point and 68 for each
   number up to `most`. */
EXPORT int cohort_msm_window(const uint64_t *points, const int32_t *digits, size_t count, uint32_t most, uint64_t *sum);

/* sum_w 2^(bits w) sums_w, as x and y in Montgomery form with 2^256; zeros for infinity. */
EXPORT void cohort_msm_join(const uint64_t *sums, unsigned windows, unsigned bits, uint64_t *point);

#endif
