// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../src/interfaces/IProjects.sol";
import {Phase} from "../src/types/Types.sol";
import {MarketScene} from "./support/MarketScene.sol";

/// @notice One address, five parts: multicall, permit, calls that nobody knows.
contract CohortMarketTest is MarketScene {
    uint256 private constant HOLDER_KEY = 77;

    function test_Multicall_WhenATrainerStartsInOneTransaction() public {
        project = _projectWith(4);
        address trainer = trainers[6];
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(market.stakeFor, (project, trainer));
        calls[1] = abi.encodeCall(market.join, (project, new bytes32[](0), new uint256[](0)));
        calls[2] = abi.encodeCall(market.setDelegate, (project, stranger));
        vm.prank(trainer);
        market.multicall(calls);
        vm.assertTrue(market.memberOf(project, trainer).joined);
        vm.assertEq(market.memberOf(project, trainer).delegate, stranger);
    }

    function test_Multicall_WhenCallsAreOfDifferentParts() public {
        project = _projectWith(4);
        bytes[] memory calls = new bytes[](5);
        calls[0] = abi.encodeCall(market.fund, (project, 5)); // projects
        calls[1] = abi.encodeCall(market.accept, (project, 1)); // accounts
        calls[2] = abi.encodeCall(market.openRound, (project)); // the market itself
        calls[3] = abi.encodeCall(market.phaseOf, (project, 1)); // resolution
        calls[4] = abi.encodeCall(market.payoutLeafOf, (project, 1, 0, 1, 2)); // the market itself, a view
        vm.prank(aggregator);
        bytes[] memory results = market.multicall(calls);
        vm.assertEq(abi.decode(results[2], (uint32)), 1);
        vm.assertEq(abi.decode(results[3], (uint256)), uint256(Phase.Commit));
        vm.assertEq(abi.decode(results[4], (bytes32)), market.payoutLeafOf(project, 1, 0, 1, 2));
    }

    function test_Multicall_RevertWhen_OneCallReverts() public {
        project = _projectWith(4);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(market.fund, (project, 5));
        calls[1] = abi.encodeCall(market.fund, (9, 5));
        _reverts(owner, abi.encodeCall(market.multicall, (calls)), _unknown(9));
        vm.assertEq(_ledger().deposited, 10 * uint256(BUDGET));
    }

    // ---- selfPermit

    function test_SelfPermit_WhenItComesWithAProject() public {
        address holder = _holder(900);
        bytes[] memory calls = new bytes[](2);
        calls[0] = _permit(holder, 900);
        calls[1] = abi.encodeCall(market.createProject, (_terms(), 900));
        vm.prank(holder);
        market.multicall(calls);
        vm.assertEq(market.progressOf(1).owner, holder);
        vm.assertEq(market.ledgerOf(1).free, 900);
    }

    function test_SelfPermit_WhenSomebodyUsedThePermitFirst() public {
        address holder = _holder(900);
        bytes[] memory calls = new bytes[](2);
        calls[0] = _permit(holder, 900);
        calls[1] = abi.encodeCall(market.createProject, (_terms(), 900));
        vm.prank(holder);
        (bool ok,) = address(market).call(calls[0]);
        vm.assertTrue(ok);
        vm.prank(holder);
        market.multicall(calls); // the second use fails quietly: the allowance is there
        vm.assertEq(market.ledgerOf(1).free, 900);
    }

    function test_SelfPermit_WhenThePermitIsSomebodyElses() public {
        address holder = _holder(900);
        bytes memory permit = _permit(holder, 900);
        _works(stranger, permit);
        vm.assertEq(token.allowance(holder, address(market)), 0);
        vm.assertEq(token.allowance(stranger, address(market)), 0);
    }

    function test_SelfPermit_WhenTheAddressIsNoToken() public {
        // A call to an address without code reverts in `try` itself; nothing else can happen.
        bytes memory call = abi.encodeCall(market.selfPermit, (address(0xdead), 1, 0, 0, 0, 0));
        vm.assertFalse(_wouldWork(stranger, call));
    }

    // ---- fallback

    function test_Fallback_RevertWhen_NobodyKnowsTheFunction() public {
        vm.assertFalse(_wouldWork(stranger, hex"12345678"));
        vm.assertFalse(_wouldWork(stranger, hex"1234"));
        vm.assertFalse(_wouldWork(stranger, ""));
    }

    function test_Market_RevertWhen_NativeCurrencyIsSent() public {
        vm.deal(address(this), 10);
        bytes[5] memory calls = [
            bytes(""),
            abi.encodeCall(market.projectCount, ()),
            abi.encodeCall(market.parts, ()),
            abi.encodeCall(market.phaseOf, (1, 1)),
            abi.encodeCall(market.payoutLeafOf, (1, 1, 0, 1, 2))
        ];
        for (uint256 i; i < 5; ++i) {
            (bool ok,) = address(market).call{value: 1}(calls[i]);
            vm.assertFalse(ok);
        }
    }

    /// @dev The parts keep nothing and know nobody: called directly they cannot do anything.
    function test_Parts_WhenTheyAreCalledDirectly() public {
        project = _projectWith(4);
        (address resolution, address settlement, address projects, address accounts) = market.parts();
        address[4] memory list = [resolution, settlement, projects, accounts];
        bytes[4] memory calls = [
            abi.encodeCall(market.phaseOf, (project, 1)),
            _claimNothing(),
            abi.encodeCall(market.fund, (project, 5)),
            abi.encodeCall(market.leave, (project))
        ];
        for (uint256 i; i < 4; ++i) {
            (bool ok, bytes memory data) = list[i].call(calls[i]);
            vm.assertFalse(ok);
            vm.assertEq(data, _unknown(project));
        }
        ProjectsOf(projects).projectCount();
        vm.assertEq(ProjectsOf(projects).projectCount(), 0);
        vm.prank(owner);
        vm.expectRevert(
            abi.encodeWithSelector(
                IProjects.CodeHashNotAllowed.selector,
                bytes32("verifier"),
                address(verifier).codehash,
                address(verifier).codehash
            )
        );
        IProjects(projects).createProject(_terms(), 0);
    }

    function _claimNothing() private view returns (bytes memory) {
        return abi.encodeWithSelector(market.receiptModel.selector, project, new bytes32[](0));
    }

    function _holder(uint256 amount) private returns (address holder) {
        holder = vm.addr(HOLDER_KEY);
        token.mint(holder, amount);
    }

    function _permit(address holder, uint256 value) private view returns (bytes memory) {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                holder,
                address(market),
                value,
                token.nonces(holder),
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HOLDER_KEY, _digest("Cohort Test Token", address(token), struct_));
        return abi.encodeCall(market.selfPermit, (address(token), value, block.timestamp, v, r, s));
    }
}

interface ProjectsOf {
    function projectCount() external view returns (uint256);
}
