"""An fp32 graph in 8 bits whose answers do not depend on what else is in a batch.

A scale that is measured on each batch (dynamic quantisation) moves a text's answer with its mates:
on Banking77 one in a hundred changed its class. Here scales are measured once, on texts of the
training data, and stand in the graph: a text's integers are then the same in any batch. What that
would cost in precision, smoothing wins back: channels of an activation that reach far are made
smaller, and the rows of the weights that they meet larger by as much (Xiao et al., "SmoothQuant",
2022). Weights have a scale for each output channel, word embeddings for each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.runtime.activations import Batch, Floats, Reach, reaches_of
from models.runtime.fusing import ATTENTION, CONTRIBUTED, fused

SMOOTHING = 0.8
"""Share of an activation's reach that its weights take over, as a power. On 400 validation texts of
Banking77 99.75 % keep torch's class at 0.65, all do at 0.8 and 0.9."""

LARGE_TABLE = 4_096
"""Rows from which a table of embeddings is stored in 8 bits."""


def write_quantised(source: Path, path: Path, batches: Sequence[Batch], longest: int) -> None:
    """Write the graph of ``source`` in 8 bits, its scales measured on these batches.

    ``longest`` is the tokens of the longest input.
    """
    import onnx
    from onnx import numpy_helper

    model = fused(onnx.load(str(source)), batches, longest)
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    weights = {
        node.input[1]: numpy_helper.to_array(stored[node.input[1]])
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in stored
    }
    weights = {name: array for name, array in weights.items() if array.ndim == 2}
    inputs = list(
        dict.fromkeys(
            node.input[0]
            for node in graph.node
            if node.op_type == "MatMul" and node.input[1] in weights
        )
    )
    reaches = reaches_of(model, inputs, batches)
    made = _Quantiser(graph, stored, weights, reaches)
    nodes = [new for node in graph.node for new in made.replaced(node)]
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    if all(opset.domain != CONTRIBUTED for opset in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(CONTRIBUTED, 1))
    onnx.save(model, str(path))


def _biases(
    graph: Any, stored: dict[str, Any], weights: dict[str, NDArray[Any]]
) -> dict[str, tuple[Any, str]]:
    """By a product's output: the sum that alone reads it, and the vector that the sum adds.

    A kernel that adds it itself spares a node for each layer, which a short text would notice.
    """
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    kept = {output.name for output in graph.output}
    found = {}
    for node in graph.node:
        output = node.output[0]
        if node.op_type != "MatMul" or node.input[1] not in weights or output in kept:
            continue
        reading = readers.get(output, [])
        if len(reading) != 1 or reading[0].op_type != "Add":
            continue
        other = [name for name in reading[0].input if name != output]
        if len(other) == 1 and other[0] in stored and len(stored[other[0]].dims) == 1:
            found[output] = (reading[0], other[0])
    return found


def _merged(
    graph: Any, weights: dict[str, NDArray[Any]], biases: dict[str, tuple[Any, str]]
) -> dict[str, list[Any]]:
    """By an attention's output: the products of its queries, keys and values, where these can go
    into its node. They are of one input and as wide as each other, nothing else reads them, and
    what attention gives is read by products alone."""
    makers = {node.output[0]: node for node in graph.node}
    makers |= {sum_.output[0]: makers[name] for name, (sum_, _) in biases.items()}
    readers: dict[str, list[Any]] = {output.name: [None] for output in graph.output}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def is_product(node: Any) -> bool:
        return bool(node is not None and node.op_type == "MatMul" and node.input[1] in weights)

    found = {}
    for node in graph.node:
        if node.op_type != ATTENTION:
            continue
        products: list[Any] = [makers.get(name) for name in node.input[:3]]
        reading = readers.get(node.output[0], [])
        if (
            all(map(is_product, products))
            and all(len(readers[name]) == 1 for name in node.input[:3])
            and len({product.input[0] for product in products}) == 1
            and len({weights[product.input[1]].shape for product in products}) == 1
            and all(is_product(one) and one.input[0] == node.output[0] for one in reading)
        ):
            found[node.output[0]] = products
    return found


