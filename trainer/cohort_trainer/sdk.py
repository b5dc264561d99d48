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
from functools import cached_property
from pathlib import Path
from typing import Self

import structlog
from cohort_protocol.chain import TransactionSender
from cohort_protocol.chain.errors import NonceTaken, TransactionReverted
from cohort_protocol.chain.types import Member, RoundView, Standing
from cohort_protocol.errors import Unavailable
from cohort_protocol.phases import Phase
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from cohort_trainer.claims import Claimable, ClaimReceipt, claim, close_if_due, find_claimable
from cohort_trainer.connection import Connection
from cohort_trainer.errors import HomeLocked
from cohort_trainer.home import Home
from cohort_trainer.journal import RoundJournal
from cohort_trainer.membership import Preview, check_can_join, join, leave, preview, withdraw
from cohort_trainer.models import ModelSource
from cohort_trainer.projects import VerifiedProject, verify_project
from cohort_trainer.rounds.loop import RoundLoop
from cohort_trainer.rounds.results import RoundResult
from cohort_trainer.rounds.steps import RoundSteps
from cohort_trainer.rounds.training import LocalTraining, own_data, seed_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TrainerStatus:
    """One trainer in one project, from the chain."""

    project: int
    title: str
    round: int
    phase: Phase
    member: Member
    standing: Standing
    claimable: int
    """Base units; what `claim` would bring now."""
    symbol: str
    decimals: int


class Trainer:
    """One home, unlocked. Close it, or use it in a `with` statement."""

    def __init__(self, home: Home, account: LocalAccount | None = None) -> None:
        """`account` None: what needs no key still works, everything else raises `HomeLocked`."""
        self.home = home
        self.connection = Connection(home.config)
        self._account = account

    @classmethod
    def unlock(cls, home: Home, password: SecretStr) -> Self:
        """Raises `PasswordWrong`, `HomeMissing`, `HomeInvalid`."""
        return cls(home, home.unlock(password))

    @property
    def address(self) -> str:
        return self.home.config.address

    @property
    def account(self) -> LocalAccount:
        """The key. Raises `HomeLocked`."""
        if self._account is None:
            raise HomeLocked(f"this needs the key of {self.address}: open the home with its password")
        return self._account

    @cached_property
    def sender(self) -> TransactionSender:
        """Sends with the home's key, each intent once. Raises `HomeLocked`."""
        return self.connection.sender(self.account, self.home.transactions)

    # --- joining ----------------------------------------------------------------------------------------------------

    def project(self, project: int) -> VerifiedProject:
        """A project, verified against the chain. Raises `ProjectUnsafe`, `UnknownProject`, `Unavailable`."""
        return verify_project(self.connection, self.home, project)

    def preview(self, project: int) -> Preview:
        """What joining would mean. Raises as `project`, and `WrongMarket`."""
        self.connection.check_chain()
        self.connection.check_service()
        return preview(self.connection, self.project(project), self.address)

    def join(self, project: int, shown: Preview | None = None) -> Member:
        """Approves the stake and joins. `shown`: a preview taken before. Raises `BalanceTooLow`, `ProjectUnsafe`."""
        shown = shown or self.preview(project)
        member = self.connection.market.member_of(project, self.address)
        if member.active:
            return member
        check_can_join(shown, self.address)
        return join(self.connection, shown.project, self.sender)

    def leave(self, project: int) -> Member:
        """Takes part in no round opened from now on. Raises `NotAMember`."""
        return leave(self.connection, project, self.sender)

    def withdraw(self, project: int) -> int:
        """Takes the stake back; base units."""
        return withdraw(self.connection, project, self.sender)

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
        on_result: Callable[[int, RoundResult], None] | None = None,
        wait: Callable[[Exception], None] | None = None,
    ) -> int:
        """Runs rounds until the project is finished or `rounds` of them are over; returns how many.

        `train`: path/to/file.py:function or package.module:function instead of the built-in training. `wait` is called
        (and should pause) when a part does not answer before the first round; None raises instead. Raises `HomeBusy`,
        `NotAMember`, `DataDoesNotFit`, `TrainingFailed`, `ProjectUnsafe`.
        """
        with self.home.exclusive():
            verified = self._patiently(lambda: self._start(project), wait)
            steps = self.steps(verified, data, train=train, device=device, seed=seed)
            return RoundLoop(steps, rounds, on_result).run()

    def steps(
        self, project: VerifiedProject, data: Path, *, train: str = "", device: str = "cpu", seed: int | None = None
    ) -> RoundSteps:
        """The single steps of a round, for callers with a loop of their own; the home must be held (`exclusive`)."""
        training = LocalTraining(
            project=project,
            dataset=own_data(project, data),
            seed=seed_of(self.address) if seed is None else seed,
            reference=train,
            device=device,
        )
        return RoundSteps(
            connection=self.connection,
            project=project,
            account=self.account,
            journal=RoundJournal(self.home.project_folder(project.id), project.id),
            models=ModelSource(self.connection, self.home, project),
            training=training,
            sender=self.sender,
        )

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
        journal = RoundJournal(self.home.project_folder(project), project)
        paid = frozenset(
            number
            for number in journal.rounds()
            if (record := journal.load(number)) is not None and (record.result or "").startswith("paid")
        )
        return find_claimable(self.connection, project, self.address, expected=paid, chain_only=chain_only)

    def claim(self, project: int, *, chain_only: bool = False) -> ClaimReceipt | None:
        """Claims everything at once; None if there is nothing. Closes the newest round first if that is what its pay
        waits for."""
        self._finish_sending()
        if close_if_due(self.connection, project, self.sender):
            chain_only = True  # the service needs a moment to see it
        found = self.claimable(project, chain_only=chain_only)
        if not found.items:
            return None
        return claim(self.connection, project, self.address, found, self.sender)

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
        return TrainerStatus(
            project=project,
            title=verified.spec.title,
            round=progress.round,
            phase=view.phase if view is not None else Phase.NONE,
            member=market.member_of(project, self.address),
            standing=market.standing_of(self.address),
            claimable=self.claimable(project).total,
            symbol=token.symbol(),
            decimals=token.decimals(),
        )

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
