// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Shape} from "../../support/PlainArgument.sol";
import {ProvenRound, ProvenRounds} from "../../support/ProvenRounds.sol";

contract ProvenVerifierTest is ProvenRounds {
    function test_Verify_WhenAllIsRight() public view {
        vm.assertFalse(_verify(_round(1, Shape(3, 0, 0, 0), 6)));
        vm.assertFalse(_verify(_round(2, Shape(4, 2, 1, 3), 6)));
    }
}
