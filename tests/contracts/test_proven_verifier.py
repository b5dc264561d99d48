"""Real proofs, made by the prover in Python, put to the contract on a chain; and what becomes of them when anything is
changed. What a prover can do who lies while proving is tested in contracts/test/attacks/Proofs.t.sol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.commitments import MarketId, model_bytes_message, sign
from cohort_protocol.identifiers import parse_address
from cohort_protocol.proof.curve import FIELD, ORDER, Point, add, compress, negate
from cohort_protocol.proof.errors import ProofInvalid
from cohort_protocol.proof.evidence import decode_evidence
from cohort_protocol.proof.verifier import verify
from eth_utils import keccak

from tests.contracts.proven_chain import CIDS, QUORUM, ProvenChain
from tests.fixtures.chain import Devnet
from tests.protocol.proof.evidences import ProvenRound, proven_round
from tests.protocol.proof.rounds import srs_of

D = 64
SHAPES = {"n1": (1, 0), "n2": (2, 0), "n3p1": (3, 1), "n8p9": (8, 9), "n32p9": (32, 9)}
CORRUPTIONS = 250


@pytest.fixture(scope="module")
def chain(devnet_session: Devnet) -> Iterator[ProvenChain]:
    with devnet_session.undone():
        yield ProvenChain.deploy(devnet_session, srs_of(D).tau_g2)


@pytest.fixture(scope="module")
def rounds(chain: ProvenChain) -> dict[str, ProvenRound]:
    return {name: proven_round(n, p, D, chain.market, seed=n) for name, (n, p) in SHAPES.items()}


@pytest.mark.parametrize("name", SHAPES)
def test_a_proof_from_python_is_accepted(chain: ProvenChain, rounds: dict[str, ProvenRound], name: str) -> None:
    found = rounds[name]
    assert chain.verify(found.statement, found.evidence()) is False, "nobody vouches for the bytes"
    decoded = decode_evidence(found.evidence(), found.statement.previous_model, found.card is not None)
    assert decoded.proof == found.proof


def test_the_contract_says_what_it_was_made_with(chain: ProvenChain) -> None:
    def asked(name: str):
        return chain.abi.decode_result(name, chain.devnet.client.call(chain.verifier, chain.abi.encode_call(name)))

    assert tuple(asked("tau")) == tuple(srs_of(D).tau_g2)
    assert parse_address(asked("POLICY")) == parse_address(chain.policy)
    assert asked("POLICY_HASH") == keccak(text="hinted policy")


def test_witnesses_signatures_from_python_make_a_model_receipted(
    chain: ProvenChain, rounds: dict[str, ProvenRound]
) -> None:
    found, statement = rounds["n3p1"], rounds["n3p1"].statement
    cids = [bytes((1, 0x55, 0x12, 0x20)) + keccak(text=name) for name in ("model", "bundle")]
    hashes = {"nextModelCid": keccak(cids[0]), "bundleCid": keccak(cids[1])}

    def signed(count: int, market: MarketId) -> list[tuple[int, bytes]]:
        message = model_bytes_message(market, statement.project, statement.round, statement.next_model, *cids)
        return [(k, sign(message, chain.devnet.account("witness", k))) for k in range(count)]

    assert chain.verify(statement, found.evidence(signed(QUORUM, chain.market)), **hashes) is True
    with pytest.raises(TransactionReverted):
        chain.verify(statement, found.evidence(signed(QUORUM - 1, chain.market)), **hashes)
    with pytest.raises(TransactionReverted):
        chain.verify(statement, found.evidence(signed(QUORUM, replace(chain.market, chain_id=1))), **hashes)
    with pytest.raises(TransactionReverted):
        chain.verify(statement, found.evidence(signed(QUORUM, chain.market)), nextModelCid=CIDS[0])


def test_every_field_of_the_statement_is_bound(chain: ProvenChain, rounds: dict[str, ProvenRound]) -> None:
    found = rounds["n3p1"]
    other = keccak(text="another")
    changes = {
        "market": "0x" + "c3" * 20,
        "project": found.statement.project + 1,
        "round": found.statement.round + 1,
        "dimension": D + 1,
        "admittedHash": other,
        "validation": other,
        "publicRows": other,
        "policyHash": other,
        "outcomesHash": other,
        "previousModel": compress(add(found.statement.step, found.statement.step)),
        "nextModel": found.statement.previous_model,
    }
    for name, value in changes.items():
        with pytest.raises(TransactionReverted):
            chain.verify(found.statement, found.evidence(), **{name: value})


def test_another_verifier_refuses_the_proof(chain: ProvenChain, rounds: dict[str, ProvenRound]) -> None:
    with chain.devnet.undone():
        second = ProvenChain.deploy(chain.devnet, srs_of(D).tau_g2)
        found = rounds["n2"]
        with pytest.raises(TransactionReverted):
            second.verify(found.statement, found.evidence())


def test_another_reference_string_refuses_the_proof(chain: ProvenChain) -> None:
    """The proof is honest and its statement names this verifier; only tau is another's."""
    with chain.devnet.undone():
        tau = (*srs_of(D).tau_g2[:2], *(_negative(part) for part in srs_of(D).tau_g2[2:]))
        second = ProvenChain.deploy(chain.devnet, tau)
        found = proven_round(2, 0, D, second.market, seed=2)
        with pytest.raises(TransactionReverted):
            second.verify(found.statement, found.evidence())


