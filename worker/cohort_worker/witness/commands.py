"""`cohort witness`: run a witness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from cohort_protocol.identifiers import parse_address
from cohort_protocol.keystore import read_key_file, read_password_file
from eth_account import Account
from pydantic import SecretStr

from cohort_worker.witness.home import WitnessConfig, WitnessHome
from cohort_worker.witness.memory import recorded
from cohort_worker.witness.process import WitnessProcess

app = typer.Typer(
    no_args_is_help=True,
    help="Attest to facts about bytes: check updates and settlements with your own eyes, and sign.\n\nA witness needs "
    "a key, a chain node and IPFS; no database, and no service of ours.",
    epilog="Start: cohort witness init --home ~/witness ... ; tell owners the address; cohort witness run --home "
    "~/witness --password-file ...",
)

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", envvar="COHORT_WITNESS_HOME", help="Folder with key, settings and what you signed."),
]
ApiOption = Annotated[
    str | None,
    typer.Option(envvar="COHORT_API", help="A service that asks. Without it: the home's folders inbox and outbox."),
]
ChainOption = Annotated[
    str | None, typer.Option(envvar="COHORT_CHAIN_URL", help="Your own node: http(s)://... or ipc:///path.")
]
MarketOption = Annotated[str | None, typer.Option(envvar="COHORT_MARKET", help="Address of the market contract.")]
VerifierOption = Annotated[str | None, typer.Option(envvar="COHORT_VERIFIER", help="Address of the attested verifier.")]
ProvenOption = Annotated[
    str | None,
    typer.Option(envvar="COHORT_PROVEN_VERIFIER", help="Address of the verifier of proven projects, to serve those."),
]
SrsOption = Annotated[
    Path | None,
    typer.Option(envvar="COHORT_SRS", help="SRS file of proven projects: `cohort srs import`, or `cohort srs devnet`."),
]
IpfsOption = Annotated[
    str | None, typer.Option(envvar="COHORT_IPFS_URL", help="file:///folder (embedded) or Kubo's RPC.")
]
RateOption = Annotated[
    int | None,
    typer.Option(
        envvar="COHORT_IPFS_MIN_RATE",
        min=1,
        max=2**30,
        help="Bytes per second: what comes from Kubo more slowly is given up and tried again later. Default: 16384.",
    ),
]
ProjectOption = Annotated[
    list[int] | None, typer.Option(help="Only these projects; repeat it. Default: all that name you.")
]
ChainIdOption = Annotated[int | None, typer.Option(envvar="COHORT_CHAIN_ID", help="Checked against the node.")]
StartOption = Annotated[
    int | None, typer.Option(envvar="COHORT_START_BLOCK", help="Block of the market's creation.", min=0)
]
PasswordOption = Annotated[
    Path, typer.Option(envvar="COHORT_WITNESS_PASSWORD_FILE", help="File with the password of the key.")
]


@app.callback()
def witness() -> None:
    """Attest to facts about bytes: check updates and settlements with your own eyes, and sign."""


@app.command()
def init(
    home: Annotated[Path, typer.Option("--home", envvar="COHORT_WITNESS_HOME", help="The folder to make.")],
    password_file: PasswordOption,
    chain: ChainOption = None,
    ipfs: IpfsOption = None,
    market: MarketOption = None,
    verifier: VerifierOption = None,
    proven_verifier: ProvenOption = None,
    srs: SrsOption = None,
    api: ApiOption = None,
    chain_id: ChainIdOption = None,
    start_block: StartOption = None,
    project: ProjectOption = None,
    key_file: Annotated[Path | None, typer.Option(help="Use the key in this file (64 hex digits).")] = None,
) -> None:
    """Make a home: an encrypted key, and the settings that `run` then need not be told. Overwrites nothing.

    Take the addresses from a source that you trust: what you sign is bound to them.

    Example:

    cohort witness init --home ~/witness --password-file witness.password --chain http://127.0.0.1:8545
    --ipfs http://127.0.0.1:5001 --market 0x... --verifier 0x... --proven-verifier 0x... --srs 16.srs
    """
    account = Account.create() if key_file is None else read_key_file(key_file)
    config = WitnessConfig(
        chain=chain,
        chain_id=chain_id,
        ipfs=ipfs,
        api=api,
        market=None if market is None else parse_address(market),
        verifier=None if verifier is None else parse_address(verifier),
        proven_verifier=None if proven_verifier is None else parse_address(proven_verifier),
        srs=None if srs is None else str(srs.expanduser().absolute()),
        start_block=start_block or 0,
        projects=project or [],
    )
    made = WitnessHome(home)
    made.create(config, account, SecretStr(read_password_file(password_file)))
    print(f"Home made at {made.root}. Your address: {account.address}")
    print(
        "Keep a copy of keystore.json, and of signed.jsonl once it is there: a key without its record may sign twice."
    )
    print("Next: have owners name the address as a witness, then `cohort witness run --home ...`.")


@app.command()
def run(
    password_file: PasswordOption,
    home: HomeOption = None,
    api: ApiOption = None,
    chain: ChainOption = None,
    market: MarketOption = None,
    verifier: VerifierOption = None,
    proven_verifier: ProvenOption = None,
    srs: SrsOption = None,
    ipfs: IpfsOption = None,
    ipfs_min_rate: RateOption = None,
    keystore: Annotated[
        Path | None, typer.Option(envvar="COHORT_WITNESS_KEYSTORE", help="Your encrypted key. Default: the home's.")
    ] = None,
    project: ProjectOption = None,
    chain_id: ChainIdOption = None,
    start_block: StartOption = None,
    memory: Annotated[
        Path | None,
        typer.Option(help="Record of what you signed. Default: the home's, or beside the keystore, *.signed.jsonl"),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Look at every project once, answer what is asked, and end: for cron.")
    ] = False,
) -> None:
    """Watch the projects that name you as a witness, until you stop it (Ctrl-C or SIGTERM).

    For each round it fetches every revealed update itself, checks that it is an update of the project and the one that
    was committed to on chain, and signs one receipt for all; in proven projects the points of all updates are checked
    in one random combination. It computes the public rows of the validation batch again and signs rows that agree with
    its own. Then it computes the outcome of the round again from chain and IPFS and compares it byte by byte with what
    the aggregator proposes: it signs it, or refuses in words. Of a proven round, whose outcome the chain checks, it
    signs that the bytes of the next model can be had. A model that waits for such receipts it sees on chain.

    What is to be checked comes from a service (--api) or, without one, from the folder inbox of the home, in the JSON
    of GET /v1/projects/{p}/state as inbox/{p}.json; answers then appear in outbox. Neither is believed: what is signed
    follows from your own node and your own fetches.

    It never signs two outcomes of one round: what it signs is written down first. Keep that file with the key. It needs
    no database and can be killed at any time: the chain, the record and IPFS are all that it starts from. Logs are JSON
    lines when the output is no terminal.

    Settings come from the options, then the environment, then the home's config.toml.

    Examples:

      cohort witness run --home ~/witness --password-file witness.password

      cohort witness run --home ~/witness --password-file witness.password --once

      cohort witness run --api http://127.0.0.1:8000 --chain http://127.0.0.1:8545 --market 0x... --verifier 0x...
      --ipfs file:///srv/ipfs --keystore witness.json --password-file witness.password
    """
    folder = None if home is None else WitnessHome(home)
    given = {
        "api": api,
        "chain": chain,
        "chain_id": chain_id,
        "ipfs": ipfs,
        "ipfs_min_rate": ipfs_min_rate,
        "market": None if market is None else parse_address(market),
        "verifier": None if verifier is None else parse_address(verifier),
        "proven_verifier": None if proven_verifier is None else parse_address(proven_verifier),
        "srs": None if srs is None else str(srs),
        "start_block": start_block,
        "projects": project,
    }
    kept = folder.config() if folder is not None else WitnessConfig()
    config = kept.model_copy(update={name: value for name, value in given.items() if value})
    process = WitnessProcess(config, folder, keystore, memory, password_file)
    if once:
        print(json.dumps(process.once()))
    else:
        process.run()


@app.command()
def equivocations(
    project: Annotated[int, typer.Argument(min=1, help="Number of the project.")],
    round_number: Annotated[int, typer.Option("--round", min=1, help="Number of the round.")],
    api: Annotated[str, typer.Option(envvar="COHORT_API", help="The service that witnesses gave their words to.")],
    chain: Annotated[str, typer.Option(envvar="COHORT_CHAIN_URL", help="Any node: http(s)://... or ipc:///path.")],
    market: Annotated[str, typer.Option(envvar="COHORT_MARKET", help="Address of the market contract.")],
    ipfs: Annotated[str, typer.Option(envvar="COHORT_IPFS_URL", help="file:///folder (embedded) or Kubo's RPC.")],
) -> None:
    """Look for witnesses who signed two outcomes of one round, and show both: JSON lines, none if nobody did.

    Every signature is checked against the bundle that it is for, so that the service cannot make one up; who has a
    line can check it again without the service. Needs no key.

    Example:

    cohort witness equivocations 1 --round 7 --api http://127.0.0.1:8000 --chain http://127.0.0.1:8545
    --market 0x... --ipfs file:///srv/ipfs
    """
    from cohort_worker.witness.others import look_for_equivocations

    for found in look_for_equivocations(api, chain, parse_address(market), ipfs, project, round_number):
        print(json.dumps(found))


@app.command()
def show(
    home: Annotated[Path, typer.Option("--home", envvar="COHORT_WITNESS_HOME", help="The home of the witness.")],
) -> None:
    """What this witness has signed, and who asked it for two outcomes of one round: JSON lines. Needs no password.

    An aggregator that asks for two outcomes of the same admitted updates is at fault, or was when it asked for the
    first; both are shown in full, with their bundles.

    Example:

    cohort witness show --home ~/witness
    """
    folder = WitnessHome(home)
    for line in recorded(folder.signed):
        print(json.dumps(line))
