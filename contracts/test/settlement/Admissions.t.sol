// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {Admission, Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Packed, Row} from "../support/Packed.sol";

/// @notice The chain over admitted rows: one link for each call of `reveal` that admitted anything, in their order. Whoever ends
/// the round brings exactly these.
contract AdmissionsTest is MarketScene {
    CommitLeaf[] private batch;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        _begin();
    }

    // ---- settle

    function test_Settle_WhenRowsCameInSeveralCalls() public {
        Admission[] memory three = _threeCalls();
        vm.assertEq(_view().admittedHash, Packed.chain(three));
        _works(aggregator, _encodeSettle(project, round, _settlement(project, round, three, _outcomes(8, ONE))));
        _assertPhase(project, round, Phase.Final);
        Row[] memory rows = new Row[](8);
        uint256[8] memory order = [uint256(5), 6, 0, 1, 2, 3, 4, 7];
        for (uint256 i; i < 8; ++i) rows[i] = _row(project, round, order[i]);
        for (uint256 i; i < 8; ++i) {
            uint32 member = rows[i].member;
            _works(stranger, _encodeClaim(project, member, _one(_claimItem(project, round, rows, _equalPays(8, D / 8), i))));
        }
    }

    function test_Settle_RevertWhen_AdmissionsAreInAnotherOrder() public {
        Admission[] memory three = _threeCalls();
        _refused(_swapped(three, 0, 1));
        _refused(_swapped(three, 1, 2));
        _refused(_swapped(three, 0, 2));
    }

    function test_Settle_RevertWhen_AdmissionsAreMerged() public {
        Admission[] memory three = _threeCalls();
        Row[] memory rows = new Row[](7); // the first two calls as if they had been one
        for (uint256 i; i < 7; ++i) rows[i] = _row(project, round, i < 2 ? 5 + i : i - 2);
        Admission[] memory two = new Admission[](2);
        (two[0], two[1]) = (Packed.admission(rows), three[2]);
        _refused(two);
        two[0].rows = three[0].rows; // members of both, rows of one
        _refused(two);
    }

    function test_Settle_RevertWhen_AnAdmissionIsSplit() public {
        Admission[] memory three = _threeCalls();
        Admission[] memory four = new Admission[](4);
        (four[0], four[3]) = (three[0], three[2]);
        four[1] = Packed.admission(_rows(project, round, 0, 2));
        four[2] = Packed.admission(_rows(project, round, 2, 5));
        _refused(four);
        // The same members with the rows of the whole call
        (four[1].rows, four[2].rows) = (three[1].rows, three[1].rows);
        _refused(four);
    }

    function test_Settle_RevertWhen_AnAdmissionIsMissing() public {
        Admission[] memory three = _threeCalls();
        for (uint256 left; left < 3; ++left) {
            Admission[] memory two = new Admission[](2);
            uint256 at;
            for (uint256 i; i < 3; ++i) if (i != left) two[at++] = three[i];
            _refused(two);
        }
        _refused(new Admission[](0));
    }

    /// @dev Of no member, at any place: empty, with a hash of its own, or the last one again.
    function test_Settle_RevertWhen_ThereIsAnotherAdmission() public {
        Admission[] memory three = _threeCalls();
        Admission[3] memory extras = [Admission("", 0), Admission("", keccak256("")), three[2]];
        for (uint256 kind; kind < 3; ++kind) {
            for (uint256 place; place < 4; ++place) {
                Admission[] memory four = new Admission[](4);
                for (uint256 i; i < 4; ++i) four[i] = i == place ? extras[kind] : three[i < place ? i : i - 1];
                _refused(four);
            }
        }
    }

    function test_Settle_RevertWhen_AMemberIsNotAdmitted() public {
        Admission[] memory three = _threeCalls();
        three[1].members[3] = bytes1(uint8(8)); // first member of the second call
        _refused(three);
    }

    /// @dev Bytes beside whole numbers of four.
    function test_Settle_RevertWhen_MembersAreNotWhole() public {
        Admission[] memory three = _threeCalls();
        bytes memory whole = three[1].members;
        for (uint8 more = 1; more < 4; ++more) {
            three[1].members = bytes.concat(whole, new bytes(more));
            _refused(three);
        }
        three[1].members = new bytes(19);
        for (uint256 i; i < 19; ++i) three[1].members[i] = whole[i];
        _refused(three);
    }

    /// @dev A call that admits nothing leaves no link: refused, unopened or resolved rows alone.
    function test_Settle_WhenACallAdmittedNothing() public {
        _reveal(project, round, batch, 0, 4);
        bytes32 chain = _view().admittedHash;
        _reveal(project, round, batch, 0, 4); // resolved
        _revealWith(
            project,
            round,
            batch,
            _openings(project, round, 4, 6),
            _receipts(project, round, _openings(project, round, 4, 6), 0, 3) // refused
        );
        vm.assertEq(_view().admittedHash, chain);
        _reveal(project, round, batch, 5, 8); // the first of them is resolved: two are admitted
        Admission[] memory two = new Admission[](2);
        two[0] = Packed.admission(_rows(project, round, 0, 4));
        two[1] = Packed.admission(_rows(project, round, 6, 8));
        vm.assertEq(_view().admittedHash, Packed.chain(two));
        _works(aggregator, _encodeSettle(project, round, _settlement(project, round, two, _outcomes(6, ONE))));
    }

    /// @dev The word of the round before is still in storage: the chain of the next one begins at zero.
    function test_Settle_WhenTheRoundBeforeHadAChain() public {
        Admission[] memory three = _threeCalls();
        _works(aggregator, _encodeSettle(project, round, _settlement(project, round, three, _outcomes(8, ONE))));
        _begin();
        vm.assertEq(_view().admittedHash, 0);
        _reveal(project, round, batch, 0, 8);
        vm.assertEq(_view().admittedHash, Packed.chain(Packed.admissions(_rows(project, round, 0, 8))));
        _settle(project, round, 8);
    }

    /// @dev However eight rows are cut into calls.
    function testFuzz_Settle_WhenRowsCameInAnyCalls(uint8 cuts, uint8 other) public {
        Admission[] memory admissions = new Admission[](8);
        uint256 count;
        uint256 from;
        for (uint256 to = 1; to <= 8; ++to) {
            if (to != 8 && cuts >> to & 1 == 0) continue;
            _reveal(project, round, batch, from, to);
            admissions[count++] = Packed.admission(_rows(project, round, from, to));
            from = to;
        }
        Admission[] memory right = new Admission[](count);
        for (uint256 i; i < count; ++i) right[i] = admissions[i];
        vm.assertEq(_view().admittedHash, Packed.chain(right));
        if ((cuts ^ other) & 0xfe != 0) _refused(_cutAs(other));
        _works(aggregator, _encodeSettle(project, round, _settlement(project, round, right, _outcomes(8, ONE))));
    }

    // ---- closeRound

    function test_CloseRound_WhenRowsCameInSeveralCalls() public {
        Admission[] memory three = _threeCalls();
        vm.warp(_view().settleEnd);
        bytes memory wrong = abi.encodeWithSelector(
            ISettlement.RowsMismatch.selector, Packed.chain(_swapped(three, 0, 1)), Packed.chain(three)
        );
        _reverts(stranger, _encodeClose(project, round, _swapped(three, 0, 1)), wrong);
        uint32[] memory members = new uint32[](8);
        uint32[8] memory order = [uint32(6), 7, 1, 2, 3, 4, 5, 8];
        Row[] memory rows = new Row[](8);
        for (uint256 i; i < 8; ++i) (members[i], rows[i]) = (order[i], _row(project, round, order[i] - 1));
        bytes32[] memory leaves = _payoutLeaves(project, round, rows, _equalPays(8, D / 8));
        bytes32 root = _node(
            _node(_node(leaves[0], leaves[1]), _node(leaves[2], leaves[3])),
            _node(_node(leaves[4], leaves[5]), _node(leaves[6], leaves[7]))
        );
        bytes memory call = _encodeClose(project, round, three);
        vm.expectEmit(address(market));
        emit ISettlement.RoundDefaulted(project, round, bytes27(root), D / 8, members);
        _works(stranger, call);
    }

    function test_CloseRound_RevertWhen_AVoidRoundHasAnAdmission() public {
        vm.warp(_view().revealEnd);
        Admission[] memory one = new Admission[](1);
        bytes memory wrong =
            abi.encodeWithSelector(ISettlement.RowsMismatch.selector, Packed.chain(one), bytes32(0));
        _reverts(stranger, _encodeClose(project, round, one), wrong); // an empty one
        _works(stranger, _encodeClose(project, round, new Admission[](0)));
    }

    // ---- scenes

    function _begin() private {
        delete batch;
        round = _open(project);
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        for (uint256 i; i < 8; ++i) batch.push(leaves[i]);
        vm.warp(_view().revealStart);
    }

    /// @dev Two rows, then five, then one.
    function _threeCalls() private returns (Admission[] memory three) {
        _reveal(project, round, batch, 5, 7);
        _reveal(project, round, batch, 0, 5);
        _reveal(project, round, batch, 7, 8);
        three = new Admission[](3);
        three[0] = Packed.admission(_rows(project, round, 5, 7));
        three[1] = Packed.admission(_rows(project, round, 0, 5));
        three[2] = Packed.admission(_rows(project, round, 7, 8));
    }

    /// @dev Rows 0 .. 7, a new admission where a bit of `cuts` is set.
    function _cutAs(uint8 cuts) private view returns (Admission[] memory admissions) {
        uint256 count = 1;
        for (uint256 i = 1; i < 8; ++i) count += cuts >> i & 1;
        admissions = new Admission[](count);
        uint256 from;
        uint256 at;
        for (uint256 to = 1; to <= 8; ++to) {
            if (to != 8 && cuts >> to & 1 == 0) continue;
            admissions[at++] = Packed.admission(_rows(project, round, from, to));
            from = to;
        }
    }

    function _swapped(Admission[] memory list, uint256 a, uint256 b) private pure returns (Admission[] memory other) {
        other = new Admission[](list.length);
        for (uint256 i; i < list.length; ++i) other[i] = list[i == a ? b : i == b ? a : i];
    }

    /// @dev Even if a quorum of witnesses signed for it.
    function _refused(Admission[] memory admissions) private {
        bytes memory call = _encodeSettle(project, round, _settlement(project, round, admissions, _outcomes(8, ONE)));
        vm.prank(aggregator);
        (bool ok, bytes memory data) = address(market).call(call);
        vm.assertFalse(ok, "must revert");
        vm.assertEq(bytes32(bytes4(data)), bytes32(ISettlement.RowsMismatch.selector));
    }
}
