"""Every kernel that runs here, for one suite."""

from __future__ import annotations

import pytest
import torch
from cohort_protocol.learning.gram_kernel import TorchKernel
from cohort_protocol.scoring.errors import KernelUnavailable
from cohort_protocol.scoring.kernel import BlockKernel, NativeKernel, NumpyKernel
from cohort_protocol.scoring.kernel.native import LEVELS

NAMES = ["numpy", *(f"native {level}" for level in range(len(LEVELS))), "torch cpu"]
if torch.cuda.is_available():
    NAMES.append("torch cuda")


def kernel_named(name: str) -> BlockKernel:
    kind, _, which = name.partition(" ")
    if kind == "numpy":
        return NumpyKernel()
    try:
        return NativeKernel(int(which)) if kind == "native" else TorchKernel(which)
    except KernelUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=NAMES)
def kernel(request: pytest.FixtureRequest) -> BlockKernel:
    return kernel_named(request.param)
