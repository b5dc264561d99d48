"""ERC-20 tokens (EIP-20) with permit (EIP-2612): what projects are paid in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_account.messages import SignableMessage, encode_typed_data

from cohort_protocol.chain.client import BlockRef, ChainClient
from cohort_protocol.chain.codec import contract_abi, decode_event
from cohort_protocol.chain.errors import NoContract
from cohort_protocol.chain.events import LogPosition, log_position
from cohort_protocol.chain.logs import fetch_logs
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.identifiers import parse_address

MAX_TEXT = 64
"""Characters of a token's name or symbol that are believed: anyone can deploy a token with any text."""


@dataclass(frozen=True)
class Transfer:
    """Tokens moved. Minting has the zero address as sender, burning as receiver."""

    at: LogPosition
    sender: str
    receiver: str
    amount: int


class Token:
    """One token contract. Raises `NoContract`, `TransactionReverted`, `ChainUnavailable`."""

    def __init__(self, client: ChainClient, address: str):
        self.client = client
        self.address = parse_address(address)
        self.abi = contract_abi("TestToken")

    def _read(self, name: str, *arguments: Any, ref: BlockRef = "latest") -> Any:
        data = self.client.call(self.address, self.abi.encode_call(name, *arguments), ref=ref, what=f"token {name}")
        if not data:
            raise NoContract(f"nothing at {self.address} answers {name}: not a token on chain {self.client.chain_id}")
        return self.abi.decode_result(name, data)

    def name(self) -> str:
        return self._read("name")[:MAX_TEXT]

    def symbol(self) -> str:
        return self._read("symbol")[:MAX_TEXT]

    def decimals(self) -> int:
        return self._read("decimals")

    def total_supply(self, ref: BlockRef = "latest") -> int:
        return self._read("totalSupply", ref=ref)

    def balance_of(self, holder: str, ref: BlockRef = "latest") -> int:
        return self._read("balanceOf", holder, ref=ref)

    def allowance(self, owner: str, spender: str, ref: BlockRef = "latest") -> int:
        return self._read("allowance", owner, spender, ref=ref)

    def nonces(self, owner: str, ref: BlockRef = "latest") -> int:
        """Permits of the owner so far (EIP-2612)."""
        return self._read("nonces", owner, ref=ref)

    def _build(self, describe: str, name: str, *arguments: Any) -> TransactionRequest:
        return TransactionRequest(self.address, self.abi.encode_call(name, *arguments), describe=describe)

    def approve(self, spender: str, amount: int) -> TransactionRequest:
        return self._build(
            f"allow {spender} to take up to {amount} base units of token {self.address}", "approve", spender, amount
        )

    def transfer(self, to: str, amount: int) -> TransactionRequest:
        return self._build(f"send {amount} base units of token {self.address} to {to}", "transfer", to, amount)

    def mint(self, to: str, amount: int) -> TransactionRequest:
        """Only the test token has this."""
        return self._build(f"mint {amount} base units of test token for {to}", "mint", to, amount)

    def permit_message(self, owner: str, spender: str, value: int, deadline: int) -> SignableMessage:
        """What the owner signs instead of sending `approve` (EIP-2612; domain version "1")."""
        word = {"owner": "address", "spender": "address", "value": "uint256", "nonce": "uint256"}
        return encode_typed_data(
            domain_data={
                "name": self._read("name"),
                "version": "1",
                "chainId": self.client.chain_id,
                "verifyingContract": self.address,
            },
            message_types={"Permit": [{"name": n, "type": t} for n, t in (word | {"deadline": "uint256"}).items()]},
            message_data={
                "owner": owner,
                "spender": spender,
                "value": value,
                "nonce": self.nonces(owner),
                "deadline": deadline,
            },
        )

    def transfers(
        self, from_block: int, to_block: int, party: str | None = None, max_range: int = 2000
    ) -> list[Transfer]:
        """Transfers in [from_block, to_block], in order; with `party`, those from or to that address.

        Raises `LogMalformed` (a contract that is not an ERC-20 token).
        """
        event = next(item for item in self.abi.events.values() if item.name == "Transfer")
        found = fetch_logs(self.client, self.address, from_block, to_block, [event.digest], max_range)
        transfers = []
        for log in found:
            values = decode_event(event, log.topics, log.data)
            transfer = Transfer(log_position(log), values["from"], values["to"], values["value"])
            if party is None or parse_address(party) in (transfer.sender, transfer.receiver):
                transfers.append(transfer)
        return transfers
