// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DefaultPolicy} from "../../src/policies/DefaultPolicy.sol";
import {PolicyCases} from "../support/PolicyCases.sol";

/// @notice Gas of the default policy on honest rounds, as a call from a contract: without the calldata of matrix and hints.
contract PolicyGasTest is PolicyCases {
    function test_Judge() public {
        DefaultPolicy policy = new DefaultPolicy();
        string[4] memory names = ["of 8", "of 20", "of 32", "of 12, without value rows"];
        Judgement[] memory cases = _honest();
        for (uint256 i; i < cases.length; ++i) {
            Judgement memory round = cases[i];
            policy.judge(round.n, round.steps, round.trainable, round.values, round.gram, round.hints);
            vm.snapshotGasLastCall("default_policy", names[i]);
        }
    }
}
