// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../interfaces/IRoundVerifier.sol";
import {Rows} from "../../rounds/Rows.sol";
import {WitnessSignature} from "../../types/Types.sol";

/// @notice Counts in an evidence, and where its parts lie in calldata.
struct Evidence {
    uint256 n; // updates
    uint256 p; // public rows
    uint256 steps;
    uint256 trainable;
    uint256 values;
    uint256 calls; // of `reveal` that admitted rows
    uint256 callRows; // here: how many rows each of them admitted, a byte each
    uint256 rows; // here: Rows.BYTES each
    uint256 card; // here: what publicRows is the hash of; 0 if there are none
    uint256 ordinates; // here: y of each update, a word each
    uint256 previousOrdinate; // here: y of the model that the round started from
    uint256 step; // here: C_m
    uint256 proof; // here: see ProvenEvidence
    uint256 gram;
    uint256 gramBytes;
    uint256 hints;
    uint256 hintBytes;
    WitnessSignatures receipts;
}

struct WitnessSignatures {
    uint256 at;
    uint256 count;
}

/// @title ProvenEvidence: what a proven settlement brings, and how it is packed
/// @notice Big endian, nothing between the parts, and exactly as long as its counts say:
///
/// | part | bytes | |
/// |---|---|---|
/// | receipts | 1 | signatures over ModelBytes: none, or a quorum |
/// | hint bytes | 2 | |
/// | calls | 1 | calls of `reveal` that admitted rows |
/// | rows of each call | calls | their sum is n |
/// | rows | 69 n | as in UpdatesAdmitted |
/// | card | 35 + 64 p, or 0 | manifest (32), steps, trainable, values (1 each), points; missing without publicRows |
/// | ordinates | 32 n | y of each update; x is in its row |
/// | previous ordinate | 32 | y of the model that the round started from |
/// | step | 64 | C_m |
/// | proof | 320 | C_S, v1, v2, s1, h, W, W' |
/// | Gram matrix | 7 n(n+1)/2 + 9 n p + 11 p(p+1)/2 | see IGramPolicy |
/// | signatures | 96 each | witness, r, vs, a word each, strictly increasing by witness |
/// | hints | | for the policy |
///
/// Nothing here is believed: n and the updates have to give admittedHash, layout and points of the public rows the posted hash.
library ProvenEvidence {
    uint256 internal constant MOST_ROWS = 32; // as many as the market admits
    uint256 internal constant MOST_PUBLIC = 10;
    uint256 internal constant CARD_BYTES = 35; // without points
    uint256 internal constant UPDATE_ENTRY = 7; // bytes of update x update: |.| <= 2^24 2^15 2^15 = 2^54
    uint256 internal constant MIXED_ENTRY = 9; // bytes of update x public: |.| <= 2^24 2^15 2^31 = 2^70
    uint256 internal constant PUBLIC_ENTRY = 11; // bytes of public x public: |.| <= 2^24 2^31 2^31 = 2^86

    uint256 private constant COUNTS = 4; // bytes before the rows of each call
    uint256 private constant PROOF = 320; // three points and four scalars

    /// @notice No policy has such a round: at most 10 public rows, `trainable` 0 or 1, `values` 0 or 3.
    error LayoutInvalid(uint256 steps, uint256 trainable, uint256 values);
    /// @notice Rows found, and how many there can be.
    error RowCountInvalid(uint256 found, uint256 most);

    /// @param posted whether the round has public rows, and so the evidence a card.
    function read(bytes calldata evidence, bool posted) internal pure returns (Evidence memory e) {
        uint256 at = _start(evidence);
        unchecked {
            // Offsets of calldata, and counts of at most 255 each: nothing here comes near 2^256. What is read beyond the end of a
            // short evidence makes it no longer.
            e.receipts.count = _byteAt(at);
            e.hintBytes = _byteAt(at + 1) << 8 | _byteAt(at + 2);
            e.calls = _byteAt(at + 3);
            e.callRows = at + COUNTS;
            e.rows = e.callRows + e.calls;
            _atLeast(evidence, COUNTS + e.calls);
            // slither-disable-next-line uninitialized-local (a sum begins at zero)
            uint256 n;
            for (uint256 i = e.callRows; i < e.rows; ++i) n += _byteAt(i);
            if (n == 0 || n > MOST_ROWS) revert RowCountInvalid(n, MOST_ROWS);
            e.n = n;
            uint256 next = e.rows + Rows.BYTES * n;
            if (posted) {
                _atLeast(evidence, next + CARD_BYTES - at);
                _readLayout(e, next);
                next += CARD_BYTES + 64 * e.p;
            }
            _place(e, next);
            uint256 length = e.hints + e.hintBytes - at;
            if (evidence.length != length) revert IRoundVerifier.EvidenceInvalid(evidence.length, length);
        }
    }

    function _readLayout(Evidence memory e, uint256 card) private pure {
        unchecked {
            (uint256 steps, uint256 trainable) = (_byteAt(card + 32), _byteAt(card + 33));
            uint256 values = _byteAt(card + 34);
            uint256 p = steps + trainable + values;
            if (p > MOST_PUBLIC || trainable > 1 || (values != 0 && values != 3)) {
                revert LayoutInvalid(steps, trainable, values);
            }
            (e.card, e.p, e.steps, e.trainable, e.values) = (card, p, steps, trainable, values);
        }
    }

    /// @dev The parts behind rows and card.
    function _place(Evidence memory e, uint256 next) private pure {
        (uint256 n, uint256 p) = (e.n, e.p);
        unchecked {
            e.ordinates = next;
            next += 32 * n;
            e.previousOrdinate = next;
            e.step = next + 32;
            e.proof = next + 96;
            next += 96 + PROOF;
            e.gram = next;
            e.gramBytes = (UPDATE_ENTRY * n * (n + 1) + PUBLIC_ENTRY * p * (p + 1)) / 2 + MIXED_ENTRY * n * p;
            next += e.gramBytes;
            e.receipts.at = next;
            e.hints = next + 96 * e.receipts.count;
        }
    }

    function gramOf(Evidence memory e) internal pure returns (bytes calldata gram) {
        return _slice(e.gram, e.gramBytes);
    }

    function hintsOf(Evidence memory e) internal pure returns (bytes calldata hints) {
        return _slice(e.hints, e.hintBytes);
    }

    /// @notice What publicRows is the sha2-256 of.
    function cardOf(Evidence memory e) internal pure returns (bytes calldata card) {
        return _slice(e.card, CARD_BYTES + 64 * e.p);
    }

    function receiptsOf(Evidence memory e) internal pure returns (WitnessSignature[] calldata receipts) {
        (uint256 at, uint256 count) = (e.receipts.at, e.receipts.count);
        assembly ("memory-safe") {
            receipts.offset := at
            receipts.length := count
        }
    }

    /// @notice The chain over the admitted rows, as the market made it (`Rows.link`).
    function admittedHashOf(Evidence memory e) internal pure returns (bytes32 chain) {
        uint256 row = e.rows;
        uint256 until = e.rows; // of the bytes that say how many rows each call admitted
        for (uint256 at = e.callRows; at < until; ++at) {
            uint256 count = _byteAt(at);
            bytes32 members;
            bytes32 rows;
            assembly ("memory-safe") {
                let free := mload(0x40) // nothing of this is kept
                let end := add(free, shl(2, count))
                // Members: the first 4 bytes of each row. A word is written for each, of which the next covers 28 bytes.
                let from := row
                for { let to := free } lt(to, end) { to := add(to, 4) } {
                    mstore(to, calldataload(from))
                    from := add(from, 69)
                }
                members := keccak256(free, sub(end, free))
                calldatacopy(free, row, sub(from, row))
                rows := keccak256(free, sub(from, row))
                row := from
            }
            chain = Rows.link(chain, members, rows);
        }
    }

    function _atLeast(bytes calldata evidence, uint256 needed) private pure {
        if (evidence.length < needed) revert IRoundVerifier.EvidenceInvalid(evidence.length, needed);
    }

    function _start(bytes calldata evidence) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := evidence.offset
        }
    }

    function _byteAt(uint256 at) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, calldataload(at))
        }
    }

    // slither-disable-next-line write-after-write (offset and length are two things)
    function _slice(uint256 at, uint256 length) private pure returns (bytes calldata data) {
        assembly ("memory-safe") {
            data.offset := at
            data.length := length
        }
    }
}
