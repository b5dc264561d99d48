// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title StandingRule: how one settled row changes a trainer's standing
/// @notice Basis points, floor. Good behaviour never lowers reliability and bad behaviour never raises it.
library StandingRule {
    uint256 internal constant FULL = 10_000;
    uint256 internal constant GAIN = 500; // 5% of what is missing, for an average share or more
    uint256 internal constant LOSS = 2_000; // 20% of what is there
    uint256 internal constant MOST_USEFUL = 40_000; // four average shares

    /// @notice Accepted: r + floor(GAIN (FULL - r) min(share x n, 1) / FULL): noise, whose share is next to nothing,
    /// gains next to nothing. Rejected: r - floor(LOSS r / FULL).
    /// @param pay of the row, base units.
    /// @param n rows of the round.
    /// @param distributable D of the round, base units, > 0.
    function reliabilityAfter(uint256 r, uint256 pay, uint256 n, uint256 distributable, bool rejected)
        internal
        pure
        returns (uint256)
    {
        if (rejected) return r - r * LOSS / FULL;
        uint256 share = pay * n < distributable ? pay * n : distributable;
        return r + GAIN * (FULL - r) * share / distributable / FULL;
    }

    /// @notice Moving average of share x n over the last rounds: floor((7 u + x) / 8).
    function usefulnessAfter(uint256 u, uint256 pay, uint256 n, uint256 distributable, bool rejected)
        internal
        pure
        returns (uint256)
    {
        uint256 x = rejected ? 0 : FULL * pay * n / distributable;
        if (x > MOST_USEFUL) x = MOST_USEFUL;
        return (7 * u + x) / 8;
    }
}
