// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254, FIELD, ORDER, Point} from "../../../src/verification/proven/Bn254.sol";
import {PlainCurve} from "../../support/PlainArgument.sol";
import {PlainProver} from "../../support/PlainProver.sol";
import {CheatCodes} from "../../support/Vm.sol";

/// @notice The library behind calls, so that its errors can be expected.
contract Bn254Calls {
    function check(Point memory point) external pure {
        Bn254.check(point);
    }

    function decompress(bytes32 word, uint256 y) external pure returns (Point memory) {
        return Bn254.decompress(word, y);
    }

    function add(Point memory a, Point memory b) external view returns (Point memory) {
        return Bn254.add(a, b);
    }

    function isSecond(uint256[4] memory point) external view returns (bool) {
        return Bn254.isSecond(point);
    }
}

contract Bn254Test is CheatCodes {
    Bn254Calls private calls = new Bn254Calls();

    // ---- isPoint, check

    function test_IsPoint_WhenItIsOne() public view {
        vm.assertTrue(Bn254.isPoint(1, 2), "generator");
        vm.assertTrue(Bn254.isPoint(1, FIELD - 2), "its negative");
        vm.assertTrue(Bn254.isPoint(0, 0), "infinity");
        Point memory last = PlainCurve.base(ORDER - 1);
        vm.assertEq(last.y, FIELD - 2);
        calls.check(last);
    }

    /// @dev What the precompile takes, and nothing else. It burns the gas it is given for the rest: the reason for this library.
    function testFuzz_IsPoint_WhenThePrecompileTakesIt(uint256 x, uint256 y, uint256 shape) public view {
        shape %= 6;
        Point memory point = PlainCurve.base(x);
        if (shape == 0) point = Point(x, y);
        else if (shape == 1) point.y = FIELD - point.y;
        else if (shape == 2) point.y += FIELD; // the same number, in another form
        else if (shape == 3) point.x += FIELD;
        else if (shape == 4) point.x ^= 1 << (y % 256);
        (bool taken,) = address(6).staticcall{gas: 10_000}(abi.encode(point, Point(0, 0)));
        vm.assertTrue(taken == Bn254.isPoint(point.x, point.y));
    }

    function test_Check_RevertWhen_ACoordinateIsNotBelowP() public {
        _refused(Point(FIELD + 1, 2));
        _refused(Point(1, FIELD + 2));
        _refused(Point(FIELD, 0));
        _refused(Point(0, FIELD));
    }

    function test_Check_RevertWhen_ThePointIsNotOnTheCurve() public {
        _refused(Point(1, 3));
        _refused(Point(0, 1)); // x = 0 has no point: 3 is not a square
        _refused(Point(1, 0));
    }

    function _refused(Point memory point) private {
        vm.expectRevert(abi.encodeWithSelector(Bn254.PointInvalid.selector, point.x, point.y));
        calls.check(point);
    }

    // ---- compress, decompress

    function testFuzz_Compress_WhenItIsUndone(uint256 scalar) public view {
        Point memory point = PlainCurve.base(scalar);
        bytes32 word = Bn254.compress(point);
        vm.assertEq(word, PlainCurve.compress(point));
        Point memory again = calls.decompress(word, point.y);
        vm.assertEq(again.x, point.x);
        vm.assertEq(again.y, point.y);
        Point memory other = PlainCurve.neg(point);
        vm.assertTrue(Bn254.compress(other) == word ^ bytes32(scalar % ORDER == 0 ? 0 : Bn254.PARITY), "its negative");
    }

    function test_Decompress_WhenItIsInfinity() public view {
        vm.assertEq(Bn254.compress(Point(0, 0)), bytes32(0));
        vm.assertEq(calls.decompress(bytes32(0), 0).y, 0);
    }

    function test_Decompress_RevertWhen_YIsTheOtherOne() public {
        vm.expectRevert(abi.encodeWithSelector(Bn254.PointInvalid.selector, 1, FIELD - 2));
        calls.decompress(bytes32(uint256(1)), FIELD - 2);
        vm.expectRevert(abi.encodeWithSelector(Bn254.PointInvalid.selector, 1, 2));
        calls.decompress(bytes32(1 | Bn254.PARITY), 2);
    }

    function test_Decompress_RevertWhen_TheWordIsNotCanonical() public {
        vm.expectRevert(abi.encodeWithSelector(Bn254.PointInvalid.selector, 0, 0));
        calls.decompress(bytes32(Bn254.PARITY), 0); // infinity has no odd y
        vm.expectRevert(abi.encodeWithSelector(Bn254.PointInvalid.selector, 1 << 254 | 1, 2));
        calls.decompress(bytes32(uint256(1 << 254 | 1)), 2);
        vm.expectRevert(abi.encodeWithSelector(Bn254.PointInvalid.selector, FIELD + 1, 2));
        calls.decompress(bytes32(FIELD + 1), 2);
    }

    // ---- add

    function testFuzz_Add_WhenTheyAreMultiples(uint256 a, uint256 b) public view {
        (a, b) = (a % ORDER, b % ORDER);
        Point memory sum = calls.add(PlainCurve.base(a), PlainCurve.base(b));
        vm.assertEq(abi.encode(sum), abi.encode(PlainCurve.base(addmod(a, b, ORDER))));
    }

    function test_Add_RevertWhen_ThePrecompileFails() public {
        vm.expectRevert(abi.encodeWithSelector(Bn254.PrecompileFailed.selector, 6));
        calls.add{gas: 100_000}(Point(1, 3), Point(1, 2));
    }

    // ---- isSecond

    function test_IsSecond_WhenItIsInTheGroup() public view {
        vm.assertTrue(calls.isSecond(PlainProver.second()));
    }

    function test_IsSecond_WhenItSaysNothing() public view {
        vm.assertFalse(calls.isSecond([uint256(0), 0, 0, 0]), "tau = 0");
        vm.assertFalse(calls.isSecond(_generator()), "tau = 1");
    }

    /// @dev Each coordinate counts.
    function test_IsSecond_WhenItIsNotOnTheTwist() public view {
        for (uint256 i; i < 4; ++i) {
            uint256[4] memory point = _generator();
            point[i] = addmod(point[i], 1, FIELD);
            vm.assertFalse(calls.isSecond(point));
        }
    }

    function test_IsSecond_WhenTheNegativeGeneratorIsGiven() public view {
        uint256[4] memory point = _generator();
        (point[2], point[3]) = (FIELD - point[2], FIELD - point[3]);
        vm.assertTrue(calls.isSecond(point), "tau = -1 is a point like others");
    }

    /// @dev The twist has more points than G2. This one is on it, at x = 1.
    function test_IsSecond_WhenItIsOutsideTheGroup() public view {
        vm.assertFalse(
            calls.isSecond(
                [
                    uint256(0),
                    1,
                    0x0d1271953ed9ea0836846e70a1934187998c7f790cb4d7511b7f8da82de048a4,
                    0x2869111d5381f072f8e2728fdb825a51aadd70e52c9830e9ab4b871c0531f1bb
                ]
            )
        );
    }

    function _generator() private pure returns (uint256[4] memory) {
        return [Bn254.G2_X_IM, Bn254.G2_X_RE, Bn254.G2_Y_IM, Bn254.G2_Y_RE];
    }
}
