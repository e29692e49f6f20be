"""From trained weights to the pack that insightface's FaceAnalysis loads: models/mini/*.onnx."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from worker.mini.train.faces_detector import STRIDES, Detector
from worker.mini.train.faces_recogniser import SHAPES, Recogniser

# Weights this long are stored in half precision and cast back when the model is loaded.
_HALVED_FROM = 1000


def export_pack(folder: Path, pack: Path) -> list[str]:
    """Write every trained model of the folder into the pack and say what was written, a line a file.

    pack/models/mini holds the detector and the recogniser; the judge lies beside it, where FaceAnalysis does not look.
    """
    lines = []
    if (folder / "faces-detector.pt").exists():
        detector = Detector()
        saved = torch.load(folder / "faces-detector.pt", weights_only=True)
        detector.load_state_dict(saved["model"])
        names = [f"{what}_{stride}" for what in ("score", "bbox", "kps") for stride in STRIDES]
        lines.append(_write(detector, torch.zeros(1, 3, 160, 192), names, pack / "models" / "mini" / "detector.onnx"))
    for name, path in (("recogniser", pack / "models" / "mini"), ("judge", pack)):
        if not (folder / f"faces-{name}.pt").exists():
            continue
        recogniser = Recogniser(SHAPES[name])
        saved = torch.load(folder / f"faces-{name}.pt", weights_only=True)["model"]
        own = {key.removeprefix("recogniser."): value for key, value in saved.items() if key.startswith("recogniser.")}
        recogniser.load_state_dict(own)
        lines.append(_write(recogniser, torch.zeros(1, 3, 112, 112), ["embedding"], path / f"{name}.onnx"))
    return lines


def _write(model: nn.Module, example: torch.Tensor, names: list[str], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(names) == 1:
        axes = {"input": {0: "batch"}, names[0]: {0: "batch"}}
    else:
        # insightface reads scores without a batch axis, and height and width must be free and named apart.
        axes = {"input": {2: "height", 3: "width"}, **{name: {0: f"anchors_{name}"} for name in names}}
    with warnings.catch_warnings():
        # The exporter that needs nothing beyond torch says that it is the older one.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model.eval(), (example,), path, input_names=["input"], output_names=names, dynamic_axes=axes, dynamo=False,
            opset_version=17,
        )  # fmt: skip
    graph = onnx.load(path)
    _halve(graph.graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB"


def _halve(graph: onnx.GraphProto) -> None:
    casts = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= _HALVED_FROM:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
            casts.append(
                onnx.helper.make_node("Cast", [f"{name}_half"], [name], f"cast_{name}", to=onnx.TensorProto.FLOAT)
            )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
