"""Many files looked at side by side, so that one that comes slowly holds up no other.

What is published at a CID comes from whoever published it, as slowly as they like; a block store gives up in the end
(`ipfs.store`), but that may be long after the time for reveals is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from cohort_protocol.errors import Unavailable

Name = TypeVar("Name", bound=Hashable)
Found = TypeVar("Found")


class FetchDropped(Unavailable):
    """Nobody waits for the file any more."""


class Fetches(Generic[Name, Found]):
    """Looks at files on threads of their own. What is not done in time goes on, and is waited for the next time.

    Used by one thread; `look` has to be safe under many."""

    def __init__(self, look: Callable[[Name, Callable[[], None]], Found]) -> None:
        """look: of a name; the second argument is to be called between parts, and raises `FetchDropped` to end it."""
        self._look = look
        self._under_way: dict[Name, tuple[Future[Found], threading.Event]] = {}

    @property
    def under_way(self) -> int:
        """Files that are still being looked at."""
        return len(self._under_way)

    def keep(self, wanted: Callable[[Name], bool]) -> None:
        """Ends what is not wanted any more."""
        for name in [name for name in self._under_way if not wanted(name)]:
            self._under_way.pop(name)[1].set()

    def found(self, names: Iterable[Name], seconds: float | None) -> dict[Name, Found]:
        """What was found of those that are done within `seconds` (None: of all). Raises what `look` raises."""
        names = list(names)
        for name in names:
            if name not in self._under_way:
                self._start(name)
        wait([self._under_way[name][0] for name in names], seconds)
        done = {name: self._under_way.pop(name)[0] for name in names if self._under_way[name][0].done()}
        return {name: future.result() for name, future in done.items()}

    def _start(self, name: Name) -> None:
        future: Future[Found] = Future()
        dropped = threading.Event()
        self._under_way[name] = (future, dropped)

        def check() -> None:
            if dropped.is_set():
                raise FetchDropped("nobody waits for this file any more")

        def work() -> None:
            try:
                found = self._look(name, check)
            except BaseException as error:  # the boundary of the thread: raised where it is waited for
                future.set_exception(error)
            else:
                future.set_result(found)

        # A daemon, so that a process that is told to stop waits for nobody's file.
        threading.Thread(target=work, name="fetch", daemon=True).start()
