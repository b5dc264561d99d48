// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Lengths of a round's phases, in seconds. Upper bounds: a phase ends early when everyone has acted.
struct Windows {
    uint32 commit; // open -> tC
    uint32 guard; // tC -> first reveal
    uint32 reveal; // end of guard -> tR
    uint32 settle; // tR -> tF
}

/// @notice What an owner fixes when a project is created. Nothing here can change later.
struct ProjectTerms {
    address token; // ERC-20 that everything in this project is paid in
    address verifier; // IRoundVerifier that decides whether a settlement is right
    bytes32 specDigest; // sha2-256 digest of the project spec (CIDv1, raw codec)
    bytes32 policyHash; // keccak256 of the canonical scoring policy
    bytes32 initialModel; // keccak256 of the canonical bytes of the first model
    uint128 roundBudget; // R: set aside for each round, base units
    uint128 aggregatorFee; // part of R that goes to whoever settles, base units
    uint128 stake; // deposited by each trainer to join, base units
    uint64 scoreFloor; // S_floor: below this sum of scores, pay only in proportion
    uint32 rounds; // most rounds this project runs
    uint32 dimension; // d: parameters of the model
    uint8 slots; // N: most trainers in a round, <= 32
    uint8 minTrainers; // k_min: fewer commits or reveals void the round, <= N/2 (1 if N = 1)
    uint8 quorum; // q: witness signatures needed, > m/2
    uint8 shareCap; // one trainer gets at most shareCap/n of what a round distributes, >= 1
    Windows windows;
    address[] witnesses; // m <= 7, strictly increasing
    address[] aggregators; // 1..8, strictly increasing
}

/// @notice One entry of a batch of commitments.
struct CommitLeaf {
    address trainer;
    bytes32 commitment; // see ICohortMarket.commitmentOf
}

/// @notice The trainer's consent to one entry of a batch. Checked when the batch is posted: nobody can take a slot,
/// end the commit phase early or keep a round waiting with commitments that their trainers never made.
struct CommitSignature {
    uint64 expiry; // last second at which the batch may be posted
    bytes signature; // EIP-712 Commit by the trainer: 65 bytes r, s, v with s in the lower half
}

/// @notice What opens a commitment.
struct Reveal {
    address trainer;
    bytes32 update; // C_a: keccak256 of the canonical bytes of the update
    bytes32 salt;
    bytes cid; // 36-byte CIDv1 where the update can be fetched (transport only)
}

/// @notice One witness's word on a set of reveals: bit i speaks of reveal i of the call.
struct Receipt {
    uint8 witness; // index in the project's witness list
    uint32 endorsed; // bitmap: fetched, decodes to int16[d], opens the update commitment
    uint32 refused; // bitmap: fetched as the trainer handed it in, and wrong
    bytes signature; // EIP-712 Receipt
}

/// @notice An admitted update, in order of admission.
struct Row {
    address trainer;
    bytes32 update;
}

/// @notice What the policy says of one row.
struct Outcome {
    uint64 score; // fixed point, 2^30 = an average contribution; 0 if rejected
    uint8 reason; // 0 = accepted, else the policy's reason code
}

/// @notice The model that a settlement leaves behind.
struct NextModel {
    bytes32 commitment; // keccak256 of its canonical bytes
    bytes cid; // 36-byte CIDv1
}

/// @notice A claim on one round.
struct ClaimItem {
    uint32 round;
    uint8 index; // row of the trainer in that round
    uint128 amount;
    bytes32[] proof;
}

/// @notice Phases of a round. See `phaseOf` in IRounds.
enum Phase {
    None,
    Commit,
    Guard,
    Reveal,
    Settle,
    Final,
    Void,
    Defaulted
}

/// @notice Why one reveal of a batch was passed over. The others of the batch are not affected.
enum SkipReason {
    None,
    AlreadyRevealed,
    NotCommitted,
    WrongOpening,
    NoQuorum,
    BadCid
}
