"""A home folder: one key, one market, and what must survive a crash.

config.toml          service, chain, market, IPFS, address (no secret)
keystore.json        the encrypted key
transactions.json    every transaction signed with the key, before it is sent
run.lock             held by the one process that runs this home
models/              models fetched from IPFS, by commitment
projects/<p>/rounds/<r>/record.json, update.safetensors     see journal.py
"""

from __future__ import annotations

import fcntl
import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cohort_protocol.identifiers import Address
from cohort_protocol.ipfs.kubo_rpc import MIN_RATE
from cohort_protocol.keystore import KeystoreMissing, open_keystore
from eth_account.signers.local import LocalAccount
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.errors import HomeBusy, HomeExists, HomeInvalid, HomeMissing
from cohort_trainer.wallet import WORK_FACTOR, create_keystore

MAX_CONFIG_BYTES = 64 * 1024


class HomeConfig(BaseModel):
    """config.toml. The market and its verifier are pinned here: what a service says about them is compared with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Address
    """The key's address."""
    service_url: str
    chain_url: str
    chain_id: Annotated[int, Field(ge=1)]
    market: Address
    verifier: Address
    """The attested verifier that projects of this market are expected to use."""
    proven_verifier: Address | None = None
    """The verifier that proven projects of this market are expected to use; None: this home takes part in none."""
    start_block: Annotated[int, Field(ge=0)] = 0
    """Block of the market's deployment: events are not searched before it."""
    ipfs_url: str
    ipfs_min_rate: Annotated[int, Field(ge=1, le=2**30)] = MIN_RATE
    """Bytes per second: files that come from or go to a Kubo node more slowly are given up, and tried again later."""
    srs: Annotated[str, Field(min_length=1)] | None = None
    """File of the structured reference string that updates of proven projects are committed to with (`cohort srs`)."""
    confirmations: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Blocks after which a phase counts as final before an update is published: 0 on a devnet, about 64 on mainnet."""

    def to_toml(self) -> str:
        lines = ["# A home of Cohort. Edit the URLs as you like; the address belongs to keystore.json.", ""]
        # JSON integers are TOML integers; JSON strings are TOML strings but for DEL, which TOML wants escaped.
        for name, value in self.model_dump(mode="json", exclude_none=True).items():
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f"))
        return "\n".join(lines) + "\n"


class Home:
    """An existing home folder. Holds no secret: `unlock` returns the key to the caller."""

    def __init__(self, root: Path, config: HomeConfig) -> None:
        self.root = root
        self.config = config

    @classmethod
    def create(
        cls, root: Path, config: HomeConfig, account: LocalAccount, password: SecretStr, work_factor: int = WORK_FACTOR
    ) -> Home:
        """Makes the folder and writes keystore and configuration. Raises `HomeExists` if either file is there."""
        root = root.absolute()
        for name in ("config.toml", "keystore.json"):
            if os.path.exists(root / name):  # `Path.exists` raises for a name that is too long
                raise HomeExists(f"{root / name} exists: this is a home already. Nothing was changed")
        if config.address != account.address:
            raise HomeInvalid(f"the configuration names {config.address}, the key belongs to {account.address}")
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except (OSError, ValueError) as error:
            raise HomeInvalid(f"cannot make the folder {str(root)[:300]!a}: {error}") from error
        create_keystore(root / "keystore.json", account, password, work_factor)
        write_durably(root / "config.toml", config.to_toml().encode())
        return cls(root, config)

    @classmethod
    def open(cls, root: Path) -> Home:
        """Raises `HomeMissing` or `HomeInvalid`."""
        root = root.absolute()
        path = root / "config.toml"
        data = read_bounded(path, MAX_CONFIG_BYTES)
        if data is None:
            raise HomeMissing(f"{root} is not a home: no config.toml. `cohort trainer init --home {root}` makes one")
        try:
            config = HomeConfig.model_validate(tomllib.loads(data.decode()))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HomeInvalid(f"{path} is not TOML: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise HomeInvalid(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        return cls(root, config)

    def unlock(self, password: SecretStr) -> LocalAccount:
        """The key. Raises `PasswordWrong`, `HomeMissing`, `HomeInvalid`, `KeystoreUnreadable`."""
        try:
            account = open_keystore(self.root / "keystore.json", password.get_secret_value())
        except KeystoreMissing as error:
            raise HomeMissing(f"{error}; `cohort trainer init --home {self.root}` makes one") from error
        if account.address != self.config.address:
            raise HomeInvalid(
                f"keystore.json holds the key of {account.address}, config.toml names {self.config.address}: "
                "the files belong to two homes"
            )
        return account

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Held by the process that runs this home's rounds; ends with the process, however it ends.

        Raises `HomeBusy` with the other's process id.
        """
        path = self.root / "run.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HomeInvalid(f"cannot open {path}: {error}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                other = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                raise HomeBusy(
                    f"{self.root} is run by process {other or '(unknown)'}: stop it first, or use another home. "
                    "Two processes with one key could send two different updates for one round"
                ) from error
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    @property
    def transactions(self) -> Path:
        """File of the transaction journal."""
        return self.root / "transactions.json"

    @property
    def models(self) -> Path:
        return self.root / "models"

    def project_folder(self, project: int) -> Path:
        return self.root / "projects" / str(project)

    def projects(self) -> list[int]:
        """Projects that this home has joined or taken part in."""
        folder = self.root / "projects"
        if not folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
