// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {TestToken} from "../../src/devnet/TestToken.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {NextModel, ProjectTerms, Receipt, WitnessSignature} from "../../src/types/Types.sol";
import {
    BlockingToken,
    FalseToken,
    FeeToken,
    LyingToken,
    ReentrantToken,
    SilentToken
} from "../support/HostileTokens.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {ClaimItem, CommitSignature, Opening, Row} from "../support/Packed.sol";

contract HostileTokensTest is MarketScene {
    function test_FeeOnTransfer_WhenAnythingIsDeposited() public {
        FeeToken bad = new FeeToken();
        _give(bad, owner, 10 * uint256(BUDGET));
        _give(bad, trainers[0], 2 * uint256(STAKE));
        _give(bad, aggregator, 2 * uint256(BOND));
        ProjectTerms memory t = _termsIn(address(bad));
        bytes memory call = abi.encodeCall(market.createProject, (t, 1_000));
        _reverts(owner, call, abi.encodeWithSelector(IProjects.DepositNotExact.selector, 1_000, 990));
        vm.prank(owner);
        project = market.createProject(t, 0);
        bytes memory short = abi.encodeWithSelector(IProjects.DepositNotExact.selector, 1_000, 990);
        _reverts(owner, abi.encodeCall(market.fund, (project, 1_000)), short);
        _reverts(aggregator, abi.encodeCall(market.depositBond, (project, 1_000)), short);
        short = abi.encodeWithSelector(IProjects.DepositNotExact.selector, STAKE, STAKE - STAKE / 100);
        call = abi.encodeCall(market.join, (project, new bytes32[](0), new uint256[](0)));
        _reverts(trainers[0], call, short);
        _reverts(trainers[0], abi.encodeCall(market.stakeFor, (project, trainers[0])), short);
    }

    function test_FalseReturn_WhenAnythingIsDeposited() public {
        FalseToken bad = new FalseToken();
        _give(bad, owner, 1_000);
        bytes memory failed = abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(bad));
        _reverts(owner, abi.encodeCall(market.createProject, (_termsIn(address(bad)), 1_000)), failed);
    }

    function test_TrueWithoutTransfer_WhenAnythingIsDeposited() public {
        LyingToken bad = new LyingToken();
        _give(bad, owner, 1_000);
        bytes memory none = abi.encodeWithSelector(IProjects.DepositNotExact.selector, 1_000, 0);
        _reverts(owner, abi.encodeCall(market.createProject, (_termsIn(address(bad)), 1_000)), none);
    }

    function test_NoReturnValue_WhenARoundRuns() public {
        SilentToken silent = new SilentToken();
        silent.mint(owner, 10 * uint256(BUDGET));
        silent.mint(aggregator, BOND);
        for (uint256 i; i < 8; ++i) silent.mint(trainers[i], STAKE);
        project = _create(_termsIn(address(silent)), 10 * uint256(BUDGET));
        _join(project, 0, 8);
        round = _settledRound(project, 8);
        _claimWith(project, 1, _one(_itemOf(round, 8, D / 8, 0)));
        vm.assertEq(silent.balanceOf(trainers[0]), D / 8);
    }

    /// @dev A token that blocks somebody keeps that one's money back, nobody else's, and stops no settlement and no slash.
    function test_Blocking_WhenATrainerIsBlocked() public {
        BlockingToken bad = new BlockingToken();
        _funded(bad);
        bad.setBlocked(address(0xdEaD), true);
        bad.setBlocked(trainers[0], true);
        bad.setBlocked(aggregator, true);
        bad.setBlocked(treasury, true);
        bad.setBlocked(owner, true);
        round = _settledRound(project, 8);
        bytes memory blocked = abi.encodeWithSignature("Error(string)", "blocked");
        bytes memory call = _encodeClaim(project, 1, _one(_itemOf(round, 8, D / 8, 0)));
        _reverts(stranger, call, blocked);
        _works(stranger, _encodeClaim(project, 2, _one(_itemOf(round, 8, D / 8, 1))));
        bad.setBlocked(trainers[0], false);
        _works(stranger, call); // claims never expire
    }

    /// @dev A balance that shrinks by itself hurts the projects in that token only.
    function test_Rebasing_WhenTheBalanceShrinks() public {
        TestToken other = new TestToken();
        _funded(other);
        uint256 shrinking = project;
        project = _projectWith(8);
        round = _settledRound(project, 8);
        uint256 all = other.balanceOf(address(market));
        vm.prank(address(market));
        other.transfer(address(0xdead), all); // as a rebase would
        uint256 before = token.balanceOf(trainers[0]);
        _claimWith(project, 1, _one(_itemOf(round, 8, D / 8, 0)));
        vm.assertEq(token.balanceOf(trainers[0]) - before, D / 8);
        _end();
        market.refund(project);
        vm.prank(owner);
        market.endProject(shrinking);
        vm.assertFalse(_wouldWork(stranger, abi.encodeCall(market.refund, (shrinking))));
    }

    /// @dev Whatever a token calls back in the middle of a transfer, the market refuses it.
    function test_Reentrant_WhenItCallsAnyFunction() public {
        ReentrantToken bad = new ReentrantToken();
        _funded(bad);
        round = _settledRound(project, 8);
        ClaimItem[] memory items = _one(_itemOf(round, 8, D / 8, 0));
        bytes[] memory calls = _everyGuardedCall(address(bad), items);
        for (uint256 i; i < calls.length; ++i) _reenter(bad, items, calls[i]);
        bytes[] memory inner = new bytes[](1);
        inner[0] = calls[0];
        _reenter(bad, items, abi.encodeCall(market.multicall, (inner)));
    }

    function _everyGuardedCall(address bad, ClaimItem[] memory items) private view returns (bytes[] memory calls) {
        uint256 p = project;
        Settlement memory s;
        NextModel memory next;
        calls = new bytes[](24);
        calls[0] = _encodeClaim(p, 1, items);
        calls[1] = _encodeClaimTo(p, 1, items, stranger, 0, "");
        calls[2] = abi.encodeCall(market.fund, (p, 1));
        calls[3] = abi.encodeCall(market.createProject, (_termsIn(bad), 0));
        calls[4] = abi.encodeCall(market.endProject, (p));
        calls[5] = abi.encodeCall(market.refund, (p));
        calls[6] = abi.encodeCall(market.collectProtocolFees, (p));
        calls[7] = abi.encodeCall(market.join, (p, new bytes32[](0), new uint256[](0)));
        calls[8] = abi.encodeCall(market.stakeFor, (p, stranger));
        calls[9] = abi.encodeCall(market.leave, (p));
        calls[10] = abi.encodeCall(market.withdrawStake, (p, trainers[0]));
        calls[11] = abi.encodeCall(market.depositBond, (p, 1));
        calls[12] = abi.encodeCall(market.withdrawBond, (p, 1));
        calls[13] = abi.encodeCall(market.accept, (p, 2));
        calls[14] = abi.encodeCall(market.withdrawAcceptance, (p, 2));
        calls[15] = abi.encodeCall(market.openRound, (p));
        calls[16] = _encodeCommitBatch(p, 1, _noLeaves(), new CommitSignature[](0));
        calls[17] = _encodeCommitSelf(p, 1, 1, "x", _noLeaves());
        calls[18] = _encodeReveal(p, 1, _noLeaves(), new Opening[](0), new Receipt[](0));
        calls[19] = _encodeRescue(p, 1, _noLeaves(), new Opening[](0));
        calls[20] = _encodeSlash(p, 1, 1, _noLeaves());
        calls[21] = _encodeClose(p, 1, new Row[](0));
        calls[22] = abi.encodeCall(market.settle, (p, 1, s.admissions, "", next, s.bundle, ""));
        calls[23] = abi.encodeCall(market.receiptModel, (p, new WitnessSignature[](0)));
    }

    function _reenter(ReentrantToken bad, ClaimItem[] memory items, bytes memory inner) private {
        uint256 before = vm.snapshotState();
        bad.arm(address(market), inner);
        _claimWith(project, 1, items);
        vm.assertFalse(bad.succeeded());
        bytes memory guarded =
            abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.assertEq(bad.answer(), guarded);
        vm.assertEq(bad.balanceOf(trainers[0]), D / 8, "paid once");
        vm.revertToState(before);
    }

    function _termsIn(address money) private view returns (ProjectTerms memory terms) {
        terms = _terms();
        terms.token = money;
    }

    function _funded(TestToken money) private {
        _give(money, owner, 10 * uint256(BUDGET));
        _give(money, aggregator, BOND);
        for (uint256 i; i < 8; ++i) _give(money, trainers[i], STAKE);
        project = _create(_termsIn(address(money)), 10 * uint256(BUDGET));
        _join(project, 0, 8);
    }
}
