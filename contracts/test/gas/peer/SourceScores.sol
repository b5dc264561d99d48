// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title SourceScores: two scores per source, recorded as a retrieval system on chain does it
/// @notice For the gas benchmark only: what arXiv 2511.07577 describes of its contract, written anew. One owner records
/// reliability and usefulness of each source, alone or in a batch; a source's scores share a slot; each record is an event.
/// No escrow, no signatures, no pay, no proof.
contract SourceScores {
    struct Scores {
        uint64 reliability;
        uint64 usefulness;
        uint64 updates;
        uint64 updatedAt;
    }

    address public immutable OWNER = msg.sender;
    mapping(uint256 source => Scores) public scoresOf;

    event ScoresUpdated(uint256 indexed source, uint64 reliability, uint64 usefulness);

    error NotOwner(address caller);
    error LengthsDiffer();

    function update(uint256 source, uint64 reliability, uint64 usefulness) external {
        if (msg.sender != OWNER) revert NotOwner(msg.sender);
        _record(source, reliability, usefulness);
    }

    function updateBatch(uint256[] calldata sources, uint64[] calldata reliabilities, uint64[] calldata usefulnesses)
        external
    {
        if (msg.sender != OWNER) revert NotOwner(msg.sender);
        if (sources.length != reliabilities.length || sources.length != usefulnesses.length) revert LengthsDiffer();
        for (uint256 i; i < sources.length; ++i) _record(sources[i], reliabilities[i], usefulnesses[i]);
    }

    function _record(uint256 source, uint64 reliability, uint64 usefulness) private {
        Scores storage s = scoresOf[source];
        scoresOf[source] = Scores(reliability, usefulness, s.updates + 1, uint64(block.timestamp));
        emit ScoresUpdated(source, reliability, usefulness);
    }
}
