// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IGramPolicy} from "../../interfaces/IGramPolicy.sol";
import {IRoundVerifier} from "../../interfaces/IRoundVerifier.sol";
import {ISettlement} from "../../interfaces/ISettlement.sol";
import {WitnessSignature} from "../../types/Types.sol";
import {Quorum} from "../Quorum.sol";
import {Bn254, Point} from "./Bn254.sol";
import {Evidence, ProvenEvidence} from "./ProvenEvidence.sol";
import {RoundArgument, Tau} from "./RoundArgument.sol";
import {RoundTranscript} from "./RoundTranscript.sol";

/// @title ProvenVerifier: a settlement holds if its arithmetic is proven
/// @notice Nobody's word is taken for scores, weights or the next model. From the commitments of the admitted rows and of the
/// public rows, which the market has stored, follow by proof: their inner products; by the policy contract: scores and weights;
/// by the curve: the commitment of the next model. Witnesses are heard on one thing only, that the bytes of that model can be
/// fetched; a settlement without their signatures stands, and the model waits for them.
///
/// The policy's address and [tau]_2 are part of the code, so that the hash that projects pin covers them. What the proof rests on
/// is said in docs/protocol/proof.md: nobody knows tau, and discrete logarithms on BN254 are hard.
contract ProvenVerifier is IRoundVerifier {
    /// @notice Gives scores and weights. Its code cannot change.
    address public immutable POLICY;
    /// @notice Of the parameters that it computes with.
    bytes32 public immutable POLICY_HASH;

    uint256 private immutable TAU_X_IM;
    uint256 private immutable TAU_X_RE;
    uint256 private immutable TAU_Y_IM;
    uint256 private immutable TAU_Y_RE;

    bytes32 public constant MODEL_BYTES_TYPEHASH = keccak256(
        "ModelBytes(address market,uint256 project,uint32 round,bytes32 model,bytes32 modelCid,bytes32 bundleCid)"
    );

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("CohortProvenVerifier");
    bytes32 private constant VERSION_HASH = keccak256("1");

    uint256 private constant WEIGHTS = 1 << 16; // the most that they may add up to
    uint256 private constant WEIGHT_AT = 72; // lowest bit of the weight in a word of the policy; below it, the outcome
    uint256 private constant NOT_OUTCOME = 184; // bits above an outcome
    uint256 private constant MOST_WITNESSES = 7;

    /// @notice [tau]_2 is no point of G2, or says nothing: zero or the generator.
    error TauInvalid();
    /// @notice The project wants another policy than this verifier runs.
    error PolicyMismatch(bytes32 found, bytes32 wanted);
    /// @notice A later round than the first needs public rows, be it none of them: past steps must not be left out.
    error PublicRowsMissing(uint256 round);
    /// @notice The card is not what the witnesses signed.
    error PublicRowsMismatch(bytes32 found, bytes32 stored);
    /// @notice The policy's answer of `length` bytes is not a list of a word for each update.
    error AnswerMalformed(uint256 length, uint256 rows);
    /// @notice Weights that add up to more than 2^16: models would outgrow their integers.
    error WeightsTooLarge(uint256 found, uint256 most);
    /// @notice The policy gives other scores.
    error ScoresMismatch(bytes32 found, bytes32 claimed);
    /// @notice The step leads to another model.
    error NextModelMismatch(bytes32 found, bytes32 claimed);

    /// @param tau_ [tau]_2 of the structured reference string in EVM order: x imaginary, x real, y imaginary, y real.
    constructor(address policy, uint256[4] memory tau_) {
        // slither-disable-next-line missing-zero-check (the next line calls it)
        POLICY = policy;
        POLICY_HASH = IGramPolicy(policy).POLICY_HASH();
        (TAU_X_IM, TAU_X_RE, TAU_Y_IM, TAU_Y_RE) = (tau_[0], tau_[1], tau_[2], tau_[3]);
        if (!Bn254.isSecond(tau_)) revert TauInvalid();
    }

    /// @notice [tau]_2 in EVM order.
    function tau() external view returns (uint256[4] memory) {
        return [TAU_X_IM, TAU_X_RE, TAU_Y_IM, TAU_Y_RE];
    }

    /// @inheritdoc IRoundVerifier
    /// @dev `evidence`: see ProvenEvidence. What is cheap to refuse is refused first; a wrong proof costs what a right one does,
    /// and no input makes it cost more.
    function verify(
        Statement calldata statement,
        address[] calldata witnesses,
        uint256 quorum,
        bytes calldata evidence
    ) external view returns (bool receipted) {
        if (statement.policyHash != POLICY_HASH) revert PolicyMismatch(POLICY_HASH, statement.policyHash);
        Evidence memory e = ProvenEvidence.read(evidence, statement.publicRows != 0);
        _checkRows(statement, e);
        receipted = _isReceipted(statement, witnesses, quorum, e);
        Point memory step = _checkModels(statement, e);
        uint256[] memory words = _judge(statement, e);
        Tau memory t = Tau(TAU_X_IM, TAU_X_RE, TAU_Y_IM, TAU_Y_RE);
        RoundArgument.check(e, RoundTranscript.headOf(statement, e), words, step, t);
    }

    /// @notice What a witness signs: that the bytes of this model can be fetched under this CID and open its commitment, and
    /// those of the round's bundle. The CIDs by their hashes, as in a statement.
    function modelBytesDigest(
        address market,
        uint256 project,
        uint32 round,
        bytes32 model,
        bytes32 modelCid,
        bytes32 bundleCid
    ) public view returns (bytes32) {
        bytes32 message =
            keccak256(abi.encode(MODEL_BYTES_TYPEHASH, market, project, round, model, modelCid, bundleCid));
        bytes32 domain =
            keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
        return MessageHashUtils.toTypedDataHash(domain, message);
    }

    /// @dev n and the updates are those that were admitted; layout and public points are those that were posted.
    function _checkRows(Statement calldata statement, Evidence memory e) private pure {
        bytes32 admitted = ProvenEvidence.admittedHashOf(e);
        if (admitted != statement.admittedHash) revert ISettlement.RowsMismatch(admitted, statement.admittedHash);
        if (statement.publicRows == 0) {
            if (statement.round != 1) revert PublicRowsMissing(statement.round);
            return;
        }
        bytes32 card = sha256(ProvenEvidence.cardOf(e)); // so that the hash is also a CID
        if (card != statement.publicRows) revert PublicRowsMismatch(card, statement.publicRows);
    }

    /// @dev Whether a quorum says that the model's bytes are there. Nobody needs to, but who does must be right.
    function _isReceipted(
        Statement calldata s,
        address[] calldata witnesses,
        uint256 quorum,
        Evidence memory e
    ) private view returns (bool) {
        WitnessSignature[] calldata receipts = ProvenEvidence.receiptsOf(e);
        if (receipts.length == 0) return false;
        // slither-disable-next-line uninitialized-local (zeros, of which as many are overwritten as there are witnesses)
        address[MOST_WITNESSES] memory list;
        for (uint256 i; i < witnesses.length; ++i) list[i] = witnesses[i];
        bytes32 digest = modelBytesDigest(s.market, s.project, s.round, s.nextModel, s.nextModelCid, s.bundleCid);
        Quorum.check(digest, receipts, list, witnesses.length, quorum);
        return true;
    }

    /// @dev C_M + C_m = C_M', and all three are points.
    function _checkModels(Statement calldata statement, Evidence memory e) private view returns (Point memory step) {
        uint256 at = e.previousOrdinate;
        uint256 y;
        assembly ("memory-safe") {
            y := calldataload(at)
        }
        step = RoundArgument.pointAt(e.step);
        bytes32 next = Bn254.compress(Bn254.add(Bn254.decompress(statement.previousModel, y), step));
        if (next != statement.nextModel) revert NextModelMismatch(next, statement.nextModel);
    }

    /// @dev The policy's words; the market was given the scores in them.
    function _judge(Statement calldata statement, Evidence memory e) private view returns (uint256[] memory words) {
        words = _wordsOf(e);
        uint256 weights;
        bytes32 found;
        assembly ("memory-safe") {
            // keccak256 of the outcomes, the low bits of each word, and the sum of the weights above them
            let free := mload(0x40) // nothing of this is kept
            let to := free
            let end := add(free, shl(5, mload(words)))
            for { let at := add(words, 32) } lt(to, end) { at := add(at, 32) } {
                let word := mload(at)
                mstore(to, shr(NOT_OUTCOME, shl(NOT_OUTCOME, word)))
                weights := add(weights, shr(WEIGHT_AT, word))
                to := add(to, 32)
            }
            found := keccak256(free, sub(end, free))
        }
        if (weights > WEIGHTS) revert WeightsTooLarge(weights, WEIGHTS);
        if (found != statement.outcomesHash) revert ScoresMismatch(found, statement.outcomesHash);
    }

    /// @dev IGramPolicy(POLICY).judge(..), with the answer taken where it lies: the decoder would copy it word by word.
    function _wordsOf(Evidence memory e) private view returns (uint256[] memory words) {
        bytes memory question = abi.encodeCall(
            IGramPolicy.judge,
            (e.n, e.steps, e.trainable, e.values, ProvenEvidence.gramOf(e), ProvenEvidence.hintsOf(e))
        );
        bytes memory answer = Address.functionStaticCall(POLICY, question);
        uint256 n = e.n;
        bool whole = answer.length == 64 + 32 * n;
        assembly ("memory-safe") {
            // The offset of the list (32), its length, its words.
            whole := and(whole, and(eq(mload(add(answer, 32)), 32), eq(mload(add(answer, 64)), n)))
            words := add(answer, 64)
        }
        if (!whole) revert AnswerMalformed(answer.length, n);
    }
}
