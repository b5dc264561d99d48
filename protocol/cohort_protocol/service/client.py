"""The HTTP client of the service: used by trainers, owners and witnesses.

Nothing that comes back is trusted further than its form: sizes are bounded, answers are parsed into the messages of
`messages.py` and checked to be about what was asked. Whether they are *true* is the caller's to check against chain
and IPFS. Every call is idempotent, so every call may be retried.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from cohort_protocol.bundle import MAX_BUNDLE_BYTES
from cohort_protocol.identifiers import parse_address
from cohort_protocol.service.errors import (
    ServiceAnswerMalformed,
    ServiceUnavailable,
    ServiceUrlInvalid,
    refusal,
)
from cohort_protocol.service.messages import (
    Accepted,
    CommitIntake,
    FundingRequest,
    Health,
    MarketInfo,
    ModelReceiptIntake,
    PolicyEntryView,
    PolicyListing,
    Problem,
    ProjectDraft,
    ProjectList,
    ProjectRequest,
    ProjectState,
    ProjectView,
    PublicRowsRefusal,
    PublicRowsSignature,
    ReceiptedSets,
    ReceiptIntake,
    RevealIntake,
    Rewards,
    RoundList,
    RoundView,
    SettlementRefusal,
    SettlementSignature,
    SettlementSignatures,
    TrainerList,
    TrainerView,
    TransactionsToSign,
)
from cohort_protocol.service.transport import DEADLINE, DeadlineTransport
from cohort_protocol.shown_urls import shown_url

MAX_ANSWER_BYTES = 1 << 20
"""Largest answer we read, except rewards."""

MAX_REWARDS_BYTES = 32 << 20
"""Rewards hold a proof (at most 5 hashes) per round: about 600 bytes each, so some 50,000 rounds."""

MAX_WAIT = 60.0
"""Longest long-poll, in seconds."""

RETRIES = 3
"""Attempts after the first one, on connection errors and on HTTP 503."""

FIRST_PAUSE = 0.1
"""Seconds before the first retry; doubles with each."""

LONGEST_PAUSE = 2.0
"""A server's Retry-After is obeyed up to here; who wants to wait longer catches `ServiceUnavailable`."""

