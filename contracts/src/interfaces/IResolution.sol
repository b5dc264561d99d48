// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {WitnessSignature} from "../types/Types.sol";

/// @title Resolution: commitments that nobody admitted, and public facts of a round
/// @notice Events and errors are in IRounds.
interface IResolution {
    /// @notice In [tR, tG): opens commitments that found no quorum or missed the phase. No pay, but the stake is safe.
    /// Parameters as for `reveal`.
    function rescue(
        uint256 project,
        uint32 round,
        bytes calldata leaves,
        bytes calldata rows,
        bytes32[] calldata salts
    ) external;

    /// @notice In [tG, tG + slash window): takes the stake of a trainer who opened its commitment in no way. A tenth goes to
    /// the caller, the rest is burned. Nothing of a round that ended at tC for want of commitments.
    function slashNoReveal(uint256 project, uint32 round, uint32 member, bytes calldata leaves) external;

    /// @notice Publishes this round's validation batch in [tC, tR). Anyone with the path may.
    function revealValidation(uint256 project, uint32 round, bytes32 digest, bytes32[] calldata proof) external;

    /// @notice Stores the commitment of the public rows, once, between tR and settlement, with a quorum's signatures.
    function postPublicRows(
        uint256 project,
        uint32 round,
        bytes32 rows,
        WitnessSignature[] calldata signatures
    ) external;
}
