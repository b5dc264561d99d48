"""Data files, the digits sample and shards."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from cohort_protocol.learning.data import (
    Dataset,
    digits_data_spec,
    digits_splits,
    dirichlet_partition,
    read_dataset,
    write_csv,
)
from cohort_protocol.learning.errors import DatasetInvalid, PartitionImpossible
from cohort_protocol.spec import DataSpec
from hypothesis import given, settings
from hypothesis import strategies as st

TINY = DataSpec(shape=[1, 2, 2], classes=3, scale=4.0)
HEADER = "label,x0,x1,x2,x3\n"


def csv(tmp_path, text, name="data.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode("latin-1"))
    return path


def test_a_csv_is_scaled_and_shaped(tmp_path):
    dataset = read_dataset(csv(tmp_path, HEADER + "2,0,4,8,-1\n0,1e1, 2.5,3,4\r\n\n"), TINY)
    assert dataset.inputs.shape == (2, 1, 2, 2)
    assert dataset.inputs.dtype == np.float32
    assert dataset.inputs.ravel().tolist() == [0, 1, 2, -0.25, 2.5, 0.625, 0.75, 1]
    assert dataset.labels.tolist() == [2, 0]
    assert dataset.labels.dtype == np.int64


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4), min_size=1, max_size=5),
    st.data(),
)
def test_written_values_read_back_exactly(tmp_path_factory, rows, data):
    labels = data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    dataset = Dataset(np.array(rows, np.float32).reshape(-1, 1, 2, 2), np.array(labels, np.int64))
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    write_csv(path, dataset, TINY)
    again = read_dataset(path, TINY)
    assert np.array_equal(again.inputs, dataset.inputs)
    assert np.array_equal(again.labels, dataset.labels)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: the header"),
        ("label,x0,x1\n1,2,3\n", "line 1: the header must be label,x0,...,x3"),
        (HEADER, "no examples"),
        (HEADER + "0,1,2,3,4\n1,2,3,4\n", "line 3: 4 values"),
        (HEADER + "0,1,2,3,4\n\n3,1,2,3,4\n", "line 4: label '3' is not one of 0 .. 2"),
        (HEADER + "-1,1,2,3,4\n", "line 2: label"),
        (HEADER + "1.0,1,2,3,4\n", "line 2: label"),
        (HEADER + "1,1,x,3,4\n", "line 2: x1 is 'x'"),
        (HEADER + "1,1,2,nan,4\n", "line 2: x2 is 'nan'"),
        (HEADER + "1,1,2,3,inf\n", "line 2: x3 is 'inf'"),
        (HEADER + "1,1,2,3,1e39\n", "line 2: x3"),
        (HEADER + "1,1,2,3," + "0" * 60 + "\n", "line 2: x3"),
        (HEADER + "1,1,2,3," + "9" * 10_000 + "\n", "line 2"),
        (HEADER + "1,1,2,3,\xff\n", "not plain ASCII"),
        (HEADER + "0,1,2,3,4\n" * 5, "line 6: more than 4 examples"),
    ],
)
def test_a_bad_csv_is_refused_with_its_line(tmp_path, text, says):
    with pytest.raises(DatasetInvalid, match=says.replace(".", r"\.")):
        read_dataset(csv(tmp_path, text), TINY, max_examples=4)


def test_missing_files_and_other_endings_are_refused(tmp_path):
    with pytest.raises(DatasetInvalid, match="cannot be read"):
        read_dataset(tmp_path / "none.csv", TINY)
    with pytest.raises(DatasetInvalid, match=r"end in \.csv or \.npz"):
        read_dataset(csv(tmp_path, HEADER, "data.pkl"), TINY)


@pytest.mark.parametrize("shape", [(3, 1, 2, 2), (3, 4)])
def test_npz_with_either_shape(tmp_path, shape):
    path = tmp_path / "data.npz"
    inputs = np.arange(12, dtype=np.uint8).reshape(shape)
    np.savez_compressed(path, inputs=inputs, labels=np.array([0, 1, 2], np.uint8))
    dataset = read_dataset(path, TINY)
    assert dataset.inputs.shape == (3, 1, 2, 2)
    assert dataset.inputs.ravel().tolist() == (np.arange(12) / 4).tolist()
    assert dataset.labels.tolist() == [0, 1, 2]


GOOD = {"inputs": np.zeros((2, 4), np.float32), "labels": np.zeros(2, np.int64)}


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": np.zeros((2, 5), np.float32)},
        {"inputs": np.zeros((3, 4), np.float32)},
        {"inputs": np.full((2, 4), np.nan, np.float32)},
        {"inputs": np.array([[object()] * 4] * 2)},
        {"labels": np.array([0, 3])},
        {"labels": np.array([0, -1])},
        {"labels": np.zeros(2)},
        {"labels": np.zeros((2, 1), np.int64)},
        {"labels": np.zeros(0, np.int64), "inputs": np.zeros((0, 4))},
    ],
)
def test_bad_npz_arrays_are_refused(tmp_path, change):
    path = tmp_path / "data.npz"
    np.savez(path, **(GOOD | change))
    with pytest.raises(DatasetInvalid):
        read_dataset(path, TINY)


def test_npz_without_labels_or_not_npz_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, inputs=GOOD["inputs"])
    with pytest.raises(DatasetInvalid, match="missing: "):
        read_dataset(path, TINY)
    path.write_bytes(b"not a zip")
    with pytest.raises(DatasetInvalid, match=r"not an \.npz"):
        read_dataset(path, TINY)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", b"\x93NUMPY broken")
        archive.writestr("labels.npy", b"")
    with pytest.raises(DatasetInvalid, match=r"not an \.npz"):
        read_dataset(path, TINY)


def test_digits_splits_are_whole_disjoint_and_seeded():
    splits = digits_splits(3)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1137, 300, 360)
    everything = np.concatenate([part.inputs for part in (splits.train, splits.validation, splits.test)])
    other = digits_splits(4)
    again = np.concatenate([part.inputs for part in (other.train, other.validation, other.test)])
    assert everything.shape == (1797, 1, 8, 8)
    assert not np.array_equal(everything, again)
    order = np.lexsort(everything.reshape(1797, -1).T)
    assert np.array_equal(everything[order], again[np.lexsort(again.reshape(1797, -1).T)])
    assert np.array_equal(digits_splits(3).test.inputs, splits.test.inputs)
    assert everything.max() == 16 / digits_data_spec().scale


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 32), st.sampled_from([0.1, 0.5, 100.0]), st.integers(0, 2**32 - 1))
def test_shards_cover_every_example_once_and_are_large_enough(parts, alpha, seed):
    labels = np.random.default_rng(0).integers(0, 10, 1137)
    shards = dirichlet_partition(labels, parts, alpha, 20, seed)
    assert len(shards) == parts
    assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(1137))
    assert min(len(shard) for shard in shards) >= 20
    again = dirichlet_partition(labels, parts, alpha, 20, seed)
    assert all(np.array_equal(a, b) for a, b in zip(shards, again, strict=True))


def test_a_small_alpha_is_less_even_than_a_large_one():
    labels = np.random.default_rng(0).integers(0, 10, 1137)

    def unevenness(alpha):
        shards = dirichlet_partition(labels, 8, alpha, 20, 1)
        counts = np.array([np.bincount(labels[shard], minlength=10) / len(shard) for shard in shards])
        return counts.std(0).mean()

    assert unevenness(0.5) > 3 * unevenness(100)


def test_more_shards_than_examples_is_refused():
    with pytest.raises(PartitionImpossible, match="100 examples cannot make 6 shards"):
        dirichlet_partition(np.zeros(100, np.int64), 6, 0.5, 20)
