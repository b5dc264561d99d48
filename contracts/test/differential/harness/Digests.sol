// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MarketResolution} from "../../../src/MarketResolution.sol";
import {MarketSettlement} from "../../../src/MarketSettlement.sol";
import {IRoundVerifier} from "../../../src/interfaces/IRoundVerifier.sol";
import {Payouts} from "../../../src/payouts/Payouts.sol";
import {Reveals} from "../../../src/rounds/Reveals.sol";
import {AttestedVerifier} from "../../../src/verification/AttestedVerifier.sol";

/// @notice What the market wants signed, with the type hashes and the domain of its own code. Each of these contracts is
/// a domain of its own ("the market" of its digests is the contract itself).
contract RoundsDigests is Reveals {
    struct CommitCase {
        uint256 project;
        uint32 round;
        uint32 member;
        bytes32 commitment;
    }

    struct ReceiptCase {
        uint256 project;
        uint32 round;
        bytes32 openingsHash;
        uint32 endorsed;
        uint32 refused;
    }

    constructor() EIP712("CohortMarket", "1") {}

    function commits(CommitCase[] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            found[i] = _hashTypedDataV4(keccak256(abi.encode(COMMIT_TYPEHASH, cases[i])));
        }
    }

    function receipts(ReceiptCase[] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            found[i] = _hashTypedDataV4(keccak256(abi.encode(RECEIPT_TYPEHASH, cases[i])));
        }
    }
}

contract ResolutionDigests is MarketResolution {
    struct PublicRowsCase {
        uint256 project;
        uint32 round;
        bytes32 rows;
    }

    function publicRows(PublicRowsCase[] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            found[i] = _hashTypedDataV4(keccak256(abi.encode(PUBLIC_ROWS_TYPEHASH, cases[i])));
        }
    }
}

/// @dev Closing and claims: what is signed is the same in whatever part of the market the code is.
contract SettlementDigests is MarketSettlement, Payouts {
    struct ModelCase {
        uint256 project;
        bytes32 model;
    }

    struct ClaimToCase {
        uint256 project;
        uint32 member;
        bytes32 itemsHash;
        address to;
        uint64 expiry;
    }

    function models(ModelCase[] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            found[i] = _hashTypedDataV4(keccak256(abi.encode(MODEL_RECEIPT_TYPEHASH, cases[i])));
        }
    }

    function claims(ClaimToCase[] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) {
            found[i] = _hashTypedDataV4(keccak256(abi.encode(CLAIM_TO_TYPEHASH, cases[i])));
        }
    }
}

contract VerifierDigests is AttestedVerifier {
    function settlements(IRoundVerifier.Statement[] calldata cases) external view returns (bytes32[] memory found) {
        found = new bytes32[](cases.length);
        for (uint256 i; i < cases.length; ++i) found[i] = settlementDigest(cases[i]);
    }
}
