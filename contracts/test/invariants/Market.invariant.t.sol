// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CheatCodes} from "../support/Vm.sol";
import {Campaign} from "./Campaign.sol";
import {MarketHandler} from "./MarketHandler.sol";

/// @notice What holds after every call, whoever calls what: README.md has the list in words. One check, since each invariant
/// function costs a whole campaign: 500 sequences of 50 calls (foundry.toml), 10,000 by
/// `npm run invariants:long`.
contract MarketInvariantTest is CheatCodes, Campaign {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    MarketHandler private handler;

    function setUp() public {
        handler = new MarketHandler();
        handler.setUp();
        _beginCampaign();
    }

    /// @notice Only the handler is called.
    function targetContracts() public view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(handler);
    }

    function excludeSelectors() public view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(handler);
        list[0].selectors = new bytes4[](2);
        list[0].selectors[0] = MarketHandler.setUp.selector;
        list[0].selectors[1] = handler.check.selector;
    }

    function invariant_TheMarketIsWhatTheRulesMakeIt() public {
        handler.check();
    }

    /// @dev After each sequence. The last one of a campaign looks at the sums.
    function afterInvariant() public {
        _addToCampaign(handler.didAll());
    }
}
