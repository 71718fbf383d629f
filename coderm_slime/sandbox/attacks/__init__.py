"""Programs that attack the sandbox, each with a control that shows that the attack works where nothing stops it.

    async with Suite(settings) as suite:
        for attack in ATTACKS:
            row = await attempt(suite, attack)

A case (case.py) is a program and the sign, seen from outside, that it succeeded. Every attempt gets targets of its
own (scene.py): canary files, a secret, a victim process, listeners. The control runs the same program as a plain
process against these, with amounts that harm nobody. Inside, all must fail, with no process left, the fork servers
and a neighbouring run unharmed. The cases are no proof: they hold what somebody thought of.
"""

from coderm_slime.sandbox.attacks.breaking import BREAKING
from coderm_slime.sandbox.attacks.case import Attack, Sign
from coderm_slime.sandbox.attacks.files import FILES
from coderm_slime.sandbox.attacks.kernel import KERNEL
from coderm_slime.sandbox.attacks.network import NETWORK
from coderm_slime.sandbox.attacks.others import OTHERS
from coderm_slime.sandbox.attacks.reading import READING
from coderm_slime.sandbox.attacks.report import Row, attempt, no_control
from coderm_slime.sandbox.attacks.resources import RESOURCES
from coderm_slime.sandbox.attacks.staying import STAYING
from coderm_slime.sandbox.attacks.suite import Attempt, Suite

ATTACKS = (*NETWORK, *READING, *FILES, *OTHERS, *STAYING, *RESOURCES, *KERNEL, *BREAKING)

__all__ = ["ATTACKS", "Attack", "Attempt", "Row", "Sign", "Suite", "attempt", "no_control"]
