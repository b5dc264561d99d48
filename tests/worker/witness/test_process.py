"""Witnesses as processes, beside a real API and a real worker: rounds with good, wrong and missing updates."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from cohort_backend.settlements import repository as settlements
from cohort_backend.settlements.models import Proposal
from cohort_backend.updates import repository as updates
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.phases import Phase
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceNotFound
from cohort_worker.rounds.margins import partial_receipts_due

from tests.worker.processes import Running, api, freeze, picture, running, witness, worker
from tests.worker.stage import SHORT, Stage, wait_until


class Market:
    """API, worker and witnesses of a stage as processes, and trainers who speak HTTP with them."""

    def __init__(self, stage: Stage, stack: ExitStack) -> None:
        self.stage = stage
        self._stack = stack
        server, self.url = api(stage)
        self.api = stack.enter_context(running(lambda: server))
        self.service = stack.enter_context(ServiceClient(self.url))
        self.worker = stack.enter_context(running(partial(worker, stage)))
        self.witnesses: list[Running] = []

    def add_witness(self, index: int, ready: bool = True) -> Running:
        started = self._stack.enter_context(running(partial(witness, self.stage, index, self.url, ready=ready)))
        self.witnesses.append(started)
        return started

    def wait_for_phase(self, phase: Phase, number: int = 1, seconds: float = 30) -> None:
        def there() -> bool:
            try:
                state = self.service.state(self.stage.project)
            except ServiceNotFound:
                return False  # the worker has not read so far
            if state.round is None or state.round.number < number:
                return False
            return state.round.number > number or state.round.phase >= phase

        wait_until(there, seconds, lambda: f"phase {phase.name} of round {number}\n{picture(self.stage)}")

    def commit(self) -> None:
        stage = self.stage
        self.wait_for_phase(Phase.COMMIT, stage.round or 1)
        for trainer in stage.trainers:
            self.service.post_commit(stage.project, stage.round, stage.commit_intake(trainer))

    def reveal(self, trainers: int | None = None) -> None:
        """The first so many trainers (default: all) reveal."""
        stage = self.stage
        self.wait_for_phase(Phase.REVEAL, stage.round)
        for trainer in stage.trainers[:trainers]:
            self.service.post_reveal(stage.project, stage.round, stage.reveal_intake(trainer))


def receipts_for(stage: Stage, openings: int) -> int:
    """Receipts for a set of so many openings."""
    with stage.database.read() as session:
        sets = updates.recorded_sets(session, stage.project, stage.round)
        whole = [one.openings_hash for one in sets if len(one.members) == openings]
        return sum(len(updates.receipts(session, stage.project, stage.round, digest)) for digest in whole)


@pytest.fixture
def market_of(make_stage: Callable[..., Stage]) -> Iterator[Callable[..., Market]]:
    with ExitStack() as stack:
        yield lambda **options: Market(make_stage(**options), stack)


def test_two_rounds_with_nobody_but_processes(market_of: Callable[..., Market]) -> None:
    market = market_of(rounds=2)
    for index in range(3):
        market.add_witness(index)
    started = time.monotonic()
    for number in (1, 2):
        market.wait_for_phase(Phase.COMMIT, number)
        market.commit()
        market.reveal()
        market.wait_for_phase(Phase.FINAL, number)
    print(f"two rounds in {time.monotonic() - started:.2f} s")
    stage = market.stage
    wait_until(lambda: market.service.state(stage.project).finished, 20, "the end of the project")
    assert stage.market.ledger_of(stage.project).balanced
    signed = sum(len(one.events("settlement_signed")) for one in market.witnesses)
    assert 4 <= signed <= 6, "a quorum, or all three, in each of two rounds"
    for one in market.witnesses:
        one.wait_for("project_finished")
        begun = time.monotonic()
        assert one.stop() == 0, one.tail()
        assert time.monotonic() - begun < 3


def test_every_wrong_update_is_named_and_the_round_goes_on(market_of: Callable[..., Market]) -> None:
    """Garbage, too large, somebody else's bytes, a CID that nobody can fetch, and one who never reveals; two good ones
    are paid. Whoever committed to wrong bytes is refused, which costs the pay; what nobody could fetch is opened later,
    which saves the stake."""
    market = market_of(trainers=7, windows=SHORT)
    for index in range(3):
        market.add_witness(index)
    stage = market.stage
    market.wait_for_phase(Phase.COMMIT)
    garbage, large, foreign, lost = stage.trainers[:4]
    stage.publish_elsewhere(garbage, stage.store.put(b"garbage"))
    stage.publish_elsewhere(large, stage.store.put(bytes(1_000_000)))
    stage.publish_elsewhere(foreign, stage.update_of(stage.trainers[5]).cid)
    stage.publish_elsewhere(lost, Cid(RAW, b"\x02" * 32))
    market.commit()
    market.reveal(6)
    stage.devnet.control.warp_to(partial_receipts_due(stage.view().reveal_start, stage.view().reveal_end))
    wait_until(lambda: receipts_for(stage, 6) == 3, 60, "what every witness says of all six")
    stage.devnet.control.warp_to(stage.view().reveal_end - 10)
    wait_until(lambda: stage.view().admitted == 2, 60, "two rows")
    stage.devnet.control.warp_to(stage.view().reveal_end)
    market.wait_for_phase(Phase.FINAL, 1, seconds=60)
    with stage.database.read() as session:
        words = {(one.trainer, one.code) for one in updates.refusals(session, stage.project, 1)}
    assert words == {
        (garbage.address, "update-malformed"),
        (large.address, "update-too-large"),
        (foreign.address, "commitment-mismatch"),
        (lost.address, "not-fetchable"),
    }
    view = market.service.round(stage.project, 1)
    assert {row.trainer for row in view.rows} == {trainer.address for trainer in stage.trainers[4:6]}
    assert {one.trainer for one in view.refusals} == {one.address for one in stage.trainers[:4]}
    assert view.rescued == [lost.address]
    assert view.unresolved == 1, "the one who never revealed"


def test_an_update_that_can_be_fetched_again_is_admitted(market_of: Callable[..., Market]) -> None:
    market = market_of()
    for index in range(2):
        market.add_witness(index)
    stage = market.stage
    market.commit()
    late = stage.update_of(stage.trainers[0])
    block = stage.store._path(late.cid)
    hidden = block.with_suffix(".hidden")
    block.rename(hidden)
    market.reveal()
    for one in market.witnesses:
        one.wait_for("receipt_posted")
    assert stage.view().admitted == 0
    hidden.rename(block)
    market.wait_for_phase(Phase.FINAL)
    assert len(market.service.round(stage.project, 1).rows) == 3


def test_witnesses_refuse_a_forged_outcome_and_remember_what_they_signed(market_of: Callable[..., Market]) -> None:
    market = market_of(rounds=2)
    stage = market.stage
    market.commit()
    market.wait_for_phase(Phase.REVEAL)
    first = market.add_witness(0)
    second = market.add_witness(1)
    freeze(market.worker, stage)
    market.reveal()
    for one in market.witnesses:
        one.wait_for("receipt_posted")
    second.kill()
    os.kill(market.worker.process.pid, signal.SIGCONT)
    first.wait_for("settlement_signed")
    market.worker.kill()

    with stage.database.write() as session:  # the aggregator proposes another outcome of the same rows
        proposal = settlements.proposal(session, stage.project, 1)
        assert proposal is not None
        honest = stage.store.get(Cid.parse(proposal.bundle_cid), 2**20)
        forged = stage.store.put(honest.replace(b'"weight":', b'"weight":1', 1))
        fields = {column.name: getattr(proposal, column.name) for column in Proposal.__table__.columns}
        settlements.save_proposal(session, Proposal(**{**fields, "bundle_cid": str(forged)}))
    assert "weight" in first.wait_for("outcome_refused")[0]["detail"]

    def refused() -> bool:
        with stage.database.read() as session:
            return len(settlements.settlement_refusals(session, stage.project, 1, str(forged))) == 2

    with running(partial(witness, stage, 1, market.url)) as again:
        assert "weight" in again.wait_for("outcome_refused")[0]["detail"]
        wait_until(refused, 20, "both refusals on record")
    assert (
        len(
            (stage.home / "witnesses")
            .joinpath(f"{stage.witnesses[0].address}.json.signed.jsonl")
            .read_text()
            .splitlines()
        )
        == 1
    )


def test_a_killed_witness_answers_when_it_is_back(market_of: Callable[..., Market]) -> None:
    """Quorum two of two: killed before it could say anything of the reveals, then before the settlement."""
    market = market_of()
    stage = market.stage
    first, second = market.add_witness(0), market.add_witness(1)
    market.commit()
    market.wait_for_phase(Phase.REVEAL)
    second.kill()
    market.reveal()
    first.wait_for("receipt_posted")
    assert stage.phase() is Phase.REVEAL
    freeze(market.worker, stage)
    second = market.add_witness(1)
    second.wait_for("receipt_posted")
    second.kill()
    os.kill(market.worker.process.pid, signal.SIGCONT)
    first.wait_for("settlement_signed")
    assert stage.phase() is Phase.SETTLE
    market.add_witness(1)
    market.wait_for_phase(Phase.FINAL)


def test_a_witness_waits_for_an_api_that_is_away(market_of: Callable[..., Market]) -> None:
    market = market_of()
    first, second = market.add_witness(0), market.add_witness(1)
    market.commit()
    market.wait_for_phase(Phase.REVEAL)
    market.api.kill()
    first.wait_for("waiting")
    second.wait_for("waiting")
    port = market.url.rpartition(":")[2]
    from tests.worker.processes import worker_environment

    back = Running(["serve", "--port", port], worker_environment(market.stage), market.stage.home / "api-2.log")
    with running(lambda: back):
        back.wait_for("serving")
        market.reveal()
        market.wait_for_phase(Phase.FINAL)


def test_a_witness_of_another_market_says_so_and_ends(market_of: Callable[..., Market]) -> None:
    market = market_of()
    token = market.stage.devnet.deployment.token
    wrong = witness(market.stage, 2, market.url, "--market", token, ready=False)
    with running(lambda: wrong):
        wrong.process.wait(30)
        assert wrong.process.returncode not in (0, None)
        assert "serves chain" in wrong.tail()
        assert "Traceback" not in wrong.tail()
