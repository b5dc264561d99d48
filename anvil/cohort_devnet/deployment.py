"""Deploying the contracts, and the address book that says where they are.

Everything is created with CREATE2 (EIP-1014) through the deterministic deployment proxy, which stands at one address on
practically every chain, with a salt per profile. Addresses therefore follow from the code and from what the profile
fixes: they are the same on every chain, known before anything is sent, and deploying twice does nothing.

    python -m cohort_devnet.deployment --help     deploy on a real chain
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import encode_values, parameter_of
from cohort_protocol.chain.errors import ChainError, NoContract, TransactionReverted, WrongChain
from cohort_protocol.chain.journal import FileJournal
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.profiles import PROFILES, profile_by_name
from cohort_protocol.chain.sender import FeePolicy, TransactionSender
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.chain.types import ListedToken, Profile
from cohort_protocol.errors import CohortError, InvalidInput
from cohort_protocol.identifiers import parse_address, to_hex
from cohort_protocol.keystore import open_keystore, read_password_file
from cohort_protocol.proof.errors import SrsInsecure
from cohort_protocol.scoring import policy_by_name
from eth_account.signers.local import LocalAccount
from eth_utils import keccak, to_checksum_address

from cohort_devnet.address_book import CodeChanged as CodeChanged
from cohort_devnet.address_book import Deployment as Deployment
from cohort_devnet.compiler import Artifact, ensure_artifacts
from cohort_devnet.node import DEVNET_CHAIN_ID

PROXY = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
"""The deterministic deployment proxy: takes salt (32 bytes) and creation code, creates with CREATE2.
Source: https://github.com/Arachnid/deterministic-deployment-proxy."""

PROXY_CODE_HASH = bytes.fromhex("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989")

PARTS = {
    "resolution": "MarketResolution",
    "settlement": "MarketSettlement",
    "projects": "MarketProjects",
    "accounts": "MarketAccounts",
}
"""The contracts whose code runs at the market's address, by their names in its constructor (`Parts`)."""

PROVEN_VERIFIER, PROVEN_POLICY = "ProvenVerifier", "DefaultPolicy"
DEFAULT_POLICY = "default"
"""The scoring policy that `DefaultPolicy` is the twin of."""

DEVNET_FULL_FEE = 10_000
"""F0 of the test token, base units: any sensible budget earns full standing on a devnet."""

MAX_CREATION_CODE = 49_152
"""Bytes (EIP-3860)."""


class DeploymentFailed(ChainError):
    """The contracts could not be created as planned."""

    code = "deployment-failed"


# --- the plan ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Creation:
    """One contract: what creates it, and where it will stand."""

    name: str
    address: str
    salt: bytes
    code: bytes
    """Creation code with the constructor's arguments."""
    artifact: Artifact
    immutables: tuple[bytes, ...] | None = None
    """What the constructor writes into the code, a word each in the order of declaration; None: not known before."""

    @property
    def runtime(self) -> bytes:
        """The code that will stand on chain; without what the constructor writes into it unless that is known."""
        return _with_words(_bytes(self.artifact.deployedBytecode), self.artifact, self.immutables or ())

    def request(self) -> TransactionRequest:
        return TransactionRequest(to=PROXY, data=self.salt + self.code, describe=f"deploy {self.name}")


@dataclass(frozen=True)
class SrsPin:
    """The structured reference string that proofs are checked with, fixed in the verifier's code."""

    tau_g2: tuple[int, int, int, int]
    """[tau]_2 as the EVM's pairing takes it: imaginary before real, x before y."""
    digest: str
    """Of the file (0x hex, 32 bytes), for whoever looks for it."""
    insecure: bool
    """Somebody knows tau, and can prove anything: for a local chain alone."""


