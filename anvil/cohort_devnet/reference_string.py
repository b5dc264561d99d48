"""The reference string of local chains: made once on this machine, used by every run. Its secret is known to everybody,
so it is refused on every chain but a local one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cohort_devnet.node import repository_root

SIZE = 40_960
"""Powers: the demo's model has 38,282 parameters. Seconds to make, 2.6 MB."""
SEED = "devnet"


def devnet_srs(folder: Path | None = None, size: int = SIZE, progress: Callable[[str], None] | None = None) -> Path:
    """The file, made if it is not there yet. folder: where it is kept; None for `.cohort/srs` of the repository.

    Raises `SrsInvalid` if what is there is none, `SrsUnreadable`, `CurveLibraryMissing`."""
    # Brings the curve library in.
    from cohort_protocol.proof.srs import make_insecure_srs, open_srs

    file = (folder or repository_root() / ".cohort" / "srs") / f"{SEED}-{size}.srs"
    if file.is_file():
        open_srs(file, size)
        return file
    if progress is not None:
        progress(f"making a reference string of {size:,} powers for local chains, once on this machine")
    file.parent.mkdir(parents=True, exist_ok=True)
    make_insecure_srs(file, size, SEED)
    return file
