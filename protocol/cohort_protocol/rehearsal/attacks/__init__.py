"""Attacks on a round by name, each with the paper or the reason it comes from.

`attack_by_name("alie")`, or with parameters `attack_by_name("scaling:factor=10")`. An attack decides what a group of
cheats sends in each round; `Attack.craft` is a function of a `View`, so that the same view gives the same updates.
"""

from cohort_protocol.rehearsal.attacks.attack import Attack, Backdoor, View
from cohort_protocol.rehearsal.attacks.registry import attack_by_name, attacks_joined, known_attacks

__all__ = ["Attack", "Backdoor", "View", "attack_by_name", "attacks_joined", "known_attacks"]
