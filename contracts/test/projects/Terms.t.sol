// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {Rules, TermsStore} from "../../src/projects/TermsCode.sol";
import {ProjectTerms, Windows} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";

/// @notice Every bound of createProject, on both sides.
contract TermsTest is MarketScene {
    function test_CreateProject_WhenEverythingIsSmallest() public {
        ProjectTerms memory t = _terms();
        (t.slots, t.minTrainers, t.quorum, t.shareCap, t.scoreFloor, t.rounds, t.dimension) = (1, 1, 1, 1, 1, 1, 1);
        (t.aggregatorFee, t.roundBudget, t.stake, t.bond) = (0, 1, 2, 1);
        t.witnesses = _some(1);
        t.aggregators = _some(1);
        t.windows = Windows(1, 0, 1, 1, 1, 1, 0);
        vm.assertTrue(_accepted(t));
    }

    function test_CreateProject_WhenEverythingIsLargest() public {
        ProjectTerms memory t = _terms();
        (t.slots, t.minTrainers, t.quorum, t.shareCap) = (32, 16, 7, 255);
        (t.rounds, t.dimension, t.minReliability) = (type(uint32).max, 1 << 24, 10_000);
        t.scoreFloor = type(uint64).max;
        t.witnesses = _some(7);
        t.aggregators = _some(8);
        uint32 year = 365 days;
        t.windows = Windows(year, year, year, year, year, year, year - 1);
        vm.assertTrue(_accepted(t));
    }

    function test_CreateProject_WhenTheBudgetIsTheLargest() public {
        ProjectTerms memory t = _terms();
        t.roundBudget = t.stake = t.bond = type(uint112).max;
        vm.prank(owner);
        project = market.createProject(t, 0);
        (uint256 fee,) = market.feesOf(project);
        vm.assertEq(fee, uint256(type(uint112).max) * 200 / 10_000);
    }

    // ---- addresses

    function test_CreateProject_RevertWhen_TheTokenHasNoCode() public {
        ProjectTerms memory t = _terms();
        t.token = address(0xdead);
        _refused(t, "token code", 0, 1);
    }

    function test_CreateProject_RevertWhen_TheVerifierIsNotThePinnedOne() public {
        ProjectTerms memory t = _terms();
        t.verifier = address(token);
        _badCode(t, "verifier", address(token).codehash, t.verifierCodeHash);
        t = _terms();
        t.verifierCodeHash = address(token).codehash; // pinned, but not what is there
        _badCode(t, "verifier", address(verifier).codehash, t.verifierCodeHash);
        t.verifier = address(token); // what is there, but not on the deployment's list
        _badCode(t, "verifier", address(token).codehash, t.verifierCodeHash);
        t.verifier = address(0xdead);
        _badCode(t, "verifier", 0, t.verifierCodeHash);
    }

    function test_CreateProject_RevertWhen_ThePolicyIsNotThePinnedOne() public {
        ProjectTerms memory t = _terms();
        t.policy = address(verifier);
        _badCode(t, "policy", address(verifier).codehash, t.policyCodeHash);
        t = _terms();
        t.policyCodeHash = address(verifier).codehash;
        _badCode(t, "policy", address(policy).codehash, t.policyCodeHash);
        t.policy = address(verifier); // a verifier on the list is no policy on the list
        _badCode(t, "policy", address(verifier).codehash, t.policyCodeHash);
    }

    // ---- people

    function test_CreateProject_RevertWhen_SlotsAreOutOfBounds() public {
        ProjectTerms memory t = _terms();
        t.slots = 0;
        _refused(t, "slots", 0, 1);
        t.slots = 33;
        _refused(t, "slots", 33, 32);
    }

    function test_CreateProject_RevertWhen_MinTrainersAreOutOfBounds() public {
        ProjectTerms memory t = _terms();
        t.minTrainers = 0;
        _refused(t, "minTrainers", 0, 1);
        t.minTrainers = 5;
        _refused(t, "minTrainers", 5, 4);
        (t.slots, t.minTrainers) = (1, 2);
        _refused(t, "minTrainers", 2, 1);
        (t.slots, t.minTrainers) = (7, 4);
        _refused(t, "minTrainers", 4, 3);
    }

    function test_CreateProject_RevertWhen_WitnessesAreOutOfBounds() public {
        ProjectTerms memory t = _terms();
        t.witnesses = _some(0);
        _refused(t, "witnesses", 0, 1);
        t.witnesses = _some(8);
        _refused(t, "witnesses", 8, 7);
    }

    function test_CreateProject_RevertWhen_TheQuorumIsNoMajority() public {
        ProjectTerms memory t = _terms();
        t.quorum = 1;
        _refused(t, "quorum", 1, 2);
        t.quorum = 4;
        _refused(t, "quorum", 4, 3);
        t.witnesses = _some(4);
        t.quorum = 2;
        _refused(t, "quorum", 2, 3);
    }

    function test_CreateProject_RevertWhen_AggregatorsAreOutOfBounds() public {
        ProjectTerms memory t = _terms();
        t.aggregators = _some(0);
        _refused(t, "aggregators", 0, 1);
        t.aggregators = _some(9);
        _refused(t, "aggregators", 9, 8);
    }

    function test_CreateProject_RevertWhen_AListIsNotStrictlyIncreasing() public {
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
        t.aggregators[1] = t.aggregators[0];
        _notIncreasing(t, "aggregators", 1);
    }

    function test_CreateProject_RevertWhen_MinReliabilityIsTooHigh() public {
        ProjectTerms memory t = _terms();
        t.minReliability = 10_001;
        _refused(t, "minReliability", 10_001, 10_000);
    }

    // ---- money

    function test_CreateProject_RevertWhen_TheBudgetLeavesLessThanAUnitForEachSlot() public {
        ProjectTerms memory t = _terms();
        t.aggregatorFee = BUDGET - PROTOCOL_FEE - 7;
        _refused(t, "roundBudget", BUDGET, uint256(BUDGET) + 1);
        t.aggregatorFee = BUDGET - PROTOCOL_FEE - 8;
        vm.assertTrue(_accepted(t));
        t = _terms();
        t.aggregatorFee = type(uint112).max;
        _refused(t, "roundBudget", BUDGET, uint256(type(uint112).max) + PROTOCOL_FEE + 8);
    }

    /// @dev At least 2 D / slots, rounded up: 242,500.
    function test_CreateProject_RevertWhen_TheStakeIsTooLow() public {
        ProjectTerms memory t = _terms();
        t.stake = 242_499;
        _refused(t, "stake", 242_499, 242_500);
        t.stake = 242_500;
        vm.assertTrue(_accepted(t));
        t.slots = 7; // 1,940,000 / 7 = 277,142.9
        t.stake = 277_142;
        _refused(t, "stake", 277_142, 277_143);
    }

    function test_CreateProject_RevertWhen_TheBondIsTooLow() public {
        ProjectTerms memory t = _terms();
        t.bond = BUDGET / 2 - 1;
        _refused(t, "bond", BUDGET / 2 - 1, BUDGET / 2);
        t.roundBudget = BUDGET + 1; // rounded up
        t.bond = BUDGET / 2;
        _refused(t, "bond", BUDGET / 2, BUDGET / 2 + 1);
    }

    function test_CreateProject_RevertWhen_ANumberThatMayNotBeZeroIs() public {
        ProjectTerms memory t = _terms();
        t.scoreFloor = 0;
        _refused(t, "scoreFloor", 0, 1);
        t = _terms();
        t.shareCap = 0;
        _refused(t, "shareCap", 0, 1);
        t = _terms();
        t.rounds = 0;
        _refused(t, "rounds", 0, 1);
    }

    function test_CreateProject_RevertWhen_TheDimensionIsOutOfBounds() public {
        ProjectTerms memory t = _terms();
        t.dimension = 0;
        _refused(t, "dimension", 0, 1);
        t.dimension = (1 << 24) + 1;
        _refused(t, "dimension", (1 << 24) + 1, 1 << 24);
    }

    // ---- windows

    function test_CreateProject_RevertWhen_AWindowIsTooShort() public {
        ProjectTerms memory t = _terms();
        t.windows.commit = 0;
        _refused(t, "commit window", 0, 1);
        t = _terms();
        t.windows.reveal = 0;
        _refused(t, "reveal window", 0, 1);
        t = _terms();
        t.windows.rescue = 0;
        _refused(t, "rescue window", 0, 1);
        t = _terms();
        t.windows.settle = 0;
        _refused(t, "settle window", 0, 1);
        t = _terms();
        t.windows.takeover = 0;
        _refused(t, "takeover window", 0, 1);
    }

    function test_CreateProject_RevertWhen_AWindowIsTooLong() public {
        uint32 year = 365 days;
        ProjectTerms memory t = _terms();
        t.windows.commit = year + 1;
        _refused(t, "commit window", year + 1, year);
        t = _terms();
        t.windows.guard = year + 1;
        _refused(t, "guard window", year + 1, year);
        t = _terms();
        t.windows.reveal = year + 1;
        _refused(t, "reveal window", year + 1, year);
        t = _terms();
        t.windows.rescue = year + 1;
        _refused(t, "rescue window", year + 1, year);
        t = _terms();
        t.windows.settle = year + 1;
        _refused(t, "settle window", year + 1, year);
        t = _terms();
        t.windows.takeover = year + 1;
        _refused(t, "takeover window", year + 1, year);
    }

    function test_CreateProject_RevertWhen_TheBatchHasNoSecond() public {
        ProjectTerms memory t = _terms();
        t.windows.selfCommit = t.windows.commit;
        _refused(t, "selfCommit window", COMMIT, COMMIT - 1);
    }

    // ---- termsOf

    /// @dev What comes back is what went in, field by field.
    function testFuzz_TermsOf_WhenTheTermsAreValid(ProjectTerms memory t) public {
        ProjectTerms memory base = _terms();
        (t.token, t.verifier, t.policy) = (base.token, base.verifier, base.policy);
        (t.verifierCodeHash, t.policyCodeHash) = (base.verifierCodeHash, base.policyCodeHash);
        t.slots = uint8(_bound(t.slots, 2, 32));
        t.minTrainers = uint8(_bound(t.minTrainers, 1, t.slots / 2));
        t.dimension = uint32(_bound(t.dimension, 1, 1 << 24));
        t.rounds = uint32(_bound(t.rounds, 1, type(uint32).max));
        t.scoreFloor = uint64(_bound(t.scoreFloor, 1, type(uint64).max));
        t.shareCap = uint8(_bound(t.shareCap, 1, 255));
        t.minReliability = uint16(_bound(t.minReliability, 0, 10_000));
        t.aggregatorFee = uint112(_bound(t.aggregatorFee, 0, type(uint112).max / 4));
        t.roundBudget = uint112(_bound(t.roundBudget, 2 * uint256(t.aggregatorFee) + 64, type(uint112).max));
        t.stake = uint112(_bound(t.stake, t.roundBudget, type(uint112).max));
        t.bond = uint112(_bound(t.bond, uint256(t.roundBudget) / 2 + 1, type(uint112).max));
        t.witnesses = _some(_bound(t.witnesses.length, 1, 7));
        t.quorum = uint8(_bound(t.quorum, t.witnesses.length / 2 + 1, t.witnesses.length));
        t.aggregators = _some(_bound(t.aggregators.length, 1, 8));
        t.windows.commit = uint32(_bound(t.windows.commit, 1, 365 days));
        t.windows.guard = uint32(_bound(t.windows.guard, 0, 365 days));
        t.windows.reveal = uint32(_bound(t.windows.reveal, 1, 365 days));
        t.windows.rescue = uint32(_bound(t.windows.rescue, 1, 365 days));
        t.windows.settle = uint32(_bound(t.windows.settle, 1, 365 days));
        t.windows.takeover = uint32(_bound(t.windows.takeover, 1, 365 days));
        t.windows.selfCommit = uint32(_bound(t.windows.selfCommit, 0, t.windows.commit - 1));
        vm.prank(owner);
        project = market.createProject(t, 0);
        vm.assertEq(abi.encode(market.termsOf(project)), abi.encode(t));
    }

    // ---- TermsStore

    /// @dev Word for word, and what is stored cannot be called.
    function testFuzz_TermsStore_WhenItIsReadBack(Rules memory rules, address[7] memory seven, uint8 count) public {
        address[] memory list = new address[](count % 8);
        for (uint256 i; i < list.length; ++i) list[i] = seven[i];
        address at = TermsStore.write(rules, list);
        Rules memory back = TermsStore.read(at);
        vm.assertEq(abi.encode(back), abi.encode(rules));
        address[7] memory witnesses_ = TermsStore.witnessesOf(at);
        vm.assertEq(TermsStore.tokenOf(at), rules.token);
        Rules memory again;
        address[7] memory others;
        TermsStore.readInto(at, again, others);
        vm.assertEq(abi.encode(again, others), abi.encode(rules, witnesses_));
        for (uint256 i; i < 7; ++i) vm.assertEq(witnesses_[i], i < list.length ? seven[i] : address(0));
        vm.assertEq(at.code.length, 1 + 40 * 32);
        (bool ok, bytes memory data) = at.call(hex"01020304");
        vm.assertTrue(ok && data.length == 0, "STOP");
    }

    function _some(uint256 count) private pure returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i; i < count; ++i) list[i] = address(uint160(i + 1));
    }

    function _create(ProjectTerms memory t) private view returns (bytes memory) {
        return abi.encodeCall(market.createProject, (t, 0));
    }

    function _accepted(ProjectTerms memory t) private returns (bool) {
        return _wouldWork(owner, _create(t));
    }

    function _refused(ProjectTerms memory t, bytes32 what, uint256 found, uint256 allowed) private {
        _reverts(owner, _create(t), abi.encodeWithSelector(IProjects.TermsInvalid.selector, what, found, allowed));
    }

    function _notIncreasing(ProjectTerms memory t, bytes32 what, uint256 index) private {
        _reverts(owner, _create(t), abi.encodeWithSelector(IProjects.AddressesNotIncreasing.selector, what, index));
    }

    function _badCode(ProjectTerms memory t, bytes32 what, bytes32 found, bytes32 pinned) private {
        _reverts(owner, _create(t), abi.encodeWithSelector(IProjects.CodeHashNotAllowed.selector, what, found, pinned));
    }
}
