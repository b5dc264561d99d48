// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {WitnessSignature} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract AttestedVerifierTest is MarketFixture {
    address[] private five;

    function setUp() public override {
        verifier = new AttestedVerifier();
        for (uint256 i; i < 5; ++i) five.push(vm.addr(i + 1)); // the verifier does not care for their order
    }

    function test_Verify_WhenAQuorumSigned() public view {
        vm.assertTrue(verifier.verify(_statement(), five, 3, abi.encode(_signed(0, 3))));
        vm.assertTrue(verifier.verify(_statement(), five, 3, abi.encode(_signed(2, 3))));
        vm.assertTrue(verifier.verify(_statement(), five, 3, abi.encode(_signed(0, 5))));
    }

    function test_Verify_RevertWhen_TheQuorumIsMissing() public {
        bytes memory evidence = abi.encode(_signed(0, 2));
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 2, 3));
        verifier.verify(_statement(), five, 3, evidence);
    }

    function test_Verify_RevertWhen_TheQuorumIsZero() public {
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 0, 0));
        verifier.verify(_statement(), five, 0, abi.encode(new WitnessSignature[](0)));
    }

    function test_Verify_RevertWhen_TheEvidenceIsMalformed() public {
        vm.expectRevert();
        verifier.verify(_statement(), five, 3, "");
        vm.expectRevert();
        verifier.verify(_statement(), five, 3, hex"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
    }

    function test_Verify_RevertWhen_AWitnessSignsTwice() public {
        WitnessSignature[] memory list = _signed(0, 3);
        list[2] = list[1];
        _refused(list, abi.encodeWithSelector(AttestedVerifier.AttestersNotIncreasing.selector, 2));
        list = _signed(0, 3);
        (list[0], list[1]) = (list[1], list[0]);
        _refused(list, abi.encodeWithSelector(AttestedVerifier.AttestersNotIncreasing.selector, 1));
    }

    function test_Verify_RevertWhen_AWitnessIsUnknown() public {
        WitnessSignature[] memory list = _signed(0, 3);
        list[2].witness = 5;
        _refused(list, abi.encodeWithSelector(AttestedVerifier.AttesterUnknown.selector, 2, 5, 5));
    }

    /// @dev One bad signature spoils all, even beyond the quorum.
    function test_Verify_RevertWhen_ASignatureIsNotTheWitnesss() public {
        WitnessSignature[] memory list = _signed(0, 4);
        (list[3].r, list[3].vs) = (list[2].r, list[2].vs);
        _refused(list, _invalid(3, five[2], five[3]));
        list[3].r = 0;
        _refused(list, _invalid(3, address(0), five[3]));
    }

    /// @dev A zero address in the list is matched by no failed recovery.
    function test_Verify_RevertWhen_AWitnessIsZero() public {
        five[0] = address(0);
        WitnessSignature[] memory list = _signed(0, 3);
        list[0].r = 0;
        _refused(list, _invalid(0, address(0), address(0)));
    }

    /// @dev Witnesses sign with keys. A contract among them (ERC-1271) can sign nothing.
    function test_Verify_RevertWhen_AWitnessIsAContract() public {
        five[1] = address(verifier);
        _refused(_signed(0, 3), _invalid(1, vm.addr(2), address(verifier)));
    }

    /// @dev An account that delegated its code (EIP-7702) is still its key's.
    function test_Verify_WhenAWitnessHasDelegatedItsCode() public {
        vm.etch(five[1], abi.encodePacked(hex"ef0100", address(verifier)));
        vm.assertTrue(verifier.verify(_statement(), five, 3, abi.encode(_signed(0, 3))));
    }

    /// @dev No field can be changed under a signature, nor can it serve another verifier or another chain.
    function testFuzz_Verify_RevertWhen_AFieldIsNotAsSigned(uint256 field, uint256 change) public {
        bytes memory evidence = abi.encode(_signed(0, 3));
        IRoundVerifier.Statement memory s = _statement();
        field = _bound(field, 0, 14);
        change = _bound(change, 1, type(uint32).max); // fits the smallest field
        if (field == 0) s.market = address(uint160(s.market) ^ uint160(change));
        else if (field == 1) s.project ^= change;
        else if (field == 2) s.round ^= uint32(change);
        else if (field == 3) s.admittedHash ^= bytes32(change);
        else if (field == 4) s.validation ^= bytes32(change);
        else if (field == 5) s.publicRows ^= bytes32(change);
        else if (field == 6) s.policyHash ^= bytes32(change);
        else if (field == 7) s.outcomesHash ^= bytes32(change);
        else if (field == 8) s.previousModel ^= bytes32(change);
        else if (field == 9) s.nextModel ^= bytes32(change);
        else if (field == 10) s.nextModelCid ^= bytes32(change);
        else if (field == 11) s.bundleCid ^= bytes32(change);
        else if (field == 12) s.dimension ^= uint32(change);
        else if (field == 13) vm.chainId(_bound(change, 2, 1 << 30) + 31337);
        else verifier = new AttestedVerifier();
        vm.expectPartialRevert(AttestedVerifier.AttestationInvalid.selector);
        verifier.verify(s, five, 3, evidence);
    }

    /// @dev The digest from the strings of EIP-712.
    function test_SettlementDigest_WhenItIsMadeByHand() public view {
        vm.assertEq(verifier.settlementDigest(_statement()), _byHand());
    }

    function _byHand() private view returns (bytes32) {
        bytes32 typehash = keccak256(
            "Settlement(address market,uint256 project,uint32 round,uint32 dimension,bytes32 admittedHash,bytes32 validation,bytes32 publicRows,bytes32 policyHash,bytes32 outcomesHash,bytes32 previousModel,bytes32 nextModel,bytes32 nextModelCid,bytes32 bundleCid)"
        );
        return _digest(
            "CohortAttestedVerifier", address(verifier), keccak256(bytes.concat(typehash, abi.encode(_statement())))
        );
    }

    function _statement() private pure returns (IRoundVerifier.Statement memory) {
        return IRoundVerifier.Statement({
            market: address(0x1234),
            project: 5,
            round: 6,
            dimension: 7,
            admittedHash: keccak256("admitted"),
            validation: keccak256("validation"),
            publicRows: keccak256("public rows"),
            policyHash: keccak256("policy"),
            outcomesHash: keccak256("outcomes"),
            previousModel: keccak256("previous"),
            nextModel: keccak256("next"),
            nextModelCid: keccak256("next cid"),
            bundleCid: keccak256("bundle cid")
        });
    }

    function _signed(uint256 from, uint256 count) private view returns (WitnessSignature[] memory list) {
        bytes32 digest = _byHand();
        list = new WitnessSignature[](count);
        for (uint256 i; i < count; ++i) {
            (bytes32 r, bytes32 vs) = _compact(from + i + 1, digest);
            list[i] = WitnessSignature(uint8(from + i), r, vs);
        }
    }

    function _refused(WitnessSignature[] memory list, bytes memory error_) private {
        bytes memory evidence = abi.encode(list);
        vm.expectRevert(error_);
        verifier.verify(_statement(), five, 3, evidence);
    }

    function _invalid(uint256 index, address found, address expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(AttestedVerifier.AttestationInvalid.selector, index, found, expected);
    }
}
