"""What a run looks like while it runs, and what it offers afterwards."""

from __future__ import annotations

import io
from pathlib import Path

from cohort_devnet.demo.display import LineDisplay, MarketView, RoundLine, make_display, render
from cohort_devnet.demo.next_steps import OpenMarket, next_steps
from cohort_devnet.demo.settings import DemoSettings
from cohort_devnet.demo.watch import RoundTimes
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import ModelRef, ProjectState, RefusalView, RoundView, RowView
from rich.console import Console

ALICE, BOB, CAROL = (f"0x{digit * 40}" for digit in "123")
MODEL = ModelRef(commitment="0x" + "ab" * 32, cid="bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")


def a_round(number: int, phase: Phase) -> RoundView:
    return RoundView(
        project=1, number=number, phase=phase, opened_at=0, commit_end=1, reveal_start=1, reveal_end=2, rescue_end=3,
        acceptor_end=4, settle_end=5, slash_end=9, budget=1000, acceptor=BOB, expected=3, model=MODEL,
        past_models=[MODEL], committed=[ALICE, BOB, CAROL], revealed=[ALICE],
        rows=[
            RowView(row=0, member=1, trainer=ALICE, update=MODEL.commitment, cid=MODEL.cid, score=5, reason=0, pay=700),
            RowView(row=1, member=2, trainer=BOB, update=MODEL.commitment, cid=MODEL.cid, score=0, reason=2, pay=0),
        ],
        refusals=[RefusalView(trainer=CAROL, code="update-malformed", detail="has 3 bytes")],
        next_model=MODEL,
    )  # fmt: skip


def a_view() -> MarketView:
    people = {ALICE: ("trainer-1", "honest"), BOB: ("trainer-2", "sign_flip"), CAROL: ("trainer-3", "honest")}
    return MarketView(rounds=3, people=people, symbol="COTEST", decimals=0)


def text_of(view: MarketView) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(render(view))
    return out.getvalue()


def test_the_live_view_shows_phase_people_and_money() -> None:
    view = a_view()
    view.done[1] = RoundLine.of(a_round(1, Phase.FINAL), {"total": 4.25})
    view.accuracies[1] = 0.5
    view.state = ProjectState(
        version=9, project=1, ended=False, finished=False, round=a_round(2, Phase.REVEAL), reveal_set=None
    )
    text = text_of(view)
    assert "1 of 3 rounds done, 700.00 COTEST paid, accuracy 0.500" in text
    assert "✓ commit 3/3" in text
    assert "▸ reveal 1/3" in text
    assert "trainer-2 (opposes others), trainer-3 (update malformed)" in text


def test_the_live_view_before_the_first_round() -> None:
    assert "0 of 3 rounds done" in text_of(a_view())


def test_lines_say_what_a_round_did() -> None:
    out = io.StringIO()
    display = LineDisplay(Console(file=out, width=60))
    view = a_view()
    display.step("chain is up")
    display.event("worker died")
    display.round_over(view, RoundLine.of(a_round(1, Phase.FINAL), {"total": 4.25}))
    lines = out.getvalue().splitlines()
    assert "chain is up" in lines[0]
    assert "! worker died" in lines[1]
    assert "round 1 of 3 settled in 4.2 s: 1 of 3 accepted" in lines[2]
    assert "flagged trainer-2 (opposes others), trainer-3 (update malformed), paid 700.00 COTEST" in lines[2]


def test_quiet_lines_leave_out_the_set_up() -> None:
    out = io.StringIO()
    display = make_display(Console(file=out, width=60), quiet=True)
    display.step("chain is up")
    display.event("worker died")
    assert "chain" not in out.getvalue()
    assert "worker died" in out.getvalue()


def test_a_mark_that_was_missed_counts_as_seen_with_the_next() -> None:
    times = RoundTimes()
    times.see("opened", 10.0)
    times.see("revealed", 14.0)
    times.see("committed", 15.0)
    times.see("ended", 16.5)
    assert times.seconds() == {"commit": 4.0, "reveal": 0.0, "evaluate": 2.5, "settle": 0.0, "total": 6.5}


def test_the_next_steps_are_commands_for_this_very_run(tmp_path: Path) -> None:
    settings = DemoSettings(tmp_path / "my report", seed=3)
    closed = "\n".join(command for _, command in next_steps(settings, None))
    assert f"devnet balances --state '{tmp_path / 'my report'}'/chain-state.json" in closed
    assert "demo --keep --seed 3" in closed
    kept = OpenMarket("http://127.0.0.1:1", "http://127.0.0.1:2", "file:///s", 31337, ALICE, BOB, 4, 2)
    opened = "\n".join(command for _, command in next_steps(settings, kept))
    for part in (
        f"--market {ALICE}",
        f"--verifier {BOB}",
        "trainer join 2",
        "trainer run 2",
        "curl http://127.0.0.1:1/v1/projects/1",
    ):
        assert part in opened
    words = "\n".join(what for what, _ in next_steps(settings, kept))
    assert "browser (http://127.0.0.1:1)" in words
    assert "/docs" not in words, "the API has no such page"