@dataclass(frozen=True)
class Options:
    """What an operator chooses beside the profile. Part of the market's constructor, so part of its address."""

    tokens: tuple[ListedToken, ...] = ()
    """Tokens in which fees make standing."""
    fee_recipient: str | None = None
    """Of the protocol's fee; None: the profile's, which burns it."""
    srs: SrsPin | None = None
    """Of rounds that prove themselves; None: the market takes attested projects only."""


def salt_of(profile: str) -> bytes:
    """keccak256("cohort/<profile>/v1")."""
    return keccak(text=f"cohort/{profile}/v1")


def fixed_profile(artifacts: Mapping[str, Artifact], profile: str, options: Options = Options()) -> Profile:
    """What the market's constructor takes. On a devnet the test token is listed. Raises `InvalidInput` for an unknown
    profile."""
    spec = profile_by_name(profile)
    tokens = list(options.tokens)
    if profile == "devnet":
        tokens.append(ListedToken(_creation("TestToken", salt_of(profile), artifacts).address, DEVNET_FULL_FEE))
    verifiers = [_code_hash(artifacts["AttestedVerifier"])]
    if options.srs is not None:
        verifiers.append(keccak(_proven(artifacts, salt_of(profile), options.srs)[1].runtime))
    return spec.with_(
        verifiers=verifiers,
        policies=[_code_hash(artifacts["SuppliedScores"])],
        tokens=tokens,
        fee_recipient=options.fee_recipient,
    )


def plan(artifacts: Mapping[str, Artifact], profile: str, options: Options = Options()) -> list[Creation]:
    """What a deployment creates, in order. Asks no chain. Raises `InvalidInput` for an unknown profile."""
    fixed, salt = fixed_profile(artifacts, profile, options), salt_of(profile)
    parts = {field: _creation(name, salt, artifacts) for field, name in PARTS.items()}
    places = {field: part.address for field, part in parts.items()}
    market = _creation("CohortMarket", salt, artifacts, fixed, places)
    return [
        *([_creation("TestToken", salt, artifacts)] if profile == "devnet" else []),
        _creation("AttestedVerifier", salt, artifacts),
        _creation("SuppliedScores", salt, artifacts),
        *(_proven(artifacts, salt, options.srs) if options.srs is not None else ()),
        *parts.values(),
        market,
        _creation("MarketLens", salt, artifacts, market.address),
    ]


def _proven(artifacts: Mapping[str, Artifact], salt: bytes, srs: SrsPin) -> tuple[Creation, Creation]:
    """The policy contract and the verifier that runs it. Its code holds, in this order, the policy's address and hash,
    and [tau]_2: so its code hash, which projects pin, pins them too."""
    policy = _creation(PROVEN_POLICY, salt, artifacts)
    verifier = _creation(PROVEN_VERIFIER, salt, artifacts, policy.address, srs.tau_g2)
    words = [_bytes(policy.address).rjust(32, b"\0"), policy_by_name(DEFAULT_POLICY).policy_hash()]
    words += [word.to_bytes(32, "big") for word in srs.tau_g2]
    return policy, replace(verifier, immutables=tuple(words))


def _creation(name: str, salt: bytes, artifacts: Mapping[str, Artifact], *arguments: Any) -> Creation:
    artifact = artifacts[name]
    code = _bytes(artifact.bytecode) + encode_values(
        [parameter_of(entry) for entry in artifact.constructor], arguments, name
    )
    if len(code) > MAX_CREATION_CODE:
        raise DeploymentFailed(
            f"the creation code of {name} has {len(code)} bytes, a chain takes {MAX_CREATION_CODE} (EIP-3860)"
        )
    digest = keccak(b"\xff" + _bytes(PROXY) + salt + keccak(code))
    return Creation(name, to_checksum_address(digest[12:]), salt, code, artifact)


def _code_hash(artifact: Artifact) -> bytes:
    """keccak256 of the code that will stand on chain. Known beforehand, and the same everywhere, only without
    immutables."""
    if artifact.immutables:
        raise DeploymentFailed(
            f"{artifact.name} has immutables: its code would differ from chain to chain, and projects could not pin it"
        )
    return keccak(_bytes(artifact.deployedBytecode))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


