"""What is different for owners and trainers of proven projects: points for hashes, and an SRS file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cohort_devnet.deployment import Options, pin_of
from cohort_protocol.chain.errors import NoContract
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.proof.errors import ProofError, SrsTooSmall
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.project_srs import SrsMissing
from cohort_protocol.proof.srs import Srs, make_insecure_srs, slice_srs
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.spec import ProjectSpec
from cohort_protocol.update import decode_model
from cohort_trainer.connection import Connection
from cohort_trainer.errors import HomeInvalid, OwnerInputInvalid, ProjectUnsafe
from cohort_trainer.exit_codes import exit_code_of
from cohort_trainer.home import Home, HomeConfig
from cohort_trainer.models import ModelSource
from cohort_trainer.owner.drafts import ProjectPlan, make_plan, parse_spec_draft, parse_terms
from cohort_trainer.owner.rules import read_rules
from cohort_trainer.owner.templates import SPEC_TOML, example_terms
from cohort_trainer.projects import expected_verifier
from cohort_trainer.sdk import Trainer
from pydantic import SecretStr

from tests.fixtures.chain import Devnet, local_devnet
from tests.fixtures.scene import BUDGET, Scene
from tests.trainer.conftest import SPEC, rules_of, terms_for
from tests.trainer.test_owner import example_rules

PROVEN = "0x" + "77" * 20
PROVEN_SPEC = {**SPEC, "settlement": "proven"}
POLICY_HASH = policy_by_name("default").policy_hash()


def _config(**changes) -> HomeConfig:
    fields = {
        "address": "0x" + "01" * 20,
        "service_url": "http://127.0.0.1:1",
        "chain_url": "http://127.0.0.1:1",
        "chain_id": 31337,
        "market": "0x" + "02" * 20,
        "verifier": "0x" + "03" * 20,
        "ipfs_url": "file:///nowhere",
    }
    return HomeConfig(**{**fields, **changes})


def _plan(scheme: KzgScheme, policy: dict | None = None, **model) -> ProjectPlan:
    values = tomllib.loads(SPEC_TOML)
    values |= {"settlement": "proven", "policy": policy or {"name": "default"}}
    values["data"] = {"shape": [4], "classes": 2}
    values["model"] = {"family": "mlp", "config": {"hidden": [8]}, **model}
    rules = replace(example_rules(), verifier=PROVEN, proven_policy_hash=POLICY_HASH)
    terms = {**tomllib.loads(example_terms(None, None, None)), "validation_root": "0x" + "07" * 32}
    draft = parse_spec_draft(values)
    return make_plan(draft, parse_terms(terms, 6, draft, rules.profile), 10**9, rules, scheme=scheme)


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> KzgScheme:
    return KzgScheme(make_insecure_srs(tmp_path_factory.mktemp("srs") / "small.srs", 64, "trainer"))


def test_the_first_model_is_committed_to_by_its_point(scheme: KzgScheme) -> None:
    plan = _plan(scheme)
    model = decode_model(plan.first_model, plan.terms.dimension)
    assert plan.terms.initial_model == scheme.model(model)
    assert plan.spec.model.initial_commitment == to_hex(plan.terms.initial_model)
    assert plan.spec.settlement == "proven"
    assert plan.terms.verifier == PROVEN
    assert ProjectSpec.from_bytes(plan.spec.to_bytes()) == plan.spec


def test_a_model_with_more_parameters_than_the_string_has_powers(scheme: KzgScheme) -> None:
    with pytest.raises(SrsTooSmall, match="cohort srs"):
        _plan(scheme, config={"hidden": [64]})


@pytest.mark.parametrize("policy", [{"name": "peer"}, {"name": "fedavg"}])
def test_the_chain_proves_one_policy(scheme: KzgScheme, policy: dict) -> None:
    with pytest.raises(OwnerInputInvalid, match="proves one policy"):
        _plan(scheme, policy)


def test_a_home_says_which_verifier_it_expects(scheme: KzgScheme) -> None:
    proven = _plan(scheme).spec
    attested = proven.model_copy(update={"settlement": "attested"})
    config = _config(proven_verifier=PROVEN)
    assert expected_verifier(config, 1, proven) == PROVEN
    assert expected_verifier(config, 1, attested) == config.verifier
    with pytest.raises(ProjectUnsafe, match="proven_verifier"):
        expected_verifier(_config(), 1, proven)


def test_what_a_home_may_leave_out_is_not_in_its_file() -> None:
    assert HomeConfig.model_validate(tomllib.loads(_config().to_toml())) == _config()
    full = _config(proven_verifier=PROVEN, srs="/srv/cohort/16.srs")
    assert HomeConfig.model_validate(tomllib.loads(full.to_toml())) == full
    assert "srs" not in _config().to_toml()


def test_an_attested_project_needs_no_srs_and_a_proven_one_says_how_to_get_it(tmp_path: Path) -> None:
    with Connection(_config()) as connection:
        assert connection.scheme("attested", "0x" + "03" * 20, 10).settlement == "attested"
    error = SrsMissing("no file")
    assert (exit_code_of(error).number, exit_code_of(error).name) == (44, "srs")


def test_an_owner_without_a_proven_verifier_is_told(devnet) -> None:
    config = _config(chain_url=devnet.node.url, market=devnet.deployment.market, verifier=devnet.deployment.verifier)
    with Connection(config) as connection, pytest.raises(HomeInvalid, match="proven_verifier"):
        read_rules(connection, "proven")


# --- on a chain whose market takes proven projects --------------------------------------------------------------------


@dataclass
class Place:
    """A market with a proven project in it, and a trainer who wants to join."""

    devnet: Devnet
    scene: Scene
    root: Path
    plan: ProjectPlan
    srs: Srs

    def home(self, name: str, **changes) -> Home:
        deployment, account = self.devnet.deployment, self.devnet.account("trainer", 7)
        config = _config(
            address=account.address,
            chain_url=self.devnet.node.url,
            chain_id=deployment.chain_id,
            market=deployment.market,
            verifier=deployment.verifier,
            ipfs_url=f"file://{self.root}/ipfs",
            **{"proven_verifier": deployment.proven_verifier, "srs": str(self.srs.path), **changes},
        )
        return Home.create(self.root / name, config, account, SecretStr("password"), work_factor=2)

    def trainer(self, name: str = "home", **changes) -> Trainer:
        return Trainer(self.home(name, **changes), self.devnet.account("trainer", 7))


@pytest.fixture(scope="module")
def proven_devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Devnet, Srs]]:
    folder = tmp_path_factory.mktemp("proven")
    srs = make_insecure_srs(folder / "small.srs", 128, "market")
    with local_devnet(folder / "anvil", Options(srs=pin_of(srs.path))) as devnet:
        yield devnet, srs


@pytest.fixture
def place(proven_devnet: tuple[Devnet, Srs], tmp_path: Path) -> Iterator[Place]:
    devnet, srs = proven_devnet
    deployment = devnet.deployment
    with devnet.undone():
        witnesses = [devnet.account("witness", index).address for index in range(3)]
        values = {**PROVEN_SPEC, "policy": {"name": "default"}}
        config = _config(
            chain_url=devnet.node.url,
            market=deployment.market,
            verifier=deployment.verifier,
            proven_verifier=deployment.proven_verifier,
            srs=str(srs.path),
        )
        with Connection(config) as connection:
            draft = parse_spec_draft(values)
            rules = replace(
                rules_of(devnet),
                verifier=deployment.proven_verifier,
                verifier_code_hash=parse_bytes32(deployment.code_hashes["ProvenVerifier"]),
                proven_policy_hash=ProvenVerifier(connection.chain, deployment.proven_verifier or "").policy_hash(),
            )
            scheme = connection.scheme("proven", rules.verifier, 1)
            terms = terms_for(devnet, witnesses, devnet.account("aggregator").address)
            terms["validation_root"] = "0x" + "07" * 32
            request = parse_terms(terms, 18, draft, rules.profile)
            plan = make_plan(draft, request, 3 * BUDGET, rules, scheme=scheme)
        store = connect_store(f"file://{tmp_path}/ipfs")
        fields = {name: value for name, value in vars(plan.terms).items() if name not in ("witnesses", "aggregators")}
        scene = Scene.create(devnet, trainers=0, deposit=3 * BUDGET, **fields)
        store.put(plan.spec.to_bytes())
        account = devnet.account("trainer", 7)
        devnet.send(account, devnet.token.mint(account.address, 10**9))
        yield Place(devnet, scene, tmp_path, plan, srs)


def test_a_trainer_verifies_and_joins(place: Place) -> None:
    with place.trainer() as trainer:
        verified = trainer.project(place.scene.project)
        assert verified.spec.settlement == "proven"
        assert verified.terms.verifier == place.devnet.deployment.proven_verifier
        assert any("proven: the chain checks a proof" in line for line in trainer.preview(place.scene.project).lines())
        assert trainer.join(place.scene.project).joined
        # The first model is made again from its seed, and opens the point on chain.
        model = ModelSource(trainer.connection, trainer.home, verified).fetch(verified.terms.initial_model, {})
        assert verified.scheme(trainer.connection).model(model) == verified.terms.initial_model


@pytest.mark.parametrize("name", ["none", "missing", "other", "short"])
def test_nobody_joins_without_the_right_string(place: Place, name: str) -> None:
    paths = {
        "none": None,
        "missing": str(place.root / "nowhere.srs"),
        "other": str(make_insecure_srs(place.root / "other.srs", 128, "another").path),
        "short": str(slice_srs(place.srs, place.root / "short.srs", 16).path),
    }
    with place.trainer(srs=paths[name]) as trainer:
        with pytest.raises(ProofError) as raised:
            trainer.join(place.scene.project)
        assert not place.devnet.market.member_of(place.scene.project, trainer.address).joined
    assert exit_code_of(raised.value).name == "srs"
    assert "cohort srs" in str(raised.value) or name == "other"


def test_nobody_joins_with_another_verifier(place: Place) -> None:
    for number, verifier in enumerate((None, place.devnet.deployment.verifier)):
        with place.trainer(f"home-{number}", proven_verifier=verifier) as trainer, pytest.raises(ProjectUnsafe):
            trainer.join(place.scene.project)


def test_an_address_without_a_proven_verifier_says_so(place: Place) -> None:
    for address in (place.devnet.deployment.verifier, "0x" + "99" * 20):
        with pytest.raises(NoContract, match="proven rounds"):
            ProvenVerifier(place.devnet.client, address).tau_g2()
