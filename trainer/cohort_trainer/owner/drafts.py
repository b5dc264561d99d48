"""From an owner's files to a project: first model, spec, terms, and the two transactions that create it.

The transactions are built here from what the owner asked for. The service returns its own; they must be the same bytes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from cohort_protocol.chain import Market, Token, TransactionRequest
from cohort_protocol.chain.codec import decode_values
from cohort_protocol.chain.terms import TermsOutOfBounds, check_terms, minimum_bond, minimum_stake
from cohort_protocol.chain.types import BASIS_POINTS, Profile, ProjectTerms, Windows
from cohort_protocol.errors import InvalidInput, NotFound
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.learning.architecture import initial_weights, parse_architecture
from cohort_protocol.learning.data import Dataset
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.round_rows import reads_batch
from cohort_protocol.scoring import PolicyNeedsUnmet, check_needs, policy_by_name
from cohort_protocol.sealing.errors import ReadersInvalid
from cohort_protocol.sealing.project import check_readers
from cohort_protocol.service.messages import ProjectDraft, TermsRequest
from cohort_protocol.spec import (
    DataSpec,
    HyperParameters,
    ModelSpec,
    PolicySpec,
    ProjectSpec,
    PublicKeyText,
    Settlement,
    SpecModel,
)
from cohort_protocol.standing import standing_weight
from cohort_protocol.update import encode_model, model_from_floats
from eth_abi.exceptions import DecodingError
from pydantic import BaseModel, Field, ValidationError

from cohort_trainer.access_lists import AccessList
from cohort_trainer.amounts import parse_amount
from cohort_trainer.durable_files import read_bounded
from cohort_trainer.errors import DraftTampered, OwnerInputInvalid
from cohort_trainer.owner.batches import BatchPlan, plan_batches
from cohort_trainer.owner.rules import MarketRules

MAX_FILE_BYTES = 256 * 1024
AMOUNTS = ("round_budget", "aggregator_fee", "stake", "bond")

M = TypeVar("M", bound=BaseModel)


class ModelDraft(SpecModel):
    """The model section of an owner's spec file: the spec's, without what follows from it."""

    family: Annotated[str, Field(min_length=1, max_length=64)]
    config: dict[str, Any] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    exponent: Annotated[int, Field(ge=-30, le=0)] = -14


class SpecDraft(SpecModel):
    """An owner's spec file. First weights, their CID and commitment, and the dimension are computed from it."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=4000)] = ""
    model: ModelDraft
    data: DataSpec
    training: HyperParameters = HyperParameters()
    policy: PolicySpec = PolicySpec(name="peer")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    settlement: Settlement = "attested"
    """"proven": rounds prove themselves; needs the market's verifier of proven rounds and its SRS file."""
    readers: list[PublicKeyText] = Field(default_factory=list)
    """Public keys of all witnesses and aggregators (`cohort public-key` shows each its own): makes the project private
    (`sealing`)."""