# --- on a chain -------------------------------------------------------------------------------------------------------


def stands(client: ChainClient, creation: Creation) -> bool:
    """Whether the contract is there. Raises `CodeChanged` if something else is."""
    found = client.code(creation.address)
    if not found:
        return False
    known = found if creation.immutables is not None else _with_words(found, creation.artifact, ())
    if known != creation.runtime:
        raise CodeChanged(
            f"the code of {creation.name} at {creation.address} has hash {to_hex(keccak(found))}, which is not that of "
            f"the sources compiled here"
        )
    return True


def _with_words(code: bytes, artifact: Artifact, words: Sequence[bytes]) -> bytes:
    """The code with a word for each immutable of the contract; zeros for those that are not given."""
    filled = bytearray(code)
    for index, places in enumerate(artifact.immutables):
        word = words[index] if index < len(words) else bytes(32)
        for start, length in places:
            filled[start : start + length] = word[-length:]
    return bytes(filled[: len(code)])


def check_chain(client: ChainClient, profile: str) -> None:
    """Raises `WrongChain` for a devnet's contracts on any chain but a local one (the test token is worthless and anyone
    can mint it), `NoContract` or `CodeChanged` unless the deployment proxy is there."""
    if profile == "devnet" and client.chain_id != DEVNET_CHAIN_ID:
        raise WrongChain(
            f"devnet contracts are deployed on chain {DEVNET_CHAIN_ID} only, this one has id {client.chain_id}"
        )
    try:
        found = client.require_code(PROXY)
    except NoContract as error:
        raise NoContract(
            f"the deterministic deployment proxy is not at {PROXY} on chain {client.chain_id}: deploy it first (see "
            f"https://github.com/Arachnid/deterministic-deployment-proxy)"
        ) from error
    if found != PROXY_CODE_HASH:
        raise CodeChanged(f"the code at {PROXY} is not the deterministic deployment proxy's: {to_hex(found)}")


def check_srs(client: ChainClient, srs: SrsPin | None) -> None:
    """Raises `SrsInsecure` for a string whose secret is known, on any chain but a local one."""
    if srs is not None and srs.insecure and client.chain_id != DEVNET_CHAIN_ID:
        raise SrsInsecure(
            f"the reference string {srs.digest} was made by one machine, which knows its secret and could prove "
            f"anything: it is good for chain {DEVNET_CHAIN_ID} only, this one has id {client.chain_id}. Import that of "
            "a public ceremony with `cohort srs import`"
        )


def deploy(
    client: ChainClient,
    sender: TransactionSender,
    artifacts: Mapping[str, Artifact],
    profile: str = "devnet",
    options: Options = Options(),
    progress: Callable[[str], None] = lambda line: None,
) -> Deployment:
    """Creates what is not there yet and checks the code of everything. Safe to repeat, on any machine.

    Raises what `plan` and `check_chain` raise, and `DeploymentFailed`.
    """
    check_chain(client, profile)
    check_srs(client, options.srs)
    creations = plan(artifacts, profile, options)
    blocks: dict[str, int] = {}
    for creation in creations:
        if stands(client, creation):
            progress(f"{creation.name} stands at {creation.address} already")
            continue
        blocks[creation.name] = _create(client, sender, creation)
        progress(f"{creation.name} created at {creation.address}")
    addresses = {creation.name: creation.address for creation in creations}
    market = addresses["CohortMarket"]
    _check_profile(client, market, fixed_profile(artifacts, profile, options))
    return Deployment(
        chain_id=client.chain_id,
        profile=profile,
        market=market,
        parts={name: addresses[name] for name in PARTS.values()},
        lens=addresses["MarketLens"],
        verifier=addresses["AttestedVerifier"],
        policy=addresses["SuppliedScores"],
        proven_verifier=addresses.get(PROVEN_VERIFIER),
        proven_policy=addresses.get(PROVEN_POLICY),
        srs_digest=options.srs.digest if options.srs is not None else None,
        token=addresses.get("TestToken"),
        block=blocks["CohortMarket"] if "CohortMarket" in blocks else creation_block(client, market),
        code_hashes={name: to_hex(client.require_code(address)) for name, address in addresses.items()},
    )


