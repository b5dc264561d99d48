"""Standing of a trainer across projects: exact twin of `contracts/src/standing/`."""

from cohort_protocol.standing.rule import next_standing, reliability_after, usefulness_after

__all__ = ["next_standing", "reliability_after", "usefulness_after"]
