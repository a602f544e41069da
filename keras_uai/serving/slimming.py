"""Makes the graph of a SavedModel smaller: the same operations under short names, equal constants once."""

import pathlib
import re


def slim(folder):
    """Rewrites `folder/saved_model.pb` with short names inside functions; what it computes stays the same.

    Inside a function a name only says which operation's output goes where, and TensorFlow writes it with all its
    scopes at each place. Equal constants of a function become one. `_output_shapes` are TensorFlow's own notes,
    inferred again whenever a graph is read. Signatures, arguments, variables and names of functions are kept.
    In `fingerprint.pb` the checksum of the file is cleared; its hashes of program and signatures do not look at names.

    Args:
        folder: of a SavedModel.
    """
    from tensorflow.core.protobuf import fingerprint_pb2, saved_model_pb2

    folder = pathlib.Path(folder)
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in saved.meta_graphs:
        for function in meta_graph.graph_def.library.function:
            _slim(function)
    path.write_bytes(saved.SerializeToString(deterministic=True))
    path = folder / "fingerprint.pb"
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(path.read_bytes())
    fingerprint.ClearField("saved_model_checksum")
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _slim(function):
    for node in function.node_def:
        node.attr.pop("_output_shapes", None)
    names = _names(function)

    def renamed(reference):
        """`^name`, `name`, `name:output:0`; arguments keep theirs."""
        control = "^" if reference.startswith("^") else ""
        name, colon, output = reference.removeprefix("^").partition(":")
        return f"{control}{names.get(name, name)}{colon}{output}"

    kept = {}
    for node in function.node_def:
        node.name = names[node.name]
        inputs = [renamed(reference) for reference in node.input]
        after = dict.fromkeys(name for name in inputs if name.startswith("^"))
        node.input[:] = [name for name in inputs if name not in after] + list(after)
        if "_class" in node.attr:  # loc:@name: beside which operation it is to run
            places = [place.decode().removeprefix("loc:@") for place in node.attr["_class"].list.s]
            node.attr["_class"].list.s[:] = [f"loc:@{renamed(place)}".encode() for place in places]
        kept.setdefault(node.name, node.SerializeToString())
    del function.node_def[:]
    for node in kept.values():
        function.node_def.add().ParseFromString(node)
    for outputs in (function.ret, function.control_ret):
        for name, reference in list(outputs.items()):
            outputs[name] = renamed(reference)


def _names(function):
    """`{name: new name}` of the operations: what they do, and a number; one name for all equal constants."""
    taken = {argument.name for argument in function.signature.input_arg}
    names, counts, constants = {}, {}, {}
    for node in function.node_def:
        same = None
        if node.op == "Const" and not node.input:
            attributes = [node.attr[key].SerializeToString() for key in sorted(node.attr)]
            same = (node.device, *attributes)
        if same in constants:
            names[node.name] = constants[same]
            continue
        kind = re.sub(r"[^A-Za-z0-9]", "", node.op)
        while (name := f"{kind}{counts.get(kind, '')}") in taken:
            counts[kind] = counts.get(kind, 0) + 1
        names[node.name] = name
        taken.add(name)
        if same is not None:
            constants[same] = name
    return names
