"""From a request to a project that can be created: everything is checked that the contract, a witness or a trainer
would trip over later, then the spec is published and the transactions are written. Nothing is signed here."""

from __future__ import annotations

from hashlib import sha256

from cohort_protocol.chain.codec import contract_abi, encode_values
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.chain.types import ProjectTerms, Windows
from cohort_protocol.errors import InvalidInput, NotFound
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.scoring.policy import policy_by_name
from cohort_protocol.service.messages import ProjectDraft, ProjectRequest, TermsRequest, TransactionToSign
from cohort_protocol.spec import ProjectSpec
from cohort_protocol.update import decode_model, model_commitment, model_size
from eth_utils import keccak

from cohort_backend.database import Database
from cohort_backend.projects.errors import InitialModelRefused, SpecRefused, TermsRefused
from cohort_backend.projects.repository import store_spec

MAX_UINT128 = 2**128 - 1
MAX_UINT64 = 2**64 - 1


def draft_project(
    database: Database, market: Market, store: IpfsStore, verifier: str, request: ProjectRequest
) -> ProjectDraft:
    """Checks the request, publishes its spec, and returns the transactions that create and fund the project.

    Raises `TermsRefused`, `SpecRefused`, `InitialModelRefused`, `NoContract` (token), `IpfsUnavailable`,
    `ChainUnavailable`.
    """
    check_terms(request.terms, request.deposit)
    policy_hash = check_spec(request.spec)
    check_initial_model(store, request.spec)
    market.client.require_code(request.terms.token)
    content = request.spec.to_bytes()
    terms = chain_terms(request.terms, request.spec, policy_hash, verifier)
    cid = _publish(store, content)
    with database.write() as session:
        store_spec(session, content)
    return ProjectDraft(
        spec_cid=str(cid),
        terms_hash=to_hex(terms_hash(terms)),
        cost=_cost(request),
        transactions=funded(market, terms.token, request.deposit, market.create_project(terms, request.deposit)),
    )


def check_terms(terms: TermsRequest, deposit: int) -> None:
    """The bounds of `contracts/src/projects/TermsCheck.sol`, in words. Raises `TermsRefused`."""
    witnesses = len(terms.witnesses)
    for name in ("round_budget", "aggregator_fee", "stake"):
        _at_most(name, getattr(terms, name), MAX_UINT128)
    _at_most("score_floor", terms.score_floor, MAX_UINT64)
    _at_most("deposit", deposit, MAX_UINT128)
    _at_least("stake", terms.stake, 1)
    _at_least("score_floor", terms.score_floor, 1)
    _at_least("round_budget", terms.round_budget, terms.aggregator_fee + terms.slots)
    _at_most("min_trainers", terms.min_trainers, max(1, terms.slots // 2))
    _at_least("quorum", terms.quorum, witnesses // 2 + 1)
    _at_most("quorum", terms.quorum, witnesses)
    for name in ("witnesses", "aggregators"):
        values = [int(address, 16) for address in getattr(terms, name)]
        if values != sorted(set(values)) or 0 in values:
            raise TermsRefused(f"{name} must be different addresses in increasing order, as the contract stores them")


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


def check_initial_model(store: IpfsStore, spec: ProjectSpec) -> None:
    """Fetches the first model and compares it with the spec. Takes up to 400 MiB for the largest that is allowed.
    Raises `InitialModelRefused`, `IpfsUnavailable`."""
    try:
        data = store.get(Cid.parse(spec.model.initial_cid), model_size(spec.model.dimension))
        found = model_commitment(decode_model(data, spec.model.dimension))
    except (InvalidInput, NotFound) as error:
        raise InitialModelRefused(
            f"the first model {spec.model.initial_cid}: {error}. Put its bytes on the IPFS store of this service first"
        ) from error
    if found != parse_bytes32(spec.model.initial_commitment):
        raise InitialModelRefused(
            f"the first model at {spec.model.initial_cid} has commitment {to_hex(found)}, the spec says "
            f"{spec.model.initial_commitment}"
        )


def chain_terms(terms: TermsRequest, spec: ProjectSpec, policy_hash: bytes, verifier: str) -> ProjectTerms:
    """The terms as the contract takes them."""
    return ProjectTerms(
        token=terms.token,
        verifier=verifier,
        spec_digest=sha256(spec.to_bytes()).digest(),
        policy_hash=policy_hash,
        initial_model=parse_bytes32(spec.model.initial_commitment),
        round_budget=terms.round_budget,
        aggregator_fee=terms.aggregator_fee,
        stake=terms.stake,
        score_floor=terms.score_floor,
        rounds=terms.rounds,
        dimension=spec.model.dimension,
        slots=terms.slots,
        min_trainers=terms.min_trainers,
        quorum=terms.quorum,
        share_cap=terms.share_cap,
        windows=Windows(**terms.windows.model_dump()),
        witnesses=tuple(terms.witnesses),
        aggregators=tuple(terms.aggregators),
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


def _cost(request: ProjectRequest) -> dict[str, int]:
    terms = request.terms
    return {
        "per_round": terms.round_budget,
        "distributable_per_round": terms.round_budget - terms.aggregator_fee,
        "aggregator_fees": terms.aggregator_fee * terms.rounds,
        "total": terms.round_budget * terms.rounds,
        "deposit": request.deposit,
    }


def _at_least(name: str, found: int, least: int) -> None:
    if found < least:
        raise TermsRefused(f"{name} is {found}, at least {least} is allowed")


def _at_most(name: str, found: int, most: int) -> None:
    if found > most:
        raise TermsRefused(f"{name} is {found}, at most {most} is allowed")
