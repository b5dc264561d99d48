// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {WitnessSignature} from "../../src/types/Types.sol";
import {Point} from "../../src/verification/proven/Bn254.sol";
import {ProvenVerifier} from "../../src/verification/proven/ProvenVerifier.sol";
import {HintedPolicy} from "./HintedPolicy.sol";
import {PlainArgument, PlainCurve, PlainGram, RoundProof, Shape} from "./PlainArgument.sol";
import {PlainProver, Polynomials} from "./PlainProver.sol";
import {CheatCodes} from "./Vm.sol";

/// @notice A round in the making: what the parties know, say and prove. Tests change one part and see that it is refused.
struct ProvenRound {
    Shape shape;
    int256[][] rows; // updates, then public rows
    int256[] gram; // upper triangle
    uint256[] words; // of the policy
    uint256[] weights;
    int256[] step;
    uint256[] callRows; // rows that each call of reveal admitted
    Point[] points;
    Point stepPoint;
    Point model; // that the round started from
    bytes32 manifest;
    IRoundVerifier.Statement statement;
    RoundProof proof;
    WitnessSignature[] receipts;
    bytes hints;
}

/// @notice Makes rounds, and puts them to a ProvenVerifier.
abstract contract ProvenRounds is CheatCodes {
    using Polynomials for int256[];
    using Polynomials for uint256[];

    ProvenVerifier internal proven;
    HintedPolicy internal hinted;
    address[] internal five; // witnesses; keys 1 to 5
    uint256 internal constant QUORUM = 3;

    function setUp() public virtual {
        hinted = new HintedPolicy();
        proven = new ProvenVerifier(address(hinted), PlainProver.second());
        for (uint256 i; i < 5; ++i) five.push(vm.addr(i + 1));
    }

    // ---- making

    /// @notice A right round of `shape` with rows of `length` entries, all parts of which follow from `seed`.
    function _round(uint256 seed, Shape memory shape, uint256 length) internal view returns (ProvenRound memory r) {
        r = _unproven(seed, shape, length);
        _prove(r);
    }

    function _unproven(uint256 seed, Shape memory shape, uint256 length) internal view returns (ProvenRound memory r) {
        r.shape = shape;
        r.manifest = keccak256(abi.encode(seed, "manifest"));
        r.model = PlainCurve.base(uint256(keccak256(abi.encode(seed, "model"))));
        r.callRows = _callRows(seed, shape.n);
        _fill(r, seed, length);
        r.gram = _gramOf(r.rows);
        _judge(r, seed);
        r.step = _stepOf(r);
        _commit(r);
        _state(r, seed);
    }

    /// @notice Three calls at most.
    function _callRows(uint256 seed, uint256 n) private pure returns (uint256[] memory calls) {
        if (n < 3 || seed % 3 == 0) {
            calls = new uint256[](1);
            calls[0] = n;
            return calls;
        }
        calls = new uint256[](3);
        calls[0] = 1 + seed % (n - 2);
        calls[1] = 1;
        calls[2] = n - 1 - calls[0];
    }

    /// @notice Updates of 16 bits with sign, public rows of 32; one row of extremes.
    function _fill(ProvenRound memory r, uint256 seed, uint256 length) private pure {
        r.rows = new int256[][](_count(r.shape));
        for (uint256 a; a < r.rows.length; ++a) {
            r.rows[a] = new int256[](length);
            for (uint256 i; i < length; ++i) {
                uint256 random = uint256(keccak256(abi.encode(seed, "entry", a, i)));
                r.rows[a][i] = a < r.shape.n ? int256(int16(uint16(random))) : int256(int32(uint32(random)));
                if (a == 0) r.rows[a][i] = -32768;
                if (a == r.shape.n) r.rows[a][i] = type(int32).max;
            }
        }
    }

    /// @notice Scores and weights of some, reasons for others.
    function _judge(ProvenRound memory r, uint256 seed) private pure {
        uint256 n = r.shape.n;
        (r.words, r.weights) = (new uint256[](n), new uint256[](n));
        for (uint256 i; i < n; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, "word", i)));
            bool rejected = n > 2 && random % 5 == 0;
            r.weights[i] = rejected ? 0 : 65_536 / n;
            r.words[i] = rejected ? random >> 248 | 1 : uint256(uint64(random >> 64)) << 8 | r.weights[i] << 72;
        }
        r.hints = abi.encodePacked(r.words);
    }

    function _commit(ProvenRound memory r) internal view {
        r.points = new Point[](r.rows.length);
        for (uint256 a; a < r.rows.length; ++a) r.points[a] = PlainProver.commit(r.rows[a].from());
        r.stepPoint = PlainProver.commit(r.step.from());
    }

    function _state(ProvenRound memory r, uint256 seed) private view {
        r.statement.market = address(0x1234);
        r.statement.project = 5 + seed % 100;
        r.statement.round = r.rows.length == r.shape.n ? 1 : 6;
        r.statement.dimension = uint32(r.rows[0].length);
        r.statement.validation = keccak256(abi.encode(seed, "validation"));
        r.statement.policyHash = hinted.POLICY_HASH();
        r.statement.nextModelCid = keccak256(abi.encode(seed, "next cid"));
        r.statement.bundleCid = keccak256(abi.encode(seed, "bundle cid"));
        _restate(r);
    }

    /// @notice The parts of the statement that follow from the rest of the round.
    function _restate(ProvenRound memory r) internal view {
        r.statement.admittedHash = _admitted(r);
        r.statement.publicRows = r.rows.length == r.shape.n ? bytes32(0) : sha256(_card(r));
        r.statement.outcomesHash = keccak256(abi.encodePacked(_outcomes(r)));
        r.statement.previousModel = PlainCurve.compress(r.model);
        r.statement.nextModel = PlainCurve.compress(PlainCurve.add(r.model, r.stepPoint));
    }

    function _prove(ProvenRound memory r) internal view {
        PlainProver.Secret memory secret = _secret(r);
        r.proof = PlainProver.prove(_stateOf(r), secret);
    }

    /// @notice What an honest prover proves from, if all that it is told is true.
    function _secret(ProvenRound memory r) internal view returns (PlainProver.Secret memory secret) {
        secret.rows = new uint256[][](r.rows.length);
        for (uint256 a; a < r.rows.length; ++a) secret.rows[a] = r.rows[a].from();
        secret.weights = r.weights;
        secret.step = r.step.from();
        RoundProof memory none;
        secret.c = PlainGram.formOf(r.gram, PlainArgument.challengesOf(_stateOf(r), r.rows.length, none).x);
    }

    function _stateOf(ProvenRound memory r) internal view returns (bytes32) {
        return _claim(r).state;
    }

    function _claim(ProvenRound memory r) internal view returns (PlainArgument.Claim memory claim) {
        claim = PlainArgument.Claim(bytes32(0), r.stepPoint, r.points, r.gram, r.weights);
        claim.state = PlainArgument.stateOf(r.statement, address(proven), r.shape, claim, _gram(r));
    }

    // ---- packing

    function _evidence(ProvenRound memory r) internal pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(
            uint8(r.receipts.length), uint16(r.hints.length), uint8(r.callRows.length)
        );
        for (uint256 i; i < r.callRows.length; ++i) head = bytes.concat(head, bytes1(uint8(r.callRows[i])));
        head = bytes.concat(head, _packedRows(r, 0, r.shape.n));
        if (r.statement.publicRows != 0) head = bytes.concat(head, _card(r));
        for (uint256 a; a < r.shape.n; ++a) head = bytes.concat(head, bytes32(r.points[a].y));
        head = bytes.concat(head, bytes32(r.model.y), abi.encode(r.stepPoint, r.proof), _gram(r));
        for (uint256 i; i < r.receipts.length; ++i) head = bytes.concat(head, abi.encode(r.receipts[i]));
        return bytes.concat(head, r.hints);
    }

    function _gram(ProvenRound memory r) internal pure returns (bytes memory) {
        return PlainGram.pack(r.gram, r.shape.n, r.rows.length - r.shape.n);
    }

    /// @notice What publicRows is the hash of.
    function _card(ProvenRound memory r) internal pure returns (bytes memory card) {
        card = abi.encodePacked(r.manifest, uint8(r.shape.steps), uint8(r.shape.trainable), uint8(r.shape.values));
        for (uint256 a = r.shape.n; a < r.points.length; ++a) card = bytes.concat(card, abi.encode(r.points[a]));
    }

    function _packedRows(ProvenRound memory r, uint256 from, uint256 until) private pure returns (bytes memory rows) {
        for (uint256 a = from; a < until; ++a) {
            bytes32 update = PlainCurve.compress(r.points[a]);
            rows = bytes.concat(rows, abi.encodePacked(_memberAt(a), uint8(0x55), update, keccak256(abi.encode(a))));
        }
    }

    /// @notice Number of the member whose update is row a.
    function _memberAt(uint256 a) internal pure virtual returns (uint32) {
        return uint32(3 * a + 1);
    }

    function _admitted(ProvenRound memory r) private pure returns (bytes32 chain) {
        uint256 from;
        for (uint256 i; i < r.callRows.length; ++i) {
            bytes memory members;
            for (uint256 a = from; a < from + r.callRows[i]; ++a) {
                members = bytes.concat(members, bytes4(_memberAt(a)));
            }
            bytes32 rows = keccak256(_packedRows(r, from, from + r.callRows[i]));
            chain = keccak256(abi.encode(chain, keccak256(members), rows));
            from += r.callRows[i];
        }
    }

    function _outcomes(ProvenRound memory r) private pure returns (uint256[] memory outcomes) {
        outcomes = new uint256[](r.words.length);
        for (uint256 i; i < r.words.length; ++i) outcomes[i] = r.words[i] % (1 << 72);
    }

    // ---- arithmetic

    function _count(Shape memory shape) internal pure returns (uint256) {
        return shape.n + shape.steps + shape.trainable + shape.values;
    }

    function _gramOf(int256[][] memory rows) internal pure returns (int256[] memory gram) {
        gram = new int256[](rows.length * (rows.length + 1) / 2);
        uint256 at;
        for (uint256 a; a < rows.length; ++a) {
            for (uint256 b = a; b < rows.length; ++b) {
                for (uint256 i; i < rows[a].length; ++i) gram[at] += rows[a][i] * rows[b][i];
                ++at;
            }
        }
    }

    function _stepOf(ProvenRound memory r) internal pure returns (int256[] memory step) {
        step = new int256[](r.rows[0].length);
        for (uint256 a; a < r.shape.n; ++a) {
            for (uint256 i; i < step.length; ++i) step[i] += int256(r.weights[a]) * r.rows[a][i];
        }
    }

    // ---- asking

    function _verify(ProvenRound memory r) internal view returns (bool) {
        return proven.verify(r.statement, five, QUORUM, _evidence(r));
    }

    function _refused(ProvenRound memory r, bytes4 why) internal {
        _refusedBytes(r.statement, _evidence(r), why);
    }

    function _refusedBytes(IRoundVerifier.Statement memory s, bytes memory evidence, bytes4 why) internal {
        vm.expectPartialRevert(why);
        proven.verify(s, five, QUORUM, evidence);
    }

    /// @dev Whether it is accepted, without an expectation.
    function _accepts(IRoundVerifier.Statement memory s, bytes memory evidence) internal view returns (bool done) {
        (done,) = address(proven).staticcall(abi.encodeCall(proven.verify, (s, five, QUORUM, evidence)));
    }
}
