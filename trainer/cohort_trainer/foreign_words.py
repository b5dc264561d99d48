"""Words of others on somebody's terminal.

Titles, descriptions, names of tokens and reasons come from whoever put them on chain or into a spec. A terminal obeys
escape sequences, which could rewrite the very terms that somebody is about to agree to.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """One line without control characters, line breaks, or marks that turn the direction of writing."""
    return "".join(character if character.isprintable() else "?" for character in text)
