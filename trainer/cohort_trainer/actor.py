"""Who acts with a home: its key, the parts of the market that it talks to, and what it pays with.

`Trainer`, `Owner` and `Aggregator` are actors; each adds what its role may do.
"""

from __future__ import annotations

from functools import cached_property
from typing import Self

from cohort_protocol.chain import TransactionSender
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from cohort_trainer.allowances import Purse
from cohort_trainer.connection import Connection
from cohort_trainer.errors import HomeLocked
from cohort_trainer.home import Home


class Actor:
    """One home, unlocked. Close it, or use it in a `with` statement."""

    def __init__(self, home: Home, account: LocalAccount | None = None) -> None:
        """`account` None: what needs no key still works, everything else raises `HomeLocked`."""
        self.home = home
        self.connection = Connection(home.config)
        self._account = account

    @classmethod
    def unlock(cls, home: Home, password: SecretStr) -> Self:
        """Raises `PasswordWrong`, `HomeMissing`, `HomeInvalid`, `KeystoreUnreadable`."""
        return cls(home, home.unlock(password))

    @property
    def address(self) -> str:
        return self.home.config.address

    @property
    def account(self) -> LocalAccount:
        """The key. Raises `HomeLocked`."""
        if self._account is None:
            raise HomeLocked(f"this needs the key of {self.address}: open the home with its password")
        return self._account

    @cached_property
    def sender(self) -> TransactionSender:
        """Sends with the home's key, each intent once. Raises `HomeLocked`."""
        return self.connection.sender(self.account, self.home.transactions)

    @cached_property
    def purse(self) -> Purse:
        """Pays from this home's account. Raises `HomeLocked`."""
        return Purse(self.connection, self.account, self.sender, self.home.transactions)

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
