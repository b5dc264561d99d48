// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MATRIX_STRIDE, Table} from "./Table.sol";

/// @title Linkage: groups of rows that are near to some of each other
/// @notice Complete linkage: two groups become one while every pair across them is nearer than the limit and neither has a closer
/// group; ties are joined together. Only for rows whose bits do not say it (`Clones`). What is closest to a group is looked for
/// again only when that has been joined: links never grow.
library Linkage {
    uint256 private constant CLONE_LIMIT = 989560464998; // floor(0.9 * 2^40)
    uint256 private constant GONE = 1 << 255; // as a signed number the least there is

    /// @notice Groups, by their place in a list, as bits or in arrays.
    struct State {
        uint256 count;
        uint256 links; // where the matrix of links begins in memory, row by row
        uint256[] rows; // of each group, a bit each; 0 once it has been joined to another one
        uint256[] closest; // link to the closest groups, more than the limit
        uint256[] nearest; // those groups, a bit each; 0 if none is closer than the limit
    }

    /// @notice Rows of each group, a bit each; zeros in between. rows: at least one. matrix: of the cosines of all rows.
    function groupsOf(uint256 matrix, uint256 rows) internal pure returns (uint256[] memory) {
        State memory state = _begin(matrix, rows);
        uint256 stale = (1 << state.count) - 1;
        while (stale != 0) {
            _find(state, stale);
            uint256 joined = _join(state);
            stale = joined == 0 ? 0 : _affected(state, joined);
        }
        return state.rows;
    }

    function _begin(uint256 matrix, uint256 rows) private pure returns (State memory state) {
        unchecked {
            uint256 count = 0;
            for (uint256 rest = rows; rest != 0; rest &= rest - 1) ++count;
            state.count = count;
            state.links = Table.reserve(count * count);
            state.rows = new uint256[](count);
            state.closest = new uint256[](count);
            state.nearest = new uint256[](count);
            uint256 i = 0;
            for (uint256 row; rows >> row != 0; ++row) {
                if (rows >> row & 1 == 0) continue;
                state.rows[i] = 1 << row;
                _copy(state.links + 32 * count * i, matrix + MATRIX_STRIDE * row, rows);
                Table.set(state.links, 32 * (count * i + i), GONE);
                ++i;
            }
        }
    }

    /// @dev The cosines whose bit is set.
    function _copy(uint256 to, uint256 from, uint256 rows) private pure {
        assembly ("memory-safe") {
            for {} rows { rows := shr(1, rows) } {
                if and(rows, 1) {
                    mstore(to, mload(from))
                    to := add(to, 32)
                }
                from := add(from, 32)
            }
        }
    }

    /// @dev What is closest to the groups whose bit is set.
    function _find(State memory state, uint256 stale) private pure {
        uint256 count = state.count;
        unchecked {
            for (uint256 i; stale >> i != 0; ++i) {
                if (stale >> i & 1 == 0) continue;
                uint256 link = state.links + 32 * count * i;
                uint256 most = CLONE_LIMIT;
                uint256 nearest = 0;
                assembly ("memory-safe") {
                    let bit := 1
                    for { let end := add(link, shl(5, count)) } lt(link, end) { link := add(link, 32) } {
                        let w := mload(link)
                        if iszero(slt(w, most)) {
                            if sgt(w, most) {
                                most := w
                                nearest := 0
                            }
                            // At the limit itself nobody is near.
                            nearest := or(nearest, mul(bit, sgt(w, CLONE_LIMIT)))
                        }
                        bit := shl(1, bit)
                    }
                }
                state.closest[i] = most;
                state.nearest[i] = nearest;
            }
        }
    }

    /// @dev Joins every two groups that are each other's closest, and what hangs together by that.
    /// @return joined those groups, a bit each.
    function _join(State memory state) private pure returns (uint256 joined) {
        uint256 count = state.count;
        uint256[] memory mutual = new uint256[](count);
        unchecked {
            for (uint256 i; i < count; ++i) {
                uint256 others = 0;
                for (uint256 j; state.nearest[i] >> j != 0; ++j) {
                    if (state.nearest[i] >> j & 1 == 1 && state.closest[j] == state.closest[i]) others |= 1 << j;
                }
                mutual[i] = others;
            }
            for (uint256 i; i < count; ++i) {
                if (mutual[i] == 0 || joined >> i & 1 == 1) continue;
                uint256 all = _together(mutual, i);
                joined |= all;
                for (uint256 j = i + 1; all >> j != 0; ++j) {
                    if (all >> j & 1 == 1) _merge(state, i, j);
                }
            }
        }
    }

    function _together(uint256[] memory mutual, uint256 i) private pure returns (uint256 all) {
        all = mutual[i] | 1 << i;
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
    function _merge(State memory state, uint256 i, uint256 j) private pure {
        state.rows[i] |= state.rows[j];
        state.rows[j] = 0;
        state.nearest[j] = 0;
        uint256 links = state.links;
        uint256 step = 32 * state.count;
        assembly ("memory-safe") {
            let ofI := add(links, mul(i, step))
            let ofJ := add(links, mul(j, step))
            let toI := add(links, shl(5, i))
            let toJ := add(links, shl(5, j))
            for { let end := add(ofI, step) } lt(ofI, end) { ofI := add(ofI, 32) } {
                let w := mload(ofJ)
                if slt(w, mload(ofI)) {
                    mstore(ofI, w)
                    mstore(toI, w)
                }
                mstore(ofJ, GONE)
                mstore(toJ, GONE)
                ofJ := add(ofJ, 32)
                toI := add(toI, step)
                toJ := add(toJ, step)
            }
        }
    }

    /// @dev Groups that are left whose closest were joined; those that were joined are among them.
    function _affected(State memory state, uint256 joined) private pure returns (uint256 stale) {
        unchecked {
            for (uint256 i; i < state.count; ++i) {
                if (state.nearest[i] & joined != 0) stale |= 1 << i;
            }
        }
    }
}
