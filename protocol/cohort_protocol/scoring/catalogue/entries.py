"""The catalogue as a table: every name with its paper, what it needs, what it pays and when to use it.

Documentation (`docs/policies.md`), command line and API show this table and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from cohort_protocol.scoring.catalogue.clipping import CentredClippingPolicy, NormClipPolicy
from cohort_protocol.scoring.catalogue.coordinatewise import BulyanPolicy, CoordinateMedianPolicy, TrimmedMeanPolicy
from cohort_protocol.scoring.catalogue.fedavg import FedAvgPolicy
from cohort_protocol.scoring.catalogue.flag import FlagAggregatorPolicy
from cohort_protocol.scoring.catalogue.geometric import GeometricMedianPolicy, RfaPolicy
from cohort_protocol.scoring.catalogue.krum import MultiKrumPolicy
from cohort_protocol.scoring.catalogue.nearest import MonnaPolicy
from cohort_protocol.scoring.catalogue.similarity import CgsvPolicy, FoolsGoldPolicy
from cohort_protocol.scoring.catalogue.three_sigma import ThreeSigmaPolicy
from cohort_protocol.scoring.catalogue.validation import DigFlPolicy, FlTrustPolicy, LeaveOneOutPolicy
from cohort_protocol.scoring.default import DefaultPolicy
from cohort_protocol.scoring.peer import PeerPolicy


class Need(StrEnum):
    """What a policy must be given."""

    GRAM = "gram"
    """The Gram matrix of the updates."""
    FULL_UPDATES = "full-updates"
    """The updates themselves, coordinate by coordinate: beyond a proof over the Gram matrix."""
    PAST_STEPS = "past-steps"
    """The last global steps; a project always has them."""
    VALIDATION_ROWS = "validation-rows"
    """Gradients or values on a validation batch: the terms must fix a validation root."""
    VALIDATION_MODEL = "validation-model"
    """A validation batch and a machine that runs models on it: for reports, never for pay."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a policy: a whole number in low .. high."""

    name: str
    default: int
    low: int
    high: int


@dataclass(frozen=True)
class CatalogueEntry:
    """One name. Without `build` it is a score for reports and judges no round."""

    name: str
    title: str
    paper: str
    needs: tuple[Need, ...]
    """All of them are needed, but `uses`."""
    pays: str
    when: str
    build: Callable[[Mapping[str, Any]], Any] | None
    uses: tuple[Need, ...] = ()
    """What it reads where it is there."""

    @property
    def settles(self) -> bool:
        """Whether a project may be paid by it."""
        return self.build is not None

    def parameters(self) -> tuple[Parameter, ...]:
        """What a spec may set; none for a score for reports."""
        if self.build is None:
            return ()
        defaults = self.build({}).parameters
        return tuple(
            Parameter(field.name, int(getattr(defaults, field.name)), *field.metadata["range"])
            for field in fields(defaults)
        )

    def as_json(self) -> dict[str, Any]:
        """For the API and `cohort policies --json`."""
        return {
            "name": self.name,
            "title": self.title,
            "paper": self.paper,
            "settles": self.settles,
            "needs": [need.value for need in self.needs],
            "uses": [need.value for need in self.uses],
            "pays": self.pays,
            "when": self.when,
            "parameters": [asdict(parameter) for parameter in self.parameters()],
        }


_GRAM = (Need.GRAM,)
_FULL = (Need.GRAM, Need.FULL_UPDATES)
_VALIDATION = (Need.GRAM, Need.VALIDATION_ROWS)
_MODEL = (Need.VALIDATION_MODEL,)
_CHOSEN = "chosen rows equally, the others nothing"
_ALONG = "by the cosine with the step, if positive"

