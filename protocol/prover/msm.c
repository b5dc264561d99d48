//go:build cgo && amd64

/* Multi-scalar multiplication on BN254 (y^2 = x^3 + 3, EIP-196) for processors with AVX-512 IFMA.

   Pippenger's buckets, one window of digits at a time: sum_i digit_i P_i = sum_b b B_b, where B_b is the sum of the
   points with digit b. Points are sorted by digit; then all neighbours with the same digit are added, then all
   neighbours that are left, and so on: thousands of additions that do not depend on each other. So they can be affine,
   with one inversion for all of a round (Montgomery's trick: six multiplications an addition), and eight at a time.
   What affine additions cannot do, adding a point to itself or to its negative, makes a product of differences zero: it
   is noticed, and the caller starts again in another way.

   The bucket sums are added up with complete projective formulas (Renes, Costello, Batina 2016, algorithm 7), which
   have no exceptions: the group's order is prime. */
#include "msm.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include "msm_field.h"
#include "msm_inverse.h"

/* Points whose additions share inversions: 1 MiB, a second-level cache. */
#define GROUP (1 << 14)
/* Additions of a step: two chains of products, so that one need not wait for the other. */
#define STEP 16
/* Points that are asked of memory before they are needed. */
#define AHEAD 32
#define POINT 8

typedef struct {
    field x, y, z;
} projective;

/* A bucket's points that are left. */
typedef struct {
    uint32_t start, count;
} segment;

typedef struct {
    uint32_t *order, *starts, *from, *to;
    segment *segments;
    uint64_t *buckets, *points;
    field *products;
    size_t spare; /* number of the point from which four are free: two to add, one to put the sum */
} workspace;

int cohort_msm_runs_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* --- points in memory ---------------------------------------------------------------------------------------------*/

INLINE void load(const uint64_t *const at[8], field *x, field *y) {
    __m512i rows[8];
    for (int k = 0; k < 8; k++) rows[k] = _mm512_loadu_si512(at[k]);
    transpose(rows);
    *x = from_words(rows);
    *y = from_words(rows + 4);
}

INLINE void store(field x, field y, uint64_t *const at[8]) {
    __m512i rows[8];
    to_words(x, rows);
    to_words(y, rows + 4);
    transpose(rows);
    for (int k = 0; k < 8; k++) _mm512_storeu_si512(at[k], rows[k]);
}

WIDE void cohort_msm_points(const uint64_t *from, uint64_t *to, size_t count) {
    const field factor = constant(FROM_256);
    for (size_t i = 0; i < count; i += 8) {
        const uint64_t *source[8];
        uint64_t *target[8];
        field x, y;
        /* The last ones may be done twice, which from == to does not allow: they are put aside. */
        uint64_t rest[8 * POINT] = {0};
        size_t n = count - i < 8 ? count - i : 8;
        if (n < 8) memcpy(rest, from + i * POINT, n * POINT * sizeof *rest);
        for (size_t k = 0; k < 8; k++) {
            source[k] = n < 8 ? rest + k * POINT : from + (i + k) * POINT;
            target[k] = n < 8 ? rest + k * POINT : to + (i + k) * POINT;
        }
        load(source, &x, &y);
        store(product(x, factor), product(y, factor), target);
        if (n < 8) memcpy(to + i * POINT, rest, n * POINT * sizeof *rest);
    }
}

/* Copies a point, or its negative: y becomes 3 p - y, for y below 2.4 p. Borrows go from word to word in a mask, as
   carries do in an adder that looks ahead. */
