"""Pay as projected from the chain."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.rounds.models import Round, Row


def paid_rounds(session: Session, project: int, trainer: str) -> list[tuple[Round, list[Row]]]:
    """The ended rounds in which the trainer has a row, by number, each with all of its rows in order."""
    mine = select(Row.round).where(Row.project == project, Row.trainer == trainer, Row.pay.is_not(None))
    rows: dict[int, list[Row]] = defaultdict(list)
    query = select(Row).where(Row.project == project, Row.round.in_(mine)).order_by(Row.round, Row.row)
    for row in session.scalars(query):
        rows[row.round].append(row)
    rounds = select(Round).where(Round.project == project, Round.number.in_(mine)).order_by(Round.number)
    return [(round, rows[round.number]) for round in session.scalars(rounds)]
