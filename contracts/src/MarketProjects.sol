// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Projects} from "./projects/Projects.sol";
import {TermsView} from "./projects/TermsView.sol";

/// @title MarketProjects: the part of the market's code for terms and escrow (IProjects, ITerms)
/// @notice Not used at its own address: CohortMarket runs its code on the market's storage. Called directly it knows no project,
/// so every call reverts with UnknownProject or reads empty storage.
contract MarketProjects is Projects, TermsView {}
