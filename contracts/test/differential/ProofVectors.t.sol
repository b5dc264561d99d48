// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {Point} from "../../src/verification/proven/Bn254.sol";
import {Coefficients, GramForm} from "../../src/verification/proven/GramForm.sol";
import {Evidence, ProvenEvidence} from "../../src/verification/proven/ProvenEvidence.sol";
import {RoundArgument, Tau} from "../../src/verification/proven/RoundArgument.sol";
import {RoundTranscript} from "../../src/verification/proven/RoundTranscript.sol";
import {PlainCurve} from "../support/PlainArgument.sol";
import {CheatCodes} from "../support/Vm.sol";

/// @notice The cheat codes for files.
interface ProofFiles {
    function readFile(string calldata path) external view returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
    function etch(address target, bytes calldata code) external;
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key) external pure returns (uint256[] memory);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
}

/// @notice The libraries of a proven verifier, at whatever address the proof was made for.
contract ArgumentCalls {
    function head(IRoundVerifier.Statement calldata s, bytes calldata evidence) external view returns (bytes32) {
        return RoundTranscript.headOf(s, ProvenEvidence.read(evidence, s.publicRows != 0));
    }

    function form(bytes32 state, bytes calldata evidence, bool posted)
        external
        pure
        returns (uint256[] memory x, uint256 value)
    {
        Evidence memory e = ProvenEvidence.read(evidence, posted);
        Coefficients memory c = RoundTranscript.coefficientsOf(state, e.n, e.p);
        x = new uint256[](e.n + e.p);
        for (uint256 i; i < x.length; ++i) {
            uint256 at = (i < e.n ? c.updates : c.publics - 32 * e.n) + 32 * i;
            uint256 word;
            assembly ("memory-safe") {
                word := mload(at)
            }
            x[i] = word;
        }
        value = GramForm.valueOf(e.gram, c);
    }

    function check(
        IRoundVerifier.Statement calldata s,
        bytes calldata evidence,
        uint256[] calldata weights,
        Tau calldata tau
    ) external view {
        Evidence memory e = ProvenEvidence.read(evidence, s.publicRows != 0);
        uint256[] memory words = new uint256[](weights.length);
        for (uint256 i; i < words.length; ++i) words[i] = weights[i] << 72;
        RoundArgument.check(e, RoundTranscript.headOf(s, e), words, RoundArgument.pointAt(e.step), tau);
    }
}

/// @title Proofs by the prover in Python (tests/vectors/proofs.json), with every value on the way
contract ProofVectorsTest is CheatCodes {
    ProofFiles private constant files = ProofFiles(address(vm));
    uint256 private constant LEAST = 6;

    string private json;
    uint256 private at; // case that is read
    Tau private tau;

    function setUp() public {
        json = files.readFile("../tests/vectors/proofs.json");
        uint256[] memory second = files.parseJsonUintArray(json, ".tauG2");
        tau = Tau(second[0], second[1], second[2], second[3]);
    }

    function test_Proofs_WhenPythonMadeThem() public {
        uint256 count = files.parseJsonUint(json, ".count");
        vm.assertGe(count, LEAST);
        for (at = 0; at < count; ++at) _checkCase();
    }

    function _checkCase() private {
        ArgumentCalls calls = ArgumentCalls(files.parseJsonAddress(json, _key("verifier")));
        files.etch(address(calls), type(ArgumentCalls).runtimeCode);
        vm.chainId(_uint("chainId"));
        IRoundVerifier.Statement memory s = _statement();
        bytes memory evidence = _evidence(s.publicRows != 0);
        vm.assertEq(calls.head(s, evidence), _word("head"), "head");
        (uint256[] memory x, uint256 c) = calls.form(_word("state"), evidence, s.publicRows != 0);
        vm.assertEq(abi.encode(x), abi.encode(_uints("x")), "x");
        vm.assertEq(c, _uint("c"), "c");
        uint256[] memory weights = _uints("weights");
        calls.check(s, evidence, weights, tau);
        weights[0] ^= 1;
        vm.expectPartialRevert(RoundArgument.InverseInvalid.selector); // another state, so another z
        calls.check(s, evidence, weights, tau);
    }

    function _statement() private view returns (IRoundVerifier.Statement memory s) {
        s.market = files.parseJsonAddress(json, _key("market"));
        s.project = _uint("project");
        s.round = uint32(_uint("round"));
        s.dimension = uint32(_uint("dimension"));
        s.admittedHash = _word("admittedHash");
        s.validation = _word("validation");
        s.publicRows = _word("publicRows");
        s.policyHash = _word("policyHash");
        s.outcomesHash = _word("outcomesHash");
        s.previousModel = _word("previousModel");
        s.nextModel = _word("nextModel");
    }

    /// @dev Rows without members and CIDs, a card without manifest, no hints: the argument does not look at them.
    function _evidence(bool posted) private view returns (bytes memory evidence) {
        uint256 n = _uint("n");
        uint256[] memory words = _wordsOf(_bytes("commitments"));
        evidence = abi.encodePacked(uint32(1), uint8(n));
        for (uint256 a; a < n; ++a) {
            bytes32 update = PlainCurve.compress(Point(words[2 * a], words[2 * a + 1]));
            evidence = bytes.concat(evidence, new bytes(5), update, new bytes(32));
        }
        if (posted) {
            bytes memory layout = abi.encodePacked(uint8(_uint("steps")), uint8(_uint("trainable")), uint8(_uint("values")));
            evidence = bytes.concat(evidence, new bytes(32), layout);
            for (uint256 i = 2 * n; i < words.length; ++i) evidence = bytes.concat(evidence, bytes32(words[i]));
        }
        for (uint256 a; a < n; ++a) evidence = bytes.concat(evidence, bytes32(words[2 * a + 1]));
        return bytes.concat(evidence, new bytes(32), _bytes("step"), _bytes("proof"), _bytes("gram"));
    }

    function _wordsOf(bytes memory data) private pure returns (uint256[] memory words) {
        words = new uint256[](data.length / 32);
        for (uint256 i; i < data.length; ++i) words[i / 32] = words[i / 32] << 8 | uint8(data[i]);
    }

    function _key(string memory member) private view returns (string memory) {
        return string.concat(".cases[", files.toString(at), "].", member);
    }

    function _uint(string memory member) private view returns (uint256) {
        return files.parseJsonUint(json, _key(member));
    }

    function _uints(string memory member) private view returns (uint256[] memory) {
        return files.parseJsonUintArray(json, _key(member));
    }

    function _word(string memory member) private view returns (bytes32) {
        return files.parseJsonBytes32(json, _key(member));
    }

    function _bytes(string memory member) private view returns (bytes memory) {
        return files.parseJsonBytes(json, _key(member));
    }
}
