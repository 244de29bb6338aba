"""The search for garbage in a process that has made what it is made of."""

import gc


def keep_what_is_here() -> None:
    """Let no search for garbage go through what a process is made of, which stays to the end."""
    gc.collect()
    gc.freeze()
