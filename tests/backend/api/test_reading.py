"""What the API shows, at every stage of a round."""

from __future__ import annotations

from typing import Any

import pytest
from cohort_backend import examples
from cohort_backend.projects.models import Project
from cohort_backend.projects.repository import bump_version
from cohort_backend.rounds.models import Round
from cohort_backend.updates.models import CommitIntent
from cohort_backend.updates.receipts import record_receipt
from cohort_backend.updates.service import record_commit, record_reveal
from cohort_protocol.chain.events import AggregatorAdded, LogPosition, RoundOpened
from cohort_protocol.chain.packed import Opening
from cohort_protocol.chain.types import Receipt
from cohort_protocol.commitments import openings_hash
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.payout import payout_leaf, verify_proof
from cohort_protocol.phases import Phase
from cohort_protocol.scoring import catalogue
from cohort_protocol.service.messages import (
    MarketInfo,
    PolicyEntryView,
    PolicyListing,
    ProjectList,
    ProjectState,
    ProjectView,
    ReceiptedSets,
    ReceiptIntake,
    Rewards,
    RoundList,
    RoundView,
    TrainerList,
    TrainerView,
)
from cohort_protocol.standing import reliability
from eth_utils import keccak

from tests.backend.api.conftest import Service
from tests.backend.settlements.test_words import make_proposal
from tests.backend.stages import ADMITTED, COMMITTED, DAY, JOINED, OPEN, SETTLED
from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BOND, BUDGET, DISTRIBUTABLE, PROTOCOL_FEE, STAKE, Scene, by_address, some_cid


def _get(service: Service, path: str, kind: type[Any]) -> Any:
    answer = service.http.get(path)
    assert answer.status_code == 200, answer.text
    return kind.model_validate_json(answer.content)


def _late_commitment(project: int) -> CommitIntent:
    return CommitIntent(
        project=project,
        round=1,
        trainer=examples.TRAINER,
        member=9,
        signer=examples.TRAINER,
        commitment=b"\5" * 32,
        signature=bytes(65),
        received_at=1.0,
    )


def _state(service: Service, query: str = "") -> ProjectState:
    return _get(service, f"{service.path}/state{query}", ProjectState)


def test_the_market(service: Service) -> None:
    empty = _get(service, "/v1/market", MarketInfo)
    assert empty.block == 0
    service.fill(OPEN)
    found = _get(service, "/v1/market", MarketInfo)
    deployment = service.stages.scene.devnet.deployment
    assert (found.chain_id, found.market, found.verifier, found.policy) == (
        deployment.chain_id,
        deployment.market,
        deployment.verifier,
        deployment.policy,
    )
    assert found.block == service.stages.blocks[OPEN][0]


def test_a_project_with_its_spec_from_ipfs(service: Service) -> None:
    service.fill(OPEN)
    found = _get(service, service.path, ProjectView)
    scene = service.stages.scene
    assert found.spec == service.stages.spec
    assert found.spec_cid == str(Cid(0x55, scene.terms.spec_digest))
    assert (found.owner, found.members, found.round) == (scene.owner.address, 3, 1)
    assert (found.ledger.held, found.ledger.stakes, found.ledger.bonds) == (BUDGET, 3 * STAKE, 2 * BOND)
    assert (found.distributable, found.protocol_fee, found.standing_weight) == (DISTRIBUTABLE, PROTOCOL_FEE, 65_536)
    assert (found.terms.bond, found.acceptor, found.pending_model) == (BOND, None, None)
    assert found.terms.windows.model_dump() == vars(scene.terms.windows)
    assert tuple(found.terms.witnesses) == scene.terms.witnesses


def test_terms_that_the_service_would_not_have_drafted(service: Service) -> None:
    """The chain allows more than a draft does: neither we nor the readers of a list may stumble over it."""
    service.fill(OPEN)
    project, (number, digest, _) = service.stages.project, service.stages.blocks[OPEN]
    added = [
        AggregatorAdded(LogPosition(number + 1, index, digest, b"\7" * 32), project, f"0x{index + 1:040x}")
        for index in range(15)
    ]
    service.stages.fill(service.parts.database, OPEN, added)
    with service.parts.database.write() as session:
        row = session.get_one(Project, project)
        row.share_cap, row.rounds = 255, 2**32 - 1
    (found,) = _get(service, "/v1/projects", ProjectList).items
    assert (found.terms.share_cap, found.terms.rounds, len(found.terms.aggregators)) == (255, 2**32 - 1, 16)


