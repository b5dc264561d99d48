// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Bonds: aggregators put money behind the rounds that they accept
/// @notice An aggregator's fees are added to its free balance, so that it compounds into bonds or is withdrawn.
interface IBonds {
    struct Bond {
        uint112 free; // base units
        uint112 locked; // behind rounds that were accepted and have not ended
    }

    event BondDeposited(uint256 indexed project, address indexed aggregator, uint256 amount);
    event BondWithdrawn(uint256 indexed project, address indexed aggregator, uint256 amount);
    event RoundAccepted(uint256 indexed project, uint32 indexed round, address indexed aggregator, uint256 bond);
    event AcceptanceWithdrawn(uint256 indexed project, uint32 indexed round, address indexed aggregator);
    /// @notice The bond is free again, by a withdrawn acceptance or the end of a void round. RoundSettled frees the acceptor's too,
    /// with the fee, if the acceptor itself settled in time.
    event BondReleased(uint256 indexed project, uint32 indexed round, address indexed aggregator, uint256 bond);
    /// @notice `toSettler` went to the free balance of whoever settled instead, the rest is burned.
    event BondSlashed(
        uint256 indexed project, uint32 indexed round, address indexed aggregator, uint256 toSettler, uint256 burned
    );

    error NotAggregator(uint256 project, address caller);
    error BondTooLow(uint256 project, address aggregator, uint256 found, uint256 needed);
    error RoundTaken(uint256 project, uint256 round, address acceptor);
    error NotNextRound(uint256 project, uint256 round, uint256 next);
    error NotAcceptor(uint256 project, uint256 round, address caller, address acceptor);

    /// @notice Adds to the caller's free balance in this project.
    function depositBond(uint256 project, uint256 amount) external;

    /// @notice Takes from the caller's free balance, fees included.
    function withdrawBond(uint256 project, uint256 amount) external;

    /// @notice Accepts the next round: locks the caller's bond, makes it the only batcher of that round, and lets the
    /// round open. Whoever accepts must settle before tS.
    function accept(uint256 project, uint32 round) external;

    /// @notice Takes back the acceptance of a round that has not opened.
    function withdrawAcceptance(uint256 project, uint32 round) external;

    function bondOf(uint256 project, address aggregator) external view returns (Bond memory);

    function aggregatorsOf(uint256 project) external view returns (address[] memory);
}
