"""Python's garbage collector, which training gives little to do."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLD = 100_000  # new objects that begin a collection, instead of 700: an example has hundreds, none in a cycle


@contextmanager
def few_collections() -> Iterator[None]:
    """Keep the garbage collector from looking, again and again, through what was there before.

    Reading examples makes many short-lived objects, by whose number the collector judges that it is time to look
    through everything: stores, label books, modules. Processes that are forked meanwhile, as workers are, inherit it.
    Afterwards all is as before.
    """
    thresholds, own = gc.get_threshold(), not gc.get_freeze_count()
    if own:  # else the caller has done so, and only the caller may undo it
        gc.freeze()
    gc.set_threshold(_THRESHOLD, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if own:
            gc.unfreeze()
