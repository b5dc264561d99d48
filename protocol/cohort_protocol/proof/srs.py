"""Structured reference strings: the powers [tau^i]_1 that commitments are made with, and [tau]_2 that checks them.

File format ("cohort srs", version 1): a header of 4,096 bytes, then `size` points of 64 bytes, [tau^0]_1 first.

| byte | what |
|---|---|
| 0 | `COHORT SRS BN254` |
| 16 | version, uint32 little-endian, as the numbers below: 1 |
| 20 | flags, uint32: 1 = insecure, somebody knows tau |
| 24 | size, uint64 |
| 32 | [tau]_2: x_im, x_re, y_im, y_re, 32 bytes each, big-endian (EIP-197) |
| 160 | SHA-256 of the points |
| 192 | where it comes from, UTF-8, 256 bytes, filled up with zeros |
| 448 | zeros |

A point is x, then y, each 32 bytes little-endian in Montgomery form (2^256 x mod p): what both a `.ptau` file and the
curve library have, so that a memory map is used as it is. `digest` is the SHA-256 of the header, and so of everything.

Opening a file checks its form, the digest of its points, the first two powers and [tau]_2; `verify_powers` checks every
point and the relation of all powers. What none of this can check is that nobody knows tau: that is the ceremony's word.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from cohort_protocol.proof.curve import (
    FIELD,
    G2_GENERATOR,
    GENERATOR,
    INFINITY,
    ORDER,
    Point,
    Twist,
    check_twist,
    multiply_twist,
    negate,
    pairing_is_one,
)
from cohort_protocol.proof.errors import PointMalformed, SrsInsecure, SrsInvalid, SrsTooSmall, SrsUnreadable
from cohort_protocol.proof.field import below
from cohort_protocol.proof.library import G1_BYTES, MOST_POINTS, library, to_montgomery
from cohort_protocol.proof.msm import POINT_BYTES, Multiplier, random_scalars

HEADER_BYTES = 4096
MAX_POWERS = 1 << 26
"""4 GiB of points; the largest d of a proven project is 2^24."""
DEVNET_CHAIN = 31337

_MAGIC = b"COHORT SRS BN254"
_VERSION, _INSECURE = 1, 1
_HEADER = struct.Struct("<16sIIQ128s32s256s")

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how many points are done and how many there are."""


@dataclass(frozen=True)
class Srs:
    """An open structured reference string. Its points are a memory map: opening one costs no memory."""

    path: Path
    size: int
    """Powers of tau: vectors of at most so many entries can be committed to."""
    digest: bytes
    """32 bytes."""
    tau_g2: Twist
    insecure: bool
    """Somebody knows tau and can open a commitment to anything: for a local chain only."""
    origin: str
    points: np.ndarray
    """uint8[size, 64], read-only."""

    def require(self, count: int) -> None:
        """Raises `SrsTooSmall` if there are fewer powers than that."""
        if count > self.size:
            raise SrsTooSmall(
                f"{self.path} has {self.size} powers, {count} are needed: import or slice a larger one (`cohort srs "
                "import`)"
            )

    def require_for_chain(self, chain_id: int) -> None:
        """Raises `SrsInsecure` if this one is insecure and the chain is not a local one."""
        if self.insecure and chain_id != DEVNET_CHAIN:
            raise SrsInsecure(
                f"{self.path} is insecure (made for a devnet: its secret is known) and the chain id is {chain_id}; "
                f"only {DEVNET_CHAIN} may use it. Import a Perpetual Powers of Tau file with `cohort srs import`"
            )

    def power(self, index: int) -> Point:
        """[tau^index]_1."""
        return _point(self.points[index])

    def blocks(self, count: int) -> Iterator[np.ndarray]:
        """The first `count` points in blocks of at most `MOST_POINTS`."""
        for start in range(0, count, MOST_POINTS):
            yield self.points[start : min(start + MOST_POINTS, count)]


def open_srs(path: Path | str, needed: int = 1, *, check_points: bool = True) -> Srs:
    """Opens a file made by `cohort srs` with at least `needed` powers.

    check_points: compare the digest of the points (about a second for 2^24). Raises `SrsInvalid`, `SrsTooSmall`,
    `SrsUnreadable`."""
    found, hashed = _open(file_named(path))
    found.require(needed)
    if check_points and _digest_of_points(found) != hashed:
        raise SrsInvalid(f"the points of {path} are not those it was made with: import it again")
    _check_start(found, str(path))
    return found


def file_named(path: Path | str) -> Path:
    """The path, if a file can have it. Raises `SrsUnreadable`."""
    if not Path(path).name or "\0" in str(path):
        raise SrsUnreadable(f"{str(path)[:200]!a} is the name of no file")
    return Path(path)


