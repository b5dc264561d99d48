"""A trainer with a home, a project on a real chain, and a service that the tests can bend."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.data import Dataset, write_csv
from cohort_protocol.spec import DataSpec
from cohort_protocol.update import decode_model
from cohort_trainer.home import Home, HomeConfig
from cohort_trainer.owner.drafts import ProjectPlan, make_plan, parse_spec_draft, parse_terms
from cohort_trainer.owner.rules import MarketRules
from cohort_trainer.sdk import Trainer
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from tests.fixtures.chain import Devnet, devnet, devnet_session  # noqa: F401
from tests.fixtures.scene import BUDGET, Scene
from tests.trainer.market_service import MarketService

PASSWORD = SecretStr("a password")
SPEC = {
    "title": "Three kinds of flowers",
    "model": {"family": "mlp", "config": {"hidden": [3]}, "seed": 5, "exponent": -14},
    "data": {"shape": [4], "classes": 3},
    "training": {"local_epochs": 1, "augment_shift": 0},
    "policy": {"name": "peer"},
    "seed": 9,
}


class Background:
    """A call in a thread of its own; `result` waits for it and raises what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._outcome: object = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], object]) -> None:
        try:
            self._outcome = call()
        except BaseException as error:  # raised again where the result is asked for
            self._error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def result(self, timeout: float = 30.0):
        self._thread.join(timeout)
        assert self.done, "still running"
        if self._error is not None:
            raise self._error
        return self._outcome


def until(condition: Callable[[], object], timeout: float = 60.0) -> None:
    """Waits for something that another thread or process brings about."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@dataclass
class Stage:
    """One project with one real trainer (and perhaps others), not yet joined."""

    devnet: Devnet
    scene: Scene
    plan: ProjectPlan
    store: IpfsStore
    service: MarketService
    root: Path
    account: LocalAccount
    data: Path

    def home(self, account: LocalAccount | None = None, name: str = "home") -> Home:
        account = account or self.account
        root = self.root / name
        if root.exists():
            return Home.open(root)
        return Home.create(root, self.config(account.address), account, PASSWORD, work_factor=2)

    def config(self, address: str, **changes) -> HomeConfig:
        deployment = self.devnet.deployment
        fields = {
            "address": address,
            "service_url": self.service.url,
            "chain_url": self.devnet.node.url,
            "chain_id": deployment.chain_id,
            "market": deployment.market,
            "verifier": deployment.verifier,
            "ipfs_url": f"file://{self.root}/ipfs",
            **changes,
        }
        return HomeConfig(**fields)

    def trainer(self, account: LocalAccount | None = None, name: str = "home") -> Trainer:
        return Trainer(self.home(account, name), account or self.account)

    def joined(self, account: LocalAccount | None = None, name: str = "home") -> Trainer:
        """A trainer who has joined and is expected in every round."""
        trainer = self.trainer(account, name)
        trainer.join(self.scene.project)
        self.scene.trainers.append(trainer.account)
        return trainer

    def commitments_of(self, address: str) -> dict[int, set[str]]:
        """Distinct commitments that the service was ever sent, by round."""
        found: dict[int, set[str]] = {}
        for (round, trainer), intakes in self.service.commits.items():
            if trainer == address:
                found[round] = {intake.commitment for intake in intakes}
        return found


def rules_of(devnet: Devnet) -> MarketRules:  # noqa: F811
    """What the devnet's market fixes."""
    deployment = devnet.deployment
    return MarketRules(
        verifier=deployment.verifier,
        policy=deployment.policy,
        verifier_code_hash=parse_bytes32(deployment.code_hashes["AttestedVerifier"]),
        policy_code_hash=parse_bytes32(deployment.code_hashes["SuppliedScores"]),
        profile=devnet.market.profile(),
    )


WINDOWS = {
    "commit": 600,
    "guard": 0,
    "reveal": 600,
    "rescue": 600,
    "settle": 600,
    "takeover": 600,
    "self_commit": 60,
}


def terms_for(devnet: Devnet, witnesses: list[str], aggregator: str, **terms) -> dict[str, Any]:  # noqa: F811
    """An owner's terms file."""
    return {
        "token": devnet.deployment.token,
        "round_budget": str(BUDGET),
        "aggregator_fee": "10000",
        "rounds": 3,
        "slots": 2,
        "min_trainers": 1,
        "quorum": 2,
        "share_cap": 2,
        "windows": WINDOWS,
        "witnesses": witnesses,
        "aggregators": [aggregator],
        **terms,
    }


def make_plan_for(devnet: Devnet, witnesses: list[str], aggregator: str, **terms) -> ProjectPlan:  # noqa: F811
    draft, values = parse_spec_draft(SPEC), terms_for(devnet, witnesses, aggregator, **terms)
    rules = rules_of(devnet)
    request = parse_terms(values, 18, draft, rules.profile)
    return make_plan(draft, request, 3 * BUDGET, rules)


@pytest.fixture
def make_stage(devnet: Devnet, tmp_path: Path) -> Iterator[Callable[..., Stage]]:  # noqa: F811
    """Builds stages; `terms` change the project's terms (as in an owner's file)."""
    services = []

    def make(**terms) -> Stage:
        witnesses = [devnet.account("witness", index).address for index in range(3)]
        plan = make_plan_for(devnet, witnesses, devnet.account("aggregator").address, **terms)
        store = connect_store(f"file://{tmp_path}/ipfs")
        fields = {name: value for name, value in vars(plan.terms).items() if name not in ("witnesses", "aggregators")}
        deposit = plan.terms.rounds * BUDGET
        scene = Scene.create(devnet, trainers=0, deposit=deposit, **fields)
        store.put(plan.spec.to_bytes())
        first_model = decode_model(plan.first_model, plan.terms.dimension)
        service = MarketService(scene, store, first_model)
        service.start()
        services.append(service)
        account = devnet.account("trainer", 7)
        devnet.send(account, devnet.token.mint(account.address, 10**9))
        return Stage(devnet, scene, plan, store, service, tmp_path, account, write_data(tmp_path / "data.csv"))

    yield make
    for service in services:
        service.close()


@pytest.fixture
def stage(make_stage) -> Stage:
    return make_stage()


def write_data(path: Path, examples: int = 24) -> Path:
    """A small separable data set of the shape that `SPEC` asks for."""
    random = np.random.default_rng(3)
    labels = np.arange(examples, dtype=np.int64) % 3
    inputs = random.normal(size=(examples, 4)).astype(np.float32) + labels[:, None].astype(np.float32)
    write_csv(path, Dataset(inputs, labels), DataSpec(**SPEC["data"]))
    return path
