// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {PublicFacts} from "./rounds/PublicFacts.sol";
import {Resolution} from "./rounds/Resolution.sol";
import {RoundClock} from "./rounds/RoundClock.sol";
import {RoundViews} from "./rounds/RoundViews.sol";

/// @title MarketResolution: the part of the market's code for opening rounds, for commitments that nobody admitted, for public
/// facts, and for views
/// @notice Not used at its own address: CohortMarket runs its code on the market's storage. Called directly it knows no project,
/// so every call reverts with UnknownProject or reads empty storage.
contract MarketResolution is RoundClock, Resolution, PublicFacts, RoundViews {
    constructor() EIP712("CohortMarket", "1") {}
}
