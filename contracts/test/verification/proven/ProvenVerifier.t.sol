// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../../src/interfaces/IRounds.sol";
import {IRoundVerifier} from "../../../src/interfaces/IRoundVerifier.sol";
import {ISettlement} from "../../../src/interfaces/ISettlement.sol";
import {WitnessSignature} from "../../../src/types/Types.sol";
import {Bn254, FIELD, ORDER, Point} from "../../../src/verification/proven/Bn254.sol";
import {ProvenVerifier} from "../../../src/verification/proven/ProvenVerifier.sol";
import {RoundArgument} from "../../../src/verification/proven/RoundArgument.sol";
import {HintedPolicy} from "../../support/HintedPolicy.sol";
import {PlainArgument, PlainCurve, Shape} from "../../support/PlainArgument.sol";
import {PlainProver} from "../../support/PlainProver.sol";
import {ProvenRound, ProvenRounds} from "../../support/ProvenRounds.sol";

/// @notice A policy whose answer is its hints, byte for byte, whatever that means.
contract RawPolicy is HintedPolicy {
    function judge(uint256, uint256, uint256, uint256, bytes calldata, bytes calldata hints)
        external
        pure
        override
        returns (uint256[] memory)
    {
        bytes memory answer = hints;
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }
}

/// @notice A policy that refuses everything.
contract RefusingPolicy {
    error HintsWrong();

    fallback() external {
        revert HintsWrong();
    }
}

