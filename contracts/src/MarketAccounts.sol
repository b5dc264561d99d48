// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bonds} from "./staking/Bonds.sol";
import {Members} from "./staking/Members.sol";

/// @title MarketAccounts: the part of the market's code for stakes, bonds and standing (IMembers, IBonds, IStanding)
/// @notice Not used at its own address: CohortMarket runs its code on the market's storage. Called directly it knows no project,
/// so every call reverts with UnknownProject or reads empty storage.
contract MarketAccounts is Bonds, Members {}
