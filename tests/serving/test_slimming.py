"""A slim graph computes what it did, bit by bit, under short names."""

import re
import shutil

import numpy as np
import pytest

from keras_uai.serving import slimming
from tests.testing import same_bits

tf = pytest.importorskip("tensorflow")


class Model(tf.Module):
    """Loops, branches, several outputs of an operation, an argument called like an operation, a check."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable([[0.5, -1.5], [2.0, 0.25]])

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 2), name="MatMul"),
            tf.TensorSpec((), "int32", name="count"),
        ],
        autograph=False,
    )
    def serve(self, x, count):
        check = tf.debugging.Assert(count < 9, ["`count` is below 9. Received:", count])
        with tf.name_scope("a_scope_with_a_long_name"), tf.control_dependencies([check]):
            x = tf.while_loop(
                lambda i, x: i < count,
                lambda i, x: (i + 1, tf.tanh(tf.matmul(x, self.kernel))),
                (0, x),
            )[1]
            left, right = tf.split(x, 2, axis=1)
            total = tf.reduce_sum(x)
            chosen = tf.cond(total > 0.0, lambda: left - right, lambda: right + 2.0 * left)
        return {"chosen": chosen, "first": left, "same": x}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same SavedModel as TensorFlow writes it, and slim."""
    plain, slim = (tmp_path_factory.mktemp("models") / name for name in ("plain", "slim"))
    model = Model()
    tf.saved_model.save(model, str(plain), signatures=model.serve)
    shutil.copytree(plain, slim)
    slimming.slim(slim)
    return plain, slim


def functions(folder):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].graph_def.library.function


def operations(function):
    return [node.op for node in function.node_def if node.op != "Const"]


def test_the_same_is_computed(folders):
    x = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    served = [tf.saved_model.load(str(f)).signatures["serving_default"] for f in folders]
    assert served[0].structured_outputs == served[1].structured_outputs
    assert served[0].structured_input_signature == served[1].structured_input_signature
    for sign in (1, -1):
        for count in (0, 3):
            found = [f(MatMul=tf.constant(sign * x), count=tf.constant(count)) for f in served]
            assert set(found[0]) == set(found[1]) == {"chosen", "first", "same"}
            for name in found[0]:
                same_bits(found[1][name], found[0][name])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"is below 9. Received:\] \[9\]"):
        served[1](MatMul=tf.constant(x), count=tf.constant(9))


def test_names_are_short_and_unique_and_no_shapes_are_kept(folders):
    plain, slim = (functions(folder) for folder in folders)
    assert [f.signature for f in plain] == [f.signature for f in slim]
    for before, after in zip(plain, slim, strict=True):
        arguments = [a.name for a in after.signature.input_arg]
        names = [node.name for node in after.node_def]
        assert len(set(names + arguments)) == len(names + arguments)
        assert operations(before) == operations(after)
        constants = [n for n in after.node_def if n.op == "Const" and not n.input]
        assert len({n.attr["value"].SerializeToString() for n in constants}) == len(constants)
        for node in after.node_def:
            assert re.fullmatch(rf"{node.op}\d*", node.name)
            assert "_output_shapes" not in node.attr
            for reference in node.input:
                assert reference.lstrip("^").split(":")[0] in names + arguments
    assert any("_output_shapes" in n.attr for f in plain for n in f.node_def)  # not in vain
    sizes = [(folder / "saved_model.pb").stat().st_size for folder in folders]
    assert sizes[1] < 0.8 * sizes[0]


def test_the_fingerprint_is_that_of_the_program(folders):
    plain, slim = (tf.saved_model.experimental.read_fingerprint(str(f)) for f in folders)
    assert (plain.saved_model_checksum != 0, slim.saved_model_checksum) == (True, 0)
    assert plain.singleprint() == slim.singleprint()
