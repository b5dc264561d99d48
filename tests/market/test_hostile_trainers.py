"""Trainers who send rubbish the way anybody could, through the public API: each is refused or flagged with a reason in
words, and the round goes on for the others.

The honest trainers are processes; the hostile ones are this test, with their own keys, speaking to the same API.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cohort_devnet.demo.collect import collect_rounds
from cohort_devnet.demo.history import History
from cohort_devnet.demo.money import re_add
from cohort_devnet.demo.parts import LocalParts, PartsPlan
from cohort_devnet.demo.people import PASSWORD, WORK_FACTOR, Keys
from cohort_devnet.demo.project import (
    create_project,
    home_config,
    make_places,
    mint_tokens,
    open_owner,
    start_owner,
    start_trainer,
)
from cohort_devnet.demo.report import Money, Round
from cohort_devnet.demo.settings import WITNESSES, DemoSettings
from cohort_devnet.demo.task import demo_task
from cohort_devnet.supervisor import Supervisor
from cohort_protocol import commitments
from cohort_protocol.chain.market import Market
from cohort_protocol.errors import CohortError, Unavailable
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.phases import Phase
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceNotFound, ServiceRefused
from cohort_protocol.service.messages import CommitIntake, ProjectState, RevealIntake
from cohort_trainer.home import Home
from cohort_trainer.sdk import Trainer
from eth_account.signers.local import LocalAccount
from eth_utils import keccak
from pydantic import SecretStr

from tests.market.running import until

pytestmark = [pytest.mark.market, pytest.mark.timeout(900)]

HONEST = 3
HOSTILE = ("garbage", "oversized", "unfetchable", "copycat")
OVERSIZED_BYTES = 3_000_000
COMMIT_SECONDS, REVEAL_SECONDS, RESCUE_SECONDS, SETTLE_SECONDS = 50, 22, 12, 75
"""Short: the round has to wait for a reveal that never becomes valid, and the stakes for the end of the rescue."""


@dataclass
class Hostile:
    """A member of the project whose updates are whatever we like."""

    name: str
    account: LocalAccount
    content: bytes
    cid: str
    member: int
    """Its number in the project."""
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def update(self) -> bytes:
        return keccak(self.content)

    def commitment(self, market: Market, project: int) -> bytes:
        identity = market.identity(project)
        cid = bytes(Cid.parse(self.cid))
        return commitments.commitment(identity, project, 1, self.member, self.update, cid, self.salt)

    def commit(self, market: Market, project: int, commitment: bytes | None = None) -> CommitIntake:
        """Signed properly by its own key; `commitment`: somebody else's."""
        value = commitment or self.commitment(market, project)
        identity = market.identity(project)
        message = commitments.commit_message(identity, project, 1, self.member, value)
        return CommitIntake(
            trainer=self.account.address,
            member=self.member,
            commitment=to_hex(value),
            signature=to_hex(commitments.sign(message, self.account)),
        )

    def reveal(self) -> RevealIntake:
        return RevealIntake(
            trainer=self.account.address,
            member=self.member,
            update=to_hex(self.update),
            salt=to_hex(self.salt),
            cid=self.cid,
        )


@dataclass
class Stage:
    """The market after its one round, and what the API said to the hostile ones."""

    rounds: list[Round]
    people: dict[str, Hostile]
    honest: list[str]
    said: dict[str, ServiceRefused]
    money: Money
    staked: dict[str, bool]
    """Hostile trainer -> whether its stake is still in the contract."""
    stake: int

    def flag_of(self, name: str) -> tuple[str, str]:
        """(reason, words) for a hostile trainer."""
        address = self.people[name].account.address
        flags = {flag.trainer: flag for flag in self.rounds[0].flagged}
        return flags[address].reason, flags[address].detail


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    settings = DemoSettings(
        report=folder,
        rounds=1,
        trainers=HONEST + len(HOSTILE),
        cheaters=0,
        seed=11,
        settlement="attested",
        commit_seconds=COMMIT_SECONDS,
        self_commit_seconds=5,
        reveal_seconds=REVEAL_SECONDS,
        rescue_seconds=RESCUE_SECONDS,
        settle_seconds=SETTLE_SECONDS,
    )
    keys = Keys.of_seed(settings.seed, WITNESSES, settings.trainers)
    with Supervisor(settings.run_folder) as supervisor:
        plan = PartsPlan(settings.run_folder, settings.chain_state, settings.deployment_file)
        yield play(LocalParts(plan, supervisor, keys), settings)


