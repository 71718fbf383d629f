"""One row for each case: what the control did, what the attack achieved inside, whether the sandbox held."""

import os
import platform
import socket
from dataclasses import dataclass

from coderm_slime.sandbox.attacks.case import Attack
from coderm_slime.sandbox.attacks.suite import Suite


@dataclass(frozen=True)
class Row:
    """What became of one case.

    Attributes:
        outside: "works", or why there is no control.
        counts: the control worked, so that the case shows something.
        inside: what the attack achieved: "nothing", or what is seen.
        held: nothing was achieved.
        promised: layers that are on promise to hold it.
    """

    name: str
    outside: str
    counts: bool
    inside: str
    held: bool
    promised: bool

    @property
    def escaped(self) -> bool:
        """Whether the sandbox broke its promise."""
        return self.promised and not self.held


async def attempt(suite: Suite, attack: Attack) -> Row:
    """Make both attempts of one case."""
    lacking = no_control(attack)
    works = not lacking and (await suite.outside(attack)).succeeded
    outside = "works" if works else f"no control here: {lacking or attack.rare or 'it does not work'}"
    inside = await suite.inside(attack)
    found = [attack.sign.value] if inside.succeeded else []
    achieved = "; ".join([*found, *inside.harm]) or "nothing"
    promised = not attack.layer or attack.layer in suite.on
    return Row(attack.name, outside, works, achieved, inside.held, promised)


def no_control(attack: Attack) -> str:
    """Why this machine has no control for a case; empty where it should have one."""
    here = {"root": os.geteuid() == 0, "x86_64": platform.machine() == "x86_64", "ipv6": _has_ipv6()}
    lacking = [need for need in attack.needs if not here[need]]
    return f"needs {' and '.join(lacking)}" if lacking else ""


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True
