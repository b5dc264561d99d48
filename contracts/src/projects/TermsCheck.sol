// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../interfaces/IProjects.sol";
import {ProjectTerms, Windows} from "../types/Types.sol";
import {TermsStore} from "./TermsCode.sol";

/// @title TermsCheck: the bounds on what an owner may fix
/// @notice Each bound protects somebody: slots bound the gas of a settlement, minTrainers keeps a void round rare, the
/// quorum is a majority, stake and bond are worth losing, every trainer's equal share is at least one base unit, windows
/// leave time to act.
library TermsCheck {
    uint256 internal constant MAX_SLOTS = 32;
    uint256 internal constant MAX_AGGREGATORS = 8;
    uint256 internal constant MAX_DIMENSION = 1 << 24;
    uint256 internal constant MAX_WINDOW = 365 days;
    uint256 internal constant MAX_MIN_RELIABILITY = 10_000;

    /// @dev Reverts with TermsInvalid (what, found, nearest allowed value) or AddressesNotIncreasing.
    /// @param protocolFee of one round, base units.
    function check(ProjectTerms calldata terms, uint256 protocolFee, Windows memory minimum) internal view {
        _atLeast("token code", terms.token.code.length, 1);
        _within("slots", terms.slots, 1, MAX_SLOTS);
        _within("minTrainers", terms.minTrainers, 1, terms.slots == 1 ? 1 : terms.slots / 2);
        _within("dimension", terms.dimension, 1, MAX_DIMENSION);
        _within("minReliability", terms.minReliability, 0, MAX_MIN_RELIABILITY);
        _atLeast("rounds", terms.rounds, 1);
        _atLeast("scoreFloor", terms.scoreFloor, 1);
        _atLeast("shareCap", terms.shareCap, 1);
        _within("witnesses", terms.witnesses.length, 1, TermsStore.MAX_WITNESSES);
        _within("quorum", terms.quorum, terms.witnesses.length / 2 + 1, terms.witnesses.length);
        _within("aggregators", terms.aggregators.length, 1, MAX_AGGREGATORS);
        _increasing("witnesses", terms.witnesses);
        _increasing("aggregators", terms.aggregators);
        _checkMoney(terms, protocolFee);
        _checkWindows(terms.windows, minimum);
    }

    function _checkMoney(ProjectTerms calldata terms, uint256 protocolFee) private pure {
        uint256 fees = terms.aggregatorFee + protocolFee;
        _atLeast("roundBudget", terms.roundBudget, fees + terms.slots);
        uint256 distributable = terms.roundBudget - fees;
        _atLeast("stake", terms.stake, (2 * distributable + terms.slots - 1) / terms.slots);
        _atLeast("bond", terms.bond, (uint256(terms.roundBudget) + 1) / 2);
    }

    function _checkWindows(Windows calldata windows, Windows memory minimum) private pure {
        _within("commit window", windows.commit, minimum.commit, MAX_WINDOW);
        _within("guard window", windows.guard, minimum.guard, MAX_WINDOW);
        _within("reveal window", windows.reveal, minimum.reveal, MAX_WINDOW);
        _within("rescue window", windows.rescue, minimum.rescue, MAX_WINDOW);
        _within("settle window", windows.settle, minimum.settle, MAX_WINDOW);
        _within("takeover window", windows.takeover, minimum.takeover, MAX_WINDOW);
        _within("selfCommit window", windows.selfCommit, minimum.selfCommit, windows.commit - 1);
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
        // slither-disable-next-line uninitialized-local (below everything that may come)
        address previous;
        for (uint256 i; i < list.length; ++i) {
            if (list[i] <= previous) revert IProjects.AddressesNotIncreasing(what, i);
            previous = list[i];
        }
    }
}
