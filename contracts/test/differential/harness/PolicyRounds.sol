// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DefaultPolicy} from "../../../src/policies/DefaultPolicy.sol";

/// @title PolicyRounds: the default policy, many rounds in one call
/// @notice For comparison with cohort_protocol.scoring (tests/differential).
contract PolicyRounds is DefaultPolicy {
    struct JudgementCase {
        uint256 n;
        uint256 steps;
        uint256 trainable;
        uint256 values;
        bytes gram;
        bytes hints;
    }

    function judgements(JudgementCase[] calldata cases) external view returns (uint256[][] memory found) {
        found = new uint256[][](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            JudgementCase calldata c = cases[i];
            found[i] = this.judge(c.n, c.steps, c.trainable, c.values, c.gram, c.hints);
        }
    }
}
