"""A run from the first process to the last claim."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import psutil
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.token import Token
from cohort_protocol.errors import CohortError
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.learning.data import write_csv
from cohort_protocol.proof.project_srs import scheme_of
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.proof.srs import open_srs
from cohort_protocol.service.client import ServiceClient
from cohort_trainer.projects import VerifiedProject

from cohort_devnet.demo.accuracy import AccuracyMeter
from cohort_devnet.demo.baselines import BaselineResult, BaselineTask
from cohort_devnet.demo.collect import collect_rounds, collect_trainers
from cohort_devnet.demo.display import Display, MarketView
from cohort_devnet.demo.drama import Drama
from cohort_devnet.demo.headline import headline_of
from cohort_devnet.demo.history import History
from cohort_devnet.demo.money import re_add
from cohort_devnet.demo.next_steps import OpenMarket
from cohort_devnet.demo.parts import LocalParts, PartsPlan, python_module
from cohort_devnet.demo.people import Keys
from cohort_devnet.demo.privacy import try_every_key
from cohort_devnet.demo.project import (
    TrainerPlace,
    create_project,
    end_project,
    make_places,
    mint_tokens,
    open_owner,
    start_owner,
    start_trainer,
)
from cohort_devnet.demo.report import HONEST, Baseline, Privacy, Project, Report, Round, Timing
from cohort_devnet.demo.settings import (
    AGGREGATOR_FEE,
    BOND,
    PROTOCOL_FEE,
    ROUND_BUDGET,
    WITNESSES,
    DemoSettings,
)
from cohort_devnet.demo.task import POLICY, Task, demo_task
from cohort_devnet.demo.watch import MarketWatch
from cohort_devnet.demo.wording import shown_path
from cohort_devnet.reference_string import devnet_srs
from cohort_devnet.supervisor import ProcessEvent, ProcessPlan, Supervisor

CLAIM_SECONDS = 120.0
BASELINE_SECONDS = 600.0
BASELINE_NICENESS = 10


class RunFolderBusy(CohortError):
    """Another run uses the same folder."""

    code = "run-folder-busy"


@dataclass
class Clock:
    """Seconds since the start, by what was finished then."""

    started: float = field(default_factory=time.monotonic)
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        self.marks[name] = time.monotonic() - self.started

    def between(self, before: str | None, after: str) -> float:
        return round(self.marks[after] - (self.marks[before] if before else 0.0), 2)


class DemoMarket:
    """One run. `run` leaves the parts running; closing the supervisor ends them."""

    def __init__(
        self, settings: DemoSettings, display: Display, supervisor: Supervisor, *, baselines_beside: bool = True
    ) -> None:
        """`baselines_beside`: compute the baselines while the market runs; False: afterwards, so that they take no
        time from it (for measurements)."""
        self.settings = settings
        self._baselines_beside = baselines_beside
        self.display = display
        self.supervisor = supervisor
        self.clock = Clock()
        self.keys = Keys.of_seed(settings.seed, WITNESSES, settings.trainers)
        self.parts = LocalParts(
            PartsPlan(
                folder=settings.run_folder,
                chain_state=settings.chain_state,
                deployment_file=settings.deployment_file,
                ipfs=settings.ipfs,
                database_url=settings.database_url,
                broker_url=settings.broker_url,
                port=settings.port,
                srs=devnet_srs() if settings.settlement == "proven" else None,
            ),
            supervisor,
            self.keys,
        )
        self.places: list[TrainerPlace] = []
        self.project = 0
        self.task: Task | None = None
        self._stack = ExitStack()

    def run(self) -> Report:
        """The whole market; returns the report. Raises `CohortError` if it could not be finished."""
        with self._stack:
            self._set_up()
            watch, drama = self._watch()
            self._finish(watch)
            return self._report(watch, drama)

    # --- set-up ------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        settings, parts, tell = self.settings, self.parts, self.display.step
        parts.find_store(self.display.event)
        with ThreadPoolExecutor(2) as pool:
            made = pool.submit(demo_task, settings.seed, settings.trainers)
            store = pool.submit(parts.start_store)
            where = parts.start_chain()
            tell(f"chain at {parts.chain_url}, market {where.market}")
            store.result()
            parts.start_services()
            tell(f"API, also for a browser, at {parts.api_url}, worker, {WITNESSES} witnesses, store {parts.ipfs_url}")
            self.task = made.result()
        self.places = make_places(parts, settings, self.task)
        mint_tokens(parts, self.keys.owner, self.keys.trainers, settings.stake)
        self.owner = self._stack.enter_context(open_owner(parts))
        self.project = create_project(self.owner, parts, settings, self.task, slots=settings.trainers)
        tell(f"project {self.project} created and funded through the API")
        if settings.private:
            tell(f"updates are sealed for {', '.join(self.keys.readers())}: nobody else can read one")
        self._write_addresses()
        start_owner(parts, self.project)
        for place in self.places:
            start_trainer(parts, place, self.project, claim=True)
        cheats = ", ".join(f"{place.name} ({place.role})" for place in self.places if place.role != HONEST)
        tell(f"{len(self.places)} trainers started; cheats: {cheats or 'none'}")
        run = shown_path(settings.run_folder)
        tell(f"process ids in {run}/processes.json, a log each in {run}/logs")
        if self._baselines_beside:
            self._start_baselines()
        self.clock.mark("set-up")

    def _write_addresses(self) -> None:
        """addresses.json beside processes.json: where a running market can be looked at."""
        parts, where = self.parts, self.parts.deployment
        content = {
            "api": parts.api_url,
            "chain": parts.chain_url,
            "ipfs": parts.ipfs_url,
            "market": where.market,
            "token": parts.token,
            "project": self.project,
        }
        partial = self.settings.run_folder / "addresses.json.partial"
        partial.write_text(json.dumps(content, indent=1))
        partial.replace(self.settings.run_folder / "addresses.json")

    def _start_baselines(self) -> None:
        """Beside the market, at low priority: it would be idle for half of the time."""
        folder = self.settings.run_folder
        task = BaselineTask(
            seed=self.settings.seed,
            rounds=self.settings.rounds,
            functions=[place.function for place in self.places],
        )
        (folder / "baseline-task.json").write_text(task.model_dump_json())
        argv = python_module(
            "cohort_devnet.demo.baselines", str(folder / "baseline-task.json"), str(folder / "baseline.json")
        )
        self.supervisor.start(
            ProcessPlan("baselines", argv, {"OMP_NUM_THREADS": "1"}, niceness=BASELINE_NICENESS, tier=2)
        )

    # --- rounds ------------------------------------------------------------------------------------------------

    def _watch(self) -> tuple[MarketWatch, Drama | None]:
        settings, parts = self.settings, self.parts
        assert self.task is not None
        service = self._stack.enter_context(ServiceClient(parts.api_url))
        token = Token(parts.client, parts.token)
        view = MarketView(
            rounds=settings.rounds,
            people={place.account.address: (place.name, place.role) for place in self.places},
            symbol=token.symbol(),
            decimals=token.decimals(),
        )
        meter = AccuracyMeter(parts.ipfs_url, self.task, self._scheme(self.task.architecture.dimension))
        watch = MarketWatch(service, self.project, settings.rounds, meter, self.display, view, self.supervisor)
        drama = self._drama(service) if settings.drama else None
        if drama is not None:
            watch.on_state = drama.on_state
        watch.run()
        self.clock.mark("rounds")
        return watch, drama

    def _scheme(self, dimension: int) -> CommitmentScheme:
        """How the run's project commits to models."""
        file = self.parts.plan.srs
        return scheme_of("attested", None) if file is None else scheme_of("proven", open_srs(file, dimension))

    def _drama(self, service: ServiceClient) -> Drama:
        honest = next((place.name for place in self.places if place.role == HONEST), self.places[0].name)
        return Drama(
            supervisor=self.supervisor,
            service=service,
            project=self.project,
            middle=(self.settings.rounds + 1) // 2,
            trainer=honest,
            ipfs_url=self.parts.ipfs_url,
            blocks=self.parts.ipfs_blocks if self.settings.ipfs in ("embedded", "kubo") else None,
            tell=self.display.event,
            proven=self.settings.settlement == "proven",
        )

    def _finish(self, watch: MarketWatch) -> None:
        """The owner takes back what is left; every trainer's process claims and ends."""
        if self._baselines_beside:
            self.supervisor.restore_priority("baselines")
        end_project(self.owner, self.project)
        market = Market(self.parts.client, self.parts.deployment.market)
        if market.ledger_of(self.project).protocol_fees:
            # Anyone may: they go to the recipient that the deployment fixed.
            sender = self.parts.sender(self.keys.deployer)
            sender.execute(market.collect_protocol_fees(self.project), f"collect fees of project {self.project}")
        deadline = time.monotonic() + CLAIM_SECONDS
        while market.ledger_of(self.project).claimable and time.monotonic() < deadline:
            self.supervisor.check()
            time.sleep(0.1)
        self.display.step("every trainer has claimed its pay; the owner has taken back the rest")
        if not self._baselines_beside:
            self._start_baselines()
        self.clock.mark("claims")

    # --- the report --------------------------------------------------------------------------------------------

    def _report(self, watch: MarketWatch, drama: Drama | None) -> Report:
        parts, settings = self.parts, self.settings
        assert self.task is not None
        market = Market(parts.client, parts.deployment.market)
        token = Token(parts.client, parts.token)
        verified = self.owner.project(self.project)
        history = History.read(market, self.project, verified.spec.model.initial_cid)
        baseline = self._baseline()
        accuracy = {0: baseline.initial} | watch.accuracy.finish()
        for entry in history.closed():
            # A round that nobody settled leaves the model, and so its accuracy, as it was.
            accuracy.setdefault(entry.number, accuracy[entry.number - 1])
        with connect_store(parts.ipfs_url) as store:
            known = watch.seconds(), watch.refusals, watch.proofs
            rounds = collect_rounds(history, parts.client, store, accuracy, *known)
            privacy = self._privacy(verified, rounds, store) if settings.private else None
        self._trainers_ended()
        people = {place.account.address: (place.name, place.role, place.examples) for place in self.places}
        trainers = collect_trainers(history, market, people)
        money = re_add(parts.client, market.address, token.address, self.project)
        self.clock.mark("report")
        restarts = {name: count for name in self.supervisor.names() if (count := self.supervisor.restarts(name))}
        return Report(
            seed=settings.seed,
            parts=parts.names(),
            project=Project(
                id=self.project,
                contract=market.address,
                token=token.address,
                token_symbol=token.symbol(),
                token_decimals=token.decimals(),
                spec_cid=str(verified.spec_cid),
                budget=settings.deposit,
                round_budget=ROUND_BUDGET,
                aggregator_fee=AGGREGATOR_FEE,
                protocol_fee=PROTOCOL_FEE,
                fee_recipient=self.keys.protocol.address,
                stake=settings.stake,
                bond=BOND,
                standing_weight=market.fees_of(self.project)[1],
                dimension=history.dimension,
                policy=POLICY.name,
                settlement=settings.settlement,
            ),
            baseline=Baseline(
                accuracy_initial=baseline.initial,
                accuracy_final=rounds[-1].accuracy,
                accuracy_local_only_mean=baseline.local_only_mean,
                accuracy_clean_fedavg=baseline.clean_fedavg[-1],
                accuracy_clean_fedavg_rounds=baseline.clean_fedavg,
                accuracy_unfiltered_rounds=baseline.unfiltered,
            ),
            rounds=rounds,
            trainers=trainers,
            money=money,
            headline=headline_of(rounds, trainers, settings.settlement),
            privacy=privacy,
            drama=drama.finish(rounds) if drama is not None else [],
            timing=Timing(
                set_up=self.clock.between(None, "set-up"),
                rounds=self.clock.between("set-up", "rounds"),
                claims=self.clock.between("rounds", "claims"),
                report=self.clock.between("claims", "report"),
                total=self.clock.between(None, "report"),
                restarts=restarts,
            ),
        )

    def _privacy(self, project: VerifiedProject, rounds: list[Round], store: IpfsStore) -> Privacy:
        keys = self.keys
        return try_every_key(
            rounds,
            store,
            project.sealing,
            {name: bytes(account.key) for name, account in keys.readers().items()},
            [bytes(account.key) for account in (keys.owner, *keys.trainers)],
            project.spec.model.dimension,
        )

    def _trainers_ended(self) -> None:
        """Every trainer's process must have ended well by itself. Raises `ProcessFailed`."""
        deadline = time.monotonic() + CLAIM_SECONDS
        for place in self.places:
            self.supervisor.wait(place.name, max(1.0, deadline - time.monotonic()))
        self.supervisor.check()

    def _baseline(self) -> BaselineResult:
        self.supervisor.wait("baselines", BASELINE_SECONDS)
        self.supervisor.check()
        return BaselineResult.model_validate_json((self.settings.run_folder / "baseline.json").read_bytes())

    # --- afterwards --------------------------------------------------------------------------------------------

    def keep_open(self) -> OpenMarket:
        """A second project with a place for one more trainer; this run's trainers wait in it."""
        assert self.task is not None
        settings, parts = self.settings, self.parts
        # Not the validation data: whoever trains on that knows the batches before they are shown.
        write_csv(settings.report / "example-data.csv", self.task.test, self.task.data)
        mint_tokens(parts, self.keys.owner, self.keys.trainers, settings.stake, label="kept")
        with open_owner(parts) as owner:
            project = create_project(owner, parts, settings, self.task, slots=settings.trainers + 1, label="kept")
        start_owner(parts, project)
        for place in self.places:
            start_trainer(parts, place, project, claim=True)
        where = parts.deployment
        return OpenMarket(
            api_url=parts.api_url,
            chain_url=parts.chain_url,
            ipfs_url=parts.ipfs_url,
            chain_id=where.chain_id,
            market=where.market,
            verifier=where.verifier,
            block=where.block,
            project=project,
            proven_verifier=where.proven_verifier,
            srs=parts.plan.srs,
        )