def test_a_project_whose_spec_nobody_has(service: Service) -> None:
    service.stages.fill(service.parts.database, OPEN)
    assert _get(service, service.path, ProjectView).spec is None
    refused = service.http.get(f"{service.path}/state")
    assert (refused.status_code, refused.json()["code"]) == (503, "spec-not-here")
    assert refused.headers["retry-after"] == "1"


def test_projects_come_in_pages(service: Service) -> None:
    service.fill(OPEN)
    page = _get(service, "/v1/projects?limit=1", ProjectList)
    assert [project.id for project in page.items] == [service.stages.project]
    assert page.items[0].spec is None
    assert page.next is None
    assert _get(service, f"/v1/projects?after={service.stages.project}", ProjectList).items == []


class TestState:
    def test_before_the_first_round(self, service: Service) -> None:
        service.fill(JOINED)
        state = _state(service)
        assert (state.round, state.reveal_set, state.settlement) == (None, None, None)
        assert not state.finished
        assert state.version > 0

    def test_commit_phase_shows_who_has_handed_in(self, service: Service) -> None:
        service.fill(OPEN)
        state = _state(service)
        assert state.round is not None
        assert (state.round.phase, state.round.committed) == (Phase.COMMIT, [])
        assert state.round.model.cid == examples.SPEC.model.initial_cid
        assert state.round.past_models == [state.round.model]
        trainer = service.stages.scene.trainers[1]
        stages = service.stages
        record_commit(service.parts.database, stages.scene.identity, stages.project, 1, stages.commit_intake(trainer))
        later = _state(service)
        assert later.round is not None
        assert later.round.committed == [trainer.address]
        assert later.version > state.version

    def test_reveal_phase_asks_witnesses_about_what_is_here(self, service: Service) -> None:
        service.fill(COMMITTED)
        assert _state(service).reveal_set is None
        stages = service.stages
        for trainer in reversed(stages.scene.trainers[:2]):
            record_reveal(
                service.parts.database, stages.scene.identity, stages.project, 1, stages.reveal_intake(trainer)
            )
        with service.parts.database.write() as session:
            session.add(_late_commitment(stages.project))
            bump_version(session, stages.project)
        state = _state(service)
        assert state.round is not None
        assert state.reveal_set is not None
        assert len(state.round.committed) == 3, "what did not make it into the batch is no commitment"
        assert state.round.phase is Phase.REVEAL
        wanted = stages.scene.trainers[:2]
        assert [item.trainer for item in state.reveal_set.reveals] == [one.address for one in wanted]
        assert [item.member for item in state.reveal_set.reveals] == [1, 2]
        assert state.round.revealed == [one.address for one in by_address(wanted)]
        assert state.reveal_set.openings_hash == to_hex(openings_hash(stages.scene.openings_of(wanted)))
        for item, trainer in zip(state.reveal_set.reveals, stages.scene.trainers, strict=False):
            assert item.commitment == to_hex(stages.scene.commitment_of(trainer))
            assert item.update == to_hex(keccak(stages.scene.update_of(trainer)))

    def test_settle_phase_shows_a_proposal_about_these_rows_only(self, service: Service) -> None:
        from cohort_backend.settlements.repository import save_proposal
        from cohort_protocol.commitments import admitted_hash

        service.fill(ADMITTED)
        with service.parts.database.write() as session:
            save_proposal(session, make_proposal(service.stages))
        state = _state(service)
        assert state.round is not None
        assert (state.round.phase, state.settlement) == (Phase.SETTLE, None)
        assert [row.trainer for row in state.round.rows] == [one.address for one in service.stages.scene.trainers]
        proposal = make_proposal(service.stages, b"right")
        proposal.admitted_hash = admitted_hash(service.stages.scene.admissions)
        with service.parts.database.write() as session:
            save_proposal(session, proposal)
        shown = _state(service).settlement
        assert shown is not None
        assert shown.bundle_cid == str(Cid.from_bytes(some_cid(b"right")))
        assert shown.outcomes[2] == (2**64 - 1, 0)
        with service.parts.database.write() as session:
            session.get_one(Round, (service.stages.project, 1)).public_rows = b"\6" * 32
            bump_version(session, service.stages.project)
        assert _state(service).settlement is None, "it does not speak of the public rows that are on chain now"

    def test_settled(self, service: Service) -> None:
        service.fill(SETTLED)
        state = _state(service)
        assert state.round is not None
        assert (state.round.phase, state.settlement, state.reveal_set) == (Phase.FINAL, None, None)
        assert state.round.next_model is not None
        assert state.round.next_model.commitment == to_hex(keccak(b"model 1"))
        assert sum(row.pay or 0 for row in state.round.rows) <= DISTRIBUTABLE

    def test_a_known_version_without_waiting(self, service: Service) -> None:
        service.fill(OPEN)
        version = _state(service).version
        assert _state(service, f"?after={version}").version == version


