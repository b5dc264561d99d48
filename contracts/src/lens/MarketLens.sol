// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../interfaces/IBonds.sol";
import {ICohortMarket} from "../interfaces/ICohortMarket.sol";
import {IMembers} from "../interfaces/IMembers.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {IRoundViews} from "../interfaces/IRoundViews.sol";
import {IStanding} from "../interfaces/IStanding.sol";
import {ProjectTerms} from "../types/Types.sol";

/// @title MarketLens: much of a market in one call
/// @notice Reads only, holds nothing, is trusted by nobody: everything here comes from the market's own views, all of them as
/// of one block.
contract MarketLens {
    struct AggregatorView {
        address aggregator;
        IBonds.Bond bond;
    }

    struct ProjectOverview {
        ProjectTerms terms;
        IProjects.Progress progress;
        IProjects.Ledger ledger;
        uint256 protocolFee; // base units per settled round
        uint256 standingWeight; // 1/65536
        AggregatorView[] aggregators;
        IRoundViews.RoundView newest; // all zero before the first round
    }

    struct Place {
        IMembers.Member member; // all zero if the trainer is unknown in the project
        IStanding.Record record;
        bytes32 selfCommit; // of the round asked for
        uint256 losses; // of the trainer, over all projects
    }

    struct RoundOverview {
        IRoundViews.RoundView round;
        IProjects.Progress progress;
        Place place; // of the trainer asked for
        uint256 time; // of the block, unix seconds
    }

    ICohortMarket public immutable MARKET;

    error NotAMarket(address found);

    constructor(ICohortMarket market) {
        if (address(market).code.length == 0) revert NotAMarket(address(market));
        MARKET = market;
    }

    /// @notice Everything about a project but its members.
    function projectOverview(uint256 project) external view returns (ProjectOverview memory v) {
        v.terms = MARKET.termsOf(project);
        v.progress = MARKET.progressOf(project);
        v.ledger = MARKET.ledgerOf(project);
        (v.protocolFee, v.standingWeight) = MARKET.feesOf(project);
        v.newest = MARKET.roundOf(project, v.progress.round);
        address[] memory aggregators = v.terms.aggregators;
        v.aggregators = new AggregatorView[](aggregators.length);
        for (uint256 i; i < aggregators.length; ++i) {
            // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
            v.aggregators[i] = AggregatorView(aggregators[i], MARKET.bondOf(project, aggregators[i]));
        }
    }

    /// @notice One round as a trainer sees it. `round` 0: the newest.
    function roundOverview(uint256 project, uint32 round, address trainer)
        external
        view
        returns (RoundOverview memory v)
    {
        v.progress = MARKET.progressOf(project);
        if (round == 0) round = v.progress.round;
        v.round = MARKET.roundOf(project, round);
        v.place = _placeOf(project, round, trainer);
        v.time = block.timestamp;
    }

    /// @notice A trainer's place in each of several projects, with the newest round of each for `selfCommit`.
    function placesOf(address trainer, uint256[] calldata projects) external view returns (Place[] memory places) {
        places = new Place[](projects.length);
        for (uint256 i; i < projects.length; ++i) {
            // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
            places[i] = _placeOf(projects[i], MARKET.progressOf(projects[i]).round, trainer);
        }
    }

    /// @notice Members `from` to `until` - 1 by number, with their records.
    function membersOf(uint256 project, uint32 from, uint32 until) external view returns (Place[] memory places) {
        uint32 end = MARKET.progressOf(project).memberNumbers + 1;
        if (until < end) end = until;
        if (from == 0) from = 1;
        places = new Place[](from < end ? end - from : 0);
        for (uint32 i; i < places.length; ++i) {
            // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
            places[i].member = MARKET.memberAt(project, from + i);
            // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
            places[i].record = MARKET.recordOf(project, from + i);
            // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
            places[i].losses = MARKET.lossesOf(places[i].member.trainer);
        }
    }

    function _placeOf(uint256 project, uint32 round, address trainer) private view returns (Place memory place) {
        // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
        place.member = MARKET.memberOf(project, trainer);
        // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
        place.losses = MARKET.lossesOf(trainer);
        if (place.member.number == 0) return place;
        // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
        place.record = MARKET.recordOf(project, place.member.number);
        // slither-disable-next-line calls-loop (views of the market, read by nobody's transaction)
        place.selfCommit = MARKET.selfCommitOf(project, round, place.member.number);
    }
}
