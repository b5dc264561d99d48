// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {WitnessSignature} from "../types/Types.sol";

/// @title Quorum: that enough different witnesses signed one digest
library Quorum {
    /// @dev Reverts unless at least `quorum` signatures are given, all of them valid and strictly increasing by witness.
    function check(
        bytes32 digest,
        WitnessSignature[] calldata signatures,
        address[7] memory witnesses,
        uint256 count,
        uint256 quorum
    ) internal pure {
        if (signatures.length < quorum) revert IRounds.QuorumMissing(signatures.length, quorum);
        // slither-disable-next-line uninitialized-local (below everything that may come)
        uint256 next; // lowest witness index that may come now: keeps the witnesses distinct
        for (uint256 i; i < signatures.length; ++i) {
            uint256 witness = signatures[i].witness;
            if (witness < next) revert IRounds.WitnessesNotIncreasing(i);
            next = witness + 1;
            // slither-disable-next-line unused-return (an error leaves the signer zero, which is nobody)
            (address signer,,) = ECDSA.tryRecover(digest, signatures[i].r, signatures[i].vs);
            address expected = witness < count ? witnesses[witness] : address(0);
            if (signer == address(0) || signer != expected) revert IRounds.ReceiptInvalid(i, signer, expected);
        }
    }
}
