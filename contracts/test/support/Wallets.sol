// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A contract that can be told to call anything, so that it can join and claim like a trainer.
abstract contract CallingWallet {
    function run(address target, bytes calldata call) external {
        (bool ok, bytes memory data) = target.call(call);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(data, 32), mload(data))
        }
    }
}

/// @notice ERC-1271: what its owner's key signed is signed. Like some wallets, it answers no question with anything behind it.
contract OwnedWallet is CallingWallet, IERC1271 {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        bytes memory asked = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        if (keccak256(msg.data) != keccak256(asked)) return bytes4(0xffffffff);
        (address signer,,) = ECDSA.tryRecover(digest, signature);
        return signer == OWNER ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @notice Answers an ERC-1271 question in a chosen bad way.
contract BadWallet is CallingWallet {
    enum Manner {
        Reverts,
        BurnsAllGas,
        ReturnsMuch,
        ReturnsShort,
        ReturnsDirtyWord,
        ReturnsNothing
    }

    Manner public manner;

    function behave(Manner value) external {
        manner = value;
    }

    function isValidSignature(bytes32, bytes calldata) external view {
        Manner m = manner;
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        assembly ("memory-safe") {
            switch m
            case 0 { revert(0, 0) }
            case 1 { for {} 1 {} {} }
            case 2 { revert(0, 20000) }
            case 3 {
                mstore(0, magic)
                return(0, 4)
            }
            case 4 {
                mstore(0, or(magic, 1))
                return(0, 32)
            }
            default { return(0, 0) }
        }
    }
}

/// @notice Says yes, and sends as much along as its gas allows.
contract VerboseWallet is CallingWallet {
    function isValidSignature(bytes32, bytes calldata) external pure {
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        assembly ("memory-safe") {
            mstore(0, magic)
            return(0, 100000)
        }
    }
}
