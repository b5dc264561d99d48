"""A project as this trainer has verified it: terms from the chain, spec by its digest, and both in agreement."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import structlog
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.commitments import MarketId
from cohort_protocol.errors import InvalidInput, NotFound, Unavailable
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.errors import ContentNotFound, IpfsUnavailable
from cohort_protocol.learning.architecture import Architecture, parse_architecture
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.scoring import check_needs, policy_by_name
from cohort_protocol.sealing.project import Sealing, check_readers, sealing_of
from cohort_protocol.service.errors import ServiceError
from cohort_protocol.spec import MAX_SPEC_BYTES, ProjectSpec

from cohort_trainer.connection import Connection
from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.errors import ProjectUnsafe
from cohort_trainer.home import Home, HomeConfig

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class VerifiedProject:
    """Everything here follows from the chain."""

    id: int
    owner: str
    terms: ProjectTerms
    spec: ProjectSpec
    spec_cid: Cid
    architecture: Architecture
    identity: MarketId
    """What signatures for this project are bound to."""
    distributable: int
    """D: the most that a round pays to its trainers, base units."""

    def scheme(self, connection: Connection) -> CommitmentScheme:
        """How its updates and models are committed to. Raises as `Connection.scheme`."""
        return connection.scheme(self.spec.settlement, self.terms.verifier, self.terms.dimension)

    @property
    def sealing(self) -> Sealing:
        """How its updates are published: as they are, or sealed for its witnesses and aggregators."""
        return sealing_of(self.spec, self.identity.chain_id, self.identity.market, self.id)


def verify_project(connection: Connection, home: Home, project: int) -> VerifiedProject:
    """Reads and checks a project. Keeps the spec in the home, so that a restart needs no IPFS.

    Raises `UnknownProject`, `ProjectUnsafe`, and `Unavailable` where chain or IPFS do not answer.
    """
    terms = connection.market.terms_of(project)
    spec_cid = Cid(RAW, terms.spec_digest)
    data = _spec_bytes(connection, home, project, spec_cid)
    try:
        spec = ProjectSpec.from_bytes(data)
        architecture = parse_architecture(spec.model.family, spec.model.config, spec.data)
        policy_hash = policy_by_name(spec.policy.name, spec.policy.params).policy_hash()
        check_needs(spec.policy.name, batches=any(terms.validation_root))
        check_readers(spec, terms)
    except (InvalidInput, NotFound) as error:
        raise ProjectUnsafe(f"project {project}: its spec {spec_cid} cannot be used here: {error}") from error
    checks = {
        "dimension of the model": (spec.model.dimension, architecture.dimension),
        "dimension in the terms": (terms.dimension, architecture.dimension),
        "exponent in the terms": (terms.exponent, spec.model.exponent),
        "first model": (terms.initial_model, parse_bytes32(spec.model.initial_commitment)),
        "scoring policy": (terms.policy_hash, policy_hash),
        "verifier": (terms.verifier, expected_verifier(connection.config, project, spec)),
    }
    if spec.settlement == "proven":
        proven_policy = ProvenVerifier(connection.chain, terms.verifier).policy_hash()
        checks["policy that the verifier proves"] = (policy_hash, proven_policy)
    for what, (found, expected) in checks.items():
        if found != expected:
            raise ProjectUnsafe(
                f"project {project}: {what} is {_shown(found)}, expected {_shown(expected)}. Terms on chain, spec and "
                "this program do not agree on what would be trained and how it would be paid; do not join"
            )
    return VerifiedProject(
        id=project,
        owner=connection.market.owner_of(project),
        terms=terms,
        spec=spec,
        spec_cid=spec_cid,
        architecture=architecture,
        identity=connection.market.identity(project),
        distributable=connection.market.distributable_of(project),
    )


def expected_verifier(config: HomeConfig, project: int, spec: ProjectSpec) -> str:
    """The verifier of this home's market for projects of this kind. Raises `ProjectUnsafe` if the home names none."""
    if spec.settlement == "attested":
        return config.verifier
    if config.proven_verifier is None:
        raise ProjectUnsafe(
            f"project {project} is proven, and this home names no verifier of proven rounds: take its address from a "
            'source you trust and add proven_verifier = "0x..." to config.toml, and srs = "FILE" (`cohort srs --help`)'
        )
    return config.proven_verifier


def _spec_bytes(connection: Connection, home: Home, project: int, cid: Cid) -> bytes:
    """The spec's bytes from the home, IPFS or the service: whoever gives them, the digest on chain decides."""
    path = home.project_folder(project) / "spec.json"
    kept = read_bounded(path, MAX_SPEC_BYTES)
    if kept is not None and cid.matches(kept):
        return kept
    try:
        data = connection.store.get(cid, MAX_SPEC_BYTES)
    except (ContentNotFound, Unavailable) as error:
        data = _spec_from_service(connection, project, cid)
        if data is None:
            raise IpfsUnavailable(f"the spec {cid} of project {project} cannot be fetched: {error}") from error
    write_durably(path, data)
    return data


def _spec_from_service(connection: Connection, project: int, cid: Cid) -> bytes | None:
    try:
        spec = connection.service.project(project).spec
    except ServiceError as error:
        log.debug("spec-not-from-service", detail=str(error))
        return None
    data = spec.to_bytes() if spec is not None else b""
    return data if sha256(data).digest() == cid.digest else None


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
