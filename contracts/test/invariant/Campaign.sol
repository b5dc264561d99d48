// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CheatCodes} from "../support/Vm.sol";
import {FileVm} from "./FileVm.sol";
import {ACTIONS} from "./World.sol";

/// @notice Counts successes over all sequences of a campaign. Sequences know nothing of each other, so the sums are kept in a
/// file; the last sequence compares them with the least that each transition must have.
abstract contract Campaign is CheatCodes {
    uint256 private constant SEQUENCES = 500; // that the least numbers are for
    string private constant REPORT = "cache/invariant-counts.json"; // of the latest campaign, in the order of Did

    FileVm private constant files = FileVm(address(vm));

    string private sums;

    /// @dev One file per campaign, so that two of them at once do not meet.
    function _beginCampaign() internal {
        sums = string.concat("cache/invariant-sums-", files.toString(files.unixTime()));
    }

    function _addToCampaign(uint256[ACTIONS] memory did) internal {
        uint256[ACTIONS] memory total;
        uint256 sequences;
        if (files.exists(sums)) {
            (sequences, total) = abi.decode(files.readFileBinary(sums), (uint256, uint256[50])); // ACTIONS
        }
        for (uint256 i; i < ACTIONS; ++i) total[i] += did[i];
        // As forge reads it; foundry.toml has the number for the default run.
        if (++sequences < files.envOr("FOUNDRY_INVARIANT_RUNS", SEQUENCES)) {
            return files.writeFileBinary(sums, abi.encode(sequences, total));
        }
        if (files.exists(sums)) files.removeFile(sums);
        files.writeFile(REPORT, _json(total));
        if (sequences < SEQUENCES) return; // too few to say anything
        for (uint256 i; i < ACTIONS; ++i) {
            string memory what = string.concat("seen too seldom: transition ", files.toString(i), " of enum Did");
            vm.assertGe(total[i], LEAST * sequences / SEQUENCES, what);
        }
    }

    uint256 private constant LEAST = 0;

    function _json(uint256[ACTIONS] memory total) private pure returns (string memory text) {
        text = "[";
        for (uint256 i; i < ACTIONS; ++i) {
            text = string.concat(text, i == 0 ? "" : ",", files.toString(total[i]));
        }
        text = string.concat(text, "]\n");
    }
}
