"""The indexer on a real chain: everything once, in order, reorgs taken back."""

from __future__ import annotations

import threading

import pytest
from cohort_backend.chain import repository
from cohort_backend.chain.errors import OtherMarket
from cohort_backend.chain.models import ChainEvent
from cohort_backend.jobs.models import Job
from cohort_backend.projects import repository as projects
from cohort_backend.rounds import repository as rounds
from cohort_protocol.chain import ChainClient, ChainUnavailable
from cohort_protocol.chain.errors import NoContract
from cohort_worker.chain_index import reorg
from cohort_worker.chain_index.indexer import ChainIndexer
from sqlalchemy import func, select

from tests.worker.stage import Stage


def _indexer(stage: Stage, **options) -> ChainIndexer:
    deployment = stage.devnet.deployment
    return ChainIndexer(
        stage.database,
        stage.devnet.client,
        deployment.market,
        **{"start_block": deployment.block, **options},
    )


def _open(stage: Stage):
    """Accepted and opened by the aggregator without its worker."""
    market, project = stage.market, stage.project
    stage.devnet.send(stage.aggregator, stage.devnet.token.approve(market.address, stage.terms.bond))
    stage.devnet.send(stage.aggregator, market.deposit_bond(project, stage.terms.bond))
    both = market.multicall([market.accept(project, 1), market.open_round(project)])
    return stage.devnet.send(stage.aggregator, both)


def _events(stage: Stage) -> list[tuple]:
    with stage.database.read() as session:
        query = select(ChainEvent).order_by(ChainEvent.block_number, ChainEvent.log_index)
        return [(e.block_number, e.log_index, e.block_hash, e.name) for e in session.scalars(query)]


def _project(stage: Stage):
    with stage.database.read() as session:
        return projects.get(session, stage.project)


def test_everything_is_read_once_whatever_the_range(stage: Stage) -> None:
    touched = _indexer(stage, max_range=3).catch_up()
    assert stage.project in touched
    found = _events(stage)
    assert found == sorted(set(found)), "each once, in order"
    assert [name for *_, name in found].count("MemberJoined") == 3
    assert _project(stage).members == 3
    assert _indexer(stage).catch_up() == set()
    assert _events(stage) == found


def test_a_change_wakes_the_planner_in_the_same_transaction(stage: Stage) -> None:
    _indexer(stage).catch_up()
    with stage.database.read() as session:
        jobs = list(session.scalars(select(Job)))
    assert [(job.kind, job.key) for job in jobs] == [("advance_project", str(stage.project))]
    assert [message.job_id for message in stage.sent] == [jobs[0].id]


def test_many_indexers_at_once_read_everything_once(stage: Stage) -> None:
    indexers = [_indexer(stage, max_range=2) for _ in range(4)]
    errors: list[BaseException] = []

    def work(indexer: ChainIndexer) -> None:
        try:
            indexer.catch_up()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(indexer,)) for indexer in indexers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert _project(stage).members == 3
    found = _events(stage)
    assert found == sorted(set(found))


def test_confirmations_hold_blocks_back(stage: Stage) -> None:
    indexer = _indexer(stage, confirmations=2)
    indexer.catch_up()
    before = _project(stage).round
    _open(stage)
    indexer.catch_up()
    assert _project(stage).round == before
    stage.devnet.control.mine(2)
    indexer.catch_up()
    assert _project(stage).round == before + 1


def test_what_a_transaction_cost_is_kept(stage: Stage) -> None:
    receipt = _open(stage)
    _indexer(stage).catch_up()
    with stage.database.read() as session:
        assert ("open", receipt.hash, receipt.gas_used) in rounds.gas(session, stage.project, 1)


def test_a_reorg_is_taken_back_and_read_anew(stage: Stage) -> None:
    indexer = _indexer(stage)
    indexer.catch_up()
    _open(stage)
    stage.devnet.control.mine(2)
    indexer.catch_up()
    assert _project(stage).round == 1
    with stage.database.read() as session:
        cursor = repository.cursor(session)
        assert cursor is not None
        old_number, old_hash = cursor.block_number, cursor.block_hash

    stage.devnet.control.reorg(3)
    assert stage.devnet.client.block(old_number).hash != old_hash, "the chain must have changed"
    touched = indexer.catch_up()

    assert stage.project in touched
    on_chain = stage.market.progress_of(stage.project).round
    assert _project(stage).round == on_chain
    with stage.database.read() as session:
        cursor = repository.cursor(session)
        assert cursor is not None
        head = stage.devnet.client.block()
        assert (cursor.block_number, cursor.block_hash) == (head.number, head.hash)
    chain_hashes = {number: stage.devnet.client.block(number).hash for number, *_ in _events(stage)}
    assert all(hash == chain_hashes[number] for number, _, hash, _ in _events(stage))


def test_a_round_that_a_reorg_undid_is_gone(stage: Stage) -> None:
    """The transaction is not mined again: the projection must be what it was before it."""
    indexer = _indexer(stage)
    indexer.catch_up()
    with stage.database.read() as session:
        events = session.scalar(select(func.count()).select_from(ChainEvent))
    fork = stage.devnet.control.snapshot()
    _open(stage)
    indexer.catch_up()
    assert _project(stage).round == 1

    stage.devnet.control.revert(fork)
    stage.devnet.control.mine(3)  # the same height, other blocks
    indexer.catch_up()

    assert _project(stage).round == 0
    with stage.database.read() as session:
        assert rounds.newest(session, stage.project) is None
        assert session.scalar(select(func.count()).select_from(ChainEvent)) == events


def test_a_node_that_is_behind_is_no_reorg(stage: Stage) -> None:
    indexer = _indexer(stage)
    indexer.catch_up()
    head = stage.devnet.client.block()
    stage.devnet.control.mine(3)
    indexer.catch_up()
    assert not reorg.is_reorganised(stage.database, stage.devnet.client, head)


def test_a_database_of_another_market_is_refused(stage: Stage) -> None:
    _indexer(stage).catch_up()
    with stage.database.write() as session:
        repository.lock_cursor(session).market = stage.owner.address
    with pytest.raises(OtherMarket):
        _indexer(stage).catch_up()


def test_a_contract_that_is_no_market_is_named(stage: Stage) -> None:
    token = stage.devnet.deployment.token
    assert token is not None
    with pytest.raises(NoContract, match="COHORT_MARKET"):
        ChainIndexer(stage.database, stage.devnet.client, token).catch_up()


def test_a_dead_node_changes_nothing(stage: Stage) -> None:
    _indexer(stage).catch_up()
    before = _events(stage)
    dead = ChainIndexer(
        stage.database, ChainClient("http://127.0.0.1:9", stage.devnet.deployment.chain_id), stage.market.address
    )
    with pytest.raises(ChainUnavailable):
        dead.catch_up()
    assert _events(stage) == before
