"""Sends the transactions of a round, each once, and logs what they cost."""

from __future__ import annotations

import time
from typing import Any

import structlog
from cohort_protocol.chain import TransactionReceipt, TransactionRequest
from cohort_protocol.identifiers import RoundKey, to_hex

from cohort_worker.parts import WorkerParts

log = structlog.get_logger(__name__)


def send(
    parts: WorkerParts, key: RoundKey, step: str, request: TransactionRequest, detail: str = "", **shown: Any
) -> TransactionReceipt:
    """Sends under the intent `<step> <project>/<round>[ <detail>]` and waits for the receipt.

    detail: what tells this transaction from another of the same step. shown: more for the log line. Raises as
    `TransactionSender.execute`.
    """
    started = time.monotonic()
    receipt = parts.sender.execute(request, f"{step} {key}" + (f" {detail}" if detail else ""))
    log.info(
        "step_done",
        step=step,
        project=key.project,
        round=key.round,
        tx=to_hex(receipt.hash),
        gas=receipt.gas_used,
        block=receipt.block_number,
        seconds=round(time.monotonic() - started, 3),
        **shown,
    )
    return receipt
