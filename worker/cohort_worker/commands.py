"""`cohort worker`: run the worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from cohort_protocol.errors import InvalidInput
from pydantic import ValidationError

Text = str | None


def worker(
    database: Annotated[
        Text, typer.Option(help="sqlite:////file or postgresql+psycopg://... [COHORT_DATABASE_URL]")
    ] = None,
    broker: Annotated[
        Text, typer.Option(help="filesystem:///dir, redis://... or amqp://... [COHORT_BROKER_URL]")
    ] = None,
    chain: Annotated[Text, typer.Option(help="http(s)://... or ipc:///path of a node [COHORT_CHAIN_URL]")] = None,
    chain_id: Annotated[int | None, typer.Option(help="Checked against the node [COHORT_CHAIN_ID]")] = None,
    market: Annotated[Text, typer.Option(help="Address of the market contract [COHORT_MARKET]")] = None,
    verifier: Annotated[Text, typer.Option(help="Address of the attested verifier [COHORT_VERIFIER]")] = None,
    policy: Annotated[Text, typer.Option(help="Address of the policy contract [COHORT_POLICY]")] = None,
    start_block: Annotated[int | None, typer.Option(help="Block of the market's creation [COHORT_START_BLOCK]")] = None,
    confirmations: Annotated[
        int | None, typer.Option(help="Blocks on top before a block counts [COHORT_CONFIRMATIONS]")
    ] = None,
    ipfs: Annotated[Text, typer.Option(help="file:///folder (embedded) or Kubo's RPC [COHORT_IPFS_URL]")] = None,
    keystore: Annotated[
        Path | None, typer.Option(help="The aggregator's encrypted key [COHORT_AGGREGATOR_KEYSTORE]")
    ] = None,
    password_file: Annotated[Path | None, typer.Option(help="Its password [COHORT_AGGREGATOR_PASSWORD_FILE]")] = None,
    open_delay: Annotated[
        int | None,
        typer.Option(
            help="Seconds after the newest join until the first round opens with free slots [COHORT_OPEN_DELAY]"
        ),
    ] = None,
    bond_limit: Annotated[
        int | None,
        typer.Option(
            help="Most base units to put into the bond of one project; default: what it asks for [COHORT_BOND_LIMIT]"
        ),
    ] = None,
    slash: Annotated[
        bool | None,
        typer.Option("--slash/--no-slash", help="Slash trainers who open nothing; default: yes [COHORT_SLASH]"),
    ] = None,
    proven_verifier: Annotated[
        Text, typer.Option(help="Address of the verifier of proven projects [COHORT_PROVEN_VERIFIER]")
    ] = None,
    srs: Annotated[
        Path | None, typer.Option(help="Reference string of proven projects, see `cohort srs` [COHORT_SRS]")
    ] = None,
    prover: Annotated[Text, typer.Option(help="auto, python, or the path of a prover [COHORT_PROVER]")] = None,
    prover_memory_mb: Annotated[
        int | None, typer.Option(help="Most memory of the prover, MiB; default: no limit [COHORT_PROVER_MEMORY_MB]")
    ] = None,
    prover_folder: Annotated[
        Path | None, typer.Option(help="Where unfinished proofs are kept [COHORT_PROVER_FOLDER]")
    ] = None,
    queues: Annotated[Text, typer.Option(help="Jobs to take: cohort,proof or one of them [COHORT_QUEUES]")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Threads [COHORT_CONCURRENCY]")] = None,
) -> None:
    """Run the worker: read the chain, move rounds on, compute and settle their outcomes.

    It brings in the bond, accepts and opens rounds, posts signed commitments in one batch, posts openings with the
    witnesses' receipts, computes the outcome of a round, publishes model and bundle, settles with the witnesses'
    signatures, and closes rounds that cannot be settled any more. Openings that came too late for pay are posted to
    save their stakes; trainers who opened nothing are slashed. Rounds of proven projects are proven in a process of
    their own (queue `proof`, which another machine may take: --queues proof) and settled with the proof. If another
    aggregator has accepted a round and does not settle it in time, this one does. The only key it holds is the
    aggregator's, whose account has to hold ether for
    gas and tokens for the bonds.

    Every setting is an option or an environment variable, named behind each option. Kill it whenever you like: what
    was under way is found in the database and in the journal of transactions, and goes on with the next start. Any
    number of workers may share one database and broker.

    Example:

      COHORT_AGGREGATOR_KEYSTORE=aggregator.json COHORT_AGGREGATOR_PASSWORD_FILE=aggregator.password
      cohort worker --chain http://127.0.0.1:8545 --chain-id 31337 --market 0x... --verifier 0x... --policy 0x...
    """
    given = {
        "database_url": database,
        "broker_url": broker,
        "chain_url": chain,
        "chain_id": chain_id,
        "market": market,
        "verifier": verifier,
        "policy": policy,
        "start_block": start_block,
        "confirmations": confirmations,
        "ipfs_url": ipfs,
        "aggregator_keystore": keystore,
        "aggregator_password_file": password_file,
        "open_delay": open_delay,
        "bond_limit": bond_limit,
        "slash": slash,
        "proven_verifier": proven_verifier,
        "srs": srs,
        "prover": prover,
        "prover_memory_mb": prover_memory_mb,
        "prover_folder": prover_folder,
        "queues": queues,
        "concurrency": concurrency,
    }
    from cohort_worker.app import WorkerProcess

    settings = read_settings({name: value for name, value in given.items() if value is not None})
    raise typer.Exit(WorkerProcess(settings).run())


class SettingsInvalid(InvalidInput):
    """A setting is missing or out of bounds."""

    code = "settings-invalid"


def read_settings(given: dict[str, Any]) -> Any:
    """`WorkerSettings` from options and environment. Raises `SettingsInvalid`, naming what to set."""
    from cohort_worker.settings import WorkerSettings

    try:
        return WorkerSettings(**given)
    except ValidationError as error:
        problems = "; ".join(
            f"COHORT_{str(problem['loc'][0]).upper()}: {problem['msg']}" if problem["loc"] else problem["msg"]
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise SettingsInvalid(f"{problems}. `cohort worker --help` names every setting") from error