INLINE void put(const uint64_t *point, uint32_t negative, uint64_t *to) {
    static const uint64_t above[8] = {0, 0, 0, 0, 0xb461a4448976f7d5, 0xc6843fb439555fa7, 0x28f0d12384840918,
                                      0x912ceb58a394e07d};
    const __m512i three = _mm512_loadu_si512(above);
    __m512i words = _mm512_loadu_si512(point), less = _mm512_sub_epi64(three, words);
    unsigned borrows = _mm512_cmplt_epu64_mask(three, words) & 0xf0u;
    unsigned passes = _mm512_testn_epi64_mask(less, less) & 0xf0u;
    unsigned taken = ((borrows << 1) + passes) ^ passes;
    less = _mm512_mask_sub_epi64(less, (__mmask8)taken, less, _mm512_set1_epi64(1));
    _mm512_storeu_si512(to, _mm512_mask_mov_epi64(words, (__mmask8)(negative ? 0xf0 : 0), less));
}

/* --- a round of affine additions ----------------------------------------------------------------------------------*/

/* x of eight points and of their successors in memory. */
INLINE void load_pairs(const workspace *s, const uint32_t *from, field *x, field *next) {
    __m512i rows[8];
    for (int k = 0; k < 8; k++) {
        const uint64_t *point = s->points + (size_t)from[k] * POINT;
        rows[k] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)point)),
                                     _mm256_loadu_si256((const __m256i *)(point + POINT)), 1);
    }
    transpose(rows);
    *x = from_words(rows);
    *next = from_words(rows + 4);
}

/* Adds eight points to their successors, with 1 / (x2 - x1) = inverse * others; inverse loses the factors of these. */
INLINE void add_pairs(const workspace *s, size_t first, field *inverse, field others) {
    const uint64_t *left[8], *right[8];
    uint64_t *target[8];
    for (int k = 0; k < 8; k++) {
        left[k] = s->points + (size_t)s->from[first + k] * POINT;
        right[k] = left[k] + POINT;
        target[k] = s->points + (size_t)s->to[first + k] * POINT;
    }
    field x1, y1, x2, y2;
    load(left, &x1, &y1);
    load(right, &x2, &y2);
    field slope = product(difference(y2, y1, 4), product(*inverse, others));
    *inverse = product(*inverse, difference(x2, x1, 4));
    field x3 = reduced(difference(difference(product(slope, slope), x1, 4), x2, 4));
    field y3 = reduced(difference(product(slope, difference(x1, x3, 4)), y1, 4));
    store(x3, y3, target);
}

/* Makes `pairs` additions, a multiple of STEP. 0 for a coincidence. */
WIDE static int add_round(workspace *s, size_t pairs) {
    field chain[2] = {constant(ONE), constant(ONE)};
    for (size_t at = pairs; at > 0;) {
        at -= STEP;
        for (int h = 0; h < 2; h++) {
            field x, next;
            load_pairs(s, s->from + at + 8 * h, &x, &next);
            s->products[at / 8 + h] = chain[h];
            chain[h] = product(chain[h], difference(next, x, 4));
        }
    }
    field both = product(chain[0], chain[1]);
    if (!inverted(&both)) return 0;
    field inverse[2] = {product(both, chain[1]), product(both, chain[0])};
    /* Upwards: a sum is never put where points wait that come later. */
    for (size_t at = 0; at < pairs; at += STEP)
        for (int h = 0; h < 2; h++) add_pairs(s, at + 8 * h, &inverse[h], s->products[at / 8 + h]);
    return 1;
}

/* Lists the pairs of neighbours in all segments, filled up to whole steps; returns how many. */
static size_t list_pairs(workspace *s, size_t segments) {
    size_t count = 0;
    for (size_t k = 0; k < segments; k++) {
        segment one = s->segments[k];
        for (uint32_t i = 0; i < one.count / 2; i++, count++) {
            s->from[count] = one.start + 2 * i;
            s->to[count] = one.start + i;
        }
    }
    for (; count % STEP; count++) {
        s->from[count] = (uint32_t)s->spare;
        s->to[count] = (uint32_t)s->spare + 2;
    }
    return count;
}

