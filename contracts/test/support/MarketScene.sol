// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {Phase, Profile, ProjectTerms, Receipt} from "../../src/types/Types.sol";
import {MarketCalls} from "./MarketCalls.sol";
import {ClaimItem, CommitLeaf, CommitSignature, Opening, Packed, Row} from "./Packed.sol";

/// @notice What most unit tests share: one project, and calls that must fail with exactly one error.
abstract contract MarketScene is MarketCalls {
    uint256 internal project;
    uint32 internal round;

    // ---- calls

    /// @dev The call reverts with exactly this data. Arguments are made before the prank, so it reaches the market.
    function _reverts(address sender, bytes memory call, bytes memory error_) internal {
        vm.prank(sender);
        (bool ok, bytes memory data) = address(market).call(call);
        vm.assertFalse(ok, "must revert");
        vm.assertEq(data, error_);
    }

    /// @dev The call works.
    function _works(address sender, bytes memory call) internal returns (bytes memory) {
        vm.prank(sender);
        (bool ok, bytes memory data) = address(market).call(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(data, 32), mload(data))
            }
        }
        return data;
    }

    /// @dev Whether the call works now; its effects are undone.
    function _wouldWork(address sender, bytes memory call) internal returns (bool ok) {
        uint256 before = vm.snapshotState();
        vm.prank(sender);
        (ok,) = address(market).call(call);
        vm.revertToState(before);
    }

    /// @dev The call at a time: works if `error_` is empty, else reverts with it. Effects are undone.
    function _tryAt(uint256 time, address sender, bytes memory call, bytes memory error_) internal {
        uint256 before = vm.snapshotState();
        vm.warp(time);
        if (error_.length == 0) _works(sender, call);
        else _reverts(sender, call, error_);
        vm.revertToState(before);
    }

    // ---- errors that many tests expect

    function _wrong(Phase found, Phase allowed) internal view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.WrongPhase.selector, project, round, found, allowed);
    }

    function _running() internal view returns (bytes memory) {
        return abi.encodeWithSelector(IProjects.RoundStillRunning.selector, project, round);
    }

    function _unknown(uint256 p) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IProjects.UnknownProject.selector, p);
    }

    function _over() internal view returns (bytes memory) {
        return abi.encodeWithSelector(IProjects.ProjectIsOver.selector, project);
    }

    function _notNewest(uint256 r) internal view returns (bytes memory) {
        return abi.encodeWithSelector(
            IRounds.NotNewestRound.selector, project, r, market.progressOf(project).round
        );
    }

    // ---- shorthand

    function _view() internal view returns (IRoundViews.RoundView memory) {
        return market.roundOf(project, round);
    }

    function _ledger() internal view returns (IProjects.Ledger memory) {
        return market.ledgerOf(project);
    }

    function _noLeaves() internal pure returns (CommitLeaf[] memory) {
        return new CommitLeaf[](0);
    }

    function _openingsOf(uint256 i) internal view returns (Opening[] memory) {
        return _openings(project, round, i, i + 1);
    }

    function _end() internal {
        vm.prank(owner);
        market.endProject(project);
    }

    /// @dev After another market has taken the place of the first.
    function _approveEverybody() internal {
        address[3] memory others = [owner, aggregator, rival];
        for (uint256 i; i < 3; ++i) {
            vm.prank(others[i]);
            token.approve(address(market), type(uint256).max);
        }
        for (uint256 i; i < trainers.length; ++i) {
            vm.prank(trainers[i]);
            token.approve(address(market), type(uint256).max);
        }
    }

    /// @dev Closes a void round in which nobody was admitted, which frees its bond for the next one.
    function _closeEmpty() internal {
        _closeWith(project, round, new Row[](0));
    }

    /// @dev keccak256 of the leaves, 36 bytes each.
    function _batchHash(CommitLeaf[] memory leaves) internal pure returns (bytes32) {
        return keccak256(Packed.leaves(leaves));
    }

    // ---- calls by this contract, or by whom a test pranks

    function _postBatch(uint256 p, uint32 r, CommitLeaf[] memory leaves, CommitSignature[] memory signatures) internal {
        market.commitBatch(p, r, Packed.leaves(leaves), Packed.signatures(signatures));
    }

    function _postSelf(uint256 p, uint32 r, uint32 member, bytes32 commitment, CommitLeaf[] memory batch) internal {
        market.commitSelf(p, r, member, commitment, Packed.leaves(batch));
    }

    function _rescueWith(uint256 p, uint32 r, CommitLeaf[] memory leaves, Opening[] memory openings) internal {
        market.rescue(p, r, Packed.leaves(leaves), Packed.rows(openings), Packed.salts(openings));
    }

    function _slashWith(uint256 p, uint32 r, uint32 member, CommitLeaf[] memory batch) internal {
        market.slashNoReveal(p, r, member, Packed.leaves(batch));
    }

    /// @dev Rows that one call of `reveal` admitted.
    function _closeWith(uint256 p, uint32 r, Row[] memory rows) internal {
        market.closeRound(p, r, Packed.admissions(rows));
    }

    function _claimWith(uint256 p, uint32 member, ClaimItem[] memory items) internal {
        market.claim(p, member, Packed.items(items), Packed.proofs(items));
    }

    // ---- calls as bytes

    function _selfCall(uint256 i, CommitLeaf[] memory batch) internal view returns (bytes memory) {
        bytes32 commitment = _commitment(project, round, i);
        return _encodeCommitSelf(project, round, _number(project, i), commitment, batch);
    }

    function _batchCall(uint256 from, uint256 to) internal view returns (bytes memory) {
        CommitLeaf[] memory leaves = _leaves(project, round, from, to);
        return _encodeCommitBatch(project, round, leaves, _signLeaves(project, round, leaves, from));
    }

    function _revealCall(CommitLeaf[] memory batch, uint256 from, uint256 to) internal view returns (bytes memory) {
        Opening[] memory openings = _openings(project, round, from, to);
        Receipt[] memory receipts = _receipts(project, round, openings);
        return _encodeReveal(project, round, batch, openings, receipts);
    }

    function _rescueCall(CommitLeaf[] memory batch, uint256 from, uint256 to) internal view returns (bytes memory) {
        return _encodeRescue(project, round, batch, _openings(project, round, from, to));
    }

    function _slashCall(CommitLeaf[] memory batch, uint256 i) internal view returns (bytes memory) {
        return _encodeSlash(project, round, _number(project, i), batch);
    }

    function _settleCall(Settlement memory s) internal view returns (bytes memory) {
        return _encodeSettle(project, round, s);
    }

    function _closeCall(uint256 from, uint256 to) internal view returns (bytes memory) {
        return _encodeClose(project, round, _rows(project, round, from, to));
    }

    /// @dev Rows 0 .. n - 1 with equal scores.
    function _equalSettlement(uint256 n) internal view returns (Settlement memory) {
        return _settlement(project, round, _rows(project, round, 0, n), _outcomes(n, ONE));
    }

    function _one(ClaimItem memory item) internal pure returns (ClaimItem[] memory items) {
        items = new ClaimItem[](1);
        items[0] = item;
    }

    /// @dev Claim on row `index` of a round in which n rows earn the same.
    function _itemOf(uint32 r, uint256 n, uint256 pay, uint256 index) internal view returns (ClaimItem memory) {
        return _claimItem(project, r, _rows(project, r, 0, n), _equalPays(n, pay), index);
    }

    // ---- deployments with a verifier or a policy of the test's own

    /// @dev Contracts that the deployment lists besides the usual ones; zero: none. Tests make them in their constructor.
    function _extraVerifier() internal view virtual returns (address) {
        return address(0);
    }

    function _extraPolicy() internal view virtual returns (address) {
        return address(0);
    }

    function _profile() internal view virtual override returns (Profile memory p) {
        p = super._profile();
        p.verifiers = _with(p.verifiers[0], _extraVerifier());
        p.policies = _with(p.policies[0], _extraPolicy());
    }

    /// @dev The usual terms with those contracts in them.
    function _extraTerms() internal view returns (ProjectTerms memory terms) {
        terms = _terms();
        if (_extraVerifier() != address(0)) {
            (terms.verifier, terms.verifierCodeHash) = (_extraVerifier(), _extraVerifier().codehash);
        }
        if (_extraPolicy() != address(0)) {
            (terms.policy, terms.policyCodeHash) = (_extraPolicy(), _extraPolicy().codehash);
        }
    }

    function _with(bytes32 first, address extra) private view returns (bytes32[] memory list) {
        list = new bytes32[](extra == address(0) ? 1 : 2);
        list[0] = first;
        if (extra != address(0)) list[1] = extra.codehash;
    }
}
