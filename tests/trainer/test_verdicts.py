"""Verdicts beside what the chain says: a bundle that tells another story is not shown."""

from __future__ import annotations

import pytest
from cohort_backend.examples import BUNDLE
from cohort_protocol.chain.packed import SettledRow
from cohort_protocol.chain.types import Record
from cohort_trainer.verdicts import NoVerdicts, judged_trainers

ROW = SettledRow(row=0, reason=0, score=2**30, pay=970, record=Record())


def test_verdicts_come_with_the_pay_on_chain():
    (judged,) = judged_trainers(BUNDLE, [ROW])
    assert (judged.verdict, judged.pay) == (BUNDLE.verdicts[0], 970)


@pytest.mark.parametrize(
    "verdicts",
    [
        [],
        [BUNDLE.verdicts[0]] * 2,
        [BUNDLE.verdicts[0].model_copy(update={"score": str(2**31)})],
        [BUNDLE.verdicts[0].model_copy(update={"score": "a lot"})],
        [BUNDLE.verdicts[0].model_copy(update={"reason_code": 2})],
    ],
)
def test_verdicts_on_other_scores_than_were_settled_are_not_shown(verdicts):
    with pytest.raises(NoVerdicts, match="cohort audit 1 --round 1"):
        judged_trainers(BUNDLE.model_copy(update={"verdicts": verdicts}), [ROW])
