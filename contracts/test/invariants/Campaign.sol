// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CheatCodes} from "../support/Vm.sol";
import {FileVm} from "./FileVm.sol";
import {ACTIONS, Did} from "./World.sol";

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
            (sequences, total) = abi.decode(files.readFileBinary(sums), (uint256, uint256[52])); // ACTIONS
        }
        for (uint256 i; i < ACTIONS; ++i) total[i] += did[i];
        // As forge reads it; foundry.toml has the number for the default run.
        if (++sequences < files.envOr("FOUNDRY_INVARIANT_RUNS", SEQUENCES)) {
            return files.writeFileBinary(sums, abi.encode(sequences, total));
        }
        if (files.exists(sums)) files.removeFile(sums);
        files.writeFile(files.envOr("COHORT_INVARIANT_REPORT", REPORT), _json(total));
        // Too few to say anything, or a part of a campaign whose sums long.mjs looks at.
        if (sequences < SEQUENCES || files.envOr("COHORT_INVARIANT_PART", uint256(0)) != 0) return;
        uint256[ACTIONS] memory least = _least();
        for (uint256 i; i < ACTIONS; ++i) {
            string memory what = string.concat("seen too seldom: transition ", files.toString(i), " of enum Did");
            vm.assertGe(total[i], least[i] * sequences / SEQUENCES, what);
        }
    }

    /// @dev Successes that 500 sequences of 50 calls must have, about a third of what they do have.
    function _least() private pure returns (uint256[ACTIONS] memory least) {
        least[uint256(Did.CreateProject)] = 50;
        least[uint256(Did.Fund)] = 500;
        least[uint256(Did.AddAggregator)] = 100;
        least[uint256(Did.EndByOwner)] = 10;
        least[uint256(Did.EndWhenIdle)] = 20;
        least[uint256(Did.Refund)] = 30;
        least[uint256(Did.CollectProtocolFees)] = 100;
        least[uint256(Did.Join)] = 200;
        least[uint256(Did.JoinWithPaidStake)] = 5;
        least[uint256(Did.StakeFor)] = 100;
        least[uint256(Did.Leave)] = 100;
        least[uint256(Did.WithdrawStake)] = 50;
        least[uint256(Did.SetDelegate)] = 100;
        least[uint256(Did.DepositBond)] = 1000;
        least[uint256(Did.WithdrawBond)] = 100;
        least[uint256(Did.Accept)] = 2000;
        least[uint256(Did.WithdrawAcceptance)] = 50;
        least[uint256(Did.OpenRound)] = 2000;
        least[uint256(Did.OpenAfterEmptyVoid)] = 300;
        least[uint256(Did.CommitBatch)] = 2000;
        least[uint256(Did.LeafCounted)] = 6000;
        least[uint256(Did.LeafSkipped)] = 3000;
        least[uint256(Did.CommitSelf)] = 500;
        least[uint256(Did.CommitByDelegate)] = 400;
        least[uint256(Did.ReplaceLeaf)] = 400;
        least[uint256(Did.RevealValidation)] = 50;
        least[uint256(Did.Reveal)] = 2000;
        least[uint256(Did.RevealWithoutLeaves)] = 1000;
        least[uint256(Did.UpdateAdmitted)] = 2000;
        least[uint256(Did.UpdateRefused)] = 100;
        least[uint256(Did.OpeningSkipped)] = 2000;
        least[uint256(Did.Rescue)] = 100;
        least[uint256(Did.RescueWithoutLeaves)] = 50;
        least[uint256(Did.SlashNewest)] = 100;
        least[uint256(Did.SlashOlder)] = 30;
        least[uint256(Did.SlashWithoutStake)] = 1;
        least[uint256(Did.PostPublicRows)] = 50;
        least[uint256(Did.Settle)] = 500;
        least[uint256(Did.SettleByRival)] = 40;
        least[uint256(Did.SettleLateByAcceptor)] = 20;
        least[uint256(Did.CloseVoid)] = 200;
        least[uint256(Did.CloseVoidWithoutRows)] = 500;
        least[uint256(Did.CloseDefaulted)] = 100;
        least[uint256(Did.ReceiptModel)] = 100;
        least[uint256(Did.DropModel)] = 20;
        least[uint256(Did.Claim)] = 50;
        least[uint256(Did.ClaimToByTrainer)] = 50;
        least[uint256(Did.ClaimToSigned)] = 50;
        least[uint256(Did.Multicall)] = 2000;
        least[uint256(Did.Wait)] = 4000;
        least[uint256(Did.ForbiddenCallFailed)] = 4000;
        least[uint256(Did.ReentryFailed)] = 500;
    }

    function _json(uint256[ACTIONS] memory total) private pure returns (string memory text) {
        text = "[";
        for (uint256 i; i < ACTIONS; ++i) {
            text = string.concat(text, i == 0 ? "" : ",", files.toString(total[i]));
        }
        text = string.concat(text, "]\n");
    }
}
