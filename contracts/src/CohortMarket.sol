// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {MarketRounds} from "./MarketRounds.sol";
import {IStanding} from "./interfaces/IStanding.sol";
import {Payouts} from "./payouts/Payouts.sol";
import {Members} from "./staking/Members.sol";

/// @title CohortMarket: projects, trainers, rounds and pay at one address (ICohortMarket)
/// @notice No owner, no upgrade, no pause: the rules below are all there is.
///
/// The code is in two halves because one contract may not exceed 24 kB (EIP-170). This half keeps projects, stakes and
/// payouts; every other call runs MarketRounds on this contract's storage. The address of that half is fixed in the
/// constructor, which creates it: it cannot be exchanged.
///
/// This first version is honest but small. It has no aggregator bond and no slashing (a trainer who commits and does not
/// reveal loses only that round's pay, an aggregator who does not settle only its fee), no delegate keys, no rescue
/// window, no access rule and no validation batches. Standing counts every ERC-20 alike, so an owner who pays himself in
/// a worthless token can raise it: read it together with the projects it comes from.
contract CohortMarket is Members, Payouts, IStanding, Multicall {
    address private immutable ROUNDS = address(new MarketRounds());

    /// @dev Calls that this half does not know run MarketRounds here; results and errors pass through unchanged. Not
    /// payable, like everything else in the market.
    fallback(bytes calldata call) external returns (bytes memory) {
        return Address.functionDelegateCall(ROUNDS, call);
    }

    /// @notice See ICohortMarket.selfPermit.
    function selfPermit(address token, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
    {
        try IERC20Permit(token).permit(msg.sender, address(this), value, deadline, v, r, s) {}
        catch {
            // Used already, perhaps by somebody who copied it: the allowance is there all the same. If it is not, the
            // transfer that follows reverts.
        }
    }

    /// @inheritdoc IStanding
    function standingOf(address trainer) external view returns (Standing memory) {
        return _standings[trainer];
    }
}
