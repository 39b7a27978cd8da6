"""The PyTorch peer of `bench --step forward|backward`: transformers' LLaMA on SmolLM2's shape, random weights, head left out.

    python bench/peer_llama.py --threads 2 --dtype f32 --steps forward,backward --repeat 5 --json

40 sequences of 50 tokens, equally long, so that nothing is padded. forward: inference mode. backward: forward and backward to the inputs'
embeddings, weights frozen. attn_implementation=sdpa. `all` runs the sequences in one batch, `groups` ten at a time, as we do; the faster
one is fair to compare with. Needs torch and transformers; versions as in tools/golden/requirements.txt.
"""
import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaModel

SHAPE = json.loads((Path(__file__).parent / "shapes.json").read_text())["smollm2"]


def make_model(dtype):
    config = LlamaConfig(vocab_size=8, hidden_size=SHAPE["d"], intermediate_size=SHAPE["inner"], num_hidden_layers=SHAPE["layers"],
                         num_attention_heads=SHAPE["heads"], num_key_value_heads=SHAPE["kv_heads"], max_position_embeddings=SHAPE["context"],
                         rms_norm_eps=1e-5, rope_theta=SHAPE["rope_theta"], bos_token_id=None, eos_token_id=None, pad_token_id=None,
                         attn_implementation="sdpa")
    return LlamaModel(config).eval().requires_grad_(False).to(dtype)


def prepare(model, step, x, group):
    """-> a function that runs the step once."""
    def forward():
        with torch.inference_mode():
            for part in x.split(group):
                model(inputs_embeds=part, use_cache=False)

    def backward():
        for part in x.split(group):
            part = part.detach().requires_grad_()
            h = model(inputs_embeds=part, use_cache=False).last_hidden_state
            h.backward(h.detach())
            assert part.grad is not None

    return {"forward": forward, "backward": backward}[step]


def main():
    arg = argparse.ArgumentParser(description="PyTorch's times for a pass through SmolLM2's shape")
    arg.add_argument("--steps", default="forward,backward")
    arg.add_argument("--variants", default="all,groups")
    arg.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    arg.add_argument("--threads", type=int, default=2)
    arg.add_argument("--repeat", type=int, default=5)
    arg.add_argument("--json", action="store_true")
    arg = arg.parse_args()
    torch.set_num_threads(arg.threads)
    torch.manual_seed(1)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arg.dtype]
    model = make_model(dtype)
    for step in arg.steps.split(","):
        shape = SHAPE["steps"][step]
        x = (0.1 * torch.randn(shape["sequences"], shape["length"], SHAPE["d"])).to(dtype)
        runs = {v: (prepare(model, step, x, {"all": len(x), "groups": 10}[v]), []) for v in arg.variants.split(",")}
        for r in range(arg.repeat + 1):
            for run, times in runs.values():
                start = time.perf_counter()
                run()
                if r:  # the first round warms up
                    times.append(time.perf_counter() - start)
        for variant, (_, times) in runs.items():
            tokens = shape["sequences"] * shape["length"]
            row = dict(name=step, variant=variant, model="smollm2", dtype=arg.dtype, threads=arg.threads, seconds=min(times),
                       median=statistics.median(times), real_tokens=tokens, computed_tokens=tokens, torch=torch.__version__.split("+")[0])
            print(json.dumps(row) if arg.json else f"{step:8} {variant:6} {min(times):9.4f} s ({statistics.median(times):.4f})  "
                  f"{tokens / statistics.median(times):.0f} tokens/s", flush=True)


if __name__ == "__main__":
    main()
