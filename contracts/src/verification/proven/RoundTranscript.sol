// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../interfaces/IRoundVerifier.sol";
import {ORDER, Point} from "./Bn254.sol";
import {Coefficients} from "./GramForm.sol";
import {Evidence} from "./ProvenEvidence.sol";

/// @title RoundTranscript: the random choices of the verifier, made by hashing (Fiat and Shamir 1986)
/// @notice Every choice follows from everything that was said before it, and so from the statement: chain, contracts, round,
/// rows, inner products, weights. Words of 32 bytes, big endian; points as x, y; nothing between the parts.
///
/// |step|hash of|what follows from it|
/// |---|---|---|
/// |head|statement|-|
/// |state|head, C_m, C_0 .. C_{R-1}, gram, weights|x_a = keccak256(state, a) mod 2^128|
/// |state1|state, C_S|z = state1 mod r|
/// |state2|state1, v1, v2, s1|gamma = state2 >> 128, rho = state2 mod 2^128|
/// |state3|state2, W|y = state3 mod r|
library RoundTranscript {
    bytes32 private constant TYPE = keccak256("Cohort round proof 1");
    uint256 private constant LOW_HALF = 0xffffffffffffffffffffffffffffffff;

    /// @notice Hash of what is to be shown, with the contract that is to be convinced: keccak256(abi.encode(TYPE, chain id, this
    /// contract, market, project, round, dimension, n, steps, trainable, values, admittedHash, validation, publicRows,
    /// policyHash, outcomesHash, previousModel, nextModel)).
    function headOf(IRoundVerifier.Statement calldata s, Evidence memory e) internal view returns (bytes32 head) {
        (bytes32 kind, uint256 n, uint256 steps) = (TYPE, e.n, e.steps);
        (uint256 trainable, uint256 values) = (e.trainable, e.values);
        assembly ("memory-safe") {
            let free := mload(0x40) // nothing of this is kept
            mstore(free, kind)
            mstore(add(free, 32), chainid())
            mstore(add(free, 64), address())
            calldatacopy(add(free, 96), s, 128) // market .. dimension: the first four words of a statement
            mstore(add(free, 224), n)
            mstore(add(free, 256), steps)
            mstore(add(free, 288), trainable)
            mstore(add(free, 320), values)
            calldatacopy(add(free, 352), add(s, 128), 224) // admittedHash .. nextModel: the next seven
            head := keccak256(free, 576)
        }
    }

    /// @notice x_a of every row: 128 bits are enough for a sum of them to hit a given value with probability 2^-128, and
    /// keep the products with G within a word. Independent, because powers of one x could be played against each other.
    function coefficientsOf(bytes32 state, uint256 n, uint256 p) internal pure returns (Coefficients memory x) {
        assembly ("memory-safe") {
            // n words, three of zero, p words, three of zero
            let to := mload(0x40)
            mstore(x, to)
            mstore(0x00, state)
            let a := 0
            for {} lt(a, n) { a := add(a, 1) } {
                mstore(0x20, a)
                mstore(to, and(keccak256(0x00, 0x40), LOW_HALF))
                to := add(to, 32)
            }
            mstore(add(x, 32), to)
            calldatacopy(to, calldatasize(), 96) // zeros: beyond the end of calldata
            to := add(to, 96)
            mstore(add(x, 64), to)
            for {} lt(a, add(n, p)) { a := add(a, 1) } {
                mstore(0x20, a)
                mstore(to, and(keccak256(0x00, 0x40), LOW_HALF))
                to := add(to, 32)
            }
            mstore(add(x, 96), to)
            calldatacopy(to, calldatasize(), 96)
            mstore(0x40, add(to, 96))
        }
    }

    function afterPoint(bytes32 state, Point memory point) internal pure returns (bytes32) {
        return keccak256(abi.encode(state, point.x, point.y));
    }

    function afterValues(bytes32 state, uint256 v1, uint256 v2, uint256 s1) internal pure returns (bytes32) {
        return keccak256(abi.encode(state, v1, v2, s1));
    }

    /// @notice A scalar; mod r favours none by more than 2^-254.
    function scalarOf(bytes32 state) internal pure returns (uint256) {
        return uint256(state) % ORDER;
    }

    function halvesOf(bytes32 state) internal pure returns (uint256 high, uint256 low) {
        return (uint256(state) >> 128, uint256(state) & LOW_HALF);
    }
}
