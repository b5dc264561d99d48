"""A prover as a process: its folder, its progress, its limits, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_protocol.identifiers import parse_address
from cohort_protocol.proof.prover import PARTS, prove
from cohort_protocol.proof.round_proof import RoundProof
from cohort_protocol.proof.verifier import verify
from cohort_worker.proving.run_prover import Prover, ProverMissing, find_prover, run_prover
from cohort_worker.proving.work_folder import FolderMalformed, ProverFailed, WorkFolder, parse_progress, progress_line
from hypothesis import example, given
from hypothesis import strategies as st

from tests.protocol.proof.rounds import make_round, srs_of

D = 500
LARGE = 1 << 16
Told = list[tuple[int, int, str]]


def prepared(folder: Path, n: int = 3, p: int = 9, d: int = D) -> tuple[WorkFolder, bytes]:
    """A folder with a task, and the proof that it asks for."""
    made, srs = make_round(n, p, d), srs_of(1 << (d - 1).bit_length())
    work = WorkFolder(folder / "round")
    assert work.prepare(made.statement, srs.path, made.rows)
    return work, prove(srs, made.statement, made.rows).to_bytes() if d == D else b""


def quiet(part: int, parts: int, step: str) -> None:
    return


def script(folder: Path, text: str) -> Prover:
    """A prover that is a shell script."""
    program = folder / "prover.sh"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o700)
    return Prover("prover.sh", (str(program),))


def test_a_folder_says_the_statement_and_the_rows_again(tmp_path: Path) -> None:
    work, _ = prepared(tmp_path)
    made, task = make_round(3, 9, D), work.task()
    found, expected = task.statement(), made.statement
    addresses = {"verifier": parse_address(expected.verifier), "market": parse_address(expected.market)}
    assert found == replace(expected, **addresses)
    assert found.head() == expected.head()
    for row, expected in zip(work.rows(task), made.rows, strict=True):
        assert (row.read(0, D) == expected).all()
    assert [row.type for row in task.rows] == ["int16"] * 3 + ["int64"] * 9


def test_what_is_there_of_the_same_task_is_used_and_of_another_is_not(tmp_path: Path) -> None:
    work, _ = prepared(tmp_path)
    made, srs = make_round(3, 9, D), srs_of(512)
    work.proof_file.write_bytes(b"\1" * 320)
    assert not work.prepare(made.statement, srs.path, made.rows)
    assert work.proof() == b"\1" * 320
    other = make_round(3, 9, D, seed=1)
    assert work.prepare(other.statement, srs.path, other.rows)
    assert work.proof() is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 1}', b"[]"])
def test_no_task_no_proof(tmp_path: Path, content: bytes) -> None:
    work = WorkFolder(tmp_path)
    work.task_file.write_bytes(content)
    with pytest.raises(FolderMalformed):
        work.task()


def test_a_task_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    work, _ = prepared(tmp_path)
    with pytest.raises(FolderMalformed, match="head"):
        work.task().model_copy(update={"round": 9}).statement()


def test_python_proves_in_a_process_of_its_own_and_tells_each_part(tmp_path: Path) -> None:
    work, expected = prepared(tmp_path)
    told: Told = []
    proof = run_prover(find_prover("python"), work, None, lambda *part: told.append(part), threading.Event())
    assert proof == expected
    verify(make_round(3, 9, D).statement, RoundProof.from_bytes(proof), srs_of(512).tau_g2)
    assert [(part, parts) for part, parts, _ in told] == [(i + 1, len(PARTS)) for i in range(len(PARTS))]
    again = run_prover(script(tmp_path, "exit 1"), work, None, quiet, threading.Event())
    assert again == expected, "what is proven is not proven again"


def test_a_prover_that_is_killed_leaves_nothing_half_and_the_next_gives_the_same_bytes(tmp_path: Path) -> None:
    work, expected = prepared(tmp_path)
    for kill_in in ("combine", "commit S", "divide, commit W"):
        process = subprocess.Popen(
            [*find_prover("python").command, str(work.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for line in process.stdout:
            if parse_progress(line)[2] == kill_in:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
        process.stdin.close()
        process.stdout.close()
        assert work.proof() in (None, expected)
    assert run_prover(find_prover("python"), work, None, quiet, threading.Event()) == expected


def test_it_ends_with_whoever_asked(tmp_path: Path) -> None:
    """The worker's end closes the pipe, also when it is killed."""
    work, _ = prepared(tmp_path, n=20, d=LARGE)
    process = subprocess.Popen([*find_prover("python").command, str(work.path)], stdin=subprocess.PIPE)
    time.sleep(0.5)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(20) == 3
    assert work.proof() is None


def test_stopping_ends_it_at_once(tmp_path: Path) -> None:
    work, _ = prepared(tmp_path)
    stopping = threading.Event()
    threading.Timer(0.3, stopping.set).start()
    started = time.monotonic()
    assert run_prover(script(tmp_path, "exec sleep 60"), work, None, quiet, stopping) is None
    assert time.monotonic() - started < 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_more_memory_than_allowed_is_an_error_with_words(tmp_path: Path) -> None:
    work, _ = prepared(tmp_path)
    hungry = script(tmp_path, f"exec {sys.executable} -c 'x = bytearray(900 << 20)'")
    with pytest.raises(ProverFailed, match="MemoryError"):
        run_prover(hungry, work, 600, quiet, threading.Event())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo it cannot be done >&2; exit 4", "status 4: it cannot be done"),
        ("kill -9 $$", "SIGKILL \\(out of memory\\?\\)"),
        ("exit 0", "left no proof"),
        ('printf short > "$1/proof"', "left 5 bytes"),
        ("yes bla | head -100000; echo '{\"part\": 9}'; exit 1", "status 1"),
    ],
)
def test_provers_that_fail(tmp_path: Path, text: str, words: str) -> None:
    work, _ = prepared(tmp_path)
    told: Told = []
    with pytest.raises(ProverFailed, match=words):
        run_prover(script(tmp_path, text), work, None, lambda *part: told.append(part), threading.Event())
    assert told == []


def test_a_prover_is_found_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_prover("python").name == "python"
    program = script(tmp_path, "exit 0").command[0]
    assert find_prover(program).command == (program,)
    with pytest.raises(ProverMissing, match="COHORT_PROVER"):
        find_prover(str(tmp_path / "nothing"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_prover("auto").name == "python"
    (tmp_path / "cohort-prover").symlink_to(program)
    assert find_prover("auto").command == (str(tmp_path / "cohort-prover"),)


@given(part=st.integers(0, 1000), more=st.integers(0, 10), step=st.text(max_size=150))
def test_progress_comes_back(part: int, more: int, step: str) -> None:
    parts = min(1000, part + more)
    assert parse_progress(progress_line(part, parts, step)) == (part, parts, step)


@given(st.text(max_size=200))
@example("[" * 100_000)
@example('{"part": Infinity, "parts": NaN, "step": ""}')
def test_other_lines_are_no_progress(line: str) -> None:
    assert parse_progress(line) is None or "part" in line