def _create(client: ChainClient, sender: TransactionSender, creation: Creation) -> int:
    """The number of the block in which it was created."""
    try:
        receipt = sender.execute(creation.request(), f"create {creation.name} at {creation.address}")
    except TransactionReverted as error:
        raise DeploymentFailed(
            f"{creation.name} cannot be created on chain {client.chain_id}: {error}. The proxy hides the reason; often "
            f"the profile's windows are too short for this chain"
        ) from error
    if not stands(client, creation):
        raise DeploymentFailed(f"{creation.name} is not at {creation.address} after it was created")
    return receipt.block_number


def _check_profile(client: ChainClient, market: str, expected: Profile) -> None:
    """That the market says of itself what was asked for: a check of our own encoding."""
    found = Market(client, market).profile()
    if found != expected:
        raise DeploymentFailed(f"the market at {market} fixed {found}, asked for was {expected}")


def creation_block(client: ChainClient, address: str) -> int:
    """The block that created the contract, by bisection over the chain's history.

    Raises `DeploymentFailed` if the node keeps no history.
    """
    low, high = 0, client.block_number()
    try:
        while low < high:
            middle = (low + high) // 2
            if client.code(address, middle):
                high = middle
            else:
                low = middle + 1
    except ChainError as error:
        raise DeploymentFailed(
            f"the contract at {address} stands already, and this node cannot say since when ({error}): ask an archive "
            f"node, or keep the address book of the first deployment"
        ) from error
    return low


# --- for an operator --------------------------------------------------------------------------------------------------

_DESCRIPTION = "Deploy the Cohort contracts on a chain, with CREATE2: the same addresses on every chain."

