"""How a settled round judged everybody: the verdicts of its bundle, which the chain names, and the pay on chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cohort_protocol.bundle import MAX_BUNDLE_BYTES, RoundBundle
from cohort_protocol.chain.events import RoundSettled
from cohort_protocol.chain.packed import SettledRow
from cohort_protocol.errors import NotFound, Unavailable
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.scoring import Verdict
from cohort_protocol.service.errors import ServiceError

from cohort_trainer.chain_events import round_events
from cohort_trainer.connection import Connection
from cohort_trainer.errors import TrainerError
from cohort_trainer.foreign_words import printable


class NoVerdicts(TrainerError, NotFound):
    """The round was not settled (yet), so nobody was judged, or its bundle cannot be had."""

    code = "no-verdicts"


@dataclass(frozen=True)
class JudgedTrainer:
    """One trainer's verdict and pay in base units."""

    verdict: Verdict
    pay: int


@dataclass(frozen=True)
class JudgedRound:
    """A settled round."""

    project: int
    round: int
    bundle: Cid
    judged_by: str
    """What the scores rest on, in words."""
    trainers: tuple[JudgedTrainer, ...]
    """In order of admission."""

    def as_json(self, shown: Sequence[JudgedTrainer] | None = None) -> dict[str, Any]:
        """For `--json`: every trainer's verdict, or those that are to be shown."""
        items = self.trainers if shown is None else shown
        return {
            "project": self.project,
            "round": self.round,
            "bundle": str(self.bundle),
            "judged_by": self.judged_by,
            "verdicts": [{**one.verdict.model_dump(mode="json"), "pay": str(one.pay)} for one in items],
        }


def judged_round(connection: Connection, project: int, round: int | None = None) -> JudgedRound:
    """Reads a settled round, by default the newest one that is over. The bundle is the one that the settlement names.

    Raises `NoVerdicts`, `BundleMalformed`, `ChainUnavailable`, `IpfsUnavailable`."""
    number = round if round is not None else _newest_over(connection, project)
    config = connection.config
    events = round_events(connection.chain, config.market, project, number, config.start_block)
    settled = next((event for event in events if isinstance(event, RoundSettled)), None)
    if settled is None:
        raise NoVerdicts(f"round {project}/{number} was not settled: nobody was judged in it")
    cid = Cid.from_bytes(settled.bundle_cid)
    bundle = RoundBundle.from_bytes(_fetch(connection, project, number, cid))
    return JudgedRound(
        project=project,
        round=number,
        bundle=cid,
        judged_by=bundle.judged_by,
        trainers=judged_trainers(bundle, settled.rows),
    )


def judged_trainers(bundle: RoundBundle, settled: Sequence[SettledRow]) -> tuple[JudgedTrainer, ...]:
    """A bundle's verdicts with the pay on chain, in order of admission. Raises `NoVerdicts` if they speak of other
    rows, scores or reasons than were settled: a quorum that lies can sign for any bundle."""
    said = [(verdict.score, verdict.reason_code) for verdict in bundle.verdicts]
    if said != [(str(row.score), row.reason) for row in settled]:
        raise NoVerdicts(
            f"the verdicts in the bundle of round {bundle.project}/{bundle.round} speak of other scores than were "
            f"settled: `cohort audit {bundle.project} --round {bundle.round}` says where they part"
        )
    return tuple(JudgedTrainer(verdict, row.pay) for verdict, row in zip(bundle.verdicts, settled, strict=True))


def _newest_over(connection: Connection, project: int) -> int:
    market = connection.market
    newest = market.progress_of(project).round
    if newest and not market.round_of(project, newest, "pending").phase.terminal:
        newest -= 1
    if not newest:
        raise NoVerdicts(f"no round of project {project} is over")
    return newest


def _fetch(connection: Connection, project: int, number: int, cid: Cid) -> bytes:
    """From IPFS or the service: whoever gives it, the CID on chain decides."""
    try:
        return connection.store.get(cid, MAX_BUNDLE_BYTES)
    except (ContentNotFound, Unavailable) as error:
        try:
            data = connection.service.bundle(project, number)
        except ServiceError:
            raise error from None
        if cid_of(data) != cid:
            raise NoVerdicts(f"the service gave another bundle for round {project}/{number} than {cid}") from error
        return data


def verdict_lines(judged: JudgedTrainer, pay: str) -> list[str]:
    """One trainer's verdict for people. pay: formatted."""
    verdict = judged.verdict
    lines = [f"{verdict.trainer}: {pay}", f"  {verdict.sentence}"]
    if verdict.accepted:
        doubt = f" +- {verdict.uncertainty}" if verdict.uncertainty is not None else ""
        score = int(verdict.score) / 2**30
        lines.append(f"  rank {verdict.rank}, score {score:.3f}{doubt} of an average contribution")
    if len(verdict.group) > 1:
        others = ", ".join(one for one in verdict.group if one != verdict.trainer)
        lines.append(f"  counts as one trainer with {others}")
    lines += [f"  {figure.name} {figure.value} ({figure.rule.value} {figure.limit})" for figure in verdict.figures]
    return [printable(line) for line in lines]
