// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRoundPolicy} from "../../src/interfaces/IRoundPolicy.sol";
import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {IStanding} from "../../src/interfaces/IStanding.sol";
import {Admission, Phase, ProjectTerms} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Packed, Row} from "../support/Packed.sol";

contract SettlementTest is MarketScene {
    uint256 private constant CREDIT_RECORD = 1_000 | 1_250 << 24 | 1 << 40 | 1 << 63; // after one equal share

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _toSettle(project, 8);
    }

    // ---- who, when, which rows

    function test_Settle_RevertWhen_TheProjectIsUnknown() public {
        Settlement memory s = _equalSettlement(8);
        bytes memory call =
            _encodeSettle(9, 1, s);
        _reverts(aggregator, call, _unknown(9));
    }

    function test_Settle_RevertWhen_ItIsNotTheNewestRound() public {
        Settlement memory s = _equalSettlement(8);
        bytes memory call = _encodeSettle(project, 2, s);
        _reverts(aggregator, call, _notNewest(2));
    }

    function test_Settle_RevertWhen_TheRoundIsSettled() public {
        bytes memory call = _settleCall(_equalSettlement(8));
        _works(aggregator, call);
        _reverts(aggregator, call, _wrong(Phase.Final, Phase.Settle));
    }

    function test_Settle_RevertWhen_TheCallerDidNotAccept() public {
        bytes memory call = _settleCall(_equalSettlement(8));
        uint256 until = _view().acceptorEnd;
        address[3] memory others = [rival, stranger, owner];
        for (uint256 i; i < 3; ++i) {
            bytes memory error_ = abi.encodeWithSelector(
                ISettlement.NotYours.selector, project, round, others[i], aggregator, until
            );
            _reverts(others[i], call, error_);
        }
    }

    function test_Settle_RevertWhen_RowsAreNotTheAdmittedOnes() public {
        Row[] memory rows = _rows(project, round, 0, 8);
        (rows[0], rows[1]) = (rows[1], rows[0]);
        _rowsRefused(rows);
        _rowsRefused(_rows(project, round, 0, 7)); // one dropped
        _rowsRefused(new Row[](0));
        rows = new Row[](9); // one invented
        for (uint256 i; i < 9; ++i) rows[i] = _rows(project, round, i % 8, i % 8 + 1)[0];
        _rowsRefused(rows);
        rows = _rows(project, round, 0, 8);
        rows[3].update = keccak256("other");
        _rowsRefused(rows);
        rows = _rows(project, round, 0, 8);
        rows[3].cid.codec = 0x70;
        _rowsRefused(rows);
        rows = _rows(project, round, 0, 8);
        rows[3].cid.digest = keccak256("elsewhere");
        _rowsRefused(rows);
        rows = _rows(project, round, 0, 8);
        rows[3].member = 9;
        _rowsRefused(rows);
    }

    // ---- outcomes

    function test_Settle_RevertWhen_OutcomesAreNotOnePerRow() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(7, ONE));
        _refused(s, abi.encodeWithSelector(IRoundPolicy.InputMalformed.selector, 288, 320));
        s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(9, ONE));
        _refused(s, abi.encodeWithSelector(IRoundPolicy.InputMalformed.selector, 352, 320));
    }

    function test_Settle_RevertWhen_AnOutcomeHasMoreThan72Bits() public {
        Settlement memory s = _equalSettlement(8);
        s.outcomes[4] = 1 << 72;
        _resign(s);
        _refused(s, abi.encodeWithSelector(ISettlement.OutcomeTooLarge.selector, 4, 1 << 72));
        s.outcomes[4] = (1 << 72) - 256; // the largest score
        s.evidence = _evidence(project, round, s, 0, 2);
        vm.assertTrue(_wouldWork(aggregator, _settleCall(s)));
    }

    function test_Settle_RevertWhen_ARejectedRowHasAScore() public {
        Settlement memory s = _equalSettlement(8);
        s.outcomes[5] = ONE << 8 | 2;
        _resign(s);
        _refused(s, abi.encodeWithSelector(ISettlement.RejectedRowHasScore.selector, 5, ONE));
    }

    // ---- what is signed

    function test_Settle_RevertWhen_ACidHasAnotherCodec() public {
        Settlement memory s = _equalSettlement(8);
        s.next.cid.codec = 0x71;
        s.evidence = _evidence(project, round, s, 0, 2);
        _refused(s, abi.encodeWithSelector(ISettlement.CidInvalid.selector, 0x71, s.next.cid.digest));
        s = _equalSettlement(8);
        s.bundle.codec = 0;
        s.evidence = _evidence(project, round, s, 0, 2);
        _refused(s, abi.encodeWithSelector(ISettlement.CidInvalid.selector, 0, s.bundle.digest));
    }

    function test_Settle_WhenACidIsDagPb() public {
        Settlement memory s = _equalSettlement(8);
        s.next.cid.codec = 0x70;
        s.bundle.codec = 0x70;
        s.evidence = _evidence(project, round, s, 0, 2);
        _works(aggregator, _settleCall(s));
    }

    /// @dev Whatever is changed after the witnesses signed, the settlement reverts.
    function test_Settle_RevertWhen_AnythingIsNotAsSigned() public {
        for (uint256 i; i < 8; ++i) {
            Settlement memory s = _equalSettlement(8);
            if (i == 0) s.outcomes[0] += 1 << 8;
            else if (i == 1) s.outcomes[7] = 1;
            else if (i == 2) s.next.commitment = keccak256("another model");
            else if (i == 3) s.next.cid.digest = keccak256("another place");
            else if (i == 4) s.next.cid.codec = 0x70;
            else if (i == 5) s.bundle.digest = keccak256("another bundle");
            else if (i == 6) s.bundle.codec = 0x70;
            else s.evidence = _evidence(project, round + 1, s, 0, 2);
            vm.prank(aggregator);
            vm.expectPartialRevert(AttestedVerifier.AttestationInvalid.selector);
            market.settle(project, round, s.admissions, abi.encode(s.outcomes), s.next, s.bundle, s.evidence);
        }
    }

    function test_Settle_RevertWhen_TheQuorumIsMissing() public {
        Settlement memory s = _equalSettlement(8);
        s.evidence = _evidence(project, round, s, 0, 1);
        _refused(s, abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 1, 2));
        s.evidence = _evidence(project, round, s, 1, 2); // any two of three
        _works(aggregator, _settleCall(s));
    }

    // ---- what it does

    function test_Settle_WhenScoresAreEqual() public {
        Settlement memory s = _equalSettlement(8);
        bytes32[] memory leaves = _payoutLeaves(project, round, _rows(project, round, 0, 8), _equalPays(8, D / 8));
        bytes32 root = _node(
            _node(_node(leaves[0], leaves[1]), _node(leaves[2], leaves[3])),
            _node(_node(leaves[4], leaves[5]), _node(leaves[6], leaves[7]))
        );
        uint256[] memory words = new uint256[](8);
        for (uint256 i; i < 8; ++i) words[i] = ONE << 8 | (D / 8) << 72 | CREDIT_RECORD << 184;
        vm.expectEmit(address(market));
        emit ISettlement.RoundSettled(project, round, aggregator, bytes27(root), s.next, s.bundle, D, 0, words);
        _send(project, round, s);

        IProjects.Ledger memory l = _ledger();
        vm.assertEq(l.claimable, D);
        vm.assertEq(l.held, 0);
        vm.assertEq(l.fees, uint256(FEE) + PROTOCOL_FEE);
        vm.assertEq(l.protocolFees, PROTOCOL_FEE);
        vm.assertEq(l.burned, 0);
        vm.assertEq(l.free, 9 * uint256(BUDGET) + D % 8);
        vm.assertEq(market.bondOf(project, aggregator).free, uint256(BOND) + FEE);
        vm.assertEq(market.bondOf(project, aggregator).locked, 0);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(uint256(r.phase), uint256(Phase.Final));
        vm.assertTrue(r.closed);
        vm.assertEq(bytes32(r.payoutRoot), bytes32(bytes27(root)));
        vm.assertEq(market.progressOf(project).model, s.next.commitment, "receipted at once");
        vm.assertEq(market.progressOf(project).pendingModel, 0);
        IStanding.Record memory record = market.recordOf(project, 1);
        vm.assertEq(record.credit, 1_000);
        vm.assertEq(record.usefulness, 1_250);
        vm.assertEq(record.rounds, 1);
        vm.assertEq(record.rejections, 0);
        _equation(project);
    }

    function test_Settle_WhenOneRowHasMoreThanItsCap() public {
        Settlement memory s = _equalSettlement(8);
        s.outcomes = _outcomes(8, 0);
        s.outcomes[0] = 3 * ONE << 8;
        s.outcomes[1] = ONE << 8;
        _resign(s);
        _works(aggregator, _settleCall(s));
        // The share cap is 4/8: the first gets half instead of three quarters, and what is cut off is burned.
        vm.assertEq(_ledger().claimable, D / 2 + D / 4);
        vm.assertEq(_ledger().burned, D - D / 2 - D / 4);
        vm.assertEq(_ledger().free, 9 * uint256(BUDGET));
        vm.assertEq(market.recordOf(project, 1).usefulness, 5_000, "capped at four shares");
        vm.assertEq(market.recordOf(project, 2).usefulness, 2_500);
        vm.assertEq(market.recordOf(project, 3).credit, 0, "no share, no gain");
        vm.assertEq(market.recordOf(project, 3).rounds, 1);
    }

    function test_Settle_WhenARowIsRejected() public {
        Settlement memory s = _equalSettlement(8);
        s.outcomes[2] = 7;
        _resign(s);
        bytes memory call = _settleCall(s);
        vm.expectEmit(address(market));
        emit IStanding.LossRecorded(trainers[2], owner, project, round, 10_000, 10_000, 10_000);
        _works(aggregator, call);
        IStanding.Record memory record = market.recordOf(project, 3);
        vm.assertEq(record.rejections, 1);
        vm.assertEq(record.credit, 0);
        vm.assertEq(record.rounds, 1);
        vm.assertEq(market.lossesOf(trainers[2]), 10_000);
        vm.assertEq(_ledger().claimable, 7 * (D / 7));
    }

    function test_Settle_WhenEverythingIsRejected() public {
        Settlement memory s = _equalSettlement(8);
        for (uint256 i; i < 8; ++i) s.outcomes[i] = 1;
        _resign(s);
        _works(aggregator, _settleCall(s));
        vm.assertEq(_ledger().burned, D);
        vm.assertEq(_ledger().claimable, 0);
        vm.assertEq(_ledger().free, 9 * uint256(BUDGET), "nothing comes back to the owner");
        vm.assertEq(_ledger().fees, uint256(FEE) + PROTOCOL_FEE);
        _equation(project);
    }

    /// @dev Less than one unit per row is dust, and free again; n units are burned. S = 8 * 2^14, D = 970,000.
    function test_Settle_WhenLessThanOneUnitPerRowIsLeft() public {
        Settlement memory s = _equalSettlement(8);
        s.outcomes = _outcomes(8, 0);
        for (uint256 i; i < 7; ++i) s.outcomes[i] = ONE << 8; // D / 7 leaves a remainder
        _resign(s);
        _works(aggregator, _settleCall(s));
        vm.assertGt(D % 7, 0);
        vm.assertEq(_ledger().free, 9 * uint256(BUDGET) + D % 7);
        vm.assertEq(_ledger().burned, 0);
    }

    function test_Settle_WhenOneUnitPerRowIsLeft() public {
        // Total 97,000 over a floor of 97,001: pays 10 floor(...) short of D by about 10.
        ProjectTerms memory terms = _terms();
        terms.scoreFloor = 970_000;
        project = _create(terms, BUDGET);
        _join(project, 0, 8);
        round = _toSettle(project, 8);
        Settlement memory s = _equalSettlement(8);
        s.outcomes = _outcomes(8, (D - 8) / 8 + 0);
        uint256 total = 8 * ((D - 8) / 8); // 969,992: each unit of score is a unit of pay
        vm.assertEq(D - total, 8);
        _resign(s);
        _works(aggregator, _settleCall(s));
        vm.assertEq(_ledger().burned, 8);
        vm.assertEq(_ledger().free, 0);
        _equation(project);
    }

    function test_Settle_WhenScoresAreBelowTheFloor() public {
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE / 32));
        _works(aggregator, _settleCall(s)); // they add up to half the floor
        vm.assertEq(_ledger().claimable, 8 * (D / 16));
        vm.assertEq(_ledger().burned, D - 8 * (D / 16));
        _equation(project);
    }

    function test_Settle_WhenThereIsASingleTrainer() public {
        ProjectTerms memory terms = _terms();
        (terms.slots, terms.minTrainers, terms.stake) = (1, 1, 2 * uint112(D));
        project = _create(terms, BUDGET);
        _join(project, 0, 1);
        round = _settledRound(project, 1);
        vm.assertEq(_ledger().claimable, D);
        ProjectTerms memory t = market.termsOf(project);
        vm.assertEq(t.slots, 1);
    }

    /// @dev Rows come in the order of admission, members of one storage slot not side by side.
    function test_Settle_WhenRowsAreNotInOrderOfMembers() public {
        _settle(project, round, 8);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        uint256[8] memory order = [uint256(5), 0, 6, 1, 7, 4, 2, 3];
        Admission[] memory admissions = new Admission[](8);
        for (uint256 i; i < 8; ++i) {
            _reveal(project, round, batch, order[i], order[i] + 1);
            admissions[i] = Packed.admission(_rows(project, round, order[i], order[i] + 1));
        }
        _send(project, round, _settlement(project, round, admissions, _outcomes(8, ONE)));
        for (uint32 member = 1; member <= 8; ++member) {
            IStanding.Record memory record = market.recordOf(project, member);
            vm.assertEq(record.rounds, 2);
            vm.assertEq(record.credit, 2_000);
        }
    }

    // ---- takeover

    function test_Settle_RevertWhen_ATakerIsNoAggregator() public {
        bytes memory call = _settleCall(_equalSettlement(8));
        vm.warp(_view().acceptorEnd);
        _reverts(stranger, call, abi.encodeWithSelector(IBonds.NotAggregator.selector, project, stranger));
    }

    function test_Settle_RevertWhen_ATakerHasNoBond() public {
        bytes memory call = _settleCall(_equalSettlement(8));
        vm.warp(_view().acceptorEnd);
        _bond(project, rival, BOND - 1);
        _reverts(rival, call, abi.encodeWithSelector(IBonds.BondTooLow.selector, project, rival, BOND - 1, BOND));
        _bond(project, rival, 1);
        _works(rival, call);
    }

    function test_Settle_WhenAnotherAggregatorTakesOver() public {
        _bond(project, rival, BOND);
        bytes memory call = _settleCall(_equalSettlement(8));
        vm.warp(_view().acceptorEnd);
        vm.expectEmit(address(market));
        emit IBonds.BondSlashed(project, round, aggregator, BOND / 2, BOND / 2);
        _works(rival, call);
        vm.assertEq(market.bondOf(project, rival).free, uint256(BOND) + BOND / 2 + FEE);
        vm.assertEq(market.bondOf(project, aggregator).locked, 0);
        vm.assertEq(market.bondOf(project, aggregator).free, 0);
        vm.assertEq(_ledger().bondsBurned, BOND / 2);
        vm.assertEq(_ledger().bonds, uint256(BOND) + BOND / 2 + FEE);
        _equation(project);
    }

    /// @dev Half of an odd bond: the unit that cannot be halved is burned.
    function test_Settle_WhenTheBondThatIsLostIsOdd() public {
        ProjectTerms memory terms = _terms();
        terms.bond = BOND + 1;
        project = _create(terms, terms.roundBudget);
        _join(project, 0, 8);
        round = _toSettle(project, 8);
        _bond(project, rival, terms.bond);
        bytes memory call = _settleCall(_equalSettlement(8));
        vm.warp(_view().acceptorEnd);
        _works(rival, call);
        vm.assertEq(market.bondOf(project, rival).free, terms.bond + BOND / 2 + FEE);
        vm.assertEq(_ledger().bondsBurned, BOND / 2 + 1);
        _equation(project);
    }

    function test_Settle_WhenTheBondOfATakerIsLockedInTheNextRound() public {
        _bond(project, rival, BOND);
        _accept(project, rival); // round 2
        bytes memory call = _settleCall(_equalSettlement(8));
        vm.warp(_view().acceptorEnd);
        _works(rival, call); // free and locked count together
        vm.assertEq(market.bondOf(project, rival).locked, BOND);
    }

    /// @dev The acceptor has lost its bond, half of it to nobody: it cannot be its own rescuer.
    function test_Settle_WhenTheAcceptorIsLate() public {
        bytes memory call = _settleCall(_equalSettlement(8));
        vm.warp(_view().acceptorEnd);
        _reverts(aggregator, call, abi.encodeWithSelector(IBonds.BondTooLow.selector, project, aggregator, 0, BOND));
        _bond(project, aggregator, BOND);
        vm.expectEmit(address(market));
        emit IBonds.BondSlashed(project, round, aggregator, 0, BOND);
        _works(aggregator, call);
        vm.assertEq(market.bondOf(project, aggregator).free, uint256(BOND) + FEE);
        vm.assertEq(_ledger().bondsBurned, BOND);
    }

    /// @dev No scores and no parameters let a round pay more than D, or a unit get lost.
    function testFuzz_Settle_WhenScoresAndTermsAreArbitrary(
        uint64[8] memory scores,
        uint8 rejected,
        uint8 cap,
        uint64 floor,
        uint112 budget
    ) public {
        ProjectTerms memory terms = _terms();
        terms.shareCap = uint8(_bound(cap, 1, 255));
        terms.scoreFloor = uint64(_bound(floor, 1, type(uint64).max));
        terms.roundBudget = uint112(_bound(budget, uint256(FEE) * 2, type(uint112).max / 4));
        terms.bond = terms.roundBudget / 2 + 1;
        terms.stake = terms.roundBudget / 4 + 8;
        token.mint(owner, terms.roundBudget);
        token.mint(aggregator, terms.bond);
        for (uint256 i; i < 8; ++i) token.mint(trainers[i], terms.stake);
        project = _create(terms, terms.roundBudget);
        _join(project, 0, 8);
        round = _toSettle(project, 8);
        Settlement memory s = _equalSettlement(8);
        for (uint256 i; i < 8; ++i) s.outcomes[i] = rejected >> i & 1 == 1 ? 1 : uint256(scores[i]) << 8;
        _resign(s);
        _works(aggregator, _settleCall(s));
        (uint256 protocolFee,) = market.feesOf(project);
        IProjects.Ledger memory l = _ledger();
        vm.assertLe(l.claimable, terms.roundBudget - FEE - protocolFee);
        vm.assertLt(l.free, 8, "only dust comes back");
        vm.assertEq(l.held, 0);
        vm.assertEq(l.fees, FEE + protocolFee);
        _equation(project);
    }

    function _resign(Settlement memory s) private view {
        s.evidence = _evidence(project, round, s, 0, 2);
    }

    function _refused(Settlement memory s, bytes memory error_) private {
        _reverts(aggregator, _settleCall(s), error_);
    }

    function _rowsRefused(Row[] memory rows) private {
        bytes32 found = Packed.chain(Packed.admissions(rows));
        Settlement memory s = _settlement(project, round, rows, _outcomes(rows.length, ONE));
        _refused(s, abi.encodeWithSelector(ISettlement.RowsMismatch.selector, found, _view().admittedHash));
    }
}
