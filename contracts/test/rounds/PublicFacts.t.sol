// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Phase, ProjectTerms, WitnessSignature} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";

contract PublicFactsTest is MarketScene {
    bytes32 private constant DIGEST = keccak256("validation batch of round 1");
    CommitLeaf[] private batch;

    function setUp() public override {
        super.setUp();
        ProjectTerms memory terms = _terms();
        terms.validationRoot = _pair(_batchLeaf(1, DIGEST), _batchLeaf(2, keccak256("of round 2")));
        project = _create(terms, 10 * uint256(BUDGET));
        _join(project, 0, 8);
        round = _open(project);
    }

    // ---- revealValidation

    function test_RevealValidation_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.revealValidation, (9, 1, DIGEST, _path())), _unknown(9));
    }

    function test_RevealValidation_RevertWhen_ItIsNotTheNewestRound() public {
        _reverts(owner, abi.encodeCall(market.revealValidation, (project, 2, DIGEST, _path())), _notNewest(2));
    }

    /// @dev From tC on, when nobody can commit any more, and until tR.
    function test_RevealValidation_RevertWhen_ItIsOutsideItsWindow() public {
        _commit(project, round, 0, 5);
        (uint256 tC, uint256 start, uint256 tR) = (_view().commitEnd, _view().revealStart, _view().revealEnd);
        bytes memory call = _show(DIGEST, _path());
        _tryAt(tC - 1, owner, call, _wrong(Phase.Commit, Phase.Reveal));
        _tryAt(tC, owner, call, "");
        _tryAt(tC + 1, owner, call, "");
        _tryAt(start, owner, call, "");
        _tryAt(tR - 1, owner, call, "");
        _tryAt(tR, owner, call, _wrong(Phase.Void, Phase.Reveal));
        _tryAt(tR + 1, owner, call, _wrong(Phase.Void, Phase.Reveal));
    }

    function test_RevealValidation_RevertWhen_TheRoundIsInSettlement() public {
        _settling();
        _reverts(owner, _show(DIGEST, _path()), _wrong(Phase.Settle, Phase.Reveal));
    }

    function test_RevealValidation_RevertWhen_TheBatchIsNotInTheRoot() public {
        _commit(project, round, 0, 8);
        bytes32 other = keccak256("another batch");
        _reverts(owner, _show(other, _path()), _notInRoot(other));
        bytes32[] memory path = _path();
        path[0] = ~path[0];
        _reverts(owner, _show(DIGEST, path), _notInRoot(DIGEST));
        _reverts(owner, _show(DIGEST, new bytes32[](0)), _notInRoot(DIGEST));
        // The batch of round 2, in round 1.
        path[0] = _batchLeaf(1, DIGEST);
        _reverts(owner, _show(keccak256("of round 2"), path), _notInRoot(keccak256("of round 2")));
    }

    function test_RevealValidation_RevertWhen_TheDigestIsZero() public {
        ProjectTerms memory terms = _terms();
        terms.validationRoot = _batchLeaf(1, 0);
        project = _create(terms, BUDGET);
        _join(project, 0, 8);
        _open(project);
        _commit(project, round, 0, 8);
        _reverts(owner, _show(0, new bytes32[](0)), _notInRoot(0));
    }

    function test_RevealValidation_RevertWhen_TheProjectHasNoRoot() public {
        project = _projectWith(8);
        _open(project);
        _commit(project, round, 0, 8);
        _reverts(owner, _show(DIGEST, _path()), _notInRoot(DIGEST));
    }

    function test_RevealValidation_RevertWhen_ItWasRevealed() public {
        _commit(project, round, 0, 8);
        _works(owner, _show(DIGEST, _path()));
        bytes memory posted = abi.encodeWithSelector(IRounds.AlreadyPosted.selector, project, round, DIGEST);
        _reverts(owner, _show(DIGEST, _path()), posted);
    }

    function test_RevealValidation_WhenThePathIsRight() public {
        _commit(project, round, 0, 8);
        vm.expectEmit(address(market));
        emit IRounds.ValidationRevealed(project, round, DIGEST);
        vm.prank(stranger);
        market.revealValidation(project, round, DIGEST, _path());
        vm.assertEq(_view().validation, DIGEST);
    }

    /// @dev What was shown in a round is part of what its witnesses sign, and gone in the next.
    function test_RevealValidation_WhenTheRoundIsSettled() public {
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        _works(owner, _show(DIGEST, _path()));
        vm.warp(_view().revealStart);
        _reveal(project, round, leaves, 0, 8);
        _settle(project, round, 8);
        round = _open(project);
        vm.assertEq(_view().validation, 0);
        vm.assertEq(_view().publicRows, 0);
    }

    // ---- postPublicRows

    function test_PostPublicRows_RevertWhen_TheProjectIsUnknown() public {
        bytes memory call = abi.encodeCall(market.postPublicRows, (9, 1, "rows", new WitnessSignature[](0)));
        _reverts(stranger, call, _unknown(9));
    }

    function test_PostPublicRows_RevertWhen_ItIsNotTheNewestRound() public {
        bytes memory call = abi.encodeCall(market.postPublicRows, (project, 2, "rows", new WitnessSignature[](0)));
        _reverts(stranger, call, _notNewest(2));
    }

    function test_PostPublicRows_RevertWhen_TheRoundIsNotInSettlement() public {
        bytes memory call = _post("rows", _signedRows("rows"));
        _reverts(stranger, call, _wrong(Phase.Commit, Phase.Settle));
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        _reverts(stranger, call, _wrong(Phase.Guard, Phase.Settle));
        vm.warp(_view().revealStart);
        _reverts(stranger, call, _wrong(Phase.Reveal, Phase.Settle));
        _reveal(project, round, leaves, 0, 8);
        _tryAt(_view().settleEnd - 1, stranger, call, "");
        _tryAt(_view().settleEnd, stranger, call, _wrong(Phase.Defaulted, Phase.Settle));
        _works(stranger, call);
        _settle(project, round, 8);
        _reverts(stranger, call, _wrong(Phase.Final, Phase.Settle));
    }

    function test_PostPublicRows_RevertWhen_TheyWerePosted() public {
        _settling();
        _works(stranger, _post("rows", _signedRows("rows")));
        bytes memory posted =
            abi.encodeWithSelector(IRounds.AlreadyPosted.selector, project, round, bytes32("rows"));
        _reverts(stranger, _post("other", _signedRows("other")), posted);
    }

    function test_PostPublicRows_RevertWhen_TheyAreZero() public {
        _settling();
        bytes memory zero = abi.encodeWithSelector(IRounds.AlreadyPosted.selector, project, round, 0);
        _reverts(stranger, _post(0, _signedRows(0)), zero);
    }

    function test_PostPublicRows_RevertWhen_TheQuorumIsMissing() public {
        _settling();
        WitnessSignature[] memory one = new WitnessSignature[](1);
        one[0] = _signedRows("rows")[0];
        _reverts(stranger, _post("rows", one), abi.encodeWithSelector(IRounds.QuorumMissing.selector, 1, 2));
    }

    function test_PostPublicRows_RevertWhen_AWitnessSignsTwice() public {
        _settling();
        WitnessSignature[] memory list = _signedRows("rows");
        list[1] = list[0];
        bytes memory twice = abi.encodeWithSelector(IRounds.WitnessesNotIncreasing.selector, 1);
        _reverts(stranger, _post("rows", list), twice);
        list = _signedRows("rows");
        (list[0], list[1]) = (list[1], list[0]);
        _reverts(stranger, _post("rows", list), twice);
    }

    function test_PostPublicRows_RevertWhen_ASignatureIsNotTheWitnesss() public {
        _settling();
        WitnessSignature[] memory list = _signedRows("rows");
        list[1].witness = 2;
        _reverts(stranger, _post("rows", list), _invalid(1, witnesses[1], witnesses[2]));
        list[1].witness = 3;
        _reverts(stranger, _post("rows", list), _invalid(1, witnesses[1], address(0)));
        list[1].r = 0;
        _reverts(stranger, _post("rows", list), _invalid(1, address(0), address(0)));
        list[1].witness = 2;
        _reverts(stranger, _post("rows", list), _invalid(1, address(0), witnesses[2]));
    }

    function test_PostPublicRows_RevertWhen_TheyWereSignedForAnotherRound() public {
        _settling();
        bytes memory call = _post("rows", _witnessed(_rowsStruct(project, round + 1, "rows")));
        vm.prank(stranger);
        (bool ok, bytes memory data) = address(market).call(call);
        vm.assertFalse(ok);
        vm.assertEq(bytes32(bytes4(data)), bytes32(IRounds.ReceiptInvalid.selector));
    }

    function test_PostPublicRows_WhenAQuorumSigned() public {
        _settling();
        WitnessSignature[] memory list = _signedRows("rows");
        vm.expectEmit(address(market));
        emit IRounds.PublicRowsPosted(project, round, "rows");
        vm.prank(stranger);
        market.postPublicRows(project, round, "rows", list);
        vm.assertEq(_view().publicRows, "rows");
        _settle(project, round, 8); // the statement has them
    }

    /// @dev What the witnesses signed before the rows were posted is no longer what is settled.
    function test_PostPublicRows_WhenASettlementWasSignedBefore() public {
        _settling();
        bytes memory early = _settleCall(_equalSettlement(8));
        _works(stranger, _post("rows", _signedRows("rows")));
        vm.assertFalse(_wouldWork(aggregator, early));
        _settle(project, round, 8);
    }

    function _settling() private {
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, leaves, 0, 8);
        _assertPhase(project, round, Phase.Settle);
    }

    function _batchLeaf(uint32 r, bytes32 digest) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode(r, digest))));
    }

    /// @dev Of round 1's batch.
    function _path() private pure returns (bytes32[] memory path) {
        path = new bytes32[](1);
        path[0] = _batchLeaf(2, keccak256("of round 2"));
    }

    function _show(bytes32 digest, bytes32[] memory path) private view returns (bytes memory) {
        return abi.encodeCall(market.revealValidation, (project, round, digest, path));
    }

    function _post(bytes32 rows, WitnessSignature[] memory list) private view returns (bytes memory) {
        return abi.encodeCall(market.postPublicRows, (project, round, rows, list));
    }

    function _rowsStruct(uint256 p, uint32 r, bytes32 rows) private pure returns (bytes32) {
        return keccak256(
            abi.encode(keccak256("PublicRows(uint256 project,uint32 round,bytes32 rows)"), p, r, rows)
        );
    }

    function _signedRows(bytes32 rows) private view returns (WitnessSignature[] memory) {
        return _witnessed(_rowsStruct(project, round, rows));
    }

    function _notInRoot(bytes32 digest) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.BatchNotInRoot.selector, project, round, digest);
    }

    function _invalid(uint256 index, address found, address expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.ReceiptInvalid.selector, index, found, expected);
    }
}
