"""What the fixture scripts share: where fixtures live, how they are written, and how errors are measured.

Random numbers come from numpy's PCG64, whose stream is the same in every version, and files are written here rather than
by the safetensors package, which orders its metadata differently in every run: the same script gives the same bytes.
"""
import json
import platform
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"

DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
          torch.int32: "I32", torch.int64: "I64"}

torch.set_num_threads(1)  # one order of sums, whatever the machine
torch.use_deterministic_algorithms(True)


def generator(seed):
    return np.random.Generator(np.random.PCG64(seed))


def normal(rng, *shape, std=1.0, mean=0.0):
    return torch.from_numpy(mean + std * rng.standard_normal(shape))


def ints(values):
    return torch.tensor(list(values), dtype=torch.int32)


def offsets(lengths):
    """[2, 3] -> [0, 2, 5]: the row pointers of a ragged array."""
    return ints(np.concatenate([[0], np.cumsum(lengths)]))


def metadata(script, seed):
    return {"script": f"tools/golden/{script}", "command": f"python tools/golden/{script}", "seed": str(seed),
            "torch": torch.__version__.split("+")[0], "python": platform.python_version()}


def save(path, tensors, meta):
    """Writes a safetensors file: u64 header length, JSON header, data. Tensors keep the order of the dict."""
    header, blobs, at = {"__metadata__": meta}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # data starts 8-byte aligned, as the format's own writer does it
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
    print(f"{path.relative_to(GOLDEN.parents[1])}: {path.stat().st_size:,} bytes")


def relative(a, b):
    """The project's measure of equality: ||a - b|| / ||b||."""
    a, b = a.detach().double(), b.detach().double()
    return (torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b)).item()
