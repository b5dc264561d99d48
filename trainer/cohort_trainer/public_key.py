"""`cohort public-key`: what others need to seal files for a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cohort_trainer.terminal import READER_PASSWORD


def public_key(
    keystore: Annotated[Path, typer.Argument(help="Encrypted key of a witness or an aggregator.")],
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help=f"File with the password; else {READER_PASSWORD}, else you are asked."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """The public key of a keystore, for the `readers` of a private project.

    Updates of a private project are sealed for its witnesses and aggregators. Each of them gives the owner this line;
    the owner's spec lists them all. A key belongs to its address, so nobody can list another one in your name.

    Example:

    cohort public-key witness.json --password-file witness.password
    """
    from cohort_protocol.keystore import open_keystore
    from cohort_protocol.sealing.readers import address_of
    from cohort_protocol.sealing.readers import public_key as public_key_of

    from cohort_trainer.terminal import ask_password

    password = ask_password(password_file, READER_PASSWORD).get_secret_value()
    key = public_key_of(bytes(open_keystore(keystore, password).key))
    if as_json:
        print(json.dumps({"address": address_of(key), "public_key": f"0x{key.hex()}"}))
    else:
        print(f"{address_of(key)}  0x{key.hex()}")
