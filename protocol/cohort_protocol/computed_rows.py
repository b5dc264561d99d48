"""Public rows as one machine computed them, before they are posted; and the comparison of posted rows with one's own.

Rows of a batch come from `learning.public_rows`, which brings torch in. In a proven project rows are also posted in
rounds without a batch, for the past steps alone; those are made here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.proof.curve import decompress
from cohort_protocol.proof.rows_card import RowsCard, step_points
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.round_inputs import RoundInputs, RoundInputsInvalid, models_read, rows_subject
from cohort_protocol.round_rows import (
    NO_ROWS,
    RowLayout,
    RowsManifest,
    RowsUnusable,
    encode_row,
    fetch_rows,
    remembered_values,
    wants_rows,
)
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.scoring.kernel.sources import whole
from cohort_protocol.scoring.rows import PublicRows

ROW_TOLERANCE = 512
"""Units by which entries of a row that fills 2^28 .. 2^29 may differ: 2^-19 of its largest. The worst such row moves
nobody's pay by more than 7e-5 (tests/protocol/learning/test_tolerance.py)."""
COMMON_TOLERANCE = ROW_TOLERANCE
"""The same of u0, which fills the same range."""
VALUE_TOLERANCE = 1 << 11
"""Of remembered values, in units of 2^-30 nats."""


Published = Callable[[bytes], bytes]
"""Content of a file -> the file that is published for it."""


def public(content: bytes) -> bytes:
    """Files of public projects are what they hold."""
    return content


class RowsDiffer(RowsUnusable):
    """Proposed public rows are not those that follow from batch, model and updates. The message says where."""

    code = "rows-differ"


@dataclass(frozen=True)
class ComputedRows:
    """A round's rows with the files that publish them. Nothing was published yet."""

    manifest: RowsManifest
    rows: tuple[np.ndarray, ...]
    """int64[d] each, in the order of `PublicRows`."""
    card: RowsCard | None = None
    """In a proven project."""
    published: Published = public
    """What a row's file is on IPFS: as it is, or sealed."""

    @property
    def digest(self) -> bytes:
        """The commitment for the chain, 32 bytes."""
        return self.manifest.digest if self.card is None else self.card.digest

    def publish(self, store: IpfsStore) -> None:
        """Rows first: whoever sees the manifest can fetch what it names. The same bytes again change nothing."""
        for row in self.rows:
            store.put(self.published(encode_row(row)))
        store.put(self.manifest.to_bytes())
        if self.card is not None:
            store.put(self.card.to_bytes())


def make_card(
    inputs: RoundInputs, manifest: RowsManifest, rows: Sequence[np.ndarray], scheme: CommitmentScheme
) -> RowsCard | None:
    """The card of a proven round; None in an attested project, which has none. rows: int64[d] each.

    Raises `PointMalformed` if a model on chain is committed to by what is no point."""
    if inputs.settlement == "attested":
        return None
    needs = policy_by_name(inputs.policy.name, inputs.policy.params).needs
    steps = step_points([model.commitment for model in models_read(inputs, needs)])
    layout = manifest.layout.rows()
    points = []
    for row in rows:
        sink = scheme.sink()
        sink.take(row)
        points.append(decompress(sink.commitment()))
    layout = PublicRows(past_steps=len(steps), trainable=layout.trainable, values=layout.values)
    return RowsCard(manifest.digest, layout, (*steps, *points))


def rows_without_batch(inputs: RoundInputs, store: IpfsStore, scheme: CommitmentScheme) -> ComputedRows:
    """What is posted in a proven round that has no usable batch: its past steps. The values that earlier rounds said of
    its trainers are handed on.

    Raises `RoundInputsInvalid` if nothing is to be posted in this round; `ContentNotFound`, `ContentCorrupt`,
    `IpfsUnavailable` if earlier values cannot be had now."""
    needs = policy_by_name(inputs.policy.name, inputs.policy.params).needs
    if inputs.settlement != "proven" or not wants_rows("proven", needs, inputs.round, inputs.validation):
        raise RoundInputsInvalid(
            f"round {inputs.project}/{inputs.round} ({inputs.settlement}) has no public rows without a batch"
        )
    earlier = remembered_values(store, inputs.remembered, inputs.settlement)
    manifest = make_manifest(inputs, NO_ROWS, [], [], [earlier.get(row.member, 0) for row in inputs.rows])
    return ComputedRows(manifest, (), make_card(inputs, manifest, (), scheme))


def make_manifest(
    inputs: RoundInputs,
    layout: RowLayout,
    rows: Sequence[np.ndarray],
    revealed: Sequence[int],
    values: Sequence[int],
    published: Published = public,
) -> RowsManifest:
    """The manifest of rows of a round. revealed: numbers of the rounds whose batches were read; values: one for each
    update, in units of 2^-30 nats; published: see `ComputedRows`."""
    subject = rows_subject(inputs, policy_by_name(inputs.policy.name, inputs.policy.params).needs)
    return RowsManifest(
        project=subject.project,
        round=subject.round,
        admitted=to_hex(subject.admitted),
        model=to_hex(subject.model),
        policy=to_hex(subject.policy),
        validation=to_hex(subject.validation),
        revealed=list(revealed),
        remembered=to_hex(inputs.remembered),
        dimension=inputs.dimension,
        layout=layout,
        rows=[str(cid_of(published(encode_row(row)))) for row in rows],
        members=list(subject.members),
        values=list(values),
    )


def check_rows(
    ours: ComputedRows, digest: bytes, inputs: RoundInputs, store: IpfsStore, scheme: CommitmentScheme | None = None
) -> None:
    """Compares proposed rows (32 bytes, as for the chain) with ours, and in a proven project (scheme) their points with
    the proposed files. Raises `RowsDiffer` (or another `RowsUnusable`) in words; `ContentNotFound`, `ContentCorrupt`,
    `IpfsUnavailable` if that cannot be told now."""
    if digest == ours.digest:
        for row in ours.rows:  # what is signed can be fetched
            store.get(cid_of(ours.published(encode_row(row))), 4 * inputs.dimension)
    needs = policy_by_name(inputs.policy.name, inputs.policy.params).needs
    posted = fetch_rows(store, digest, rows_subject(inputs, needs), needs)
    theirs, mine = posted.manifest, ours.manifest
    for what in ("revealed", "remembered", "layout"):
        if getattr(theirs, what) != getattr(mine, what):
            raise RowsDiffer(f"{what} should be {getattr(mine, what)}, the rows have {getattr(theirs, what)}")
    for index, (found, own) in enumerate(zip(theirs.values, mine.values, strict=True)):
        if abs(found - own) > VALUE_TOLERANCE:
            raise RowsDiffer(f"the value of row {index} should be {own} +- {VALUE_TOLERANCE}, it is {found}")
    names = _row_names(mine.layout.rows())
    for name, source, own in zip(names, posted.vectors.rows(), ours.rows, strict=True):
        allowed = COMMON_TOLERANCE if name == "u0" else ROW_TOLERANCE
        worst = int(np.abs(whole(source) - own).max(initial=0))
        if worst > allowed:
            raise RowsDiffer(f"public row {name} differs by up to {worst}, {allowed} are allowed")
    if scheme is not None:
        posted.check_points(scheme)


def _row_names(layout: PublicRows) -> Sequence[str]:
    names = ["u0"] if layout.trainable else []
    names += ["g0", "g1"] if layout.gradients else []
    names += ["h0", "h1"] if layout.halves else []
    names += ["v", "v'", "k"][: layout.values]
    return names + [f"g{k}, class {index}" for index in range(layout.classes) for k in (0, 1)]
