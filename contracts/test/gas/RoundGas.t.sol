// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {
    ClaimItem,
    CommitLeaf,
    CommitSignature,
    ProjectTerms,
    Receipt,
    Reveal,
    Row
} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

/// @notice Gas of every call of a round, as whole transactions (21,000 and calldata included), in snapshots/.
/// forge-config: default.isolate = true
contract RoundGasTest is MarketFixture {
    function test_Round8() public {
        _measure(8, "round_8_trainers");
    }

    function test_Round20() public {
        _measure(20, "round_20_trainers");
    }

    function test_ClaimTenRounds() public {
        uint256 project = _project(8);
        ClaimItem[] memory items = new ClaimItem[](10);
        uint256 share = (uint256(BUDGET) - FEE) / 8;
        for (uint32 round = 1; round <= 10; ++round) {
            _settledRound(project, 8);
            Row[] memory rows = _rows(project, round, 0, 8);
            items[round - 1] = _claimItem(project, round, rows, _equalPays(8, share), 3);
        }
        market.claim(project, trainers[3], items);
        vm.snapshotGasLastCall("claims", "claim of 10 rounds of 8");
        vm.assertEq(token.balanceOf(trainers[3]), 9 * STAKE + 10 * share);
    }

    function _project(uint8 n) private returns (uint256 project) {
        ProjectTerms memory terms = _terms();
        terms.slots = n;
        project = _create(terms, 20 * uint256(BUDGET));
        vm.snapshotGasLastCall("projects", "createProject");
        _join(project, 0, n);
        vm.snapshotGasLastCall("projects", "join");
    }

    /// @dev The second round: the first one pays for slots that every later one only changes.
    function _measure(uint8 n, string memory group) private {
        uint256 project = _project(n);
        _settledRound(project, n);
        uint32 round = market.openRound(project);
        vm.snapshotGasLastCall(group, "openRound");
        CommitLeaf[] memory batch = _commit(project, round, 0, n);
        vm.snapshotGasLastCall(group, "commitBatch");
        vm.warp(market.roundOf(project, round).revealStart);
        _reveal(project, round, batch, 0, n);
        vm.snapshotGasLastCall(group, "reveal, 2 receipts");
        _settle(project, round, n);
        vm.snapshotGasLastCall(group, "settle");
    }
}
