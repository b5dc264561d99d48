// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TestToken} from "../../src/devnet/TestToken.sol";
import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {CheatCodes} from "../support/Vm.sol";
import {MarketHandler} from "./MarketHandler.sol";

/// @notice What holds after every call, whoever calls what. See contracts/README.md for the list in words.
contract MarketInvariantTest is CheatCodes {
    MarketHandler private handler;
    ICohortMarket private market;
    TestToken private token;

    function setUp() public {
        handler = new MarketHandler();
        handler.setUp();
        market = ICohortMarket(handler.marketAddress());
        token = TestToken(handler.tokenAddress());
    }

    /// @notice Only the handler is called.
    function targetContracts() public view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(handler);
    }

    function excludeSelectors() public view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(handler);
        list[0].selectors = new bytes4[](1);
        list[0].selectors[0] = MarketHandler.setUp.selector;
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev One function, since each one costs a whole campaign.
    function invariant_Books() public view {
        uint256 owed = market.feesOf(address(token), handler.aggregatorAddress());
        uint256 credited;
        for (uint256 project = 1; project <= handler.projects(); ++project) {
            IProjects.Ledger memory l = market.ledgerOf(project);
            _ledger(project, l);
            _held(project, l);
            owed += uint256(l.free) + l.held + l.claimable + l.burned + _stakes(project);
            credited += l.fees;
        }
        vm.assertEq(token.balanceOf(address(market)), owed, "every token in the market belongs to exactly one purse");
        vm.assertEq(
            credited, handler.feesOut() + market.feesOf(address(token), handler.aggregatorAddress()), "fees"
        );
    }

    /// @dev Says what a run did when it did too little.
    function afterInvariant() public view {
        vm.assertGt(handler.done("open"), 0, "no round was opened");
        vm.assertGt(handler.done("commitBatch") + handler.done("commitSelf"), 0, "nobody committed");
        vm.assertGt(handler.done("reveal"), 0, "nobody revealed");
        vm.assertGt(handler.done("settle") + handler.done("void") + handler.done("default"), 0, "no round ended");
        vm.assertGt(handler.forbiddenTried(), 0, "nothing forbidden was tried");
    }

    function _ledger(uint256 project, IProjects.Ledger memory l) private view {
        vm.assertEq(
            l.deposited,
            uint256(l.free) + l.held + l.claimable + l.claimed + l.fees + l.burned + l.refunded,
            "the ledger of a project adds up"
        );
        vm.assertEq(l.deposited, handler.paidIn(project), "deposits");
        vm.assertEq(l.claimed, handler.paidOut(project), "claims");
        vm.assertEq(l.refunded, handler.refundedTo(project), "refunds");
    }

    function _held(uint256 project, IProjects.Ledger memory l) private view {
        (uint32 newest,, bool ended) = market.progressOf(project);
        IRounds.RoundView memory r = market.roundOf(project, newest);
        uint256 budget = market.termsOf(project).roundBudget;
        vm.assertEq(l.held, newest == 0 || r.closed ? 0 : budget, "held is the budget of the running round");
        if (ended) vm.assertEq(l.held, 0, "an ended project holds nothing");
        vm.assertLe(uint256(r.admitted) + r.refused, uint256(r.batchCount) + r.selfCount, "who revealed had committed");
        vm.assertLe(uint256(r.batchCount) + r.selfCount, market.termsOf(project).slots, "slots");
    }

    function _stakes(uint256 project) private view returns (uint256 sum) {
        address[] memory people = handler.people();
        uint256 members;
        for (uint256 i; i < people.length; ++i) {
            sum += market.memberOf(project, people[i]).stake;
            if (market.memberOf(project, people[i]).stake != 0 && !market.memberOf(project, people[i]).left) ++members;
        }
        vm.assertEq(market.memberCount(project), members, "members");
    }
}
