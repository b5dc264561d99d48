// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title AccountSignature: a signature by a key, or by a contract (ERC-1271)
/// @notice A contract is asked with little gas, and at most one word of its answer is read: it can refuse, but it cannot make
/// the caller pay for more.
library AccountSignature {
    uint256 internal constant GAS_CAP = 100_000;

    function isValid(address account, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (account.code.length == 0) {
            // slither-disable-next-line unused-return (an error leaves the signer zero, which is nobody)
            (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
            return signer == account;
        }
        bytes memory request = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes4 magic = IERC1271.isValidSignature.selector;
        bool ok;
        bytes32 answer;
        assembly ("memory-safe") {
            // Scratch space takes the one word that is read, however long the answer is.
            mstore(0, 0)
            ok := staticcall(GAS_CAP, account, add(request, 32), mload(request), 0, 32)
            ok := and(ok, gt(returndatasize(), 31))
            answer := mload(0)
        }
        return ok && answer == bytes32(magic);
    }
}
