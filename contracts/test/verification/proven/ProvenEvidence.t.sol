// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../../src/interfaces/IRoundVerifier.sol";
import {WitnessSignature} from "../../../src/types/Types.sol";
import {Evidence, ProvenEvidence} from "../../../src/verification/proven/ProvenEvidence.sol";
import {PlainGram, Shape} from "../../support/PlainArgument.sol";
import {ProvenRound, ProvenRounds} from "../../support/ProvenRounds.sol";

/// @notice What the library reads from an evidence.
contract EvidenceCalls {
    function counts(bytes calldata evidence, bool posted)
        external
        pure
        returns (uint256 n, uint256 p, uint256 steps, uint256 trainable, uint256 values)
    {
        Evidence memory e = ProvenEvidence.read(evidence, posted);
        return (e.n, e.p, e.steps, e.trainable, e.values);
    }

    function parts(bytes calldata evidence, bool posted)
        external
        pure
        returns (bytes32 admitted, bytes memory card, bytes memory gram, bytes memory hints, uint256 receipts)
    {
        Evidence memory e = ProvenEvidence.read(evidence, posted);
        admitted = ProvenEvidence.admittedHashOf(e);
        if (posted) card = ProvenEvidence.cardOf(e);
        gram = ProvenEvidence.gramOf(e);
        hints = ProvenEvidence.hintsOf(e);
        receipts = ProvenEvidence.receiptsOf(e).length;
    }
}

contract ProvenEvidenceTest is ProvenRounds {
    EvidenceCalls private calls = new EvidenceCalls();

    /// @dev Every part is found where the packer put it.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_Read_WhenItIsPacked(uint256 seed, uint256 n, uint256 steps, uint256 kinds) public view {
        Shape memory shape = Shape(_bound(n, 1, 9), _bound(steps, 0, 6), kinds & 1, kinds & 2 == 0 ? 0 : 3);
        ProvenRound memory r = _unproven(seed, shape, 3);
        if (kinds & 4 == 0) r.receipts = new WitnessSignature[](3);
        _sameCounts(r);
        _sameParts(r);
    }

    function _sameCounts(ProvenRound memory r) private view {
        (uint256 found, uint256 p, uint256 s, uint256 t, uint256 v) =
            calls.counts(_evidence(r), r.statement.publicRows != 0);
        vm.assertEq(abi.encode(found, s, t, v), abi.encode(r.shape));
        vm.assertEq(p, r.rows.length - r.shape.n);
    }

    function _sameParts(ProvenRound memory r) private view {
        bool posted = r.statement.publicRows != 0;
        (bytes32 admitted, bytes memory card, bytes memory gram, bytes memory hints, uint256 receipts) =
            calls.parts(_evidence(r), posted);
        vm.assertEq(admitted, r.statement.admittedHash, "rows");
        if (posted) vm.assertEq(card, _card(r), "card");
        vm.assertEq(gram, _gram(r), "gram");
        vm.assertEq(hints, r.hints, "hints");
        vm.assertEq(receipts, r.receipts.length, "receipts");
    }

    /// @dev Shorter by any number of bytes, or longer.
    function test_Read_RevertWhen_TheLengthIsAnother() public {
        bytes memory whole = _evidence(_unproven(1, Shape(2, 1, 1, 0), 3));
        for (uint256 length; length < whole.length; ++length) {
            vm.expectPartialRevert(IRoundVerifier.EvidenceInvalid.selector);
            calls.counts(_first(whole, length), true);
        }
        for (uint256 more = 1; more < 100; ++more) {
            vm.expectRevert(
                abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, whole.length + more, whole.length)
            );
            calls.counts(bytes.concat(whole, new bytes(more)), true);
        }
        calls.counts(whole, true);
    }

    /// @dev The shortest prefixes say how much is missing, each part in its turn.
    function test_Read_RevertWhen_ThereIsNotEvenAHead() public {
        bytes memory whole = _evidence(_unproven(1, Shape(2, 1, 1, 0), 3));
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 3, 4));
        calls.counts(_first(whole, 3), true);
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 4, 5));
        calls.counts(_first(whole, 4), true);
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 5, 5 + 2 * 69 + 35));
        calls.counts(_first(whole, 5), true);
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 177, 178));
        calls.counts(_first(whole, 177), true);
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 178, whole.length));
        calls.counts(_first(whole, 178), true);
    }

    function test_Read_RevertWhen_ThereAreTooManyRowsOrNone() public {
        bytes memory none = abi.encodePacked(uint8(0), uint16(0), uint8(0));
        vm.expectRevert(abi.encodeWithSelector(ProvenEvidence.RowCountInvalid.selector, 0, 32));
        calls.counts(none, false);
        none = abi.encodePacked(uint8(0), uint16(0), uint8(2), uint8(0), uint8(0));
        vm.expectRevert(abi.encodeWithSelector(ProvenEvidence.RowCountInvalid.selector, 0, 32));
        calls.counts(none, false);
        bytes memory many = abi.encodePacked(uint8(0), uint16(0), uint8(2), uint8(32), uint8(1));
        vm.expectRevert(abi.encodeWithSelector(ProvenEvidence.RowCountInvalid.selector, 33, 32));
        calls.counts(many, false);
        many = abi.encodePacked(uint8(0), uint16(0), uint8(1), uint8(32));
        vm.expectPartialRevert(IRoundVerifier.EvidenceInvalid.selector); // 32 are allowed; the rest is missing
        calls.counts(many, false);
    }

    function test_Read_RevertWhen_TheLayoutIsUnknown() public {
        _refusedLayout(0, 2, 0);
        _refusedLayout(0, 255, 0);
        _refusedLayout(0, 0, 1);
        _refusedLayout(0, 0, 2);
        _refusedLayout(0, 0, 4);
        _refusedLayout(7, 1, 3);
        _refusedLayout(11, 0, 0);
        _refusedLayout(255, 0, 0);
        vm.expectPartialRevert(IRoundVerifier.EvidenceInvalid.selector); // 10 are allowed; the rest is missing
        calls.counts(_layout(6, 1, 3), true);
        vm.expectPartialRevert(IRoundVerifier.EvidenceInvalid.selector);
        calls.counts(_layout(10, 0, 0), true);
    }

    function _refusedLayout(uint8 steps, uint8 trainable, uint8 values) private {
        vm.expectRevert(
            abi.encodeWithSelector(ProvenEvidence.LayoutInvalid.selector, uint256(steps), trainable, values)
        );
        calls.counts(_layout(steps, trainable, values), true);
    }

    function _layout(uint8 steps, uint8 trainable, uint8 values) private pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(uint8(0), uint16(0), uint8(1), uint8(1), new bytes(69 + 32));
        return abi.encodePacked(head, steps, trainable, values);
    }

    function _first(bytes memory data, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i; i < length; ++i) part[i] = data[i];
    }
}
