"""Files as streams: the checks of the codec, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.proof.scheme import KECCAK
from cohort_protocol.update import (
    ModelMalformed,
    StepOverflow,
    UpdateMalformed,
    apply_step,
    encode_model,
    encode_update,
    model_commitment,
)
from cohort_protocol.update.stream import model_stream, moved_model_file, update_stream
from hypothesis import given, settings
from hypothesis import strategies as st

UPDATE = np.array([1, -2, 32767, -32768, 0], np.int16)
MODEL = np.array([2**40, -1, 0, 2**62], np.int64)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


@settings(deadline=None)
@given(st.lists(st.integers(0, 90), max_size=6))
def test_any_chunks_give_the_canonical_bytes(sizes):
    assert b"".join(update_stream(cut(encode_update(UPDATE), sizes), 5)) == UPDATE.tobytes()
    assert b"".join(model_stream(cut(encode_model(MODEL), sizes), 4)) == MODEL.tobytes()


@settings(deadline=None)
@given(st.lists(st.integers(0, 90), max_size=6), st.integers(0, 200))
def test_another_length_is_refused_after_no_more_than_the_row(sizes, length):
    file = (encode_update(UPDATE) + bytes(100))[:length]
    out = bytearray()
    if length == len(encode_update(UPDATE)):
        return
    with pytest.raises(UpdateMalformed, match="bytes, it must have exactly") as raised:
        out.extend(byte for chunk in update_stream(cut(file, sizes), 5) for byte in chunk)
    assert raised.value.reason == "size"
    assert len(out) <= UPDATE.nbytes


@pytest.mark.parametrize("at", [0, 9, 20, 63])
def test_another_header_is_refused(at):
    file = bytearray(encode_model(MODEL))
    file[at] ^= 1
    with pytest.raises(ModelMalformed, match="header") as raised:
        list(model_stream([bytes(file)], 4))
    assert raised.value.reason == "header"


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_moved_model_is_the_file_of_the_next_one(sizes):
    step = np.array([5, -6, 7, -8], np.int64)
    parts, at = [], 0
    for size in [*sizes, 4]:
        if at < 4:
            parts.append(MODEL[at : at + size])
        at += size
    written: list[bytes] = []
    sink = KECCAK.sink()
    moved_model_file(parts, step, written.append, sink)
    assert b"".join(written) == encode_model(apply_step(MODEL, step))
    assert sink.commitment() == model_commitment(apply_step(MODEL, step))


def test_a_move_that_overflows_or_does_not_fit():
    with pytest.raises(StepOverflow):
        moved_model_file([MODEL], np.full(4, 2**62, np.int64), bytes, KECCAK.sink())
    with pytest.raises(ModelMalformed, match="3 parameters"):
        moved_model_file([MODEL[:3]], np.zeros(4, np.int64), bytes, KECCAK.sink())
