// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {TestToken} from "../../src/devnet/TestToken.sol";
import {Phase, Profile, ProjectTerms} from "../../src/types/Types.sol";
import {ReentrantToken} from "../support/HostileTokens.sol";
import {MarketModel} from "./MarketModel.sol";
import {PendingVerifier} from "./PendingVerifier.sol";

/// @notice Everything that can be done with success, and the things tried that must fail. Counted over a whole campaign.
enum Did {
    CreateProject,
    Fund,
    AddAggregator,
    EndByOwner,
    EndWhenIdle,
    Refund,
    CollectProtocolFees,
    Join,
    JoinWithPaidStake,
    StakeFor,
    Leave,
    WithdrawStake,
    SetDelegate,
    DepositBond,
    WithdrawBond,
    Accept,
    WithdrawAcceptance,
    OpenRound,
    OpenAfterEmptyVoid,
    CommitBatch,
    LeafCounted,
    LeafSkipped,
    CommitSelf,
    CommitByDelegate,
    ReplaceLeaf,
    RevealValidation,
    Reveal,
    RevealWithoutLeaves,
    UpdateAdmitted,
    UpdateRefused,
    OpeningSkipped,
    Rescue,
    RescueWithoutLeaves,
    SlashNewest,
    SlashOlder,
    SlashWithoutStake,
    PostPublicRows,
    Settle,
    SettleByRival,
    SettleLateByAcceptor,
    CloseVoid,
    CloseVoidWithoutRows,
    CloseDefaulted,
    ReceiptModel,
    DropModel,
    Claim,
    ClaimToByTrainer,
    ClaimToSigned,
    Multicall,
    Wait,
    ForbiddenCallFailed,
    ReentryFailed
}

/// @dev Values of Did. A literal, because array lengths must be.
uint256 constant ACTIONS = 52;

