// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundPolicy} from "../../src/interfaces/IRoundPolicy.sol";
import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {Phase, ProjectTerms, WitnessSignature} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";
import {CountingPolicy, ExpectingVerifier, FactsPolicy, RawPolicy, RefusingVerifier, WritingVerifier} from "../support/Seams.sol";

/// @notice What the market does with a verifier and a policy that it does not know.
abstract contract SeamScene is MarketScene {
    function _start() internal {
        project = _create(_extraTerms(), 10 * uint256(BUDGET));
        _join(project, 0, 8);
        round = _toSettle(project, 8);
    }

    function _settleWith(bytes memory input, bytes memory evidence) internal view returns (bytes memory) {
        Settlement memory s = _equalSettlement(8);
        return abi.encodeCall(market.settle, (project, round, s.admissions, input, s.next, s.bundle, evidence));
    }
}

contract CountingPolicyTest is SeamScene {
    address private immutable counting = address(new CountingPolicy());

    function _extraPolicy() internal view override returns (address) {
        return counting;
    }

    function test_Settle_RevertWhen_ThePolicyGivesTooFewOrTooManyOutcomes() public {
        _start();
        for (uint256 n = 0; n < 12; n += 3) {
            bytes memory mismatch = abi.encodeWithSelector(ISettlement.OutcomesMismatch.selector, n, 8);
            _reverts(aggregator, _settleWith(abi.encode(n), ""), mismatch);
        }
    }

    function test_Settle_WhenThePolicyGivesTheOutcomesItself() public {
        _start();
        Settlement memory s = _equalSettlement(8); // the same scores, so the same signatures
        _works(aggregator, _settleWith(abi.encode(8), s.evidence));
        _assertPhase(project, round, Phase.Final);
    }
}

contract FactsPolicyTest is SeamScene {
    address private immutable checking = address(new FactsPolicy());

    function _extraPolicy() internal view override returns (address) {
        return checking;
    }

    function test_Settle_WhenThePolicyIsGivenItsFacts() public {
        _start();
        IRoundPolicy.Facts memory facts = IRoundPolicy.Facts({
            project: project,
            round: round,
            rows: 8,
            policyHash: _terms().policyHash,
            admittedHash: _view().admittedHash,
            validation: 0,
            publicRows: 0
        });
        Settlement memory s = _equalSettlement(8);
        bytes memory input = abi.encode(keccak256(abi.encode(facts)));
        vm.assertTrue(_wouldWork(aggregator, _settleWith(input, s.evidence)));
        facts.rows = 7;
        input = abi.encode(keccak256(abi.encode(facts)));
        vm.assertFalse(_wouldWork(aggregator, _settleWith(input, s.evidence)));
    }

    /// @dev With a validation batch and public rows of this round, and without those of the round before.
    function test_Settle_WhenPublicFactsWerePosted() public {
        ProjectTerms memory terms = _extraTerms();
        terms.validationRoot = keccak256(abi.encode(keccak256(abi.encode(uint32(1), bytes32("batch")))));
        project = _create(terms, 10 * uint256(BUDGET));
        _join(project, 0, 8);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        market.revealValidation(project, round, "batch", new bytes32[](0));
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 8);
        WitnessSignature[] memory signed = _witnessed(
            keccak256(
                abi.encode(
                    keccak256("PublicRows(uint256 project,uint32 round,bytes32 rows)"), project, round, bytes32("rows")
                )
            )
        );
        market.postPublicRows(project, round, "rows", signed);
        _works(aggregator, _factsCall("batch", "rows"));
        round = _toSettle(project, 8);
        vm.assertFalse(_wouldWork(aggregator, _factsCall("batch", "rows")));
        _works(aggregator, _factsCall(0, 0));
    }

    function _factsCall(bytes32 validation, bytes32 rows) private view returns (bytes memory) {
        IRoundPolicy.Facts memory facts = IRoundPolicy.Facts(
            project, round, 8, _terms().policyHash, _view().admittedHash, validation, rows
        );
        Settlement memory s = _equalSettlement(8);
        return _settleWith(abi.encode(keccak256(abi.encode(facts))), s.evidence);
    }
}

