"""Asking and answering on a terminal: passwords, confirmations, opening a home."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import typer

from cohort_trainer.errors import Declined, HomeExists, HomeInvalid

TRAINER_PASSWORD = "COHORT_TRAINER_PASSWORD"
OWNER_PASSWORD = "COHORT_OWNER_PASSWORD"
AGGREGATOR_PASSWORD = "COHORT_AGGREGATOR_PASSWORD"
READER_PASSWORD = "COHORT_READER_PASSWORD"
"""Of a keystore that opens files of private projects."""


def ask_password(file: Path | None, variable: str, confirm: bool = False):
    """The password (`SecretStr`) from file, environment or prompt. Raises `PasswordMissing`."""
    from cohort_trainer.wallet import find_password

    def prompt() -> str:
        while True:
            first = getpass.getpass("Password of the keystore: ", stream=sys.stderr)
            if not confirm or first == getpass.getpass("Once more: ", stream=sys.stderr):
                return first
            print("The two differ.", file=sys.stderr)

    return find_password(file, os.environ, variable, prompt if sys.stdin.isatty() else None)


def confirm(question: str, yes: bool) -> None:
    """Raises `Declined` unless the answer is yes; where nobody can answer, `yes` must be given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined(f"{question} Nobody can answer here: add --yes if you mean it. Nothing was sent")
    if not typer.confirm(question, err=True):
        raise Declined("you answered no; nothing was sent")


def make_home(
    root: Path,
    *,
    service_url: str,
    chain_url: str,
    ipfs_url: str,
    chain_id: int | None,
    market: str | None,
    verifier: str | None,
    start_block: int,
    confirmations: int,
    key_file: Path | None,
    password_file: Path | None,
    variable: str,
    yes: bool,
    proven_verifier: str | None = None,
    srs: Path | None = None,
) -> str:
    """Makes a home and returns its address. What is not given of chain id, market and verifier is asked of the service
    and must be confirmed. Raises `HomeExists`, `HomeInvalid`, `KeystoreUnreadable`, `Declined`, `PasswordMissing`."""
    from cohort_protocol.keystore import read_key_file
    from pydantic import ValidationError

    from cohort_trainer.home import Home, HomeConfig
    from cohort_trainer.wallet import new_account

    for name in ("config.toml", "keystore.json"):
        # Before a password is asked for.
        if os.path.exists(root / name):  # `Path.exists` raises for a name that is too long
            raise HomeExists(f"{root / name} exists: this is a home already. Nothing was changed")
    if chain_id is None or market is None or verifier is None:
        chain_id, market, verifier = _market_from_service(service_url, chain_id, market, verifier, yes)
    account = read_key_file(key_file) if key_file is not None else new_account()
    try:
        config = HomeConfig(
            address=account.address,
            service_url=service_url,
            chain_url=chain_url,
            chain_id=chain_id,
            market=market,
            verifier=verifier,
            start_block=start_block,
            ipfs_url=ipfs_url,
            proven_verifier=proven_verifier,
            srs=None if srs is None else str(srs.expanduser().absolute()),
            confirmations=confirmations,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise HomeInvalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    made = Home.create(root, config, account, ask_password(password_file, variable, confirm=True))
    print(f"Home made at {made.root}. Your address: {account.address}")
    print("Keep a copy of keystore.json and the password: nobody else has them, and money goes to this key.")
    return account.address


def _market_from_service(
    url: str, chain_id: int | None, market: str | None, verifier: str | None, yes: bool
) -> tuple[int, str, str]:
    from cohort_protocol.service.client import ServiceClient

    with ServiceClient(url) as service:
        info = service.market()
    found = (chain_id or info.chain_id, market or info.market, verifier or info.verifier)
    print(f"The service at {url} says:\n  chain id {found[0]}\n  market   {found[1]}\n  verifier {found[2]}")
    confirm("Does this agree with a source that you trust?", yes)
    return found
