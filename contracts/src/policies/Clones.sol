// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Coordinates} from "./Coordinates.sol";
import {Cosines} from "./Cosines.sol";
import {Linkage} from "./Linkage.sol";
import {Roots} from "./Roots.sol";
import {
    COUNT, HALF, NEAR, ROWS, Round, STRIDE, SUM, Table, UNIT, VALUE, VOTE, X1, X2, Y1, Y2
} from "./Table.sol";

/// @title Clones: rows become players
/// @notice Rows that are too short leave; rows that are nearly the same become one player, whose direction is the sum of its rows
/// at unit length. A set of rows that are all near to each other and to nobody else is one player under complete linkage, seen
/// from the bits alone; only other sets need `Linkage`.
library Clones {
    using Table for Round;

    /// @notice Forms the players. playing: rows that are long enough. near: whether any two rows are near to each other.
    function join(Round memory round, uint256 playing, bool near) internal pure {
        uint256 all = (1 << round.n) - 1;
        if (near || playing != all) Cosines.mirror(round);
        if (near) {
            Cosines.findNear(round);
            uint256 first = _groups(round, playing);
            if (first != playing) {
                _sum(round, first);
                _normalise(round, first);
                _sumCosines(round, first);
                round.keep(first);
                return;
            }
        }
        if (playing != all) {
            unchecked {
                for (uint256 row; row < round.n; ++row) {
                    if (playing >> row & 1 == 0) leave(round, row);
                }
            }
            round.keep(playing);
        }
    }

    /// @notice Takes the record at a place out of the sums of the others. Of a mirrored table.
    function leave(Round memory round, uint256 place) internal pure {
        uint256 record = round.table;
        uint256 end = round.at(round.players);
        uint256 column = Table.column(place);
        assembly ("memory-safe") {
            for {} lt(record, end) { record := add(record, STRIDE) } {
                let at := add(record, SUM)
                mstore(at, sub(mload(at), mload(add(record, column))))
            }
        }
    }

    /// @dev Writes into the first record of every player which rows it has. first: those records, a bit each.
    function _groups(Round memory round, uint256 playing) private pure returns (uint256 first) {
        uint256 rest = playing;
        unchecked {
            for (uint256 row; rest != 0; ++row) {
                if (rest >> row & 1 == 0) continue;
                uint256 group = Table.get(round.at(row), NEAR) & playing;
                if (group == 1 << row) {
                    first |= group;
                    rest &= ~group;
                    continue;
                }
                uint256 reached = _reached(round, group, playing);
                if (reached == group && _alike(round, group, playing)) {
                    _setGroup(round, group);
                    first |= 1 << row;
                } else {
                    uint256[] memory groups = Linkage.groupsOf(round, reached);
                    for (uint256 i; i < groups.length; ++i) {
                        if (groups[i] == 0) continue;
                        _setGroup(round, groups[i]);
                        first |= groups[i] & (~groups[i] + 1);
                    }
                }
                rest &= ~reached;
            }
        }
    }

    /// @dev All rows that are near to these, directly or by way of others.
    function _reached(Round memory round, uint256 rows, uint256 playing) private pure returns (uint256) {
        // slither-disable-next-line uninitialized-local (nobody yet)
        uint256 seen;
        unchecked {
            while (rows != seen) {
                uint256 more = rows & ~seen;
                seen = rows;
                for (uint256 row; more >> row != 0; ++row) {
                    if (more >> row & 1 == 1) rows |= Table.get(round.at(row), NEAR) & playing;
                }
            }
        }
        return rows;
    }

    function _alike(Round memory round, uint256 group, uint256 playing) private pure returns (bool) {
        unchecked {
            for (uint256 row; group >> row != 0; ++row) {
                if (group >> row & 1 == 1 && Table.get(round.at(row), NEAR) & playing != group) return false;
            }
        }
        return true;
    }

    function _setGroup(Round memory round, uint256 group) private pure {
        uint256 first = 0;
        uint256 count = 0;
        unchecked {
            while (group >> first & 1 == 0) ++first;
            for (uint256 rows = group; rows != 0; rows &= rows - 1) ++count;
        }
        uint256 record = round.at(first);
        Table.set(record, ROWS, group);
        Table.set(record, COUNT, count);
    }

    /// @dev First records become sums over their rows, along the row and down the columns; values become means.
    function _sum(Round memory round, uint256 first) private pure {
        uint256 n = round.n;
        unchecked {
            for (uint256 row; row < n; ++row) {
                uint256 record = round.at(row);
                if (first >> row & 1 == 0 || Table.get(record, COUNT) == 1) continue;
                uint256 rows = Table.get(record, ROWS);
                int256[6] memory q = _coordinatesOf(record);
                for (uint256 other = row + 1; other < n; ++other) {
                    if (rows >> other & 1 == 1) _add(record, round.at(other), n, q);
                }
                _means(record);
                _setCoordinates(record, q);
            }
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                uint256 record = round.at(row);
                for (uint256 place; place < n; ++place) {
                    if (first >> place & 1 == 0) continue;
                    uint256 rows = Table.get(round.at(place), ROWS) & ~(1 << place);
                    if (rows == 0) continue;
                    uint256 total = Table.get(record, Table.column(place));
                    for (uint256 other = place + 1; rows >> other != 0; ++other) {
                        if (rows >> other & 1 == 1) total += Table.get(record, Table.column(other));
                    }
                    Table.set(record, Table.column(place), total);
                }
            }
        }
    }

    function _add(uint256 record, uint256 other, uint256 n, int256[6] memory q) private pure {
        unchecked {
            _addCosines(record + Table.column(0), other + Table.column(0), n);
            Table.set(record, VALUE, Table.get(record, VALUE) + Table.get(other, VALUE));
            Table.set(record, HALF, Table.get(record, HALF) + Table.get(other, HALF));
            Table.set(record, VOTE, Table.get(record, VOTE) + Table.get(other, VOTE));
            int256[6] memory more = _coordinatesOf(other);
            for (uint256 k; k < 6; ++k) q[k] += more[k];
        }
    }

    function _addCosines(uint256 to, uint256 from, uint256 count) private pure {
        assembly ("memory-safe") {
            for { let end := add(to, shl(5, count)) } lt(to, end) { to := add(to, 32) } {
                mstore(to, add(mload(to), mload(from)))
                from := add(from, 32)
            }
        }
    }

    function _means(uint256 record) private pure {
        unchecked {
            int256 count = int256(Table.get(record, COUNT));
            Table.setSigned(record, VALUE, Table.getSigned(record, VALUE) / count);
            Table.setSigned(record, HALF, Table.getSigned(record, HALF) / count);
            Table.setSigned(record, VOTE, Table.getSigned(record, VOTE) / count);
        }
    }

    function _coordinatesOf(uint256 record) private pure returns (int256[6] memory q) {
        int256[3] memory half = Coordinates.lanesOf(Table.get(record, X1));
        (q[0], q[1], q[2]) = (half[0], half[1], half[2]);
        half = Coordinates.lanesOf(Table.get(record, X2));
        (q[3], q[4], q[5]) = (half[0], half[1], half[2]);
    }

    /// @dev Of sums: where they stand in memory, for `_divide`.
    function _setCoordinates(uint256 record, int256[6] memory q) private pure {
        assembly ("memory-safe") {
            mstore(add(record, Y1), q)
        }
    }

    /// @dev Sums become cosines and coordinates of players: divided by the lengths of the sums.
    function _normalise(Round memory round, uint256 first) private pure {
        uint256 n = round.n;
        uint256[] memory sizes = new uint256[](n);
        unchecked {
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                uint256 record = round.at(row);
                sizes[row] = UNIT;
                if (Table.get(record, COUNT) == 1) continue;
                sizes[row] = Roots.floorOf(Table.get(record, Table.column(row)) << 40);
                _divide(record, int256(sizes[row]));
            }
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                uint256 record = round.at(row);
                Table.set(record, Table.column(row), UNIT);
                for (uint256 place = row + 1; place < n; ++place) {
                    if (first >> place & 1 == 0 || (sizes[row] == UNIT && sizes[place] == UNIT)) continue;
                    int256 w = Table.getSigned(record, Table.column(place)); // below 2^50
                    w = (w << 80) / int256(sizes[row] * sizes[place]);
                    Table.setSigned(record, Table.column(place), w);
                    Table.setSigned(round.at(place), Table.column(row), w);
                }
            }
        }
    }

    function _divide(uint256 record, int256 size) private pure {
        int256[6] memory q;
        assembly ("memory-safe") {
            q := mload(add(record, Y1))
        }
        uint256[4] memory words; // x1, x2, y1, y2
        unchecked {
            for (uint256 k; k < 6; ++k) {
                uint256 half = k / 3;
                (words[half], words[2 + half]) = Coordinates.withLane(
                    words[half], words[2 + half], k % 3, (q[k] << 40) / size
                );
            }
        }
        Table.set(record, X1, words[0]);
        Table.set(record, X2, words[1]);
        Table.set(record, Y1, words[2]);
        Table.set(record, Y2, words[3]);
    }

    function _sumCosines(Round memory round, uint256 first) private pure {
        uint256 n = round.n;
        unchecked {
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                uint256 record = round.at(row);
                uint256 sum = 0 - UNIT; // without its own
                for (uint256 place; place < n; ++place) {
                    if (first >> place & 1 == 1) sum += Table.get(record, Table.column(place));
                }
                Table.set(record, SUM, sum);
            }
        }
    }
}
