"""Public rows of a round from its revealed batch: computed by whoever settles, checked by every witness.

One machine gives the same bytes every time. Another one may differ in the last digits of a floating point number:
witnesses accept rows within the tolerances below of their own, and everybody then computes with the posted bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cohort_protocol.commitments import ZERO32
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.learning.batches import fetch_batch
from cohort_protocol.learning.validation import ValidationRound, joined, validation_rows
from cohort_protocol.round_inputs import RoundInputs, RoundInputsInvalid, rows_subject
from cohort_protocol.round_rows import (
    MAX_REVEALED,
    RowLayout,
    RowsManifest,
    RowsUnusable,
    encode_row,
    fetch_rows,
    reads_batch,
    remembered_values,
)
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.scoring.kernel.sources import whole
from cohort_protocol.scoring.rows import PublicRows
from cohort_protocol.spec import ProjectSpec
from cohort_protocol.stored_rows import stored_model, stored_update

ROW_TOLERANCE = 512
"""Units by which entries of a row that fills 2^28 .. 2^29 may differ: 2^-19 of its largest. The worst such row moves
nobody's pay by more than 7e-5 (tests/protocol/learning/test_tolerance.py)."""
COMMON_TOLERANCE = ROW_TOLERANCE
"""The same of u0, which fills the same range."""
VALUE_TOLERANCE = 1 << 11
"""Of remembered values, in units of 2^-30 nats."""


class RowsDiffer(RowsUnusable):
    """Proposed public rows are not those that follow from batch, model and updates. The message says where."""

    code = "rows-differ"


@dataclass(frozen=True)
class ComputedRows:
    """A round's rows with the files that publish them. Nothing was published yet."""

    manifest: RowsManifest
    rows: tuple[np.ndarray, ...]
    """int64[d] each, in the order of `PublicRows`."""

    @property
    def digest(self) -> bytes:
        """The commitment for the chain, 32 bytes."""
        return self.manifest.digest

    def publish(self, store: IpfsStore) -> None:
        """Rows first: whoever sees the manifest can fetch what it names. The same bytes again change nothing."""
        for row in self.rows:
            store.put(encode_row(row))
        store.put(self.manifest.to_bytes())


def compute_rows(inputs: RoundInputs, spec: ProjectSpec, store: IpfsStore) -> ComputedRows:
    """Fetches model, updates and batches, and computes what the policy reads of them.

    Raises `RoundInputsInvalid` if no rows can follow, `BatchMalformed`, `ContentTooLarge`, `ContentMalformed` (the
    owner's batch); `ContentNotFound`, `ContentCorrupt`, `IpfsUnavailable` if that cannot be told now."""
    policy = policy_by_name(inputs.policy.name, inputs.policy.params)
    if not reads_batch(policy.needs) or inputs.validation == ZERO32 or not inputs.rows:
        raise RoundInputsInvalid(
            f"round {inputs.project}/{inputs.round} has no public rows: policy {policy.name}, "
            f"{len(inputs.rows)} updates, batch {to_hex(inputs.validation)}"
        )
    if policy.policy_hash() != inputs.policy_hash:
        raise RoundInputsInvalid(
            f"the spec's policy {policy.name} has the hash {to_hex(policy.policy_hash())}, the terms on chain pin "
            f"{to_hex(inputs.policy_hash)}"
        )
    architecture = parse_architecture(spec.model.family, spec.model.config, spec.data)
    revealed = inputs.revealed[-MAX_REVEALED:]
    batches = [fetch_batch(store, digest, number, spec.data) for number, digest in revealed]
    earlier = remembered_values(store, inputs.remembered)
    d = inputs.dimension
    given = ValidationRound(
        architecture=architecture,
        exponent=inputs.exponent,
        model=whole(stored_model(store, inputs.models[-1].cid, inputs.models[-1].commitment, d)),
        updates=[whole(stored_update(store, row.cid, row.update, d)) for row in inputs.rows],
        batch=fetch_batch(store, inputs.validation, inputs.round, spec.data),
        revealed=joined(batches) if batches else None,
        hyper=spec.training,
        round=inputs.round,
        seed=spec.seed,
        earlier=[earlier.get(row.member, 0) for row in inputs.rows],
    )
    found = validation_rows(given, policy)
    vectors = found.vectors.read_by(policy.needs)
    rows = tuple(whole(row) for row in vectors.rows())
    subject = rows_subject(inputs)
    manifest = RowsManifest(
        project=subject.project,
        round=subject.round,
        admitted=to_hex(subject.admitted),
        model=to_hex(subject.model),
        policy=to_hex(subject.policy),
        validation=to_hex(subject.validation),
        revealed=[number for number, _ in revealed],
        remembered=to_hex(inputs.remembered),
        dimension=d,
        layout=RowLayout.of(vectors.layout),
        rows=[str(cid_of(encode_row(row))) for row in rows],
        members=list(subject.members),
        values=list(found.values),
    )
    return ComputedRows(manifest, rows)


def check_rows(ours: ComputedRows, digest: bytes, inputs: RoundInputs, store: IpfsStore) -> None:
    """Compares proposed rows with ours. Raises `RowsDiffer` (or another `RowsUnusable`) in words; `ContentNotFound`,
    `ContentCorrupt`, `IpfsUnavailable` if that cannot be told now."""
    if digest == ours.digest:
        for row in ours.rows:  # what is signed can be fetched
            store.get(cid_of(encode_row(row)), 4 * inputs.dimension)
    needs = policy_by_name(inputs.policy.name, inputs.policy.params).needs
    posted = fetch_rows(store, digest, rows_subject(inputs), needs)
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


def _row_names(layout: PublicRows) -> Sequence[str]:
    names = ["u0"] if layout.trainable else []
    names += ["g0", "g1"] if layout.gradients else []
    names += ["h0", "h1"] if layout.halves else []
    names += ["v", "v'", "k"][: layout.values]
    return names + [f"g{k}, class {index}" for index in range(layout.classes) for k in (0, 1)]
