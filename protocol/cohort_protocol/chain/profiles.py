"""What each kind of deployment fixes for all its projects. Data; the market's constructor takes it as `Profile`.

Windows protect people who must act: outside a devnet, a minute without a block must cost nobody anything. `l2` assumes
blocks every second or two and a sequencer that may pause for some minutes, `mainnet` blocks every twelve seconds and
finality after some thirteen minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cohort_protocol.chain.types import ZERO_ADDRESS, ListedToken, Profile, Windows
from cohort_protocol.errors import InvalidInput

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


@dataclass(frozen=True)
class ProfileSpec:
    """The part of a profile that is the same on every chain."""

    name: str
    minimum: Windows
    """Seconds."""
    slash_window: int
    """Seconds from tG in which a commitment that was never opened can be slashed."""
    protocol_fee_bps: int
    fee_recipient: str = ZERO_ADDRESS
    """Zero: the protocol's fee is burned."""

    def with_(
        self,
        verifiers: Sequence[bytes],
        policies: Sequence[bytes],
        tokens: Sequence[ListedToken] = (),
        fee_recipient: str | None = None,
    ) -> Profile:
        """The constructor's argument: with the code hashes (32 bytes each) that projects may use, the tokens in which
        fees make standing, and the fee's recipient if it is another than the profile's."""
        return Profile(
            minimum=self.minimum,
            slash_window=self.slash_window,
            protocol_fee_bps=self.protocol_fee_bps,
            fee_recipient=self.fee_recipient if fee_recipient is None else fee_recipient,
            verifiers=tuple(verifiers),
            policies=tuple(policies),
            tokens=tuple(tokens),
        )


PROFILES: Mapping[str, ProfileSpec] = {
    spec.name: spec
    for spec in (
        ProfileSpec(
            name="devnet",
            minimum=Windows(commit=1, guard=0, reveal=1, rescue=1, settle=1, takeover=1, self_commit=0),
            slash_window=60,
            protocol_fee_bps=100,
        ),
        ProfileSpec(
            name="l2",
            minimum=Windows(
                commit=10 * _MINUTE,
                guard=10 * _MINUTE,
                reveal=10 * _MINUTE,
                rescue=_DAY,
                settle=_HOUR,
                takeover=_HOUR,
                self_commit=5 * _MINUTE,
            ),
            slash_window=7 * _DAY,
            protocol_fee_bps=100,
        ),
        ProfileSpec(
            name="mainnet",
            minimum=Windows(
                commit=_HOUR,
                guard=20 * _MINUTE,
                reveal=_HOUR,
                rescue=_DAY,
                settle=6 * _HOUR,
                takeover=6 * _HOUR,
                self_commit=20 * _MINUTE,
            ),
            slash_window=7 * _DAY,
            protocol_fee_bps=100,
        ),
    )
}
"""By name."""


def profile_by_name(name: str) -> ProfileSpec:
    """Raises `InvalidInput` for a name that is none."""
    if name not in PROFILES:
        raise InvalidInput(f"{name!r:.60} is not a profile: there are {', '.join(PROFILES)}")
    return PROFILES[name]