def play(parts: LocalParts, settings: DemoSettings) -> Stage:
    """One round with honest processes and hostile members."""
    task = demo_task(settings.seed, settings.trainers)
    parts.start_chain()
    parts.start_services()
    mint_tokens(parts, parts.keys.owner, parts.keys.trainers, settings.stake)
    market = Market(parts.client, parts.deployment.market)
    with open_owner(parts) as owner, ServiceClient(parts.api_url) as service:
        project = create_project(owner, parts, settings, task, slots=settings.trainers)
        start_owner(parts, project)
        places = make_places(parts, settings, task)
        for place in places[:HONEST]:
            start_trainer(parts, place, project, claim=True)
        until(lambda: market.progress_of(project).members == HONEST, 90, "the honest trainers to join")
        people = hostile_members(parts, project)
        said = take_part(parts, service, market, project, people)
        wait_for(parts, service, project, lambda state: state.round is not None and state.round.phase.terminal)
        copycat = people["copycat"].account.address
        until(lambda: not market.member_of(project, copycat).staked, 60, "the stake of who never revealed to be taken")
        for place in places[:HONEST]:
            assert parts.supervisor.wait(place.name, 60) == 0
        first_model = owner.project(project).spec.model.initial_cid
        refusals = {1: {one.trainer: (one.code, one.detail) for one in service.round(project, 1).refusals}}
    history = History.read(market, project, first_model)
    with connect_store(parts.ipfs_url) as store:
        rounds = collect_rounds(history, parts.client, store, {1: 0.0}, {}, refusals, {})
    money = re_add(parts.client, market.address, parts.token, project)
    staked = {name: market.member_of(project, one.account.address).staked for name, one in people.items()}
    honest = [place.account.address for place in places[:HONEST]]
    return Stage(rounds, people, honest, said, money, staked, settings.stake)


def hostile_members(parts: LocalParts, project: int) -> dict[str, Hostile]:
    """They join like anybody: with a stake, by their own key."""
    with connect_store(parts.ipfs_url) as store:
        garbage, oversized = b"not an update" * 7, secrets.token_bytes(OVERSIZED_BYTES)
        never_published = secrets.token_bytes(5000)
        contents = {
            "garbage": (garbage, str(store.put(garbage))),
            "oversized": (oversized, str(store.put(oversized))),
            "unfetchable": (never_published, str(cid_of(never_published))),
            "copycat": (b"its own", str(cid_of(b"its own"))),
        }
    people = {}
    for name, account in zip(HOSTILE, parts.keys.trainers[HONEST:], strict=True):
        folder = parts.plan.folder / "hostile" / name
        config = home_config(parts, account.address)
        home = Home.create(folder, config, account, SecretStr(PASSWORD), work_factor=WORK_FACTOR)
        trainer = Trainer(home, account)
        member = trainer.join(project)
        people[name] = Hostile(name, account, *contents[name], member.number)
    return people


