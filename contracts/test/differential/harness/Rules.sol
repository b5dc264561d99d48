// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Words} from "../../../src/hashing/Words.sol";
import {PayRule} from "../../../src/payouts/PayRule.sol";
import {PayoutTree} from "../../../src/payouts/PayoutTree.sol";
import {Rules} from "../../../src/projects/TermsCode.sol";
import {TermsCheck} from "../../../src/projects/TermsCheck.sol";
import {AdmittedRows} from "../../../src/rounds/AdmittedRows.sol";
import {Cids} from "../../../src/rounds/Cids.sol";
import {Header, RoundState} from "../../../src/rounds/RoundState.sol";
import {Seats} from "../../../src/rounds/Seats.sol";
import {RecordCell} from "../../../src/standing/RecordCell.sol";
import {StandingRule} from "../../../src/standing/StandingRule.sol";
import {Cid, CommitLeaf, Opening, Phase, ProjectTerms, Row, Windows} from "../../../src/types/Types.sol";

/// @title DifferentialRules: the contracts' pure rules, many cases in one call
/// @notice For comparison with their Python twins (tests/differential). Each function takes a list of cases and answers
/// in their order.
contract DifferentialRules {
    using AdmittedRows for AdmittedRows.Buffer;
    using RoundState for Header;

    struct PayCase {
        uint256[] outcomes;
        uint256 distributable;
        uint256 scoreFloor;
        uint256 shareCap;
    }

    struct RootCase {
        uint256 project;
        uint32 round;
        uint32[] members;
        uint256[] amounts;
    }

    struct RecordCase {
        uint256 record;
        uint256 pay;
        bool rejected;
        uint256 rows;
        uint256 distributable;
        uint256 weight;
    }

    struct LossCase {
        uint256 ofOwner;
        uint256 loss;
        uint256 weight;
    }

    struct ReliabilityCase {
        uint256 good;
        uint256 bad;
    }

    struct CommitmentCase {
        uint256 project;
        uint32 round;
        Opening opening;
    }

    struct PhaseCase {
        uint40 openedAt;
        uint40 commitEnd;
        uint40 revealEnd;
        uint8 batchCount;
        uint8 selfCount;
        uint8 admitted;
        uint256 minTrainers;
        uint256 guard;
        uint256 rescue;
        uint256 settle;
        uint256 takeover;
        uint256 time;
    }

    struct TermsCase {
        ProjectTerms terms;
        uint256 protocolFee;
        Windows minimum;
    }

    function pays(PayCase[] calldata cases) external pure returns (uint256[][] memory found) {
        found = new uint256[][](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            PayCase calldata c = cases[i];
            (found[i],) = PayRule.paysOf(c.outcomes, c.distributable, c.scoreFloor, c.shareCap);
        }
    }

    function roots(RootCase[] calldata cases) external pure returns (bytes27[] memory found) {
        found = new bytes27[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            RootCase calldata c = cases[i];
            bytes32[] memory leaves = new bytes32[](c.members.length);
            for (uint256 row; row < leaves.length; ++row) {
                leaves[row] = PayoutTree.leafOf(c.project, c.round, row, c.members[row], c.amounts[row]);
            }
            found[i] = PayoutTree.rootOf(leaves);
        }
    }

    function records(RecordCase[] calldata cases) external pure returns (uint256[] memory found) {
        found = new uint256[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            RecordCase calldata c = cases[i];
            RecordCell.RoundFacts memory facts = RecordCell.RoundFacts(c.rows, c.distributable, c.weight);
            found[i] = RecordCell.afterRow(c.record, c.pay, c.rejected, facts);
        }
    }

    function losses(LossCase[] calldata cases) external pure returns (uint256[] memory found) {
        found = new uint256[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            found[i] = StandingRule.lossAfter(cases[i].ofOwner, cases[i].loss, cases[i].weight);
        }
    }

    function reliabilities(ReliabilityCase[] calldata cases) external pure returns (uint256[] memory found) {
        found = new uint256[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = StandingRule.reliability(cases[i].good, cases[i].bad);
    }

    function commitments(CommitmentCase[] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            CommitmentCase calldata c = cases[i];
            found[i] = Seats.commitmentOf(c.project, c.round, c.opening);
            // The market's loops have a second form of the same hash.
            require(found[i] == Seats.commitmentIn(Seats.frame(c.project, c.round), c.opening), "two commitments");
        }
    }

    function openings(Opening[][] calldata cases) external pure returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = Seats.openingsHash(cases[i]);
    }

    function batches(CommitLeaf[][] calldata cases) external pure returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = Seats.hashOf(cases[i]);
    }

    /// @dev As `reveal` extends the chain.
    function admitted(Row[][] calldata cases) external pure returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            uint256[3] memory words;
            for (uint256 row; row < cases[i].length; ++row) {
                words[1] = cases[i][row].member;
                words[2] = uint256(cases[i][row].update);
                words[0] = uint256(Words.hashOf(words));
            }
            found[i] = bytes32(words[0]);
        }
    }

    /// @dev As `settle` hashes what the policy says.
    function outcomes(uint256[][] calldata cases) external pure returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = keccak256(abi.encodePacked(cases[i]));
    }

    function cids(Cid[] calldata cases) external pure returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = Cids.hashOf(cases[i]);
    }

    /// @dev What `UpdatesAdmitted` carries.
    function packed(Opening[][] calldata cases) external pure returns (bytes[] memory found) {
        found = new bytes[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            AdmittedRows.Buffer memory buffer = AdmittedRows.allocate(cases[i].length);
            for (uint256 row; row < cases[i].length; ++row) {
                Opening calldata o = cases[i][row];
                buffer.append(o, o.member, o.cid.codec);
            }
            found[i] = buffer.finish();
        }
    }

    /// @return found phase, revealStart, rescueEnd, acceptorEnd, settleEnd of each case.
    function phases(PhaseCase[] calldata cases) external pure returns (uint256[5][] memory found) {
        found = new uint256[5][](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            PhaseCase calldata c = cases[i];
            Header memory h;
            Rules memory rules;
            (h.openedAt, h.commitEnd, h.revealEnd) = (c.openedAt, c.commitEnd, c.revealEnd);
            (h.batchCount, h.selfCount, h.admitted) = (c.batchCount, c.selfCount, c.admitted);
            (rules.minTrainers, rules.guardWindow, rules.rescueWindow) = (c.minTrainers, c.guard, c.rescue);
            (rules.settleWindow, rules.takeoverWindow) = (c.settle, c.takeover);
            found[i] = [
                uint256(h.phaseAt(rules, c.time)),
                h.revealStart(rules),
                h.rescueEnd(rules),
                h.acceptorEnd(rules),
                h.settleEnd(rules)
            ];
        }
    }

    /// @return found the error of each case, empty if the terms are in bounds.
    function terms(TermsCase[] calldata cases) external view returns (bytes[] memory found) {
        found = new bytes[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            try this.checkTerms(cases[i]) {}
            catch (bytes memory error) {
                found[i] = error;
            }
        }
    }

    function checkTerms(TermsCase calldata c) external view {
        TermsCheck.check(c.terms, c.protocolFee, c.minimum);
    }
}
