"""Attention as one node of a graph, and what depends on no text computed beforehand.

As torch exports it, attention is some thirty nodes a layer that reshape, transpose and read shapes,
and its mask some sixty more. For a short message each costs more than what it computes. They are
found by their form around each softmax and become ``MultiHeadAttention``, which takes the mask of
padding as it comes in.

What the form does not show (a bias by position, a window) the numbers do: the new graph must give
the vectors of the old one on the batches at hand and on inputs of the greatest length, or the old
one stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.runtime.activations import Batch
from models.runtime.session import open_session

LOGGER = logging.getLogger(__name__)

CONTRIBUTED = "com.microsoft"
ATTENTION = "MultiHeadAttention"
PADDING = "attention_padding"
HEADS_ASIDE, HEADS_ASIDE_TURNED, LAST_TWO = [0, 2, 1, 3], [0, 2, 3, 1], [0, 1, 3, 2]

MOST_DIFFERENCE: Final = 1e-4
"""Of a number of a unit vector, between both graphs in 32 bits."""

LONGEST_PROBE: Final = 1_024
"""Tokens up to which a graph can be tried at its greatest length; longer inputs stay unfused."""


def fused(model: Any, batches: Sequence[Batch], longest: int) -> Any:
    """The model with fewer nodes and the same vectors, or itself where that cannot be had.

    ``batches`` are ids and masks int64 [b, t], ``longest`` the tokens of the longest input.
    """
    if longest > LONGEST_PROBE or not batches:
        return model
    try:
        return _fused(model, batches, longest)
    except Exception:
        # Whatever form a family's graph has that was not thought of: it is served as it is.
        LOGGER.exception("attention is left as it was exported")
        return model


def _fused(model: Any, batches: Sequence[Batch], longest: int) -> Any:
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = _Graph(changed)
    found = list(_attentions(graph))
    if not found:
        return model
    steady = graph.steady_lookups()
    watched = [*{one.query for one in found}, *(node.output[0] for node in steady)]
    tried = [batches[0], batches[-1], *_probes(batches, longest)]
    exact, seen = _values(model, tried, watched)
    for one in found:
        _put(graph, one, seen[0][one.query].shape)
    _put_rows(graph, steady, seen)
    graph.drop_unused()
    if all(opset.domain != CONTRIBUTED for opset in changed.opset_import):
        changed.opset_import.append(onnx.helper.make_opsetid(CONTRIBUTED, 1))
    now, _ = _values(changed, tried, ())
    difference = max(float(np.abs(a - b).max()) for a, b in zip(exact, now, strict=True))
    if not difference <= MOST_DIFFERENCE:
        LOGGER.info("attention is left as it was exported: fused, vectors differ by %g", difference)
        return model
    return changed


@dataclass(frozen=True, slots=True)
class _Attention:
    """Names: ``query`` as it lies by heads, the three inputs before that, and the output."""

    query: str
    inputs: tuple[str, str, str]
    output: str
    scale: float


class _Graph:
    """A graph with what makes and what reads each value."""

    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper

        self.graph = model.graph
        self.makers = {name: node for node in self.graph.node for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.stored = {tensor.name: tensor for tensor in self.graph.initializer}
        self._number = numpy_helper.to_array

    def made_by(self, name: str, kind: str, **wanted: Any) -> Any | None:
        """The node that makes a value, if it is of that kind and has these attributes."""
        node = self.makers.get(name)
        return node if node is not None and _is(node, kind, wanted) else None

    def read_by(self, name: str, kind: str, **wanted: Any) -> Any | None:
        """The one node that reads a value, if it is of that kind."""
        nodes = self.readers.get(name, [])
        return nodes[0] if len(nodes) == 1 and _is(nodes[0], kind, wanted) else None

    def number(self, name: str) -> float | None:
        """A constant of one element."""
        tensor = self.stored.get(name)
        if tensor is None and (node := self.made_by(name, "Constant")) is not None:
            tensor = node.attribute[0].t
        if tensor is None or any(size != 1 for size in tensor.dims):
            return None
        return float(self._number(tensor).reshape(()))

    def unscaled(self, name: str) -> tuple[str, float]:
        """The value before it is multiplied by numbers, and their product."""
        scale = 1.0
        while (node := self.makers.get(name)) is not None and node.op_type in ("Mul", "Div"):
            numbers = [self.number(one) for one in node.input]
            if node.op_type == "Div" and numbers[1]:
                name, scale = node.input[0], scale / numbers[1]
            elif node.op_type == "Mul" and numbers[1] is not None:
                name, scale = node.input[0], scale * numbers[1]
            elif node.op_type == "Mul" and numbers[0] is not None:
                name, scale = node.input[1], scale * numbers[0]
            else:
                break
        return name, scale

    def steady_lookups(self) -> list[Any]:
        """Rows looked up in a stored table by what only the shape of the input decides."""
        of_text = {one.name for one in self.graph.input}
        found = []
        for node in self.graph.node:
            if node.op_type != "Shape" and any(name in of_text for name in node.input):
                of_text.update(node.output)
            elif node.op_type == "Gather" and self._is_table(node.input[0]):
                found.append(node)
        return found

    def _is_table(self, name: str) -> bool:
        from onnx import TensorProto

        tensor = self.stored.get(name)
        return (
            tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
        )

    def drop_unused(self) -> None:
        """Nodes and stored values that no output needs."""
        needed = {output.name for output in self.graph.output}
        kept = []
        for node in reversed(self.graph.node):
            if any(name in needed for name in node.output):
                needed.update(node.input)
                kept.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(kept))
        stored = [tensor for tensor in self.graph.initializer if tensor.name in needed]
        del self.graph.initializer[:]
        self.graph.initializer.extend(stored)


def _is(node: Any, kind: str, wanted: Mapping[str, Any]) -> bool:
    if node.op_type != kind:
        return False
    has = {one.name: list(one.ints) for one in node.attribute}
    return all(has.get(name) == value for name, value in wanted.items())


def _attentions(graph: _Graph) -> Iterator[_Attention]:
    for node in graph.graph.node:
        if node.op_type == "Softmax" and (found := _around(graph, node)) is not None:
            yield found


def _around(graph: _Graph, softmax: Any) -> _Attention | None:
    """The attention whose softmax this is, None where it has another form."""
    added = graph.made_by(softmax.input[0], "Add")
    for name in added.input if added is not None else softmax.input[:1]:
        scores, scale = graph.unscaled(name)
        product = graph.made_by(scores, "MatMul")
        if product is not None:
            break
    else:
        return None
    (query, by), (key, and_by) = (graph.unscaled(name) for name in product.input)
    mixed = graph.read_by(softmax.output[0], "MatMul")
    turned = mixed and graph.read_by(mixed.output[0], "Transpose", perm=HEADS_ASIDE)
    joined = turned and graph.read_by(turned.output[0], "Reshape")
    if joined is None or mixed is None or mixed.input[0] != softmax.output[0]:
        return None
    inputs = (
        _by_heads(graph, query),
        _by_heads(graph, key, turned=True),
        _by_heads(graph, mixed.input[1]),
    )
    if None in inputs:
        return None
    return _Attention(query, inputs, joined.output[0], scale * by * and_by)  # type: ignore[arg-type]


def _by_heads(graph: _Graph, name: str, *, turned: bool = False) -> str | None:
    """The value [b, t, heads * size] that lies by heads under this name."""
    node = graph.made_by(name, "Transpose", perm=HEADS_ASIDE_TURNED if turned else HEADS_ASIDE)
    if node is None and turned:
        last = graph.made_by(name, "Transpose", perm=LAST_TWO)
        node = last and graph.made_by(last.input[0], "Transpose", perm=HEADS_ASIDE)
    split = node and graph.made_by(node.input[0], "Reshape")
    return None if split is None else str(split.input[0])


def _put(graph: _Graph, found: _Attention, shape: Sequence[int]) -> None:
    """One node in place of the one that joins the heads; ``shape`` is [b, heads, t, size]."""
    from onnx import TensorProto, helper

    nodes = graph.graph.node
    if all(PADDING not in node.output for node in nodes):
        mask = helper.make_node("Cast", ["attention_mask"], [PADDING], to=TensorProto.INT32)
        nodes.insert(0, mask)
    node = helper.make_node(
        ATTENTION,
        [*found.inputs, "", PADDING],
        [found.output],
        name=f"{found.output}_fused",
        domain=CONTRIBUTED,
        num_heads=int(shape[1]),
        scale=found.scale,
    )
    place = next(row for row, old in enumerate(nodes) if found.output in old.output)
    del nodes[place]
    nodes.insert(place, node)


def _put_rows(
    graph: _Graph, lookups: Sequence[Any], seen: Sequence[Mapping[str, NDArray[Any]]]
) -> None:
    """Stored rows in place of lookups that gave one and the same row everywhere."""
    from onnx import numpy_helper

    for node in lookups:
        name = node.output[0]
        rows = [one[name].reshape(-1, one[name].shape[-1]) for one in seen]
        if all((some == rows[0][0]).all() for some in rows):
            graph.graph.node.remove(node)
            graph.graph.initializer.append(numpy_helper.from_array(rows[0][0].copy(), name))


def _probes(batches: Sequence[Batch], longest: int) -> Iterator[Batch]:
    """Inputs of the greatest length, full and half padding, of ids that occur."""
    known = np.unique(np.concatenate([ids[mask > 0] for ids, mask in batches]))
    ids = np.random.default_rng(0).choice(known, (2, longest)).astype(np.int64)
    mask = np.ones_like(ids)
    mask[1, max(1, longest // 2) :] = 0
    yield ids, mask
    yield ids[:, :1], mask[:, :1]


def _values(
    model: Any, batches: Sequence[Batch], names: Sequence[str]
) -> tuple[list[NDArray[Any]], list[dict[str, NDArray[Any]]]]:
    """The vectors of each batch, and the values of these names."""
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = open_session(watched.SerializeToString(), 1)
    vectors, seen = [], []
    for ids, mask in batches:
        first, *others = session.run(
            ["vectors", *names], {"input_ids": ids, "attention_mask": mask}
        )
        vectors.append(first)
        seen.append(dict(zip(names, others, strict=True)))
    return vectors, seen
