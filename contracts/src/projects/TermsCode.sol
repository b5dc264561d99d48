// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice The terms of a project as rounds read them, and what the deployment adds. Every member is one word.
struct Rules {
    address token;
    address verifier;
    address policy;
    bytes32 verifierCodeHash;
    bytes32 policyCodeHash;
    bytes32 specDigest;
    bytes32 policyHash;
    bytes32 initialModel;
    bytes32 validationRoot;
    bytes32 accessRoot;
    uint256 roundBudget; // R, base units
    uint256 aggregatorFee; // base units
    uint256 protocolFee; // base units
    uint256 stake; // base units
    uint256 bond; // base units
    uint256 scoreFloor;
    uint256 rounds;
    uint256 dimension;
    int256 exponent;
    uint256 minReliability; // basis points
    uint256 slots;
    uint256 minTrainers;
    uint256 quorum;
    uint256 shareCap;
    uint256 commitWindow; // seconds, as all windows
    uint256 guardWindow;
    uint256 revealWindow;
    uint256 rescueWindow;
    uint256 settleWindow;
    uint256 takeoverWindow;
    uint256 selfCommitWindow;
    uint256 standingWeight; // part of the full standing gain, in 1/65536
    uint256 witnessCount;
}

/// @notice A contract whose code is data. The first byte stops whoever calls it.
contract TermsCode {
    constructor(bytes memory data) {
        bytes memory code = bytes.concat(hex"00", data);
        assembly ("memory-safe") {
            return(add(code, 32), mload(code))
        }
    }
}

/// @title TermsStore: what never changes is kept as code
/// @notice One read costs 2,600 gas for all of it, where as many storage slots would cost 2,100 each; and code can be
/// seen by anyone to be fixed for ever. Layout: STOP, Rules (a word for each member), seven words of witnesses.
library TermsStore {
    uint256 internal constant MAX_WITNESSES = 7;
    uint256 private constant RULE_BYTES = 1056; // of the 33 words of Rules; assembly takes literal constants only
    uint256 private constant BYTES = 1280; // and seven witnesses

    function write(Rules memory rules, address[] memory witnesses) internal returns (address) {
        // slither-disable-next-line uninitialized-local (places without a witness stay zero)
        address[MAX_WITNESSES] memory padded;
        for (uint256 i; i < witnesses.length; ++i) padded[i] = witnesses[i];
        return address(new TermsCode(abi.encode(rules, padded)));
    }

    /// @dev A struct of one-word members lies in memory as abi.encode writes it, so the code is read in place: only
    /// `write` makes these contracts, there is nothing to validate.
    function read(address at) internal view returns (Rules memory rules) {
        assembly ("memory-safe") {
            extcodecopy(at, rules, 1, RULE_BYTES)
        }
    }

    /// @notice The witnesses; places without one are zero.
    function witnessesOf(address at) internal view returns (address[MAX_WITNESSES] memory witnesses) {
        assembly ("memory-safe") {
            extcodecopy(at, witnesses, add(1, RULE_BYTES), sub(BYTES, RULE_BYTES))
        }
    }

    /// @notice The first of the rules: what a claim needs.
    function tokenOf(address at) internal view returns (address token) {
        assembly ("memory-safe") {
            extcodecopy(at, 0, 1, 32)
            token := mload(0)
        }
    }

    /// @notice Rules and witnesses, into memory that the caller has.
    function readInto(address at, Rules memory rules, address[MAX_WITNESSES] memory witnesses) internal view {
        assembly ("memory-safe") {
            extcodecopy(at, rules, 1, RULE_BYTES)
            extcodecopy(at, witnesses, add(1, RULE_BYTES), sub(BYTES, RULE_BYTES))
        }
    }

    /// @notice D: what a round has for trainers, base units.
    function distributable(Rules memory rules) internal pure returns (uint256) {
        return rules.roundBudget - rules.aggregatorFee - rules.protocolFee;
    }
}
