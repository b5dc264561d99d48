// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPayouts} from "../interfaces/IPayouts.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {IRoundVerifier} from "../interfaces/IRoundVerifier.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {PayRule} from "../payouts/PayRule.sol";
import {PayoutTree} from "../payouts/PayoutTree.sol";
import {StandingBook} from "../standing/StandingBook.sol";
import {Project} from "../storage/MarketStorage.sol";
import {NextModel, Outcome, Phase, Row} from "../types/Types.sol";
import {Cids} from "./Cids.sol";
import {RoundClock} from "./RoundClock.sol";
import {Round, RoundState} from "./RoundState.sol";

/// @title Settlement: the end of a round and its money
/// @notice held = paid + fee + burned + back to free, exactly. Scores come from outside and are believed as far as the
/// project's verifier vouches for them; pay, its limits and the payout root are computed here.
abstract contract Settlement is RoundClock, StandingBook {
    using RoundState for Round;

    /// @inheritdoc IRounds
    function settle(
        uint256 project,
        uint32 round,
        Row[] calldata rows,
        Outcome[] calldata outcomes,
        NextModel calldata next,
        bytes calldata bundleCid,
        bytes calldata evidence
    ) external nonReentrant {
        _checkSettlement(project, round, rows, outcomes);
        _checkEvidence(project, round, outcomes, next, bundleCid, evidence);
        uint256 paid = _payByScore(project, round, rows, outcomes);
        _finish(project, round, next, bundleCid, paid);
    }

    /// @inheritdoc IRounds
    function closeRound(uint256 project, uint32 round, Row[] calldata rows) external nonReentrant {
        Project storage p = _project(project);
        Round storage r = _round(project, round);
        if (r.outcome != Phase.None) revert RoundAlreadyClosed(project, round);
        Phase found = r.phaseAt(p.minTrainers, block.timestamp);
        if (found != Phase.Void && found != Phase.Defaulted) revert IProjects.RoundStillRunning(project, round);
        _checkRows(r, rows);
        if (rows.length == 0) return _closeWithoutRows(project, round, p, r);

        r.outcome = found;
        bool isVoid = found == Phase.Void;
        uint256 share = _distributable(p) / (isVoid ? p.slots : rows.length);
        uint256 paid = share * rows.length;
        r.payoutRoot = _payEqually(project, round, rows, share);
        // Void: what the missing slots would have earned goes back. Defaulted: the fee that nobody earned is burned.
        uint256 burned = isVoid ? 0 : p.aggregatorFee;
        _book(p, paid, 0, burned);
        if (isVoid) emit RoundVoided(project, round, r.payoutRoot, paid);
        else emit RoundDefaulted(project, round, r.payoutRoot, paid);
    }

    /// @dev D: what a round has for trainers. At least `slots` base units, by the terms.
    function _distributable(Project storage p) private view returns (uint256) {
        return p.roundBudget - p.aggregatorFee;
    }

    function _checkSettlement(uint256 project, uint32 round, Row[] calldata rows, Outcome[] calldata outcomes)
        private
        view
    {
        Project storage p = _project(project);
        Round storage r = _roundIn(project, round, p, Phase.Settle);
        if (!_isAggregator(p, msg.sender)) revert NotAggregator(project, msg.sender);
        _checkRows(r, rows);
        if (outcomes.length != rows.length) revert OutcomesMismatch(outcomes.length, rows.length);
        for (uint256 i; i < outcomes.length; ++i) {
            if (outcomes[i].reason != 0 && outcomes[i].score != 0) revert RejectedRowHasScore(i, outcomes[i].score);
        }
    }

    function _checkRows(Round storage r, Row[] calldata rows) private view {
        bytes32 digest;
        for (uint256 i; i < rows.length; ++i) {
            digest = keccak256(abi.encode(digest, rows[i].trainer, rows[i].update));
        }
        if (digest != r.admittedHash) revert RowsMismatch(digest, r.admittedHash);
    }

    function _checkEvidence(
        uint256 project,
        uint32 round,
        Outcome[] calldata outcomes,
        NextModel calldata next,
        bytes calldata bundleCid,
        bytes calldata evidence
    ) private view {
        if (!Cids.isCid(next.cid)) revert CidInvalid(next.cid);
        if (!Cids.isCid(bundleCid)) revert CidInvalid(bundleCid);
        Project storage p = _project(project);
        Round storage r = _round(project, round);
        IRoundVerifier.Statement memory statement;
        statement.market = address(this);
        statement.project = project;
        statement.round = round;
        statement.admittedHash = r.admittedHash;
        statement.policyHash = p.policyHash;
        statement.outcomesHash = keccak256(abi.encode(outcomes));
        statement.previousModel = r.model;
        statement.nextModel = next.commitment;
        statement.nextModelCid = keccak256(next.cid);
        statement.bundleCid = keccak256(bundleCid);
        IRoundVerifier(p.verifier).verify(statement, p.witnesses, p.quorum, evidence);
    }

    /// @dev Pays by score, stores the payout root, updates standing. Returns the sum of all pay.
    function _payByScore(uint256 project, uint32 round, Row[] calldata rows, Outcome[] calldata outcomes)
        private
        returns (uint256 paid)
    {
        Project storage p = _project(project);
        uint256 distributable = _distributable(p);
        uint256[] memory pays;
        (pays, paid) = PayRule.paysOf(outcomes, distributable, p.scoreFloor, p.shareCap);
        if (paid > distributable) revert PaysMoreThanBudget(paid, distributable);
        bytes32[] memory leaves = new bytes32[](rows.length);
        for (uint256 i; i < rows.length; ++i) {
            address trainer = rows[i].trainer;
            leaves[i] = PayoutTree.leafOf(project, round, uint8(i), trainer, pays[i]);
            emit RowPaid(project, round, trainer, uint8(i), outcomes[i].score, outcomes[i].reason, pays[i]);
            _recordRow(project, round, trainer, pays[i], rows.length, distributable, outcomes[i].reason != 0);
        }
        _round(project, round).payoutRoot = PayoutTree.rootOf(leaves);
    }

    function _payEqually(uint256 project, uint32 round, Row[] calldata rows, uint256 share)
        private
        returns (bytes32)
    {
        bytes32[] memory leaves = new bytes32[](rows.length);
        for (uint256 i; i < rows.length; ++i) {
            leaves[i] = PayoutTree.leafOf(project, round, uint8(i), rows[i].trainer, share);
            emit RowPaid(project, round, rows[i].trainer, uint8(i), 0, 0, share);
        }
        return PayoutTree.rootOf(leaves);
    }

    /// @dev Fee to the settler. What is left of D goes back to free only as rounding dust (less than one unit per
    /// row); more than that is burned, so that an owner gains nothing by low scores.
    function _finish(uint256 project, uint32 round, NextModel calldata next, bytes calldata bundleCid, uint256 paid)
        private
    {
        Project storage p = _project(project);
        Round storage r = _round(project, round);
        r.outcome = Phase.Final;
        p.model = next.commitment;
        uint256 left = _distributable(p) - paid;
        uint256 burned = left < r.admitted ? 0 : left;
        uint256 fee = p.aggregatorFee;
        _creditFee(project, p, msg.sender);
        _book(p, paid, fee, burned);
        emit RoundSettled(
            project, round, msg.sender, r.payoutRoot, next.commitment, next.cid, bundleCid, paid, fee, burned
        );
    }

    function _creditFee(uint256 project, Project storage p, address aggregator) private {
        uint128 fee = p.aggregatorFee;
        if (fee == 0) return;
        p.ledger.fees += fee;
        _fees[p.token][aggregator] += fee;
        emit IPayouts.FeeCredited(project, aggregator, fee);
    }

    /// @dev Takes the round's budget out of `held`: `paid` becomes claimable, `fee` is credited elsewhere, `burned` is
    /// never paid out again, the rest is free. Burned tokens stay here instead of going to a dead address: a token
    /// that refuses such a transfer must not be able to stop a settlement.
    function _book(Project storage p, uint256 paid, uint256 fee, uint256 burned) private {
        uint256 budget = p.roundBudget;
        p.ledger.held -= uint128(budget);
        p.ledger.free += uint128(budget - paid - fee - burned);
        p.ledger.claimable += uint128(paid);
        p.ledger.burned += uint128(burned);
    }
}
