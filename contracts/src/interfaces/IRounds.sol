// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CommitLeaf, CommitSignature, NextModel, Outcome, Phase, Receipt, Reveal, Row, SkipReason} from "../types/Types.sol";

/// @title Rounds: open, commit, reveal, settle
/// @notice Every transition can be made by anyone once it is due. Deadlines are upper bounds: when everyone who may
/// act has acted, the phase ends at once and the later deadlines move earlier by the same amount.
interface IRounds {
    /// @notice One round. Times are unix seconds.
    struct RoundView {
        Phase phase; // as of block.timestamp
        uint64 openedAt;
        uint64 commitEnd; // tC
        uint64 revealStart; // tC + g
        uint64 revealEnd; // tR
        uint64 settleEnd; // tF
        uint128 budget; // R of this round
        uint16 eligible; // members when it opened (65,535 if more)
        uint8 batchCount; // commitments in the batch, without those that their trainers replaced
        uint8 selfCount; // commitments posted by their trainers
        uint8 admitted; // n
        uint8 refused; // revealed, and refused by a quorum of witnesses
        bool closed; // terminal, and its money has been moved: settled, or `closeRound` has been called
        uint32 claimedBits; // bit i: row i has been claimed
        bytes32 batchHash; // keccak256(abi.encode(CommitLeaf[]))
        bytes32 admittedHash; // chain of keccak256(abi.encode(previous, trainer, update))
        bytes32 model; // commitment of the model this round starts from
        bytes32 payoutRoot; // set when closed and any row exists
    }

    event RoundOpened(
        uint256 indexed project,
        uint32 indexed round,
        uint256 budget,
        bytes32 model,
        uint16 eligible,
        uint64 commitEnd,
        uint64 revealStart,
        uint64 revealEnd,
        uint64 settleEnd
    );
    event CommitsPosted(uint256 indexed project, uint32 indexed round, bytes32 batchHash, CommitLeaf[] leaves);
    event CommittedSelf(uint256 indexed project, uint32 indexed round, address indexed trainer, bytes32 commitment);
    /// @notice A deadline moved earlier because everyone has acted.
    event DeadlinesMoved(
        uint256 indexed project,
        uint32 indexed round,
        uint64 commitEnd,
        uint64 revealStart,
        uint64 revealEnd,
        uint64 settleEnd
    );
    event UpdateAdmitted(
        uint256 indexed project, uint32 indexed round, address indexed trainer, uint8 row, bytes32 update, bytes cid
    );
    event RevealRefused(uint256 indexed project, uint32 indexed round, address indexed trainer, bytes32 update);
    event RevealSkipped(uint256 indexed project, uint32 indexed round, address indexed trainer, SkipReason reason);
    event RoundSettled(
        uint256 indexed project,
        uint32 indexed round,
        address indexed settler,
        bytes32 payoutRoot,
        bytes32 model,
        bytes modelCid,
        bytes bundleCid,
        uint256 paid,
        uint256 fee,
        uint256 burned
    );
    /// @notice One per row of a settled, void or defaulted round.
    event RowPaid(
        uint256 indexed project, uint32 indexed round, address indexed trainer, uint8 row, uint64 score, uint8 reason, uint256 pay
    );
    event RoundVoided(uint256 indexed project, uint32 indexed round, bytes32 payoutRoot, uint256 paid);
    event RoundDefaulted(uint256 indexed project, uint32 indexed round, bytes32 payoutRoot, uint256 paid);

