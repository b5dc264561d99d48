/* Keccak-f[1600] on LANES states at once (FIPS 202, section 3), for whatever WORD is: included once per word type.

   Needs WORD, XOR(a, b), XOR3(a, b, c), ROTATE(a, n), CHI(a, b, c) = a ^ (~b & c), BROADCAST(constant), NAME, TARGET. */

#define THETA(x) d[x] = XOR(c[((x) + 4) % 5], ROTATE(c[((x) + 1) % 5], 1))
/* Rho and pi: lane (x, y) moves to (y, 2x + 3y), rotated. */
#define MOVE(to, from, n) b[to] = ROTATE(XOR(a[from], d[(from) % 5]), n)
#define ROW(y)                                                                                                         \
    a[(y)] = CHI(b[(y)], b[(y) + 1], b[(y) + 2]), a[(y) + 1] = CHI(b[(y) + 1], b[(y) + 2], b[(y) + 3]),                \
    a[(y) + 2] = CHI(b[(y) + 2], b[(y) + 3], b[(y) + 4]), a[(y) + 3] = CHI(b[(y) + 3], b[(y) + 4], b[(y)]),            \
    a[(y) + 4] = CHI(b[(y) + 4], b[(y)], b[(y) + 1])

TARGET static void NAME(WORD *a) {
    WORD b[25], c[5], d[5];
    for (int round = 0; round < 24; round++) {
        for (int x = 0; x < 5; x++) c[x] = XOR3(XOR3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
        THETA(0), THETA(1), THETA(2), THETA(3), THETA(4);
        b[0] = XOR(a[0], d[0]);
        MOVE(10, 1, 1), MOVE(20, 2, 62), MOVE(5, 3, 28), MOVE(15, 4, 27);
        MOVE(16, 5, 36), MOVE(1, 6, 44), MOVE(11, 7, 6), MOVE(21, 8, 55), MOVE(6, 9, 20);
        MOVE(7, 10, 3), MOVE(17, 11, 10), MOVE(2, 12, 43), MOVE(12, 13, 25), MOVE(22, 14, 39);
        MOVE(23, 15, 41), MOVE(8, 16, 45), MOVE(18, 17, 15), MOVE(3, 18, 21), MOVE(13, 19, 8);
        MOVE(14, 20, 18), MOVE(24, 21, 2), MOVE(9, 22, 61), MOVE(19, 23, 56), MOVE(4, 24, 14);
        ROW(0), ROW(5), ROW(10), ROW(15), ROW(20);
        a[0] = XOR(a[0], BROADCAST(keccak_rounds[round]));
    }
}

#undef THETA
#undef MOVE
#undef ROW
#undef WORD
#undef XOR
#undef XOR3
#undef ROTATE
#undef CHI
#undef BROADCAST
#undef NAME
#undef TARGET
