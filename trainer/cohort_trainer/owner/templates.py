"""Example files for `cohort project create`, with a comment per choice. A test creates a project from them."""

from __future__ import annotations

SPEC_TOML = """\
# What is trained, and how. Published on IPFS; the contract pins its digest.
title = "Handwritten digits"
description = "Recognise digits in 8 x 8 images."
seed = 7                      # mixed into every trainer's own seed

# settlement = "proven"       # the chain checks a proof of every round; needs the market's SRS file (`cohort srs`)
# readers = ["0x02...", ...]  # private: updates are sealed for these keys, all witnesses and aggregators

[model]
family = "digits-cnn"         # or "mlp", for data of any shape
seed = 7                      # of the first weights
exponent = -14                # an update counts in multiples of 2^-14

[data]                        # what a trainer's file must hold
shape = [1, 8, 8]             # channels, height, width; a CSV row has the product of values
classes = 10
scale = 16.0                  # raw values are divided by this
description = "Pixels of 0 .. 16, row by row."

[training]
learning_rate = 0.1
learning_rate_decay = 0.9     # per round
local_epochs = 4
batch_size = 16
augment_shift = 1             # random shifts of images, in pixels

[policy]
name = "default"              # how updates are judged and paid: by a validation batch a round, see --validation
                              # without validation data: "peer", by agreement with the others
"""

TERMS_TOML = """\
# Money and rules: on chain, fixed for ever. Amounts: "12.5 tokens", or base units as "12500000".
token = "{token}"
round_budget = "100 tokens"   # set aside when a round opens, whatever happens then
aggregator_fee = "1 tokens"   # part of it, for whoever settles; the protocol takes its own part
stake = "25 tokens"           # of each trainer; at least 2 / slots of what a round pays to trainers
bond = "50 tokens"            # of the aggregator of a round; at least half the budget
rounds = 10                   # at most
slots = 8                     # most trainers in a round
min_trainers = 3              # fewer commits or reveals void the round; at most half the slots
share_cap = 4                 # nobody gets more than this times an equal share
min_reliability = 0           # basis points that a trainer must have earned elsewhere; 0: newcomers welcome
quorum = {quorum}                    # witness signatures needed: more than half of them
witnesses = {witnesses}
aggregators = {aggregators}

[windows]                     # seconds, upper bounds: commit and reveal end when everyone has acted
commit = 1200
guard = 600                   # nobody acts: lets the commitments become final before updates are public
reveal = 1200
rescue = 86400                # after the reveals: an unopened commitment can still be opened to save its stake
settle = 3600                 # then: the aggregator that accepted the round must have settled
takeover = 3600               # then: any other bonded aggregator may
self_commit = 300             # the last part of commit: for trainers themselves, no batch any more
"""

_EXAMPLE = "0x" + "00" * 19


def example_terms(token: str | None, witnesses: list[str] | None, aggregators: list[str] | None) -> str:
    """The terms file; placeholders stand for addresses that were not given."""
    witnesses = witnesses or [f"{_EXAMPLE}a{index}" for index in range(1, 4)]
    aggregators = aggregators or [f"{_EXAMPLE}b1"]
    return TERMS_TOML.format(
        token=token or f"{_EXAMPLE}c1",
        quorum=len(witnesses) // 2 + 1,
        witnesses="[" + ", ".join(f'"{one}"' for one in witnesses) + "]",
        aggregators="[" + ", ".join(f'"{one}"' for one in aggregators) + "]",
    )
