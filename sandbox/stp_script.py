"""What the simulated STP does with one order: told by a test, drawn by chance, or read off the order's centavos."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from .errors import Refused
from .stp_rules import TEXTS
from .world import World

TWO_DAYS = 172_800.0
MAX_SECONDS = 40 * 86_400.0
FINALS = ("settle", "cancel", "return", "return_first", "none")
ANSWERS = ("accept", "lose", "drop", "already_used")
RETURNED_BY = ("notice", "transfer", "both")
RETURN_KEYS = ("linked", "same", "none")
CHANCES = ("lose", "drop", "silence", "hidden", "cancel", "return", "return_first", "repeat")


@dataclass(frozen=True)
class Script:
    """How one order goes.

    - ``answer``: ``accept``; ``lose``: the order is stored and the connection closed without an answer; ``drop``:
      closed without storing it; ``already_used``: stored, answered -1; an error code (refused, not stored); or an
      object, sent as it is (not stored). It applies to the next request only.
    - ``final``: ``settle``, ``cancel``, ``return`` (settles, comes back ``return_after`` seconds later),
      ``return_first`` (DEVOLUCION is notified before LIQUIDACION), ``none``.
    - ``seconds``: from acceptance until the final state; None: the company's pace.
    - ``returned_by``: what tells of a return: a ``notice``, an incoming ``transfer``, ``both``. ``return_key``: whether
      that transfer is ``linked`` to the order (claveRastreoDevolucion), has the ``same`` key, or ``none``.
      ``return_payment_type``: its tipoPago.
    - ``notify``, ``times``: whether, and how often, each state is notified. Without notices an order goes on in
      silence.
    - ``hidden``: seconds for which neither list nor questions show the order; -1: for ever.
    - ``answer_after``: seconds before the answer, in which the order goes on: a notice may overtake it.
    - ``counts``: whether it moves money. ``receipt_name``: nombreCep. ``phantom``: a second order that is not ours
      appears in the day's list.
    """

    answer: Any = "accept"
    final: str = "settle"
    cause: int = 1
    seconds: float | None = None
    return_after: float = TWO_DAYS
    returned_by: str = "notice"
    return_key: str = "linked"
    return_payment_type: int = 16
    notify: bool = True
    times: int = 1
    hidden: float = 0.0
    answer_after: float = 0.0
    counts: bool = True
    receipt_name: str = ""
    phantom: bool = False

    def next(self) -> Script:
        """The script for the requests that follow: they are answered as usual."""
        return replace(self, answer="accept", answer_after=0.0)


def read(body: dict[str, Any]) -> Script:
    """A script of the control API. Raises ``Refused`` naming the field at fault."""
    known = {field.name for field in fields(Script)}
    for name in sorted(set(body) - known):
        raise Refused(422, "unknown_field", f"unknown field {name}", param=name)
    answer = body.get("answer", "accept")
    is_code = type(answer) is int and answer in TEXTS
    if not isinstance(answer, dict) and not is_code and answer not in ANSWERS:
        raise _wrong("answer", f"one of {', '.join(ANSWERS)}, an error code or an object")
    for name, words in (("final", FINALS), ("returned_by", RETURNED_BY), ("return_key", RETURN_KEYS)):
        if body.get(name, words[0]) not in words:
            raise _wrong(name, f"one of {', '.join(words)}")
    for name in ("notify", "counts", "phantom"):
        if not isinstance(body.get(name, True), bool):
            raise _wrong(name, "true or false")
    numbers = {"seconds": 0, "return_after": 0, "answer_after": 0, "hidden": -1, "cause": 1, "times": 1}
    for name, least in {**numbers, "return_payment_type": 0}.items():
        most = MAX_SECONDS if name in ("seconds", "return_after", "hidden") else 99
        value = body.get(name, least)
        kinds = int if name in ("cause", "times", "return_payment_type") else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
            raise _wrong(name, f"a number from {least} to {most:g}")
    if not isinstance(body.get("receipt_name", ""), str):
        raise _wrong("receipt_name", "text")
    return Script(**body)


def read_chances(body: Any) -> dict[str, float]:
    """Probabilities of what may go wrong with an order without a script; together at most 1."""
    good = isinstance(body, dict) and all(
        name in CHANCES and isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
        for name, value in body.items()
    )
    if not good or sum(body.values()) > 1:
        raise _wrong("chances", f"probabilities of {', '.join(CHANCES)}, together at most 1")
    return {name: float(value) for name, value in body.items()}


def by_chance(world: World, chances: dict[str, float]) -> Script | None:
    """The script that chance gives an order, if any."""
    drawn = world.below(10**6) / 10**6
    for name, chance in chances.items():
        if drawn < chance:
            return _CHANCE[name]
        drawn -= chance
    return None


def by_centavos(amount: int, pace: float) -> Script:
    """The script that an amount's centavos stand for; most settle."""
    return {
        1: Script(answer="already_used"),
        2: Script(answer=-200),
        3: Script(answer=-30),
        4: Script(final="return", return_after=pace),
        5: Script(final="cancel"),
        6: Script(final="none", hidden=-1, counts=False),
        7: Script(receipt_name="OTRA PERSONA DISTINTA"),
        9: Script(phantom=True),
        10: Script(answer="lose"),
    }.get(amount % 100, Script())


_CHANCE = {
    "lose": Script(answer="lose"),
    "drop": Script(answer="drop"),
    "silence": Script(notify=False),
    "hidden": Script(answer="lose", hidden=30.0),
    "cancel": Script(final="cancel"),
    "return": Script(final="return", return_after=1.0),
    "return_first": Script(final="return_first"),
    "repeat": Script(times=3),
}


def _wrong(name: str, wanted: str) -> Refused:
    return Refused(422, "invalid_field", f"{name} must be {wanted}", param=name)
