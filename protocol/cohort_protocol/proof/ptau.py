"""Powers of Tau files (`.ptau`), as snarkjs and the Perpetual Powers of Tau ceremony publish them, into an SRS.

Format (https://github.com/iden3/snarkjs, `powersoftau_utils`): `ptau`, version 1 and the number of sections, uint32
little-endian; then sections: type uint32, length uint64, content. Read here are section 1 (bytes of a coordinate, the
field's modulus, the power, the ceremony's power), 2 ([tau^i]_1 for i < 2^(power + 1) - 1), 3 ([tau^i]_2, the first two
of them) and 7 (the number of contributions). Points are coordinates in Montgomery form, little-endian, the real part
of G2's first.

The file may come from anywhere: nothing in it is believed that was not checked, and what cannot be checked (that one
contributor at least has forgotten his secret) is the ceremony's word, for which `blake2b` is the published hash.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cohort_protocol.proof.curve import FIELD, G2_GENERATOR, Twist, check_twist
from cohort_protocol.proof.errors import PointMalformed, SrsInvalid, SrsTooSmall, SrsUnreadable
from cohort_protocol.proof.library import MOST_POINTS, from_montgomery
from cohort_protocol.proof.msm import POINT_BYTES
from cohort_protocol.proof.srs import MAX_POWERS, Progress, Srs, file_named, write_srs

_MAGIC, _VERSION = b"ptau", 1
_MOST_SECTIONS, _MOST_POWER = 64, 28
_HEADER, _TAU_G1, _TAU_G2, _CONTRIBUTIONS = 1, 2, 3, 7
_HEADER_BYTES, _TWIST_BYTES = 44, 128


@dataclass(frozen=True)
class PtauFile:
    """What was found in a file whose sizes fit each other; its points are not checked yet."""

    path: Path
    power: int
    contributions: int
    tau_g2: Twist
    start: int
    """Byte at which [tau^0]_1 begins."""

    @property
    def powers(self) -> int:
        """[tau^i]_1 in the file."""
        return (2 << self.power) - 1

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The first `size` powers, uint8[k, 64] each."""
        points = np.memmap(self.path, np.uint8, "r", self.start, (size, POINT_BYTES))
        for at in range(0, size, MOST_POINTS):
            yield points[at : at + MOST_POINTS]


def import_ptau(
    source: Path | str,
    target: Path | str,
    size: int | None = None,
    progress: Progress | None = None,
    *,
    blake2b_hash: str | None = None,
) -> Srs:
    """Writes the first `size` powers (None: all) of a `.ptau` file as an SRS, after checking every one of them.

    blake2b_hash: the file's published BLAKE2b-512 in hex, to be compared first. Raises `SrsInvalid` for a file that is
    damaged, malformed, of another curve or without a contribution, `SrsTooSmall`, `SrsUnreadable`. On an error nothing
    is left at `target`."""
    source = file_named(source)
    try:
        if blake2b_hash is not None:
            _compare_hash(source, blake2b_hash, progress)
        found = read_ptau(source)
        wanted = min(found.powers, MAX_POWERS) if size is None else size
        if wanted > found.powers:
            raise SrsTooSmall(
                f"{source} has {found.powers} powers (2^{found.power + 1} - 1), {wanted} are asked for: take a larger "
                "one"
            )
        origin = f"{source.name}: power {found.power}, {found.contributions} contributions"
        return write_srs(
            target,
            wanted,
            found.tau_g2,
            found.blocks(wanted),
            insecure=False,
            origin=origin,
            label=str(source),
            progress=progress,
        )
    except OSError as error:
        raise SrsUnreadable(f"{source} could not be read: {error}") from error


