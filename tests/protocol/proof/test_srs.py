"""Files of reference strings: what is checked, and what is refused."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.proof.curve import G2_GENERATOR, GENERATOR, Point, multiply_twist, negate
from cohort_protocol.proof.errors import SrsInsecure, SrsInvalid, SrsTooSmall, SrsUnreadable
from cohort_protocol.proof.srs import (
    HEADER_BYTES,
    Srs,
    make_insecure_srs,
    open_srs,
    slice_srs,
    verify_powers,
    write_srs,
)
from cohort_trainer.cli import app
from typer.testing import CliRunner

from tests.protocol.proof.plain import tau_of, times

SIZE = 20


@pytest.fixture
def srs(tmp_path: Path) -> Srs:
    return make_insecure_srs(tmp_path / "srs", SIZE, "one")


def rewritten(srs: Srs, at: int, data: bytes) -> Path:
    """The file with some bytes replaced, and the digest of its points made right again."""
    content = bytearray(srs.path.read_bytes())
    content[at : at + len(data)] = data
    content[160:192] = sha256(content[HEADER_BYTES:]).digest()
    path = srs.path.with_name("changed")
    path.write_bytes(bytes(content))
    return path


def test_the_powers_are_those_of_the_secret(srs: Srs) -> None:
    tau = tau_of("one")
    assert [srs.power(k) for k in range(SIZE)] == [Point(*times(pow(tau, k))) for k in range(SIZE)]
    assert srs.tau_g2 == multiply_twist(G2_GENERATOR, tau)
    assert srs.insecure
    assert "insecure" in srs.origin
    verify_powers(srs)


def test_a_string_longer_than_its_small_tables(tmp_path: Path) -> None:
    """Beyond 2^14 powers another window width is used."""
    long = make_insecure_srs(tmp_path / "long", (1 << 14) + 3, "one")
    tau = tau_of("one")
    assert long.power(1 << 14) == Point(*times(pow(tau, 1 << 14)))
    verify_powers(long)


def test_the_same_seed_makes_the_same_file(srs: Srs, tmp_path: Path) -> None:
    again = make_insecure_srs(tmp_path / "again", SIZE, "one")
    other = make_insecure_srs(tmp_path / "other", SIZE, "two")
    assert again.path.read_bytes() == srs.path.read_bytes()
    assert again.digest == srs.digest != other.digest


def test_insecure_ones_are_for_a_local_chain(srs: Srs) -> None:
    srs.require_for_chain(31337)
    for chain in (1, 10, 11155111):
        with pytest.raises(SrsInsecure, match=f"chain id is {chain}"):
            srs.require_for_chain(chain)


def test_a_slice_is_the_start(srs: Srs, tmp_path: Path) -> None:
    small = slice_srs(srs, tmp_path / "small", 7)
    assert (small.size, small.tau_g2, small.insecure, small.origin) == (7, srs.tau_g2, True, srs.origin)
    assert (small.points == srs.points[:7]).all()
    with pytest.raises(SrsTooSmall):
        slice_srs(srs, tmp_path / "large", SIZE + 1)
    with pytest.raises(SrsTooSmall, match=f"{SIZE} powers, 21"):
        open_srs(srs.path, 21)


@pytest.mark.parametrize("length", [0, 15, HEADER_BYTES, HEADER_BYTES + 64 * SIZE - 1, HEADER_BYTES + 64 * SIZE + 1])
def test_a_file_of_another_length_is_refused(srs: Srs, length: int) -> None:
    content = srs.path.read_bytes().ljust(length, b"\0")
    srs.path.write_bytes(content[:length])
    with pytest.raises(SrsInvalid):
        open_srs(srs.path)


@pytest.mark.parametrize(
    "at", [0, 16, 20, 24, 31, 32, 159, 160, 448, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 700]
)
def test_every_changed_byte_that_matters_is_seen(srs: Srs, at: int) -> None:
    content = bytearray(srs.path.read_bytes())
    content[at] ^= 2
    srs.path.write_bytes(bytes(content))
    with pytest.raises(SrsInvalid):
        open_srs(srs.path)


def test_the_insecure_flag_is_in_the_digest(srs: Srs, tmp_path: Path) -> None:
    """Whoever takes it off has another file."""
    content = bytearray(srs.path.read_bytes())
    content[20] = 0
    (tmp_path / "whitewashed").write_bytes(bytes(content))
    assert open_srs(tmp_path / "whitewashed").digest != srs.digest


@pytest.mark.parametrize("index", [2, 9, SIZE - 1])
def test_a_point_off_the_curve_is_named(srs: Srs, index: int) -> None:
    path = rewritten(srs, HEADER_BYTES + 64 * index, b"\x01\x02")
    with pytest.raises(SrsInvalid, match=f"power {index} is not a point"):
        verify_powers(open_srs(path))


def test_infinity_is_no_power(srs: Srs) -> None:
    path = rewritten(srs, HEADER_BYTES + 64 * 5, bytes(64))
    with pytest.raises(SrsInvalid, match="power 5"):
        verify_powers(open_srs(path))


def test_powers_that_do_not_follow_are_refused(srs: Srs) -> None:
    """The last one, too, which only stands on one side of the check."""
    for index in (2, SIZE - 1):
        path = rewritten(srs, HEADER_BYTES + 64 * index, srs.points[3].tobytes())
        with pytest.raises(SrsInvalid, match="not tau times"):
            verify_powers(open_srs(path))


def test_a_string_starts_with_the_generator_and_a_real_tau(tmp_path: Path) -> None:
    def write(points: list[Point], twist) -> Srs:
        block = np.frombuffer(b"".join(point.memory()[:64] for point in points), np.uint8).reshape(-1, 64)
        return write_srs(tmp_path / "made", len(points), twist, iter([block]), insecure=False, origin="made")

    two, four = Point(*times(2)), Point(*times(4))
    double = multiply_twist(G2_GENERATOR, 2)
    assert write([GENERATOR, two, four], double).size == 3
    for points, twist, message in (
        ([two, four], double, "generator"),
        ([GENERATOR, GENERATOR], G2_GENERATOR, "0 or"),
        ([GENERATOR, negate(GENERATOR)], multiply_twist(G2_GENERATOR, -1), "0 or"),
        ([GENERATOR, four], double, "different exponents"),
        ([GENERATOR, two], (1, 2, 3, 4), "G2"),
        ([GENERATOR], double, "1 powers"),
    ):
        with pytest.raises(SrsInvalid, match=message):
            write(points, twist)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_progress_is_told(srs: Srs) -> None:
    told = []
    verify_powers(srs, lambda *what: told.append(what))
    assert told == [("points", SIZE, SIZE)]


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(SrsUnreadable):
        open_srs(tmp_path)
    with pytest.raises(SrsUnreadable):
        make_insecure_srs(tmp_path / "no" / "folder", SIZE, "one")


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    """Whoever is root and gives /dev/null for the output must not be left without one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SrsUnreadable, match="name another"):
        make_insecure_srs(pipe, SIZE, "one")
    assert pipe.is_fifo()


def test_the_commands(tmp_path: Path) -> None:
    """`cohort srs`: import, slice, check, show, devnet; an error has its exit code."""
    fixture = Path(__file__).parent / "fixtures" / "snarkjs-7.ptau"
    large, small, devnet = (str(tmp_path / name) for name in ("large", "small", "devnet"))

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["srs", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "100 powers" in run("import", str(fixture), large, "--size", "100")
    assert '"size": 10' in run("slice", large, small, "--size", "10", "--json")
    assert "snarkjs-7.ptau" in run("check", small)
    assert '"insecure": false' in run("show", small, "--json")
    assert "INSECURE" in run("devnet", devnet, "--size", "8", "--seed", "x")
    assert CliRunner().invoke(app, ["srs", "show", str(fixture)]).exit_code == 44
