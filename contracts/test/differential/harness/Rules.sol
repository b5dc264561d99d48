// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PayoutTree} from "../../../src/payouts/PayoutTree.sol";
import {Rules} from "../../../src/projects/TermsCode.sol";
import {TermsCheck} from "../../../src/projects/TermsCheck.sol";
import {Cids} from "../../../src/rounds/Cids.sol";
import {Leaves} from "../../../src/rounds/Leaves.sol";
import {Header, RoundState} from "../../../src/rounds/RoundState.sol";
import {Rows} from "../../../src/rounds/Rows.sol";
import {RowPass} from "../../../src/settlement/RowPass.sol";
import {StandingRule} from "../../../src/standing/StandingRule.sol";
import {Admission, Cid, ProjectTerms, Windows} from "../../../src/types/Types.sol";
import {PayRule, RecordRule} from "../../support/PlainRules.sol";
import {CommitLeaf, Opening, Packed, Row} from "../../support/Packed.sol";

/// @title DifferentialRules: the contracts' pure rules, many cases in one call
/// @notice For comparison with their Python twins (tests/differential). Each function takes a list of cases and answers
/// in their order.
contract DifferentialRules {
    using RoundState for Header;

    mapping(uint256 cell => uint256) private _slots; // of records

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

    /// @dev As `settle` pays, in the market's one pass over the rows; the rule in plain words says the same.
    function pays(PayCase[] calldata cases) external pure returns (uint256[][] memory found) {
        found = new uint256[][](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            PayCase calldata c = cases[i];
            uint256[] memory words = c.outcomes;
            (uint256 total,) = RowPass.totalOf(words);
            RowPass.Facts memory facts =
                RowPass.factsOf(words.length, total, c.distributable, c.scoreFloor, c.shareCap);
            uint256 paid = RowPass.pay(facts, words);
            uint256[] memory plain;
            uint256 sum;
            (plain, sum) = PayRule.paysOf(c.outcomes, c.distributable, c.scoreFloor, c.shareCap);
            require(paid == sum, "two sums");
            for (uint256 row; row < words.length; ++row) require(words[row] >> 72 == plain[row], "two pays");
            found[i] = plain;
        }
    }

    function roots(RootCase[] calldata cases) external pure returns (bytes27[] memory found) {
        found = new bytes27[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            RootCase calldata c = cases[i];
            uint256[] memory leaves = new uint256[](c.members.length);
            for (uint256 row; row < leaves.length; ++row) {
                leaves[row] =
                    uint256(PayoutTree.leafOf(c.project, c.round, row, c.members[row], c.amounts[row]));
            }
            found[i] = PayoutTree.rootOf(leaves);
        }
    }

    /// @dev As `settle` brings records up to date, in the market's one pass over the rows; the rule in plain words says the same.
    function records(RecordCase[] calldata cases) external returns (uint256[] memory found) {
        found = new uint256[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            RecordCase calldata c = cases[i];
            RecordRule.RoundFacts memory facts = RecordRule.RoundFacts(c.rows, c.distributable, c.weight);
            found[i] = RecordRule.afterRow(c.record, c.pay, c.rejected, facts);
            require(_recordAfter(c) == found[i], "two records");
        }
    }

    function _recordAfter(RecordCase calldata c) private returns (uint256) {
        uint256[] memory members = new uint256[](1);
        uint256[] memory words = new uint256[](1);
        (members[0], words[0]) = (1, c.pay << 72 | (c.rejected ? 1 : 0));
        RowPass.Facts memory facts;
        (facts.distributable, facts.rows, facts.weight) = (c.distributable, c.rows, c.weight);
        _slots[0] = c.record;
        RowPass.recordAndHash(_slots, facts, members, words);
        require(words[0] >> 184 == _slots[0], "the event's record");
        return _slots[0];
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
            Opening[] memory one = new Opening[](1);
            one[0] = cases[i].opening;
            found[i] = this.commitmentOf(cases[i].project, cases[i].round, Packed.rows(one), Packed.salts(one));
        }
    }

    /// @dev As `reveal` hashes what a row and a salt open.
    function commitmentOf(uint256 project, uint32 round, bytes calldata rows, bytes32[] calldata salts)
        external
        view
        returns (bytes32)
    {
        require(Rows.count(rows, salts) == 1, "one row");
        (uint256 row, uint256 salt) = Rows.start(rows, salts);
        bytes32[5] memory scratch;
        scratch[0] = Rows.domainOf(project, round);
        uint256 where;
        assembly ("memory-safe") {
            where := scratch
        }
        return Rows.commitmentAt(row, salt, where);
    }

    function openings(Opening[][] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = keccak256(_rowsOf(cases[i]));
    }

    function batches(CommitLeaf[][] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            bytes memory leaves = Packed.leaves(cases[i]);
            this.checkLeaves(leaves, cases[i]);
            found[i] = keccak256(leaves);
        }
    }

    /// @dev The market's readers find in `leaves` what the list says.
    function checkLeaves(bytes calldata leaves, CommitLeaf[] calldata list) external pure {
        require(Leaves.count(leaves) == list.length, "leaves");
        (uint256 at,) = Leaves.span(leaves);
        for (uint256 i; i < list.length; ++i) {
            require(Leaves.memberAt(at) == list[i].member, "member of a leaf");
            require(Leaves.commitmentAt(at) == list[i].commitment, "commitment of a leaf");
            at += Leaves.BYTES;
        }
    }

    /// @dev As `reveal` extends the chain: a link for each call. `settle` finds the same members in it.
    function admitted(Row[][][] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            Row[][] calldata calls = cases[i];
            Admission[] memory admissions = new Admission[](calls.length);
            uint256 count;
            for (uint256 k; k < calls.length; ++k) {
                admissions[k] = Packed.admission(calls[k]);
                found[i] = Rows.link(found[i], keccak256(admissions[k].members), admissions[k].rows);
                count += calls[k].length;
            }
            uint256[] memory members = this.membersOf(admissions, count, found[i]);
            uint256 at;
            for (uint256 k; k < calls.length; ++k) {
                for (uint256 row; row < calls[k].length; ++row) {
                    require(members[at++] == calls[k][row].member, "member of a row");
                }
            }
        }
    }

    function membersOf(Admission[] calldata admissions, uint256 length, bytes32 stored)
        external
        pure
        returns (uint256[] memory)
    {
        return Rows.membersOf(admissions, length, stored);
    }

    /// @dev As `claimTo` hashes what a trainer signs.
    function claimItems(uint256[][] calldata cases) external pure returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = keccak256(abi.encodePacked(cases[i]));
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
    function packed(Opening[][] calldata cases) external view returns (bytes[] memory found) {
        found = new bytes[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = _rowsOf(cases[i]);
    }

    function _rowsOf(Opening[] calldata list) private view returns (bytes memory rows) {
        rows = Packed.rows(list);
        if (list.length != 0) this.checkRows(rows, Packed.salts(list), list);
    }

    /// @dev The market's readers find in `rows` what the list says.
    function checkRows(bytes calldata rows, bytes32[] calldata salts, Opening[] calldata list) external pure {
        require(Rows.count(rows, salts) == list.length, "rows");
        (uint256 at,) = Rows.start(rows, salts);
        for (uint256 i; i < list.length; ++i) {
            require(Rows.memberAt(at) == list[i].member, "member of a row");
            require(Rows.codecAt(at) == list[i].cid.codec, "codec of a row");
            require(Rows.updateAt(at) == list[i].update, "update of a row");
            at += Rows.BYTES;
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
