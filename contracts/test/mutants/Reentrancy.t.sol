// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Admission, Cid, NextModel, ProjectTerms, Receipt, WitnessSignature} from "../../src/types/Types.sol";
import {ReentrantToken} from "../support/HostileTokens.sol";
import {MarketCalls} from "../support/MarketCalls.sol";
import {ClaimItem, CommitLeaf, CommitSignature, Opening, Row} from "../support/Packed.sol";

/// @notice One lock for the whole market: a token that calls back in the middle of any transfer meets it in every function that
/// writes, whatever part of the market's code that function is in.
contract ReentrancyTest is MarketCalls {
    ReentrantToken private hostile;
    uint256 private project;

    function setUp() public override {
        super.setUp();
        hostile = new ReentrantToken();
        _give(hostile, owner, 10 * uint256(BUDGET));
        _give(hostile, aggregator, 10 * uint256(BOND));
        _give(hostile, trainers[0], 10 * uint256(STAKE));
        ProjectTerms memory terms = _terms();
        terms.token = address(hostile);
        project = _create(terms, BUDGET);
    }

    function test_EveryFunctionThatWritesIsLockedDuringADeposit() public {
        bytes[] memory calls = _calls();
        for (uint256 i; i < calls.length; ++i) {
            _arm(calls[i]);
            vm.prank(owner);
            market.fund(project, 1);
            _assertTurnedAway();
        }
    }

    function test_FundIsLockedDuringAnyOtherTransfer() public {
        bytes memory fund = abi.encodeCall(market.fund, (project, 1));
        _arm(fund);
        vm.prank(aggregator);
        market.depositBond(project, 1);
        _assertTurnedAway();
        _arm(fund);
        vm.prank(aggregator);
        market.withdrawBond(project, 1);
        _assertTurnedAway();
        _arm(fund);
        vm.prank(trainers[0]);
        market.join(project, new bytes32[](0), new uint256[](0));
        _assertTurnedAway();
    }

    function _arm(bytes memory call) private {
        hostile.arm(address(market), call);
    }

    function _assertTurnedAway() private view {
        vm.assertFalse(hostile.succeeded());
        vm.assertEq(
            bytes32(bytes4(hostile.answer())),
            bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
            "turned away by the lock"
        );
    }

    function _calls() private view returns (bytes[] memory calls) {
        calls = new bytes[](27);
        CommitLeaf[] memory leaves;
        Opening[] memory openings;
        Row[] memory rows;
        ClaimItem[] memory items;
        WitnessSignature[] memory signatures;
        calls[0] = abi.encodeCall(market.createProject, (_terms(), 0));
        calls[1] = abi.encodeCall(market.fund, (project, 1));
        calls[2] = abi.encodeCall(market.endProject, (project));
        calls[3] = abi.encodeCall(market.refund, (project));
        calls[4] = abi.encodeCall(market.collectProtocolFees, (project));
        calls[5] = abi.encodeCall(market.join, (project, new bytes32[](0), new uint256[](0)));
        calls[6] = abi.encodeCall(market.stakeFor, (project, stranger));
        calls[7] = abi.encodeCall(market.leave, (project));
        calls[8] = abi.encodeCall(market.withdrawStake, (project, trainers[0]));
        calls[9] = abi.encodeCall(market.depositBond, (project, 1));
        calls[10] = abi.encodeCall(market.withdrawBond, (project, 1));
        calls[11] = abi.encodeCall(market.accept, (project, 1));
        calls[12] = abi.encodeCall(market.withdrawAcceptance, (project, 1));
        calls[13] = abi.encodeCall(market.openRound, (project));
        calls[14] = _encodeCommitBatch(project, 1, leaves, new CommitSignature[](0));
        calls[15] = _encodeCommitSelf(project, 1, 1, keccak256("c"), leaves);
        calls[16] = _encodeReveal(project, 1, leaves, openings, new Receipt[](0));
        calls[17] = _encodeRescue(project, 1, leaves, openings);
        calls[18] = _encodeSlash(project, 1, 1, leaves);
        calls[19] = abi.encodeCall(market.revealValidation, (project, 1, keccak256("v"), new bytes32[](0)));
        calls[20] = abi.encodeCall(market.postPublicRows, (project, 1, keccak256("r"), signatures));
        NextModel memory next;
        Cid memory bundle;
        calls[21] = abi.encodeCall(market.settle, (project, 1, new Admission[](0), "", next, bundle, ""));
        calls[22] = _encodeClose(project, 1, rows);
        calls[23] = abi.encodeCall(market.receiptModel, (project, signatures));
        calls[24] = _encodeClaim(project, 1, items);
        calls[25] = _encodeClaimTo(project, 1, items, stranger, 0, "");
        calls[26] = abi.encodeCall(market.selfPermit, (address(hostile), 1, 0, 0, 0, 0));
    }
}
