"""Taking earned money out: amounts and proofs from the service or from the chain's own events, always checked against
the payout root on chain before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

import structlog
from cohort_protocol.chain import TransactionSender
from cohort_protocol.chain.events import (
    Claimed,
    RoundDefaulted,
    RoundSettled,
    RoundVoided,
    UpdatesAdmitted,
    decode_receipt,
)
from cohort_protocol.chain.packed import AdmittedRow, ClaimItem
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.payout import PayoutTree, payout_leaf, verify_proof
from cohort_protocol.phases import Phase
from cohort_protocol.service.errors import ServiceError
from cohort_protocol.service.messages import RewardItem

from cohort_trainer.chain_events import find_events, round_events
from cohort_trainer.connection import Connection
from cohort_trainer.errors import ClaimUnproven

log = structlog.get_logger(__name__)

ROUNDS_PER_TRANSACTION = 100
"""A claim of one round is a word and a proof: about 200 bytes of calldata, and 13,000 gas beside others."""


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
    member: int,
    trainer: str,
    *,
    expected: frozenset[int] = frozenset(),
    chain_only: bool = False,
) -> Claimable:
    """Unclaimed pay of `trainer`, who is number `member` in the project.

    Asks the service first, unless `chain_only`. Rebuilds everything from the chain's events if the service does not
    answer, if one of its proofs does not hold, or if it says nothing of a round in `expected` (those in which this
    home was paid). Raises `ClaimUnproven` if events and payout root disagree, `ChainUnavailable`.
    """
    if not chain_only:
        items = _from_service(connection, project, member, trainer, expected)
        if items is not None:
            return Claimable(items, "service")
    return Claimable(_from_chain(connection, project, member), "chain")


def _from_service(
    connection: Connection, project: int, member: int, trainer: str, expected: frozenset[int]
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
    paid_out = connection.market.claimed_among(project, member, {item.round for item in rewards.items})
    found = []
    for item in sorted(rewards.items, key=lambda item: item.round):
        if item.amount == 0 or item.round in paid_out:
            continue
        problem = _check_reward(connection, project, member, item)
        if problem is not None:
            log.error("reward-unproven", project=project, round=item.round, why=problem, next="asking the chain")
            return None
        proof = tuple(parse_bytes32(sibling) for sibling in item.proof)
        found.append(ClaimItem(item.round, item.row, item.amount, proof))
    return found


def _check_reward(connection: Connection, project: int, member: int, item: RewardItem) -> str | None:
    """None if the chain's root proves the item, or what is wrong with it."""
    view = connection.market.round_of(project, item.round)
    if not view.closed:
        return "the round's money has not been moved yet"
    leaf = payout_leaf(project, item.round, item.row, member, item.amount)
    if not verify_proof(view.payout_root, leaf, [parse_bytes32(sibling) for sibling in item.proof]):
        return "its proof does not lead to the payout root on chain"
    return None


def _from_chain(connection: Connection, project: int, member: int) -> list[ClaimItem]:
    """Rebuilds payout trees from the events of all rounds; a tree that does not give the root on chain is not used."""
    paid = _paid_rounds(connection, project)
    admitted = _admitted(connection, project)
    numbers = range(1, connection.market.progress_of(project).round + 1)
    paid_out = connection.market.claimed_among(project, member, numbers)
    found, problems = [], []
    for number in numbers:
        rows = admitted.get(number, [])
        mine = [row.row for row in rows if row.member == member]
        view = connection.market.round_of(project, number) if mine or number not in paid else None
        if view is not None and not view.closed:
            continue  # the newest one, still running
        if number not in paid or len(paid[number]) != len(rows):
            # The node has left out logs; without them nothing can be said of this round.
            problem = f"round {project}/{number}: {len(rows)} admitted rows, {len(paid.get(number, []))} paid ones"
        elif not mine or view is None or number in paid_out or paid[number][mine[0]] == 0:
            continue
        else:
            tree = PayoutTree(project, number, list(zip((row.member for row in rows), paid[number], strict=True)))
            if tree.root == view.payout_root:
                found.append(tree.claim_item(mine[0]))
                continue
            problem = (
                f"round {project}/{number}: the tree over {len(rows)} rows has root 0x{tree.root.hex()}, the market "
                f"stores 0x{view.payout_root.hex()}"
            )
        problems.append(problem)
        log.error("reward-unproven", project=project, round=number, why=problem)
    if problems and not found:
        raise ClaimUnproven(f"{'; '.join(problems[:5])}: the node's logs are incomplete; try another node")
    return found


def _paid_rounds(connection: Connection, project: int) -> dict[int, list[int]]:
    """Pay by row of every round whose money has been moved, as the events say."""
    config = connection.config
    where = (connection.chain, config.market)
    paid = {}
    for settled in find_events(*where, RoundSettled, [project], config.start_block):
        paid[settled.round] = [row.pay for row in settled.rows]
    for kind in (RoundVoided, RoundDefaulted):
        for closed in find_events(*where, kind, [project], config.start_block):
            paid[closed.round] = [closed.share] * len(closed.members)
    return paid


def _admitted(connection: Connection, project: int) -> dict[int, list[AdmittedRow]]:
    """Admitted rows by round, in order of admission."""
    config = connection.config
    rows: dict[int, list[AdmittedRow]] = {}
    for event in find_events(connection.chain, config.market, UpdatesAdmitted, [project], config.start_block):
        rows.setdefault(event.round, []).extend(event.rows)
    return rows


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
    events = round_events(connection.chain, config.market, project, number, config.start_block)
    admissions = [event.rows for event in events if isinstance(event, UpdatesAdmitted)]
    sender.execute(market.close_round(project, number, admissions), f"close {project}/{number}")
    log.info("round-closed", project=project, round=number, phase=view.phase.name, rows=sum(map(len, admissions)))
    return True


def claim(
    connection: Connection,
    project: int,
    member: int,
    claimable: Claimable,
    sender: TransactionSender,
    to: str | None = None,
) -> ClaimReceipt:
    """Sends the claims of a member, all rounds at once (in steps of 100). The money goes to the trainer, whoever pays
    the gas; with `to` it goes there, and only the trainer itself can send that.

    Safe to run again at any point: what the chain has paid is not asked for twice. Raises `TransactionReverted`,
    `TransactionLost`, `InsufficientFunds`.
    """
    market = connection.market
    amount, gas, hashes = 0, 0, []
    for start in range(0, len(claimable.items), ROUNDS_PER_TRANSACTION):
        items = claimable.items[start : start + ROUNDS_PER_TRANSACTION]
        rounds = ",".join(str(item.round) for item in items)
        span = f"r{items[0].round}-r{items[-1].round} {sha256(rounds.encode()).hexdigest()[:12]}"
        request = market.claim(project, member, items) if to is None else market.claim_to(project, member, items, to)
        intent = f"claim {project} {span} member {member}" + ("" if to is None else f" to {to}")
        receipt = sender.execute(request, intent)
        events = decode_receipt(receipt, market.address)
        amount += sum(event.amount for event in events if isinstance(event, Claimed))
        gas += receipt.gas_used
        hashes.append(receipt.hash)
        log.info("claimed", project=project, rounds=rounds, amount=str(amount), transaction="0x" + receipt.hash.hex())
    rounds_claimed = tuple(item.round for item in claimable.items)
    return ClaimReceipt(rounds_claimed, amount, tuple(hashes), gas, claimable.source)
