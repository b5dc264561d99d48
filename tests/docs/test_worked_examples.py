"""The numbers of docs/protocol, computed again by the twins of the contracts' rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cohort_protocol.chain.types import Record
from cohort_protocol.payout import default_pay, distributable, pays, protocol_fee, undistributed, void_pay
from cohort_protocol.standing import next_record, no_reveal_loss, rejection_loss, reliability

from tests.docs.markdown import numbers, page, table, whole
from tests.docs.solidity import constant

R, AGGREGATOR_FEE, FEE_BPS, SLOTS, SHARE_CAP, SCORE_FLOOR = 1_000_000, 20_000, 100, 8, 4, 2**30
FEE = protocol_fee(R, FEE_BPS)
D = distributable(R, AGGREGATOR_FEE, FEE)
STAKE, BOND = -(-2 * D // SLOTS), (R + 1) // 2
FUNDED = 4_500_000
DEFAULTED_ROWS = 7


def _introduction() -> str:
    return page("money.md").split("## Worked example")[1].split("###")[0]


def test_terms_of_the_example() -> None:
    assert {R, AGGREGATOR_FEE, FEE_BPS, SLOTS, SHARE_CAP, SCORE_FLOOR, FEE, D, STAKE, BOND} <= set(
        numbers(_introduction())
    )


def _scores(heading: str) -> tuple[list[int], list[int]]:
    rows = table("money.md", "row", heading=heading).rows[:-1]
    return [whole(row["score"]) for row in rows], [whole(row["reason"]) for row in rows]


@pytest.mark.parametrize("heading", ["Good scores", "Low scores", "One row far ahead"])
def test_pay(heading: str) -> None:
    *rows, total = table("money.md", "row", heading=heading).rows
    scores, reasons = _scores(heading)
    expected = pays(scores, reasons, D, SCORE_FLOOR, SHARE_CAP)
    assert [whole(row["pay"]) for row in rows] == expected
    assert (whole(total["score"]), whole(total["pay"])) == (sum(scores), sum(expected))
    back, burned = undistributed(expected, D)
    text = page("money.md").split(f"### {heading}")[1].split("###")[0].split("|")[-1]
    assert (f"{back} units are left: dust" if back else f"{burned:,} units are left: burned") in " ".join(text.split())


def test_stakes_and_bonds() -> None:
    reward = STAKE // constant("REWARD_DIVISOR")
    expected = {
        "stake slashed, to the caller": reward,
        "stake slashed, burned": STAKE - reward,
        "bond slashed, to another settler": BOND // 2,
        "bond slashed, burned": BOND - BOND // 2,
        "pay of a row of a void round": void_pay(D, SLOTS),
        f"pay of a row of a defaulted round with {DEFAULTED_ROWS} rows": default_pay(D, DEFAULTED_ROWS),
    }
    rows = table("money.md", "event", "amount").rows
    assert {row["event"]: whole(row["amount"]) for row in rows} == expected


def _story() -> Iterator[dict[str, int]]:
    """The ledger after each step of the story that money.md tells."""
    ledger = dict.fromkeys(("deposited", "free", "held", "claimable", "claimed", "fees", "burned", "refunded"), 0)

    def step(**changes: int) -> dict[str, int]:
        for name, change in changes.items():
            ledger[name] += change
        return dict(ledger)

    def settled(heading: str) -> dict[str, int]:
        pay = pays(*_scores(heading), D, SCORE_FLOOR, SHARE_CAP)
        back, burned = undistributed(pay, D)
        return step(held=-R, claimable=sum(pay), free=back, burned=burned, fees=AGGREGATOR_FEE + FEE)

    yield step(deposited=FUNDED, free=FUNDED)
    yield step(free=-R, held=R)
    yield settled("Good scores")
    yield step(claimed=ledger["claimable"], claimable=-ledger["claimable"])
    yield step(free=-R, held=R)
    void = 2 * void_pay(D, SLOTS)
    yield step(held=-R, claimable=void, free=R - void)
    yield step(free=-R, held=R)
    yield settled("Low scores")
    yield step(free=-R, held=R)
    share = DEFAULTED_ROWS * default_pay(D, DEFAULTED_ROWS)
    yield step(held=-R, claimable=share, free=D - share, burned=R - D)
    yield step(refunded=ledger["free"], free=-ledger["free"])
    yield step(claimed=ledger["claimable"], claimable=-ledger["claimable"])


def test_ledger_of_the_story() -> None:
    rows = [
        {name: whole(cell) for name, cell in row.items() if name != "after"}
        for row in table("money.md", "after", "deposited").rows
    ]
    assert rows == list(_story())
    for row in rows:
        assert row["deposited"] == sum(amount for name, amount in row.items() if name != "deposited")


def test_records_after_one_row() -> None:
    for row in table("standing.md", "pay", "n").rows:
        found = next_record(
            Record(),
            pay=whole(row["pay"]),
            rejected=False,
            rows=whole(row["n"]),
            distributable=D,
            weight=whole(row["w"]),
        )
        assert (whole(row["credit"]), whole(row["usefulness"])) == (found.credit, found.usefulness), row


def _owners(credit: int) -> list[tuple[str, int]]:
    """That much credit, from as many owners as it takes."""
    most = constant("MOST_CREDIT_OF_OWNER")
    parts = [most] * (credit // most) + [credit % most] * (credit % most > 0)
    return [(f"0x{number + 1:040x}", part) for number, part in enumerate(parts)]


def test_reliabilities() -> None:
    for row in table("standing.md", "G", "B").rows:
        assert whole(row["reliability"]) == reliability(_owners(whole(row["G"])), whole(row["B"])), row


def test_losses() -> None:
    text = page("standing.md").split("## Losses")[1].split("##")[0]
    assert {rejection_loss(65_536), no_reveal_loss(65_536), constant("MOST_LOSS_OF_OWNER")} <= set(numbers(text))


def test_price_of_reliability() -> None:
    for row in table("standing.md", "reliability", "least G").rows:
        wanted, credit = whole(row["reliability"]), whole(row["least G"])
        owners = _owners(credit)
        assert reliability(owners, 0) >= wanted > reliability(_owners(credit - 1), 0), row
        assert whole(row["owners at least"]) == len(owners)
        (fees,) = [cell for name, cell in row.items() if name.startswith("fees at least")]
        assert round(float(fees.removesuffix(" F0")) * constant("ROUND_CREDIT")) == credit
