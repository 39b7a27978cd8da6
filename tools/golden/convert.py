"""Does transformers read what `cllm4rec backbone convert` writes as the model that it was made of?

    python tools/golden/convert.py CLLM4REC

Every small model of tests/golden is converted and loaded by transformers' AutoModelForCausalLM, which must miss no tensor, leave
none over, and give the committed hidden states; so must GGUF files with a sliding window, on sequences longer than it, which are made
here. What a folder cannot say must be refused. Nothing is committed.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

import gguf_files
import gpt2
import llama
from common import GOLDEN, generator, ints, normal, relative

FOLDERS = ["gpt2_f32", "gpt2_f16", "gpt2_bf16", "llama_tied", "llama_bias", "qwen2", "mistral"]
FILES = {"gguf_llama": ".gguf", "gguf_bias": ".gguf", "gguf_qwen2": "-00001-of-00002.gguf", "gguf_gpt2": ".gguf"}
WINDOW = 4  # of sequences of up to 24


def states(model, ids, lengths):
    dh = torch.zeros(len(ids), model.config.hidden_size)
    if model.config.model_type == "gpt2":
        return gpt2.forward_backward(model.transformer, ids, lengths, dh)[1]
    return llama.forward_backward(model, ids, lengths, dh)[1]


def converted(program, path, folder):
    subprocess.run([program, "backbone", "convert", path, "-o", folder, "--quiet"], check=True)
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    lost = [info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"]]
    assert not any(lost), (path, lost)
    return model.eval().requires_grad_(False)


def compare(name, model, ids, lengths, wanted):
    error = relative(states(model, ids, lengths), wanted)
    print(f"{name}: {model.config.model_type}, hidden states {error:.1e} apart")
    assert error < 1e-5, name


def changed_file(scratch, name, spec, change):
    """The model's GGUF file with `change` made to its metadata, and its weights."""
    gguf_files.GOLDEN, finish = scratch, gguf_files.finish
    gguf_files.finish = lambda writer: (change(writer), finish(writer))
    weights = llama.random_weights(generator(spec["seed"]), torch.float32, **spec | {"bias": "all" if spec.get("bias") else ""})
    weights = {k: v for k, v in weights.items() if not k.endswith(".bias") or "mlp." not in k and "o_proj" not in k}
    stored = gguf_files.write_llama(name, spec, weights)
    gguf_files.finish = finish
    return scratch / f"{name}.gguf", stored


def main():
    program = Path(sys.argv[1]).resolve()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        for name, ending in {**{n: "" for n in FOLDERS}, **FILES}.items():
            golden = load_file(GOLDEN / f"{name}.safetensors")
            lengths = golden["offsets"].diff().tolist()
            compare(name, converted(program, GOLDEN / f"{name}{ending}", scratch / name), golden["ids"], lengths, golden["h"])

        ids, lengths = ints(generator(0).integers(0, 53, 25)), [24, 1]
        plain = {k: v for k, v in gguf_files.MODELS["gguf_llama"].items() if k != "rope"} | {"rope": {"rope_theta": 500.0}}
        qwen2 = {k: v for k, v in gguf_files.MODELS["gguf_qwen2"].items() if k != "parts"}
        for name, spec, kind, more in (
                ("window_llama", plain, "mistral", {"sliding_window": WINDOW}),
                ("window_qwen2", qwen2, "qwen2", {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 0}),
                ("bias_llama", plain | {"bias": "qkv"}, "qwen2", {})):
            path, stored = changed_file(scratch, name, spec, lambda w: w.add_sliding_window(WINDOW) if more else None)
            reference = gguf_files.model_of(spec | {"type": kind, "rope": spec["rope"] | more}, stored, torch.float32)
            model = converted(program, path, scratch / f"{name}.hf")
            compare(name, model, ids, lengths, states(reference, ids, lengths))
            if more:  # the window matters
                full = gguf_files.model_of(spec | {"type": "qwen2" if kind == "qwen2" else "llama"}, stored, torch.float32)
                assert relative(states(full, ids, lengths), states(reference, ids, lengths)) > 1e-3

        path, _ = changed_file(scratch, "partial", plain, lambda writer: writer.add_rope_dimension_count(4))
        refused = subprocess.run([program, "backbone", "convert", path, "-o", scratch / "partial.hf"], capture_output=True, text=True)
        assert refused.returncode != 0 and "4 of a head's 8 values" in refused.stderr, refused.stderr
        print("partial: refused")


if __name__ == "__main__":
    main()