ENTRIES: tuple[CatalogueEntry, ...] = (
    CatalogueEntry(
        "default",
        "Default policy",
        "this protocol, section 6",
        (Need.GRAM, Need.PAST_STEPS),
        "by measured value on the batch as far as it can be believed, and by agreement; clones as one",
        "Take this one; without a validation set it goes by agreement alone.",
        DefaultPolicy.from_params,
        (Need.VALIDATION_ROWS,),
    ),
    CatalogueEntry(
        "peer",
        "Peer policy",
        "this protocol, section 6",
        (Need.GRAM, Need.PAST_STEPS),
        "by agreement with the others, gated by novelty",
        "No validation data: the fallback of every policy that reads some.",
        PeerPolicy.from_params,
    ),
    CatalogueEntry(
        "fedavg",
        "Federated averaging",
        "McMahan et al., AISTATS 2017",
        _GRAM,
        "all rows equally, zeros among them",
        "Trainers who trust each other; a baseline to compare with.",
        FedAvgPolicy.from_params,
    ),
    CatalogueEntry(
        "norm-clip",
        "Norm clip",
        "Sun et al., 2019",
        _GRAM,
        "all rows equally",
        "Trainers who trust each other but whose data differ much in size.",
        NormClipPolicy.from_params,
    ),
    CatalogueEntry(
        "multi-krum",
        "Multi-Krum",
        "Blanchard et al., NeurIPS 2017",
        _GRAM,
        _CHOSEN,
        "Data alike for all, a known share of attackers; drops honest rows that differ.",
        MultiKrumPolicy.from_params,
    ),
    CatalogueEntry(
        "monna",
        "Nearest-neighbour averaging (MoNNA)",
        "Farhadkhani et al., ICML 2023",
        _GRAM,
        _CHOSEN,
        "As multi-Krum, with any f below half of the rows.",
        MonnaPolicy.from_params,
    ),
    CatalogueEntry(
        "three-sigma",
        "Three sigma",
        "Pukelsheim, The American Statistician 1994; Han et al., 2023",
        _GRAM,
        "rows that are no outliers equally, outliers nothing",
        "Crude faults and crude attacks: rejects nobody from a round without outliers.",
        ThreeSigmaPolicy.from_params,
    ),
    CatalogueEntry(
        "geometric-median",
        "Geometric median",
        "Weiszfeld, 1937; Chen, Su, Xu, POMACS 2017",
        _GRAM,
        _ALONG,
        "Up to half of the rows hostile, without a number to choose.",
        GeometricMedianPolicy.from_params,
    ),
    CatalogueEntry(
        "rfa",
        "RFA, smoothed geometric median",
        "Pillutla, Kakade, Harchaoui, IEEE TSP 2022",
        _GRAM,
        _ALONG,
        "As the geometric median, gentler to rows that differ.",
        RfaPolicy.from_params,
    ),
    CatalogueEntry(
        "centred-clipping",
        "Centred clipping",
        "Karimireddy, He, Jaggi, ICML 2021",
        _GRAM,
        _ALONG,
        "Large deviations bounded, small ones untouched.",
        CentredClippingPolicy.from_params,
    ),
    CatalogueEntry(
        "flag-aggregator",
        "Flag Aggregator",
        "Almasi et al., ICLR 2024",
        _GRAM,
        _ALONG,
        "Noise of high rank in many rows; slow above 32 rows.",
        FlagAggregatorPolicy.from_params,
    ),
    CatalogueEntry(
        "foolsgold",
        "FoolsGold",
        "Fung, Yoon, Beschastnikh, RAID 2020",
        _GRAM,
        "by weight in the model",
        "Many clones among trainers whose data differ; weighs a lone attacker up.",
        FoolsGoldPolicy.from_params,
    ),
    CatalogueEntry(
        "coordinate-median",
        "Coordinate-wise median",
        "Yin et al., ICML 2018",
        _FULL,
        _ALONG,
        "Up to half of the rows hostile; loses much on data that differ.",
        CoordinateMedianPolicy.from_params,
    ),
    CatalogueEntry(
        "trimmed-mean",
        "Trimmed mean",
        "Yin et al., ICML 2018",
        _FULL,
        _ALONG,
        "A known share of attackers with large values.",
        TrimmedMeanPolicy.from_params,
    ),
    CatalogueEntry(
        "bulyan",
        "Bulyan",
        "El Mhamdi, Guerraoui, Rouault, ICML 2018",
        _FULL,
        "chosen rows by the cosine with the step, the others nothing",
        "Attackers who hide in many coordinates; less than a quarter of the rows.",
        BulyanPolicy.from_params,
    ),
    CatalogueEntry(
        "cgsv",
        "Cosine-gradient Shapley value (CGSV)",
        "Xu et al., NeurIPS 2021",
        _GRAM,
        "by the cosine with the sum of all rows, if positive",
        "A simple score without data, among trainers who do not attack.",
        CgsvPolicy.from_params,
    ),
    CatalogueEntry(
        "fltrust",
        "FLTrust",
        "Cao et al., NDSS 2021",
        _VALIDATION,
        "by the cosine with the validation gradient, if positive",
        "Any number of attackers, with clean validation data; ignores clones and replays.",
        FlTrustPolicy.from_params,
        (Need.PAST_STEPS,),
    ),
    CatalogueEntry(
        "dig-fl",
        "DIG-FL",
        "Wang et al., ICDE 2022",
        _VALIDATION,
        "by the first order drop of the validation loss, if positive",
        "Clean validation data and trainers who do not inflate their updates.",
        DigFlPolicy.from_params,
        (Need.PAST_STEPS,),
    ),
    CatalogueEntry(
        "leave-one-out",
        "Leave-one-out, first order",
        "Cook, Technometrics 1977; Ghorbani, Zou, ICML 2019",
        _VALIDATION,
        "by how far it beats the mean of the others, if at all",
        "A baseline; about half of honest rows earn nothing.",
        LeaveOneOutPolicy.from_params,
        (Need.PAST_STEPS,),
    ),
    CatalogueEntry(
        "leave-one-out-models",
        "Leave-one-out, by models",
        "Cook, Technometrics 1977; Ghorbani, Zou, ICML 2019",
        _MODEL,
        "nothing: a report",
        "n + 1 models: who was decisive.",
        None,
    ),
    CatalogueEntry(
        "exact-shapley",
        "Exact Shapley values",
        "Shapley, 1953",
        _MODEL,
        "nothing: a report",
        "Up to 12 rows, 2^n models: what all other scores are measured against.",
        None,
    ),
    CatalogueEntry(
        "gtg-shapley",
        "GTG-Shapley",
        "Liu et al., ACM TIST 2022",
        _MODEL,
        "nothing: a report",
        "Any number of rows, some hundreds of models.",
        None,
    ),
    CatalogueEntry(
        "logit-average-shapley",
        "Logit-average Shapley",
        "this protocol, section 6; Wortsman et al., ICML 2022",
        _MODEL,
        "nothing: a report",
        "n + 1 forward passes: the audit of a round.",
        None,
    ),
)
