// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ProjectTerms} from "../types/Types.sol";

/// @title Terms: what an owner fixed for ever
interface ITerms {
    /// @notice The terms as given to createProject; `aggregators` has those added later too.
    function termsOf(uint256 project) external view returns (ProjectTerms memory);
}
