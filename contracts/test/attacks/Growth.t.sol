// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MarketScene} from "../support/MarketScene.sol";

/// @notice A project does not become dearer with age: 200 rounds, 1,000 trainers who came and went.
/// forge-config: default.isolate = true
contract GrowthTest is MarketScene {
    uint160 private constant DEPARTED = 1_000;

    function test_Settle_When200RoundsHaveRunAndAThousandTrainersHaveLeft() public {
        project = _create(_terms(), 200 * uint256(BUDGET));
        _join(project, 0, 8);
        uint256 first = _settleGas();
        _comeAndGo();
        uint256 last;
        for (uint256 i = 2; i <= 200; ++i) {
            uint256 free;
            assembly {
                free := mload(0x40)
            }
            last = _settleGas();
            assembly {
                mstore(0x40, free) // 200 rounds of signatures would not fit in memory
            }
        }
        vm.assertEq(market.progressOf(project).round, 200);
        vm.assertEq(market.progressOf(project).memberNumbers, 8 + uint256(DEPARTED));
        vm.assertLe(last * 100, first * 102, "within 2% of round 1");
    }

    function _settleGas() private returns (uint256) {
        round = _toSettle(project, 8);
        Settlement memory s = _equalSettlement(8);
        _send(project, round, s);
        return vm.lastCallGas().gasTotalUsed;
    }

    function _comeAndGo() private {
        for (uint160 i; i < DEPARTED; ++i) {
            address who = address(0xD000000 + i);
            token.mint(who, STAKE);
            vm.startPrank(who);
            token.approve(address(market), STAKE);
            market.join(project, new bytes32[](0), new uint256[](0));
            market.leave(project);
            vm.stopPrank();
        }
    }
}
