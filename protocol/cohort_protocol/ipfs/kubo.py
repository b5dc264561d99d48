"""A store on a Kubo node (https://github.com/ipfs/kubo), through its RPC.

The node is used for transport and storage, not believed: what is read is verified block by block, and the CID
of what is added is computed here too and compared. The RPC gives full control of the node, so it belongs on the
loopback interface or behind the operator's own access control.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ipfshttpclient import multipart

from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentCorrupt, ContentNotFound, IpfsUnavailable
from cohort_protocol.ipfs.kubo_rpc import NodeRefused, Rpc, Timeouts
from cohort_protocol.ipfs.reader import MAX_BLOCK_BYTES
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import CHUNK_BYTES, MAX_LINKS, FileImport, chunks_of

# Said in full on every call: a node's configuration and newer versions change the defaults, and with them CIDs.
IMPORT_OPTIONS = {
    "cid-version": "1",
    "raw-leaves": "true",
    "chunker": f"size-{CHUNK_BYTES}",
    "max-file-links": str(MAX_LINKS),
    "hash": "sha2-256",
    "trickle": "false",
    "inline": "false",
    "wrap-with-directory": "false",
    "only-hash": "false",
    "nocopy": "false",
    "fscache": "false",
    "pin": "true",
    "quieter": "true",
    "progress": "false",
}
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){2}[0-9A-Za-z.+-]{0,30}", re.ASCII)


class KuboStore(IpfsStore):
    """The node at a multiaddr such as `/ip4/127.0.0.1/tcp/5001/http`. Connects at the first call.

    Raises `StoreUrlInvalid` for an address that cannot be used.
    """

    def __init__(self, address: str, timeouts: Timeouts | None = None) -> None:
        self._timeouts = timeouts or Timeouts()
        self._pace = self._timeouts.pace
        self._rpc = Rpc(address, self._timeouts)
        self._where = address

    def put(self, source: bytes | Path | BinaryIO) -> Cid:
        importer = FileImport()
        read_all = False

        def chunks() -> Iterator[bytes]:
            nonlocal read_all
            for chunk in chunks_of(source):
                importer.add(chunk)
                yield chunk
            read_all = True

        body, headers = multipart.stream_bytes(chunks(), chunk_size=CHUNK_BYTES)
        answer = self._rpc.call_json("add", options=IMPORT_OPTIONS, body=body, headers=headers)
        if not read_all:
            raise IpfsUnavailable("add: the node answered before it had the whole file; it was not added")
        cid = importer.finish()[1]
        if answer.get("Hash") != str(cid):
            raise ContentCorrupt(
                f"add: the node came to {ascii(answer.get('Hash'))[:80]} for content whose CID is {cid}; "
                "its Kubo may be too old or too new for the import options sent, or it lies"
            )
        return cid

    def unpin(self, cid: Cid) -> None:
        try:
            self._rpc.call_json("pin/rm", str(cid), {"recursive": "true"})
        except NodeRefused as refusal:
            if "not pinned or pinned indirectly" not in refusal.message:
                raise

    def pinned(self, cid: Cid) -> bool:
        try:
            answer = self._rpc.call_json("pin/ls", str(cid), {"type": "recursive"})
        except NodeRefused as refusal:
            if f"'{cid}' is not pinned" not in refusal.message:
                raise
            return False
        keys = answer.get("Keys")
        return isinstance(keys, dict) and str(cid) in keys

    def name_and_version(self) -> str:
        version = self._rpc.call_json("version").get("Version")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise IpfsUnavailable(f"version: {ascii(version)[:80]} is not the version of an IPFS node")
        return f"kubo {version}"

    def close(self) -> None:
        self._rpc.close()

    def _read_block(self, cid: Cid) -> bytes:
        return self._rpc.call(
            "block/get", str(cid), {"timeout": f"{self._timeouts.find_s:g}s"}, max_answer=MAX_BLOCK_BYTES
        )

    def _read_held_block(self, cid: Cid) -> bytes:
        return self._rpc.call("block/get", str(cid), {"offline": "true"}, max_answer=MAX_BLOCK_BYTES)

    def _holds_block(self, cid: Cid) -> bool:
        try:
            self._rpc.call_json("block/stat", str(cid), {"offline": "true"})
        except ContentNotFound:
            return False
        return True

    def _add_pin(self, cid: Cid) -> None:
        self._rpc.call_json("pin/add", str(cid), {"offline": "true", "recursive": "true", "progress": "false"})
