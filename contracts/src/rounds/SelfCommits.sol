// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MarketStorage} from "../storage/MarketStorage.sol";

/// @title SelfCommits: commitments that trainers posted themselves, one slot per member
/// @notice From the lowest bit: state 8 (0 none, 1 open, 2 resolved), round 32, first 27 bytes of the commitment. The slot is
/// written again in the next round, which costs 5,000 gas, where a fresh slot would cost 22,100. Two openings for the same 27
/// bytes would take 2^108 tries.
abstract contract SelfCommits is MarketStorage {
    uint256 private constant OPEN = 1;
    uint256 private constant RESOLVED = 2;

    /// @dev What the member posted in this round. `committed` is 0 if nothing.
    function _selfCommit(uint256 project, uint32 round, uint256 member)
        internal
        view
        returns (bytes27 committed, bool resolved)
    {
        uint256 word = _selfCommits[project][member];
        if (uint32(word >> 8) != round) word = _olderSelfCommits[project][round][member];
        return (bytes27(bytes32(word)), uint8(word) == RESOLVED);
    }

    /// @dev Overwrites what the member posted before; that is kept elsewhere if it can still be rescued or slashed.
    function _postSelfCommit(uint256 project, uint32 round, uint256 member, bytes32 commitment) internal {
        uint256 before = _selfCommits[project][member];
        if (uint8(before) == OPEN) _olderSelfCommits[project][uint32(before >> 8)][member] = before;
        _selfCommits[project][member] = uint256(bytes32(bytes27(commitment))) | uint256(round) << 8 | OPEN;
    }

    /// @dev Only for a commitment that is there and open.
    function _resolveSelfCommit(uint256 project, uint32 round, uint256 member) internal {
        uint256 word = _selfCommits[project][member];
        if (uint32(word >> 8) == round) _selfCommits[project][member] = word ^ OPEN ^ RESOLVED;
        else _olderSelfCommits[project][round][member] ^= OPEN ^ RESOLVED;
    }
}
