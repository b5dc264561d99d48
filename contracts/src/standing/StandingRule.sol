// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title StandingRule: how settled rows and withheld reveals change a trainer's standing
/// @notice Integers, floor. Good behaviour never lowers reliability and bad behaviour never raises it.
/// Source: the beta reputation of Josang and Ismail (2002), good / (good + bad + prior), which does not depend on the
/// order of events: nobody gains by bringing credit in after a loss.
library StandingRule {
    uint256 internal constant FULL_BPS = 10_000;
    uint256 internal constant FULL_WEIGHT = 1 << 16;

    uint256 internal constant ROUND_CREDIT = 1_000; // of a round with an average share or more
    uint256 internal constant PRIOR = 20_000; // a first full round gives 1 / 21, about 5%
    uint256 internal constant MOST_CREDIT_OF_OWNER = 2_222; // floor(PRIOR / 9): alone it gives a tenth

    uint256 internal constant REJECTED = 10_000; // loss, in units of credit
    uint256 internal constant NO_REVEAL = 20_000;
    uint256 internal constant MOST_LOSS_OF_OWNER = 30_000;

    uint256 internal constant MOST_USEFUL = 40_000; // four average shares, basis points

    /// @notice floor(1000 min(pay n, D) weight / (D 2^16)): noise, whose share is next to nothing, gains next to nothing.
    /// @param shares pay of the row times rows of the round, base units, below 2^117.
    /// @param distributable D of the round, base units, > 0.
    /// @param weight part of the full gain that the round's fee earns, in 1/65536, at most 65536.
    function creditOf(uint256 shares, uint256 distributable, uint256 weight) internal pure returns (uint256) {
        if (shares > distributable) shares = distributable;
        unchecked {
            return ROUND_CREDIT * shares * weight / distributable / FULL_WEIGHT; // below 2^(10 + 117 + 17)
        }
    }

    /// @notice Moving average of share x n: floor((7 u + x) / 8) with x = min(40000, floor(10000 pay n / D)).
    /// @param shares pay of the row times rows of the round, base units, below 2^117.
    function usefulnessAfter(uint256 u, uint256 shares, uint256 distributable) internal pure returns (uint256) {
        unchecked {
            uint256 x = FULL_BPS * shares / distributable; // below 2^(14 + 117)
            if (x > MOST_USEFUL) x = MOST_USEFUL;
            return (7 * u + x) / 8;
        }
    }

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
