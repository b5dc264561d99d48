"""Fixtures that every part's tests may use."""

from tests.fixtures.chain import devnet, devnet_session

__all__ = ["devnet", "devnet_session"]
