"""Arithmetic on vectors, combinations, correlations and divisions, against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.proof import correlation
from cohort_protocol.proof.combination import combine_rows, integers
from cohort_protocol.proof.correlation import autocorrelation
from cohort_protocol.proof.division import PIECE, RUN, Horner
from cohort_protocol.proof.errors import VectorOutOfRange, WitnessInvalid
from cohort_protocol.proof.field import LIMBS, evaluate, int_limbs, multiplier, pack, scale, unpack
from cohort_protocol.scoring.kernel import StreamRow
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.protocol.proof.plain import R, at, numbers, scalars

NUMBERS = st.lists(st.one_of(st.integers(0, R - 1), st.sampled_from([0, 1, R - 1, R - 2, 2**240])), min_size=1)


@settings(deadline=None)
@given(NUMBERS, st.one_of(st.integers(0, R - 1), st.sampled_from([0, 1, R - 1, 2**256 % R])))
def test_multiplying_and_adding(values: list[int], factor: int) -> None:
    vector = unpack(scalars(values))
    assert numbers(pack(vector)) == values
    once = scale(multiplier(factor), vector, plus=vector)
    assert numbers(pack(once)) == [(factor + 1) * value % R for value in values]
    # What comes out goes in again, negative or not.
    again = scale(multiplier(factor), once, plus=-vector)
    assert numbers(pack(again)) == [(factor * (factor + 1) - 1) * value % R for value in values]
    assert abs(once).max() < 2**24 + 64


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**20), min_size=1))
def test_multiples_of_the_order_are_zero(multiples: list[int]) -> None:
    vector = int_limbs(R)[:, None] * np.array(multiples)
    assert not pack(vector).any()
    vector[0] -= 1
    assert numbers(pack(vector)) == [R - 1] * len(multiples)
    assert numbers(pack(-vector)) == [1] * len(multiples)


@settings(deadline=None)
@given(NUMBERS, st.integers(0, R - 1))
def test_evaluation(values: list[int], point: int) -> None:
    assert evaluate(scalars(values), point) == at(values, point)
    assert evaluate(np.empty((0, 32), np.uint8), point) == 0


ROWS = st.integers(1, 40).flatmap(
    lambda d: st.tuples(
        st.lists(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=d, max_size=d), min_size=1, max_size=4),
        st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=d, max_size=d), max_size=3),
    )
)


@settings(deadline=None)
@given(ROWS, st.data())
@example(([[-(2**15)] * 33] * 4, [[-(2**31)] * 33] * 3), None)
def test_combinations_and_correlations(rows: tuple[list, list], data: st.DataObject | None) -> None:
    count = len(rows[0]) + len(rows[1])
    coefficients = (
        [2**128 - 1] * count
        if data is None
        else data.draw(st.lists(st.integers(0, 2**128 - 1), min_size=count, max_size=count))
    )
    vectors = [np.array(row, np.int16) for row in rows[0]] + [np.array(row, np.int64) for row in rows[1]]
    combined = combine_rows(vectors, coefficients)
    wide = list(zip(coefficients, [[int(value) for value in row] for row in vectors], strict=True))
    expected = [sum(c * row[i] for c, row in wide) for i in range(vectors[0].size)]
    assert integers(combined) == expected
    found = numbers(autocorrelation(combined))
    assert found == [
        sum(a * b for a, b in zip(expected, expected[k:], strict=False)) % R for k in range(1, len(expected))
    ]


@pytest.mark.parametrize("bits", [12, 8, 6])
@pytest.mark.parametrize("threads", [1, 3])
def test_correlations_with_every_digit_size(monkeypatch: pytest.MonkeyPatch, bits: int, threads: int) -> None:
    monkeypatch.setattr(correlation, "DIGIT_BITS", (bits,))
    rng = np.random.default_rng(bits)
    vector = combine_rows([rng.integers(-(2**15), 2**15, 700).astype(np.int16)] * 2, [2**128 - 1, 2**127])
    exact = integers(vector)
    found = numbers(autocorrelation(vector, threads))
    for k in (1, 2, 350, 699):
        assert found[k - 1] == sum(a * b for a, b in zip(exact, exact[k:], strict=False)) % R


def test_a_result_that_is_not_clear_is_computed_with_shorter_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = combine_rows([np.arange(-100, 100).astype(np.int16)], [3**80])
    expected = autocorrelation(vector)
    tried = []
    plain = correlation._correlate

    def unclear(limbs: np.ndarray, bits: int, threads: int) -> np.ndarray | None:
        tried.append(bits)
        return plain(limbs, bits, threads) if bits == 6 else None

    monkeypatch.setattr(correlation, "_correlate", unclear)
    assert (autocorrelation(vector) == expected).all()
    assert tried == [12, 8, 6]
    monkeypatch.setattr(correlation, "_correlate", lambda limbs, bits, threads: None)
    with pytest.raises(WitnessInvalid):
        autocorrelation(vector)


def test_an_unclear_rounding_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spectra that are off by a little more than rounding gives."""
    vector = combine_rows([np.arange(-100, 100).astype(np.int16)], [3**80])
    exact = np.fft.irfft
    monkeypatch.setattr(correlation.np.fft, "irfft", lambda *arguments: exact(*arguments) + 0.3)
    with pytest.raises(WitnessInvalid):
        autocorrelation(vector)


@pytest.mark.parametrize("size", [1, RUN - 1, RUN, 3 * RUN + 5, 1000])
def test_division_in_one_piece(size: int) -> None:
    rng = np.random.default_rng(size)
    values = [int.from_bytes(rng.bytes(40), "big") % R for _ in range(size)]
    z = int.from_bytes(rng.bytes(40), "big") % R
    assert numbers(pack(Horner(z).next(unpack(scalars(values))))) == horner(values, z)


@pytest.mark.parametrize("piece", [RUN, 4 * RUN])
def test_division_in_pieces(piece: int) -> None:
    rng = np.random.default_rng(piece)
    values = [int.from_bytes(rng.bytes(40), "big") % R for _ in range(10 * piece + 7)]
    z, found = R - 12345, []
    rule = Horner(z)
    for start in reversed(range(0, len(values), piece)):
        found = numbers(pack(rule.next(unpack(scalars(values[start : start + piece]))))) + found
    assert found == horner(values, z)
    assert rule.state == found[0]
    assert PIECE % RUN == 0


def horner(values: list[int], z: int) -> list[int]:
    result, last = [], 0
    for value in reversed(values):
        last = (value + z * last) % R
        result.append(last)
    return result[::-1]


def test_rows_of_other_types_or_lengths_are_refused() -> None:
    for rows in ([np.zeros(3)], [np.zeros(3, np.int8)], [np.zeros(3, np.int16), np.zeros(4, np.int16)]):
        with pytest.raises(VectorOutOfRange):
            combine_rows(rows, [1] * len(rows))


def test_rows_may_be_streams() -> None:
    row = np.arange(-40_000, 40_000).astype("<i8")
    stream = StreamRow(lambda: iter([row.tobytes()[:99], row.tobytes()[99:]]), row.size, np.int64)
    assert (combine_rows([stream], [7**40]) == combine_rows([row], [7**40])).all()
    assert combine_rows([row], [1])[:LIMBS].shape == (9, row.size)
