"""The owner as a library: what the `cohort project` commands do, callable from Python.

with Owner.unlock(home, password) as owner:
    plan = owner.plan(spec_values, terms_values, "5000 tokens")
    project = owner.create(plan)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from cohort_protocol.chain import FileJournal
from cohort_protocol.chain.errors import NonceTaken, TransactionReverted
from cohort_protocol.chain.events import (
    ProjectCreated,
    ProjectFunded,
    ProjectRefunded,
    RoundOpened,
    decode_receipt,
)
from cohort_protocol.chain.transactions import TransactionReceipt, TransactionRequest
from cohort_protocol.chain.types import ZERO_ADDRESS, Ledger, Progress, ProjectTerms, RoundView
from cohort_protocol.commitments import ZERO32
from cohort_protocol.errors import NotFound
from cohort_protocol.identifiers import to_hex
from cohort_protocol.learning.data import Dataset, read_dataset
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import ProjectRequest, ProjectState
from cohort_protocol.update import encode_model, floats_from_model
from safetensors.numpy import save

from cohort_trainer.actor import Actor
from cohort_trainer.amounts import format_amount, parse_amount
from cohort_trainer.chain_events import find_events
from cohort_trainer.durable_files import write_durably
from cohort_trainer.errors import BalanceTooLow, DraftTampered, OwnerInputInvalid
from cohort_trainer.models import ModelSource
from cohort_trainer.owner.batches import BatchRevealer, RevealedBatch
from cohort_trainer.owner.drafts import ProjectPlan, check_draft, make_plan, parse_spec_draft, parse_terms, plan_id
from cohort_trainer.owner.rules import read_rules
from cohort_trainer.projects import VerifiedProject, verify_project

log = structlog.get_logger(__name__)

WATCH_WAIT = 20.0


class NoSuchRound(OwnerInputInvalid, NotFound):
    """The project has no model after that round (yet)."""

    code = "no-such-round"


@dataclass(frozen=True)
class OwnerStatus:
    """A project, from the chain."""

    project: int
    title: str
    owner: str
    round: int
    rounds: int
    phase: Phase
    ended: bool
    members: int
    aggregators: tuple[str, ...]
    acceptor: str | None
    """Of the next round; None: nobody has accepted it."""
    ledger: Ledger
    symbol: str
    decimals: int


class Owner(Actor):
    """An owner with its home. Close it, or use it in a `with` statement."""

    # --- creating ---------------------------------------------------------------------------------------------------

    def plan(
        self,
        spec: Mapping[str, Any],
        terms: Mapping[str, Any],
        deposit: str | int,
        validation: Path | Dataset | None = None,
        batch_size: int | None = None,
    ) -> ProjectPlan:
        """Spec and terms from an owner's files (see `drafts`), the first model, and what it will cost.

        Amounts in base units or as "12.5 tokens". validation: labelled examples (a file as trainers have them), of
        which every round shows `batch_size` once nobody can commit any more. Raises `OwnerInputInvalid`,
        `DatasetInvalid`, `NoContract` (the token), `WrongMarket`, `Unavailable` (the service names the policy
        contract).
        """
        self.connection.check_chain()
        if not isinstance(terms.get("token"), str):
            raise OwnerInputInvalid('the terms name no token: token = "0x..."')
        decimals = self.connection.token(terms["token"]).decimals()
        draft = parse_spec_draft(spec)
        rules = read_rules(self.connection, draft.settlement)
        scheme = self.connection.scheme(draft.settlement, rules.verifier, 1)
        request = parse_terms(terms, decimals, draft, rules.profile)
        examples = read_dataset(validation, draft.data) if isinstance(validation, Path) else validation
        return make_plan(draft, request, parse_amount(deposit, decimals), rules, examples, batch_size, scheme)

    def preview(self, plan: ProjectPlan) -> list[str]:
        """What creating the project costs, for the prompt."""
        token = self.connection.token(plan.terms.token)
        symbol, decimals = token.symbol(), token.decimals()
        terms, windows = plan.terms, plan.terms.windows

        def money(value: int) -> str:
            return format_amount(value, decimals, symbol)

        weight = plan.standing_weight / 65_536
        return [
            f"Project: {plan.spec.title}",
            f"  Model        {plan.spec.model.family}, {terms.dimension:,} parameters, first weights from seed "
            f"{plan.spec.model.seed}",
            f"  Spec         {plan.spec_cid}",
            f"  Settlement   {_settlement_in_words(plan)}",
            f"  Policy       {plan.spec.policy.name}, score floor {terms.score_floor}",
            *_batches_in_words(plan),
            f"  A round      {money(terms.round_budget)}: {money(plan.distributable)} to trainers by score, "
            f"{money(terms.aggregator_fee)} to who settles,",
            f"               {money(plan.protocol_fee)} protocol fee if the round settles; counts {weight:.0%} for the "
            "trainers' standing",
            f"  Rounds       {terms.rounds} at most, {money(plan.total_cost)} in all",
            f"  Trainers     {terms.slots} slots, at least {terms.min_trainers}; each stakes {money(terms.stake)}; "
            f"none gets more than {terms.share_cap} times an equal share",
            f"  Who may join {_who_may_join(terms)}",
            f"  Phases       commit {windows.commit} s (the last {windows.self_commit} s for trainers alone), guard "
            f"{windows.guard} s,",
            f"               reveal {windows.reveal} s, then rescue {windows.rescue} s, settle {windows.settle} s, "
            f"takeover {windows.takeover} s (upper bounds)",
            f"  Witnesses    {terms.quorum} of {len(terms.witnesses)}: {', '.join(terms.witnesses)}",
            f"  Aggregators  {', '.join(terms.aggregators)}; each puts a bond of {money(terms.bond)} on a round",
            f"  Deposit      {money(plan.deposit)} now: pays for {plan.rounds_funded} rounds; you hold "
            f"{money(token.balance_of(self.address))}",
            "  Back to you  what no round has set aside, once you end the project; pay that a settled round leaves",
            "               undistributed is burned, so that a useless round is no gain to you",
        ]

    def publish(self, plan: ProjectPlan) -> None:
        """Puts first model and spec on IPFS. Their CIDs are in the plan."""
        self.connection.store.put(plan.first_model)
        self.connection.store.put(plan.spec.to_bytes())

    def draft(self, plan: ProjectPlan) -> list[TransactionRequest]:
        """Asks the service for the transactions and checks that they are what was asked for.

        Raises `DraftTampered`, `ServiceRefused` (the service finds spec or terms wrong), `WrongMarket`, `Unavailable`.
        """
        self.connection.check_service()
        request = ProjectRequest(owner=self.address, spec=plan.spec, terms=plan.request, deposit=plan.deposit)
        answer = self.connection.service.draft_project(request)
        return check_draft(answer, plan, self.connection.market, self.connection.token(plan.terms.token))

    def create(self, plan: ProjectPlan, label: str = "") -> int:
        """Publishes, asks the service, checks, signs, sends; the new project's number.

        The same plan and `label` creates one project, however often this runs: a crash in the middle is mended by
        running it again. Raises as `draft`, and `BalanceTooLow`, `TransactionReverted`, `TransactionLost`.
        """
        if plan.batches is not None:
            plan.batches.keep(self.home)
        self.publish(plan)
        create = self.draft(plan)[-1]
        name = plan_id(plan, label)
        intent = f"create project {name}"
        if FileJournal(self.home.transactions).find(intent) is None:
            # Not sent before: the deposit is still the owner's.
            self._check_balance(plan)
        token = self.connection.token(plan.terms.token)
        receipt = self.purse.pay(token, plan.deposit, [create], intent)
        return self._created(receipt, plan)

    def _check_balance(self, plan: ProjectPlan) -> None:
        token = self.connection.token(plan.terms.token)
        held = token.balance_of(self.address)
        if held < plan.deposit:
            raise BalanceTooLow(
                f"the deposit is {plan.deposit} base units, {self.address} holds {held} of token {token.address}"
            )

    def _created(self, receipt: TransactionReceipt, plan: ProjectPlan) -> int:
        events = decode_receipt(receipt, self.connection.market.address)
        created = [event for event in events if isinstance(event, ProjectCreated) and event.owner == self.address]
        if len(created) != 1 or created[0].terms != plan.terms:
            raise DraftTampered(
                f"transaction {to_hex(receipt.hash)} did not create the project that was asked for: look at it before "
                "you do anything else"
            )
        log.info("project-created", project=created[0].project, transaction=to_hex(receipt.hash))
        return created[0].project

    # --- validation batches -----------------------------------------------------------------------------------------

    def reveal_batch(self, project: int) -> RevealedBatch | None:
        """Shows the newest round's validation batch if nobody can commit any more and it was not shown; else None.

        Raises `BatchesMissing` (no batches, or not in this home), `TransactionReverted`, `Unavailable`."""
        return BatchRevealer(self, project).reveal()

    def reveal_batches(self, project: int, tell: Callable[[RevealedBatch], None]) -> None:
        """Shows every batch when it is due and tells of it, until the project is finished. Raises `BatchesMissing`."""
        BatchRevealer(self, project).watch(tell)

    # --- money ------------------------------------------------------------------------------------------------------

    def fund(self, project: int, amount: str | int) -> int:
        """Adds to the escrow; base units that arrived. Raises `BalanceTooLow`, `UnknownProject`."""
        self._finish_sending()
        market = self.connection.market
        token = self.connection.token(market.terms_of(project).token)
        value = parse_amount(amount, token.decimals())
        held = token.balance_of(self.address)
        if held < value:
            raise BalanceTooLow(f"funding takes {value} base units, {self.address} holds {held} of {token.address}")
        moment = self.connection.chain.block_number()
        receipt = self.purse.pay(
            token, value, [market.fund(project, value)], f"fund {project} with {value} at {moment}"
        )
        events = decode_receipt(receipt, market.address)
        return sum(event.amount for event in events if isinstance(event, ProjectFunded))

    def add_aggregator(self, project: int, aggregator: str) -> None:
        """Lets one more aggregator accept and settle rounds; nobody can be removed. Raises `TransactionReverted` with
        the contract's reason (there are eight already; not the owner)."""
        market = self.connection.market
        if aggregator not in market.aggregators_of(project):
            self.sender.execute(market.add_aggregator(project, aggregator), f"aggregator {aggregator} for {project}")

    def end(self, project: int) -> None:
        """No round opens any more. Only between rounds. Raises `TransactionReverted` with the contract's reason."""
        market = self.connection.market
        if not market.progress_of(project).ended:
            self.sender.execute(market.end_project(project), f"end {project}")

    def refund(self, project: int) -> int:
        """Sends the free escrow of an ended project back to its owner; base units."""
        market = self.connection.market
        moment = self.connection.chain.block_number()
        request = market.refund(project)
        market.simulate(request, self.address)
        receipt = self.sender.execute(request, f"refund {project} at {moment}")
        events = decode_receipt(receipt, market.address)
        return sum(event.amount for event in events if isinstance(event, ProjectRefunded))

    def _finish_sending(self) -> None:
        for entry in self.sender.resume():
            try:
                self.sender.wait(entry)
            except (TransactionReverted, NonceTaken) as error:
                log.warning("earlier-transaction-failed", intent=entry.intent, detail=str(error))

    # --- watching ---------------------------------------------------------------------------------------------------

    def project(self, project: int) -> VerifiedProject:
        """Raises `UnknownProject`, `ProjectUnsafe`, `Unavailable`."""
        return verify_project(self.connection, self.home, project)

    def status(self, project: int) -> OwnerStatus:
        """Where a project stands, from the chain alone."""
        market = self.connection.market
        verified = self.project(project)
        token = self.connection.token(verified.terms.token)
        progress = market.progress_of(project)
        view: RoundView | None = market.round_of(project, progress.round, "pending") if progress.round else None
        return OwnerStatus(
            project=project,
            title=verified.spec.title,
            owner=verified.owner,
            round=progress.round,
            rounds=verified.terms.rounds,
            phase=view.phase if view is not None else Phase.NONE,
            ended=progress.ended,
            members=progress.members,
            aggregators=market.aggregators_of(project),
            acceptor=None if progress.acceptor == ZERO_ADDRESS else progress.acceptor,
            ledger=market.ledger_of(project),
            symbol=token.symbol(),
            decimals=token.decimals(),
        )

    def watch(self, project: int, show: Callable[[ProjectState], None]) -> None:
        """Calls `show` with every change that the service reports, until the project is finished."""
        version = -1
        while True:
            state = self.connection.service.state(project, version, WATCH_WAIT if version >= 0 else 0.0)
            if state.version != version or state.finished:
                show(state)
            version = state.version
            if state.finished:
                return

    # --- the model --------------------------------------------------------------------------------------------------

    def model(self, project: int, round: int | None = None) -> tuple[VerifiedProject, int, np.ndarray]:
        """(project, round, int64[d]): the model after `round` (0: the first; None: the newest), checked against its
        commitment on chain. Raises `NoSuchRound`, `ModelUnavailable`."""
        market = self.connection.market
        verified = self.project(project)
        progress = market.progress_of(project)
        newest = progress.round
        if newest and not market.round_of(project, newest, "pending").phase.terminal:
            newest -= 1
        number = newest if round is None else round
        if not 0 <= number <= newest:
            raise NoSuchRound(f"project {project} has models after rounds 0 .. {newest}, not after {number}")
        commitment = self._model_after(project, number, progress)
        return verified, number, ModelSource(self.connection, self.home, verified).fetch(commitment, {})

    def _model_after(self, project: int, number: int, progress: Progress) -> bytes:
        """Commitment of the model after a round that is over: where the next one starts."""
        if number == progress.round:
            return progress.model if progress.pending_model == ZERO32 else progress.pending_model
        config = self.connection.config
        opened = find_events(
            self.connection.chain, config.market, RoundOpened, [project, number + 1], config.start_block, first_hit=True
        )
        if not opened:
            raise NoSuchRound(f"the node has no log of the opening of round {project}/{number + 1}: try another node")
        return opened[-1].model

    def save_model(self, project: int, out: Path, round: int | None = None, raw: bool = False) -> int:
        """Writes the model after a round as safetensors and returns the round.

        Default: one float32 tensor per parameter, under its name in the architecture; `raw`: the one int64 tensor
        that the commitment on chain is about.
        """
        verified, number, model = self.model(project, round)
        if raw:
            data = encode_model(model)
        else:
            weights = floats_from_model(model, verified.spec.model.exponent)
            tensors, start = {}, 0
            for shape in verified.architecture.parameter_shapes():
                size = int(np.prod(shape.shape))
                tensors[shape.name] = weights[start : start + size].reshape(shape.shape)
                start += size
            data = save(tensors, {"project": str(project), "round": str(number), "family": verified.spec.model.family})
        write_durably(out, data, mode=0o644)
        return number


def _batches_in_words(plan: ProjectPlan) -> list[str]:
    batches = plan.batches
    if batches is None:
        return []
    lines = [f"  Batches      {batches.rounds} of {batches.size} examples, kept in your home and shown one per round"]
    if batches.fresh < batches.rounds:
        lines.append(
            f"               your data makes {batches.fresh} that show nothing twice: later ones can be trained on"
        )
    return lines


def _settlement_in_words(plan: ProjectPlan) -> str:
    if plan.spec.settlement == "attested":
        return f"attested: {plan.terms.quorum} of {len(plan.terms.witnesses)} witnesses sign each round's outcome"
    proven = "proven: the chain checks a proof of each round's scores, pay and model; witnesses vouch for bytes"
    if plan.spec.private:
        return f"{proven}; private: only the {len(plan.spec.readers)} witnesses and aggregators can open updates"
    return proven


def _who_may_join(terms: ProjectTerms) -> str:
    limits = ["those on your list"] if terms.access_root != ZERO32 else []
    if terms.min_reliability:
        limits.append(f"with a reliability of {terms.min_reliability / 100:.2f}% or more")
    return ", ".join(limits) or "everybody"
