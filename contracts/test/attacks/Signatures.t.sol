// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {IPayouts} from "../../src/interfaces/IPayouts.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {LeafSkip, Receipt, WitnessSignature} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {ClaimItem, CommitLeaf, CommitSignature, Opening, Packed} from "../support/Packed.sol";
import {UnreceiptedVerifier} from "../support/Seams.sol";

/// @notice Every kind of signature, made for one chain, market, project and round, in every other: each place is changed alone, so that
/// whatever of it is missing in what is signed is seen. And one kind in the place of another.
contract SignaturesTest is MarketScene {
    enum Place {
        Here,
        Chain,
        Market,
        Project,
        Round
    }

    uint256 private constant SECP256K1 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    address private immutable unreceipted = address(new UnreceiptedVerifier());
    ICohortMarket private here;

    function _extraVerifier() internal view override returns (address) {
        return unreceipted;
    }

    function setUp() public override {
        super.setUp();
        project = _create(_extraTerms(), 10 * uint256(BUDGET));
        _join(project, 0, 8);
        round = _open(project);
        here = market;
    }

    // ---- each kind in every other place

    function test_Commit_RevertWhen_ItIsSignedForAnotherPlace() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        for (uint256 i = 1; i < 5; ++i) {
            (uint256 p, uint32 r) = _go(Place(i));
            CommitSignature[] memory signatures = _signLeaves(p, r, leaves, 0);
            _back();
            bytes memory call = _encodeCommitBatch(project, round, leaves, signatures);
            _reverts(aggregator, call, abi.encodeWithSelector(IRounds.EmptyBatch.selector));
        }
        _works(aggregator, _encodeCommitBatch(project, round, leaves, _signLeaves(project, round, leaves, 0)));
    }

    function test_Receipt_RevertWhen_ItIsSignedForAnotherPlace() public {
        CommitLeaf[] memory batch = _revealing();
        Opening[] memory openings = _openings(project, round, 0, 8);
        for (uint256 i = 1; i < 5; ++i) {
            (uint256 p, uint32 r) = _go(Place(i));
            Receipt[] memory receipts = _receipts(p, r, openings);
            _back();
            _refused(_encodeReveal(project, round, batch, openings, receipts), IRounds.ReceiptInvalid.selector);
        }
        _works(stranger, _encodeReveal(project, round, batch, openings, _receipts(project, round, openings)));
    }

    function test_PublicRows_RevertWhen_TheyAreSignedForAnotherPlace() public {
        _settling();
        for (uint256 i = 1; i < 5; ++i) {
            (uint256 p, uint32 r) = _go(Place(i));
            WitnessSignature[] memory list = _witnessed(_rowsStruct(p, r, "rows"));
            _back();
            _refused(_postCall("rows", list), IRounds.ReceiptInvalid.selector);
        }
        _refused(_postCall("rows", _witnessed(_rowsStruct(project, round, "other"))), IRounds.ReceiptInvalid.selector);
        _works(stranger, _postCall("rows", _witnessed(_rowsStruct(project, round, "rows"))));
    }

    /// @dev A model has no round: its commitment says which bytes are meant.
    function test_ModelReceipt_RevertWhen_ItIsSignedForAnotherPlace() public {
        bytes32 model = _pending();
        for (uint256 i = 1; i < 4; ++i) {
            (uint256 p,) = _go(Place(i));
            WitnessSignature[] memory list = _witnessed(_modelStruct(p, model));
            _back();
            _refused(_modelCall(list), IRounds.ReceiptInvalid.selector);
        }
        _refused(_modelCall(_witnessed(_modelStruct(project, ~model))), IRounds.ReceiptInvalid.selector);
        _works(stranger, _modelCall(_witnessed(_modelStruct(project, model))));
    }

    /// @dev The row is the same in every place: the signature alone is of another one.
    function test_ClaimTo_RevertWhen_ItIsSignedForAnotherPlace() public {
        _pending();
        ClaimItem[] memory items = _one(_itemOf(round, 8, D / 8, 2));
        bytes memory error_ = abi.encodeWithSelector(IPayouts.ClaimNotSigned.selector, trainers[2], stranger);
        for (uint256 i = 1; i < 4; ++i) {
            (uint256 p,) = _go(Place(i));
            bytes memory signature = _signClaim(p, 3, items);
            _back();
            _reverts(stranger, _encodeClaimTo(project, 3, items, stranger, type(uint64).max, signature), error_);
        }
        bytes memory ofAnother = _signClaim(project, 4, items);
        _reverts(stranger, _encodeClaimTo(project, 3, items, stranger, type(uint64).max, ofAnother), error_);
        bytes memory good = _signClaim(project, 3, items);
        _works(stranger, _encodeClaimTo(project, 3, items, stranger, type(uint64).max, good));
    }

    /// @dev An attested outcome: the same people, project, round and rows in another market, on another chain, at another verifier.
    function test_Settlement_RevertWhen_ItIsSignedForAnotherPlace() public {
        Settlement memory elsewhere = _attestedElsewhere();
        project = _projectWith(8); // attested
        round = _toSettle(project, 8);
        Settlement memory s = _equalSettlement(8);
        bytes memory good = s.evidence;
        s.evidence = elsewhere.evidence;
        _notAttested(s);
        vm.chainId(5);
        s.evidence = _evidence(project, round, s, 0, 2);
        vm.chainId(31337);
        _notAttested(s);
        AttestedVerifier real = verifier;
        verifier = AttestedVerifier(address(0xBEEF));
        s.evidence = _evidence(project, round, s, 0, 2);
        verifier = real;
        _notAttested(s);
        s.evidence = good;
        _works(aggregator, _settleCall(s));
    }

    // ---- a second form of one signature

    /// @dev s in the upper half of the order, which recovers to the same key. A compact signature has room for few such s, and who
    /// chooses its key after its signature has one: the delegate here. At every place in the batch.
    function test_Commit_RevertWhen_SIsInTheUpperHalf() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        for (uint256 i; i < 8; ++i) {
            uint256 before = vm.snapshotState();
            (CommitSignature memory high, address key) = _highSignature(leaves[i]);
            vm.prank(trainers[i]);
            market.setDelegate(project, key);
            CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
            signatures[i] = high;
            vm.expectEmit(address(market));
            emit IRounds.LeafSkipped(project, round, leaves[i].member, LeafSkip.NotSigned);
            _works(aggregator, _encodeCommitBatch(project, round, leaves, signatures));
            vm.assertEq(_view().batchCount, 7);
            vm.revertToState(before);
        }
    }

    /// @dev s = 2^255 - 1 over the leaf, with the generator as R, and the address whose key that makes: (s - digest) / r.
    function _highSignature(CommitLeaf memory leaf) private view returns (CommitSignature memory high, address key) {
        uint256 s = (1 << 255) - 1;
        uint256 r = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("Commit(uint256 project,uint32 round,uint32 member,bytes32 commitment)"),
                project,
                round,
                leaf.member,
                leaf.commitment
            )
        );
        uint256 digest = uint256(_digest("CohortMarket", address(market), struct_));
        uint256 difference = addmod(s, SECP256K1 - digest % SECP256K1, SECP256K1);
        key = vm.addr(mulmod(difference, _power(r, SECP256K1 - 2), SECP256K1));
        high = CommitSignature(bytes32(r), bytes32(s)); // parity 0: the generator's y is even
        vm.assertEq(ecrecover(bytes32(digest), 27, bytes32(r), bytes32(s)), key, "the precompile takes it");
    }

    function _power(uint256 base, uint256 exponent) private view returns (uint256) {
        (bool ok, bytes memory answer) =
            address(5).staticcall(abi.encode(32, 32, 32, base, exponent, SECP256K1));
        vm.assertTrue(ok);
        return abi.decode(answer, (uint256));
    }

    // ---- one kind in the place of another

    /// @dev What a witness says of rows is no receipt for a model with the same bytes, and the other way round.
    function test_Kind_RevertWhen_ItIsAnother() public {
        _settling();
        bytes32 model = keccak256(abi.encode("model", project, round));
        WitnessSignature[] memory ofModel = _witnessed(_modelStruct(project, model));
        _refused(_postCall(model, ofModel), IRounds.ReceiptInvalid.selector);
        WitnessSignature[] memory ofRows = _witnessed(_rowsStruct(project, round, model));
        _works(aggregator, _settleCall(_equalSettlement(8)));
        _refused(_modelCall(ofRows), IRounds.ReceiptInvalid.selector);
        Opening[] memory openings = _openings(project, round, 0, 8);
        Receipt[] memory receipts = _receipts(project, round, openings);
        WitnessSignature[] memory ofReveals = new WitnessSignature[](2);
        for (uint256 i; i < 2; ++i) ofReveals[i] = WitnessSignature(uint8(i), receipts[i].r, receipts[i].vs);
        _refused(_modelCall(ofReveals), IRounds.ReceiptInvalid.selector);
        _works(stranger, _modelCall(ofModel));
    }

    // ---- places

    /// @dev From here on signatures are made for somewhere else, until `_back`. Returns the project and round to sign.
    function _go(Place place) private returns (uint256 p, uint32 r) {
        (p, r) = (project, round);
        if (place == Place.Chain) vm.chainId(5);
        else if (place == Place.Market) market = ICohortMarket(address(0xBEEF));
        else if (place == Place.Project) p += 1;
        else if (place == Place.Round) r += 1;
    }

    function _back() private {
        vm.chainId(31337);
        market = here;
    }

    function _attestedElsewhere() private returns (Settlement memory s) {
        market = _deploy(_profile());
        _approveEverybody();
        _projectWith(1); // so that numbers are the same as in the first market
        project = _projectWith(8);
        round = _toSettle(project, 8);
        s = _equalSettlement(8);
        _back();
        _approveEverybody();
    }

    // ---- scenes

    function _revealing() private returns (CommitLeaf[] memory batch) {
        batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
    }

    function _settling() private {
        CommitLeaf[] memory batch = _revealing();
        _reveal(project, round, batch, 0, 8);
    }

    /// @dev Settled, with a model that waits for receipts.
    function _pending() private returns (bytes32 model) {
        _settling();
        _settle(project, round, 8);
        model = market.progressOf(project).pendingModel;
        vm.assertTrue(model != 0);
    }

    function _refused(bytes memory call, bytes4 selector) private {
        vm.prank(stranger);
        (bool ok, bytes memory data) = address(market).call(call);
        vm.assertFalse(ok, "must revert");
        vm.assertEq(bytes32(bytes4(data)), bytes32(selector));
    }

    function _notAttested(Settlement memory s) private {
        bytes memory call = _settleCall(s);
        vm.prank(aggregator);
        (bool ok, bytes memory data) = address(market).call(call);
        vm.assertFalse(ok, "must revert");
        vm.assertEq(bytes32(bytes4(data)), bytes32(AttestedVerifier.AttestationInvalid.selector));
    }

    // ---- what is signed

    function _rowsStruct(uint256 p, uint32 r, bytes32 rows) private pure returns (bytes32) {
        return keccak256(
            abi.encode(keccak256("PublicRows(uint256 project,uint32 round,bytes32 rows)"), p, r, rows)
        );
    }

    function _modelStruct(uint256 p, bytes32 model) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("ModelReceipt(uint256 project,bytes32 model)"), p, model));
    }

    function _signClaim(uint256 p, uint32 member, ClaimItem[] memory items) private view returns (bytes memory) {
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry)"),
                p,
                member,
                keccak256(abi.encodePacked(Packed.items(items))),
                stranger,
                type(uint64).max
            )
        );
        return _signature(trainerKeys[2], _digest("CohortMarket", address(market), struct_));
    }

    function _postCall(bytes32 rows, WitnessSignature[] memory list) private view returns (bytes memory) {
        return abi.encodeCall(market.postPublicRows, (project, round, rows, list));
    }

    function _modelCall(WitnessSignature[] memory list) private view returns (bytes memory) {
        return abi.encodeCall(market.receiptModel, (project, list));
    }
}
