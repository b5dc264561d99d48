// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Shape} from "../support/PlainArgument.sol";
import {ProvenRound, ProvenRounds} from "../support/ProvenRounds.sol";

/// @notice Gas of checking a round's proof, with a policy that costs nothing, as whole transactions (21,000 and calldata included), in
/// snapshots/. Rows are short: the cost does not depend on their length, only on how large the inner products are.
/// forge-config: default.isolate = true
contract ProofGasTest is ProvenRounds {
    function test_Proof8() public {
        _measure(Shape(8, 5, 1, 3), "proof of 8 rows, 9 public");
    }

    function test_Proof20() public {
        _measure(Shape(20, 5, 1, 3), "proof of 20 rows, 9 public");
    }

    function test_Proof20WithoutPublicRows() public {
        _measure(Shape(20, 0, 0, 0), "proof of 20 rows");
    }

    function test_Proof32() public {
        _measure(Shape(32, 5, 1, 3), "proof of 32 rows, 9 public");
    }

    function _measure(Shape memory shape, string memory name) private {
        ProvenRound memory r = _round(6, shape, 4);
        // Not by the view function's own call: a static call is not taken for a transaction.
        (bool done,) = address(proven).call(abi.encodeCall(proven.verify, (r.statement, five, QUORUM, _evidence(r))));
        vm.snapshotGasLastCall("proof", name);
        vm.assertTrue(done);
    }
}
