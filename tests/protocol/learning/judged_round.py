"""A small round with a validation batch, on disk: a linear task, five trainers, one of whom sends the opposite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.architecture import initial_weights, parse_architecture
from cohort_protocol.learning.batches import card_of, encode_batch
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.training import LocalTask, local_seed, train
from cohort_protocol.round_inputs import InputModel, InputRow, RoundInputs
from cohort_protocol.scoring import policy_by_name
from cohort_protocol.spec import DataSpec, HyperParameters, ModelSpec, PolicySpec, ProjectSpec
from cohort_protocol.update import (
    encode_model,
    encode_update,
    model_commitment,
    model_from_floats,
    quantise,
    update_commitment,
)

EXPONENT = -14
DATA = DataSpec(shape=[6], classes=3)
TRAINING = HyperParameters(learning_rate=0.1, local_epochs=2, batch_size=16, augment_shift=0)
MEMBERS = (21, 22, 23, 24, 25)


def examples(count: int, seed: int) -> Dataset:
    """Three clouds of points."""
    random = np.random.default_rng([seed, 5])
    labels = random.integers(0, 3, count)
    centres = np.random.default_rng(1).normal(size=(3, 6)) * 2
    return Dataset((centres[labels] + random.normal(size=(count, 6))).astype(np.float32), labels.astype(np.int64))


def make_spec(policy: str = "default", **params: int) -> tuple[ProjectSpec, np.ndarray]:
    """(spec, first model)."""
    architecture = parse_architecture("mlp", {"hidden": [8]}, DATA)
    model = model_from_floats(initial_weights(architecture, 3), EXPONENT)
    spec = ProjectSpec(
        title="points",
        model=ModelSpec(
            family="mlp",
            config=architecture.to_config(),
            initial_cid="bafkreie" + "a" * 51,
            initial_commitment=to_hex(model_commitment(model)),
            dimension=architecture.dimension,
            exponent=EXPONENT,
        ),
        data=DATA,
        training=TRAINING,
        policy=PolicySpec(name=policy, params=params),
        seed=4,
    )
    return spec, model


def trained(spec: ProjectSpec, model: np.ndarray, data: Dataset, seed: int) -> np.ndarray:
    """An honest update, int16[d]."""
    import torch

    module = build_module(parse_architecture(spec.model.family, spec.model.config, spec.data))
    before = (model * 2.0 ** (EXPONENT - 16)).astype(np.float32)
    at = 0
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(before[at : at + parameter.numel()]).reshape(parameter.shape))
            at += parameter.numel()
    task = LocalTask(
        model=module,
        inputs=data.inputs,
        labels=data.labels,
        hyper=spec.training,
        round=1,
        seed=local_seed(spec.seed, 1, seed),
        previous_step=None,
    )
    after = torch.cat([parameter.detach().reshape(-1) for parameter in train(task).parameters()]).numpy()
    return quantise((after - before).astype(np.float64), EXPONENT)


def put_batch(store: IpfsStore, batch: Dataset, round: int) -> bytes:
    """Publishes file and card; the round's digest."""
    card = card_of(batch, round)
    store.put(encode_batch(batch))
    store.put(card.to_bytes())
    return card.digest


def make_round(store: IpfsStore, spec: ProjectSpec, model: np.ndarray, *, revealed: int = 1) -> RoundInputs:
    """Round 2 of a project; the last trainer sends the opposite of what the first one learned."""
    updates = [trained(spec, model, examples(60, 10 + i), i) for i in range(4)]
    updates.append(-updates[0])
    rows = tuple(
        InputRow(
            0 if index < 3 else 3,
            member,
            f"0x{member}" + "00" * 19,
            update_commitment(update),
            store.put(encode_update(update)),
        )
        for index, (member, update) in enumerate(zip(MEMBERS, updates, strict=True))
    )
    policy = policy_by_name(spec.policy.name, spec.policy.params)
    inputs = RoundInputs(
        chain_id=31337,
        market="0x" + "11" * 20,
        project=3,
        round=revealed + 1,
        spec_cid=Cid.of_block(0x55, b"spec"),
        policy=spec.policy,
        policy_hash=policy.policy_hash(),
        dimension=spec.model.dimension,
        exponent=EXPONENT,
        models=(InputModel(model_commitment(model), store.put(encode_model(model))),),
        rows=rows,
        revealed=tuple((n, put_batch(store, examples(128, 50 + n), n)) for n in range(1, revealed + 1)),
    )
    return replace(inputs, validation=put_batch(store, examples(128, 99), revealed + 1))
