/* Keccak-256 as Ethereum has it, of many rows at once: eight states in the registers of AVX-512, four in those of AVX2.

   Hashing is most of the time of a round once its inner products are fast: one state takes about eight cycles per byte,
   and the bytes of one row can only be hashed one after another. But rows are independent, and a pass has all of them at
   hand. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gram.h"

#define RATE 136
#define WORDS (RATE / 8)

static const uint64_t keccak_rounds[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000A, 0x000000008000808B, 0x800000000000008B, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

static uint64_t little_endian(const char *at) {
    uint64_t word = 0;
    for (int byte = 7; byte >= 0; byte--) word = word << 8 | (unsigned char)at[byte];
    return word;
}

#define WORD uint64_t
#define XOR(a, b) ((a) ^ (b))
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#define ROTATE(a, n) ((a) << (n) | (a) >> (64 - (n)))
#define CHI(a, b, c) ((a) ^ (~(b) & (c)))
#define BROADCAST(constant) (constant)
#define NAME permute1
#define TARGET
#include "keccak_lanes.h"

static void absorb1(uint64_t *state, const char *data, size_t blocks) {
    for (; blocks > 0; blocks--, data += RATE) {
        for (size_t word = 0; word < WORDS; word++) state[word] ^= little_endian(data + 8 * word);
        permute1(state);
    }
}

#ifdef COHORT_X86
#include <immintrin.h>

#define WORD __m256i
#define XOR(a, b) _mm256_xor_si256(a, b)
#define XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define ROTATE(a, n) _mm256_or_si256(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - (n)))
#define CHI(a, b, c) _mm256_xor_si256(a, _mm256_andnot_si256(b, c))
#define BROADCAST(constant) _mm256_set1_epi64x((long long)(constant))
#define NAME permute4
#define TARGET __attribute__((target("avx2")))
#include "keccak_lanes.h"

__attribute__((target("avx2"))) static void absorb4(uint64_t *states, const char *const *data, size_t offset,
                                                     size_t blocks) {
    __m256i a[25];
    for (size_t word = 0; word < 25; word++)
        a[word] = _mm256_set_epi64x((long long)states[75 + word], (long long)states[50 + word],
                                    (long long)states[25 + word], (long long)states[word]);
    for (; blocks > 0; blocks--, offset += RATE) {
        for (size_t word = 0; word < WORDS; word++) {
            long long in[4];
            for (size_t row = 0; row < 4; row++) memcpy(in + row, data[row] + offset + 8 * word, 8);
            a[word] = _mm256_xor_si256(a[word], _mm256_set_epi64x(in[3], in[2], in[1], in[0]));
        }
        permute4(a);
    }
    for (size_t word = 0; word < 25; word++) {
        uint64_t out[4];
        _mm256_storeu_si256((__m256i *)out, a[word]);
        for (size_t row = 0; row < 4; row++) states[25 * row + word] = out[row];
    }
}

#define WORD __m512i
#define XOR(a, b) _mm512_xor_si512(a, b)
#define XOR3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define ROTATE(a, n) _mm512_rol_epi64(a, n)
#define CHI(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0xD2)
#define BROADCAST(constant) _mm512_set1_epi64((long long)(constant))
#define NAME permute8
#define TARGET __attribute__((target("avx512f")))
#include "keccak_lanes.h"

__attribute__((target("avx512f"))) static void absorb8(uint64_t *states, const char *const *data, size_t offset,
                                                        size_t blocks) {
    const __m512i apart = _mm512_setr_epi64(0, 25, 50, 75, 100, 125, 150, 175);
    const __m512i rows = _mm512_loadu_si512(data);
    __m512i a[25];
    for (size_t word = 0; word < 25; word++) a[word] = _mm512_i64gather_epi64(apart, states + word, 8);
    for (; blocks > 0; blocks--, offset += RATE) {
        for (size_t word = 0; word < WORDS; word++) {
            __m512i at = _mm512_add_epi64(rows, _mm512_set1_epi64((long long)(offset + 8 * word)));
            a[word] = _mm512_xor_si512(a[word], _mm512_i64gather_epi64(at, NULL, 1));
        }
        permute8(a);
    }
    for (size_t word = 0; word < 25; word++) _mm512_i64scatter_epi64(states + word, apart, a[word], 8);
}
#endif

/* Rows that one call of the fastest way takes together, at a level of instructions that runs here. */
static size_t lanes_of(int level) { return level == 2 ? 8 : level == 1 ? 4 : 1; }

/* Each of n states (25 words each, of this machine's byte order) absorbs `blocks` blocks of 136 bytes from its data.
   level: as in gram.c; 0, or one that cohort_gram_levels names. */
EXPORT void cohort_keccak_absorb(int level, uint64_t *states, const char *const *data, size_t n, size_t blocks) {
    size_t row = 0, lanes = lanes_of(level);
    (void)lanes;
#ifdef COHORT_X86
    for (; lanes == 8 && row + 8 <= n; row += 8) absorb8(states + 25 * row, data + row, 0, blocks);
    for (; lanes >= 4 && row + 4 <= n; row += 4) absorb4(states + 25 * row, data + row, 0, blocks);
#endif
    for (; row < n; row++) absorb1(states + 25 * row, data[row], blocks);
}
