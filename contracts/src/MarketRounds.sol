// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Reveals} from "./rounds/Reveals.sol";
import {Settlement} from "./rounds/Settlement.sol";

/// @title MarketRounds: the half of the market's code that runs rounds (IRounds)
/// @notice Not used at its own address: CohortMarket creates it and runs its code on the market's storage. Called
/// directly it knows no project, so every call reverts with UnknownProject or reads empty storage.
contract MarketRounds is Reveals, Settlement {
    constructor() EIP712("CohortMarket", "1") {}
}
