// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ProjectTerms} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";
import {ClaimItem, CommitLeaf, Packed, Row} from "../support/Packed.sol";

/// @notice Gas of every call of a round, as whole transactions (21,000 and calldata included), in snapshots/.
/// forge-config: default.isolate = true
contract RoundGasTest is MarketFixture {
    function test_Round8() public {
        _measure(8, "round_8_trainers");
    }

    function test_Round20() public {
        _measure(20, "round_20_trainers");
    }

    function test_Round32() public {
        _measure(32, "round_32_trainers");
    }

    function test_ClaimTenRounds() public {
        _claimTen(8, "claims");
    }

    function test_ClaimTenRoundsOf20() public {
        _claimTen(20, "claims");
    }

    /// @dev First a trainer's first own commitment in a project, then a later one: it overwrites the slot of the one before.
    function test_CommitSelf() public {
        uint256 project = _project(8);
        for (uint32 round = 1; round <= 2; ++round) {
            _open(project);
            for (uint256 i; i < 8; ++i) {
                _commitSelf(project, round, i);
                if (i == 3) vm.snapshotGasLastCall("commit_self", round == 1 ? "first in a project" : "later");
            }
            vm.warp(market.roundOf(project, round).revealStart);
            _reveal(project, round, new CommitLeaf[](0), 0, 8);
            _settle(project, round, 8);
        }
    }

    function _claimTen(uint8 n, string memory group) private {
        uint256 project = _project(n);
        ClaimItem[] memory items = new ClaimItem[](10);
        uint256 share = D / n;
        for (uint32 round = 1; round <= 10; ++round) {
            _settledRound(project, n);
            Row[] memory rows = _rows(project, round, 0, n);
            items[round - 1] = _claimItem(project, round, rows, _equalPays(n, share), 3);
        }
        market.claim(project, _number(project, 3), Packed.items(items), Packed.proofs(items));
        vm.snapshotGasLastCall(group, n == 8 ? "claim of 10 rounds of 8" : "claim of 10 rounds of 20");
        vm.assertEq(token.balanceOf(trainers[3]), 9 * uint256(STAKE) + 10 * share);
    }

    function _project(uint8 n) private returns (uint256 project) {
        ProjectTerms memory terms = _terms();
        terms.slots = n;
        vm.prank(owner);
        project = market.createProject(terms, 20 * uint256(BUDGET));
        vm.snapshotGasLastCall("projects", "createProject");
        _bond(project, aggregator, BOND);
        vm.snapshotGasLastCall("projects", "depositBond");
        _join(project, 0, n);
        vm.snapshotGasLastCall("projects", "join");
    }

    /// @dev The second round: the first one pays for slots that every later one only changes.
    function _measure(uint8 n, string memory group) private {
        uint256 project = _project(n);
        _settledRound(project, n);
        _accept(project, aggregator);
        vm.snapshotGasLastCall(group, "accept");
        uint32 round = market.openRound(project);
        vm.snapshotGasLastCall(group, "openRound");
        _commit(project, round, 0, n);
        vm.snapshotGasLastCall(group, "commitBatch");
        vm.warp(market.roundOf(project, round).revealStart);
        _reveal(project, round, new CommitLeaf[](0), 0, n); // the batch follows from what is opened
        vm.snapshotGasLastCall(group, "reveal, 2 receipts");
        _settle(project, round, n);
        vm.snapshotGasLastCall(group, "settle");
    }
}
