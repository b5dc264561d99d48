"""Asking and answering on a terminal: passwords, confirmations, opening a home."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import NamedTuple

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
    and must be confirmed. A chain node that answers is asked whether it is that chain and has that market; one that
    does not is a warning. Raises `HomeExists`, `HomeInvalid`, `KeystoreUnreadable`, `Declined`, `PasswordMissing`,
    `WrongMarket`, `WrongChain`, `NoContract`."""
    from cohort_protocol.keystore import read_key_file
    from pydantic import ValidationError

    from cohort_trainer.home import Home, HomeConfig
    from cohort_trainer.wallet import new_account

    for name in ("config.toml", "keystore.json"):
        # Before a password is asked for.
        if os.path.exists(root / name):  # `Path.exists` raises for a name that is too long
            raise HomeExists(f"{root / name} exists: this is a home already. Nothing was changed")
    if chain_id is None or market is None or verifier is None:
        given = MarketPins(chain_id, market, verifier, proven_verifier)
        chain_id, market, verifier, proven_verifier = _market_from_service(service_url, given, yes)
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
    _check_chain(config.chain_url, config.chain_id, config.market)
    made = Home.create(root, config, account, ask_password(password_file, variable, confirm=True))
    print(f"Home made at {made.root}. Your address: {account.address}")
    print("Keep a copy of keystore.json and the password: nobody else has them, and money goes to this key.")
    return account.address


class MarketPins(NamedTuple):
    """What a home is bound to; None: not given."""

    chain_id: int | None
    market: str | None
    verifier: str | None
    proven_verifier: str | None


def _market_from_service(url: str, given: MarketPins, yes: bool) -> tuple[int, str, str, str | None]:
    """What is not given, as the service says; it must be confirmed. Raises `WrongMarket` if what is given is another
    market than the service's, `Declined`, `ServiceError`."""
    from cohort_protocol.service.client import ServiceClient

    from cohort_trainer.errors import WrongMarket

    with ServiceClient(url) as service:
        info = service.market()
    said = MarketPins(info.chain_id, info.market, info.verifier, info.proven_verifier)
    for name, wanted, found in zip(MarketPins._fields, given, said, strict=True):
        if wanted is not None and found is not None and str(wanted).lower() != str(found).lower():
            option = "--" + name.replace("_", "-")
            raise WrongMarket(
                f"you gave {option} {wanted}, the service at {url} serves {found}: one of the two is of another market"
            )
    print(f"The service at {url} says:\n  chain id {said.chain_id}\n  market   {said.market}")
    print(f"  verifier {said.verifier}")
    if said.proven_verifier is not None:
        print(f"  verifier of proven projects {said.proven_verifier}")
    confirm("Does this agree with a source that you trust?", yes)
    return info.chain_id, info.market, info.verifier, given.proven_verifier or info.proven_verifier


def _check_chain(url: str, chain_id: int, market: str) -> None:
    from cohort_protocol.chain import ChainClient
    from cohort_protocol.errors import Unavailable

    client = ChainClient(url, expected_chain_id=chain_id)
    try:
        client.check()
        client.require_code(market)
    except Unavailable as error:
        words = f"Warning: {error}. The home is made all the same; nothing else works without a chain node."
        print(" ".join(words.split()), file=sys.stderr)
    finally:
        client.close()
