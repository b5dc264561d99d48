"""What the API shows, at every stage of a round."""

from __future__ import annotations

from typing import Any

import pytest
from cohort_backend import examples
from cohort_backend.projects.repository import bump_version
from cohort_backend.updates.models import CommitIntent
from cohort_backend.updates.service import record_commit, record_reveal
from cohort_protocol.chain.events import LogPosition, RoundOpened
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.payout import payout_leaf, verify_proof
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import (
    MarketInfo,
    ProjectList,
    ProjectState,
    ProjectView,
    Rewards,
    RoundList,
    RoundView,
    TrainerList,
    TrainerView,
)
from eth_utils import keccak

from tests.backend.api.conftest import Service
from tests.backend.settlements.test_words import make_proposal
from tests.backend.stages import ADMITTED, COMMITTED, DAY, JOINED, OPEN, SETTLED
from tests.fixtures.scene import BUDGET, FEE, STAKE, some_cid


def _get(service: Service, path: str, kind: type[Any]) -> Any:
    answer = service.http.get(path)
    assert answer.status_code == 200, answer.text
    return kind.model_validate_json(answer.content)


def _late_commitment(project: int) -> CommitIntent:
    return CommitIntent(
        project=project,
        round=1,
        trainer=examples.TRAINER,
        commitment=b"\5" * 32,
        expiry=2**40,
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
    assert (found.chain_id, found.market, found.verifier) == (
        deployment.chain_id,
        deployment.market,
        deployment.verifier,
    )
    assert found.block == service.stages.blocks[OPEN][0]


def test_a_project_with_its_spec_from_ipfs(service: Service) -> None:
    service.fill(OPEN)
    found = _get(service, service.path, ProjectView)
    scene = service.stages.scene
    assert found.spec == service.stages.spec
    assert found.spec_cid == str(Cid(0x55, scene.terms.spec_digest))
    assert (found.owner, found.members, found.round) == (scene.owner.address, 3, 1)
    assert found.ledger.held == BUDGET
    assert found.terms.windows.model_dump() == vars(scene.terms.windows)
    assert tuple(found.terms.witnesses) == scene.terms.witnesses


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
        wanted = stages.scene.reveals_of(stages.scene.trainers[:2])
        assert [item.trainer for item in state.reveal_set.reveals] == [reveal.trainer for reveal in wanted]
        assert state.round.revealed == [reveal.trainer for reveal in wanted]
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
        proposal.admitted_hash = admitted_hash([(row.trainer, row.update) for row in service.stages.scene.rows])
        with service.parts.database.write() as session:
            save_proposal(session, proposal)
        shown = _state(service).settlement
        assert shown is not None
        assert shown.bundle_cid == str(Cid.from_bytes(some_cid(b"right")))
        assert shown.outcomes[2] == (2**64 - 1, 0)

    def test_settled(self, service: Service) -> None:
        service.fill(SETTLED)
        state = _state(service)
        assert state.round is not None
        assert (state.round.phase, state.settlement, state.reveal_set) == (Phase.FINAL, None, None)
        assert state.round.next_model is not None
        assert state.round.next_model.commitment == to_hex(keccak(b"model 1"))
        assert sum(row.pay or 0 for row in state.round.rows) <= BUDGET - FEE

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
    opened = RoundOpened(at, stages.project, 2, BUDGET, model, 3, now + DAY, now + DAY, now + 2 * DAY, now + 3 * DAY)
    stages.fill(service.parts.database, SETTLED, [opened])
    service.parts.store.put(stages.spec.to_bytes())
    found = _get(service, f"{service.path}/rounds/2", RoundView)
    assert [one.cid for one in found.past_models] == [
        examples.SPEC.model.initial_cid,
        str(Cid.from_bytes(some_cid(b"model 1"))),
    ]
    assert found.model == found.past_models[-1]
    assert found.model.commitment == to_hex(model)
    assert found.opened_at == now
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
    assert (member.member, member.stake) == (True, STAKE)
    assert member.reliability_bps > 0
    listed = _get(service, f"{service.path}/trainers", TrainerList)
    assert sorted(one.address for one in listed.items) == sorted(one.address for one in scene.trainers)
    first = _get(service, f"{service.path}/trainers?limit=1", TrainerList)
    second = _get(service, f"{service.path}/trainers?limit=2&after={first.next}", TrainerList)
    assert first.items + second.items == listed.items
    rewards = _get(service, f"{service.path}/trainers/{trainer.lower()}/rewards", Rewards)
    (item,) = rewards.items
    assert rewards.earned == rewards.claimable == item.amount == member.earned
    leaf = payout_leaf(service.stages.project, 1, item.row, trainer, item.amount)
    assert verify_proof(bytes.fromhex(item.payout_root[2:]), leaf, [bytes.fromhex(one[2:]) for one in item.proof])


def test_a_newcomer_has_a_standing_of_zero(service: Service) -> None:
    service.fill(OPEN)
    stranger = service.stages.scene.owner.address
    assert _get(service, f"/v1/trainers/{stranger}", TrainerView).reliability_bps == 0
    assert _get(service, f"{service.path}/trainers/{stranger}", TrainerView).member is False
    assert _get(service, f"{service.path}/trainers/{stranger}/rewards", Rewards).items == []


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
