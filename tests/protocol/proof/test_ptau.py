"""Importing Powers of Tau files that another tool made, and what may be wrong with them."""

from __future__ import annotations

import struct
from hashlib import blake2b
from pathlib import Path

import pytest
from cohort_protocol.proof.errors import SrsInvalid, SrsTooSmall, SrsUnreadable
from cohort_protocol.proof.ptau import import_ptau
from cohort_protocol.proof.srs import open_srs

FIXTURES = Path(__file__).parent / "fixtures"
SNARKJS = FIXTURES / "snarkjs-7.ptau"
POWERS = 255


def sections(data: bytes) -> dict[int, tuple[int, int]]:
    """Type -> (first byte, length)."""
    found, at = {}, 12
    while at < len(data):
        kind, size = struct.unpack("<IQ", data[at : at + 12])
        found[kind] = (at + 12, size)
        at += 12 + size
    return found


def changed(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "changed.ptau"
    path.write_bytes(data)
    return path


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


@pytest.mark.parametrize(("name", "powers"), [("snarkjs-7.ptau", POWERS), ("snarkjs-3-prepared.ptau", 15)])
def test_a_file_of_snarkjs_is_imported_whole(tmp_path: Path, name: str, powers: int) -> None:
    srs = import_ptau(FIXTURES / name, tmp_path / "srs")
    assert (srs.size, srs.insecure) == (powers, False)
    assert name in srs.origin
    assert open_srs(tmp_path / "srs", powers).digest == srs.digest


def test_the_first_powers_are_the_same_however_many_are_taken(tmp_path: Path) -> None:
    small = import_ptau(SNARKJS, tmp_path / "small", 64)
    large = import_ptau(SNARKJS, tmp_path / "large", 200)
    assert small.tau_g2 == large.tau_g2
    assert [small.power(k) for k in (0, 1, 63)] == [large.power(k) for k in (0, 1, 63)]
    with pytest.raises(SrsTooSmall, match="64 powers, 65"):
        open_srs(tmp_path / "small", 65)


def test_more_powers_than_the_file_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SrsTooSmall, match="255 powers"):
        import_ptau(SNARKJS, tmp_path / "srs", 256)


@pytest.mark.parametrize("index", [0, 1, 2, 100, POWERS - 1])
@pytest.mark.parametrize("byte", [0, 31, 32, 63])
def test_one_flipped_bit_of_a_power_is_refused(tmp_path: Path, index: int, byte: int) -> None:
    data = SNARKJS.read_bytes()
    start, _ = sections(data)[2]
    # The first two are looked at before all others.
    message = f"power {index} is not a point" if index > 1 else "is not on|modulus|generator"
    with pytest.raises(SrsInvalid, match=message):
        import_ptau(changed(tmp_path, flipped(data, start + 64 * index + byte)), tmp_path / "srs")
    assert [path.name for path in tmp_path.iterdir()] == ["changed.ptau"]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("byte", [0, 40, 100])
def test_one_flipped_bit_of_a_point_of_g2_is_refused(tmp_path: Path, index: int, byte: int) -> None:
    data = SNARKJS.read_bytes()
    start, _ = sections(data)[3]
    with pytest.raises(SrsInvalid, match="G2"):
        import_ptau(changed(tmp_path, flipped(data, start + 128 * index + byte)), tmp_path / "srs")


def test_a_power_that_is_another_point_of_the_curve_is_refused(tmp_path: Path) -> None:
    """Every point is right by itself: only the relation of the powers shows it."""
    data = SNARKJS.read_bytes()
    start, _ = sections(data)[2]
    swapped = bytearray(data)
    swapped[start + 64 * 50 : start + 64 * 51] = data[start + 64 * 51 : start + 64 * 52]
    with pytest.raises(SrsInvalid, match="not tau times the one before"):
        import_ptau(changed(tmp_path, bytes(swapped)), tmp_path / "srs")


def test_a_bad_power_beyond_those_that_are_taken_does_not_matter(tmp_path: Path) -> None:
    data = SNARKJS.read_bytes()
    start, _ = sections(data)[2]
    assert import_ptau(changed(tmp_path, flipped(data, start + 64 * 200)), tmp_path / "srs", 200).size == 200


