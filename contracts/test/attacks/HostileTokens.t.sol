// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {TestToken} from "../../src/devnet/TestToken.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {ClaimItem, CommitLeaf, CommitSignature, Phase, ProjectTerms, Reveal, Receipt, Row} from "../../src/types/Types.sol";
import {
    BlockingToken,
    FalseToken,
    FeeToken,
    LyingToken,
    ReentrantToken,
    SilentToken
} from "../support/HostileTokens.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract HostileTokensTest is MarketFixture {
    uint256 internal constant D = uint256(BUDGET) - FEE;

    function test_FeeOnTransferIsRefused() public {
        FeeToken bad = new FeeToken();
        _give(bad, owner, 1_000_000);
        _give(bad, trainers[0], 1_000_000);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProjects.DepositNotExact.selector, 1_000, 990));
        market.createProject(_termsIn(address(bad)), 1_000);
        uint256 project = _create(_termsIn(address(bad)), 0);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProjects.DepositNotExact.selector, 1_000, 990));
        market.fund(project, 1_000);
        vm.prank(trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IProjects.DepositNotExact.selector, STAKE, STAKE - STAKE / 100));
        market.join(project);
    }

    function test_FalseIsARevert() public {
        FalseToken bad = new FalseToken();
        _give(bad, owner, 1_000);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(bad)));
        market.createProject(_termsIn(address(bad)), 1_000);
    }

    function test_TrueWithoutTransferIsRefused() public {
        LyingToken bad = new LyingToken();
        _give(bad, owner, 1_000);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProjects.DepositNotExact.selector, 1_000, 0));
        market.createProject(_termsIn(address(bad)), 1_000);
    }

    function test_TokensWithoutReturnValueWork() public {
        SilentToken silent = new SilentToken();
        silent.mint(owner, 10 * uint256(BUDGET));
        for (uint256 i; i < 8; ++i) silent.mint(trainers[i], STAKE);
        uint256 project = _create(_termsIn(address(silent)), 10 * uint256(BUDGET));
        _join(project, 0, 8);
        uint32 round = _settledRound(project, 8);
        _claim(project, round, 0);
        vm.assertEq(silent.balanceOf(trainers[0]), D / 8);
    }

    /// @dev A token that blocks a trainer keeps that trainer's money back, nobody else's, and stops no settlement. One
    /// that blocks the burn address stops nothing, since burned tokens stay where they are.
    function test_BlockingTokenHarmsOnlyWhomItBlocks() public {
        BlockingToken bad = new BlockingToken();
        uint256 project = _fundedProject(bad);
        bad.setBlocked(address(0xdEaD), true);
        bad.setBlocked(address(0), true);
        bad.setBlocked(trainers[0], true);
        bad.setBlocked(aggregator, true);
        uint32 round = _toSettle(project, 8);
        _send(project, round, _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE / 32)));
        uint256 pay = D / 16; // the scores add up to half the floor: half is burned
        vm.assertEq(market.ledgerOf(project).burned, D - 8 * pay);
        ClaimItem[] memory items = new ClaimItem[](1);
        Row[] memory rows = _rows(project, round, 0, 8);
        items[0] = _claimItem(project, round, rows, _equalPays(8, pay), 0);
        vm.expectRevert("blocked");
        market.claim(project, trainers[0], items);
        items[0] = _claimItem(project, round, rows, _equalPays(8, pay), 1);
        market.claim(project, trainers[1], items);
        bad.setBlocked(trainers[0], false);
        items[0] = _claimItem(project, round, rows, _equalPays(8, pay), 0);
        market.claim(project, trainers[0], items); // claims never expire
    }

    /// @dev Whatever a token calls back in the middle of a transfer, the market refuses it.
    function test_ReentrantCallsAreRefused() public {
        ReentrantToken bad = new ReentrantToken();
        uint256 project = _fundedProject(bad);
        uint32 round = _settledRound(project, 8);
        ClaimItem[] memory items = new ClaimItem[](1);
        items[0] = _claimItem(project, round, _rows(project, round, 0, 8), _equalPays(8, D / 8), 0);

        bytes[12] memory calls = [
            abi.encodeCall(market.claim, (project, trainers[0], items)),
            abi.encodeCall(market.fund, (project, 1)),
            abi.encodeCall(market.createProject, (_termsIn(address(bad)), 0)),
            abi.encodeCall(market.endProject, (project)),
            abi.encodeCall(market.refund, (project)),
            abi.encodeCall(market.join, (project)),
            abi.encodeCall(market.leave, (project)),
            abi.encodeCall(market.withdrawStake, (project, trainers[0])),
            abi.encodeCall(market.withdrawFees, (address(bad))),
            abi.encodeCall(market.openRound, (project)),
            abi.encodeCall(market.advance, (project, round)),
            abi.encodeCall(market.closeRound, (project, round, new Row[](0)))
        ];
        for (uint256 i; i < calls.length; ++i) _reenter(bad, project, items, calls[i]);

        bytes[] memory inner = new bytes[](1);
        inner[0] = calls[0];
        _reenter(bad, project, items, abi.encodeWithSignature("multicall(bytes[])", inner));
        _reenter(bad, project, items, abi.encodeCall(market.commitSelf, (project, round, bytes32("x"))));
        _reenter(
            bad,
            project,
            items,
            abi.encodeCall(market.commitBatch, (project, round, new CommitLeaf[](0), new CommitSignature[](0)))
        );
        _reenter(
            bad,
            project,
            items,
            abi.encodeCall(
                market.reveal, (project, round, new CommitLeaf[](0), new Reveal[](0), new Receipt[](0))
            )
        );
    }

    /// @dev A balance that shrinks by itself hurts the projects in that token only.
    function test_RebasingLossStaysInItsToken() public {
        TestToken other = new TestToken();
        uint256 shrinking = _fundedProject(other);
        uint256 sound = _projectWith(8);
        uint32 round = _settledRound(sound, 8);
        uint256 all = other.balanceOf(address(market));
        vm.prank(address(market));
        other.transfer(address(0xdead), all); // as a rebase would
        uint256 before = token.balanceOf(trainers[0]);
        _claim(sound, round, 0);
        vm.assertEq(token.balanceOf(trainers[0]) - before, D / 8);
        vm.prank(owner);
        market.endProject(sound);
        market.refund(sound);
        vm.prank(owner);
        market.endProject(shrinking);
        vm.expectRevert();
        market.refund(shrinking);
        _equation(sound);
    }

    /// @dev A verifier without a return value or with a bad mind reverts only settlements of its own project.
    function test_HostileVerifierHarmsOnlyItsProject() public {
        ProjectTerms memory terms = _terms();
        terms.verifier = address(this); // has code, but no `verify`
        uint256 project = _create(terms, BUDGET);
        _join(project, 0, 8);
        uint32 round = _toSettle(project, 8);
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        vm.prank(aggregator);
        vm.expectRevert();
        market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
        vm.warp(market.roundOf(project, round).settleEnd);
        market.closeRound(project, round, s.rows);
        _assertPhase(project, round, Phase.Defaulted);
        _settledRound(_projectWith(8), 8);
    }

    function _termsIn(address money) private view returns (ProjectTerms memory terms) {
        terms = _terms();
        terms.token = money;
    }

    function _fundedProject(TestToken money) private returns (uint256 project) {
        _give(money, owner, 10 * uint256(BUDGET));
        for (uint256 i; i < 8; ++i) _give(money, trainers[i], STAKE);
        project = _create(_termsIn(address(money)), 10 * uint256(BUDGET));
        _join(project, 0, 8);
    }

    function _claim(uint256 project, uint32 round, uint256 i) private {
        ClaimItem[] memory items = new ClaimItem[](1);
        items[0] = _claimItem(project, round, _rows(project, round, 0, 8), _equalPays(8, D / 8), i);
        market.claim(project, trainers[i], items);
    }

    function _reenter(ReentrantToken bad, uint256 project, ClaimItem[] memory items, bytes memory inner) private {
        uint256 before = vm.snapshotState();
        bad.arm(address(market), inner);
        market.claim(project, trainers[0], items);
        vm.assertFalse(bad.succeeded());
        vm.assertEq(
            bad.answer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        vm.assertEq(bad.balanceOf(trainers[0]), D / 8, "paid once");
        vm.revertToState(before);
    }
}
