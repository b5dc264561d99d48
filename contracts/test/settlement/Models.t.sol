// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {WitnessSignature} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {UnreceiptedVerifier} from "../support/Seams.sol";

/// @notice A verifier that does not vouch for the bytes of the next model: they wait for receipts.
contract ModelsTest is MarketScene {
    address private immutable unreceipted = address(new UnreceiptedVerifier());
    bytes32 private model;
    uint256 private settledAt;

    function _extraVerifier() internal view override returns (address) {
        return unreceipted;
    }

    function setUp() public override {
        super.setUp();
        project = _create(_extraTerms(), 10 * uint256(BUDGET));
        _join(project, 0, 8);
        round = _toSettle(project, 8);
        model = keccak256(abi.encode("model", project, round));
        settledAt = block.timestamp;
    }

    // ---- settle

    function test_Settle_WhenTheModelIsNotReceipted() public {
        bytes memory call = _settleCall(_equalSettlement(8));
        vm.expectEmit(address(market));
        emit ISettlement.ModelPending(project, round, model, uint40(settledAt + RESCUE));
        _works(aggregator, call);
        vm.assertEq(market.progressOf(project).model, _terms().initialModel);
        vm.assertEq(market.progressOf(project).pendingModel, model);
        vm.assertEq(market.progressOf(project).pendingUntil, settledAt + RESCUE);
        vm.assertEq(_ledger().claimable, 8 * (D / 8), "pay does not wait");
    }

    // ---- openRound

    function test_OpenRound_RevertWhen_TheModelWaitsForReceipts() public {
        _settle(project, round, 8);
        _accept(project, aggregator);
        bytes memory call = abi.encodeCall(market.openRound, (project));
        uint256 until = settledAt + RESCUE;
        bytes memory waits = abi.encodeWithSelector(IRounds.ModelNotReceipted.selector, project, model, until);
        _tryAt(settledAt, stranger, call, waits);
        _tryAt(until - 1, stranger, call, waits);
        _tryAt(until, stranger, call, "");
        _tryAt(until + 1, stranger, call, "");
    }

    /// @dev Bytes withheld after settlement: the project goes on from the last model that somebody can fetch.
    function test_OpenRound_WhenTheModelWasNeverReceipted() public {
        _settle(project, round, 8);
        _accept(project, aggregator);
        vm.warp(settledAt + RESCUE);
        vm.expectEmit(address(market));
        emit ISettlement.ModelDropped(project, model);
        market.openRound(project);
        vm.assertEq(market.roundOf(project, 2).model, _terms().initialModel);
        vm.assertEq(market.progressOf(project).pendingModel, 0);
        _reverts(stranger, _receiptCall(_signed(model)), _none()); // too late
    }

    function test_OpenRound_WhenTheModelWasReceipted() public {
        _settle(project, round, 8);
        _works(stranger, _receiptCall(_signed(model)));
        _open(project);
        vm.assertEq(market.roundOf(project, 2).model, model);
    }

    // ---- receiptModel

    function test_ReceiptModel_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, abi.encodeCall(market.receiptModel, (9, new WitnessSignature[](0))), _unknown(9));
    }

    function test_ReceiptModel_RevertWhen_NoModelIsPending() public {
        _reverts(stranger, _receiptCall(_signed(model)), _none());
        _settle(project, round, 8);
        _works(stranger, _receiptCall(_signed(model)));
        _reverts(stranger, _receiptCall(_signed(model)), _none()); // once
    }

    function test_ReceiptModel_RevertWhen_TheQuorumIsMissing() public {
        _settle(project, round, 8);
        WitnessSignature[] memory one = new WitnessSignature[](1);
        one[0] = _signed(model)[0];
        _reverts(stranger, _receiptCall(one), abi.encodeWithSelector(IRounds.QuorumMissing.selector, 1, 2));
    }

    function test_ReceiptModel_RevertWhen_AWitnessSignsTwice() public {
        _settle(project, round, 8);
        WitnessSignature[] memory list = _signed(model);
        list[1] = list[0];
        _reverts(stranger, _receiptCall(list), abi.encodeWithSelector(IRounds.WitnessesNotIncreasing.selector, 1));
    }

    function test_ReceiptModel_RevertWhen_ASignatureIsNotTheWitnesss() public {
        _settle(project, round, 8);
        WitnessSignature[] memory list = _signed(model);
        list[1].witness = 2;
        bytes memory invalid =
            abi.encodeWithSelector(IRounds.ReceiptInvalid.selector, 1, witnesses[1], witnesses[2]);
        _reverts(stranger, _receiptCall(list), invalid);
    }

    function test_ReceiptModel_RevertWhen_AnotherModelWasSigned() public {
        _settle(project, round, 8);
        WitnessSignature[] memory list = _signed(keccak256("another model"));
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        market.receiptModel(project, list);
    }

    function test_ReceiptModel_RevertWhen_ItWasSignedForAnotherProject() public {
        _settle(project, round, 8);
        WitnessSignature[] memory list = _witnessed(_struct(project + 1, model));
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        market.receiptModel(project, list);
    }

    function test_ReceiptModel_WhenAQuorumSigned() public {
        _settle(project, round, 8);
        WitnessSignature[] memory list = _signed(model);
        vm.expectEmit(address(market));
        emit ISettlement.ModelReceipted(project, model);
        vm.prank(stranger);
        market.receiptModel(project, list);
        vm.assertEq(market.progressOf(project).model, model);
        vm.assertEq(market.progressOf(project).pendingModel, 0);
    }

    /// @dev The time only bounds the wait: as long as no round opened without it, the model may still be receipted.
    function test_ReceiptModel_WhenItsTimeHasPassed() public {
        _settle(project, round, 8);
        vm.warp(settledAt + RESCUE + 1 days);
        _works(stranger, _receiptCall(_signed(model)));
        _open(project);
        vm.assertEq(market.roundOf(project, 2).model, model);
    }

    function _none() private view returns (bytes memory) {
        return abi.encodeWithSelector(ISettlement.NoModelPending.selector, project);
    }

    function _struct(uint256 p, bytes32 m) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("ModelReceipt(uint256 project,bytes32 model)"), p, m));
    }

    function _signed(bytes32 m) private view returns (WitnessSignature[] memory) {
        return _witnessed(_struct(project, m));
    }

    function _receiptCall(WitnessSignature[] memory list) private view returns (bytes memory) {
        return abi.encodeCall(market.receiptModel, (project, list));
    }
}
