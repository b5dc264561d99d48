"""Gas of every call of a round, per call and per trainer, on a local chain that this benchmark starts.

    python -m benchmarks.gas [--quick] [--json FILE]

Real transactions on Anvil (Cancun), receipts' `gasUsed`: base fee of a transaction (21,000) and calldata included.
"First" is a project's first round, "steady" its third: the first pays for slots that later ones only change. The
calldata share is computed from the transaction's bytes (EIP-2028: 16 gas a byte, 4 for zero). Beside it: a contract
that records two scores per source and does nothing else, as arXiv 2511.07577 describes its own (cited there: 25,766
gas per source in a batch of 20, 53,140 alone).
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cohort_devnet.accounts import demo_account, fund
from cohort_devnet.compiler import Selection, ensure_artifacts
from cohort_devnet.deployment import deploy
from cohort_devnet.node import AnvilNode, DevnetControl, repository_root
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import ContractAbi
from cohort_protocol.chain.journal import MemoryJournal
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.terms import minimum_stake
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.payout import pays
from eth_account.signers.local import LocalAccount

from benchmarks.table import Row, print_table, write_json
from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BUDGET, DISTRIBUTABLE, ONE, Scene

PEER = Selection(
    contracts={"SourceScores": ("test/gas/peer/SourceScores.sol:SourceScores",)},
    sources=("test/gas/peer",),
    folder="artifacts/peer",
)
BASE = 21_000
MOST_GAS = 2**24
"""EIP-7825: the most gas that one transaction may use."""
MOST_BYTES = 128 * 1024
"""What most nodes accept of one transaction."""
STEPS = ("commitBatch", "reveal", "settle")


@dataclass
class Measured:
    """One transaction."""

    gas: int
    calldata: int
    """Gas of its calldata."""
    size: int
    """Bytes of its calldata."""


class Gauge(Devnet):
    """A local chain that remembers what the newest transaction cost."""

    last: Measured = Measured(0, 0, 0)

    def send(self, account: LocalAccount, request: TransactionRequest):
        receipt = super().send(account, request)
        zeros = request.data.count(0)
        self.last = Measured(receipt.gas_used, 4 * zeros + 16 * (len(request.data) - zeros), len(request.data))
        return receipt


@dataclass
class RoundGas:
    """What one round cost, by call."""

    calls: dict[str, Measured] = field(default_factory=dict)

    def per_trainer(self, n: int) -> float:
        return sum(self.calls[step].gas for step in STEPS) / n

    def calldata_per_trainer(self, n: int) -> float:
        return sum(self.calls[step].calldata for step in STEPS) / n


def terms_for(n: int, **changes) -> dict:
    """Changes of the scene's terms for a project with n slots."""
    stake = minimum_stake(DISTRIBUTABLE, n)
    return {"slots": n, "min_trainers": max(1, min(2, n // 2)), "rounds": 1000, "stake": stake} | changes


def run_round(scene: Scene, gauge: Gauge) -> RoundGas:
    """One attested round in which everybody takes part, measured."""
    found = RoundGas()
    scene.open()
    found.calls["accept + openRound"] = gauge.last
    scene.commit()
    found.calls["commitBatch"] = gauge.last
    scene.reveal()
    found.calls["reveal"] = gauge.last
    scene.settle(scores_of(len(scene.trainers)))
    found.calls["settle"] = gauge.last
    return found


def scores_of(n: int) -> list[int]:
    """Uneven, and with as many bytes that are not zero as real ones have: those cost more."""
    return [ONE * (601 + 97 * index % 800) // 1000 for index in range(n)]


def measure_rounds(gauge: Gauge, n: int) -> tuple[RoundGas, RoundGas]:
    """First and steady round with n trainers."""
    with gauge.undone():
        scene = Scene.create(gauge, n, deposit=10 * BUDGET, **terms_for(n))
        first = run_round(scene, gauge)
        run_round(scene, gauge)
        steady = run_round(scene, gauge)
        scene.money_holds()
        return first, steady


def measure_other_paths(gauge: Gauge) -> list[Row]:
    """Own commitments, rescue, slash, void and default: n = 8."""
    rows = []
    with gauge.undone():
        scene = Scene.create(gauge, 8, deposit=10 * BUDGET, **terms_for(8))
        for name in ("first in a project", "later"):
            scene.open()
            for trainer in scene.trainers:
                scene.commit_self(trainer)
            goal = 60_000 if name == "later" else None
            rows.append(Row(f"commitSelf, {name}", gauge.last.gas, "gas", goal=goal))
            scene.reveal()
            rows.append(Row(f"reveal of 8 own commitments, {name}", gauge.last.gas, "gas"))
            scene.settle([ONE] * 8)
        rows += _measure_unresolved(gauge, scene)
    return rows


def _measure_unresolved(gauge: Gauge, scene: Scene) -> list[Row]:
    """A round in which six of eight reveal, one is rescued and one slashed, and which nobody settles."""
    market, anyone = scene.market, gauge.account("anyone")
    scene.open()
    scene.commit()
    scene.reveal(scene.trainers[:6])
    view = scene.view()
    gauge.control.warp_to(view.reveal_end)
    scene.rescue(scene.trainers[6:7])
    rows = [Row("rescue of one", gauge.last.gas, "gas")]
    gauge.control.warp_to(view.rescue_end)
    member = scene.number_of(scene.trainers[7])
    gauge.send(anyone, market.slash_no_reveal(scene.project, scene.round_number(), member, scene.batch))
    rows.append(Row("slashNoReveal of one", gauge.last.gas, "gas"))
    gauge.control.warp_to(view.settle_end)
    gauge.send(anyone, market.close_round(scene.project, scene.round_number(), scene.admissions))
    rows.append(Row("closeRound, defaulted, 6 rows", gauge.last.gas, "gas"))
    return rows


def measure_claims(gauge: Gauge, n: int, rounds: int = 10) -> list[Row]:
    """One claim for several rounds: a trainer's first such claim, which pays for fresh slots, and its second."""
    rows = []
    with gauge.undone():
        scene = Scene.create(gauge, n, deposit=(2 * rounds + 1) * BUDGET, **terms_for(n))
        trainer = scene.trainers[n // 2]
        for name, goal in (("first ", None), ("", 12_000)):
            items = []
            for _ in range(rounds):
                run_round(scene, gauge)
                items.append(_claim_item(scene, n))
            gauge.send(trainer, scene.market.claim(scene.project, scene.number_of(trainer), items))
            each = gauge.last.gas / rounds
            rows.append(Row(f"{name}claim of {rounds} rounds of {n}, per round", each, "gas", goal=goal))
    floor = claim_floor(rounds, gauge.last)
    rows += [Row(f"claim floor: {part}", gas / rounds, "gas per round") for part, gas in floor.items()]
    return [*rows, Row("claim floor: sum", sum(floor.values()) / rounds, "gas per round")]


def claim_floor(rounds: int, found: Measured) -> dict[str, float]:
    """What no claim on a root for each round can go below, by part, gas (EIP-2028, 2929, 2200; Yellow Paper)."""
    return {
        "transaction": BASE,
        "calldata": found.calldata,
        "payout roots (cold reads)": 2_100 * rounds,
        "token transfer (call, two balances, event)": 2_600 + 2 * 5_000 + 1_756,
        "claimed rounds, claimable (two slots that change)": 2 * 5_000,
        "project, member, terms (cold reads)": 2 * 2_100 + 2_600,
        "event": 375 * 5 + 8 * 32 * 3,
    }


def _claim_item(scene: Scene, n: int):
    scores = scores_of(n)
    pay = pays(scores, [0] * n, DISTRIBUTABLE, scene.terms.score_floor, scene.terms.share_cap)
    return scene.tree(scene.round_number(), scene.rows, pay).claim_item(n // 2)


def measure_age(gauge: Gauge, departed: int, rounds: int) -> list[Row]:
    """Settlement of a late round in a project that many trainers have left, against its first round."""
    with gauge.undone():
        scene = Scene.create(gauge, 3, deposit=(rounds + 1) * BUDGET, **terms_for(8))
        first = run_round(scene, gauge).calls["settle"].gas
        market = scene.market
        for index in range(departed):
            guest = gauge.account("guest", index)
            gauge.give_tokens(guest, scene.terms.stake)
            gauge.send(guest, market.join(scene.project))
            gauge.send(guest, market.leave(scene.project))
        late = 0
        for _ in range(rounds - 1):
            late = run_round(scene, gauge).calls["settle"].gas
    change = 100 * abs(late - first) / first
    name = f"settle of round {rounds} after {departed} departures, change against round 1"
    return [Row(name, change, "%", goal=2.0)]


def measure_peer(gauge: Gauge) -> dict[str, float]:
    """Gas of recording two scores per source, by case."""
    artifact = ensure_artifacts(repository_root(), selection=PEER)["SourceScores"]
    abi, owner = ContractAbi(artifact.abi), gauge.account("peer")
    code = bytes.fromhex(artifact.bytecode.removeprefix("0x"))
    at = gauge.send(owner, TransactionRequest(to="", data=code, describe="create SourceScores")).contract_address or ""

    def gas_of(name: str, *arguments) -> int:
        gauge.send(owner, TransactionRequest(at, abi.encode_call(name, *arguments), describe=name))
        return gauge.last.gas

    sources = list(range(1, 21))
    first = gas_of("updateBatch", sources, [5000] * 20, [7000] * 20) / 20
    steady = gas_of("updateBatch", sources, [5100] * 20, [7100] * 20) / 20
    alone = gas_of("update", 99, 5000, 7000)
    return {"first, batch of 20": first, "steady, batch of 20": steady, "first, alone": alone}


def floor_of(n: int, found: RoundGas) -> dict[str, float]:
    """What no contract with these rules can go below, by part, gas per trainer (EIP-2028, 2929, 3529; Yellow Paper)."""
    cells = -(-n // 4)
    return {
        "three transactions": 3 * BASE / n,
        "calldata": found.calldata_per_trainer(n),
        "signature (ecrecover)": 3_000,
        "member slot (cold read)": 2_100,
        "standing record (four to a slot)": 5_000 * cells / n,
        "events": 8 * (36 + 69 + 32),
        "payout root (fresh slot)": 22_100 / n,
        "seven slots of the round that change": 7 * 5_000 / n,
        "four witness signatures": 4 * 3_000 / n,
    }


def rows_of(n: int, first: RoundGas, steady: RoundGas) -> list[Row]:
    rows = []
    for name, call in steady.calls.items():
        rows.append(Row(f"n={n} steady: {name}", call.gas, "gas", anchor=first.calls[name].gas))
    goal = 26_000 if n == 20 else None
    rows.append(Row(f"n={n} steady: per trainer", steady.per_trainer(n), "gas", goal=goal))
    rows.append(Row(f"n={n} steady: per trainer, calldata apart", _apart(n, steady), "gas"))
    rows.append(Row(f"n={n} steady: calldata share per trainer", steady.calldata_per_trainer(n), "gas"))
    rows.append(Row(f"n={n} first: per trainer", first.per_trainer(n), "gas"))
    return rows


def _apart(n: int, found: RoundGas) -> float:
    return found.per_trainer(n) - found.calldata_per_trainer(n)


def run(gauge: Gauge, quick: bool) -> list[Row]:
    """All rows; `quick` leaves out sizes and the long life of a project."""
    rows: list[Row] = []
    largest = RoundGas()
    for n in (8, 20, 32) if quick else (1, 8, 20, 32):
        first, steady = measure_rounds(gauge, n)
        rows += rows_of(n, first, steady)
        if n == 20:
            rows += [Row(f"n=20 floor: {part}", gas, "gas per trainer") for part, gas in floor_of(n, steady).items()]
            rows.append(Row("n=20 floor: sum", sum(floor_of(n, steady).values()), "gas per trainer"))
        largest = steady
    rows.append(
        Row("n=32: largest call", max(c.gas for c in largest.calls.values()), "gas", goal=min(16_700_000, MOST_GAS))
    )
    rows.append(Row("n=32: largest calldata", max(c.size for c in largest.calls.values()), "bytes", goal=MOST_BYTES))
    rows += measure_other_paths(gauge)
    rows += measure_claims(gauge, 20)
    rows += measure_age(gauge, *((30, 20) if quick else (1000, 200)))
    cited = {"first, batch of 20": 25_766, "first, alone": 53_140}
    for name, gas in measure_peer(gauge).items():
        rows.append(Row(f"two scores per source, {name}", gas, "gas per source", anchor=cited.get(name)))
    return rows


def start(home: Path):
    """A chain with the contracts; use as a context manager for its node."""
    artifacts = ensure_artifacts(repository_root())
    node = AnvilNode(home)
    return node, artifacts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a shorter life of the project that is settled last")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        node, artifacts = start(Path(home))
        with node:
            client = ChainClient(node.url, node.chain_id)
            deployer, control = demo_account(0, "deployer"), DevnetControl(client)
            fund(control, [deployer.address])
            deployment = deploy(client, TransactionSender(client, deployer, MemoryJournal()), artifacts)
            market, token = Market(client, deployment.market), Token(client, deployment.token or "")
            rows = run(Gauge(node, client, control, deployment, market, token), options.quick)
    print_table("Gas of an attested round (anchor of a call: the first round of the project)", rows)
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
