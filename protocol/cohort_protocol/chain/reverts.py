"""From the bytes of a revert to a typed error with a message in words."""

from __future__ import annotations

from functools import cache
from typing import Any

from eth_abi.exceptions import DecodingError

from cohort_protocol.chain.codec import CONTRACTS, AbiItem, ContractAbi, contract_abi, decode_values
from cohort_protocol.chain.errors import TransactionReverted, UnknownProject
from cohort_protocol.phases import Phase

PANICS = {
    0x01: "an assertion failed",
    0x11: "an arithmetic overflow or underflow",
    0x12: "a division by zero",
    0x21: "a value outside its enum",
    0x31: "pop on an empty array",
    0x32: "an array index out of bounds",
    0x41: "too much memory",
    0x51: "a call to an uninitialised function",
}
"""Solidity's panic codes."""

_BUILT_IN = ContractAbi(
    [
        {"type": "error", "name": "Error", "inputs": [{"name": "reason", "type": "string"}]},
        {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
    ]
)

TEXTS = {
    # projects
    "UnknownProject": "there is no project {project} in this market",
    "NotOwner": "{caller} is not the owner of project {project}; its owner is {owner}",
    "TermsInvalid": "the project terms are outside their bounds: {what} is {found}, allowed is {allowed}",
    "AddressesNotIncreasing": "the list of {what} must be strictly increasing; entry {index} is not",
    "CodeHashNotAllowed": (
        "the {what} may not be used: its code has hash {found}, the terms pin {pinned}, and the market has a list of "
        "those that it allows"
    ),
    "WindowTooShort": (
        "the profile of this deployment is refused on this chain: {what} is {found} s, least is {least} s"
    ),
    "PartMissing": "there is no code at {part}, which should hold a part of the market's",
    "NotAMarket": "there is no market at {found}",
    "ProjectIsOver": "project {project} has ended: no round opens and nothing can be added",
    "ProjectNotOver": "project {project} has not ended: end it before asking for the refund",
    "NothingToRefund": "project {project} has nothing free to refund",
    "RoundStillRunning": "round {round} of project {project} is still running: wait until it ends",
    "DepositNotExact": (
        "the token delivered {received} of {expected} base units: tokens with a transfer fee are refused"
    ),
    "AmountTooLarge": "the amount {amount} is too large, at most {most} is possible",
    "AmountIsZero": "the amount is zero",
    "AggregatorKnown": "{aggregator} is an aggregator of project {project} already",
    "TooManyAggregators": "project {project} has {most} aggregators, which is the most",
    # members
    "AlreadyMember": "{trainer} is a member of project {project} already",
    "AlreadyStaked": "the stake of {trainer} in project {project} is in already",
    "NotMember": "{trainer} is not a member of project {project}: join first",
    "StillMember": "{trainer} has not left project {project}: leave before taking the stake out",
    "NoStake": "{trainer} has no stake in project {project}",
    "StakeLocked": (
        "the stake of {trainer} in project {project} is locked until {unlockAt}, it is {time} now (unix seconds): "
        "until then a commitment could still be slashed"
    ),
    "NotAllowed": "{trainer} is not on the list of project {project}, or the proof does not show it",
    "ReliabilityTooLow": (
        "project {project} asks for a reliability of {needed} basis points, the projects named give {found}"
    ),
    "DelegateIsTrainer": "{trainer} cannot be its own delegate",
    "UnknownMember": "project {project} has no member {member}",
    "StandingListUnsorted": (
        "the projects that vouch must be sorted by owner, then by number, without repetition; entry {index} is not"
    ),
    # bonds
    "NotAggregator": "{caller} is not an aggregator of project {project}",
    "BondTooLow": (
        "the bond of {aggregator} in project {project} is {found} base units and {needed} are needed: deposit more"
    ),
    "RoundTaken": "round {round} of project {project} is accepted by {acceptor} already",
    "NotNextRound": "round {round} is not the next one of project {project}, that is {next}",
    "NotAcceptor": "round {round} of project {project} is accepted by {acceptor}, not by {caller}",
    # rounds
    "WrongPhase": "round {round} of project {project} is in phase {found}; this call is allowed in {allowed}",
    "NotNewestRound": "round {round} is not the newest of project {project}, that is {newest}",
    "OutsideWindow": (
        "this call on round {round} of project {project} is allowed from {from} until {until}, it is {time} now "
        "(unix seconds)"
    ),
    "NotAccepted": "no aggregator has accepted round {round} of project {project} yet",
    "ModelNotReceipted": (
        "the model {model} of project {project} waits for witnesses to vouch for its bytes, until {until} (unix "
        "seconds) at the longest"
    ),
    "RoundNotClosed": "round {round} of project {project} has not been closed yet: call closeRound first",
    "RoundAlreadyClosed": "round {round} of project {project} has been closed already",
    "BudgetTooLow": "project {project} has {free} base units free and a round needs {needed}: fund it",
    "AllRoundsRun": "project {project} has run all of its {rounds} rounds",
    "TooFewMembers": "project {project} has {members} members and needs {needed} to open a round",
    "NotBatcher": "{caller} may not post the batch of round {round} of project {project}, only {batcher} may",
    "BatchAlreadyPosted": "the batch of round {round} of project {project} has been posted already",
    "BatchTooLate": (
        "batches of round {round} of project {project} could be posted until {until}, it is {time} now (unix "
        "seconds): what is left of the phase is for trainers themselves"
    ),
    "BatchTooLong": "a batch of {leaves} commitments is longer than the {most} that a round takes",
    "BatchNotIncreasing": "the batch must be strictly increasing by member; entry {index} is not",
    "BatchMismatch": (
        "the batch given, or made from what is opened and the leaves beside it, hashes to {found}, the posted one to "
        "{stored}"
    ),
    "EmptyBatch": "a batch must hold at least one commitment",
    "LeavesMalformed": "{length} bytes are no whole number of commitments: each has 36",
    "SignaturesMismatch": "{signatures} bytes of signatures where {leaves} are needed: 64 for each commitment",
    "NotEligible": (
        "member {member} may not take part in round {round} of project {project}: joined too late, left, or without "
        "stake"
    ),
    "NotTrainer": "{caller} is neither member {member} of project {project} nor its delegate",
    "AlreadyCommitted": "member {member} has committed in round {round} of project {project} already",
    "CommitmentReserved": "the commitment {commitment} of member {member} begins with 27 zero bytes, which means none",
    "NoOpenings": "the call opens nothing",
    "RowsMalformed": "{length} bytes are no whole number of rows: each has 69",
    "SaltsMismatch": "{salts} salts for {rows} openings: there must be one each",
    "TooManyOpenings": "{openings} openings are more than the {most} that one call takes",
    "OpeningsNotIncreasing": "openings must be strictly increasing by member; entry {index} is not",
    "ReceiptInvalid": "receipt {index} is signed by {recovered}, expected was witness {expected}",
    "WitnessesNotIncreasing": (
        "signatures must be strictly increasing by witness of the project; entry {index} is not"
    ),
    "QuorumMissing": "{found} witnesses signed and the project needs {needed}",
    "NothingToSlash": "member {member} has nothing unresolved in round {round} of project {project}",
    "BatchNotInRoot": "{digest} is not the validation batch that project {project} fixed for round {round}",
    "AlreadyPosted": "round {round} of project {project} has {found} already",
    # settlement
    "NotYours": (
        "round {round} of project {project} is for {acceptor} to settle until {until} (unix seconds), not for {caller}"
    ),
    "RowsMismatch": "the admissions given hash to {found}, those of the round to {stored}",
    "PolicyAnswerMalformed": "the project's policy answered {length} bytes that are no list of outcomes",
    "OutcomesMismatch": "{outcomes} outcomes for {rows} rows: there must be one per row",
    "OutcomeTooLarge": "the outcome of row {row} is {outcome}: a score has 64 bits, a reason 8",
    "RejectedRowHasScore": "row {row} is rejected and has score {score}: a rejected row scores 0",
    "PaysMoreThanBudget": "the pay of {pay} is more than the {distributable} that the round distributes",
    "CidInvalid": "codec {codec} with digest {digest} is not a CID that the market takes: raw (85) or dag-pb (112)",
    "NoModelPending": "no model of project {project} waits for receipts",
    "InputMalformed": "the policy's input has {found} bytes or entries, {needed} are needed",
    # payouts
    "AlreadyClaimed": "member {member} of project {project} has been paid for round {round} already",
    "ProofInvalid": "the proof for row {row} of round {round} of project {project} does not lead to its payout root",
    "ProofsTooShort": "the claim has {nodes} nodes of proofs, its items need {needed} or more",
    "MoreThanClaimable": "a claim of {amount} base units on project {project}, in which {claimable} can be claimed",
    "NothingToClaim": "there is nothing to claim",
    "ClaimNotSigned": "{trainer} has not signed that its pay goes to {to}",
    "ClaimExpired": "the signature of this claim expired at {expiry}, it is {time} now (unix seconds)",
    "ReceiverIsZero": "the receiver is the zero address",
    # verification
    "EvidenceInvalid": (
        "the evidence has {found} and should have {needed}: witness signatures in an attested project, bytes in a "
        "proven one"
    ),
    "AttestersNotIncreasing": "attestations must be strictly increasing by witness; entry {index} is not",
    "AttesterUnknown": "attestation {index} names witness {witness} and the project has {witnesses}",
    "AttestationInvalid": "attestation {index} is signed by {recovered}, expected was witness {expected}",
    "ArgumentInvalid": "the proof does not prove this outcome of the round",
    "CompanyWrong": (
        "the hint {hint} does not name the middle of the cosines of player {player} with the others: make hints anew "
        "with cohort_protocol.scoring.hints"
    ),
    "GramLengthWrong": "the Gram matrix has {found} bytes, {needed} are needed",
    "HintsLengthWrong": "the policy's hints have {found} bytes, {needed} are needed",
    "LayoutUnsupported": (
        "{n} updates, {steps} past steps, {trainable} u0 and {values} value rows: the policy takes 1 .. 32, 0 .. 3, "
        "0 or 1, and 0 or 3"
    ),
    "MedianWrong": (
        "the hint {hint} does not name the middle of figure {what} (0 length, 1 novelty, 2 company, 3 score): make "
        "hints anew with cohort_protocol.scoring.hints"
    ),
    "SquareNegative": "row {row} of the Gram matrix has a negative square, which no vector has",
    "CommitmentInvalid": "the commitment of row {row} is no point of the curve, or not ({x}, {y})",
    "InverseInvalid": "the inverse {h} that comes with the proof is not that of its challenge",
    "LayoutInvalid": (
        "{steps} past steps, {trainable} rows of u0 and {values} value rows: at most 10 in all, 0 or 1 of u0, 0 or "
        "3 of values"
    ),
    "NextModelMismatch": "the proven step leads to the model {found}, the settlement names {claimed}",
    "PointInvalid": "({x}, {y}) is no point of the curve",
    "PolicyMismatch": "the project's policy has the hash {wanted}, this verifier runs the one with {found}",
    "PrecompileFailed": "the precompile at address {precompile} gave no answer: too little gas, or the chain has none",
    "PublicRowsMismatch": "the public rows in the evidence have the hash {found}, posted was {stored}",
    "PublicRowsMissing": "round {round} has no public rows: post them first, from round 2 on there must be some",
    "RowCountInvalid": "the evidence has {found} rows, 1 .. {most} are possible",
    "ScalarTooLarge": "the scalar {found} of the proof is not below the order of the curve",
    "ScoresMismatch": "the policy gives scores with the hash {found}, the settlement claims {claimed}",
    "TauInvalid": "[tau]_2 is no point of the curve's second group, or says nothing",
    "WeightsTooLarge": "the weights add up to {found}, at most {most} is possible",
    "AnswerMalformed": "the policy's answer of {length} bytes is not a list of a word for each of {rows} rows",
    # OpenZeppelin
    "ERC20InsufficientAllowance": "the allowance for {spender} is {allowance} and {needed} is needed: approve first",
    "ERC20InsufficientBalance": "{sender} holds {balance} base units and {needed} are needed",
    "ERC2612ExpiredSignature": "the permit expired at {deadline}",
    "ERC2612InvalidSigner": "the permit is signed by {signer}, not by the holder {owner}",
    "SafeERC20FailedOperation": "the token {token} refused the transfer",
    "ReentrancyGuardReentrantCall": "the call came back into the market while it was running",
    # the compiler and require texts
    "Error": "{reason}",
}
"""What each error means, with its arguments filled in. An error without an entry is shown as name(arguments)."""


@cache
def known_errors() -> dict[bytes, AbiItem]:
    """Every error that our contracts can raise, by selector."""
    found = dict(_BUILT_IN.errors)
    for name in CONTRACTS:
        found |= contract_abi(name).errors
    return found


def decode_revert(data: bytes, what: str = "the call") -> TransactionReverted:
    """The error that the revert data stands for; `what` says in words which call was refused.

    Never raises: unknown data becomes an error named "Unknown" that quotes it.
    """
    error = known_errors().get(data[:4]) if len(data) >= 4 else None
    if error is None:
        shown = f"unknown error 0x{data[:68].hex()}" if data else "no reason given"
        return TransactionReverted(f"{what} was refused: {shown}", arguments={"data": data})
    try:
        values = decode_values(error.inputs, data[4:])
    except (DecodingError, OverflowError):
        return TransactionReverted(f"{what} was refused: {error.name} with malformed arguments", error.name)
    arguments = {
        parameter.name: _readable(parameter.internal_type, parameter.name, value)
        for parameter, value in zip(error.inputs, values, strict=True)
    }
    kind = UnknownProject if error.name == "UnknownProject" else TransactionReverted
    return kind(f"{what} was refused: {in_words(error.name, arguments)}", error.name, arguments)


def in_words(name: str, arguments: dict[str, Any]) -> str:
    """The meaning of an error, for a person."""
    if name == "Panic":
        code = arguments["code"]
        return f"a check of the compiler failed ({PANICS.get(code, hex(code))})"
    shown = {key: _shown(value) for key, value in arguments.items()}
    if name in TEXTS:
        return TEXTS[name].format(**shown)
    return f"{name}({', '.join(f'{key}={value}' for key, value in shown.items())})"


def _readable(internal_type: str, name: str, value: Any) -> Any:
    if internal_type == "enum Phase" and value in Phase._value2member_map_:
        return Phase(value)
    if name == "what" and isinstance(value, bytes):
        # Short texts travel as bytes32, padded with zeros.
        text = value.rstrip(b"\0")
        if text and all(32 <= byte < 127 for byte in text):
            return text.decode("ascii")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, Phase):
        return value.name.capitalize()
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