/* After a round: the point without a neighbour moves up behind the sums. Segments of one point leave the list. */
static size_t close_up(workspace *s, size_t segments) {
    size_t left = 0;
    for (size_t k = 0; k < segments; k++) {
        segment one = s->segments[k];
        uint32_t half = one.count / 2;
        if (one.count % 2)
            memcpy(s->points + (size_t)(one.start + half) * POINT,
                   s->points + (size_t)(one.start + one.count - 1) * POINT, POINT * sizeof(uint64_t));
        one.count -= half;
        if (one.count > 1) s->segments[left++] = one;
    }
    return left;
}

/* --- buckets ------------------------------------------------------------------------------------------------------*/

/* Numbers of the points by the size of their digits, with the sign in the lowest bit: those of b are from starts[b] to
   starts[b + 1]. Zeros are left out. */
static void sort(workspace *s, const int32_t *digits, size_t count, uint32_t most) {
    uint32_t *ends = s->starts + 1; /* ends[b] is starts[b + 1], once all are placed */
    memset(s->starts, 0, ((size_t)most + 2) * sizeof *s->starts);
    for (size_t i = 0; i < count; i++) ends[abs(digits[i])]++;
    ends[0] = 0;
    for (uint32_t b = 1, sum = 0; b <= most; b++) {
        uint32_t here = ends[b];
        ends[b] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) {
        int32_t digit = digits[i];
        if (digit) s->order[ends[abs(digit)]++] = (uint32_t)i << 1 | (digit < 0);
    }
}

/* Sums of the buckets first .. last - 1. 0 for a coincidence. */
WIDE static int add_buckets(workspace *s, const uint64_t *points, uint32_t first, uint32_t last) {
    uint32_t origin = s->starts[first], end = s->starts[last];
    size_t segments = 0;
    for (uint32_t at = origin; at < end; at++) {
        if (at + AHEAD < end)
            _mm_prefetch((const char *)(points + (size_t)(s->order[at + AHEAD] >> 1) * POINT), _MM_HINT_T0);
        put(points + (size_t)(s->order[at] >> 1) * POINT, s->order[at] & 1, s->points + (size_t)(at - origin) * POINT);
    }
    for (uint32_t b = first; b < last; b++) {
        segment one = {s->starts[b] - origin, s->starts[b + 1] - s->starts[b]};
        if (one.count > 1) s->segments[segments++] = one;
    }
    while (segments) {
        if (!add_round(s, list_pairs(s, segments))) return 0;
        segments = close_up(s, segments);
    }
    for (uint32_t b = first; b < last; b++)
        if (s->starts[b + 1] > s->starts[b])
            memcpy(s->buckets + (size_t)b * POINT, s->points + (size_t)(s->starts[b] - origin) * POINT,
                   POINT * sizeof(uint64_t));
    return 1;
}

/* --- the sum of the bucket sums -----------------------------------------------------------------------------------*/

/* a + b, whatever they are; coordinates at most 4 p. */
INLINE projective add(projective a, projective b) {
    const field nine = constant(NINE);
    field t0 = product(a.x, b.x), t1 = product(a.y, b.y), t2 = product(a.z, b.z);
    field t3 = difference(product(sum(a.x, a.y), sum(b.x, b.y)), sum(t0, t1), 4);
    field t4 = difference(product(sum(a.y, a.z), sum(b.y, b.z)), sum(t1, t2), 4);
    field y = product(nine, difference(product(sum(a.x, a.z), sum(b.x, b.z)), sum(t0, t2), 4));
    t0 = sum(sum(t0, t0), t0);
    t2 = product(nine, t2);
    field z = sum(t1, t2);
    t1 = difference(t1, t2, 2);
    projective r;
    r.x = difference(product(t3, t1), product(t4, y), 2);
    r.y = sum(product(t1, z), product(y, t0));
    r.z = sum(product(z, t4), product(t0, t3));
    return r;
}

