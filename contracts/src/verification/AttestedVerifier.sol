// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IRoundVerifier} from "../interfaces/IRoundVerifier.sol";

/// @title AttestedVerifier: a settlement holds if a quorum of the project's witnesses signed it
/// @notice Stateless. It proves that q named parties say so, nothing more: a quorum that lies can misstate scores, though
/// never make a round pay more than its budget, which the market enforces by itself.
contract AttestedVerifier is IRoundVerifier, EIP712 {
    /// @notice One witness's signature over the statement.
    struct Attestation {
        uint8 witness; // index in the project's witness list
        bytes signature; // EIP-712 Settlement: 65 bytes r, s, v with s in the lower half
    }

    bytes32 public constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(address market,uint256 project,uint32 round,bytes32 admittedHash,bytes32 policyHash,"
        "bytes32 outcomesHash,bytes32 previousModel,bytes32 nextModel,bytes32 nextModelCid,bytes32 bundleCid)"
    );

    error AttestersNotIncreasing(uint256 index);
    error AttesterUnknown(uint256 index, uint256 witness, uint256 witnesses);
    error AttestationInvalid(uint256 index, address recovered, address expected);

    constructor() EIP712("CohortAttestedVerifier", "1") {}

    /// @inheritdoc IRoundVerifier
    /// @dev `evidence` = abi.encode(Attestation[]), strictly increasing by witness index, at least `quorum` of them.
    function verify(
        Statement calldata statement,
        address[] calldata witnesses,
        uint256 quorum,
        bytes calldata evidence
    ) external view {
        Attestation[] memory attestations = abi.decode(evidence, (Attestation[]));
        if (attestations.length < quorum || quorum == 0) revert EvidenceInvalid(attestations.length, quorum);
        bytes32 digest = settlementDigest(statement);
        uint256 next; // lowest witness index that may come now: keeps the signers distinct
        for (uint256 i; i < attestations.length; ++i) {
            uint256 witness = attestations[i].witness;
            if (witness < next) revert AttestersNotIncreasing(i);
            if (witness >= witnesses.length) revert AttesterUnknown(i, witness, witnesses.length);
            (address signer,,) = ECDSA.tryRecover(digest, attestations[i].signature);
            if (signer == address(0) || signer != witnesses[witness]) {
                revert AttestationInvalid(i, signer, witnesses[witness]);
            }
            next = witness + 1;
        }
    }

    /// @notice What a witness signs.
    function settlementDigest(Statement calldata statement) public view returns (bytes32) {
        // Every field of the statement is one static word, so abi.encode of the struct is the EIP-712 encodeData.
        return _hashTypedDataV4(keccak256(abi.encode(SETTLEMENT_TYPEHASH, statement)));
    }
}
