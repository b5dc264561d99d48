// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundPolicy} from "../../src/interfaces/IRoundPolicy.sol";
import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";

/// @notice A verifier that vouches for every settlement but not for the bytes of its model, as a proven one would.
contract UnreceiptedVerifier is IRoundVerifier {
    function verify(Statement calldata, address[] calldata, uint256, bytes calldata) external pure returns (bool) {
        return false;
    }
}

/// @notice A verifier that refuses everything.
contract RefusingVerifier is IRoundVerifier {
    function verify(Statement calldata, address[] calldata, uint256, bytes calldata) external pure returns (bool) {
        revert EvidenceInvalid(1, 2);
    }
}

/// @notice A verifier that compares what it is asked with what it was told: keccak256 of all its arguments.
contract ExpectingVerifier is IRoundVerifier {
    bytes32 public expected;

    function expect(bytes32 value) external {
        expected = value;
    }

    function verify(
        Statement calldata statement,
        address[] calldata witnesses,
        uint256 quorum,
        bytes calldata evidence
    ) external view returns (bool) {
        bytes32 found = keccak256(abi.encode(statement, witnesses, quorum, evidence));
        if (found != expected) revert EvidenceInvalid(uint256(found), uint256(expected));
        return true;
    }
}

/// @notice A verifier that tries to change something while it is asked. The market asks by staticcall.
contract WritingVerifier is IRoundVerifier {
    uint256 private _count;

    function verify(Statement calldata, address[] calldata, uint256, bytes calldata) external view returns (bool) {
        (bool ok,) = address(this).staticcall(abi.encodeCall(this.write, ()));
        require(ok, "static");
        return true;
    }

    function write() external {
        ++_count;
    }
}

/// @notice A policy that gives as many outcomes as the input says, each `1 << 38`.
contract CountingPolicy is IRoundPolicy {
    function outcomesOf(Facts calldata, bytes calldata input) external pure returns (uint256[] memory outcomes) {
        outcomes = new uint256[](abi.decode(input, (uint256)));
        for (uint256 i; i < outcomes.length; ++i) outcomes[i] = 1 << 38;
    }
}

/// @notice A policy that checks the facts it is given against their hash in the input, and scores everybody the same.
contract FactsPolicy is IRoundPolicy {
    function outcomesOf(Facts calldata facts, bytes calldata input) external pure returns (uint256[] memory outcomes) {
        bytes32 expected = abi.decode(input, (bytes32));
        bytes32 found = keccak256(abi.encode(facts));
        if (found != expected) revert InputMalformed(uint256(found), uint256(expected));
        outcomes = new uint256[](facts.rows);
        for (uint256 i; i < outcomes.length; ++i) outcomes[i] = 1 << 38;
    }
}

/// @notice A policy whose answer is the input, byte for byte, whatever that means.
contract RawPolicy {
    function outcomesOf(IRoundPolicy.Facts calldata, bytes calldata input) external pure {
        bytes memory answer = input;
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }
}
