"""A project on a real chain with a real database and block store, and everybody who takes part in its rounds.

Trainers hand in through the backend's own intake, witnesses answer with the witness's own code; what the worker does is
what the tests are about.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from cohort_backend.database import Database, JobMessage
from cohort_backend.migrations import upgrade
from cohort_backend.settlements import repository as settlements
from cohort_backend.settlements import service as settlements_service
from cohort_backend.updates import receipts as receipts_service
from cohort_backend.updates import service as updates_service
from cohort_protocol import commitments
from cohort_protocol.chain.packed import Opening
from cohort_protocol.chain.terms import minimum_bond, minimum_stake
from cohort_protocol.chain.types import ProjectTerms, Windows
from cohort_protocol.commitments import ZERO32, MarketId
from cohort_protocol.identifiers import RoundKey, parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.learning.batches import BatchTree, card_of, draw_batches, encode_batch
from cohort_protocol.learning.data import Dataset
from cohort_protocol.phases import Phase
from cohort_protocol.proof.project_srs import scheme_of
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.proof.srs import open_srs
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.sealing.project import Sealing, sealing_of
from cohort_protocol.sealing.readers import public_key
from cohort_protocol.service.messages import (
    CommitIntake,
    ModelRef,
    RevealIntake,
    RevealItem,
    RevealSet,
    SettlementProposal,
)
from cohort_protocol.spec import DataSpec, ModelSpec, PolicySpec, ProjectSpec
from cohort_protocol.update import encode_model, encode_update
from cohort_worker.parts import WorkerParts, build_parts
from cohort_worker.settings import WorkerSettings
from cohort_worker.witness.history import ChainHistory
from cohort_worker.witness.receipts import RevealChecker, RevealRules, check_set, make_receipt
from cohort_worker.witness.settlement import check_proposal, fetch_spec, gather_inputs, make_signature
from eth_account.signers.local import LocalAccount

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import by_address, make_terms

DIMENSION = 200
DATA = DataSpec(shape=[4], classes=2)
EXPONENT = -14
BUDGET = 1_000_000
AGGREGATOR_FEE = 1000
PASSWORD = "correct horse"


WINDOWS = Windows(commit=600, guard=0, reveal=600, rescue=600, settle=600, takeover=600, self_commit=0)
SHORT = Windows(commit=100, guard=0, reveal=100, rescue=100, settle=100, takeover=100, self_commit=0)
"""For tests that let deadlines pass."""


def write_keystore(account: LocalAccount, folder: Path) -> tuple[Path, Path]:
    """(keystore, password file) of an account, with few rounds of key derivation so that tests are quick."""
    folder.mkdir(parents=True, exist_ok=True)
    keystore, password = folder / f"{account.address}.json", folder / f"{account.address}.password"
    if not keystore.exists():
        encrypted = account.encrypt(PASSWORD, kdf="pbkdf2", iterations=1000)
        keystore.write_text(json.dumps(encrypted))
        password.write_text(PASSWORD + "\n")
    return keystore, password


def make_batches(rounds: int) -> list[tuple[Dataset, int]]:
    """(batch, round): two clouds of points."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 128 * rounds)
    inputs = random.normal(size=(len(labels), 4)) + 2 * labels[:, None]
    examples = Dataset(inputs.astype(np.float32), labels.astype(np.int64))
    return [(batch, number) for number, batch in enumerate(draw_batches(examples, rounds), 1)]


@dataclass
class Update:
    """What a trainer has made in a round."""

    values: np.ndarray
    cid: Cid
    commitment: bytes
    """Of the values."""
    salt: bytes