    error WrongPhase(uint256 project, uint256 round, Phase found, Phase allowed);
    error RoundNotClosed(uint256 project, uint256 round);
    error RoundAlreadyClosed(uint256 project, uint256 round);
    error StateOverwritten(uint256 project, uint256 round, uint256 laterRound);
    error BudgetTooLow(uint256 project, uint256 free, uint256 needed);
    error AllRoundsRun(uint256 project, uint256 rounds);
    error TooFewMembers(uint256 project, uint256 members, uint256 needed);
    error NotAggregator(uint256 project, address caller);
    error BatchAlreadyPosted(uint256 project, uint256 round);
    error BatchNotIncreasing(uint256 index);
    error BatchMismatch(bytes32 found, bytes32 stored);
    error TooManyCommits(uint256 commits, uint256 slots);
    error EmptyBatch();
    error NotEligible(uint256 project, uint256 round, address trainer);
    error AlreadyCommitted(uint256 project, uint256 round, address trainer);
    error CommitmentIsZero(address trainer);
    error SignaturesMismatch(uint256 signatures, uint256 leaves);
    error CommitSignatureInvalid(uint256 index, address recovered, address trainer);
    error CommitSignatureExpired(uint256 index, uint256 expiry, uint256 time);
    error TooManyReveals(uint256 reveals);
    error ReceiptInvalid(uint256 index, address recovered, address expected);
    error WitnessesNotIncreasing(uint256 index);
    error RowsMismatch(bytes32 found, bytes32 stored);
    error OutcomesMismatch(uint256 outcomes, uint256 rows);
    error RejectedRowHasScore(uint256 row, uint64 score);
    error PaysMoreThanBudget(uint256 pay, uint256 distributable);
    error NoReveals();
    error CidInvalid(bytes cid);
    error NothingToAdvance(uint256 project, uint256 round, Phase found);

    /// @notice Opens the next round: sets its budget aside, irrevocably. Anyone may, once the previous one ended.
    function openRound(uint256 project) external returns (uint32 round);

    /// @notice Posts signed commitments in one batch (one per round). Aggregators of the project only.
    /// `leaves` strictly increasing by trainer; each an eligible member, whose signature is `signatures[i]`. A leaf whose
    /// trainer has posted a commitment itself is passed over: it can neither be revealed nor takes a slot.
    function commitBatch(
        uint256 project,
        uint32 round,
        CommitLeaf[] calldata leaves,
        CommitSignature[] calldata signatures
    ) external;

    /// @notice Posts one's own commitment: the path that needs nobody. Replaces the caller's leaf in the batch, if any,
    /// and then keeps that leaf's slot; otherwise it needs a free one. Once per round.
    function commitSelf(uint256 project, uint32 round, bytes32 commitment) external;

    /// @notice Reveals any number of updates. Anyone with the preimages may. A bad item is skipped with a reason and
    /// does not affect the others. `batch` is the whole batch as posted (empty if every reveal is self-posted).
    /// A receipt that does not verify reverts the call: whoever sends it chose it.
    function reveal(
        uint256 project,
        uint32 round,
        CommitLeaf[] calldata batch,
        Reveal[] calldata reveals,
        Receipt[] calldata receipts
    ) external;

    /// @notice Ends the current phase if everyone has acted. Happens inside commit and reveal too.
    function advance(uint256 project, uint32 round) external;

    /// @notice Settles: checks the evidence, pays by score, builds the payout root. Aggregators of the project only.
    function settle(
        uint256 project,
        uint32 round,
        Row[] calldata rows,
        Outcome[] calldata outcomes,
        NextModel calldata next,
        bytes calldata bundleCid,
        bytes calldata evidence
    ) external;

    /// @notice Ends a round that cannot be settled any more: void (too few commits or reveals) or defaulted (nobody
    /// settled in time). Anyone may. `rows` are the admitted rows, in order.
    function closeRound(uint256 project, uint32 round, Row[] calldata rows) external;

    function phaseOf(uint256 project, uint32 round) external view returns (Phase);

    function roundOf(uint256 project, uint32 round) external view returns (RoundView memory);

    /// @notice The commitment that the trainer posted itself in this round, or 0. Only the trainer's last one is kept:
    /// reverts with StateOverwritten if it has posted one in a later round since.
    function selfCommitOf(uint256 project, uint32 round, address trainer) external view returns (bytes32);

    /// @notice 0: not revealed, 1: admitted, 2: refused by a quorum of witnesses. Only the trainer's last reveal is
    /// kept: reverts with StateOverwritten if it has revealed in a later round since.
    function revealStateOf(uint256 project, uint32 round, address trainer) external view returns (uint8);

    /// @notice What a trainer commits to.
    function commitmentOf(uint256 project, uint32 round, address trainer, bytes32 update, bytes32 salt)
        external
        view
        returns (bytes32);

    /// @notice What a witness's receipt speaks of: keccak256 over (trainer, update, keccak256(cid)) of each reveal.
    function revealsHashOf(Reveal[] calldata reveals) external pure returns (bytes32);
}
