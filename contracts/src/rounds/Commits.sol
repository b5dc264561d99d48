// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {MemberRecord, Project} from "../storage/MarketStorage.sol";
import {CommitLeaf, CommitSignature, Phase} from "../types/Types.sol";
import {RoundClock} from "./RoundClock.sol";
import {Round, RoundState} from "./RoundState.sol";

/// @title Commits: one batch of signed commitments, and the path that needs nobody
/// @notice Counting is exact: a commitment counts once, as a batch leaf or as self-posted, and only with its trainer's
/// consent (signature or transaction). So the counts can neither exceed the slots nor end the phase too early.
abstract contract Commits is RoundClock, EIP712 {
    using RoundState for Round;

    bytes32 internal constant COMMIT_TYPEHASH =
        keccak256("Commit(uint256 project,uint32 round,address trainer,bytes32 commitment,uint64 expiry)");

    /// @inheritdoc IRounds
    function commitBatch(
        uint256 project,
        uint32 round,
        CommitLeaf[] calldata leaves,
        CommitSignature[] calldata signatures
    ) external nonReentrant {
        Project storage p = _project(project);
        Round storage r = _roundIn(project, round, p, Phase.Commit);
        if (!_isAggregator(p, msg.sender)) revert NotAggregator(project, msg.sender);
        if (r.batchHash != 0) revert BatchAlreadyPosted(project, round);
        if (leaves.length == 0) revert EmptyBatch();
        if (signatures.length != leaves.length) revert SignaturesMismatch(signatures.length, leaves.length);

        bytes32 domain = _domainSeparatorV4();
        uint256 counted;
        address previous;
        for (uint256 i; i < leaves.length; ++i) {
            if (leaves[i].trainer <= previous) revert BatchNotIncreasing(i);
            previous = leaves[i].trainer;
            if (_recordLeaf(project, round, leaves[i])) {
                _checkSignature(domain, project, round, i, leaves[i], signatures[i]);
                ++counted;
            }
        }
        if (counted + r.selfCount > p.slots) revert TooManyCommits(counted + r.selfCount, p.slots);
        r.batchCount = uint8(counted);
        r.batchHash = keccak256(abi.encode(leaves));
        emit CommitsPosted(project, round, r.batchHash, leaves);
        _endCommitIfComplete(project, round, p, r);
    }

    /// @inheritdoc IRounds
    function commitSelf(uint256 project, uint32 round, bytes32 commitment) external nonReentrant {
        Project storage p = _project(project);
        Round storage r = _roundIn(project, round, p, Phase.Commit);
        MemberRecord storage m = _member(project, msg.sender);
        if (!_isEligible(m, round)) revert NotEligible(project, round, msg.sender);
        if (m.selfRound == round) revert AlreadyCommitted(project, round, msg.sender);
        if (commitment == 0) revert CommitmentIsZero(msg.sender);

        if (m.batchRound == round) r.batchCount -= 1; // the trainer's leaf gives its slot up to this one
        else if (r.commits() >= p.slots) revert TooManyCommits(r.commits() + 1, p.slots);
        r.selfCount += 1;
        m.selfRound = round;
        _selfCommits[project][msg.sender] = commitment;
        emit CommittedSelf(project, round, msg.sender, commitment);
        _endCommitIfComplete(project, round, p, r);
    }

    /// @inheritdoc IRounds
    function selfCommitOf(uint256 project, uint32 round, address trainer) external view returns (bytes32) {
        uint32 last = _member(project, trainer).selfRound;
        if (last > round) revert StateOverwritten(project, round, last);
        return last == round ? _selfCommits[project][trainer] : bytes32(0);
    }

    /// @dev The trainer's commitment of this round, self-posted before batch leaf; 0 if none. `batch` is the whole
    /// batch as posted.
    function _commitmentIn(
        uint256 project,
        uint32 round,
        MemberRecord storage m,
        address trainer,
        CommitLeaf[] calldata batch
    ) internal view returns (bytes32) {
        if (m.selfRound == round) return _selfCommits[project][trainer];
        if (m.batchRound != round) return 0;
        uint256 low;
        uint256 high = batch.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (batch[middle].trainer < trainer) low = middle + 1;
            else high = middle;
        }
        if (low == batch.length || batch[low].trainer != trainer) return 0;
        return batch[low].commitment;
    }

    /// @dev Returns whether the leaf counts: not if its trainer has posted a commitment itself.
    function _recordLeaf(uint256 project, uint32 round, CommitLeaf calldata leaf) private returns (bool) {
        MemberRecord storage m = _member(project, leaf.trainer);
        if (m.selfRound == round) return false;
        if (!_isEligible(m, round)) revert NotEligible(project, round, leaf.trainer);
        if (leaf.commitment == 0) revert CommitmentIsZero(leaf.trainer);
        m.batchRound = round;
        return true;
    }

    function _checkSignature(
        bytes32 domain,
        uint256 project,
        uint32 round,
        uint256 index,
        CommitLeaf calldata leaf,
        CommitSignature calldata signed
    ) private view {
        if (signed.expiry < block.timestamp) revert CommitSignatureExpired(index, signed.expiry, block.timestamp);
        bytes32 digest = MessageHashUtils.toTypedDataHash(
            domain,
            keccak256(abi.encode(COMMIT_TYPEHASH, project, round, leaf.trainer, leaf.commitment, signed.expiry))
        );
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signed.signature);
        if (signer != leaf.trainer) revert CommitSignatureInvalid(index, signer, leaf.trainer);
    }
}
