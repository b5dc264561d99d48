// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Words} from "../../src/hashing/Words.sol";
import {AdmittedRows} from "../../src/rounds/AdmittedRows.sol";
import {Cids} from "../../src/rounds/Cids.sol";
import {Header, Round, RoundState} from "../../src/rounds/RoundState.sol";
import {Seats} from "../../src/rounds/Seats.sol";
import {Tally} from "../../src/rounds/Tally.sol";
import {MemberHead} from "../../src/staking/MemberHead.sol";
import {MemberRecord} from "../../src/storage/MarketStorage.sol";
import {Cid, CommitLeaf, Opening, Phase} from "../../src/types/Types.sol";
import {CheatCodes} from "../support/Vm.sol";

/// @notice What a round computes, against plain reference implementations.
contract RoundLibrariesTest is CheatCodes {
    using AdmittedRows for AdmittedRows.Buffer;
    using Tally for Tally.Count;

    Round private round;
    MemberRecord private record;

    // ---- Tally

    /// @dev Against counting bit by bit, for every quorum.
    function testFuzz_Tally_WhenUpToSevenVote(uint256[7] memory votes, uint8 voters) public pure {
        uint256 count = voters % 8;
        Tally.Count memory tally;
        for (uint256 v; v < count; ++v) tally.add(votes[v]);
        for (uint256 quorum = 1; quorum <= 7; ++quorum) {
            uint256 found = tally.atLeast(quorum);
            for (uint256 bit; bit < 256; bit += 5) {
                uint256 ayes;
                for (uint256 v; v < count; ++v) ayes += votes[v] >> bit & 1;
                vm.assertEq(found >> bit & 1, ayes >= quorum ? 1 : 0);
            }
        }
    }

    // ---- Seats

    /// @dev Against a plain search, for every member from 0 to beyond the last.
    function testFuzz_Find_WhenABatchIsSorted(uint8 length, uint256 seed) public view {
        CommitLeaf[] memory leaves = new CommitLeaf[](length % 33);
        uint32 member;
        for (uint256 i; i < leaves.length; ++i) {
            member += 1 + uint32(uint256(keccak256(abi.encode(seed, i))) % 3);
            leaves[i].member = member;
        }
        for (uint256 m; m <= member + 1; ++m) {
            uint256 expected = Seats.NONE;
            for (uint256 i; i < leaves.length; ++i) if (leaves[i].member == m) expected = i;
            vm.assertEq(this.find(leaves, m), expected);
        }
    }

    function find(CommitLeaf[] calldata leaves, uint256 member) external pure returns (uint256) {
        return Seats.find(leaves, member);
    }

    function testFuzz_CommitmentIn_WhenAnyOpening(uint256 p, uint32 r, Opening memory a, Opening memory b) public view {
        (bytes32 first, bytes32 second) = this.commitments(p, r, a, b);
        vm.assertEq(first, this.commitment(p, r, a));
        vm.assertEq(second, this.commitment(p, r, b));
    }

    function commitments(uint256 p, uint32 r, Opening calldata a, Opening calldata b)
        external
        view
        returns (bytes32 first, bytes32 second)
    {
        uint256[10] memory frame = Seats.frame(p, r);
        first = Seats.commitmentIn(frame, a);
        second = Seats.commitmentIn(frame, b); // the frame can be used again
    }

    function commitment(uint256 p, uint32 r, Opening calldata o) external view returns (bytes32) {
        return Seats.commitmentOf(p, r, o);
    }

    // ---- AdmittedRows

    /// @dev Byte for byte, and memory behind the buffer stays as it is.
    function testFuzz_AdmittedRows_WhenSomeAreAppended(Opening memory o, uint8 room, uint8 used) public view {
        Opening[] memory openings = new Opening[](room % 33);
        for (uint256 i; i < openings.length; ++i) {
            openings[i] = Opening(
                uint32(uint256(keccak256(abi.encode(o.member, i)))),
                keccak256(abi.encode(o.update, i)),
                Cid(uint8(o.cid.codec ^ i), keccak256(abi.encode(o.cid.digest, i))),
                o.salt
            );
        }
        uint256 count = openings.length == 0 ? 0 : used % (openings.length + 1);
        (bytes memory rows, bytes32 canary) = this.pack(openings, count);
        bytes memory expected;
        for (uint256 i; i < count; ++i) {
            Opening memory q = openings[i];
            expected = bytes.concat(expected, abi.encodePacked(q.member, q.cid.codec, q.update, q.cid.digest));
        }
        vm.assertEq(rows, expected);
        vm.assertEq(canary, "canary");
    }

    function pack(Opening[] calldata openings, uint256 count) external pure returns (bytes memory, bytes32) {
        AdmittedRows.Buffer memory buffer = AdmittedRows.allocate(openings.length);
        bytes32[1] memory behind = [bytes32("canary")];
        for (uint256 i; i < count; ++i) buffer.append(openings[i], openings[i].member, openings[i].cid.codec);
        return (buffer.finish(), behind[0]);
    }

    // ---- Cids

    function testFuzz_HashOf_WhenAnyCid(Cid memory cid) public view {
        vm.assertEq(this.hashOfCid(cid), keccak256(abi.encodePacked(hex"01", cid.codec, hex"1220", cid.digest)));
        vm.assertTrue(Cids.isValid(cid.codec) == (cid.codec == 0x55 || cid.codec == 0x70));
    }

    function hashOfCid(Cid calldata cid) external pure returns (bytes32) {
        return Cids.hashOf(cid);
    }

    // ---- Words

    function testFuzz_Words_WhenAnyWords(uint256[10] memory w) public pure {
        vm.assertEq(Words.hashOf(w), keccak256(abi.encode(w)));
        uint256[3] memory three = [w[0], w[1], w[2]];
        vm.assertEq(Words.hashOf(three), keccak256(abi.encode(three)));
        uint256[5] memory five = [w[0], w[1], w[2], w[3], w[4]];
        vm.assertEq(Words.hashOf(five), keccak256(abi.encode(five)));
        uint256[6] memory six = [w[0], w[1], w[2], w[3], w[4], w[5]];
        vm.assertEq(Words.hashOf(six), keccak256(abi.encode(six)));
        vm.assertEq(Words.hashOf(bytes32(w[9])), keccak256(abi.encode(w[9])));
    }

    // ---- RoundState

    function testFuzz_Header_WhenItIsSavedAndLoaded(uint40[3] memory times, uint32[2] memory bits, uint8[6] memory counts, uint8 rest)
        public
    {
        Header memory h;
        (h.openedAt, h.commitEnd, h.revealEnd) = (times[0], times[1], times[2]);
        (h.batchBits, h.resolvedBits) = (bits[0], bits[1]);
        (h.batchCount, h.selfCount, h.unresolved) = (counts[0], counts[1], counts[2]);
        (h.admitted, h.refused, h.expected) = (counts[3], counts[4], counts[5]);
        h.batchPosted = rest & 1 == 1;
        h.validated = rest & 2 == 2;
        h.publicRowsPosted = rest & 4 == 4;
        h.outcome = Phase((rest >> 3) % 8);
        round.header = type(uint256).max; // whatever was there
        RoundState.save(round, h);
        vm.assertEq(abi.encode(RoundState.load(round)), abi.encode(h));
    }

    // ---- MemberHead

    /// @dev Both readings of slot 0.
    function testFuzz_MemberHead_WhenAnyRecord(MemberRecord memory m, uint32 r) public {
        record = m;
        uint256 head = MemberHead.load(record);
        vm.assertEq(MemberHead.trainer(head), m.trainer);
        vm.assertTrue(MemberHead.hasDelegate(head) == m.delegated);
        vm.assertTrue(MemberHead.isEligible(head, r) == (m.staked && m.joined && m.joinedRound < r));
    }
}
