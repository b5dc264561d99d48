"""A witness never signs two outcomes of one round, whenever it dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_protocol.canonical import canonical_json
from cohort_protocol.commitments import MarketId, SettlementStatement
from cohort_protocol.identifiers import to_hex
from cohort_worker.witness.memory import (
    Equivocation,
    MemoryBroken,
    MemoryInUse,
    SigningMemory,
    evidence_path,
    recorded,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.architecture.sources import ROOT

MARKET = MarketId(31337, "0x" + "11" * 20, "0x" + "22" * 20)
STATEMENT = SettlementStatement(
    project=1,
    round=2,
    dimension=10,
    admitted_hash=b"\x01" * 32,
    policy_hash=b"\x02" * 32,
    outcomes_hash=b"\x03" * 32,
    previous_model=b"\x04" * 32,
    next_model=b"\x05" * 32,
    next_model_cid=b"\x06" * 36,
    bundle_cid=b"\x07" * 36,
)
OUTCOME = ("policy_hash", "outcomes_hash", "next_model", "next_model_cid", "bundle_cid")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "witness" / "signed.jsonl"


@pytest.mark.parametrize("field", OUTCOME)
def test_a_second_different_outcome_is_refused_also_after_a_restart(path: Path, field: str) -> None:
    other = replace(STATEMENT, **{field: b"\x99" * len(getattr(STATEMENT, field))})
    memory = SigningMemory(path)
    memory.remember(MARKET, STATEMENT)
    memory.remember(MARKET, STATEMENT)
    with pytest.raises(Equivocation, match="round 1/2"):
        memory.remember(MARKET, other)
    memory.close()
    again = SigningMemory(path)
    again.remember(MARKET, STATEMENT)
    with pytest.raises(Equivocation):
        again.remember(MARKET, other)
    again.close()
    assert len(path.read_bytes().splitlines()) == 1


def test_other_rounds_are_other_rounds(path: Path) -> None:
    memory = SigningMemory(path)
    memory.remember(MARKET, STATEMENT)
    memory.remember(MARKET, replace(STATEMENT, round=3, bundle_cid=b"\x09" * 36))
    memory.remember(MARKET, replace(STATEMENT, project=2, bundle_cid=b"\x09" * 36))
    memory.remember(replace(MARKET, chain_id=1), replace(STATEMENT, bundle_cid=b"\x09" * 36))
    # a reorg admitted other rows: the signature for the old ones can never be used with these
    memory.remember(MARKET, replace(STATEMENT, admitted_hash=b"\x0a" * 32, bundle_cid=b"\x09" * 36))
    # facts that the chain has now and had not when the other was signed
    memory.remember(MARKET, replace(STATEMENT, validation=b"\x0b" * 32, bundle_cid=b"\x09" * 36))
    memory.remember(MARKET, replace(STATEMENT, public_rows=b"\x0b" * 32, bundle_cid=b"\x09" * 36))
    memory.close()


@settings(deadline=None)
@given(cut=st.integers(1, 400))
def test_a_torn_last_line_was_never_signed(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("memory") / "signed.jsonl"
    memory = SigningMemory(path)
    memory.remember(MARKET, STATEMENT)
    whole = path.read_bytes()
    memory.remember(MARKET, replace(STATEMENT, round=3))
    memory.close()
    both = path.read_bytes()
    path.write_bytes(both[: max(len(whole), len(both) - cut)])
    again = SigningMemory(path)
    again.remember(MARKET, replace(STATEMENT, round=3))
    assert path.read_bytes() == both
    with pytest.raises(Equivocation):
        again.remember(MARKET, replace(STATEMENT, bundle_cid=b"\x09" * 36))
    again.close()


def test_a_damaged_record_stops_the_witness(path: Path) -> None:
    memory = SigningMemory(path)
    memory.remember(MARKET, STATEMENT)
    memory.close()
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(MemoryBroken, match="line 1"):
        SigningMemory(path)


def test_two_processes_cannot_share_a_key(path: Path) -> None:
    memory = SigningMemory(path)
    with pytest.raises(MemoryInUse, match="runs already"):
        SigningMemory(path)
    memory.close()
    SigningMemory(path).close()


def test_a_killed_witness_leaves_its_record_and_no_lock(path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tests.worker.witness.test_memory import MARKET, STATEMENT\n"
        "from cohort_worker.witness.memory import SigningMemory\n"
        "memory = SigningMemory(Path(sys.argv[1])); memory.remember(MARKET, STATEMENT)\n"
        "print('signed', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "signed\n"
    with pytest.raises(MemoryInUse):
        SigningMemory(path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    memory = SigningMemory(path)
    with pytest.raises(Equivocation):
        memory.remember(MARKET, replace(STATEMENT, outcomes_hash=b"\x09" * 32))
    memory.close()


def test_both_outcomes_are_kept_in_full(path: Path) -> None:
    other = replace(STATEMENT, outcomes_hash=b"\x99" * 32, bundle_cid=b"\x98" * 36)
    memory = SigningMemory(path)
    memory.remember(MARKET, STATEMENT)
    for _ in range(2):  # asked twice, kept once
        with pytest.raises(Equivocation):
            memory.remember(MARKET, other)
    memory.close()
    signed, evidence = recorded(path)
    assert (signed["kind"], evidence["kind"]) == ("signed", "equivocation")
    assert evidence["signed"]["outcomes_hash"] == to_hex(STATEMENT.outcomes_hash)
    assert evidence["asked_for"]["outcomes_hash"] == to_hex(other.outcomes_hash)
    assert evidence["asked_for"]["bundle_cid"] == to_hex(other.bundle_cid)
    assert (evidence["project"], evidence["round"], evidence["market"]) == (1, 2, MARKET.market)
    assert evidence_path(path).name == "equivocations.jsonl"


def test_a_record_of_an_earlier_version_still_counts(path: Path) -> None:
    memory = SigningMemory(path)
    memory.remember(MARKET, STATEMENT)
    memory.close()
    line = json.loads(path.read_bytes())
    del line["outcome"]
    path.write_bytes(canonical_json(line) + b"\n")
    again = SigningMemory(path)
    again.remember(MARKET, STATEMENT)
    with pytest.raises(Equivocation):
        again.remember(MARKET, replace(STATEMENT, next_model=b"\x99" * 32))
    again.close()
    assert recorded(path)[1]["signed"] == {}


FULL_DISK = """
import resource, signal, sys
from dataclasses import replace
from pathlib import Path
from cohort_worker.witness.memory import MemoryBroken, SigningMemory
from tests.worker.witness.test_memory import MARKET, STATEMENT

path = Path(sys.argv[1])
memory = SigningMemory(path)
memory.remember(MARKET, replace(STATEMENT, round=1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, resource.RLIM_INFINITY))
try:
    memory.remember(MARKET, replace(STATEMENT, round=2))
except MemoryBroken as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    memory.remember(MARKET, replace(STATEMENT, round=3))
    print(error)
    sys.exit(0)
sys.exit("a statement was signed of which half is on record")
"""


def test_a_disk_that_takes_half_a_line_stops_the_signature(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "free space" in done.stdout
    assert [json.loads(line)["round"] for line in path.read_text().splitlines()] == [1, 3]


@pytest.mark.parametrize("where", ["a\0b", "a" * 300, "."])
def test_a_record_that_cannot_be_is_named(tmp_path: Path, where: str) -> None:
    with pytest.raises(MemoryBroken, match="cannot be opened"):
        SigningMemory(tmp_path / where)
