// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Cheat codes for what outlives one sequence of calls: the counts of a whole campaign.
interface FileVm {
    function envOr(string calldata name, uint256 fallback_) external view returns (uint256);
    function envOr(string calldata name, string calldata fallback_) external view returns (string memory);
    function exists(string calldata path) external view returns (bool);
    function readFileBinary(string calldata path) external view returns (bytes memory);
    function removeFile(string calldata path) external;
    function toString(uint256 value) external pure returns (string memory);
    function unixTime() external view returns (uint256 milliseconds);
    function writeFile(string calldata path, string calldata data) external;
    function writeFileBinary(string calldata path, bytes calldata data) external;
}
