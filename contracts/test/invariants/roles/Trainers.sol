// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Phase} from "../../../src/types/Types.sol";
import {ClaimItem, CommitLeaf, Opening, Packed} from "../../support/Packed.sol";
import {Did, World} from "../World.sol";

/// @notice What trainers and their delegates do: stakes, commitments of their own, claims.
abstract contract Trainers is World {
    uint256 private constant CLAIM_DEPTH = 6; // rounds that one claim looks back

    // ---- stakes

    function _join(uint256 project, uint256 person) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        GhostMember storage m = memberGhosts[project][person];
        if (p.ended || m.joined || m.unlockAt != 0) return false;
        bool paid = m.staked;
        _send(project, trainers[person], abi.encodeCall(market.join, (project, new bytes32[](0), new uint256[](0))));
        _number(p, m, project, person);
        m.joined = true;
        m.joinedRound = p.round;
        p.members += 1;
        if (!paid) {
            m.staked = true;
            p.ledger.stakes += p.terms.stake;
        }
        _count(paid ? Did.JoinWithPaidStake : Did.Join);
        return true;
    }

    function _stakeFor(uint256 project, uint256 person) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        GhostMember storage m = memberGhosts[project][person];
        if (p.ended || m.staked) return false;
        _send(project, stranger, abi.encodeCall(market.stakeFor, (project, trainers[person])));
        _number(p, m, project, person);
        m.staked = true;
        p.ledger.stakes += p.terms.stake;
        if (m.joined) {
            p.members += 1;
            m.joinedRound = p.round; // a round that runs already did not count on it
        }
        _count(Did.StakeFor);
        return true;
    }

    function _number(GhostProject storage p, GhostMember storage m, uint256 project, uint256 person) private {
        if (m.number != 0) return;
        m.number = ++p.numbers;
        personOf[project][m.number] = person;
    }

    function _leave(uint256 project, uint256 person) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        GhostMember storage m = memberGhosts[project][person];
        if (!m.joined) return false;
        _send(project, trainers[person], abi.encodeCall(market.leave, (project)));
        m.joined = false;
        if (m.staked) {
            p.members -= 1;
            uint256 slashEnd = p.round == 0 ? 0 : _tG(project, roundGhosts[project][p.round]) + SLASH;
            m.unlockAt = slashEnd > block.timestamp ? slashEnd : block.timestamp;
        }
        _count(Did.Leave);
        return true;
    }

    function _withdrawStake(uint256 project, uint256 person) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        GhostMember storage m = memberGhosts[project][person];
        if (m.joined || !m.staked) return false;
        if (block.timestamp < m.unlockAt) vm.warp(m.unlockAt);
        uint256 before = p.token.balanceOf(trainers[person]);
        _send(project, stranger, abi.encodeCall(market.withdrawStake, (project, trainers[person])));
        vm.assertEq(p.token.balanceOf(trainers[person]) - before, p.terms.stake, "the trainer gets the whole stake");
        m.staked = false;
        m.unlockAt = 0;
        p.ledger.stakes -= p.terms.stake;
        _count(Did.WithdrawStake);
        return true;
    }

    function _setDelegate(uint256 project, uint256 person) internal returns (bool) {
        GhostMember storage m = memberGhosts[project][person];
        if (m.number == 0) return false;
        address delegate = m.delegated ? address(0) : delegates[person];
        _send(project, trainers[person], abi.encodeCall(market.setDelegate, (project, delegate)));
        m.delegated = !m.delegated;
        _count(Did.SetDelegate);
        return true;
    }

    // ---- commitments

    /// @dev What a trainer commits to. One codec in twelve is one that the market never admits.
    function _openingOf(uint256 project, uint32 round, uint256 person, bool self)
        internal
        view
        returns (Opening memory o)
    {
        o.member = memberGhosts[project][person].number;
        o.update = _update(project, round, person);
        o.cid = _cid(o.update);
        uint256 kind = uint256(o.update) % 12;
        if (kind < 4) o.cid.codec = kind == 0 ? 0x71 : 0x70;
        o.salt = keccak256(abi.encode(_salt(project, round, person), self));
    }

    function _commitSelfAs(uint256 project, uint256 person) internal returns (bool) {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        Place storage place = places[project][round][person];
        if (phase != Phase.Commit || !_eligible(project, round, person) || place.seat == Seat.Self) return false;
        GhostMember storage m = memberGhosts[project][person];
        bytes32 commitment = _commitmentOf(project, round, _openingOf(project, round, person, true));
        CommitLeaf[] memory batch = r.batch;
        bool byDelegate = m.delegated && _oneIn(2);
        _send(
            project,
            byDelegate ? delegates[person] : trainers[person],
            _encodeCommitSelf(project, round, m.number, commitment, batch)
        );
        if (place.seat == Seat.Leaf) {
            r.leaves -= 1;
            r.unresolved -= 1;
            _count(Did.ReplaceLeaf);
        }
        r.selves += 1;
        r.unresolved += 1;
        places[project][round][person] = Place(Seat.Self, Fate.Open, commitment);
        _endCommitIfComplete(project, r);
        _count(byDelegate ? Did.CommitByDelegate : Did.CommitSelf);
        return true;
    }

    // ---- claims

    /// @dev Everything that `person` can have from the latest rounds of a project.
    function _claimable(uint256 project, uint256 person) internal view returns (ClaimItem[] memory items, uint256 sum) {
        uint32 newest = ghosts[project].round;
        uint32 number = memberGhosts[project][person].number;
        ClaimItem[] memory all = new ClaimItem[](CLAIM_DEPTH);
        uint256 n;
        for (uint32 round = newest; round > 0 && round + CLAIM_DEPTH > newest; --round) {
            GhostRound storage r = roundGhosts[project][round];
            for (uint256 i; i < r.pays.length; ++i) {
                if (r.rows[i].member != number || memberGhosts[project][person].claimed >> round & 1 == 1) continue;
                all[n++] = _claimItem(project, round, r.rows, r.pays, i);
                sum += r.pays[i];
            }
        }
        items = new ClaimItem[](n);
        for (uint256 i; i < n; ++i) items[i] = all[i];
    }

    function _claim(uint256 project, uint256 person) internal returns (bool) {
        (ClaimItem[] memory items, uint256 sum) = _claimable(project, person);
        if (sum == 0) return false;
        GhostProject storage p = ghosts[project];
        address to = trainers[person];
        uint256 way = _dice() % 3;
        if (way != 0) to = address(uint160(0xFACE00 + person));
        uint256 before = p.token.balanceOf(to);
        if (way == 0) _claimFor(project, person, items);
        else _claimToAs(project, person, items, to, way == 1);
        vm.assertEq(p.token.balanceOf(to) - before, sum, "a claim pays what the rule gives");
        p.ledger.claimable -= sum;
        p.ledger.claimed += sum;
        for (uint256 i; i < items.length; ++i) {
            memberGhosts[project][person].claimed |= 1 << items[i].round;
        }
        return true;
    }

    function _claimFor(uint256 project, uint256 person, ClaimItem[] memory items) private {
        uint32 number = memberGhosts[project][person].number;
        _send(project, stranger, _encodeClaim(project, number, items));
        _count(Did.Claim);
    }

    function _claimToAs(uint256 project, uint256 person, ClaimItem[] memory items, address to, bool signed) private {
        uint32 number = memberGhosts[project][person].number;
        uint64 expiry = uint64(block.timestamp);
        bytes memory signature;
        if (signed) {
            bytes32 struct_ = keccak256(
                abi.encode(
                    keccak256("ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry)"),
                    project,
                    number,
                    keccak256(abi.encodePacked(Packed.items(items))),
                    to,
                    expiry
                )
            );
            signature = _signature(trainerKeys[person], _digest("CohortMarket", address(market), struct_));
        }
        _send(
            project,
            signed ? stranger : trainers[person],
            _encodeClaimTo(project, number, items, to, expiry, signature)
        );
        _count(signed ? Did.ClaimToSigned : Did.ClaimToByTrainer);
    }
}
