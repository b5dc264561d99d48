// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LeafSkip, Phase, Receipt, SkipReason} from "../types/Types.sol";

/// @title Rounds: commit and reveal, and the events and errors of everything that happens in a round
/// @notice Every transition can be made by anyone once it is due. Deadlines are upper bounds: when everyone who may act has
/// acted, commit and reveal end at once and the later deadlines move earlier by the same amount. Intervals are half-open.
interface IRounds {
    event RoundOpened(
        uint256 indexed project,
        uint32 indexed round,
        address indexed aggregator,
        bytes32 model,
        uint256 budget,
        uint8 expected,
        uint40 openedAt,
        uint40 commitEnd,
        uint40 revealEnd
    );
    /// @notice Of `leaves` (36 bytes each: member (4), commitment (32)) those count whose bit is set. keccak256 of them is the
    /// batch hash.
    event CommitsPosted(uint256 indexed project, uint32 indexed round, uint32 batchBits, bytes leaves);
    event LeafSkipped(uint256 indexed project, uint32 indexed round, uint32 indexed member, LeafSkip reason);
    /// @notice `replacedLeaf` is the position of the trainer's leaf in the batch, which no longer counts; 255: none.
    event CommittedSelf(
        uint256 indexed project, uint32 indexed round, uint32 indexed member, bytes32 commitment, uint8 replacedLeaf
    );
    /// @notice A deadline moved earlier because everyone has acted. The other deadlines follow from these two.
    event DeadlinesMoved(uint256 indexed project, uint32 indexed round, uint40 commitEnd, uint40 revealEnd);
    /// @notice The first of `rows` became row `firstRow`: 69 bytes for each, member (4), codec (1),
    /// update (32), digest of the CID (32).
    event UpdatesAdmitted(uint256 indexed project, uint32 indexed round, uint8 firstRow, bytes rows);
    event UpdateRefused(uint256 indexed project, uint32 indexed round, uint32 indexed member, bytes32 update);
    event RevealSkipped(uint256 indexed project, uint32 indexed round, uint32 indexed member, SkipReason reason);
    /// @notice Opened after tR: no pay, but the stake is safe.
    event UpdateRescued(uint256 indexed project, uint32 indexed round, uint32 indexed member, bytes32 update);
    event StakeSlashed(
        uint256 indexed project,
        uint32 indexed round,
        uint32 indexed member,
        address trainer,
        address caller,
        uint256 reward,
        uint256 burned
    );
    event ValidationRevealed(uint256 indexed project, uint32 indexed round, bytes32 digest);
    event PublicRowsPosted(uint256 indexed project, uint32 indexed round, bytes32 rows);

    error WrongPhase(uint256 project, uint256 round, Phase found, Phase allowed);
    error NotNewestRound(uint256 project, uint256 round, uint256 newest);
    error OutsideWindow(uint256 project, uint256 round, uint256 time, uint256 from, uint256 until);
    error NotAccepted(uint256 project, uint256 round);
    error ModelNotReceipted(uint256 project, bytes32 model, uint256 until);
    error RoundNotClosed(uint256 project, uint256 round);
    error BudgetTooLow(uint256 project, uint256 free, uint256 needed);
    error AllRoundsRun(uint256 project, uint256 rounds);
    error TooFewMembers(uint256 project, uint256 members, uint256 needed);
    error NotBatcher(uint256 project, uint256 round, address caller, address batcher);
    error BatchAlreadyPosted(uint256 project, uint256 round);
    error BatchTooLate(uint256 project, uint256 round, uint256 time, uint256 until);
    error BatchTooLong(uint256 leaves, uint256 most);
    error BatchNotIncreasing(uint256 index);
    error BatchMismatch(bytes32 found, bytes32 stored);
    error EmptyBatch();
    error LeavesMalformed(uint256 length);
    error SignaturesMismatch(uint256 signatures, uint256 leaves);
    error NotEligible(uint256 project, uint256 round, uint256 member);
    error NotTrainer(uint256 project, uint256 member, address caller);
    error AlreadyCommitted(uint256 project, uint256 round, uint256 member);
    error CommitmentReserved(uint256 member, bytes32 commitment);
    error NoOpenings();
    error RowsMalformed(uint256 length);
    error SaltsMismatch(uint256 salts, uint256 rows);
    error TooManyOpenings(uint256 openings, uint256 most);
    error OpeningsNotIncreasing(uint256 index);
    error ReceiptInvalid(uint256 index, address recovered, address expected);
    error WitnessesNotIncreasing(uint256 index);
    error QuorumMissing(uint256 found, uint256 needed);
    error NothingToSlash(uint256 project, uint256 round, uint256 member);
    error BatchNotInRoot(uint256 project, uint256 round, bytes32 digest);
    error AlreadyPosted(uint256 project, uint256 round, bytes32 found);

    /// @notice Posts signed commitments in one batch, the only one of the round. The aggregator that accepted the round
    /// only, and not in the last part of the phase. A leaf that cannot count is passed over with a reason and does not affect
    /// the others.
    /// @param leaves strictly increasing by member, 36 bytes each: member (4), commitment (32).
    /// @param signatures 64 bytes for each leaf, of its trainer or the trainer's delegate: EIP-712 Commit(uint256 project,uint32
    /// round,uint32 member,bytes32 commitment), compact (EIP-2098). Nobody can fill slots or keep a round waiting with
    /// commitments that their trainers never made. A signature is good for one round's commit phase, so it needs no expiry.
    function commitBatch(
        uint256 project,
        uint32 round,
        bytes calldata leaves,
        bytes calldata signatures
    ) external;

    /// @notice Posts a trainer's commitment: the path that needs nobody. By the trainer or its delegate, once per round.
    /// The market keeps the first 27 bytes of it, which must not be zero.
    /// @param batch the leaves as posted, empty if no batch was: a leaf of the same trainer gives its slot up.
    function commitSelf(
        uint256 project,
        uint32 round,
        uint32 member,
        bytes32 commitment,
        bytes calldata batch
    ) external;

    /// @notice Opens any number of commitments. Anyone with the preimages may. A row that does not count is skipped with a
    /// reason and does not affect the others. A receipt that does not verify reverts the call: whoever sends it chose it.
    /// @param leaves of the batch: all of them, or only those that no row here opens; the market rebuilds the others from rows and
    /// salts and compares the hash. A row that does not open its leaf is skipped if that leaf is given, else the call reverts.
    /// Empty if no batch was posted.
    /// @param rows strictly increasing by member, 69 bytes each: member (4), codec (1), update (32), digest of the CID (32).
    /// @param salts one for each row.
    function reveal(
        uint256 project,
        uint32 round,
        bytes calldata leaves,
        bytes calldata rows,
        bytes32[] calldata salts,
        Receipt[] calldata receipts
    ) external;
}
