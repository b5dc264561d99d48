"""A market in one process: what would honest trainers and cheats earn under a project's rules, and what becomes of
its model?

Codec, filter, scores, weights and pay are those of the real market; data, trainers and attacks are simulated from a
seed. Owners reach it as `cohort rehearse`, the benchmarks and the tests of policies directly. All trainers of a round
train in one batched pass of torch (`stacks.py`).
"""

from cohort_protocol.rehearsal.attacks import attack_by_name, known_attacks
from cohort_protocol.rehearsal.campaign import AttackResult, Plan, Rules, SeedResult, rehearse
from cohort_protocol.rehearsal.judges import Decision, Judge, PolicyJudge, ShapleyJudge, judge_by_name, public_vectors
from cohort_protocol.rehearsal.partitions import known_partitions
from cohort_protocol.rehearsal.play import Played, PlayedRound, play
from cohort_protocol.rehearsal.tasks import Task, known_tasks, project_task, task_by_name
from cohort_protocol.rehearsal.world import Round, Scenario, ShapleyTable, World

__all__ = [
    "AttackResult",
    "Decision",
    "Judge",
    "Plan",
    "Played",
    "PlayedRound",
    "PolicyJudge",
    "Round",
    "Rules",
    "Scenario",
    "SeedResult",
    "ShapleyJudge",
    "ShapleyTable",
    "Task",
    "World",
    "attack_by_name",
    "judge_by_name",
    "known_attacks",
    "known_partitions",
    "known_tasks",
    "play",
    "project_task",
    "public_vectors",
    "rehearse",
    "task_by_name",
]
