"""The commitment schemes of all projects that a process deals with: each made once, when it is first asked for."""

from __future__ import annotations

import threading
from pathlib import Path

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.project_srs import project_srs
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.proof.srs import Srs
from cohort_protocol.spec import Settlement


class Schemes:
    """Schemes by verifier contract. Safe under threads."""

    def __init__(self, client: ChainClient, srs: Path | None) -> None:
        """srs: file of the reference string; None: only attested projects can be dealt with."""
        self._client = client
        self._file = srs
        self._lock = threading.Lock()
        self._known: dict[str, KzgScheme] = {}

    def of(self, settlement: Settlement, verifier: str, dimension: int) -> CommitmentScheme:
        """The scheme of a project. verifier: its verifier contract, from the terms on chain.

        Raises what `project_srs` raises, and `ChainUnavailable`."""
        return KECCAK if settlement == "attested" else self.kzg(verifier, dimension)

    def srs(self, verifier: str, dimension: int) -> Srs:
        """The reference string of a proven project. Raises as `of`."""
        return self.kzg(verifier, dimension).srs

    def kzg(self, verifier: str, dimension: int) -> KzgScheme:
        """The scheme of a proven project. Raises as `of`."""
        with self._lock:
            known = self._known.get(verifier)
            if known is None or known.srs.size < dimension:
                tau_g2 = ProvenVerifier(self._client, verifier).tau_g2()
                known = KzgScheme(project_srs(self._file, dimension, tau_g2, self._client.chain_id))
                self._known[verifier] = known
            return known
