"""A witness with a key, a node and IPFS alone: no service, no database. What it writes is what the market takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cohort_backend.chain.repository import chain_now
from cohort_backend.projects.service import load_spec
from cohort_backend.rounds.lookup import find_project
from cohort_backend.rounds.state import project_state
from cohort_backend.settlements import service as settlements_service
from cohort_backend.updates import receipts as receipts_service
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.proof.project_srs import scheme_of
from cohort_protocol.proof.srs import make_insecure_srs
from cohort_protocol.service.messages import ReceiptIntake, SettlementSignature
from cohort_protocol.stored_rows import CommitmentMismatch
from cohort_protocol.update import encode_model
from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.witness.history import HistoryBehind, ProjectHistory
from cohort_worker.witness.home import WitnessConfig, WitnessHome
from cohort_worker.witness.models import pending_model
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from tests.worker.evaluation.test_evaluate import advance
from tests.worker.stage import Stage

COHORT = [sys.executable, "-m", "cohort_trainer.cli", "witness"]


class Alone:
    """One witness of a stage with a home of its own."""

    def __init__(self, stage: Stage, account: LocalAccount, folder: Path) -> None:
        deployment = stage.devnet.deployment
        self.stage, self.home = stage, WitnessHome(folder / "witness")
        self.password = folder / "password"
        self.password.write_text("secret")
        config = WitnessConfig(
            chain=stage.devnet.node.url,
            chain_id=deployment.chain_id,
            ipfs=f"file://{stage.home}/ipfs",
            market=deployment.market,
            verifier=deployment.verifier,
            start_block=deployment.block,
        )
        self.home.create(config, account, SecretStr("secret"))

    def ask(self) -> None:
        """What the service would show now, as a file."""
        with self.stage.database.read() as session:
            project = find_project(session, self.stage.project)
            session.expunge(project)
        load_spec(self.stage.database, self.stage.store, project)
        with self.stage.database.read() as session:
            state = project_state(session, self.stage.project, chain_now(session))
        folder = self.home.root / "inbox"
        folder.mkdir(exist_ok=True)
        (folder / f"{self.stage.project}.json").write_text(state.model_dump_json())

    def look(self) -> dict:
        done = subprocess.run(
            [*COHORT, "run", "--home", str(self.home.root), "--password-file", str(self.password), "--once"],
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def answer(self, name: str) -> bytes:
        return (self.home.root / "outbox" / name).read_bytes()


def test_a_round_is_vouched_for_by_files(stage: Stage, tmp_path: Path) -> None:
    alone = Alone(stage, stage.witnesses[0], tmp_path)
    assert alone.look() == {
        "witness": stage.witnesses[0].address,
        "projects": [{"project": stage.project, "state": "answered"}],
    }
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    alone.ask()
    assert alone.look()["projects"] == [{"project": stage.project, "state": "answered"}]
    receipt = ReceiptIntake.model_validate_json(alone.answer(f"{stage.project}-round-1-receipt.json"))
    assert receipt.endorsed == 0b111
    receipts_service.record_receipt(stage.database, stage.identity, stage.project, 1, receipt)
    stage.post_receipts(stage.reveal_set(), [stage.witnesses[1]])
    advance(stage)
    assert evaluate_round(stage.parts, stage.project, 1)
    alone.ask()
    alone.look()
    word = SettlementSignature.model_validate_json(alone.answer(f"{stage.project}-round-1-settlement.json"))
    settlements_service.record_signature(stage.database, stage.identity, stage.project, 1, word)
    stage.sign_settlement(stage.proposal(), [stage.witnesses[1]])
    advance(stage)
    assert stage.market.progress_of(stage.project).model != stage.terms.initial_model
    shown = subprocess.run([*COHORT, "show", "--home", str(alone.home.root)], capture_output=True, timeout=60)
    (line,) = [json.loads(line) for line in shown.stdout.splitlines()]
    assert (line["kind"], line["project"], line["round"]) == ("signed", stage.project, 1)


def test_without_settings_it_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    (tmp_path / "config.toml").write_text("")
    arguments = ["run", "--home", str(tmp_path), "--password-file", str(tmp_path / "password"), "--once"]
    done = subprocess.run([*COHORT, *arguments], capture_output=True, timeout=60)
    assert done.returncode == 30
    assert b"--chain" in done.stderr


# --- models that wait for receipts ------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "ipfs")


@pytest.mark.parametrize("settlement", ["attested", "proven"])
def test_a_pending_model_is_found_and_opened(store: EmbeddedStore, tmp_path: Path, settlement) -> None:
    scheme = scheme_of(settlement, make_insecure_srs(tmp_path / "small.srs", 40, "models"))
    model = np.arange(40, dtype=np.int64) << 30
    commitment, cid = scheme.model(model), store.put(encode_model(model))
    history = ProjectHistory(settled=[(1, b"\x01" * 32, b"\x01" * 36), (2, commitment, bytes(cid))])
    assert pending_model(history, commitment, 40, store, scheme) == cid
    other = ProjectHistory(settled=[(2, b"\x02" * 32, bytes(cid))])
    with pytest.raises(CommitmentMismatch):
        pending_model(other, b"\x02" * 32, 40, store, scheme)
    lost = ProjectHistory(settled=[(2, commitment, bytes(Cid(RAW, b"\x03" * 32)))])
    with pytest.raises(ContentNotFound):
        pending_model(lost, commitment, 40, store, scheme)
    for unread in (None, ProjectHistory()):
        with pytest.raises(HistoryBehind, match=to_hex(commitment)):
            pending_model(unread, commitment, 40, store, scheme)
