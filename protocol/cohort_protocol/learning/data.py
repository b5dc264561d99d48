"""Data sets: files of trainers and owners, the digits sample, and non-IID shards for experiments. No torch."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path

import numpy as np

from cohort_protocol.learning.errors import DatasetInvalid, PartitionImpossible
from cohort_protocol.spec import DataSpec, HyperParameters

MAX_EXAMPLES = 1_000_000
MAX_FILE_BYTES = 4 << 30
MAX_VALUE_TEXT = 40
"""Most characters of one number in a CSV file."""

DIGITS_TEST, DIGITS_VALIDATION = 360, 300


@dataclass(frozen=True)
class Dataset:
    """Examples as a model reads them."""

    inputs: np.ndarray
    """float32[k, *shape], raw values divided by the scale of the data section."""
    labels: np.ndarray
    """int64[k], each in 0 .. classes - 1."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Dataset:
        """The examples at `indices` (integers), copied."""
        return Dataset(self.inputs[indices], self.labels[indices])


@dataclass(frozen=True)
class DigitsSplits:
    """The digits sample, split."""

    train: Dataset
    validation: Dataset
    test: Dataset


def read_dataset(path: Path | str, data: DataSpec, max_examples: int = MAX_EXAMPLES) -> Dataset:
    """Reads a `.csv` file (header `label,x0,x1,...`, raw values) or an `.npz` file (arrays `inputs` and `labels`).

    data: what the project asks for. Raises `DatasetInvalid`, with the line where there is one."""
    path = Path(path)
    readers = {".csv": _read_csv, ".npz": _read_npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DatasetInvalid(f"{path}: data files end in {' or '.join(readers)}")
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DatasetInvalid(f"{path} has {size} bytes, at most {MAX_FILE_BYTES} are read")
        inputs, labels = reader(path, data, max_examples)
    except OSError as error:
        raise DatasetInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    scaled = (inputs / np.float32(data.scale)).astype(np.float32)
    return Dataset(scaled.reshape(-1, *data.shape), labels)


def write_csv(path: Path | str, dataset: Dataset, data: DataSpec) -> None:
    """Writes raw values (inputs times scale) so that `read_dataset` gives the data set back."""
    rows = (dataset.inputs * np.float32(data.scale)).reshape(len(dataset), -1)
    with Path(path).open("w", encoding="ascii", newline="\n") as file:
        file.write(_csv_header(prod(data.shape)) + "\n")
        for label, row in zip(dataset.labels.tolist(), rows, strict=True):
            file.write(f"{label},{','.join(_number(value) for value in row)}\n")


def digits_data_spec() -> DataSpec:
    """The data section of a project on the digits sample: 8 x 8 images, values 0 .. 16."""
    return DataSpec(
        shape=[1, 8, 8],
        classes=10,
        scale=8.0,
        description="Handwritten digits, 8 x 8 pixels of 0 .. 16, row by row.",
    )


def digits_training() -> HyperParameters:
    """Hyper-parameters for eight or so trainers with non-IID shards of digits and ten rounds.

    Measured (benchmarks/peer_policy.py): with four epochs and a decay of 0.9 a class that only small shards hold is
    not learned in ten rounds on one seed in twenty; longer local training or a slower decay makes updates of the last
    rounds disagree, which costs a policy that judges by agreement."""
    return HyperParameters(learning_rate=0.1, learning_rate_decay=0.93, local_epochs=6, batch_size=16, augment_shift=1)


def digits_splits(seed: int) -> DigitsSplits:
    """scikit-learn's digits (Alpaydin and Kaynak, UCI, 1998), shuffled: 1,137 for training, 300 for the owner's
    validation, 360 for the test. Needs scikit-learn."""
    from sklearn.datasets import load_digits  # only the sample needs it, not those who bring their own data

    sample = load_digits()
    data = digits_data_spec()
    inputs = (sample.images.astype(np.float32) / np.float32(data.scale)).reshape(-1, *data.shape)
    everything = Dataset(inputs, sample.target.astype(np.int64))
    order = np.random.default_rng([seed, 0x5917]).permutation(len(everything))
    test, validation = DIGITS_TEST, DIGITS_TEST + DIGITS_VALIDATION
    return DigitsSplits(
        train=everything.take(order[validation:]),
        validation=everything.take(order[test:validation]),
        test=everything.take(order[:test]),
    )


def dirichlet_partition(
    labels: np.ndarray, parts: int, alpha: float = 0.5, smallest: int = 20, seed: int = 0
) -> list[np.ndarray]:
    """Splits examples among `parts` shards, every class by its own Dirichlet(alpha) (Hsu et al., 2019).

    labels: int64[k]. Draws until every shard has `smallest` examples; if a hundred draws do not, the last one is
    topped up from its largest shards. Returns sorted index arrays that cover every example once.
    Raises `PartitionImpossible`."""
    if parts < 1 or alpha <= 0 or parts * smallest > len(labels):
        raise PartitionImpossible(
            f"{len(labels)} examples cannot make {parts} shards of at least {smallest} (alpha {alpha}): "
            "ask for fewer or smaller shards"
        )
    random = np.random.default_rng([seed, 0xD1C7])
    for _ in range(100):
        owner = np.empty(len(labels), np.int64)
        for label in np.unique(labels):
            of_class = random.permutation(np.flatnonzero(labels == label))
            cuts = np.cumsum(random.dirichlet(np.full(parts, alpha)))[:-1] * len(of_class)
            for part, indices in enumerate(np.split(of_class, cuts.astype(np.int64))):
                owner[indices] = part
        if np.bincount(owner, minlength=parts).min() >= smallest:
            break
    sizes = np.bincount(owner, minlength=parts)
    while sizes.min() < smallest:
        giver, taker = int(sizes.argmax()), int(sizes.argmin())
        owner[random.choice(np.flatnonzero(owner == giver))] = taker
        sizes = np.bincount(owner, minlength=parts)
    return [np.flatnonzero(owner == part) for part in range(parts)]


def _csv_header(features: int) -> str:
    return "label," + ",".join(f"x{index}" for index in range(features))


def _number(value: np.float32) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _read_csv(path: Path, data: DataSpec, max_examples: int) -> tuple[np.ndarray, np.ndarray]:
    features = prod(data.shape)
    longest = (features + 1) * (MAX_VALUE_TEXT + 1)
    rows: list[np.ndarray] = []
    labels: list[int] = []
    try:
        with path.open(encoding="ascii", newline=None) as file:
            header = file.readline(longest + 1).strip()
            if header != _csv_header(features):
                raise DatasetInvalid(
                    f"{path}, line 1: the header must be label,x0,...,x{features - 1} "
                    f"for data of shape {data.shape}, it starts with {header[:60]!r}"
                )
            number = 1
            while line := file.readline(longest + 1):
                number += 1
                if line.isspace():
                    continue
                if len(rows) >= max_examples:
                    raise DatasetInvalid(f"{path}, line {number}: more than {max_examples} examples")
                label, values = _parse_row(path, number, line, features, data.classes)
                labels.append(label)
                rows.append(values)
    except UnicodeDecodeError as error:
        raise DatasetInvalid(f"{path} is not plain ASCII text: {error}") from error
    if not rows:
        raise DatasetInvalid(f"{path} has a header and no examples")
    return np.stack(rows), np.array(labels, np.int64)


def _parse_row(path: Path, number: int, line: str, features: int, classes: int) -> tuple[int, np.ndarray]:
    cells = line.strip().split(",")
    if len(cells) != features + 1:
        raise DatasetInvalid(f"{path}, line {number}: {len(cells)} values, a label and {features} are needed")
    label = cells[0].strip()
    if not label.isdigit() or len(label) > 9 or int(label) >= classes:
        raise DatasetInvalid(
            f"{path}, line {number}: label {label[:MAX_VALUE_TEXT]!r} is not one of 0 .. {classes - 1}"
        )
    values = np.empty(features, np.float32)
    for index, cell in enumerate(cells[1:]):
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if len(cell) > MAX_VALUE_TEXT or not isfinite(value) or abs(value) > 1e30:
            raise DatasetInvalid(
                f"{path}, line {number}: x{index} is {cell.strip()[:MAX_VALUE_TEXT]!r}, not a finite number"
            )
        values[index] = value
    return int(label), values


def _read_npz(path: Path, data: DataSpec, max_examples: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > MAX_FILE_BYTES:
            raise DatasetInvalid(f"{path} unpacks to {unpacked} bytes, at most {MAX_FILE_BYTES} are read")
        with np.load(path, allow_pickle=False) as arrays:
            missing = {"inputs", "labels"} - set(arrays.files)
            if missing:
                raise DatasetInvalid(f"{path} has arrays {sorted(arrays.files)}, missing: {sorted(missing)}")
            inputs, labels = arrays["inputs"], arrays["labels"]
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise DatasetInvalid(f"{path} is not an .npz file of plain arrays: {error}") from error
    count = len(labels) if labels.ndim == 1 else 0
    if not 1 <= count <= max_examples or labels.dtype.kind not in "iu":
        raise DatasetInvalid(
            f"{path}: labels are {labels.dtype}{list(labels.shape)}, they must be integers[1 .. {max_examples}]"
        )
    if labels.min() < 0 or labels.max() >= data.classes:
        raise DatasetInvalid(f"{path}: labels {labels.min()} .. {labels.max()} are outside 0 .. {data.classes - 1}")
    allowed = [(count, *data.shape), (count, prod(data.shape))]
    if inputs.dtype.kind not in "fiu" or inputs.shape not in allowed:
        raise DatasetInvalid(
            f"{path}: inputs are {inputs.dtype}{list(inputs.shape)}, they must be numbers{list(allowed[0])}"
        )
    inputs = inputs.astype(np.float32)
    if not np.isfinite(inputs).all():
        raise DatasetInvalid(f"{path}: {int((~np.isfinite(inputs)).sum())} inputs are not finite")
    return inputs.reshape(count, -1), labels.astype(np.int64)
