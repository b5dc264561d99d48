// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {Cid} from "../../src/types/Types.sol";
import {CommitLeaf, Opening, Row} from "../support/Packed.sol";
import {CheatCodes} from "../support/Vm.sol";
import {ResolutionDigests, RoundsDigests, SettlementDigests, VerifierDigests} from "./harness/Digests.sol";
import {DifferentialRules} from "./harness/Rules.sol";

/// @notice The cheat codes for files.
interface Files {
    function readFile(string calldata path) external view returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
    function etch(address target, bytes calldata code) external;
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key) external pure returns (uint256[] memory);
    function parseJsonBool(string calldata json, string calldata key) external pure returns (bool);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key)
        external
        pure
        returns (bytes32[] memory);
}

/// @title The shared vectors (tests/vectors), which Python wrote and reads too
/// @notice Each test reads one file. Hashes and digests are those of a contract at the file's address.
contract VectorsTest is CheatCodes {
    Files private constant files = Files(address(vm));
    uint256 private constant LEAST = 25; // cases in each file

    string private json;
    uint256 private at; // case that is read

    // --- pay and payout roots

    function test_Pays() public {
        DifferentialRules rules = _rules();
        DifferentialRules.PayCase[] memory one = new DifferentialRules.PayCase[](1);
        uint256 count = _open("pays");
        for (at = 0; at < count; ++at) {
            one[0] = DifferentialRules.PayCase(
                _uints("outcomes"), _uint("distributable"), _uint("scoreFloor"), _uint("shareCap")
            );
            _same(rules.pays(one)[0], _uints("expected"));
        }
    }

    function test_Roots() public {
        DifferentialRules rules = _rules();
        DifferentialRules.RootCase[] memory one = new DifferentialRules.RootCase[](1);
        uint256 count = _open("roots");
        for (at = 0; at < count; ++at) {
            one[0] = DifferentialRules.RootCase(
                _uint("project"), uint32(_uint("round")), _uint32s("members"), _uints("amounts")
            );
            bytes memory expected = files.parseJsonBytes(json, _key("expected"));
            vm.assertEq(abi.encodePacked(rules.roots(one)[0]), expected);
        }
    }

    // --- standing

    function test_Records() public {
        DifferentialRules rules = _rules();
        DifferentialRules.RecordCase[] memory one = new DifferentialRules.RecordCase[](1);
        uint256 count = _open("records");
        for (at = 0; at < count; ++at) {
            one[0] = DifferentialRules.RecordCase(
                _uint("record"),
                _uint("pay"),
                files.parseJsonBool(json, _key("rejected")),
                _uint("rows"),
                _uint("distributable"),
                _uint("weight")
            );
            vm.assertEq(rules.records(one)[0], _uint("expected"));
        }
    }

    function test_Losses() public {
        DifferentialRules rules = _rules();
        DifferentialRules.LossCase[] memory one = new DifferentialRules.LossCase[](1);
        uint256 count = _open("losses");
        for (at = 0; at < count; ++at) {
            one[0] = DifferentialRules.LossCase(_uint("ofOwner"), _uint("loss"), _uint("weight"));
            vm.assertEq(rules.losses(one)[0], _uint("expected"));
        }
    }

    function test_Reliabilities() public {
        DifferentialRules rules = _rules();
        DifferentialRules.ReliabilityCase[] memory one = new DifferentialRules.ReliabilityCase[](1);
        uint256 count = _open("reliabilities");
        for (at = 0; at < count; ++at) {
            one[0] = DifferentialRules.ReliabilityCase(_uint("good"), _uint("bad"));
            vm.assertEq(rules.reliabilities(one)[0], _uint("expected"));
        }
    }

    // --- hashes

    function test_Commitments() public {
        DifferentialRules rules = _rules();
        DifferentialRules.CommitmentCase[] memory one = new DifferentialRules.CommitmentCase[](1);
        uint256 count = _open("commitments");
        for (at = 0; at < count; ++at) {
            Cid memory cid = Cid(uint8(_uint("codec")), _word("digest"));
            Opening memory opening = Opening(uint32(_uint("member")), _word("update"), cid, _word("salt"));
            one[0] = DifferentialRules.CommitmentCase(_uint("project"), uint32(_uint("round")), opening);
            vm.assertEq(rules.commitments(one)[0], _word("expected"));
        }
    }

    function test_Openings() public {
        DifferentialRules rules = _rules();
        Opening[][] memory one = new Opening[][](1);
        uint256 count = _open("openings");
        for (at = 0; at < count; ++at) {
            one[0] = _openings();
            vm.assertEq(rules.openings(one)[0], _word("expected"));
        }
    }

    function test_Batches() public {
        DifferentialRules rules = _rules();
        CommitLeaf[][] memory one = new CommitLeaf[][](1);
        uint256 count = _open("batches");
        for (at = 0; at < count; ++at) {
            uint32[] memory members = _uint32s("members");
            bytes32[] memory commitments = _words("commitments");
            one[0] = new CommitLeaf[](members.length);
            for (uint256 i; i < members.length; ++i) one[0][i] = CommitLeaf(members[i], commitments[i]);
            vm.assertEq(rules.batches(one)[0], _word("expected"));
        }
    }

    function test_AdmittedRows() public {
        DifferentialRules rules = _rules();
        Row[][][] memory one = new Row[][][](1);
        uint256 count = _open("admitted");
        for (at = 0; at < count; ++at) {
            one[0] = _calls();
            vm.assertEq(rules.admitted(one)[0], _word("expected"));
        }
    }

    function test_ClaimItems() public {
        DifferentialRules rules = _rules();
        uint256[][] memory one = new uint256[][](1);
        uint256 count = _open("claimItems");
        for (at = 0; at < count; ++at) {
            one[0] = _uints("items");
            vm.assertEq(rules.claimItems(one)[0], _word("expected"));
        }
    }

    function test_Outcomes() public {
        DifferentialRules rules = _rules();
        uint256[][] memory one = new uint256[][](1);
        uint256 count = _open("outcomes");
        for (at = 0; at < count; ++at) {
            one[0] = _uints("outcomes");
            vm.assertEq(rules.outcomes(one)[0], _word("expected"));
        }
    }

    // --- phases

    function test_Phases() public {
        DifferentialRules rules = _rules();
        DifferentialRules.PhaseCase[] memory one = new DifferentialRules.PhaseCase[](1);
        uint256 count = _open("phases");
        for (at = 0; at < count; ++at) {
            DifferentialRules.PhaseCase memory c = one[0];
            (c.openedAt, c.commitEnd) = (uint40(_uint("openedAt")), uint40(_uint("commitEnd")));
            (c.revealEnd, c.batchCount) = (uint40(_uint("revealEnd")), uint8(_uint("batchCount")));
            (c.selfCount, c.admitted) = (uint8(_uint("selfCount")), uint8(_uint("admitted")));
            (c.minTrainers, c.guard, c.rescue) = (_uint("minTrainers"), _uint("guard"), _uint("rescue"));
            (c.settle, c.takeover, c.time) = (_uint("settle"), _uint("takeover"), _uint("time"));
            uint256[5] memory found = rules.phases(one)[0];
            uint256[] memory expected = _uints("expected");
            vm.assertEq(expected.length, 5);
            for (uint256 i; i < 5; ++i) vm.assertEq(found[i], expected[i], _key("expected"));
        }
    }

    // --- typed data

    function test_CommitDigests() public {
        uint256 count = _open("commits");
        RoundsDigests digests = RoundsDigests(_place(address(new RoundsDigests())));
        RoundsDigests.CommitCase[] memory one = new RoundsDigests.CommitCase[](1);
        for (at = 0; at < count; ++at) {
            one[0] = RoundsDigests.CommitCase(
                _uint("project"),
                uint32(_uint("round")),
                uint32(_uint("member")),
                _word("commitment")
            );
            vm.assertEq(digests.commits(one)[0], _word("expected"));
        }
    }

    function test_ReceiptDigests() public {
        uint256 count = _open("receipts");
        RoundsDigests digests = RoundsDigests(_place(address(new RoundsDigests())));
        RoundsDigests.ReceiptCase[] memory one = new RoundsDigests.ReceiptCase[](1);
        for (at = 0; at < count; ++at) {
            one[0] = RoundsDigests.ReceiptCase(
                _uint("project"),
                uint32(_uint("round")),
                _word("openingsHash"),
                uint32(_uint("endorsed")),
                uint32(_uint("refused"))
            );
            vm.assertEq(digests.receipts(one)[0], _word("expected"));
        }
    }

    function test_PublicRowsDigests() public {
        uint256 count = _open("publicRows");
        ResolutionDigests digests = ResolutionDigests(_place(address(new ResolutionDigests())));
        ResolutionDigests.PublicRowsCase[] memory one = new ResolutionDigests.PublicRowsCase[](1);
        for (at = 0; at < count; ++at) {
            one[0] = ResolutionDigests.PublicRowsCase(_uint("project"), uint32(_uint("round")), _word("rows"));
            vm.assertEq(digests.publicRows(one)[0], _word("expected"));
        }
    }

    function test_ModelReceiptDigests() public {
        uint256 count = _open("models");
        SettlementDigests digests = SettlementDigests(_place(address(new SettlementDigests())));
        SettlementDigests.ModelCase[] memory one = new SettlementDigests.ModelCase[](1);
        for (at = 0; at < count; ++at) {
            one[0] = SettlementDigests.ModelCase(_uint("project"), _word("model"));
            vm.assertEq(digests.models(one)[0], _word("expected"));
        }
    }

    function test_ClaimToDigests() public {
        uint256 count = _open("claims");
        SettlementDigests digests = SettlementDigests(_place(address(new SettlementDigests())));
        SettlementDigests.ClaimToCase[] memory one = new SettlementDigests.ClaimToCase[](1);
        for (at = 0; at < count; ++at) {
            one[0] = SettlementDigests.ClaimToCase(
                _uint("project"),
                uint32(_uint("member")),
                _word("itemsHash"),
                files.parseJsonAddress(json, _key("to")),
                uint64(_uint("expiry"))
            );
            vm.assertEq(digests.claims(one)[0], _word("expected"));
        }
    }

    function test_SettlementDigests() public {
        uint256 count = _open("settlements");
        VerifierDigests digests = VerifierDigests(_place(address(new VerifierDigests())));
        IRoundVerifier.Statement[] memory one = new IRoundVerifier.Statement[](1);
        for (at = 0; at < count; ++at) {
            IRoundVerifier.Statement memory s = one[0];
            s.market = files.parseJsonAddress(json, _key("market"));
            (s.project, s.round) = (_uint("project"), uint32(_uint("round")));
            s.dimension = uint32(_uint("dimension"));
            (s.admittedHash, s.validation) = (_word("admittedHash"), _word("validation"));
            (s.publicRows, s.policyHash) = (_word("publicRows"), _word("policyHash"));
            (s.outcomesHash, s.previousModel) = (_word("outcomesHash"), _word("previousModel"));
            s.nextModel = _word("nextModel");
            s.nextModelCid = keccak256(files.parseJsonBytes(json, _key("nextModelCid")));
            s.bundleCid = keccak256(files.parseJsonBytes(json, _key("bundleCid")));
            vm.assertEq(digests.settlements(one)[0], _word("expected"));
        }
    }

    // --- reading

    /// @dev Reads the file of a rule. Returns how many cases it has.
    function _open(string memory rule) private returns (uint256 count) {
        json = files.readFile(string.concat("../tests/vectors/", rule, ".json"));
        count = files.parseJsonUint(json, ".count");
        vm.assertGe(count, LEAST);
        vm.chainId(files.parseJsonUint(json, ".chainId"));
    }

    /// @dev The rules at the address that the commitments of the vectors are bound to.
    function _rules() private returns (DifferentialRules) {
        json = files.readFile("../tests/vectors/commitments.json");
        return DifferentialRules(_place(address(new DifferentialRules())));
    }

    /// @dev Puts a contract's code at the address of the file.
    function _place(address contract_) private returns (address where) {
        where = files.parseJsonAddress(json, ".contract");
        files.etch(where, contract_.code);
    }

    function _key(string memory name) private view returns (string memory) {
        return string.concat(".cases[", files.toString(at), "].", name);
    }

    function _uint(string memory name) private view returns (uint256) {
        return files.parseJsonUint(json, _key(name));
    }

    function _uints(string memory name) private view returns (uint256[] memory) {
        return files.parseJsonUintArray(json, _key(name));
    }

    function _uint32s(string memory name) private view returns (uint32[] memory narrow) {
        uint256[] memory wide = _uints(name);
        narrow = new uint32[](wide.length);
        for (uint256 i; i < wide.length; ++i) narrow[i] = uint32(wide[i]);
    }

    function _word(string memory name) private view returns (bytes32) {
        return files.parseJsonBytes32(json, _key(name));
    }

    function _words(string memory name) private view returns (bytes32[] memory) {
        return files.parseJsonBytes32Array(json, _key(name));
    }

    function _openings() private view returns (Opening[] memory list) {
        uint32[] memory members = _uint32s("members");
        uint256[] memory codecs = _uints("codecs");
        bytes32[] memory updates = _words("updates");
        bytes32[] memory digests = _words("digests");
        bytes32[] memory salts = _words("salts");
        list = new Opening[](members.length);
        for (uint256 i; i < members.length; ++i) {
            list[i] = Opening(members[i], updates[i], Cid(uint8(codecs[i]), digests[i]), salts[i]);
        }
    }

    /// @dev Rows one after another, and how many each call admitted.
    function _calls() private view returns (Row[][] memory list) {
        uint256[] memory lengths = _uints("calls");
        uint32[] memory members = _uint32s("members");
        uint256[] memory codecs = _uints("codecs");
        bytes32[] memory updates = _words("updates");
        bytes32[] memory digests = _words("digests");
        list = new Row[][](lengths.length);
        uint256 i;
        for (uint256 k; k < lengths.length; ++k) {
            list[k] = new Row[](lengths[k]);
            for (uint256 row; row < lengths[k]; ++row) {
                list[k][row] = Row(members[i], updates[i], Cid(uint8(codecs[i]), digests[i]));
                ++i;
            }
        }
        vm.assertEq(i, members.length);
    }

    function _same(uint256[] memory found, uint256[] memory expected) private view {
        vm.assertEq(found.length, expected.length);
        for (uint256 i; i < found.length; ++i) vm.assertEq(found[i], expected[i], _key("expected"));
    }
}
