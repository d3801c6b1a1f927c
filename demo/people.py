"""The commands of the project, as each person of the demonstration runs them on a machine of their own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.errors import CodedError
from recorder import credentials
from recorder.api import Api


class StepFailed(CodedError):
    """A command of the demonstration ended as it should not."""

    code = "DEMO_STEP_FAILED"


@dataclass(frozen=True)
class Person:
    """Somebody with a machine: `home` holds their configuration and their takes, nobody else's."""

    name: str
    home: Path

    def run(self, *words: object, fine: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
        """Run ``xiangyin WORDS --format json`` and read what it printed, an object a line."""
        return [
            json.loads(row) for row in self.say(*words, "--format", "json", fine=fine).splitlines() if row
        ]

    def say(self, *words: object, fine: tuple[int, ...] = (0,)) -> str:
        """Run ``xiangyin WORDS`` in this process, as this person.

        Parameters
        ----------
        fine : tuple of int
            Exit statuses that are no failure of the demonstration; 1 where findings are expected.

        Returns
        -------
        str
            What the command printed.
        """
        import xiangyin

        line = [str(word) for word in words]
        said = io.StringIO()
        with self._at_home(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            status = xiangyin.cli.main(line, standalone_mode=False) or 0
        if status not in fine:
            raise StepFailed(
                command=" ".join(line), problem=said.getvalue().strip()[-500:] or f"exit {status}"
            )
        return said.getvalue()

    def api(self) -> Api:
        """The server, signed in with this person's newest credential."""
        with self._at_home():
            member = credentials.choose(credentials.config_folder())
        return Api(member.server, member.token)

    @property
    def takes(self) -> Path:
        """Where this person's recorder keeps takes and receipts."""
        return self.home / "takes"

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        before = dict(os.environ)
        os.environ["XDG_CONFIG_HOME"] = str(self.home / "config")
        os.environ["XIANGYIN_RECORDER_DATA"] = str(self.takes)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


class Server:
    """``xiangyin serve`` as a process of its own.

    Attributes
    ----------
    address : str
        Where it answers.
    operator_link : str or None
        The link with which the operator signs in, on a first start.
    """

    def __init__(self, data: Path, log: Path) -> None:
        words = [sys.executable, "-m", "xiangyin", "serve", "--data", str(data), "--port", "0"]
        self._log = log.open("wb")
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self._log, text=True)
        self.address, self.operator_link = "", None
        if self._process.stdout is None:
            raise StepFailed(command="serve", problem="it has no output")
        for line in self._process.stdout:
            words_said = line.split()
            if line.startswith("Operator"):
                self.operator_link = words_said[-1]
            if line.startswith("Ready at"):
                self.address = words_said[-1]
                return
        raise StepFailed(command="serve", problem=f"it ended; see {log}")

    def wait(self) -> None:
        """Go on until somebody ends it."""
        self._process.wait()

    def stop(self) -> None:
        """End it as an operator does, and wait until it has."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=30)
        self._log.close()
