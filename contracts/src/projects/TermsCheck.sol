// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../interfaces/IProjects.sol";
import {ProjectTerms, Windows} from "../types/Types.sol";

/// @title TermsCheck: the bounds on what an owner may fix
/// @notice Each bound protects somebody: slots bound the gas of a settlement, minTrainers keeps a void round rare, the
/// quorum is a majority, every trainer's equal share is at least one base unit, windows cannot overflow a timestamp.
library TermsCheck {
    uint256 internal constant MAX_SLOTS = 32;
    uint256 internal constant MAX_WITNESSES = 7;
    uint256 internal constant MAX_AGGREGATORS = 8;
    uint256 internal constant MAX_DIMENSION = 1 << 24;
    uint256 internal constant MAX_WINDOW = 365 days;

    /// @dev Reverts with TermsInvalid (what, found, nearest allowed value) or AddressesNotIncreasing.
    function check(ProjectTerms calldata terms) internal view {
        _atLeast("token code", terms.token.code.length, 1);
        _atLeast("verifier code", terms.verifier.code.length, 1);
        _within("slots", terms.slots, 1, MAX_SLOTS);
        _within("minTrainers", terms.minTrainers, 1, terms.slots == 1 ? 1 : terms.slots / 2);
        _within("dimension", terms.dimension, 1, MAX_DIMENSION);
        _atLeast("rounds", terms.rounds, 1);
        _atLeast("scoreFloor", terms.scoreFloor, 1);
        _atLeast("shareCap", terms.shareCap, 1);
        _atLeast("stake", terms.stake, 1);
        _atLeast("roundBudget", terms.roundBudget, uint256(terms.aggregatorFee) + terms.slots);
        _within("witnesses", terms.witnesses.length, 1, MAX_WITNESSES);
        _within("quorum", terms.quorum, terms.witnesses.length / 2 + 1, terms.witnesses.length);
        _within("aggregators", terms.aggregators.length, 1, MAX_AGGREGATORS);
        _increasing("witnesses", terms.witnesses);
        _increasing("aggregators", terms.aggregators);
        _checkWindows(terms.windows);
    }

    function _checkWindows(Windows calldata windows) private pure {
        _within("commit window", windows.commit, 1, MAX_WINDOW);
        _within("guard window", windows.guard, 0, MAX_WINDOW);
        _within("reveal window", windows.reveal, 1, MAX_WINDOW);
        _within("settle window", windows.settle, 1, MAX_WINDOW);
    }

    function _atLeast(bytes32 what, uint256 found, uint256 least) private pure {
        if (found < least) revert IProjects.TermsInvalid(what, found, least);
    }

    function _within(bytes32 what, uint256 found, uint256 least, uint256 most) private pure {
        if (found < least) revert IProjects.TermsInvalid(what, found, least);
        if (found > most) revert IProjects.TermsInvalid(what, found, most);
    }

    /// @dev Strictly increasing, so none is zero and none appears twice.
    function _increasing(bytes32 what, address[] calldata list) private pure {
        address previous;
        for (uint256 i; i < list.length; ++i) {
            if (list[i] <= previous) revert IProjects.AddressesNotIncreasing(what, i);
            previous = list[i];
        }
    }
}
