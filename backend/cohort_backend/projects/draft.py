"""From a request to a project that can be created: everything is checked that the contract, a witness or a trainer
would trip over later, then the spec is published and the transactions are written. Nothing is signed here."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import contract_abi, encode_values
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.chain.terms import TermsOutOfBounds
from cohort_protocol.chain.terms import check_terms as check_bounds
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.chain.types import Profile, ProjectTerms, Windows
from cohort_protocol.errors import InvalidInput, NotFound
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.proof.schemes import Schemes
from cohort_protocol.scoring import PolicyNeedsUnmet, check_needs, policy_by_name
from cohort_protocol.sealing.errors import ReadersInvalid
from cohort_protocol.sealing.project import check_readers
from cohort_protocol.service.messages import ProjectDraft, ProjectRequest, TermsRequest, TransactionToSign
from cohort_protocol.spec import ProjectSpec
from cohort_protocol.update import decode_model, model_size
from eth_utils import keccak

from cohort_backend.database import Database
from cohort_backend.projects.errors import InitialModelRefused, SpecRefused, TermsRefused
from cohort_backend.projects.repository import store_spec

MAX_UINT112 = 2**112 - 1
MAX_UINT64 = 2**64 - 1

_HINTS = {
    "stake": "a trainer must stand to lose 2 D / slots, two average shares of what a round distributes (D = "
    "round_budget - fees)",
    "bond": "the aggregator of a round must stand to lose half of the round_budget",
    "roundBudget": "it has to cover the aggregator's and the protocol's fee and one base unit per slot",
    "minTrainers": "at most half of the slots, so that a void round stays rare",
    "quorum": "a majority of the witnesses",
    "selfCommit window": "shorter than the commit window, and long enough for trainers to act by themselves",
}
"""Why a bound is there, by the contract's name for it."""


_SAME_NAME = (
    "round_budget",
    "aggregator_fee",
    "stake",
    "bond",
    "score_floor",
    "rounds",
    "min_reliability",
    "slots",
    "min_trainers",
    "quorum",
    "share_cap",
)
"""Terms that are in the request as they go on chain."""


class ProjectContracts(NamedTuple):
    """Addresses that new projects name besides the market's, and how they commit to models."""

    verifier: str
    policy: str
    schemes: Schemes
    proven_verifier: str | None = None
    """Of projects whose rounds prove themselves; None: this service takes none."""

    def verifier_of(self, spec: ProjectSpec) -> str:
        """The verifier that fits the spec. Raises `SpecRefused`."""
        if spec.settlement == "attested":
            return self.verifier
        if self.proven_verifier is None:
            raise SpecRefused(
                "the spec asks for rounds that prove themselves, and this service has no verifier for them: ask its "
                "operator for COHORT_PROVEN_VERIFIER and COHORT_SRS, or create an attested project"
            )
        return self.proven_verifier


def draft_project(
    database: Database, market: Market, store: IpfsStore, contracts: ProjectContracts, request: ProjectRequest
) -> ProjectDraft:
    """Checks the request, publishes its spec, and returns the transactions that create and fund the project.

    Raises `TermsRefused`, `SpecRefused`, `InitialModelRefused`, `NoContract` (token, verifier or policy),
    `IpfsUnavailable`, `ChainUnavailable`.
    """
    policy_hash = check_spec(request.spec)
    profile = market.profile()
    terms = check_terms(market, contracts, profile, request, policy_hash)
    check_policy_needs(request.spec, terms)
    market.client.require_code(request.terms.token)
    check_proven(market.client, contracts, request.spec, policy_hash)
    scheme = contracts.schemes.of(request.spec.settlement, terms.verifier, request.spec.model.dimension)
    check_initial_model(store, request.spec, scheme)
    content = request.spec.to_bytes()
    cid = _publish(store, content)
    with database.write() as session:
        store_spec(session, content)
    return ProjectDraft(
        spec_cid=str(cid),
        terms_hash=to_hex(terms_hash(terms)),
        cost=_cost(terms, profile, request.deposit),
        transactions=funded(market, terms.token, request.deposit, market.create_project(terms, request.deposit)),
    )


def check_terms(
    market: Market, contracts: ProjectContracts, profile: Profile, request: ProjectRequest, policy_hash: bytes
) -> ProjectTerms:
    """The terms as the contract takes them. Raises `TermsRefused` for what `TermsCheck.sol` refuses, in words, and
    `SpecRefused` for readers of a private project that are not those of the terms."""
    for name in ("round_budget", "aggregator_fee", "stake", "bond"):
        _at_most(name, getattr(request.terms, name), MAX_UINT112)
    _at_most("score_floor", request.terms.score_floor, MAX_UINT64)
    _at_most("deposit", request.deposit, MAX_UINT112)
    terms = chain_terms(market.client, contracts, request.terms, request.spec, policy_hash)
    try:
        check_bounds(terms, profile)
    except TermsOutOfBounds as error:
        hint = f": {_HINTS[error.what]}" if error.what in _HINTS else ""
        raise TermsRefused(f"{error}{hint}") from error
    try:
        check_readers(request.spec, terms)
    except ReadersInvalid as error:
        raise SpecRefused(str(error)) from error
    return terms


