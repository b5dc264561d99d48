// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {CommitLeaf, Phase, ProjectTerms, Row} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract ProjectsTest is MarketFixture {
    function test_CreateTakesTheDeposit() public {
        uint256 before = token.balanceOf(owner);
        vm.expectEmit(address(market));
        emit IProjects.ProjectCreated(1, owner, address(token), _terms());
        vm.expectEmit(address(market));
        emit IProjects.ProjectFunded(1, owner, 777);
        uint256 project = _create(_terms(), 777);
        vm.assertEq(project, 1);
        vm.assertEq(market.projectCount(), 1);
        vm.assertEq(market.ownerOf(project), owner);
        vm.assertEq(market.ledgerOf(project).free, 777);
        vm.assertEq(market.ledgerOf(project).deposited, 777);
        vm.assertEq(before - token.balanceOf(owner), 777);
        (uint32 round, bytes32 model, bool ended) = market.progressOf(project);
        vm.assertEq(round, 0);
        vm.assertEq(model, _terms().initialModel);
        vm.assertFalse(ended);
    }

    function test_AnyoneMayFund() public {
        uint256 project = _create(_terms(), 0);
        _give(token, stranger, 50);
        vm.prank(stranger);
        market.fund(project, 50);
        vm.assertEq(market.ledgerOf(project).free, 50);
        _equation(project);
    }

    function test_DepositsAddUpToAtMost128Bits() public {
        token.mint(owner, type(uint128).max);
        uint256 project = _create(_terms(), type(uint128).max);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProjects.AmountTooLarge.selector, 1));
        market.fund(project, 1);
    }

    function test_UnknownProject() public {
        bytes memory unknown = abi.encodeWithSelector(IProjects.UnknownProject.selector, 7);
        vm.expectRevert(unknown);
        market.fund(7, 1);
        vm.expectRevert(unknown);
        market.openRound(7);
        vm.expectRevert(unknown);
        market.termsOf(7);
        vm.expectRevert(unknown);
        market.phaseOf(7, 1);
        vm.expectRevert(abi.encodeWithSelector(IProjects.UnknownProject.selector, 0));
        market.join(0);
        vm.expectRevert(unknown);
        market.closeRound(7, 1, new Row[](0));
    }

    function test_OwnerEndsAndIsRefunded() public {
        uint256 project = _create(_terms(), 5_000);
        vm.expectRevert(abi.encodeWithSelector(IProjects.ProjectNotOver.selector, project));
        market.refund(project);
        vm.prank(owner);
        market.endProject(project);
        uint256 before = token.balanceOf(owner);
        vm.prank(stranger);
        market.refund(project);
        vm.assertEq(token.balanceOf(owner) - before, 5_000);
        vm.assertEq(market.ledgerOf(project).refunded, 5_000);
        _equation(project);
        vm.expectRevert(abi.encodeWithSelector(IProjects.NothingToRefund.selector, project));
        market.refund(project);
    }

    function test_NothingStartsInAnEndedProject() public {
        uint256 project = _projectWith(8);
        vm.prank(owner);
        market.endProject(project);
        bytes memory over = abi.encodeWithSelector(IProjects.ProjectIsOver.selector, project);
        vm.expectRevert(over);
        market.openRound(project);
        vm.prank(trainers[9]);
        vm.expectRevert(over);
        market.join(project);
        vm.prank(owner);
        vm.expectRevert(over);
        market.fund(project, 1);
        vm.prank(owner);
        vm.expectRevert(over);
        market.endProject(project);
    }

    function test_EndOnlyBetweenRounds() public {
        uint256 project = _projectWith(8);
        uint32 round = market.openRound(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _cannotEnd(project, round);
        vm.warp(market.roundOf(project, round).revealStart);
        _cannotEnd(project, round);
        _reveal(project, round, batch, 0, 8);
        _cannotEnd(project, round);
        vm.warp(market.roundOf(project, round).settleEnd);
        _assertPhase(project, round, Phase.Defaulted);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundNotClosed.selector, project, round));
        market.endProject(project);
        market.closeRound(project, round, _rows(project, round, 0, 8));
        vm.prank(owner);
        market.endProject(project);
        market.refund(project);
        _equation(project);
        vm.assertEq(market.ledgerOf(project).claimable, BUDGET - FEE - (BUDGET - FEE) % 8);
    }

    function test_EndClosesAnEmptyVoidRound() public {
        uint256 project = _projectWith(8);
        uint32 round = market.openRound(project);
        vm.warp(market.roundOf(project, round).commitEnd);
        vm.prank(owner);
        market.endProject(project);
        vm.assertTrue(market.roundOf(project, round).closed);
        vm.assertEq(market.ledgerOf(project).held, 0);
        vm.assertEq(market.ledgerOf(project).free, 10 * uint256(BUDGET));
    }

    function test_RefundNeverTouchesWhatTrainersEarned() public {
        uint256 project = _projectWith(8);
        _settledRound(project, 8);
        vm.prank(owner);
        market.endProject(project);
        uint256 claimable = market.ledgerOf(project).claimable;
        vm.assertGt(claimable, 0);
        market.refund(project);
        vm.assertEq(market.ledgerOf(project).claimable, claimable);
        vm.assertGe(token.balanceOf(address(market)), claimable + FEE + 8 * STAKE);
    }

    function test_StrangersEndOnlyAnIdleProject() public {
        uint256 project = _projectWith(8);
        bytes memory refused = abi.encodeWithSelector(IProjects.NotOwner.selector, project, stranger, owner);
        vm.warp(START + 30 days);
        vm.prank(stranger);
        vm.expectRevert(refused);
        market.endProject(project);

        uint32 round = market.openRound(project); // starts the 30 days again
        uint256 settleEnd = market.roundOf(project, round).settleEnd;
        vm.warp(settleEnd + 30 days);
        vm.prank(stranger);
        vm.expectRevert(refused);
        market.endProject(project);
        vm.warp(settleEnd + 30 days + 1);
        vm.prank(stranger);
        market.endProject(project);
        (,, bool ended) = market.progressOf(project);
        vm.assertTrue(ended);
    }

    function test_StrangersEndAProjectThatNeverBegan() public {
        uint256 project = _create(_terms(), 100);
        vm.warp(START + 30 days + 1);
        vm.prank(stranger);
        market.endProject(project);
        market.refund(project);
        vm.assertEq(market.ledgerOf(project).refunded, 100);
    }

    function test_PermitAndCreateInOneCall() public {
        uint256 key = 77;
        address holder = vm.addr(key);
        token.mint(holder, 900);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, _permitDigest(holder, 900));
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(market.selfPermit, (address(token), 900, block.timestamp, v, r, s));
        calls[1] = abi.encodeCall(market.createProject, (_terms(), 900));

        // Somebody uses the permit first: the call must work all the same.
        token.permit(holder, address(market), 900, block.timestamp, v, r, s);
        vm.prank(holder);
        Multicall(address(market)).multicall(calls);
        vm.assertEq(market.ownerOf(1), holder);
        vm.assertEq(market.ledgerOf(1).free, 900);
    }

    function test_MulticallReachesBothHalves() public {
        uint256 project = _projectWith(8);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(market.fund, (project, 5));
        calls[1] = abi.encodeCall(market.openRound, (project));
        vm.prank(owner);
        bytes[] memory results = Multicall(address(market)).multicall(calls);
        vm.assertEq(abi.decode(results[1], (uint32)), 1);
        _assertPhase(project, 1, Phase.Commit);
    }

    function test_TakesNoNativeCurrency() public {
        (bool ok,) = address(market).call{value: 1}("");
        vm.assertFalse(ok, "plain transfer");
        (ok,) = address(market).call{value: 1}(abi.encodeCall(market.projectCount, ()));
        vm.assertFalse(ok, "first half");
        (ok,) = address(market).call{value: 1}(abi.encodeCall(market.phaseOf, (1, 1)));
        vm.assertFalse(ok, "second half");
        (ok,) = address(market).call(hex"12345678");
        vm.assertFalse(ok, "unknown function");
    }

    function _cannotEnd(uint256 project, uint32 round) private {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProjects.RoundStillRunning.selector, project, round));
        market.endProject(project);
    }

    function _permitDigest(address holder, uint256 value) private view returns (bytes32) {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                holder,
                address(market),
                value,
                0,
                block.timestamp
            )
        );
        return _digest("Cohort Test Token", address(token), struct_);
    }
}
