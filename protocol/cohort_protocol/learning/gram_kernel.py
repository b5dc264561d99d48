"""The Gram kernel on torch, and so on a GPU: the bytes of the other kernels (`cohort_protocol.scoring.kernel`).

Products are float64 matrix products of 16-bit limbs, exact for the reason given at `NumpyKernel`: no partial sum of a
block leaves 2^53, in whatever order and on whatever unit of the device it is added. So this holds for any IEEE float64
arithmetic, fused or not, and needs no setting for determinism. Devices without float64 (MPS) are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cohort_protocol.scoring.errors import KernelUnavailable, ScoringInputInvalid
from cohort_protocol.scoring.kernel.block import LIMB, MAX_EXACT_COLUMNS, out_of_range, settled_by


class TorchKernel:
    """Blocks are copied to `device` ("cpu", "cuda", "cuda:1", ...) as the integers they are and widened there.

    Raises `KernelUnavailable` if the device is not there or has no float64."""

    def __init__(self, device: str = "cuda") -> None:
        try:
            self._device = torch.device(device)
            torch.zeros(1, dtype=torch.float64, device=self._device)
        except (RuntimeError, TypeError, AssertionError) as error:
            raise KernelUnavailable(
                f"torch has no device {device!r} with float64 here ({str(error)[:200]}); use another kernel: all give "
                "the same result"
            ) from error

    @property
    def name(self) -> str:
        """Such as "torch (cuda)"."""
        return f"torch ({self._device})"

    def columns(self, rows: int, in_place: bool = False) -> int:
        """About 256 MiB of float64 on a GPU, 4 MiB on a CPU."""
        entries = 1 << (19 if self._device.type == "cpu" else 25)
        return max(512, min(1 << 20, entries // rows))

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

    def _moved(self, rows: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(rows)).to(self._device)
