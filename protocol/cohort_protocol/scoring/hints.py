"""What the contract DefaultPolicy takes besides the layout of a round: the Gram matrix as bytes, and hints.

A hint spares the contract a sort. It is checked there (how many values are smaller, how many larger), so that a wrong
one makes the call revert and a right one changes nothing. Layout, big endian:

    1 byte each   row of the lower, then of the upper middle of the lengths that are not zero
    1 byte each   the same for novelty, by place among the players that are not rejected
    1 byte each   the same for company
    1 byte each   only of a round without value rows: the same for scores that are not zero
    2 bytes each  the cosine of what is new that is company (`belief.company_cosine`), for every player that is not
                  rejected, if there are two or more

The lower and the upper middle are the same value if the number of values is odd. What is not there (no value is
positive, nobody is left) is 0 and not read.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.scoring.belief import company_cosine
from cohort_protocol.scoring.default import DefaultPolicy
from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.gram import Gram, check_gram
from cohort_protocol.scoring.rows import PublicRows

MOST_UPDATES = 32
MOST_STEPS = 3
"""Past steps that the contract takes: those of the default parameters."""
ENTRY_BYTES = (7, 9, 11)
"""Bytes of an entry of the Gram matrix (two's complement, big-endian), by how many of its two rows are public.

Updates are int16 and public rows int32, so that for d <= 2^24 an inner product has at most 2^(15 + 15 + 24) = 2^54,
2^(15 + 31 + 24) = 2^70, or 2^(31 + 31 + 24) = 2^86 in size: 56, 72 and 88 bits with the sign, rounded up to bytes."""


def check_layout(n: int, layout: PublicRows) -> None:
    """Raises `ScoringInputInvalid` for a round that the contract does not take: more than 32 updates or three past
    steps, one or two value rows, or rows of other kinds."""
    only = PublicRows(past_steps=layout.past_steps, trainable=layout.trainable, values=layout.values)
    if not 1 <= n <= MOST_UPDATES or layout.past_steps > MOST_STEPS or layout.values not in (0, 3) or layout != only:
        raise ScoringInputInvalid(
            f"{n} updates and public rows {layout}: the contract takes 1 .. {MOST_UPDATES} updates, up to "
            f"{MOST_STEPS} past steps, u0, and three value rows or none"
        )


def gram_bytes(gram: Gram, n: int) -> bytes:
    """Upper triangle, row by row, diagonal included: big endian, two's complement, 7 bytes for two updates, 9 for an
    update and a public row, 11 for two public rows. gram: square, the n updates first. Raises `ScoringInputInvalid` for
    an entry that has no room."""
    try:
        return b"".join(
            value.to_bytes(ENTRY_BYTES[(i >= n) + (j >= n)], "big", signed=True)
            for i, row in enumerate(gram)
            for j, value in enumerate(row)
            if j >= i
        )
    except OverflowError as error:
        raise ScoringInputInvalid("the Gram matrix has an entry beyond what rows of 2^24 entries give") from error


def hints(gram: Gram, n: int, layout: PublicRows) -> bytes:
    """Hints for the default policy with its default parameters. gram: (n + layout.count) square, updates first. Raises
    `ScoringInputInvalid`."""
    check_layout(n, layout)
    check_gram(gram, n, layout.count)
    done = DefaultPolicy().judged(gram, n, layout)
    judged = done.judgement
    empty: Sequence[int] = ()
    found = [
        *_middles(done.players.norms, positive=True),
        *_middles(judged.novelty.values if judged else empty),
        *_middles(judged.company.values if judged else empty),
        *(() if layout.values else _middles(judged.scores if judged else empty, positive=True)),
    ]
    cosines = judged.cosines if judged and len(done.kept) > 1 else ()
    return bytes(found) + b"".join(company_cosine(row).to_bytes(2, "big") for row in cosines)


def _middles(values: Sequence[int], positive: bool = False) -> tuple[int, int]:
    """Places of the lower and the upper middle; positive: of the values above 0. (0, 0) if there are none."""
    ordered = sorted(value for value in values if value > 0 or not positive)
    if not ordered:
        return 0, 0
    return values.index(ordered[(len(ordered) - 1) // 2]), values.index(ordered[len(ordered) // 2])
