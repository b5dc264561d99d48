// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";

/// @notice Asks another verifier, and says nothing about the bytes of the next model: as a proven verifier will.
contract PendingVerifier is IRoundVerifier {
    IRoundVerifier private immutable INNER;

    constructor(IRoundVerifier inner) {
        INNER = inner;
    }

    function verify(
        Statement calldata statement,
        address[] calldata witnesses,
        uint256 quorum,
        bytes calldata evidence
    ) external view returns (bool) {
        INNER.verify(statement, witnesses, quorum, evidence);
        return false;
    }
}