def test_rounds(service: Service) -> None:
    service.fill(SETTLED)
    found = _get(service, f"{service.path}/rounds/1", RoundView)
    listed = _get(service, f"{service.path}/rounds", RoundList)
    assert listed.items == [found]
    assert found.bundle_cid == str(Cid.from_bytes(some_cid(b"bundle 1")))


def test_the_models_of_a_later_round_come_oldest_first(service: Service) -> None:
    stages = service.stages
    number, digest, now = stages.blocks[SETTLED]
    at = LogPosition(number + 1, 0, digest, b"\7" * 32)
    model = keccak(b"model 1")
    acceptor = stages.scene.aggregator.address
    opened = RoundOpened(at, stages.project, 2, acceptor, model, BUDGET, 3, now, now + DAY, now + 2 * DAY)
    stages.fill(service.parts.database, SETTLED, [opened])
    service.parts.store.put(stages.spec.to_bytes())
    found = _get(service, f"{service.path}/rounds/2", RoundView)
    assert [one.cid for one in found.past_models] == [
        examples.SPEC.model.initial_cid,
        str(Cid.from_bytes(some_cid(b"model 1"))),
    ]
    assert found.model == found.past_models[-1]
    assert found.model.commitment == to_hex(model)
    assert (found.opened_at, found.acceptor, found.expected) == (now, acceptor, 3)
    assert (found.rescue_end, found.acceptor_end, found.settle_end) == (now + 3 * DAY, now + 4 * DAY, now + 5 * DAY)
    assert found.slash_end == now + 3 * DAY + stages.slash_window
    page = _get(service, f"{service.path}/rounds?limit=1", RoundList)
    assert ([one.number for one in page.items], page.next) == ([1], 1)
    assert [one.number for one in _get(service, f"{service.path}/rounds?after=1", RoundList).items] == [2]


def test_the_bundle_of_a_settled_round(service: Service) -> None:
    service.fill(ADMITTED)
    assert service.http.get(f"{service.path}/rounds/1/bundle").json()["code"] == "no-bundle"
    service.fill(SETTLED)
    absent = service.http.get(f"{service.path}/rounds/1/bundle")
    assert (absent.status_code, absent.json()["code"]) == (404, "content-not-found")
    service.parts.store.put(b"bundle 1")
    broken = service.http.get(f"{service.path}/rounds/1/bundle")
    assert broken.status_code == 422, "whatever is no JSON must not leave as JSON"


