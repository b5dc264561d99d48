"""`cohort devnet show`: a kept chain, to be read."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cohort_devnet.node import DEVNET_CHAIN_ID, AnvilNode


def show(
    state: Annotated[Path, typer.Argument(help="Chain state that a run left behind. It is read, never changed.")],
    port: Annotated[int, typer.Option(help="Port of the JSON-RPC interface; 0 takes a free one.", min=0)] = 0,
    attached: Annotated[bool, typer.Option("--attached", help="End when standard input does.")] = False,
) -> None:
    """Serve a kept chain state until Ctrl-C, for `cohort audit` or anything else that reads a chain.

    Nothing that is sent to it is kept.

    Example: cohort devnet show demo-report/chain-state.json --port 8545
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="cohort-kept-chain-") as folder:
        try:
            with AnvilNode.load(state, Path(folder), port=port) as node:
                print(f"chain      {node.url} (id {DEVNET_CHAIN_ID})", flush=True)
                if attached:
                    sys.stdin.read()
                else:
                    node.wait()
        except KeyboardInterrupt:
            return
