// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Admission, Receipt} from "../../src/types/Types.sol";
import {MarketFixture} from "./MarketFixture.sol";
import {ClaimItem, CommitLeaf, CommitSignature, Opening, Packed, Row} from "./Packed.sol";

/// @notice The calls that take byte strings, from lists that tests can change: as bytes, for tests that send them as somebody or
/// expect an error.
abstract contract MarketCalls is MarketFixture {
    function _encodeCommitBatch(
        uint256 p,
        uint32 r,
        CommitLeaf[] memory leaves,
        CommitSignature[] memory signatures
    ) internal view returns (bytes memory) {
        return abi.encodeCall(market.commitBatch, (p, r, Packed.leaves(leaves), Packed.signatures(signatures)));
    }

    function _encodeCommitSelf(uint256 p, uint32 r, uint32 member, bytes32 commitment, CommitLeaf[] memory batch)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(market.commitSelf, (p, r, member, commitment, Packed.leaves(batch)));
    }

    /// @param leaves the whole batch, or those that `openings` do not open.
    function _encodeReveal(
        uint256 p,
        uint32 r,
        CommitLeaf[] memory leaves,
        Opening[] memory openings,
        Receipt[] memory receipts
    ) internal view returns (bytes memory) {
        return abi.encodeCall(
            market.reveal, (p, r, Packed.leaves(leaves), Packed.rows(openings), Packed.salts(openings), receipts)
        );
    }

    function _encodeRescue(uint256 p, uint32 r, CommitLeaf[] memory leaves, Opening[] memory openings)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            market.rescue, (p, r, Packed.leaves(leaves), Packed.rows(openings), Packed.salts(openings))
        );
    }

    function _encodeSlash(uint256 p, uint32 r, uint32 member, CommitLeaf[] memory batch)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(market.slashNoReveal, (p, r, member, Packed.leaves(batch)));
    }

    function _encodeSettle(uint256 p, uint32 r, Settlement memory s) internal view returns (bytes memory) {
        return abi.encodeCall(
            market.settle, (p, r, s.admissions, abi.encode(s.outcomes), s.next, s.bundle, s.evidence)
        );
    }

    /// @dev Rows that one call of `reveal` admitted.
    function _encodeClose(uint256 p, uint32 r, Row[] memory rows) internal view returns (bytes memory) {
        return _encodeClose(p, r, Packed.admissions(rows));
    }

    function _encodeClose(uint256 p, uint32 r, Admission[] memory admissions) internal view returns (bytes memory) {
        return abi.encodeCall(market.closeRound, (p, r, admissions));
    }

    function _encodeClaim(uint256 p, uint32 member, ClaimItem[] memory items) internal view returns (bytes memory) {
        return abi.encodeCall(market.claim, (p, member, Packed.items(items), Packed.proofs(items)));
    }

    function _encodeClaimTo(
        uint256 p,
        uint32 member,
        ClaimItem[] memory items,
        address to,
        uint64 expiry,
        bytes memory signature
    ) internal view returns (bytes memory) {
        return abi.encodeCall(
            market.claimTo, (p, member, Packed.items(items), Packed.proofs(items), to, expiry, signature)
        );
    }
}