/* Not inlined: twenty of them would be a page of code. */
WIDE static void add_to(projective *a, const projective *b) { *a = add(*a, *b); }

INLINE projective infinity(void) {
    static const uint64_t none[5] = {0};
    projective r = {constant(none), constant(ONE), constant(none)};
    return r;
}

INLINE projective one_lane(const projective *a, int lane) {
    __m512i index = _mm512_set1_epi64(lane);
    projective r = {lanes(a->x, index), lanes(a->y, index), lanes(a->z, index)};
    return r;
}

/* Eight buckets, infinity where nothing fell into one: no point has y = 0. */
INLINE projective load_buckets(const uint64_t *const at[8]) {
    projective r = infinity();
    field x, y;
    load(at, &x, &y);
    __m512i any = y.limb[0];
    for (int i = 1; i < 5; i++) any = _mm512_or_si512(any, y.limb[i]);
    __mmask8 some = _mm512_test_epi64_mask(any, any);
    for (int i = 0; i < 5; i++) {
        r.x.limb[i] = x.limb[i];
        r.z.limb[i] = _mm512_mask_mov_epi64(r.z.limb[i], some, r.y.limb[i]);
        r.y.limb[i] = _mm512_mask_mov_epi64(r.y.limb[i], some, y.limb[i]);
    }
    return r;
}

/* 2^bits a */
WIDE static void double_often(projective *a, unsigned bits) {
    for (; bits; bits--) *a = add(*a, *a);
}

/* sum_b b B_b for b = 1 .. 8 height. Lane l has the buckets from l height + 1 on: its own sum of (b - l height) B_b,
   and then sum_l l height (all of lane l). The result is in all lanes. */
WIDE static projective weighted_sum(const workspace *s, uint32_t height) {
    projective plain = infinity(), weighted = infinity(), above = infinity(), total = infinity();
    for (uint32_t i = height; i > 0; i--) {
        const uint64_t *at[8];
        for (uint32_t l = 0; l < 8; l++) at[l] = s->buckets + ((size_t)l * height + i) * POINT;
        plain = add(plain, load_buckets(at));
        weighted = add(weighted, plain);
    }
    for (int l = 7; l > 0; l--) {
        projective lane = one_lane(&plain, l);
        add_to(&above, &lane);
        add_to(&total, &above);
    }
    /* height * total */
    projective multiple = infinity();
    for (int bit = 31; bit >= 0; bit--) {
        double_often(&multiple, 1);
        if (height >> bit & 1) add_to(&multiple, &total);
    }
    for (int l = 0; l < 8; l++) {
        projective lane = one_lane(&weighted, l);
        add_to(&multiple, &lane);
    }
    return multiple;
}

/* --- what others call ---------------------------------------------------------------------------------------------*/

/* scalar + sum_w 2^(bits - 1) 2^(bits w) over all windows but the last: its digits are those plus 2^(bits - 1), without
   signs. */
void cohort_msm_digits(const uint64_t *scalars, size_t count, unsigned bits, unsigned window, unsigned windows,
                       int32_t *digits) {
    uint64_t offset[5] = {0}, half = (uint64_t)1 << (bits - 1);
    for (unsigned at = bits - 1, w = 0; w + 1 < windows; w++, at += bits) offset[at / 64] |= (uint64_t)1 << at % 64;
    unsigned word = bits * window / 64, shift = bits * window % 64;
    int last = window + 1 == windows;
    for (size_t i = 0; i < count; i++) {
        uint64_t s[5] = {0};
        memcpy(s, scalars + 4 * i, 4 * sizeof *s);
        add_words(s, offset);
        uint64_t digit = s[word] >> shift | (shift ? s[word + 1] << (64 - shift) : 0);
        digits[i] = last ? (int32_t)digit : (int32_t)(digit & (2 * half - 1)) - (int32_t)half;
    }
}

