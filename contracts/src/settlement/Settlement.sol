// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Words} from "../hashing/Words.sol";
import {IBonds} from "../interfaces/IBonds.sol";
import {IRoundPolicy} from "../interfaces/IRoundPolicy.sol";
import {IRoundVerifier} from "../interfaces/IRoundVerifier.sol";
import {ISettlement} from "../interfaces/ISettlement.sol";
import {PayRule} from "../payouts/PayRule.sol";
import {PayoutTree} from "../payouts/PayoutTree.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {Cids} from "../rounds/Cids.sol";
import {Call, RoundBase} from "../rounds/RoundBase.sol";
import {Header, Round, RoundState} from "../rounds/RoundState.sol";
import {RecordCell} from "../standing/RecordCell.sol";
import {StandingBook} from "../standing/StandingBook.sol";
import {StandingRule} from "../standing/StandingRule.sol";
import {Ending, Project} from "../storage/MarketStorage.sol";
import {Cid, NextModel, Phase, Row} from "../types/Types.sol";

/// @title Settlement: a round ends by its scores
/// @notice Scores come from the project's policy and are believed as far as its verifier vouches for them; pay, its limits,
/// the payout root and standing are computed here.
abstract contract Settlement is RoundBase, StandingBook, ISettlement, ReentrancyGuardTransient {
    using RoundState for Header;
    using TermsStore for Rules;

    /// @inheritdoc ISettlement
    function settle(
        uint256 project,
        uint32 round,
        Row[] calldata rows,
        bytes calldata policyInput,
        NextModel calldata next,
        Cid calldata bundle,
        bytes calldata evidence
    ) external nonReentrant {
        Call memory c = _checkRound(project, round, rows);
        uint256[] memory outcomes = _outcomesOf(c, policyInput);
        _verify(c, outcomes, next, bundle, evidence);
        uint256 paid = _payByScore(c, rows, outcomes); // each outcome becomes what the event says of its row
        _finish(c, next, bundle, paid, outcomes);
    }

    /// @dev Phase, rows and caller are right; the aggregator gets what is its own.
    function _checkRound(uint256 project, uint32 round, Row[] calldata rows) private returns (Call memory) {
        (Project storage p, Round storage r, Call memory c) = _enter(project, round, Phase.Settle);
        _checkRows(r.admittedHash, rows);
        _payAggregator(p, r, c);
        return c;
    }

    /// @dev The rows are the admitted ones, all of them and in order.
    function _checkRows(bytes32 stored, Row[] calldata rows) internal pure {
        // slither-disable-next-line uninitialized-local (the chain begins at zero)
        uint256[3] memory link;
        for (uint256 i; i < rows.length; ++i) {
            link[1] = rows[i].member;
            link[2] = uint256(rows[i].update);
            link[0] = uint256(Words.hashOf(link));
        }
        if (bytes32(link[0]) != stored) revert RowsMismatch(bytes32(link[0]), stored);
    }

    /// @dev The aggregator that accepted the round gets its bond back and the fee; after tS it has lost the bond, half of it
    /// to another bonded aggregator who settles in its place.
    function _payAggregator(Project storage p, Round storage r, Call memory c) private {
        uint256 bond = c.rules.bond;
        uint256 fee = c.rules.aggregatorFee;
        address acceptor = r.acceptor;
        uint256 until = c.header.acceptorEnd(c.rules);
        // slither-disable-next-line timestamp (tS; a few seconds either way decide nothing)
        if (block.timestamp < until) {
            if (msg.sender != acceptor) revert NotYours(c.project, c.round, msg.sender, acceptor, until);
            _releaseBond(c.project, c.round, acceptor, bond, fee);
            return;
        }
        if (!_isAggregator(p, msg.sender)) revert IBonds.NotAggregator(c.project, msg.sender);
        _bonds[c.project][acceptor].locked -= uint112(bond);
        IBonds.Bond storage account = _bonds[c.project][msg.sender];
        uint256 found = uint256(account.free) + account.locked;
        if (found < bond) revert IBonds.BondTooLow(c.project, msg.sender, found, bond);
        uint256 reward = msg.sender == acceptor ? 0 : bond / 2;
        account.free += uint112(reward + fee);
        p.bondsBurned += uint112(bond - reward);
        emit IBonds.BondSlashed(c.project, c.round, acceptor, reward, bond - reward);
    }

    function _outcomesOf(Call memory c, bytes calldata policyInput) private view returns (uint256[] memory outcomes) {
        Round storage r = _newestRound(c.project);
        IRoundPolicy.Facts memory facts = IRoundPolicy.Facts({
            project: c.project,
            round: c.round,
            rows: c.header.admitted,
            policyHash: c.rules.policyHash,
            admittedHash: r.admittedHash,
            validation: c.header.validated ? r.validation : bytes32(0),
            publicRows: c.header.publicRowsPosted ? r.publicRows : bytes32(0)
        });
        outcomes = IRoundPolicy(c.rules.policy).outcomesOf(facts, policyInput);
        if (outcomes.length != c.header.admitted) revert OutcomesMismatch(outcomes.length, c.header.admitted);
        for (uint256 i; i < outcomes.length; ++i) {
            uint256 outcome = outcomes[i];
            if (outcome >> 72 != 0) revert OutcomeTooLarge(i, outcome);
            if (outcome & 0xff != 0 && outcome >> 8 != 0) revert RejectedRowHasScore(i, outcome >> 8);
        }
    }

    /// @dev The verifier sees that the outcome is right; the model is kept, or waits for receipts.
    function _verify(
        Call memory c,
        uint256[] memory outcomes,
        NextModel calldata next,
        Cid calldata bundle,
        bytes calldata evidence
    ) private {
        if (!Cids.isValid(next.cid.codec)) revert CidInvalid(next.cid.codec, next.cid.digest);
        if (!Cids.isValid(bundle.codec)) revert CidInvalid(bundle.codec, bundle.digest);
        Project storage p = _project(c.project);
        IRoundVerifier.Statement memory s = _statementOf(c, p.model);
        s.outcomesHash = keccak256(abi.encodePacked(outcomes));
        s.nextModel = next.commitment;
        s.nextModelCid = Cids.hashOf(next.cid);
        s.bundleCid = Cids.hashOf(bundle);
        address[] memory witnesses = new address[](c.rules.witnessCount);
        for (uint256 i; i < witnesses.length; ++i) witnesses[i] = c.witnesses[i];
        if (IRoundVerifier(c.rules.verifier).verify(s, witnesses, c.rules.quorum, evidence)) {
            p.model = next.commitment;
            return;
        }
        uint40 until = uint40(block.timestamp + c.rules.rescueWindow);
        p.pendingModel = next.commitment;
        p.pendingUntil = until;
        emit ModelPending(c.project, c.round, next.commitment, until);
    }

    function _statementOf(Call memory c, bytes32 previousModel)
        private
        view
        returns (IRoundVerifier.Statement memory s)
    {
        Round storage r = _newestRound(c.project);
        s.market = address(this);
        s.project = c.project;
        s.round = c.round;
        s.admittedHash = r.admittedHash;
        if (c.header.validated) s.validation = r.validation;
        if (c.header.publicRowsPosted) s.publicRows = r.publicRows;
        s.policyHash = c.rules.policyHash;
        s.previousModel = previousModel;
    }

    /// @dev Pays by score, stores how the round ended, brings the records up to date. Returns the sum of all pay and turns
    /// each outcome into the word of the event.
    function _payByScore(Call memory c, Row[] calldata rows, uint256[] memory outcomes)
        private
        returns (uint256 paid)
    {
        RecordCell.RoundFacts memory facts =
            RecordCell.RoundFacts(rows.length, c.rules.distributable(), c.rules.standingWeight);
        uint256[] memory pays;
        (pays, paid) = PayRule.paysOf(outcomes, facts.distributable, c.rules.scoreFloor, c.rules.shareCap);
        if (paid > facts.distributable) revert PaysMoreThanBudget(paid, facts.distributable);
        uint256[] memory members = _membersIn(c, rows, outcomes);
        Ending storage ending = _ending(c.project, c.round);
        ending.payoutRoot = PayoutTree.rootOf(PayoutTree.leavesOf(c.project, c.round, members, pays));
        ending.outcome = Phase.Final;
        _writeRecords(_records[c.project], members, outcomes, pays, facts);
    }

    /// @dev The members of the rows; those whose row was rejected lose standing.
    function _membersIn(Call memory c, Row[] calldata rows, uint256[] memory outcomes)
        private
        returns (uint256[] memory members)
    {
        members = new uint256[](rows.length);
        for (uint256 i; i < rows.length; ++i) {
            members[i] = rows[i].member;
            if (outcomes[i] & 0xff != 0) _recordRejection(c, members[i]);
        }
    }

    function _recordRejection(Call memory c, uint256 member) private {
        _recordLoss(
            c.project,
            c.round,
            _member(c.project, member).trainer,
            _project(c.project).owner,
            StandingRule.REJECTED,
            c.rules.standingWeight
        );
    }

    /// @dev Rows stand mostly in order of member numbers, so that one slot is read and written for up to four of them.
    function _writeRecords(
        mapping(uint256 => uint256) storage records,
        uint256[] memory members,
        uint256[] memory outcomes,
        uint256[] memory pays,
        RecordCell.RoundFacts memory facts
    ) private {
        uint256 cell = RecordCell.cellOf(members[0]); // that `slot` is of
        uint256 slot = records[cell];
        for (uint256 i; i < members.length; ++i) {
            uint256 member = members[i];
            if (RecordCell.cellOf(member) != cell) {
                records[cell] = slot;
                cell = RecordCell.cellOf(member);
                slot = records[cell];
            }
            uint256 pay = pays[i];
            uint256 outcome = outcomes[i];
            uint256 record = RecordCell.afterRow(RecordCell.get(slot, member), pay, outcome & 0xff != 0, facts);
            slot = RecordCell.set(slot, member, record);
            outcomes[i] = outcome | pay << 72 | record << 184;
        }
        records[cell] = slot;
    }

    /// @dev What is left of D goes back to free only as rounding dust (less than one unit per row); more than that is
    /// burned, so that an owner gains nothing by low scores. Burned tokens stay here instead of going to a dead address: a
    /// token that refuses such a transfer must not be able to stop a settlement. The fees follow from `settled`.
    function _finish(Call memory c, NextModel calldata next, Cid calldata bundle, uint256 paid, uint256[] memory words)
        private
    {
        Project storage p = _project(c.project);
        uint256 burned = c.rules.distributable() - paid;
        p.settled += 1;
        p.claimable += uint112(paid);
        if (burned < c.header.admitted) {
            p.free += uint112(burned);
            burned = 0;
        } else {
            p.burned += uint112(burned);
        }
        c.header.outcome = Phase.Final;
        RoundState.save(_newestRound(c.project), c.header);
        bytes27 root = _ending(c.project, c.round).payoutRoot;
        emit RoundSettled(c.project, c.round, msg.sender, root, next, bundle, paid, burned, words);
    }
}