def read_ptau(path: Path) -> PtauFile:
    """The file's header, and where its points are. Raises `SrsInvalid`, `OSError`."""
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        sections = _sections(path, file, length)

        def part(kind: int, at: int, count: int) -> bytes:
            start, available = sections[kind]
            if at + count > available:
                raise SrsInvalid(f"{path}: section {kind} has {available} bytes, too few: the file is damaged")
            file.seek(start + at)
            return file.read(count)

        power = _power(path, part(_HEADER, 0, _HEADER_BYTES))
        expected = {_TAU_G1: ((2 << power) - 1) * POINT_BYTES, _TAU_G2: (1 << power) * _TWIST_BYTES}
        for kind, count in expected.items():
            if sections[kind][1] != count:
                raise SrsInvalid(
                    f"{path}: section {kind} has {sections[kind][1]} bytes, with power {power} it has {count}"
                )
        (contributions,) = struct.unpack("<I", part(_CONTRIBUTIONS, 0, 4))
        if not contributions:
            raise SrsInvalid(f"{path}: nobody has contributed to this file, so that everybody knows its secret")
        twists = [_twist(path, part(_TAU_G2, at, _TWIST_BYTES)) for at in (0, _TWIST_BYTES)]
    if twists[0] != G2_GENERATOR:
        raise SrsInvalid(f"{path}: the first point of G2 is not its generator")
    return PtauFile(path, power, contributions, twists[1], sections[_TAU_G1][0])


def _sections(path: Path, file: BinaryIO, length: int) -> dict[int, tuple[int, int]]:
    """Type -> (first byte, length) of the sections that are read, each of which must be there once."""
    start = file.read(12)
    if len(start) < 12 or start[:4] != _MAGIC:
        raise SrsInvalid(f"{path} is no Powers of Tau file (.ptau)")
    version, count = struct.unpack("<II", start[4:12])
    if version != _VERSION or count > _MOST_SECTIONS:
        raise SrsInvalid(
            f"{path}: version {version}, {count} sections; known is version 1 with at most {_MOST_SECTIONS}"
        )
    found: dict[int, tuple[int, int]] = {}
    at = 12
    for _ in range(count):
        file.seek(at)
        head = file.read(12)
        if len(head) < 12:
            raise SrsInvalid(f"{path} ends inside the table of its sections: it was cut off")
        kind, size = struct.unpack("<IQ", head)
        at += 12
        if size > length - at:
            raise SrsInvalid(f"{path}: section {kind} of {size} bytes goes beyond the end of the file: it was cut off")
        if kind in found:
            raise SrsInvalid(f"{path} has section {kind} twice")
        found[kind] = (at, size)
        at += size
    missing = {_HEADER, _TAU_G1, _TAU_G2, _CONTRIBUTIONS} - set(found)
    if missing or at != length:
        raise SrsInvalid(f"{path}: sections {sorted(missing)} are missing, or {length - at} bytes follow the last one")
    return found


def _power(path: Path, header: bytes) -> int:
    width = int.from_bytes(header[:4], "little")
    if width != 32 or int.from_bytes(header[4:36], "little") != FIELD:
        raise SrsInvalid(f"{path} is for another curve: BN254 (`bn128` in snarkjs) is needed")
    power = int.from_bytes(header[36:40], "little")
    if not 1 <= power <= _MOST_POWER:
        raise SrsInvalid(f"{path} has power {power}: 1 .. {_MOST_POWER} are possible")
    return power


def _twist(path: Path, data: bytes) -> Twist:
    """A point of G2, checked to be canonical and of order r."""
    parts = [data[32 * k : 32 * k + 32] for k in range(4)]
    try:
        if any(int.from_bytes(part, "little") >= FIELD for part in parts):
            raise PointMalformed("a coordinate is not below the field's modulus")
        x_re, x_im, y_re, y_im = (from_montgomery(part, FIELD) for part in parts)
        check_twist((x_im, x_re, y_im, y_re))
    except PointMalformed as error:
        raise SrsInvalid(f"{path}: a point of G2 is damaged: {error}") from error
    return (x_im, x_re, y_im, y_re)


def _compare_hash(path: Path, expected: str, progress: Progress | None) -> None:
    hashed, done = blake2b(), 0
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        while block := file.read(1 << 24):
            hashed.update(block)
            done += len(block)
            if progress is not None:
                progress("hash", done, length)
    if hashed.hexdigest() != expected.lower().removeprefix("0x"):
        raise SrsInvalid(f"{path} has the BLAKE2b hash {hashed.hexdigest()}, not {expected}: it is another file")
