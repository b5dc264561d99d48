"""Errors of the trainer's and the owner's side. Chain, IPFS, service and learning bring their own branches."""

from __future__ import annotations

from cohort_protocol.errors import CohortError, Conflict, InvalidInput, NotFound, WrongPhase


class TrainerError(CohortError):
    """Base of every error raised on this side."""

    code = "trainer-error"


class CommandNotInstalled(TrainerError):
    """A command of `cohort` needs a package that is not installed here."""

    code = "command-not-installed"


class Declined(TrainerError):
    """The person at the prompt said no. Nothing was sent."""

    code = "declined"


class HomeMissing(TrainerError, NotFound):
    """The folder is not a home: no config.toml or keystore.json."""

    code = "home-missing"


class HomeExists(TrainerError, Conflict):
    """The folder is a home already; a key is never overwritten."""

    code = "home-exists"


class HomeInvalid(TrainerError, InvalidInput):
    """A file of the home folder cannot be read or does not say what it must."""

    code = "home-invalid"


class HomeBusy(TrainerError, Conflict):
    """Another process runs this home."""

    code = "home-busy"


class HomeLocked(TrainerError):
    """Something that needs the key was asked of a home that was opened without its password."""

    code = "home-locked"


class FileUnusable(TrainerError, InvalidInput):
    """The file system refuses a path that was named: too long, a folder where a file belongs, not permitted."""

    code = "file-unusable"


class PasswordMissing(TrainerError):
    """No password was given and there is nobody to ask."""

    code = "password-missing"


class WrongMarket(TrainerError):
    """Service, chain and configuration do not speak of the same market."""

    code = "wrong-market"


class ProjectUnsafe(TrainerError):
    """Spec and terms of a project contradict each other or this program. Joining it would be a mistake."""

    code = "project-unsafe"


class ProjectOver(TrainerError, WrongPhase):
    """The project opens no further round."""

    code = "project-over"


class DataDoesNotFit(TrainerError, InvalidInput):
    """The trainer's own data is not what the project asks for."""

    code = "data-does-not-fit"


class TrainingFailed(TrainerError):
    """The training function raised an error or returned something that is not this project's model."""

    code = "training-failed"


class BalanceTooLow(TrainerError):
    """The account holds too little of the project's token, or no coin to pay for gas."""

    code = "balance-too-low"


class NotAMember(TrainerError, NotFound):
    """The account is not a trainer of the project."""

    code = "not-a-member"


class StillLeaving(TrainerError, Conflict):
    """The trainer has left a project but not withdrawn its stake, so it cannot join again yet."""

    code = "still-leaving"


class StakeLocked(TrainerError):
    """The stake cannot be taken out yet: a commitment of its trainer could still be slashed."""

    code = "stake-still-locked"


class StakeMissing(TrainerError):
    """The trainer's stake was slashed. Without a stake nobody can commit."""

    code = "stake-missing"


class StakeThere(TrainerError, Conflict):
    """The stake is in already: there is nothing to pay."""

    code = "stake-there"


class NotAnAggregator(TrainerError):
    """The account is not among the project's aggregators."""

    code = "not-an-aggregator"


class NotADelegate(TrainerError):
    """The account is not, or no longer, the delegate of the trainer that it was to work for."""

    code = "not-a-delegate"


class DelegateForbidden(TrainerError):
    """A delegate was asked to do what only the trainer itself can do."""

    code = "delegate-forbidden"


class ReliabilityTooLow(TrainerError):
    """The project asks for more reliability than the trainer has."""

    code = "too-unreliable"


class NotOnAccessList(TrainerError):
    """The project has a list of trainers, and nothing shows that this one is on it."""

    code = "not-on-access-list"


class AccessFileInvalid(TrainerError, InvalidInput):
    """The file with the access list, or with a proof for it, cannot be used."""

    code = "access-file-invalid"


class RecordBroken(TrainerError):
    """The record of a round on disk contradicts itself. Going on could send two different things for one round."""

    code = "record-broken"


class ClaimUnproven(TrainerError):
    """Neither the service's proofs nor those rebuilt from the chain's events match the payout root on chain."""

    code = "claim-unproven"


class DraftTampered(TrainerError):
    """The service returned transactions that do something else than was asked. They were not signed."""

    code = "draft-tampered"


class OwnerInputInvalid(TrainerError, InvalidInput):
    """A spec or terms file of the owner cannot be used as it is."""

    code = "owner-input-invalid"


class BatchesMissing(TrainerError, NotFound):
    """The project has no validation batches, or this home does not hold them."""

    code = "batches-missing"
