// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {ProjectTerms} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

/// @notice Every bound of createProject, on both sides.
contract TermsTest is MarketFixture {
    function test_AcceptsTheSmallestProject() public {
        ProjectTerms memory t = _terms();
        t.slots = 1;
        t.minTrainers = 1;
        t.quorum = 1;
        t.shareCap = 1;
        t.scoreFloor = 1;
        t.rounds = 1;
        t.dimension = 1;
        t.stake = 1;
        t.aggregatorFee = 0;
        t.roundBudget = 1;
        t.witnesses = _some(1);
        t.windows.commit = 1;
        t.windows.guard = 0;
        t.windows.reveal = 1;
        t.windows.settle = 1;
        vm.assertEq(_create(t, 0), 1);
    }

    function test_AcceptsTheLargestProject() public {
        ProjectTerms memory t = _terms();
        t.slots = 32;
        t.minTrainers = 16;
        t.witnesses = _some(7);
        t.quorum = 7;
        t.aggregators = _some(8);
        t.dimension = 1 << 24;
        t.windows.commit = 365 days;
        t.windows.guard = 365 days;
        t.windows.reveal = 365 days;
        t.windows.settle = 365 days;
        vm.assertEq(_create(t, 0), 1);
    }

    function test_Addresses() public {
        ProjectTerms memory t = _terms();
        t.token = address(0xdead);
        _refused(t, "token code", 0, 1);
        t = _terms();
        t.verifier = address(0);
        _refused(t, "verifier code", 0, 1);
    }

    function test_Slots() public {
        ProjectTerms memory t = _terms();
        t.slots = 0;
        _refused(t, "slots", 0, 1);
        t.slots = 33;
        _refused(t, "slots", 33, 32);
    }

    function test_MinTrainers() public {
        ProjectTerms memory t = _terms();
        t.minTrainers = 0;
        _refused(t, "minTrainers", 0, 1);
        t.minTrainers = 5;
        _refused(t, "minTrainers", 5, 4);
        t.slots = 1;
        t.minTrainers = 2;
        _refused(t, "minTrainers", 2, 1);
        t.slots = 7;
        t.minTrainers = 4;
        _refused(t, "minTrainers", 4, 3);
    }

    function test_Quorum() public {
        ProjectTerms memory t = _terms();
        t.quorum = 1;
        _refused(t, "quorum", 1, 2);
        t.quorum = 4;
        _refused(t, "quorum", 4, 3);
        t.witnesses = _some(4);
        t.quorum = 2;
        _refused(t, "quorum", 2, 3);
    }

    function test_WitnessesAndAggregators() public {
        ProjectTerms memory t = _terms();
        t.witnesses = _some(0);
        _refused(t, "witnesses", 0, 1);
        t.witnesses = _some(8);
        _refused(t, "witnesses", 8, 7);
        t = _terms();
        t.aggregators = _some(0);
        _refused(t, "aggregators", 0, 1);
        t.aggregators = _some(9);
        _refused(t, "aggregators", 9, 8);
    }

    function test_ListsMustBeStrictlyIncreasing() public {
        ProjectTerms memory t = _terms();
        t.witnesses[1] = t.witnesses[0];
        _notIncreasing(t, "witnesses", 1);
        t = _terms();
        t.witnesses[0] = address(0);
        _notIncreasing(t, "witnesses", 0);
        t = _terms();
        (t.witnesses[1], t.witnesses[2]) = (t.witnesses[2], t.witnesses[1]);
        _notIncreasing(t, "witnesses", 2);
        t = _terms();
        t.aggregators = new address[](2);
        t.aggregators[0] = t.aggregators[1] = aggregator;
        _notIncreasing(t, "aggregators", 1);
    }

    function test_Money() public {
        ProjectTerms memory t = _terms();
        t.aggregatorFee = BUDGET;
        _refused(t, "roundBudget", BUDGET, uint256(BUDGET) + 8);
        t.aggregatorFee = BUDGET - 7;
        _refused(t, "roundBudget", BUDGET, uint256(BUDGET) + 1);
        t.aggregatorFee = BUDGET - 8;
        _create(t, 0);
        t = _terms();
        t.aggregatorFee = type(uint128).max;
        t.roundBudget = type(uint128).max;
        _refused(t, "roundBudget", type(uint128).max, uint256(type(uint128).max) + 8);
        t = _terms();
        t.stake = 0;
        _refused(t, "stake", 0, 1);
        t = _terms();
        t.scoreFloor = 0;
        _refused(t, "scoreFloor", 0, 1);
        t = _terms();
        t.shareCap = 0;
        _refused(t, "shareCap", 0, 1);
    }

    function test_RoundsAndDimension() public {
        ProjectTerms memory t = _terms();
        t.rounds = 0;
        _refused(t, "rounds", 0, 1);
        t = _terms();
        t.dimension = 0;
        _refused(t, "dimension", 0, 1);
        t.dimension = (1 << 24) + 1;
        _refused(t, "dimension", (1 << 24) + 1, 1 << 24);
    }

    function test_Windows() public {
        ProjectTerms memory t = _terms();
        t.windows.commit = 0;
        _refused(t, "commit window", 0, 1);
        t.windows.commit = 365 days + 1;
        _refused(t, "commit window", 365 days + 1, 365 days);
        t = _terms();
        t.windows.guard = 365 days + 1;
        _refused(t, "guard window", 365 days + 1, 365 days);
        t = _terms();
        t.windows.reveal = 0;
        _refused(t, "reveal window", 0, 1);
        t = _terms();
        t.windows.settle = 0;
        _refused(t, "settle window", 0, 1);
    }

    /// @dev What comes back is what went in, field by field.
    function testFuzz_TermsAreKept(ProjectTerms memory t) public {
        t.token = address(token);
        t.verifier = address(verifier);
        t.slots = uint8(_bound(t.slots, 2, 32));
        t.minTrainers = uint8(_bound(t.minTrainers, 1, t.slots / 2));
        t.dimension = uint32(_bound(t.dimension, 1, 1 << 24));
        t.rounds = uint32(_bound(t.rounds, 1, type(uint32).max));
        t.scoreFloor = uint64(_bound(t.scoreFloor, 1, type(uint64).max));
        t.shareCap = uint8(_bound(t.shareCap, 1, 255));
        t.stake = uint128(_bound(t.stake, 1, type(uint128).max));
        t.aggregatorFee = uint128(_bound(t.aggregatorFee, 0, type(uint128).max - 32));
        t.roundBudget = uint128(_bound(t.roundBudget, uint256(t.aggregatorFee) + 32, type(uint128).max));
        t.witnesses = _some(_bound(t.witnesses.length, 1, 7));
        t.quorum = uint8(_bound(t.quorum, t.witnesses.length / 2 + 1, t.witnesses.length));
        t.aggregators = _some(_bound(t.aggregators.length, 1, 8));
        t.windows.commit = uint32(_bound(t.windows.commit, 1, 365 days));
        t.windows.guard = uint32(_bound(t.windows.guard, 0, 365 days));
        t.windows.reveal = uint32(_bound(t.windows.reveal, 1, 365 days));
        t.windows.settle = uint32(_bound(t.windows.settle, 1, 365 days));
        uint256 project = _create(t, 0);
        vm.assertEq(abi.encode(market.termsOf(project)), abi.encode(t));
    }

    function _some(uint256 count) private pure returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i; i < count; ++i) list[i] = address(uint160(i + 1));
    }

    function _refused(ProjectTerms memory t, bytes32 what, uint256 found, uint256 allowed) private {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProjects.TermsInvalid.selector, what, found, allowed));
        market.createProject(t, 0);
    }

    function _notIncreasing(ProjectTerms memory t, bytes32 what, uint256 index) private {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IProjects.AddressesNotIncreasing.selector, what, index));
        market.createProject(t, 0);
    }
}
