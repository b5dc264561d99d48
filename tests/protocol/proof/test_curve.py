"""Points: encodings that have one form, and the operations against a second implementation."""

from __future__ import annotations

import pytest
from cohort_protocol.proof.curve import (
    FIELD,
    G2_GENERATOR,
    GENERATOR,
    INFINITY,
    ORDER,
    Point,
    add,
    check_twist,
    combine,
    compress,
    decompress,
    multiply,
    multiply_twist,
    negate,
    pairing_is_one,
)
from cohort_protocol.proof.errors import PointMalformed
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.protocol.proof import plain

SCALARS = st.integers(0, ORDER - 1)
ODD = 1 << 255


def plain_point(scalar: int) -> Point:
    return Point(*plain.times(scalar))


def test_the_constants_are_those_of_eip_196() -> None:
    assert (FIELD, ORDER) == (plain.P, plain.R)
    assert FIELD % 4 == 3  # square roots are one power
    assert pow(3, (FIELD - 1) // 2, FIELD) == FIELD - 1  # no point has x = 0: zero is free for infinity


@settings(deadline=None, max_examples=25)
@given(SCALARS, SCALARS)
@example(0, 0)
@example(1, ORDER - 1)
@example(5, 5)
def test_sums_and_multiples(a: int, b: int) -> None:
    first, second = multiply(GENERATOR, a), multiply(GENERATOR, b)
    assert (first, second) == (plain_point(a), plain_point(b))
    assert add(first, second) == plain_point(a + b)
    assert add(first, negate(first)) == INFINITY == add()
    assert combine([(b, first), (3, second)]) == plain_point(a * b + 3 * b)


@given(SCALARS)
@example(0)
def test_encodings_come_back(scalar: int) -> None:
    point = multiply(GENERATOR, scalar)
    assert decompress(compress(point)) == point == Point.from_words(point.words())
    assert Point.from_memory(point.memory()) == point


@given(st.integers(0, 2**256 - 1))
@example(0)
@example(ODD)
@example(FIELD)
@example(FIELD + 1)
@example(1 | ODD)
@example(1 << 254 | 1)
def test_32_bytes_are_one_point_or_none(word: int) -> None:
    data = word.to_bytes(32, "big")
    try:
        point = decompress(data)
    except PointMalformed:
        return
    assert compress(point) == data


def test_encodings_of_no_point_are_refused() -> None:
    one = int.from_bytes(compress(GENERATOR), "big")
    assert one == 1
    nothing = next(x for x in range(2, 99) if pow(x**3 + 3, (FIELD - 1) // 2, FIELD) != 1)
    for word in (ODD, FIELD, FIELD + 1, 1 << 254, nothing, nothing | ODD, 2**256 - 1):
        with pytest.raises(PointMalformed):
            decompress(word.to_bytes(32, "big"))
    for data in (b"", bytes(31), bytes(33)):
        with pytest.raises(PointMalformed, match="32 bytes"):
            decompress(data)


@pytest.mark.parametrize(
    ("x", "y"), [(1, 3), (0, 1), (1, 0), (FIELD, 0), (FIELD + 1, 2), (1, FIELD + 2), (-1, 2), (0, FIELD)]
)
def test_points_that_are_none(x: int, y: int) -> None:
    with pytest.raises(PointMalformed):
        Point(x, y)


def test_words_have_one_length() -> None:
    with pytest.raises(PointMalformed, match="64 bytes"):
        Point.from_words(bytes(63))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, ORDER - 1), SCALARS)
def test_the_pairing_is_bilinear(a: int, b: int) -> None:
    twist = multiply_twist(G2_GENERATOR, a)
    check_twist(twist)
    point = multiply(GENERATOR, b)
    assert pairing_is_one([(multiply(GENERATOR, a * b), G2_GENERATOR), (negate(point), twist)])
    assert not pairing_is_one([(multiply(GENERATOR, a * b + 1), G2_GENERATOR), (negate(point), twist)])


def test_a_pairing_with_infinity_alone_is_one() -> None:
    assert pairing_is_one([])
    assert pairing_is_one([(INFINITY, G2_GENERATOR)])


def test_points_of_g2_that_are_none() -> None:
    x_im, x_re, y_im, y_re = G2_GENERATOR
    check_twist(G2_GENERATOR)
    swapped = (x_re, x_im, y_re, y_im)
    for twist in (swapped, (0, 0, 0, 0), (x_im, x_re, y_im, y_re + 1), (x_im + FIELD, x_re, y_im, y_re)):
        with pytest.raises(PointMalformed):
            check_twist(twist)


def test_a_point_of_the_twist_of_another_order_is_refused() -> None:
    """y^2 = x^3 + 3 / (9 + i) has points outside of the group."""
    other = _point_of_the_twist()
    with pytest.raises(PointMalformed, match="order r"):
        check_twist(other)


def _point_of_the_twist() -> tuple[int, int, int, int]:
    def times2(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        return (a[0] * b[0] - a[1] * b[1]) % FIELD, (a[0] * b[1] + a[1] * b[0]) % FIELD

    norm = pow(82, -1, FIELD)
    constant = (27 * norm % FIELD, -3 * norm % FIELD)  # 3 (9 - i) / 82
    for real in range(1, 99):
        x = (real, 0)
        cube = times2(times2(x, x), x)
        a, b = (cube[0] + constant[0]) % FIELD, (cube[1] + constant[1]) % FIELD
        # sqrt(a + b i): real part from the norm, as in school
        root = pow(a * a + b * b, (FIELD + 1) // 4, FIELD)
        for sign in (root, -root):
            half = (a + sign) * pow(2, -1, FIELD) % FIELD
            y_re = pow(half, (FIELD + 1) // 4, FIELD)
            if y_re and y_re * y_re % FIELD == half:
                y_im = b * pow(2 * y_re, -1, FIELD) % FIELD
                if times2((y_re, y_im), (y_re, y_im)) == (a, b):
                    return (0, real, y_im, y_re)
    raise AssertionError("no such point found")
