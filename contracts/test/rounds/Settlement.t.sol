// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IStanding} from "../../src/interfaces/IStanding.sol";
import {CommitLeaf, Outcome, Phase, ProjectTerms, Row} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract SettlementTest is MarketFixture {
    uint256 internal constant D = uint256(BUDGET) - FEE;

    uint256 internal project;
    uint32 internal round;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _toSettle(project, 8);
    }

    function test_EqualScoresShareEverything() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        for (uint8 i; i < 8; ++i) {
            vm.expectEmit(address(market));
            emit IRounds.RowPaid(project, round, trainers[i], i, ONE, 0, D / 8);
            vm.expectEmit(address(market));
            emit IStanding.StandingChanged(trainers[i], project, round, 500, 1_250);
        }
        _send(project, round, s);
        IProjects.Ledger memory l = market.ledgerOf(project);
        vm.assertEq(l.claimable, D);
        vm.assertEq(l.held, 0);
        vm.assertEq(l.fees, FEE);
        vm.assertEq(l.burned, 0);
        vm.assertEq(l.free, 9 * uint256(BUDGET));
        vm.assertEq(market.feesOf(address(token), aggregator), FEE);
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.assertEq(uint256(r.phase), uint256(Phase.Final));
        vm.assertTrue(r.closed);
        (, bytes32 model,) = market.progressOf(project);
        vm.assertEq(model, s.next.commitment);
        _equation(project);
    }

    function test_TheEventSaysEverything() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        uint256[] memory pays = _equalPays(8, D / 8);
        bytes32[] memory level = _payoutLeaves(project, round, s.rows, pays);
        bytes32 root = _pair(
            _pair(_pair(level[0], level[1]), _pair(level[2], level[3])),
            _pair(_pair(level[4], level[5]), _pair(level[6], level[7]))
        );
        vm.expectEmit(address(market));
        emit IRounds.RoundSettled(
            project, round, aggregator, root, s.next.commitment, s.next.cid, s.bundleCid, D, FEE, 0
        );
        _send(project, round, s);
        vm.assertEq(market.roundOf(project, round).payoutRoot, root);
    }

    function test_PayFollowsScores() public {
        Outcome[] memory o = _outcomes(8, 0);
        o[0].score = 3 * ONE;
        o[1].score = ONE;
        o[2] = Outcome(0, 7); // rejected
        _send(project, round, _settlement(project, round, _rows(project, round, 0, 8), o));
        // The share cap is 4/8: the first gets half instead of three quarters, and what is cut off is burned.
        vm.assertEq(market.ledgerOf(project).claimable, D / 2 + D / 4);
        vm.assertEq(market.ledgerOf(project).burned, D - D / 2 - D / 4);
        vm.assertEq(market.ledgerOf(project).free, 9 * uint256(BUDGET));
        vm.assertEq(market.standingOf(trainers[0]).reliability, 500);
        vm.assertEq(market.standingOf(trainers[0]).usefulness, 5_000);
        vm.assertEq(market.standingOf(trainers[1]).reliability, 500);
        vm.assertEq(market.standingOf(trainers[2]).rejections, 1);
        vm.assertEq(market.standingOf(trainers[3]).reliability, 0, "no share, no gain");
        vm.assertEq(market.standingOf(trainers[3]).rounds, 1);
    }

    function test_AllRejectedBurnsEverything() public {
        Outcome[] memory o = new Outcome[](8);
        for (uint256 i; i < 8; ++i) o[i].reason = 1;
        _send(project, round, _settlement(project, round, _rows(project, round, 0, 8), o));
        vm.assertEq(market.ledgerOf(project).burned, D);
        vm.assertEq(market.ledgerOf(project).claimable, 0);
        vm.assertEq(market.ledgerOf(project).free, 9 * uint256(BUDGET), "nothing comes back to the owner");
        _equation(project);
    }

    function test_DustGoesBackAndMoreIsBurned() public {
        Outcome[] memory o = _outcomes(8, 0);
        for (uint256 i; i < 7; ++i) o[i].score = ONE; // D / 7 leaves a remainder below 7
        _send(project, round, _settlement(project, round, _rows(project, round, 0, 8), o));
        uint256 dust = D % 7;
        vm.assertGt(dust, 0);
        vm.assertEq(market.ledgerOf(project).free, 9 * uint256(BUDGET) + dust);
        vm.assertEq(market.ledgerOf(project).burned, 0);
    }

    function test_DustScoresPayInProportion() public {
        _send(project, round, _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE / 32)));
        vm.assertEq(market.ledgerOf(project).claimable, 8 * (D / 16)); // the floor is ONE / 2
        vm.assertEq(market.ledgerOf(project).burned, D - 8 * (D / 16));
        _equation(project);
    }

    function test_OnlyAggregatorsSettle() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IRounds.NotAggregator.selector, project, stranger));
        market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
    }

    function test_SettleOnce() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        _send(project, round, s);
        vm.prank(aggregator);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.WrongPhase.selector, project, round, Phase.Final, Phase.Settle)
        );
        market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
        vm.warp(block.timestamp + 365 days);
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundAlreadyClosed.selector, project, round));
        market.closeRound(project, round, s.rows);
    }

    function test_WrongRows() public {
        Row[] memory rows = _rows(project, round, 0, 8);
        (rows[0], rows[1]) = (rows[1], rows[0]);
        _rowsRefused(rows);
        _rowsRefused(_rows(project, round, 0, 7)); // one dropped
        rows = _rows(project, round, 0, 9); // one invented
        _rowsRefused(rows);
        rows = _rows(project, round, 0, 8);
        rows[3].update = keccak256("other");
        _rowsRefused(rows);
        rows = _rows(project, round, 0, 8);
        rows[3].trainer = stranger;
        _rowsRefused(rows);
    }

    function test_OneOutcomePerRow() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(7, ONE));
        _refused(s, abi.encodeWithSelector(IRounds.OutcomesMismatch.selector, 7, 8));
    }

    function test_RejectedRowsScoreNothing() public {
        Outcome[] memory o = _outcomes(8, ONE);
        o[5].reason = 2;
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), o);
        _refused(s, abi.encodeWithSelector(IRounds.RejectedRowHasScore.selector, 5, ONE));
    }

    function test_CidsMustBeCids() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        bytes memory good = s.next.cid;
        s.next.cid = hex"0155";
        _refused(s, abi.encodeWithSelector(IRounds.CidInvalid.selector, hex"0155"));
        s.next.cid = good;
        s.bundleCid = "";
        _refused(s, abi.encodeWithSelector(IRounds.CidInvalid.selector, ""));
    }

    /// @dev Whatever is changed after the witnesses signed, the settlement reverts.
    function test_EveryFieldIsSigned() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        s.outcomes[0].score += 1;
        _evidenceRefused(s);
        s.outcomes[0].score -= 1;
        s.outcomes[0] = Outcome(0, 1);
        _evidenceRefused(s);
        s.outcomes[0] = Outcome(ONE, 0);
        s.next.commitment = keccak256("another model");
        _evidenceRefused(s);
        s.next.commitment = keccak256(abi.encode("model", project, round));
        s.next.cid = _cid(keccak256("another place"));
        _evidenceRefused(s);
        s.next.cid = _cid(s.next.commitment);
        s.bundleCid = _cid(keccak256("another bundle"));
        _evidenceRefused(s);
        s.bundleCid = _cid(keccak256(abi.encode("bundle", project, round)));
        _send(project, round, s);
    }

    function test_BelowTheQuorum() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        s.evidence = _evidence(project, round, s, 0, 1);
        _refused(s, abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 1, 2));
        s.evidence = _evidence(project, round, s, 1, 2);
        _send(project, round, s);
    }

    function test_DefaultedPaysEveryRowTheSame() public {
        vm.warp(market.roundOf(project, round).settleEnd);
        Row[] memory rows = _rows(project, round, 0, 8);
        vm.prank(stranger);
        market.closeRound(project, round, rows);
        IProjects.Ledger memory l = market.ledgerOf(project);
        vm.assertEq(l.claimable, 8 * (D / 8));
        vm.assertEq(l.burned, FEE, "the fee that nobody earned");
        vm.assertEq(l.fees, 0);
        vm.assertEq(market.standingOf(trainers[0]).rounds, 0, "says nothing about anybody's work");
        (, bytes32 model,) = market.progressOf(project);
        vm.assertEq(model, _terms().initialModel);
        _equation(project);
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundAlreadyClosed.selector, project, round));
        market.closeRound(project, round, rows);
        _assertPhase(project, round, Phase.Defaulted);
    }

    function test_ClosingNeedsTheRightRows() public {
        vm.warp(market.roundOf(project, round).settleEnd);
        vm.expectPartialRevert(IRounds.RowsMismatch.selector);
        market.closeRound(project, round, _rows(project, round, 0, 7));
        vm.expectPartialRevert(IRounds.RowsMismatch.selector);
        market.closeRound(project, round, new Row[](0));
    }

    function test_NoRoundCanBeClosedBeforeItIsOpened() public {
        vm.expectRevert(abi.encodeWithSelector(IProjects.RoundStillRunning.selector, project, round + 1));
        market.closeRound(project, round + 1, new Row[](0));
    }

    function test_VoidPaysAFullSlotToWhoRevealed() public {
        _settle(project, round, 8);
        uint32 second = market.openRound(project);
        CommitLeaf[] memory batch = _commit(project, second, 0, 8);
        vm.warp(market.roundOf(project, second).revealStart);
        _reveal(project, second, batch, 0, 2);
        vm.warp(market.roundOf(project, second).revealEnd);
        IProjects.Ledger memory before = market.ledgerOf(project);
        Row[] memory rows = _rows(project, second, 0, 2);
        market.closeRound(project, second, rows);
        IProjects.Ledger memory l = market.ledgerOf(project);
        vm.assertEq(l.claimable - before.claimable, 2 * (D / 8));
        vm.assertEq(l.free - before.free, BUDGET - 2 * (D / 8));
        vm.assertEq(l.burned, before.burned);
        _equation(project);
        _assertPhase(project, second, Phase.Void);
        vm.assertEq(market.openRound(project), 3);
    }

    /// @dev No scores and no parameters let a round pay more than D, or a wei get lost.
    function testFuzz_NeverMoreThanTheBudget(uint64[8] memory scores, uint8 rejected, uint8 cap, uint128 budget) public {
        ProjectTerms memory terms = _terms();
        terms.shareCap = uint8(_bound(cap, 1, 255));
        terms.roundBudget = uint128(_bound(budget, uint256(FEE) + 8, type(uint128).max / 4));
        token.mint(owner, terms.roundBudget);
        project = _create(terms, terms.roundBudget);
        _join(project, 0, 8);
        round = _toSettle(project, 8);
        Outcome[] memory o = new Outcome[](8);
        for (uint256 i; i < 8; ++i) o[i] = rejected >> i & 1 == 1 ? Outcome(0, 1) : Outcome(scores[i], 0);
        _send(project, round, _settlement(project, round, _rows(project, round, 0, 8), o));
        IProjects.Ledger memory l = market.ledgerOf(project);
        vm.assertLe(l.claimable, terms.roundBudget - FEE);
        vm.assertLt(l.free, 8, "only dust comes back");
        vm.assertEq(l.held, 0);
        vm.assertEq(l.fees, FEE);
        _equation(project);
    }

    function _rowsRefused(Row[] memory rows) private {
        Settlement memory s = _settlement(project, round, rows, _outcomes(rows.length, ONE));
        vm.prank(aggregator);
        vm.expectPartialRevert(IRounds.RowsMismatch.selector);
        market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
    }

    function _evidenceRefused(Settlement memory s) private {
        vm.prank(aggregator);
        vm.expectPartialRevert(AttestedVerifier.AttestationInvalid.selector);
        market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
    }

    function _refused(Settlement memory s, bytes memory error_) private {
        vm.prank(aggregator);
        vm.expectRevert(error_);
        market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
    }
}
