"""Exactly once: the sender against a real chain, with crashes, lost answers, threads and processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import (
    ChainUnavailable,
    FeeTooHigh,
    InsufficientFunds,
    IntentInvalid,
    TransactionLost,
    TransactionReverted,
)
from cohort_protocol.chain.journal import EntryState, FileJournal, MemoryJournal
from cohort_protocol.chain.sender import GWEI, FeePolicy, TransactionSender
from cohort_protocol.chain.transactions import TransactionRequest
from eth_account import Account

from tests.fixtures.chain import Devnet


class Crash(BaseException):
    """Stands for the death of the process at this point."""


class Interrupted(ChainClient):
    """A client that fails in the middle of a broadcast: before it, or after it (the answer is lost)."""

    def __init__(self, url: str, error: BaseException, arrives: bool):
        super().__init__(url)
        self.error, self.arrives = error, arrives

    def send_raw(self, raw: bytes) -> bytes:
        if self.arrives:
            super().send_raw(raw)
        raise self.error


@pytest.fixture
def account(devnet: Devnet):
    return devnet.account("payer")


@pytest.fixture
def receiver() -> str:
    return Account.from_key(b"\x07" * 32).address


def pay(receiver: str, amount: int = 5) -> TransactionRequest:
    return TransactionRequest(to=receiver, data=b"", value=amount, describe=f"pay {amount}")


def balance_once_mined(devnet: Devnet, receiver: str, expected: int) -> int:
    """The balance, asked again for a while if it is still less: on a busy machine Anvil answers a receipt a moment
    before its newest state shows the transaction."""
    deadline = time.monotonic() + 5
    while (found := devnet.client.balance(receiver)) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_an_intent_is_sent_once(devnet: Devnet, account, receiver: str) -> None:
    sender = devnet.sender(account)
    first = sender.execute(pay(receiver), "pay")
    again = sender.execute(pay(receiver), "pay")
    assert first == again
    assert devnet.client.balance(receiver) == 5
    assert devnet.client.nonce(account.address) == 1
    sender.execute(pay(receiver), "pay once more")
    assert devnet.client.balance(receiver) == 10


@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize("error", [Crash(), ChainUnavailable("the answer never came")], ids=["crash", "outage"])
def test_a_restart_sends_the_same_bytes(
    devnet: Devnet, account, receiver: str, tmp_path: Path, error: BaseException, arrives: bool
) -> None:
    """Dead between record and broadcast, or between broadcast and answer."""
    path = tmp_path / "j.json"
    broken = TransactionSender(Interrupted(devnet.node.url, error, arrives), account, FileJournal(path))
    with pytest.raises(type(error)):
        broken.execute(pay(receiver), "pay")
    recorded = FileJournal(path).find("pay")
    assert recorded is not None
    assert balance_once_mined(devnet, receiver, 5 if arrives else 0) == (5 if arrives else 0)

    restarted = TransactionSender(devnet.client, account, FileJournal(path))
    receipt = restarted.execute(pay(receiver), "pay")
    assert receipt.hash == recorded.hash
    assert devnet.client.balance(receiver) == 5
    assert devnet.client.nonce(account.address) == 1
    found = FileJournal(path).find("pay")
    assert found is not None
    assert (found.attempt, found.state, found.block_number) == (1, EntryState.MINED, receipt.block_number)


def test_resume_sends_what_a_dead_process_recorded(devnet: Devnet, account, receiver: str) -> None:
    journal = MemoryJournal()
    dead = TransactionSender(Interrupted(devnet.node.url, Crash(), False), account, journal)
    with pytest.raises(Crash):
        dead.execute(pay(receiver), "pay")
    sender = TransactionSender(devnet.client, account, journal)
    again = sender.resume()
    assert [entry.intent for entry in again] == ["pay"]
    sender.wait(again[0])
    assert balance_once_mined(devnet, receiver, 5) == 5
    assert sender.resume() == []
    assert journal.pending() == []


def test_a_lost_transaction_does_not_hold_up_later_ones(devnet: Devnet, account, receiver: str) -> None:
    """The gap that an unsent nonce leaves is filled before the next one."""
    journal = MemoryJournal()
    dead = TransactionSender(Interrupted(devnet.node.url, Crash(), False), account, journal)
    with pytest.raises(Crash):
        dead.execute(pay(receiver, 1), "first")
    sender = TransactionSender(devnet.client, account, journal)
    sender.execute(pay(receiver, 2), "second")
    assert devnet.client.balance(receiver) == 3
    second = journal.find("second")
    assert second is not None
    assert second.nonce == 1


def test_a_taken_nonce_is_noticed_and_signed_anew_once(devnet: Devnet, account, receiver: str) -> None:
    journal = MemoryJournal()
    dead = TransactionSender(Interrupted(devnet.node.url, Crash(), False), account, journal)
    with pytest.raises(Crash):
        dead.execute(pay(receiver), "pay")
    # Another program with the same key and no knowledge of our journal.
    other = "0x" + "22" * 20
    TransactionSender(devnet.client, account, MemoryJournal()).execute(pay(other, 1), "unrelated")

    sender = TransactionSender(devnet.client, account, journal)
    receipt = sender.execute(pay(receiver), "pay")
    found = journal.find("pay")
    assert found is not None
    assert (found.attempt, found.nonce, found.state, found.hash) == (2, 1, EntryState.MINED, receipt.hash)
    assert sender.execute(pay(receiver), "pay") == receipt
    assert devnet.client.balance(receiver) == 5


def test_a_nonce_taken_while_waiting_is_signed_anew(devnet: Devnet, account, receiver: str) -> None:
    journal = MemoryJournal()
    sender = TransactionSender(devnet.client, account, journal, timeout=15)
    devnet.control.set_automine(False)
    entry = sender.send(pay(receiver), "pay")
    devnet.control.drop_transaction(entry.hash)
    TransactionSender(devnet.client, account, MemoryJournal()).send(pay("0x" + "22" * 20, 1), "unrelated")
    devnet.control.mine()
    devnet.control.set_automine(True)
    sender.execute(pay(receiver), "pay")
    assert devnet.client.balance(receiver) == 5
    assert journal.pending() == []


def test_a_dropped_transaction_is_broadcast_again(devnet: Devnet, account, receiver: str) -> None:
    sender = TransactionSender(devnet.client, account, MemoryJournal(), timeout=20)
    devnet.control.set_automine(False)
    entry = sender.send(pay(receiver), "pay")
    devnet.control.drop_transaction(entry.hash)
    with pytest.raises(TransactionLost, match="sends the same bytes"):
        sender.wait(entry, timeout=0.2)
    devnet.control.set_automine(True)
    assert sender.wait(entry).hash == entry.hash
    assert devnet.client.balance(receiver) == 5


def test_a_reorg_is_healed_by_the_same_bytes(devnet: Devnet, account, receiver: str) -> None:
    sender = devnet.sender(account)
    receipt = sender.execute(pay(receiver), "pay")
    devnet.control.reorg(1)
    assert devnet.client.balance(receiver) == 0
    again = sender.execute(pay(receiver), "pay")
    assert again.hash == receipt.hash
    assert again.block_hash != receipt.block_hash
    assert devnet.client.balance(receiver) == 5


def test_confirmations_are_waited_for(devnet: Devnet, account, receiver: str) -> None:
    sender = TransactionSender(devnet.client, account, MemoryJournal(), confirmations=2)
    entry = sender.send(pay(receiver), "pay")
    devnet.control.mine(1)
    with pytest.raises(TransactionLost):
        sender.wait(entry, timeout=0.2)
    devnet.control.mine(1)
    assert sender.wait(entry, timeout=0.2).success


def test_threads_with_one_intent_send_once(devnet: Devnet, account, receiver: str) -> None:
    sender = devnet.sender(account)
    results, barrier = [], threading.Barrier(6)

    def work() -> None:
        barrier.wait(10)
        results.append(sender.execute(pay(receiver), "pay"))

    _run_threads([work] * 6)
    assert len(results) == 6
    assert len({receipt.hash for receipt in results}) == 1
    assert devnet.client.balance(receiver) == 5


def test_threads_with_many_intents_share_the_key(devnet: Devnet, account, receiver: str) -> None:
    sender = devnet.sender(account)

    def work(name: int):
        return lambda: [sender.execute(pay(receiver, 1), f"{name}/{index}") for index in range(5)]

    _run_threads([work(name) for name in range(5)])
    assert balance_once_mined(devnet, receiver, 25) == 25
    assert devnet.client.nonce(account.address) == 25


class MinedMeanwhile(ChainClient):
    """A client during whose question for the nonce another thread's transaction is broadcast and mined."""

    def __init__(self, url: str, meanwhile):
        super().__init__(url)
        self.meanwhile = meanwhile

    def nonce(self, address: str, ref="latest") -> int:
        found = super().nonce(address, ref)
        self.meanwhile()
        return found


