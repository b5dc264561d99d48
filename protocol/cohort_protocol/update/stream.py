"""Files of updates and models as streams: the checks of the codec without the whole file in memory.

The canonical bytes come out as they arrive; whether the file has the right length is known at its end, so that a reader
must read to the end before it believes what it made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from cohort_protocol.update.codec import (
    CodecError,
    ModelMalformed,
    UpdateMalformed,
    apply_step,
    model_header,
    update_header,
    wrong_header,
    wrong_size,
)


def update_stream(chunks: Iterable[bytes], dimension: int) -> Iterator[bytes]:
    """The canonical bytes of an update from the bytes of its file, in order.

    Raises `UpdateMalformed` (size or header) and what `chunks` raises."""
    return _canonical(chunks, update_header(dimension), 2 * dimension, UpdateMalformed, "an update")


def model_stream(chunks: Iterable[bytes], dimension: int) -> Iterator[bytes]:
    """The canonical bytes of a model, as `update_stream`, with `ModelMalformed`."""
    return _canonical(chunks, model_header(dimension), 8 * dimension, ModelMalformed, "a model")


def _canonical(
    chunks: Iterable[bytes], header: bytes, length: int, malformed: type[CodecError], what: str
) -> Iterator[bytes]:
    start, size = b"", 0
    """The header as far as it has arrived; bytes of the file so far."""
    for chunk in chunks:
        size += len(chunk)
        if len(start) < len(header):
            missing = len(header) - len(start)
            start, chunk = start + chunk[:missing], chunk[missing:]
            if len(start) == len(header) and start != header:
                raise wrong_header(start, header, malformed, what)
        # More than there may be is counted, for the message, and not handed out.
        excess = max(0, size - len(header) - length)
        chunk = chunk[: max(0, len(chunk) - excess)]
        if chunk:
            yield chunk
    if size != len(header) + length:
        raise wrong_size(size, len(header) + length, malformed, what)


class TakesValues(Protocol):
    """Takes a vector part by part, such as a `proof.scheme.Sink`."""

    def take(self, values: np.ndarray) -> None:
        """The next values."""


def moved_model_file(
    blocks: Iterable[np.ndarray], step: np.ndarray, write: Callable[[bytes], object], sink: TakesValues
) -> None:
    """Writes the file of the model `blocks` moved by `step`, and hands the model itself to `sink`.

    blocks: consecutive parts of the model, int64, together as long as step (int64[d]); write: takes the file's bytes in
    order. Raises `StepOverflow`, and what reading the blocks raises."""
    at = 0
    write(model_header(step.size))
    for block in blocks:
        moved = apply_step(block, step[at : at + block.size])
        sink.take(moved)
        write(moved.astype("<i8", copy=False).tobytes())
        at += block.size
    if at != step.size:
        raise ModelMalformed("shape", f"a model of {at} parameters moved by a step of {step.size}")
