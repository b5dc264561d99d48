// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title IRoundVerifier: decides whether the outcome of a round is right
/// @notice The seam between money and proof. `attested`: a quorum of witnesses signed the statement. A proven verifier
/// checks an argument instead; escrow and pay are the same code behind both.
interface IRoundVerifier {
    /// @notice Everything a settlement says. `market` is the calling contract; never trusted from calldata.
    struct Statement {
        address market;
        uint256 project;
        uint32 round;
        uint32 dimension; // length of an update and of a model, from the project's terms
        bytes32 admittedHash; // the rows, from storage
        bytes32 validation; // digest of the validation batch, from storage; 0: none
        bytes32 publicRows; // from storage; 0: none
        bytes32 policyHash; // from the project's terms
        bytes32 outcomesHash; // keccak256 of the outcomes, a word each
        bytes32 previousModel; // commitment of the model that the round started from, from storage
        bytes32 nextModel; // commitment of the model that it leaves
        bytes32 nextModelCid; // keccak256 of the 36-byte CID
        bytes32 bundleCid; // keccak256 of the 36-byte CID
    }

    error EvidenceInvalid(uint256 found, uint256 needed);

    /// @notice Reverts unless `evidence` shows that `statement` holds.
    /// @return receipted whether the evidence also shows that the bytes of the next model can be fetched.
    function verify(
        Statement calldata statement,
        address[] calldata witnesses,
        uint256 quorum,
        bytes calldata evidence
    ) external view returns (bool receipted);
}
