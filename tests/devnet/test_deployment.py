"""Deploying: addresses known beforehand and the same everywhere, nothing twice, the address book, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cohort_devnet.accounts import demo_account
from cohort_devnet.compiler import Artifact, ensure_artifacts
from cohort_devnet.deployment import (
    PROXY,
    CodeChanged,
    Deployment,
    DeploymentFailed,
    Options,
    creation_block,
    deploy,
    fixed_profile,
    main,
    pin_of,
    plan,
    salt_of,
)
from cohort_devnet.node import AnvilNode, DevnetControl, repository_root
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import NoContract, WrongChain
from cohort_protocol.chain.journal import MemoryJournal
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.profiles import PROFILES
from cohort_protocol.chain.proven import ProvenVerifier
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.token import Token
from cohort_protocol.chain.types import ListedToken
from cohort_protocol.errors import InvalidInput
from cohort_protocol.proof.errors import SrsInsecure
from cohort_protocol.scoring import policy_by_name
from eth_account import Account
from eth_utils import keccak, to_checksum_address

from tests.fixtures.chain import Devnet


def test_the_deployed_contracts_work(devnet: Devnet) -> None:
    deployment = devnet.deployment
    deployment.verify(devnet.client)
    assert Market(devnet.client, deployment.market).project_count() == 0
    assert Token(devnet.client, deployment.token or "").decimals() == 18
    assert 0 < deployment.block <= devnet.client.block_number()


def test_the_file_is_read_back(devnet: Devnet, tmp_path: Path) -> None:
    path = tmp_path / "run" / "deployment.json"
    devnet.deployment.save(path)
    assert Deployment.load(path) == devnet.deployment


@pytest.mark.parametrize("content", ["", "{}", '{"chain_id": 31337}', "[]", '{"more": 1}'])
def test_a_file_that_is_not_a_deployment(tmp_path: Path, content: str) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="not a deployment"):
        Deployment.load(path)


def test_a_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cohort devnet up"):
        Deployment.load(tmp_path / "deployment.json")


def test_another_chain_or_other_code_is_noticed(devnet: Devnet) -> None:
    deployment = devnet.deployment
    with pytest.raises(WrongChain):
        deployment.model_copy(update={"chain_id": 1}).verify(devnet.client)
    with pytest.raises(CodeChanged, match="AttestedVerifier"):
        deployment.model_copy(update={"verifier": deployment.policy}).verify(devnet.client)
    with pytest.raises(NoContract):
        deployment.model_copy(update={"market": devnet.account("anyone").address}).verify(devnet.client)


def test_a_devnet_is_refused_on_any_other_chain(tmp_path: Path) -> None:
    """The test token is worthless: it must never reach a chain where somebody could take it for money."""
    with AnvilNode(tmp_path, chain_id=10) as node:
        client = ChainClient(node.url)
        account = demo_account(0, "deployer")
        DevnetControl(client).set_balance(account.address, 10**18)
        with pytest.raises(WrongChain, match="31337 only, this one has id 10"):
            deploy(client, TransactionSender(client, account, MemoryJournal()), ensure_artifacts(repository_root()))
        assert client.nonce(account.address) == 0


# --- addresses


@pytest.fixture(scope="module")
def artifacts() -> dict[str, Artifact]:
    return ensure_artifacts(repository_root())


def test_addresses_follow_from_code_profile_and_options(artifacts: dict[str, Artifact]) -> None:
    def addresses(profile: str, options: Options = Options()) -> dict[str, str]:  # noqa: B008
        return {creation.name: creation.address for creation in plan(artifacts, profile, options)}

    l2, mainnet, devnet = addresses("l2"), addresses("mainnet"), addresses("devnet")
    assert l2 == addresses("l2"), "known beforehand"
    assert set(devnet) - set(l2) == {"TestToken"}
    assert all(len({one[name] for one in (l2, mainnet, devnet)}) == 3 for name in l2)
    listed = addresses("l2", Options((ListedToken(l2["MarketLens"], 5),)))
    paid = addresses("l2", Options(fee_recipient=l2["MarketLens"]))
    assert len({one["CohortMarket"] for one in (l2, listed, paid)}) == 3
    assert l2["AttestedVerifier"] == listed["AttestedVerifier"] == paid["AttestedVerifier"]


def test_an_address_is_that_of_create2(artifacts: dict[str, Artifact]) -> None:
    """EIP-1014 by hand: the last 20 bytes of keccak256(0xff, who, salt, keccak256(code))."""
    verifier = next(one for one in plan(artifacts, "l2") if one.name == "AttestedVerifier")
    code = bytes.fromhex(artifacts["AttestedVerifier"].bytecode[2:])
    assert salt_of("l2") == keccak(b"cohort/l2/v1")
    expected = keccak(b"\xff" + bytes.fromhex(PROXY[2:]) + keccak(b"cohort/l2/v1") + keccak(code))[12:]
    assert verifier.address.lower() == "0x" + expected.hex()


def test_code_that_projects_pin_has_no_immutables(artifacts: dict[str, Artifact]) -> None:
    for name in ("AttestedVerifier", "SuppliedScores"):
        assert artifacts[name].immutables == []
    changed = artifacts | {"SuppliedScores": replace(artifacts["SuppliedScores"], immutables=[[[3, 32]]])}
    with pytest.raises(DeploymentFailed, match="could not pin it"):
        plan(changed, "l2")


def test_creation_code_fits_into_a_transaction(artifacts: dict[str, Artifact]) -> None:
    for creation in plan(artifacts, "mainnet"):
        assert len(creation.code) <= 49_152, creation.name
    big = artifacts | {"MarketLens": replace(artifacts["MarketLens"], bytecode="0x" + "00" * 49_153)}
    with pytest.raises(DeploymentFailed, match="EIP-3860"):
        plan(big, "l2")


def test_the_market_fixes_the_profile(devnet: Devnet, artifacts: dict[str, Artifact]) -> None:
    found = devnet.market.profile()
    assert found == fixed_profile(artifacts, "devnet")
    assert (found.minimum, found.slash_window) == (PROFILES["devnet"].minimum, 60)
    assert [token.token for token in found.tokens] == [devnet.deployment.token]
    assert devnet.market.parts() == tuple(devnet.deployment.parts.values())
    assert devnet.deployment.code_hashes["AttestedVerifier"] == "0x" + found.verifiers[0].hex()
    assert devnet.deployment.code_hashes["SuppliedScores"] == "0x" + found.policies[0].hex()


def test_deploying_again_sends_nothing(devnet: Devnet, artifacts: dict[str, Artifact]) -> None:
    account = devnet.account("second deployer")
    lines: list[str] = []
    again = deploy(devnet.client, devnet.sender(account), artifacts, progress=lines.append)
    assert again == devnet.deployment, "even the block, found in the chain's history"
    assert devnet.client.nonce(account.address) == 0
    assert all("stands" in line for line in lines)
    assert creation_block(devnet.client, again.market) == again.block


def test_a_deployment_that_was_cut_off_goes_on(tmp_path: Path, artifacts: dict[str, Artifact]) -> None:
    with AnvilNode(tmp_path) as node:
        client = ChainClient(node.url)
        account = demo_account(0, "deployer")
        DevnetControl(client).set_balance(account.address, 10**20)
        sender = TransactionSender(client, account, MemoryJournal())
        for creation in plan(artifacts, "mainnet")[:4]:
            sender.execute(creation.request(), creation.name)
        lines: list[str] = []
        other = demo_account(0, "another deployer")
        DevnetControl(client).set_balance(other.address, 10**20)
        sender = TransactionSender(client, other, MemoryJournal())
        deployment = deploy(client, sender, artifacts, "mainnet", progress=lines.append)
        assert [("stands" in line) for line in lines] == [True] * 4 + [False] * 4
        assert deployment.token is None
        deployment.verify(client)


def test_foreign_code_at_an_address_is_noticed(devnet: Devnet, artifacts: dict[str, Artifact]) -> None:
    policy = next(one for one in plan(artifacts, "l2") if one.name == "SuppliedScores")
    devnet.client.rpc("anvil_setCode", [policy.address, "0x6000"])
    with pytest.raises(CodeChanged, match="SuppliedScores"):
        deploy(devnet.client, devnet.sender(devnet.account("deployer")), artifacts, "l2")


def test_no_proxy_no_deployment(devnet: Devnet, artifacts: dict[str, Artifact]) -> None:
    for code, error in (("0x", NoContract), ("0x6000", CodeChanged)):
        devnet.client.rpc("anvil_setCode", [PROXY, code])
        with pytest.raises(error, match="deterministic deployment proxy"):
            deploy(devnet.client, devnet.sender(devnet.account("deployer")), artifacts, "l2")


# --- rounds that prove themselves


def test_with_a_reference_string_the_market_takes_proven_projects(proven_devnet: Devnet, srs_file: Path) -> None:
    """The verifier's code hash is known before it is created: with [tau]_2, policy and policy hash in its code."""
    deployment, pin = proven_devnet.deployment, pin_of(srs_file)
    deployment.verify(proven_devnet.client)
    artifacts = ensure_artifacts(repository_root())
    expected = fixed_profile(artifacts, "devnet", Options(srs=pin))
    assert proven_devnet.market.profile() == expected
    assert len(expected.verifiers) == 2
    assert deployment.code_hashes["ProvenVerifier"] == "0x" + expected.verifiers[1].hex()
    assert deployment.srs_digest == pin.digest
    verifier = ProvenVerifier(proven_devnet.client, deployment.proven_verifier or "")
    assert verifier.tau_g2() == pin.tau_g2
    assert verifier.policy() == deployment.proven_policy
    assert verifier.policy_hash() == policy_by_name("default", {}).policy_hash()


