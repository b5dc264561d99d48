"""Markets' whole lives on a real chain: every event that the contracts can emit, in many orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cohort_devnet.compiler import Artifact, ensure_artifacts
from cohort_devnet.deployment import PROXY, Options, deploy
from cohort_devnet.node import repository_root
from cohort_protocol import commitments
from cohort_protocol.chain.events import MarketEvent, MarketLogs
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.packed import CommitLeaf
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.payout import pays
from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BUDGET, DISTRIBUTABLE, ONE, Scene

SCORES, REASONS = [ONE, ONE // 2, 0], [0, 0, 2]
PROOFLESS_ROUND = 4
"""The one round that has a validation batch: a tree of one leaf needs no proof."""
VALIDATION = keccak(b"validation batch")

RETURNS_ZERO = bytes.fromhex("60006000526020" + "6000f3")
"""PUSH1 0, PUSH1 0, MSTORE, PUSH1 32, PUSH1 0, RETURN: a verifier that accepts everything and vouches for no bytes."""


@dataclass
class History:
    """What a market lived through. `other` is a second project that only exists."""

    scene: Scene
    other: Scene
    people: list[str]
    """Everybody who ever had a number in the project, and one who never had."""
    events: list[MarketEvent]
    head: int
    """Newest block when the events were read."""

    @property
    def devnet(self) -> Devnet:
        return self.scene.devnet

    @property
    def slash_window(self) -> int:
        return self.devnet.market.profile().slash_window


def live(devnet: Devnet) -> History:
    """Ten rounds: settled, taken over, void with and without rows, defaulted; stakes slashed, saved, paid by others."""
    root = keccak(keccak(encode(["uint32", "bytes32"], [PROOFLESS_ROUND, VALIDATION])))
    scene = Scene.create(devnet, deposit=10 * BUDGET + 77, rounds=10, validation_root=root)
    _settled_and_claimed(scene)
    more = _self_committed_and_refused(scene)
    _void_for_lack_of_commits(scene)
    scene.trainers += more
    _rescued_slashed_and_taken_over(scene)
    _defaulted(scene)
    _resolved_when_the_next_round_was_open(scene)
    other = Scene.create(devnet, deposit=0)
    _ended(scene)
    return _history(scene, other)


def live_with_pending_models(devnet: Devnet) -> History:
    """A market of its own whose verifier vouches for no bytes, and whose fees go to somebody."""
    scene = Scene.create(_market_with_pending_models(devnet), deposit=5 * BUDGET, rounds=5)
    for _ in range(2):  # the first model is vouched for, the second dropped
        scene.open()
        scene.commit()
        scene.reveal()
        scene.settle([ONE] * 3)
        if scene.round_number() == 1:
            pending = scene.market.progress_of(scene.project).pending_model
            message = commitments.model_receipt_message(scene.identity, scene.project, pending)
            _send(scene, scene.owner, scene.market.receipt_model(scene.project, scene.witness_signatures(message)))
    scene.devnet.control.warp(601)
    scene.open()
    _send(scene, scene.owner, scene.market.collect_protocol_fees(scene.project))
    other = Scene.create(scene.devnet, deposit=0)
    return _history(scene, other)


def _history(scene: Scene, other: Scene) -> History:
    devnet = scene.devnet
    head = devnet.client.block_number()
    events = MarketLogs(devnet.client, devnet.deployment.market).fetch(devnet.deployment.block, head)
    return History(scene, other, [one.address for one in [*scene.trainers, scene.owner]], events, head)


def _market_with_pending_models(devnet: Devnet) -> Devnet:
    """Deployed beside the other one, by the product's own deployment."""
    artifacts = ensure_artifacts(repository_root())
    size = len(RETURNS_ZERO)
    creation = bytes([0x5F + size]) + RETURNS_ZERO + bytes.fromhex(f"60005260{size:02x}60{32 - size:02x}f3")
    verifier = replace(
        artifacts["AttestedVerifier"],
        bytecode="0x" + creation.hex(),
        deployedBytecode="0x" + RETURNS_ZERO.hex(),
    )
    assert isinstance(verifier, Artifact)
    recipient = devnet.account("anyone").address
    deployer = devnet.sender(devnet.account("deployer"))
    deployment = deploy(
        devnet.client, deployer, {**artifacts, "AttestedVerifier": verifier}, options=Options(fee_recipient=recipient)
    )
    assert devnet.client.require_code(PROXY)
    return replace(
        devnet, deployment=deployment, market=Market(devnet.client, deployment.market), _senders=devnet._senders
    )