@dataclass(frozen=True)
class ProjectPlan:
    """Everything that creating a project will do. Amounts in base units."""

    spec: ProjectSpec
    spec_cid: Cid
    first_model: bytes
    """File of the first model, as it goes to IPFS."""
    request: TermsRequest
    terms: ProjectTerms
    """As they must stand on chain."""
    deposit: int
    batches: BatchPlan | None
    """Validation batches; None: the project has none, or their root was given."""
    protocol_fee: int
    """Of each settled round."""
    standing_weight: int
    """Part of the full standing gain that the fee earns for trainers, in 1/65536."""

    @property
    def distributable(self) -> int:
        """D: the most that a round pays to its trainers."""
        return self.terms.round_budget - self.terms.aggregator_fee - self.protocol_fee

    @property
    def rounds_funded(self) -> int:
        """Rounds that the deposit pays for."""
        return min(self.terms.rounds, self.deposit // self.terms.round_budget)

    @property
    def total_cost(self) -> int:
        """Cost of all rounds that the terms allow."""
        return self.terms.rounds * self.terms.round_budget


def read_file(path: Path) -> dict[str, Any]:
    """A TOML or JSON file of an owner (by its ending). Raises `OwnerInputInvalid`."""
    data = read_bounded(path, MAX_FILE_BYTES)
    if data is None:
        raise OwnerInputInvalid(f"there is no file {path}")
    try:
        value = json.loads(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise OwnerInputInvalid(f"{path} is neither TOML nor (if it ends in .json) JSON: {error}") from error
    if not isinstance(value, dict):
        raise OwnerInputInvalid(f"{path} holds a {type(value).__name__}, expected a table of names and values")
    return value


def parse_spec_draft(values: Mapping[str, Any]) -> SpecDraft:
    """Raises `OwnerInputInvalid`, naming the field."""
    return _validated(SpecDraft, values, "spec")


def parse_terms(values: Mapping[str, Any], decimals: int, spec: SpecDraft, profile: Profile) -> TermsRequest:
    """Terms from an owner's file. Amounts may be base units or "12.5 tokens".

    What is missing is filled in: `score_floor` as the policy suggests for the slots, `stake` and `bond` with the least
    that the market takes (2 D / slots and half the budget), guard and self_commit windows with the deployment's
    minimum. `access_list` (addresses) becomes `access_root`. Raises `OwnerInputInvalid`.
    """
    filled = dict(values)
    for name in AMOUNTS:
        if name in filled:
            filled[name] = str(parse_amount(filled[name], decimals))
    if "score_floor" not in filled and isinstance(filled.get("slots"), int):
        policy = _policy(spec)
        filled["score_floor"] = str(policy.suggested_score_floor(filled["slots"]))
    if "access_list" in filled:
        filled["access_root"] = _access_root(filled.pop("access_list"), filled)
    if isinstance(filled.get("windows"), Mapping):
        least = {"guard": profile.minimum.guard, "self_commit": profile.minimum.self_commit}
        filled["windows"] = {**least, **filled["windows"]}
    _fill_stakes(filled, profile.protocol_fee_bps)
    for name in ("witnesses", "aggregators"):
        # The contract wants them strictly increasing; the owner should not have to know.
        if isinstance(filled.get(name), list) and all(isinstance(one, str) for one in filled[name]):
            filled[name] = sorted(filled[name], key=str.lower)
    return _validated(TermsRequest, filled, "terms")


def _access_root(trainers: object, terms: Mapping[str, Any]) -> str:
    if not isinstance(trainers, list) or not all(isinstance(one, str) for one in trainers):
        raise OwnerInputInvalid('access_list is a list of addresses: ["0x...", "0x..."]')
    try:
        root = to_hex(AccessList(trainers).root)
    except InvalidInput as error:
        raise OwnerInputInvalid(f"access_list: {error}") from error
    if "access_root" in terms:
        raise OwnerInputInvalid("the terms have both an access_list and an access_root: leave one out")
    return root


def _fill_stakes(terms: dict[str, Any], protocol_fee_bps: int) -> None:
    """The least stake and bond where the file names none; leaves malformed amounts for the validation to name."""
    try:
        budget, fee, slots = int(terms["round_budget"]), int(terms.get("aggregator_fee", 0)), int(terms["slots"])
    except (KeyError, TypeError, ValueError):
        return
    distributable = budget - fee - budget * protocol_fee_bps // BASIS_POINTS
    if slots > 0 and distributable > 0:
        terms.setdefault("stake", str(minimum_stake(distributable, slots)))
    terms.setdefault("bond", str(minimum_bond(budget)))


def make_plan(
    draft: SpecDraft,
    request: TermsRequest,
    deposit: int,
    rules: MarketRules,
    validation: Dataset | None = None,
    batch_size: int | None = None,
    scheme: CommitmentScheme = KECCAK,
) -> ProjectPlan:
    """Makes the first model from its seed, derives spec and terms from it, and checks them as the market will.

    validation: the owner's labelled examples, from which one batch per round is drawn, of `batch_size` examples each.
    scheme: how the project commits to models. Raises `OwnerInputInvalid`, `SrsTooSmall`."""
    batches = None
    if validation is not None:
        if any(parse_bytes32(request.validation_root)):
            raise OwnerInputInvalid("the terms name a validation_root and there is validation data: leave one out")
        batches = plan_batches(validation, request.rounds, batch_size, draft.seed)
        request = request.model_copy(update={"validation_root": to_hex(batches.root)})
    try:
        architecture = parse_architecture(draft.model.family, draft.model.config, draft.data)
        weights = initial_weights(architecture, draft.model.seed)
        model: np.ndarray = model_from_floats(weights, draft.model.exponent)
    except InvalidInput as error:
        raise OwnerInputInvalid(f"the spec's model: {error}") from error
    policy = _policy(draft)
    if rules.proven_policy_hash not in (None, policy.policy_hash()):
        raise OwnerInputInvalid(
            f"the project is to be proven, and the market's verifier proves one policy, of hash "
            f"{to_hex(rules.proven_policy_hash or b'')}; {policy.name!r} with these parameters has "
            f'{to_hex(policy.policy_hash())}: take policy = {{ name = "default" }} without parameters'
        )
    first_model = encode_model(model)
    spec = ProjectSpec(
        title=draft.title,
        description=draft.description,
        model=ModelSpec(
            family=architecture.family,
            config=architecture.to_config(),
            seed=draft.model.seed,
            initial_cid=str(cid_of(first_model)),
            initial_commitment=to_hex(scheme.model(model)),
            dimension=architecture.dimension,
            exponent=draft.model.exponent,
        ),
        data=draft.data,
        training=draft.training,
        policy=PolicySpec(name=policy.name, params=policy.description()["params"]),
        seed=draft.seed,
        settlement=draft.settlement,
        readers=draft.readers,
    )
    terms = _terms_on_chain(request, spec, policy.policy_hash(), rules)
    try:
        check_terms(terms, rules.profile)
        check_readers(spec, terms)
        check_needs(policy.name, batches=any(terms.validation_root))
        if reads_batch(policy.needs) and not any(terms.validation_root):
            raise PolicyNeedsUnmet(
                f"policy {policy.name!r} judges by validation batches and the terms have no validation root: give your "
                "labelled examples (--validation FILE), or take the policy that does without: peer"
            )
    except (TermsOutOfBounds, PolicyNeedsUnmet, ReadersInvalid) as error:
        raise OwnerInputInvalid(str(error)) from error
    protocol_fee = terms.protocol_fee(rules.profile.protocol_fee_bps)
    full_fee = next((token.full_fee for token in rules.profile.tokens if token.token == terms.token), 0)
    return ProjectPlan(
        spec=spec,
        spec_cid=Cid.of_block(RAW, spec.to_bytes()),
        first_model=first_model,
        request=request,
        terms=terms,
        deposit=deposit,
        batches=batches,
        protocol_fee=protocol_fee,
        standing_weight=standing_weight(protocol_fee, full_fee),
    )


def _terms_on_chain(request: TermsRequest, spec: ProjectSpec, policy_hash: bytes, rules: MarketRules) -> ProjectTerms:
    fields = {name: getattr(request, name) for name in type(request).model_fields if name != "windows"}
    for name in ("validation_root", "access_root"):
        fields[name] = parse_bytes32(fields[name])
    fields["witnesses"], fields["aggregators"] = tuple(request.witnesses), tuple(request.aggregators)
    return ProjectTerms(
        **fields,
        windows=Windows(**request.windows.model_dump()),
        verifier=rules.verifier,
        policy=rules.policy,
        verifier_code_hash=rules.verifier_code_hash,
        policy_code_hash=rules.policy_code_hash,
        spec_digest=sha256(spec.to_bytes()).digest(),
        policy_hash=policy_hash,
        initial_model=parse_bytes32(spec.model.initial_commitment),
        dimension=spec.model.dimension,
        exponent=spec.model.exponent,
    )


def expected_transactions(plan: ProjectPlan, market: Market, token: Token) -> list[TransactionRequest]:
    """What a service must answer, built from what the owner asked for: the allowance, then the creation. Only the
    creation is sent as it is; where the token knows permits, a signature stands for the allowance."""
    create = market.create_project(plan.terms, plan.deposit)
    return [token.approve(market.address, plan.deposit), create] if plan.deposit else [create]


def check_draft(draft: ProjectDraft, plan: ProjectPlan, market: Market, token: Token) -> list[TransactionRequest]:
    """The transactions to sign, after comparing the service's byte for byte with our own.

    Raises `DraftTampered`, saying what differs: another contract, value, token, allowance, or term.
    """
    if draft.spec_cid != str(plan.spec_cid):
        raise DraftTampered(
            f"the service published a spec as {draft.spec_cid}, yours is {plan.spec_cid}: it changed the spec"
        )
    expected = expected_transactions(plan, market, token)
    returned = [
        TransactionRequest(one.to, bytes.fromhex(one.data[2:]), one.value, describe=one.description)
        for one in draft.transactions
    ]
    if len(returned) != len(expected):
        raise DraftTampered(
            f"the service returned {len(returned)} transactions to sign, creating this project takes {len(expected)}: "
            f"{'; '.join(one.describe for one in expected)}"
        )
    for number, (found, wanted) in enumerate(zip(returned, expected, strict=True), 1):
        if (found.to, found.data, found.value) != (wanted.to, wanted.data, wanted.value):
            raise DraftTampered(
                f"transaction {number} of the service is not what you asked for ({wanted.describe}): "
                f"{_difference(found, wanted, market, token)}. It was not signed"
            )
    # Ours, not the service's: equal bytes, and a description that nobody else wrote.
    return expected


def _difference(found: TransactionRequest, wanted: TransactionRequest, market: Market, token: Token) -> str:
    """In words. Only for the message: the decision is made on the bytes."""
    if found.to != wanted.to:
        return f"it calls {found.to} instead of {wanted.to}"
    if found.value != wanted.value:
        return f"it sends {found.value} wei instead of {wanted.value}"
    if found.data[:4] != wanted.data[:4]:
        return f"it calls another function (selector 0x{found.data[:4].hex()})"
    contract, name = (market, "createProject") if wanted.to == market.address else (token, "approve")
    function = contract.abi.functions[name]
    try:
        values = decode_values(function.inputs, found.data[4:])
        ours = decode_values(function.inputs, wanted.data[4:])
    except (DecodingError, OverflowError, ValueError):
        return "its calldata does not decode"
    names = [parameter.name for parameter in function.inputs]
    changes = _changes(dict(zip(names, ours, strict=True)), dict(zip(names, values, strict=True)))
    return "; ".join(changes) or "it encodes the same values in another way"


def _changes(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> list[str]:
    changes = []
    for name, mine in ours.items():
        other = theirs.get(name)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            changes += _changes(mine, other, f"{prefix}{name}.")
        elif mine != other:
            changes.append(f"{prefix}{name} is {_shown(other)}, you asked for {_shown(mine)}")
    return changes


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return to_hex(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)


def plan_id(plan: ProjectPlan, label: str) -> str:
    """Names the creation of this project: the same plan and label is created once, however often it is run."""
    content = json.dumps([label, str(plan.spec_cid), str(plan.deposit), asdict(plan.terms)], default=_shown)
    return sha256(content.encode()).hexdigest()[:24]


def _policy(draft: SpecDraft):
    try:
        return policy_by_name(draft.policy.name, draft.policy.params)
    except (InvalidInput, NotFound) as error:
        raise OwnerInputInvalid(f"the spec's policy: {error}") from error


def _validated(model: type[M], values: Mapping[str, Any], what: str) -> M:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or what}: {item['msg']}" for item in error.errors(include_url=False)[:5]
        )
        raise OwnerInputInvalid(f"the {what} cannot be used: {problems}") from error
