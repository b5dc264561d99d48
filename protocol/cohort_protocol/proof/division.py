"""Division of a long polynomial by X - z, in pieces from the highest coefficients down.

Horner's rule, b_i = f_i + z b_(i+1): the remainder is b_0, and the quotient's coefficients are b_1, b_2, ... It is a
recurrence, and vectors need independent work: a piece is cut into runs of `RUN` coefficients, each run is computed as
if nothing came before it, all runs at once; then the runs' results, one number each, are joined one after another,
and the runs are computed again with what comes before them. Two multiplications a coefficient, without a carry chain
as long as the polynomial.
"""

from __future__ import annotations

import numpy as np

from cohort_protocol.proof.field import LIMBS, ORDER, multiplier, pack, scale, unpack

RUN = 32
PIECE = 1 << 16
"""Coefficients of a piece, a multiple of `RUN`."""


class Horner:
    """b_i = f_i + z b_(i+1), piece by piece from the top. `state` is the last b, 0 at the start."""

    def __init__(self, z: int) -> None:
        self._step = multiplier(z % ORDER)
        self._run = pow(z, RUN, ORDER)
        self.state = 0

    def next(self, coefficients: np.ndarray) -> np.ndarray:
        """The next lower piece: float64[11, k] of the f_i (fewer limbs are possible) -> float64[11, k] of the b_i.

        The first piece may have any length, the others a multiple of `RUN`."""
        limbs, k = coefficients.shape
        runs = -(-k // RUN)
        if runs * RUN != k:
            # Above the highest coefficient there are only zeros.
            coefficients = np.concatenate([coefficients, np.zeros((limbs, runs * RUN - k))], axis=1)
        steps = np.ascontiguousarray(coefficients.reshape(limbs, runs, RUN).transpose(2, 0, 1))
        values = np.zeros((LIMBS, runs))
        for t in reversed(range(RUN)):
            values = scale(self._step, values, plus=steps[t])
        values = unpack(self._join(pack(values)))
        result = np.empty((RUN, LIMBS, runs))
        for t in reversed(range(RUN)):
            values = result[t] = scale(self._step, values, plus=steps[t])
        return result.transpose(1, 2, 0).reshape(LIMBS, runs * RUN)[:, :k]

    def _join(self, ends: np.ndarray) -> np.ndarray:
        """uint8[runs, 32] of each run alone -> of what comes before each run."""
        before = [b""] * len(ends)
        state = self.state
        for row in reversed(range(len(ends))):
            before[row] = state.to_bytes(32, "little")
            state = (int.from_bytes(ends[row].tobytes(), "little") + self._run * state) % ORDER
        self.state = state
        return np.frombuffer(b"".join(before), np.uint8).reshape(-1, 32)
