"""Runs a trainer's rounds in forked processes and kills them with SIGKILL at a chosen moment.

torch is imported once, in this process, which has one thread; every trial is a fork of it. Reads one JSON object per
line from stdin: {"home", "project", "data", "kill_at", "train"}; answers one per line.

An *effect* is anything that outlives the process: a durable file, a request to the service, a file on IPFS, a
transaction. Moment 2k is right before effect k, moment 2k + 1 right after it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.learning import families, plugin, training  # noqa: F401
from cohort_protocol.service.client import ServiceClient
from cohort_trainer import journal, models, projects
from cohort_trainer.home import Home
from cohort_trainer.sdk import Trainer
from pydantic import SecretStr


class Killer:
    """Counts moments; the process dies at `kill_at` without any chance to clean up (0: never)."""

    def __init__(self, kill_at: int) -> None:
        self._kill_at = kill_at
        self.moment = 0

    def watch(self, owner: object, name: str) -> None:
        """Every call of `owner.name` becomes two moments."""
        inner: Callable = getattr(owner, name)

        def watched(*arguments, **options):
            self._pass()
            result = inner(*arguments, **options)
            self._pass()
            return result

        setattr(owner, name, watched)

    def _pass(self) -> None:
        self.moment += 1
        if self.moment == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def trial(order: dict) -> None:
    """One process's life. Writes the number of moments that it passed to `moments` beside the home."""
    torch.set_num_threads(1)
    home = Home.open(Path(order["home"]))
    with Trainer.unlock(home, SecretStr(order["password"])) as trainer:
        killer = Killer(order["kill_at"])
        for module in (journal, models, projects):
            killer.watch(module, "write_durably")
        killer.watch(ServiceClient, "post_commit")
        killer.watch(ServiceClient, "post_reveal")
        killer.watch(EmbeddedStore, "put")
        killer.watch(TransactionSender, "execute")
        trainer.run(order["project"], Path(order["data"]), train=order["train"], rounds=1)
    print(json.dumps({"moments": killer.moment}), flush=True)


def main() -> None:
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1)], lr=0.1)  # loads a second's worth of modules, once for all forks
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                trial(order)
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        died = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        print(json.dumps({"exit": died}), flush=True)


if __name__ == "__main__":
    main()
