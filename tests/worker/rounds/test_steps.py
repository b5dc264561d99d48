"""A round from open to settled through the worker's own steps, on a real chain with a real database and store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from cohort_backend.chain.models import ChainTransaction
from cohort_backend.projects import repository as projects
from cohort_backend.rounds import repository as rounds
from cohort_backend.updates import repository as updates
from cohort_backend.updates.models import CommitIntent, RevealIntent, RoundIntake
from cohort_protocol.chain import ChainUnavailable
from cohort_protocol.chain.types import WitnessSignature
from cohort_protocol.commitments import public_rows_message, sign
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import NO_HASH
from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.rounds.advance import advance_project, look
from cohort_worker.rounds.planner import PostReveals
from cohort_worker.rounds.situation import enough_receipts, openable, signed_sets
from cohort_worker.rounds.steps import perform
from eth_abi import encode
from eth_utils import keccak
from sqlalchemy import select

from tests.fixtures.postgres import PostgresServer
from tests.worker.stage import SHORT, Stage

RUNNING = threading.Event()
BOND = ["approve", "bond"]
"""Once per project, unless a bond is lost."""


def _advance(stage: Stage) -> bool:
    stage.parts.indexer.catch_up()
    return advance_project(stage.parts, stage.project, RUNNING)


def _intents(stage: Stage) -> list[str]:
    with stage.database.read() as session:
        return [entry.intent for entry in session.scalars(select(ChainTransaction).order_by(ChainTransaction.nonce))]


def _evaluate(stage: Stage):
    assert evaluate_round(stage.parts, stage.project, stage.round)
    return stage.proposal()


def _to_reveal(stage: Stage) -> None:
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    _advance(stage)
    assert stage.phase() is Phase.REVEAL


def _reveal_all(stage: Stage) -> None:
    stage.parts.indexer.catch_up()
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    _advance(stage)


def _to_settle(stage: Stage) -> None:
    _to_reveal(stage)
    _reveal_all(stage)
    assert stage.phase() is Phase.SETTLE


def test_a_round_from_open_to_settled_and_the_next_one_opens(stage: Stage) -> None:
    _to_settle(stage)
    proposal = _evaluate(stage)
    _advance(stage)
    assert stage.phase() is Phase.SETTLE, "nobody has signed yet"
    stage.sign_settlement(proposal)
    _advance(stage)
    assert stage.round == 2
    assert stage.phase() is Phase.COMMIT
    first = stage.market.round_of(stage.project, 1)
    assert first.phase is Phase.FINAL
    assert to_hex(stage.market.progress_of(stage.project).model) == proposal.next_model.commitment
    names = [intent.split()[0] for intent in _intents(stage)]
    assert names == [*BOND, "open", "commit", "reveal", "settle", "open"], "one transaction per step"


def test_postgresql_works_as_sqlite_does(stage: Stage, postgres_server: PostgresServer) -> None:
    """A round with a reorg in it, and two planners at once."""
    with postgres_server.fresh_database() as url:
        stage.database_url = url
        _to_reveal(stage)
        fork = stage.devnet.control.snapshot()
        for trainer in stage.trainers:
            stage.hand_in_reveal(trainer)
        stage.post_receipts(stage.reveal_set())
        _advance(stage)
        assert stage.phase() is Phase.SETTLE
        stage.devnet.control.revert(fork)
        stage.devnet.control.mine(1)
        threads = [threading.Thread(target=_advance, args=(stage,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert stage.phase() is Phase.SETTLE
        stage.sign_settlement(_evaluate(stage))
        _advance(stage)
        assert stage.round == 2
        steps = ["open", "commit", "reveal", "settle", "open"]
        assert [intent.split()[0] for intent in _intents(stage)] == [*BOND, *steps]
        stage.close()


def test_a_project_runs_to_its_last_round(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(rounds=2)
    for _ in range(2):
        _to_settle(stage)
        stage.sign_settlement(_evaluate(stage))
        _advance(stage)
    assert not look(stage.parts, stage.project).steps
    ledger = stage.market.ledger_of(stage.project)
    assert ledger.balanced
    assert ledger.held == 0
    with stage.database.read() as session:
        project = projects.get(session, stage.project)
        assert project is not None
        assert project.claimable == ledger.claimable


def test_nobody_waits_longer_than_the_windows(make_stage: Callable[..., Stage]) -> None:
    """One trainer never commits and another never reveals: the others' work counts."""
    stage = make_stage(trainers=4, windows=SHORT)
    _advance(stage)
    for trainer in stage.trainers[:3]:
        stage.hand_in_commit(trainer)
    _advance(stage)
    assert stage.view().batch_count == 0, "a fourth may come"
    stage.devnet.control.warp(76)
    _advance(stage)
    assert stage.view().batch_count == 3
    stage.devnet.control.warp_to(stage.view().commit_end)
    stage.parts.indexer.catch_up()
    for trainer in stage.trainers[:2]:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set(stage.trainers[:2]))
    _advance(stage)
    assert stage.view().admitted == 0, "the third may reveal"
    stage.devnet.control.warp(76)
    _advance(stage)
    assert stage.view().admitted == 2
    stage.devnet.control.warp_to(stage.view().reveal_end)
    stage.parts.indexer.catch_up()
    stage.sign_settlement(_evaluate(stage))
    _advance(stage)
    assert stage.market.round_of(stage.project, 1).phase is Phase.FINAL


