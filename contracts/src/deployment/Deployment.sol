// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICohortMarket} from "../interfaces/ICohortMarket.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {MarketStorage} from "../storage/MarketStorage.sol";
import {Profile} from "../types/Types.sol";

/// @title Deployment: what this market fixed for ever when it was made
/// @notice Fee, minimum windows and lists can be read and never written. Off a local chain the windows cannot be so short that
/// a trainer could miss one by an ordinary outage.
abstract contract Deployment is MarketStorage {
    uint256 private constant LOCAL_CHAIN = 31337;
    uint256 private constant MAX_FEE_BPS = 2_000; // 20%
    uint256 private constant MAX_SLASH_WINDOW = 365 days;

    constructor(Profile memory p) {
        _checkWindows(p);
        if (p.protocolFeeBps > MAX_FEE_BPS) revert IProjects.TermsInvalid("protocolFeeBps", p.protocolFeeBps, MAX_FEE_BPS);
        _profile.minimum = p.minimum;
        _profile.slashWindow = p.slashWindow;
        _profile.protocolFeeBps = p.protocolFeeBps;
        _profile.feeRecipient = p.feeRecipient;
        for (uint256 i; i < p.verifiers.length; ++i) {
            _profile.verifiers.push(p.verifiers[i]);
            _verifierAllowed[p.verifiers[i]] = true;
        }
        for (uint256 i; i < p.policies.length; ++i) {
            _profile.policies.push(p.policies[i]);
            _policyAllowed[p.policies[i]] = true;
        }
        for (uint256 i; i < p.tokens.length; ++i) {
            _profile.tokens.push(p.tokens[i]);
            _fullFee[p.tokens[i].token] = p.tokens[i].fullFee;
        }
    }

    /// @notice See ICohortMarket.profile.
    function profile() external view returns (Profile memory) {
        return _profile;
    }

    /// @dev A phase without a second in it could never be used; off a local chain each needs more.
    function _checkWindows(Profile memory p) private view {
        bool local = block.chainid == LOCAL_CHAIN;
        _atLeast("commit window", p.minimum.commit, local ? 1 : 10 minutes);
        _atLeast("guard window", p.minimum.guard, local ? 0 : 10 minutes);
        _atLeast("reveal window", p.minimum.reveal, local ? 1 : 10 minutes);
        _atLeast("rescue window", p.minimum.rescue, local ? 1 : 1 days);
        _atLeast("settle window", p.minimum.settle, local ? 1 : 10 minutes);
        _atLeast("takeover window", p.minimum.takeover, local ? 1 : 10 minutes);
        _atLeast("selfCommit window", p.minimum.selfCommit, local ? 0 : 2 minutes);
        _atLeast("slash window", p.slashWindow, local ? 1 : 1 days);
        if (p.slashWindow > MAX_SLASH_WINDOW) revert IProjects.TermsInvalid("slash window", p.slashWindow, MAX_SLASH_WINDOW);
    }

    function _atLeast(bytes32 what, uint256 found, uint256 least) private pure {
        if (found < least) revert ICohortMarket.WindowTooShort(what, found, least);
    }
}
