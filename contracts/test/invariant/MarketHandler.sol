// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {
    ClaimItem,
    CommitLeaf,
    CommitSignature,
    Outcome,
    Phase,
    ProjectTerms,
    Receipt,
    Reveal,
    Row
} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";
import {Vm} from "../support/Vm.sol";

/// @notice Everything that people do to a market, in any order, with what must come of it kept on the side.
/// @dev Each action looks at the market first and does what is possible then, so that most of them succeed; `done` counts
/// the successes. What must never succeed is tried as well, in `forbidden`. A handler call that reverts fails the run.
contract MarketHandler is MarketFixture {
    uint256 internal constant PROJECTS = 3;
    uint256 internal constant PEOPLE = 8;

    /// @dev What the market should know about one round, from outside.
    struct Ghost {
        CommitLeaf[] batch;
        Row[] rows;
        uint256[] pays;
        Phase last; // the last phase seen
        uint256 claimed; // bits
    }

    mapping(uint256 project => mapping(uint32 round => Ghost)) private _ghosts;
    mapping(bytes32 action => uint256) public done;
    bytes32[] public actions;
    uint256 public forbiddenTried;

    // Money as the handler saw it move, per project.
    mapping(uint256 project => uint256) public paidIn;
    mapping(uint256 project => uint256) public paidOut;
    mapping(uint256 project => uint256) public refundedTo;
    uint256 public feesOut;

    modifier counted(bytes32 action) {
        if (done[action] == 0) actions.push(action);
        _;
        ++done[action];
        _lookAround();
    }

    function setUp() public override {
        super.setUp();
        for (uint256 i; i < PROJECTS; ++i) {
            ProjectTerms memory terms = _terms();
            terms.slots = i == 0 ? 4 : 6;
            terms.minTrainers = i == 0 ? 1 : 2;
            terms.shareCap = uint8(1 + i);
            terms.windows.guard = i == 0 ? 0 : GUARD;
            terms.roundBudget = BUDGET + uint128(7 * i);
            _create(terms, 3 * uint256(terms.roundBudget));
            paidIn[i + 1] = 3 * uint256(terms.roundBudget);
            _join(i + 1, 0, 5);
        }
    }

    function projects() external pure returns (uint256) {
        return PROJECTS;
    }

    function people() external view returns (address[] memory list) {
        list = new address[](PEOPLE);
        for (uint256 i; i < PEOPLE; ++i) list[i] = trainers[i];
    }

    function marketAddress() external view returns (address) {
        return address(market);
    }

    function tokenAddress() external view returns (address) {
        return address(token);
    }

    function aggregatorAddress() external view returns (address) {
        return aggregator;
    }

    // ---- actions

    function wait_(uint256 seconds_) external counted("wait") {
        vm.warp(block.timestamp + _bound(seconds_, 1, 25));
    }

    function fund(uint256 seed, uint128 amount) external {
        uint256 project = _pick(seed);
        if (_ended(project)) return;
        amount = uint128(_bound(amount, 1, 3 * uint256(BUDGET)));
        _fund(project, amount);
    }

    function join(uint256 seed, uint256 who) external {
        uint256 project = _pick(seed);
        who = _bound(who, 0, PEOPLE - 1);
        if (_ended(project) || market.memberOf(project, trainers[who]).stake != 0) return;
        _joinOne(project, who);
    }

    function leave(uint256 seed, uint256 who) external {
        uint256 project = _pick(seed);
        who = _bound(who, 0, PEOPLE - 1);
        IMembers.Member memory m = market.memberOf(project, trainers[who]);
        if (m.stake == 0 || m.left || market.memberCount(project) < 4) return;
        _leave(project, who);
    }

    function withdrawStake(uint256 seed, uint256 who) external {
        uint256 project = _pick(seed);
        who = _bound(who, 0, PEOPLE - 1);
        IMembers.Member memory m = market.memberOf(project, trainers[who]);
        if (!m.left) return;
        if (m.leftRound != 0 && market.phaseOf(project, m.leftRound) < Phase.Final) return;
        _withdrawStake(project, who);
    }

    function open(uint256 seed) public {
        uint256 project = _pick(seed);
        (uint32 round,, bool ended) = market.progressOf(project);
        if (ended || !_between(project, round) || market.ledgerOf(project).free < _budget(project)) return;
        if (market.memberCount(project) < market.termsOf(project).minTrainers) return;
        _open(project);
    }

    function commitBatch(uint256 seed, uint256 members) external {
        (uint256 project, uint32 round, Phase phase) = _newest(seed);
        if (phase != Phase.Commit || market.roundOf(project, round).batchHash != 0) return open(seed);
        CommitLeaf[] memory leaves = _someLeaves(project, round, members);
        if (leaves.length != 0) _batch(project, round, leaves);
    }

    function commitSelf(uint256 seed, uint256 who) external {
        (uint256 project, uint32 round, Phase phase) = _newest(seed);
        who = _bound(who, 0, PEOPLE - 1);
        if (phase != Phase.Commit || !_mayCommit(project, round, who)) return;
        IRounds.RoundView memory r = market.roundOf(project, round);
        bool full = r.batchCount + r.selfCount >= market.termsOf(project).slots;
        if (full && !_inBatch(project, round, trainers[who])) return;
        _self(project, round, who);
    }

    /// @dev Whatever comes next in a round, so that rounds get to their end more often than by chance alone. The details
    /// come from `seed`.
    function proceed(uint256 seed) external {
        for (uint256 step; step < 3; ++step) {
            uint256 dice = uint256(keccak256(abi.encode(seed, step)));
            (uint256 project, uint32 round, Phase phase) = _newest(seed);
            if (phase == Phase.None || phase >= Phase.Final) {
                if (!_between(project, round)) this.close(seed);
                else open(seed);
            } else if (phase == Phase.Commit) {
                if (market.roundOf(project, round).batchHash == 0) this.commitBatch(seed, dice);
                else vm.warp(market.roundOf(project, round).commitEnd);
            } else if (phase == Phase.Guard || phase == Phase.Reveal) {
                this.reveal(seed, uint32(dice), uint32(dice >> 32), uint32(dice >> 64));
                if (dice >> 96 & 1 == 1 && market.phaseOf(project, round) == Phase.Reveal) {
                    vm.warp(market.roundOf(project, round).revealEnd);
                }
            } else if (dice % 4 == 0) {
                vm.warp(market.roundOf(project, round).settleEnd);
            } else {
                uint64[8] memory scores;
                for (uint256 i; i < 8; ++i) scores[i] = uint64(dice >> (24 * i) & 0xffffffff);
                this.settle(seed, scores, uint8(dice >> 192 & dice >> 200));
            }
        }
    }

    /// @param endorsed bitmaps of what the two witnesses say of each trainer.
    function reveal(uint256 seed, uint32 members, uint32 endorsed, uint32 refused) external {
        (uint256 project, uint32 round, Phase phase) = _newest(seed);
        if (phase == Phase.Guard) vm.warp(market.roundOf(project, round).revealStart);
        else if (phase != Phase.Reveal) return;
        if (members % 256 == 0) members = 255;
        _revealSome(project, round, members, endorsed | (members << 1), refused & ~members);
    }

    function settle(uint256 seed, uint64[8] memory scores, uint8 rejected) external {
        (uint256 project, uint32 round, Phase phase) = _newest(seed);
        if (phase != Phase.Settle) return;
        _settleWith(project, round, scores, rejected);
    }

    function close(uint256 seed) external {
        (uint256 project, uint32 round, Phase phase) = _newest(seed);
        if (phase != Phase.Void && phase != Phase.Defaulted) return;
        if (market.roundOf(project, round).closed) return;
        _close(project, round, phase);
    }

    function claim(uint256 seed, uint256 who) external {
        uint256 project = _pick(seed);
        for (uint256 i; i < PEOPLE; ++i) {
            if (_claimAll(project, trainers[(who % PEOPLE + i) % PEOPLE])) return;
        }
    }

    function withdrawFees() external {
        if (market.feesOf(address(token), aggregator) != 0) _withdrawFees();
    }

    function end(uint256 seed) external {
        if (seed % 12 != 0) return; // seldom, or nothing else happens
        uint256 project = _pick(seed / 12);
        (uint32 round,, bool ended) = market.progressOf(project);
        if (!ended && _between(project, round)) _end(project);
    }

    function refund(uint256 seed) external {
        uint256 project = _pick(seed);
        if (_ended(project) && market.ledgerOf(project).free != 0) _refund(project);
    }

    /// @dev What no state allows, tried in whatever state the market is in.
    function forbidden(uint256 seed, uint256 who) external {
        uint256 project = _pick(seed);
        who = _bound(who, 0, PEOPLE - 1);
        (uint32 newest,,) = market.progressOf(project);
        if (newest == 0) return;
        uint32 round = uint32(_bound(seed / 8, 1, newest));
        if (market.roundOf(project, round).closed) _tryToLeaveATerminalState(project, round, who);
        if (!_ended(project)) _mustFail(owner, abi.encodeCall(market.refund, (project)));
        if (!_between(project, newest)) {
            _mustFail(owner, abi.encodeCall(market.endProject, (project)));
            _mustFail(stranger, abi.encodeCall(market.openRound, (project)));
        }
        _mustFail(stranger, abi.encodeCall(market.leave, (project)));
        if (!market.memberOf(project, trainers[who]).left) {
            _mustFail(stranger, abi.encodeCall(market.withdrawStake, (project, trainers[who])));
        }
        ++forbiddenTried;
    }

    // ---- what the actions do

    function _fund(uint256 project, uint128 amount) private counted("fund") {
        _give(token, stranger, amount);
        vm.prank(stranger);
        market.fund(project, amount);
        paidIn[project] += amount;
    }

    function _joinOne(uint256 project, uint256 who) private counted("join") {
        _give(token, trainers[who], STAKE);
        vm.prank(trainers[who]);
        market.join(project);
    }

    function _leave(uint256 project, uint256 who) private counted("leave") {
        vm.prank(trainers[who]);
        market.leave(project);
    }

    function _withdrawStake(uint256 project, uint256 who) private counted("withdrawStake") {
        uint256 before = token.balanceOf(trainers[who]);
        market.withdrawStake(project, trainers[who]);
        vm.assertEq(token.balanceOf(trainers[who]) - before, STAKE, "the whole stake");
    }

    function _open(uint256 project) private counted("open") {
        market.openRound(project);
    }

    function _batch(uint256 project, uint32 round, CommitLeaf[] memory leaves) private counted("commitBatch") {
        CommitSignature[] memory signatures = new CommitSignature[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            signatures[i] =
                _signLeaf(project, round, leaves[i], type(uint64).max, trainerKeys[_indexOf(leaves[i].trainer)]);
            _ghosts[project][round].batch.push(leaves[i]);
        }
        vm.prank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
    }

    function _self(uint256 project, uint32 round, uint256 who) private counted("commitSelf") {
        _commitSelf(project, round, who);
    }

    function _revealSome(uint256 project, uint32 round, uint32 members, uint32 first, uint32 second)
        private
        counted("reveal")
    {
        Reveal[] memory reveals = _someReveals(project, round, members);
        Receipt[] memory receipts = new Receipt[](2);
        receipts[0] = _receipt(project, round, reveals, 0, first, second);
        receipts[1] = _receipt(project, round, reveals, 1, first | 3, second & ~uint32(3));
        CommitLeaf[] memory batch = _ghosts[project][round].batch;
        vm.recordLogs();
        market.reveal(project, round, batch, reveals, receipts);
        _noteRows(project, round);
    }

    function _settleWith(uint256 project, uint32 round, uint64[8] memory scores, uint8 rejected)
        private
        counted("settle")
    {
        Row[] memory rows = _ghosts[project][round].rows;
        Outcome[] memory o = new Outcome[](rows.length);
        for (uint256 i; i < o.length; ++i) {
            o[i] = rejected >> i & 1 == 1 ? Outcome(0, 1) : Outcome(scores[i] % (4 * ONE), 0);
        }
        _notePays(project, round, o);
        _send(project, round, _settlement(project, round, rows, o));
    }

    function _close(uint256 project, uint32 round, Phase phase) private counted(phase == Phase.Void ? bytes32("void") : bytes32("default")) {
        Ghost storage g = _ghosts[project][round];
        ProjectTerms memory terms = market.termsOf(project);
        uint256 share = (terms.roundBudget - terms.aggregatorFee) / (phase == Phase.Void ? terms.slots : g.rows.length);
        for (uint256 i; i < g.rows.length; ++i) g.pays.push(share);
        market.closeRound(project, round, g.rows);
    }

    /// @dev Claims all that `trainer` can; whether that was anything.
    function _claimAll(uint256 project, address trainer) private returns (bool) {
        (uint32 newest,,) = market.progressOf(project);
        ClaimItem[] memory items = new ClaimItem[](newest);
        uint256 n;
        uint256 sum;
        for (uint32 round = 1; round <= newest; ++round) {
            Ghost storage g = _ghosts[project][round];
            for (uint256 i; i < g.pays.length; ++i) {
                if (g.rows[i].trainer != trainer || g.claimed >> i & 1 == 1) continue;
                items[n++] = _claimItem(project, round, g.rows, g.pays, i);
                sum += g.pays[i];
                g.claimed |= 1 << i;
            }
        }
        ClaimItem[] memory cut = new ClaimItem[](n);
        for (uint256 i; i < n; ++i) cut[i] = items[i];
        if (sum == 0) _unclaim(project, cut);
        else _sendClaim(project, trainer, cut, sum);
        return sum != 0;
    }

    function _sendClaim(uint256 project, address trainer, ClaimItem[] memory items, uint256 sum)
        private
        counted("claim")
    {
        uint256 before = token.balanceOf(trainer);
        market.claim(project, trainer, items);
        vm.assertEq(token.balanceOf(trainer) - before, sum, "claims pay what was scored");
        paidOut[project] += sum;
        _mustFail(trainer, abi.encodeCall(market.claim, (project, trainer, items)));
    }

    function _withdrawFees() private counted("withdrawFees") {
        uint256 before = token.balanceOf(aggregator);
        vm.prank(aggregator);
        market.withdrawFees(address(token));
        feesOut += token.balanceOf(aggregator) - before;
    }

    function _end(uint256 project) private counted("end") {
        vm.prank(owner);
        market.endProject(project);
    }

    function _refund(uint256 project) private counted("refund") {
        uint256 before = token.balanceOf(owner);
        market.refund(project);
        refundedTo[project] += token.balanceOf(owner) - before;
    }

    function _tryToLeaveATerminalState(uint256 project, uint32 round, uint256 who) private {
        Row[] memory rows = _ghosts[project][round].rows;
        _mustFail(stranger, abi.encodeCall(market.closeRound, (project, round, rows)));
        _mustFail(stranger, abi.encodeCall(market.advance, (project, round)));
        _mustFail(trainers[who], abi.encodeCall(market.commitSelf, (project, round, bytes32("again"))));
        Settlement memory s = _settlement(project, round, rows, _outcomes(rows.length, ONE));
        _mustFail(
            aggregator,
            abi.encodeCall(market.settle, (project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence))
        );
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        _mustFail(
            stranger,
            abi.encodeCall(
                market.reveal,
                (project, round, _ghosts[project][round].batch, reveals, _receipts(project, round, reveals))
            )
        );
    }

    function _mustFail(address sender, bytes memory call) private {
        vm.prank(sender);
        (bool ok,) = address(market).call(call);
        vm.assertFalse(ok, "a forbidden call went through");
    }

    // ---- notes

    /// @dev After each action: phases only go forward, and a terminal one stays.
    function _lookAround() private {
        for (uint256 project = 1; project <= PROJECTS; ++project) {
            (uint32 newest,,) = market.progressOf(project);
            for (uint32 round = newest > 2 ? newest - 2 : 1; round <= newest; ++round) {
                Ghost storage g = _ghosts[project][round];
                Phase now_ = market.phaseOf(project, round);
                if (g.last >= Phase.Final) vm.assertEq(uint256(now_), uint256(g.last), "a terminal state was left");
                else vm.assertGe(uint256(now_), uint256(g.last), "a phase went back");
                g.last = now_;
            }
        }
    }

    function _noteRows(uint256 project, uint32 round) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Ghost storage g = _ghosts[project][round];
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] != IRounds.UpdateAdmitted.selector) continue;
            (uint8 row, bytes32 update,) = abi.decode(logs[i].data, (uint8, bytes32, bytes));
            address trainer = address(uint160(uint256(logs[i].topics[3])));
            vm.assertEq(row, g.rows.length, "rows in order");
            for (uint256 j; j < g.rows.length; ++j) vm.assertTrue(g.rows[j].trainer != trainer, "admitted twice");
            g.rows.push(Row(trainer, update));
        }
        vm.assertEq(market.roundOf(project, round).admitted, g.rows.length);
    }

    /// @dev The pay rule, written once more.
    function _notePays(uint256 project, uint32 round, Outcome[] memory o) private {
        ProjectTerms memory terms = market.termsOf(project);
        uint256 d = terms.roundBudget - terms.aggregatorFee;
        uint256 total;
        for (uint256 i; i < o.length; ++i) total += o[i].score;
        if (total < terms.scoreFloor) total = terms.scoreFloor;
        uint256 sum;
        for (uint256 i; i < o.length; ++i) {
            uint256 pay = d * o[i].score / total;
            uint256 cap = d * terms.shareCap / o.length;
            if (pay > cap) pay = cap;
            _ghosts[project][round].pays.push(pay);
            sum += pay;
        }
        vm.assertLe(sum, d, "more than the budget");
    }

    function _unclaim(uint256 project, ClaimItem[] memory items) private {
        for (uint256 i; i < items.length; ++i) {
            _ghosts[project][items[i].round].claimed &= ~(uint256(1) << items[i].index);
        }
    }

    // ---- looking

    function _pick(uint256 seed) private pure returns (uint256) {
        return 1 + seed % PROJECTS;
    }

    function _newest(uint256 seed) private view returns (uint256 project, uint32 round, Phase phase) {
        project = _pick(seed);
        (round,,) = market.progressOf(project);
        if (round != 0) phase = market.phaseOf(project, round);
    }

    function _ended(uint256 project) private view returns (bool ended) {
        (,, ended) = market.progressOf(project);
    }

    function _budget(uint256 project) private view returns (uint256) {
        return market.termsOf(project).roundBudget;
    }

    /// @dev Whether a round may be opened after `round`, or the project ended.
    function _between(uint256 project, uint32 round) private view returns (bool) {
        if (round == 0) return true;
        IRounds.RoundView memory r = market.roundOf(project, round);
        return r.closed || (r.phase == Phase.Void && r.admitted == 0);
    }

    function _mayCommit(uint256 project, uint32 round, uint256 who) private view returns (bool) {
        IMembers.Member memory m = market.memberOf(project, trainers[who]);
        if (m.stake == 0 || m.joinedRound >= round || (m.left && m.leftRound < round)) return false;
        return market.selfCommitOf(project, round, trainers[who]) == 0;
    }

    function _inBatch(uint256 project, uint32 round, address trainer) private view returns (bool) {
        CommitLeaf[] storage batch = _ghosts[project][round].batch;
        for (uint256 i; i < batch.length; ++i) if (batch[i].trainer == trainer) return true;
        return false;
    }

    function _someLeaves(uint256 project, uint32 round, uint256 members)
        private
        view
        returns (CommitLeaf[] memory leaves)
    {
        uint256 room = market.termsOf(project).slots - market.roundOf(project, round).selfCount;
        CommitLeaf[] memory all = new CommitLeaf[](PEOPLE);
        uint256 n;
        for (uint256 i; i < PEOPLE && n < room; ++i) {
            if (members % 5 != 0 && members >> i & 1 == 0) continue; // often everybody
            if (_mayCommit(project, round, i)) all[n++] = CommitLeaf(trainers[i], _commitment(project, round, i));
        }
        leaves = new CommitLeaf[](n);
        for (uint256 i; i < n; ++i) leaves[i] = all[i];
    }

    function _someReveals(uint256 project, uint32 round, uint32 members)
        private
        view
        returns (Reveal[] memory reveals)
    {
        Reveal[] memory all = _reveals(project, round, 0, PEOPLE);
        uint256 n;
        for (uint256 i; i < PEOPLE; ++i) if (members >> i & 1 == 1) ++n;
        reveals = new Reveal[](n);
        for (uint256 i = PEOPLE; i > 0; --i) if (members >> (i - 1) & 1 == 1) reveals[--n] = all[i - 1];
    }

    function _indexOf(address trainer) private view returns (uint256 i) {
        while (trainers[i] != trainer) ++i;
    }
}
