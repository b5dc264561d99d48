"""`cohort devnet`: a local chain with the contracts on it, for trying things out."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.journal import FileJournal
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.token import Token
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address
from cohort_trainer.amounts import format_amount

from cohort_devnet.accounts import demo_account, fund
from cohort_devnet.compiler import ensure_artifacts
from cohort_devnet.demo.balances import balances
from cohort_devnet.deployment import Deployment, Options, deploy, pin_of
from cohort_devnet.kept_chain import show
from cohort_devnet.node import DEVNET_CHAIN_ID, AnvilFailed, AnvilNode, DevnetControl, repository_root
from cohort_devnet.reference_string import devnet_srs

app = typer.Typer(
    no_args_is_help=True,
    help="A local chain (Anvil) with the Cohort contracts and a worthless test token. Never for real money.",
)

DEFAULT_HOME = Path(".cohort/devnet")
DEFAULT_URL = "http://127.0.0.1:8545"

Home = Annotated[
    Path, typer.Option("--home", help="Folder of deployment.json, the chain's state and log, and the journal.")
]
Url = Annotated[str, typer.Option("--url", help=f"JSON-RPC URL of a running local chain (id {DEVNET_CHAIN_ID}).")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the deployer's key, which anyone can compute.", min=0)]
Proven = Annotated[
    bool, typer.Option("--proven", help="With the verifier of proven rounds, and HOME/devnet-40960.srs for it.")
]


def _deployer(client: ChainClient, home: Path, seed: int) -> TransactionSender:
    account = demo_account(seed, "deployer")
    fund(DevnetControl(client), [account.address])
    return TransactionSender(client, account, FileJournal(home / f"transactions-{account.address}.json"))


def _deployment(client: ChainClient, home: Path, seed: int, proven: bool) -> tuple[Deployment, bool]:
    """The deployment of `home`, made now if there is none; and whether it was made now. proven: with the verifier of
    rounds that prove themselves, and the reference string of local chains beside the address book."""
    path = home / "deployment.json"
    if path.exists():
        known = Deployment.load(path)
        known.verify(client)
        return known, False
    options = Options(srs=pin_of(devnet_srs(home, progress=typer.echo))) if proven else Options()
    fresh = deploy(client, _deployer(client, home, seed), ensure_artifacts(repository_root()), options=options)
    fresh.save(path)
    return fresh, True


def _show(deployment: Deployment, home: Path, url: str) -> None:
    typer.echo(f"chain      {url} (id {deployment.chain_id})")
    typer.echo(f"market     {deployment.market}")
    typer.echo(f"verifier   {deployment.verifier}")
    typer.echo(f"policy     {deployment.policy}")
    typer.echo(f"token      {deployment.token}")
    if deployment.proven_verifier is not None:
        typer.echo(f"verifier of proven rounds {deployment.proven_verifier}, SRS file {devnet_srs(home)}")
    typer.echo(f"written to {home / 'deployment.json'}")


def _forget_chain(home: Path) -> None:
    """What was written about an earlier chain says nothing about an empty one."""
    for stale in (home / "state.json", home / "deployment.json", *home.glob("transactions-*.json")):
        stale.unlink(missing_ok=True)


@app.command()
def up(
    home: Home = DEFAULT_HOME,
    port: Annotated[int, typer.Option(help="Port of the JSON-RPC interface; 0 takes a free one.", min=0)] = 8545,
    seed: Seed = 0,
    heartbeat: Annotated[
        int, typer.Option(help="Mine an empty block every so many seconds, so that deadlines pass; 0: never.", min=0)
    ] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the last run and start an empty chain.")] = False,
    proven: Proven = False,
) -> None:
    """Start a local chain, deploy the contracts, and stay in the foreground until Ctrl-C.

    Prints the URL and the addresses. Transactions are mined at once. The chain goes on from HOME/state.json, which is
    written every second, unless --fresh is given.

    Example: cohort devnet up --port 0 --home /tmp/devnet
    """
    state = home / "state.json"
    if fresh or not state.exists():
        _forget_chain(home)
    # SIGTERM must end the chain as well, so it takes the way of Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node = AnvilNode(home, port=port, state=state, heartbeat=heartbeat or None)
    try:
        with node:
            deployment, _ = _deployment(ChainClient(node.url, DEVNET_CHAIN_ID), home, seed, proven)
            _show(deployment, home, node.url)
            typer.echo("ready; Ctrl-C ends it")
            status = node.wait()
    except KeyboardInterrupt:
        typer.echo(f"ended; the state stays in {state}, and `cohort devnet up` goes on from it")
        return
    raise AnvilFailed(f"the chain ended by itself with status {status}; its log is {node.log}")


@app.command("deploy")
def deploy_command(url: Url = DEFAULT_URL, home: Home = DEFAULT_HOME, seed: Seed = 0, proven: Proven = False) -> None:
    """Deploy the contracts on a local chain that runs already.

    Does nothing if those of HOME/deployment.json are on it; refuses every chain that is not a local one.

    Example: cohort devnet deploy --url http://127.0.0.1:8545 --home /tmp/devnet
    """
    deployment, made = _deployment(ChainClient(url, DEVNET_CHAIN_ID), home, seed, proven)
    _show(deployment, home, url)
    typer.echo("deployed" if made else "was deployed already")


@app.command("fund")
def fund_command(
    address: Annotated[str, typer.Argument(help="Who gets it: an owner, a trainer, anyone.")],
    url: Url = DEFAULT_URL,
    home: Home = DEFAULT_HOME,
    ether: Annotated[int, typer.Option(help="What the address then holds for gas, in ether.", min=0)] = 100,
    tokens: Annotated[int, typer.Option(help="Whole test tokens to mint for the address.", min=0)] = 1000,
    seed: Seed = 0,
) -> None:
    """Give an address play money: ether for gas, test tokens for stakes and budgets.

    Example: cohort devnet fund 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --tokens 500
    """
    client = ChainClient(url, DEVNET_CHAIN_ID)
    receiver = parse_address(address)
    deployment = Deployment.load(home / "deployment.json")
    deployment.verify(client)
    if deployment.token is None:
        raise InvalidInput(f"{home / 'deployment.json'} has no test token: it is not of a local chain")
    token = Token(client, deployment.token)
    fund(DevnetControl(client), [receiver], ether)
    if tokens:
        amount = tokens * 10 ** token.decimals()
        # Each call is meant to mint, so each is an intent of its own.
        intent = f"mint {amount} for {receiver} after block {client.block_number()}"
        _deployer(client, home, seed).execute(token.mint(receiver, amount), intent)
    held = format_amount(token.balance_of(receiver), token.decimals(), token.symbol())
    typer.echo(f"{receiver} holds {ether} ether and {held}")


app.command()(balances)
app.command()(show)
