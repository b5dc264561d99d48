"""What the torch kernel refuses. Its results are those of the suite in `test_kernels`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cohort_protocol.learning.gram_kernel import LONGEST_BLOCK, TorchKernel
from cohort_protocol.scoring.errors import KernelUnavailable

from tests.protocol.scoring.kernel import plain


class Rounded(TorchKernel):
    """A device that computes with 47 bits where it needs 50, as an emulation might."""

    def products(self, narrow, wide, into=None):
        exact = super().products(narrow, wide, into)
        return exact >> 3 << 3


def test_a_device_that_rounds_is_refused():
    with pytest.raises(KernelUnavailable, match="not exact here"):
        Rounded("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "meta", "no such device"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(KernelUnavailable, match=r"no device|not exact"):
        TorchKernel(device)


def test_settings_for_fewer_bits_change_nothing():
    """TF32 and shorter are of float32; the products here are of float64."""
    before = torch.get_float32_matmul_precision()
    rows = [np.random.default_rng(row).integers(-32768, 32768, 9001).astype(np.int16) for row in range(5)]
    try:
        torch.set_float32_matmul_precision("medium")
        products = TorchKernel("cpu").products(rows, [])
    finally:
        torch.set_float32_matmul_precision(before)
    assert tuple(map(tuple, products.tolist())) == plain.gram_of_many(rows)


def test_a_block_is_never_longer_than_what_is_checked():
    assert TorchKernel("cpu").columns(1) <= LONGEST_BLOCK
