// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStanding} from "../interfaces/IStanding.sol";
import {MarketStorage} from "../storage/MarketStorage.sol";
import {RecordCell} from "./RecordCell.sol";
import {StandingRule} from "./StandingRule.sol";

/// @title StandingViews: what anyone may know of a trainer's work
abstract contract StandingViews is MarketStorage, IStanding {
    /// @inheritdoc IStanding
    function recordOf(uint256 project, uint32 member) external view returns (Record memory) {
        return RecordCell.unpack(_recordOf(project, member));
    }

    /// @inheritdoc IStanding
    function lossesOf(address trainer) external view returns (uint256) {
        return _losses[trainer];
    }

    /// @inheritdoc IStanding
    function lossesThrough(address trainer, address owner) external view returns (uint256) {
        return _lossesThrough[trainer][owner];
    }

    /// @inheritdoc IStanding
    function reliabilityOf(address trainer, uint256[] calldata projects) public view returns (uint256) {
        // slither-disable-next-line uninitialized-local (a sum begins at zero)
        uint256 good;
        // slither-disable-next-line uninitialized-local (a sum begins at zero)
        uint256 ofOwner; // credit of the projects of one owner so far
        // slither-disable-next-line uninitialized-local (below every address)
        address owner;
        // slither-disable-next-line uninitialized-local (below everything that may come)
        uint256 previous;
        for (uint256 i; i < projects.length; ++i) {
            address next = _project(projects[i]).owner;
            if (next < owner || (next == owner && projects[i] <= previous)) revert StandingListUnsorted(i);
            if (next != owner) {
                good += _capped(ofOwner);
                ofOwner = 0;
            }
            owner = next;
            previous = projects[i];
            uint32 number = _memberNumbers[projects[i]][trainer];
            if (number != 0) ofOwner += uint24(_recordOf(projects[i], number)); // credit: the lowest 24 bits
        }
        return StandingRule.reliability(good + _capped(ofOwner), _losses[trainer]);
    }

    function _recordOf(uint256 project, uint256 member) private view returns (uint256) {
        return RecordCell.get(_records[project][RecordCell.cellOf(member)], member);
    }

    function _capped(uint256 credit) private pure returns (uint256) {
        return credit < StandingRule.MOST_CREDIT_OF_OWNER ? credit : StandingRule.MOST_CREDIT_OF_OWNER;
    }
}
