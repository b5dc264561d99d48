"""The owner's and the trainers' side of a run: create a project, put trainers to work, end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.token import Token
from cohort_protocol.identifiers import to_hex
from cohort_protocol.sealing.readers import public_key
from cohort_trainer.home import Home, HomeConfig
from cohort_trainer.owner.sdk import Owner
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from cohort_devnet.demo.parts import LocalParts, cohort
from cohort_devnet.demo.people import PASSWORD, WORK_FACTOR, write_trainer_home
from cohort_devnet.demo.settings import (
    AGGREGATOR_FEE,
    BOND,
    OWNER_FUNDS,
    QUORUM,
    ROUND_BUDGET,
    DemoSettings,
)
from cohort_devnet.demo.task import EXPONENT, POLICY, Task, trainer_seed


@dataclass(frozen=True)
class TrainerPlace:
    """One trainer of a run."""

    index: int
    name: str
    role: str
    account: LocalAccount
    home: Path
    data: Path
    function: str | None
    """Training function of a cheat; None: the honest one."""
    examples: int


def home_config(parts: LocalParts, address: str) -> HomeConfig:
    """Where everything is, for the home of `address`."""
    where = parts.deployment
    proven = {}
    if where.proven_verifier is not None and parts.plan.srs is not None:
        proven = {"proven_verifier": where.proven_verifier, "srs": str(parts.plan.srs)}
    return HomeConfig(
        address=address,
        service_url=parts.api_url,
        chain_url=parts.chain_url,
        chain_id=where.chain_id,
        market=where.market,
        verifier=where.verifier,
        start_block=where.block,
        ipfs_url=parts.ipfs_url,
        **proven,
    )


def mint_tokens(
    parts: LocalParts, owner: LocalAccount, trainers: Sequence[LocalAccount], stake: int, label: str = "first"
) -> None:
    """Play money: the owner's deposits, the aggregator's bond, and each trainer's stake. Once per label."""
    token = Token(parts.client, parts.token)
    sender = parts.sender(parts.keys.deployer)
    amounts = {owner.address: OWNER_FUNDS, parts.keys.aggregator.address: BOND}
    amounts |= {account.address: stake for account in trainers}
    entries = [
        sender.send(token.mint(address, amount), f"mint for {address}, {label}") for address, amount in amounts.items()
    ]
    for entry in entries:
        sender.wait(entry)


def open_owner(parts: LocalParts) -> Owner:
    """The owner's home and SDK. Its key never leaves this process and its home."""
    account = parts.keys.owner
    folder = parts.plan.folder / "owner"
    if folder.exists():  # --keep: the same owner creates a second project
        return Owner(Home.open(folder), account)
    config = home_config(parts, account.address)
    return Owner(Home.create(folder, config, account, SecretStr(PASSWORD), work_factor=WORK_FACTOR), account)


def create_project(
    owner: Owner, parts: LocalParts, settings: DemoSettings, task: Task, *, slots: int, label: str = ""
) -> int:
    """Creates and funds a project through the service's REST API; its number."""
    spec: dict[str, Any] = {
        "title": "Handwritten digits",
        "description": "The sample task of `cohort demo`: 8 x 8 images of digits, a small CNN.",
        "model": {"family": task.architecture.family, "seed": settings.seed, "exponent": EXPONENT},
        "data": task.data.model_dump(mode="json"),
        "policy": POLICY.model_dump(mode="json"),
        "seed": settings.seed,
        "settlement": settings.settlement,
    }
    if settings.private:
        spec["readers"] = [to_hex(public_key(bytes(account.key))) for account in parts.keys.readers().values()]
    terms: dict[str, Any] = {
        "token": parts.token,
        "round_budget": ROUND_BUDGET,
        "aggregator_fee": AGGREGATOR_FEE,
        "stake": settings.stake,
        "bond": BOND,
        "rounds": settings.rounds,
        "slots": slots,
        "min_trainers": settings.min_trainers,
        "quorum": QUORUM,
        "windows": {
            "commit": settings.commit_seconds,
            "self_commit": settings.self_commit_seconds,
            "reveal": settings.reveal_seconds,
            "rescue": settings.rescue_seconds,
            "settle": settings.settle_seconds,
            "takeover": settings.takeover_seconds,
        },
        "witnesses": [account.address for account in parts.keys.witnesses],
        "aggregators": [parts.keys.aggregator.address],
    }
    return owner.create(owner.plan(spec, terms, settings.deposit, task.validation), label)


def start_owner(parts: LocalParts, project: int) -> None:
    """`cohort project reveal-batches`: shows each round's validation batch, until the project is finished."""
    arguments = ["project", "reveal-batches", str(project), "--watch", "--home", str(parts.plan.folder / "owner")]
    parts.start_person(f"owner-{project}", cohort(*arguments, "--password-file", str(parts.password_file)))


def end_project(owner: Owner, project: int) -> None:
    """Ends the project and takes back what no round has used."""
    owner.end(project)
    try:
        owner.refund(project)
    except TransactionReverted as error:
        if error.name != "NothingToRefund":
            raise


def make_places(parts: LocalParts, settings: DemoSettings, task: Task) -> list[TrainerPlace]:
    """A home with key, configuration and data for every trainer."""
    cheats = settings.cheats()
    places = []
    for index, (role, account) in enumerate(zip(settings.roles(), parts.keys.trainers, strict=True)):
        name = f"trainer-{index + 1}"
        home = parts.plan.folder / "trainers" / name
        data = write_trainer_home(home, home_config(parts, account.address), account, task, index)
        size = len(task.shards[index])
        places.append(TrainerPlace(index, name, role, account, home, data, cheats.get(index), size))
    return places


def start_trainer(parts: LocalParts, place: TrainerPlace, project: int, *, claim: bool) -> None:
    """`cohort trainer run`: joins, takes part until the project is finished, and claims."""
    arguments = ["trainer", "run", str(project), "--home", str(place.home), "--data", str(place.data)]
    arguments += ["--seed", str(trainer_seed(place.index)), "--password-file", str(parts.password_file), "--join"]
    if place.function is not None:
        arguments += ["--train", place.function]
    if claim:
        arguments.append("--claim")
    parts.start_person(place.name, cohort(*arguments))