contract RawPolicyTest is SeamScene {
    address private immutable raw = address(new RawPolicy());

    function _extraPolicy() internal view override returns (address) {
        return raw;
    }

    function test_Settle_RevertWhen_ThePolicyAnswersInAnotherForm() public {
        _start();
        bytes memory right = abi.encode(_outcomes(8, ONE));
        vm.assertTrue(_wouldWork(aggregator, _settleWith(right, _equalSettlement(8).evidence)));
        _malformed(new bytes(31));
        _malformed(abi.encode(32)); // no length
        _malformed(abi.encodePacked(uint256(32), new bytes(31)));
        _malformed(abi.encodePacked(right, uint8(0))); // a byte more
        _malformed(abi.encodePacked(right, uint256(0))); // a word more
        _malformed(abi.encodePacked(uint256(64), uint256(0), uint256(0))); // the list lies elsewhere
        uint256[5] memory counts = [uint256(7), 9, 1 << 32 | 8, 1 << 251 | 8, 1 << 255 | 8];
        for (uint256 i; i < 5; ++i) {
            bytes memory other = abi.encode(_outcomes(8, ONE));
            uint256 count = counts[i];
            assembly ("memory-safe") {
                mstore(add(other, 64), count)
            }
            _malformed(other);
        }
        bytes memory mismatch = abi.encodeWithSelector(ISettlement.OutcomesMismatch.selector, 0, 8);
        _reverts(aggregator, _settleWith(abi.encode(new uint256[](0)), ""), mismatch);
        _reverts(aggregator, _settleWith("", ""), mismatch); // no answer: no outcome
    }

    /// @dev Taken if and only if it is what abi.encode makes of a list.
    function testFuzz_Settle_WhenThePolicyAnswersAnything(uint8 offset, uint8 count, uint16 length) public {
        _start();
        uint256 begin = offset % 3 == 0 ? 32 : offset;
        uint256 said = count % 20;
        bytes memory answer = new bytes(length % 4 == 0 ? 64 + 32 * said : length % 800);
        for (uint256 at = 64; at + 32 <= answer.length; at += 32) _put(answer, at, ONE << 8);
        if (answer.length >= 32) _put(answer, 0, begin);
        if (answer.length >= 64) _put(answer, 32, said);
        if (answer.length < 64 || begin != 32 || answer.length != 64 + 32 * said) return _malformed(answer);
        bytes memory call = _settleWith(answer, _equalSettlement(8).evidence);
        if (said == 8) _works(aggregator, call);
        else _reverts(aggregator, call, abi.encodeWithSelector(ISettlement.OutcomesMismatch.selector, said, 8));
    }

    function _put(bytes memory data, uint256 at, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 32), at), word)
        }
    }

    function _malformed(bytes memory answer) private {
        bytes memory error_ = abi.encodeWithSelector(ISettlement.PolicyAnswerMalformed.selector, answer.length);
        _reverts(aggregator, _settleWith(answer, ""), error_);
    }
}

contract RefusingVerifierTest is SeamScene {
    address private immutable refusing = address(new RefusingVerifier());

    function _extraVerifier() internal view override returns (address) {
        return refusing;
    }

    /// @dev It harms only its own project, whose trainers are paid all the same.
    function test_Settle_RevertWhen_TheVerifierRefuses() public {
        _start();
        Settlement memory s = _equalSettlement(8);
        bytes memory refused = abi.encodeWithSelector(IRoundVerifier.EvidenceInvalid.selector, 1, 2);
        _reverts(aggregator, _settleCall(s), refused);
        vm.warp(_view().settleEnd);
        _works(stranger, _closeCall(0, 8));
        vm.assertEq(_ledger().claimable, 8 * (D / 8));
        _settledRound(_projectWith(8), 8);
    }
}

contract WritingVerifierTest is SeamScene {
    address private immutable writing = address(new WritingVerifier());

    function _extraVerifier() internal view override returns (address) {
        return writing;
    }

    function test_Settle_RevertWhen_TheVerifierWrites() public {
        _start();
        vm.assertFalse(_wouldWork(aggregator, _settleCall(_equalSettlement(8))));
    }
}

contract ExpectingVerifierTest is SeamScene {
    ExpectingVerifier private immutable expecting = new ExpectingVerifier();

    function _extraVerifier() internal view override returns (address) {
        return address(expecting);
    }

    /// @dev The statement is built from storage, word for word; nothing of it can be chosen by the settler.
    function test_Settle_WhenTheVerifierIsGivenTheStatement() public {
        _start();
        Settlement memory s = _equalSettlement(8);
        IRoundVerifier.Statement memory statement = IRoundVerifier.Statement({
            market: address(market),
            project: project,
            round: round,
            dimension: _terms().dimension,
            admittedHash: _view().admittedHash,
            validation: 0,
            publicRows: 0,
            policyHash: _terms().policyHash,
            outcomesHash: keccak256(abi.encodePacked(s.outcomes)),
            previousModel: _terms().initialModel,
            nextModel: s.next.commitment,
            nextModelCid: keccak256(_cidBytes(s.next.cid)),
            bundleCid: keccak256(_cidBytes(s.bundle))
        });
        expecting.expect(keccak256(abi.encode(statement, witnesses, uint256(2), bytes("evidence"))));
        bytes memory call = _settleWith(abi.encode(s.outcomes), "evidence");
        _works(aggregator, call);
        vm.assertEq(market.progressOf(project).model, s.next.commitment);
    }
}
