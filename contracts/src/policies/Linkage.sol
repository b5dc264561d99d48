// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Round, Table} from "./Table.sol";

/// @title Linkage: groups of rows that are near to some of each other
/// @notice Complete linkage: two groups become one while every pair across them is nearer than the limit and neither has a closer
/// group; ties are joined together. Only for rows whose bits do not say it (`Clones`): 50 gas per pair and pass, one pass at
/// least for each join.
library Linkage {
    using Table for Round;

    int256 private constant CLONE_LIMIT = 989560464998; // floor(0.9 * 2^40)
    int256 private constant GONE = type(int256).min;

    /// @notice Rows of each group, a bit each; zeros in between.
    function groupsOf(Round memory round, uint256 rows) internal pure returns (uint256[] memory groups) {
        uint256 count = 0;
        unchecked {
            for (uint256 rest = rows; rest != 0; rest &= rest - 1) ++count;
            groups = new uint256[](count);
            uint256[] memory places = new uint256[](count);
            uint256 i = 0;
            for (uint256 row; rows >> row != 0; ++row) {
                if (rows >> row & 1 == 0) continue;
                (groups[i], places[i]) = (1 << row, row);
                ++i;
            }
            int256[][] memory links = new int256[][](count);
            for (i = 0; i < count; ++i) {
                links[i] = new int256[](count);
                for (uint256 j; j < count; ++j) {
                    links[i][j] = i == j ? GONE : Table.getSigned(round.at(places[i]), Table.column(places[j]));
                }
            }
            while (_pass(groups, links)) {}
        }
    }

    /// @dev Joins every two groups that are each other's closest, and what hangs together by that. False: none are.
    function _pass(uint256[] memory groups, int256[][] memory links) private pure returns (bool joined) {
        uint256 count = groups.length;
        int256[] memory closest = new int256[](count);
        unchecked {
            for (uint256 i; i < count; ++i) {
                int256 most = CLONE_LIMIT;
                int256[] memory line = links[i];
                for (uint256 j; j < count; ++j) {
                    if (line[j] > most) most = line[j];
                }
                closest[i] = most; // the limit itself if nobody is closer
            }
            uint256[] memory mutual = new uint256[](count);
            for (uint256 i; i < count; ++i) {
                int256 most = closest[i];
                mutual[i] = 1 << i;
                if (most == CLONE_LIMIT) continue;
                for (uint256 j; j < count; ++j) {
                    if (links[i][j] == most && closest[j] == most) mutual[i] |= 1 << j;
                }
            }
            for (uint256 i; i < count; ++i) {
                if (groups[i] == 0 || mutual[i] == 1 << i) continue;
                uint256 all = _together(mutual, i);
                for (uint256 j = i + 1; j < count; ++j) {
                    if (all >> j & 1 == 0) continue;
                    _merge(groups, links, i, j);
                    mutual[j] = 1 << j;
                    joined = true;
                }
            }
        }
    }

    function _together(uint256[] memory mutual, uint256 i) private pure returns (uint256 all) {
        all = mutual[i];
        // slither-disable-next-line uninitialized-local (nobody yet)
        uint256 seen;
        unchecked {
            while (all != seen) {
                uint256 more = all & ~seen;
                seen = all;
                for (uint256 j; more >> j != 0; ++j) {
                    if (more >> j & 1 == 1) all |= mutual[j];
                }
            }
        }
    }

    /// @dev Group j becomes part of group i: a link of both is the weaker one.
    function _merge(uint256[] memory groups, int256[][] memory links, uint256 i, uint256 j) private pure {
        groups[i] |= groups[j];
        groups[j] = 0;
        unchecked {
            for (uint256 k; k < groups.length; ++k) {
                if (links[j][k] < links[i][k]) (links[i][k], links[k][i]) = (links[j][k], links[j][k]);
                (links[j][k], links[k][j]) = (GONE, GONE);
            }
        }
        links[i][i] = GONE;
    }
}
