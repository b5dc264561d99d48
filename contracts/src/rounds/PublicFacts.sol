// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IResolution} from "../interfaces/IResolution.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {Project} from "../storage/MarketStorage.sol";
import {Phase, WitnessSignature} from "../types/Types.sol";
import {Quorum} from "../verification/Quorum.sol";
import {Call, RoundBase} from "./RoundBase.sol";
import {Header, Round, RoundState} from "./RoundState.sol";

/// @title PublicFacts: what a round's scores may rest on besides the updates
/// @notice The owner fixed validation batches by a Merkle root and shows one in each round, after nobody can commit any
/// more. Public rows follow from it and from the model; a quorum of witnesses vouches for them.
abstract contract PublicFacts is RoundBase, IResolution, ReentrancyGuardTransient, EIP712 {
    using RoundState for Header;

    bytes32 internal constant PUBLIC_ROWS_TYPEHASH =
        keccak256("PublicRows(uint256 project,uint32 round,bytes32 rows)");

    /// @inheritdoc IResolution
    function revealValidation(uint256 project, uint32 round, bytes32 digest, bytes32[] calldata proof)
        external
        nonReentrant
    {
        Project storage p = _project(project);
        if (round != p.newestRound) revert IRounds.NotNewestRound(project, round, p.newestRound);
        Rules memory rules = TermsStore.read(p.rules);
        Round storage r = _newestRound(project);
        Header memory h = RoundState.load(r);
        Phase found = h.phaseAt(rules, block.timestamp);
        if (found != Phase.Guard && found != Phase.Reveal) {
            revert IRounds.WrongPhase(project, round, found, Phase.Reveal);
        }
        if (h.validated) revert IRounds.AlreadyPosted(project, round, r.validation);
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(round, digest))));
        if (digest == 0 || !MerkleProof.verifyCalldata(proof, rules.validationRoot, leaf)) {
            revert IRounds.BatchNotInRoot(project, round, digest);
        }
        r.validation = digest;
        h.validated = true;
        RoundState.save(r, h);
        emit IRounds.ValidationRevealed(project, round, digest);
    }

    /// @inheritdoc IResolution
    function postPublicRows(uint256 project, uint32 round, bytes32 rows, WitnessSignature[] calldata signatures)
        external
        nonReentrant
    {
        (, Round storage r, Call memory c) = _enter()(project, round, Phase.Settle);
        bytes32 posted = c.header.publicRowsPosted ? r.publicRows : bytes32(0);
        if (posted != 0 || rows == 0) revert IRounds.AlreadyPosted(project, round, posted); // 0 means: none
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(PUBLIC_ROWS_TYPEHASH, project, round, rows)));
        Quorum.check(digest, signatures, c.witnesses, c.rules.witnessCount, c.rules.quorum);
        r.publicRows = rows;
        c.header.publicRowsPosted = true;
        RoundState.save(r, c.header);
        emit IRounds.PublicRowsPosted(project, round, rows);
    }
}
