"""The round bundle as a file: its fields, its canonical bytes, and where two of them part.

Canonical JSON. Amounts, scores and inner products are decimal strings.

| version | project | commitments | besides |
|---|---|---|---|
| 1 | attested | keccak256 of the canonical bytes | |
| 2 | proven | compressed KZG points | `proof`: the points of the public rows and of the step |

The proof of a proven round is not in its bundle: a bundle follows from the chain and IPFS alone, whoever proves it and
with what. It is in the evidence of the transaction that settled the round.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from cohort_protocol.canonical import canonical_json, parse_json
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import MAX_SLOTS, Address, Amount, Bytes32, CidText
from cohort_protocol.proof.statement import MAX_PUBLIC_ROWS as MAX_PROVEN_ROWS
from cohort_protocol.round_inputs import MAX_PAST
from cohort_protocol.round_rows import MAX_REVEALED, RowLayout, SignedDecimal
from cohort_protocol.scoring import Verdict
from cohort_protocol.scoring.rows import MAX_PUBLIC_ROWS
from cohort_protocol.spec import MAX_DIMENSION, Settlement

MAX_BUNDLE_BYTES = 1024 * 1024
"""32 rows with a long verdict each and a Gram matrix of 42 x 42 take about 200 KB."""

_MAX_SHOWN = 120


class BundleMalformed(InvalidInput):
    """Not a round bundle in canonical form."""

    code = "bundle-malformed"


Decimal = Annotated[Amount, PlainSerializer(str, return_type=str)]


Fallback = Literal["none", "batch-not-revealed", "rows-not-posted", "rows-unusable", "batch-unusable"]

FALLBACK_WORDS: dict[Fallback, str] = {
    "none": "",
    "batch-not-revealed": "its validation batch was not revealed",
    "rows-not-posted": "no public rows of its validation batch were posted in time",
    "rows-unusable": "what was posted as its public rows cannot be used",
    "batch-unusable": "no public rows follow from its validation batch",
}
"""Why a round was judged without its batch."""


class BundlePart(BaseModel):
    """Base of every part of a bundle: unknown fields are an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedModel(BundlePart):
    """A model: its commitment, and where its file is."""

    commitment: Bytes32
    cid: CidText


class BundlePolicy(BundlePart):
    """The scoring policy with every parameter filled in."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    params: dict[str, Any]
    hash: Bytes32
    """As pinned by the project's terms on chain."""


class BundleRow(BundlePart):
    """An admitted update, in order of admission."""

    row: Annotated[int, Field(ge=0, lt=MAX_SLOTS)]
    first_row: Annotated[int, Field(ge=0, lt=MAX_SLOTS)]
    """First row that the same call of `reveal` admitted: the contract chains its rows call by call."""
    member: Annotated[int, Field(ge=1, lt=2**32)]
    """Number of the trainer in the project: what the contract's rows and claims speak of."""
    trainer: Address
    update: Bytes32
    """Its commitment."""
    cid: CidText


class BundleEvidence(BundlePart):
    """What the scores rest on besides the updates and the past steps."""

    fallback: Fallback
    """Why a policy that reads a validation batch had to do without; `none`: it has its rows, or reads none."""
    batch: CidText | None
    """Card of the batch that was revealed for the round."""
    manifest: CidText | None
    """What was posted as the round's public rows."""
    layout: RowLayout | None
    """Of the rows that were read; they stand in `gram` after the past steps."""
    rows: Annotated[list[CidText], Field(max_length=MAX_PUBLIC_ROWS)]
    """Their files."""
    revealed: Annotated[list[Annotated[int, Field(ge=1, lt=2**32)]], Field(max_length=MAX_REVEALED)]
    """Earlier rounds whose batches the rows were computed from."""
    values: Annotated[list[SignedDecimal], Field(max_length=MAX_SLOTS)]
    """What the rows say of each trainer, in units of 2^-30 nats, memory included: the next rows remember it."""


class BundleOutcome(BundlePart):
    """What the policy says of one row. `score` and `clip` in units of 2^-30, `weight` in parts of 2^16."""

    score: Decimal
    reason: Annotated[int, Field(ge=0, lt=256)]
    weight: Annotated[int, Field(ge=0, le=2**16)]
    clip: Decimal


class BundleProof(BundlePart):
    """What a proof of a proven round speaks of, besides what stands elsewhere in the bundle."""

    scheme: Literal["kzg-bn254"] = "kzg-bn254"
    steps: Annotated[int, Field(ge=0, le=MAX_PAST)]
    """Past steps among the public rows; u0 and value rows as `evidence.layout` says."""
    card: CidText | None
    """Block behind `public_rows` (`proof.rows_card`); None: no rows were posted."""
    points: Annotated[list[Bytes32], Field(max_length=MAX_PROVEN_ROWS)]
    """Compressed points of the public rows, in the order of `gram`."""
    step: Bytes32
    """Compressed point of the round's step: sum of weight times update."""


