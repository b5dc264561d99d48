// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CheatCodes} from "./Vm.sol";

interface PolicyFiles {
    function readFile(string calldata path) external view returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key) external pure returns (uint256[] memory);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
}

/// @notice Rounds for the default policy with Python's answers, from tests/vectors.
abstract contract PolicyCases is CheatCodes {
    struct Judgement {
        uint256 n;
        uint256 steps;
        uint256 trainable;
        uint256 values;
        bytes gram;
        bytes hints;
        uint256[] expected;
    }

    PolicyFiles private constant files = PolicyFiles(address(vm));

    function _random() internal view returns (Judgement[] memory) {
        return _cases("../tests/vectors/judgements.json");
    }

    /// @dev Of 8, 20 and 32 honest trainers with all public rows, then of 12 without value rows.
    function _honest() internal view returns (Judgement[] memory) {
        return _cases("../tests/vectors/policies/honest.json");
    }

    /// @dev Where one digit decides.
    function _edges() internal view returns (Judgement[] memory) {
        return _cases("../tests/vectors/policies/edges.json");
    }

    function _cases(string memory path) private view returns (Judgement[] memory cases) {
        string memory json = files.readFile(path);
        cases = new Judgement[](files.parseJsonUint(json, ".count"));
        for (uint256 i; i < cases.length; ++i) {
            string memory at = string.concat(".cases[", files.toString(i), "].");
            cases[i] = Judgement(
                files.parseJsonUint(json, string.concat(at, "n")),
                files.parseJsonUint(json, string.concat(at, "steps")),
                files.parseJsonUint(json, string.concat(at, "trainable")),
                files.parseJsonUint(json, string.concat(at, "values")),
                files.parseJsonBytes(json, string.concat(at, "gram")),
                files.parseJsonBytes(json, string.concat(at, "hints")),
                files.parseJsonUintArray(json, string.concat(at, "expected"))
            );
        }
    }
}
