"""Keys for a local chain. FOR A LOCAL CHAIN ONLY: anyone can compute them from the seed, so whatever they hold
anywhere else is lost."""

from __future__ import annotations

from collections.abc import Iterable

from cohort_protocol.errors import InvalidInput
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from cohort_devnet.node import DevnetControl

KEY_LABEL = "cohort/devnet-only-key/v1"
ETHER = 10**18


def demo_account(seed: int, role: str, index: int = 0) -> LocalAccount:
    """The account of (seed, role, index): the same on every machine.

    The key is keccak256 of a label that no wallet uses, so that it collides with nobody's real key.
    """
    if not role or "/" in role or seed < 0 or index < 0:
        raise InvalidInput(f"no demo account for seed {seed}, role {role!r}, index {index}")
    return Account.from_key(keccak(text=f"{KEY_LABEL}/{seed}/{role}/{index}"))


def fund(control: DevnetControl, addresses: Iterable[str], ether: int = 100) -> None:
    """Sets the balance of each address, for gas. Only a local chain allows it (`MethodUnsupported` elsewhere)."""
    for address in addresses:
        control.set_balance(address, ether * ETHER)
