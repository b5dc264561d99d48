"""The order of public rows in a Gram matrix."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring import PublicRows, PublicVectors, ScoringInputInvalid, evaluate_round, policy_by_name
from hypothesis import given
from hypothesis import strategies as st

layouts = st.builds(
    lambda steps, trainable, gradients, halves, values, classes: PublicRows(
        steps, trainable, gradients, halves and gradients, values, classes
    ),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 10),
)


def vectors(layout: PublicRows) -> PublicVectors:
    """Row k is the one number k + 1, counted in the order of the layout."""
    numbers = iter(range(1, layout.count + 1))

    def row():
        return np.array([next(numbers)], np.int64)

    def pair():
        return row(), row()

    return PublicVectors(
        past_steps=tuple(row() for _ in range(layout.past_steps)),
        trainable=row() if layout.trainable else None,
        gradients=pair() if layout.gradients else None,
        halves=pair() if layout.halves else None,
        values=tuple(row() for _ in range(layout.values)),
        classes=tuple(pair() for _ in range(layout.classes)),
    )


@given(layouts, st.integers(1, 32))
def test_indices_name_every_public_row_once_in_order(layout, n):
    indices = list(layout.step_rows(n))
    if layout.trainable:
        indices.append(layout.trainable_row(n))
    for pair in (layout.gradient_rows(n), layout.half_rows(n), layout.value_rows(n), *layout.class_rows(n)):
        indices.extend(pair or ())
    assert indices == list(range(n, n + layout.count))


@given(layouts)
def test_vectors_come_in_the_order_of_their_layout(layout):
    given_vectors = vectors(layout)
    assert given_vectors.layout == layout
    assert [int(row[0]) for row in given_vectors.rows()] == list(range(1, layout.count + 1))


@given(layouts, layouts)
def test_a_policy_reads_what_it_needs_of_what_is_there(there, needs):
    read = vectors(there).read_by(needs).layout
    assert read.past_steps == min(there.past_steps, needs.past_steps)
    assert read.trainable == (there.trainable and needs.trainable)
    assert read.gradients == (there.gradients and needs.gradients)
    assert read.values == min(there.values, needs.values)
    assert read.halves == (there.halves and needs.halves)
    assert read.classes == (there.classes if needs.classes else 0)


@pytest.mark.parametrize(
    "layout",
    [{"past_steps": -1}, {"classes": -1}, {"past_steps": 33}, {"classes": 17}, {"halves": True}, {"values": 4}],
)
def test_layouts_that_no_round_has_are_refused(layout):
    with pytest.raises(ScoringInputInvalid):
        PublicRows(**layout)


def test_past_steps_are_given_once():
    step = np.array([1], np.int64)
    with pytest.raises(ScoringInputInvalid, match="past steps"):
        evaluate_round([np.array([1], np.int16)], [step], policy_by_name("peer"), PublicVectors(past_steps=(step,)))


def test_rows_that_the_policy_does_not_read_do_not_enter_the_gram_matrix():
    gradient = np.array([1, 2], np.int64)
    result = evaluate_round(
        [np.array([1, 3], np.int16)], [gradient], policy_by_name("peer"), PublicVectors(gradients=(gradient, gradient))
    )
    assert result.public == PublicRows(past_steps=1)
    assert result.gram == ((10, 7), (7, 5))