/// @notice Three projects of two owners: one plain, one whose models wait for receipts, one with a token that calls back.
abstract contract World is MarketModel {
    uint256 internal constant PURSE = 1e24; // base units that everybody has of each token
    uint256 internal constant VALIDATION_BATCHES = 16;

    address internal constant SECOND_OWNER = address(0x0222);
    address internal constant LATE_AGGREGATOR = address(0xC88); // added by the owner after creation

    ReentrantToken internal hostileToken;
    PendingVerifier internal pendingVerifier;
    uint256[] internal delegateKeys;
    address[] internal delegates;
    uint256[ACTIONS] internal did;
    uint256 internal touched; // project of the latest call; 0: none
    uint256 private _nonce;

    function setUp() public virtual override {
        super.setUp();
        // Once more, with a second verifier on the list.
        pendingVerifier = new PendingVerifier(verifier);
        market = _deploy(_profile());
        hostileToken = new ReentrantToken();
        (delegateKeys, delegates) = _people(20_000, PEOPLE);
        address[6] memory rich = [owner, SECOND_OWNER, aggregator, rival, LATE_AGGREGATOR, stranger];
        for (uint256 i; i < rich.length; ++i) _fill(rich[i]);
        for (uint256 i; i < PEOPLE; ++i) _fill(trainers[i]);
        _makeProjects();
    }

    function _fill(address account) private {
        _give(token, account, PURSE);
        _give(hostileToken, account, PURSE);
    }

    function _profile() internal view override returns (Profile memory p) {
        p = super._profile();
        bytes32 known = p.verifiers[0];
        p.verifiers = new bytes32[](2);
        p.verifiers[0] = known;
        p.verifiers[1] = address(pendingVerifier).codehash;
    }

    function _makeProjects() private {
        ProjectTerms memory terms = _terms();
        terms.slots = 4;
        terms.minTrainers = 1;
        terms.shareCap = 1;
        terms.windows.guard = 0;
        terms.stake = 485_000;
        _createAs(owner, terms, true, 3 * uint256(terms.roundBudget));

        terms = _terms();
        terms.verifier = address(pendingVerifier);
        terms.verifierCodeHash = address(pendingVerifier).codehash;
        terms.slots = 6;
        terms.roundBudget = BUDGET + 7;
        terms.stake = 333_333;
        terms.bond = BOND + 4;
        terms.quorum = 3;
        terms.validationRoot = _rootOf(_validationLeaves());
        _createAs(SECOND_OWNER, terms, false, 3 * uint256(terms.roundBudget));

        terms = _terms();
        terms.token = address(hostileToken);
        terms.slots = 6;
        terms.minTrainers = 2;
        terms.shareCap = 2;
        terms.roundBudget = 1_003;
        terms.aggregatorFee = 0;
        terms.stake = 339;
        terms.bond = 502;
        _createAs(owner, terms, true, 5_000);
    }

    /// @dev Terms of a project that begins in the middle of a campaign: a fee that earns half of the full standing gain,
    /// and only two rounds.
    function _laterTerms() internal view returns (ProjectTerms memory terms) {
        terms = _terms();
        terms.roundBudget = BUDGET / 2;
        terms.stake = STAKE / 2;
        terms.bond = BOND / 2;
        terms.rounds = 2;
        terms.minTrainers = 2;
    }

    function _createAs(address who, ProjectTerms memory terms, bool receipts, uint256 deposit) internal {
        bytes memory answer = _send(0, who, abi.encodeCall(market.createProject, (terms, deposit)));
        uint256 project = abi.decode(answer, (uint256));
        vm.assertEq(project, ++projectsMade, "projects are numbered from one");
        GhostProject storage p = ghosts[project];
        p.terms = terms;
        p.token = TestToken(terms.token);
        p.owner = who;
        p.protocolFee = uint256(terms.roundBudget) * 200 / 10_000;
        p.distributable = terms.roundBudget - p.protocolFee - terms.aggregatorFee;
        p.weight = terms.token == address(token) ? _least(65_536, 65_536 * p.protocolFee / PROTOCOL_FEE) : 0;
        p.receipts = receipts;
        p.model = terms.initialModel;
        p.createdAt = block.timestamp;
        p.aggregators = terms.aggregators;
        p.ledger.deposited = deposit;
        p.ledger.free = deposit;
        touched = project;
        _count(Did.CreateProject);
    }

    // ---- calls

    /// @dev A call of the market that has to succeed. In the project with the hostile token, the token calls back in the
    /// middle of every transfer, which has to fail.
    function _send(uint256 project, address who, bytes memory data) internal returns (bytes memory answer) {
        bool hostile = project != 0 && address(ghosts[project].token) == address(hostileToken);
        if (hostile) hostileToken.arm(address(market), _callback());
        bool ok;
        vm.prank(who);
        (ok, answer) = address(market).call(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        if (hostile) _disarm();
        touched = project;
    }

    function _disarm() private {
        bytes memory answer = hostileToken.answer();
        if (answer.length != 0) {
            vm.assertFalse(hostileToken.succeeded(), "the token got in");
            vm.assertEq(
                bytes32(bytes4(answer)),
                bytes32(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
                "turned away by the guard"
            );
            _count(Did.ReentryFailed);
        }
        hostileToken.arm(address(0), "");
    }

    /// @dev Calls that would succeed, or cost somebody, if the market let the token in.
    function _callback() private returns (bytes memory) {
        uint256 project = 1 + _dice() % projectsMade;
        uint256 choice = _dice() % 8;
        if (choice == 0) return abi.encodeCall(market.openRound, (project));
        if (choice == 1) return abi.encodeCall(market.refund, (project));
        if (choice == 2) return abi.encodeCall(market.fund, (project, 1));
        if (choice == 3) return abi.encodeCall(market.endProject, (project));
        if (choice == 4) return abi.encodeCall(market.stakeFor, (project, address(hostileToken)));
        if (choice == 5) return abi.encodeCall(market.withdrawStake, (project, trainers[_dice() % PEOPLE]));
        if (choice == 6) return abi.encodeCall(market.collectProtocolFees, (project));
        return abi.encodeCall(market.withdrawBond, (project, 1));
    }

    /// @dev A call that has to fail with `selector` whatever came before.
    function _mustFail(address who, bytes memory data, bytes4 selector) internal {
        vm.prank(who);
        (bool ok, bytes memory answer) = address(market).call(data);
        vm.assertFalse(ok, "a forbidden call went through");
        vm.assertEq(bytes32(bytes4(answer)), bytes32(selector), "a forbidden call failed for another reason");
        _count(Did.ForbiddenCallFailed);
    }

    function _count(Did action) internal {
        ++did[uint256(action)];
    }

    // ---- chance

    /// @dev From here on, every choice of this handler call follows from `seed`.
    function _roll(uint256 seed) internal {
        _nonce = uint256(keccak256(abi.encode(seed, _nonce)));
    }

    function _dice() internal returns (uint256) {
        _nonce = uint256(keccak256(abi.encode(_nonce)));
        return _nonce;
    }

    function _oneIn(uint256 n) internal returns (bool) {
        return _dice() % n == 0;
    }

    // ---- validation batches

    function _validationDigest(uint32 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("validation", round));
    }

    /// @dev Leaf `i` is of round i + 1.
    function _validationLeaves() internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](VALIDATION_BATCHES);
        for (uint32 i; i < VALIDATION_BATCHES; ++i) {
            leaves[i] = keccak256(bytes.concat(keccak256(abi.encode(i + 1, _validationDigest(i + 1)))));
        }
    }

    function _rootOf(bytes32[] memory level) internal pure returns (bytes32) {
        for (uint256 count = level.length; count > 1; count /= 2) {
            for (uint256 i; i < count / 2; ++i) level[i] = _pair(level[2 * i], level[2 * i + 1]);
        }
        return level[0];
    }

    // ---- phases

    function _newest(uint256 project) internal view returns (uint32 round, GhostRound storage r, Phase phase) {
        round = ghosts[project].round;
        r = roundGhosts[project][round];
        phase = _modelPhase(project, round);
    }
}
