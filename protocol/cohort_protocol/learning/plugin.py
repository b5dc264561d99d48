"""Loading a training function by name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from cohort_protocol.learning.errors import TrainFunctionInvalid
from cohort_protocol.learning.training import TrainFunction


def load_train_function(reference: str) -> TrainFunction:
    """The function that `path/to/file.py:function` or `package.module:function` names.

    Runs the module's code: load only what you would run yourself. Raises `TrainFunctionInvalid`."""
    where, colon, name = reference.rpartition(":")
    if not colon or not where or not name.isidentifier():
        raise TrainFunctionInvalid(
            f"{reference!r} does not name a function: write path/to/file.py:function or package.module:function"
        )
    try:
        module = _load_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except TrainFunctionInvalid:
        raise
    except Exception as error:  # somebody else's code: whatever its import raises is reported as its failure
        raise TrainFunctionInvalid(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        functions = sorted(key for key, value in vars(module).items() if callable(value) and key[0] != "_")
        raise TrainFunctionInvalid(f"{where} has no function {name!r}; it has: {', '.join(functions) or 'none'}")
    return function


def _load_file(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise TrainFunctionInvalid(f"there is no file {path}")
    # One name per file, so that two files called train.py do not replace each other.
    name = f"cohort_train_function_{sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TrainFunctionInvalid(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
