// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title StandingRule: what credit and losses make of a trainer's standing (what a row earns is in RowPass)
/// @notice Integers, floor. Good behaviour never lowers reliability and bad behaviour never raises it.
/// Source: the beta reputation of Josang and Ismail (2002), good / (good + bad + prior), which does not depend on the
/// order of events: nobody gains by bringing credit in after a loss.
library StandingRule {
    uint256 internal constant FULL_BPS = 10_000;
    uint256 internal constant FULL_WEIGHT = 1 << 16;

    uint256 internal constant PRIOR = 20_000; // a first full round gives 1 / 21, about 5%
    uint256 internal constant MOST_CREDIT_OF_OWNER = 2_222; // floor(PRIOR / 9): alone it gives a tenth

    uint256 internal constant REJECTED = 10_000; // loss, in units of credit
    uint256 internal constant NO_REVEAL = 20_000;
    uint256 internal constant MOST_LOSS_OF_OWNER = 30_000;

    /// @notice Losses through one owner after one more.
    function lossAfter(uint256 ofOwner, uint256 loss, uint256 weight) internal pure returns (uint256) {
        uint256 sum = ofOwner + loss * weight / FULL_WEIGHT;
        return sum < MOST_LOSS_OF_OWNER ? sum : MOST_LOSS_OF_OWNER;
    }

    /// @notice floor(10000 G / (G + B + PRIOR)).
    /// @param good G: credit over all owners, each at most MOST_CREDIT_OF_OWNER.
    /// @param bad B: losses over all owners, each at most MOST_LOSS_OF_OWNER.
    function reliability(uint256 good, uint256 bad) internal pure returns (uint256) {
        return FULL_BPS * good / (good + bad + PRIOR);
    }
}
