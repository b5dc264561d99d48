// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TestToken} from "../../src/devnet/TestToken.sol";
import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {
    ClaimItem,
    CommitLeaf,
    CommitSignature,
    NextModel,
    Outcome,
    Phase,
    ProjectTerms,
    Receipt,
    Reveal,
    Row,
    Windows
} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {CheatCodes} from "./Vm.sol";

/// @notice A market with a token, a verifier and people in it. Signatures are made from the typed-data strings below,
/// not with the contracts' own constants, so that a change of either is seen.
abstract contract MarketFixture is CheatCodes {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant TRAINERS = 33;
    uint128 internal constant BUDGET = 1_000_000;
    uint128 internal constant FEE = 10_000;
    uint128 internal constant STAKE = 5_000;
    uint64 internal constant ONE = 1 << 30;
    uint32 internal constant COMMIT = 60;
    uint32 internal constant GUARD = 10;
    uint32 internal constant REVEAL = 50;
    uint32 internal constant SETTLE = 40;

    ICohortMarket internal market;
    AttestedVerifier internal verifier;
    TestToken internal token;

    address internal owner = address(0x0111);
    address internal aggregator = address(0xA66);
    address internal stranger = address(0x5712);
    /// @dev Sorted by address.
    uint256[] internal trainerKeys;
    address[] internal trainers;
    uint256[] internal witnessKeys;
    address[] internal witnesses;

    /// @notice Everything that one call of `settle` takes.
    struct Settlement {
        Row[] rows;
        Outcome[] outcomes;
        NextModel next;
        bytes bundleCid;
        bytes evidence;
    }

    function setUp() public virtual {
        vm.warp(START);
        // By name, so that the code of the market is not compiled into every test.
        market = ICohortMarket(vm.deployCode("CohortMarket.sol:CohortMarket"));
        verifier = AttestedVerifier(vm.deployCode("AttestedVerifier.sol:AttestedVerifier"));
        token = TestToken(vm.deployCode("TestToken.sol:TestToken"));
        (trainerKeys, trainers) = _people(1_000, TRAINERS);
        (witnessKeys, witnesses) = _people(9_000, 3);
        _give(token, owner, 1_000 * uint256(BUDGET));
        for (uint256 i; i < TRAINERS; ++i) _give(token, trainers[i], 10 * STAKE);
    }

    // ---- people and money

    function _people(uint256 firstKey, uint256 count) internal pure returns (uint256[] memory keys, address[] memory who) {
        keys = new uint256[](count);
        who = new address[](count);
        for (uint256 i; i < count; ++i) {
            uint256 key = firstKey + i;
            address account = vm.addr(key);
            uint256 at = i;
            for (; at > 0 && who[at - 1] > account; --at) {
                keys[at] = keys[at - 1];
                who[at] = who[at - 1];
            }
            keys[at] = key;
            who[at] = account;
        }
    }

    function _give(TestToken money, address to, uint256 amount) internal {
        money.mint(to, amount);
        vm.prank(to);
        money.approve(address(market), type(uint256).max);
    }

    // ---- projects

    function _terms() internal view returns (ProjectTerms memory terms) {
        terms.token = address(token);
        terms.verifier = address(verifier);
        terms.specDigest = keccak256("spec");
        terms.policyHash = keccak256("policy");
        terms.initialModel = keccak256("model 0");
        terms.roundBudget = BUDGET;
        terms.aggregatorFee = FEE;
        terms.stake = STAKE;
        terms.scoreFloor = ONE / 2;
        terms.rounds = 100;
        terms.dimension = 38_000;
        terms.slots = 8;
        terms.minTrainers = 3;
        terms.quorum = 2;
        terms.shareCap = 4;
        terms.windows = Windows({commit: COMMIT, guard: GUARD, reveal: REVEAL, settle: SETTLE});
        terms.witnesses = witnesses;
        terms.aggregators = new address[](1);
        terms.aggregators[0] = aggregator;
    }

    function _create(ProjectTerms memory terms, uint256 deposit) internal returns (uint256 project) {
        vm.prank(owner);
        return market.createProject(terms, deposit);
    }

    /// @dev A project with money for ten rounds and members 0 .. count - 1.
    function _projectWith(uint256 count) internal returns (uint256 project) {
        project = _create(_terms(), 10 * uint256(BUDGET));
        _join(project, 0, count);
    }

    function _join(uint256 project, uint256 from, uint256 to) internal {
        for (uint256 i = from; i < to; ++i) {
            vm.prank(trainers[i]);
            market.join(project);
        }
    }

    function _equation(uint256 project) internal view {
        IProjects.Ledger memory l = market.ledgerOf(project);
        vm.assertEq(
            l.deposited, uint256(l.free) + l.held + l.claimable + l.claimed + l.fees + l.burned + l.refunded, "ledger"
        );
    }

    // ---- commitments

    function _update(uint256 project, uint32 round, uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode("update", project, round, i));
    }

    function _salt(uint256 project, uint32 round, uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", project, round, i));
    }

    function _cid(bytes32 digest) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"01551220", digest);
    }

    function _commitment(uint256 project, uint32 round, uint256 i) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round,address trainer,bytes32 update,bytes32 salt)"
                ),
                block.chainid,
                address(market),
                project,
                round,
                trainers[i],
                _update(project, round, i),
                _salt(project, round, i)
            )
        );
    }

    /// @dev Leaves of trainers from .. to - 1.
    function _leaves(uint256 project, uint32 round, uint256 from, uint256 to)
        internal
        view
        returns (CommitLeaf[] memory leaves)
    {
        leaves = new CommitLeaf[](to - from);
        for (uint256 i = from; i < to; ++i) {
            leaves[i - from] = CommitLeaf(trainers[i], _commitment(project, round, i));
        }
    }

    function _signLeaf(uint256 project, uint32 round, CommitLeaf memory leaf, uint64 expiry, uint256 key)
        internal
        view
        returns (CommitSignature memory)
    {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("Commit(uint256 project,uint32 round,address trainer,bytes32 commitment,uint64 expiry)"),
                project,
                round,
                leaf.trainer,
                leaf.commitment,
                expiry
            )
        );
        return CommitSignature(expiry, _signature(key, _digest("CohortMarket", address(market), struct_)));
    }

    function _signLeaves(uint256 project, uint32 round, CommitLeaf[] memory leaves, uint256 from)
        internal
        view
        returns (CommitSignature[] memory signatures)
    {
        uint64 expiry = market.roundOf(project, round).settleEnd;
        signatures = new CommitSignature[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            signatures[i] = _signLeaf(project, round, leaves[i], expiry, trainerKeys[from + i]);
        }
    }

    /// @dev Posts the batch of trainers from .. to - 1.
    function _commit(uint256 project, uint32 round, uint256 from, uint256 to)
        internal
        returns (CommitLeaf[] memory leaves)
    {
        leaves = _leaves(project, round, from, to);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, from);
        vm.prank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
    }

    function _commitSelf(uint256 project, uint32 round, uint256 i) internal {
        bytes32 commitment = _commitment(project, round, i);
        vm.prank(trainers[i]);
        market.commitSelf(project, round, commitment);
    }

    // ---- reveals

    function _reveals(uint256 project, uint32 round, uint256 from, uint256 to)
        internal
        view
        returns (Reveal[] memory reveals)
    {
        reveals = new Reveal[](to - from);
        for (uint256 i = from; i < to; ++i) {
            bytes32 update = _update(project, round, i);
            reveals[i - from] = Reveal(trainers[i], update, _salt(project, round, i), _cid(update));
        }
    }

    function _receipt(
        uint256 project,
        uint32 round,
        Reveal[] memory reveals,
        uint256 witness,
        uint32 endorsed,
        uint32 refused
    ) internal view returns (Receipt memory) {
        bytes memory packed;
        for (uint256 i; i < reveals.length; ++i) {
            packed = bytes.concat(
                packed, abi.encode(reveals[i].trainer, reveals[i].update, keccak256(reveals[i].cid))
            );
        }
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("Receipt(uint256 project,uint32 round,bytes32 revealsHash,uint32 endorsed,uint32 refused)"),
                project,
                round,
                keccak256(packed),
                endorsed,
                refused
            )
        );
        bytes memory signature = _signature(witnessKeys[witness], _digest("CohortMarket", address(market), struct_));
        return Receipt(uint8(witness), endorsed, refused, signature);
    }

    /// @dev Receipts of witnesses 0 and 1 that endorse everything.
    function _receipts(uint256 project, uint32 round, Reveal[] memory reveals)
        internal
        view
        returns (Receipt[] memory receipts)
    {
        return _receipts(project, round, reveals, type(uint32).max, 0);
    }

    function _receipts(uint256 project, uint32 round, Reveal[] memory reveals, uint32 endorsed, uint32 refused)
        internal
        view
        returns (Receipt[] memory receipts)
    {
        receipts = new Receipt[](2);
        receipts[0] = _receipt(project, round, reveals, 0, endorsed, refused);
        receipts[1] = _receipt(project, round, reveals, 1, endorsed, refused);
    }

    /// @dev Reveals trainers from .. to - 1 with a full quorum.
    function _reveal(uint256 project, uint32 round, CommitLeaf[] memory batch, uint256 from, uint256 to) internal {
        Reveal[] memory reveals = _reveals(project, round, from, to);
        market.reveal(project, round, batch, reveals, _receipts(project, round, reveals));
    }

    // ---- settlement

    function _rows(uint256 project, uint32 round, uint256 from, uint256 to) internal view returns (Row[] memory rows) {
        rows = new Row[](to - from);
        for (uint256 i = from; i < to; ++i) rows[i - from] = Row(trainers[i], _update(project, round, i));
    }

    function _outcomes(uint256 n, uint64 score) internal pure returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](n);
        for (uint256 i; i < n; ++i) outcomes[i] = Outcome(score, 0);
    }

    function _settlement(uint256 project, uint32 round, Row[] memory rows, Outcome[] memory outcomes)
        internal
        view
        returns (Settlement memory s)
    {
        s.rows = rows;
        s.outcomes = outcomes;
        bytes32 model = keccak256(abi.encode("model", project, round));
        s.next = NextModel(model, _cid(model));
        s.bundleCid = _cid(keccak256(abi.encode("bundle", project, round)));
        s.evidence = _evidence(project, round, s, 0, 2);
    }

    /// @dev What witnesses sign, from the strings of EIP-712.
    function _statementDigest(uint256 project, uint32 round, Settlement memory s) internal view returns (bytes32) {
        bytes32 admitted;
        for (uint256 i; i < s.rows.length; ++i) {
            admitted = keccak256(abi.encode(admitted, s.rows[i].trainer, s.rows[i].update));
        }
        bytes32[11] memory words;
        words[0] = keccak256(
            "Settlement(address market,uint256 project,uint32 round,bytes32 admittedHash,bytes32 policyHash,bytes32 outcomesHash,bytes32 previousModel,bytes32 nextModel,bytes32 nextModelCid,bytes32 bundleCid)"
        );
        words[1] = bytes32(uint256(uint160(address(market))));
        words[2] = bytes32(project);
        words[3] = bytes32(uint256(round));
        words[4] = admitted;
        words[5] = market.termsOf(project).policyHash;
        words[6] = keccak256(abi.encode(s.outcomes));
        words[7] = market.roundOf(project, round).model;
        words[8] = s.next.commitment;
        words[9] = keccak256(s.next.cid);
        words[10] = keccak256(s.bundleCid);
        return _digest("CohortAttestedVerifier", address(verifier), keccak256(abi.encode(words)));
    }

    /// @dev Signatures of witnesses from .. from + count - 1.
    function _evidence(uint256 project, uint32 round, Settlement memory s, uint256 from, uint256 count)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest = _statementDigest(project, round, s);
        AttestedVerifier.Attestation[] memory list = new AttestedVerifier.Attestation[](count);
        for (uint256 i; i < count; ++i) {
            list[i] = AttestedVerifier.Attestation(uint8(from + i), _signature(witnessKeys[from + i], digest));
        }
        return abi.encode(list);
    }

    function _send(uint256 project, uint32 round, Settlement memory s) internal {
        vm.prank(aggregator);
        market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
    }

    /// @dev Settles rows 0 .. n - 1 with equal scores.
    function _settle(uint256 project, uint32 round, uint256 n) internal {
        _send(project, round, _settlement(project, round, _rows(project, round, 0, n), _outcomes(n, ONE)));
    }

    // ---- whole rounds

    /// @dev Opens a round and brings it to the settle phase with rows 0 .. n - 1. All members commit and reveal, if
    /// they are n; otherwise the clock runs.
    function _toSettle(uint256 project, uint256 n) internal returns (uint32 round) {
        round = market.openRound(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, n);
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.warp(r.revealStart);
        _reveal(project, round, batch, 0, n);
        _assertPhase(project, round, Phase.Settle);
    }

    function _settledRound(uint256 project, uint256 n) internal returns (uint32 round) {
        round = _toSettle(project, n);
        _settle(project, round, n);
    }

    // ---- claims

    /// @dev Proof of leaf `index`: pairs sorted, an odd node moves up.
    function _proof(bytes32[] memory level, uint256 index) internal pure returns (bytes32[] memory proof) {
        proof = new bytes32[](8);
        uint256 length;
        while (level.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) proof[length++] = level[sibling];
            bytes32[] memory above = new bytes32[]((level.length + 1) / 2);
            for (uint256 i; i < above.length; ++i) {
                above[i] = 2 * i + 1 < level.length ? _pair(level[2 * i], level[2 * i + 1]) : level[2 * i];
            }
            level = above;
            index /= 2;
        }
        bytes32[] memory cut = new bytes32[](length);
        for (uint256 i; i < length; ++i) cut[i] = proof[i];
        return cut;
    }

    function _pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _payoutLeaves(uint256 project, uint32 round, Row[] memory rows, uint256[] memory pays)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](rows.length);
        for (uint256 i; i < rows.length; ++i) {
            bytes32 inner = keccak256(abi.encode(project, round, uint8(i), rows[i].trainer, pays[i]));
            leaves[i] = keccak256(abi.encode(inner));
        }
    }

    function _claimItem(uint256 project, uint32 round, Row[] memory rows, uint256[] memory pays, uint256 index)
        internal
        pure
        returns (ClaimItem memory)
    {
        bytes32[] memory leaves = _payoutLeaves(project, round, rows, pays);
        return ClaimItem(round, uint8(index), uint128(pays[index]), _proof(leaves, index));
    }

    function _equalPays(uint256 n, uint256 pay) internal pure returns (uint256[] memory pays) {
        pays = new uint256[](n);
        for (uint256 i; i < n; ++i) pays[i] = pay;
    }

    // ---- signatures and phases

    function _digest(string memory domain, address contract_, bytes32 struct_) internal view returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(domain)),
                keccak256("1"),
                block.chainid,
                contract_
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, struct_));
    }

    function _signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _assertPhase(uint256 project, uint32 round, Phase expected) internal view {
        vm.assertEq(uint256(market.phaseOf(project, round)), uint256(expected), "phase");
    }
}
