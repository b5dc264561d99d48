// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TestToken} from "../../src/devnet/TestToken.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {Admission, Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketCalls} from "../support/MarketCalls.sol";
import {CommitLeaf, Packed, Row} from "../support/Packed.sol";

/// @notice What the market should hold, kept beside it: the rules of the protocol written once more, in the plainest way
/// and from the calls alone. Nothing here is read from the market.
abstract contract MarketModel is MarketCalls {
    uint256 internal constant PEOPLE = 8; // trainers who may take part

    /// @dev How a member of a round committed.
    enum Seat {
        None,
        Leaf,
        Self
    }

    /// @dev What became of a commitment.
    enum Fate {
        Open,
        Admitted,
        Refused,
        Rescued,
        Slashed
    }

    struct Place {
        Seat seat;
        Fate fate;
        bytes32 commitment;
    }

    struct GhostRound {
        uint256 openedAt; // unix seconds, as all times
        uint256 commitEnd;
        uint256 revealEnd;
        uint256 expected;
        uint256 leaves; // that count
        uint256 selves;
        uint256 unresolved;
        uint256 refused;
        address acceptor;
        bool posted;
        bytes32 model;
        bytes32 validation;
        bytes32 publicRows;
        CommitLeaf[] batch;
        Row[] rows;
        uint256[] admissions; // rows of each call that admitted any
        bytes32 admittedHash; // the chain over those calls, a link for each
        uint256[] pays; // base units, one per row, once the round has ended
        Phase outcome; // None until the money has moved
        Phase seen; // the last phase that the market showed
    }

    struct GhostMember {
        uint32 number;
        uint32 joinedRound;
        uint256 unlockAt;
        bool staked;
        bool joined;
        bool delegated;
        uint256 credit;
        uint256 usefulness;
        uint256 rounds;
        uint256 rejections;
        uint256 claimed; // bit r: has been paid for round r
    }

    struct GhostBond {
        uint256 free;
        uint256 locked;
    }

    struct GhostProject {
        ProjectTerms terms;
        TestToken token;
        address owner;
        uint256 protocolFee; // base units per round
        uint256 distributable; // D
        uint256 weight; // of standing, 1/65536
        bool receipts; // its verifier vouches for the model too
        IProjects.Ledger ledger;
        uint32 round;
        uint32 members;
        uint32 numbers;
        bool ended;
        uint32 acceptedRound;
        address acceptor;
        bytes32 model;
        bytes32 pending;
        uint256 pendingUntil;
        uint256 createdAt;
        address[] aggregators;
    }

    uint256 internal projectsMade;
    mapping(uint256 project => GhostProject) internal ghosts;
    mapping(uint256 project => mapping(uint32 round => GhostRound)) internal roundGhosts;
    mapping(uint256 project => mapping(uint256 person => GhostMember)) internal memberGhosts;
    mapping(uint256 project => mapping(address aggregator => GhostBond)) internal bondGhosts;
    mapping(uint256 project => mapping(uint32 round => mapping(uint256 person => Place))) internal places;
    mapping(uint256 project => mapping(uint32 number => uint256)) internal personOf;
    mapping(uint256 person => mapping(address owner => uint256)) internal lossGhosts;
    mapping(uint256 person => uint256) internal lossSums;

    // ---- time

    function _tG(uint256 project, GhostRound storage r) internal view returns (uint256) {
        return r.revealEnd + ghosts[project].terms.windows.rescue;
    }

    function _tS(uint256 project, GhostRound storage r) internal view returns (uint256) {
        return _tG(project, r) + ghosts[project].terms.windows.settle;
    }

    function _tF(uint256 project, GhostRound storage r) internal view returns (uint256) {
        return _tS(project, r) + ghosts[project].terms.windows.takeover;
    }

    /// @dev The table of protocol section 3.
    function _modelPhase(uint256 project, uint32 round) internal view returns (Phase) {
        GhostProject storage p = ghosts[project];
        GhostRound storage r = roundGhosts[project][round];
        if (round == 0 || round > p.round) return Phase.None;
        if (r.outcome != Phase.None) return r.outcome;
        uint256 t = block.timestamp;
        uint256 least = p.terms.minTrainers;
        bool enough = r.leaves + r.selves >= least;
        if (t < r.commitEnd) return Phase.Commit;
        if (!enough) return Phase.Void;
        if (t < r.commitEnd + p.terms.windows.guard) return Phase.Guard;
        if (t < r.revealEnd) return Phase.Reveal;
        if (r.rows.length < least) return Phase.Void;
        return t < _tF(project, r) ? Phase.Settle : Phase.Defaulted;
    }

    function _running(uint256 project) internal view returns (bool) {
        uint32 round = ghosts[project].round;
        return round != 0 && roundGhosts[project][round].outcome == Phase.None;
    }

    /// @dev Commitments of a round that anyone could ever reveal.
    function _hadReveals(uint256 project, uint32 round) internal view returns (bool) {
        GhostRound storage r = roundGhosts[project][round];
        return r.openedAt != 0 && r.leaves + r.selves >= ghosts[project].terms.minTrainers;
    }

    /// @dev What each call admitted, cut out of the rows.
    function _admissionsOf(GhostRound storage r) internal view returns (Admission[] memory list) {
        list = new Admission[](r.admissions.length);
        uint256 at;
        for (uint256 k; k < list.length; ++k) {
            Row[] memory rows = new Row[](r.admissions[k]);
            for (uint256 i; i < rows.length; ++i) rows[i] = r.rows[at++];
            list[k] = Packed.admission(rows);
        }
        vm.assertEq(at, r.rows.length, "every row was admitted by a call");
    }

    /// @dev The rows from `before` on were admitted by one call. The chain is made anew, from the first row on.
    function _noteAdmission(GhostRound storage r, uint256 before) internal {
        if (r.rows.length == before) return;
        r.admissions.push(r.rows.length - before);
        r.admittedHash = Packed.chain(_admissionsOf(r));
    }

    /// @dev Everyone has committed: tC is now, and all later windows keep their length.
    function _endCommitIfComplete(uint256 project, GhostRound storage r) internal {
        if (r.leaves + r.selves < r.expected) return;
        r.commitEnd = block.timestamp;
        r.revealEnd = block.timestamp + ghosts[project].terms.windows.guard + ghosts[project].terms.windows.reveal;
    }

    // ---- money

    /// @dev pay = min(floor(D c / max(sum c, floor)), floor(D cap / n), D).
    function _modelPays(uint256 project, uint256[] memory outcomes)
        internal
        view
        returns (uint256[] memory pays, uint256 sum)
    {
        GhostProject storage p = ghosts[project];
        uint256 d = p.distributable;
        uint256 n = outcomes.length;
        uint256 scores;
        for (uint256 i; i < n; ++i) scores += outcomes[i] / 256;
        if (scores < p.terms.scoreFloor) scores = p.terms.scoreFloor;
        pays = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            pays[i] = _least(_least(d * (outcomes[i] / 256) / scores, d * p.terms.shareCap / n), d);
            sum += pays[i];
        }
        vm.assertLe(sum, d, "the rule itself pays more than D");
    }

    /// @dev The bond of a round that ended in time.
    function _unlock(uint256 project, address aggregator_) internal {
        GhostBond storage b = bondGhosts[project][aggregator_];
        b.locked -= ghosts[project].terms.bond;
        b.free += ghosts[project].terms.bond;
    }

    /// @dev Everybody's money in one token, except what an aggregator or a trainer has outside.
    function _owed(IProjects.Ledger memory l) internal pure returns (uint256) {
        return l.free + l.held + l.claimable + l.burned + l.stakes + l.bonds + l.stakesBurned + l.bondsBurned
            + l.protocolFees;
    }

    // ---- standing

    function _recordRow(uint256 project, uint256 person, uint256 pay, uint256 n, bool rejected) internal {
        GhostProject storage p = ghosts[project];
        GhostMember storage m = memberGhosts[project][person];
        uint256 x = _least(40_000, 10_000 * pay * n / p.distributable);
        m.usefulness = (7 * m.usefulness + (rejected ? 0 : x)) / 8;
        m.rounds = _least(m.rounds + 1, 65_535);
        if (rejected) {
            m.rejections = _least(m.rejections + 1, 127);
            _lose(project, person, 10_000);
        } else {
            uint256 gained = 1_000 * _least(pay * n, p.distributable) * p.weight / (p.distributable * 65_536);
            m.credit = _least(m.credit + gained, (1 << 24) - 1);
        }
    }

    function _lose(uint256 project, uint256 person, uint256 loss) internal {
        GhostProject storage p = ghosts[project];
        uint256 before = lossGhosts[person][p.owner];
        uint256 now_ = _least(30_000, before + loss * p.weight / 65_536);
        lossGhosts[person][p.owner] = now_;
        lossSums[person] += now_ - before;
    }

    // ---- people

    function _eligible(uint256 project, uint32 round, uint256 person) internal view returns (bool) {
        GhostMember storage m = memberGhosts[project][person];
        return m.staked && m.joined && m.joinedRound < round;
    }

    function _least(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }
}