def _send(scene: Scene, account: LocalAccount, request: TransactionRequest) -> None:
    scene.devnet.send(account, request)


def _settled_and_claimed(scene: Scene) -> None:
    scene.open()
    scene.commit()
    scene.reveal()
    scene.settle(SCORES, REASONS)
    amounts = pays(SCORES, REASONS, DISTRIBUTABLE, scene.terms.score_floor, scene.terms.share_cap)
    tree = scene.tree(1, scene.rows, amounts)
    market, project = scene.market, scene.project
    _send(scene, scene.devnet.account("anyone"), market.claim(project, scene.rows[0].member, [tree.claim_item(0)]))
    elsewhere = scene.devnet.account("elsewhere").address
    _send(scene, scene.trainers[1], market.claim_to(project, scene.rows[1].member, [tree.claim_item(1)], elsewhere))
    _send(scene, scene.aggregator, market.withdraw_bond(project, scene.terms.aggregator_fee))


def _self_committed_and_refused(scene: Scene) -> list[LocalAccount]:
    """One trainer replaces its leaf, one posts before the batch, one has its delegate post, one is refused, one has too
    few receipts at first; the batch has leaves that cannot count. Two more join, one of them staked for."""
    round = scene.open()
    early, late, third = scene.trainers
    patron, more = scene.owner, [scene.devnet.account("trainer", index) for index in (3, 4)]
    scene.devnet.give_tokens(patron, 2 * scene.terms.stake)
    _send(scene, patron, scene.market.stake_for(scene.project, more[0].address))
    _send(scene, more[0], scene.market.join(scene.project))
    scene.devnet.give_tokens(more[1], scene.terms.stake)
    _send(scene, more[1], scene.market.join(scene.project))
    delegate = scene.devnet.account("delegate")
    _send(scene, third, scene.market.set_delegate(scene.project, delegate.address))

    scene.commit_self(early)
    _batch_with_junk(scene, [early, late, third, *more], signers=[early, late, early, *more])
    scene.commit_self(late)
    request = scene.market.commit_self(
        scene.project, round, scene.number_of(third), scene.commitment_of(third), scene.batch
    )
    _send(scene, delegate, request)
    scene.reveal([third], witnesses=(0,))
    scene.reveal([third], refused=1)
    scene.reveal([early, late])
    scene.settle([ONE, ONE])
    return more


def _batch_with_junk(scene: Scene, trainers: Sequence[LocalAccount], signers: Sequence[LocalAccount]) -> None:
    """Leaves of `trainers` (by number), one of a number that nobody has, signed by whom it says."""
    scene.leaves = [CommitLeaf(scene.number_of(one), scene.commitment_of(one)) for one in trainers]
    signatures = [scene.sign_commit(one, signer) for one, signer in zip(trainers, signers, strict=True)]
    scene.leaves.append(CommitLeaf(99, keccak(b"nobody")))
    signatures.append(signatures[0])
    request = scene.market.commit_batch(scene.project, scene.round_number(), scene.leaves, signatures)
    _send(scene, scene.aggregator, request)


def _void_for_lack_of_commits(scene: Scene) -> None:
    """Closed by the call that opens the next round."""
    scene.open()
    scene.commit(scene.trainers[:1])
    scene.devnet.control.warp(700)
    scene.open()


