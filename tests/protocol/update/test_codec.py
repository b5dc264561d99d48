"""The codec against the safetensors library, plain Python, and files that are almost right."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from cohort_protocol.errors import CohortError
from cohort_protocol.update import codec
from cohort_protocol.update.codec import CodecError, ModelMalformed, StepOverflow, UpdateMalformed
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

int16 = st.integers(-32768, 32767)
int64 = st.integers(-(2**63), 2**63 - 1)


updates = st.lists(int16, min_size=1, max_size=40).map(lambda values: np.array(values, np.int16))


@settings(deadline=None)
@given(updates)
def test_update_round_trip_is_what_safetensors_writes_and_reads(update):
    data = codec.encode_update(update)
    assert data == save({"update": update})
    assert np.array_equal(load(data)["update"], update)
    decoded = codec.decode_update(data, update.size)
    assert decoded.dtype == np.int16
    assert decoded.flags.writeable
    assert np.array_equal(decoded, update)
    assert len(data) == codec.update_size(update.size)


@settings(deadline=None)
@given(st.lists(int64, min_size=1, max_size=40))
def test_model_round_trip_is_what_safetensors_writes_and_reads(values):
    model = np.array(values, np.int64)
    data = codec.encode_model(model)
    assert data == save({"model": model})
    assert np.array_equal(codec.decode_model(data, model.size), model)
    assert len(data) == codec.model_size(model.size)


@pytest.mark.parametrize("dimension", [1, 9, 10, 99, 100, 38282, 999_999, 1_000_000])
def test_header_is_the_library_header_at_every_width_of_the_numbers(dimension):
    update = np.zeros(dimension, np.int16)
    model = np.zeros(dimension, np.int64)
    assert codec.encode_update(update) == save({"update": update})
    assert codec.encode_model(model) == save({"model": model})


def test_non_contiguous_and_big_endian_inputs_have_the_same_canonical_bytes():
    update = np.arange(-5, 5, dtype=np.int16)
    strided = np.repeat(update, 2)[::2]
    assert codec.encode_update(strided) == codec.encode_update(update)
    assert codec.update_commitment(strided) == codec.update_commitment(update)


def almost_right_files() -> dict[str, bytes]:
    update = np.arange(4, dtype=np.int16)
    good = codec.encode_update(update)
    length = int.from_bytes(good[:8], "little")
    header, body = good[8 : 8 + length], good[8 + length :]
    reordered = b'{"update":{"shape":[4],"dtype":"I16","data_offsets":[0,8]}}'.ljust(length)
    return {
        "empty": b"",
        "cut": good[:-1],
        "tail": good + b"\0",
        "other shape": save({"update": update.reshape(2, 2)}),
        "other dtype": save({"update": update.view(np.uint16)}),
        "float": save({"update": np.zeros(4, np.float16)}),
        "other name": save({"Update": update}),
        "two tensors": save({"update": update[:2], "x": update[2:]}),
        "metadata": save({"update": update}, metadata={"a": "b"}),
        "keys in another order": length.to_bytes(8, "little") + reordered + body,
        "other padding": good[:8] + header.rstrip().ljust(length, b"\t") + body,
        "huge header length": (2**63).to_bytes(8, "little") + good[8:],
        "model": codec.encode_model(update.astype(np.int64)),
        "garbage": bytes(range(256))[: len(good)],
        "pickle": b"\x80\x04N.".ljust(len(good), b"."),
    }


@pytest.mark.parametrize("name", almost_right_files())
def test_update_files_that_are_almost_right_are_refused(name):
    with pytest.raises(UpdateMalformed) as refused:
        codec.decode_update(almost_right_files()[name], 4)
    assert refused.value.reason in {"size", "header"}
    assert isinstance(refused.value, CohortError)


def test_an_update_of_another_dimension_is_refused_by_its_size():
    data = codec.encode_update(np.zeros(5, np.int16))
    with pytest.raises(UpdateMalformed, match="must have exactly") as refused:
        codec.decode_update(data, 4)
    assert refused.value.reason == "size"


def test_a_model_file_is_refused_with_its_own_error():
    with pytest.raises(ModelMalformed):
        codec.decode_model(codec.encode_update(np.zeros(4, np.int16)), 1)


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(1, 60))
def test_arbitrary_bytes_are_refused_or_canonical(data, dimension):
    try:
        update = codec.decode_update(data, dimension)
    except UpdateMalformed:
        return
    assert codec.encode_update(update) == data


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(-30, 0))
def test_quantise_is_the_exact_rounding_half_to_even(value, exponent):
    exact = Fraction(value) / Fraction(2) ** exponent
    expected = max(-32768, min(32767, round(exact)))  # Fraction rounds half to even
    assert codec.quantise(np.array([value], np.float32), exponent).tolist() == [expected]


def test_quantise_ties_saturation_and_dequantise():
    delta = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 40000, -40000], np.float64)
    assert codec.quantise(delta, 0).tolist() == [0, 2, 2, 0, -2, 32767, -32768]
    update = np.array([-32768, -1, 0, 1, 32767], np.int16)
    assert np.array_equal(codec.quantise(codec.dequantise(update, -15), -15), update)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_quantise_refuses_what_is_not_finite(bad):
    with pytest.raises(UpdateMalformed, match="diverged") as refused:
        codec.quantise(np.array([0.0, bad], np.float32), -15)
    assert refused.value.reason == "not-finite"
    with pytest.raises(ModelMalformed):
        codec.model_from_floats(np.array([bad], np.float32), -15)


@pytest.mark.parametrize(
    "call",
    [
        lambda: codec.encode_update(np.zeros(3, np.int32)),
        lambda: codec.encode_update(np.zeros((3, 1), np.int16)),
        lambda: codec.encode_update(np.zeros(0, np.int16)),
        lambda: codec.encode_update([1, 2]),
        lambda: codec.encode_model(np.zeros(3, np.int32)),
        lambda: codec.quantise(np.zeros(3, np.int16), -15),
        lambda: codec.quantise(np.zeros((3, 1), np.float32), -15),
        lambda: codec.quantise(np.zeros(3, np.float32), 1),
        lambda: codec.quantise(np.zeros(3, np.float32), -41),
        lambda: codec.model_from_floats(np.array([1e30]), -15),
        lambda: codec.decode_update(b"", 0),
        lambda: codec.update_size(codec.MAX_DIMENSION + 1),
        lambda: codec.apply_step(np.zeros(3, np.int64), np.zeros(2, np.int64)),
    ],
)
def test_wrong_shapes_and_types_are_typed_errors(call):
    with pytest.raises(CodecError):
        call()


def test_commitments_are_keccak_of_the_little_endian_values():
    update = np.array([1, -2, 32767, -32768], np.int16)
    assert codec.update_commitment(update) == keccak(struct.pack("<4h", *update.tolist()))
    model = np.array([1, -(2**63), 2**63 - 1], np.int64)
    assert codec.model_commitment(model) == keccak(struct.pack("<3q", *model.tolist()))


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20), st.integers(-18, -10))
def test_float_weights_survive_the_model_to_its_resolution(values, exponent):
    weights = np.array(values, np.float32)
    model = codec.model_from_floats(weights, exponent)
    assert model.tolist() == [round(Fraction(v) / Fraction(2) ** (exponent - 16)) for v in weights.tolist()]
    back = codec.floats_from_model(model, exponent)
    assert back.dtype == np.float32
    assert np.all(np.abs(back.astype(np.float64) - weights) <= 2.0 ** (exponent - 16) + np.abs(weights) * 2.0**-24)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(int64, int64), min_size=1, max_size=8))
def test_apply_step_and_step_between_are_exact_or_refuse(pairs):
    model = np.array([a for a, _ in pairs], np.int64)
    step = np.array([b for _, b in pairs], np.int64)
    for function, exact in (
        (codec.apply_step, [a + b for a, b in pairs]),
        (codec.step_between, [b - a for a, b in pairs]),
    ):
        if all(-(2**63) <= value < 2**63 for value in exact):
            assert function(model, step).tolist() == exact
        else:
            with pytest.raises(StepOverflow):
                function(model, step)


def test_a_step_moves_a_model_from_one_to_the_next():
    before = np.array([5, -7, 2**40], np.int64)
    step = np.array([-9, 3, -(2**31)], np.int64)
    after = codec.apply_step(before, step)
    assert np.array_equal(codec.step_between(before, after), step)


def _file(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (_file('{"update":{"dtype":"I32","shape":[4],"data_offsets":[0,16]}}'), "range"),
        (_file('{"update":{"dtype":"F64","shape":[4],"data_offsets":[0,32]}}'), "range"),
        (_file('{"update":{"dtype":"I16","shape":[5],"data_offsets":[0,10]}}'), "length"),
        (_file('{"update":{"dtype":"I16","shape":[2,3],"data_offsets":[0,12]}}'), "length"),
        (_file('{"update":{"dtype":"I16","shape":[4],"data_offsets":[0,8]}}'), ""),
        (_file('{"update":{"dtype":"I16","shape":["5"]}}'), ""),
        (_file('{"update":{"dtype":["I32"],"shape":[5]}}'), ""),
        (_file('{"update":7}'), ""),
        (_file("[" * 4000), ""),
        (b"\xff" * 40, ""),
        (b"", ""),
    ],
)
def test_what_another_file_holds_is_told_from_its_start(start: bytes, reason: str) -> None:
    found, words = codec.described_update(start, 4)
    assert found == reason
    assert bool(words) == bool(reason)


@given(st.binary(max_size=300))
def test_the_start_of_any_file_can_be_looked_at(start: bytes) -> None:
    assert codec.described_update(start, 4)[0] in ("", "range", "length")
