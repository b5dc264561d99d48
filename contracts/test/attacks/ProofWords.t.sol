// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {WitnessSignature} from "../../src/types/Types.sol";
import {FIELD, ORDER, Point} from "../../src/verification/proven/Bn254.sol";
import {ProvenRound, ProvenRounds} from "../support/ProvenRounds.sol";
import {PlainCurve, Shape} from "../support/PlainArgument.sol";

/// @notice A right call of `verify`, and every word of its calldata as somebody might want it: in the statement, in the list of
/// witnesses, in every part of the evidence. Proofs.t.sol flips the bits of an evidence; here numbers stay numbers and points
/// points. The parts and their places are written down once more, so that a part that nobody looks at would be seen.
contract ProofWordsTest is ProvenRounds {
    uint256 private constant STATEMENT = 4; // where it begins, behind the selector
    uint256 private constant WITNESSES_AT = STATEMENT + 13 * 32;
    uint256 private constant QUORUM_AT = WITNESSES_AT + 32;
    uint256 private constant LIST = QUORUM_AT + 64; // length of the list of witnesses, then the witnesses
    uint256 private constant EVIDENCE = LIST + 6 * 32; // length of the evidence, then the evidence

    uint256 private constant CALLS = 1;
    uint256 private constant HEAD = 4 + CALLS;
    uint256 private constant ROW = 69;
    uint256 private constant N = 2;
    uint256 private constant P = 2;
    uint256 private constant CARD = 35 + 64 * P;
    uint256 private constant GRAM = (7 * N * (N + 1) + 11 * P * (P + 1)) / 2 + 9 * N * P;

    bytes private call_;
    uint256 private refused;

    function setUp() public override {
        super.setUp();
        ProvenRound memory r = _round(31, Shape(N, 1, 1, 0), 4);
        bytes32 digest = proven.modelBytesDigest(
            r.statement.market,
            r.statement.project,
            r.statement.round,
            r.statement.nextModel,
            r.statement.nextModelCid,
            r.statement.bundleCid
        );
        r.receipts = new WitnessSignature[](QUORUM);
        for (uint256 i; i < QUORUM; ++i) {
            (uint8 v, bytes32 rr, bytes32 s) = vm.sign(i + 1, digest);
            r.receipts[i] = WitnessSignature(uint8(i), rr, bytes32(uint256(s) | uint256(v - 27) << 255));
        }
        call_ = abi.encodeCall(proven.verify, (r.statement, five, QUORUM, _evidence(r)));
    }

    /// @dev Words of the statement, of the head and of the witnesses who signed. A lower quorum than there are signatures, and
    /// how many witnesses did not sign and who they are, is the market's word and changes nothing.
    function test_Verify_RevertWhen_AWordOfItsHeadIsAnother() public {
        bytes memory data = _right();
        for (uint256 at = STATEMENT; at < EVIDENCE + 32; at += 32) {
            bool silent = at == LIST || at == LIST + 4 * 32 || at == LIST + 5 * 32;
            if (!silent) _everyValue(data, at, at == QUORUM_AT);
        }
        vm.assertGt(refused, 190, "refused");
    }

    /// @dev Every word of the evidence that is a number or a coordinate, and every signature.
    function test_Verify_RevertWhen_AWordOfTheEvidenceIsAnother() public {
        bytes memory data = _right();
        uint256 start = EVIDENCE + 32;
        for (uint256 i; i < N; ++i) {
            _everyValue(data, start + HEAD + ROW * i + 5, false); // the update, compressed
            _everyValue(data, start + HEAD + ROW * i + 37, false); // its CID
        }
        uint256 next = start + HEAD + ROW * N;
        _everyValue(data, next, false); // manifest
        next += 35;
        // Points of the card, ordinates, the model's, C_m and the proof, without gaps.
        uint256 gram = next + 64 * P + 32 * N + 32 + 64 + 320;
        for (; next < gram; next += 32) _everyValue(data, next, false);
        for (next = gram + GRAM; next < gram + GRAM + 96 * QUORUM; next += 32) _everyValue(data, next, false);
        for (uint256 i; i < N; ++i) _everyValue(data, next + 32 * i, false); // hints, of this policy its words
        vm.assertEq(next + 32 * N - start, _lengthOf(data), "a part that is not written down");
        vm.assertGt(refused, 340, "refused");
    }

    /// @dev Points exchanged for others on the curve, for none, and for ones in another form. Those of updates by their ordinate alone.
    function test_Verify_RevertWhen_APointIsAnother() public {
        bytes memory data = _right();
        uint256 card = EVIDENCE + 32 + HEAD + ROW * N + 35;
        uint256 step = card + 64 * P + 32 * N + 32;
        for (uint256 i; i < P; ++i) _everyPoint(data, card + 64 * i);
        _everyPoint(data, step); // C_m
        _everyPoint(data, step + 64); // C_S
        _everyPoint(data, step + 64 + 192); // W
        _everyPoint(data, step + 64 + 256); // W'
        for (uint256 at = card + 64 * P; at < step; at += 32) {
            _refuse(data, at, bytes32(FIELD - uint256(_wordAt(data, at)))); // the other point with this x
        }
        vm.assertEq(refused, 6 * 9 + 3, "refused");
    }

    /// @dev An entry of the Gram matrix for another, in each class of entries and between them.
    function test_Verify_RevertWhen_EntriesOfTheMatrixAreExchanged() public {
        bytes memory data = _right();
        uint256 gram = EVIDENCE + 32 + HEAD + ROW * N + CARD + 32 * N + 32 + 64 + 320;
        for (uint256 at; at + 7 < GRAM; ++at) {
            bytes32 word = _wordAt(data, gram + at);
            bytes32 moved = word << 8 | word >> 248;
            _refuse(data, gram + at, moved);
            _refuse(data, gram + at, word ^ bytes32(uint256(type(uint56).max) << 200));
        }
        vm.assertEq(refused, 2 * (GRAM - 7), "refused");
    }

    /// @dev Cut off anywhere, with the length that is said and with the one that was; longer by up to 96 bytes of zeros or more.
    function test_Verify_RevertWhen_ItIsCutOffOrGoesOn() public {
        bytes memory data = _right();
        uint256 length = _lengthOf(data);
        for (uint256 less; less < length; ++less) {
            _put(data, EVIDENCE, bytes32(less));
            _count(data);
        }
        for (uint256 more = length + 1; more < length + 97; ++more) {
            _put(data, EVIDENCE, bytes32(more));
            _count(data);
            _count(bytes.concat(data, new bytes(128)));
            _count(bytes.concat(data, keccak256("more"), keccak256("and"), keccak256("even"), keccak256("more")));
        }
        _put(data, EVIDENCE, bytes32(length));
        uint256 whole = data.length;
        for (uint256 less; less < EVIDENCE + 32 + length; ++less) {
            assembly ("memory-safe") {
                mstore(data, less) // shorter calldata, whatever it says
            }
            _count(data);
        }
        assembly ("memory-safe") {
            mstore(data, whole)
        }
        _accept(data);
        vm.assertEq(refused, 2 * length + 3 * 96 + EVIDENCE + 32, "refused");
    }

    /// @dev Numbers of four bytes, none of them zero: nothing is read from a place beside.
    function _memberAt(uint256 a) internal pure override returns (uint32) {
        return uint32(0xf1f2f301 + 3 * a);
    }

    // ---- changes

    /// @param least whether smaller numbers are as good.
    function _everyValue(bytes memory data, uint256 at, bool least) private {
        uint256 right = uint256(_wordAt(data, at));
        bytes32[10] memory values = [
            bytes32(_plus(right, 1)),
            bytes32(_plus(right, ORDER)),
            bytes32(_plus(right, FIELD)),
            bytes32(right ^ 1 << 255),
            bytes32(right ^ 1 << 160),
            bytes32(type(uint256).max),
            keccak256(abi.encode(right)),
            bytes32(least ? right + 2 : _plus(right, type(uint256).max)),
            bytes32(least ? right + 3 : 0),
            least ? bytes32(right + 4) : at + 64 > data.length ? bytes32(uint256(2)) : _wordAt(data, at + 32)
        ];
        for (uint256 i; i < values.length; ++i) _refuse(data, at, values[i]);
    }

    function _everyPoint(bytes memory data, uint256 at) private {
        Point memory p = Point(uint256(_wordAt(data, at)), uint256(_wordAt(data, at + 32)));
        Point[9] memory others = [
            Point(0, 0), // infinity
            Point(1, 2), // the generator
            PlainCurve.neg(p),
            PlainCurve.add(p, p),
            PlainCurve.add(p, Point(1, 2)),
            Point(p.x, addmod(p.y, 1, FIELD)), // beside the curve
            Point(p.y, p.x),
            Point(_plus(p.x, FIELD), p.y), // the same, but not in its one form
            Point(p.x, _plus(p.y, FIELD))
        ];
        for (uint256 i; i < others.length; ++i) {
            _put(data, at, bytes32(others[i].x));
            _refuse(data, at + 32, bytes32(others[i].y));
            _put(data, at, bytes32(p.x));
        }
        _put(data, at + 32, bytes32(p.y));
    }

    /// @dev With `word` at `at`, it is refused; afterwards, all is as it was.
    function _refuse(bytes memory data, uint256 at, bytes32 word) private {
        bytes32 right = _wordAt(data, at);
        _put(data, at, word);
        if (keccak256(data) != keccak256(call_)) _count(data);
        _put(data, at, right);
    }

    function _count(bytes memory data) private {
        (bool done,) = address(proven).staticcall(data);
        if (done) vm.assertFalse(done, "changed calldata was accepted");
        ++refused;
    }

    function _accept(bytes memory data) private view {
        (bool done,) = address(proven).staticcall(data);
        vm.assertTrue(done, "the right calldata was refused");
    }

    function _right() private view returns (bytes memory data) {
        data = call_;
        _accept(data);
    }

    function _plus(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            return a + b;
        }
    }

    function _lengthOf(bytes memory data) private pure returns (uint256) {
        return uint256(_wordAt(data, EVIDENCE));
    }

    function _wordAt(bytes memory data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), at))
        }
    }

    function _put(bytes memory data, uint256 at, bytes32 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 32), at), word)
        }
    }
}
