// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundViews} from "../interfaces/IRoundViews.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {Project} from "../storage/MarketStorage.sol";
import {Phase} from "../types/Types.sol";
import {RoundBase} from "./RoundBase.sol";
import {Header, Round, RoundState} from "./RoundState.sol";
import {Rows} from "./Rows.sol";
import {SelfCommits} from "./SelfCommits.sol";

/// @title RoundViews: how a round looks from outside
abstract contract RoundViews is RoundBase, SelfCommits, IRoundViews {
    using RoundState for Header;

    /// @inheritdoc IRoundViews
    function phaseOf(uint256 project, uint32 round) external view returns (Phase) {
        Project storage p = _project(project);
        Rules memory rules = TermsStore.read(p.rules);
        return _phaseOf(project, p, rules, round);
    }

    /// @inheritdoc IRoundViews
    function roundOf(uint256 project, uint32 round) external view returns (RoundView memory v) {
        Project storage p = _project(project);
        Rules memory rules = TermsStore.read(p.rules);
        v.phase = _phaseOf(project, p, rules, round);
        v.payoutRoot = _ending(project, round).payoutRoot;
        Round storage r = _roundWithSeats(project, round, p);
        Header memory h = RoundState.load(r);
        if (round == p.newestRound && round != 0) {
            v.model = p.model;
            v.admittedHash = h.admitted == 0 ? bytes32(0) : r.admittedHash;
            v.acceptor = r.acceptor;
            v.validation = h.validated ? r.validation : bytes32(0);
            v.publicRows = h.publicRowsPosted ? r.publicRows : bytes32(0);
            v.closed = h.outcome != Phase.None;
            v.budget = v.closed ? 0 : uint112(rules.roundBudget);
        } else {
            // slither-disable-next-line timestamp (phases follow from time by design)
            v.closed = v.phase != Phase.None;
        }
        if (h.openedAt == 0) return v;
        _viewHeader(v, h, rules);
        v.batchHash = h.batchPosted ? r.batchHash : bytes32(0);
    }

    /// @inheritdoc IRoundViews
    function commitmentsOf(uint256 project, uint32 round, bytes calldata rows, bytes32[] calldata salts)
        external
        view
        returns (bytes32[] memory commitments)
    {
        commitments = new bytes32[](Rows.count(rows, salts));
        bytes32 domain = Rows.domainOf(project, round);
        for (uint256 i; i < commitments.length; ++i) {
            commitments[i] = keccak256(bytes.concat(domain, rows[i * Rows.BYTES:(i + 1) * Rows.BYTES], salts[i]));
        }
    }

    /// @inheritdoc IRoundViews
    function selfCommitOf(uint256 project, uint32 round, uint32 member) external view returns (bytes32) {
        (bytes27 committed, bool resolved) = _selfCommit(project, round, member);
        return resolved ? bytes32(uint256(1)) : bytes32(committed);
    }

    function _viewHeader(RoundView memory v, Header memory h, Rules memory rules) private view {
        v.openedAt = uint64(h.openedAt);
        v.commitEnd = uint64(h.commitEnd);
        v.revealStart = uint64(h.revealStart(rules));
        v.revealEnd = uint64(h.revealEnd);
        v.rescueEnd = uint64(h.rescueEnd(rules));
        v.acceptorEnd = uint64(h.acceptorEnd(rules));
        v.settleEnd = uint64(h.settleEnd(rules));
        v.slashEnd = uint64(h.rescueEnd(rules) + _slashWindow());
        v.expected = uint8(h.expected);
        v.batchCount = uint8(h.batchCount);
        v.selfCount = uint8(h.selfCount);
        v.admitted = uint8(h.admitted);
        v.refused = uint8(h.refused);
        v.unresolved = uint8(h.unresolved);
        v.batchPosted = h.batchPosted;
        v.batchBits = uint32(h.batchBits);
        v.resolvedBits = uint32(h.resolvedBits);
    }
}
