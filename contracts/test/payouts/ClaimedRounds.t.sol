// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IPayouts} from "../../src/interfaces/IPayouts.sol";
import {Ending, MarketStorage} from "../../src/storage/MarketStorage.sol";
import {Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {ClaimItem, Packed, Row} from "../support/Packed.sol";

/// @notice Ends rounds at the market's place, so that a test can have one with any number.
contract Endings is MarketStorage {
    function end(uint256 project, uint32 round, bytes27 root, uint112 earned) external {
        Ending storage ending = _ending(project, round);
        (ending.payoutRoot, ending.outcome) = (root, Phase.Final);
        _project(project).claimable += earned;
    }
}

/// @notice What a member was paid for: a bit for each round, 256 of them to a word. And what one claim is made of: words with the
/// length of a proof in their highest bits, and all proofs in one list.
contract ClaimedRoundsTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
    }

    // ---- words of rounds

    function test_Claim_WhenRoundsFallIntoTwoWords() public {
        uint32[4] memory rounds = [uint32(254), 255, 256, 257];
        ClaimItem[] memory items = new ClaimItem[](4);
        for (uint256 i; i < 4; ++i) items[i] = _endedItem(rounds[i], 1);
        uint256 before = token.balanceOf(trainers[1]);
        vm.expectEmit(address(market));
        emit IPayouts.Claimed(project, 2, trainers[1], 2, 0, 3 << 254);
        vm.expectEmit(address(market));
        emit IPayouts.Claimed(project, 2, trainers[1], 2, 1, 3);
        _claimWith(project, 2, items);
        vm.assertEq(token.balanceOf(trainers[1]) - before, 4);
        vm.assertEq(market.claimedRounds(project, 2, 0), 3 << 254);
        vm.assertEq(market.claimedRounds(project, 2, 1), 3);
        vm.assertEq(market.claimedRounds(project, 2, 2), 0);
        for (uint256 i; i < 4; ++i) _already(2, rounds[i], _one(items[i]));
    }

    /// @dev Back and forth between words: each is written before the next is read.
    function test_Claim_WhenItemsAreNotInOrder() public {
        uint32[7] memory rounds = [uint32(600), 5, 256, 4, 255, 511, 70_000]; // 70,000 = 273 * 256 + 112
        ClaimItem[] memory items = new ClaimItem[](7);
        for (uint256 i; i < 7; ++i) items[i] = _endedItem(rounds[i], 0);
        _claimWith(project, 1, items);
        vm.assertEq(market.claimedRounds(project, 1, 0), 1 << 4 | 1 << 5 | 1 << 255);
        vm.assertEq(market.claimedRounds(project, 1, 1), 1 | 1 << 255);
        vm.assertEq(market.claimedRounds(project, 1, 2), 1 << (600 - 512));
        vm.assertEq(market.claimedRounds(project, 1, 273), 1 << 112);
        for (uint256 i; i < 7; ++i) _already(1, rounds[i], _one(items[i]));
    }

    function test_Claim_RevertWhen_ARoundStandsTwiceInOneCall() public {
        ClaimItem[] memory items = new ClaimItem[](2);
        items[0] = items[1] = _endedItem(256, 0);
        _already(1, 256, items);
        // with another word of rounds between the two
        items = new ClaimItem[](3);
        (items[0], items[1], items[2]) = (_endedItem(7, 0), _endedItem(300, 0), _endedItem(7, 0));
        _already(1, 7, items);
        vm.assertEq(market.claimedRounds(project, 1, 0), 0, "nothing stays of a call that fails");
    }

    function test_Claim_RevertWhen_ARoundCameInAnEarlierCall() public {
        ClaimItem[] memory items = new ClaimItem[](3);
        (items[0], items[1], items[2]) = (_endedItem(255, 2), _endedItem(256, 2), _endedItem(257, 2));
        _claimWith(project, 3, _one(items[1]));
        _already(3, 256, items);
        (items[0], items[1]) = (items[1], items[0]);
        _already(3, 256, items);
        ClaimItem[] memory rest = new ClaimItem[](2);
        (rest[0], rest[1]) = (items[2], items[1]);
        _claimWith(project, 3, rest);
        vm.assertEq(market.claimedRounds(project, 3, 0), 1 << 255);
        vm.assertEq(market.claimedRounds(project, 3, 1), 3);
    }

    /// @dev Members have their bits to themselves, and so have projects.
    function test_ClaimedRounds_WhenOthersClaimed() public {
        ClaimItem memory item = _endedItem(9, 0);
        _claimWith(project, 1, _one(item));
        vm.assertEq(market.claimedRounds(project, 2, 0), 0);
        vm.assertEq(market.claimedRounds(project + 1, 1, 0), 0);
        _claimWith(project, 2, _one(_endedItem(9, 1)));
        vm.assertEq(market.claimedRounds(project, 1, 0), 1 << 9);
    }

    /// @dev Any rounds in any order, cut into any calls: exactly those are marked, each paid once.
    function testFuzz_Claim_WhenRoundsAreArbitrary(uint16[12] memory rounds, uint256 cuts) public {
        ClaimItem[] memory all = new ClaimItem[](12);
        uint256 count;
        for (uint256 i; i < 12; ++i) {
            uint32 r = 1 + rounds[i] % 1_024;
            bool known;
            for (uint256 k; k < count; ++k) if (all[k].round == r) known = true;
            if (!known) all[count++] = _endedItem(r, 0);
        }
        uint256 before = token.balanceOf(trainers[0]);
        uint256 from;
        for (uint256 to = 1; to <= count; ++to) {
            if (to != count && cuts >> to & 1 == 0) continue;
            ClaimItem[] memory some = new ClaimItem[](to - from);
            for (uint256 i; i < some.length; ++i) some[i] = all[from + i];
            _claimWith(project, 1, some);
            from = to;
        }
        vm.assertEq(token.balanceOf(trainers[0]) - before, count);
        for (uint256 word; word < 5; ++word) {
            uint256 expected;
            for (uint256 i; i < count; ++i) if (all[i].round / 256 == word) expected |= 1 << (all[i].round % 256);
            vm.assertEq(market.claimedRounds(project, 1, word), expected);
        }
    }

    /// @dev Behind all proofs: a project pays no more than its rounds have earned, even if a tree said otherwise.
    function test_Claim_RevertWhen_MoreIsProvenThanWasEarned() public {
        ClaimItem[] memory items = new ClaimItem[](2);
        (items[0], items[1]) = (_endedItem(1, 0, 0), _endedItem(2, 0, 1));
        bytes memory more = abi.encodeWithSelector(IPayouts.MoreThanClaimable.selector, project, 2, 1);
        _reverts(stranger, _encodeClaim(project, 1, items), more);
        _claimWith(project, 1, _one(items[0]));
        more = abi.encodeWithSelector(IPayouts.MoreThanClaimable.selector, project, 1, 0);
        _reverts(stranger, _encodeClaim(project, 1, _one(items[1])), more);
    }

    // ---- proofs and words of items

    function test_Claim_RevertWhen_ProofsAreTooShort() public {
        ClaimItem[] memory items = new ClaimItem[](2);
        (items[0], items[1]) = (_endedItem(1, 1), _endedItem(2, 1));
        uint256[] memory words = Packed.items(items);
        bytes32[] memory nodes = Packed.proofs(items); // two of each
        vm.assertEq(nodes.length, 4);
        for (uint256 length; length < 4; ++length) {
            bytes memory call = abi.encodeCall(market.claim, (project, 2, words, _first(nodes, length)));
            _reverts(stranger, call, _short(length, length < 2 ? 2 : 4));
        }
        _works(stranger, abi.encodeCall(market.claim, (project, 2, words, nodes)));
    }

    /// @dev The right nodes lie in calldata, behind those that are said to be there.
    function test_Claim_RevertWhen_NodesLieBehindTheProofs() public {
        ClaimItem[] memory items = _one(_endedItem(1, 1));
        bytes memory claim = abi.encodeCall(market.claim, (project, 2, Packed.items(items), Packed.proofs(items)));
        for (uint256 said; said < 2; ++said) {
            assembly ("memory-safe") {
                mstore(sub(add(add(claim, 32), mload(claim)), 96), said) // the number of nodes, of which there are two
            }
            _reverts(stranger, claim, _short(said, 2));
        }
    }

    /// @dev Nodes that no item takes do nothing: they change neither who is paid nor what.
    function test_Claim_WhenProofsAreTooLong() public {
        ClaimItem[] memory items = _one(_endedItem(1, 1));
        bytes32[] memory nodes = new bytes32[](9);
        for (uint256 i; i < 2; ++i) nodes[i] = items[0].proof[i];
        _works(stranger, abi.encodeCall(market.claim, (project, 2, Packed.items(items), nodes)));
        vm.assertEq(market.claimedRounds(project, 2, 0), 2);
    }

    /// @dev An item that takes too few nodes, or those of the next one, proves nothing.
    function test_Claim_RevertWhen_AProofHasAnotherLength() public {
        ClaimItem[] memory items = new ClaimItem[](2);
        (items[0], items[1]) = (_endedItem(1, 1), _endedItem(2, 1));
        bytes32[] memory nodes = Packed.proofs(items);
        for (uint256 length; length <= 4; ++length) {
            uint256[] memory words = Packed.items(items);
            words[0] = words[0] & ~(uint256(0xff) << 152) | length << 152;
            bytes memory call = abi.encodeCall(market.claim, (project, 2, words, nodes));
            if (length == 2) vm.assertTrue(_wouldWork(stranger, call));
            else _reverts(stranger, call, abi.encodeWithSelector(IPayouts.ProofInvalid.selector, project, 1, 1));
        }
    }

    /// @dev The eight bits of a proof's length are the highest that an item may have.
    function test_Claim_RevertWhen_AnItemHasHigherBits() public {
        ClaimItem[] memory items = _one(_endedItem(1, 1));
        bytes32[] memory nodes = Packed.proofs(items);
        uint256 good = Packed.items(items)[0];
        for (uint256 bit = 160; bit < 256; bit += 5) {
            uint256[] memory words = new uint256[](1);
            words[0] = good | 1 << bit;
            bytes memory call = abi.encodeCall(market.claim, (project, 2, words, nodes));
            _reverts(stranger, call, _short(2, words[0] >> 152));
        }
        vm.assertEq(market.claimedRounds(project, 2, 0), 0);
    }

    /// @dev Two signed words, of which only the first is claimed, or with nodes of another: the signature is for these words.
    function test_ClaimTo_RevertWhen_TheLengthOfAProofIsNotAsSigned() public {
        ClaimItem[] memory items = _one(_endedItem(1, 1));
        uint256[] memory words = Packed.items(items);
        bytes32[] memory nodes = Packed.proofs(items);
        bytes memory signature = _signed(words, trainerKeys[1]);
        words[0] += 1 << 152;
        bytes memory call =
            abi.encodeCall(market.claimTo, (project, 2, words, nodes, stranger, type(uint64).max, signature));
        _reverts(rival, call, abi.encodeWithSelector(IPayouts.ClaimNotSigned.selector, trainers[1], stranger));
        words[0] -= 1 << 152;
        call = abi.encodeCall(market.claimTo, (project, 2, words, nodes, stranger, type(uint64).max, signature));
        _works(rival, call);
        vm.assertEq(token.balanceOf(stranger), 1);
    }

    /// @dev Whatever a claim is made of, it does what going through its items one after another says.
    function testFuzz_Claim_WhenItemsAreArbitrary(uint256 seed) public {
        ClaimItem[] memory items = new ClaimItem[](5);
        for (uint256 i; i < 5; ++i) items[i] = _endedItem(uint32(1 + (seed >> 16 * i & 0xffff) % 600), 1);
        uint256[] memory words = Packed.items(items);
        bytes32[] memory nodes = Packed.proofs(items);
        uint256 kind = seed >> 80 & 7;
        uint256 at = seed >> 96 & 0xffff;
        uint256 bit = 1 << (seed >> 112 & 0xff);
        if (kind == 0) words[at % 5] ^= bit >> 96; // any of its 160 bits
        else if (kind == 1) words[at % 5] = words[at % 5] & ~(uint256(0xff) << 152) | (bit & 7) << 152;
        else if (kind == 2) nodes[at % nodes.length] ^= bytes32(bit);
        else if (kind == 3) nodes = _first(nodes, at % nodes.length);
        (bytes memory refusal, uint256 sum) = _plainly(words, nodes);
        bytes memory call = abi.encodeCall(market.claim, (project, 2, words, nodes));
        uint256 before = token.balanceOf(trainers[1]);
        if (refusal.length != 0) _reverts(stranger, call, refusal);
        else _works(stranger, call);
        vm.assertEq(token.balanceOf(trainers[1]) - before, refusal.length != 0 ? 0 : sum);
    }

    /// @dev The error that a claim of member 2 deserves, or none and what it comes to.
    function _plainly(uint256[] memory words, bytes32[] memory nodes) private view returns (bytes memory refusal, uint256 sum) {
        uint256 used;
        for (uint256 i; i < words.length; ++i) {
            uint256 end = used + (words[i] >> 152);
            if (end > nodes.length) return (_short(nodes.length, end), 0);
            bytes32[] memory proof = new bytes32[](end - used);
            for (uint256 k; k < proof.length; ++k) proof[k] = nodes[used + k];
            used = end;
            uint32 r = uint32(words[i] >> 120);
            uint8 row = uint8(words[i] >> 112);
            bytes32 leaf = bytes27(keccak256(abi.encode(keccak256(abi.encode(project, r, row, 2, uint112(words[i]))))));
            bytes27 root = market.roundOf(project, r).payoutRoot;
            if (root == 0 || MerkleProof.processProof(proof, leaf, _node) != root) {
                return (abi.encodeWithSelector(IPayouts.ProofInvalid.selector, project, r, row), 0);
            }
            for (uint256 k; k < i; ++k) {
                if (uint32(words[k] >> 120) != r) continue;
                return (abi.encodeWithSelector(IPayouts.AlreadyClaimed.selector, project, 2, r), 0);
            }
            sum += uint112(words[i]);
        }
    }

    // ---- scenes

    /// @dev Ends a round with three rows of one unit each, and gives the claim on row `index`.
    function _endedItem(uint32 r, uint256 index) private returns (ClaimItem memory) {
        return _endedItem(r, index, 3);
    }

    function _endedItem(uint32 r, uint256 index, uint112 earned) private returns (ClaimItem memory) {
        Row[] memory rows = _rows(project, r, 0, 3);
        uint256[] memory pays = _equalPays(3, 1);
        bytes32[] memory leaves = _payoutLeaves(project, r, rows, pays);
        if (market.roundOf(project, r).payoutRoot == 0) {
            bytes memory code = address(market).code;
            vm.etch(address(market), address(new Endings()).code);
            Endings(address(market)).end(project, r, bytes27(_node(_node(leaves[0], leaves[1]), leaves[2])), earned);
            vm.etch(address(market), code);
        }
        return _claimItem(project, r, rows, pays, index);
    }

    function _already(uint32 member, uint32 r, ClaimItem[] memory items) private {
        bytes memory again = abi.encodeWithSelector(IPayouts.AlreadyClaimed.selector, project, member, r);
        _reverts(stranger, _encodeClaim(project, member, items), again);
    }

    function _short(uint256 nodes, uint256 needed) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPayouts.ProofsTooShort.selector, nodes, needed);
    }

    function _first(bytes32[] memory nodes, uint256 length) private pure returns (bytes32[] memory some) {
        some = new bytes32[](length);
        for (uint256 i; i < length; ++i) some[i] = nodes[i];
    }

    function _signed(uint256[] memory words, uint256 key) private view returns (bytes memory) {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry)"),
                project,
                uint32(2),
                keccak256(abi.encodePacked(words)),
                stranger,
                type(uint64).max
            )
        );
        return _signature(key, _digest("CohortMarket", address(market), struct_));
    }
}
