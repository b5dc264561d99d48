"""The whole state can be rebuilt from events: after every block of two markets' lives, each view of the contract and
the same figure in the projection."""

from __future__ import annotations

import pytest
from cohort_backend.chain import repository as record
from cohort_backend.chain.projection import apply_events, rebuild
from cohort_backend.database import Database
from cohort_protocol.chain import events as chain_events
from cohort_protocol.chain.events import MarketEvent, ProjectCreated

from tests.backend.chain.history import History
from tests.backend.chain.mirror import State, comparable, in_database, on_chain


class Chain:
    """What the contract said at each block, asked for once for both databases."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.blocks = sorted({event.at.block_number for event in history.events})
        self._known: dict[tuple[int, int], State] = {}

    def state(self, project: int, block: int) -> State:
        if (project, block) not in self._known:
            market = self.history.devnet.market
            self._known[project, block] = on_chain(market, project, self.history.people, block)
        return self._known[project, block]

    def time(self, block: int) -> int:
        return self.history.devnet.client.block(block).timestamp


@pytest.fixture(scope="module", params=["attested", "pending"])
def chain(request: pytest.FixtureRequest, histories: dict[str, History]) -> Chain:
    return Chain(histories[request.param])


def _start(database: Database, history: History) -> None:
    deployment = history.devnet.deployment
    with database.write() as session:
        record.start_cursor(
            session,
            chain_id=deployment.chain_id,
            market=deployment.market,
            start_block=deployment.block,
            slash_window=history.slash_window,
        )


def _differences(chain: State, database: State) -> dict[str, tuple[object, object]]:
    left, right = comparable(chain, database)
    assert left.keys() == right.keys()
    return {name: (left[name], right[name]) for name in left if left[name] != right[name]}


def test_every_view_after_every_block(database: Database, chain: Chain) -> None:
    history = chain.history
    _start(database, history)
    created: dict[int, int] = {}
    for block in chain.blocks:
        events = [event for event in history.events if event.at.block_number == block]
        created |= {event.project: block for event in events if isinstance(event, ProjectCreated)}
        with database.write() as session:
            apply_events(session, events)
        with database.read() as session:
            for project in created:
                found = in_database(session, project, history.people, chain.time(block))
                assert _differences(chain.state(project, block), found) == {}, (block, [type(e) for e in events])


def test_every_view_after_a_replay_of_everything(database: Database, chain: Chain) -> None:
    history, block = chain.history, chain.blocks[-1]
    _start(database, history)
    with database.write() as session:
        apply_events(session, history.events)
    with database.write() as session:
        rebuild(session)
    with database.read() as session:
        for project in (history.scene.project, history.other.project):
            found = in_database(session, project, history.people, chain.time(block))
            assert _differences(chain.state(project, block), found) == {}


def test_the_ledger_balances_after_every_block(chain: Chain) -> None:
    """Else the comparison would compare the same mistake twice."""
    for block in chain.blocks:
        assert chain.state(chain.history.scene.project, block)["ledger"].balanced


@pytest.mark.parametrize(
    ("missing", "where"),
    [
        (chain_events.ProjectRefunded, "ledger"),
        (chain_events.ProjectEnded, "progress"),
        (chain_events.AggregatorAdded, "aggregators"),
        (chain_events.BondWithdrawn, "bonds"),
        (chain_events.DelegateChanged, "members"),
        (chain_events.StakeWithdrawn, "members"),
        (chain_events.LossRecorded, "losses"),
        (chain_events.UpdateRescued, "rounds"),
        (chain_events.Claimed, "claimed"),
        (chain_events.BondReleased, "bonds"),
    ],
)
def test_the_comparison_sees_a_missing_event(
    database: Database, histories: dict[str, History], missing: type[MarketEvent], where: str
) -> None:
    history = histories["attested"]
    _start(database, history)
    omitted = [event for event in history.events if isinstance(event, missing)][-1]
    with database.write() as session:
        apply_events(session, [event for event in history.events if event is not omitted])
    market, project = history.devnet.market, history.scene.project
    with database.read() as session:
        found = in_database(session, project, history.people, history.devnet.client.block(history.head).timestamp)
    assert where in _differences(on_chain(market, project, history.people, history.head), found)
