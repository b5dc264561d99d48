"""A project's whole life on a real chain, and what the chain says about it at the end."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.chain.events import MarketEvent, MarketLogs
from cohort_protocol.chain.types import ClaimItem
from cohort_protocol.payout import pays

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BUDGET, FEE, ONE, Scene

SCORES, REASONS = [ONE, ONE // 2, 0], [0, 0, 2]


@dataclass
class History:
    """Two projects: one that lived through every kind of round, and one that only exists."""

    scene: Scene
    other: Scene
    events: list[MarketEvent]
    head: int
    """Newest block when the events were read."""


def live(devnet: Devnet) -> History:
    """Every event that the market can emit, on a real chain."""
    scene = Scene.create(devnet, deposit=4 * BUDGET + 77, rounds=5)
    _settled_and_claimed(scene)
    _self_committed_and_refused(scene)
    _void_for_lack_of_commits(scene)
    _defaulted(scene)
    other = Scene.create(devnet, deposit=0)
    _ended(scene)
    head = devnet.client.block_number()
    events = MarketLogs(devnet.client, devnet.deployment.market).fetch(devnet.deployment.block, head)
    return History(scene, other, events, head)


def _settled_and_claimed(scene: Scene) -> None:
    scene.open()
    scene.commit()
    scene.reveal()
    scene.settle(SCORES, REASONS)
    amounts = pays(SCORES, REASONS, BUDGET - FEE, scene.terms.score_floor, scene.terms.share_cap)
    tree = scene.tree(1, scene.rows, amounts)
    trainer = scene.rows[0].trainer
    items: list[ClaimItem] = [tree.claim_item(0)]
    scene.devnet.send(scene.devnet.account("anyone"), scene.market.claim(scene.project, trainer, items))
    scene.devnet.send(scene.aggregator, scene.market.withdraw_fees(scene.terms.token))


def _self_committed_and_refused(scene: Scene) -> None:
    """One trainer replaces its leaf, one posts before the batch, one is refused, one has too few receipts at first."""
    round = scene.open()
    early, late, third = scene.trainers
    scene.devnet.send(early, scene.market.commit_self(scene.project, round, scene.commitment_of(early)))
    scene.commit([early, late])
    scene.devnet.send(late, scene.market.commit_self(scene.project, round, scene.commitment_of(late)))
    scene.devnet.send(third, scene.market.commit_self(scene.project, round, scene.commitment_of(third)))
    scene.reveal([third], witnesses=(0,))
    scene.reveal([third], refused=1)
    scene.reveal([early, late])
    scene.settle([ONE, ONE])


def _void_for_lack_of_commits(scene: Scene) -> None:
    scene.open()
    scene.commit(scene.trainers[:1])
    scene.devnet.control.warp(700)
    scene.open()


def _defaulted(scene: Scene) -> None:
    scene.commit(scene.trainers[:2])
    scene.devnet.control.warp(700)
    scene.reveal(scene.trainers[:2])
    scene.devnet.control.warp(700)
    scene.devnet.send(
        scene.devnet.account("anyone"), scene.market.close_round(scene.project, scene.round_number(), scene.rows)
    )


def _ended(scene: Scene) -> None:
    scene.devnet.send(scene.owner, scene.market.end_project(scene.project))
    scene.devnet.send(scene.owner, scene.market.refund(scene.project))
    leaver = scene.trainers[0]
    scene.devnet.send(leaver, scene.market.leave(scene.project))
    scene.devnet.send(leaver, scene.market.withdraw_stake(scene.project, leaver.address))
    scene.devnet.send(scene.trainers[1], scene.market.leave(scene.project))