contract ProvenVerifierTest is ProvenRounds {
    // ---- what is accepted

    function test_Verify_WhenAllIsRight() public view {
        vm.assertFalse(_verify(_round(1, Shape(3, 0, 0, 0), 6)), "nobody vouches for the bytes");
        vm.assertFalse(_verify(_round(2, Shape(4, 2, 1, 3), 6)));
    }

    function test_Verify_WhenTheRoundIsSmallestOrLargest() public view {
        _verify(_round(3, Shape(1, 0, 0, 0), 2));
        _verify(_round(4, Shape(1, 0, 1, 0), 2));
        _verify(_round(5, Shape(32, 6, 1, 3), 3));
    }

    /// @dev Rounds of any shape; and the plain argument says the same.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_Verify_WhenAnyRoundIsRight(uint256 seed, uint256 n, uint256 steps, uint256 kinds) public view {
        Shape memory shape = Shape(_bound(n, 1, 8), _bound(steps, 0, 6), kinds & 1, kinds & 2 == 0 ? 0 : 3);
        ProvenRound memory r = _round(seed, shape, 2 + kinds % 5);
        _verify(r);
        vm.assertTrue(_plainly(r));
    }

    /// @dev Well-formed proofs, right or wrong: contract and plain argument say the same.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_Verify_WhenThePlainArgumentSaysTheSame(uint256 seed, uint256 which, uint256 change) public {
        ProvenRound memory r = _round(seed, Shape(1 + seed % 4, seed % 3, 1, 0), 3);
        which %= 8;
        change = change % 3 == 0 ? 0 : change % ORDER;
        if (which == 0) r.proof.v1 = addmod(r.proof.v1, change, ORDER);
        else if (which == 1) r.proof.v2 = addmod(r.proof.v2, change, ORDER);
        else if (which == 2) r.proof.s1 = addmod(r.proof.s1, change, ORDER);
        else if (which == 3) r.proof.w = PlainCurve.add(r.proof.w, PlainCurve.base(change));
        else if (which == 4) r.proof.wy = PlainCurve.add(r.proof.wy, PlainCurve.base(change));
        else if (which == 5) r.gram[0] += int256(change % 1000);
        else if (which == 6) r.stepPoint = PlainCurve.add(r.stepPoint, PlainCurve.base(change));
        else r.statement.dimension ^= uint32(change);
        if (which == 5 || which == 6) {
            _restate(r);
            _prove(r);
        }
        bool right = _plainly(r);
        vm.assertTrue(_accepts(r.statement, _evidence(r)) == right);
        if (right) return;
        _refused(r, which == 7 ? RoundArgument.InverseInvalid.selector : RoundArgument.ArgumentInvalid.selector);
    }

    /// @dev Zero vectors commit to infinity, wherever that stands.
    function test_Verify_WhenUpdatesAreZero() public view {
        ProvenRound memory r = _unproven(6, Shape(3, 1, 0, 0), 4);
        r.rows[1] = new int256[](4);
        _again(r);
        _verify(r);
        for (uint256 a; a < 4; ++a) r.rows[a] = new int256[](4);
        _again(r);
        vm.assertEq(r.stepPoint.x | r.proof.s.x | r.proof.w.x | r.proof.wy.x, 0, "all at infinity");
        _verify(r);
    }

    function test_Verify_WhenTheModelWasInfinity() public view {
        ProvenRound memory r = _unproven(7, Shape(3, 0, 0, 0), 4);
        r.model = Point(0, 0);
        _restate(r);
        _prove(r);
        _verify(r);
        r.model = PlainCurve.neg(r.stepPoint); // and when it becomes infinity
        _restate(r);
        _prove(r);
        vm.assertEq(r.statement.nextModel, bytes32(0));
        _verify(r);
    }

    /// @dev Everybody rejected: the model stays what it is.
    function test_Verify_WhenNobodyHasWeight() public view {
        ProvenRound memory r = _unproven(8, Shape(3, 0, 0, 0), 4);
        for (uint256 a; a < 3; ++a) (r.words[a], r.weights[a]) = (2, 0);
        r.hints = abi.encodePacked(r.words);
        r.step = _stepOf(r);
        _again(r);
        vm.assertEq(r.statement.nextModel, r.statement.previousModel);
        _verify(r);
    }

    /// @dev Later rounds may have posted that they have no public rows.
    function test_Verify_WhenACardWithoutRowsIsPosted() public {
        ProvenRound memory r = _unproven(9, Shape(2, 0, 0, 0), 3);
        r.statement.publicRows = sha256(_card(r));
        r.statement.round = 4;
        _prove(r);
        _verify(r);
        r.statement.publicRows = 0;
        _prove(r);
        _refused(r, ProvenVerifier.PublicRowsMissing.selector);
    }

    function test_Verify_WhenWeightsAreFull() public {
        ProvenRound memory r = _unproven(10, Shape(2, 0, 0, 0), 3);
        _weigh(r, 65_535, 1);
        _verify(r);
        _weigh(r, 65_535, 2);
        _refused(r, ProvenVerifier.WeightsTooLarge.selector);
        _weigh(r, 0, 65_536);
        _verify(r);
    }

    function _weigh(ProvenRound memory r, uint256 first, uint256 second) private view {
        (r.weights[0], r.weights[1]) = (first, second);
        for (uint256 a; a < 2; ++a) r.words[a] = r.words[a] % (1 << 72) | r.weights[a] << 72;
        r.hints = abi.encodePacked(r.words);
        r.step = _stepOf(r);
        _again(r);
    }

    /// @dev After rows, words or weights have been changed: everything that follows from them.
    function _again(ProvenRound memory r) private view {
        r.gram = _gramOf(r.rows);
        r.step = _stepOf(r);
        _commit(r);
        _restate(r);
        _prove(r);
    }

    function _plainly(ProvenRound memory r) private view returns (bool) {
        return PlainArgument.holds(_claim(r), r.proof, PlainProver.second());
    }

    // ---- receipts for the model

    function test_Verify_WhenAQuorumHasTheBytes() public view {
        ProvenRound memory r = _round(11, Shape(2, 0, 0, 0), 3);
        r.receipts = _receipts(r, 0, 3);
        vm.assertTrue(_verify(r));
        r.receipts = _receipts(r, 0, 5);
        vm.assertTrue(_verify(r));
        r.receipts = _receipts(r, 2, 3);
        vm.assertTrue(_verify(r));
    }

    function test_Verify_RevertWhen_ReceiptsAreNoQuorum() public {
        ProvenRound memory r = _round(11, Shape(2, 0, 0, 0), 3);
        r.receipts = _receipts(r, 0, 2);
        _refused(r, IRounds.QuorumMissing.selector);
    }

    function test_Verify_RevertWhen_AReceiptIsWrong() public {
        ProvenRound memory r = _round(11, Shape(2, 0, 0, 0), 3);
        r.receipts = _receipts(r, 0, 4);
        r.receipts[3].r ^= bytes32(uint256(1));
        _refused(r, IRounds.ReceiptInvalid.selector);
        r.receipts = _receipts(r, 0, 3);
        r.receipts[2] = r.receipts[1];
        _refused(r, IRounds.WitnessesNotIncreasing.selector);
        r.receipts = _receipts(r, 0, 3);
        r.receipts[2].witness = 5;
        _refused(r, IRounds.ReceiptInvalid.selector);
    }

    /// @dev Nor one for another model, CID, round, project, market, verifier or chain.
    function test_Verify_RevertWhen_ReceiptsAreForSomethingElse() public {
        ProvenRound memory r = _round(11, Shape(2, 0, 0, 0), 3);
        for (uint256 field; field < 8; ++field) {
            ProvenRound memory other = _round(11, Shape(2, 0, 0, 0), 3);
            if (field == 0) other.statement.market = address(9);
            else if (field == 1) other.statement.project += 1;
            else if (field == 2) other.statement.round += 1;
            else if (field == 3) other.statement.nextModel ^= bytes32(uint256(1));
            else if (field == 4) other.statement.nextModelCid ^= bytes32(uint256(1));
            else if (field == 5) other.statement.bundleCid ^= bytes32(uint256(1));
            r.receipts = _receipts(other, 0, 3);
            if (field == 6) r.receipts = _receiptsAt(other, 0, 3, block.chainid, address(9));
            if (field == 7) r.receipts = _receiptsAt(other, 0, 3, 1, address(proven));
            _refused(r, IRounds.ReceiptInvalid.selector);
        }
    }

    function _receipts(ProvenRound memory r, uint256 from, uint256 count)
        private
        view
        returns (WitnessSignature[] memory)
    {
        return _receiptsAt(r, from, count, block.chainid, address(proven));
    }

    function _receiptsAt(ProvenRound memory r, uint256 from, uint256 count, uint256 chain, address at)
        private
        pure
        returns (WitnessSignature[] memory list)
    {
        bytes32 digest = _bytesDigest(r, chain, at);
        list = new WitnessSignature[](count);
        for (uint256 i; i < count; ++i) {
            (uint8 v, bytes32 first, bytes32 s) = vm.sign(from + i + 1, digest);
            list[i] = WitnessSignature(uint8(from + i), first, v == 27 ? s : s | bytes32(uint256(1) << 255));
        }
    }

    /// @dev By hand, from the strings of EIP-712.
    function _bytesDigest(ProvenRound memory r, uint256 chain, address at) private pure returns (bytes32) {
        bytes32 message = keccak256(
            abi.encode(
                keccak256(
                    "ModelBytes(address market,uint256 project,uint32 round,bytes32 model,bytes32 modelCid,bytes32 bundleCid)"
                ),
                r.statement.market,
                r.statement.project,
                r.statement.round,
                r.statement.nextModel,
                r.statement.nextModelCid,
                r.statement.bundleCid
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("CohortProvenVerifier"),
                keccak256("1"),
                chain,
                at
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    function test_ModelBytesDigest_WhenItIsMadeByHand() public view {
        ProvenRound memory r = _round(11, Shape(2, 0, 0, 0), 3);
        IRoundVerifier.Statement memory s = r.statement;
        bytes32 digest =
            proven.modelBytesDigest(s.market, s.project, s.round, s.nextModel, s.nextModelCid, s.bundleCid);
        vm.assertEq(digest, _bytesDigest(r, block.chainid, address(proven)));
    }

    // ---- what is refused before any proof is looked at

    function test_Verify_RevertWhen_ThePolicyIsAnother() public {
        ProvenRound memory r = _round(12, Shape(2, 1, 0, 0), 3);
        r.statement.policyHash = keccak256("another");
        _refused(r, ProvenVerifier.PolicyMismatch.selector);
    }

    function test_Verify_RevertWhen_RowsAreNotThoseAdmitted() public {
        ProvenRound memory r = _round(12, Shape(4, 1, 0, 0), 3);
        r.statement.admittedHash ^= bytes32(uint256(1));
        _refused(r, ISettlement.RowsMismatch.selector);
    }

    function test_Verify_RevertWhen_PublicRowsAreLeftOut() public {
        ProvenRound memory r = _round(12, Shape(4, 0, 0, 0), 3);
        vm.assertEq(r.statement.round, 1);
        _verify(r);
        r.statement.round = 2;
        _prove(r);
        _refused(r, ProvenVerifier.PublicRowsMissing.selector);
        r.statement.round = 0;
        _prove(r);
        _refused(r, ProvenVerifier.PublicRowsMissing.selector);
    }

    function test_Verify_RevertWhen_PublicRowsAreOthers() public {
        ProvenRound memory r = _round(12, Shape(4, 2, 0, 0), 3);
        bytes32 right = r.statement.publicRows;
        r.statement.publicRows ^= bytes32(uint256(1));
        _refused(r, ProvenVerifier.PublicRowsMismatch.selector);
        r.statement.publicRows = right;
        r.manifest ^= bytes32(uint256(1));
        _refused(r, ProvenVerifier.PublicRowsMismatch.selector);
        r.manifest ^= bytes32(uint256(1));
        (r.points[4], r.points[5]) = (r.points[5], r.points[4]);
        _refused(r, ProvenVerifier.PublicRowsMismatch.selector);
    }

    function test_Verify_RevertWhen_TheNextModelIsAnother() public {
        ProvenRound memory r = _round(12, Shape(2, 1, 0, 0), 3);
        r.statement.nextModel ^= bytes32(uint256(1));
        _refused(r, ProvenVerifier.NextModelMismatch.selector);
        r = _round(12, Shape(2, 1, 0, 0), 3);
        r.statement.nextModel ^= bytes32(uint256(1) << 255); // the other y
        _refused(r, ProvenVerifier.NextModelMismatch.selector);
        r = _round(12, Shape(2, 1, 0, 0), 3);
        r.statement.previousModel = PlainCurve.compress(PlainCurve.base(3));
        r.model = PlainCurve.base(3);
        _refused(r, ProvenVerifier.NextModelMismatch.selector);
    }

    function test_Verify_RevertWhen_ThePreviousModelIsNoPoint() public {
        ProvenRound memory r = _round(12, Shape(2, 1, 0, 0), 3);
        r.statement.previousModel = keccak256("bytes, as in an attested project");
        _refused(r, Bn254.PointInvalid.selector);
        r = _round(12, Shape(2, 1, 0, 0), 3);
        r.model.y = FIELD - r.model.y;
        _refused(r, Bn254.PointInvalid.selector);
    }

    function test_Verify_RevertWhen_ScoresAreNotThePolicys() public {
        ProvenRound memory r = _round(12, Shape(2, 1, 0, 0), 3);
        r.statement.outcomesHash ^= bytes32(uint256(1));
        _refused(r, ProvenVerifier.ScoresMismatch.selector);
    }

    function test_Verify_RevertWhen_ThePolicyGivesAnotherNumberOfWords() public {
        ProvenRound memory r = _round(12, Shape(2, 1, 0, 0), 3);
        r.hints = bytes.concat(r.hints, new bytes(32));
        _refused(r, ProvenVerifier.AnswerMalformed.selector);
        r.hints = abi.encode(r.words[0]);
        _refused(r, ProvenVerifier.AnswerMalformed.selector);
    }

    /// @dev An answer that is no list of words, byte for byte; and one that is.
    function test_Verify_RevertWhen_ThePolicysAnswerIsMalformed() public {
        RawPolicy raw = new RawPolicy();
        proven = new ProvenVerifier(address(raw), PlainProver.second());
        ProvenRound memory r = _round(12, Shape(2, 1, 0, 0), 3);
        r.hints = abi.encode(r.words);
        _verify(r);
        bytes[5] memory wrong = [
            bytes(""),
            bytes.concat(r.hints, bytes32(0)),
            abi.encode(uint256(64), uint256(2), r.words[0], r.words[1]),
            abi.encode(uint256(32), uint256(1), r.words[0], r.words[1]),
            abi.encode(uint256(32), uint256(2), r.words[0])
        ];
        for (uint256 i; i < wrong.length; ++i) {
            r.hints = wrong[i];
            vm.expectRevert(
                abi.encodeWithSelector(ProvenVerifier.AnswerMalformed.selector, wrong[i].length, 2)
            );
            proven.verify(r.statement, five, QUORUM, _evidence(r));
        }
    }

    /// @dev What the policy says when it refuses reaches the caller.
    function test_Verify_RevertWhen_ThePolicyRefuses() public {
        ProvenRound memory r = _round(12, Shape(2, 1, 0, 0), 3);
        vm.etch(address(hinted), address(new RefusingPolicy()).code);
        _refused(r, RefusingPolicy.HintsWrong.selector);
    }

    // ---- form of points and scalars

    function test_Verify_RevertWhen_AScalarIsNotCanonical() public {
        ProvenRound memory r = _round(13, Shape(2, 1, 0, 0), 3);
        r.proof.v1 += ORDER;
        _refused(r, Bn254.ScalarTooLarge.selector);
        r.proof.v1 -= ORDER;
        r.proof.v2 += ORDER;
        _refused(r, Bn254.ScalarTooLarge.selector);
        r.proof.v2 -= ORDER;
        r.proof.s1 += ORDER;
        _refused(r, Bn254.ScalarTooLarge.selector);
        r.proof.s1 -= ORDER;
        r.proof.h += ORDER;
        _refused(r, Bn254.ScalarTooLarge.selector);
        r.proof.h = ORDER;
        _refused(r, Bn254.ScalarTooLarge.selector);
    }

    function test_Verify_RevertWhen_TheInverseIsWrong() public {
        ProvenRound memory r = _round(13, Shape(2, 1, 0, 0), 3);
        r.proof.h ^= 1;
        _refused(r, RoundArgument.InverseInvalid.selector);
        r.proof.h = 0;
        _refused(r, RoundArgument.InverseInvalid.selector);
    }

    /// @dev Each point of the proof, of the step and of the rows: off the curve, and with coordinates of p or more.
    function test_Verify_RevertWhen_APointIsMalformed() public {
        for (uint256 shape; shape < 4; ++shape) {
            for (uint256 which; which < 6; ++which) {
                ProvenRound memory r = _round(13, Shape(2, 1, 0, 0), 3);
                if (which == 0) _break(r.proof.s, shape);
                else if (which == 1) _break(r.proof.w, shape);
                else if (which == 2) _break(r.proof.wy, shape);
                else if (which == 3) _break(r.stepPoint, shape);
                else _break(r.points[which - 3], shape);
                if (which > 3) _restate(r); // their bytes are what was admitted and posted
                _refused(r, which > 3 ? RoundArgument.CommitmentInvalid.selector : Bn254.PointInvalid.selector);
            }
        }
    }

    /// @dev A row's point is the one with the parity that its bytes say.
    function test_Verify_RevertWhen_TheOrdinateIsTheOther() public {
        ProvenRound memory r = _round(13, Shape(2, 1, 0, 0), 3);
        IRoundVerifier.Statement memory s = r.statement;
        bytes memory evidence = _evidence(r);
        uint256 at = 4 + r.callRows.length + 2 * 69 + 35 + 64 + 31; // last byte of the first ordinate
        bytes memory other = abi.encode(FIELD - r.points[0].y);
        for (uint256 i; i < 32; ++i) evidence[at - 31 + i] = other[i];
        _refusedBytes(s, evidence, RoundArgument.CommitmentInvalid.selector);
    }

    function _break(Point memory point, uint256 shape) private pure {
        if (shape == 0) point.y ^= 2;
        else if (shape == 1) point.x += FIELD;
        else if (shape == 2) point.y += FIELD;
        else (point.x, point.y) = (0, 1);
    }

    // ---- the contract itself

    function test_Constructor_WhenItIsDeployed() public view {
        vm.assertEq(proven.POLICY(), address(hinted));
        vm.assertEq(proven.POLICY_HASH(), keccak256("hinted policy"));
        vm.assertEq(abi.encode(proven.tau()), abi.encode(PlainProver.second()));
    }

    function test_Constructor_RevertWhen_TauIsInvalid() public {
        uint256[4] memory tau = PlainProver.second();
        tau[3] ^= 1;
        vm.expectRevert(ProvenVerifier.TauInvalid.selector);
        new ProvenVerifier(address(hinted), tau);
        vm.expectRevert(ProvenVerifier.TauInvalid.selector);
        new ProvenVerifier(address(hinted), [uint256(0), 0, 0, 0]);
    }

    function test_Constructor_RevertWhen_ThereIsNoPolicy() public {
        uint256[4] memory tau = PlainProver.second();
        vm.expectRevert();
        new ProvenVerifier(address(0x999), tau);
    }

    /// @dev Whoever runs out of gas loses what he sent, and no answer is taken for a right one.
    function test_Verify_RevertWhen_GasRunsOut() public view {
        ProvenRound memory r = _round(14, Shape(2, 1, 0, 0), 3);
        bytes memory call_ = abi.encodeCall(proven.verify, (r.statement, five, QUORUM, _evidence(r)));
        uint256 before = gasleft();
        (bool done,) = address(proven).staticcall(call_);
        uint256 needed = before - gasleft();
        vm.assertTrue(done);
        for (uint256 gas_ = 5_000; gas_ < needed - 5_000; gas_ += 2_503) {
            (done,) = address(proven).staticcall{gas: gas_}(call_);
            vm.assertFalse(done);
        }
    }
}
