"""What one attack is: a program, and the sign by which an outsider knows that it succeeded. Runs nothing."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from coderm_slime.sandbox.program import Limits

# Small, so that an attack which a limit stops is soon over; the bounds of the cases lie between these and what an
# attack uses where nothing stops it.
ATTACK_LIMITS = Limits(
    wall_s=2.0,
    cpu_s=2.0,
    memory_bytes=256 << 20,
    output_bytes=32 << 10,
    max_output_bytes=1 << 20,
    file_bytes=8 << 20,
    disk_bytes=16 << 20,
    files=200,
    processes=16,
    open_files=64,
)
SHORT = Limits(**{**vars(ATTACK_LIMITS), "wall_s": 0.3, "cpu_s": 1.0})


class Sign(str, Enum):
    """What is seen from outside when an attack succeeds."""

    LEAKED = "the secret is in its output"
    CHANGED = "a file or a queue outside is new or changed"
    HEARD = "a listener outside got its message"
    ENTERED = "it took a connection from outside"
    STRUCK = "the victim process is dead, stopped or changed"
    SURVIVED = "a process of it lives on"
    HELD = "it held what it must not have"
    EXCEEDED = "it used more than its limit"
    BROKE = "whoever ran it is broken"


Measure = Literal["tasks", "memory_bytes", "disk_bytes", "files", "descriptors", "output_bytes", "wall_s"]


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: what it tries.
        source: the program, a `string.Template` of the values of `scene.Scene`.
        sign: tells that it succeeded.
        before: a program that runs first on the same worker, for what one run leaves to the next.
        limits: inside.
        measure, bound: for EXCEEDED, what is used and how much is too much.
        held: for HELD, text in what `processes.Usage.held` names.
        host: how the control runs it: "none", by itself; "parent", below a shell that must live; "process", in a
            Python process that does something afterwards, as a careless caller would.
        needs: what the control needs: "root", "x86_64", "ipv6".
        rare: why the control may fail all the same; then the case is not counted.
        drop: the control is run as nobody.
        layer: the layer that promises to hold it, where that is not one of the required.
    """

    name: str
    source: str
    sign: Sign
    before: str = ""
    limits: Limits = ATTACK_LIMITS
    measure: Measure = "wall_s"
    bound: float = 0.0
    held: str = ""
    host: Literal["none", "parent", "process"] = "none"
    needs: tuple[Literal["root", "x86_64", "ipv6"], ...] = ()
    rare: str = ""
    drop: bool = False
    layer: str = ""
