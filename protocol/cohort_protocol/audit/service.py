"""What a service says of a project, compared with the chain. The audit believes nothing of it: a database that was
tampered with shows here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cohort_protocol.audit.books import LEDGER_FIELDS
from cohort_protocol.audit.cases import ProjectCase, RoundCase
from cohort_protocol.audit.findings import Check, Result, agreed
from cohort_protocol.bundle import MAX_BUNDLE_BYTES
from cohort_protocol.commitments import ZERO32
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.payout import payout_leaf, verify_proof
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.messages import RoundView

MAX_SHOWN = 80


@dataclass(frozen=True)
class ServiceCase:
    """A project as a service tells it."""

    project: ProjectCase
    service: ServiceClient


@dataclass(frozen=True)
class ServiceRound:
    """A round as a service tells it."""

    round: RoundCase
    service: ServiceClient


def differences(source: str, pairs: dict[str, tuple[Any, Any]]) -> list[str]:
    """name -> (by the source, by the chain): those that differ, in words."""
    return [
        f"the {source} says {name} {str(said)[:MAX_SHOWN]}, the chain {str(found)[:MAX_SHOWN]}"
        for name, (said, found) in pairs.items()
        if said != found
    ]


def market(case: ServiceCase) -> Result:
    """The service speaks of this market on this chain."""
    info, identity = case.service.market(), case.project.identity
    problems = differences(
        "service", {"chain id": (info.chain_id, identity.chain_id), "market": (info.market, identity.market)}
    )
    return agreed(problems, f"the service speaks of market {identity.market} on chain {identity.chain_id}")


def project(case: ServiceCase) -> Result:
    """Owner, spec, policy, fees, rounds and ledger of the project by the service and by the chain."""
    view, chain = case.service.project(case.project.number), case.project
    ledger = chain.sources.market.ledger_of(chain.number, chain.head.number)
    pairs: dict[str, tuple[Any, Any]] = {
        "owner": (view.owner, chain.created.owner),
        "spec": (view.spec_cid, str(chain.spec_cid)),
        "policy hash": (view.policy_hash, to_hex(chain.terms.policy_hash)),
        "protocol fee": (view.protocol_fee, chain.created.protocol_fee),
        "distributable": (view.distributable, chain.distributable),
        "round": (view.round, len(chain.record.ordered())),
    }
    pairs |= {name: (getattr(view.ledger, name), getattr(ledger, name)) for name in LEDGER_FIELDS}
    return agreed(differences("service", pairs), "owner, spec, policy, fees, rounds and ledger agree")


def rewards(case: ServiceCase) -> Result:
    """What each trainer has earned and claimed by the service and by the chain, and every proof of a reward."""
    problems, count = [], 0
    book = case.project.book
    roots = {entry.number: entry.end.payout_root for entry in case.project.record.ordered() if entry.end is not None}
    for member, trainer in sorted(case.project.record.trainers.items()):
        view = case.service.rewards(case.project.number, trainer)
        pairs: dict[str, tuple[Any, Any]] = {
            f"that {trainer} is member": (view.member, member),
            f"that {trainer} earned": (view.earned, book.earned.get(member, 0)),
            f"that {trainer} claimed": (view.claimed, book.taken.get(member, 0)),
        }
        problems += differences("service", pairs)
        for item in view.items:
            count += 1
            leaf = payout_leaf(case.project.number, item.round, item.row, member, item.amount)
            proof = [parse_bytes32(sibling) for sibling in item.proof]
            if not verify_proof(roots.get(item.round, b""), leaf, proof):
                problems.append(
                    f"the service's proof of {item.amount} for {trainer} in round {item.round} does not lead to the "
                    "payout root on chain"
                )
    members = len(case.project.record.trainers)
    return agreed(problems, f"earnings and claims of {members} members agree, {count} proofs hold", proofs=count)


def round(case: ServiceRound) -> Result:
    """Rows, scores, pay, models, bundle and root of the round by the service and by the chain."""
    record, project = case.round.record, case.round.project
    view = case.service.round(project.number, record.number)
    pairs = _round_pairs(view, case.round)
    problems = differences("service", pairs)
    if record.settled is not None:
        served = case.service.bundle(project.number, record.number)
        if len(served) > MAX_BUNDLE_BYTES or cid_of(served) != case.round.bundle_cid:
            problems.append("the bundle that the service hands out is not the one that was settled")
    return agreed(problems, f"{len(pairs)} facts of the round agree", facts=len(pairs))


def _round_pairs(view: RoundView, case: RoundCase) -> dict[str, tuple[Any, Any]]:
    record, settled = case.record, case.record.settled
    pays = record.pays()
    pairs: dict[str, tuple[Any, Any]] = {"rows": (len(view.rows), len(record.rows))}
    for said, row in zip(view.rows, record.rows, strict=False):
        name = f"of row {row.row} that its"
        pairs |= {
            f"{name} member is": (said.member, row.member),
            f"{name} trainer is": (said.trainer, case.project.record.trainers.get(row.member, "")),
            f"{name} update is": (said.update, to_hex(row.update)),
            f"{name} CID is": (said.cid, str(Cid.from_bytes(row.cid))),
        }
        if row.row < len(pays):
            pairs[f"{name} pay is"] = (said.pay, pays[row.row])
        if settled is not None and row.row < len(settled.rows):
            judged = settled.rows[row.row]
            pairs |= {
                f"{name} score is": (said.score, judged.score),
                f"{name} reason is": (said.reason, judged.reason),
            }
    if settled is not None:
        pairs |= {
            "bundle": (view.bundle_cid, str(case.bundle_cid)),
            "next model": (
                view.next_model.commitment if view.next_model else None,
                to_hex(settled.next_model.commitment),
            ),
        }
    if record.end is not None and record.rows:
        pairs["payout root"] = (view.payout_root, to_hex(record.end.payout_root))
    if record.opened is not None:
        pairs["model"] = (view.model.commitment, to_hex(record.opened.model))
    pairs["validation batch"] = (view.validation, to_hex(record.validation) if record.validation != ZERO32 else None)
    return pairs


CHECKS: tuple[Check[ServiceCase], ...] = (
    Check("service-market", "market and chain of the service", market),
    Check("service-project", "what the service says of the project against the chain", project),
    Check("service-rewards", "earnings, claims and proofs of the service against the chain", rewards),
)
ROUND_CHECKS: tuple[Check[ServiceRound], ...] = (
    Check("service-round", "what the service says of the round against the chain", round),
)