_CODE = re.compile(r"[a-z0-9-]{1,60}")

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class ServiceClient:
    """One method per endpoint. Thread-safe. Close it, or use it in a `with` statement.

    `timeout` (may be changed at any time): seconds for one whole attempt, from connecting to the last byte; for
    long-polls on top of their wait.
    Every method raises `ServiceRefused` (the service says no) or `ServiceUnavailable` (no answer to be believed).
    """

    def __init__(
        self,
        base_url: str,
        timeout: float = 10.0,
        retries: int = RETRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = _checked_url(base_url)
        self.timeout = timeout
        self._retries = retries
        self._sleep = sleep
        self._http = httpx.Client(
            transport=DeadlineTransport(),
            # A bounded answer that unpacks to gigabytes is not bounded: no compression.
            headers={"accept": "application/json, application/problem+json", "accept-encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- the market -------------------------------------------------------------------------------------------------

    def market(self) -> MarketInfo:
        """GET /v1/market."""
        return self._get("/v1/market", MarketInfo)

    def policies(self) -> PolicyListing:
        """GET /v1/policies: the rules that this service's workers can apply."""
        return self._get("/v1/policies", PolicyListing)

    def policy(self, name: str) -> PolicyEntryView:
        """GET /v1/policies/{name}. Raises `ServiceRefused` for a name that there is not."""
        entry = self._get(f"/v1/policies/{quote(name, safe='')}", PolicyEntryView)
        _check_subject("policy", entry.name, name)
        return entry

    def trainer(self, address: str) -> TrainerView:
        """GET /v1/trainers/{address}: standing across projects."""
        address = parse_address(address)
        view = self._get(f"/v1/trainers/{address}", TrainerView)
        _check_subject("trainer", view.address, address)
        return view

    # --- projects ---------------------------------------------------------------------------------------------------

    def draft_project(self, request: ProjectRequest) -> ProjectDraft:
        """POST /v1/projects: publishes the spec, answers the transactions to check and sign."""
        return self._post("/v1/projects", request, ProjectDraft)

    def project(self, project: int) -> ProjectView:
        """GET /v1/projects/{p}."""
        view = self._get(f"/v1/projects/{project}", ProjectView)
        _check_subject("project", view.id, project)
        return view

    def projects(self, after: int = 0, limit: int = 20) -> ProjectList:
        """GET /v1/projects: by number, after `after`; `limit` 1 .. 100."""
        return self._get(f"/v1/projects?after={after}&limit={limit}", ProjectList)

    def draft_funding(self, project: int, amount: int) -> TransactionsToSign:
        """POST /v1/projects/{p}/funding: the transactions that add `amount` base units to the escrow."""
        return self._post(f"/v1/projects/{project}/funding", FundingRequest(amount=amount), TransactionsToSign)

    def draft_end(self, project: int) -> TransactionsToSign:
        """POST /v1/projects/{p}/end."""
        return self._post(f"/v1/projects/{project}/end", None, TransactionsToSign)

    def draft_refund(self, project: int) -> TransactionsToSign:
        """POST /v1/projects/{p}/refund."""
        return self._post(f"/v1/projects/{project}/refund", None, TransactionsToSign)

    def state(self, project: int, after: int = -1, wait: float = 0.0) -> ProjectState:
        """GET /v1/projects/{p}/state: at once if the version is above `after`, else when it changes or after `wait`
        seconds (0 .. 60)."""
        wait = min(max(wait, 0.0), MAX_WAIT)
        path = f"/v1/projects/{project}/state?after={after}&wait={wait:g}"
        state = self._get(path, ProjectState, extra_seconds=wait)
        _check_subject("project", state.project, project)
        if state.round is not None:
            _check_subject("project", state.round.project, project)
        return state

    def round(self, project: int, round: int) -> RoundView:
        """GET /v1/projects/{p}/rounds/{r}."""
        view = self._get(f"/v1/projects/{project}/rounds/{round}", RoundView)
        _check_subject("round", (view.project, view.number), (project, round))
        return view

    def rounds(self, project: int, after: int = 0, limit: int = 20) -> RoundList:
        """GET /v1/projects/{p}/rounds: by number, after `after`; `limit` 1 .. 100."""
        return self._get(f"/v1/projects/{project}/rounds?after={after}&limit={limit}", RoundList)

    def bundle(self, project: int, round: int) -> bytes:
        """GET /v1/projects/{p}/rounds/{r}/bundle: canonical JSON, to be checked against the CID on chain."""
        path = f"/v1/projects/{project}/rounds/{round}/bundle"
        return self._exchange("GET", path, None, _as_is, MAX_BUNDLE_BYTES, 0.0)

    def trainers(self, project: int, after: str | None = None, limit: int = 20) -> TrainerList:
        """GET /v1/projects/{p}/trainers: by address, after `after`; `limit` 1 .. 100."""
        start = f"&after={parse_address(after)}" if after is not None else ""
        return self._get(f"/v1/projects/{project}/trainers?limit={limit}{start}", TrainerList)

    def project_trainer(self, project: int, address: str) -> TrainerView:
        """GET /v1/projects/{p}/trainers/{address}: standing, and the place in this project."""
        address = parse_address(address)
        view = self._get(f"/v1/projects/{project}/trainers/{address}", TrainerView)
        _check_subject("trainer", view.address, address)
        return view

    def rewards(self, project: int, address: str) -> Rewards:
        """GET /v1/projects/{p}/trainers/{address}/rewards: amounts and proofs. Check them on chain."""
        address = parse_address(address)
        path = f"/v1/projects/{project}/trainers/{address}/rewards"
        rewards = self._get(path, Rewards, max_bytes=MAX_REWARDS_BYTES)
        _check_subject("trainer and project", (rewards.trainer, rewards.project), (address, project))
        return rewards

    # --- intake from trainers ---------------------------------------------------------------------------------------

    def post_commit(self, project: int, round: int, intake: CommitIntake) -> Accepted:
        """POST /v1/projects/{p}/rounds/{r}/commits."""
        return self._post(f"/v1/projects/{project}/rounds/{round}/commits", intake, Accepted)

    def post_reveal(self, project: int, round: int, intake: RevealIntake) -> Accepted:
        """POST /v1/projects/{p}/rounds/{r}/reveals."""
        return self._post(f"/v1/projects/{project}/rounds/{round}/reveals", intake, Accepted)

    # --- intake from witnesses --------------------------------------------------------------------------------------

    def post_receipt(self, project: int, round: int, intake: ReceiptIntake) -> Accepted:
        """POST /v1/projects/{p}/rounds/{r}/receipts."""
        return self._post(f"/v1/projects/{project}/rounds/{round}/receipts", intake, Accepted)

    def receipts(self, project: int, round: int) -> ReceiptedSets:
        """GET /v1/projects/{p}/rounds/{r}/receipts: openings with what witnesses say of them, for whoever reveals."""
        return self._get(f"/v1/projects/{project}/rounds/{round}/receipts", ReceiptedSets)

    def post_rows_signature(self, project: int, round: int, intake: PublicRowsSignature) -> Accepted:
        """POST /v1/projects/{p}/rounds/{r}/public-rows/signatures."""
        return self._post(f"/v1/projects/{project}/rounds/{round}/public-rows/signatures", intake, Accepted)

    def post_rows_refusal(self, project: int, round: int, intake: PublicRowsRefusal) -> Accepted:
        """POST /v1/projects/{p}/rounds/{r}/public-rows/refusals."""
        return self._post(f"/v1/projects/{project}/rounds/{round}/public-rows/refusals", intake, Accepted)

    def post_settlement_signature(self, project: int, round: int, intake: SettlementSignature) -> Accepted:
        """POST /v1/projects/{p}/rounds/{r}/settlement/signatures."""
        return self._post(f"/v1/projects/{project}/rounds/{round}/settlement/signatures", intake, Accepted)

    def settlement_signatures(self, project: int, round: int) -> SettlementSignatures:
        """GET /v1/projects/{p}/rounds/{r}/settlement/signatures: of every outcome that was ever proposed."""
        return self._get(f"/v1/projects/{project}/rounds/{round}/settlement/signatures", SettlementSignatures)

    def post_settlement_refusal(self, project: int, round: int, intake: SettlementRefusal) -> Accepted:
        """POST /v1/projects/{p}/rounds/{r}/settlement/refusals."""
        return self._post(f"/v1/projects/{project}/rounds/{round}/settlement/refusals", intake, Accepted)

    def post_model_receipt(self, project: int, intake: ModelReceiptIntake) -> Accepted:
        """POST /v1/projects/{p}/models/receipts."""
        return self._post(f"/v1/projects/{project}/models/receipts", intake, Accepted)

    # --- health -----------------------------------------------------------------------------------------------------

    def ready(self) -> Health:
        """GET /health/ready. Raises `ServiceUnavailable` (in the service's words) while a part of it is not ready."""
        return self._get("/health/ready", Health)

    # --- how ----------------------------------------------------------------------------------------------------------

    def _get(self, path: str, answer: type[M], *, max_bytes: int = MAX_ANSWER_BYTES, extra_seconds: float = 0.0) -> M:
        return self._exchange("GET", path, None, _parser(answer), max_bytes, extra_seconds)

    def _post(self, path: str, message: BaseModel | None, answer: type[M]) -> M:
        body = message.model_dump_json().encode() if message is not None else b""
        return self._exchange("POST", path, body, _parser(answer), MAX_ANSWER_BYTES, 0.0)

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        parse: Callable[[bytes, str], T],
        max_bytes: int,
        extra_seconds: float,
    ) -> T:
        pause = FIRST_PAUSE
        for attempt in range(self._retries + 1):
            try:
                return self._attempt(method, path, body, parse, max_bytes, self.timeout + extra_seconds)
            except _Retry as retry:
                if attempt == self._retries:
                    raise retry.error from retry.__cause__
                self._sleep(min(max(pause, retry.after), LONGEST_PAUSE))
                pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(
        self,
        method: str,
        path: str,
        body: bytes | None,
        parse: Callable[[bytes, str], T],
        max_bytes: int,
        seconds: float,
    ) -> T:
        request = self._http.build_request(
            method,
            self.base_url + path,
            content=body,
            headers={"content-type": "application/json"} if body is not None else None,
            extensions={DEADLINE: time.monotonic() + seconds},
        )
        what = f"{method} {request.url}"
        try:
            response = self._http.send(request, stream=True)
            try:
                data = _read_bounded(response, max_bytes, what)
            finally:
                response.close()
        except httpx.TimeoutException as error:
            # Not retried here: the caller has already waited the whole of its timeout.
            raise ServiceUnavailable(f"{what}: no complete answer within {seconds:g} s") from error
        except (httpx.TransportError, UnicodeError) as error:
            # UnicodeError: a name of a host that DNS has no form for.
            raise _Retry(ServiceUnavailable(f"{what}: {error or type(error).__name__}"), 0.0) from error
        if 200 <= response.status_code < 300:
            return parse(data, what)
        raise _failure(response, data, what)


class _Retry(Exception):
    def __init__(self, error: ServiceUnavailable, after: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


def _checked_url(text: str) -> str:
    try:
        url = httpx.URL(text)
        known = url.scheme in ("http", "https") and url.host
    except (httpx.InvalidURL, TypeError, UnicodeError):
        known = False  # without the cause, whose words may quote a password
    if not known or url.query or url.fragment or url.userinfo:
        raise ServiceUrlInvalid(
            f"{shown_url(text)} is not an address of a service: allowed is http(s)://host[:port][/path]"
        )
    return text.rstrip("/")


def _read_bounded(response: httpx.Response, max_bytes: int, what: str) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise ServiceAnswerMalformed(f"{what}: a compressed answer; this client asks for none")
    length = response.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > max_bytes:
        raise ServiceAnswerMalformed(f"{what}: an answer of {length} bytes, at most {max_bytes} are read")
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > max_bytes:
            raise ServiceAnswerMalformed(f"{what}: an answer of more than {max_bytes} bytes")
    return bytes(data)


def _as_is(data: bytes, what: str) -> bytes:
    return data


def _parser(answer: type[M]) -> Callable[[bytes, str], M]:
    """Reads an answer of that type. Raises `ServiceAnswerMalformed`."""

    def parse(data: bytes, what: str) -> M:
        try:
            return answer.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ServiceAnswerMalformed(
                f"{what}: the answer is not a {answer.__name__}: {_clean(where)} {_clean(first['msg'])}. "
                "Is this the address of a Cohort service, and of this version?"
            ) from error

    return parse


def _failure(response: httpx.Response, data: bytes, what: str) -> Exception:
    """The error that an answer other than 2xx means."""
    status = response.status_code
    problem = _problem(data, status)
    words = f"{what}: HTTP {status}, {problem.detail or problem.title}"
    if status == 503:
        return _Retry(ServiceUnavailable(words), _retry_after(response))
    if 400 <= status < 500 and status not in (408, 429):
        return refusal(problem.code, problem.title, problem.detail, status)
    if status in (408, 429) or status >= 500:
        return ServiceUnavailable(words)
    return ServiceAnswerMalformed(f"{words}: redirects and other answers are not followed; give the final address")


def _problem(data: bytes, status: int) -> Problem:
    """The body of a refusal; one that is no problem+json (a proxy's page) keeps its status and first words."""
    try:
        problem = Problem.model_validate_json(data)
    except ValidationError:
        words = _clean(data[:300].decode("utf-8", "replace"))
        text = f"{words or 'no words'} (not in the form of this service: is its URL right?)"
        return Problem(type="about:blank", title=f"HTTP {status}", status=status, detail=text, code=f"http-{status}")
    if not _CODE.fullmatch(problem.code):
        problem.code = f"http-{status}"
    problem.title, problem.detail = _clean(problem.title), _clean(problem.detail)
    return problem


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def _clean(text: str) -> str:
    """Foreign words for a log line or a terminal: no control characters, one line, at most 500 characters."""
    printable = "".join(c if c.isprintable() else " " for c in text[:500])
    return " ".join(printable.split())


def _check_subject(what: str, found: object, asked: object) -> None:
    if found != asked:
        raise ServiceAnswerMalformed(f"the service was asked about {what} {asked} and answers about {found}")
