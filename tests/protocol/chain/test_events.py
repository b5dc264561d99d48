"""Events of a whole market, read back by block range, and logs that are not what they seem."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.errors import LogMalformed, RangeTooLarge
from cohort_protocol.chain.events import (
    EVENT_TYPES,
    AdmittedRow,
    Batch,
    BondDeposited,
    Claimed,
    CommitsPosted,
    DeadlinesMoved,
    LogPosition,
    MarketEvent,
    MarketLogs,
    MemberJoined,
    ProjectCreated,
    ProjectFunded,
    RoundAccepted,
    RoundOpened,
    RoundSettled,
    SettledRow,
    Staked,
    UpdatesAdmitted,
    decode_log,
    decode_receipt,
)
from cohort_protocol.chain.logs import fetch_logs
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.transactions import RawLog
from cohort_protocol.chain.types import NextModel, Record
from cohort_protocol.errors import InvalidInput
from eth_abi import encode
from eth_utils import keccak

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BOND, BUDGET, DISTRIBUTABLE, ONE, PROTOCOL_FEE, STAKE, Scene, some_cid


@pytest.fixture
def played(devnet: Devnet) -> tuple[Scene, int]:
    """A settled round with one claim, and the block before it all."""
    before = devnet.client.block_number()
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    scene.reveal()
    scene.settle([ONE, 2 * ONE, 3 * ONE])
    settled = next(one for one in events_of(scene, before) if isinstance(one, RoundSettled))
    tree = scene.tree(1, scene.rows, [row.pay for row in settled.rows])
    devnet.send(scene.trainers[1], devnet.market.claim(scene.project, 2, [tree.claim_item(1)]))
    return scene, before


def events_of(scene: Scene, before: int, max_range: int = 2000) -> list[MarketEvent]:
    client = scene.devnet.client
    return MarketLogs(client, scene.market.address, max_range).fetch(before + 1, client.block_number())


def test_the_story_of_a_round(played: tuple[Scene, int]) -> None:
    scene, before = played
    events = events_of(scene, before)
    kinds = [type(event) for event in events]
    assert kinds == [
        ProjectCreated, ProjectFunded, *[MemberJoined, Staked] * 3, BondDeposited, RoundAccepted, RoundOpened,
        CommitsPosted, DeadlinesMoved, UpdatesAdmitted, DeadlinesMoved, RoundSettled, Claimed,
    ]  # fmt: skip
    of = {type(event): event for event in events}
    created, opened, posted, settled = of[ProjectCreated], of[RoundOpened], of[CommitsPosted], of[RoundSettled]
    assert (created.owner, created.terms) == (scene.owner.address, scene.terms)
    assert (created.protocol_fee, created.standing_weight) == (PROTOCOL_FEE, 65_536)
    assert of[ProjectFunded].sender == scene.owner.address
    third = scene.trainers[2].address
    assert (of[MemberJoined].member, of[MemberJoined].trainer) == (3, third)
    assert (of[Staked].member, of[Staked].sender, of[Staked].amount) == (3, third, STAKE)
    assert of[RoundAccepted].bond == BOND
    assert (opened.budget, opened.model, opened.expected) == (BUDGET, scene.terms.initial_model, 3)
    assert opened.commit_end == opened.opened_at + scene.terms.windows.commit
    assert posted.batch == Batch(tuple(scene.leaves), 0b111)
    assert posted.batch.hash == scene.market.round_of(scene.project, 1).batch_hash
    assert of[UpdatesAdmitted].rows == tuple(
        AdmittedRow(row, row + 1, keccak(scene.update_of(one)), some_cid(scene.update_of(one)))
        for row, one in enumerate(scene.trainers)
    )
    assert [(row.row, row.score, row.reason) for row in settled.rows] == [(0, ONE, 0), (1, 2 * ONE, 0), (2, 3 * ONE, 0)]
    assert settled.rows[0] == SettledRow(
        0, 0, ONE, DISTRIBUTABLE // 6, Record(credit=499, usefulness=624, rounds=1, rejections=0)
    )
    assert (settled.paid, settled.settler) == (sum(row.pay for row in settled.rows), scene.aggregator.address)
    assert settled.next_model == NextModel(keccak(b"model 1"), some_cid(b"model 1"))
    assert settled.bundle_cid == some_cid(b"bundle 1")
    assert (of[Claimed].member, of[Claimed].to) == (2, scene.trainers[1].address)
    assert (of[Claimed].amount, of[Claimed].word, of[Claimed].rounds) == (settled.rows[1].pay, 0, (1,))


def test_positions_order_as_the_chain_does(played: tuple[Scene, int]) -> None:
    scene, before = played
    events = events_of(scene, before)
    positions = [event.at for event in events]
    assert positions == sorted(positions)
    assert len(set(positions)) == len(positions)
    for position in positions:
        assert scene.devnet.client.block(position.block_number).hash == position.block_hash
    settled = next(event for event in events if isinstance(event, RoundSettled))
    receipt = scene.devnet.client.receipt(settled.at.transaction_hash)
    assert receipt is not None
    assert settled in decode_receipt(receipt, scene.market.address)
    assert decode_receipt(receipt, scene.terms.token) == []


@pytest.mark.parametrize("max_range", [1, 2, 3, 7])
def test_ranges_of_any_size_give_the_same_events(played: tuple[Scene, int], max_range: int) -> None:
    scene, before = played
    assert events_of(scene, before, max_range) == events_of(scene, before)


def test_a_single_block_is_a_range(played: tuple[Scene, int]) -> None:
    scene, before = played
    everything = events_of(scene, before)
    logs = MarketLogs(scene.devnet.client, scene.market.address)
    number = everything[0].at.block_number
    assert logs.fetch(number, number) == [event for event in everything if event.at.block_number == number]
    assert logs.fetch(number + 1, number) == []
    with pytest.raises(InvalidInput):
        logs.fetch(-1, 5)


def test_payloads_are_json_without_loss(played: tuple[Scene, int]) -> None:
    scene, before = played
    for event in events_of(scene, before):
        payload = json.loads(json.dumps(event.payload()))
        assert payload == event.payload()
        assert "at" not in payload
    created = next(event for event in events_of(scene, before) if isinstance(event, ProjectCreated))
    terms = created.payload()["terms"]
    assert (terms["round_budget"], terms["windows"]["reveal"]) == (str(BUDGET), "600")
    assert terms["policy_hash"] == "0x" + keccak(b"policy").hex()
    posted = next(event for event in events_of(scene, before) if isinstance(event, CommitsPosted))
    assert posted.payload()["leaves"][0]["member"] == "1"
    settled = next(event for event in events_of(scene, before) if isinstance(event, RoundSettled))
    assert settled.payload()["rows"][2]["record"]["rounds"] == "1"
    assert settled.payload()["next_model"]["cid"] == "0x" + some_cid(b"model 1").hex()


def test_transfers_of_the_token(played: tuple[Scene, int]) -> None:
    scene, before = played
    token = scene.devnet.token
    newest = scene.devnet.client.block_number()
    market = scene.market.address
    moved = token.transfers(before + 1, newest, party=market)
    balance = sum(one.amount * ((one.receiver == market) - (one.sender == market)) for one in moved)
    assert balance == token.balance_of(market)
    everything = token.transfers(before + 1, newest)
    minted = [one for one in everything if one.sender == "0x" + "00" * 20]
    assert len(minted) == 5
    assert set(moved) < set(everything)
    assert token.transfers(before + 1, newest, party=scene.trainers[1].address, max_range=2)[-1].sender == market


def test_token_facts(devnet: Devnet) -> None:
    token = Token(devnet.client, devnet.token.address)
    assert (token.name(), token.symbol(), token.decimals()) == ("Cohort Test Token", "COTEST", 18)
    holder = devnet.account("holder")
    supply = token.total_supply()
    devnet.give_tokens(holder, 10)
    assert token.total_supply() == supply + 10
    assert token.allowance(holder.address, devnet.market.address) == 2**256 - 1
    devnet.send(holder, token.transfer(devnet.account("anyone").address, 4))
    assert token.balance_of(holder.address) == 6


def topic_of(name: str) -> bytes:
    return next(digest for digest, event in contract_abi("CohortMarket").events.items() if event.name == name)


def joined_log(**changes) -> RawLog:
    topic = topic_of("MemberJoined")
    log = RawLog(
        address="0x" + "11" * 20,
        topics=(topic, (5).to_bytes(32, "big"), bytes(12) + b"\x11" * 20, (9).to_bytes(32, "big")),
        data=(3).to_bytes(32, "big"),
        block_number=7,
        block_hash=b"h" * 32,
        transaction_hash=b"t" * 32,
        log_index=2,
    )
    return replace(log, **changes)


def test_a_log_becomes_an_event() -> None:
    event = decode_log(joined_log())
    assert event == MemberJoined(LogPosition(7, 2, b"h" * 32, b"t" * 32), 5, "0x" + "11" * 20, 9, 3)


@pytest.mark.parametrize("topics", [(), (b"\x01" * 32,)])
def test_unknown_topics_are_passed_over(topics: tuple[bytes, ...]) -> None:
    assert decode_log(joined_log(topics=topics)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"data": b""},
        {"data": b"\xff" * 32},
        {"data": joined_log().data + b"\0"},
        {"topics": joined_log().topics[:3]},
        {"topics": (*joined_log().topics, b"\0" * 32)},
        {"topics": (*joined_log().topics[:3], b"\xff" * 32)},
    ],
)
def test_malformed_logs_are_typed_errors(changes: dict) -> None:
    with pytest.raises(LogMalformed, match="MemberJoined"):
        decode_log(joined_log(**changes))


def test_a_skip_reason_that_does_not_exist() -> None:
    one = (1).to_bytes(32, "big")
    topics = (topic_of("RevealSkipped"), one, one, one)
    assert decode_log(joined_log(topics=topics, data=(5).to_bytes(32, "big"))) is not None
    with pytest.raises(LogMalformed, match="no contract of ours"):
        decode_log(joined_log(topics=topics, data=(99).to_bytes(32, "big")))


def test_rows_that_are_cut_off() -> None:
    one = (1).to_bytes(32, "big")
    row = bytes(3) + b"\x07" + b"\x55" + b"u" * 32 + b"d" * 32
    for packed, rows in ((row * 2, 2), (b"", 0)):
        log = joined_log(topics=(topic_of("UpdatesAdmitted"), one, one), data=encode(["uint8", "bytes"], [4, packed]))
        event = decode_log(log)
        assert isinstance(event, UpdatesAdmitted)
        assert [one.row for one in event.rows] == list(range(4, 4 + rows))
        assert all(one.cid == b"\x01\x55\x12\x20" + b"d" * 32 for one in event.rows)
    cut = joined_log(topics=(topic_of("UpdatesAdmitted"), one, one), data=encode(["uint8", "bytes"], [4, row[:-1]]))
    with pytest.raises(LogMalformed, match="68 bytes"):
        decode_log(cut)


class Narrow:
    """A node that refuses ranges of more than `most` blocks."""

    def __init__(self, most: int):
        self.most = most
        self.asked: list[tuple[int, int]] = []

    def logs(self, address: str, start: int, end: int, topics: object) -> list[RawLog]:
        if end - start + 1 > self.most:
            raise RangeTooLarge("too many blocks")
        self.asked.append((start, end))
        return [joined_log(block_number=number) for number in range(start, end + 1)]


@pytest.mark.parametrize("most", [1, 3, 10, 1000])
def test_a_refused_range_is_halved(most: int) -> None:
    node = Narrow(most)
    found = fetch_logs(node, "0x" + "11" * 20, 5, 64, max_range=50)  # type: ignore[arg-type]
    assert [log.block_number for log in found] == list(range(5, 65))
    assert all(end - start < most for start, end in node.asked)


def test_a_single_block_that_is_refused_is_an_error() -> None:
    with pytest.raises(RangeTooLarge):
        fetch_logs(Narrow(0), "0x" + "11" * 20, 1, 4)  # type: ignore[arg-type]


def test_every_event_class_can_be_told_by_name() -> None:
    assert {kind.__name__ for kind in EVENT_TYPES.values()} == set(EVENT_TYPES)
