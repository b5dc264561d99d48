// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Lengths of a round's phases, in seconds. Upper bounds: commit and reveal end early when everyone has acted.
struct Windows {
    uint32 commit; // open -> tC
    uint32 guard; // tC -> first reveal
    uint32 reveal; // end of guard -> tR
    uint32 rescue; // tR -> tG: an unrevealed commitment may still be opened to save its stake
    uint32 settle; // tG -> tS: the aggregator that accepted the round must have settled
    uint32 takeover; // tS -> tF: any bonded aggregator of the project may settle
    uint32 selfCommit; // the last part of the commit phase, for trainers only: no batch any more
}

/// @notice What an owner fixes when a project is created. Nothing here can change later.
struct ProjectTerms {
    address token; // ERC-20 that everything in this project is paid in
    address verifier; // IRoundVerifier that decides whether a settlement is right
    address policy; // IRoundPolicy that gives the scores
    bytes32 verifierCodeHash; // keccak256 of their code: must be those found, and on the deployment's list
    bytes32 policyCodeHash;
    bytes32 specDigest; // sha2-256 digest of the project spec (CIDv1, raw codec)
    bytes32 policyHash; // keccak256 of the canonical scoring policy
    bytes32 initialModel; // keccak256 of the canonical bytes of the first model
    bytes32 validationRoot; // Merkle root of the validation batches, one per round; 0: none
    bytes32 accessRoot; // Merkle root of the trainers who may join; 0: no list
    uint112 roundBudget; // R: set aside for each round, base units
    uint112 aggregatorFee; // part of R that goes to whoever settles, base units
    uint112 stake; // of each trainer, >= 2 D / slots, base units
    uint112 bond; // of the aggregator of a round, >= R / 2, base units
    uint64 scoreFloor; // S_floor: below this sum of scores, pay only in proportion
    uint32 rounds; // most rounds this project runs
    uint32 dimension; // d: parameters of the model
    int8 exponent; // e: an update counts in units of 2^e
    uint16 minReliability; // basis points needed to join
    uint8 slots; // N: most trainers in a round, <= 32
    uint8 minTrainers; // k_min: fewer commits or rows void the round, <= N/2 (1 if N = 1)
    uint8 quorum; // q: witness signatures needed, > m/2
    uint8 shareCap; // one trainer gets at most shareCap/n of D
    Windows windows;
    address[] witnesses; // m <= 7, strictly increasing
    address[] aggregators; // 1..8, strictly increasing; the owner may add more
}

/// @notice What one deployment fixes for all its projects.
struct Profile {
    Windows minimum; // no project may have shorter windows
    uint32 slashWindow; // tG -> last second at which an unrevealed commitment can be slashed; stakes stay until then
    uint16 protocolFeeBps; // part of every settled round's budget, basis points
    address feeRecipient; // of the protocol fee; zero: it is burned
    bytes32[] verifiers; // code hashes that projects may use
    bytes32[] policies;
    ListedToken[] tokens; // tokens in which fees make standing
}

/// @notice A token whose protocol fees count for standing: a fee in a token that its owner mints costs nothing.
struct ListedToken {
    address token;
    uint112 fullFee; // F0: a protocol fee per round of this much earns the full gain, base units
}

/// @notice CIDv1 with a sha2-256 digest, the one form that the market accepts.
struct Cid {
    uint8 codec; // 0x55 raw, 0x70 dag-pb
    bytes32 digest;
}

/// @notice One witness's word on a set of openings: bit i speaks of opening i of the call.
struct Receipt {
    uint8 witness; // index in the project's witness list
    uint32 endorsed; // bitmap: fetched, decodes to int16[d], opens the update commitment
    uint32 refused; // bitmap: fetched, and wrong
    bytes32 r; // EIP-712 Receipt, compact (EIP-2098)
    bytes32 vs;
}

/// @notice One witness's signature over something that is said once for everybody.
struct WitnessSignature {
    uint8 witness; // index in the project's witness list
    bytes32 r; // compact (EIP-2098)
    bytes32 vs;
}

/// @notice What one call of `reveal` admitted. The market keeps a chain over these, from zero: keccak256(previous,
/// keccak256(members), rows).
struct Admission {
    bytes members; // 4 bytes for each row
    bytes32 rows; // keccak256 of the rows, 69 bytes each, as UpdatesAdmitted has them
}

/// @notice The model that a settlement leaves behind.
struct NextModel {
    bytes32 commitment; // keccak256 of its canonical bytes
    Cid cid;
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

/// @notice Why one leaf of a batch was passed over when it was posted.
enum LeafSkip {
    None,
    NotEligible, // no such member, joined later, left, or without stake
    AlreadyCommitted, // has posted a commitment itself
    NoCommitment, // zero
    NotSigned, // neither by the trainer nor by its delegate
    NoSlot
}

/// @notice Why one opening of a call was passed over. The others are not affected.
enum SkipReason {
    None,
    AlreadyResolved, // admitted, refused, rescued or slashed
    NotCommitted,
    WrongOpening,
    NoQuorum,
    BadCid
}
