"""What is rehearsed: a project from a spec file, from the chain through a home, or as a service describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cohort_protocol.errors import InvalidInput, NotFound
from cohort_protocol.learning.architecture import Architecture, parse_architecture
from cohort_protocol.learning.data import Dataset, digits_data_spec, read_dataset
from cohort_protocol.rehearsal.campaign import Rules
from cohort_protocol.rehearsal.tasks import Task, digits, project_task
from cohort_protocol.scoring import Policy, policy_by_name
from cohort_protocol.spec import HyperParameters, ModelSpec, PolicySpec, ProjectSpec
from pydantic import ValidationError

from cohort_trainer.amounts import parse_amount
from cohort_trainer.errors import OwnerInputInvalid
from cohort_trainer.owner.drafts import SpecDraft, parse_spec_draft, read_file

if TYPE_CHECKING:
    from cohort_protocol.chain.types import ProjectTerms
    from cohort_protocol.service.messages import ProjectView

DECIMALS = 18
"""Of the token, where only files say what is paid."""


@dataclass(frozen=True)
class Subject:
    """A project as far as a rehearsal needs it."""

    title: str
    architecture: Architecture
    hyper: HyperParameters
    exponent: int
    policy: Policy
    rules: Rules
    batches: bool
    """Whether the owner reveals validation batches."""
    decimals: int = DECIMALS
    symbol: str = "tokens"

    def data_name(self, file: Path | None) -> str:
        """Which data the rehearsal runs on, in words."""
        if file is not None:
            return str(file)
        return "scikit-learn's digits" if self._reads_digits() else "synthetic patterns of the project's shape"

    def task(self, seed: int, own: Dataset | None) -> Task:
        """The task of a seed. own: the owner's examples; None: digits where they fit, else synthetic patterns. Raises
        `RehearsalInvalid`."""
        if own is None and self._reads_digits():
            own = digits()
        return project_task(self.architecture, self.hyper, self.exponent, seed, own)

    def read_data(self, file: Path) -> Dataset:
        """The owner's own examples. Raises `DatasetInvalid`."""
        return read_dataset(file, self.architecture.data)

    def _reads_digits(self) -> bool:
        data, sample = self.architecture.data, digits_data_spec()
        return (data.shape, data.classes) == (sample.shape, sample.classes)


def from_files(spec: Path, terms: Path | None, batches: bool | None) -> Subject:
    """A spec file as `cohort project create` takes it (.toml or .json), or a published one; terms say slots and money.

    Raises `OwnerInputInvalid`, naming the field."""
    values = read_file(spec)
    draft = _published(values) if "version" in values else parse_spec_draft(values)
    rules, root = _rules(read_file(terms)) if terms is not None else (Rules(), True)
    return _subject(draft, rules, root if batches is None else batches)


def from_chain(
    spec: ProjectSpec, terms: ProjectTerms, distributable: int, decimals: int, symbol: str, batches: bool | None
) -> Subject:
    """A project that a home has verified against the chain."""
    rules = Rules(
        trainers=max(2, terms.slots),
        distributable=max(1, distributable),
        share_cap=terms.share_cap,
        score_floor=terms.score_floor,
    )
    given = any(terms.validation_root) if batches is None else batches
    return _subject(spec, rules, given, decimals, symbol)


def from_service(view: ProjectView, batches: bool | None) -> Subject:
    """A project as a service describes it; nothing of it is checked against the chain. Raises `OwnerInputInvalid`."""
    if view.spec is None:
        raise OwnerInputInvalid(
            f"the service does not have the spec {view.spec_cid} of project {view.id} yet: try again, or give --home"
        )
    terms = view.terms
    rules = Rules(
        trainers=max(2, terms.slots),
        distributable=max(1, int(view.distributable)),
        share_cap=terms.share_cap,
        score_floor=max(1, int(terms.score_floor)),
    )
    given = int(terms.validation_root, 16) != 0 if batches is None else batches
    return _subject(view.spec, rules, given)


def _published(values: dict[str, Any]) -> ProjectSpec:
    try:
        return ProjectSpec.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise OwnerInputInvalid(
            f"the spec cannot be used: {'.'.join(map(str, first['loc'])) or 'spec'}: {first['msg']}"
        ) from error


def _subject(
    spec: SpecDraft | ProjectSpec, rules: Rules, batches: bool, decimals: int = DECIMALS, symbol: str = "tokens"
) -> Subject:
    model = spec.model
    try:
        architecture = parse_architecture(model.family, model.config, spec.data)
        policy = _policy(spec.policy)
    except (InvalidInput, NotFound) as error:
        raise OwnerInputInvalid(f"the spec: {error}") from error
    if isinstance(model, ModelSpec) and model.dimension != architecture.dimension:
        raise OwnerInputInvalid(
            f"the spec says dimension {model.dimension}, its model has {architecture.dimension} parameters"
        )
    return Subject(spec.title, architecture, spec.training, model.exponent, policy, rules, batches, decimals, symbol)


def _policy(spec: PolicySpec) -> Policy:
    return policy_by_name(spec.name, spec.params)


def _rules(terms: dict[str, Any]) -> tuple[Rules, bool]:
    """Slots and money of a terms file, and whether it names a validation root."""
    default = Rules()
    numbers = {name: terms.get(name, standard) for name, standard in (("slots", 8), ("share_cap", 4))}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise OwnerInputInvalid(f"the terms: {name} is {value!r}, a whole number is needed")
    distributable = default.distributable
    if "round_budget" in terms:
        fee = parse_amount(terms.get("aggregator_fee", 0), DECIMALS)
        distributable = parse_amount(terms["round_budget"], DECIMALS) - fee
    floor = terms.get("score_floor")
    rules = Rules(
        trainers=numbers["slots"],
        distributable=distributable,
        share_cap=numbers["share_cap"],
        score_floor=None if floor is None else max(1, parse_amount(floor, 0)),
    )
    root = terms.get("validation_root")
    return rules, root is None or (isinstance(root, str) and root.strip("0x") != "")