def test_a_nonce_is_given_once_although_its_transaction_is_mined_meanwhile(
    devnet: Devnet, account, receiver: str
) -> None:
    """The very same call for two purposes is two transactions."""
    journal = MemoryJournal()
    with pytest.raises(Crash):
        TransactionSender(Interrupted(devnet.node.url, Crash(), False), account, journal).execute(pay(receiver), "one")
    other = TransactionSender(devnet.client, account, journal)
    client = MinedMeanwhile(devnet.node.url, lambda: other.execute(pay(receiver), "one"))
    second = TransactionSender(client, account, journal).execute(pay(receiver), "two")
    assert second.hash != other.execute(pay(receiver), "one").hash
    assert balance_once_mined(devnet, receiver, 10) == 10


def _run_threads(works) -> None:
    failures: list[BaseException] = []

    def guarded(work):
        def run() -> None:
            try:
                work()
            except BaseException as error:  # a thread's failure must fail the test
                failures.append(error)

        return run

    threads = [threading.Thread(target=guarded(work)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in threads)


PROCESS = """
import sys
from cohort_devnet.accounts import demo_account
from cohort_protocol.chain import ChainClient, FileJournal, TransactionRequest, TransactionSender
url, path, receiver, name = sys.argv[1:]
sender = TransactionSender(ChainClient(url), demo_account(0, "payer"), FileJournal(path))
for index in range(6):
    sender.execute(TransactionRequest(receiver, b"", value=1), f"shared {index}")
    sender.execute(TransactionRequest(receiver, b"", value=100), f"{name} {index}")
"""


def test_processes_share_a_key_through_the_journal(devnet: Devnet, account, receiver: str, tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, devnet.node.url, str(tmp_path / "j.json"), receiver, name],
            stderr=subprocess.PIPE,
        )
        for name in ("left", "right")
    ]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors.decode()
    assert devnet.client.balance(receiver) == 6 * 1 + 12 * 100
    assert devnet.client.nonce(account.address) == 18


