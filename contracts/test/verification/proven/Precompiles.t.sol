// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254} from "../../../src/verification/proven/Bn254.sol";
import {RoundArgument} from "../../../src/verification/proven/RoundArgument.sol";
import {Shape} from "../../support/PlainArgument.sol";
import {ProvenRound, ProvenRounds} from "../../support/ProvenRounds.sol";

/// @notice The cheat codes for calls that answer something else.
interface Mocks {
    function mockCall(address target, bytes calldata data, bytes calldata answer) external;
    function mockCallRevert(address target, bytes calldata data, bytes calldata error_) external;
    function clearMockedCalls() external;
}

/// @notice The curve's precompiles fail, one at a time, in a round whose proof is right. On a chain they fail for want of gas alone,
/// and then nothing is left to say so; here they fail with gas in hand.
contract PrecompilesTest is ProvenRounds {
    Mocks private constant mocks = Mocks(address(vm));
    address private constant ECADD = address(6);
    address private constant ECMUL = address(7);
    address private constant PAIRING = address(8);

    function test_Verify_RevertWhen_AMultiplicationFails() public {
        _fails(ECMUL);
    }

    /// @dev Of one row, of whatever kind; the others go well.
    function test_Verify_RevertWhen_TheMultiplicationOfARowFails() public {
        ProvenRound memory r = _round(31, Shape(2, 1, 0, 0), 3);
        for (uint256 i; i < r.points.length; ++i) _failsFor(r, abi.encode(r.points[i]));
    }

    /// @dev Those of the rows go well, that of W does not.
    function test_Verify_RevertWhen_ALaterMultiplicationFails() public {
        ProvenRound memory r = _round(31, Shape(2, 1, 0, 0), 3);
        _failsFor(r, abi.encode(r.proof.w));
    }

    function test_Verify_RevertWhen_AnAdditionFails() public {
        _fails(ECADD);
    }

    function test_Verify_RevertWhen_ThePairingFails() public {
        _fails(PAIRING);
    }

    /// @dev Anything but a one from the pairing is no.
    function test_Verify_RevertWhen_ThePairingSaysSomethingElse() public {
        ProvenRound memory r = _round(31, Shape(2, 1, 0, 0), 3);
        uint256[3] memory answers = [uint256(0), 2, type(uint256).max];
        for (uint256 i; i < 3; ++i) {
            mocks.mockCall(PAIRING, "", abi.encode(answers[i]));
            _refused(r, RoundArgument.ArgumentInvalid.selector);
            mocks.clearMockedCalls();
        }
        _verify(r);
    }

    function _failsFor(ProvenRound memory r, bytes memory point) private {
        mocks.mockCallRevert(ECMUL, point, "");
        _refused(r, Bn254.PrecompileFailed.selector);
        mocks.clearMockedCalls();
        _verify(r);
    }

    function _fails(address precompile) private {
        ProvenRound memory r = _round(31, Shape(2, 1, 0, 0), 3);
        mocks.mockCallRevert(precompile, "", "");
        _refused(r, Bn254.PrecompileFailed.selector);
        mocks.clearMockedCalls();
        _verify(r);
    }
}
