// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IBonds} from "../interfaces/IBonds.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {ISettlement} from "../interfaces/ISettlement.sol";
import {PayoutTree} from "../payouts/PayoutTree.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {Header, Round, RoundState} from "../rounds/RoundState.sol";
import {Rows} from "../rounds/Rows.sol";
import {Ending, Project} from "../storage/MarketStorage.sol";
import {Admission, Phase, WitnessSignature} from "../types/Types.sol";
import {Quorum} from "../verification/Quorum.sol";
import {Settlement} from "./Settlement.sol";

/// @title Closing: a round ends without scores, and what a settlement may leave open
abstract contract Closing is Settlement, EIP712 {
    using RoundState for Header;
    using TermsStore for Rules;

    bytes32 internal constant MODEL_RECEIPT_TYPEHASH = keccak256("ModelReceipt(uint256 project,bytes32 model)");

    /// @inheritdoc ISettlement
    function closeRound(uint256 project, uint32 round, Admission[] calldata admissions) external nonReentrant {
        Project storage p = _project(project);
        if (round != p.newestRound) revert IRounds.NotNewestRound(project, round, p.newestRound);
        Round storage r = _newestRound(project);
        Rules memory rules = TermsStore.read(p.rules);
        Header memory h = RoundState.load(r);
        if (h.outcome != Phase.None) revert RoundAlreadyClosed(project, round);
        Phase found = h.phaseAt(rules, block.timestamp);
        if (found != Phase.Void && found != Phase.Defaulted) revert IProjects.RoundStillRunning(project, round);
        uint256[] memory members = Rows.membersOf(admissions, h.admitted, h.admitted == 0 ? bytes32(0) : r.admittedHash);
        if (members.length == 0) {
            _closeWithoutRows(project, round, p, r, rules);
        } else if (found == Phase.Void) {
            _closeVoid(project, round, p, r, rules, members);
        } else {
            _closeDefaulted(project, round, p, r, rules, members);
        }
    }

    /// @inheritdoc ISettlement
    function receiptModel(uint256 project, WitnessSignature[] calldata signatures) external nonReentrant {
        Project storage p = _project(project);
        bytes32 model = p.pendingModel;
        if (model == 0) revert NoModelPending(project);
        Rules memory rules = TermsStore.read(p.rules);
        address[7] memory witnesses = TermsStore.witnessesOf(p.rules);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(MODEL_RECEIPT_TYPEHASH, project, model)));
        Quorum.check(digest, signatures, witnesses, rules.witnessCount, rules.quorum);
        p.pendingModel = 0;
        p.model = model;
        emit ModelReceipted(project, model);
    }

    /// @dev Each row gets a whole slot's pay; what the missing slots would have earned, and the fees, are free again.
    function _closeVoid(
        uint256 project,
        uint32 round,
        Project storage p,
        Round storage r,
        Rules memory rules,
        uint256[] memory members
    ) private {
        uint256 share = rules.distributable() / rules.slots;
        // slither-disable-next-line divide-before-multiply (every row gets the same floored share)
        uint256 paid = share * members.length;
        p.claimable += uint112(paid);
        p.free += uint112(rules.roundBudget - paid);
        bytes27 root = _payEqually(project, round, r, members, share, Phase.Void);
        emit RoundVoided(project, round, root, share, _numbers(members));
        _releaseBond(project, round, r.acceptor, rules.bond);
    }

    /// @dev Everybody has worked and nobody settled: the rows share D, the fees that nobody earned are burned and so is
    /// the bond.
    function _closeDefaulted(
        uint256 project,
        uint32 round,
        Project storage p,
        Round storage r,
        Rules memory rules,
        uint256[] memory members
    ) private {
        uint256 distributable = rules.distributable();
        uint256 share = distributable / members.length;
        // slither-disable-next-line divide-before-multiply (every row gets the same floored share)
        uint256 paid = share * members.length;
        p.claimable += uint112(paid);
        p.free += uint112(distributable - paid);
        p.burned += uint112(rules.roundBudget - distributable);
        p.bondsBurned += uint112(rules.bond);
        _bonds[project][r.acceptor].locked -= uint112(rules.bond);
        bytes27 root = _payEqually(project, round, r, members, share, Phase.Defaulted);
        emit RoundDefaulted(project, round, root, share, _numbers(members));
        emit IBonds.BondSlashed(project, round, r.acceptor, 0, rules.bond);
    }

    function _payEqually(
        uint256 project,
        uint32 round,
        Round storage r,
        uint256[] memory members,
        uint256 share,
        Phase outcome
    ) private returns (bytes27 root) {
        uint256[] memory leaves = new uint256[](members.length);
        for (uint256 i; i < leaves.length; ++i) {
            leaves[i] = uint256(PayoutTree.leafOf(project, round, i, members[i], share));
        }
        root = PayoutTree.rootOf(leaves);
        Ending storage ending = _ending(project, round);
        ending.payoutRoot = root;
        ending.outcome = outcome;
        Header memory h = RoundState.load(r);
        h.outcome = outcome;
        RoundState.save(r, h);
    }

    function _numbers(uint256[] memory members) private pure returns (uint32[] memory numbers) {
        numbers = new uint32[](members.length);
        for (uint256 i; i < members.length; ++i) numbers[i] = uint32(members[i]);
    }
}
