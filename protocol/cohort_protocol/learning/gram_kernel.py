"""The Gram kernel on torch, and so on a GPU: the bytes of the other kernels (`cohort_protocol.scoring.kernel`).

Products are float64 matrix products of 16-bit limbs, exact for the reason given at `NumpyKernel`: no partial sum of a
block leaves 2^53, in whatever order and on whatever unit of the device it is added. So this holds for any IEEE float64
arithmetic, fused or not, and needs no setting for determinism: those for fewer bits (TF32, bfloat16 and float16
reductions) are of float32 and shorter. Devices without float64 (MPS) are refused, and so are those whose products are
not exact, as with a library that was told to emulate float64 by shorter numbers: each kernel first multiplies rows of
which it knows the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cohort_protocol.scoring.errors import KernelUnavailable, ScoringInputInvalid
from cohort_protocol.scoring.kernel.block import LIMB, MAX_EXACT_COLUMNS, out_of_range, settled_by

LONGEST_BLOCK = 1 << 20
"""Columns."""


class TorchKernel:
    """Blocks are copied to `device` ("cpu", "cuda", "cuda:1", ...) as the integers they are and widened there.

    Raises `KernelUnavailable` if the device is not there, has no float64 or does not compute exactly."""

    def __init__(self, device: str = "cuda") -> None:
        try:
            self._device = torch.device(device)
            torch.zeros(1, dtype=torch.float64, device=self._device).cpu()
        except (RuntimeError, TypeError, AssertionError) as error:
            raise KernelUnavailable(
                f"torch has no device {device!r} with float64 here ({str(error)[:200]}); use another kernel: all give "
                "the same result"
            ) from error
        self._check_exact()

    @property
    def name(self) -> str:
        """Such as "torch (cuda)"."""
        return f"torch ({self._device})"

    def columns(self, rows: int, in_place: bool = False) -> int:
        """About 256 MiB of float64 on a GPU, 4 MiB on a CPU."""
        entries = 1 << (19 if self._device.type == "cpu" else 25)
        return max(512, min(LONGEST_BLOCK, entries // rows))

    def products(
        self, narrow: Sequence[np.ndarray], wide: Sequence[np.ndarray], into: np.ndarray | None = None
    ) -> np.ndarray:
        """See `BlockKernel.products`; at most `MAX_EXACT_COLUMNS` columns."""
        columns = narrow[0].size
        if columns > MAX_EXACT_COLUMNS:
            raise ScoringInputInvalid(
                f"a block of {columns} columns: beyond {MAX_EXACT_COLUMNS} float64 sums are not exact"
            )
        small = self._moved(narrow)
        parts = [small.double()]
        if wide:
            large = self._moved(wide)
            least, most = int(large.min()), int(large.max())
            if least < -(2**31) or most >= 2**31:
                raise out_of_range(least, most)
            low = ((large + 0x8000) & 0xFFFF) - 0x8000
            parts += [((large - low) >> LIMB).double(), low.double()]
        if into is not None:
            into += small.sum(dim=0, dtype=torch.int64).to(torch.int32).cpu().numpy()
        matrix = torch.cat(parts)
        return (matrix @ matrix.T).to(torch.int64).cpu().numpy()

    def combine(self, rows: Sequence[np.ndarray], weights: Sequence[int], into: np.ndarray) -> None:
        """See `BlockKernel.combine`."""
        if not rows:
            return
        factors = torch.tensor(list(weights), dtype=torch.int64, device=self._device)
        # Element by element: GPUs have no int64 matrix product. At most 2^15 2^32 2^16 = 2^63 is not reached, since
        # weights of a round sum to 2^16.
        total = torch.zeros(into.size, dtype=torch.int64, device=self._device)
        for row, factor in zip(rows, factors, strict=True):
            total += self._moved([row])[0].to(torch.int64) * factor
        # Conversion drops the upper bits: modulo 2^32.
        into += total.to(torch.int32).cpu().numpy()

    def settle(
        self, rows: Sequence[np.ndarray], weights: Sequence[int], base: int, sums: np.ndarray, into: np.ndarray
    ) -> None:
        """See `BlockKernel.settle`."""
        settled_by(self.combine, rows, weights, base, sums, into)

    def _check_exact(self) -> None:
        """Products of rows as long as the longest block, whose sums take 50 bits."""
        columns = LONGEST_BLOCK
        varied = np.random.default_rng(0).integers(-32768, 32768, (2, columns), np.int16)
        narrow = [*varied, np.full(columns, -32768, np.int16), np.full(columns, 32767, np.int16)]
        exact = np.array(narrow, np.int64)
        if not np.array_equal(self.products(narrow, []), exact @ exact.T):
            raise KernelUnavailable(
                f"float64 products on {self._device} are not exact here; unset what makes its libraries emulate them "
                "(CUBLAS_EMULATE_DOUBLE_PRECISION), or use another kernel: all give the same result"
            )

    def _moved(self, rows: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(rows)).to(self._device)
