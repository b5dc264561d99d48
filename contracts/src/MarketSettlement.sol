// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Closing} from "./settlement/Closing.sol";

/// @title MarketSettlement: the part of the market's code that ends rounds (ISettlement)
/// @notice Not used at its own address: CohortMarket runs its code on the market's storage. Called directly it knows no project,
/// so every call reverts with UnknownProject or reads empty storage.
contract MarketSettlement is Closing {
    constructor() EIP712("CohortMarket", "1") {}
}