def test_an_update_without_a_quorum_waits_for_the_end_and_the_others_are_admitted(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(windows=SHORT)
    _advance(stage)
    lost = stage.trainers[0]
    stage.publish_elsewhere(lost, Cid(RAW, b"\x01" * 32))
    _to_reveal(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    _advance(stage)
    assert stage.view().admitted == 0, "witnesses may still be able to fetch it"
    stage.devnet.control.warp(76)
    _advance(stage)
    view = stage.view()
    assert (view.admitted, view.refused, view.phase) == (2, 0, Phase.REVEAL)
    with stage.database.read() as session:
        refusals = updates.refusals(session, stage.project, 1)
    assert {(refusal.trainer, refusal.code) for refusal in refusals} == {(lost.address, "not-fetchable")}


def test_a_refused_update_ends_the_phase_without_being_paid(stage: Stage) -> None:
    _advance(stage)
    cheat = stage.trainers[1]
    stage.publish_elsewhere(cheat, stage.store.put(b"\x00" * 300))
    _to_reveal(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    _advance(stage)
    view = stage.view()
    assert (view.admitted, view.refused, view.phase) == (2, 1, Phase.SETTLE)
    stage.sign_settlement(_evaluate(stage))
    _advance(stage)
    assert stage.round == 2


def test_too_few_commitments_void_the_round_and_the_next_one_opens(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=SHORT)
    _advance(stage)
    stage.hand_in_commit(stage.trainers[0])
    stage.devnet.control.warp(101)
    _advance(stage)
    assert stage.round == 2
    assert stage.market.round_of(stage.project, 1).phase is Phase.VOID
    assert stage.market.ledger_of(stage.project).balanced


def test_a_round_that_nobody_settles_pays_everybody_equally(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=SHORT)
    _to_settle(stage)
    _evaluate(stage)
    stage.devnet.control.warp_to(stage.view().settle_end)
    _advance(stage)
    assert stage.market.round_of(stage.project, 1).phase is Phase.DEFAULTED
    with stage.database.read() as session:
        pays = {row.pay for row in rounds.rows(session, stage.project, 1)}
    assert len(pays) == 1
    assert min(pays) > 0


def test_a_step_done_twice_at_once_is_one_transaction(stage: Stage) -> None:
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    stage.parts.indexer.catch_up()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            advance_project(stage.parts, stage.project, RUNNING)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert stage.phase() is Phase.REVEAL
    assert [intent.split()[0] for intent in _intents(stage)] == [*BOND, "open", "commit"]


def spoil(stage: Stage, trainer) -> None:
    """A signature that went bad after intake."""
    with stage.database.write() as session:
        intent = session.get(CommitIntent, (stage.project, 1, trainer.address))
        assert intent is not None
        intent.signature = b"\x11" * 64 + b"\x1b"


def test_one_bad_leaf_does_not_keep_the_others_out(stage: Stage) -> None:
    """It is passed over, and part of the batch that later calls repeat. Its trainer can still post its own."""
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    spoilt = stage.trainers[1]
    spoil(stage, spoilt)
    _advance(stage)
    view = stage.view()
    assert (view.batch_count, view.batch_bits, view.phase) == (2, 0b101, Phase.COMMIT)
    with stage.database.read() as session:
        batch = rounds.batch(session, stage.project, 1)
        counting = [one.member for one in rounds.commits(session, stage.project, 1) if one.counts]
    assert [leaf.member for leaf in batch.leaves] == [1, 2, 3]
    assert counting == [1, 3]
    own = stage.market.commit_self(stage.project, 1, stage.number_of(spoilt), stage.commitment_of(spoilt), batch)
    stage.devnet.send(spoilt, own)
    _reveal_all(stage)
    assert (stage.view().admitted, stage.phase()) == (3, Phase.SETTLE)


def test_a_batch_in_which_nothing_counts_is_not_the_rounds_batch(stage: Stage) -> None:
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
        spoil(stage, trainer)
    assert _advance(stage), "to be looked at again"
    assert not stage.view().batch_posted
    with stage.database.read() as session:
        gate = session.get(RoundIntake, (stage.project, 1))
        assert gate is not None
        assert gate.batch_closed_at is None, "others may still hand in"


def test_a_delegate_that_was_revoked_is_not_in_the_batch(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=SHORT)
    revoked, trusted = stage.trainers[:2]
    delegate = stage.devnet.account("anyone")
    for trainer in (revoked, trusted):
        stage.devnet.send(trainer, stage.market.set_delegate(stage.project, delegate.address))
    _advance(stage)
    stage.hand_in_commit(revoked, delegate)
    stage.hand_in_commit(trusted, delegate)
    stage.hand_in_commit(stage.trainers[2])
    stage.devnet.send(revoked, stage.market.set_delegate(stage.project, None))
    _advance(stage)
    assert not stage.view().batch_posted, "the trainer may sign anew"
    stage.devnet.control.warp(76)
    _advance(stage)
    assert stage.view().batch_count == 2
    with stage.database.read() as session:
        assert [leaf.member for leaf in rounds.batch(session, stage.project, 1).leaves] == [2, 3]


def test_no_batch_in_the_part_of_the_phase_that_is_for_trainers(make_stage: Callable[..., Stage]) -> None:
    """The worker was away: what was handed in to it is too late for a batch, and the trainers post their own."""
    stage = make_stage(windows=replace(SHORT, self_commit=40))
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    stage.devnet.control.warp(60)
    assert not _advance(stage)
    assert look(stage.parts, stage.project).wake_at == stage.view().commit_end
    assert [intent.split()[0] for intent in _intents(stage)] == [*BOND, "open"], "nothing was tried"
    for trainer in stage.trainers:
        own = stage.market.commit_self(stage.project, 1, stage.number_of(trainer), stage.commitment_of(trainer))
        stage.devnet.send(trainer, own)
    _reveal_all(stage)
    assert (stage.view().admitted, stage.phase()) == (3, Phase.SETTLE)


def test_a_commitment_posted_by_its_trainer_is_not_in_the_batch(stage: Stage) -> None:
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    own = stage.trainers[0]
    number = stage.number_of(own)
    stage.devnet.send(own, stage.market.commit_self(stage.project, 1, number, stage.commitment_of(own)))
    _advance(stage)
    view = stage.view()
    assert (view.batch_count, view.self_count, view.phase) == (2, 1, Phase.REVEAL)


def test_a_late_reveal_does_not_void_receipts_for_the_others(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=SHORT)
    _to_reveal(stage)
    early = stage.trainers[:2]
    for trainer in early:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set(early))
    stage.hand_in_reveal(stage.trainers[2])
    stage.devnet.control.warp(76)
    _advance(stage)
    assert stage.view().admitted == 2
    stage.post_receipts(stage.reveal_set(stage.trainers[2:]))
    _advance(stage)
    assert (stage.view().admitted, stage.phase()) == (3, Phase.SETTLE)
    assert evaluate_round(stage.parts, stage.project, 1)
    stage.sign_settlement(stage.proposal())
    _advance(stage)
    assert stage.market.round_of(stage.project, 1).phase is Phase.FINAL, "rows of two calls settle like those of one"


def test_only_the_receipts_that_decide_are_sent(stage: Stage) -> None:
    _to_reveal(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set(), stage.witnesses)
    with stage.database.read() as session:
        current = rounds.get(session, stage.project, 1)
        assert current is not None
        (signed,) = signed_sets(session, stage.identity, current)
        assert len(signed.receipts) == 3
        chosen = enough_receipts(signed, 2)
        assert len(chosen) == 2
        assert signed.ready(2, chosen) == signed.ready(2) == 0b111
        assert signed.ready(4) == 0


def test_a_batch_that_a_reorg_undid_is_posted_again(stage: Stage) -> None:
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    fork = stage.devnet.control.snapshot()
    _advance(stage)
    assert stage.phase() is Phase.REVEAL
    stage.devnet.control.revert(fork)
    stage.devnet.control.mine(1)
    assert stage.phase() is Phase.COMMIT
    _advance(stage)
    assert stage.phase() is Phase.REVEAL
    assert stage.view().batch_count == 3


def test_a_transaction_that_was_recorded_and_never_sent_is_sent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead between journal and broadcast, here of the transaction that accepts and opens."""
    client = stage.parts.client
    send_raw = client.send_raw

    def away(raw: bytes) -> bytes:
        if len(_intents(stage)) == len(BOND) + 1:
            raise ChainUnavailable("cut off")
        return send_raw(raw)

    monkeypatch.setattr(client, "send_raw", away)
    with pytest.raises(ChainUnavailable):
        _advance(stage)
    assert stage.round == 0
    monkeypatch.setattr(client, "send_raw", send_raw)
    _advance(stage)
    assert stage.round == 1
    assert [intent.split()[0] for intent in _intents(stage)] == [*BOND, "open"]
    assert stage.devnet.client.nonce(stage.aggregator.address) == 3


def test_a_round_that_a_reorg_undid_is_accepted_and_opened_again(stage: Stage) -> None:
    stage.parts.indexer.catch_up()
    fork = stage.devnet.control.snapshot()
    _advance(stage)
    assert stage.round == 1
    stage.devnet.control.revert(fork)
    stage.devnet.control.mine(3)
    assert stage.market.bond_of(stage.project, stage.aggregator.address).locked == 0
    _advance(stage)
    assert (stage.round, stage.view().acceptor) == (1, stage.aggregator.address)
    assert stage.market.bond_of(stage.project, stage.aggregator.address).locked == stage.terms.bond


def test_validation_and_public_rows_are_part_of_the_outcome(make_stage: Callable[..., Stage]) -> None:
    """Anybody may reveal the owner's validation batch, a quorum posts public rows: the settlement has to speak of both,
    and a proposal from before is computed again."""
    digest, public_rows = keccak(b"validation batch"), keccak(b"public rows")
    leaf = keccak(keccak(encode(["uint32", "bytes32"], [1, digest])))
    stage = make_stage(rounds=1, validation_root=leaf)
    market, anyone = stage.market, stage.devnet.account("anyone")
    _to_reveal(stage)
    stage.devnet.send(anyone, market.reveal_validation(stage.project, 1, digest, []))
    _reveal_all(stage)
    before = _evaluate(stage)
    assert (before.validation, before.public_rows) == (to_hex(digest), NO_HASH)
    stage.sign_settlement(before)
    message = public_rows_message(stage.identity, stage.project, 1, public_rows)
    signatures = [WitnessSignature(index, sign(message, stage.witnesses[index])) for index in range(2)]
    stage.devnet.send(anyone, market.post_public_rows(stage.project, 1, public_rows, signatures))
    stage.parts.indexer.catch_up()
    found = look(stage.parts, stage.project)
    assert (found.steps, found.waiting_for) == ((), "the evaluation"), "the signatures speak of another outcome"
    after = _evaluate(stage)
    assert (after.validation, after.public_rows) == (to_hex(digest), to_hex(public_rows))
    stage.sign_settlement(after)
    _advance(stage)
    assert stage.phase() is Phase.FINAL


def test_an_opening_of_another_commitment_is_not_posted(stage: Stage) -> None:
    """Handed in before a reorg brought another commitment on chain: of no use, and no word against its trainer."""
    _to_reveal(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    with stage.database.write() as session:
        intent = session.get(RevealIntent, (stage.project, 1, stage.trainers[0].address))
        assert intent is not None
        intent.salt = b"\x01" * 32
    with stage.database.read() as session:
        current = rounds.get(session, stage.project, 1)
        assert current is not None
        assert [one.member for one in openable(session, stage.identity, current)] == [2, 3]
    stage.devnet.control.warp_to(stage.view().rescue_end)
    _advance(stage)
    assert stage.market.member_of(stage.project, stage.trainers[0].address).staked


def test_a_project_that_does_not_name_us_is_left_alone(stage: Stage) -> None:
    stage.parts.indexer.catch_up()
    other = replace(stage.parts, sender=stage.devnet.sender(stage.owner))
    assert not advance_project(other, stage.project, RUNNING)
    assert stage.round == 0


def test_a_set_that_does_not_exist_is_not_posted(stage: Stage) -> None:
    _to_reveal(stage)
    perform(stage.parts, PostReveals(stage.project, 1, b"\x07" * 32))
    assert [intent.split()[0] for intent in _intents(stage)] == [*BOND, "open", "commit"]
