"""The journal of a run: an SQLite file (write-ahead log, one writer) that a crash cannot spoil.

Each entry is written whole or not at all, with what it cost. A finished problem's tree is written with its state. One
thread at a time may use a journal; others may read the file meanwhile through a journal of their own.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coderm_slime.records import Problem
from mcts.engine.rows import Entry, JournalError, RolloutRow, StepRow, Work

FILE = "run.sqlite"
_FORM = 1  # of the tables; a file of another form is refused
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE problems (
    position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open', reason TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT ''
);
CREATE TABLE outcomes (
    key TEXT NOT NULL, step TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (key, step, number)
);
CREATE TABLE trees (key TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE spent (name TEXT PRIMARY KEY, amount REAL NOT NULL);
"""


class Journal:
    """Use as `with Journal(folder) as journal`.

    Args:
        folder: the run folder; the file is made if it is not there.
        reading: only look: the file must be there.

    Raises:
        JournalError: the file cannot be opened or has another form. All methods raise it where SQLite fails.
    """

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        path = folder / FILE
        if reading and not path.is_file():
            raise JournalError(f"{folder} is no run folder: it has no {FILE}")
        try:
            self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._open(reading)
        except sqlite3.Error as error:
            raise JournalError(f"cannot open {path}: {error}") from error

    def _open(self, reading: bool) -> None:
        form = self._file.execute("PRAGMA user_version").fetchone()[0]
        if form not in ((_FORM,) if reading else (0, _FORM)):
            raise JournalError(f"{FILE} has form {form}, this version reads form {_FORM}; begin a new run folder")
        if reading:
            self._file.execute("PRAGMA query_only = ON")
            return
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")  # a crash of the machine may cost the last entries, no more
        if form == 0:
            self._file.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_FORM}; COMMIT;")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def facts(self) -> dict[str, str]:
        """What the run began with, by name; empty of a new one."""
        return dict(self._rows("SELECT name, value FROM facts"))

    def begin(self, facts: Mapping[str, str]) -> None:
        """Note what the run began with; what is there already is replaced."""
        self._write([("INSERT OR REPLACE INTO facts VALUES (?, ?)", item) for item in facts.items()])

    def add_problems(self, problems: Iterable[Problem]) -> int:
        """Add those that are not there yet, in order, each open; the number of those whose text was there already
        within this call.

        Raises:
            JournalError: one is there with the same text and other parts, such as another solution.
        """
        known = {key: hash(body) for key, body in self._rows("SELECT key, body FROM problems")}
        seen, twice, new = set[str](), 0, list[tuple[int, str, str]]()
        for problem in problems:
            key, body = problem.key, problem.model_dump_json()
            twice += key in seen
            if key not in seen and known.get(key, hash(body)) != hash(body):
                raise JournalError(
                    f"problem {problem.id} was begun with another solution, id or tests; begin a new run folder"
                )
            if key not in seen and key not in known:
                new.append((len(known) + len(new), key, body))
            seen.add(key)
        self._write([("INSERT INTO problems (position, key, body) VALUES (?, ?, ?)", row) for row in new])
        return twice

    def reopen_errors(self) -> None:
        """Problems that an unexpected exception ended are tried again."""
        self._write([("UPDATE problems SET state = 'open', reason = '', detail = '' WHERE state = 'error'", ())])

    def open_keys(self) -> list[str]:
        """The problems that are not ended, in order."""
        return [key for (key,) in self._rows("SELECT key FROM problems WHERE state = 'open' ORDER BY position")]

    def work(self, key: str) -> Work:
        """A problem with what is done of it."""
        ((position, body),) = self._rows("SELECT position, body FROM problems WHERE key = ?", key)
        steps, rollouts = {}, {}
        for step, number, row in self._rows("SELECT step, number, body FROM outcomes WHERE key = ?", key):
            if step == "rollout":
                rollouts[number] = RolloutRow.model_validate_json(row)
            else:
                steps[step] = StepRow.model_validate_json(row)
        return Work(position, Problem.model_validate_json(body), steps, rollouts)

    def write(self, entries: Sequence[Entry]) -> None:
        """Add entries, all or none."""
        spent = Counter[str]()
        statements: list[tuple[str, Sequence[object]]] = []
        for entry in entries:
            spent.update(entry.spent)
            if entry.step:
                values = (entry.key, entry.step, entry.number, entry.body)
                statements.append(("INSERT INTO outcomes VALUES (?, ?, ?, ?)", values))
            if end := entry.ending:
                state = (end.state, end.reason, end.detail, entry.key)
                statements.append(("UPDATE problems SET state = ?, reason = ?, detail = ? WHERE key = ?", state))
                if end.tree is not None:
                    statements.append(("INSERT INTO trees VALUES (?, ?)", (entry.key, end.tree)))
        add = "INSERT INTO spent VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET amount = amount + excluded.amount"
        self._write([*statements, *((add, item) for item in spent.items())])

    def states(self) -> Counter[str]:
        """The number of problems by state."""
        return Counter(dict(self._rows("SELECT state, count(*) FROM problems GROUP BY state")))

    def reasons(self) -> Counter[str]:
        """The number of problems that ended without a tree, by reason."""
        return Counter(dict(self._rows("SELECT reason, count(*) FROM problems WHERE reason != '' GROUP BY reason")))

    def outcomes(self) -> Counter[str]:
        """The number of results by step; "rollout" for the search's."""
        return Counter(dict(self._rows("SELECT step, count(*) FROM outcomes GROUP BY step")))

    def spent(self) -> dict[str, float]:
        """What all entries together cost."""
        return dict(self._rows("SELECT name, amount FROM spent ORDER BY name"))

    def trees(self) -> Iterator[str]:
        """The finished trees' JSON, in the order of their problems."""
        query = "SELECT trees.body FROM trees JOIN problems USING (key) ORDER BY position"
        return (body for (body,) in self._rows(query))

    def failed(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Key, problem, state, reason and detail of those that ended without a tree, in order."""
        columns = "key, body, state, reason, detail"
        return self._rows(f"SELECT {columns} FROM problems WHERE state IN ('failed', 'error') ORDER BY position")

    def _rows(self, query: str, *values: object) -> Iterator[Any]:
        try:
            yield from self._file.execute(query, values)
        except sqlite3.Error as error:
            raise JournalError(f"cannot read {FILE}: {error}") from error

    def _write(self, statements: Iterable[tuple[str, Sequence[object]]]) -> None:
        try:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    self._file.execute(statement, values)
                self._file.execute("COMMIT")
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise JournalError(f"cannot write {FILE}: {error}") from error
