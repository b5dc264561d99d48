// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {IStanding} from "../../src/interfaces/IStanding.sol";
import {Header, RoundState} from "../../src/rounds/RoundState.sol";
import {RecordCell} from "../../src/standing/RecordCell.sol";
import {MarketStorage, MemberRecord, Project} from "../../src/storage/MarketStorage.sol";
import {Phase, Profile} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";

/// @notice Nothing but MarketStorage. Put in the market's place it reads what all parts have written.
contract StorageProbe is MarketStorage {
    function count() external view returns (uint256) {
        return _projectCount;
    }

    function projectAt(uint256 project) external view returns (Project memory) {
        return _project(project);
    }

    function memberAt(uint256 project, uint256 number) external view returns (MemberRecord memory) {
        return _member(project, number);
    }

    function numberOf(uint256 project, address trainer) external view returns (uint32) {
        return _memberNumbers[project][trainer];
    }

    function newest(uint256 project) external view returns (Header memory, address) {
        return (RoundState.load(_newestRound(project)), _newestRound(project).acceptor);
    }

    function older(uint256 project, uint32 round) external view returns (Header memory, bytes32) {
        return (RoundState.load(_olderRound(project, round)), _olderRound(project, round).batchHash);
    }

    function ending(uint256 project, uint32 round) external view returns (bytes27, Phase) {
        return (_ending(project, round).payoutRoot, _ending(project, round).outcome);
    }

    function claimed(uint256 project, uint256 member, uint256 word) external view returns (uint256) {
        return _claimedRounds[project][member][word];
    }

    function selfCommit(uint256 project, uint256 member) external view returns (bytes27) {
        return bytes27(bytes32(_selfCommits[project][member]));
    }

    function bondAt(uint256 project, address who) external view returns (IBonds.Bond memory) {
        return _bonds[project][who];
    }

    function recordAt(uint256 project, uint256 member) external view returns (IStanding.Record memory) {
        return RecordCell.unpack(RecordCell.get(_records[project][RecordCell.cellOf(member)], member));
    }

    function lossesAt(address trainer, address owner) external view returns (uint256, uint256) {
        return (_losses[trainer], _lossesThrough[trainer][owner]);
    }

    function fixed_() external view returns (Profile memory) {
        return _profile;
    }

    function listed(bytes32 verifier, bytes32 policy, address token) external view returns (bool, bool, uint112) {
        return (_verifierAllowed[verifier], _policyAllowed[policy], _fullFee[token]);
    }
}

contract MarketStorageTest is MarketScene {
    StorageProbe private probe;
    bytes private ours;

    /// @dev All parts write: a settled round with a rejected row and a commitment left over, a claim, and a running round.
    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 7);
        vm.warp(_view().revealEnd);
        Settlement memory s = _equalSettlement(7);
        s.outcomes[6] = 1;
        s.evidence = _evidence(project, round, s, 0, 2);
        _send(project, round, s);
        uint256[] memory pays = _equalPays(7, D / 6);
        pays[6] = 0;
        _claimWith(project, 1, _one(_claimItem(project, round, _rows(project, round, 0, 7), pays, 0)));
        vm.prank(trainers[3]);
        market.setDelegate(project, stranger);
        round = _open(project);
        _commitSelf(project, round, 4);
        probe = StorageProbe(address(market));
        ours = address(new StorageProbe()).code;
    }

    function test_Storage_WhenTheProbeReadsMembersAndStanding() public {
        IMembers.Member memory m = market.memberOf(project, trainers[3]);
        IStanding.Record memory r = market.recordOf(project, 7);
        uint256 losses = market.lossesOf(trainers[6]);
        vm.assertEq(losses, 10_000);
        bytes32 self = market.selfCommitOf(project, round, 5);
        vm.etch(address(market), ours);
        MemberRecord memory record = probe.memberAt(project, 4);
        vm.assertEq(record.trainer, m.trainer);
        vm.assertEq(record.delegate, m.delegate);
        vm.assertTrue(record.staked && record.joined && record.delegated);
        vm.assertEq(probe.numberOf(project, trainers[3]), 4);
        vm.assertEq(abi.encode(probe.recordAt(project, 7)), abi.encode(r));
        (uint256 all, uint256 through) = probe.lossesAt(trainers[6], owner);
        vm.assertEq(all, losses);
        vm.assertEq(through, losses);
        vm.assertEq(bytes32(probe.selfCommit(project, 5)), self);
    }

    function test_Storage_WhenTheProbeReadsMoney() public {
        IProjects.Ledger memory l = _ledger();
        IBonds.Bond memory bond = market.bondOf(project, aggregator);
        vm.etch(address(market), ours);
        Project memory p = probe.projectAt(project);
        vm.assertEq(p.free, l.free);
        vm.assertEq(p.claimable, l.claimable);
        vm.assertEq(p.deposited, l.deposited);
        vm.assertEq(p.settled, 1);
        vm.assertEq(p.stakes, 8);
        vm.assertEq(p.owner, owner);
        vm.assertEq(abi.encode(probe.bondAt(project, aggregator)), abi.encode(bond));
        vm.assertEq(probe.count(), 1);
    }

    function test_Storage_WhenTheProbeReadsRounds() public {
        IRoundViews.RoundView memory first = market.roundOf(project, 1);
        IRoundViews.RoundView memory second = _view();
        vm.etch(address(market), ours);
        (Header memory h, address acceptor) = probe.newest(project);
        vm.assertEq(h.commitEnd, second.commitEnd);
        vm.assertEq(h.selfCount, 1);
        vm.assertEq(acceptor, aggregator);
        (Header memory old, bytes32 batchHash) = probe.older(project, 1);
        vm.assertEq(old.unresolved, 1);
        vm.assertEq(batchHash, first.batchHash);
        (bytes27 root, Phase outcome) = probe.ending(project, 1);
        vm.assertEq(bytes32(root), bytes32(first.payoutRoot));
        vm.assertEq(uint256(outcome), uint256(Phase.Final));
        vm.assertEq(probe.claimed(project, 1, 0), 2);
        vm.assertEq(probe.claimed(project, 2, 0), 0);
    }

    function test_Storage_WhenTheProbeReadsTheProfile() public {
        Profile memory p = market.profile();
        vm.etch(address(market), ours);
        vm.assertEq(abi.encode(probe.fixed_()), abi.encode(p));
        (bool v, bool q, uint112 fee) = probe.listed(p.verifiers[0], p.policies[0], address(token));
        vm.assertTrue(v && q);
        vm.assertEq(fee, PROTOCOL_FEE);
    }

    /// @dev Behind MarketStorage there is nothing: 21 slots of the market, and none of its parts, hold anything more.
    function test_Storage_WhenPartsAreLookedAt() public view {
        (address resolution, address settlement, address projects, address accounts) = market.parts();
        address[4] memory list = [resolution, settlement, projects, accounts];
        for (uint256 slot; slot < 64; ++slot) {
            for (uint256 i; i < 4; ++i) vm.assertEq(vm.load(list[i], bytes32(slot)), 0);
            if (slot > 20) vm.assertEq(vm.load(address(market), bytes32(slot)), 0);
        }
    }
}