def test_another_reference_string_is_another_verifier_and_another_market(
    artifacts: dict[str, Artifact], srs_file: Path
) -> None:
    pin = pin_of(srs_file)
    other = replace(pin, tau_g2=(pin.tau_g2[0] + 1, *pin.tau_g2[1:]))
    plans = [
        {creation.name: creation for creation in plan(artifacts, "l2", Options(srs=one))} for one in (None, pin, other)
    ]
    assert "ProvenVerifier" not in plans[0]
    assert plans[1]["DefaultPolicy"].address == plans[2]["DefaultPolicy"].address
    for name in ("ProvenVerifier", "CohortMarket"):
        assert plans[1][name].address != plans[2][name].address
    assert plans[1]["ProvenVerifier"].runtime != plans[2]["ProvenVerifier"].runtime


def test_code_with_other_immutables_is_noticed(proven_devnet: Devnet, srs_file: Path) -> None:
    pin = pin_of(srs_file)
    verifier = proven_devnet.deployment.proven_verifier
    code = proven_devnet.client.code(verifier).hex()
    word = f"{pin.tau_g2[3]:064x}"
    assert word in code
    proven_devnet.client.rpc("anvil_setCode", [verifier, "0x" + code.replace(word, f"{pin.tau_g2[3] + 1:064x}")])
    account = proven_devnet.account("second deployer")
    artifacts = ensure_artifacts(repository_root())
    with pytest.raises(CodeChanged, match="ProvenVerifier"):
        deploy(proven_devnet.client, proven_devnet.sender(account), artifacts, options=Options(srs=pin))


