// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Words} from "../../src/hashing/Words.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {Cids} from "../../src/rounds/Cids.sol";
import {Leaves} from "../../src/rounds/Leaves.sol";
import {Header, Round, RoundState} from "../../src/rounds/RoundState.sol";
import {Rows} from "../../src/rounds/Rows.sol";
import {Tally} from "../../src/rounds/Tally.sol";
import {MemberHead} from "../../src/staking/MemberHead.sol";
import {MemberRecord} from "../../src/storage/MarketStorage.sol";
import {Admission, Cid, Phase} from "../../src/types/Types.sol";
import {CommitLeaf, Packed} from "../support/Packed.sol";
import {CheatCodes} from "../support/Vm.sol";

/// @notice What a round computes, against plain reference implementations.
contract RoundLibrariesTest is CheatCodes {
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

    // ---- Leaves

    /// @dev Byte by byte, wherever the leaves lie in calldata.
    function testFuzz_Leaves_WhenAnyBytes(bytes memory before, bytes memory leaves) public view {
        uint256 count = leaves.length / 36;
        bytes memory whole = _cut(leaves, count * 36);
        if (count > 32) return;
        (uint256[] memory members, bytes32[] memory commitments) = this.readLeaves(before, whole);
        vm.assertEq(members.length, count);
        for (uint256 i; i < count; ++i) {
            vm.assertEq(members[i], _number(whole, i * 36, 4));
            vm.assertEq(commitments[i], bytes32(_number(whole, i * 36 + 4, 32)));
        }
    }

    function readLeaves(bytes calldata, bytes calldata leaves)
        external
        pure
        returns (uint256[] memory members, bytes32[] memory commitments)
    {
        uint256 count = Leaves.count(leaves);
        (uint256 at, uint256 end) = Leaves.span(leaves);
        members = new uint256[](count);
        commitments = new bytes32[](count);
        for (uint256 i; at < end; ++i) {
            (members[i], commitments[i]) = (Leaves.memberAt(at), Leaves.commitmentAt(at));
            at += Leaves.BYTES;
        }
    }

    function test_LeavesCount_WhenAnyLength() public view {
        for (uint256 length; length < 40 * 36; ++length) {
            (bool ok, bytes memory data) =
                address(this).staticcall(abi.encodeCall(this.countLeaves, (new bytes(length))));
            bytes memory expected = abi.encode(length / 36);
            if (length % 36 != 0) expected = abi.encodeWithSelector(IRounds.LeavesMalformed.selector, length);
            else if (length > 32 * 36) expected = abi.encodeWithSelector(IRounds.BatchTooLong.selector, length / 36, 32);
            vm.assertTrue(ok == (length % 36 == 0 && length <= 32 * 36));
            vm.assertEq(data, expected);
        }
    }

    function countLeaves(bytes calldata leaves) external pure returns (uint256) {
        return Leaves.count(leaves);
    }

    /// @dev Against a plain search, for every member from 0 to beyond the last.
    function testFuzz_Find_WhenABatchIsSorted(uint8 length, uint256 seed) public view {
        CommitLeaf[] memory leaves = new CommitLeaf[](length % 33);
        uint32 member;
        for (uint256 i; i < leaves.length; ++i) {
            member += 1 + uint32(uint256(keccak256(abi.encode(seed, i))) % 3);
            leaves[i] = CommitLeaf(member, keccak256(abi.encode("commitment", seed, i)));
        }
        for (uint256 m; m <= member + 1; ++m) {
            uint256 expected = Leaves.NONE;
            for (uint256 i; i < leaves.length; ++i) if (leaves[i].member == m) expected = i;
            vm.assertEq(this.find(Packed.leaves(leaves), m), expected);
        }
    }

    function find(bytes calldata leaves, uint256 member) external pure returns (uint256) {
        return Leaves.find(leaves, member);
    }

    // ---- Rows

    /// @dev Byte by byte, and commitments from their definition; the scratch space can be used again.
    function testFuzz_Rows_WhenAnyBytes(bytes memory before, bytes memory rows, bytes32 salt, uint256 p, uint32 r)
        public
        view
    {
        uint256 count = rows.length / 69;
        bytes memory whole = _cut(rows, count * 69);
        if (count == 0 || count > 32) return;
        bytes32[] memory salts = new bytes32[](count);
        for (uint256 i; i < count; ++i) salts[i] = keccak256(abi.encode(salt, i));
        (Read[] memory read, bytes32 canary) = this.readRows(before, whole, salts, p, r);
        vm.assertEq(read.length, count);
        vm.assertEq(canary, "canary");
        for (uint256 i; i < count; ++i) {
            vm.assertEq(read[i].member, _number(whole, i * 69, 4));
            vm.assertEq(read[i].codec, _number(whole, i * 69 + 4, 1));
            vm.assertEq(read[i].update, bytes32(_number(whole, i * 69 + 5, 32)));
            bytes32 digest = bytes32(_number(whole, i * 69 + 37, 32));
            bytes memory row = abi.encodePacked(uint32(read[i].member), uint8(read[i].codec), read[i].update, digest);
            bytes32 domain = keccak256(
                abi.encode(
                    keccak256("CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round)"),
                    block.chainid,
                    address(this),
                    p,
                    r
                )
            );
            vm.assertEq(read[i].commitment, keccak256(bytes.concat(domain, row, salts[i])));
        }
    }

    struct Read {
        uint256 member;
        uint256 codec;
        bytes32 update;
        bytes32 commitment;
    }

    function readRows(bytes calldata, bytes calldata rows, bytes32[] calldata salts, uint256 p, uint32 r)
        external
        view
        returns (Read[] memory read, bytes32 canary)
    {
        read = new Read[](Rows.count(rows, salts));
        (uint256 at, uint256 salt) = Rows.start(rows, salts);
        bytes32[6] memory scratch; // 160 bytes for the library, and a word behind them
        scratch[0] = Rows.domainOf(p, r);
        scratch[5] = "canary";
        uint256 where;
        assembly ("memory-safe") {
            where := scratch
        }
        for (uint256 i; i < read.length; ++i) {
            read[i] = Read(
                Rows.memberAt(at), Rows.codecAt(at), Rows.updateAt(at), Rows.commitmentAt(at, salt, where)
            );
            at += Rows.BYTES;
            salt += 32;
        }
        return (read, scratch[5]);
    }

    function test_RowsCount_WhenAnyLength() public view {
        for (uint256 length; length < 34 * 69; ++length) {
            uint256 count = length / 69;
            (bool ok, bytes memory data) = address(this).staticcall(
                abi.encodeCall(this.countRows, (new bytes(length), new bytes32[](count)))
            );
            bytes memory expected = abi.encode(count);
            if (length % 69 != 0) expected = abi.encodeWithSelector(IRounds.RowsMalformed.selector, length);
            else if (count == 0) expected = abi.encodeWithSelector(IRounds.NoOpenings.selector);
            else if (count > 32) expected = abi.encodeWithSelector(IRounds.TooManyOpenings.selector, count, 32);
            vm.assertTrue(ok == (length % 69 == 0 && count != 0 && count <= 32));
            vm.assertEq(data, expected);
        }
    }

    function countRows(bytes calldata rows, bytes32[] calldata salts) external pure returns (uint256) {
        return Rows.count(rows, salts);
    }

    function testFuzz_Link_WhenAnyWords(bytes32 previous, bytes32 members, bytes32 rows) public pure {
        vm.assertEq(Rows.link(previous, members, rows), keccak256(abi.encode(previous, members, rows)));
    }

    /// @dev Any cut of any members into calls, against reading them one by one.
    function testFuzz_MembersOf_WhenAnyAdmissions(uint32[] memory members, uint256 cuts, bytes32 seed) public view {
        Admission[] memory admissions = _cutInto(members, cuts, seed);
        uint256[] memory found = this.membersOf(admissions, members.length, Packed.chain(admissions));
        vm.assertEq(found.length, members.length);
        for (uint256 i; i < members.length; ++i) vm.assertEq(found[i], members[i]);
    }

    /// @dev The chain must be right, and so must the count: a chain never says more than were counted.
    function testFuzz_MembersOf_RevertWhen_TheCountOrTheChainIsAnother(
        uint32[] memory members,
        uint256 cuts,
        uint8 length,
        bytes32 chain
    ) public view {
        Admission[] memory admissions = _cutInto(members, cuts, chain);
        bytes32 right = Packed.chain(admissions);
        if (chain != right) _mismatch(admissions, members.length, chain);
        if (length != 0) _mismatch(admissions, members.length + length, right);
    }

    function membersOf(Admission[] calldata admissions, uint256 length, bytes32 stored)
        external
        pure
        returns (uint256[] memory)
    {
        return Rows.membersOf(admissions, length, stored);
    }

    function _mismatch(Admission[] memory admissions, uint256 length, bytes32 stored) private view {
        (bool ok, bytes memory data) =
            address(this).staticcall(abi.encodeCall(this.membersOf, (admissions, length, stored)));
        vm.assertFalse(ok);
        vm.assertEq(bytes32(bytes4(data)), bytes32(ISettlement.RowsMismatch.selector));
    }

    /// @dev A new admission begins where a bit of `cuts` is set.
    function _cutInto(uint32[] memory members, uint256 cuts, bytes32 seed)
        private
        pure
        returns (Admission[] memory admissions)
    {
        uint256 count = members.length == 0 ? 0 : 1;
        for (uint256 i = 1; i < members.length; ++i) count += cuts >> (i % 256) & 1;
        admissions = new Admission[](count);
        uint256 last;
        for (uint256 i; i < members.length; ++i) {
            if (i != 0) last += cuts >> (i % 256) & 1;
            admissions[last].members = bytes.concat(admissions[last].members, bytes4(members[i]));
            admissions[last].rows = keccak256(abi.encode(seed, last));
        }
    }

    /// @dev A big-endian number of `length` bytes.
    function _number(bytes memory data, uint256 at, uint256 length) private pure returns (uint256 number) {
        for (uint256 i; i < length; ++i) number = number << 8 | uint8(data[at + i]);
    }

    function _cut(bytes memory data, uint256 length) private pure returns (bytes memory cut) {
        cut = new bytes(length);
        for (uint256 i; i < length; ++i) cut[i] = data[i];
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

    function testFuzz_Words_WhenAnyWords(uint256[] memory words) public pure {
        vm.assertEq(Words.hashOf(words), keccak256(abi.encodePacked(words)));
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