def prepare_folder(settings: DemoSettings) -> None:
    """Removes what an earlier run left in the report's folder, and only that.

    Raises `RunFolderBusy` if that run still goes on, or if the folder holds a `run` that is not ours.
    """
    run = settings.run_folder
    record = run / "processes.json"
    if run.exists():
        if not record.is_file():
            raise RunFolderBusy(f"{run} exists and was not made by `cohort demo`: choose another folder with --report")
        pid = json.loads(record.read_text()).get("supervisor", 0)
        if psutil.pid_exists(pid) and _is_demo(pid):
            raise RunFolderBusy(f"another run (pid {pid}) uses {settings.report}: end it, or use another --report")
        shutil.rmtree(run)
    for name in ("chain-state.json", "deployment.json", "report.json", "report.html", "rounds.png", "example-data.csv"):
        (settings.report / name).unlink(missing_ok=True)
    for journal in settings.report.glob("transactions-0x*.json"):
        journal.unlink()
    run.mkdir(parents=True)


def _is_demo(pid: int) -> bool:
    """Whether the process is a supervisor of ours, and not one that got the same number later."""
    try:
        return "cohort" in " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def announce(display: Display) -> Callable[[ProcessEvent], None]:
    """Tells the display of processes that died; ends on purpose are no news."""

    def notify(event: ProcessEvent) -> None:
        if event.what in ("died", "restarted", "failed"):
            display.event(f"{event.name}: {event.text}")

    return notify
