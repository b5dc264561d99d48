"""What is different for owners and trainers of proven projects: points for hashes, and an SRS file."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_protocol.identifiers import to_hex
from cohort_protocol.proof.errors import SrsTooSmall
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.project_srs import SrsMissing
from cohort_protocol.proof.srs import make_insecure_srs
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.spec import ProjectSpec
from cohort_protocol.update import decode_model
from cohort_trainer.connection import Connection
from cohort_trainer.errors import HomeInvalid, OwnerInputInvalid, ProjectUnsafe
from cohort_trainer.exit_codes import exit_code_of
from cohort_trainer.home import HomeConfig
from cohort_trainer.owner.drafts import ProjectPlan, make_plan, parse_spec_draft, parse_terms
from cohort_trainer.owner.rules import read_rules
from cohort_trainer.owner.templates import SPEC_TOML, example_terms
from cohort_trainer.projects import expected_verifier

from tests.trainer.test_owner import example_rules

PROVEN = "0x" + "77" * 20
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