def _rescued_slashed_and_taken_over(scene: Scene) -> None:
    """Of four commitments two become rows, one is rescued, one slashed; another aggregator settles."""
    market, project, round = scene.market, scene.project, scene.round_number()
    substitute = scene.devnet.account("aggregator", 1)
    _send(scene, scene.owner, market.add_aggregator(project, substitute.address))
    scene.devnet.give_tokens(substitute, scene.terms.bond)
    _send(scene, substitute, market.deposit_bond(project, scene.terms.bond))
    first, second, saved, silent = scene.trainers[:4]
    scene.commit([first, second, saved, silent])
    _send(scene, substitute, market.reveal_validation(project, round, VALIDATION, []))
    scene.reveal([first, second])
    scene.devnet.control.warp_to(scene.view().reveal_end)
    rows = keccak(b"public rows")
    message = commitments.public_rows_message(scene.identity, project, round, rows)
    _send(scene, scene.owner, market.post_public_rows(project, round, rows, scene.witness_signatures(message)))
    scene.rescue([first, saved])
    scene.devnet.control.warp_to(scene.view().rescue_end)
    _send(scene, substitute, market.slash_no_reveal(project, round, scene.number_of(silent), scene.batch))
    scene.devnet.control.warp_to(scene.view().acceptor_end)
    scene.settle([ONE, ONE // 3], settler=substitute)
    _send(scene, scene.owner, market.stake_for(project, silent.address))


def _defaulted(scene: Scene) -> None:
    scene.open()
    scene.commit(scene.trainers[:4])
    scene.reveal(scene.trainers[:4])
    scene.devnet.control.warp_to(scene.view().settle_end)
    _send(scene, scene.owner, scene.market.close_round(scene.project, scene.round_number(), scene.admissions))


def _resolved_when_the_next_round_was_open(scene: Scene) -> None:
    """Two commitments are unresolved when the next round opens: one is rescued then, one slashed. That next round is
    void with a row, and leaves one more to be slashed of a trainer who has left."""
    market, project = scene.market, scene.project
    scene.devnet.give_tokens(scene.aggregator, 2 * scene.terms.bond)
    _send(scene, scene.aggregator, market.deposit_bond(project, 2 * scene.terms.bond))
    older = scene.open()
    first, second, saved, silent = scene.trainers[:4]
    scene.commit([first, second, saved])
    scene.commit_self(silent)
    scene.reveal([first, second])
    scene.devnet.control.warp_to(scene.view().reveal_end)
    scene.settle([ONE, ONE])
    batch, opening, tG = scene.batch, scene.openings_of([saved]), scene.view().rescue_end
    newer = scene.open()
    _send(scene, scene.owner, market.rescue(project, older, batch, opening))
    scene.commit([first, second, saved])
    scene.devnet.control.warp_to(tG)
    _send(scene, scene.owner, market.slash_no_reveal(project, older, scene.number_of(silent), batch))
    # tG of the older round and the newer one's reveals are seconds apart: which comes first is the machine's speed.
    scene.devnet.control.warp_to(max(scene.devnet.now(), scene.view().reveal_start))
    scene.reveal([first])
    _send(scene, second, market.leave(project))
    scene.devnet.control.warp_to(scene.view().rescue_end)
    _send(scene, scene.owner, market.slash_no_reveal(project, newer, scene.number_of(second), scene.batch))
    _send(scene, scene.owner, market.close_round(project, newer, scene.admissions))


def _ended(scene: Scene) -> None:
    market, project = scene.market, scene.project
    following = scene.round_number() + 1
    _send(scene, scene.aggregator, market.accept(project, following))
    _send(scene, scene.aggregator, market.withdraw_acceptance(project, following))
    _send(scene, scene.owner, market.end_project(project))
    _send(scene, scene.owner, market.refund(project))
    leaver, _, third, stakeless, last = scene.trainers
    for one in (leaver, stakeless, last):
        _send(scene, one, market.leave(project))
    scene.devnet.control.warp_to(scene.view().slash_end)
    _send(scene, leaver, market.withdraw_stake(project, leaver.address))
    _send(scene, third, market.set_delegate(project, None))
