"""Where an audit reads: from options, a demo's folder, an address book or a home."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cohort_protocol.canonical import parse_json
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.gateway import GatewayStore
from cohort_protocol.ipfs.store import IpfsStore

from cohort_trainer.auditing.errors import AuditPlaceInvalid
from cohort_trainer.durable_files import read_bounded
from cohort_trainer.errors import TrainerError

DEMO_FOLDER = Path("demo-report")
MAX_BOOK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Places:
    """Addresses and folders. None: not known yet."""

    chain: str | None = None
    state: Path | None = None
    """A kept chain instead of a running one."""
    market: str | None = None
    chain_id: int | None = None
    start_block: int = 0
    ipfs: str | None = None
    gateway: str | None = None
    srs: Path | None = None
    """Reference string of a proven project."""

    def over(self, other: Places) -> Places:
        """What is not known here is taken from the other."""
        known: dict[str, Any] = {name: value for name, value in self.__dict__.items() if value not in (None, 0)}
        if "chain" in known or "state" in known:
            other = replace(other, chain=None, state=None)
        if "ipfs" in known or "gateway" in known:
            other = replace(other, ipfs=None, gateway=None)
        return replace(other, **known)

    def store(self) -> IpfsStore:
        """Raises `AuditPlaceInvalid`, `StoreUrlInvalid`, `IpfsUnavailable`."""
        if self.gateway is not None:
            return GatewayStore(self.gateway)
        if self.ipfs is None:
            raise AuditPlaceInvalid("no block store: give --ipfs URL (file:///folder or a Kubo node) or --gateway URL")
        folder = Path(self.ipfs.removeprefix("file://"))
        if self.ipfs.startswith("file://") and not os.path.isfile(folder / "version"):
            # Opening it would make an empty one.
            raise AuditPlaceInvalid(f"{folder} is not a block store: it has no file `version`")
        return connect_store(self.ipfs)


def of_run(folder: Path) -> Places:
    """Of a run of `cohort demo` that has ended. Raises `AuditPlaceInvalid`."""
    book = of_book(folder / "deployment.json")
    store = (folder / "run" / "ipfs").absolute()
    return replace(
        book,
        state=folder / "chain-state.json",
        ipfs=f"file://{store}" if store.is_dir() else None,
        srs=_srs_of(folder / "run" / "owner"),
    )


def _srs_of(root: Path) -> Path | None:
    """The reference string that a home uses; None if it uses none, or there is no home."""
    try:
        return of_home(root).srs
    except TrainerError:
        return None


def of_book(path: Path) -> Places:
    """Market, chain id and first block of an address book (`deployment.json`). Raises `AuditPlaceInvalid`."""
    data = read_bounded(path, MAX_BOOK_BYTES)
    if data is None:
        raise AuditPlaceInvalid(f"there is no address book at {path}: give --market and --start-block instead")
    try:
        found = parse_json(data, MAX_BOOK_BYTES)
        return Places(
            market=parse_address(found["market"]), chain_id=int(found["chain_id"]), start_block=int(found["block"])
        )
    except (ValueError, KeyError, TypeError, InvalidInput) as error:
        raise AuditPlaceInvalid(f"{path} is not an address book: {type(error).__name__} {error}") from error


def of_home(root: Path) -> Places:
    """Of a trainer's, owner's or aggregator's home. Raises `HomeMissing`, `HomeInvalid`."""
    from cohort_trainer.home import Home

    config = Home.open(root).config
    return Places(
        chain=config.chain_url,
        market=config.market,
        chain_id=config.chain_id,
        start_block=config.start_block,
        ipfs=config.ipfs_url,
        srs=Path(config.srs) if config.srs is not None else None,
    )
