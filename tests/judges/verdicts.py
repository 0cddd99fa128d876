"""Collects what a judge found, prints it as it comes, and turns it into an exit status."""

import contextlib
import tempfile
from pathlib import Path


class Verdicts:
    """Claims and whether they hold."""

    def __init__(self):
        self.failed = 0
        self.held = 0

    def check(self, claim: str, holds) -> None:
        """Records and prints one claim."""
        if holds:
            self.held += 1
        else:
            self.failed += 1
        print(f"{'ok  ' if holds else 'FAIL'}  {claim}")

    def exit_status(self) -> int:
        """0 if something was claimed and everything held."""
        print(f"{self.held} claims hold, {self.failed} do not")
        return 0 if self.held and not self.failed else 1


@contextlib.contextmanager
def work_folder(chosen: Path | None):
    """The chosen folder, made here and kept, or a temporary one."""
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="headstart-judge-") as folder:
            yield Path(folder)
    else:
        chosen.mkdir(parents=True)
        yield chosen