_TEACHING = """\
what happens
  Verifier, policy, the parts of the market's code, the market and its lens are created through the deterministic
  deployment proxy (0x4e59b44847b379578588920cA78FbF26c0B4956C). Their addresses follow from the code, from the profile
  and from --token and --fee-recipient; nobody owns them and nothing can be changed afterwards. What stands already is
  checked against the code compiled here and left alone, so the command can be repeated after any failure.

profiles
  l2        windows of ten minutes or more, a day to rescue a stake, seven days to slash; fee 1%
  mainnet   windows of an hour or so, the same otherwise
  devnet    seconds; with a worthless test token; refused on any chain but a local one (id 31337)

what it costs
  About 20 million gas in eight transactions, paid by the keystore's account.

examples
  python -m cohort_devnet.deployment --profile l2 --rpc https://rpc.example --dry-run
  python -m cohort_devnet.deployment --profile l2 --rpc https://rpc.example --keystore key.json --out l2.json \\
      --token 0x036CbD53842c5426634e7929541eC2318f3dCF7e=1000000

the address book
  --out is JSON: chain_id, profile, market, lens, verifier, policy, block (start indexing there), code_hashes, and with
  --srs proven_verifier, proven_policy and srs_digest. Give market, verifier, policy, proven_verifier and block to the
  service, the workers and the trainers, and the file of the reference string to the workers, witnesses and trainers.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cohort_devnet.deployment",
        description=_DESCRIPTION,
        epilog=_TEACHING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", required=True, choices=tuple(PROFILES), help="windows and fee, see below")
    parser.add_argument("--rpc", required=True, metavar="URL", help="JSON-RPC URL of the chain (http, https or ipc)")
    parser.add_argument("--keystore", type=Path, metavar="FILE", help="who pays: a Web3 Secret Storage file")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="its password (default: asked for)")
    parser.add_argument(
        "--token",
        action="append",
        default=[],
        metavar="ADDRESS=FULL_FEE",
        help="a token in which fees make standing, and the fee per round (base units) that earns all of it; repeatable",
    )
    parser.add_argument("--fee-recipient", metavar="ADDRESS", help="of the protocol's fee (default: it is burned)")
    parser.add_argument(
        "--srs",
        type=Path,
        metavar="FILE",
        help="reference string (`cohort srs import`); with it the market takes projects whose rounds prove themselves",
    )
    parser.add_argument("--out", type=Path, default=Path("deployment.json"), help="the address book to write")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="of sent transactions (default: beside --out)")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository (default: this folder)")
    parser.add_argument("--max-fee", type=int, default=500, metavar="GWEI", help="most per gas (default: 500)")
    parser.add_argument("--confirmations", type=int, default=1, help="blocks to wait for after each (default: 1)")
    parser.add_argument("--dry-run", action="store_true", help="print the addresses, send nothing, need no keystore")
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    tokens = []
    for entry in arguments.token:
        address, _, fee = entry.partition("=")
        if not fee.isdecimal() or not 0 < int(fee) < 2**112:
            raise InvalidInput(f"--token {entry!r}: expected an address, =, and base units, for example 0x...=1000000")
        tokens.append(ListedToken(parse_address(address), int(fee)))
    recipient = arguments.fee_recipient
    srs = pin_of(arguments.srs) if arguments.srs is not None else None
    return Options(tuple(tokens), parse_address(recipient) if recipient else None, srs)


def pin_of(file: Path) -> SrsPin:
    """What of a reference string goes into the verifier. Raises as `open_srs`."""
    from cohort_protocol.proof.srs import open_srs

    srs = open_srs(file, 1)
    return SrsPin(srs.tau_g2, to_hex(srs.digest), srs.insecure)


def _account(keystore: Path, password_file: Path | None) -> LocalAccount:
    """Raises `KeystoreUnreadable`, `PasswordWrong`."""
    if password_file is None:
        return open_keystore(keystore, getpass.getpass(f"password of {keystore}: "))
    return open_keystore(keystore, read_password_file(password_file))


def _show_plan(client: ChainClient, creations: list[Creation], say: Callable[[str], None]) -> None:
    for creation in creations:
        state = "stands" if stands(client, creation) else "to be created"
        say(f"{creation.name:18} {creation.address}  {state:14} {len(creation.code):>7,} bytes of creation code")


def _deploy_by(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    client, options = ChainClient(arguments.rpc, timeout=60), _options(arguments)
    say(f"chain id {client.chain_id} ({client.version()}), profile {arguments.profile}")
    check_chain(client, arguments.profile)
    artifacts = ensure_artifacts(arguments.root, say)
    _show_plan(client, plan(artifacts, arguments.profile, options), say)
    if arguments.dry_run:
        say("dry run: nothing was sent")
        return
    if arguments.keystore is None:
        raise InvalidInput("--keystore is needed to deploy; --dry-run shows the addresses without one")
    account = _account(arguments.keystore, arguments.password_file)
    journal = arguments.journal or arguments.out.with_name(f"transactions-{client.chain_id}-{account.address}.json")
    fees = FeePolicy(cap=arguments.max_fee * 10**9)
    sender = TransactionSender(
        client, account, FileJournal(journal), fees=fees, confirmations=arguments.confirmations, timeout=600
    )
    deployment = deploy(client, sender, artifacts, arguments.profile, options, say)
    deployment.save(arguments.out)
    say(f"the address book is in {arguments.out}")


def main(arguments: list[str] | None = None) -> int:
    """`python -m cohort_devnet.deployment`. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _deploy_by(options, lambda line: print(line, flush=True))
    except CohortError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
