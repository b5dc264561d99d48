"""The default policy: what an update was worth on the batch, as far as that can be believed, and what the others say of
it; nothing for what is not new, not shared by anybody, or sent twice (docs/scoring.md, docs/decisions/0015, 0017).

Reads p <= 9 public rows: past steps (three by default, five at most), u0, and three value rows. Without value rows it
scores by the validation gradients if they are there, and without those by agreement alone. With the default parameters,
and three value rows or none, contracts/src/policies has the same rule in Solidity; what only verdicts show, it leaves
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from cohort_protocol.scoring.belief import (
    Shape,
    Standings,
    agreements,
    capped,
    company,
    company_cosines,
    peer_standings,
    ramp_gate,
    standings,
)
from cohort_protocol.scoring.clones import kin_factors, kinship, twins
from cohort_protocol.scoring.closed_forms import class_values, curved_values, linear_values
from cohort_protocol.scoring.contribution import agreement_reference, contributions, peer_scores, trust
from cohort_protocol.scoring.errors import PolicyParametersInvalid
from cohort_protocol.scoring.explanation import figures_of, words_of
from cohort_protocol.scoring.fixed_point import BASIS, ONE, ONE_BITS
from cohort_protocol.scoring.gates import Gate
from cohort_protocol.scoring.gram import TOTAL_WEIGHT, Gram, check_gram
from cohort_protocol.scoring.outcome import PolicyOutcome, Reason, RowOutcome
from cohort_protocol.scoring.parameters import describe, description_hash, read_parameters
from cohort_protocol.scoring.players import Players, form_players, mean_products, player_coordinates
from cohort_protocol.scoring.rows import PublicRows
from cohort_protocol.scoring.units import UNIT_BITS, remainders

SLOPE_BITS = 15
"""What slopes lose of their fraction, so that the closed forms have room for their products."""


class Evidence(IntEnum):
    """What scores are measured by."""

    VALUES = 1
    """The value rows: measured on the batch."""
    CURVED = 2
    """g0 and g1: the curved closed form."""
    CLASSES = 3
    """g0 and g1 of each class: the curved closed form with a curvature per class."""
    LINEAR = 4
    """g0: the linear closed form."""


def _bps(default: int, low: int, high: int) -> Any:
    return field(default=default, metadata={"range": (low, high)})


@dataclass(frozen=True)
class DefaultParameters:
    """In basis points unless said otherwise."""

    evidence: int = field(default=int(Evidence.VALUES), metadata={"range": (1, 4)})
    """See `Evidence`."""
    classes: int = field(default=0, metadata={"range": (0, 12)})
    """Classes (or groups of classes) with gradients of their own, for evidence 3."""
    memory_bps: int = _bps(7_500, 0, 9_900)
    """What a value row keeps of the value that it said of a trainer in the round before. Read by witnesses."""
    clip_bps: int = _bps(20_000, 10_000, 1_000_000)
    """Rows count as clipped to this multiple of the median norm."""
    min_norm_bps: int = _bps(500, 1, 10_000)
    """Rows below this multiple of the median norm are rejected."""
    min_cosine_bps: int = _bps(-1_000, -10_000, 10_000)
    """Players of no value with a smaller cosine with the others are rejected."""
    clone_bps: int = _bps(9_000, 5_000, 10_000)
    """Rows whose cosines all exceed this are one player."""
    group_bps: int = _bps(6_000, 0, 10_000)
    """What a player of several rows earns of its pay: the mean of several runs is a better update than one run, and
    training twice on the same data should not pay."""
    kin_from_bps: int = _bps(4_500, 0, 9_000)
    kin_full_bps: int = _bps(7_000, 1_000, 10_000)
    """Kinship counts from the first to the second; above, as the same player."""
    twin_bps: int = _bps(8_000, 5_000, 10_000)
    """Who has a relative of this kinship earns what a player of several rows does: otherwise rows that are kept just
    too far apart to be one player would earn more."""
    belief_bps: int = _bps(9_000, 0, 10_000)
    doubt_bps: int = _bps(20_000, 0, 1_000_000)
    value_cap_bps: int = _bps(50_000, 5_000, 320_000)
    peer_cap_bps: int = _bps(10_000, 5_000, 320_000)
    width_bps: int = _bps(15_000, 1, 100_000)
    suspect_width_bps: int = _bps(7_500, 1, 100_000)
    """See `belief`."""
    novelty_from_bps: int = _bps(3_500, 0, 9_000)
    novelty_full_bps: int = _bps(6_000, 1_000, 10_000)
    """Novelty earns from the first to the second, as parts of the median."""
    company_from_bps: int = _bps(500, 0, 9_000)
    company_full_bps: int = _bps(2_000, 1_000, 10_000)
    """The same for company."""
    agreement_floor_bps: int = _bps(200, 1, 10_000)
    """Agreement counts as average from the mean of the round on, but not below this cosine."""
    trust_bps: int = _bps(20_000, 10_000, 1_000_000)
    """Gain of trust: from median / gain on, players have full weight."""
    full_step_bps: int = _bps(7_500, 0, 10_000)
    """The step is taken in full when trust sums to this part of the players; below, it is shorter."""
    share_cap_bps: int = _bps(20_000, 10_000, 320_000)
    """No score counts as more than this multiple of an equal share of all scores: what bounds the pay of a leaked
    batch (docs/decisions/0025)."""
    past_steps: int = field(default=3, metadata={"range": (0, 5)})
    """Number of past global steps that are taken out of the updates. With five, a replay of a step that is four or five
    rounds old earns nothing either; each costs a proven round another multiplication on the curve and an entry of the
    matrix per update (docs/decisions/0017)."""

    def check_together(self) -> None:
        """Raises `PolicyParametersInvalid` for values that no round can be judged by together, or of which one would be
        ignored. Each alone is in its range."""
        for ramp in ("kin", "novelty", "company"):
            start, full = getattr(self, f"{ramp}_from_bps"), getattr(self, f"{ramp}_full_bps")
            if start >= full:
                raise PolicyParametersInvalid(
                    f"{ramp}_from_bps of policy 'default' is {start} and {ramp}_full_bps is {full}: the first must be "
                    "below the second; set both"
                )
        if (self.evidence == Evidence.CLASSES) != (self.classes > 0):
            raise PolicyParametersInvalid(
                f"evidence of policy 'default' is {self.evidence} and classes is {self.classes}: evidence "
                f"{int(Evidence.CLASSES)} needs at least one class, and nothing else reads classes; set both or neither"
            )

    def shape(self) -> Shape:
        """The constants of `belief`."""
        return Shape(
            self.belief_bps,
            self.doubt_bps,
            self.value_cap_bps,
            self.peer_cap_bps,
            self.width_bps,
            self.suspect_width_bps,
        )


@dataclass(frozen=True)
class Judgement:
    """What is known of the players that are not rejected, in their order."""

    agreements: tuple[int, ...]
    reference: int
    standings: Standings
    novelty: Gate
    cosines: tuple[tuple[int, ...], ...]
    """Of what is new in each player with what is new in the others, in units of 2^-15."""
    company: Gate
    kin: tuple[int, ...]
    """Factors, in units of 1/ONE."""
    wholes: tuple[int, ...]
    """What groups and twins keep, in units of 1/ONE."""
    uncapped: tuple[int, ...]
    """Scores before the share cap."""
    scores: tuple[int, ...]
    uncertainties: tuple[int, ...] | None
    trusts: tuple[int, ...]
    """1 for those that a value row votes for; without one, from the scores."""
    shorter: int
    """The step is taken in full from this sum of trusts on."""


@dataclass(frozen=True)
class Judged:
    """A round under the policy, before it is put into figures and words."""

    players: Players
    suspects: tuple[int, ...]
    """Players of no value, and better left out where a row says who is."""
    kept: tuple[int, ...]
    """Players that are not rejected."""
    lonely: tuple[int, ...]
    """Agreement of every player when it was rejected, or at the end."""
    judgement: Judgement | None
    """Of those that are kept; None if nobody is."""


@dataclass(frozen=True)
class DefaultPolicy:
    """Clone groups, measured value with belief, peer score, gates, kinship, share cap, trust."""

    parameters: DefaultParameters = DefaultParameters()
    name: str = "default"

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> DefaultPolicy:
        """From a spec. Raises `PolicyParametersInvalid`."""
        parameters = read_parameters(DefaultParameters, "default", params)
        parameters.check_together()
        return cls(parameters)

    @property
    def needs(self) -> PublicRows:
        """Past steps, u0, and the rows of the evidence."""
        p = self.parameters
        return PublicRows(
            past_steps=p.past_steps,
            trainable=True,
            gradients=p.evidence in (Evidence.CURVED, Evidence.LINEAR),
            values=3 if p.evidence == Evidence.VALUES else 0,
            classes=p.classes if p.evidence == Evidence.CLASSES else 0,
        )

    def description(self) -> dict[str, Any]:
        """Name and parameters."""
        return describe(self.name, self.parameters)

    def policy_hash(self) -> bytes:
        """keccak256 of the canonical JSON of the description."""
        return description_hash(self.description())

    def suggested_score_floor(self, slots: int) -> int:
        """A sixteenth of the slots at the average: a round of dust scores is paid like dust."""
        return max(1, slots * ONE // 16)

    def players(self, gram: Gram, updates: int) -> Players:
        """Who plays. gram: at least the updates."""
        p = self.parameters
        return form_players(gram, updates, p.clip_bps, p.min_norm_bps, p.clone_bps)

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """Judges a round. gram: (updates + public.count) square, updates first, then the public rows. Raises
        `ScoringInputInvalid`.

        Permuting the updates permutes the rows of the outcome, exactly. All rows may be rejected: then every score
        and weight is 0."""
        check_gram(gram, updates, public.count)
        done = self.judged(gram, updates, public)
        rows: list[RowOutcome | None] = [None] * updates
        for player, group in enumerate(done.players.groups):
            for row in group:
                rows[row] = self._outcome(done, player, row)
        return PolicyOutcome(
            self.name,
            self.policy_hash(),
            tuple(self._too_small(done.players, row) if made is None else made for row, made in enumerate(rows)),
        )

    def judged(self, gram: Gram, updates: int, public: PublicRows) -> Judged:
        """What `evaluate` puts into words. gram: as there, checked."""
        players = self.players(gram, updates)
        values, doubts = self._evidence(players, public)
        votes = self._votes(players, public)
        suspects = [
            player for player, value in enumerate(values) if value <= 0 and (votes is None or votes[player] <= 0)
        ]
        kept, lonely = self._accepted(players, suspects)
        judgement = self._judge(players, gram, public, kept, values, doubts, votes, suspects) if kept else None
        return Judged(players, tuple(suspects), tuple(kept), tuple(lonely), judgement)

    def _measured(self, public: PublicRows) -> bool:
        return bool(public.values or public.gradients or public.classes)

    def _votes(self, players: Players, public: PublicRows) -> list[int] | None:
        """Positive per player if the model is better with it; None where no row says so."""
        rows = public.value_rows(players.count)
        return mean_products(players, rows[2]) if len(rows) > 2 else None

    def _evidence(self, players: Players, public: PublicRows) -> tuple[list[int], list[int]]:
        """(x, D) per player: values in any unit, and by how much those on half the batch differ."""
        n = players.count
        none = [0] * n
        if not self._measured(public):
            return none, none
        if rows := public.value_rows(n):
            values = mean_products(players, rows[0])
            if len(rows) == 1:
                return values, none
            half = mean_products(players, rows[1])
            return values, [part - whole for part, whole in zip(half, values, strict=True)]
        if pairs := public.class_rows(n):
            slopes, bends = [], []
            for first, second in pairs:
                before, after = (mean_products(players, row, SLOPE_BITS) for row in (first, second))
                slopes.append([-value for value in before])
                bends.append([b - a for a, b in zip(before, after, strict=True)])
            return class_values([sum(column) for column in zip(*slopes, strict=True)] if n else [], bends), none
        first, second = public.gradient_rows(n) or (0, 0)
        before, after = (mean_products(players, row, SLOPE_BITS) for row in (first, second))
        slopes = [-value for value in before]
        if self.parameters.evidence == Evidence.LINEAR:
            return linear_values(slopes) if n else [], none
        return curved_values(slopes, [b - a for a, b in zip(before, after, strict=True)]) if n else [], none

    def _accepted(self, players: Players, suspects: Sequence[int]) -> tuple[list[int], list[int]]:
        """(players that are not rejected, agreement of each when it was rejected or at the end).

        Rejects suspects that oppose the others, the most opposed first, those that tie together."""
        units = players.units
        kept, found = list(range(players.count)), [0] * players.count
        limit = self.parameters.min_cosine_bps * ONE // BASIS
        while kept:
            current = agreements([[units[a][b] for b in kept] for a in kept])
            for player, value in zip(kept, current, strict=True):
                found[player] = value
            bad = [value for player, value in zip(kept, current, strict=True) if value < limit and player in suspects]
            if not bad or len(kept) == 1:
                break
            worst = min(bad)
            kept = [
                player for player, value in zip(kept, current, strict=True) if value != worst or player not in suspects
            ]
        return kept, found

    def _judge(
        self,
        players: Players,
        gram: Gram,
        public: PublicRows,
        kept: Sequence[int],
        values: Sequence[int],
        doubts: Sequence[int],
        votes: Sequence[int] | None,
        suspects: Sequence[int],
    ) -> Judgement:
        """The players `kept`, in their order."""
        p = self.parameters
        updates = len(players.norms)
        steps = public.step_rows(updates)[: p.past_steps]
        trainable = public.trainable_row(updates)
        known = player_coordinates(players, gram, [*steps, *([] if trainable is None else [trainable])])
        own = [[players.units[a][b] for b in kept] for a in kept]
        agreed = agreements(own)
        reference = agreement_reference(agreed, p.agreement_floor_bps)
        peers = peer_scores(agreed, reference)
        left = remainders(own, [known[player] for player in kept])
        novel = ramp_gate(
            [row[i] >> UNIT_BITS - ONE_BITS for i, row in enumerate(left)], p.novelty_from_bps, p.novelty_full_bps
        )
        cosines = company_cosines(left)
        shared = ramp_gate(company(cosines), p.company_from_bps, p.company_full_bps)
        related = kinship(own, agreed)
        kin = kin_factors(related, p.kin_from_bps, p.kin_full_bps)
        whole = [
            p.group_bps * ONE // BASIS if twin or len(players.groups[player]) > 1 else ONE
            for player, twin in zip(kept, twins(related, p.twin_bps), strict=True)
        ]
        suspected = [player in suspects for player in kept]

        def scored(evidence: Sequence[int], doubted: Sequence[int]) -> tuple[Standings, list[int], list[int]]:
            measured = self._measured(public)
            stand = standings(evidence, doubted, peers, suspected, p.shape()) if measured else peer_standings(peers)
            raw = contributions(stand.earned, novel.factors, shared.factors, kin, whole)
            return stand, raw, capped(raw, p.share_cap_bps, updates)

        x, d = [values[player] for player in kept], [doubts[player] for player in kept]
        stand, uncapped, scores = scored(x, d)
        uncertainties = None
        if public.values > 1:
            *_, first = scored([a + b for a, b in zip(x, d, strict=True)], d)
            *_, second = scored([a - b for a, b in zip(x, d, strict=True)], d)
            uncertainties = tuple(abs(a - b) // 2 for a, b in zip(first, second, strict=True))
        return Judgement(
            agreements=tuple(agreed),
            reference=reference,
            standings=stand,
            novelty=novel,
            cosines=tuple(map(tuple, cosines)),
            company=shared,
            kin=tuple(kin),
            wholes=tuple(whole),
            uncapped=tuple(uncapped),
            scores=tuple(scores),
            uncertainties=uncertainties,
            trusts=tuple(
                trust(scores, p.trust_bps)
                if votes is None
                else [
                    # Noise harms too little to be voted out, and shortens the step.
                    ONE if votes[player] > 0 and (value > 0 or factor) else 0
                    for player, value, factor in zip(kept, x, shared.factors, strict=True)
                ]
            ),
            shorter=0 if votes is not None else p.full_step_bps * ONE * len(kept) // BASIS,
        )

    def _outcome(self, done: Judged, player: int, row: int) -> RowOutcome:
        players, judged, suspect = done.players, done.judgement, player in done.suspects
        group, agreement = players.groups[player], done.lonely[player]
        shared = group if len(group) > 1 else ()
        if judged is None or player not in done.kept:
            figures = figures_of(self.parameters, players, row, agreement, suspect)
            words = words_of(self.parameters, Reason.OPPOSES_OTHERS, figures, shared, None, 0)
            return RowOutcome(Reason.OPPOSES_OTHERS, 0, 0, players.clips[row], figures, words, shared)
        place = done.kept.index(player)
        p = self.parameters
        total = max(sum(judged.trusts), judged.shorter, 1)
        score = judged.scores[place] // len(group)
        weight = TOTAL_WEIGHT * judged.trusts[place] * players.clips[row] // (ONE * total * len(group))
        figures = figures_of(p, players, row, agreement, suspect, judged, place)
        uncertainty = None if judged.uncertainties is None else judged.uncertainties[place] // len(group)
        words = words_of(p, Reason.ACCEPTED, figures, shared, uncertainty, score)
        return RowOutcome(Reason.ACCEPTED, score, weight, players.clips[row], figures, words, shared, uncertainty)

    def _too_small(self, players: Players, row: int) -> RowOutcome:
        figures = figures_of(self.parameters, players, row)
        words = words_of(self.parameters, Reason.TOO_SMALL, figures, (), None, 0)
        return RowOutcome(Reason.TOO_SMALL, 0, 0, players.clips[row], figures, words)
