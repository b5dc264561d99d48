// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBonds} from "../interfaces/IBonds.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {Deposits} from "../projects/Deposits.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {RoundBase} from "../rounds/RoundBase.sol";
import {Project} from "../storage/MarketStorage.sol";

/// @title Bonds: aggregators' money
/// @notice free + locked of an aggregator only falls by a withdrawal of what is free, or by a slash of what is locked. A
/// locked bond leaves that state only when its round ends, so it cannot be taken out before it is slashed.
abstract contract Bonds is RoundBase, IBonds, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @inheritdoc IBonds
    function depositBond(uint256 project, uint256 amount) external nonReentrant {
        Project storage p = _project(project);
        if (!_isAggregator(p, msg.sender)) revert NotAggregator(project, msg.sender);
        if (amount == 0) revert IProjects.AmountIsZero();
        Bond storage account = _bonds[project][msg.sender];
        // Half of the type, so that no fee and no slashed bond of somebody else can ever overflow it.
        uint256 most = type(uint112).max / 2;
        if (amount > most || account.free + amount > most) revert IProjects.AmountTooLarge(amount, most);
        account.free += uint112(amount);
        emit BondDeposited(project, msg.sender, amount);
        Rules memory rules = TermsStore.read(p.rules);
        Deposits.pull(rules.token, msg.sender, amount);
    }

    /// @inheritdoc IBonds
    function withdrawBond(uint256 project, uint256 amount) external nonReentrant {
        Project storage p = _project(project);
        Bond storage account = _bonds[project][msg.sender];
        if (amount == 0) revert IProjects.AmountIsZero();
        if (amount > account.free) revert BondTooLow(project, msg.sender, account.free, amount);
        account.free -= uint112(amount);
        emit BondWithdrawn(project, msg.sender, amount);
        Rules memory rules = TermsStore.read(p.rules);
        IERC20(rules.token).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IBonds
    function accept(uint256 project, uint32 round) external nonReentrant {
        Project storage p = _project(project);
        if (p.ended) revert IProjects.ProjectIsOver(project);
        uint32 next = p.newestRound + 1;
        if (round != next) revert NotNextRound(project, round, next);
        if (!_isAggregator(p, msg.sender)) revert NotAggregator(project, msg.sender);
        if (p.acceptedRound == round) revert RoundTaken(project, round, p.acceptor);
        Rules memory rules = TermsStore.read(p.rules);
        Bond storage account = _bonds[project][msg.sender];
        if (account.free < rules.bond) revert BondTooLow(project, msg.sender, account.free, rules.bond);
        account.free -= uint112(rules.bond);
        account.locked += uint112(rules.bond);
        p.acceptor = msg.sender;
        p.acceptedRound = round;
        emit RoundAccepted(project, round, msg.sender, rules.bond);
    }

    /// @inheritdoc IBonds
    function withdrawAcceptance(uint256 project, uint32 round) external nonReentrant {
        Project storage p = _project(project);
        if (round != p.newestRound + 1) revert NotNextRound(project, round, p.newestRound + 1);
        if (p.acceptedRound != round || p.acceptor != msg.sender) {
            revert NotAcceptor(project, round, msg.sender, p.acceptedRound == round ? p.acceptor : address(0));
        }
        p.acceptedRound = 0;
        emit AcceptanceWithdrawn(project, round, msg.sender);
        Rules memory rules = TermsStore.read(p.rules);
        _releaseBond(project, round, msg.sender, rules.bond);
    }

    /// @inheritdoc IBonds
    function bondOf(uint256 project, address aggregator) external view returns (Bond memory) {
        return _bonds[project][aggregator];
    }

    /// @inheritdoc IBonds
    function aggregatorsOf(uint256 project) external view returns (address[] memory) {
        return _project(project).aggregators;
    }
}
