// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {ORDER, Point} from "../../src/verification/proven/Bn254.sol";
import {ProvenVerifier} from "../../src/verification/proven/ProvenVerifier.sol";
import {RoundArgument} from "../../src/verification/proven/RoundArgument.sol";
import {Challenges, PlainArgument, PlainCurve, PlainField, PlainGram, Shape} from "../support/PlainArgument.sol";
import {PlainProver, Polynomials} from "../support/PlainProver.sol";
import {ProvenRound, ProvenRounds} from "../support/ProvenRounds.sol";

/// @notice Who settles a proven round can lie in what he says, and prove his lie as well as it can be proven. Wherever something is
/// changed here, the proof is made anew for what is claimed, unless the test is about an old one.
contract ProofAttacksTest is ProvenRounds {
    using Polynomials for int256[];
    using Polynomials for uint256[];

    bytes4 private immutable REFUSED = RoundArgument.ArgumentInvalid.selector;

    function _small() private view returns (ProvenRound memory) {
        return _round(21, Shape(3, 1, 0, 3), 5);
    }

    // ---- inner products

    /// @dev Every entry of the matrix, one too large, one too small, and far off: update x update on and off the diagonal, update x
    /// public, public x public.
    function test_Gram_RevertWhen_AnEntryIsWrong() public {
        ProvenRound memory r = _small();
        for (uint256 at; at < r.gram.length; ++at) {
            int256 right = r.gram[at];
            for (uint256 shape; shape < 3; ++shape) {
                r.gram[at] = shape == 0 ? right + 1 : shape == 1 ? right - 1 : right ^ (1 << 40);
                _prove(r);
                _refused(r, REFUSED);
            }
            r.gram[at] = right;
        }
        _prove(r);
        _verify(r);
    }

    /// @dev Two wrongs do not make a right.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_Gram_RevertWhen_EntriesAreExchanged(uint256 seed) public {
        ProvenRound memory r = _small();
        uint256 a = seed % r.gram.length;
        uint256 b = (seed >> 128) % r.gram.length;
        if (r.gram[a] == r.gram[b]) return;
        bool fits = int56(r.gram[a]) == r.gram[a] && int56(r.gram[b]) == r.gram[b];
        if (fits) (r.gram[a], r.gram[b]) = (r.gram[b], r.gram[a]);
        else (r.gram[a], r.gram[b]) = (r.gram[a] + 1, r.gram[b] - 1);
        _prove(r);
        _refused(r, REFUSED);
    }

    /// @dev The matrix of other updates than those committed to, all of it consistent.
    function test_Gram_RevertWhen_ItIsOfOtherRows() public {
        ProvenRound memory r = _unproven(22, Shape(3, 1, 0, 3), 5);
        for (uint256 a; a < r.rows.length; ++a) {
            r.rows[a][2] += 1;
            r.gram = _gramOf(r.rows);
            _prove(r);
            _refused(r, REFUSED);
            r.rows[a][2] -= 1;
        }
        r.gram = _gramOf(r.rows);
        _prove(r);
        _verify(r);
    }

    /// @dev A multiple of r more is the same to the argument. Entries are too short for one.
    function test_Gram_WhenAnEntryCannotHideTheOrder() public pure {
        vm.assertLt(uint256(1) << 8 * PlainGram.sizeOf(40, 41, 32), ORDER / 2);
    }

    // ---- weights, step, models

    function test_Weights_RevertWhen_TheStepHasOthers() public {
        ProvenRound memory r = _small();
        for (uint256 a; a < 3; ++a) {
            r.weights[a] += 1; // what the step is made with; the policy's words stay
            r.step = _stepOf(r);
            r.stepPoint = PlainProver.commit(r.step.from());
            _restate(r);
            r.weights[a] -= 1; // what the contract will hash
            _prove(r);
            _refused(r, REFUSED);
        }
    }

    /// @dev Weights that the transcript has and the policy does not give.
    function test_Weights_RevertWhen_TheyAreNotThePolicys() public {
        ProvenRound memory r = _small();
        r.weights[0] += 1;
        r.step = _stepOf(r);
        r.stepPoint = PlainProver.commit(r.step.from());
        _restate(r);
        _prove(r);
        _refused(r, RoundArgument.InverseInvalid.selector); // for the contract, z follows from the policy's weights
        r.weights[0] -= 1;
        _mend(r);
        _refused(r, REFUSED);
    }

    function test_Step_RevertWhen_ItIsAnother() public {
        ProvenRound memory r = _small();
        for (uint256 i; i < 5; ++i) {
            int256[] memory right = _stepOf(r);
            r.step[i] += 1;
            r.stepPoint = PlainProver.commit(r.step.from());
            _restate(r); // the next model follows it
            _prove(r); // with the polynomial of the wrong step
            _refused(r, REFUSED);
            r.step = right; // or with that of the right one
            _prove(r);
            _refused(r, REFUSED);
        }
        r.step = _stepOf(r);
        r.stepPoint = PlainCurve.neg(PlainProver.commit(r.step.from()));
        _restate(r);
        _prove(r);
        _refused(r, REFUSED);
        r.stepPoint = Point(0, 0); // no step at all
        _restate(r);
        _prove(r);
        _refused(r, REFUSED);
    }

    function test_Model_RevertWhen_TheNextIsNotTheSum() public {
        ProvenRound memory r = _small();
        r.statement.nextModel = PlainCurve.compress(r.stepPoint);
        _prove(r);
        _refused(r, ProvenVerifier.NextModelMismatch.selector);
        r.statement.nextModel = r.statement.previousModel;
        _prove(r);
        _refused(r, ProvenVerifier.NextModelMismatch.selector);
    }

    /// @dev Where the round started is the market's word. Its proof is no proof for another start with the same step.
    function test_Model_RevertWhen_TheStartIsAnother() public {
        ProvenRound memory r = _small();
        r.model = PlainCurve.base(77);
        _restate(r);
        _refused(r, RoundArgument.InverseInvalid.selector);
        _mend(r);
        _refused(r, REFUSED);
    }

    // ---- rows

    function test_Rows_RevertWhen_TheyAreSwapped() public {
        ProvenRound memory r = _small();
        bytes32 admitted = r.statement.admittedHash;
        (r.points[0], r.points[1]) = (r.points[1], r.points[0]);
        (r.rows[0], r.rows[1]) = (r.rows[1], r.rows[0]);
        r.gram = _gramOf(r.rows);
        r.step = _stepOf(r);
        r.stepPoint = PlainProver.commit(r.step.from());
        _restate(r);
        r.statement.admittedHash = admitted;
        _prove(r);
        _refused(r, ISettlement.RowsMismatch.selector);
    }

    function test_Rows_RevertWhen_OneIsRepeatedOrDropped() public {
        ProvenRound memory r = _small();
        bytes32 admitted = r.statement.admittedHash;
        r.rows[1] = r.rows[0];
        _remake(r, admitted);
        _refused(r, ISettlement.RowsMismatch.selector);

        ProvenRound memory whole = _small();
        ProvenRound memory less = _round(21, Shape(2, 1, 0, 3), 5);
        less.statement.admittedHash = whole.statement.admittedHash;
        _prove(less);
        _refused(less, ISettlement.RowsMismatch.selector);
    }

    /// @dev The same rows cut into other calls, or one call twice.
    function test_Rows_RevertWhen_CallsAreOthers() public {
        ProvenRound memory r = _small();
        bytes32 admitted = r.statement.admittedHash;
        r.callRows = new uint256[](2);
        (r.callRows[0], r.callRows[1]) = (1, 2);
        _remake(r, admitted);
        _refused(r, ISettlement.RowsMismatch.selector);
    }

    /// @dev An update as a public row, or a public row as an update: the counts are part of what was posted and admitted.
    function test_Rows_RevertWhen_TheKindIsAnother() public {
        ProvenRound memory r = _round(23, Shape(3, 2, 0, 0), 4);
        bytes32 admitted = r.statement.admittedHash;
        bytes32 posted = r.statement.publicRows;
        r.shape = Shape(2, 3, 0, 0);
        r.callRows = new uint256[](1);
        r.callRows[0] = 2;
        (r.weights, r.words) = (_firstOf(r.weights, 2), _firstOf(r.words, 2));
        r.hints = abi.encodePacked(r.words);
        _remake(r, admitted);
        r.statement.publicRows = posted;
        _prove(r);
        _refused(r, ISettlement.RowsMismatch.selector);
        // Past steps that are called something else would be read as something else.
        r = _round(23, Shape(3, 1, 1, 0), 4);
        posted = r.statement.publicRows;
        r.shape = Shape(3, 2, 0, 0);
        _prove(r);
        _refused(r, ProvenVerifier.PublicRowsMismatch.selector);
    }

    function _firstOf(uint256[] memory list, uint256 count) private pure returns (uint256[] memory first) {
        first = new uint256[](count);
        for (uint256 i; i < count; ++i) first[i] = list[i];
    }

    function _remake(ProvenRound memory r, bytes32 admitted) private view {
        r.gram = _gramOf(r.rows);
        r.step = _stepOf(r);
        _commit(r);
        _restate(r);
        r.statement.admittedHash = admitted;
        _prove(r);
    }

    // ---- another round

    /// @dev A proof is good for one statement, one chain and one contract.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_Replay_RevertWhen_AFieldIsAnother(uint256 field, uint256 change) public {
        ProvenRound memory r = _small();
        bytes memory evidence = _evidence(r);
        IRoundVerifier.Statement memory s = r.statement;
        field = _bound(field, 0, 7);
        change = _bound(change, 1, type(uint32).max - 100); // fits the smallest field
        if (field == 0) s.market = address(uint160(s.market) ^ uint160(change));
        else if (field == 1) s.project ^= change;
        else if (field == 2) s.round ^= uint32(change);
        else if (field == 3) s.dimension ^= uint32(change);
        else if (field == 4) s.validation ^= bytes32(change);
        else if (field == 5) vm.chainId(_bound(change, 2, 1 << 30) + 31337);
        else if (field == 6) proven = new ProvenVerifier(address(hinted), PlainProver.second());
        else s.outcomesHash ^= bytes32(change);
        if (field == 7) return _refusedBytes(s, evidence, ProvenVerifier.ScoresMismatch.selector);
        _refusedBytes(s, evidence, RoundArgument.InverseInvalid.selector);
        _mend(r);
        _refused(r, REFUSED);
    }

    /// @dev An old proof is refused for its h, which belongs to another z. With the right one, the curve is asked.
    function _mend(ProvenRound memory r) private view {
        uint256 z = PlainArgument.challengesOf(_stateOf(r), r.rows.length, r.proof).z;
        r.proof.h = PlainField.inverse(mulmod(z, PlainField.sub(1, mulmod(z, z, ORDER)), ORDER));
    }

    /// @dev CIDs are no part of the proof: who may settle chooses them, and witnesses sign them.
    function test_Replay_WhenACidIsAnother() public view {
        ProvenRound memory r = _small();
        r.statement.nextModelCid ^= bytes32(uint256(1));
        r.statement.bundleCid ^= bytes32(uint256(1));
        _verify(r);
    }

    function test_Replay_RevertWhen_TheEvidenceIsOfAnotherRound() public {
        ProvenRound memory r = _small();
        ProvenRound memory other = _round(24, Shape(3, 1, 0, 3), 5);
        _refusedBytes(r.statement, _evidence(other), ISettlement.RowsMismatch.selector);
        r.proof = other.proof;
        _refused(r, RoundArgument.InverseInvalid.selector);
        _mend(r);
        _refused(r, REFUSED);
        r = _small();
        (r.proof.v1, r.proof.v2) = (r.proof.v2, r.proof.v1);
        _refused(r, REFUSED);
        r = _small();
        (r.proof.w, r.proof.wy) = (r.proof.wy, r.proof.w);
        _refused(r, REFUSED);
    }

    // ---- polynomials that nobody asked for

    /// @dev S of another degree, longer than the rows by up to their length; and the right one with a term changed.
    function test_Correlation_RevertWhen_ItIsAnother() public {
        ProvenRound memory r = _small();
        PlainProver.Secret memory secret = _secret(r);
        uint256[] memory v = _combined(r);
        uint256[] memory right = v.mirrorOf();
        for (uint256 k; k < 10; ++k) {
            uint256[] memory s = new uint256[](10);
            s.addScaled(right, 1);
            s[k] = addmod(s[k], 1, ORDER);
            r.proof = PlainProver.proveWith(_stateOf(r), secret, v, s);
            _refused(r, REFUSED);
        }
        r.proof = PlainProver.proveWith(_stateOf(r), secret, v, new uint256[](5));
        _refused(r, REFUSED);
    }

    /// @dev What makes up for a wrong c at one point: c' - c moved into S. At the point that comes, it does not.
    function test_Correlation_RevertWhen_ItMakesUpForAWrongMatrix() public {
        ProvenRound memory r = _small();
        uint256 right = _secret(r).c;
        r.gram[1] += 1000;
        PlainProver.Secret memory secret = _secret(r);
        uint256[] memory v = _combined(r);
        uint256[] memory s = v.mirrorOf();
        // X S + S(1/X)/X grows by c - c' at X = 1, and by something else elsewhere.
        uint256 half = mulmod(PlainField.sub(right, secret.c), PlainField.inverse(2), ORDER);
        s[0] = addmod(s[0], half, ORDER);
        r.proof = PlainProver.proveWith(_stateOf(r), secret, v, s);
        _refused(r, REFUSED);
    }

    /// @dev V of other rows than the committed ones.
    function test_Combination_RevertWhen_ItIsAnother() public {
        ProvenRound memory r = _small();
        PlainProver.Secret memory secret = _secret(r);
        uint256[] memory v = _combined(r);
        for (uint256 i; i < v.length; ++i) {
            v[i] = addmod(v[i], 1, ORDER);
            r.proof = PlainProver.proveWith(_stateOf(r), secret, v, v.mirrorOf());
            _refused(r, REFUSED);
        }
    }

    function _combined(ProvenRound memory r) private view returns (uint256[] memory) {
        Challenges memory c = PlainArgument.challengesOf(_stateOf(r), r.rows.length, r.proof);
        return PlainProver.combined(_secret(r).rows, c.x);
    }

    function test_Points_RevertWhen_TheyAreAtInfinity() public {
        for (uint256 which; which < 3; ++which) {
            ProvenRound memory r = _small();
            if (which == 0) r.proof.w = Point(0, 0);
            else if (which == 1) r.proof.wy = Point(0, 0);
            else (r.proof.w, r.proof.wy) = (Point(0, 0), Point(0, 0));
            _refused(r, REFUSED);
        }
    }

    /// @dev Numbers of the prover that are off by anything.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_Values_RevertWhen_TheyAreOthers(uint256 which, uint256 change) public {
        ProvenRound memory r = _small();
        change = _bound(change, 1, ORDER - 1);
        if (which % 3 == 0) r.proof.v1 = addmod(r.proof.v1, change, ORDER);
        else if (which % 3 == 1) r.proof.v2 = addmod(r.proof.v2, change, ORDER);
        else r.proof.s1 = addmod(r.proof.s1, change, ORDER);
        _refused(r, REFUSED);
    }

    // ---- bytes

    /// @dev Every single bit of an evidence counts; and no wrong one costs more than the right one.
    function test_Bytes_RevertWhen_AnyBitIsFlipped() public view {
        ProvenRound memory r = _round(25, Shape(2, 1, 0, 0), 4);
        bytes memory evidence = _evidence(r);
        bytes memory call_ = abi.encodeCall(proven.verify, (r.statement, five, QUORUM, evidence));
        uint256 start = call_.length - (evidence.length + 31) / 32 * 32;
        uint256 most = _gasOf(call_, true);
        for (uint256 i; i < evidence.length; ++i) {
            for (uint256 bit; bit < 8; ++bit) {
                call_[start + i] ^= bytes1(uint8(1 << bit));
                uint256 spent = _gasOf(call_, false);
                vm.assertLe(spent, most + 1_000, "gas");
                call_[start + i] ^= bytes1(uint8(1 << bit));
            }
        }
        _gasOf(call_, true);
    }

    function _gasOf(bytes memory call_, bool expected) private view returns (uint256 spent) {
        uint256 before = gasleft();
        (bool done,) = address(proven).staticcall(call_);
        spent = before - gasleft();
        if (done != expected) vm.assertTrue(expected, "a changed evidence was accepted");
        if (done != expected) vm.assertTrue(done, "the right evidence was refused");
    }

    /// @dev Words overwritten, blocks zeroed or exchanged, bytes left out or put in: 1,200 evidences that nobody has proven.
    /// forge-config: default.fuzz.runs = 1200
    function testFuzz_Bytes_RevertWhen_TheyAreCorrupted(uint256 seed, uint256 at, uint256 other, uint8 shape)
        public
        view
    {
        ProvenRound memory r = _round(26, Shape(2, 1, 0, 0), 3);
        bytes memory right = _evidence(r);
        bytes memory wrong = bytes.concat(right);
        at = _bound(at, 0, right.length - 32);
        other = _bound(other, 0, right.length - 32);
        if (shape % 5 == 0) _overwrite(wrong, at, keccak256(abi.encode(seed)));
        else if (shape % 5 == 1) _overwrite(wrong, at, bytes32(0));
        else if (shape % 5 == 2) _overwrite(wrong, at, _wordAt(right, other));
        else if (shape % 5 == 3) wrong = _cut(right, at, 1 + seed % 32);
        else wrong = _insert(right, at, abi.encodePacked(keccak256(abi.encode(seed))), 1 + seed % 32);
        if (keccak256(wrong) == keccak256(right)) return;
        vm.assertFalse(_accepts(r.statement, wrong));
    }

    function _overwrite(bytes memory data, uint256 at, bytes32 word) private pure {
        for (uint256 i; i < 32; ++i) data[at + i] = word[i];
    }

    function _wordAt(bytes memory data, uint256 at) private pure returns (bytes32 word) {
        for (uint256 i; i < 32; ++i) word |= bytes32(data[at + i]) >> 8 * i;
    }

    function _cut(bytes memory data, uint256 at, uint256 count) private pure returns (bytes memory less) {
        less = new bytes(data.length - count);
        for (uint256 i; i < less.length; ++i) less[i] = data[i < at ? i : i + count];
    }

    function _insert(bytes memory data, uint256 at, bytes memory more, uint256 count)
        private
        pure
        returns (bytes memory longer)
    {
        longer = new bytes(data.length + count);
        for (uint256 i; i < longer.length; ++i) {
            longer[i] = i < at ? data[i] : i < at + count ? more[i - at] : data[i - count];
        }
    }

    // ---- what all of this rests on

    /// @dev Who knows tau can divide where there is a remainder, and prove what he likes. Hence the ceremony, and hence no verifier with
    /// this tau but in tests.
    function test_Trust_WhenTauIsKnown() public view {
        ProvenRound memory r = _small();
        r.gram[0] += 1;
        PlainProver.Secret memory secret = _secret(r);
        uint256[] memory v = _combined(r);
        r.proof = PlainProver.proveWith(_stateOf(r), secret, v, v.mirrorOf());
        _divideByTau(r, secret, v);
        _verify(r);
    }

    /// @dev W and W' from the values at tau instead of from polynomials.
    function _divideByTau(ProvenRound memory r, PlainProver.Secret memory secret, uint256[] memory v) private view {
        uint256 tau = PlainProver.TAU;
        Challenges memory c = PlainArgument.challengesOf(_stateOf(r), r.rows.length, r.proof);
        uint256 f1 = addmod(r.proof.s1, mulmod(c.gamma, r.proof.v1, ORDER), ORDER);
        uint256 f2 = PlainArgument.mirrored(r.proof, c.z, secret.c);
        f2 = addmod(f2, mulmod(c.gamma, r.proof.v2, ORDER), ORDER);
        uint256 f = addmod(v.mirrorOf().at(tau), mulmod(c.gamma, v.at(tau), ORDER), ORDER); // F; the step is right
        uint256 w = _over(PlainField.sub(f, PlainArgument.lineAt(tau, c.z, f1, f2)), _vanishing(tau, c.z));
        r.proof.w = PlainCurve.base(w);
        c = PlainArgument.challengesOf(_stateOf(r), r.rows.length, r.proof);
        f = PlainField.sub(f, PlainArgument.lineAt(c.y, c.z, f1, f2));
        f = PlainField.sub(f, mulmod(_vanishing(c.y, c.z), w, ORDER));
        r.proof.wy = PlainCurve.base(_over(f, PlainField.sub(tau, c.y)));
    }

    function _vanishing(uint256 at, uint256 z) private pure returns (uint256) {
        return mulmod(PlainField.sub(at, z), PlainField.sub(at, PlainField.inverse(z)), ORDER);
    }

    function _over(uint256 a, uint256 b) private pure returns (uint256) {
        return mulmod(a, PlainField.inverse(b), ORDER);
    }
}
