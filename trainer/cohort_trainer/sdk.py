"""The trainer as a library: what the `cohort trainer` commands do, callable from Python.

home = Home.open(Path("alice"))
with Trainer.unlock(home, SecretStr("...")) as trainer:
    trainer.join(1)
    trainer.run(1, data=Path("mine.csv"))
    trainer.claim(1)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from cohort_protocol.chain.errors import NonceTaken, TransactionReverted
from cohort_protocol.chain.types import Member, Record, RoundView
from cohort_protocol.commitments import ZERO32
from cohort_protocol.errors import Unavailable
from cohort_protocol.phases import Phase

from cohort_trainer import membership
from cohort_trainer.access_lists import read_proof
from cohort_trainer.actor import Actor
from cohort_trainer.claims import Claimable, ClaimReceipt, claim, close_if_due, find_claimable
from cohort_trainer.errors import NotOnAccessList, RecordBroken
from cohort_trainer.journal import RoundJournal
from cohort_trainer.models import ModelSource
from cohort_trainer.previews import Preview, check_can_join, preview
from cohort_trainer.projects import VerifiedProject, verify_project
from cohort_trainer.rounds.loop import RoundLoop
from cohort_trainer.rounds.rescue import StakeGuard
from cohort_trainer.rounds.results import RoundResult
from cohort_trainer.rounds.seats import Seats
from cohort_trainer.rounds.steps import RoundSteps
from cohort_trainer.rounds.training import LocalTraining, own_data, seed_of
from cohort_trainer.vouching import reliability, vouching_projects

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TrainerStatus:
    """One trainer in one project, from the chain."""

    project: int
    title: str
    round: int
    phase: Phase
    member: Member
    stake: int
    """Base units; 0 if there is none."""
    record: Record
    """In this project."""
    reliability: int
    """Basis points, by all projects of this market that the trainer has joined."""
    losses: int
    """In all projects, in units of credit."""
    now: int
    """The chain's time, unix seconds."""
    claimable: int
    """Base units; what `claim` would bring now."""
    symbol: str
    decimals: int


