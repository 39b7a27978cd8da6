"""Golden vectors of the GPT-2 backbone: transformers' own GPT-2 on three small random models.

    python tools/golden/gpt2.py

Each model is a folder in the Hugging Face layout (config.json, model.safetensors) and a result file beside it. The three
folders differ where published checkpoints differ: number format, key prefix, a copy of the tied head, old mask buffers.
README.md lists the tensors.
"""
import json

import torch
from transformers import GPT2LMHeadModel, GPT2Model
from transformers.utils import logging

from common import GOLDEN, generator, ints, metadata, normal, offsets, relative, save

# Lengths of the ragged batch: one token, a full context, primes between.
MODELS = {
    "gpt2_bf16": dict(seed=101, dtype=torch.bfloat16, layers=2, d=48, heads=4, vocab=131, context=64, lengths=[5, 1, 6]),
    "gpt2_f32": dict(seed=102, dtype=torch.float32, layers=3, d=16, heads=2, vocab=67, context=12, lengths=[12, 3, 1],
                     prefix="transformer.", head=True),
    "gpt2_f16": dict(seed=103, dtype=torch.float16, layers=1, d=40, heads=1, vocab=37, context=24, lengths=[2, 7, 4],
                     masks=True),
}


def random_weights(rng, dtype, layers, d, vocab, context, **_):
    """Every tensor matters: gains away from one, biases away from zero, and outputs of order one in every layer."""

    def linear(name, n_in, n_out):
        return {f"{name}.weight": normal(rng, n_in, n_out, std=0.8 / n_in ** 0.5), f"{name}.bias": normal(rng, n_out, std=0.1)}

    def norm(name):
        return {f"{name}.weight": normal(rng, d, std=0.2, mean=1), f"{name}.bias": normal(rng, d, std=0.1)}

    w = {"wte.weight": normal(rng, vocab, d, std=0.4), "wpe.weight": normal(rng, context, d, std=0.2)}
    for i in range(layers):
        w |= norm(f"h.{i}.ln_1") | linear(f"h.{i}.attn.c_attn", d, 3 * d) | linear(f"h.{i}.attn.c_proj", d, d)
        w |= norm(f"h.{i}.ln_2") | linear(f"h.{i}.mlp.c_fc", d, 4 * d) | linear(f"h.{i}.mlp.c_proj", 4 * d, d)
    w |= norm("ln_f")
    return {name: t.to(dtype) for name, t in w.items()}


def write_model(name, meta, weights, dtype, layers, d, heads, vocab, context, prefix="", head=False, masks=False, **_):
    tensors = {prefix + key: t for key, t in weights.items()}
    if head:  # a copy of the tied head, as language-model checkpoints carry it
        tensors["lm_head.weight"] = weights["wte.weight"]
    if masks:  # the causal masks that old checkpoints carry and every loader ignores
        for i in range(layers):
            tensors[f"{prefix}h.{i}.attn.bias"] = torch.tril(torch.ones(1, 1, context, context, dtype=dtype))
    save(GOLDEN / name / "model.safetensors", tensors, {"format": "pt"} | meta)
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel" if head else "GPT2Model"], "n_layer": layers,
              "n_embd": d, "n_head": heads, "n_positions": context, "n_ctx": context, "vocab_size": vocab,
              "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "bos_token_id": 0, "eos_token_id": 0,
              "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1}
    (GOLDEN / name / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(name, head, dtype):
    cls = GPT2LMHeadModel if head else GPT2Model
    model, info = cls.from_pretrained(GOLDEN / name, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"], info
    model = model.eval().requires_grad_(False)
    return model.transformer if head else model


def forward_backward(model, ids, lengths, dh):
    """Each sequence on its own, from position 0: this is what a packed batch must equal."""
    table, out, at = model.wte.weight, [], 0
    for n in lengths:
        x = table[ids[at:at + n].long()].clone().requires_grad_(True)  # without wpe: the model adds it
        h = model(inputs_embeds=x[None], use_cache=False).last_hidden_state[0]
        (dx,) = torch.autograd.grad(h, x, dh[at:at + n].to(h.dtype))
        out.append((x, h, h @ table.T, dx))
        at += n
    return [torch.cat(part).detach() for part in zip(*out)]


def main():
    logging.disable_progress_bar()
    for name, spec in MODELS.items():
        rng, meta = generator(spec["seed"]), metadata("gpt2.py", spec["seed"])
        write_model(name, meta, random_weights(rng, **spec), **spec)
        lengths, head = spec["lengths"], spec.get("head", False)
        ids = ints(rng.integers(0, spec["vocab"], sum(lengths)))
        dh = normal(rng, sum(lengths), spec["d"])

        x, h, logits, dx = forward_backward(load(name, head, torch.float64), ids, lengths, dh)
        _, h32, logits32, dx32 = forward_backward(load(name, head, torch.float32), ids, lengths, dh)
        with torch.autocast("cpu", torch.bfloat16):  # only to see that the model can be computed in bf16 at all
            _, h16, _, _ = forward_backward(load(name, head, torch.float32), ids, lengths, dh)
        print(f"  f32 against f64: h {relative(h32, h):.1e}, logits {relative(logits32, logits):.1e}, "
              f"dx {relative(dx32, dx):.1e}; bf16 h {relative(h16, h):.1e}; rms h {h.square().mean().sqrt():.2f}, "
              f"logits {logits.square().mean().sqrt():.2f}, dx {dx.square().mean().sqrt():.2f}")
        assert relative(h32, h) < 2e-6 and relative(dx32, dx) < 5e-6 and relative(h16, h) < 1e-2

        save(GOLDEN / f"{name}.safetensors",
             dict(ids=ids, offsets=offsets(lengths), x=x, h=h, logits=logits, dh=dh, dx=dx,
                  h_f32=h32, logits_f32=logits32, dx_f32=dx32), meta)


if __name__ == "__main__":
    main()
