"""Aggregation rules and contribution scores by name, each with its paper.

Rules that may judge a round are policies in exact integers (`scoring.policy` registers them). Scores that have to run
models (`shapley`) are for reports: they take a utility function and settle nothing.
"""
