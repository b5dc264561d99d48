// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CohortMarket, Parts} from "../../src/CohortMarket.sol";
import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {ListedToken, Profile, ProjectTerms, Windows} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";

contract DeploymentTest is MarketScene {
    Parts private parts_;

    function setUp() public override {
        super.setUp();
        (parts_.resolution, parts_.settlement, parts_.projects, parts_.accounts) = market.parts();
    }

    // ---- windows

    function test_Constructor_RevertWhen_AWindowIsBelowTheLocalFloor() public {
        vm.assertEq(block.chainid, 31337);
        Profile memory p = _profile();
        p.minimum = Windows(1, 0, 1, 1, 1, 1, 0);
        p.slashWindow = 1;
        new CohortMarket(p, parts_); // the least that works at all
        bytes32[6] memory names = [
            bytes32("commit window"), "reveal window", "rescue window", "settle window", "takeover window", "slash window"
        ];
        for (uint256 i; i < 6; ++i) {
            Profile memory q = _profile();
            _set(q, names[i], 0);
            _tooShort(q, names[i], 0, 1);
        }
    }

    function test_Constructor_RevertWhen_AWindowIsBelowTheFloorOfAPublicChain() public {
        vm.chainId(1);
        bytes32[8] memory names = [
            bytes32("commit window"),
            "guard window",
            "reveal window",
            "rescue window",
            "settle window",
            "takeover window",
            "selfCommit window",
            "slash window"
        ];
        uint32[8] memory floors = [uint32(600), 600, 600, 86_400, 600, 600, 120, 86_400];
        new CohortMarket(_publicProfile(), parts_);
        for (uint256 i; i < 8; ++i) {
            Profile memory p = _publicProfile();
            _set(p, names[i], floors[i] - 1);
            _tooShort(p, names[i], floors[i] - 1, floors[i]);
        }
    }

    function test_Constructor_RevertWhen_TheDevnetProfileIsDeployedOnAPublicChain() public {
        Profile memory p = _profile();
        new CohortMarket(p, parts_);
        vm.chainId(8453);
        _tooShort(p, "commit window", 1, 600);
    }

    function test_Constructor_RevertWhen_TheSlashWindowIsTooLong() public {
        Profile memory p = _profile();
        p.slashWindow = 365 days + 1;
        vm.expectRevert(abi.encodeWithSelector(IProjects.TermsInvalid.selector, bytes32("slash window"), 365 days + 1, 365 days));
        new CohortMarket(p, parts_);
        p.slashWindow = 365 days;
        new CohortMarket(p, parts_);
    }

    // ---- fee

    function test_Constructor_RevertWhen_TheFeeIsAboveAFifth() public {
        Profile memory p = _profile();
        p.protocolFeeBps = 2_001;
        vm.expectRevert(abi.encodeWithSelector(IProjects.TermsInvalid.selector, bytes32("protocolFeeBps"), 2_001, 2_000));
        new CohortMarket(p, parts_);
        p.protocolFeeBps = 2_000;
        new CohortMarket(p, parts_);
    }

    // ---- parts

    function test_Constructor_RevertWhen_APartHasNoCode() public {
        address nobody = address(0xdead);
        for (uint256 i; i < 4; ++i) {
            Parts memory q = parts_;
            if (i == 0) q.resolution = nobody;
            else if (i == 1) q.settlement = nobody;
            else if (i == 2) q.projects = nobody;
            else q.accounts = nobody;
            Profile memory p = _profile();
            vm.expectRevert(abi.encodeWithSelector(ICohortMarket.PartMissing.selector, nobody));
            new CohortMarket(p, q);
        }
    }

    // ---- what is fixed

    function test_Profile_WhenItIsReadBack() public view {
        vm.assertEq(abi.encode(market.profile()), abi.encode(_profile()));
    }

    function test_Constructor_WhenListsAreEmpty() public {
        Profile memory p = _profile();
        p.verifiers = new bytes32[](0);
        p.policies = new bytes32[](0);
        p.tokens = new ListedToken[](0);
        market = ICohortMarket(address(new CohortMarket(p, parts_)));
        vm.assertEq(abi.encode(market.profile()), abi.encode(p));
        ProjectTerms memory t = _terms();
        bytes32 hash = address(verifier).codehash;
        bytes memory refused =
            abi.encodeWithSelector(IProjects.CodeHashNotAllowed.selector, bytes32("verifier"), hash, hash);
        _reverts(owner, abi.encodeCall(market.createProject, (t, 0)), refused);
    }

    function test_CreateProject_RevertWhen_WindowsAreShorterThanTheDeployments() public {
        vm.chainId(1);
        market = ICohortMarket(address(new CohortMarket(_publicProfile(), parts_)));
        ProjectTerms memory t = _terms();
        bytes memory short = abi.encodeWithSelector(IProjects.TermsInvalid.selector, bytes32("commit window"), 60, 600);
        _reverts(owner, abi.encodeCall(market.createProject, (t, 0)), short);
        t.windows = Windows(600, 600, 600, 86_400, 600, 600, 120);
        t.windows.guard = 599;
        short = abi.encodeWithSelector(IProjects.TermsInvalid.selector, bytes32("guard window"), 599, 600);
        _reverts(owner, abi.encodeCall(market.createProject, (t, 0)), short);
        t.windows.guard = 600;
        t.windows.selfCommit = 119;
        short = abi.encodeWithSelector(IProjects.TermsInvalid.selector, bytes32("selfCommit window"), 119, 120);
        _reverts(owner, abi.encodeCall(market.createProject, (t, 0)), short);
        t.windows.selfCommit = 120;
        _works(owner, abi.encodeCall(market.createProject, (t, 0)));
    }

    /// @dev Every part and the market itself stay below the limit of EIP-170.
    function test_Code_WhenItIsDeployed() public view {
        vm.assertLt(address(market).code.length, 24_576);
        vm.assertLt(parts_.resolution.code.length, 24_576);
        vm.assertLt(parts_.settlement.code.length, 24_576);
        vm.assertLt(parts_.projects.code.length, 24_576);
        vm.assertLt(parts_.accounts.code.length, 24_576);
    }

    /// @dev No write to the lists, the fee or the owner of anything exists: selectors of the usual admin calls are unknown.
    function test_Market_WhenSomebodyLooksForAnAdmin() public {
        string[6] memory names = [
            "owner()", "transferOwnership(address)", "pause()", "upgradeTo(address)", "setFee(uint256)", "initialize()"
        ];
        for (uint256 i; i < 6; ++i) {
            vm.assertFalse(_wouldWork(owner, abi.encodeWithSignature(names[i], owner)));
        }
    }

    function _publicProfile() private view returns (Profile memory p) {
        p = _profile();
        p.minimum = Windows(600, 600, 600, 86_400, 600, 600, 120);
        p.slashWindow = 86_400;
    }

    function _set(Profile memory p, bytes32 name, uint32 value) private pure {
        if (name == "commit window") p.minimum.commit = value;
        else if (name == "guard window") p.minimum.guard = value;
        else if (name == "reveal window") p.minimum.reveal = value;
        else if (name == "rescue window") p.minimum.rescue = value;
        else if (name == "settle window") p.minimum.settle = value;
        else if (name == "takeover window") p.minimum.takeover = value;
        else if (name == "selfCommit window") p.minimum.selfCommit = value;
        else p.slashWindow = value;
    }

    function _tooShort(Profile memory p, bytes32 what, uint256 found, uint256 least) private {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.WindowTooShort.selector, what, found, least));
        new CohortMarket(p, parts_);
    }
}
