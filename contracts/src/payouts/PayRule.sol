// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title PayRule: scores to pay, integers only, floor everywhere
library PayRule {
    /// @notice pay_a = min(floor(D c_a / max(sum c, S_floor)), floor(D cap / n), D).
    /// @param outcomes one word per row: score (64 bits) << 8 | reason (8 bits).
    /// @param distributable D, base units, below 2^112.
    /// @param shareCap one row gets at most shareCap / n of D.
    /// @return pays base units, one per outcome; their sum never exceeds D.
    function paysOf(uint256[] memory outcomes, uint256 distributable, uint256 scoreFloor, uint256 shareCap)
        internal
        pure
        returns (uint256[] memory pays, uint256 sum)
    {
        uint256 n = outcomes.length;
        pays = new uint256[](n);
        unchecked {
            // n <= 32, scores < 2^64, D < 2^112: nothing here reaches 2^256.
            // slither-disable-next-line uninitialized-local (a sum begins at zero)
            uint256 total;
            for (uint256 i; i < n; ++i) total += outcomes[i] >> 8;
            if (total < scoreFloor) total = scoreFloor;
            uint256 most = shareCap < n ? distributable * shareCap / n : distributable;
            for (uint256 i; i < n; ++i) {
                uint256 pay = distributable * (outcomes[i] >> 8) / total;
                if (pay > most) pay = most;
                pays[i] = pay;
                sum += pay;
            }
        }
    }
}