def test_a_refused_request_is_not_recorded(devnet: Devnet, account) -> None:
    journal = MemoryJournal()
    sender = TransactionSender(devnet.client, account, journal)
    with pytest.raises(TransactionReverted) as refused:
        sender.execute(devnet.market.join(99), "join 99")
    assert refused.value.name == "UnknownProject"
    assert "join project 99 with its stake was refused: there is no project 99" in str(refused.value)
    assert journal.find("join 99") is None
    assert devnet.client.nonce(account.address) == 0


def test_a_revert_on_chain_is_told_and_may_be_tried_again(devnet: Devnet, account, receiver: str) -> None:
    """Mined and refused: the reason is found, and the intent is free for another attempt."""
    journal = MemoryJournal()
    sender = TransactionSender(devnet.client, account, journal)
    request = devnet.token.transfer(receiver, 7)
    unestimated = TransactionRequest(request.to, request.data, gas=200_000)
    with pytest.raises(TransactionReverted) as refused:
        sender.execute(unestimated, "transfer")
    assert refused.value.name == "ERC20InsufficientBalance"
    assert refused.value.arguments["needed"] == 7
    failed = journal.find("transfer")
    assert failed is not None
    assert (failed.attempt, failed.state) == (1, EntryState.REVERTED)

    devnet.give_tokens(account, 7)
    assert sender.execute(request, "transfer").success
    again = journal.find("transfer")
    assert again is not None
    assert (again.attempt, again.state) == (2, EntryState.MINED)
    sender.execute(request, "transfer")
    assert devnet.token.balance_of(receiver) == 7


