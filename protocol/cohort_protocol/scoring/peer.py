"""The peer policy (protocol, section 6): judged by the other updates of the round and the last global steps alone.

For projects and rounds without a validation batch: cheaper and less accurate than a score that has seen data, but
hard for the owner to bend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cohort_protocol.scoring.contribution import (
    agreement_reference,
    contributions,
    peer_scores,
    trust,
    weights,
)
from cohort_protocol.scoring.filter import FilteredRows, filter_rows, leave_one_out_cosines
from cohort_protocol.scoring.fixed_point import BASIS, ONE, ratio
from cohort_protocol.scoring.gates import Gate, company, novelty, relative_gate, residuals
from cohort_protocol.scoring.gram import Gram, check_gram
from cohort_protocol.scoring.outcome import Figure, PolicyOutcome, Reason, RowOutcome, Rule
from cohort_protocol.scoring.parameters import describe, description_hash, read_parameters
from cohort_protocol.scoring.rows import PublicRows


def _bps(default: int, low: int, high: int) -> Any:
    return field(default=default, metadata={"range": (low, high)})


@dataclass(frozen=True)
class PeerParameters:
    """In basis points unless said otherwise."""

    clip_bps: int = _bps(20_000, 10_000, 1_000_000)
    """Norms enter the model as clipped to this multiple of the median norm."""
    min_norm_bps: int = _bps(500, 1, 10_000)
    """Rows below this multiple of the median norm are rejected."""
    min_cosine_bps: int = _bps(-1_000, -10_000, 10_000)
    """Rows with a smaller cosine with the mean of the others, each at the median length, are rejected."""
    gate_bps: int = _bps(20_000, 10_000, 1_000_000)
    """Gain of the two relative gates."""
    trust_bps: int = _bps(20_000, 10_000, 1_000_000)
    """Gain of trust: from median / gain on, rows have full weight."""
    full_step_bps: int = _bps(7_500, 0, 10_000)
    """The step is taken in full when trust sums to this part of the accepted rows; below, it is shorter."""
    agreement_floor_bps: int = _bps(200, 1, 10_000)
    """Agreement counts as average from the mean of the round on, but not below this cosine."""
    past_steps: int = field(default=5, metadata={"range": (0, 5)})
    """Number of past global steps that are taken out of the updates."""


@dataclass(frozen=True)
class PeerPolicy:
    """Filter, leave-one-out cosine with two relative gates, trust."""

    parameters: PeerParameters = PeerParameters()
    name: str = "peer"

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> PeerPolicy:
        """From a spec. Raises `PolicyParametersInvalid`."""
        return cls(read_parameters(PeerParameters, "peer", params))

    @property
    def needs(self) -> PublicRows:
        """Past global steps."""
        return PublicRows(past_steps=self.parameters.past_steps)

    def description(self) -> dict[str, Any]:
        """Name and parameters."""
        return describe(self.name, self.parameters)

    def policy_hash(self) -> bytes:
        """keccak256 of the canonical JSON of the description."""
        return description_hash(self.description())

    def suggested_score_floor(self, slots: int) -> int:
        """A quarter of the slots at the average: a round of dust scores is paid like dust."""
        return max(1, slots * ONE // 4)

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """Judges a round. gram: (updates + public.count) square, updates first, then the public rows; only past steps
        are read, and of those no more than `past_steps`. Raises `ScoringInputInvalid`.

        Permuting the updates permutes the rows of the outcome, exactly. All rows may be rejected: then every score
        and weight is 0. A lone accepted row has nobody to agree with and scores ONE."""
        check_gram(gram, updates, public.count)
        p = self.parameters
        kept = filter_rows(gram, updates, p.clip_bps, p.min_norm_bps, p.min_cosine_bps)
        rows = kept.accepted
        outcome = [self._rejected(kept, row) for row in range(updates)]
        if rows:
            for row, judged in zip(rows, self._judge(gram, updates, public.past_steps, kept), strict=True):
                outcome[row] = judged
        return PolicyOutcome(self.name, self.policy_hash(), tuple(outcome))

    def _judge(self, gram: Gram, n: int, past: int, kept: FilteredRows) -> list[RowOutcome]:
        """The accepted rows, in their order."""
        p = self.parameters
        rows = kept.accepted
        clips = [kept.clips[row] for row in rows]
        agreements = leave_one_out_cosines(gram, rows, kept.voices) if len(rows) > 1 else [ONE]
        reference = agreement_reference(agreements, p.agreement_floor_bps)
        left = residuals(gram, rows, n, min(past, p.past_steps))
        novel = relative_gate(novelty(left, [gram[row][row] for row in rows]), p.gate_bps)
        shared = relative_gate(company(left), p.gate_bps)
        scores = contributions(peer_scores(agreements, reference), novel.factors, shared.factors)
        parts = weights(trust(scores, p.trust_bps), clips, p.full_step_bps)
        return [
            RowOutcome(
                Reason.ACCEPTED,
                scores[i],
                parts[i],
                clips[i],
                (
                    *self._filter_figures(kept, row),
                    Figure("agreement", agreements[i], Rule.COMPARED, reference),
                    _gate_figure("novelty", novel, i),
                    _gate_figure("company", shared, i),
                ),
            )
            for i, row in enumerate(rows)
        ]

    def _rejected(self, kept: FilteredRows, row: int) -> RowOutcome:
        return RowOutcome(kept.reasons[row], 0, 0, kept.clips[row], self._filter_figures(kept, row))

    def _filter_figures(self, kept: FilteredRows, row: int) -> tuple[Figure, ...]:
        p = self.parameters
        relative_norm = ratio(kept.norms[row], kept.median_norm) if kept.median_norm else 0
        figures = [
            Figure("norm", relative_norm, Rule.AT_LEAST, p.min_norm_bps * ONE // BASIS),
            Figure("norm-clip", relative_norm, Rule.CLIPPED_ABOVE, p.clip_bps * ONE // BASIS),
        ]
        cosine = kept.cosines[row]
        if cosine is not None:
            figures.append(Figure("cosine-with-others", cosine, Rule.AT_LEAST, p.min_cosine_bps * ONE // BASIS))
        return tuple(figures)


def _gate_figure(name: str, gate: Gate, index: int) -> Figure:
    return Figure(name, gate.values[index], Rule.FULL_FROM, gate.full_from)
