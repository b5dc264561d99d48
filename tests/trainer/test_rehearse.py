"""`cohort rehearse`: from files, from a service, what it prints, and what it says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.learning.data import write_csv
from cohort_protocol.rehearsal.tasks import patterns
from cohort_protocol.service.messages import ProjectView
from cohort_protocol.spec import DataSpec, ProjectSpec
from cohort_trainer.cli import app
from cohort_trainer.errors import OwnerInputInvalid
from cohort_trainer.owner.templates import example_terms
from cohort_trainer.rehearsals.subject import from_files, from_service
from typer.testing import CliRunner, Result

SPEC = """\
title = "Three kinds <of> [red]things"
[model]
family = "mlp"
config = {hidden = [6]}
[data]
shape = [5]
classes = 3
[training]
local_epochs = 2
augment_shift = 0
[policy]
name = "peer"
"""
QUICK = ["--seeds", "1", "--rounds", "2", "--partition", "iid"]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["rehearse", *map(str, arguments)])


def test_a_spec_file_is_rehearsed_in_words_and_numbers(spec: Path) -> None:
    result = run(spec, "--attack", "noise", "--attack", "clones", "--share", "0.4", *QUICK)
    assert result.exit_code == 0, result.output
    assert "[red]things" in result.output
    assert "3 of 8 trainers cheat, 2 rounds, 1 seed\n" in result.output
    assert "synthetic patterns" in result.output
    assert "noise: each of the 3 cheats earned" in result.output
    assert "one data owner under 3 names earned" in result.output


def test_several_attacks_at_once_are_named_with_what_paid_best(spec: Path) -> None:
    result = run(spec, "--attack", "Noise+k-clones", "--share", "0.4", *QUICK)
    assert result.exit_code == 0, result.output
    assert "3 of 8 trainers cheat" in result.output
    assert "Noise+k-clones: of 2 attacks at once k-clones paid best: a data owner earned" in result.output
    refused = run(spec, "--attack", "noise+zeros", "--share", "0.1", *QUICK)
    assert refused.exit_code == 10
    assert "too few" in refused.output


def test_a_project_on_chain_is_rehearsed_through_a_home(stage) -> None:
    home = stage.home(stage.scene.owner, "owner")
    result = run(stage.scene.project, "--home", home.root, "--attack", "noise", "--json", *QUICK)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["title"] == stage.plan.spec.title
    assert found["policy"] == stage.plan.spec.policy.name
    assert found["trainers"] == stage.plan.terms.slots
    assert [each["attack"] for each in found["attacks"]] == ["noise"]
    absent = run(stage.scene.project + 7, "--home", home.root, "--attack", "noise", *QUICK)
    assert absent.exit_code != 0
    assert "Traceback" not in absent.output


def test_json_and_the_page_say_the_same(spec: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = run(spec, "--attack", "alie:z=1", "--json", "--report", page, *QUICK)
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    (one,) = content["attacks"]
    assert (content["policy"], content["trainers"], one["attack"]) == ("peer", 8, "alie:z=1")
    html = page.read_text()
    assert "Three kinds &lt;of&gt; [red]things" in html
    assert "<of>" not in html
    assert f"{one['gain_over_honest_pay']:.2f}x" in html
    assert "http" not in html


def test_the_same_command_gives_the_same_bytes(spec: Path) -> None:
    first, again = (run(spec, "--attack", "step-noise", "--json", *QUICK).stdout for _ in range(2))
    assert first == again


def test_terms_give_slots_cap_and_money(spec: Path, tmp_path: Path) -> None:
    terms = tmp_path / "terms.toml"
    terms.write_text(example_terms(None, None, None).replace("slots = 8", "slots = 5"))
    subject = from_files(spec, terms, None)
    assert (subject.rules.trainers, subject.rules.share_cap) == (5, 4)
    assert subject.rules.distributable == 99 * 10**18
    assert subject.batches
    terms.write_text(terms.read_text().replace('stake = "25', f'validation_root = "0x{"00" * 32}"\nstake = "25'))
    assert not from_files(spec, terms, None).batches
    assert from_files(spec, terms, True).batches


def test_a_published_spec_is_read_too(tmp_path: Path) -> None:
    published = published_spec()
    path = tmp_path / "spec.json"
    path.write_bytes(published.to_bytes())
    assert from_files(path, None, None).architecture.dimension == published.model.dimension
    path.write_text(path.read_text().replace(f'"dimension":{published.model.dimension}', '"dimension":7'))
    with pytest.raises(OwnerInputInvalid, match="dimension 7"):
        from_files(path, None, None)


def published_spec() -> ProjectSpec:
    from cohort_protocol.learning.architecture import parse_architecture

    data = DataSpec(shape=[5], classes=3)
    dimension = parse_architecture("mlp", {"hidden": [6]}, data).dimension
    return ProjectSpec.model_validate(
        {
            "title": "Things",
            "model": {
                "family": "mlp",
                "config": {"hidden": [6]},
                "initial_cid": "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
                "initial_commitment": "0x" + "11" * 32,
                "dimension": dimension,
                "exponent": -14,
            },
            "data": data.model_dump(mode="json"),
            "policy": {"name": "peer"},
        }
    )


def test_a_service_that_lacks_the_spec_is_said_so() -> None:
    view = ProjectView.model_construct(id=3, spec=None, spec_cid="bafy")
    with pytest.raises(OwnerInputInvalid, match="does not have the spec"):
        from_service(view, None)


def test_own_data_are_used(spec: Path, tmp_path: Path) -> None:
    data = DataSpec(shape=[5], classes=3)
    own = tmp_path / "mine.csv"
    write_csv(own, patterns(data, 400, 1), data)
    result = run(spec, "--attack", "zeros", "--data", own, "--batch", "16", *QUICK)
    assert result.exit_code == 0, result.output
    assert "mine.csv" in result.output.replace("\n", "")
    few = tmp_path / "few.npz"
    np.savez(few, inputs=np.zeros((20, 5), np.float32), labels=np.zeros(20, np.int64))
    refused = run(spec, "--attack", "zeros", "--data", few, *QUICK)
    assert refused.exit_code != 0


def test_every_attack_is_listed_with_its_source() -> None:
    rows = json.loads(run("--attack", "list", "--json").stdout)
    assert len(rows) >= 20
    assert all(len(row["source"]) > 60 for row in rows)
    assert "min-max" in run("--attack", "list").output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["{spec}"], 10),
        (["{spec}", "--attack", "bribe"], 11),
        (["{spec}", "--attack", "alie:q=1"], 10),
        (["{spec}", "--attack", "alie", "--share", "1"], 10),
        (["{spec}", "--attack", "alie", "--partition", "odd"], 11),
        (["{spec}", "--attack", "alie", "--policy", "odd"], 11),
        (["{spec}", "--attack", "alie", "--policy", "fltrust", "--no-batches"], 10),
        (["{spec}", "--attack", "alie", "--trainers", "40"], 10),
        (["{spec}", "--attack", "alie", "--batch", "100000", "--trainers", "2"], 0),
        (["missing.toml", "--attack", "alie"], 10),
        (["7", "--attack", "alie"], 10),
        (["--attack", "alie"], 10),
    ],
)
def test_what_cannot_be_rehearsed_ends_with_a_number_and_no_traceback(
    spec: Path, arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COHORT_OWNER_HOME", raising=False)
    result = run(*QUICK, *(text.format(spec=spec) for text in arguments))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
