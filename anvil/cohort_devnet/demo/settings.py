"""What a run was asked to be, and what follows from it: who cheats and how, and the run's money."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cohort_protocol.chain.profiles import PROFILES
from cohort_protocol.chain.terms import minimum_bond, minimum_stake
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import MAX_SLOTS
from cohort_protocol.payout import distributable, protocol_fee
from eth_utils import keccak

from cohort_devnet.demo.report import HONEST, Prices
from cohort_devnet.node import repository_root

MAX_ROUNDS = 500
DEFAULT_ATTACKS = ("sign_flip", "noise", "replay_step")
ATTACKS_FOLDER = Path("tests") / "attacks"

TOKEN = 10**18
"""Base units of one token."""
ROUND_BUDGET = 1000 * TOKEN
AGGREGATOR_FEE = 20 * TOKEN
PROTOCOL_FEE = protocol_fee(ROUND_BUDGET, PROFILES["devnet"].protocol_fee_bps)
DISTRIBUTABLE = distributable(ROUND_BUDGET, AGGREGATOR_FEE, PROTOCOL_FEE)
"""D: the most that a round pays to its trainers."""
BOND = minimum_bond(ROUND_BUDGET)
"""Of the aggregator for each round: half of the budget, the least that the contract takes."""
OWNER_FUNDS = 1_000_000 * TOKEN

WITNESSES = 3
QUORUM = 2

PRICES = Prices(gas_price_gwei=1.0, ether_usd=3000.0, token_usd=1.0)
"""Assumed, to put gas and tokens into one currency; on a rollup gas costs a hundredth of this or less."""


class DemoSettingsInvalid(InvalidInput):
    """The command line asks for a market that cannot be."""

    code = "demo-settings-invalid"


@dataclass(frozen=True)
class DemoSettings:
    """A run of `cohort demo`. Raises `DemoSettingsInvalid`."""

    report: Path
    rounds: int = 10
    trainers: int = 8
    cheaters: int = 2
    seed: int = 7
    ipfs: str = "embedded"
    """`embedded`, `kubo`, or the URL of a store."""
    attacks: tuple[str, ...] = DEFAULT_ATTACKS
    """Names of files in tests/attacks/, or `file.py:function`. Cheats beyond their number start over."""
    cheat_at: tuple[int, ...] | None = None
    """Numbers of the trainers that cheat, from 1; None: by the seed."""
    database_url: str | None = None
    broker_url: str | None = None
    port: int = 0
    settlement: str = "proven"
    """What rounds rest on: `proven` (a proof that the contract checks) or `attested` (witnesses' signatures)."""
    private: bool = False
    """Updates are sealed for the witnesses and the aggregator."""
    keep: bool = False
    drama: bool = False
    commit_seconds: int = 120
    """Upper bounds of the phases: each ends as soon as everyone has acted."""
    self_commit_seconds: int = 20
    """The last part of the commit phase, for trainers themselves."""
    reveal_seconds: int = 60
    rescue_seconds: int = 30
    settle_seconds: int = 120
    takeover_seconds: int = 60

    def __post_init__(self) -> None:
        # Processes of the run start in folders of their own: a relative path would mean something else to each.
        object.__setattr__(self, "report", self.report.absolute())
        self._within("--rounds", self.rounds, 1, MAX_ROUNDS)
        self._within("--trainers", self.trainers, 1, MAX_SLOTS)
        self._within("--cheaters", self.cheaters, 0, self.trainers)
        self._within("--seed", self.seed, 0, 2**32 - 1)
        if self.settlement not in ("proven", "attested"):
            raise DemoSettingsInvalid(f"--settlement {self.settlement!r} is neither proven nor attested")
        if self.private and self.settlement != "proven":
            raise DemoSettingsInvalid(
                "--private needs rounds that prove themselves: nobody could check sealed updates of attested ones. "
                "Leave --settlement attested away"
            )
        if self.cheaters and not self.attacks:
            raise DemoSettingsInvalid("--attacks names no attack: name one, or run with --cheaters 0")
        if self.keep and self.trainers >= MAX_SLOTS:
            raise DemoSettingsInvalid(
                f"--keep leaves a place for one more trainer, a round has {MAX_SLOTS}: use --trainers {MAX_SLOTS - 1}"
            )
        places = self.cheat_at
        if places is not None and (
            len(places) != self.cheaters
            or len(set(places)) != len(places)
            or not all(1 <= place <= self.trainers for place in places)
        ):
            raise DemoSettingsInvalid(
                f"--cheat-at {','.join(map(str, places))} must name {self.cheaters} different trainers out of "
                f"1 .. {self.trainers} (see --cheaters)"
            )

    @staticmethod
    def _within(option: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise DemoSettingsInvalid(f"{option} {value} is outside {low} .. {high}")

    # --- roles -------------------------------------------------------------------------------------------------

    def cheats(self) -> dict[int, str]:
        """Index of each cheating trainer (from 0) -> its training function as `file.py:function`."""
        if self.cheat_at is not None:
            places = [place - 1 for place in self.cheat_at]
        else:
            places = sorted(range(self.trainers), key=lambda index: keccak(text=f"{self.seed}/cheat/{index}"))
            places = places[: self.cheaters]
        return {place: attack_function(self.attacks[n % len(self.attacks)]) for n, place in enumerate(places)}

    def roles(self) -> list[str]:
        """`honest` or the attack's name, by trainer."""
        cheats = self.cheats()
        return [attack_name(cheats[index]) if index in cheats else HONEST for index in range(self.trainers)]

    # --- money -------------------------------------------------------------------------------------------------

    @property
    def deposit(self) -> int:
        """What the owner pays in: the budget of every round."""
        return self.rounds * ROUND_BUDGET

    @property
    def stake(self) -> int:
        """Twice an equal share of what a round distributes, the least that the contract takes."""
        return minimum_stake(DISTRIBUTABLE, self.trainers)

    @property
    def min_trainers(self) -> int:
        """At most half of the places, as the contract asks."""
        return max(1, min(3, self.trainers // 2))

    # --- places ------------------------------------------------------------------------------------------------

    @property
    def run_folder(self) -> Path:
        """Homes, block store, database, broker and logs of the run."""
        return self.report / "run"

    @property
    def chain_state(self) -> Path:
        return self.report / "chain-state.json"

    @property
    def deployment_file(self) -> Path:
        return self.report / "deployment.json"


def attack_function(attack: str) -> str:
    """`file.py:function` of an attack by name or by that. Raises `DemoSettingsInvalid` if there is no such file."""
    where, colon, function = attack.rpartition(":")
    folder = repository_root() / ATTACKS_FOLDER
    file = Path(where) if colon else folder / f"{attack}.py"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))
        raise DemoSettingsInvalid(f"no attack {attack!r}: use one of {known}, or file.py:function of your own")
    return f"{file.resolve()}:{function if colon else 'train'}"


def attack_name(function: str) -> str:
    """The role that the report gives to a training function: its file's name."""
    return Path(function.rpartition(":")[0]).stem
