"""Fetching models by their commitment on chain. Where the bytes come from does not matter; what they are does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import structlog
from cohort_protocol.chain.events import RoundSettled
from cohort_protocol.errors import CohortError, Unavailable
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.learning.architecture import initial_weights
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.update import decode_model, model_from_floats, model_size

from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection
from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.home import Home
from cohort_trainer.projects import VerifiedProject

log = structlog.get_logger(__name__)

MODELS_KEPT = 4
"""Files in the home's models folder; the oldest go first."""


class ModelUnavailable(Unavailable):
    """No source gives the model that the chain's commitment names. Trying again later is right."""

    code = "model-unavailable"


class ModelSource:
    """Models of one project."""

    def __init__(self, connection: Connection, home: Home, project: VerifiedProject) -> None:
        self._connection = connection
        self._folder = home.models
        self._project = project
        self._size = model_size(project.terms.dimension)

    @property
    def _scheme(self) -> CommitmentScheme:
        return self._project.scheme(self._connection)

    def fetch(self, commitment: bytes, hints: Mapping[bytes, str]) -> np.ndarray:
        """The int64[d] model that opens `commitment` (32 bytes).

        `hints`: commitment -> CID, as the service tells; wrong ones only cost time. Raises `ModelUnavailable`, and as
        `Connection.scheme`.
        """
        kept = read_bounded(self._path(commitment), self._size)
        if kept is not None and (model := self._opened(kept, commitment, "the home folder")) is not None:
            return model
        if commitment == self._project.terms.initial_model and (first := self._first_model()) is not None:
            return first
        reasons = []
        for cid, origin in self._sources(commitment, hints):
            try:
                data = self._connection.store.get(cid, self._size)
            except CohortError as error:
                reasons.append(f"{cid} ({origin}): {error}")
                continue
            model = self._opened(data, commitment, f"{cid} ({origin})")
            if model is not None:
                write_durably(self._path(commitment), data)
                self._drop_old()
                return model
            reasons.append(f"{cid} ({origin}) holds another model")
        raise ModelUnavailable(
            f"the model {to_hex(commitment)} of project {self._project.id} cannot be fetched: "
            f"{'; '.join(reasons) or 'nobody names a CID for it'}"
        )

    def _sources(self, commitment: bytes, hints: Mapping[bytes, str]) -> Iterator[tuple[Cid, str]]:
        """CIDs to try; the chain is only searched when the service's hint did not do."""
        tried = set()
        hinted = hints.get(commitment)
        if hinted is not None:
            try:
                cid = Cid.parse(hinted)
            except CohortError as error:
                log.warning("service-hint-malformed", detail=str(error))
            else:
                tried.add(cid)
                yield cid, "named by the service"
        if commitment == self._project.terms.initial_model:
            cid = Cid.parse(self._project.spec.model.initial_cid)
            if cid not in tried:
                tried.add(cid)
                yield cid, "named by the spec"
        for cid in self._cids_on_chain(commitment):
            if cid not in tried:
                yield cid, "named on chain"

    def _cids_on_chain(self, commitment: bytes) -> list[Cid]:
        config = self._connection.config
        settled = find_events(
            self._connection.chain, config.market, RoundSettled, [self._project.id], config.start_block
        )
        models = [event.next_model for event in reversed(settled)]
        return [Cid.from_bytes(model.cid) for model in models if model.commitment == commitment]

    def _first_model(self) -> np.ndarray | None:
        """Made from the seed in the spec; None if the owner pinned other weights."""
        spec = self._project.spec.model
        model = model_from_floats(initial_weights(self._project.architecture, spec.seed), spec.exponent)
        return model if self._scheme.model(model) == self._project.terms.initial_model else None

    def _opened(self, data: bytes, commitment: bytes, origin: str) -> np.ndarray | None:
        try:
            model = decode_model(data, self._project.terms.dimension)
        except CohortError as error:
            log.warning("model-malformed", source=origin, detail=str(error))
            return None
        if self._scheme.model(model) != commitment:
            log.warning("model-is-another", source=origin, wanted=to_hex(commitment))
            return None
        return model

    def _path(self, commitment: bytes):
        return self._folder / f"{commitment.hex()}.safetensors"

    def _drop_old(self) -> None:
        files = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MODELS_KEPT]:
            path.unlink(missing_ok=True)