def _open(path: Path) -> tuple[Srs, bytes]:
    """The file, whose form is right, and the digest that its points should have."""
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER_BYTES)
            length = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise SrsUnreadable(f"{path} could not be read: {error}") from error
    if len(header) != HEADER_BYTES or not header.startswith(_MAGIC):
        raise SrsInvalid(f"{path} is no structured reference string of Cohort: import one with `cohort srs import`")
    _, version, flags, size, tau, hashed, origin = _HEADER.unpack(header[: _HEADER.size])
    if version != _VERSION or flags & ~_INSECURE or any(header[_HEADER.size :]):
        raise SrsInvalid(f"{path} has version {version} and flags {flags}; this program knows version {_VERSION}")
    if not 2 <= size <= MAX_POWERS or length != HEADER_BYTES + POINT_BYTES * size:
        raise SrsInvalid(f"{path} says it has {size} powers and is {length} bytes long: it was cut off or changed")
    points = np.memmap(path, np.uint8, "r", HEADER_BYTES, (size, POINT_BYTES))
    found = Srs(path, size, sha256(header).digest(), _twist(tau), bool(flags & _INSECURE), _text(origin), points)
    return found, hashed


def write_srs(
    target: Path | str,
    size: int,
    tau_g2: Twist,
    blocks: Iterator[np.ndarray],
    *,
    insecure: bool,
    origin: str,
    label: str = "",
    verify: bool = True,
    progress: Progress | None = None,
) -> Srs:
    """Writes a file; `target` appears only when it is whole and, unless `verify` is off, every check has passed.

    blocks: the points, uint8[k, 64] each, `size` in all. label: what errors call the source of the points. Raises what
    `verify_powers` raises and `SrsUnreadable`."""
    target = file_named(target)
    if not 2 <= size <= MAX_POWERS:
        raise SrsInvalid(f"{size} powers: 2 .. {MAX_POWERS} are possible")
    started = target.with_name(f"{target.name}.part-{secrets.token_hex(4)}")
    try:
        if target.exists() and not target.is_file():  # a device, in whose place a file would come
            raise SrsUnreadable(f"{target} is no file that could be replaced: name another")
        hashed = sha256()
        with open(started, "xb") as file:
            file.seek(HEADER_BYTES)
            for block in blocks:
                data = np.ascontiguousarray(block).tobytes()
                hashed.update(data)
                file.write(data)
            tau = b"".join(value.to_bytes(32, "big") for value in tau_g2)
            note = origin.encode()[:256].decode(errors="ignore").encode()
            file.seek(0)
            header = _HEADER.pack(_MAGIC, _VERSION, _INSECURE * insecure, size, tau, hashed.digest(), note)
            file.write(header.ljust(HEADER_BYTES, b"\0"))
            file.flush()
            os.fsync(file.fileno())
        written, _ = _open(started)
        if verify:
            verify_powers(written, progress, label or str(target))
        os.replace(started, target)
    except OSError as error:
        raise SrsUnreadable(f"{target} could not be written: {error}") from error
    finally:
        with suppress(OSError):  # of a folder that is not there, which is an error already
            started.unlink(missing_ok=True)
    return open_srs(target, size, check_points=False)


def slice_srs(source: Srs, target: Path | str, size: int) -> Srs:
    """The first `size` powers in a file of their own."""
    source.require(size)
    return write_srs(
        target,
        size,
        source.tau_g2,
        source.blocks(size),
        insecure=source.insecure,
        origin=source.origin,
        verify=False,
    )


def verify_powers(srs: Srs, progress: Progress | None = None, label: str = "", *, threads: int | None = None) -> None:
    """Checks everything that can be checked: every point is in canonical form and on the curve, and each power is tau
    times the one before it, by one random linear combination (error 2^-128).

    label: what errors call the file; threads: None for all cores. Raises `SrsInvalid`, which names the first bad
    point."""
    label = label or str(srs.path)
    _check_start(srs, label)
    with Multiplier(threads) as multiplier:
        lower, upper = multiplier.scalars(srs.size), multiplier.scalars(srs.size)
        done = 0
        for block in srs.blocks(srs.size):
            _check_block(block, done, label)
            last = min(done + len(block), srs.size - 1)
            scalars = random_scalars(last - done)
            lower.add(block[: len(scalars)], scalars)
            upper.add(srs.points[done + 1 : last + 1], scalars)
            done += len(block)
            if progress is not None:
                progress("points", done, srs.size)
        below_them, above_them = lower.result(), upper.result()
    if not pairing_is_one([(above_them, G2_GENERATOR), (negate(below_them), srs.tau_g2)]):
        raise SrsInvalid(f"{label}: a power of tau is not tau times the one before it: the file is damaged")


def make_insecure_srs(target: Path | str, size: int, seed: str) -> Srs:
    """A string whose tau follows from `seed`, for a local chain and for tests: anybody can open its commitments to
    anything. Its header says so."""
    tau = int.from_bytes(sha256(b"Cohort insecure srs" + seed.encode()).digest(), "big") % ORDER
    return write_srs(
        target,
        size,
        multiply_twist(G2_GENERATOR, tau),
        _powers(tau, size),
        insecure=True,
        origin=f"insecure, made for a devnet from the seed {seed!r}",
        verify=False,
    )


