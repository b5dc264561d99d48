// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStanding} from "../interfaces/IStanding.sol";
import {MarketStorage} from "../storage/MarketStorage.sol";
import {StandingRule} from "./StandingRule.sol";

/// @title StandingBook: writes losses, at once and for all projects
abstract contract StandingBook is MarketStorage {
    /// @dev Only fees in a listed token give an owner a voice, for losses as for credit: an owner must not be able to harm
    /// trainers for nothing. One owner can do limited harm.
    function _recordLoss(
        uint256 project,
        uint32 round,
        address trainer,
        address owner,
        uint256 loss,
        uint256 weight
    ) internal {
        uint256 before = _lossesThrough[trainer][owner];
        uint256 ofOwner = StandingRule.lossAfter(before, loss, weight);
        if (ofOwner == before) return;
        uint256 total = _losses[trainer] + ofOwner - before;
        _lossesThrough[trainer][owner] = ofOwner;
        _losses[trainer] = total;
        emit IStanding.LossRecorded(trainer, owner, project, round, ofOwner - before, ofOwner, total);
    }
}