class RoundBundle(BundlePart):
    """A round's outcome with everything it follows from. See the module's text."""

    version: Literal[1, 2] = 1
    chain_id: Annotated[int, Field(ge=1, lt=2**53)]
    market: Address
    project: Annotated[int, Field(ge=1, lt=2**53)]
    round: Annotated[int, Field(ge=1, lt=2**32)]
    spec_cid: CidText
    policy: BundlePolicy
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    exponent: Annotated[int, Field(ge=-64, le=0)]
    """Updates are multiples of 2^exponent, models of 2^(exponent - 16)."""
    model: PublishedModel
    """The model that the round started from."""
    past_models: Annotated[list[PublishedModel], Field(max_length=MAX_PAST)]
    """Models before it, oldest first; differences of neighbours, ending with `model`, are the past global steps."""
    validation: Bytes32
    """Digest of the validation batch that was revealed for this round; zeros: none."""
    public_rows: Bytes32
    """Commitment of the public rows that were posted; zeros: none."""
    rows: Annotated[list[BundleRow], Field(min_length=1, max_length=MAX_SLOTS)]
    evidence: BundleEvidence
    gram: Annotated[
        list[Annotated[list[SignedDecimal], Field(max_length=MAX_SLOTS + MAX_PUBLIC_ROWS)]],
        Field(max_length=MAX_SLOTS + MAX_PUBLIC_ROWS),
    ]
    """Inner products of the updates, in order of rows, then the past steps, most recent first, then the rows of
    `evidence`."""
    outcomes: Annotated[list[BundleOutcome], Field(max_length=MAX_SLOTS)]
    verdicts: Annotated[list[Verdict], Field(max_length=MAX_SLOTS)]
    next_model: PublishedModel
    proof: BundleProof | None = None
    """In version 2, and only there."""

    @property
    def judged_by(self) -> str:
        """What the scores of the round rest on, in words."""
        if self.evidence.layout is not None:
            return f"policy {self.policy.name}, by the round's validation batch"
        if self.evidence.fallback != "none":
            return f"agreement alone, since {FALLBACK_WORDS[self.evidence.fallback]}"
        return f"policy {self.policy.name}"

    @model_validator(mode="after")
    def _has_its_parts(self) -> RoundBundle:
        if (self.version == 2) != (self.proof is not None):
            raise ValueError(f"a bundle of version {self.version} {'lacks' if self.proof is None else 'has'} a proof")
        if self.proof is not None and len(self.proof.points) + len(self.rows) != len(self.gram):
            raise ValueError(f"{len(self.proof.points)} public points and {len(self.rows)} updates do not fit the Gram")
        return self

    @property
    def settlement(self) -> Settlement:
        """What the round's settlement rests on."""
        return "attested" if self.version == 1 else "proven"

    def fields(self) -> dict[str, Any]:
        """As they stand in the file."""
        return self.model_dump(mode="json", exclude={"proof"} if self.proof is None else None)

    def to_bytes(self) -> bytes:
        """Canonical bytes: what is published."""
        return canonical_json(self.fields())

    @classmethod
    def from_bytes(cls, data: bytes) -> RoundBundle:
        """Parses untrusted bytes; only the canonical encoding is accepted. Raises `BundleMalformed`."""
        try:
            bundle = cls.model_validate(parse_json(data, MAX_BUNDLE_BYTES))
        except ValidationError as error:
            raise BundleMalformed(f"not a round bundle: {_first_problem(error)}") from error
        except InvalidInput as error:
            raise BundleMalformed(f"not a round bundle: {error}") from error
        if bundle.to_bytes() != data:
            raise BundleMalformed("the bundle is not in canonical form: publish the bytes of RoundBundle.to_bytes()")
        return bundle


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"{where}: {first['msg']}"[:400]


# --- where two bundles part -------------------------------------------------------------------------------------------


def compare(expected: RoundBundle, found: RoundBundle) -> str | None:
    """None if both are the same; else the first difference in words, inputs before what follows from them."""
    ours, theirs = expected.model_dump(mode="json"), found.model_dump(mode="json")
    for name in RoundBundle.model_fields:
        if (words := _difference(name, ours[name], theirs[name])) is not None:
            return words
    return None


def _difference(path: str, expected: Any, found: Any) -> str | None:
    if type(expected) is not type(found):
        return f"{path} should be {_shown(expected)}, the bundle has {_shown(found)}"
    if isinstance(expected, dict):
        if missing := sorted(expected.keys() - found.keys()):
            return f"{path}.{missing[0]} is missing from the bundle"
        if surplus := sorted(found.keys() - expected.keys()):
            return f"{path}.{surplus[0]} should not be in the bundle"
        parts = ((f"{path}.{key}", expected[key], found[key]) for key in expected)
    elif isinstance(expected, list):
        if len(expected) != len(found):
            return f"{path} should have {len(expected)} entries, the bundle has {len(found)}"
        parts = ((f"{path}[{i}]", *pair) for i, pair in enumerate(zip(expected, found, strict=True)))
    elif expected != found:
        return f"{path} should be {_shown(expected)}, the bundle has {_shown(found)}"
    else:
        return None
    return next((words for part in parts if (words := _difference(*part)) is not None), None)


def _shown(value: Any) -> str:
    """A value of an untrusted bundle for a message: escaped and short."""
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