static int make_room(workspace *s, size_t count, uint32_t most, uint32_t height) {
    s->order = malloc(count * sizeof *s->order);
    s->starts = malloc(((size_t)most + 2) * sizeof *s->starts);
    s->buckets = calloc(((size_t)height * 8 + 1) * POINT, sizeof *s->buckets);
    return s->order && s->starts && s->buckets;
}

/* Room for the largest group, of `points` points. */
static int make_room_for_group(workspace *s, size_t points) {
    size_t pairs = points / 2 + STEP, bytes = (points + 4) * POINT * sizeof *s->points;
    s->spare = points;
    s->segments = malloc((pairs) * sizeof *s->segments);
    s->from = malloc(pairs * sizeof *s->from);
    s->to = malloc(pairs * sizeof *s->to);
    s->points = aligned_alloc(64, bytes);
    s->products = aligned_alloc(64, pairs / 8 * sizeof *s->products + sizeof *s->products);
    if (!s->segments || !s->from || !s->to || !s->points || !s->products) return 0;
    memset(s->points + points * POINT, 0, 4 * POINT * sizeof *s->points);
    s->points[(points + 1) * POINT] = 1; /* another x */
    return 1;
}

/* The bucket behind the group that begins with `first`: as many as GROUP points, one at least. */
static uint32_t group_end(const workspace *s, uint32_t first, uint32_t most) {
    uint32_t last = first + 1;
    while (last <= most && s->starts[last + 1] - s->starts[first] <= GROUP) last++;
    return last;
}

static int fill_buckets(workspace *s, const uint64_t *points, const int32_t *digits, size_t count, uint32_t most) {
    sort(s, digits, count, most);
    size_t largest = 0;
    for (uint32_t b = 1, last; b <= most; b = last) {
        last = group_end(s, b, most);
        size_t size = s->starts[last] - s->starts[b];
        if (size > largest) largest = size;
    }
    if (!make_room_for_group(s, largest)) return COHORT_MSM_NO_MEMORY;
    for (uint32_t b = 1, last; b <= most; b = last) {
        last = group_end(s, b, most);
        if (!add_buckets(s, points, b, last)) return COHORT_MSM_COINCIDENCE;
    }
    return COHORT_MSM_DONE;
}

WIDE int cohort_msm_window(const uint64_t *points, const int32_t *digits, size_t count, uint32_t most, uint64_t *sum) {
    workspace s = {0};
    uint32_t height = most / 8 + 1;
    int result = COHORT_MSM_NO_MEMORY;
    if (make_room(&s, count, most, height)) result = fill_buckets(&s, points, digits, count, most);
    if (result == COHORT_MSM_DONE) {
        projective total = weighted_sum(&s, height);
        for (int i = 0; i < 5; i++) {
            sum[i] = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(total.x.limb[i]));
            sum[i + 5] = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(total.y.limb[i]));
            sum[i + 10] = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(total.z.limb[i]));
        }
    }
    free(s.order);
    free(s.starts);
    free(s.buckets);
    free(s.segments);
    free(s.from);
    free(s.to);
    free(s.points);
    free(s.products);
    return result;
}

WIDE void cohort_msm_join(const uint64_t *sums, unsigned windows, unsigned bits, uint64_t *point) {
    projective total = infinity();
    for (unsigned w = windows; w-- > 0;) {
        const uint64_t *one = sums + (size_t)w * COHORT_MSM_SUM;
        projective next = {constant(one), constant(one + 5), constant(one + 10)};
        double_often(&total, bits);
        add_to(&total, &next);
    }
    memset(point, 0, POINT * sizeof *point);
    /* z is below 4 p and has to be below 2 p. */
    field inverse = product(total.z, constant(ONE));
    if (!inverted(&inverse)) return;
    inverse = product(inverse, constant(TO_256));
    first_word(product(total.x, inverse), point);
    first_word(product(total.y, inverse), point + 4);
}

#else

int cohort_msm_runs_here(void) { return 0; }

#endif
