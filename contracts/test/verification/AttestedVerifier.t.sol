// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {CheatCodes} from "../support/Vm.sol";

contract AttestedVerifierTest is CheatCodes {
    AttestedVerifier private verifier;
    address[] private witnesses;

    function setUp() public {
        verifier = new AttestedVerifier();
        for (uint256 i; i < 5; ++i) witnesses.push(vm.addr(i + 1)); // the verifier does not care for their order
    }

    function test_AQuorumIsEnough() public view {
        verifier.verify(_statement(), witnesses, 3, _evidence(_statement(), 0, 3));
        verifier.verify(_statement(), witnesses, 3, _evidence(_statement(), 2, 3));
        verifier.verify(_statement(), witnesses, 3, _evidence(_statement(), 0, 5));
    }

    function test_LessIsNot() public {
        bytes memory evidence = _evidence(_statement(), 0, 2);
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 2, 3));
        verifier.verify(_statement(), witnesses, 3, evidence);
        vm.expectRevert(abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 0, 0));
        verifier.verify(_statement(), witnesses, 0, abi.encode(new AttestedVerifier.Attestation[](0)));
        vm.expectRevert();
        verifier.verify(_statement(), witnesses, 3, "");
        vm.expectRevert();
        verifier.verify(_statement(), witnesses, 3, hex"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
    }

    function test_OneWitnessCountsOnce() public {
        AttestedVerifier.Attestation[] memory list = _list(_statement(), 0, 3);
        list[2] = list[1];
        vm.expectRevert(abi.encodeWithSelector(AttestedVerifier.AttestersNotIncreasing.selector, 2));
        verifier.verify(_statement(), witnesses, 3, abi.encode(list));
        list = _list(_statement(), 0, 3);
        (list[0], list[1]) = (list[1], list[0]);
        vm.expectRevert(abi.encodeWithSelector(AttestedVerifier.AttestersNotIncreasing.selector, 1));
        verifier.verify(_statement(), witnesses, 3, abi.encode(list));
    }

    function test_OneBadSignatureSpoilsAll() public {
        AttestedVerifier.Attestation[] memory list = _list(_statement(), 0, 4);
        list[3].signature = list[2].signature;
        vm.expectRevert(
            abi.encodeWithSelector(AttestedVerifier.AttestationInvalid.selector, 3, witnesses[2], witnesses[3])
        );
        verifier.verify(_statement(), witnesses, 3, abi.encode(list));
        list[3].signature = hex"1234";
        vm.expectRevert(
            abi.encodeWithSelector(AttestedVerifier.AttestationInvalid.selector, 3, address(0), witnesses[3])
        );
        verifier.verify(_statement(), witnesses, 3, abi.encode(list));
    }

    function test_UnknownWitness() public {
        AttestedVerifier.Attestation[] memory list = _list(_statement(), 0, 3);
        list[2].witness = 5;
        vm.expectRevert(abi.encodeWithSelector(AttestedVerifier.AttesterUnknown.selector, 2, 5, 5));
        verifier.verify(_statement(), witnesses, 3, abi.encode(list));
    }

    /// @dev A zero address in the list is matched by no failed recovery.
    function test_ZeroWitness() public {
        witnesses[0] = address(0);
        AttestedVerifier.Attestation[] memory list = _list(_statement(), 0, 3);
        list[0].signature = "";
        vm.expectRevert(
            abi.encodeWithSelector(AttestedVerifier.AttestationInvalid.selector, 0, address(0), address(0))
        );
        verifier.verify(_statement(), witnesses, 3, abi.encode(list));
    }

    /// @dev No field can be changed under a signature, nor can it serve another verifier or another chain.
    function testFuzz_EveryFieldIsSigned(uint256 field, uint256 change) public {
        bytes memory evidence = _evidence(_statement(), 0, 3);
        IRoundVerifier.Statement memory s = _statement();
        field = _bound(field, 0, 11);
        change = _bound(change, 1, type(uint32).max); // fits the smallest field
        if (field == 0) s.market = address(uint160(s.market) ^ uint160(change));
        else if (field == 1) s.project ^= change;
        else if (field == 2) s.round ^= uint32(change);
        else if (field == 3) s.admittedHash ^= bytes32(change);
        else if (field == 4) s.policyHash ^= bytes32(change);
        else if (field == 5) s.outcomesHash ^= bytes32(change);
        else if (field == 6) s.previousModel ^= bytes32(change);
        else if (field == 7) s.nextModel ^= bytes32(change);
        else if (field == 8) s.nextModelCid ^= bytes32(change);
        else if (field == 9) s.bundleCid ^= bytes32(change);
        else if (field == 10) vm.chainId(_bound(change, 2, 1 << 30) + 31337);
        else verifier = new AttestedVerifier();
        vm.expectPartialRevert(AttestedVerifier.AttestationInvalid.selector);
        verifier.verify(s, witnesses, 3, evidence);
    }

    function _statement() private pure returns (IRoundVerifier.Statement memory) {
        return IRoundVerifier.Statement({
            market: address(0x1234),
            project: 5,
            round: 6,
            admittedHash: keccak256("admitted"),
            policyHash: keccak256("policy"),
            outcomesHash: keccak256("outcomes"),
            previousModel: keccak256("previous"),
            nextModel: keccak256("next"),
            nextModelCid: keccak256("next cid"),
            bundleCid: keccak256("bundle cid")
        });
    }

    function _list(IRoundVerifier.Statement memory s, uint256 from, uint256 count)
        private
        view
        returns (AttestedVerifier.Attestation[] memory list)
    {
        bytes32 digest = verifier.settlementDigest(s);
        list = new AttestedVerifier.Attestation[](count);
        for (uint256 i; i < count; ++i) {
            (uint8 v, bytes32 r, bytes32 t) = vm.sign(from + i + 1, digest);
            list[i] = AttestedVerifier.Attestation(uint8(from + i), abi.encodePacked(r, t, v));
        }
    }

    function _evidence(IRoundVerifier.Statement memory s, uint256 from, uint256 count)
        private
        view
        returns (bytes memory)
    {
        return abi.encode(_list(s, from, count));
    }
}
