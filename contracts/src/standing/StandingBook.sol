// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStanding} from "../interfaces/IStanding.sol";
import {MarketStorage} from "../storage/MarketStorage.sol";
import {StandingRule} from "./StandingRule.sol";

/// @title StandingBook: writes what a settled row does to a trainer's standing
/// @notice Only settled rounds count: a round that nobody settles says nothing about anybody's work.
abstract contract StandingBook is MarketStorage {
    function _recordRow(
        uint256 project,
        uint32 round,
        address trainer,
        uint256 pay,
        uint256 n,
        uint256 distributable,
        bool rejected
    ) internal {
        IStanding.Standing memory s = _standings[trainer];
        // Both stay within uint16: at most 10,000 and 40,000.
        s.reliability = uint16(StandingRule.reliabilityAfter(s.reliability, pay, n, distributable, rejected));
        s.usefulness = uint16(StandingRule.usefulnessAfter(s.usefulness, pay, n, distributable, rejected));
        s.rounds += 1;
        if (rejected) s.rejections += 1;
        _standings[trainer] = s;
        emit IStanding.StandingChanged(trainer, project, round, s.reliability, s.usefulness);
    }
}
