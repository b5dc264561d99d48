"""Multi-scalar multiplications sum s_i P_i over many points, chunk by chunk, on all cores."""

from __future__ import annotations

import ctypes
import secrets

import numpy as np

from cohort_protocol.proof.curve import INFINITY, Point, add, multiply
from cohort_protocol.proof.library import FIELD, G1_BYTES, MONTGOMERY, MOST_POINTS, ORDER, library, to_montgomery

POINT_BYTES = 64
"""x, y in Montgomery form, as an SRS has them."""

_ONE = np.frombuffer(to_montgomery(1, FIELD), np.uint8)


def points_memory(points: np.ndarray) -> np.ndarray:
    """uint8[k, 64] -> uint8[k, 96]: with z = 1, as the library takes them."""
    memory = np.empty((len(points), G1_BYTES), np.uint8)
    memory[:, :POINT_BYTES] = points
    memory[:, POINT_BYTES:] = _ONE
    return memory


def multi_multiply(points: np.ndarray, scalars: np.ndarray) -> Point:
    """sum scalars[i] * points[i]. points: uint8[k, 64]; scalars: uint8[k, 32], little-endian, below r."""
    total = INFINITY
    for start in range(0, len(points), MOST_POINTS):
        part = slice(start, start + MOST_POINTS)
        total = add(total, _multiply_chunk(points_memory(points[part]), np.ascontiguousarray(scalars[part])))
    # The library reads scalars in Montgomery form, so that it has multiplied by s_i / 2^256.
    return multiply(total, MONTGOMERY % ORDER)


def _multiply_chunk(memory: np.ndarray, scalars: np.ndarray) -> Point:
    result = ctypes.create_string_buffer(G1_BYTES)
    library().G1_mulVec(result, memory.ctypes.data, scalars.ctypes.data, len(memory))
    return Point.from_memory(result.raw)


def random_scalars(count: int) -> np.ndarray:
    """uint8[count, 32]: unpredictable 128-bit numbers."""
    scalars = np.zeros((count, 32), np.uint8)
    scalars[:, :16] = np.frombuffer(secrets.token_bytes(16 * count), np.uint8).reshape(count, 16)
    return scalars