class Trainer(Actor):
    """A trainer with its home. Close it, or use it in a `with` statement."""

    # --- joining ----------------------------------------------------------------------------------------------------

    def project(self, project: int) -> VerifiedProject:
        """A project, verified against the chain. Raises `ProjectUnsafe`, `UnknownProject`, `Unavailable`."""
        return verify_project(self.connection, self.home, project)

    def preview(self, project: int) -> Preview:
        """What joining would mean. Raises as `project`, and `WrongMarket`."""
        self.connection.check_chain()
        self.connection.check_service()
        return preview(self.connection, self.project(project), self.address)

    def join(
        self,
        project: int,
        shown: Preview | None = None,
        *,
        access: Path | None = None,
        delegate: str | None = None,
    ) -> Member:
        """Pays the stake, joins and names the delegate in one transaction. `shown`: a preview taken before; `access`:
        the file with the project's list of trainers, or with this trainer's proof.

        Raises `BalanceTooLow`, `ProjectUnsafe`, `ReliabilityTooLow`, `NotOnAccessList`, `StillLeaving`,
        `StakeMissing`, and in a proven project as `Connection.scheme`.
        """
        shown = shown or self.preview(project)
        verified = shown.project
        verified.scheme(self.connection)  # who cannot commit to updates had better not pay a stake
        if self.connection.market.member_of(project, self.address).joined:
            return membership.join(self.purse, verified, delegate=delegate)
        check_can_join(shown, self.address)
        return membership.join(
            self.purse,
            verified,
            access_proof=self._access_proof(verified, access),
            standing_projects=vouching_projects(self.connection, project, self.address),
            delegate=delegate,
        )

    def _access_proof(self, project: VerifiedProject, file: Path | None) -> tuple[bytes, ...]:
        root = project.terms.access_root
        if root == ZERO32:
            return ()
        if file is None:
            raise NotOnAccessList(
                f"project {project.id} takes only trainers on its owner's list: get the list, or your proof, from "
                f"{project.owner} and give the file (--access FILE). Nothing was sent"
            )
        return read_proof(file, self.address, root)

    def stake_for(self, project: int, trainer: str) -> Member:
        """Pays the stake of another trainer, who alone can take it out again. Raises `StakeThere`, `BalanceTooLow`."""
        return membership.stake_for(self.purse, self.project(project), trainer)

    def restake(self, project: int) -> Member:
        """Pays the own stake again after a slash. Raises `NotAMember`, `StakeThere`, `BalanceTooLow`."""
        return membership.restake(self.purse, self.project(project))

    def set_delegate(self, project: int, delegate: str | None) -> Member:
        """Lets `delegate` commit and reveal for this trainer; None: nobody. Raises `NotAMember`."""
        return membership.set_delegate(self.purse, project, delegate)

    def leave(self, project: int) -> Member:
        """Takes part in no further round, from at once. Raises `NotAMember`."""
        return membership.leave(self.purse, project)

    def withdraw_stake(self, project: int) -> int:
        """Takes the stake back; base units. Raises `StakeLocked`, `NotAMember`."""
        return membership.withdraw_stake(self.purse, project)

    # --- rounds -----------------------------------------------------------------------------------------------------

    def run(
        self,
        project: int,
        data: Path,
        *,
        train: str = "",
        device: str = "cpu",
        seed: int | None = None,
        rounds: int | None = None,
        delegate_of: str | None = None,
        on_result: Callable[[int, RoundResult], None] | None = None,
        wait: Callable[[Exception], None] | None = None,
    ) -> int:
        """Runs rounds until the project is finished or `rounds` of them are over; returns how many.

        `train`: path/to/file.py:function or package.module:function instead of the built-in training. `delegate_of`:
        the trainer for whom this home's key commits and reveals. `wait` is called (and should pause) when a part does
        not answer before the first round; None raises instead. Raises `HomeBusy`, `NotAMember`, `StakeMissing`,
        `NotADelegate`, `DataDoesNotFit`, `TrainingFailed`, `ProjectUnsafe`.
        """
        with self.home.exclusive():
            verified = self._patiently(lambda: self._start(project), wait)
            steps = self.steps(verified, data, train=train, device=device, seed=seed, delegate_of=delegate_of)
            return RoundLoop(steps, self.guard(steps), rounds, on_result).run()

    def steps(
        self,
        project: VerifiedProject,
        data: Path,
        *,
        train: str = "",
        device: str = "cpu",
        seed: int | None = None,
        delegate_of: str | None = None,
    ) -> RoundSteps:
        """The single steps of a round, for callers with a loop of their own; the home must be held (`exclusive`)."""
        trainer = delegate_of or self.address
        project.scheme(self.connection)  # what is missing for it is said before anything is trained
        training = LocalTraining(
            project=project,
            dataset=own_data(project, data),
            seed=seed_of(trainer) if seed is None else seed,
            reference=train,
            device=device,
        )
        return RoundSteps(
            connection=self.connection,
            project=project,
            trainer=trainer,
            account=self.account,
            journal=self.journal(project.id, delegate_of),
            seats=Seats(self.connection, project.id),
            models=ModelSource(self.connection, self.home, project),
            training=training,
            sender=self.sender,
        )

    def guard(self, steps: RoundSteps) -> StakeGuard:
        """Opens what the steps committed to and nobody else opened, before the stake can be slashed."""
        return StakeGuard(
            steps.connection,
            steps.project,
            steps.journal,
            steps.seats,
            steps.sender,
            salt_of=steps.salt_of,
            published=steps.published,
        )

    def journal(self, project: int, delegate_of: str | None = None) -> RoundJournal:
        """The records of this trainer's rounds, or of those of a trainer that this home works for."""
        folder = self.home.project_folder(project)
        if delegate_of is not None and delegate_of != self.address:
            folder = folder / "delegate-of" / delegate_of
        return RoundJournal(folder, project)

    def run_round(self, project: int, data: Path, **options) -> RoundResult:
        """Takes part in one round, from wherever it stands to its end. Options as for `run`."""
        results: list[RoundResult] = []
        self.run(project, data, rounds=1, on_result=lambda _, result: results.append(result), **options)
        return results[-1] if results else RoundResult("absent")

    def _start(self, project: int) -> VerifiedProject:
        self.connection.check_chain()
        self.connection.check_service()
        verified = self.project(project)
        self.sender.resume()
        return verified

    def _patiently(self, action: Callable[[], VerifiedProject], wait: Callable[[Exception], None] | None):
        while True:
            try:
                return action()
            except Unavailable as error:
                if wait is None:
                    raise
                log.warning("waiting", for_="chain or IPFS", detail=str(error))
                wait(error)

    # --- money ------------------------------------------------------------------------------------------------------

    def claimable(self, project: int, *, chain_only: bool = False) -> Claimable:
        """Unclaimed pay, proven against the chain."""
        member = self.connection.market.member_of(project, self.address)
        if not member.known:
            return Claimable()
        expected = self._paid_rounds(project)
        return find_claimable(
            self.connection, project, member.number, self.address, expected=expected, chain_only=chain_only
        )

    def _paid_rounds(self, project: int) -> frozenset[int]:
        """Rounds in which this home was paid, by its own records."""
        journal, paid = self.journal(project), set()
        for number in journal.rounds():
            try:
                record = journal.load(number)
            except RecordBroken as error:
                log.warning("record-broken", project=project, round=number, why=str(error))
                continue
            if record is not None and (record.result or "").startswith("paid"):
                paid.add(number)
        return frozenset(paid)

    def claim(self, project: int, *, chain_only: bool = False, to: str | None = None) -> ClaimReceipt | None:
        """Claims everything at once; None if there is nothing. Closes the newest round first if that is what its pay
        waits for. `to`: where the money goes instead of to this trainer."""
        self._finish_sending()
        if close_if_due(self.connection, project, self.sender):
            chain_only = True  # the service needs a moment to see it
        found = self.claimable(project, chain_only=chain_only)
        if not found.items:
            return None
        member = self.connection.market.member_of(project, self.address)
        return claim(self.connection, project, member.number, found, self.sender, to)

    def _finish_sending(self) -> None:
        """Waits for what an earlier run of this home sent: a claim under way must not be asked for again."""
        for entry in self.sender.resume():
            try:
                self.sender.wait(entry)
            except (TransactionReverted, NonceTaken) as error:
                log.warning("earlier-transaction-failed", intent=entry.intent, detail=str(error))

    def status(self, project: int) -> TrainerStatus:
        """Where this trainer stands in a project, from the chain alone."""
        market = self.connection.market
        verified = self.project(project)
        token = self.connection.token(verified.terms.token)
        progress = market.progress_of(project)
        view: RoundView | None = market.round_of(project, progress.round, "pending") if progress.round else None
        member = market.member_of(project, self.address)
        return TrainerStatus(
            project=project,
            title=verified.spec.title,
            round=progress.round,
            phase=view.phase if view is not None else Phase.NONE,
            member=member,
            stake=verified.terms.stake if member.staked else 0,
            record=market.record_of(project, member.number) if member.known else Record(),
            reliability=reliability(self.connection, self.address),
            losses=market.losses_of(self.address),
            now=self.connection.now(),
            claimable=self.claimable(project).total,
            symbol=token.symbol(),
            decimals=token.decimals(),
        )
