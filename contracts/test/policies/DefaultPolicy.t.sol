// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IDefaultPolicy} from "../../src/interfaces/IDefaultPolicy.sol";
import {DefaultPolicy} from "../../src/policies/DefaultPolicy.sol";
import {PolicyCases} from "../support/PolicyCases.sol";

contract DefaultPolicyTest is PolicyCases {
    DefaultPolicy private immutable policy = new DefaultPolicy();
    uint256 private constant MIDDLES = 6;

    function test_Judge_SaysWhatPythonSaysOfRandomRounds() public view {
        Judgement[] memory cases = _random();
        vm.assertGt(cases.length, 24);
        for (uint256 i; i < cases.length; ++i) _same(_judge(cases[i]), cases[i].expected);
    }

    function test_Judge_SaysWhatPythonSaysWhereOneDigitDecides() public view {
        Judgement[] memory cases = _edges();
        vm.assertGt(cases.length, 15);
        for (uint256 i; i < cases.length; ++i) _same(_judge(cases[i]), cases[i].expected);
    }

    function test_Judge_SaysWhatPythonSaysOfHonestRounds() public view {
        Judgement[] memory cases = _honest();
        vm.assertEq(cases.length, 4);
        for (uint256 i; i < cases.length; ++i) {
            uint256[] memory words = _judge(cases[i]);
            _same(words, cases[i].expected);
            uint256 weights;
            for (uint256 row; row < words.length; ++row) weights += words[row] >> 72;
            vm.assertLe(weights, 1 << 16);
            vm.assertGt(weights, i == 3 ? 1 << 15 : (1 << 16) - words.length);
        }
    }

    function test_Judge_RevertWhen_TheLayoutIsUnknown() public {
        Judgement memory round = _honest()[0];
        (round.n, round.gram) = (0, "");
        _refusedLayout(round);
        round.n = 33;
        _refusedLayout(round);
        (round.n, round.steps) = (8, 4);
        _refusedLayout(round);
        (round.steps, round.trainable) = (3, 2); // the rest is as many as there may be
        _refusedLayout(round);
        round.trainable = 1;
        for (uint256 values = 1; values < 5; ++values) {
            if (values == 3) continue;
            round.values = values;
            _refusedLayout(round);
        }
    }

    function test_Judge_RevertWhen_TheMatrixHasAnotherLength() public {
        Judgement memory round = _honest()[0];
        uint256 needed = 7 * 36 + 9 * 56 + 11 * 28;
        vm.assertEq(round.gram.length, needed);
        round.gram = abi.encodePacked(round.gram, uint8(0));
        _refused(round, abi.encodeWithSelector(IDefaultPolicy.GramLengthWrong.selector, needed + 1, needed));
        round.gram = "";
        _refused(round, abi.encodeWithSelector(IDefaultPolicy.GramLengthWrong.selector, 0, needed));
    }

    function test_Judge_RevertWhen_ASquareIsNegative() public {
        Judgement memory round = _honest()[0];
        uint256 at = 0;
        for (uint256 row; row < 12; ++row) {
            // Of value rows nobody reads the square.
            bytes1 before = round.gram[at];
            round.gram[at] = 0x80;
            _refused(round, abi.encodeWithSelector(IDefaultPolicy.SquareNegative.selector, row));
            round.gram[at] = before;
            at += row < 8 ? 7 * (8 - row) + 63 : 11 * (15 - row);
        }
    }

    function test_Judge_RevertWhen_TheHintsHaveAnotherLength() public {
        Judgement memory round = _honest()[0];
        uint256 needed = MIDDLES + 2 * 8;
        vm.assertEq(round.hints.length, needed);
        bytes memory right = round.hints;
        round.hints = abi.encodePacked(right, uint8(0));
        _refused(round, abi.encodeWithSelector(IDefaultPolicy.HintsLengthWrong.selector, needed + 1, needed));
        round.hints = _cut(right, needed - 1);
        _refused(round, abi.encodeWithSelector(IDefaultPolicy.HintsLengthWrong.selector, needed - 1, needed));
        round.hints = _cut(right, MIDDLES - 1);
        _refused(round, abi.encodeWithSelector(IDefaultPolicy.HintsLengthWrong.selector, MIDDLES - 1, MIDDLES));
        round.hints = _cut(right, MIDDLES);
        _refused(round, abi.encodeWithSelector(IDefaultPolicy.HintsLengthWrong.selector, MIDDLES, needed));
    }

    function test_Judge_RevertWhen_AHintIsNotTheMiddle() public view {
        Judgement[] memory cases = _honest();
        for (uint256 what; what < 3; ++what) _refusedMiddles(cases[1], what, 2 * what, 20);
        // Without value rows scores have a middle, too.
        for (uint256 what; what < 4; ++what) _refusedMiddles(cases[3], what, 2 * what, 12);
    }

    function test_Judge_RevertWhen_AHintIsNotTheCosineOfItsRank() public {
        Judgement memory round = _honest()[0];
        bytes memory right = round.hints;
        for (uint256 player; player < 8; ++player) {
            uint256 at = MIDDLES + 2 * player;
            uint256 cosine = uint256(uint8(right[at])) << 8 | uint8(right[at + 1]);
            _refusedCosine(round, right, player, cosine + 1);
            _refusedCosine(round, right, player, cosine - 1);
            _refusedCosine(round, right, player, cosine | 0x8000);
        }
    }

    function testFuzz_Judge_WhenAnyByteOfTheHintsIsAnother(uint256 which, uint256 at, uint8 value) public view {
        Judgement[] memory cases = _honest();
        Judgement memory round = cases[which % cases.length];
        round.hints[at % round.hints.length] = bytes1(value);
        try policy.judge(round.n, round.steps, round.trainable, round.values, round.gram, round.hints) returns (
            uint256[] memory words
        ) {
            _same(words, round.expected);
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            vm.assertTrue(
                selector == IDefaultPolicy.MedianWrong.selector || selector == IDefaultPolicy.CompanyWrong.selector
            );
        }
    }

    function test_Judge_WhenNobodyPlays() public view {
        uint256[] memory words = policy.judge(2, 0, 0, 0, new bytes(21), new bytes(8));
        vm.assertEq(words.length, 2);
        vm.assertEq(words[0], 1);
        vm.assertEq(words[1], 1);
        words = policy.judge(1, 0, 1, 3, new bytes(7 + 36 + 110), new bytes(6));
        vm.assertEq(words[0], 1);
    }

    function _judge(Judgement memory round) private view returns (uint256[] memory) {
        return policy.judge(round.n, round.steps, round.trainable, round.values, round.gram, round.hints);
    }

    function _refused(Judgement memory round, bytes memory reason) private {
        vm.expectRevert(reason);
        _judge(round);
    }

    function _refusedLayout(Judgement memory round) private {
        _refused(
            round,
            abi.encodeWithSelector(
                IDefaultPolicy.LayoutUnsupported.selector, round.n, round.steps, round.trainable, round.values
            )
        );
    }

    /// @dev Of the places of the two middles, each replaced by each other place, one that is none among them.
    function _refusedMiddles(Judgement memory round, uint256 what, uint256 at, uint256 count) private view {
        for (uint256 half; half < 2; ++half) {
            bytes1 right = round.hints[at + half];
            uint256 refused;
            for (uint256 place; place <= count; ++place) {
                round.hints[at + half] = bytes1(uint8(place));
                uint256 hint = uint256(uint8(round.hints[at])) << 8 | uint8(round.hints[at + 1]);
                try policy.judge(round.n, round.steps, round.trainable, round.values, round.gram, round.hints) {
                    continue;
                } catch (bytes memory reason) {
                    vm.assertEq(
                        reason, abi.encodeWithSelector(IDefaultPolicy.MedianWrong.selector, what, hint)
                    );
                    ++refused;
                }
            }
            // All but the right one and those of the same value; the place that is none at least.
            vm.assertGt(refused, count / 2);
            round.hints[at + half] = right;
        }
    }

    function _refusedCosine(Judgement memory round, bytes memory right, uint256 player, uint256 cosine) private {
        round.hints = abi.encodePacked(right);
        uint256 at = MIDDLES + 2 * player;
        (round.hints[at], round.hints[at + 1]) = (bytes1(uint8(cosine >> 8)), bytes1(uint8(cosine)));
        _refused(round, abi.encodeWithSelector(IDefaultPolicy.CompanyWrong.selector, player, cosine));
    }

    function _cut(bytes memory data, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i; i < length; ++i) part[i] = data[i];
    }

    function _same(uint256[] memory found, uint256[] memory expected) private pure {
        vm.assertEq(found.length, expected.length);
        for (uint256 i; i < found.length; ++i) vm.assertEq(found[i], expected[i]);
    }
}
