"""One-line network arguments: every kind of value, and messages that name what is wrong."""

import pytest

from keras_uai import networks
from keras_uai.experiment import compact

LEAVE_OUT = ("image_shape", "latent_dim", "name")


def test_every_kind_of_value():
    text = "width=48,rate=1e-3,fill=true,spectral=False,attention_size=none,kind=group,a=(1,none)"
    assert compact.parse(text, "generator") == {
        "width": 48,
        "rate": 1e-3,
        "fill": True,
        "spectral": False,
        "attention_size": None,
        "kind": "group",
        "a": [1, None],
    }


def test_render_is_the_inverse():
    arguments = {"a": 1, "b": 0.5, "c": True, "d": None, "e": "group", "f": [1, None, 2]}
    assert compact.parse(compact.render(arguments), "x") == arguments


def test_nothing_and_a_dict():
    assert compact.parse(None, "x") == compact.parse("", "x") == {}
    assert compact.parse({"width": 3}, "x") == {"width": 3}


@pytest.mark.parametrize("text", ["width", "width=", "=3", "width 48", "width=1,,=2", "3=4"])
def test_what_is_no_argument_is_quoted(text):
    with pytest.raises(ValueError, match=r"--generator is written name=value") as error:
        compact.parse(text, "generator")
    assert f"--generator={text}" in str(error.value)


def test_twice_and_brackets():
    with pytest.raises(ValueError, match="gives 'width' twice"):
        compact.parse("width=1,width=2", "generator")
    with pytest.raises(ValueError, match="bracket"):
        compact.parse("hide=(0.1,0.5", "model_arguments")


def test_complete_has_the_defaults_of_the_signature():
    complete = compact.complete({"width": 8}, networks.Generator, "generator", LEAVE_OUT)
    assert complete["width"] == 8
    assert complete["max_width"] == 256
    assert not set(complete) & {*LEAVE_OUT, "kwargs", "self"}


def test_unknown_arguments_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="no argument 'wdith'; it has width, max_width") as error:
        compact.complete({"wdith": 8}, networks.Generator, "generator", LEAVE_OUT)
    assert "Received: --generator=wdith=8" in str(error.value)


@pytest.mark.parametrize(
    "wrong", [{"width": 4.5}, {"width": True}, {"fill": 1}, {"fill": None}, {"normalization": 3}]
)
def test_values_of_another_kind(wrong):
    with pytest.raises(ValueError, match="takes a value of that kind"):
        compact.complete(wrong, networks.Generator, "generator", LEAVE_OUT)
