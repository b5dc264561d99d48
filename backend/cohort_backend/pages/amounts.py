"""Amounts in a project's token, as people read them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.token import Token
from cohort_protocol.errors import CohortError
from cohort_protocol.token_amounts import exact_amount

MOST_DECIMALS = 36
"""A token that claims more is shown in base units."""

MOST_LETTERS = 12
PAUSE_SECONDS = 30.0
"""How long a token that did not answer is not asked again."""

MAX_REMEMBERED = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Unit:
    """How amounts of one token are written."""

    symbol: str = "base units"
    decimals: int = 0

    def words(self, amount: int) -> str:
        """Exact, as in "1,234.5 DAI"."""
        return f"{exact_amount(amount, self.decimals)} {self.symbol}"

    def short(self, amount: int) -> str:
        """Two decimals, rounded down, without the symbol; a trace of money is not shown as none."""
        hundredths = amount * 100 // 10**self.decimals
        if amount and not hundredths:
            return "< 0.01"
        return f"{hundredths // 100:,}.{hundredths % 100:02d}" if self.decimals else f"{amount:,}"


class TokenUnits:
    """Symbols and decimals by token, asked of the chain once. Thread-safe. A token may be anybody's contract: what it
    says is bounded, and one that does not answer is shown in base units."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._known: dict[str, Unit] = {}
        self._failed: dict[str, float] = {}
        self._lock = threading.Lock()

    def of(self, token: str) -> Unit:
        with self._lock:
            known = self._known.get(token)
            if known is not None or self._failed.get(token, 0.0) > time.monotonic():
                return known or Unit()
        try:
            contract = Token(self._client, token)
            unit = _unit(contract.symbol(), contract.decimals())
        except CohortError as error:
            _log.warning("token-not-read", token=token, error=str(error))
            unit = None
        with self._lock:
            if len(self._known) + len(self._failed) >= MAX_REMEMBERED:
                self._known.clear()
                self._failed.clear()
            if unit is None:
                self._failed[token] = time.monotonic() + PAUSE_SECONDS
                return Unit()
            self._known[token] = unit
            return unit


def _unit(symbol: str, decimals: int) -> Unit:
    letters = "".join(letter for letter in symbol if letter.isascii() and letter.isprintable())[:MOST_LETTERS].strip()
    if not letters or not 0 <= decimals <= MOST_DECIMALS:
        return Unit()
    return Unit(letters, decimals)
