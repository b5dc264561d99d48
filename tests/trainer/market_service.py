"""A service for trainers under test: a real HTTP server on a real chain, that records what it is sent and obeys.

It stands in for API, worker and witnesses at once, because the tests need what those never do: refuse, stay silent,
lie, leave a commitment out of a batch. Its chain transactions are real.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import numpy as np
from cohort_protocol.chain.events import RoundSettled, UpdatesAdmitted, decode_receipt
from cohort_protocol.chain.packed import CommitLeaf, Opening
from cohort_protocol.chain.types import NextModel, Outcome
from cohort_protocol.commitments import commit_message, commitment, encode_outcomes, openings_hash, sign
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.payout import PayoutTree
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import (
    CommitIntake,
    MarketInfo,
    ModelRef,
    ProjectState,
    ReceiptedSet,
    ReceiptedSets,
    ReceiptView,
    RefusalView,
    RevealIntake,
    RevealItem,
    RewardItem,
    Rewards,
    RoundView,
)
from cohort_protocol.update import apply_step, encode_model, model_commitment

from tests.fixtures.scene import ONE, Scene, some_cid


class PaidRow(NamedTuple):
    """What a settled round paid to one row."""

    row: int
    member: int
    trainer: str
    pay: int


class MarketService:
    """`intercept(method, path, body)` may return (status, JSON) to answer in the service's place, or None."""

    def __init__(self, scene: Scene, store: IpfsStore, first_model: np.ndarray) -> None:
        self.scene = scene
        self.store = store
        self.commits: dict[tuple[int, str], list[CommitIntake]] = defaultdict(list)
        self.reveals: dict[tuple[int, str], list[RevealIntake]] = defaultdict(list)
        self.models: dict[bytes, tuple[np.ndarray, str]] = {}
        self.model_history: list[bytes] = []
        self.paid: dict[int, list[PaidRow]] = {}
        self.intercept: Callable[[str, str, bytes], tuple[int, object] | None] = lambda *_: None
        self.requests: list[tuple[str, str]] = []
        self.refusals: list[RefusalView] = []
        """What witnesses have against updates, shown with every round."""
        self.receipted: list[ReceiptedSet] = []
        """What witnesses have signed, for whoever posts reveals."""
        self.changed = threading.Condition()
        self.version = 1
        self.automatic = False
        self.failure: BaseException | None = None
        self._remember(first_model)
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        # One chain client under two threads is fine; one planner at a time keeps the steps in order.
        self._planning = threading.RLock()

    # --- HTTP -------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service._serve(self, b"")

            def do_POST(self) -> None:
                service._serve(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread(self._server.serve_forever)

    def stop(self) -> None:
        """Stops answering; `start` again listens on the same port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def close(self) -> None:
        self._ending.set()
        self.stop()
        for thread in self._threads:
            thread.join(20)

    def _thread(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.requests.append((handler.command, handler.path))
        answer = self.intercept(handler.command, handler.path, body)
        status, value = answer if answer is not None else self._route(handler.command, handler.path, body)
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        kind = "application/problem+json" if status >= 400 else "application/json"
        try:
            handler.send_response(status)
            handler.send_header("content-type", kind)
            handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except OSError:
            handler.close_connection = True

    def _route(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        url = urlsplit(path)
        parts = url.path.strip("/").split("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if parts[-1] == "market":
            return 200, self._market().model_dump(mode="json")
        if parts[-1] == "state":
            return 200, self._state(int(query["after"]), float(query["wait"])).model_dump(mode="json")
        if parts[-1] == "commits":
            return self._take_commit(int(parts[4]), CommitIntake.model_validate_json(body))
        if parts[-1] == "reveals":
            return self._take_reveal(int(parts[4]), RevealIntake.model_validate_json(body))
        if parts[-1] == "receipts":
            return 200, ReceiptedSets(items=self.receipted).model_dump(mode="json")
        if parts[-1] == "rewards":
            if not self.scene.market.member_of(self.scene.project, parts[4]).known:
                return problem(404, "not-found", "no such trainer")
            with self._planning:  # not between a settlement and our note of it
                return 200, self._rewards(parts[4]).model_dump(mode="json")
        return problem(404, "not-found", f"no such path {path}")

    def _market(self) -> MarketInfo:
        deployment = self.scene.devnet.deployment
        return MarketInfo(
            chain_id=deployment.chain_id,
            market=deployment.market,
            verifier=deployment.verifier,
            policy=deployment.policy,
            block=self.scene.devnet.client.block_number(),
            version="test",
        )

    def _state(self, after: int, wait: float) -> ProjectState:
        with self.changed:
            self.changed.wait_for(lambda: self.version > after or self._ending.is_set(), timeout=min(wait, 5.0))
            version = self.version
        with self._planning:  # not between two rounds
            progress = self.scene.market.progress_of(self.scene.project)
            view = self._round_view(progress.round) if progress.round else None
        over = view is None or view.phase.terminal
        finished = over and (progress.ended or progress.round == self.scene.terms.rounds)
        return ProjectState(
            version=version, project=self.scene.project, ended=progress.ended, finished=finished, round=view
        )

    def _round_view(self, number: int) -> RoundView:
        view = self.scene.view()
        past = [self._reference(commitment) for commitment in self.model_history[:number][-6:]]
        return RoundView(
            project=self.scene.project,
            number=number,
            phase=view.phase,
            opened_at=view.opened_at,
            commit_end=view.commit_end,
            reveal_start=view.reveal_start,
            reveal_end=view.reveal_end,
            rescue_end=view.rescue_end,
            acceptor_end=view.acceptor_end,
            settle_end=view.settle_end,
            slash_end=view.slash_end,
            budget=view.budget,
            acceptor=view.acceptor,
            expected=view.expected,
            unresolved=view.unresolved,
            model=self._reference(view.model),
            past_models=past,
            committed=[trainer for round, trainer in self.commits if round == number],
            revealed=[trainer for round, trainer in self.reveals if round == number],
            rows=[],
            refusals=self.refusals,
        )

    def _reference(self, commitment: bytes) -> ModelRef:
        return ModelRef(commitment=to_hex(commitment), cid=self.models[commitment][1])

    def _take_commit(self, round: int, intake: CommitIntake) -> tuple[int, object]:
        if round != self.scene.round_number() or self.scene.view().phase is not Phase.COMMIT:
            return problem(409, "wrong-phase", "not the commit phase")
        known = self.commits[round, intake.trainer]
        known.append(intake)
        if any(one.commitment != intake.commitment for one in known):
            return problem(409, "commitment-differs", "another commitment is recorded")
        self.bump()
        return 200, {"status": "recorded" if len(known) == 1 else "already-recorded"}

    def _take_reveal(self, round: int, intake: RevealIntake) -> tuple[int, object]:
        if round != self.scene.round_number() or self.scene.view().phase is not Phase.REVEAL:
            return problem(409, "wrong-phase", "not the reveal phase")
        self.reveals[round, intake.trainer].append(intake)
        self.bump()
        return 200, {"status": "recorded"}

    def _rewards(self, trainer: str) -> Rewards:
        items = []
        member = self.scene.market.member_of(self.scene.project, trainer).number
        for round, rows in self.paid.items():
            tree = PayoutTree(self.scene.project, round, [(row.member, row.pay) for row in rows])
            view = self.scene.market.round_of(self.scene.project, round)
            paid_out = bool(self.scene.market.claimed_among(self.scene.project, member, [round]))
            items += [
                RewardItem(
                    round=round,
                    row=row.row,
                    amount=row.pay,
                    claimed=paid_out,
                    proof=[to_hex(sibling) for sibling in tree.proof(row.row)],
                    payout_root=to_hex(view.payout_root),
                )
                for row in rows
                if row.trainer == trainer
            ]
        earned = sum(item.amount for item in items)
        claimed = sum(item.amount for item in items if item.claimed)
        return Rewards(
            project=self.scene.project,
            trainer=trainer,
            member=member,
            earned=earned,
            claimed=claimed,
            claimable=earned - claimed,
            items=items,
        )

    def bump(self) -> None:
        with self.changed:
            self.version += 1
            self.changed.notify_all()

    # --- the operator behind it -------------------------------------------------------------------------------------

    def open_round(self) -> int:
        with self._planning:
            number = self.scene.open()
            self.model_history.append(self.scene.view().model)
        self.bump()
        return number

    def post_batch(self, leave_out: frozenset[str] = frozenset(), spoil: frozenset[str] = frozenset()) -> None:
        """Posts every commitment that was handed in, but for those of `leave_out`; those of `spoil` with somebody
        else's signatures, so that the market passes over their leaves."""
        with self._planning:
            number = self.scene.round_number()
            intakes = [
                known[0]
                for (round, trainer), known in self.commits.items()
                if round == number and trainer not in leave_out
            ]
            intakes.sort(key=lambda intake: intake.member)
            leaves = [CommitLeaf(one.member, parse_bytes32(one.commitment)) for one in intakes]
            signatures = [
                self._signed_by_another(leaf) if one.trainer in spoil else bytes.fromhex(one.signature[2:])
                for one, leaf in zip(intakes, leaves, strict=True)
            ]
            self.scene.leaves = leaves
            request = self.scene.market.commit_batch(self.scene.project, number, leaves, signatures)
            self.scene.devnet.send(self.scene.aggregator, request)
        self.bump()

    def _signed_by_another(self, leaf: CommitLeaf) -> bytes:
        scene = self.scene
        message = commit_message(scene.identity, scene.project, scene.round_number(), leaf.member, leaf.commitment)
        return sign(message, scene.owner)

    def post_reveals(self) -> None:
        """Witnesses sign for every update that is on IPFS as it was committed to."""
        with self._planning:
            reveals = self._openings()
            everyone = (1 << len(reveals)) - 1
            receipts = [self.scene.receipt_of(witness, reveals, everyone) for witness in (0, 2)]
            number = self.scene.round_number()
            request = self.scene.market.reveal(self.scene.project, number, self.scene.batch, reveals, receipts)
            receipt = self.scene.devnet.send(self.scene.aggregator, request)
            events = decode_receipt(receipt, self.scene.market.address)
            self.scene.admissions += [event.rows for event in events if isinstance(event, UpdatesAdmitted)]
        self.bump()

    def sign_reveals(self, witnesses: Sequence[int] = (0, 2), refused: int = 0) -> None:
        """Witnesses sign as for `post_reveals`, and nobody posts it. Bit i of `refused`: opening i."""
        with self._planning:
            reveals = self._openings()
            everyone = (1 << len(reveals)) - 1
            signed = [self.scene.receipt_of(one, reveals, everyone & ~refused, refused) for one in witnesses]
            self.receipted = [
                ReceiptedSet(
                    openings_hash=to_hex(openings_hash(reveals)),
                    reveals=[self._shown(one) for one in reveals],
                    receipts=[
                        ReceiptView(
                            witness=self.scene.terms.witnesses[one.witness],
                            endorsed=one.endorsed,
                            refused=one.refused,
                            signature=to_hex(one.signature),
                        )
                        for one in signed
                    ],
                )
            ]

    def _shown(self, one: Opening) -> RevealItem:
        number, identity = self.scene.round_number(), self.scene.identity
        promised = commitment(identity, self.scene.project, number, one.member, one.update, one.cid, one.salt)
        return RevealItem(
            trainer=self.trainer_of(one.member),
            member=one.member,
            commitment=to_hex(promised),
            update=to_hex(one.update),
            salt=to_hex(one.salt),
            cid=str(Cid.from_bytes(one.cid)),
        )

    def _openings(self) -> list[Opening]:
        """What was handed in for the newest round and is on IPFS."""
        number = self.scene.round_number()
        intakes = [known[-1] for (round, _), known in self.reveals.items() if round == number]
        intakes.sort(key=lambda intake: intake.member)
        reveals = [
            Opening(one.member, parse_bytes32(one.update), bytes(Cid.parse(one.cid)), parse_bytes32(one.salt))
            for one in intakes
        ]
        for reveal in reveals:
            assert self.store.get(Cid.from_bytes(reveal.cid), 1 << 20)
        return reveals

    def settle(self, scores: list[int] | None = None, move: int = 1) -> None:
        """Everyone scores the same unless told otherwise; the model moves by `move` units in every entry."""
        with self._planning:
            number = self.scene.round_number()
            model, _ = self.models[self.scene.view().model]
            after = apply_step(model, np.full_like(model, move))
            cid = self._remember(after)
            outcomes = [Outcome(score, 0) for score in scores or [ONE] * len(self.scene.rows)]
            next_model = NextModel(model_commitment(after), bytes(Cid.parse(cid)))
            bundle = some_cid(b"bundle %d" % number)
            evidence = self.scene.evidence(self.scene.statement(outcomes, next_model, bundle))
            receipt = self.scene.devnet.send(
                self.scene.aggregator,
                self.scene.market.settle(
                    self.scene.project,
                    number,
                    self.scene.admissions,
                    encode_outcomes(outcomes),
                    next_model,
                    bundle,
                    evidence,
                ),
            )
            events = decode_receipt(receipt, self.scene.market.address)
            settled = next(event for event in events if isinstance(event, RoundSettled))
            self.paid[number] = [
                PaidRow(row.row, admitted.member, self.trainer_of(admitted.member), row.pay)
                for row, admitted in zip(settled.rows, self.scene.rows, strict=True)
            ]
        self.bump()

    def trainer_of(self, member: int) -> str:
        return self.scene.market.member_at(self.scene.project, member).trainer

    def run_automatically(self, rounds: int) -> None:
        """Runs rounds in a thread: each step as soon as every trainer has done its part."""
        self._thread(lambda: self._drive(rounds))

    def _drive(self, rounds: int) -> None:
        try:
            for _ in range(rounds):
                number = self.open_round()
                people = {trainer.address for trainer in self.scene.trainers}
                self._until(lambda n=number, p=people: p <= {t for r, t in self.commits if r == n})
                self.post_batch()
                self._until(lambda n=number, p=people: p <= {t for r, t in self.reveals if r == n})
                self.post_reveals()
                self.settle()
        except _Ended:
            return
        except BaseException as error:  # kept for the test, which runs in another thread
            self.failure = error
            raise

    def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._ending.is_set():
                raise _Ended
            time.sleep(0.02)

    def _remember(self, model: np.ndarray) -> str:
        cid = str(self.store.put(encode_model(model)))
        self.models[model_commitment(model)] = (model, cid)
        return cid


class _Ended(Exception):
    """The test is over."""


def problem(status: int, code: str, detail: str) -> tuple[int, dict]:
    return status, {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
