"""A witness's word on the public rows of a round: its own from batch, model and updates, compared within tolerance.

Once a quorum has signed, everybody computes with the posted bytes; a round without posted rows is judged by the peer
policy. So a witness signs an outcome without rows only when their time is over, or when it knows that none can follow.
"""

from __future__ import annotations

import structlog
from cohort_protocol.canonical import canonical_json
from cohort_protocol.commitments import ZERO32, MarketId, public_rows_message, sign
from cohort_protocol.computed_rows import ComputedRows, check_rows, rows_without_batch
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import RoundKey, parse_bytes32, to_hex
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.round_inputs import RoundInputs
from cohort_protocol.round_rows import wants_rows
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.service.messages import PublicRowsRefusal, PublicRowsSignature
from cohort_protocol.spec import ProjectSpec
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

log = structlog.get_logger(__name__)

MAX_DETAIL = 500


class RowsChecker:
    """Computes the rows of one round at a time, and remembers them: they may be proposed again, by another machine."""

    def __init__(self, store: IpfsStore) -> None:
        self._store = store
        self._known: tuple[RoundInputs, ComputedRows] | None = None

    def check(self, digest: bytes, inputs: RoundInputs, spec: ProjectSpec, scheme: CommitmentScheme = KECCAK) -> None:
        """Whether proposed rows (32 bytes) are ours within tolerance, and in a proven project committed to by their
        points, past steps included.

        Raises an `InvalidInput` that says in words why not; `ContentNotFound` or an `Unavailable` if that cannot be
        told now."""
        check_rows(self._ours(inputs, spec, scheme), digest, inputs, self._store, scheme)

    def impossible(self, inputs: RoundInputs, spec: ProjectSpec, scheme: CommitmentScheme = KECCAK) -> str:
        """Why no rows follow from the round's batch; empty if they do. Raises `ContentNotFound` or an `Unavailable` if
        that cannot be told now."""
        try:
            self._ours(inputs, spec, scheme)
        except InvalidInput as error:
            return str(error)
        return ""

    def _ours(self, inputs: RoundInputs, spec: ProjectSpec, scheme: CommitmentScheme) -> ComputedRows:
        if self._known is None or self._known[0] != inputs:
            self._known = (inputs, self._computed(inputs, spec, scheme))
        return self._known[1]

    def _computed(self, inputs: RoundInputs, spec: ProjectSpec, scheme: CommitmentScheme) -> ComputedRows:
        if inputs.settlement == "proven" and inputs.validation == ZERO32:
            return rows_without_batch(inputs, self._store, scheme)
        # Brings torch in: only witnesses of projects with batches pay for it.
        from cohort_protocol.learning.public_rows import compute_rows

        try:
            return compute_rows(inputs, spec, self._store, scheme)
        except InvalidInput as error:
            if inputs.settlement == "attested" or inputs.round == 1:
                raise
            log.warning("batch_unusable", project=inputs.project, round=inputs.round, detail=str(error))
            return rows_without_batch(inputs, self._store, scheme)


def rows_are_missing(inputs: RoundInputs) -> bool:
    """Whether rows are to be posted in the round, and none are."""
    policy = policy_by_name(inputs.policy.name, inputs.policy.params)
    wanted = wants_rows(inputs.settlement, policy.needs, inputs.round, inputs.validation)
    return wanted and inputs.public_rows == ZERO32


def make_rows_signature(account: LocalAccount, market: MarketId, key: RoundKey, rows: str) -> PublicRowsSignature:
    """The witness vouches for the rows."""
    signature = sign(public_rows_message(market, key.project, key.round, parse_bytes32(rows)), account)
    return PublicRowsSignature(witness=account.address, rows=rows, signature=to_hex(signature))


def make_rows_refusal(account: LocalAccount, key: RoundKey, rows: str, detail: str) -> PublicRowsRefusal:
    """The witness does not: EIP-191 over the canonical JSON of the refusal without the signature."""
    log.warning("rows_refused", project=key.project, round=key.round, rows=rows, detail=detail)
    unsigned = {"witness": account.address, "rows": rows, "detail": detail[:MAX_DETAIL]}
    signature = account.sign_message(encode_defunct(canonical_json(unsigned))).signature
    return PublicRowsRefusal(**unsigned, signature=to_hex(signature))
