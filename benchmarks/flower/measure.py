"""One strategy of Flower on one round, in a process of its own, inside Flower's environment.

    python -m benchmarks.flower.measure STRATEGY N DIMENSION DIRECTION NOISE LOUDER REPEATS [FOLDER]

Calls what Flower's server calls when all replies are there: `Strategy.aggregate_train` of the message API, or, for
`multi-krum-classic`, `aggregate_fit` of the older `flwr.server.strategy.Krum` with clients to keep. With a FOLDER the
arrays of the replies are first written there, and reading them is measured too (not for the older API). Prints JSON:
seconds (processor time) and wall (by the clock), the best of the repeats, peak_mb (the process's largest resident
memory, replies included, as they are on the server), chosen (the rows that Multi-Krum picks from memory; else null).
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters
from flwr.server.strategy import Krum
from flwr.serverapp.strategy import Bulyan, FedAvg, FedMedian, FedTrimmedAvg, MultiKrum, Strategy
from flwr.serverapp.strategy.multikrum import select_multikrum

from benchmarks.aggregation_inputs import LAYERS, Round, peak_mb


def strategy_named(name: str, round_: Round) -> Strategy:
    """Told the true number of hostile trainers where it asks; Bulyan as many as its n >= 4 f + 3 allows."""
    if name == "multi-krum":
        return MultiKrum(num_malicious_nodes=round_.hostile, num_nodes_to_select=round_.n - round_.hostile)
    if name == "bulyan":
        return Bulyan(num_malicious_nodes=min(round_.hostile, (round_.n - 3) // 4))
    return {"fedavg": FedAvg, "median": FedMedian, "trimmed-avg": FedTrimmedAvg}[name]()


def reply(row: int, arrays: ArrayRecord) -> Message:
    """What a trainer sends."""
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 100, "row": row})})
    return Message(content, reply_to=Message(RecordDict(), dst_node_id=row + 1, message_type="train"))


def arrays_of(round_: Round, row: int, model: np.ndarray) -> ArrayRecord:
    """A trainer's weights, as arrays in bytes."""
    return ArrayRecord(list(np.array_split(round_.moved(row, model), LAYERS)))


def replies_of(round_: Round) -> list[Message]:
    """What the server holds."""
    model = round_.model()
    return [reply(row, arrays_of(round_, row, model)) for row in range(round_.n)]


def written(round_: Round, folder: Path) -> Callable[[], list[Message]]:
    """The same replies, their arrays in files: writes those and returns what reads them."""
    model, known = round_.model(), {}
    for row in range(round_.n):
        for key, array in arrays_of(round_, row, model).items():
            path = folder / f"{row}-{key}"
            path.write_bytes(array.data)
            known.setdefault(row, {})[key] = (array.dtype, array.shape, array.stype, path)

    def read() -> list[Message]:
        return [
            reply(row, ArrayRecord({key: Array(*kind, path.read_bytes()) for key, (*kind, path) in arrays.items()}))
            for row, arrays in known.items()
        ]

    return read


def classic_replies_of(round_: Round) -> list[tuple[None, FitRes]]:
    """The same for the older API, which does not look at whose they are."""
    model, replies = round_.model(), []
    for row in range(round_.n):
        layers = np.array_split(round_.moved(row, model), LAYERS)
        replies.append((None, FitRes(Status(Code.OK, ""), ndarrays_to_parameters(list(layers)), 100, {})))
    return replies


def timed(prepare: Callable[[], list], aggregate: Callable[[list], object], repeats: int) -> dict[str, float]:
    """Times of the best repeat. Replies are made anew: some strategies empty them as they go."""
    seconds, wall = [], []
    for _ in range(repeats):
        replies = prepare()
        started, clock = time.process_time(), time.perf_counter()
        result = aggregate(replies)
        seconds.append(time.process_time() - started)
        wall.append(time.perf_counter() - clock)
        if not result:
            sys.exit("nothing was aggregated")
        del replies, result
    return {"seconds": min(seconds), "wall": min(wall)}


def main() -> None:
    folder = Path(sys.argv[8]) if len(sys.argv) > 8 else None
    name, (n, dimension, direction, noise, louder, repeats) = sys.argv[1], map(int, sys.argv[2:8])
    logging.getLogger("flwr").setLevel(logging.ERROR)
    round_, chosen = Round(n, dimension, direction, noise, louder), None
    if name == "multi-krum-classic":
        krum = Krum(num_malicious_clients=round_.hostile, num_clients_to_keep=n - round_.hostile)
        times = timed(
            lambda: classic_replies_of(round_), lambda replies: krum.aggregate_fit(1, replies, [])[0], repeats
        )
    elif folder is not None:
        strategy, read = strategy_named(name, round_), written(round_, folder)
        times = timed(list, lambda _: strategy.aggregate_train(1, read())[0], repeats)
    else:
        strategy = strategy_named(name, round_)
        times = timed(lambda: replies_of(round_), lambda replies: strategy.aggregate_train(1, replies)[0], repeats)
    if name == "multi-krum" and folder is None:
        contents = [reply.content for reply in replies_of(round_)]
        picked = select_multikrum(contents, round_.hostile, n - round_.hostile)
        chosen = sorted(int(content["metrics"]["row"]) for content in picked)
    print(json.dumps(times | {"peak_mb": peak_mb(), "chosen": chosen}))


if __name__ == "__main__":
    main()
