// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Deployment} from "./deployment/Deployment.sol";
import {ICohortMarket} from "./interfaces/ICohortMarket.sol";
import {IOpening} from "./interfaces/IOpening.sol";
import {IProjects} from "./interfaces/IProjects.sol";
import {IResolution} from "./interfaces/IResolution.sol";
import {IRoundViews} from "./interfaces/IRoundViews.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {ITerms} from "./interfaces/ITerms.sol";
import {Payouts} from "./payouts/Payouts.sol";
import {Reveals} from "./rounds/Reveals.sol";
import {Profile} from "./types/Types.sol";

/// @notice The contracts that hold the rest of the market's code.
struct Parts {
    address resolution; // MarketResolution
    address settlement; // MarketSettlement
    address projects; // MarketProjects
    address accounts; // MarketAccounts
}

/// @title CohortMarket: projects, trainers, rounds and pay at one address (ICohortMarket)
/// @notice No owner, no upgrade, no pause: the rules below are all there is.
///
/// The code is in five parts because one contract may not exceed 24 kB (EIP-170). This part takes commitments and reveals and
/// pays, which is called most; calls that it does not know run the part that has them on this contract's storage. The addresses of the parts are fixed in
/// the constructor and cannot be exchanged; whoever uses a market compares their code with the published one, as for this
/// contract (they hold no state and have no constructor arguments, so equal code is all there is to see).
contract CohortMarket is Deployment, Reveals, Payouts, Multicall {
    address private immutable RESOLUTION;
    address private immutable SETTLEMENT;
    address private immutable PROJECTS;
    address private immutable ACCOUNTS;

    constructor(Profile memory profile_, Parts memory parts_) Deployment(profile_) EIP712("CohortMarket", "1") {
        RESOLUTION = _withCode(parts_.resolution);
        SETTLEMENT = _withCode(parts_.settlement);
        PROJECTS = _withCode(parts_.projects);
        ACCOUNTS = _withCode(parts_.accounts);
    }

    /// @dev Calls that this part does not know run another one here; results and errors pass through unchanged. Not
    /// payable, like everything else in the market.
    fallback(bytes calldata call) external returns (bytes memory) {
        return Address.functionDelegateCall(_partOf(msg.sig), call);
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

    /// @notice See ICohortMarket.parts.
    function parts() external view returns (address, address, address, address) {
        return (RESOLUTION, SETTLEMENT, PROJECTS, ACCOUNTS);
    }

    /// @dev What a round costs most often comes first. Selectors that no part knows revert in the last one.
    function _partOf(bytes4 sig) private view returns (address) {
        if (
            sig == ISettlement.settle.selector || sig == ISettlement.closeRound.selector
                || sig == ISettlement.receiptModel.selector
        ) return SETTLEMENT;
        if (
            sig == IProjects.createProject.selector || sig == IProjects.fund.selector
                || sig == IProjects.addAggregator.selector || sig == IProjects.endProject.selector
                || sig == IProjects.refund.selector || sig == IProjects.collectProtocolFees.selector
                || sig == IProjects.projectCount.selector || sig == IProjects.feesOf.selector
                || sig == IProjects.ledgerOf.selector || sig == IProjects.progressOf.selector
                || sig == ITerms.termsOf.selector
        ) return PROJECTS;
        if (
            sig == IRoundViews.roundOf.selector || sig == IRoundViews.phaseOf.selector
                || sig == IOpening.openRound.selector || sig == IRoundViews.selfCommitOf.selector || sig == IRoundViews.commitmentsOf.selector
                || sig == IResolution.rescue.selector || sig == IResolution.slashNoReveal.selector
                || sig == IResolution.revealValidation.selector || sig == IResolution.postPublicRows.selector
        ) return RESOLUTION;
        return ACCOUNTS;
    }

    function _withCode(address part) private view returns (address) {
        if (part.code.length == 0) revert ICohortMarket.PartMissing(part);
        return part;
    }
}
