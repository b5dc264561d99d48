"""What a home talks to: service, chain, market, IPFS. Only the chain is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import structlog
from cohort_protocol.chain import ChainClient, FileJournal, Market, Token, TransactionSender
from cohort_protocol.errors import Unavailable
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.kubo_rpc import Timeouts
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.proof.schemes import Schemes
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceError
from cohort_protocol.spec import Settlement
from eth_account.signers.local import LocalAccount

from cohort_trainer.amounts import format_amount
from cohort_trainer.errors import WrongMarket
from cohort_trainer.home import HomeConfig

log = structlog.get_logger(__name__)


class Connection:
    """The parts of one market, by the addresses in a home's configuration. Nothing is contacted before it is used."""

    def __init__(self, config: HomeConfig) -> None:
        self.config = config
        self.service = ServiceClient(config.service_url)
        self.chain = ChainClient(config.chain_url, expected_chain_id=config.chain_id)
        self.market = Market(self.chain, config.market)
        self.schemes = Schemes(self.chain, None if config.srs is None else Path(config.srs).expanduser())
        self._store: IpfsStore | None = None

    @property
    def store(self) -> IpfsStore:
        """The IPFS store. Raises `StoreUrlInvalid`, `IpfsUnavailable`."""
        if self._store is None:
            self._store = connect_store(self.config.ipfs_url, Timeouts(min_rate=self.config.ipfs_min_rate))
        return self._store

    def scheme(self, settlement: Settlement, verifier: str, dimension: int) -> CommitmentScheme:
        """How a project commits to updates and models. Of a proven one the home's SRS file is checked against the
        verifier contract, the chain and the dimension.

        Raises `SrsMissing`, `SrsOther`, `SrsInsecure`, `SrsTooSmall`, `SrsInvalid`, `SrsUnreadable`,
        `CurveLibraryMissing`, `NoContract`, `ChainUnavailable`."""
        return self.schemes.of(settlement, verifier, dimension)

    def token(self, address: str) -> Token:
        return Token(self.chain, address)

    def money(self, project: int, amount: int) -> str:
        """An amount in the token of a project, exactly, as people read it. Raises `UnknownProject`,
        `ChainUnavailable`."""
        token = self.token(self.market.terms_of(project).token)
        return format_amount(amount, token.decimals(), token.symbol())

    def sender(self, account: LocalAccount, transactions: Path) -> TransactionSender:
        """Sends with the home's key through its transaction journal."""
        return TransactionSender(
            self.chain, account, FileJournal(transactions), confirmations=self.config.confirmations
        )

    def check_chain(self) -> None:
        """Raises `WrongChain` or `NoContract` unless the configured market is where the configuration says."""
        self.chain.check()
        self.chain.require_code(self.config.market)

    def check_service(self) -> bool:
        """Whether the service answers. Raises `WrongMarket` if it serves another market than this home's."""
        try:
            info = self.service.market()
        except ServiceError as error:
            log.warning("service-unavailable", detail=str(error), next="going on without it where possible")
            return False
        found = (info.chain_id, info.market, info.verifier)
        expected = (self.config.chain_id, self.config.market, self.config.verifier)
        proven = self.config.proven_verifier
        if proven is not None and info.proven_verifier not in (proven, None):
            raise WrongMarket(
                f"the service at {self.config.service_url} serves proven projects with verifier "
                f"{info.proven_verifier}; this home is set to {proven} (proven_verifier in config.toml)"
            )
        if found != expected:
            raise WrongMarket(
                f"the service at {self.config.service_url} serves chain {found[0]}, market {found[1]}, verifier "
                f"{found[2]}; this home is set to chain {expected[0]}, market {expected[1]}, verifier {expected[2]}"
            )
        return True

    def now(self) -> int:
        """The chain's time, unix seconds: what its deadlines are compared with.

        The timestamp of the block being built; a node that has none gives its newest block's.
        """
        try:
            return self.chain.block("pending").timestamp
        except Unavailable:
            return self.chain.block("latest").timestamp

    def close(self) -> None:
        self.service.close()
        self.chain.close()
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
