"""Fetching logs in ranges of bounded size."""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import RangeTooLarge
from cohort_protocol.chain.transactions import RawLog
from cohort_protocol.errors import InvalidInput


def fetch_logs(
    client: ChainClient,
    address: str,
    from_block: int,
    to_block: int,
    topics: Sequence[Sequence[bytes] | bytes | None] = (),
    max_range: int = 2000,
) -> list[RawLog]:
    """Logs of `address` in [from_block, to_block], in order, at most `max_range` blocks per question.

    A node that refuses a range is asked for half of it, down to one block. Raises `InvalidInput` for a range that is
    not one, `RangeTooLarge` if a single block is refused, `ChainUnavailable`.
    """
    if from_block < 0 or max_range < 1:
        raise InvalidInput(f"blocks {from_block}..{to_block} in steps of {max_range}: not a range")
    found: list[RawLog] = []
    step, start = max_range, from_block
    while start <= to_block:
        end = min(to_block, start + step - 1)
        try:
            found += client.logs(address, start, end, topics)
        except RangeTooLarge:
            if start == end:
                raise
            step = (end - start + 1) // 2
            continue
        start = end + 1
    return found
