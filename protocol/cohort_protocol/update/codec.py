"""The integers of a round and their one encoding.

| what | integers | unit | canonical bytes | file on IPFS |
|---|---|---|---|---|
| update u | int16[d] | 2^e | little-endian, 2 d bytes | safetensors, one tensor `update`, I16 [d] |
| model M | int64[d] | 2^(e-16) | little-endian, 8 d bytes | safetensors, one tensor `model`, I64 [d] |
| step m | int64[d] | 2^(e-16) | not published: the difference of two models | |

`e` is the project's exponent (negative, such as -15). Weights are parts of 2^16, so that
m = sum w_a u_a and M' = M + m are exact integers. A commitment is the keccak256 of the canonical bytes.

A file has exactly one valid form per tensor: what `safetensors.serialize` writes for that tensor alone, with
no metadata. Its size is therefore known before it is fetched (`update_size`, `model_size`), and decoding
compares the header with the only one allowed instead of interpreting it.
Format: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import math

import numpy as np
from eth_utils import keccak

from cohort_protocol.errors import InvalidInput

MODEL_FRACTION_BITS = 16
"""A model's unit is 2^16 times finer than an update's: weights of a round are parts of 2^16."""

MAX_DIMENSION = 1 << 28
"""Largest number of parameters of a model, so that sizes stay bounded before anything is allocated."""

MIN_EXPONENT, MAX_EXPONENT = -40, 0

_INT16 = np.dtype("<i2")
_INT64 = np.dtype("<i8")
_MAX_HEADER_SHOWN = 120
_MAX_OTHER_HEADER = 4096
_WIDE_TYPES = ("I32", "I64", "U16", "U32", "U64", "F16", "BF16", "F32", "F64")
"""Of safetensors: what holds numbers that no int16 holds."""


class CodecError(InvalidInput):
    """An update or a model cannot be encoded or decoded. `reason` is one word for logs and verdicts."""

    code = "codec"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class UpdateMalformed(CodecError):
    """Not an update: `reason` is one of size, header, dtype, shape, not-finite."""

    code = "update-malformed"


class ModelMalformed(CodecError):
    """Not a model: `reason` is one of size, header, dtype, shape, not-finite, range."""

    code = "model-malformed"


class StepOverflow(CodecError):
    """Adding a step to a model leaves int64."""

    code = "step-overflow"


def _check_dimension(dimension: int) -> int:
    if not 1 <= dimension <= MAX_DIMENSION:
        raise CodecError("shape", f"dimension {dimension} is outside 1 .. {MAX_DIMENSION}")
    return dimension


def _check_exponent(exponent: int) -> int:
    if not MIN_EXPONENT <= exponent <= MAX_EXPONENT:
        raise CodecError("range", f"exponent {exponent} is outside {MIN_EXPONENT} .. {MAX_EXPONENT}")
    return exponent


def _header(name: str, dtype: str, dimension: int, width: int) -> bytes:
    """The 8-byte length and the JSON header of a safetensors file with this one tensor, padded to 8 bytes."""
    text = f'{{"{name}":{{"dtype":"{dtype}","shape":[{dimension}],"data_offsets":[0,{dimension * width}]}}}}'
    raw = text.encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def update_header(dimension: int) -> bytes:
    """What the file of an update with `dimension` entries starts with."""
    return _header("update", "I16", _check_dimension(dimension), 2)


def model_header(dimension: int) -> bytes:
    """What the file of a model with `dimension` entries starts with."""
    return _header("model", "I64", _check_dimension(dimension), 8)


def update_size(dimension: int) -> int:
    """Exact size in bytes of the file of an update with `dimension` entries: the bound of a fetch."""
    return len(update_header(dimension)) + 2 * dimension


def model_size(dimension: int) -> int:
    """Exact size in bytes of the file of a model with `dimension` entries: the bound of a fetch."""
    return len(model_header(dimension)) + 8 * dimension


def _check_vector(array: np.ndarray, dtype: np.dtype, malformed: type[CodecError], what: str) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = getattr(array, "dtype", type(array).__name__)
        raise malformed("dtype", f"{what} is {found}, it must be a numpy array of {dtype}")
    if array.ndim != 1 or not 1 <= array.size <= MAX_DIMENSION:
        raise malformed("shape", f"{what} has shape {array.shape}, it must have one axis of 1 .. {MAX_DIMENSION}")
    return array


def _canonical(array: np.ndarray, dtype: np.dtype) -> bytes:
    return np.ascontiguousarray(array, dtype=dtype).tobytes()


def _decode(data: bytes, header: bytes, size: int, dtype: np.dtype, malformed: type[CodecError], what: str):
    if len(data) != size:
        raise wrong_size(len(data), size, malformed, what)
    if data[: len(header)] != header:
        raise wrong_header(data[: len(header)], header, malformed, what)
    return np.frombuffer(data, dtype=dtype, offset=len(header)).astype(dtype.newbyteorder("="), copy=True)


def wrong_size(found: int, size: int, malformed: type[CodecError], what: str) -> CodecError:
    """The error of a file of another length than the only one possible."""
    return malformed("size", f"the file of {what} has {found} bytes, it must have exactly {size}")


def wrong_header(start: bytes, header: bytes, malformed: type[CodecError], what: str) -> CodecError:
    """The error of a file that does not start with the one allowed header."""
    found = bytes(start[8 : 8 + _MAX_HEADER_SHOWN])
    return malformed(
        "header",
        f"the file of {what} starts with {found!r}, its safetensors header must be {header[8:]!r}: "
        "one tensor, no metadata; write it with cohort_protocol.update",
    )


def described_update(start: bytes, dimension: int) -> tuple[str, str]:
    """What a file that is no update of this dimension holds instead, from its first bytes: (reason, words).

    start: untrusted, at least the header if there is one. reason: `range` (numbers wider than int16), `length` (more
    numbers than parameters), or empty, with no words, if the header does not say."""
    length = int.from_bytes(start[:8], "little")
    if not 2 <= length <= min(len(start) - 8, _MAX_OTHER_HEADER):
        return "", ""
    try:
        tensor = json.loads(start[8 : 8 + length])["update"]
        dtype, shape = tensor["dtype"], tensor["shape"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return "", ""
    if not isinstance(dtype, str) or not isinstance(shape, list) or not all(isinstance(n, int) for n in shape):
        return "", ""
    if dtype in _WIDE_TYPES:
        return "range", f"the file holds {dtype} numbers, an update holds int16, -32768 .. 32767"
    if dtype == "I16" and shape != [dimension] and math.prod(shape) > dimension:
        return "length", f"the file holds {math.prod(shape)} numbers, an update of this project has {dimension}"
    return "", ""


def quantise(delta: np.ndarray, exponent: int) -> np.ndarray:
    """The update of a change of weights: round(delta / 2^exponent), half to even, saturating at int16.

    delta: float[d], real units. Returns int16[d]. Raises `UpdateMalformed` if an entry is NaN or infinite."""
    scale = 2.0 ** -_check_exponent(exponent)
    values = np.asarray(delta)
    if values.dtype.kind != "f" or values.ndim != 1 or not 1 <= values.size <= MAX_DIMENSION:
        raise UpdateMalformed("shape", f"a change of weights is float[d], got {values.dtype}{list(values.shape)}")
    finite = np.isfinite(values)
    if not finite.all():
        worst = int(np.argmin(finite))
        raise UpdateMalformed(
            "not-finite",
            f"{int((~finite).sum())} of {values.size} changes are not finite (first at {worst}: "
            f"{values[worst]}): the training diverged; lower the learning rate or check the data",
        )
    # float64 holds every float32 times a power of two, so that rint is the only rounding.
    rounded = np.rint(values.astype(np.float64) * scale)
    return np.clip(rounded, -32768, 32767).astype(np.int16)


def dequantise(update: np.ndarray, exponent: int) -> np.ndarray:
    """The change of weights that an update stands for. update: int16[d]. Returns float32[d] (exact)."""
    _check_vector(update, np.dtype(np.int16), UpdateMalformed, "an update")
    return (update.astype(np.float64) * 2.0 ** _check_exponent(exponent)).astype(np.float32)


def encode_update(update: np.ndarray) -> bytes:
    """The file of an update. update: int16[d]. Raises `UpdateMalformed` for another dtype or shape."""
    _check_vector(update, np.dtype(np.int16), UpdateMalformed, "an update")
    return update_header(update.size) + _canonical(update, _INT16)


def decode_update(data: bytes, dimension: int) -> np.ndarray:
    """The int16[dimension] in the file of an update. Raises `UpdateMalformed` unless the file is exactly what
    `encode_update` writes: any 16-bit content is an update, but there is one encoding of it."""
    header = update_header(dimension)
    return _decode(data, header, len(header) + 2 * dimension, _INT16, UpdateMalformed, "an update")


def encode_model(model: np.ndarray) -> bytes:
    """The file of a model. model: int64[d]. Raises `ModelMalformed` for another dtype or shape."""
    _check_vector(model, np.dtype(np.int64), ModelMalformed, "a model")
    return model_header(model.size) + _canonical(model, _INT64)


def decode_model(data: bytes, dimension: int) -> np.ndarray:
    """The int64[dimension] in the file of a model. Raises `ModelMalformed` as `decode_update` does."""
    header = model_header(dimension)
    return _decode(data, header, len(header) + 8 * dimension, _INT64, ModelMalformed, "a model")


def update_commitment(update: np.ndarray) -> bytes:
    """C_a: the 32-byte keccak256 of the canonical bytes of an update (int16[d])."""
    return keccak(_canonical(_check_vector(update, np.dtype(np.int16), UpdateMalformed, "an update"), _INT16))


def model_commitment(model: np.ndarray) -> bytes:
    """The 32-byte keccak256 of the canonical bytes of a model (int64[d])."""
    return keccak(_canonical(_check_vector(model, np.dtype(np.int64), ModelMalformed, "a model"), _INT64))


def model_from_floats(weights: np.ndarray, exponent: int) -> np.ndarray:
    """The model nearest to real weights. weights: float[d]. Returns int64[d] in units of 2^(exponent-16).
    Raises `ModelMalformed` if an entry is not finite or its integer does not fit 62 bits."""
    scale = 2.0 ** (MODEL_FRACTION_BITS - _check_exponent(exponent))
    values = np.asarray(weights)
    if values.dtype.kind != "f" or values.ndim != 1 or not 1 <= values.size <= MAX_DIMENSION:
        raise ModelMalformed("shape", f"the weights of a model are float[d], got {values.dtype}{list(values.shape)}")
    if not np.isfinite(values).all():
        raise ModelMalformed("not-finite", f"{int((~np.isfinite(values)).sum())} weights are not finite")
    scaled = np.rint(values.astype(np.float64) * scale)
    largest = float(np.abs(scaled).max())
    if largest > 2.0**62:
        raise ModelMalformed(
            "range",
            f"the largest weight is {largest / scale:g}, at exponent {exponent} it must be below {2.0**62 / scale:g}",
        )
    return scaled.astype(np.int64)


def floats_from_model(model: np.ndarray, exponent: int) -> np.ndarray:
    """The real weights of a model, rounded to float32. model: int64[d]. Returns float32[d]."""
    _check_vector(model, np.dtype(np.int64), ModelMalformed, "a model")
    unit = 2.0 ** (_check_exponent(exponent) - MODEL_FRACTION_BITS)
    return (model.astype(np.float64) * unit).astype(np.float32)


def apply_step(model: np.ndarray, step: np.ndarray) -> np.ndarray:
    """M' = M + m, exact. model, step: int64[d]. Raises `StepOverflow` if an entry leaves int64."""
    _check_pair(model, step)
    with np.errstate(over="ignore"):
        after = model + step
    # Two's complement: a sum overflows only when both terms have one sign and the result has the other.
    if np.any(((model ^ after) & (step ^ after)) < 0):
        raise StepOverflow("range", "the next model leaves int64: choose a larger (less negative) exponent")
    return after


def step_between(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The step that led from one model to the next, exact. before, after: int64[d]. Returns int64[d].
    Raises `StepOverflow` if an entry leaves int64."""
    _check_pair(before, after)
    with np.errstate(over="ignore"):
        step = after - before
    if np.any(((after ^ before) & (after ^ step)) < 0):
        raise StepOverflow("range", "the difference of the two models leaves int64: they are not of one project")
    return step


def _check_pair(first: np.ndarray, second: np.ndarray) -> None:
    _check_vector(first, np.dtype(np.int64), ModelMalformed, "a model")
    _check_vector(second, np.dtype(np.int64), ModelMalformed, "a model or a step")
    if first.size != second.size:
        raise ModelMalformed("shape", f"{first.size} and {second.size} parameters: both must have the same number")
