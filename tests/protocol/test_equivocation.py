"""Two outcomes of one round under one signature: evidence that needs nobody's word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cohort_protocol.bundle import RoundBundle, recompute, statement_of
from cohort_protocol.commitments import MarketId, sign
from cohort_protocol.equivocation import SignedOutcome, find_equivocation, settlement_word
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.proof.kzg_scheme import KzgScheme
from cohort_protocol.proof.srs import make_insecure_srs
from cohort_protocol.service.messages import SettlementSignature
from cohort_worker.witness.others import evidence
from eth_account import Account

from tests.protocol.test_bundle import _inputs as attested_inputs
from tests.protocol.test_proven_round import D
from tests.protocol.test_proven_round import _inputs as proven_inputs

MARKET = MarketId(31337, "0x" + "11" * 20, "0x" + "22" * 20)
WITNESS, OTHER = Account.from_key(b"\x01" * 32), Account.from_key(b"\x02" * 32)


def _signed(bundle: RoundBundle, account=WITNESS) -> SignedOutcome:
    data = bundle.to_bytes()
    message = settlement_word(MARKET, statement_of(bundle, cid_of(data)), bundle.settlement)
    return SignedOutcome(data, sign(message, account))


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


@pytest.fixture(params=["attested", "proven"])
def bundle(request: pytest.FixtureRequest, store: EmbeddedStore, tmp_path: Path) -> RoundBundle:
    if request.param == "attested":
        return recompute(attested_inputs(store), store).bundle
    scheme = KzgScheme(make_insecure_srs(tmp_path / "small.srs", D, "equivocation"))
    return recompute(proven_inputs(store, scheme, past=0), store, scheme=scheme).bundle


def _paid_more(bundle: RoundBundle) -> RoundBundle:
    """Another outcome of the same round: somebody gets a higher score."""
    first, *rest = bundle.outcomes
    return bundle.model_copy(update={"outcomes": [first.model_copy(update={"score": first.score + 1}), *rest]})


def test_two_outcomes_of_a_round_are_evidence(bundle: RoundBundle) -> None:
    found = find_equivocation(MARKET, WITNESS.address, [_signed(bundle), _signed(bundle), _signed(_paid_more(bundle))])
    assert found is not None
    assert (found.witness, found.project, found.round) == (WITNESS.address, bundle.project, bundle.round)
    assert "outcomes[0].score" in found.difference


def test_one_outcome_is_none(bundle: RoundBundle) -> None:
    assert find_equivocation(MARKET, WITNESS.address, [_signed(bundle), _signed(bundle)]) is None
    assert find_equivocation(MARKET, WITNESS.address, []) is None


@pytest.mark.parametrize("change", [{"round": 10}, {"validation": to_hex(b"\x09" * 32)}])
def test_another_round_is_another_round(bundle: RoundBundle, change: dict) -> None:
    other = _paid_more(bundle).model_copy(update=change)
    assert find_equivocation(MARKET, WITNESS.address, [_signed(bundle), _signed(other)]) is None


def test_other_rows_after_a_reorg_are_no_fault(bundle: RoundBundle) -> None:
    first, *rest = bundle.rows
    other = _paid_more(bundle).model_copy(
        update={"rows": [first.model_copy(update={"update": to_hex(bytes(32))}), *rest]}
    )
    assert find_equivocation(MARKET, WITNESS.address, [_signed(bundle), _signed(other)]) is None


def test_somebody_elses_signature_is_no_evidence(bundle: RoundBundle) -> None:
    forged = _signed(_paid_more(bundle), OTHER)
    with pytest.raises(SignatureInvalid):
        find_equivocation(MARKET, WITNESS.address, [_signed(bundle), forged])
    elsewhere = replace(MARKET, market="0x" + "33" * 20)
    with pytest.raises(SignatureInvalid):
        find_equivocation(elsewhere, WITNESS.address, [_signed(bundle)])


def test_a_services_record_is_checked_word_by_word(store: EmbeddedStore, bundle: RoundBundle) -> None:
    good, bad = _signed(bundle), _signed(_paid_more(bundle))
    forged = _signed(_paid_more(bundle), OTHER)
    words = [
        SettlementSignature(
            witness=witness.address, bundle_cid=str(store.put(one.bundle)), signature=to_hex(one.signature)
        )
        for witness, one in ((WITNESS, good), (WITNESS, bad), (OTHER, good), (OTHER, forged))
    ]
    missing = words[0].model_copy(update={"bundle_cid": str(cid_of(b"nowhere"))})
    (found,) = evidence(MARKET, [*words, missing], store)
    assert found["witness"] == WITNESS.address
    assert {one["bundle_cid"] for one in found["outcomes"]} == {words[0].bundle_cid, words[1].bundle_cid}
