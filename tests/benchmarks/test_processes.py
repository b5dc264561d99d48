"""Pieces of a benchmark in several processes: all are done, progress is told, Ctrl-C and errors end a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path

import pytest

from benchmarks.processes import BROKEN_OFF, Progress, add_jobs_option, run_all, usual_jobs

ROOT = Path(__file__).resolve().parents[2]
SLOW = """
import sys, time
from pathlib import Path
from benchmarks.processes import run_all

def work(file):
    file.with_suffix(".begun").touch()
    time.sleep(1)
    file.write_text("finished")

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run_all(work, [folder / f"{number}.txt" for number in range(50)], int(sys.argv[2]))
"""


def leave_mark(file: Path) -> None:
    if file.name == "bad":
        raise ValueError("a piece that cannot be done")
    file.write_text(str(os.getpid()))


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_piece_is_done_and_progress_is_told(jobs: int, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    files = [tmp_path / str(number) for number in range(5)]
    run_all(leave_mark, files, jobs)
    workers = {int(file.read_text()) for file in files}
    assert (os.getpid() in workers) == (jobs == 1)
    assert len(workers) <= jobs
    assert "5 of 5, about 0 min left" in capsys.readouterr().err


def test_nothing_to_do(capsys: pytest.CaptureFixture) -> None:
    run_all(leave_mark, [], 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_ends_the_run(jobs: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be done"):
        run_all(leave_mark, [tmp_path / "bad", *(tmp_path / str(number) for number in range(3))], jobs)


def test_progress_extrapolates_what_is_done() -> None:
    now = iter((0.0, 60.0, 120.0))
    progress = Progress(10, lambda: next(now))
    progress.another()
    progress.another()
    assert progress.line(120.0) == "2 of 10, about 8 min left"


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(jobs: int, tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    command = [sys.executable, str(script), str(tmp_path), str(jobs)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        until(lambda: list(tmp_path.glob("*.txt")) and len(list(tmp_path.glob("*.begun"))) > jobs)
        # As a terminal does it: the whole group gets the signal.
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=60)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == BROKEN_OFF
    finished = len(list(tmp_path.glob("*.txt")))
    assert 1 <= finished < 50
    assert "are finished and remembered" in said
    assert "Traceback" not in said
    if jobs > 1:
        # What a process had in hand it finishes.
        assert len(list(tmp_path.glob("*.begun"))) == finished


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), "2"],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: len(list(tmp_path.glob("*.begun"))) >= 2)
    run.kill()
    run.wait()
    until(lambda: not group_lives(run.pid))


def until(true, seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "waited for too long"
        time.sleep(0.05)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_jobs_option() -> None:
    parser = ArgumentParser()
    add_jobs_option(parser)
    assert parser.parse_args([]).jobs == usual_jobs() >= 1
    assert parser.parse_args(["--jobs", "3"]).jobs == 3
    for wrong in ("0", "many"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--jobs", wrong])
