// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IRoundVerifier} from "../interfaces/IRoundVerifier.sol";
import {WitnessSignature} from "../types/Types.sol";

/// @title AttestedVerifier: a settlement holds if a quorum of the project's witnesses signed it
/// @notice Stateless. It proves that q named parties say so, nothing more: a quorum that lies can misstate scores, though
/// never make a round pay more than its budget, which the market enforces by itself. A witness signs only what it has
/// recomputed from bytes that it fetched, the next model among them, so a quorum also vouches for that model's bytes.
///
/// No immutables, not even a cached domain separator: projects and deployments pin the hash of this code, which has to be the
/// same on every chain.
contract AttestedVerifier is IRoundVerifier {
    bytes32 public constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(address market,uint256 project,uint32 round,uint32 dimension,bytes32 admittedHash,"
        "bytes32 validation,bytes32 publicRows,bytes32 policyHash,bytes32 outcomesHash,bytes32 previousModel,"
        "bytes32 nextModel,bytes32 nextModelCid,bytes32 bundleCid)"
    );

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("CohortAttestedVerifier");
    bytes32 private constant VERSION_HASH = keccak256("1");

    error AttestersNotIncreasing(uint256 index);
    error AttesterUnknown(uint256 index, uint256 witness, uint256 witnesses);
    error AttestationInvalid(uint256 index, address recovered, address expected);

    /// @inheritdoc IRoundVerifier
    /// @dev `evidence` = abi.encode(WitnessSignature[]), strictly increasing by witness, at least `quorum` of them.
    function verify(
        Statement calldata statement,
        address[] calldata witnesses,
        uint256 quorum,
        bytes calldata evidence
    ) external view returns (bool receipted) {
        WitnessSignature[] memory signatures = abi.decode(evidence, (WitnessSignature[]));
        if (signatures.length < quorum || quorum == 0) revert EvidenceInvalid(signatures.length, quorum);
        bytes32 digest = settlementDigest(statement);
        uint256 next; // lowest witness index that may come now: keeps the signers distinct
        for (uint256 i; i < signatures.length; ++i) {
            uint256 witness = signatures[i].witness;
            if (witness < next) revert AttestersNotIncreasing(i);
            if (witness >= witnesses.length) revert AttesterUnknown(i, witness, witnesses.length);
            (address signer,,) = ECDSA.tryRecover(digest, signatures[i].r, signatures[i].vs);
            if (signer == address(0) || signer != witnesses[witness]) {
                revert AttestationInvalid(i, signer, witnesses[witness]);
            }
            next = witness + 1;
        }
        return true;
    }

    /// @notice What a witness signs.
    function settlementDigest(Statement calldata statement) public view returns (bytes32) {
        // Every field of the statement is one static word, so abi.encode of the struct is the EIP-712 encodeData.
        bytes32 message = keccak256(abi.encode(SETTLEMENT_TYPEHASH, statement));
        bytes32 domain =
            keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
        return MessageHashUtils.toTypedDataHash(domain, message);
    }
}
