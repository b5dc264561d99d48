// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Words} from "../hashing/Words.sol";
import {IBonds} from "../interfaces/IBonds.sol";
import {IRoundPolicy} from "../interfaces/IRoundPolicy.sol";
import {IRoundVerifier} from "../interfaces/IRoundVerifier.sol";
import {ISettlement} from "../interfaces/ISettlement.sol";
import {PayoutTree} from "../payouts/PayoutTree.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {Cids} from "../rounds/Cids.sol";
import {Call, RoundBase} from "../rounds/RoundBase.sol";
import {Header, Round, RoundState} from "../rounds/RoundState.sol";
import {Rows} from "../rounds/Rows.sol";
import {StandingBook} from "../standing/StandingBook.sol";
import {StandingRule} from "../standing/StandingRule.sol";
import {Ending, Project} from "../storage/MarketStorage.sol";
import {Admission, Cid, NextModel, Phase} from "../types/Types.sol";
import {RowPass} from "./RowPass.sol";

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
        Admission[] calldata admissions,
        bytes calldata policyInput,
        NextModel calldata next,
        Cid calldata bundle,
        bytes calldata evidence
    ) external nonReentrant {
        (Call memory c, uint256[] memory members) = _checkRound(project, round, admissions);
        uint256[] memory outcomes = _outcomesOf(c, policyInput);
        _verify(c, outcomes, next, bundle, evidence);
        (bytes27 root, uint256 paid) = _payByScore(c, members, outcomes); // each outcome becomes a word of the event
        _finish(c, next, bundle, root, paid, outcomes);
    }

    /// @dev Phase, rows and caller are right; the aggregator gets what is its own.
    function _checkRound(uint256 project, uint32 round, Admission[] calldata admissions)
        private
        returns (Call memory, uint256[] memory members)
    {
        (Project storage p, Round storage r, Call memory c) = _enter()(project, round, Phase.Settle);
        members = Rows.membersOf(admissions, c.header.admitted, r.admittedHash);
        _payAggregator(p, r, c);
        return (c, members);
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
            _unlockBond(c.project, acceptor, bond, fee); // RoundSettled says so
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
        bytes memory answer =
            Address.functionStaticCall(c.rules.policy, abi.encodeCall(IRoundPolicy.outcomesOf, (facts, policyInput)));
        outcomes = _listIn(answer);
        if (outcomes.length != c.header.admitted) revert OutcomesMismatch(outcomes.length, c.header.admitted);
    }

    /// @dev abi.decode(answer, (uint256[])), where it lies: the decoder would copy it word by word.
    function _listIn(bytes memory answer) private pure returns (uint256[] memory list) {
        // slither-disable-next-line uninitialized-local (no right answer until read)
        uint256 needed;
        assembly ("memory-safe") {
            // An answer is the offset of the list (32), its length, its words.
            if and(gt(mload(answer), 63), eq(mload(add(answer, 32)), 32)) {
                list := add(answer, 64)
                needed := add(64, shl(5, and(mload(list), 0xffffffff)))
            }
        }
        if (needed != answer.length || list.length > answer.length) revert PolicyAnswerMalformed(answer.length);
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
        s.outcomesHash = Words.hashOf(outcomes);
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
        s.dimension = uint32(c.rules.dimension); // the terms have it as uint32
        s.admittedHash = r.admittedHash;
        if (c.header.validated) s.validation = r.validation;
        if (c.header.publicRowsPosted) s.publicRows = r.publicRows;
        s.policyHash = c.rules.policyHash;
        s.previousModel = previousModel;
    }

    /// @dev Pays by score, stores how the round ended, brings the records up to date. Returns payout root and the sum of all pay,
    /// and turns each outcome into the word of the event.
    function _payByScore(Call memory c, uint256[] memory members, uint256[] memory outcomes)
        private
        returns (bytes27 root, uint256 paid)
    {
        (uint256 total, bool rejected) = RowPass.totalOf(outcomes);
        if (rejected) _recordRejections(c, members, outcomes);
        uint256 distributable = c.rules.distributable();
        RowPass.Facts memory facts =
            RowPass.factsOf(members.length, total, distributable, c.rules.scoreFloor, c.rules.shareCap);
        (facts.weight, facts.project, facts.round) = (c.rules.standingWeight, c.project, c.round);
        paid = RowPass.pay(facts, outcomes);
        if (paid > distributable) revert PaysMoreThanBudget(paid, distributable);
        RowPass.recordAndHash(_records[c.project], facts, members, outcomes);
        root = PayoutTree.rootOf(members); // the leaves now
        Ending storage ending = _ending(c.project, c.round);
        ending.payoutRoot = root;
        ending.outcome = Phase.Final;
    }

    /// @dev Those whose row was rejected lose standing.
    function _recordRejections(Call memory c, uint256[] memory members, uint256[] memory outcomes) private {
        address owner = _project(c.project).owner;
        for (uint256 i; i < members.length; ++i) {
            if (outcomes[i] & 0xff == 0) continue;
            address trainer = _member(c.project, members[i]).trainer;
            _recordLoss(c.project, c.round, trainer, owner, StandingRule.REJECTED, c.rules.standingWeight);
        }
    }

    /// @dev What is left of D goes back to free only as rounding dust (less than one unit per row); more than that is
    /// burned, so that an owner gains nothing by low scores. Burned tokens stay here instead of going to a dead address: a
    /// token that refuses such a transfer must not be able to stop a settlement. The fees follow from `settled`.
    function _finish(
        Call memory c,
        NextModel calldata next,
        Cid calldata bundle,
        bytes27 root,
        uint256 paid,
        uint256[] memory words
    ) private {
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
        _emitSettled(c, next, bundle, root, paid, burned, words);
    }

    /// @dev emit RoundSettled(project, round, msg.sender, root, next, bundle, paid, burned, words), with the words copied as they
    /// lie; the compiler would copy each by itself.
    function _emitSettled(
        Call memory c,
        NextModel calldata next,
        Cid calldata bundle,
        bytes27 root,
        uint256 paid,
        uint256 burned,
        uint256[] memory words
    ) private {
        bytes32 topic = RoundSettled.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            let bytes_ := mul(add(mload(words), 1), 32) // with their number
            mstore(data, root)
            calldatacopy(add(data, 32), next, 96) // commitment, codec, digest: `_verify` has read the codec, and
            calldatacopy(add(data, 128), bundle, 64) // that of the bundle, which refuses dirty upper bits
            mstore(add(data, 192), paid)
            mstore(add(data, 224), burned)
            mstore(add(data, 256), 288) // where the words begin
            mcopy(add(data, 288), words, bytes_)
            log4(data, add(288, bytes_), topic, mload(c), mload(add(c, 32)), caller())
        }
    }
}