@dataclass
class Stage:
    """One project."""

    devnet: Devnet
    home: Path
    store: EmbeddedStore
    spec: ProjectSpec
    terms: ProjectTerms
    project: int
    owner: LocalAccount
    aggregator: LocalAccount
    """Ours: the worker's key."""
    rival: LocalAccount
    """Another aggregator, of projects that were created with `rivals`."""
    witnesses: list[LocalAccount]
    trainers: list[LocalAccount]
    """In the order in which they joined, so increasing by member number; not by address."""
    batches: list[tuple[Dataset, int]] = field(default_factory=list)
    """The owner's, with their rounds."""
    sent: list[JobMessage] = field(default_factory=list)
    updates: dict[tuple[int, str], Update] = field(default_factory=dict)
    database_url: str = ""
    """SQLite in `home` if empty."""
    srs: Path | None = None
    """Of a proven project; None: it is attested."""
    _parts: WorkerParts | None = None
    _others: list[WorkerParts] = field(default_factory=list)

    @classmethod
    def create(
        cls,
        devnet: Devnet,
        home: Path,
        *,
        trainers: int = 3,
        rounds: int = 3,
        rivals: bool = False,
        bonds: int = 2,
        policy: str = "peer",
        batches: bool = False,
        srs: Path | None = None,
        private: bool = False,
        **terms: Any,
    ) -> Stage:
        """Creates and funds a project, and lets everybody join.

        rivals: the project names a second aggregator. bonds: so many are in the account of each aggregator.
        batches: the owner has a validation batch for every round. srs: the project is proven, with this reference
        string; the chain's market needs a verifier for it. private: updates are sealed for witnesses and aggregators.
        """
        store = EmbeddedStore(home / "ipfs")
        witnesses = by_address([devnet.account("witness", index) for index in range(3)])
        owner, aggregator, rival = (
            devnet.account("owner"),
            devnet.account("aggregator"),
            devnet.account("aggregator", 1),
        )
        aggregators = by_address([aggregator, rival] if rivals else [aggregator])
        readers = [f"0x{public_key(bytes(one.key)).hex()}" for one in (*witnesses, *aggregators)]
        config = {"hidden": [8]}
        dimension = parse_architecture("mlp", config, DATA).dimension if batches else DIMENSION
        model = np.random.default_rng(1).integers(-(2**30), 2**30, dimension)
        owned = make_batches(rounds) if batches else []
        settlement = "attested" if srs is None else "proven"
        initial = scheme_of(settlement, None if srs is None else open_srs(srs)).model(model)
        spec = ProjectSpec(
            title="stage",
            model=ModelSpec(
                family="mlp",
                config=config if batches else {},
                initial_cid=str(store.put(encode_model(model))),
                initial_commitment=to_hex(initial),
                dimension=dimension,
                exponent=EXPONENT,
            ),
            data=DATA,
            policy=PolicySpec(name=policy),
            settlement=settlement,
            readers=readers if private else [],
        )
        spec_cid = store.put(spec.to_bytes())
        slots = terms.get("slots", max(4, trainers))
        fields: dict[str, Any] = {
            "spec_digest": spec_cid.digest,
            "policy_hash": policy_by_name(policy).policy_hash(),
            "validation_root": BatchTree([card_of(*one).digest for one in owned]).root if owned else ZERO32,
            "initial_model": initial,
            "round_budget": BUDGET,
            "aggregator_fee": AGGREGATOR_FEE,
            "stake": minimum_stake(BUDGET, slots),
            "bond": minimum_bond(BUDGET),
            "score_floor": 2**20,
            "rounds": rounds,
            "dimension": dimension,
            "exponent": EXPONENT,
            "slots": slots,
            "share_cap": 4,
            "windows": WINDOWS,
            **terms,
        }
        if srs is not None:
            fields["verifier"] = devnet.deployment.proven_verifier
            fields["verifier_code_hash"] = parse_bytes32(devnet.deployment.code_hashes["ProvenVerifier"])
        names = [witness.address for witness in witnesses], [one.address for one in aggregators]
        agreed = make_terms(devnet, *names, **fields)
        devnet.give_tokens(owner, rounds * BUDGET)
        devnet.send(owner, devnet.market.create_project(agreed, rounds * BUDGET))
        stage = cls(
            devnet,
            home,
            store,
            spec,
            agreed,
            devnet.market.project_count(),
            owner,
            aggregator,
            rival,
            witnesses,
            [devnet.account("trainer", index) for index in range(trainers)],
            owned,
            srs=srs,
        )
        for one in aggregators:
            devnet.send(owner, devnet.token.mint(one.address, bonds * agreed.bond))
        for trainer in stage.trainers:
            devnet.give_tokens(trainer, agreed.stake)
            devnet.send(trainer, devnet.market.join(stage.project))
        return stage

    # --- the worker ---------------------------------------------------------------------------------------------------

    def settings(self, account: LocalAccount | None = None, **changes: Any) -> WorkerSettings:
        """Settings of a worker of this stage's aggregator, or of another one."""
        keystore, password = write_keystore(account or self.aggregator, self.home / "keys")
        deployment = self.devnet.deployment
        fields: dict[str, Any] = {
            "database_url": self.database_url or f"sqlite:///{self.home}/market.db",
            "broker_url": f"filesystem://{self.home}/broker",
            "chain_url": self.devnet.node.url,
            "chain_id": deployment.chain_id,
            "market": deployment.market,
            "verifier": deployment.verifier,
            "policy": deployment.policy,
            "start_block": deployment.block,
            "ipfs_url": f"file://{self.home}/ipfs",
            "aggregator_keystore": keystore,
            "aggregator_password_file": password,
            "open_delay": 0,
            "retry_seconds": 0.1,
            "proven_verifier": deployment.proven_verifier,
            "srs": self.srs,
            "prover": "python",
            "prover_folder": self.home / "proving",
            **changes,
        }
        return WorkerSettings(**fields)

    @property
    def parts(self) -> WorkerParts:
        """A worker's parts in this process; messages of jobs end in `sent`."""
        if self._parts is None:
            self._parts = build_parts(self.settings(), self.sent.extend, self.aggregator)
            upgrade(self._parts.database)
        return self._parts

    @cached_property
    def scheme(self) -> CommitmentScheme:
        """How the project commits to updates and models."""
        return scheme_of(self.spec.settlement, None if self.srs is None else open_srs(self.srs))

    @property
    def sealing(self) -> Sealing:
        """How the project's updates are published."""
        return sealing_of(self.spec, self.identity.chain_id, self.identity.market, self.project)

    def store_of(self, reader: LocalAccount) -> IpfsStore:
        """The store as the holder of a key reads it."""
        return self.sealing.opened(self.store, bytes(reader.key))

    @property
    def database(self) -> Database:
        return self.parts.database

    def other_worker(self, account: LocalAccount, **changes: Any) -> WorkerParts:
        """The parts of another aggregator's worker, with a database of its own."""
        url = f"sqlite:///{self.home}/other{len(self._others)}.db"
        parts = build_parts(self.settings(account, database_url=url, **changes), [].extend, account)
        upgrade(parts.database)
        self._others.append(parts)
        return parts

    def close(self) -> None:
        for parts in (*self._others, self._parts):
            if parts is not None:
                parts.close()

    # --- what the chain says ------------------------------------------------------------------------------------------

    @property
    def market(self):
        return self.devnet.market

    @property
    def identity(self) -> MarketId:
        return self.market.identity(self.project)

    @property
    def round(self) -> int:
        return self.market.progress_of(self.project).round

    @property
    def key(self) -> RoundKey:
        return RoundKey(self.project, self.round)

    def view(self):
        return self.market.round_of(self.project, self.round, ref="pending")

    def phase(self) -> Phase:
        return self.view().phase

    # --- trainers -----------------------------------------------------------------------------------------------------

    def number_of(self, trainer: LocalAccount) -> int:
        """The trainer's number in the project."""
        return self.market.member_of(self.project, trainer.address).number

    def update_of(self, trainer: LocalAccount) -> Update:
        """The trainer's update in the running round: around a direction that all share."""
        number = self.round
        found = self.updates.get((number, trainer.address))
        if found is None:
            shared = np.random.default_rng(number).normal(size=self.terms.dimension)
            own = np.random.default_rng([number, int(trainer.address, 16) % 2**32]).normal(size=self.terms.dimension)
            values = np.rint(300 * (shared + 0.5 * own)).astype(np.int16)
            found = self.updates[number, trainer.address] = Update(
                values,
                self.store.put(self.sealing.published(encode_update(values), bytes(trainer.key))),
                self.scheme.update(values),
                commitments.derive_salt(bytes(trainer.key), self.identity, self.project, number),
            )
        return found

    def publish_elsewhere(self, trainer: LocalAccount, cid: Cid) -> None:
        """Before it commits: the trainer's update is said to be at another CID in this round."""
        self.updates[self.round, trainer.address] = replace(self.update_of(trainer), cid=cid)

    def commitment_of(self, trainer: LocalAccount, number: int | None = None) -> bytes:
        update, number = self.update_of(trainer), number or self.round
        member, cid = self.number_of(trainer), bytes(update.cid)
        return commitments.commitment(self.identity, self.project, number, member, update.commitment, cid, update.salt)

    def commit_intake(self, trainer: LocalAccount, signer: LocalAccount | None = None) -> CommitIntake:
        """What the trainer sends to the service. signer: its delegate."""
        digest, member = self.commitment_of(trainer), self.number_of(trainer)
        message = commitments.commit_message(self.identity, self.project, self.round, member, digest)
        return CommitIntake(
            trainer=trainer.address,
            member=member,
            commitment=to_hex(digest),
            signature=to_hex(commitments.sign(message, signer or trainer)),
        )

    def hand_in_commit(
        self, trainer: LocalAccount, signer: LocalAccount | None = None, database: Database | None = None
    ) -> None:
        """Through the API's intake; database: of another worker."""
        intake = self.commit_intake(trainer, signer)
        updates_service.record_commit(database or self.database, self.identity, self.project, self.round, intake)

    def reveal_intake(self, trainer: LocalAccount, number: int | None = None) -> RevealIntake:
        """What the trainer sends to the service for a round, by default the running one."""
        update = self.updates[number, trainer.address] if number else self.update_of(trainer)
        return RevealIntake(
            trainer=trainer.address,
            member=self.number_of(trainer),
            update=to_hex(update.commitment),
            salt=to_hex(update.salt),
            cid=str(update.cid),
        )

    def hand_in_reveal(
        self, trainer: LocalAccount, number: int | None = None, database: Database | None = None
    ) -> None:
        """Through the API's intake; database: of another worker."""
        intake = self.reveal_intake(trainer, number)
        updates_service.record_reveal(
            database or self.database, self.identity, self.project, number or self.round, intake
        )

    # --- the owner ----------------------------------------------------------------------------------------------------

    def reveal_batch(self, publish: bool = True) -> bytes:
        """Shows the running round's batch; its digest. publish: put card and file on the store too."""
        batch, number = self.batches[self.round - 1]
        card = card_of(batch, number)
        if publish:
            self.store.put(encode_batch(batch))
            self.store.put(card.to_bytes())
        tree = BatchTree([card_of(*one).digest for one in self.batches])
        request = self.market.reveal_validation(self.project, number, card.digest, tree.proof(number))
        self.devnet.send(self.owner, request)
        return card.digest

    # --- witnesses ----------------------------------------------------------------------------------------------------

    def reveal_set(self, trainers: Sequence[LocalAccount] | None = None) -> RevealSet:
        """The set that the service would show."""
        items, openings = [], []
        for trainer in sorted(self.trainers if trainers is None else trainers, key=self.number_of):
            update = self.update_of(trainer)
            items.append(
                RevealItem(
                    trainer=trainer.address,
                    member=self.number_of(trainer),
                    commitment=to_hex(self.commitment_of(trainer)),
                    update=to_hex(update.commitment),
                    salt=to_hex(update.salt),
                    cid=str(update.cid),
                )
            )
            openings.append(Opening(items[-1].member, update.commitment, bytes(update.cid), update.salt))
        return RevealSet(openings_hash=to_hex(commitments.openings_hash(openings)), reveals=items, receipts_from=[])

    def history(self) -> ChainHistory:
        """What a witness has read of the chain."""
        history = ChainHistory(self.devnet.client, self.market, self.devnet.deployment.block)
        history.refresh()
        return history

    def post_receipts(
        self,
        reveals: RevealSet,
        witnesses: Sequence[LocalAccount] | None = None,
        database: Database | None = None,
    ) -> None:
        """What these witnesses (default: two) find, through the API's intake."""
        found = self.history().round(self.project, self.round)
        assert found is not None
        rules, digest = (
            RevealRules(self.identity, self.terms.dimension, self.scheme),
            check_set(reveals, found[0].trainers),
        )
        for witness in self.witnesses[:2] if witnesses is None else witnesses:
            checker = RevealChecker(rules, self.store_of(witness))
            findings = checker.check(self.key, reveals, found[1].commitments())
            receipt = make_receipt(witness, self.identity, self.key, digest, reveals, findings)
            receipts_service.record_receipt(database or self.database, self.identity, self.project, self.round, receipt)

    def inputs(self):
        """What a witness computes the running round's outcome from."""
        found = self.history().round(self.project, self.round)
        assert found is not None
        return gather_inputs(
            self.identity, self.project, self.terms, fetch_spec(self.store, self.terms, self.spec.settlement), *found
        )

    def proposal(self) -> SettlementProposal:
        """The outcome that the service would show."""
        with self.database.read() as session:
            found = settlements.proposal(session, self.project, self.round)
        assert found is not None
        return SettlementProposal(
            admitted_hash=to_hex(found.admitted_hash),
            validation=to_hex(found.validation),
            public_rows=to_hex(found.public_rows),
            policy_hash=to_hex(found.policy_hash),
            outcomes=found.outcome_pairs(),
            previous_model=to_hex(found.previous_model),
            next_model=ModelRef(commitment=to_hex(found.next_model), cid=found.next_model_cid),
            bundle_cid=found.bundle_cid,
            signed_by=[],
        )

    def sign_settlement(self, proposal: SettlementProposal, witnesses: Sequence[LocalAccount] | None = None) -> None:
        """These witnesses (default: two) check the proposal and sign, through the API's intake."""
        for witness in self.witnesses[:2] if witnesses is None else witnesses:
            statement = check_proposal(proposal, self.inputs(), self.store_of(witness), self.scheme)
            signature = make_signature(witness, self.identity, statement, proposal.bundle_cid, self.spec.settlement)
            settlements_service.record_signature(self.database, self.identity, self.project, self.round, signature)


def wait_until(condition, seconds: float = 20.0, what: str | Callable[[], str] = "the condition") -> Any:
    """Polls until `condition()` is true and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.05)
