"""Files that are whole after any crash: written aside, flushed to the disk, then renamed into place."""

from __future__ import annotations

import os
from pathlib import Path

from cohort_trainer.errors import HomeInvalid


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces `path` by `data`. When this returns, a power cut cannot take it back; when it does not, `path` has its
    old content or the new, never a mixture. Raises `HomeInvalid` when the disk refuses (full, read-only), and for a
    device or a folder, in whose place a file would come."""
    try:
        if path.exists() and not path.is_file():
            raise HomeInvalid(f"cannot write {str(path)[:300]}: it is no file that could be replaced; name another")
        aside = path.with_name(f".{path.name}.{os.getpid()}.new")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, path)
        _flush_folder(path.parent)
    except (OSError, ValueError) as error:
        # ValueError: a path with a zero in it, or with no name.
        raise HomeInvalid(
            f"cannot write {str(path)[:300]}: {error}; free space or fix its permissions, then run again"
        ) from error


def read_bounded(path: Path, max_bytes: int) -> bytes | None:
    """The content of `path`, None if there is no such file. Raises `HomeInvalid` if it cannot be read or is larger
    than `max_bytes`."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        # ValueError: a path with a zero in it.
        raise HomeInvalid(f"cannot read {str(path)[:300]!a}: {error}") from error
    if len(data) > max_bytes:
        raise HomeInvalid(f"{path} is larger than {max_bytes} bytes, which nothing of ours is")
    return data


def _flush_folder(folder: Path) -> None:
    """A rename is durable once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
