// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TermsStore} from "../../src/projects/TermsCode.sol";
import {Call, RoundBase} from "../../src/rounds/RoundBase.sol";
import {Header, Round, RoundState} from "../../src/rounds/RoundState.sol";
import {Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";

/// @notice Enters a round, with memory that is not zero where the market will put what it reads. In the market's place.
contract Entrance is RoundBase {
    /// @return c as the market reads it, and a word that was allocated behind it.
    function enter(uint256 project, uint32 round, Phase allowed, uint256 dirt)
        external
        view
        returns (Call memory c, bytes32 behind)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            for { let at := 0 } lt(at, 8192) { at := add(at, 32) } { mstore(add(free, at), dirt) }
        }
        (,, c) = _enter()(project, round, allowed);
        bytes32[1] memory next = [bytes32("next")];
        return (c, next[0]);
    }

    /// @dev The same, each part read for itself into memory that the compiler has cleared.
    function plain(uint256 project, uint32 round) external view returns (Call memory c) {
        c.project = project;
        c.round = round;
        c.rules = TermsStore.read(_project(project).rules);
        c.witnesses = TermsStore.witnessesOf(_project(project).rules);
        c.header = RoundState.load(_newestRound(project));
    }
}

contract RoundBaseTest is MarketScene {
    /// @dev Every word is written before it is read: nothing of what lay in memory comes through, and nothing is written behind.
    function testFuzz_Enter_WhenMemoryIsNotZero(uint256 dirt, uint8 commits, uint8 witnessCount) public {
        ProjectTerms memory terms = _terms();
        address[] memory list = new address[](1 + witnessCount % 3);
        for (uint256 i; i < list.length; ++i) list[i] = witnesses[i];
        (terms.witnesses, terms.quorum) = (list, uint8(list.length / 2 + 1));
        project = _create(terms, BUDGET);
        _join(project, 0, 8);
        round = _open(project);
        for (uint256 i; i < commits % 8; ++i) _commitSelf(project, round, i);
        vm.etch(address(market), address(new Entrance()).code);
        Entrance entrance = Entrance(address(market));
        (Call memory c, bytes32 behind) = entrance.enter(project, round, Phase.Commit, dirt);
        vm.assertEq(abi.encode(c), abi.encode(entrance.plain(project, round)));
        vm.assertEq(behind, "next");
        vm.assertEq(c.header.selfCount, commits % 8);
        vm.assertEq(c.rules.witnessCount, list.length);
    }

    function testFuzz_LoadInto_WhenMemoryIsNotZero(uint256 word, uint256 dirt) public {
        word &= ~(uint256(0xf8) << 240); // an outcome is a phase, below 8
        vm.store(address(this), _slot(), bytes32(word));
        Header memory h;
        assembly ("memory-safe") {
            for { let at := 0 } lt(at, 480) { at := add(at, 32) } { mstore(add(h, at), dirt) }
        }
        RoundState.loadInto(kept, h);
        vm.assertEq(abi.encode(h), abi.encode(RoundState.load(kept)));
    }

    Round private kept;

    function _slot() private pure returns (bytes32 slot) {
        assembly ("memory-safe") {
            slot := kept.slot
        }
    }
}