def test_trainers_and_rewards(service: Service) -> None:
    service.fill(SETTLED)
    scene = service.stages.scene
    trainer = scene.trainers[0].address
    member = _get(service, f"{service.path}/trainers/{trainer}", TrainerView)
    assert (member.member, member.number, member.staked, member.stake) == (True, 1, True, STAKE)
    assert (member.delegate, member.unlock_at) == (None, None)
    assert member.record is not None
    assert (member.record.rounds, member.rounds) == (1, 1)
    assert 900 < member.record.credit <= 1000
    assert member.reliability_bps == reliability([(scene.owner.address, member.record.credit)], 0)
    assert member.projects == [service.stages.project]
    listed = _get(service, f"{service.path}/trainers", TrainerList)
    assert sorted(one.address for one in listed.items) == sorted(one.address for one in scene.trainers)
    first = _get(service, f"{service.path}/trainers?limit=1", TrainerList)
    second = _get(service, f"{service.path}/trainers?limit=2&after={first.next}", TrainerList)
    assert first.items + second.items == listed.items
    rewards = _get(service, f"{service.path}/trainers/{trainer.lower()}/rewards", Rewards)
    (item,) = rewards.items
    assert rewards.earned == rewards.claimable == item.amount == member.earned
    leaf = payout_leaf(service.stages.project, 1, item.row, rewards.member, item.amount)
    assert verify_proof(bytes.fromhex(item.payout_root[2:]), leaf, [bytes.fromhex(one[2:]) for one in item.proof])


def test_a_newcomer_has_a_standing_of_zero(service: Service) -> None:
    service.fill(OPEN)
    stranger = service.stages.scene.owner.address
    assert _get(service, f"/v1/trainers/{stranger}", TrainerView).reliability_bps == 0
    assert _get(service, f"{service.path}/trainers/{stranger}", TrainerView).member is False
    unknown = service.http.get(f"{service.path}/trainers/{stranger}/rewards")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown-member")


def test_anybody_can_post_a_reveal_with_what_witnesses_signed(service: Service, devnet: Devnet) -> None:
    """The answer is enough for the transaction: a trainer depends on no aggregator to become a row."""
    stages, scene = service.stages, Scene.create(devnet)
    scene.open()
    scene.commit()
    openings = scene.openings_of(scene.trainers)
    service.fill(COMMITTED)
    assert _get(service, f"{service.path}/rounds/1/receipts", ReceiptedSets).items == []
    for trainer in stages.scene.trainers:
        record_reveal(service.parts.database, stages.scene.identity, stages.project, 1, stages.reveal_intake(trainer))
    digest = to_hex(openings_hash(openings))
    for index, witness in enumerate(stages.scene.witnesses[:2]):
        word = scene.receipt_of(index, openings, 0b111)
        intake = ReceiptIntake(
            witness=witness.address, openings_hash=digest, endorsed=0b111, refused=0, signature=to_hex(word.signature)
        )
        record_receipt(service.parts.database, stages.scene.identity, stages.project, 1, intake)
    (found,) = _get(service, f"{service.path}/rounds/1/receipts", ReceiptedSets).items
    assert found.openings_hash == digest
    unhex = bytes.fromhex
    shown = [
        Opening(one.member, unhex(one.update[2:]), bytes(Cid.parse(one.cid)), unhex(one.salt[2:]))
        for one in found.reveals
    ]
    places = scene.terms.witnesses
    receipts = [
        Receipt(places.index(one.witness), one.endorsed, one.refused, unhex(one.signature[2:]))
        for one in sorted(found.receipts, key=lambda one: places.index(one.witness))
    ]
    devnet.send(scene.trainers[0], devnet.market.reveal(scene.project, 1, scene.batch, shown, receipts))
    assert scene.view().admitted == 3


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/999",
        "/v1/projects/999/state",
        "/v1/projects/999/rounds",
        "/v1/projects/999/rounds/1",
        "/v1/projects/999/trainers",
        f"/v1/projects/999/trainers/{examples.TRAINER}/rewards",
    ],
)
def test_unknown_ids_are_404(service: Service, path: str) -> None:
    answer = service.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-project")


def test_policies_are_those_of_the_catalogue(service: Service) -> None:
    listed = _get(service, "/v1/policies", PolicyListing)
    assert [entry.model_dump() for entry in listed.policies] == [entry.as_json() for entry in catalogue()]
    default = _get(service, "/v1/policies/default", PolicyEntryView)
    assert default == listed.policies[0]
    assert {one.name for one in default.parameters} >= {"memory_bps", "share_cap_bps"}
    missing = service.http.get("/v1/policies/krum-of-krums")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown-policy")
    assert "multi-krum" in missing.json()["detail"]