def test_a_coordinate_that_is_not_canonical_is_refused(tmp_path: Path) -> None:
    """x + p instead of x: the same point, in other bytes."""
    data = bytearray(SNARKJS.read_bytes())
    start, _ = sections(bytes(data))[2]
    field = int.from_bytes(data[sections(bytes(data))[1][0] + 4 :][:32], "little")
    at = start + 64 * 7
    other = int.from_bytes(data[at : at + 32], "little") + field
    data[at : at + 32] = other.to_bytes(32, "little")
    with pytest.raises(SrsInvalid, match="power 7 is not a point"):
        import_ptau(changed(tmp_path, bytes(data)), tmp_path / "srs")


def test_another_tau_in_g2_is_refused(tmp_path: Path) -> None:
    data = bytearray(SNARKJS.read_bytes())
    start, _ = sections(bytes(data))[3]
    data[start + 128 : start + 256] = data[start + 256 : start + 384]
    with pytest.raises(SrsInvalid, match="different exponents"):
        import_ptau(changed(tmp_path, bytes(data)), tmp_path / "srs")


def test_a_file_to_which_nobody_contributed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SrsInvalid, match="nobody has contributed to this file"):
        import_ptau(FIXTURES / "snarkjs-3-new.ptau", tmp_path / "srs")
    # And if the file says that somebody had: its tau is 1.
    data = bytearray((FIXTURES / "snarkjs-3-new.ptau").read_bytes())
    start, _ = sections(bytes(data))[7]
    data[start] = 1
    with pytest.raises(SrsInvalid, match=r"tau is 0 or \+-1"):
        import_ptau(changed(tmp_path, bytes(data)), tmp_path / "srs")


@pytest.mark.parametrize("length", [0, 3, 11, 20, 60, 1000, 30_000, -1])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(SrsInvalid):
        import_ptau(changed(tmp_path, SNARKJS.read_bytes()[:length]), tmp_path / "srs")


def test_a_file_with_something_behind_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SrsInvalid, match="follow the last one"):
        import_ptau(changed(tmp_path, SNARKJS.read_bytes() + b"more"), tmp_path / "srs")


def test_hostile_headers_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    data = SNARKJS.read_bytes()
    header, _ = sections(data)[1]
    start, _ = sections(data)[2]
    cases = {
        "no Powers of Tau": b"zkey" + data[4:],
        "version 2": data[:4] + struct.pack("<I", 2) + data[8:],
        "at most 64": data[:8] + struct.pack("<I", 2**32 - 1) + data[12:],
        "another curve": data[:header] + struct.pack("<I", 48) + data[header + 4 :],
        "is for another": data[: header + 4] + bytes(32) + data[header + 36 :],
        "power 99": data[: header + 36] + struct.pack("<I", 99) + data[header + 40 :],
        "with power 6 it has 8128": data[: header + 36] + struct.pack("<I", 6) + data[header + 40 :],
        "beyond the end": data[: start - 8] + struct.pack("<Q", 2**63) + data[start:],
        "twice": data[: start - 12] + struct.pack("<I", 1) + data[start - 8 :],
        "missing": data[: start - 12] + struct.pack("<I", 77) + data[start - 8 :],
    }
    for message, content in cases.items():
        with pytest.raises(SrsInvalid, match=message):
            import_ptau(changed(tmp_path, content), tmp_path / "srs")


def test_the_published_hash_is_compared(tmp_path: Path) -> None:
    right = blake2b(SNARKJS.read_bytes()).hexdigest()
    assert import_ptau(SNARKJS, tmp_path / "srs", 8, blake2b_hash=right.upper()).size == 8
    with pytest.raises(SrsInvalid, match="another file"):
        import_ptau(SNARKJS, tmp_path / "srs", 8, blake2b_hash=right[:-1] + "x")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SrsUnreadable):
        import_ptau(tmp_path / "none", tmp_path / "srs")
    with pytest.raises(SrsUnreadable):
        import_ptau(SNARKJS, tmp_path / "no folder" / "srs")
