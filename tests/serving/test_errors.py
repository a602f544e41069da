"""Messages from within a graph, as a person reads them."""

import pytest

from keras_uai.serving import errors


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (
            "{{function_node __inference_f_12}} assertion failed: [`seed` has N values. Received:] [2] [for N =] [3]"
            "\n\t [[{{node Assert}}]]",
            "`seed` has N values. Received: [2] [for N =] [3]",
        ),
        ("assertion failed: [Wrong. Received:] [[1 2][3 4]]", "Wrong. Received: [[1 2][3 4]]"),
        (
            "Graph execution error:\n\nDetected at node x defined at\n<stack traces unavailable>\nInvalid PNG data, "
            "size 16\n\t [[{{node x}}]]\n\t [[x/_2]] [Op:__inference_1]",
            "Invalid PNG data, size 16",
        ),
        ("Servable not found for request: Latest(x)", "Servable not found for request: Latest(x)"),
        ("", ""),
    ],
)
def test_refusals(message, wanted):
    assert errors.refusal(message) == wanted
