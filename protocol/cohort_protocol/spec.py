"""The project spec: what is trained and how. Published to IPFS; the contract pins its digest.

Money, windows, witnesses and aggregators are *terms* and live on chain (`contracts/src/types/Types.sol`); the spec
holds what the chain need not know.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cohort_protocol.canonical import canonical_json, parse_json
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import Bytes32, CidText
from cohort_protocol.sealing.readers import MAX_READERS, readers_from

MAX_SPEC_BYTES = 64 * 1024
"""A spec is one raw block of IPFS, so that its CID follows from the digest on chain."""

MAX_DIMENSION = 2**24


class SpecModel(BaseModel):
    """Base of every part of a spec: unknown fields are an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSpec(SpecModel):
    """The model family, its configuration and its first weights."""

    family: Annotated[str, Field(min_length=1, max_length=64)]
    config: dict[str, Any] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the initial weights; `initial_cid` pins the resulting bytes."""
    initial_cid: CidText
    initial_commitment: Bytes32
    """Commitment of the first model, by the scheme of `settlement`; equals the terms' `initialModel`."""
    dimension: Annotated[int, Field(ge=1, le=MAX_DIMENSION)]
    exponent: Annotated[int, Field(ge=-30, le=0)]
    """Updates are int16 multiples of 2^exponent."""


class HyperParameters(SpecModel):
    """Hyper-parameters of local training (stochastic gradient descent)."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.1
    learning_rate_decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Round r trains with learning_rate * learning_rate_decay^(r - 1)."""
    local_epochs: Annotated[int, Field(ge=1, le=1000)] = 4
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 16
    augment_shift: Annotated[int, Field(ge=0, le=8)] = 1
    """Random translations of images by up to this many pixels; 0 for none."""


class DataSpec(SpecModel):
    """What a trainer's data must look like."""

    shape: Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=4)]
    """Shape of one example, for instance [1, 8, 8]; a CSV row holds its product of values."""
    classes: Annotated[int, Field(ge=2, le=10_000)]
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Raw values are divided by this."""
    description: Annotated[str, Field(max_length=2000)] = ""


class PolicySpec(SpecModel):
    """The scoring policy by name, with its parameters."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    params: dict[str, Any] = Field(default_factory=dict)


Settlement = Literal["attested", "proven"]
"""What a settlement of the project rests on: signatures of witnesses who computed the same, or a proof that the chain
checks. It decides how updates and models are committed to: keccak256, or a KZG commitment (`proof.scheme`)."""


PublicKeyText = Annotated[str, Field(pattern=r"^0x0[23][0-9a-f]{64}$")]


class ProjectSpec(SpecModel):
    """A project spec, version 1.

    `settlement` and `readers` came later: their defaults are not part of the canonical bytes, so that every older spec
    keeps its digest. Who does not know a field refuses a spec that has it.
    """

    version: Literal[1] = 1
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=4000)] = ""
    model: ModelSpec
    data: DataSpec
    training: HyperParameters = HyperParameters()
    policy: PolicySpec
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Mixed into every trainer's own seed."""
    settlement: Settlement = "attested"
    readers: Annotated[list[PublicKeyText], Field(max_length=MAX_READERS)] = Field(default_factory=list)
    """Not empty: the project is private. Updates are sealed for these public keys, those of its witnesses and
    aggregators (`sealing`), and nobody else sees more of them than their inner products."""

    @property
    def private(self) -> bool:
        """Whether updates are sealed."""
        return bool(self.readers)

    @model_validator(mode="after")
    def _fits(self) -> ProjectSpec:
        if len(self.to_bytes()) > MAX_SPEC_BYTES:
            raise ValueError(f"the spec is larger than {MAX_SPEC_BYTES} bytes")
        if self.private and self.settlement != "proven":
            raise ValueError(
                "a private project must be proven: nobody but its witnesses could check the settlements of another"
            )
        if self.private:
            readers_from(self.readers)
        return self

    def to_bytes(self) -> bytes:
        """Canonical bytes: what is published and hashed."""
        defaults = {
            name for name, default in (("settlement", "attested"), ("readers", [])) if getattr(self, name) == default
        }
        return canonical_json(self.model_dump(mode="json", exclude=defaults))

    @classmethod
    def from_bytes(cls, data: bytes) -> ProjectSpec:
        """Parses untrusted bytes; only the canonical encoding is accepted. Raises `InvalidInput`."""
        try:
            spec = cls.model_validate(parse_json(data, MAX_SPEC_BYTES))
        except ValidationError as error:
            raise InvalidInput(f"not a project spec: {error}") from error
        if spec.to_bytes() != data:  # also a spec that says "attested"
            raise InvalidInput("the spec is not in canonical form: publish the bytes of ProjectSpec.to_bytes()")
        return spec
