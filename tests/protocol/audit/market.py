"""A project whose rounds are real: updates, models, batches and bundles in a block store, everything on a real chain.

The steps are those of `Scene`; what a worker and witnesses would compute is computed here from what the scene knows,
not from events, so that an audit is compared with something that it did not make itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from cohort_protocol.audit.cases import Sources
from cohort_protocol.audit.findings import State
from cohort_protocol.audit.run import Audit, audit
from cohort_protocol.bundle import Recomputed, outcomes_of, recompute, statement_of
from cohort_protocol.bundle_file import RoundBundle
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.events import RoundSettled, decode_receipt
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.packed import ClaimItem, Opening
from cohort_protocol.chain.types import NextModel
from cohort_protocol.commitments import ZERO32, encode_outcomes, public_rows_message
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.learning.batches import BatchTree, card_of, draw_batches, encode_batch
from cohort_protocol.learning.data import Dataset
from cohort_protocol.proof.scheme import KECCAK, CommitmentScheme
from cohort_protocol.round_inputs import RoundInputs, round_inputs
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.sealing.project import Sealing, sealing_of
from cohort_protocol.sealing.readers import public_key
from cohort_protocol.spec import DataSpec, ModelSpec, PolicySpec, ProjectSpec
from cohort_protocol.update import encode_model, encode_update
from eth_account.signers.local import LocalAccount

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import Scene

DATA = DataSpec(shape=[4], classes=2)
CONFIG = {"hidden": [8]}
ROUNDS = 3


@dataclass
class RealScene(Scene):
    """See the module. `store` holds every file of the project."""

    store: EmbeddedStore = None  # type: ignore[assignment]
    spec: ProjectSpec = None  # type: ignore[assignment]
    batches: list[Dataset] = field(default_factory=list)
    updates: dict[tuple[int, str], Opening] = field(default_factory=dict)
    models: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(commitment, CID) that each settled round left."""
    facts: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    """(round, batch, public rows) of the rounds that had any."""
    paid: dict[int, RoundSettled] = field(default_factory=dict)
    rows_of: dict[int, list] = field(default_factory=dict)
    scheme: CommitmentScheme = KECCAK
    sealing: Sealing = field(default_factory=lambda: Sealing(None, b""))

    @classmethod
    def make(
        cls,
        devnet: Devnet,
        home: Path,
        *,
        trainers: int = 3,
        batches: bool = False,
        scheme: CommitmentScheme = KECCAK,
        policy: str | None = None,
        private: bool = False,
        **changes,
    ) -> RealScene:
        """Everybody has joined, nothing has run."""
        store = EmbeddedStore(home / "ipfs")
        architecture = parse_architecture("mlp", CONFIG, DATA)
        model = np.random.default_rng(1).integers(-(2**28), 2**28, architecture.dimension)
        policy = policy or ("default" if batches else "peer")
        drawn = _draw() if batches else []
        spec = ProjectSpec(
            title="A <small> project",
            model=ModelSpec(
                family="mlp",
                config=CONFIG,
                initial_cid=str(store.put(encode_model(model))),
                initial_commitment=to_hex(scheme.model(model)),
                dimension=architecture.dimension,
                exponent=-14,
            ),
            data=DATA,
            policy=PolicySpec(name=policy),
            settlement=scheme.settlement,
            readers=_readers(devnet) if private else [],
        )
        cards = [card_of(batch, number) for number, batch in enumerate(drawn, 1)]
        terms = {
            "spec_digest": store.put(spec.to_bytes()).digest,
            "policy_hash": policy_by_name(policy).policy_hash(),
            "initial_model": scheme.model(model),
            "validation_root": BatchTree([card.digest for card in cards]).root if cards else ZERO32,
            "dimension": architecture.dimension,
            "rounds": ROUNDS,
            **changes,
        }
        scene = cls.create(devnet, trainers=trainers, **terms)
        scene.store, scene.spec, scene.batches, scene.scheme = store, spec, drawn, scheme
        scene.sealing = sealing_of(spec, scene.identity.chain_id, scene.identity.market, scene.project)
        return scene

    # -- what a trainer makes

    def opening_of(self, trainer: LocalAccount) -> Opening:
        """Of the trainer's update in the running round: a common direction and some of its own."""
        key = self.round_number(), trainer.address
        if key not in self.updates:
            common = np.random.default_rng(key[0]).normal(size=self.spec.model.dimension)
            own = np.random.default_rng(int(trainer.address[2:12], 16) + key[0]).normal(size=common.size)
            update = np.rint(300 * (common + own)).astype(np.int16)
            cid = self.store.put(self.sealing.published(encode_update(update), bytes(trainer.key)))
            self.updates[key] = Opening(
                self.number_of(trainer), self.scheme.update(update), bytes(cid), self.salt_of(trainer)
            )
        return self.updates[key]

    @property
    def opened(self) -> IpfsStore:
        """The store as the aggregator reads it."""
        return self.sealing.opened(self.store, bytes(self.aggregator.key))

    # -- steps of a round

    def admit(self, trainers: Sequence[LocalAccount] | None = None, alone: LocalAccount | None = None) -> None:
        """Opens a round and brings it to its settlement. alone: posts its commitment by itself."""
        number = self.open()
        people = list(self.trainers if trainers is None else trainers)
        self.commit([one for one in people if one is not alone])
        if alone is not None:
            self.commit_self(alone)
        if self.batches:
            self._show_batch(number)
        self.reveal(people)
        if self.batches:
            self._post_rows(number)

    def _show_batch(self, number: int) -> None:
        batch = self.batches[number - 1]
        card = card_of(batch, number)
        self.store.put(encode_batch(batch))
        self.store.put(card.to_bytes())
        proof = BatchTree([card_of(one, index).digest for index, one in enumerate(self.batches, 1)]).proof(number)
        self.devnet.send(self.owner, self.market.reveal_validation(self.project, number, card.digest, proof))
        self.facts.append((number, card.digest, ZERO32))

    def _post_rows(self, number: int) -> None:
        from cohort_protocol.learning.public_rows import compute_rows

        key = bytes(self.aggregator.key)
        rows = compute_rows(
            self.inputs(), self.spec, self.opened, self.scheme, lambda content: self.sealing.published(content, key)
        )
        rows.publish(self.store)
        message = public_rows_message(self.identity, self.project, number, rows.digest)
        request = self.market.post_public_rows(self.project, number, rows.digest, self.witness_signatures(message))
        self.devnet.send(self.aggregator, request)
        self.facts[-1] = (number, self.facts[-1][1], rows.digest)

    def inputs(self) -> RoundInputs:
        """Of the running round, from what the scene did."""
        view = self.view()
        addresses = {self.number_of(one): one.address for one in self.trainers}
        return round_inputs(
            chain_id=self.identity.chain_id,
            market=self.identity.market,
            project=self.project,
            round=self.round_number(),
            spec=self.spec,
            spec_cid=Cid(0x55, self.terms.spec_digest),
            policy_hash=self.terms.policy_hash,
            settled=self.models,
            admissions=[
                [(row.member, addresses[row.member], row.update, row.cid) for row in rows] for rows in self.admissions
            ],
            validation=view.validation,
            public_rows=view.public_rows,
            facts=self.facts,
        )

    def compute(self) -> Recomputed:
        """The running round's true outcome, published."""
        done = recompute(self.inputs(), self.opened, scheme=self.scheme)
        self.store.put(done.bundle_bytes)
        self.store.put(done.model_bytes)
        return done

    def finish(self, bundle: RoundBundle | None = None, cid: Cid | None = None) -> RoundBundle:
        """Settles the running round by a quorum's signatures: as it is right, or as this bundle says, under its CID or
        another one."""
        bundle = bundle or self.compute().bundle
        cid = cid or self.store.put(bundle.to_bytes())
        model = NextModel(parse_bytes32(bundle.next_model.commitment), bytes(Cid.parse(bundle.next_model.cid)))
        number, rows = self.round_number(), self.rows
        request = self.market.settle(
            self.project,
            number,
            self.admissions,
            encode_outcomes(outcomes_of(bundle)),
            model,
            bytes(cid),
            self.evidence_of(bundle, cid),
        )
        receipt = self.devnet.send(self.aggregator, request)
        events = decode_receipt(receipt, self.market.address)
        self.paid[number] = next(event for event in events if isinstance(event, RoundSettled))
        self.rows_of[number] = rows
        self.models.append((model.commitment, model.cid))
        return bundle

    def evidence_of(self, bundle: RoundBundle, cid: Cid) -> bytes:
        """A quorum's signatures under what the bundle says."""
        return self.evidence(replace(statement_of(bundle, cid), dimension=self.terms.dimension))

    def run(self, **how) -> RoundBundle:
        """A whole honest round."""
        self.admit(**how)
        return self.finish()

    def claim(self, trainer: LocalAccount) -> None:
        """Everything that the trainer has earned so far."""
        items: list[ClaimItem] = []
        for number, settled in self.paid.items():
            rows = self.rows_of[number]
            tree = self.tree(number, rows, [row.pay for row in settled.rows])
            items += [tree.claim_item(row.row) for row in rows if row.member == self.number_of(trainer)]
        self.devnet.send(trainer, self.market.claim(self.project, self.number_of(trainer), items))

    # -- the audit

    def audit(
        self,
        store: IpfsStore | None = None,
        client: ChainClient | None = None,
        srs: Path | None = None,
        reader: LocalAccount | None = None,
        **how,
    ) -> Audit:
        chain = client or ChainClient(self.devnet.node.url)
        files, key = store or EmbeddedStore(self.store.root), bytes(reader.key) if reader is not None else None
        sources = Sources(chain, Market(chain, self.market.address), files, srs=srs, reader=key)
        return audit(sources, self.project, **how)

    def block_file(self, cid: Cid) -> Path:
        """Where the embedded store keeps the block of a CID."""
        name = str(cid)
        return self.store.root / "blocks" / name[-3:-1] / name


def _readers(devnet: Devnet) -> list[str]:
    """Public keys of those whom the scene's terms name."""
    people = [*(devnet.account("witness", index) for index in range(3)), devnet.account("aggregator")]
    return [to_hex(public_key(bytes(one.key))) for one in people]


def _draw() -> list[Dataset]:
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 128 * ROUNDS)
    inputs = random.normal(size=(len(labels), 4)) + 2 * labels[:, None]
    return list(draw_batches(Dataset(inputs.astype(np.float32), labels.astype(np.int64)), ROUNDS))


def states(found: Audit, *wanted: State) -> dict[str, str]:
    """Check (with its round) -> text, of the findings in these states."""
    return {one.where: one.text for one in found.findings if one.state in wanted}


def not_true(found: Audit) -> dict[str, str]:
    """What is false or unknown."""
    return states(found, State.FALSE, State.UNKNOWN)


class TwistedClient(ChainClient):
    """A node that lies: `twist(method, result)` changes what it answers."""

    def __init__(self, url: str, twist: Callable[[str, object], object]) -> None:
        super().__init__(url)
        self._twist = twist

    def rpc(self, method, params=(), what=None):
        return self._twist(method, super().rpc(method, params, what))
