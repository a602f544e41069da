"""Equality by configuration, and objects from text."""

import pytest

from keras_uai.configurable import Configurable, from_text


class Pair(Configurable):
    def __init__(self, first, second=2):
        if first == 0:
            raise ValueError("`first` must not be 0")
        self.first, self.second = first, second

    def get_config(self):
        return {"first": self.first, "second": self.second}


class Other(Pair):
    pass


def test_equal_configurations_make_equal_objects():
    pair = Pair([1])
    assert Pair.from_config(pair.get_config()) == pair
    assert hash(Pair([1])) == hash(pair)
    assert repr(pair) == "Pair(first=[1], second=2)"
    assert pair not in (Pair([1], 3), Other([1]), "Pair(first=[1], second=2)")


def test_text_of_a_call():
    assert from_text(" Pair([1], second=3) ", Pair, Other) == Pair([1], 3)
    assert from_text("Other(1)", Pair, Other) == Other(1)
    for text in ("Pair", "Pair(x)", "Pair(1, 2, 3)", "Pair(**4)", "Third(1)", "Pair(1", "Pair()"):
        with pytest.raises(TypeError):
            from_text(text, Pair, Other)
    with pytest.raises(ValueError, match="must not be 0"):
        from_text("Pair(0)", Pair)
