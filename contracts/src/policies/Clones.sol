// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Coordinates} from "./Coordinates.sol";
import {Cosines} from "./Cosines.sol";
import {Pairs} from "./Pairs.sol";
import {Linkage} from "./Linkage.sol";
import {Roots} from "./Roots.sol";
import {
    COUNT, HALF, LANES, LENGTH, MATRIX_STRIDE, NEAR, ROWS, Round, STRIDE, SUM, Table, UNIT, VALUE, VOTE, X, Y
} from "./Table.sol";

/// @title Clones: rows become players
/// @notice Rows that are nearly the same become one player, whose direction is the sum of its rows
/// at unit length. A set of rows that are all near to each other and to nobody else is one player under complete linkage, seen
/// from the bits alone; only other sets need `Linkage`.
library Clones {
    using Table for Round;

    uint256 private constant CLONE_LIMIT = 989560464998; // floor(0.9 * 2^40): rows nearer than that are one player

    /// @notice Forms the players. playing: rows that are long enough, two of them near to each other.
    /// @return players records in use, a bit each.
    function join(Round memory round, uint256 playing) internal pure returns (uint256 players) {
        uint256 matrix = _matrixOf(round);
        _findNear(round, matrix);
        uint256 first = _groups(round, matrix, playing);
        _sum(round, matrix, first);
        _normalise(round, matrix, first);
        _sumCosines(round, matrix, first);
        _link(round, matrix);
        round.keep(first);
        unchecked {
            for (uint256 place; place < round.players; ++place) {
                uint256 record = round.at(place);
                Coordinates.measure(record);
                Table.set(record, LANES, 0);
                Table.set(record, LANES + 32, 0);
            }
            Pairs.compare(round);
            return (1 << round.players) - 1;
        }
    }

    /// @dev Cosines of all rows, each with all others and itself.
    function _matrixOf(Round memory round) private pure returns (uint256 matrix) {
        uint256 n = round.n;
        unchecked {
            matrix = Table.reserve(n * MATRIX_STRIDE / 32);
            uint256 place = round.gram;
            for (uint256 row; row < n; ++row) {
                uint256 own = matrix + MATRIX_STRIDE * row + 32 * row;
                Table.set(own, 0, UNIT);
                _fillRow(own, round.at(row), place + Cosines.UPDATE_BYTES, n - row - 1);
                place += Cosines.rowBytes(round, row);
            }
        }
    }

    /// @dev As in `Pairs`. own: where the row's cosine with itself stands.
    function _fillRow(uint256 own, uint256 record, uint256 place, uint256 others) private pure {
        uint256 length = Table.get(record, LENGTH);
        uint256 down = own;
        assembly ("memory-safe") {
            for {} others { others := sub(others, 1) } {
                record := add(record, STRIDE)
                own := add(own, 32)
                down := add(down, MATRIX_STRIDE)
                let w := sdiv(shl(104, sar(200, calldataload(place))), mul(length, mload(add(record, LENGTH))))
                mstore(own, w)
                mstore(down, w)
                place := add(place, 7)
            }
        }
    }

    /// @dev Who is near to whom, themselves among them.
    function _findNear(Round memory round, uint256 matrix) private pure {
        uint256 n = round.n;
        unchecked {
            for (uint256 row; row < n; ++row) {
                uint256 near = 0;
                uint256 bit = 1;
                uint256 at = matrix + MATRIX_STRIDE * row;
                assembly ("memory-safe") {
                    for { let end := add(at, shl(5, n)) } lt(at, end) { at := add(at, 32) } {
                        near := or(near, mul(bit, sgt(mload(at), CLONE_LIMIT)))
                        bit := shl(1, bit)
                    }
                }
                Table.set(round.at(row), NEAR, near);
            }
        }
    }

    /// @dev Links from a matrix, of all rows.
    function _link(Round memory round, uint256 matrix) private pure {
        uint256 n = round.n;
        uint256 links = round.links;
        unchecked {
            for (uint256 row; row < n; ++row) {
                uint256 from = matrix + MATRIX_STRIDE * row + 32 * (row + 1);
                uint256 bytesOf = 32 * (n - 1 - row);
                assembly ("memory-safe") {
                    mcopy(links, from, bytesOf)
                }
                links += bytesOf;
            }
        }
    }

    /// @dev Writes into the first record of every player which rows it has. first: those records, a bit each.
    function _groups(Round memory round, uint256 matrix, uint256 playing) private pure returns (uint256 first) {
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
                    uint256[] memory groups = Linkage.groupsOf(matrix, reached);
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
    function _sum(Round memory round, uint256 matrix, uint256 first) private pure {
        uint256 n = round.n;
        unchecked {
            for (uint256 row; row < n; ++row) {
                uint256 record = round.at(row);
                if (first >> row & 1 == 0 || Table.get(record, COUNT) == 1) continue;
                uint256 rows = Table.get(record, ROWS);
                int256[4] memory q = Coordinates.lanesOf(Table.get(record, X));
                for (uint256 other = row + 1; other < n; ++other) {
                    if (rows >> other & 1 == 0) continue;
                    _addCosines(matrix + MATRIX_STRIDE * row, matrix + MATRIX_STRIDE * other, n);
                    _add(record, round.at(other), q);
                }
                _means(record);
                _setCoordinates(record, q);
            }
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                uint256 line = matrix + MATRIX_STRIDE * row;
                for (uint256 place; place < n; ++place) {
                    if (first >> place & 1 == 0) continue;
                    uint256 rows = Table.get(round.at(place), ROWS) & ~(1 << place);
                    if (rows == 0) continue;
                    uint256 total = Table.get(line, 32 * place);
                    for (uint256 other = place + 1; rows >> other != 0; ++other) {
                        if (rows >> other & 1 == 1) total += Table.get(line, 32 * other);
                    }
                    Table.set(line, 32 * place, total);
                }
            }
        }
    }

    function _add(uint256 record, uint256 other, int256[4] memory q) private pure {
        unchecked {
            Table.set(record, VALUE, Table.get(record, VALUE) + Table.get(other, VALUE));
            Table.set(record, HALF, Table.get(record, HALF) + Table.get(other, HALF));
            Table.set(record, VOTE, Table.get(record, VOTE) + Table.get(other, VOTE));
            int256[4] memory more = Coordinates.lanesOf(Table.get(other, X));
            for (uint256 k; k < 4; ++k) q[k] += more[k];
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

    /// @dev Of sums: where they stand in memory, for `_divide`.
    function _setCoordinates(uint256 record, int256[4] memory q) private pure {
        assembly ("memory-safe") {
            mstore(add(record, X), q)
        }
    }

    /// @dev Sums become cosines and coordinates of players: divided by the lengths of the sums.
    function _normalise(Round memory round, uint256 matrix, uint256 first) private pure {
        uint256 n = round.n;
        uint256[] memory sizes = new uint256[](n);
        unchecked {
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                uint256 record = round.at(row);
                sizes[row] = UNIT;
                if (Table.get(record, COUNT) == 1) continue;
                sizes[row] = Roots.floorOf128(Table.get(matrix, MATRIX_STRIDE * row + 32 * row) << 40);
                _divide(record, int256(sizes[row]));
            }
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                Table.set(matrix, MATRIX_STRIDE * row + 32 * row, UNIT);
                for (uint256 place = row + 1; place < n; ++place) {
                    if (first >> place & 1 == 0 || (sizes[row] == UNIT && sizes[place] == UNIT)) continue;
                    int256 w = Table.getSigned(matrix, MATRIX_STRIDE * row + 32 * place); // below 2^50
                    w = (w << 80) / int256(sizes[row] * sizes[place]);
                    Table.setSigned(matrix, MATRIX_STRIDE * row + 32 * place, w);
                    Table.setSigned(matrix, MATRIX_STRIDE * place + 32 * row, w);
                }
            }
        }
    }

    function _divide(uint256 record, int256 size) private pure {
        int256[4] memory q;
        assembly ("memory-safe") {
            q := mload(add(record, X))
        }
        unchecked {
            for (uint256 k; k < 4; ++k) q[k] = (q[k] << 40) / size;
        }
        (uint256 x, uint256 y) = Coordinates.wordsOf(q);
        Table.set(record, X, x);
        Table.set(record, Y, y);
    }

    function _sumCosines(Round memory round, uint256 matrix, uint256 first) private pure {
        uint256 n = round.n;
        unchecked {
            for (uint256 row; row < n; ++row) {
                if (first >> row & 1 == 0) continue;
                uint256 sum = 0 - UNIT; // without its own
                for (uint256 place; place < n; ++place) {
                    if (first >> place & 1 == 1) sum += Table.get(matrix, MATRIX_STRIDE * row + 32 * place);
                }
                Table.set(round.at(row), SUM, sum);
            }
        }
    }
}
