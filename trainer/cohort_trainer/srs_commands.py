"""`cohort srs ...`: the reference strings that commitments of proven projects are made with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_protocol.proof.srs import Progress, Srs

app = typer.Typer(
    no_args_is_help=True,
    help="Import, check and cut the reference strings (SRS) of proven projects.\n\nEverybody who commits, proves or "
    "checks openings needs the file; the contract has its point of G2, which all files from one ceremony share.",
    epilog="Start: take a file of the Perpetual Powers of Tau, such as powersOfTau28_hez_final_20.ptau, then "
    "cohort srs import powersOfTau28_hez_final_20.ptau ~/cohort.srs --size 1048576 --blake2b HASH",
)

FileArgument = Annotated[Path, typer.Argument(help="A file made by `cohort srs`.")]
TargetArgument = Annotated[Path, typer.Argument(help="File to write. An existing one is replaced when all is well.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command(name="import")
def import_(
    source: Annotated[Path, typer.Argument(help="A .ptau file (BN254, `bn128` in snarkjs).")],
    target: TargetArgument,
    size: Annotated[int | None, typer.Option(min=2, help="Powers to take: the largest d. Default: all.")] = None,
    blake2b: Annotated[str | None, typer.Option(help="The file's published BLAKE2b-512 hash, hex.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take the powers out of a Powers of Tau file, and check every one of them.

    Checked: sections and sizes, the curve, every point, and by a pairing that each power is tau times the one before.
    That nobody knows tau is the ceremony's word: compare the hash that it published.

    Example:

    cohort srs import powersOfTau28_hez_final_20.ptau ~/cohort.srs --size 1048576
    """
    from cohort_protocol.proof.ptau import import_ptau

    srs = import_ptau(source, target, size, _bar(), blake2b_hash=blake2b)
    _show(srs, as_json)


@app.command()
def devnet(
    target: TargetArgument,
    size: Annotated[int, typer.Option(min=2, help="Powers: the largest d.")],
    seed: Annotated[str, typer.Option(help="Any words; they are the secret, and not one.")] = "devnet",
    as_json: JsonOption = False,
) -> None:
    """Make an insecure string for a local chain: its secret follows from the seed. Refused off chain id 31337.

    Example:

    cohort srs devnet devnet.srs --size 65536
    """
    from cohort_protocol.proof.srs import make_insecure_srs

    _show(make_insecure_srs(target, size, seed), as_json)


@app.command()
def show(file: FileArgument, as_json: JsonOption = False) -> None:
    """What a file is: size, digest, point of G2, where it comes from. Compares the digest of its points.

    Example:

    cohort srs show ~/cohort.srs
    """
    from cohort_protocol.proof.srs import open_srs

    _show(open_srs(file), as_json)


@app.command()
def check(file: FileArgument, as_json: JsonOption = False) -> None:
    """Check every point of a file and the relation of its powers once more, as `import` does.

    Example:

    cohort srs check ~/cohort.srs
    """
    from cohort_protocol.proof.srs import open_srs, verify_powers

    srs = open_srs(file)
    verify_powers(srs, _bar())
    _show(srs, as_json)


@app.command(name="slice")
def slice_(
    file: FileArgument,
    target: TargetArgument,
    size: Annotated[int, typer.Option(min=2, help="Powers to keep: d of the project.")],
    as_json: JsonOption = False,
) -> None:
    """Write the first powers of a file to a smaller one. Commitments stay the same.

    Example:

    cohort srs slice ~/cohort.srs ~/small.srs --size 65536
    """
    from cohort_protocol.proof.srs import open_srs, slice_srs

    _show(slice_srs(open_srs(file, size), target, size), as_json)


def _show(srs: Srs, as_json: bool) -> None:
    found = {
        "path": str(srs.path),
        "size": srs.size,
        "insecure": srs.insecure,
        "digest": f"0x{srs.digest.hex()}",
        "tau_g2": [f"0x{value:064x}" for value in srs.tau_g2],
        "origin": srs.origin,
    }
    if as_json:
        print(json.dumps(found))
        return
    print(f"{srs.path}: {srs.size} powers of tau; vectors of at most so many entries can be committed to")
    print(f"  from      {srs.origin}")
    print(f"  digest    {found['digest']}")
    for name, value in zip(("x imaginary", "x real", "y imaginary", "y real"), srs.tau_g2, strict=True):
        print(f"  [tau]_2   0x{value:064x} {name}")
    if srs.insecure:
        print("  INSECURE: its secret is known. For a local chain (chain id 31337) only.")


def _bar() -> Progress | None:
    """One line that is written over, on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(what: str, done: int, total: int) -> None:
        print(f"\r{what}: {100 * done // total}%", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
