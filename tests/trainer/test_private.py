"""Private projects as owners and trainers meet them: who may read, and what is published."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_protocol.chain.types import ProjectTerms
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.srs import make_insecure_srs
from cohort_protocol.sealing.errors import NotAReader, ReadersInvalid
from cohort_protocol.sealing.project import check_readers, sealing_of
from cohort_protocol.sealing.readers import address_of, public_key
from cohort_trainer.errors import OwnerInputInvalid
from cohort_trainer.owner.drafts import ProjectPlan, make_plan, parse_spec_draft, parse_terms
from cohort_trainer.wallet import create_keystore
from eth_account import Account
from eth_utils import keccak
from pydantic import SecretStr

from tests.trainer.test_cli import cohort
from tests.trainer.test_owner import example_rules
from tests.trainer.test_proven import POLICY_HASH, PROVEN

KEYS = [keccak(text=f"reader {index}") for index in range(4)]
PUBLIC = [f"0x{public_key(key).hex()}" for key in KEYS]
ADDRESSES = [address_of(public_key(key)) for key in KEYS]
TRAINER = keccak(text="trainer")
MARKET = "0x" + "02" * 20


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> KzgScheme:
    return KzgScheme(make_insecure_srs(tmp_path_factory.mktemp("srs") / "small.srs", 64, "trainer"))


def plan(scheme: KzgScheme, readers: list[str], **changes: object) -> ProjectPlan:
    import tomllib

    from cohort_trainer.owner.templates import SPEC_TOML, example_terms

    values = tomllib.loads(SPEC_TOML) | {"settlement": "proven", "policy": {"name": "default"}, "readers": readers}
    values |= {"data": {"shape": [4], "classes": 2}, "model": {"family": "mlp", "config": {"hidden": [8]}}}
    rules = replace(example_rules(), verifier=PROVEN, proven_policy_hash=POLICY_HASH)
    terms = {**tomllib.loads(example_terms(None, None, None)), "validation_root": "0x" + "07" * 32}
    terms |= {"witnesses": sorted(ADDRESSES[:3], key=str.lower), "aggregators": ADDRESSES[3:]}
    draft = parse_spec_draft(values | changes)
    return make_plan(draft, parse_terms(terms, 6, draft, rules.profile), 10**9, rules, scheme=scheme)


def test_an_owner_names_the_keys_of_all_witnesses_and_aggregators(scheme: KzgScheme) -> None:
    made = plan(scheme, PUBLIC)
    assert made.spec.private
    check_readers(made.spec, made.terms)


def test_one_reader_more_or_less_is_refused(scheme: KzgScheme) -> None:
    stranger = f"0x{public_key(TRAINER).hex()}"
    with pytest.raises(OwnerInputInvalid, match=f"missing: {ADDRESSES[3]}"):
        plan(scheme, PUBLIC[:3])
    with pytest.raises(OwnerInputInvalid, match="not in the terms"):
        plan(scheme, [*PUBLIC, stranger])
    made = plan(scheme, PUBLIC)
    other: ProjectTerms = replace(made.terms, aggregators=(address_of(public_key(TRAINER)),))
    with pytest.raises(ReadersInvalid):
        check_readers(made.spec, other)


def test_what_a_trainer_publishes_opens_for_readers_only(scheme: KzgScheme, tmp_path: Path) -> None:
    spec, update = plan(scheme, PUBLIC).spec, bytes(range(200)) * 20
    sealing = sealing_of(spec, 31337, MARKET, 1)
    published = sealing.published(update, TRAINER)
    assert published == sealing.published(update, TRAINER)
    assert len(published) == sealing.published_size(len(update))
    with EmbeddedStore(tmp_path) as store:
        cid = store.put(published)
        for key in KEYS:
            assert sealing.opened(store, key).get(cid, len(update)) == update
        with pytest.raises(NotAReader):
            sealing.opened(store, TRAINER).get(cid, len(update))
        public = sealing_of(spec.model_copy(update={"readers": []}), 31337, MARKET, 1)
        assert public.published(update, TRAINER) == update
        assert public.opened(store, TRAINER) is store


def test_a_keystore_shows_its_public_key(tmp_path: Path) -> None:
    create_keystore(tmp_path / "witness.json", Account.from_key(KEYS[0]), SecretStr("secret"), work_factor=2)
    (tmp_path / "password").write_text("secret\n")
    arguments = ["public-key", str(tmp_path / "witness.json"), "--password-file", str(tmp_path / "password")]
    assert cohort(*arguments).stdout.split() == [ADDRESSES[0], PUBLIC[0]]
    assert json.loads(cohort(*arguments, "--json").stdout) == {"address": ADDRESSES[0], "public_key": PUBLIC[0]}
