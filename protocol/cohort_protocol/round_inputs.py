"""What a round's outcome follows from, gathered from chain and spec by worker, witness and auditor on their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cohort_protocol.chain.packed import AdmittedRow, by_admission
from cohort_protocol.commitments import ZERO32, admitted_hash
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.round_rows import RowsSubject
from cohort_protocol.scoring.rows import PublicRows
from cohort_protocol.spec import PolicySpec, ProjectSpec, Settlement

MAX_PAST = 10
"""Most past models that any policy reads."""


class RoundInputsInvalid(InvalidInput):
    """Spec, chain and the round's inputs do not fit together, so that no outcome follows from them."""

    code = "round-inputs-invalid"


@dataclass(frozen=True)
class InputModel:
    """A model by commitment (32 bytes) and the CID of its file."""

    commitment: bytes
    cid: Cid


@dataclass(frozen=True)
class InputRow:
    """An admitted update: number and EIP-55 address of its trainer, commitment (32 bytes), CID of its file."""

    first_row: int
    """First row that the same call of `reveal` admitted."""
    member: int
    trainer: str
    update: bytes
    cid: Cid


@dataclass(frozen=True)
class RoundInputs:
    """All that decides a round's outcome. Everything is on chain or in the spec whose digest is on chain."""

    chain_id: int
    market: str
    project: int
    round: int
    spec_cid: Cid
    policy: PolicySpec
    policy_hash: bytes
    """From the project's terms on chain (32 bytes)."""
    dimension: int
    exponent: int
    models: tuple[InputModel, ...]
    """The models that the project went through, oldest first, ending with the one this round starts from. See
    `model_line`."""
    rows: tuple[InputRow, ...]
    """In order of admission."""
    validation: bytes = ZERO32
    """From the round on chain (32 bytes); zeros: none."""
    public_rows: bytes = ZERO32
    """From the round on chain (32 bytes); zeros: none."""
    revealed: tuple[tuple[int, bytes], ...] = ()
    """(round, digest of its batch) of the earlier rounds whose batch was revealed, in order."""
    remembered: bytes = ZERO32
    """Commitment of the public rows that were posted last in an earlier round; zeros: none."""
    settlement: Settlement = "attested"
    """From the spec: what commitments are, and what a settlement rests on."""


def round_inputs(
    *,
    chain_id: int,
    market: str,
    project: int,
    round: int,
    spec: ProjectSpec,
    spec_cid: Cid,
    policy_hash: bytes,
    settled: Iterable[tuple[bytes, bytes]],
    admissions: Iterable[Iterable[tuple[int, str, bytes, bytes]]],
    validation: bytes = ZERO32,
    public_rows: bytes = ZERO32,
    facts: Iterable[tuple[int, bytes, bytes]] = (),
) -> RoundInputs:
    """Puts the inputs together from the spec and from what the chain's events say.

    settled: (model commitment, raw CID) of every `RoundSettled` of the project before this round, in order.
    admissions: for each `UpdatesAdmitted` of the round, in order, (member, trainer, update commitment, raw CID) of its
    rows.
    validation, public_rows: of the round (`ValidationRevealed`, `PublicRowsPosted`), zeros if there are none.
    facts: (round, validation, public rows) of earlier rounds, in order.
    Raises `CidMalformed` for a CID that is none.
    """
    initial = InputModel(parse_bytes32(spec.model.initial_commitment), Cid.parse(spec.model.initial_cid))
    before = [one for one in facts if one[0] < round]
    later = [InputModel(commitment, Cid.from_bytes(cid)) for commitment, cid in settled]
    return RoundInputs(
        chain_id=chain_id,
        market=market,
        project=project,
        round=round,
        spec_cid=spec_cid,
        policy=spec.policy,
        policy_hash=policy_hash,
        dimension=spec.model.dimension,
        exponent=spec.model.exponent,
        models=model_line([initial, *later]),
        rows=tuple(_input_rows(admissions)),
        validation=validation,
        public_rows=public_rows,
        revealed=tuple((number, digest) for number, digest, _ in before if digest != ZERO32),
        remembered=next((rows for _, _, rows in reversed(before) if rows != ZERO32), ZERO32),
        settlement=spec.settlement,
    )


def _input_rows(admissions: Iterable[Iterable[tuple[int, str, bytes, bytes]]]) -> list[InputRow]:
    rows: list[InputRow] = []
    for admitted in admissions:
        first = len(rows)
        rows += [
            InputRow(first, member, trainer, update, Cid.from_bytes(cid)) for member, trainer, update, cid in admitted
        ]
    return rows


def model_line(models: Sequence[InputModel]) -> tuple[InputModel, ...]:
    """Drops a model that equals the one before it: a round that changed nothing (void, defaulted, nobody accepted)
    made no step, and a step of zeros would tell the policy nothing."""
    line: list[InputModel] = []
    for model in models:
        if not line or line[-1].commitment != model.commitment:
            line.append(model)
    return tuple(line)


def models_read(inputs: RoundInputs, needs: PublicRows) -> tuple[InputModel, ...]:
    """The models whose differences a policy with these needs reads, oldest first, ending with the round's."""
    return inputs.models[-(min(needs.past_steps, MAX_PAST) + 1) :]


def rows_subject(inputs: RoundInputs, needs: PublicRows) -> RowsSubject:
    """What public rows of the round must speak of. needs: what the policy reads."""
    admissions = [
        [AdmittedRow(row.first_row + i, row.member, row.update, bytes(row.cid)) for i, row in enumerate(admitted)]
        for admitted in by_admission(inputs.rows)
    ]
    return RowsSubject(
        project=inputs.project,
        round=inputs.round,
        admitted=admitted_hash(admissions),
        model=inputs.models[-1].commitment,
        policy=inputs.policy_hash,
        validation=inputs.validation,
        dimension=inputs.dimension,
        members=tuple(row.member for row in inputs.rows),
        settlement=inputs.settlement,
        models=tuple(model.commitment for model in models_read(inputs, needs)),
    )
