"""docs/protocol against the contracts: calls, phases, windows, errors, events, signed types, constants, profiles."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import pytest
from cohort_devnet.compiler import ensure_artifacts
from cohort_protocol import commitments
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.profiles import PROFILES
from cohort_protocol.chain.types import LeafSkip, SkipReason, deadlines
from cohort_protocol.chain.types import Windows as WindowLengths
from cohort_protocol.phases import Phase

from tests.docs import solidity
from tests.docs.markdown import PAGES, code, page, table, tables, whole

MARKET = contract_abi("CohortMarket")
_ENTRIES = json.loads(resources.files("cohort_protocol.chain").joinpath("abi/CohortMarket.json").read_text())
CHANGING = {
    entry["name"]: MARKET.functions[entry["name"]]
    for entry in _ENTRIES
    if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
}
OTHERS = ("ProvenVerifier", "DefaultPolicy", "AttestedVerifier", "SuppliedScores", "MarketLens")


def _signature(item: Any) -> str:
    return f"{item.name}({', '.join(parameter.name for parameter in item.inputs)})"


# --- states.md --------------------------------------------------------------------------------------------------------


def _call_rows() -> list[dict[str, str]]:
    return [row for one in tables("states.md") if one.columns[0] == "call" for row in one.rows]


def test_every_call_stands_in_the_table_once_with_its_parameters() -> None:
    assert sorted(code(row["call"])[0] for row in _call_rows()) == sorted(map(_signature, CHANGING.values()))


@pytest.mark.parametrize("row", _call_rows(), ids=lambda row: code(row["call"])[0].partition("(")[0])
def test_phase_of_a_call_is_the_one_that_the_code_asks_for(row: dict[str, str]) -> None:
    name = code(row["call"])[0].partition("(")[0]
    if name == "multicall":  # OpenZeppelin's
        assert row["phase"] == "-"
        return
    assert set(code(row["phase"])) == solidity.phases_of(name)


def test_phases_are_those_of_the_contract() -> None:
    rows = table("states.md", "phase", "when").rows
    assert [code(row["phase"])[0].upper() for row in rows] == [phase.name for phase in Phase]
    assert [row["terminal"] == "yes" for row in rows] == [phase.terminal for phase in Phase]


def test_windows_are_those_of_the_struct() -> None:
    (profile,) = MARKET.functions["profile"].outputs
    (minimum,) = [part for part in profile.components if part.name == "minimum"]
    names = [part.name for part in minimum.components]
    assert [code(row["window"])[0] for row in table("states.md", "window").rows] == names
    assert [row[""].strip("`") for row in table("deployment.md", "", "`devnet`").rows][: len(names)] == names


def test_times_of_the_example() -> None:
    windows = WindowLengths(
        commit=600, guard=600, reveal=600, rescue=86_400, settle=3_600, takeover=3_600, self_commit=300
    )
    for row in table("states.md", "", "tC - selfCommit").rows:
        commit_end, reveal_end = whole(row["tC"]), whole(row["tR"])
        if row["tC - selfCommit"]:
            assert commit_end == 1_000_000 + windows.commit
            assert whole(row["tC - selfCommit"]) == commit_end - windows.self_commit
        if "revealed" not in row[""]:
            assert reveal_end == commit_end + windows.guard + windows.reveal
        later = deadlines(windows, 604_800, commit_end, reveal_end)
        found = [whole(row[name]) for name in ("tC + g", "tG", "tS", "tF", "slashEnd")]
        assert found == [
            later.reveal_start,
            later.rescue_end,
            later.acceptor_end,
            later.settle_end,
            later.slash_end,
        ]


def test_picture_names_every_phase_time_and_window_call() -> None:
    picture = page("round-states.svg")
    words = re.findall(r">([^<>]+)</text>", picture)
    for phase in Phase:
        assert phase is Phase.NONE or phase.name.title() in words
    for time in ("opened", "tC - selfCommit", "tC", "tC + g", "tR", "tG", "tS", "tF", "slashEnd"):
        assert time in words
    for call in ("commitBatch", "commitSelf", "reveal", "rescue", "slashNoReveal", "revealValidation", "closeRound"):
        assert call in words
        assert call in CHANGING


# --- reference.md -----------------------------------------------------------------------------------------------------


def _reference(column: str, other: str) -> dict[str, str]:
    """Signature -> second column of every table of errors, or of events."""
    rows = [row for one in tables("reference.md") if one.columns[:2] == (column, other) for row in one.rows]
    found = {code(row[column])[0]: row[other] for row in rows}
    assert len(found) == len(rows), "something is listed twice"
    return found


def test_every_error_of_the_market_is_explained() -> None:
    assert set(_reference("error", "by")) == set(map(_signature, MARKET.errors.values()))


def test_every_error_of_verifier_policy_and_lens_is_explained() -> None:
    expected = {_signature(error): name for name in OTHERS for error in contract_abi(name).errors.values()}
    assert {error: code(of)[0] for error, of in _reference("error", "of").items()} == expected


def test_every_event_is_listed() -> None:
    assert set(_reference("event", "by")) == {_signature(event) for event in MARKET.events.values()}


def _calls_named(cell: str) -> set[str]:
    if cell == "every call on a project":
        return {name for name, call in CHANGING.items() if call.inputs and call.inputs[0].name == "project"}
    return set(code(cell))


def _by_what(kind: str) -> dict[str, set[str]]:
    """Name -> the calls that can end in this error, or emit this event, by the sources."""
    reach = {"error": solidity.errors_of, "event": solidity.events_of}[kind]
    found: dict[str, set[str]] = {}
    for call in CHANGING.keys() - {"multicall"}:
        for name in reach(call):
            found.setdefault(name, set()).add(call)
    return found


@pytest.mark.parametrize("kind", ["error", "event"])
def test_calls_that_raise_or_emit_are_those_of_the_sources(kind: str) -> None:
    ours = {item.name for item in (*MARKET.errors.values(), *MARKET.events.values())}  # not the verifier's
    expected = {name: calls for name, calls in _by_what(kind).items() if name in ours}
    listed = {name.partition("(")[0]: _calls_named(cell) for name, cell in _reference(kind, "by").items()}
    assert {name: calls for name, calls in listed.items() if calls} == expected


@pytest.mark.parametrize("enum", [LeafSkip, SkipReason], ids=lambda enum: enum.__name__)
def test_reasons_are_those_of_the_contract(enum: type[LeafSkip] | type[SkipReason]) -> None:
    rows = table("reference.md", f"`{enum.__name__}`", "value").rows
    listed = {code(row[f"`{enum.__name__}`"])[0]: whole(row["value"]) for row in rows}
    assert {re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper(): value for name, value in listed.items()} == {
        reason.name: reason.value for reason in enum
    }


# --- signatures.md ----------------------------------------------------------------------------------------------------

TYPED = re.compile(r"\b[A-Z]\w+\((?:address|bytes32|uint\d+) [^)]*\)")


def test_signed_types_are_those_of_the_contracts() -> None:
    assert set(TYPED.findall(page("signatures.md"))) == solidity.typed_structures()


def test_signed_types_are_those_that_python_signs() -> None:
    def text(name: str, fields: list[tuple[str, str]]) -> str:
        return f"{name}({','.join(f'{kind} {field}' for kind, field in fields)})"

    assert {one for one in TYPED.findall(page("signatures.md")) if not one.startswith("CohortCommitment(")} == {
        text("Commit", commitments.COMMIT_TYPE),
        text("Receipt", commitments.RECEIPT_TYPE),
        text("ModelReceipt", commitments.MODEL_RECEIPT_TYPE),
        text("PublicRows", commitments.PUBLIC_ROWS_TYPE),
        text("ClaimTo", commitments.CLAIM_TO_TYPE),
        text("Settlement", commitments.SETTLEMENT_TYPE),
        text("ModelBytes", commitments.MODEL_BYTES_TYPE),
    }


def test_every_signed_type_says_who_signs_it() -> None:
    rows = table("signatures.md", "type", "signed by").rows
    names = {one.partition("(")[0] for one in solidity.typed_structures()} - {"CohortCommitment"}
    assert {code(row["type"])[0] for row in rows} == names
    for row in rows:
        assert code(row["checked in"])[0] in CHANGING


@pytest.mark.parametrize("domain", [commitments.MARKET_DOMAIN, commitments.VERIFIER_DOMAIN, commitments.PROVEN_DOMAIN])
def test_domains_are_named(domain: tuple[str, str]) -> None:
    assert f"`{domain[0]}`" in page("signatures.md")


# --- constants and profiles -------------------------------------------------------------------------------------------


def _constants() -> list[tuple[str, str, int]]:
    return [
        (path.name, code(row["constant"])[0], whole(row["value"]))
        for path in sorted(PAGES.glob("*.md"))
        for one in tables(path.name)
        if one.columns[:2] == ("constant", "value")
        for row in one.rows
    ]


def test_the_constants_that_matter_are_listed() -> None:
    assert {name for _, name, _ in _constants()} >= {
        "PRIOR",
        "MOST_CREDIT_OF_OWNER",
        "MOST_LOSS_OF_OWNER",
        "NO_REVEAL",
        "REJECTED",
        "REWARD_DIVISOR",
        "IDLE_SECONDS",
        "MAX_SLOTS",
    }


@pytest.mark.parametrize(("where", "name", "value"), [one for one in _constants() if one[1] != "MAX_AGGREGATORS"])
def test_constant_has_the_value_of_the_sources(where: str, name: str, value: int) -> None:
    assert value == solidity.constant(name), where


def test_most_aggregators() -> None:
    """One name, two bounds: at creation, and with those added later."""
    (row,) = [one for one in table("money.md", "constant").rows if "MAX_AGGREGATORS" in one["constant"]]
    values = {
        file: solidity.number(re.findall(r"constant MAX_AGGREGATORS = ([^;]+);", text)[0])
        for file, text in solidity.files().items()
        if "constant MAX_AGGREGATORS" in text
    }
    assert values.keys() == {"TermsCheck", "Projects"}
    assert whole(row["value"]) == values["TermsCheck"]
    assert f"; {values['Projects']} with those" in row["meaning"]


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles(profile: str) -> None:
    spec = PROFILES[profile]
    rows = {row[""]: whole(row[f"`{profile}`"]) for row in table("deployment.md", "", "`devnet`").rows}
    window = spec.minimum
    assert rows == {
        "`commit`": window.commit,
        "`guard`": window.guard,
        "`reveal`": window.reveal,
        "`rescue`": window.rescue,
        "`settle`": window.settle,
        "`takeover`": window.takeover,
        "`selfCommit`": window.self_commit,
        "slash window": spec.slash_window,
        "`protocolFeeBps`": spec.protocol_fee_bps,
    }


def test_least_windows_are_those_of_the_constructor() -> None:
    rows = table("deployment.md", "", "`devnet`").rows
    listed = {row[""].removesuffix(" window").strip("`"): row["least, off a local chain"] for row in rows}
    fee = listed.pop("protocolFeeBps")
    assert {name: whole(value) for name, value in listed.items()} == {
        name: other for name, (_, other) in solidity.least_windows().items()
    }
    assert whole(fee.removeprefix("at most ")) == solidity.constant("MAX_FEE_BPS")


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Any) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text())
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


# --- contracts/README.md ----------------------------------------------------------------------------------------------

README = solidity.ROOT / "contracts" / "README.md"


def test_readme_names_every_source() -> None:
    text = README.read_text()
    for path in solidity.SOURCES.rglob("*.sol"):
        assert path.parent.name == "interfaces" or re.search(rf"\b{path.stem}\b", text), f"{path.name} is not named"


def test_readme_names_every_command_and_no_other() -> None:
    scripts = json.loads((README.parent / "package.json").read_text())["scripts"]
    named = set(re.findall(r"npm run ([\w:]+)", README.read_text()))
    assert named <= scripts.keys()
    assert scripts.keys() - named <= {"test", "slither"}  # `npm test`; slither is run by `make slither`


def test_sizes_of_the_readme() -> None:
    artifacts = ensure_artifacts(solidity.ROOT)
    listed = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|$", README.read_text(), flags=re.M))
    assert listed.keys() == artifacts.keys() - {"TestToken"}
    for name, size in listed.items():
        found = len(artifacts[name].deployedBytecode.removeprefix("0x")) / 2_000
        assert abs(found - float(size)) < 0.5, f"{name} has {found:.1f} kB"


@pytest.mark.parametrize("path", [README, *sorted((solidity.ROOT / "docs" / "decisions").glob("*.md"))])
def test_links_of_readme_and_decisions_lead_somewhere(path: Any) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text())
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []
