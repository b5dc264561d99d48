"""docs/scoring.md shows what the policy computes: its worked round, its picture and the constants in its words."""

from __future__ import annotations

from xml.etree import ElementTree

from cohort_protocol.learning.validation import ERRORS_ABOVE, LEAST_KEPT
from cohort_protocol.scoring.belief import company_rank
from cohort_protocol.scoring.default import DefaultParameters

from tests.docs.worked_round import PAGE, PICTURE, TRAINERS, outcome, paid, picture, table


def test_the_worked_round_is_computed():
    assert table() in PAGE.read_text(), "python -m tests.docs.worked_round"


def test_the_picture_is_computed():
    assert PICTURE.read_text() == picture(), "python -m tests.docs.worked_round"
    texts = [element.text for element in ElementTree.fromstring(picture()).iter() if element.tag.endswith("text")]
    assert set(TRAINERS) <= set(texts)


def test_the_words_about_the_round_are_true():
    result, pay = outcome(), dict(zip(TRAINERS, paid(outcome()), strict=True))
    rows = dict(zip(TRAINERS, result.rows, strict=True))
    assert 1.75 < rows["Ada"].figure("value").value / 2**30 < 2
    assert rows["Cleo"].figure("value").value > 2**30
    assert 0.45 < (pay["Cleo"] + pay["Cleo again"]) / pay["Ada"] < 0.55
    assert pay["Dan"] == 0
    assert rows["Dan"].figure("agreement").value > rows["Dan"].figure("agreement").limit
    assert not rows["Eve"].accepted
    assert 0.45 < pay["Gus"] / pay["Ben"] < 0.55
    assert pay["Ada"] == pay["Ben"]
    assert 0.39 < rows["Ada"].figure("share").value / 2**30 < 0.41
    assert 0.3 < rows["Ben"].figure("share").value / 2**30 < 1 / 3
    assert rows["Gus"].accepted


def test_the_constants_in_the_text_are_the_defaults():
    text, p = " ".join(PAGE.read_text().split()), DefaultParameters()
    ranks = [company_rank(n - 1) for n in range(2, 33)]
    said = {
        "shorter than 5% of the median": p.min_norm_bps == 500,
        "longer than twice the median": p.clip_bps == 20_000,
        "cosines above 0.9": p.clone_bps == 9_000,
        "share its pay, less 40%": p.group_bps == 6_000,
        "at most 1.5 standard errors above": ERRORS_ABOVE == 1.5,
        "Three quarters of what was measured": p.memory_bps == 7_500,
        "(at most 0.9)": p.belief_bps == 9_000,
        "merit is z itself from 1.5 on, nothing below -1.5": p.width_bps == 15_000,
        "it bends from -0.75 to 0.75": p.suspect_width_bps == 7_500,
        "r = (2n + 1)/5 rounded down": ranks == [(2 * n + 1) // 5 for n in range(2, 33)],
        "nothing below 0.35, all from 0.6 on": (p.novelty_from_bps, p.novelty_full_bps) == (3_500, 6_000),
        "nothing below 0.05 of the median, all from 0.2 on": (p.company_from_bps, p.company_full_bps) == (500, 2_000),
        "from a cosine of 0.45 on; from 0.7 on": (p.kin_from_bps, p.kin_full_bps) == (4_500, 7_000),
        "From 0.8 on each also keeps only the 60%": (p.twin_bps, p.group_bps) == (8_000, 6_000),
        "at most two equal shares": p.share_cap_bps == 20_000,
        "The **last three steps**": p.past_steps == 3,
        "at most half": LEAST_KEPT == 0.5,
    }
    assert [words for words in said if words not in text] == []
    assert [words for words, true in said.items() if not true] == []