def _powers(tau: int, size: int) -> Iterator[np.ndarray]:
    """[tau^i]_1 by fixed windows of `bits` bits: tables of multiples of 2^(bits k) G, and an addition a window."""
    bits = 8 if size <= 1 << 14 else 12
    tables = _tables(bits)
    curve, origin = library(), tables.ctypes.data
    span, mask = G1_BYTES << bits, (1 << bits) - 1
    scalar = 1
    for start in range(0, size, MOST_POINTS):
        count = min(MOST_POINTS, size - start)
        block = np.zeros((count, G1_BYTES), np.uint8)
        for row in range(count):
            rest, table, at = scalar, origin, block.ctypes.data + G1_BYTES * row
            while rest:
                curve.G1_add(at, at, table + G1_BYTES * (rest & mask))
                rest >>= bits
                table += span
            curve.G1_normalize(at, at)
            scalar = scalar * tau % ORDER
        yield block[:, :POINT_BYTES]


def _tables(bits: int) -> np.ndarray:
    """uint8[windows, 2^bits, 96]: j 2^(bits k) G, normalised."""
    windows = -(-254 // bits)
    tables = np.zeros((windows, 1 << bits, G1_BYTES), np.uint8)
    curve = library()
    step = np.frombuffer(GENERATOR.memory(), np.uint8).copy()
    for k in range(windows):
        first = tables[k].ctypes.data
        for j in range(1, 1 << bits):
            curve.G1_add(first + G1_BYTES * j, first + G1_BYTES * (j - 1), step.ctypes.data)
        curve.G1_add(step.ctypes.data, first + G1_BYTES * ((1 << bits) - 1), step.ctypes.data)
        curve.G1_normalize(step.ctypes.data, step.ctypes.data)
        for j in range(1, 1 << bits):
            curve.G1_normalize(first + G1_BYTES * j, first + G1_BYTES * j)
    return tables


def _check_start(srs: Srs, label: str) -> None:
    """[tau^0]_1 = G, [tau^1]_1 fits [tau]_2, and tau is not 0, 1 or -1, for which powers repeat."""
    try:
        check_twist(srs.tau_g2)
        first, second = srs.power(0), srs.power(1)
    except PointMalformed as error:
        raise SrsInvalid(f"{label}: {error}") from error
    if first != GENERATOR:
        raise SrsInvalid(f"{label}: the first power is {first}, not the generator of G1")
    if second in (GENERATOR, negate(GENERATOR), INFINITY):
        raise SrsInvalid(f"{label}: tau is 0 or +-1: nobody has contributed to this string")
    if not pairing_is_one([(second, G2_GENERATOR), (negate(GENERATOR), srs.tau_g2)]):
        raise SrsInvalid(f"{label}: [tau]_1 and [tau]_2 have different exponents")


def _check_block(block: np.ndarray, start: int, label: str) -> None:
    words = np.ascontiguousarray(block).view("<u8").reshape(len(block), 2, 4)
    bad = ~below(words, FIELD).all(axis=1)
    bad |= ~on_curve(block)
    if bad.any():
        raise SrsInvalid(
            f"{label}: power {start + int(bad.argmax())} is not a point of the curve in canonical form: the file is "
            "damaged"
        )


def on_curve(points: np.ndarray) -> np.ndarray:
    """bool[k]: whether points uint8[k, 64] with coordinates below p are on y^2 = x^3 + 3. Infinity has no such form."""
    curve, memory = library(), np.ascontiguousarray(points)
    left, right = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    start, three = memory.ctypes.data, to_montgomery(3, FIELD)
    good = np.empty(len(points), bool)
    for row in range(len(points)):
        x = start + POINT_BYTES * row
        curve.Fp_sqr(left, x + 32)
        curve.Fp_sqr(right, x)
        curve.Fp_mul(right, right, x)
        curve.Fp_add(right, right, three)
        good[row] = left.raw == right.raw
    return good


def _point(memory: np.ndarray) -> Point:
    data = memory.tobytes()
    if any(int.from_bytes(data[32 * k : 32 * k + 32], "little") >= FIELD for k in (0, 1)):
        raise PointMalformed("a coordinate is not below the field's modulus")
    return Point.from_memory(data + to_montgomery(1, FIELD))


def _twist(data: bytes) -> Twist:
    a, b, c, d = (int.from_bytes(data[32 * k : 32 * k + 32], "big") for k in range(4))
    return (a, b, c, d)


def _text(data: bytes) -> str:
    text = data.rstrip(b"\0").decode("utf-8", errors="replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _digest_of_points(srs: Srs) -> bytes:
    hashed = sha256()
    for block in srs.blocks(srs.size):
        hashed.update(block)
    return hashed.digest()
