// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {MarketLens} from "../../src/lens/MarketLens.sol";
import {MarketScene} from "../support/MarketScene.sol";

contract MarketLensTest is MarketScene {
    MarketLens private lens;

    function setUp() public override {
        super.setUp();
        lens = new MarketLens(market);
        project = _projectWith(5);
    }

    function test_Constructor_RevertWhen_TheMarketHasNoCode() public {
        vm.expectRevert(abi.encodeWithSelector(MarketLens.NotAMarket.selector, address(0xdead)));
        new MarketLens(ICohortMarket(address(0xdead)));
        vm.assertEq(address(lens.MARKET()), address(market));
    }

    function test_ProjectOverview_RevertWhen_TheProjectIsUnknown() public {
        vm.expectRevert(_unknown(9));
        lens.projectOverview(9);
    }

    function test_ProjectOverview_WhenNoRoundHasOpened() public view {
        MarketLens.ProjectOverview memory v = lens.projectOverview(project);
        IRoundViews.RoundView memory none;
        vm.assertEq(abi.encode(v.newest), abi.encode(none));
        vm.assertEq(abi.encode(v.terms), abi.encode(_terms()));
    }

    function test_ProjectOverview_WhenRoundsHaveRun() public {
        round = _settledRound(project, 5);
        _bond(project, rival, 7);
        MarketLens.ProjectOverview memory v = lens.projectOverview(project);
        vm.assertEq(abi.encode(v.progress), abi.encode(market.progressOf(project)));
        vm.assertEq(abi.encode(v.ledger), abi.encode(_ledger()));
        vm.assertEq(v.protocolFee, PROTOCOL_FEE);
        vm.assertEq(v.standingWeight, 65_536);
        vm.assertEq(abi.encode(v.newest), abi.encode(_view()));
        vm.assertEq(v.aggregators.length, 2);
        vm.assertEq(v.aggregators[0].aggregator, aggregator);
        vm.assertEq(v.aggregators[0].bond.free, uint256(BOND) + FEE);
        vm.assertEq(v.aggregators[1].bond.free, 7);
    }

    function test_RoundOverview_WhenTheRoundIsZero() public {
        round = _open(project);
        _commitSelf(project, round, 2);
        vm.warp(block.timestamp + 3);
        MarketLens.RoundOverview memory v = lens.roundOverview(project, 0, trainers[2]);
        vm.assertEq(abi.encode(v.round), abi.encode(_view()));
        vm.assertEq(abi.encode(v.progress), abi.encode(market.progressOf(project)));
        vm.assertEq(abi.encode(v.place.member), abi.encode(market.memberOf(project, trainers[2])));
        vm.assertEq(v.place.selfCommit, market.selfCommitOf(project, round, 3));
        vm.assertTrue(v.place.selfCommit != 0);
        vm.assertEq(v.time, block.timestamp);
    }

    function test_RoundOverview_WhenTheRoundIsNamed() public {
        _settledRound(project, 5);
        round = _open(project);
        MarketLens.RoundOverview memory v = lens.roundOverview(project, 1, trainers[2]);
        vm.assertEq(abi.encode(v.round), abi.encode(market.roundOf(project, 1)));
        vm.assertEq(v.place.record.rounds, 1);
        vm.assertEq(v.place.selfCommit, 0);
    }

    function test_RoundOverview_WhenTheTrainerIsUnknown() public view {
        MarketLens.Place memory none;
        vm.assertEq(abi.encode(lens.roundOverview(project, 0, stranger).place), abi.encode(none));
    }

    function test_PlacesOf_WhenTheTrainerIsInSomeProjects() public {
        uint256 second = _projectWith(2);
        round = _open(project);
        _commitSelf(project, round, 3);
        uint256[] memory list = new uint256[](2);
        (list[0], list[1]) = (project, second);
        MarketLens.Place[] memory places = lens.placesOf(trainers[3], list);
        vm.assertEq(places.length, 2);
        vm.assertEq(places[0].member.number, 4);
        vm.assertEq(places[0].selfCommit, market.selfCommitOf(project, round, 4));
        vm.assertEq(places[1].member.number, 0);
    }

    function test_MembersOf_WhenTheRangeIsAny() public {
        round = _toSettle(project, 5);
        Settlement memory s = _equalSettlement(5);
        s.outcomes[1] = 1;
        s.evidence = _evidence(project, round, s, 0, 2);
        _send(project, round, s);
        vm.assertEq(lens.membersOf(project, 0, 100).length, 5);
        vm.assertEq(lens.membersOf(project, 1, 6).length, 5);
        vm.assertEq(lens.membersOf(project, 2, 4).length, 2);
        vm.assertEq(lens.membersOf(project, 4, 2).length, 0);
        vm.assertEq(lens.membersOf(project, 6, 100).length, 0);
        vm.assertEq(lens.membersOf(project, 5, type(uint32).max).length, 1);
        MarketLens.Place[] memory two = lens.membersOf(project, 2, 4);
        IMembers.Member memory m = market.memberAt(project, 2);
        vm.assertEq(abi.encode(two[0].member), abi.encode(m));
        vm.assertEq(abi.encode(two[0].record), abi.encode(market.recordOf(project, 2)));
        vm.assertEq(two[0].losses, 10_000);
        vm.assertEq(two[1].losses, 0);
        vm.assertEq(two[1].member.trainer, trainers[2]);
    }
}
