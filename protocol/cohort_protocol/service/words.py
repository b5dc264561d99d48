"""What a witness signs when it says no. Agreement is EIP-712 and goes on chain (`cohort_protocol.commitments`); a
refusal stays with the service, as a reason on record that the witness cannot deny."""

from __future__ import annotations

from eth_account.messages import SignableMessage, encode_defunct

from cohort_protocol.canonical import canonical_json
from cohort_protocol.service.messages import PublicRowsRefusal, SettlementRefusal


def refusal_message(refusal: SettlementRefusal | PublicRowsRefusal) -> SignableMessage:
    """EIP-191 over the canonical JSON of the refusal without its signature. It names the bundle by its CID (or
    the rows by their commitment), and that names project, round and all that led to it, so it can stand for nothing
    else."""
    return encode_defunct(canonical_json(refusal.model_dump(mode="json", exclude={"signature"})))
