"""A witness's word on the bytes of a model that a settlement left without a quorum's receipts.

In a proven project the chain knows that the new commitment is the right one, and not whether anybody can fetch what it
commits to. Until a quorum has said so, or the time for it is over, no round starts from the model.
"""

from __future__ import annotations

from cohort_protocol.commitments import MarketId, model_receipt_message, sign
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.service.messages import ModelReceiptIntake
from cohort_protocol.stored_rows import read_model
from eth_account.signers.local import LocalAccount

from cohort_worker.witness.history import HistoryBehind, ProjectHistory


def pending_model(
    history: ProjectHistory | None, model: bytes, dimension: int, store: IpfsStore, scheme: CommitmentScheme
) -> Cid:
    """Fetches the model that the chain says is pending, by the CID of its settlement, and checks that its bytes open
    the commitment `model` (32 bytes). Returns the CID.

    Raises `HistoryBehind` if its settlement was not read yet; an `InvalidInput` if the bytes are not that model;
    `ContentNotFound` or an `Unavailable` if that cannot be told now."""
    settled = [cid for _, commitment, cid in history.settled if commitment == model] if history is not None else []
    if not settled:
        raise HistoryBehind(f"the settlement that left model {to_hex(model)} was not read yet")
    cid = Cid.from_bytes(settled[-1])
    read_model(store, cid, model, dimension, scheme)
    return cid


def make_model_receipt(account: LocalAccount, market: MarketId, project: int, model: bytes) -> ModelReceiptIntake:
    """The witness vouches: EIP-712 `ModelReceipt`."""
    signature = sign(model_receipt_message(market, project, model), account)
    return ModelReceiptIntake(witness=account.address, model=to_hex(model), signature=to_hex(signature))
