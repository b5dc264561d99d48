// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ITerms} from "../interfaces/ITerms.sol";
import {MarketStorage, Project} from "../storage/MarketStorage.sol";
import {ProjectTerms, Windows} from "../types/Types.sol";
import {Rules, TermsStore} from "./TermsCode.sol";

/// @title TermsView: the terms as they were given
abstract contract TermsView is MarketStorage, ITerms {
    /// @inheritdoc ITerms
    function termsOf(uint256 project) external view returns (ProjectTerms memory terms) {
        Project storage p = _project(project);
        Rules memory rules = TermsStore.read(p.rules);
        address[7] memory witnesses = TermsStore.witnessesOf(p.rules);
        terms.token = rules.token;
        terms.verifier = rules.verifier;
        terms.policy = rules.policy;
        terms.verifierCodeHash = rules.verifierCodeHash;
        terms.policyCodeHash = rules.policyCodeHash;
        terms.specDigest = rules.specDigest;
        terms.policyHash = rules.policyHash;
        terms.initialModel = rules.initialModel;
        terms.validationRoot = rules.validationRoot;
        terms.accessRoot = rules.accessRoot;
        terms.roundBudget = uint112(rules.roundBudget);
        terms.aggregatorFee = uint112(rules.aggregatorFee);
        terms.stake = uint112(rules.stake);
        terms.bond = uint112(rules.bond);
        terms.scoreFloor = uint64(rules.scoreFloor);
        terms.rounds = uint32(rules.rounds);
        terms.dimension = uint32(rules.dimension);
        terms.exponent = int8(rules.exponent);
        terms.minReliability = uint16(rules.minReliability);
        terms.slots = uint8(rules.slots);
        terms.minTrainers = uint8(rules.minTrainers);
        terms.quorum = uint8(rules.quorum);
        terms.shareCap = uint8(rules.shareCap);
        terms.windows = _windowsOf(rules);
        terms.witnesses = new address[](rules.witnessCount);
        for (uint256 i; i < rules.witnessCount; ++i) terms.witnesses[i] = witnesses[i];
        terms.aggregators = p.aggregators;
    }

    function _windowsOf(Rules memory rules) private pure returns (Windows memory) {
        return Windows({
            commit: uint32(rules.commitWindow),
            guard: uint32(rules.guardWindow),
            reveal: uint32(rules.revealWindow),
            rescue: uint32(rules.rescueWindow),
            settle: uint32(rules.settleWindow),
            takeover: uint32(rules.takeoverWindow),
            selfCommit: uint32(rules.selfCommitWindow)
        });
    }
}
