"""What can be asked of a round in vain."""

from __future__ import annotations

from cohort_protocol.errors import NotFound


class NoBundle(NotFound):
    """The round has not been settled, so it has no bundle (yet)."""

    code = "no-bundle"
