// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Coefficients, GramForm} from "../../../src/verification/proven/GramForm.sol";
import {RoundTranscript} from "../../../src/verification/proven/RoundTranscript.sol";
import {PlainGram} from "../../support/PlainArgument.sol";
import {CheatCodes} from "../../support/Vm.sol";

/// @notice x^T G x of a matrix in calldata, with the coefficients that follow from `state`, or with given ones.
contract GramFormCalls {
    function ofState(bytes32 state, uint256 n, uint256 p, bytes calldata gram)
        external
        pure
        returns (uint256[] memory x, uint256 value)
    {
        _soil();
        Coefficients memory c = RoundTranscript.coefficientsOf(state, n, p);
        x = new uint256[](n + p);
        for (uint256 i; i < x.length; ++i) x[i] = _word((i < n ? c.updates : c.publics - 32 * n) + 32 * i);
        value = GramForm.valueOf(_offset(gram), c);
    }

    function ofAll(uint256 coefficient, uint256 n, uint256 p, bytes calldata gram) external pure returns (uint256) {
        Coefficients memory c = RoundTranscript.coefficientsOf(0, n, p);
        for (uint256 at = c.updates; at < c.updatesEnd; at += 32) _setWord(at, coefficient);
        for (uint256 at = c.publics; at < c.publicsEnd; at += 32) _setWord(at, coefficient);
        return GramForm.valueOf(_offset(gram), c);
    }

    /// @dev Memory that is not zero where the next allocation begins: nothing may count on it.
    function _soil() private pure {
        assembly ("memory-safe") {
            let free := mload(0x40)
            for { let i := 0 } lt(i, 2048) { i := add(i, 32) } { mstore(add(free, i), not(0)) }
        }
    }

    function _offset(bytes calldata gram) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := gram.offset
        }
    }

    function _word(uint256 at) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(at)
        }
    }

    function _setWord(uint256 at, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(at, word)
        }
    }
}

contract GramFormTest is CheatCodes {
    GramFormCalls private calls = new GramFormCalls();

    /// @dev Any matrix of any shape, against the double sum mod r; and the coefficients against the words of the argument.
    /// forge-config: default.fuzz.runs = 96
    function testFuzz_ValueOf_WhenAnything(uint256 seed, uint256 n, uint256 p) public view {
        (n, p) = (_bound(n, 1, 32), _bound(p, 0, 10));
        int256[] memory gram = _random(seed, n, p);
        bytes32 state = keccak256(abi.encode(seed));
        (uint256[] memory x, uint256 value) = calls.ofState(state, n, p, PlainGram.pack(gram, n, p));
        for (uint256 a; a < x.length; ++a) {
            vm.assertEq(x[a], uint256(uint128(uint256(keccak256(abi.encode(state, a))))), "coefficient");
        }
        vm.assertEq(value, PlainGram.formOf(gram, x));
    }

    /// @dev The largest sums there can be, of either sign, stay within a word.
    function test_ValueOf_WhenAllIsExtreme() public view {
        uint256[2][4] memory shapes = [[uint256(32), 10], [uint256(1), 0], [uint256(1), 10], [uint256(4), 4]];
        for (uint256 i; i < shapes.length; ++i) {
            for (uint256 sign; sign < 2; ++sign) _checkExtreme(shapes[i][0], shapes[i][1], sign == 0);
        }
    }

    function _checkExtreme(uint256 n, uint256 p, bool most) private view {
        int256[] memory gram = new int256[]((n + p) * (n + p + 1) / 2);
        uint256 at;
        for (uint256 a; a < n + p; ++a) {
            for (uint256 b = a; b < n + p; ++b) {
                int256 limit = int256(1 << 8 * PlainGram.sizeOf(a, b, n) - 1);
                gram[at++] = most ? limit - 1 : -limit;
            }
        }
        uint256[] memory x = new uint256[](n + p);
        for (uint256 a; a < x.length; ++a) x[a] = type(uint128).max;
        uint256 value = calls.ofAll(type(uint128).max, n, p, PlainGram.pack(gram, n, p));
        vm.assertEq(value, PlainGram.formOf(gram, x));
    }

    /// @dev Entries of all sizes that fit, of both signs, and zeros.
    function _random(uint256 seed, uint256 n, uint256 p) private pure returns (int256[] memory gram) {
        gram = new int256[]((n + p) * (n + p + 1) / 2);
        uint256 at;
        for (uint256 a; a < n + p; ++a) {
            for (uint256 b = a; b < n + p; ++b) {
                uint256 random = uint256(keccak256(abi.encode(seed, at)));
                uint256 bits = 8 * PlainGram.sizeOf(a, b, n) - 1;
                int256 size = int256(random >> (256 - random % (bits + 1)));
                gram[at++] = random >> 128 & 1 == 0 ? size : -size;
            }
        }
    }
}
