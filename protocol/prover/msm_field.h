/* Eight coordinates at once: arithmetic modulo p, the field of BN254 (EIP-196), with AVX-512 IFMA.

   A number is five limbs of 52 bits, little end first; limb i of eight numbers is one register. Numbers are in
   Montgomery form with R = 2^260 (x R mod p) and known up to multiples of p: since R > 84 p, the product of two numbers
   a, b with a b < 84 p^2 is below 2 p, so that sums and differences need no reduction before they are multiplied. Limbs
   are always below 2^52, as the multiplier reads no more: 10 p, the largest number there is, is below 2^257. Memory has
   four words of 64 bits for a number, which is then below 4 p < 2^256. */
#ifndef COHORT_MSM_FIELD_H
#define COHORT_MSM_FIELD_H

#include <immintrin.h>
#include <stdint.h>

#define WIDE __attribute__((target("avx512f,avx512ifma,avx512dq,avx512vl")))
#define INLINE WIDE static inline __attribute__((always_inline))
#define LIMB_MASK 0xfffffffffffffULL

typedef struct {
    __m512i limb[5];
} field;

static const uint64_t MODULUS[5] = {0x8c16d87cfd47, 0x916871ca8d3c2, 0x181585d97816a, 0xa029b85045b68, 0x30644e72e131};
/* -1/p modulo 2^52 */
#define MODULUS_INVERSE 0x20782e4866389ULL
/* R, 9 R, 2^264 and 2^256 modulo p, R^3 modulo p. */
static const uint64_t ONE[5] = {0x20880f6fce4b4, 0x49baa989a8455, 0x18f014a498908, 0x724f85a9201d8, 0x1f16424e1bb7};
static const uint64_t NINE[5] = {0xf9016747317f1, 0xc085bce228433, 0x68051c8a04a35, 0xe3fb1960c4790, 0x25d2cc80937a};
static const uint64_t FROM_256[5] = {0xb0f2afaec667a, 0xed9626b0fffbd, 0x9e2a0fcad825a, 0xe357276f48b70, 0xd791464ef86};
static const uint64_t TO_256[5] = {0xd438dc58f0d9d, 0x28f5c70b3dd35, 0x879462c0a78eb, 0xdf2f666ea36f7, 0xe0a77c19a07};
static const uint64_t CUBE[5] = {0x324783fe3a1a8, 0x976ad256c513e, 0x603f972c59c28, 0x87f5c53872393, 0x10f16ded8d19};

INLINE field constant(const uint64_t *limbs) {
    field r;
    for (int i = 0; i < 5; i++) r.limb[i] = _mm512_set1_epi64((long long)limbs[i]);
    return r;
}

/* Limbs may be negative or above 2^52 on the way in, the number may not be negative. */
INLINE field carried(field a) {
    const __m512i mask = _mm512_set1_epi64(LIMB_MASK);
    for (int i = 0; i < 4; i++) {
        a.limb[i + 1] = _mm512_add_epi64(a.limb[i + 1], _mm512_srai_epi64(a.limb[i], 52));
        a.limb[i] = _mm512_and_si512(a.limb[i], mask);
    }
    return a;
}

INLINE field sum(field a, field b) {
    for (int i = 0; i < 5; i++) a.limb[i] = _mm512_add_epi64(a.limb[i], b.limb[i]);
    return carried(a);
}

/* a - b + times p, for b of at most that. */
INLINE field difference(field a, field b, uint64_t times) {
    for (int i = 0; i < 5; i++) {
        __m512i plus = _mm512_set1_epi64((long long)(times * MODULUS[i]));
        a.limb[i] = _mm512_add_epi64(_mm512_sub_epi64(a.limb[i], b.limb[i]), plus);
    }
    return carried(a);
}

/* a b / R below 2 p, for a b < 84 p^2 (Montgomery 1985, limb by limb). A column adds up at most 20 halves of products,
   below 2^57. */
INLINE field product(field a, field b) {
    const __m512i zero = _mm512_setzero_si512(), inverse = _mm512_set1_epi64((long long)MODULUS_INVERSE);
    __m512i column[10];
    for (int i = 0; i < 10; i++) column[i] = zero;
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            column[i + j] = _mm512_madd52lo_epu64(column[i + j], a.limb[i], b.limb[j]);
            column[i + j + 1] = _mm512_madd52hi_epu64(column[i + j + 1], a.limb[i], b.limb[j]);
        }
    for (int i = 0; i < 5; i++) {
        __m512i quotient = _mm512_madd52lo_epu64(zero, column[i], inverse);
        for (int j = 0; j < 5; j++) {
            __m512i p = _mm512_set1_epi64((long long)MODULUS[j]);
            column[i + j] = _mm512_madd52lo_epu64(column[i + j], quotient, p);
            column[i + j + 1] = _mm512_madd52hi_epu64(column[i + j + 1], quotient, p);
        }
        column[i + 1] = _mm512_add_epi64(column[i + 1], _mm512_srli_epi64(column[i], 52));
    }
    field r;
    for (int i = 0; i < 5; i++) r.limb[i] = column[i + 5];
    return carried(r);
}

/* The same number below 2.4 p, of one below 10 p: the upper bits say how often p surely fits. */
INLINE field reduced(field a) {
    static const uint64_t times[8] = {0, 1, 2, 3, 5, 6, 7, 9}; /* floor(k 2^254 / p) */
    __m512i index = _mm512_srli_epi64(a.limb[4], 46);
    for (int i = 0; i < 5; i++) {
        uint64_t multiples[8];
        for (int k = 0; k < 8; k++) multiples[k] = times[k] * MODULUS[i];
        __m512i table = _mm512_loadu_si512(multiples);
        a.limb[i] = _mm512_sub_epi64(a.limb[i], _mm512_permutexvar_epi64(index, table));
    }
    return carried(a);
}

/* Rows of eight words to columns and back. */
INLINE void transpose(__m512i r[8]) {
    __m512i t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++) {
            u[i + k] = _mm512_shuffle_i64x2(t[i + k], t[i + k + 2], 0x88);
            u[i + k + 2] = _mm512_shuffle_i64x2(t[i + k], t[i + k + 2], 0xdd);
        }
    for (int k = 0; k < 4; k++) {
        r[k] = _mm512_shuffle_i64x2(u[k], u[k + 4], 0x88);
        r[k + 4] = _mm512_shuffle_i64x2(u[k], u[k + 4], 0xdd);
    }
}

INLINE field from_words(const __m512i w[4]) {
    const __m512i mask = _mm512_set1_epi64(LIMB_MASK);
    field r;
    r.limb[0] = _mm512_and_si512(w[0], mask);
    for (int i = 1; i < 4; i++) {
        __m512i low = _mm512_srli_epi64(w[i - 1], 64 - 12 * i), high = _mm512_slli_epi64(w[i], 12 * i);
        r.limb[i] = _mm512_and_si512(_mm512_or_si512(low, high), mask);
    }
    r.limb[4] = _mm512_srli_epi64(w[3], 16);
    return r;
}

INLINE void to_words(field a, __m512i w[4]) {
    for (int i = 0; i < 4; i++)
        w[i] = _mm512_or_si512(_mm512_srli_epi64(a.limb[i], 12 * i), _mm512_slli_epi64(a.limb[i + 1], 52 - 12 * i));
}

#endif
