"""A process killed with SIGKILL while it computes or publishes public rows: doing it again gives the same bytes."""

from __future__ import annotations

import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, sleep

from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.learning.public_rows import check_rows, compute_rows

from tests.protocol.learning.judged_round import make_round, make_spec

KILLS = 6


def compute_for_ever(root: Path, tell: Connection) -> None:
    """Computes and publishes the rows of the same round again and again; says when each turn begins and ends."""
    store = EmbeddedStore(root)
    spec, model = make_spec()
    inputs = make_round(store, spec, model, revealed=6)
    while True:
        tell.send("begins")
        rows = compute_rows(inputs, spec, store)
        rows.publish(store)
        tell.send(rows.digest.hex())


def test_rows_are_the_same_after_a_kill_at_any_moment(tmp_path: Path) -> None:
    context = get_context("fork")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    spec, model = make_spec()
    reference = EmbeddedStore(undisturbed)
    inputs = make_round(reference, spec, model, revealed=6)
    compute_rows(inputs, spec, reference)  # imports, first
    started = monotonic()
    expected = compute_rows(inputs, spec, reference)
    turn = monotonic() - started
    unfinished = 0
    for number in range(KILLS):
        listen, tell = context.Pipe(duplex=False)
        process = context.Process(target=compute_for_ever, args=(killed, tell), daemon=True)
        process.start()
        tell.close()
        assert listen.poll(60)
        assert listen.recv() == "begins"
        sleep(turn * number / KILLS)
        process.kill()
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
        try:
            assert listen.recv() == expected.digest.hex()
        except EOFError:
            unfinished += 1
        listen.close()
    assert unfinished, "no kill came in the middle"
    store = EmbeddedStore(killed)
    again = compute_rows(make_round(store, spec, model, revealed=6), spec, store)
    assert again.digest == expected.digest
    again.publish(store)
    check_rows(again, expected.digest, inputs, store)