def check_spec(spec: ProjectSpec) -> bytes:
    """Architecture and policy exist and take these parameters. Returns the policy's hash. Raises `SpecRefused`."""
    try:
        architecture = parse_architecture(spec.model.family, spec.model.config, spec.data)
        policy_hash = policy_by_name(spec.policy.name, spec.policy.params).policy_hash()
    except (InvalidInput, NotFound) as error:
        raise SpecRefused(f"the spec cannot be used: {error}") from error
    if architecture.dimension != spec.model.dimension:
        raise SpecRefused(
            f"the spec says dimension {spec.model.dimension}, its architecture has {architecture.dimension} parameters"
        )
    return policy_hash


def check_policy_needs(spec: ProjectSpec, terms: ProjectTerms) -> None:
    """A policy that reads validation batches needs terms that fix them. Raises `SpecRefused`."""
    try:
        check_needs(spec.policy.name, batches=any(terms.validation_root))
    except PolicyNeedsUnmet as error:
        raise SpecRefused(f"the spec cannot be used: {error}") from error


def check_proven(client: ChainClient, contracts: ProjectContracts, spec: ProjectSpec, policy_hash: bytes) -> None:
    """A proven project's policy has to be the one that its verifier runs. Raises `SpecRefused`, `NoContract`."""
    if spec.settlement == "attested":
        return
    needed = ProvenVerifier(client, contracts.verifier_of(spec)).policy_hash()
    if policy_hash != needed:
        raise SpecRefused(
            f"the spec's policy {spec.policy.name!r} has the hash {to_hex(policy_hash)}, rounds are proven of the "
            f"policy {to_hex(needed)} only: take `default` without parameters, or an attested project"
        )


def check_initial_model(store: IpfsStore, spec: ProjectSpec, scheme: CommitmentScheme) -> None:
    """Fetches the first model and compares it with the spec. scheme: the project's. Takes up to 400 MiB for the
    largest that is allowed. Raises `InitialModelRefused`, `IpfsUnavailable`."""
    try:
        data = store.get(Cid.parse(spec.model.initial_cid), model_size(spec.model.dimension))
        found = scheme.model(decode_model(data, spec.model.dimension))
    except (InvalidInput, NotFound) as error:
        raise InitialModelRefused(
            f"the first model {spec.model.initial_cid}: {error}. Put its bytes on the IPFS store of this service first"
        ) from error
    if found != parse_bytes32(spec.model.initial_commitment):
        raise InitialModelRefused(
            f"the first model at {spec.model.initial_cid} has commitment {to_hex(found)}, the spec says "
            f"{spec.model.initial_commitment}"
        )


def chain_terms(
    client: ChainClient, contracts: ProjectContracts, terms: TermsRequest, spec: ProjectSpec, policy_hash: bytes
) -> ProjectTerms:
    """The terms as the contract takes them, with the code that verifier and policy have now. Raises `NoContract`."""
    verifier = contracts.verifier_of(spec)
    return ProjectTerms(
        token=terms.token,
        verifier=verifier,
        policy=contracts.policy,
        verifier_code_hash=client.require_code(verifier),
        policy_code_hash=client.require_code(contracts.policy),
        spec_digest=sha256(spec.to_bytes()).digest(),
        policy_hash=policy_hash,
        initial_model=parse_bytes32(spec.model.initial_commitment),
        validation_root=parse_bytes32(terms.validation_root),
        access_root=parse_bytes32(terms.access_root),
        dimension=spec.model.dimension,
        exponent=spec.model.exponent,
        windows=Windows(**terms.windows.model_dump()),
        witnesses=tuple(terms.witnesses),
        aggregators=tuple(terms.aggregators),
        **{name: getattr(terms, name) for name in _SAME_NAME},
    )


def terms_hash(terms: ProjectTerms) -> bytes:
    """keccak256(abi.encode(terms)): names the terms in a draft."""
    parameter = contract_abi("CohortMarket").functions["createProject"].inputs[0]
    return keccak(encode_values([parameter], [terms], "terms"))


def funded(market: Market, token: str, amount: int, request: TransactionRequest) -> list[TransactionToSign]:
    """The transaction, after the allowance that it needs if it takes any tokens."""
    if amount == 0:
        return [to_sign(request)]
    return [to_sign(Token(market.client, token).approve(market.address, amount)), to_sign(request)]


def to_sign(request: TransactionRequest) -> TransactionToSign:
    return TransactionToSign(
        to=request.to, data=to_hex(request.data), value=request.value, description=request.describe
    )


def _publish(store: IpfsStore, content: bytes) -> Cid:
    cid = store.put(content)
    assert cid == Cid.of_block(RAW, content), "a spec is one raw block"
    return cid


def _cost(terms: ProjectTerms, profile: Profile, deposit: int) -> dict[str, int]:
    return {
        "per_round": terms.round_budget,
        "distributable_per_round": terms.distributable(profile.protocol_fee_bps),
        "protocol_fee_per_round": terms.protocol_fee(profile.protocol_fee_bps),
        "aggregator_fees": terms.aggregator_fee * terms.rounds,
        "total": terms.round_budget * terms.rounds,
        "deposit": deposit,
    }


def _at_most(name: str, found: int, most: int) -> None:
    if found > most:
        raise TermsRefused(f"{name} is {found}, at most {most} is allowed")
