/* One inversion modulo p for eight numbers: their product is inverted as a plain number, by Euclid. */
#ifndef COHORT_MSM_INVERSE_H
#define COHORT_MSM_INVERSE_H

#include <string.h>

#include "msm_field.h"

typedef unsigned __int128 two_words;

static uint64_t add_words(uint64_t *a, const uint64_t *b) {
    two_words carry = 0;
    for (int i = 0; i < 4; i++) {
        carry += (two_words)a[i] + b[i];
        a[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return (uint64_t)carry;
}

static uint64_t subtract_words(uint64_t *a, const uint64_t *b) {
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        two_words less = (two_words)a[i] - b[i] - borrow;
        a[i] = (uint64_t)less;
        borrow = (uint64_t)(less >> 64) & 1;
    }
    return borrow;
}

static int at_least(const uint64_t *a, const uint64_t *b) {
    for (int i = 3; i >= 0; i--)
        if (a[i] != b[i]) return a[i] > b[i];
    return 1;
}

static void halve(uint64_t *a, uint64_t top) {
    for (int i = 0; i < 4; i++) a[i] = a[i] >> 1 | (i < 3 ? a[i + 1] : top) << 63;
}

static const uint64_t P[4] = {0x3c208c16d87cfd47, 0x97816a916871ca8d, 0xb85045b68181585d, 0x30644e72e131a029};

/* Takes factors of two out of u while a = x u stays true modulo p. */
static void take_twos(uint64_t *u, uint64_t *x) {
    while (!(u[0] & 1)) {
        halve(u, 0);
        if (x[0] & 1) add_words(x, P);
        halve(x, 0);
    }
}

/* a becomes 1/a modulo p, 0 < a < p (binary Euclid). */
static void invert_words(uint64_t *a) {
    uint64_t u[4], v[4], x[4] = {1}, y[4] = {0};
    memcpy(u, a, sizeof u);
    memcpy(v, P, sizeof v);
    for (;;) {
        take_twos(u, x);
        take_twos(v, y);
        if (at_least(u, v)) {
            subtract_words(u, v);
            if (subtract_words(x, y)) add_words(x, P);
            if (!(u[0] | u[1] | u[2] | u[3])) break;
        } else {
            subtract_words(v, u);
            if (subtract_words(y, x)) add_words(y, P);
        }
    }
    memcpy(a, y, sizeof y); /* u = v = 1 = y a */
}

/* The first of eight numbers, below p. */
WIDE static void first_word(field a, uint64_t *words) {
    __m512i w[4];
    to_words(reduced(a), w);
    for (int i = 0; i < 4; i++) words[i] = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(w[i]));
    while (at_least(words, P)) subtract_words(words, P);
}

INLINE field lanes(field a, __m512i index) {
    for (int i = 0; i < 5; i++) a.limb[i] = _mm512_permutexvar_epi64(index, a.limb[i]);
    return a;
}

/* 1 / a for eight numbers below 2 p, by one inversion. 0 if one of them is zero. */
WIDE static int inverted(field *a) {
    field first = lanes(*a, _mm512_set_epi64(6, 7, 4, 5, 2, 3, 0, 1)), two = product(*a, first);
    field second = lanes(two, _mm512_set_epi64(5, 4, 7, 6, 1, 0, 3, 2)), four = product(two, second);
    field third = lanes(four, _mm512_set_epi64(3, 2, 1, 0, 7, 6, 5, 4));
    uint64_t words[4];
    first_word(product(four, third), words);
    if (!(words[0] | words[1] | words[2] | words[3])) return 0;
    invert_words(words);
    __m512i w[4];
    for (int i = 0; i < 4; i++) w[i] = _mm512_set1_epi64((long long)words[i]);
    field all = product(from_words(w), constant(CUBE));
    *a = product(product(all, third), product(second, first));
    return 1;
}

#endif