class _Quantiser:
    """Gives the nodes that stand in a node's place, and adds what they need to the graph."""

    def __init__(
        self,
        graph: Any,
        stored: dict[str, Any],
        weights: dict[str, NDArray[Any]],
        reaches: dict[str, Reach],
    ) -> None:
        self._graph = graph
        self._stored = stored
        self._weights = weights
        self._reaches = reaches
        self._inputs: dict[str, Floats] = {}
        self._biases = _biases(graph, stored, weights)
        self._added = {sum_.output[0] for sum_, _ in self._biases.values()}
        self._merged = _merged(graph, weights, self._biases)
        self._in_attention = {
            product.output[0] for products in self._merged.values() for product in products
        }

    def replaced(self, node: Any) -> list[Any]:
        """The node itself, or its form in 8 bits; none where its work is done by another."""
        if node.output[0] in self._added or node.output[0] in self._in_attention:
            return []
        if node.output[0] in self._merged:
            return self._attention(node)
        if node.op_type == "MatMul" and node.input[1] in self._weights:
            return self._product(node)
        if node.op_type == "Gather" and node.input[0] in self._stored:
            return self._lookup(node)
        return [node]

    def _product(self, node: Any) -> list[Any]:
        from onnx import helper

        source, name = node.input[0], node.input[1]
        new, smoothing = self._quantised_input(source)
        whole, scales = self._quantised_weight(name, smoothing)
        self._add(f"{name}_q8", whole)
        self._add(f"{name}_scale", scales)
        operands = [f"{source}_q8", f"{name}_q8", f"{source}_scale", f"{name}_scale"]
        operands.append(f"{source}_zero")
        outputs = list(node.output)
        if node.output[0] in self._biases:
            sum_, bias = self._biases[node.output[0]]
            operands += ["", bias]
            outputs = list(sum_.output)
        product = helper.make_node(
            "MatMulIntegerToFloat",
            operands,
            outputs,
            name=f"{node.name}_q8",
            domain=CONTRIBUTED,
        )
        return [*new, product]

    def _quantised_weight(self, name: str, smoothing: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Integers [channels, columns] and the scale of each column."""
        weight = self._weights[name].astype(np.float32) * smoothing[:, None]
        scales = np.maximum(np.abs(weight).max(axis=0) / 127, np.float32(1e-12))
        return np.round(weight / scales).astype(np.int8), scales.astype(np.float32)

    def _attention(self, node: Any) -> list[Any]:
        """Attention with its three products, in one node.

        Its own scale is one over the root of a head's size: what differs is put on the queries.
        The smoothing of what it gives is put on the values.
        """
        from onnx import helper, numpy_helper

        output = node.output[0]
        products = self._merged[output]
        source = products[0].input[0]
        new, smoothing = self._quantised_input(source)
        has = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        size = self._weights[products[0].input[1]].shape[1] // has["num_heads"]
        after = (has["scale"] * size**0.5, 1.0, 1 / self._smoothing(output))
        wholes, scales, biases = [], [], []
        for product, factor in zip(products, after, strict=True):
            whole, scale = self._quantised_weight(product.input[1], smoothing)
            bias = np.zeros(len(scale), dtype=np.float32)
            if product.output[0] in self._biases:
                bias = numpy_helper.to_array(self._stored[self._biases[product.output[0]][1]])
            wholes.append(whole)
            scales.append(scale * factor)
            biases.append(bias * factor)
        self._add(f"{output}_weight", np.concatenate(wholes, axis=1))
        self._add(f"{output}_weight_scale", np.concatenate(scales).astype(np.float32))
        self._add(f"{output}_bias", np.concatenate(biases).astype(np.float32))
        operands = [f"{source}_q8", f"{output}_weight", f"{output}_bias", f"{source}_scale"]
        operands += [f"{output}_weight_scale", node.input[4], f"{source}_zero"]
        made = helper.make_node(
            "QAttention",
            operands,
            [output],
            name=f"{node.name}_q8",
            domain=CONTRIBUTED,
            num_heads=has["num_heads"],
        )
        return [*new, made]

    def _quantised_input(self, source: str) -> tuple[list[Any], Floats]:
        """The nodes that bring an activation to 8 bits, and what its channels were divided by.

        There are none the second time.
        """
        from onnx import helper

        if source in self._inputs:
            return [], self._inputs[source]
        reach = self._reaches[source]
        smoothing = self._smoothing(source)
        least = min(0.0, float((reach.least / smoothing).min()))
        greatest = max(0.0, float((reach.greatest / smoothing).max()))
        scale = max((greatest - least) / 255, 1e-12)
        zero = int(np.clip(round(-least / scale), 0, 255))
        self._inputs[source] = smoothing
        self._add(f"{source}_scale", np.array(scale, dtype=np.float32))
        self._add(f"{source}_zero", np.array(zero, dtype=np.uint8))
        smoothed, new = source, []
        if source not in self._merged:
            smoothed = f"{source}_smoothed"
            self._add(f"{source}_smooth", (1 / smoothing).astype(np.float32))
            new = [helper.make_node("Mul", [source, f"{source}_smooth"], [smoothed])]
        quantise = helper.make_node(
            "QuantizeLinear", [smoothed, f"{source}_scale", f"{source}_zero"], [f"{source}_q8"]
        )
        return [*new, quantise], smoothing

    def _smoothing(self, source: str) -> Floats:
        """What the channels of an activation are divided by, float32 [channels]; mean (log) 1."""
        reach = self._reaches[source]
        far = np.maximum(np.maximum(-reach.least, reach.greatest), 1e-5)
        strong = np.maximum(self._strength(source), 1e-5)
        smoothing = np.maximum(far**SMOOTHING / strong ** (1 - SMOOTHING), 1e-5)
        return np.asarray(smoothing / np.exp(np.log(smoothing).mean()), dtype=np.float32)

    def _strength(self, source: str) -> Floats:
        """The largest weight that meets each channel of an activation, float32 [channels]."""
        met = [
            np.abs(self._weights[node.input[1]]).max(axis=1)
            for node in self._graph.node
            if node.op_type == "MatMul"
            and node.input[0] == source
            and node.input[1] in self._weights
        ]
        strength: Floats = np.max(met, axis=0).astype(np.float32)
        return strength

    def _lookup(self, node: Any) -> list[Any]:
        """Rows of a large table: 8 bits, and a scale for each."""
        from onnx import TensorProto, helper, numpy_helper

        name, output = node.input[0], node.output[0]
        table = numpy_helper.to_array(self._stored[name])
        if table.ndim != 2 or len(table) < LARGE_TABLE or table.dtype != np.float32:
            return [node]
        scales = np.maximum(np.abs(table).max(axis=1, keepdims=True) / 127, np.float32(1e-12))
        self._add(f"{name}_q8", np.round(table / scales).astype(np.int8))
        self._add(f"{name}_scale", scales.astype(np.float32))
        rows = node.input[1]
        return [
            helper.make_node("Gather", [f"{name}_q8", rows], [f"{output}_q8"]),
            helper.make_node("Gather", [f"{name}_scale", rows], [f"{output}_scale"]),
            helper.make_node("Cast", [f"{output}_q8"], [f"{output}_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{output}_float", f"{output}_scale"], [output]),
        ]

    def _add(self, name: str, array: NDArray[Any]) -> None:
        from onnx import numpy_helper

        if name not in self._stored:
            self._stored[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
            self._graph.initializer.append(self._stored[name])
