// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundPolicy} from "../../src/interfaces/IRoundPolicy.sol";
import {SuppliedScores} from "../../src/verification/SuppliedScores.sol";
import {CheatCodes} from "../support/Vm.sol";

contract SuppliedScoresTest is CheatCodes {
    SuppliedScores private immutable scores = new SuppliedScores();

    function testFuzz_OutcomesOf_WhenThereIsOnePerRow(uint256[] memory outcomes) public view {
        vm.assertEq(
            abi.encode(scores.outcomesOf(_facts(outcomes.length), abi.encode(outcomes))), abi.encode(outcomes)
        );
    }

    function test_OutcomesOf_RevertWhen_TheLengthIsWrong() public {
        _refused(8, abi.encode(new uint256[](7)), 288, 320);
        _refused(8, abi.encode(new uint256[](9)), 352, 320);
        _refused(8, "", 0, 320);
        _refused(0, hex"00", 1, 64);
    }

    function test_OutcomesOf_RevertWhen_TheArrayIsNotEncodedPlainly() public {
        bytes memory input = abi.encode(uint256(64), uint256(2), uint256(1), uint256(2)); // another offset
        _refused(2, input, 128, 128);
        input = abi.encode(uint256(32), uint256(3), uint256(1), uint256(2)); // another length
        _refused(2, input, 128, 128);
        input = abi.encode(uint256(32), uint256(2), uint256(1), uint256(2));
        scores.outcomesOf(_facts(2), input);
    }

    function _refused(uint256 rows, bytes memory input, uint256 found, uint256 needed) private {
        vm.expectRevert(abi.encodeWithSelector(IRoundPolicy.InputMalformed.selector, found, needed));
        scores.outcomesOf(_facts(rows), input);
    }

    function _facts(uint256 rows) private pure returns (IRoundPolicy.Facts memory facts) {
        facts.rows = rows;
    }
}
