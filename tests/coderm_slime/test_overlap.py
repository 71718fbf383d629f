"""Near copies among texts: what they share in word n-grams."""

import random

import pytest

from coderm_slime.problems import near_copies, ngrams, overlap

WORDS = [f"word{number}" for number in range(500)]


def text(seed: int, words: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


@pytest.mark.parametrize(
    ("other", "near"),
    [
        (text(1).upper().replace(" ", "\n  "), True),
        ("Please solve this. " + text(1) + " Return it.", True),
        (text(1, 40).replace("word1 ", "word2 "), True),
        (text(2), False),
        (" ".join(reversed(text(1).split())), False),
        ("", False),
    ],
    ids=["case and layout", "a frame around it", "a word or two", "another text", "the same words", "nothing"],
)
def test_texts_are_near_by_the_phrases_that_they_share(other: str, near: bool) -> None:
    assert near_copies([text(1), other], 0.5) == ([(0, 1)] if near else [])


def test_texts_shorter_than_a_phrase_are_near_only_if_they_are_the_same() -> None:
    assert near_copies(["Double a number.", "double a  number .", "Double a list."], 0.5) == [(0, 1)]


def test_many_near_copies_of_one_text_hang_together_without_all_being_compared() -> None:
    texts = [f"{text(1)} {number}" for number in range(400)]
    found = near_copies([*texts, text(2)], 0.9)
    assert {number for pair in found for number in pair} == set(range(400))
    assert len(found) < 400 * 20


def test_thousands_of_texts_with_a_common_ending_are_told_apart_in_one_go() -> None:
    texts = [f"{text(number)} The tests call it by the name `f`; it must not print." for number in range(3000)]
    assert near_copies([*texts, texts[7]], 0.5) == [(7, 3000)]


def test_overlap_is_the_share_of_the_smaller_text() -> None:
    whole, half = text(1, 60), " ".join(text(1, 60).split()[:30])
    assert overlap(ngrams(whole), ngrams(half)) == 1
    assert overlap(ngrams(half), ngrams(text(3))) == 0