def take_part(
    parts: LocalParts, service: ServiceClient, market: Market, project: int, people: dict[str, Hostile]
) -> dict[str, ServiceRefused]:
    """Commits and reveals of the hostile ones; what the API refused, by what was tried."""
    said: dict[str, ServiceRefused] = {}
    wait_for(parts, service, project, lambda state: state.round is not None and state.round.phase == Phase.COMMIT)
    for name in ("garbage", "oversized", "unfetchable"):
        service.post_commit(project, 1, people[name].commit(market, project))
    copycat, victim = people["copycat"], people["garbage"]
    with pytest.raises(ServiceRefused) as refused:
        service.post_commit(project, 1, copycat.commit(market, project, victim.commitment(market, project)))
    said["copied commitment"] = refused.value
    service.post_commit(project, 1, copycat.commit(market, project))

    wait_for(parts, service, project, lambda state: state.round is not None and state.round.phase == Phase.REVEAL)
    for name in ("garbage", "oversized", "unfetchable"):
        service.post_reveal(project, 1, people[name].reveal())
    opening = victim.reveal().model_copy(update={"trainer": copycat.account.address, "member": copycat.member})
    with pytest.raises(ServiceRefused) as refused:
        service.post_reveal(project, 1, opening)
    said["copied opening"] = refused.value
    return said


def wait_for(parts: LocalParts, service: ServiceClient, project: int, ready) -> ProjectState:
    """Follows the project's state until `ready` holds."""
    version, deadline = -1, time.monotonic() + 120
    while time.monotonic() < deadline:
        parts.supervisor.check()
        try:
            state = service.state(project, version, 2.0 if version >= 0 else 0.0)
        except (Unavailable, ServiceNotFound):
            time.sleep(0.1)
            continue
        if ready(state):
            return state
        version = state.version
    raise CohortError(f"the market did not get there; the worker says:\n{parts.supervisor.log_tail('worker')}")


def test_the_round_goes_on_and_pays_the_honest(stage: Stage) -> None:
    entry = stage.rounds[0]
    assert entry.outcome == "settled"
    assert sorted(entry.accepted) == sorted(stage.honest)
    assert all(entry.payouts[address] > 0 for address in stage.honest)
    assert all(entry.payouts[one.account.address] == 0 for one in stage.people.values())
    assert stage.money.findings == []


def test_only_who_never_revealed_loses_its_stake(stage: Stage) -> None:
    """Bytes that are wrong, or that nobody can fetch, cost the pay: the commitments were opened."""
    assert stage.staked == {"garbage": True, "oversized": True, "unfetchable": True, "copycat": False}
    assert "its stake was taken" in stage.flag_of("copycat")[1]
    money, stake = stage.money, stage.stake
    assert (money.stake_rewards, money.stakes_burned) == (stake // 10, stake - stake // 10)
    assert money.stakes == (HONEST + 3) * stake
    assert [step.step for step in stage.rounds[0].gas].count("rescue") == 1


def test_garbage_is_refused_by_the_witnesses(stage: Stage) -> None:
    reason, words = stage.flag_of("garbage")
    assert reason == "update-malformed"
    assert "the file of an update starts with" in words


def test_an_oversized_object_is_refused_without_being_fetched_whole(stage: Stage) -> None:
    reason, words = stage.flag_of("oversized")
    assert reason in ("update-too-large", "content-too-large")
    assert "bytes" in words


def test_a_cid_that_nobody_can_fetch_is_named(stage: Stage) -> None:
    reason, words = stage.flag_of("unfetchable")
    assert reason == "not-fetchable"
    assert stage.people["unfetchable"].cid in words


def test_a_copied_commitment_is_refused_and_its_opening_does_not_fit(stage: Stage) -> None:
    assert stage.said["copied commitment"].code == "duplicate-commitment"
    assert stage.said["copied commitment"].detail
    assert stage.said["copied opening"].code == "opening-wrong"
    assert stage.said["copied opening"].detail
    reason, words = stage.flag_of("copycat")
    assert reason == "no-reveal"
    assert words


def test_every_flagged_trainer_has_a_reason_in_words(stage: Stage) -> None:
    flagged = {flag.trainer for flag in stage.rounds[0].flagged}
    assert flagged == {one.account.address for one in stage.people.values()}
    assert all(len(flag.detail.split()) >= 3 for flag in stage.rounds[0].flagged)
