"""Who can read the updates of a private run: every key of the run is tried on every sealed file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cohort_protocol.errors import InvalidInput
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.sealing.file import is_sealed, open_sealed
from cohort_protocol.sealing.project import Sealing
from cohort_protocol.sealing.readers import Readers, public_key
from cohort_protocol.update import decode_update, update_size

from cohort_devnet.demo.report import Privacy, Reader, Round


def try_every_key(
    rounds: Sequence[Round],
    store: IpfsStore,
    sealing: Sealing,
    readers: Mapping[str, bytes],
    others: Sequence[bytes],
    dimension: int,
) -> Privacy:
    """What each key can open of the updates of these rounds. readers: name -> private key of those for whom updates are
    sealed; others: private keys of everybody else who took part.

    Raises what the store raises: a file that is gone proves nothing."""
    if sealing.readers is None:
        raise InvalidInput("the project is public: everybody can read its updates")
    most = sealing.published_size(update_size(dimension))
    files = [store.get(Cid.parse(one.cid), most) for entry in rounds for one in entry.submissions]
    opened = [
        Reader(
            name=name,
            address=sealing.readers.addresses[sealing.readers.place_of(public_key(key))],
            opened=sum(_opens(file, key, sealing.readers, sealing.context, dimension) for file in files),
        )
        for name, key in readers.items()
    ]
    stolen = sum(
        not is_sealed(file)
        or any(_opens(file, key, pose, sealing.context, dimension) for key in others for pose in _poses(key, sealing))
        for file in files
    )
    return Privacy(
        updates=len(files),
        file_bytes=max(map(len, files), default=0),
        readers=opened,
        outsiders=len(others),
        opened_by_outsiders=stolen,
    )


def _poses(key: bytes, sealing: Sealing) -> list[Readers]:
    """The lists of readers with this key in the place of each: what whoever tries somebody else's part would use."""
    readers, own = sealing.readers, public_key(key)
    if readers is None:
        return []
    return [
        replace(readers, keys=(*readers.keys[:place], own, *readers.keys[place + 1 :]))
        for place in range(len(readers.keys))
    ]


def _opens(file: bytes, key: bytes, readers: Readers, context: bytes, dimension: int) -> bool:
    """Whether an update comes out."""
    try:
        decode_update(b"".join(open_sealed([file], key, readers, context)), dimension)
    except InvalidInput:
        return False
    return True
