"""One-line arguments: every kind of value, and messages that name the mistake."""

import pytest

from keras_uai import networks
from keras_uai.training import arguments

LEAVE_OUT = ("image_shape", "mask_channels", "latent_dim", "name")


def test_every_kind_of_value():
    text = "width=48,rate=1e-3,a=true,b=False,c=none,kind=group,d=(1,none),e=-2,f=TwoStage(4, 1.2)"
    assert arguments.parse(text, "generator") == {
        "width": 48,
        "rate": 1e-3,
        "a": True,
        "b": False,
        "c": None,
        "kind": "group",
        "d": [1, None],
        "e": -2,
        "f": "TwoStage(4, 1.2)",
    }


def test_nothing_and_a_dict():
    assert arguments.parse(None, "x") == arguments.parse("", "x") == {}
    assert arguments.parse({"width": 3}, "x") == {"width": 3}


@pytest.mark.parametrize(
    "text",
    ["width", "width=", "=3", "width 48", "width=1,,=2", "3=4", "a=1)+f(b=2", "a=(1", "**a"],
)
def test_other_text_is_quoted(text):
    with pytest.raises(ValueError, match="--generator must be written name=value") as error:
        arguments.parse(text, "generator")
    assert f"--generator={text}" in str(error.value)


def test_an_argument_given_twice():
    with pytest.raises(ValueError, match="'width' is given twice"):
        arguments.parse("width=1,width=2", "generator")


def test_complete_has_the_defaults_of_the_signature():
    complete = arguments.complete({"width": 8}, networks.Generator, "generator", LEAVE_OUT)
    assert complete["width"] == 8
    assert complete["max_width"] == 256
    assert not set(complete) & {*LEAVE_OUT, "kwargs", "self"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wdith": 8}, r"no argument 'wdith'; it has width, max_width.* Received: wdith=8"),
        ({"stem": 2}, "no argument 'stem' .'stem' is now 'space_to_depth'."),
        ({"width": 4.5}, "the type of its default, 64. Received: width=4.5"),
        ({"width": True}, "`width` must have the type"),
        ({"width": "wide"}, "`width` must have the type"),
        ({"predicts_mean": 1}, "`predicts_mean` must have the type"),
        ({"predicts_mean": None}, "`predicts_mean` must have the type"),
    ],
)
def test_wrong_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        arguments.complete(given, networks.Generator, "generator", LEAVE_OUT)
