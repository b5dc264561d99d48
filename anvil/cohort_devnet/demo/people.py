"""The people of a run: owner, aggregator, witnesses, trainers. Keys follow from the seed: for a local chain only."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cohort_protocol.learning.data import write_csv
from cohort_trainer.home import Home, HomeConfig
from eth_account import Account
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from cohort_devnet.accounts import demo_account
from cohort_devnet.demo.task import Task

WORK_FACTOR = 2
"""scrypt's n. The keys of a local chain follow from a number on the command line: there is nothing to protect, and
twelve honest key derivations would take ten seconds."""
PASSWORD = "devnet"


@dataclass(frozen=True)
class Keys:
    """Accounts of a run, by role."""

    owner: LocalAccount
    deployer: LocalAccount
    aggregator: LocalAccount
    protocol: LocalAccount
    """Gets the protocol's fees."""
    witnesses: list[LocalAccount]
    """In the order that the contract wants: by address."""
    trainers: list[LocalAccount]

    @classmethod
    def of_seed(cls, seed: int, witnesses: int, trainers: int) -> Keys:
        by_address = sorted(
            (demo_account(seed, "witness", index) for index in range(witnesses)),
            key=lambda account: int(account.address, 16),
        )
        return cls(
            owner=demo_account(seed, "owner"),
            deployer=demo_account(seed, "deployer"),
            aggregator=demo_account(seed, "aggregator"),
            protocol=demo_account(seed, "protocol"),
            witnesses=by_address,
            trainers=[demo_account(seed, "trainer", index) for index in range(trainers)],
        )

    def readers(self) -> dict[str, LocalAccount]:
        """Those for whom updates of a private project are sealed, by the names of their processes."""
        witnesses = {f"witness-{index + 1}": account for index, account in enumerate(self.witnesses)}
        return witnesses | {"aggregator": self.aggregator}


def write_password(folder: Path) -> Path:
    """The one password file of a run, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "password"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(PASSWORD + "\n")
    return path


def write_keystore(path: Path, account: LocalAccount) -> Path:
    """An encrypted keystore (Web3 Secret Storage v3) for a service process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encrypted = Account.encrypt(account.key, PASSWORD, kdf="scrypt", iterations=WORK_FACTOR)
    path.write_text(json.dumps(encrypted))
    path.chmod(0o600)
    return path


def write_trainer_home(root: Path, config: HomeConfig, account: LocalAccount, task: Task, index: int) -> Path:
    """A trainer's home with its key and its own data; returns the data file."""
    Home.create(root, config, account, SecretStr(PASSWORD), work_factor=WORK_FACTOR)
    data = root / "data.csv"
    write_csv(data, task.shards[index], task.data)
    return data
