"""Taking earned money out: amounts and proofs from the service or from the chain's own events, always checked against
the payout root on chain before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

import structlog
from cohort_protocol.chain import TransactionSender
from cohort_protocol.chain.events import Claimed, RowPaid, UpdateAdmitted, decode_receipt
from cohort_protocol.chain.types import ClaimItem, Row
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.payout import PayoutTree, payout_leaf, verify_proof
from cohort_protocol.phases import Phase
from cohort_protocol.service.errors import ServiceError
from cohort_protocol.service.messages import RewardItem

from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection
from cohort_trainer.errors import ClaimUnproven

log = structlog.get_logger(__name__)

ROUNDS_PER_TRANSACTION = 100
"""A claim of one round is about 300 bytes of calldata and 15,000 gas."""


@dataclass(frozen=True)
class Claimable:
    """What a trainer can claim now."""

    items: list[ClaimItem] = field(default_factory=list)
    """By round, increasing; each proven against the chain."""
    source: str = "chain"
    """"service" or "chain": where amounts and proofs came from."""

    @property
    def total(self) -> int:
        """Base units."""
        return sum(item.amount for item in self.items)


@dataclass(frozen=True)
class ClaimReceipt:
    """What a claim brought."""

    rounds: tuple[int, ...]
    amount: int
    """Base units, from the market's `Claimed` events."""
    transactions: tuple[bytes, ...]
    gas: int
    source: str


def find_claimable(
    connection: Connection,
    project: int,
    trainer: str,
    *,
    expected: frozenset[int] = frozenset(),
    chain_only: bool = False,
) -> Claimable:
    """Unclaimed pay of `trainer` in one project.

    Asks the service first, unless `chain_only`. Rebuilds everything from the chain's events if the service does not
    answer, if one of its proofs does not hold, or if it says nothing of a round in `expected` (those in which this
    home was paid). Raises `ClaimUnproven` if events and payout root disagree, `ChainUnavailable`.
    """
    if not chain_only:
        items = _from_service(connection, project, trainer, expected)
        if items is not None:
            return Claimable(items, "service")
    return Claimable(_from_chain(connection, project, trainer), "chain")


def _from_service(
    connection: Connection, project: int, trainer: str, expected: frozenset[int]
) -> list[ClaimItem] | None:
    try:
        rewards = connection.service.rewards(project, trainer)
    except ServiceError as error:
        log.warning("rewards-not-from-service", project=project, detail=str(error), next="asking the chain")
        return None
    missing = expected - {item.round for item in rewards.items}
    if missing:
        log.info("rewards-incomplete", project=project, missing=sorted(missing), next="asking the chain")
        return None
    found = []
    for item in sorted(rewards.items, key=lambda item: item.round):
        if item.amount == 0:
            continue
        problem = _check_reward(connection, project, trainer, item)
        if problem == "claimed":
            continue
        if problem is not None:
            log.error("reward-unproven", project=project, round=item.round, why=problem, next="asking the chain")
            return None
        proof = tuple(parse_bytes32(sibling) for sibling in item.proof)
        found.append(ClaimItem(item.round, item.row, item.amount, proof))
    return found


def _check_reward(connection: Connection, project: int, trainer: str, item: RewardItem) -> str | None:
    """None if the chain's root proves the item, "claimed", or what is wrong with it."""
    view = connection.market.round_of(project, item.round)
    if not view.closed:
        return "the round's money has not been moved yet"
    if view.claimed(item.row):
        return "claimed"
    leaf = payout_leaf(project, item.round, item.row, trainer, item.amount)
    if not verify_proof(view.payout_root, leaf, [parse_bytes32(sibling) for sibling in item.proof]):
        return "its proof does not lead to the payout root on chain"
    return None


def _from_chain(connection: Connection, project: int, trainer: str) -> list[ClaimItem]:
    """Rebuilds payout trees from `RowPaid` events; a tree that does not give the root on chain is not used."""
    config = connection.config
    mine = find_events(connection.chain, config.market, RowPaid, [project, None, trainer], config.start_block)
    found, problems = [], []
    for own in sorted(mine, key=lambda event: event.round):
        if own.pay == 0:
            continue
        view = connection.market.round_of(project, own.round)
        if view.claimed(own.row):
            continue
        # All rows of a round are paid in one transaction.
        block = own.at.block_number
        paid = find_events(connection.chain, config.market, RowPaid, [project, own.round], block, newest_block=block)
        rows = sorted(paid, key=lambda event: event.row)
        tree = PayoutTree(project, own.round, [(event.trainer, event.pay) for event in rows])
        if [event.row for event in rows] == list(range(len(rows))) and tree.root == view.payout_root:
            found.append(tree.claim_item(own.row))
        else:
            problems.append(
                f"round {project}/{own.round}: the tree over {len(rows)} RowPaid events has root 0x{tree.root.hex()}, "
                f"the market stores 0x{view.payout_root.hex()}"
            )
            log.error("reward-unproven", project=project, round=own.round, why=problems[-1])
    if problems and not found:
        raise ClaimUnproven(f"{'; '.join(problems)}: the node's logs are incomplete; try another node")
    return found


def close_if_due(connection: Connection, project: int, sender: TransactionSender) -> bool:
    """Closes the newest round if it can no longer be settled and nobody has closed it: its admitted rows are paid by
    that. Anyone may; whether a transaction was sent. Raises `TransactionReverted`, `ChainUnavailable`."""
    market, config = connection.market, connection.config
    number = market.progress_of(project).round
    if number == 0:
        return False
    view = market.round_of(project, number, "pending")
    if view.closed or view.phase not in (Phase.VOID, Phase.DEFAULTED):
        return False
    admitted = find_events(
        connection.chain, config.market, UpdateAdmitted, [project, number], config.start_block, first_hit=True
    )
    rows = [Row(event.trainer, event.update) for event in sorted(admitted, key=lambda event: event.row)]
    sender.execute(market.close_round(project, number, rows), f"close {project}/{number}")
    log.info("round-closed", project=project, round=number, phase=view.phase.name, rows=len(rows))
    return True


def claim(
    connection: Connection, project: int, trainer: str, claimable: Claimable, sender: TransactionSender
) -> ClaimReceipt:
    """Sends the claims, all rounds at once (in steps of 100). The money goes to `trainer`, whoever pays the gas.

    Safe to run again at any point: what the chain has paid is not asked for twice. Raises `TransactionReverted`,
    `TransactionLost`, `InsufficientFunds`.
    """
    amount, gas, hashes = 0, 0, []
    for start in range(0, len(claimable.items), ROUNDS_PER_TRANSACTION):
        items = claimable.items[start : start + ROUNDS_PER_TRANSACTION]
        rounds = ",".join(str(item.round) for item in items)
        intent = f"claim {project} r{items[0].round}-r{items[-1].round} {sha256(rounds.encode()).hexdigest()[:12]}"
        if trainer != sender.address:
            intent += f" for {trainer}"
        receipt = sender.execute(connection.market.claim(project, trainer, items), intent)
        events = decode_receipt(receipt, connection.market.address)
        amount += sum(event.amount for event in events if isinstance(event, Claimed))
        gas += receipt.gas_used
        hashes.append(receipt.hash)
        log.info("claimed", project=project, rounds=rounds, amount=str(amount), transaction="0x" + receipt.hash.hex())
    rounds_claimed = tuple(item.round for item in claimable.items)
    return ClaimReceipt(rounds_claimed, amount, tuple(hashes), gas, claimable.source)
