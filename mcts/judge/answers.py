"""From a judge's answer to its grade. What is not of the very form that was asked for is no grade: never a guess."""

import math
import re
from dataclasses import dataclass

from coderm_slime.llm import Completion, TokenLogprob

MAX_GRADE = 5
_GRADES = tuple(str(grade) for grade in range(MAX_GRADE + 1))
# Below, other tokens outweigh the grades: the model was about to say something else, and the digit is an accident.
_LEAST_GRADE_MASS = 0.5
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_GRADE_ALONE = re.compile(r"(?<![\w.+-])[0-5](?![\w/])(?!\.\w)")


class NoGradeError(ValueError):
    """An answer that gives no grade; the text says what it gave instead."""


@dataclass(frozen=True)
class Graded:
    """A grade from 0 to 5 and the words before it."""

    grade: float
    words: str


def grade_line(nonce: str, grade: int) -> str:
    """The line that an answer must end with."""
    return f"Grade {nonce}: {grade}"


def graded_answer(text: str, nonce: str) -> Graded:
    """The grade in an answer whose last line is the one grade line in it.

    A grade under another mark, or under none, such as one that a program printed, is words like any other.

    Raises:
        NoGradeError: the answer ends otherwise, or holds a second line with `nonce` behind the word grade.
    """
    words, _, last = text.rstrip().rpartition("\n")
    grade = last.removeprefix(f"Grade {nonce}: ")
    if grade == last or grade not in _GRADES:
        raise NoGradeError(f"the answer ends with {last[-80:]!r}, not with a line `Grade {nonce}: 0` to {MAX_GRADE}")
    if nonce in words.lower() and re.search(rf"grade\W+{nonce}", words, re.IGNORECASE):
        raise NoGradeError("the answer holds more than one grade line")
    return Graded(float(grade), words.strip())


def expected_grade(answer: Completion) -> float:
    """The expectation of the grade over the alternatives to the digit in a short answer.

    The answer must hold one number, a digit from 0 to 5. Alternatives that differ from its token in the digit alone
    (white space aside) are the other grades; each weighs its probability, and their sum is made 1. What the server did
    not list, and what is no grade, is thereby left out; where that is half or more, there is no grade.

    Raises:
        NoGradeError: another form of answer, or less than half of the probability lies on grades.
    """
    numbers = _NUMBER.findall(answer.text)
    if len(numbers) != 1 or not _GRADE_ALONE.search(answer.text):
        raise NoGradeError(f"one digit from 0 to {MAX_GRADE} was asked for, the answer is {answer.text[:80]!r}")
    places = [token for token in answer.tokens if _NUMBER.search(token.token)]
    if len(places) != 1:
        raise NoGradeError(f"the digit stands in {len(places)} of the answer's tokens")
    return _expectation(places[0])


def _expectation(place: TokenLogprob) -> float:
    around = _NUMBER.sub("#", place.token).strip()
    weights = [0.0] * (MAX_GRADE + 1)
    for text, logprob in {**place.top, place.token: place.logprob}.items():
        digit = re.search(rf"[0-{MAX_GRADE}]", text)
        if digit and _NUMBER.sub("#", text).strip() == around and _NUMBER.findall(text) == [digit[0]]:
            weights[int(digit[0])] += math.exp(logprob)
    mass = math.fsum(weights)
    if mass < _LEAST_GRADE_MASS:
        raise NoGradeError(f"the grades hold {mass:.2f} of the probability, less than {_LEAST_GRADE_MASS}")
    return min(MAX_GRADE, math.fsum(grade * weight for grade, weight in enumerate(weights)) / mass)
