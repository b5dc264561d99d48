"""The commitment scheme of a project: with which structured reference string, and whether that is the right one.

An attested project needs none. A proven one needs the very string that its verifier contract was made with: the
contract keeps [tau]_2 in its code, whose hash the project's terms pin. Commitments made with another string prove
nothing there.
"""

from __future__ import annotations

import os
from pathlib import Path

from cohort_protocol.errors import InvalidInput
from cohort_protocol.proof.curve import Twist
from cohort_protocol.proof.errors import ProofError
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.proof.srs import DEVNET_CHAIN, Srs, open_srs
from cohort_protocol.spec import Settlement


class SrsMissing(ProofError, InvalidInput):
    """A proven project asks for a structured reference string, and none was named or it is not there."""

    code = "srs-missing"


class SrsOther(ProofError, InvalidInput):
    """The structured reference string is not the one that the project's verifier was made with."""

    code = "srs-other"


def scheme_of(settlement: Settlement, srs: Srs | None) -> CommitmentScheme:
    """The scheme of a project. srs: opened by `project_srs`; an attested project takes none.

    Raises `SrsMissing`, `CurveLibraryMissing`."""
    if settlement == "attested":
        return KECCAK
    if srs is None:
        raise SrsMissing(_how_to_get_one("This project's rounds are proven, and no SRS file was named", 0))
    # Brings the curve library in.
    from cohort_protocol.proof.kzg_scheme import KzgScheme

    return KzgScheme(srs)


def project_srs(path: Path | None, dimension: int, tau_g2: Twist, chain_id: int) -> Srs:
    """The string of a proven project, checked against it.

    path: the file; dimension: parameters of the model; tau_g2: as the verifier contract has it. Raises `SrsMissing`,
    `SrsTooSmall`, `SrsInvalid`, `SrsUnreadable`, `SrsOther`, `SrsInsecure`, `CurveLibraryMissing`."""
    if path is None:
        raise SrsMissing(
            _how_to_get_one("This project's rounds are proven, and no SRS file was named (--srs FILE)", dimension)
        )
    # Not `Path.is_file`, which raises for a name that is too long for the file system.
    if not os.path.isfile(path):
        raise SrsMissing(_how_to_get_one(f"There is no SRS file {path}", dimension))
    srs = open_srs(path, dimension)
    if srs.tau_g2 != tau_g2:
        raise SrsOther(
            f"{path} ({srs.origin or 'of unknown origin'}) is not the SRS that the project's verifier contract was "
            f"made with: its [tau]_2 begins with {srs.tau_g2[0]:#x}, the contract's with {tau_g2[0]:#x}. Commitments "
            "made with it would prove nothing; ask the market's operator which file to import"
        )
    srs.require_for_chain(chain_id)
    return srs


def _how_to_get_one(what: str, dimension: int) -> str:
    powers = f" with at least {dimension} powers" if dimension else ""
    return (
        f"{what}. It is a file of public points{powers}: `cohort srs import` makes it from a Perpetual Powers of Tau "
        f"file (.ptau), `cohort srs devnet` for a local chain (id {DEVNET_CHAIN}; the demo makes its own)"
    )
