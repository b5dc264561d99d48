"""A node that withholds or changes events, calldata or views: the parts no longer fit, and a check says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cohort_protocol.audit.findings import State
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.errors import ChainUnavailable, MethodUnsupported
from eth_utils.abi import function_signature_to_4byte_selector

from tests.fixtures.chain import Devnet
from tests.protocol.audit.market import RealScene, TwistedClient, states

EVENTS = {event.name: "0x" + digest.hex() for digest, event in contract_abi("CohortMarket").events.items()}


@pytest.fixture
def scene(devnet: Devnet, tmp_path: Path) -> RealScene:
    """One settled round, one of three trainers has claimed."""
    scene = RealScene.make(devnet, tmp_path)
    scene.run()
    scene.claim(scene.trainers[0])
    return scene


def of_logs(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Callable[[str, Any], Any]:
    """Changes every log (a copy of it), or leaves it out."""

    def twist(method: str, result: Any) -> Any:
        if method != "eth_getLogs":
            return result
        return [changed for log in result if (changed := change(dict(log))) is not None]

    return twist


def without(name: str) -> Callable[[str, Any], Any]:
    return of_logs(lambda log: None if log["topics"][0] == EVENTS[name] else log)


def falses(scene: RealScene, twist: Callable[[str, Any], Any]) -> dict[str, str]:
    return states(scene.audit(client=TwistedClient(scene.devnet.node.url, twist)), State.FALSE)


def test_pay_that_the_contract_did_not_compute_is_false(scene: RealScene) -> None:
    """The contract cannot pay wrongly; a node could say that it did."""

    def more_for_the_first(log: dict[str, Any]) -> dict[str, Any]:
        if log["topics"][0] == EVENTS["RoundSettled"]:
            data = bytearray.fromhex(log["data"][2:])
            first_row = 288 + 32  # 9 words, then the number of rows
            word = int.from_bytes(data[first_row : first_row + 32], "big") + (1000 << 72)
            data[first_row : first_row + 32] = word.to_bytes(32, "big")
            log["data"] = "0x" + data.hex()
        return log

    found = falses(scene, of_logs(more_for_the_first))
    assert "row 0 was paid" in found["pay of round 1"]
    assert "payout-root of round 1" in found
    assert "standing of round 1" in found
    assert "ledger" in found


def test_wrong_scores_in_an_event_are_not_what_was_signed(scene: RealScene) -> None:
    def better(log: dict[str, Any]) -> dict[str, Any]:
        if log["topics"][0] == EVENTS["RoundSettled"]:
            data = bytearray.fromhex(log["data"][2:])
            data[320 + 31 - 1] ^= 1  # lowest byte of the first score
            log["data"] = "0x" + data.hex()
        return log

    found = falses(scene, of_logs(better))
    assert {"attestation of round 1", "scores of round 1", "policy of round 1", "bundle of round 1"} <= set(found)


@pytest.mark.parametrize(
    ("left_out", "seen_by"),
    [
        ("Claimed", {"claims", "ledger"}),
        ("RoundSettled", {"ledger", "records"}),
        ("UpdatesAdmitted", {"ledger", "events of round 1"}),
        ("MemberJoined", {"members"}),
        ("Staked", {"ledger"}),
        ("BondDeposited", {"bonds"}),
        ("RoundOpened", {"history"}),
        ("ProjectFunded", {"ledger"}),
    ],
)
def test_an_event_that_is_left_out_is_missed(scene: RealScene, left_out: str, seen_by: set[str]) -> None:
    found = falses(scene, without(left_out))
    assert seen_by <= set(found), f"{left_out} was left out, false are {sorted(found)}"


def test_a_commitment_that_nobody_posted_is_missed(scene: RealScene) -> None:
    assert "row 0 opens" in falses(scene, without("CommitsPosted"))["commitments of round 1"]


def test_calldata_with_other_signatures_is_false(scene: RealScene) -> None:
    """A bit of a signature flipped in the calldata of every transaction."""
    receipt = next(
        one.arguments["receipts"][0]["r"]
        for finding in [scene.audit()]
        for event in finding.case.record.rounds[1].events
        if type(event).__name__ == "UpdatesAdmitted"
        for one in finding.case.calls.named(event.at.transaction_hash, "reveal", scene.project, 1)
    )
    flipped = bytes([receipt[0] ^ 1]) + receipt[1:]

    def twist(method: str, result: Any) -> Any:
        if method == "eth_getTransactionByHash":
            result = {**result, "input": result["input"].replace(receipt.hex(), flipped.hex())}
        return result

    assert set(falses(scene, twist)) == {"receipts of round 1"}


@pytest.mark.parametrize("answer", [None, {"from": "0x" + "11" * 20, "to": "0x" + "22" * 20, "input": "0x"}, {}])
def test_calldata_that_cannot_be_seen_is_unknown_and_the_rest_is_checked(scene: RealScene, answer: Any) -> None:
    """An old node without the transaction, a call through another contract, nonsense."""

    def twist(method: str, result: Any) -> Any:
        return answer if method == "eth_getTransactionByHash" else result

    found = scene.audit(client=TwistedClient(scene.devnet.node.url, twist))
    assert states(found, State.FALSE) == {}
    unknown = set(states(found, State.UNKNOWN))
    assert {"attestation of round 1", "receipts of round 1", "commitments of round 1"} <= unknown
    assert {"outcome of round 1", "pay of round 1"} <= set(states(found, State.TRUE))


def test_a_node_without_events_is_an_error(scene: RealScene) -> None:
    def twist(method: str, result: Any) -> Any:
        if method == "eth_getLogs":
            raise ChainUnavailable("no logs here")
        return result

    with pytest.raises(ChainUnavailable):
        scene.audit(client=TwistedClient(scene.devnet.node.url, twist))


def test_a_node_that_fails_later_makes_checks_unknown(scene: RealScene) -> None:
    class Tired(ChainClient):
        def call(self, *arguments, **named):
            if named.get("what") in ("ledgerOf", "recordOf"):
                raise MethodUnsupported("not today")
            return super().call(*arguments, **named)

    found = scene.audit(client=Tired(scene.devnet.node.url))
    assert states(found, State.FALSE) == {}
    assert {"ledger", "records", "token-balance"} <= set(states(found, State.UNKNOWN))


def test_other_terms_than_those_of_the_event_are_false(scene: RealScene) -> None:
    def lower(log: dict[str, Any]) -> dict[str, Any]:
        if log["topics"][0] == EVENTS["ProjectCreated"]:
            floor = scene.terms.score_floor
            log["data"] = log["data"].replace(f"{floor:064x}", f"{floor + 1:064x}", 1)
        return log

    found = falses(scene, of_logs(lower))
    assert "score_floor" in found["terms"]


class OtherAnswers(ChainClient):
    """A node that answers one view of the market with what another answer becomes."""

    def __init__(self, url: str, view: str, change: Callable[[bytearray], None]) -> None:
        super().__init__(url)
        self._view, self._change = function_signature_to_4byte_selector(view), change

    def call(self, to, data, *arguments, **named):
        answer = super().call(to, data, *arguments, **named)
        if bytes(data[:4]) != self._view:
            return answer
        changed = bytearray(answer)
        self._change(changed)
        return bytes(changed)


def of_last_byte(word: int) -> Callable[[bytearray], None]:
    def change(answer: bytearray) -> None:
        answer[32 * word + 31] ^= 1

    return change


@pytest.mark.parametrize(
    ("view", "change", "check", "words"),
    [
        ("aggregatorsOf(uint256)", of_last_byte(2), "history", "aggregators are"),
        ("memberOf(uint256,address)", of_last_byte(1), "members", "asked by address"),
    ],
)
def test_a_view_that_does_not_follow_from_the_events_is_false(
    scene: RealScene, view: str, change: Callable[[bytearray], None], check: str, words: str
) -> None:
    found = scene.audit(client=OtherAnswers(scene.devnet.node.url, view, change))
    assert set(states(found, State.FALSE)) == {check}
    assert words in states(found, State.FALSE)[check]


def test_a_reorg_in_the_middle_is_unknown(scene: RealScene) -> None:
    asked: list[str] = []

    def twist(method: str, result: Any) -> Any:
        if method != "eth_getBlockByNumber":
            return result
        asked.append(method)
        return result if len(asked) == 1 else {**result, "hash": "0x" + "ab" * 32}

    found = scene.audit(client=TwistedClient(scene.devnet.node.url, twist))
    assert set(states(found, State.UNKNOWN)) == {"same-chain"}
    assert states(found, State.FALSE) == {}
