// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IDefaultPolicy} from "../interfaces/IDefaultPolicy.sol";
import {IGramPolicy} from "../interfaces/IGramPolicy.sol";
import {Clones} from "./Clones.sol";
import {Company} from "./Company.sol";
import {Coordinates} from "./Coordinates.sol";
import {Cosines} from "./Cosines.sol";
import {Kinship} from "./Kinship.sol";
import {Merit} from "./Merit.sol";
import {Opposition} from "./Opposition.sol";
import {Pairs} from "./Pairs.sol";
import {Round, Table} from "./Table.sol";
import {Values} from "./Values.sol";

/// @title DefaultPolicy: the default scoring policy, integer for integer the one of cohort_protocol/scoring/default.py
/// @notice With the default parameters, which are constants of the libraries. docs/scoring.md says in words what it does and
/// why; the ranges of all numbers are argued beside them, so that unchecked arithmetic never wraps, whatever the matrix says.
/// What only verdicts show (uncertainty, words) is not here.
contract DefaultPolicy is IDefaultPolicy {
    /// @inheritdoc IGramPolicy
    bytes32 public constant POLICY_HASH = 0x93c4f3167a4e5fba57be6b4c0ff7ea19b8ac060c78b26f0abf81039ea4affaa7;

    uint256 private constant MOST_UPDATES = 32;
    uint256 private constant MOST_STEPS = 3;
    uint256 private constant VALUE_ROWS = 3;
    uint256 private constant TOO_SMALL = 1; // a reason
    uint256 private constant MIDDLES = 6; // bytes of hints: places of the middle lengths, novelties and companies
    uint256 private constant MIDDLE_SCORES = 2; // bytes, only without value rows
    uint256 private constant RANKED_COSINES = 2; // bytes for each of two or more players

    /// @inheritdoc IGramPolicy
    /// @dev Hints as in cohort_protocol/scoring/hints.py.
    function judge(
        uint256 n,
        uint256 steps,
        uint256 trainable,
        uint256 values,
        bytes calldata gram,
        bytes calldata hints
    ) external pure returns (uint256[] memory words) {
        if (
            n == 0 || n > MOST_UPDATES || steps > MOST_STEPS || trainable > 1
                || (values != 0 && values != VALUE_ROWS)
        ) revert LayoutUnsupported(n, steps, trainable, values);
        Round memory round = _open(n, steps + trainable, values, gram, hints);
        uint256 playing = Cosines.clip(round, _hint(hints, 0));
        Coordinates.fill(round);
        Values.fill(round);
        uint256 players = playing; // records that are players
        if (Pairs.fill(round)) players = Clones.join(round, playing);
        bool all = Opposition.reject(round, players) && playing == (1 << n) - 1; // have a score, and so a word in the end
        words = all ? _answer(n) : _unscored(n, playing);
        _score(round, hints, words);
        assembly ("memory-safe") {
            // As it lies: an encoder would copy it word by word.
            return(sub(words, 32), add(64, shl(5, n)))
        }
    }

    /// @dev The round with the lengths of its rows.
    function _open(uint256 n, uint256 basis, uint256 values, bytes calldata gram, bytes calldata hints)
        private
        pure
        returns (Round memory round)
    {
        uint256 needed = Cosines.bytesOf(n, basis + values);
        if (gram.length != needed) revert GramLengthWrong(gram.length, needed);
        (round.n, round.basis, round.publicRows, round.values) = (n, basis, basis + values, values);
        assembly ("memory-safe") {
            mstore(add(round, 0x80), gram.offset)
            mstore(add(round, 0xa0), hints.offset)
        }
        if (hints.length < MIDDLES) revert HintsLengthWrong(hints.length, MIDDLES);
        Cosines.begin(round);
    }

    /// @dev Scores and weights of whom nobody rejected.
    function _score(Round memory round, bytes calldata hints, uint256[] memory words) private pure {
        uint256 count = round.players;
        uint256 cosines = MIDDLES + (round.values == 0 ? MIDDLE_SCORES : 0);
        uint256 needed = cosines + (count > 1 ? RANKED_COSINES * count : 0);
        if (hints.length != needed) revert HintsLengthWrong(hints.length, needed);
        if (count == 0) return;
        (uint256 total, uint256 most, uint256 agreed) = Opposition.agree(round);
        Kinship.fill(round, total, most);
        Company.fill(round, round.hints + cosines);
        Merit.Facts memory facts = Merit.score(round, _hint(hints, 2) << 16 | _hint(hints, 4), agreed);
        Merit.weigh(round, facts, round.values == 0 ? _hint(hints, MIDDLES) : 0, words);
    }

    /// @dev A list of n words, zero or not. Before it stands its offset in an answer.
    function _answer(uint256 n) private pure returns (uint256[] memory words) {
        uint256 answer = Table.reserve(n + 2);
        assembly ("memory-safe") {
            mstore(answer, 32)
            words := add(answer, 32)
            mstore(words, n)
        }
    }

    /// @dev The same with what rows are without a score: too short, or rejected.
    function _unscored(uint256 n, uint256 playing) private pure returns (uint256[] memory words) {
        words = _answer(n);
        unchecked {
            // OPPOSES_OTHERS is the reason after TOO_SMALL.
            for (uint256 row; row < n; ++row) words[row] = TOO_SMALL + (playing >> row & 1);
        }
    }

    /// @dev Two bytes.
    function _hint(bytes calldata hints, uint256 at) private pure returns (uint256) {
        return uint256(uint8(hints[at])) << 8 | uint8(hints[at + 1]);
    }
}