def _negative(coordinate: int) -> int:
    return FIELD - coordinate


def test_contract_and_reference_verifier_refuse_the_same(chain: ProvenChain, rounds: dict[str, ProvenRound]) -> None:
    """Changes of the proof that keep its form: whoever verifies, in Python or on chain, sees them."""
    found = rounds["n3p1"]
    proof, tau = found.proof, srs_of(D).tau_g2
    changed = [
        replace(proof, v1=(proof.v1 + 1) % ORDER),
        replace(proof, v2=(proof.v2 + 1) % ORDER),
        replace(proof, s1=(proof.s1 + 1) % ORDER),
        replace(proof, h=(proof.h + 1) % ORDER),
        replace(proof, v1=proof.v2, v2=proof.v1),
        *(
            replace(proof, **{name: change(getattr(proof, name))})
            for name in ("correlation", "quotient", "opening")
            for change in (negate, lambda point: add(point, Point(1, 2)), lambda point: Point(0, 0))
        ),
        replace(proof, quotient=proof.opening, opening=proof.quotient),
    ]
    verify(found.statement, proof, tau)
    for wrong in changed:
        with pytest.raises(ProofInvalid):
            verify(found.statement, wrong, tau)
        with pytest.raises(TransactionReverted):
            chain.verify(found.statement, replace(found, proof=wrong).evidence())


def test_no_corrupted_evidence_passes(chain: ProvenChain, rounds: dict[str, ProvenRound]) -> None:
    """Bits, bytes, words, blocks, lengths; 1,200 more in contracts/test/attacks/Proofs.t.sol."""
    rng = Random("corruptions")
    for number in range(CORRUPTIONS):
        found = rounds["n2" if number % 4 else "n3p1"]
        right = found.evidence()
        wrong = _corrupted(right, rng)
        if wrong == right:
            continue
        with pytest.raises(TransactionReverted):
            chain.verify(found.statement, wrong)


def _corrupted(data: bytes, rng: Random) -> bytes:
    at, length = rng.randrange(len(data)), rng.choice((1, 32, 64, 69))
    match rng.randrange(6):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + rng.randbytes(length) + data[at + length :]
        case 2:
            return data[:at] + bytes(length) + data[at + length :]
        case 3:
            return data[:at] + data[at + length :]
        case 4:
            return data[:at] + rng.randbytes(length) + data[at:]
        case _:
            other = rng.randrange(len(data))
            return data[:at] + data[other : other + length] + data[at + length :]


def test_a_wrong_proof_costs_no_more_than_a_right_one(chain: ProvenChain, rounds: dict[str, ProvenRound]) -> None:
    """A precompile that is given a malformed point takes all the gas it gets: no such point reaches one."""
    found, client = rounds["n3p1"], chain.devnet.client
    sender = chain.devnet.account("anyone").address
    _, right = chain.send(found.statement, found.evidence())
    client.rpc("anvil_impersonateAccount", [sender])
    rng = Random("gas")
    for _ in range(20):
        request = chain.request(found.statement, _corrupted(found.evidence(), rng))
        fields = {"from": sender, "to": chain.verifier, "data": "0x" + request.data.hex(), "gas": hex(10_000_000)}
        receipt, hash = None, client.rpc("eth_sendTransaction", [fields])
        while receipt is None:  # mined at once, but in its own time
            receipt = client.rpc("eth_getTransactionReceipt", [hash])
        assert int(receipt["status"], 16) == 0
        assert int(receipt["gasUsed"], 16) < right.gas_used * 1.05
    client.rpc("anvil_stopImpersonatingAccount", [sender])
