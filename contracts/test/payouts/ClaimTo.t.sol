// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPayouts} from "../../src/interfaces/IPayouts.sol";
import {Admission} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {ClaimItem, Packed, Row} from "../support/Packed.sol";
import {BadWallet, CallingWallet, OwnedWallet, VerboseWallet} from "../support/Wallets.sol";

contract ClaimToTest is MarketScene {
    uint256 private constant PAY = D / 8;
    uint256 private constant WALLET_KEY = 31;
    address private receiver = address(0x4ECE);

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _settledRound(project, 8);
    }

    // ---- claimTo: a key

    function test_ClaimTo_RevertWhen_TheReceiverIsZero() public {
        bytes memory zero = abi.encodeWithSelector(IPayouts.ReceiverIsZero.selector);
        _reverts(trainers[2], _call(2, address(0), type(uint64).max, ""), zero);
    }

    function test_ClaimTo_RevertWhen_TheProjectIsUnknown() public {
        bytes memory call = _encodeClaimTo(9, 3, _items(2), receiver, 0, "");
        _reverts(trainers[2], call, _unknown(9));
    }

    function test_ClaimTo_RevertWhen_TheMemberIsUnknown() public {
        bytes memory call = _encodeClaimTo(project, 77, _items(2), receiver, 0, "");
        _reverts(trainers[2], call, abi.encodeWithSelector(IPayouts.UnknownMember.selector, project, 77));
    }

    function test_ClaimTo_RevertWhen_TheSignatureHasExpired() public {
        uint64 expiry = uint64(block.timestamp);
        bytes memory call = _call(2, receiver, expiry, _sign(2, receiver, expiry, trainerKeys[2]));
        vm.assertTrue(_wouldWork(stranger, call)); // good in its last second
        vm.warp(block.timestamp + 1);
        _reverts(stranger, call, abi.encodeWithSelector(IPayouts.ClaimExpired.selector, expiry, block.timestamp));
    }

    function test_ClaimTo_RevertWhen_ItIsNotSignedByTheTrainer() public {
        uint64 never = type(uint64).max;
        _notSigned(2, receiver, never, _sign(2, receiver, never, trainerKeys[3]));
        _notSigned(2, receiver, never, "");
        _notSigned(2, receiver, never, new bytes(65));
        _notSigned(2, receiver, never, new bytes(64));
    }

    function test_ClaimTo_RevertWhen_AnythingIsNotAsSigned() public {
        uint64 never = type(uint64).max;
        bytes memory good = _sign(2, receiver, never, trainerKeys[2]);
        _notSigned(2, stranger, never, good); // another receiver
        _notSigned(2, receiver, never - 1, good);
        uint32 second = _settledRound(project, 8);
        ClaimItem[] memory items = _one(_itemOf(second, 8, PAY, 2)); // other items
        bytes memory call = _encodeClaimTo(project, 3, items, receiver, never, good);
        _reverts(stranger, call, _notSignedError(2, receiver));
        vm.chainId(5);
        _notSigned(2, receiver, never, good);
    }

    function test_ClaimTo_RevertWhen_ItIsUsedTwice() public {
        bytes memory call = _call(2, receiver, type(uint64).max, _sign(2, receiver, type(uint64).max, trainerKeys[2]));
        _works(stranger, call);
        _reverts(stranger, call, abi.encodeWithSelector(IPayouts.AlreadyClaimed.selector, project, 3, round));
    }

    /// @dev A delegate works for a trainer and never moves its money.
    function test_ClaimTo_RevertWhen_TheDelegateCallsOrSigns() public {
        uint256 key = 4_242;
        vm.prank(trainers[2]);
        market.setDelegate(project, vm.addr(key));
        bytes memory signature = _sign(2, receiver, type(uint64).max, key);
        _reverts(vm.addr(key), _call(2, receiver, type(uint64).max, signature), _notSignedError(2, receiver));
    }

    function test_ClaimTo_WhenTheTrainerCalls() public {
        vm.expectEmit(address(market));
        emit IPayouts.Claimed(project, 3, receiver, PAY, 0, 1 << round);
        _works(trainers[2], _call(2, receiver, 0, "")); // needs neither signature nor expiry
        vm.assertEq(token.balanceOf(receiver), PAY);
    }

    function test_ClaimTo_WhenTheTrainerSigned() public {
        _works(stranger, _call(2, receiver, type(uint64).max, _sign(2, receiver, type(uint64).max, trainerKeys[2])));
        vm.assertEq(token.balanceOf(receiver), PAY);
        vm.assertEq(token.balanceOf(stranger), 0);
        _equation(project);
    }

    // ---- claimTo: a contract (ERC-1271)

    function test_ClaimTo_WhenAWalletSigned() public {
        OwnedWallet wallet = new OwnedWallet(vm.addr(WALLET_KEY));
        ClaimItem[] memory items = _workOf(wallet);
        bytes memory good = _signItems(9, items, receiver, type(uint64).max, WALLET_KEY);
        bytes memory bad = _signItems(9, items, receiver, type(uint64).max, WALLET_KEY + 1);
        _reverts(stranger, _walletCall(items, bad), _walletNotSigned(address(wallet)));
        _works(stranger, _walletCall(items, good));
        vm.assertEq(token.balanceOf(receiver), D / 3);
    }

    function test_ClaimTo_WhenAWalletAnswersAtLength() public {
        ClaimItem[] memory items = _workOf(new VerboseWallet());
        bytes memory call = _walletCall(items, "");
        vm.prank(stranger);
        (bool ok,) = address(market).call{gas: 400_000}(call); // the answer is not copied
        vm.assertTrue(ok);
        vm.assertEq(token.balanceOf(receiver), D / 3);
    }

    /// @dev A wallet can refuse, but it can make nobody pay for more than a bounded answer.
    function test_ClaimTo_RevertWhen_AWalletAnswersBadly() public {
        BadWallet wallet = new BadWallet();
        ClaimItem[] memory items = _workOf(wallet);
        bytes memory call = _walletCall(items, "");
        for (uint8 manner; manner < 6; ++manner) {
            wallet.behave(BadWallet.Manner(manner));
            vm.prank(stranger);
            uint256 before = gasleft();
            (bool ok, bytes memory data) = address(market).call(call);
            vm.assertFalse(ok);
            vm.assertEq(data, _walletNotSigned(address(wallet)));
            vm.assertLt(before - gasleft(), 250_000, "gas");
        }
    }

    /// @dev An account that delegates its code (EIP-7702) is asked as a contract: its code decides what is signed.
    function test_ClaimTo_WhenTheTrainerHasDelegatedItsCode() public {
        bytes memory signature = _sign(2, receiver, type(uint64).max, trainerKeys[2]);
        bytes memory call = _call(2, receiver, type(uint64).max, signature);
        vm.etch(trainers[2], address(new BadWallet()).code);
        _reverts(stranger, call, _notSignedError(2, receiver));
        vm.etch(trainers[2], address(new OwnedWallet(trainers[2])).code);
        _works(stranger, call);
    }

    // ---- scenes

    /// @dev A wallet becomes member 9 and earns a third of a round, self-committed: contracts sign nothing.
    function _workOf(CallingWallet wallet) private returns (ClaimItem[] memory items) {
        token.mint(address(wallet), STAKE);
        wallet.run(address(token), abi.encodeCall(token.approve, (address(market), STAKE)));
        wallet.run(address(market), abi.encodeCall(market.join, (project, new bytes32[](0), new uint256[](0))));
        round = _open(project);
        trainers[8] = address(wallet);
        uint256[3] memory who = [uint256(0), 1, 8];
        for (uint256 i; i < 3; ++i) {
            bytes memory call = _selfCall(who[i], _noLeaves());
            if (i < 2) _works(trainers[i], call);
            else wallet.run(address(market), call);
        }
        vm.warp(_view().revealStart);
        _reveal(project, round, _noLeaves(), 0, 2);
        _reveal(project, round, _noLeaves(), 8, 9);
        Row[] memory rows = new Row[](3);
        for (uint256 i; i < 3; ++i) rows[i] = _rows(project, round, who[i], who[i] + 1)[0];
        Admission[] memory admissions = new Admission[](2);
        admissions[0] = Packed.admission(_rows(project, round, 0, 2));
        admissions[1] = Packed.admission(_rows(project, round, 8, 9));
        if (_view().unresolved == 0) {
            _send(project, round, _settlement(project, round, admissions, _outcomes(3, ONE)));
        }
        items = _one(_claimItem(project, round, rows, _equalPays(3, D / 3), 2));
    }

    function _walletCall(ClaimItem[] memory items, bytes memory signature) private view returns (bytes memory) {
        return _encodeClaimTo(project, 9, items, receiver, type(uint64).max, signature);
    }

    function _walletNotSigned(address wallet) private view returns (bytes memory) {
        return abi.encodeWithSelector(IPayouts.ClaimNotSigned.selector, wallet, receiver);
    }

    function _items(uint256 i) private view returns (ClaimItem[] memory) {
        return _one(_itemOf(1, 8, PAY, i));
    }

    function _call(uint256 i, address to, uint64 expiry, bytes memory signature) private view returns (bytes memory) {
        return _encodeClaimTo(project, uint32(i + 1), _items(i), to, expiry, signature);
    }

    function _sign(uint256 i, address to, uint64 expiry, uint256 key) private view returns (bytes memory) {
        return _signItems(uint32(i + 1), _items(i), to, expiry, key);
    }

    function _signItems(uint32 member, ClaimItem[] memory items, address to, uint64 expiry, uint256 key)
        private
        view
        returns (bytes memory)
    {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry)"),
                project,
                member,
                keccak256(abi.encodePacked(Packed.items(items))),
                to,
                expiry
            )
        );
        return _signature(key, _digest("CohortMarket", address(market), struct_));
    }

    function _notSignedError(uint256 i, address to) private view returns (bytes memory) {
        return abi.encodeWithSelector(IPayouts.ClaimNotSigned.selector, trainers[i], to);
    }

    function _notSigned(uint256 i, address to, uint64 expiry, bytes memory signature) private {
        _reverts(stranger, _call(i, to, expiry, signature), _notSignedError(i, to));
    }
}