def test_out_of_gas_is_told_apart_from_a_refusal(devnet: Devnet, account, receiver: str) -> None:
    devnet.give_tokens(account, 7)
    request = devnet.token.transfer(receiver, 7)
    with pytest.raises(TransactionReverted, match="the gas limit") as failed:
        devnet.sender(account).execute(TransactionRequest(request.to, request.data, gas=25_000), "transfer")
    assert failed.value.name == "Unknown"


def test_fees_stay_below_the_cap(devnet: Devnet, account, receiver: str) -> None:
    sender = TransactionSender(devnet.client, account, MemoryJournal(), fees=FeePolicy(cap=3 * GWEI, tip=1 * GWEI))
    devnet.client.rpc("anvil_setNextBlockBaseFeePerGas", [hex(2 * GWEI)])
    devnet.control.mine()
    assert sender.execute(pay(receiver), "pay").gas_price <= 3 * GWEI
    devnet.client.rpc("anvil_setNextBlockBaseFeePerGas", [hex(50 * GWEI)])
    devnet.control.mine()
    with pytest.raises(FeeTooHigh, match=r"cap of 3\.00"):
        sender.execute(pay(receiver), "pay more")
    assert sender._journal.find("pay more") is None


def test_fee_policy_leaves_room_for_the_base_fee_to_double() -> None:
    policy = FeePolicy(cap=100 * GWEI, tip=2 * GWEI)
    assert policy.fees(10 * GWEI) == (22 * GWEI, 2 * GWEI)
    assert policy.fees(60 * GWEI) == (100 * GWEI, 2 * GWEI)
    assert policy.fees(98 * GWEI) == (100 * GWEI, 2 * GWEI)
    with pytest.raises(FeeTooHigh):
        policy.fees(98 * GWEI + 1)


def test_an_empty_purse_is_told_before_anything_is_recorded(devnet: Devnet, receiver: str) -> None:
    poor = Account.from_key(b"\x09" * 32)
    journal = MemoryJournal()
    with pytest.raises(InsufficientFunds):
        TransactionSender(devnet.client, poor, journal).execute(pay(receiver), "pay")
    devnet.control.set_balance(poor.address, 30_000 * GWEI)
    with pytest.raises(InsufficientFunds, match="send it some for gas"):
        TransactionSender(devnet.client, poor, journal).execute(pay(receiver), "pay")
    assert journal.find("pay") is None


@pytest.mark.parametrize("intent", ["", "x" * 201])
def test_intents_are_bounded(devnet: Devnet, account, receiver: str, intent: str) -> None:
    with pytest.raises(IntentInvalid):
        devnet.sender(account).execute(pay(receiver), intent)
    assert devnet.client.nonce(account.address) == 0


def test_what_was_signed_once_wins_over_a_changed_request(devnet: Devnet, account, receiver: str) -> None:
    sender = devnet.sender(account)
    first = sender.execute(pay(receiver, 5), "pay")
    assert sender.execute(pay("0x" + "33" * 20, 6), "pay") == first
    assert devnet.client.balance("0x" + "33" * 20) == 0
