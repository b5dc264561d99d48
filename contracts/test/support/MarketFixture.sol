// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TestToken} from "../../src/devnet/TestToken.sol";
import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {
    Admission,
    Cid,
    ListedToken,
    NextModel,
    Phase,
    Profile,
    ProjectTerms,
    Receipt,
    Windows,
    WitnessSignature
} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {SuppliedScores} from "../../src/verification/SuppliedScores.sol";
import {Contents} from "./Contents.sol";
import {CommitLeaf, CommitSignature, Opening, Packed, Row} from "./Packed.sol";
import {PayoutProofs} from "./PayoutProofs.sol";
import {Signatures} from "./Signatures.sol";

/// @notice A market with a token, a verifier and people in it. Signatures are made from the typed-data strings below,
/// not with the contracts' own constants, so that a change of either is seen.
abstract contract MarketFixture is PayoutProofs, Signatures, Contents {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant TRAINERS = 33;
    uint112 internal constant BUDGET = 1_000_000;
    uint112 internal constant FEE = 10_000; // of the aggregator
    uint112 internal constant PROTOCOL_FEE = 20_000; // 2% of BUDGET
    uint256 internal constant D = 970_000; // BUDGET less both fees
    uint112 internal constant STAKE = 250_000; // >= 2 D / 8
    uint112 internal constant BOND = 500_000; // BUDGET / 2
    uint256 internal constant ONE = 1 << 30; // score of an average contribution
    uint32 internal constant COMMIT = 60;
    uint32 internal constant GUARD = 10;
    uint32 internal constant REVEAL = 50;
    uint32 internal constant RESCUE = 30;
    uint32 internal constant SETTLE = 40;
    uint32 internal constant TAKEOVER = 35;
    uint32 internal constant SELF = 20;
    uint32 internal constant SLASH = 100;

    ICohortMarket internal market;
    AttestedVerifier internal verifier;
    SuppliedScores internal policy;
    TestToken internal token;

    address internal owner = address(0x0111);
    address internal aggregator = address(0xA66);
    address internal rival = address(0xB77); // the project's other aggregator
    address internal treasury = address(0x7EA5);
    address internal stranger = address(0x5712);
    /// @dev Sorted by address.
    uint256[] internal trainerKeys;
    address[] internal trainers;
    uint256[] internal witnessKeys;
    address[] internal witnesses;

    /// @notice Everything that one call of `settle` takes.
    struct Settlement {
        Admission[] admissions;
        uint256[] outcomes;
        NextModel next;
        Cid bundle;
        bytes evidence;
    }

    function setUp() public virtual {
        vm.warp(START);
        // By name, so that their code is not compiled into every test.
        verifier = AttestedVerifier(vm.deployCode("AttestedVerifier.sol:AttestedVerifier"));
        policy = SuppliedScores(vm.deployCode("SuppliedScores.sol:SuppliedScores"));
        token = TestToken(vm.deployCode("TestToken.sol:TestToken"));
        market = _deploy(_profile());
        (trainerKeys, trainers) = _people(1_000, TRAINERS);
        (witnessKeys, witnesses) = _people(9_000, 3);
        _give(token, owner, 1_000 * uint256(BUDGET));
        _give(token, aggregator, 20 * uint256(BOND));
        _give(token, rival, 20 * uint256(BOND));
        for (uint256 i; i < TRAINERS; ++i) _give(token, trainers[i], 10 * uint256(STAKE));
    }

    // ---- deployment

    function _profile() internal view virtual returns (Profile memory p) {
        p.minimum = Windows({commit: 1, guard: 0, reveal: 1, rescue: 1, settle: 1, takeover: 1, selfCommit: 0});
        p.slashWindow = SLASH;
        p.protocolFeeBps = 200;
        p.feeRecipient = treasury;
        p.verifiers = new bytes32[](1);
        p.verifiers[0] = address(verifier).codehash;
        p.policies = new bytes32[](1);
        p.policies[0] = address(policy).codehash;
        p.tokens = new ListedToken[](1);
        p.tokens[0] = ListedToken(address(token), PROTOCOL_FEE);
    }

    /// @dev The parts are four addresses one after another. Nothing here imports their code: a change of it compiles no test.
    function _deploy(Profile memory profile) internal returns (ICohortMarket) {
        address resolution = vm.deployCode("MarketResolution.sol:MarketResolution");
        address settlement = vm.deployCode("MarketSettlement.sol:MarketSettlement");
        address projects = vm.deployCode("MarketProjects.sol:MarketProjects");
        address accounts = vm.deployCode("MarketAccounts.sol:MarketAccounts");
        bytes memory arguments = abi.encode(profile, resolution, settlement, projects, accounts);
        return ICohortMarket(vm.deployCode("CohortMarket.sol:CohortMarket", arguments));
    }

    // ---- people and money

    function _give(TestToken money, address to, uint256 amount) internal {
        money.mint(to, amount);
        vm.prank(to);
        money.approve(address(market), type(uint256).max);
    }

    // ---- projects

    function _terms() internal view returns (ProjectTerms memory terms) {
        terms.token = address(token);
        terms.verifier = address(verifier);
        terms.policy = address(policy);
        terms.verifierCodeHash = address(verifier).codehash;
        terms.policyCodeHash = address(policy).codehash;
        terms.specDigest = keccak256("spec");
        terms.policyHash = keccak256("policy");
        terms.initialModel = keccak256("model 0");
        terms.roundBudget = BUDGET;
        terms.aggregatorFee = FEE;
        terms.stake = STAKE;
        terms.bond = BOND;
        terms.scoreFloor = uint64(ONE / 2);
        terms.rounds = 1_000;
        terms.dimension = 38_000;
        terms.exponent = -14;
        terms.slots = 8;
        terms.minTrainers = 3;
        terms.quorum = 2;
        terms.shareCap = 4;
        terms.windows = Windows({
            commit: COMMIT,
            guard: GUARD,
            reveal: REVEAL,
            rescue: RESCUE,
            settle: SETTLE,
            takeover: TAKEOVER,
            selfCommit: SELF
        });
        terms.witnesses = witnesses;
        terms.aggregators = new address[](2);
        terms.aggregators[0] = aggregator;
        terms.aggregators[1] = rival;
    }

    /// @dev A project whose aggregator has put up its bond.
    function _create(ProjectTerms memory terms, uint256 deposit) internal returns (uint256 project) {
        vm.prank(owner);
        project = market.createProject(terms, deposit);
        _bond(project, aggregator, terms.bond);
    }

    function _bond(uint256 project, address who, uint256 amount) internal {
        vm.prank(who);
        market.depositBond(project, amount);
    }

    /// @dev A project with money for ten rounds and members 0 .. count - 1.
    function _projectWith(uint256 count) internal returns (uint256 project) {
        project = _create(_terms(), 10 * uint256(BUDGET));
        _join(project, 0, count);
    }

    function _join(uint256 project, uint256 from, uint256 to) internal {
        for (uint256 i = from; i < to; ++i) _joinOne(project, trainers[i]);
    }

    function _joinOne(uint256 project, address trainer) internal {
        vm.prank(trainer);
        market.join(project, new bytes32[](0), new uint256[](0));
    }

    /// @dev Number of trainer i in a project. Trainers that joined in order have i + 1.
    function _number(uint256 project, uint256 i) internal view returns (uint32) {
        return market.memberOf(project, trainers[i]).number;
    }

    /// @dev The aggregator accepts the next round, and anyone opens it.
    function _open(uint256 project) internal returns (uint32 round) {
        _accept(project, aggregator);
        return market.openRound(project);
    }

    function _accept(uint256 project, address who) internal {
        uint32 next = market.progressOf(project).round + 1;
        vm.prank(who);
        market.accept(project, next);
    }

    function _equation(uint256 project) internal view {
        IProjects.Ledger memory l = market.ledgerOf(project);
        vm.assertEq(
            l.deposited, l.free + l.held + l.claimable + l.claimed + l.fees + l.burned + l.refunded, "ledger"
        );
    }

    // ---- commitments

    function _opening(uint256 project, uint32 round, uint256 i) internal view returns (Opening memory) {
        bytes32 update = _update(project, round, i);
        return Opening(_number(project, i), update, _cid(update), _salt(project, round, i));
    }

    function _commitment(uint256 project, uint32 round, uint256 i) internal view returns (bytes32) {
        return _commitmentOf(project, round, _opening(project, round, i));
    }

    function _commitmentOf(uint256 project, uint32 round, Opening memory o) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round)"),
                block.chainid,
                address(market),
                project,
                round
            )
        );
        return keccak256(abi.encodePacked(domain, o.member, o.cid.codec, o.update, o.cid.digest, o.salt));
    }

    /// @dev Leaves of trainers from .. to - 1.
    function _leaves(uint256 project, uint32 round, uint256 from, uint256 to)
        internal
        view
        returns (CommitLeaf[] memory leaves)
    {
        leaves = new CommitLeaf[](to - from);
        for (uint256 i = from; i < to; ++i) {
            leaves[i - from] = CommitLeaf(_number(project, i), _commitment(project, round, i));
        }
    }

    function _signLeaf(uint256 project, uint32 round, CommitLeaf memory leaf, uint256 key)
        internal
        view
        returns (CommitSignature memory)
    {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("Commit(uint256 project,uint32 round,uint32 member,bytes32 commitment)"),
                project,
                round,
                leaf.member,
                leaf.commitment
            )
        );
        (bytes32 r, bytes32 vs) = _compact(key, _digest("CohortMarket", address(market), struct_));
        return CommitSignature(r, vs);
    }

    function _signLeaves(uint256 project, uint32 round, CommitLeaf[] memory leaves, uint256 from)
        internal
        view
        returns (CommitSignature[] memory signatures)
    {
        signatures = new CommitSignature[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            signatures[i] = _signLeaf(project, round, leaves[i], trainerKeys[from + i]);
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
        market.commitBatch(project, round, Packed.leaves(leaves), Packed.signatures(signatures));
    }

    function _commitSelf(uint256 project, uint32 round, uint256 i) internal {
        _commitSelf(project, round, i, new CommitLeaf[](0));
    }

    function _commitSelf(uint256 project, uint32 round, uint256 i, CommitLeaf[] memory batch) internal {
        bytes32 commitment = _commitment(project, round, i);
        uint32 number = _number(project, i);
        vm.prank(trainers[i]);
        market.commitSelf(project, round, number, commitment, Packed.leaves(batch));
    }

    // ---- reveals

    function _openings(uint256 project, uint32 round, uint256 from, uint256 to)
        internal
        view
        returns (Opening[] memory openings)
    {
        openings = new Opening[](to - from);
        for (uint256 i = from; i < to; ++i) openings[i - from] = _opening(project, round, i);
    }

    function _openingsHash(Opening[] memory openings) internal pure returns (bytes32) {
        return keccak256(Packed.rows(openings));
    }

    function _receipt(
        uint256 project,
        uint32 round,
        Opening[] memory openings,
        uint256 witness,
        uint32 endorsed,
        uint32 refused
    ) internal view returns (Receipt memory) {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("Receipt(uint256 project,uint32 round,bytes32 openingsHash,uint32 endorsed,uint32 refused)"),
                project,
                round,
                _openingsHash(openings),
                endorsed,
                refused
            )
        );
        (bytes32 r, bytes32 vs) = _compact(witnessKeys[witness], _digest("CohortMarket", address(market), struct_));
        return Receipt(uint8(witness), endorsed, refused, r, vs);
    }

    /// @dev Receipts of witnesses 0 and 1 that endorse everything.
    function _receipts(uint256 project, uint32 round, Opening[] memory openings)
        internal
        view
        returns (Receipt[] memory receipts)
    {
        return _receipts(project, round, openings, type(uint32).max, 0);
    }

    function _receipts(uint256 project, uint32 round, Opening[] memory openings, uint32 endorsed, uint32 refused)
        internal
        view
        returns (Receipt[] memory receipts)
    {
        receipts = new Receipt[](2);
        receipts[0] = _receipt(project, round, openings, 0, endorsed, refused);
        receipts[1] = _receipt(project, round, openings, 1, endorsed, refused);
    }

    /// @dev Reveals trainers from .. to - 1 with a full quorum. `batch` whole, as posted, or the leaves that are not opened.
    function _reveal(uint256 project, uint32 round, CommitLeaf[] memory batch, uint256 from, uint256 to) internal {
        Opening[] memory openings = _openings(project, round, from, to);
        _revealWith(project, round, batch, openings, _receipts(project, round, openings));
    }

    function _revealWith(
        uint256 project,
        uint32 round,
        CommitLeaf[] memory batch,
        Opening[] memory openings,
        Receipt[] memory receipts
    ) internal {
        market.reveal(
            project, round, Packed.leaves(batch), Packed.rows(openings), Packed.salts(openings), receipts
        );
    }

    /// @dev Signatures of witnesses 0 and 1 over one digest of the market.
    function _witnessed(bytes32 struct_) internal view returns (WitnessSignature[] memory signatures) {
        bytes32 digest = _digest("CohortMarket", address(market), struct_);
        signatures = new WitnessSignature[](2);
        for (uint256 i; i < 2; ++i) {
            (bytes32 r, bytes32 vs) = _compact(witnessKeys[i], digest);
            signatures[i] = WitnessSignature(uint8(i), r, vs);
        }
    }

    // ---- settlement

    function _rows(uint256 project, uint32 round, uint256 from, uint256 to) internal view returns (Row[] memory rows) {
        rows = new Row[](to - from);
        for (uint256 i = from; i < to; ++i) rows[i - from] = _row(project, round, i);
    }

    function _row(uint256 project, uint32 round, uint256 i) internal view returns (Row memory) {
        bytes32 update = _update(project, round, i);
        return Row(_number(project, i), update, _cid(update));
    }

    function _outcomes(uint256 n, uint256 score) internal pure returns (uint256[] memory outcomes) {
        outcomes = new uint256[](n);
        for (uint256 i; i < n; ++i) outcomes[i] = score << 8;
    }

    function _settlement(uint256 project, uint32 round, Row[] memory rows, uint256[] memory outcomes)
        internal
        view
        returns (Settlement memory)
    {
        return _settlement(project, round, Packed.admissions(rows), outcomes);
    }

    /// @dev Of a round whose rows were admitted by several calls.
    function _settlement(uint256 project, uint32 round, Admission[] memory admissions, uint256[] memory outcomes)
        internal
        view
        returns (Settlement memory s)
    {
        s.admissions = admissions;
        s.outcomes = outcomes;
        bytes32 model = keccak256(abi.encode("model", project, round));
        s.next = NextModel(model, _cid(model));
        s.bundle = _cid(keccak256(abi.encode("bundle", project, round)));
        s.evidence = _evidence(project, round, s, 0, 2);
    }

    /// @dev What witnesses sign, from the strings of EIP-712.
    function _statementDigest(uint256 project, uint32 round, Settlement memory s) internal view returns (bytes32) {
        IRoundViews.RoundView memory r = market.roundOf(project, round);
        bytes32[14] memory words;
        words[0] = keccak256(
            "Settlement(address market,uint256 project,uint32 round,uint32 dimension,bytes32 admittedHash,bytes32 validation,bytes32 publicRows,bytes32 policyHash,bytes32 outcomesHash,bytes32 previousModel,bytes32 nextModel,bytes32 nextModelCid,bytes32 bundleCid)"
        );
        words[1] = bytes32(uint256(uint160(address(market))));
        words[2] = bytes32(project);
        words[3] = bytes32(uint256(round));
        words[4] = bytes32(uint256(market.termsOf(project).dimension));
        words[5] = Packed.chain(s.admissions);
        words[6] = r.validation;
        words[7] = r.publicRows;
        words[8] = market.termsOf(project).policyHash;
        words[9] = keccak256(abi.encodePacked(s.outcomes));
        words[10] = r.model;
        words[11] = s.next.commitment;
        words[12] = keccak256(_cidBytes(s.next.cid));
        words[13] = keccak256(_cidBytes(s.bundle));
        return _digest("CohortAttestedVerifier", address(verifier), keccak256(abi.encode(words)));
    }

    /// @dev Signatures of witnesses from .. from + count - 1.
    function _evidence(uint256 project, uint32 round, Settlement memory s, uint256 from, uint256 count)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest = _statementDigest(project, round, s);
        WitnessSignature[] memory list = new WitnessSignature[](count);
        for (uint256 i; i < count; ++i) {
            (bytes32 r, bytes32 vs) = _compact(witnessKeys[from + i], digest);
            list[i] = WitnessSignature(uint8(from + i), r, vs);
        }
        return abi.encode(list);
    }

    function _send(uint256 project, uint32 round, Settlement memory s) internal {
        _sendAs(aggregator, project, round, s);
    }

    function _sendAs(address settler, uint256 project, uint32 round, Settlement memory s) internal {
        vm.prank(settler);
        market.settle(project, round, s.admissions, abi.encode(s.outcomes), s.next, s.bundle, s.evidence);
    }

    /// @dev Settles rows 0 .. n - 1 with equal scores.
    function _settle(uint256 project, uint32 round, uint256 n) internal {
        _send(project, round, _settlement(project, round, _rows(project, round, 0, n), _outcomes(n, ONE)));
    }

    // ---- whole rounds

    /// @dev Opens a round and brings it to the settle phase with rows 0 .. n - 1. All members commit and reveal, if
    /// they are n; otherwise the clock runs.
    function _toSettle(uint256 project, uint256 n) internal returns (uint32 round) {
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, n);
        IRoundViews.RoundView memory r = market.roundOf(project, round);
        vm.warp(r.revealStart);
        _reveal(project, round, batch, 0, n);
        _assertPhase(project, round, Phase.Settle);
    }

    function _settledRound(uint256 project, uint256 n) internal returns (uint32 round) {
        round = _toSettle(project, n);
        _settle(project, round, n);
    }

    // ---- phases

    function _assertPhase(uint256 project, uint32 round, Phase expected) internal view {
        vm.assertEq(uint256(market.phaseOf(project, round)), uint256(expected), "phase");
    }
}