def test_an_insecure_reference_string_is_refused_on_any_other_chain(tmp_path: Path, srs_file: Path) -> None:
    pin = pin_of(srs_file)
    assert pin.insecure
    with AnvilNode(tmp_path, chain_id=10) as node:
        client = ChainClient(node.url)
        account = demo_account(0, "deployer")
        DevnetControl(client).set_balance(account.address, 10**20)
        sender = TransactionSender(client, account, MemoryJournal())
        with pytest.raises(SrsInsecure, match="31337 only, this one has id 10"):
            deploy(client, sender, ensure_artifacts(repository_root()), "l2", Options(srs=pin))
        assert client.nonce(account.address) == 0


# --- for an operator


@pytest.fixture
def keystore(tmp_path: Path) -> list[str]:
    """The arguments that name a keystore of a demo account."""
    account = demo_account(0, "operator")
    encrypted = Account.encrypt(account.key, "secret", kdf="pbkdf2", iterations=1000)
    (tmp_path / "key.json").write_text(json.dumps(encrypted))
    (tmp_path / "password").write_text("secret\n")
    return ["--keystore", str(tmp_path / "key.json"), "--password-file", str(tmp_path / "password")]


def test_an_operator_deploys_on_another_chain(
    tmp_path: Path, keystore: list[str], artifacts: dict[str, Artifact], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "l2.json"
    with AnvilNode(tmp_path / "chain", chain_id=10) as node:
        client = ChainClient(node.url)
        DevnetControl(client).set_balance(demo_account(0, "operator").address, 10**20)
        common = ["--rpc", node.url, "--root", str(repository_root()), "--out", str(out), "--confirmations", "0"]
        token = "0x" + "00" * 19 + "77"
        listed = ["--profile", "l2", "--token", f"{token}=500", *common]
        assert main([*listed, "--dry-run"]) == 0
        shown = capsys.readouterr().out
        creations = plan(artifacts, "l2", Options((ListedToken(to_checksum_address(token), 500),)))
        assert all(creation.address in shown for creation in creations)
        assert "nothing was sent" in shown
        assert client.block_number() == 0

        assert main([*listed, *keystore]) == 0
        deployment = Deployment.load(out)
        assert {deployment.market, deployment.lens} < {creation.address for creation in creations}
        deployment.verify(client)
        assert Market(client, deployment.market).profile().minimum == PROFILES["l2"].minimum
        block = client.block_number()
        assert main([*listed, *keystore]) == 0
        assert (client.block_number(), Deployment.load(out)) == (block, deployment)

        assert main(["--profile", "devnet", *common, *keystore]) == 1
        assert "31337 only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--keystore is needed"),
        (["--token", "0x12=5"], "not an address"),
        (["--token", "0x" + "11" * 20], "expected an address, ="),
        (["--fee-recipient", "me"], "not an address"),
        (["--keystore", "nowhere.json", "--password-file", "nowhere"], "there is no password file nowhere"),
    ],
)
def test_wrong_arguments_are_told(
    devnet: Devnet, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = devnet.client.block_number()
    common = ["--profile", "l2", "--rpc", devnet.node.url, "--root", str(repository_root())]
    assert main([*common, *arguments]) == 1
    assert words in capsys.readouterr().err
    assert devnet.client.block_number() == before


def test_a_wrong_password_is_told(
    devnet: Devnet, tmp_path: Path, keystore: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("wrong")
    common = ["--profile", "l2", "--rpc", devnet.node.url, "--root", str(repository_root())]
    assert main([*common, *keystore]) == 1
    assert "does not open" in capsys.readouterr().err


def test_help_teaches_an_operator(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for words in ("--dry-run", "address book", "profiles", "examples", "can be repeated", "mainnet"):
        assert words in shown
