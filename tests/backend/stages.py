"""One round on a real chain, stopped in each phase: the events that lead there, for databases to be filled with.

Making it takes seconds, so it is made once per test process; the clock of the tests is the chain's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cohort_backend.chain import repository as record
from cohort_backend.chain.projection import apply_events
from cohort_backend.database import Database
from cohort_protocol.chain.events import MarketEvent, MarketLogs
from cohort_protocol.chain.types import Windows
from cohort_protocol.commitments import sign
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.service.messages import CommitIntake, RevealIntake
from cohort_protocol.spec import ProjectSpec
from eth_account.signers.local import LocalAccount

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import Scene

DAY = 86_400
JOINED, OPEN, COMMITTED, ADMITTED, SETTLED = "joined", "open", "committed", "admitted", "settled"


class FirstRound(Scene):
    """A scene whose helpers need no chain: it is put back when the stages are made."""

    def round_number(self) -> int:
        return 1


@dataclass
class Stages:
    """`events[stage]`: everything that had happened by then; `blocks[stage]`: the chain's newest block."""

    scene: FirstRound
    spec: ProjectSpec
    events: dict[str, list[MarketEvent]]
    blocks: dict[str, tuple[int, bytes, int]]
    settle_end: int = 0

    @property
    def project(self) -> int:
        return self.scene.project

    def fill(self, database: Database, stage: str, extra: Sequence[MarketEvent] = ()) -> None:
        """Indexes the chain up to a stage."""
        deployment = self.scene.devnet.deployment
        number, digest, timestamp = self.blocks[stage]
        with database.write() as session:
            record.start_cursor(
                session, chain_id=deployment.chain_id, market=deployment.market, start_block=deployment.block
            )
            apply_events(session, [*self.events[stage], *extra])
            record.move_cursor(session, number=number, hash=digest, timestamp=timestamp)

    # -- what people hand in

    def commit_intake(self, trainer: LocalAccount, expiry: int | None = None) -> CommitIntake:
        signature = self.scene.sign_commit(trainer, expiry or self.settle_end)
        return CommitIntake(
            trainer=trainer.address,
            commitment=to_hex(self.scene.commitment_of(trainer)),
            expiry=signature.expiry,
            signature=to_hex(signature.signature),
        )

    def reveal_intake(self, trainer: LocalAccount, **changes: str) -> RevealIntake:
        (reveal,) = self.scene.reveals_of([trainer])
        fields = {
            "trainer": trainer.address,
            "update": to_hex(reveal.update),
            "salt": to_hex(reveal.salt),
            "cid": str(Cid.from_bytes(reveal.cid)),
        }
        return RevealIntake(**(fields | changes))


def make_stages(devnet: Devnet, spec: ProjectSpec) -> Stages:
    """A project with three trainers and four slots, through its first round."""
    long = Windows(commit=DAY, guard=0, reveal=DAY, settle=DAY)
    digest = sha256(spec.to_bytes()).digest()
    stages = Stages(FirstRound.create(devnet, windows=long, spec_digest=digest), spec, {}, {})
    scene = stages.scene
    _note(stages, JOINED)
    scene.open()
    stages.settle_end = scene.view().settle_end
    _note(stages, OPEN)
    scene.commit()
    _note(stages, COMMITTED)
    scene.reveal()
    _note(stages, ADMITTED)
    scene.settle([2**30] * 3)
    _note(stages, SETTLED)
    return stages


def signed_hex(message, account: LocalAccount) -> str:
    return to_hex(sign(message, account))


def _note(stages: Stages, stage: str) -> None:
    devnet = stages.scene.devnet
    block = devnet.client.block()
    deployment = devnet.deployment
    stages.events[stage] = MarketLogs(devnet.client, deployment.market).fetch(deployment.block, block.number)
    stages.blocks[stage] = (block.number, block.hash, block.timestamp)
