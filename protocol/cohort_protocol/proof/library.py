"""The curve library `mclbn256` (herumi/mcl, https://github.com/herumi/mcl) by ctypes: the one place that loads it.

Values of the library are read and written as raw memory, the same on every platform it runs on (little-endian):

| value | memory |
|---|---|
| scalar | 32 bytes: s 2^256 mod r (Montgomery form), least significant byte first |
| coordinate | 32 bytes: x 2^256 mod p |
| point of G1 | x, y, z: 96 bytes, Jacobian; z = 1 for the points we hand over, z = 0 for infinity |
| point of G2 | x = a + b i as a, b, then y, z likewise: 192 bytes |

Pitfalls, each measured: the library's default curve is another one, so that `mclBn_init(4, 44)` must follow the import
(4: BN254 as in EIP-196, 44: four words for each field); the setting is global in the process. `mclBnG1_mulVec` keeps
its tables on the stack and crashes above 2^18 points: see `MOST_POINTS`.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import threading
from functools import cache
from importlib.metadata import version

from cohort_protocol.proof.errors import CurveLibraryMissing

FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""p: coordinates of points are modulo this (EIP-196)."""
ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""r: order of G1 and of G2; scalars are modulo this (EIP-196). The cofactor of G1 is 1: every point of the curve is in
the group."""
MONTGOMERY = 1 << 256

MOST_POINTS = 1 << 16
"""Points of one multi-scalar multiplication. Beyond 2^18 the library overruns the stack; at 2^16 its tables fit the
caches, and a call is long enough for threads."""

SCALAR_BYTES, G1_BYTES, G2_BYTES, GT_BYTES = 32, 96, 192, 384

_SNARK_CURVE, _WORDS = 4, 44

_ALTERNATIVES = (
    "Proven projects need it on this machine; wheels exist for Linux x86-64, macOS and Windows x86-64 (pip install "
    "mclbn256==1.3.5). On another platform run the command in an x86-64 container, let a service on such a machine "
    "commit and prove, or take part in attested projects, which need no curve library"
)


class CurveLibrary:
    """The functions that Cohort uses, with their types declared. Pointers are addresses of contiguous memory."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        for name, answer, arguments in (
            ("mclBnG1_add", None, [pointer] * 3),
            ("mclBnG1_sub", None, [pointer] * 3),
            ("mclBnG1_mul", None, [pointer] * 3),
            ("mclBnG1_mulVec", None, [pointer] * 3 + [size]),
            ("mclBnG1_normalize", None, [pointer] * 2),
            ("mclBnFp_add", None, [pointer] * 3),
            ("mclBnFp_mul", None, [pointer] * 3),
            ("mclBnFp_sqr", None, [pointer] * 2),
            ("mclBnG2_mul", None, [pointer] * 3),
            ("mclBnG2_normalize", None, [pointer] * 2),
            ("mclBnG2_isValid", number, [pointer]),
            ("mclBnG2_isValidOrder", number, [pointer]),
            ("mclBn_millerLoopVec", None, [pointer] * 3 + [size]),
            ("mclBn_finalExp", None, [pointer] * 2),
            ("mclBnGT_isOne", number, [pointer]),
            ("mclBn_FrEvaluatePolynomial", number, [pointer, pointer, size, pointer]),
            ("mclBn_G1EvaluatePolynomial", number, [pointer, pointer, size, pointer]),
            ("mclBn_getCurveOrder", size, [pointer, size]),
        ):
            function = getattr(handle, name)
            function.restype, function.argtypes = answer, arguments
            setattr(self, name.removeprefix("mclBn_").removeprefix("mclBn"), function)
        if handle.mclBn_init(_SNARK_CURVE, _WORDS):
            raise CurveLibraryMissing(f"mclbn256 does not know the curve BN254 of EIP-196. {_ALTERNATIVES}")
        order = ctypes.create_string_buffer(100)
        self.getCurveOrder(order, 100)
        if order.value != str(ORDER).encode():
            raise CurveLibraryMissing(
                f"mclbn256 computes in a group of order {order.value.decode()}, not in that of EIP-196. {_ALTERNATIVES}"
            )

    def __getattr__(self, name: str) -> ctypes._CFuncPtr:
        raise AttributeError(f"the curve library declares no {name}")


_LOADING = threading.Lock()


def library() -> CurveLibrary:
    """The library, loaded on first use. Raises `CurveLibraryMissing`."""
    # Only one thread may set the curve, and none compute meanwhile.
    with _LOADING:
        return _load()


@cache
def _load() -> CurveLibrary:
    if sys.byteorder != "little":
        raise CurveLibraryMissing(f"the curve library is used on little-endian machines only. {_ALTERNATIVES}")
    try:
        from mclbn256 import mclbn256 as module

        return CurveLibrary(module.lib)
    except (ImportError, OSError, AttributeError) as error:
        raise CurveLibraryMissing(
            f"the curve library mclbn256 1.3.5 does not load on {sys.platform} {platform.machine()} ({error}). "
            f"{_ALTERNATIVES}"
        ) from error


def library_status() -> str:
    """What was found, for people: "mclbn256 1.3.5", or why it is missing."""
    try:
        library()
        return f"mclbn256 {version('mclbn256')}"
    except CurveLibraryMissing as error:
        return f"missing: {error}"


def to_montgomery(value: int, modulus: int) -> bytes:
    """32 bytes, little-endian, of value 2^256 mod modulus."""
    return (value * MONTGOMERY % modulus).to_bytes(32, "little")


def from_montgomery(data: bytes, modulus: int) -> int:
    """The inverse of `to_montgomery`."""
    return int.from_bytes(data, "little") * pow(MONTGOMERY, -1, modulus) % modulus
