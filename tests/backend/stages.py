"""One round on a real chain, stopped in each phase: the events that lead there, for databases to be filled with.

Making it takes seconds, so it is made once per test process; the clock of the tests is the chain's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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

    numbers: dict[str, int]
    opened = 0

    def open(self) -> int:
        super().open()
        self.opened = 1
        return self.opened

    def round_number(self) -> int:
        return self.opened

    def member_number(self, trainer: LocalAccount) -> int:
        """As the chain says."""
        return super().number_of(trainer)

    def number_of(self, trainer: LocalAccount) -> int:
        """Whoever is no member signs for a number that nobody has."""
        return self.numbers.get(trainer.address, 99)


@dataclass
class Stages:
    """`events[stage]`: everything that had happened by then; `blocks[stage]`: the chain's newest block."""

    scene: FirstRound
    spec: ProjectSpec
    events: dict[str, list[MarketEvent]]
    blocks: dict[str, tuple[int, bytes, int]]
    settle_end: int = 0
    slash_window: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    """Member numbers by address."""

    @property
    def project(self) -> int:
        return self.scene.project

    def fill(self, database: Database, stage: str, extra: Sequence[MarketEvent] = ()) -> None:
        """Indexes the chain up to a stage."""
        deployment = self.scene.devnet.deployment
        number, digest, timestamp = self.blocks[stage]
        with database.write() as session:
            record.start_cursor(
                session,
                chain_id=deployment.chain_id,
                market=deployment.market,
                start_block=deployment.block,
                slash_window=self.slash_window,
            )
            apply_events(session, [*self.events[stage], *extra])
            record.move_cursor(session, number=number, hash=digest, timestamp=timestamp)

    # -- what people hand in

    def commit_intake(self, trainer: LocalAccount, signer: LocalAccount | None = None) -> CommitIntake:
        return CommitIntake(
            trainer=trainer.address,
            member=self.scene.number_of(trainer),
            commitment=to_hex(self.scene.commitment_of(trainer)),
            signature=to_hex(self.scene.sign_commit(trainer, signer)),
        )

    def reveal_intake(self, trainer: LocalAccount, **changes: str | int) -> RevealIntake:
        opening = self.scene.opening_of(trainer)
        fields = {
            "trainer": trainer.address,
            "member": opening.member,
            "update": to_hex(opening.update),
            "salt": to_hex(opening.salt),
            "cid": str(Cid.from_bytes(opening.cid)),
        }
        return RevealIntake(**(fields | changes))


def make_stages(devnet: Devnet, spec: ProjectSpec) -> Stages:
    """A project with three trainers and four slots, through its first round."""
    long = Windows(commit=DAY, guard=0, reveal=DAY, rescue=DAY, settle=DAY, takeover=DAY, self_commit=60)
    digest = sha256(spec.to_bytes()).digest()
    stages = Stages(FirstRound.create(devnet, windows=long, spec_digest=digest), spec, {}, {})
    scene = stages.scene
    stages.slash_window = devnet.market.profile().slash_window
    scene.numbers = stages.numbers = {one.address: scene.member_number(one) for one in scene.trainers}
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
