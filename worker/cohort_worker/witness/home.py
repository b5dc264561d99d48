"""The folder of a witness: key, settings, what was signed, questions and answers. Nothing else is kept.

config.toml             chain, IPFS, market, verifiers (no secret)
keystore.json           the encrypted key
signed.jsonl            every outcome that was signed, before the signature left; keep it with the key
equivocations.jsonl     who asked for two outcomes of one round
inbox/, outbox/         see `mailbox`
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated

from cohort_protocol.errors import Conflict, InvalidInput
from cohort_protocol.identifiers import Address
from cohort_protocol.ipfs.kubo_rpc import MIN_RATE
from eth_account import Account
from eth_account.signers.local import LocalAccount
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

MAX_CONFIG_BYTES = 64 * 1024


class HomeUnusable(InvalidInput):
    """The folder is no home of a witness, or its settings are incomplete."""

    code = "home-invalid"


class HomeThere(Conflict):
    """There is a home already; nothing was changed."""

    code = "home-exists"


class WitnessConfig(BaseModel):
    """config.toml. What is not there has to be given as an option."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chain: str | None = None
    """Your own node: http(s)://... or ipc:///path."""
    chain_id: Annotated[int, Field(ge=1)] | None = None
    ipfs: str | None = None
    """file:///folder (embedded) or Kubo's RPC."""
    ipfs_min_rate: Annotated[int, Field(ge=1, le=2**30)] = MIN_RATE
    """Bytes per second: files that come from Kubo more slowly are given up, and tried again later."""
    api: str | None = None
    """A service that asks; without one the folders inbox and outbox serve."""
    market: Address | None = None
    verifier: Address | None = None
    """The verifier of attested projects."""
    proven_verifier: Address | None = None
    srs: str | None = None
    """File of the reference string of proven projects (`cohort srs`)."""
    start_block: Annotated[int, Field(ge=0)] = 0
    """Block of the market's creation."""
    projects: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """Only these; empty: all that name you."""

    def to_toml(self) -> str:
        lines = ["# A witness of Cohort: see `cohort witness run --help`.", ""]
        for name, value in self.model_dump(mode="json", exclude_none=True).items():
            # JSON of strings, integers and lists of them is TOML, but for DEL, which TOML wants escaped.
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f"))
        return "\n".join(lines) + "\n"


class WitnessHome:
    """See the module."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    @property
    def keystore(self) -> Path:
        return self.root / "keystore.json"

    @property
    def signed(self) -> Path:
        return self.root / "signed.jsonl"

    @property
    def settings(self) -> Path:
        return self.root / "config.toml"

    def create(self, config: WitnessConfig, account: LocalAccount, password: SecretStr) -> None:
        """Writes settings and encrypted key. Raises `HomeThere` if either is there, `HomeUnusable`."""
        for path in (self.settings, self.keystore):
            if path.exists():
                raise HomeThere(f"{path} exists: this is the home of a witness already. Nothing was changed")
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = json.dumps(Account.encrypt(account.key, password.get_secret_value())).encode()
            for path, data in ((self.keystore, content), (self.settings, config.to_toml().encode())):
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(handle, "wb") as file:
                    file.write(data)
        except OSError as error:
            raise HomeUnusable(f"cannot write the home {self.root}: {error}") from error

    def config(self) -> WitnessConfig:
        """Raises `HomeUnusable`."""
        try:
            with self.settings.open("rb") as file:
                data = file.read(MAX_CONFIG_BYTES)
            return WitnessConfig.model_validate(tomllib.loads(data.decode()))
        except FileNotFoundError as error:
            raise HomeUnusable(
                f"{self.root} is no home of a witness: `cohort witness init --home {self.root}` makes one"
            ) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise HomeUnusable(f"{self.settings} cannot be read: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise HomeUnusable(f"{self.settings}: {where}: {first['msg']}") from error
