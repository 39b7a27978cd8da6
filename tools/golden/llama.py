"""Golden vectors of the LLaMA family: transformers' own LLaMA, Qwen2 and Mistral on small random models.

    python tools/golden/llama.py

The three folders differ where published models differ: grouped or single key-value heads, biases, head width, tied or
separate head, scaled rotary positions, both spellings of their parameters, one file or two with an index. transformers
computes rotary angles, the norm's mean square and the softmax of its eager attention in single precision whatever the
model's type, so the double reference has double precision in their place. README.md lists the tensors.
"""
import json
import math

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.utils import logging

from common import GOLDEN, generator, ints, metadata, normal, offsets, relative, save

LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=48)
MODELS = {
    "llama_tied": dict(seed=111, type="llama", dtype=torch.float32, layers=2, d=24, heads=3, kv=1, head=8, inner=40, vocab=61,
                       context=96, lengths=[24, 1, 9, 3], tied=True, rope={"rope_theta": 500.0, "rope_scaling": LLAMA3}),
    "llama_bias": dict(seed=112, type="llama", dtype=torch.bfloat16, layers=1, d=16, heads=2, kv=2, head=8, inner=24, vocab=37,
                       context=20, lengths=[20, 2], tied=False, bias="all",
                       rope={"rope_parameters": dict(rope_type="linear", rope_theta=1000.0, factor=2.5)}),
    "qwen2": dict(seed=113, type="qwen2", dtype=torch.float16, layers=3, d=16, heads=4, kv=1, head=4, inner=20, vocab=53,
                  context=32, lengths=[5, 11, 1], tied=False, bias="qkv", shards=True, rope={"rope_theta": 10000.0}),
    "mistral": dict(seed=114, type="mistral", dtype=torch.float32, layers=2, d=12, heads=4, kv=2, head=6, inner=28, vocab=31,
                    context=64, lengths=[16, 6], tied=False, window=16, rope={"rope_parameters": dict(rope_theta=100.0)}),
}


def random_weights(rng, dtype, layers, d, heads, kv, head, inner, vocab, tied, bias="", **_):
    w = {}

    def linear(name, n_in, n_out, with_bias):
        w[f"{name}.weight"] = normal(rng, n_out, n_in, std=0.8 / n_in ** 0.5)
        if with_bias:
            w[f"{name}.bias"] = normal(rng, n_out, std=0.1)

    w["model.embed_tokens.weight"] = normal(rng, vocab, d, std=0.4)
    for i in range(layers):
        p = f"model.layers.{i}"
        w[f"{p}.input_layernorm.weight"] = normal(rng, d, std=0.2, mean=1)
        for name, n_out in (("q", heads * head), ("k", kv * head), ("v", kv * head)):
            linear(f"{p}.self_attn.{name}_proj", d, n_out, bias != "")
        linear(f"{p}.self_attn.o_proj", heads * head, d, bias == "all")
        w[f"{p}.post_attention_layernorm.weight"] = normal(rng, d, std=0.2, mean=1)
        linear(f"{p}.mlp.gate_proj", d, inner, bias == "all")
        linear(f"{p}.mlp.up_proj", d, inner, bias == "all")
        linear(f"{p}.mlp.down_proj", inner, d, bias == "all")
    w["model.norm.weight"] = normal(rng, d, std=0.2, mean=1)
    if not tied:
        w["lm_head.weight"] = normal(rng, vocab, d, std=0.4)
    return {name: t.to(dtype) for name, t in w.items()}


def write_model(name, meta, weights, type, layers, d, heads, kv, head, inner, vocab, context, tied, rope, bias="", shards=False,
                window=None, **_):
    folder, format = GOLDEN / name, {"format": "pt"}
    if shards:
        names, half = list(weights), len(weights) // 2
        parts = {"model-00001-of-00002.safetensors": names[:half], "model-00002-of-00002.safetensors": names[half:]}
        for file, part in parts.items():
            save(folder / file, {n: weights[n] for n in part}, format | meta)
        index = {"metadata": {"total_size": sum(t.numel() * t.element_size() for t in weights.values())},
                 "weight_map": {n: file for file, part in parts.items() for n in part}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    else:
        save(folder / "model.safetensors", weights, format | meta)
    config = {"model_type": type, "num_hidden_layers": layers, "hidden_size": d, "num_attention_heads": heads,
              "num_key_value_heads": kv, "intermediate_size": inner, "vocab_size": vocab, "max_position_embeddings": context,
              "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": tied, "bos_token_id": 0, "eos_token_id": 0} | rope
    if d != heads * head:
        config["head_dim"] = head
    if type == "llama":
        config |= {"attention_bias": bias == "all", "mlp_bias": bias == "all"}
    if type == "mistral":
        config["sliding_window"] = window
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def frequencies(head, rope_theta=10000.0, rope_scaling=None, rope_parameters=None):
    """Angles per position in double, from the formulas."""
    rope = dict(rope_theta=rope_theta) | (rope_scaling or {}) | (rope_parameters or {})
    out = []
    for j in range(head // 2):
        f = rope["rope_theta"] ** (-2 * j / head)
        kind = rope.get("rope_type", "default")
        if kind == "linear":
            f /= rope["factor"]
        if kind == "llama3":
            wavelength, old = 2 * math.pi / f, rope["original_max_position_embeddings"]
            smooth = (old / wavelength - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            if wavelength > old / rope["low_freq_factor"]:
                f /= rope["factor"]
            elif wavelength >= old / rope["high_freq_factor"]:
                f = (1 - smooth) * f / rope["factor"] + smooth * f
        out.append(f)
    return torch.tensor(out, dtype=torch.float64)


def in_double(model, freq):
    """Puts double precision where transformers goes through single."""
    def norm(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    rotary = model.model.rotary_emb
    assert relative(rotary.inv_freq, freq) < 1e-6 and rotary.attention_scaling == 1
    for module in model.modules():
        if isinstance(module, (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm)):
            module.forward = norm.__get__(module)

    def angles(x, position_ids):
        turn = position_ids[..., None].double() * freq
        turn = torch.cat((turn, turn), -1)
        return turn.cos(), turn.sin()

    rotary.forward = angles
    return model


def load(name, dtype):
    model, info = AutoModelForCausalLM.from_pretrained(GOLDEN / name, config=AutoConfig.from_pretrained(GOLDEN / name), dtype=dtype,
                                                       attn_implementation="sdpa", output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"] and not info["unexpected_keys"], info
    return model.eval().requires_grad_(False)


def forward_backward(model, ids, lengths, dh):
    table, head, out, at = model.model.embed_tokens.weight, model.lm_head.weight, [], 0
    for n in lengths:
        x = table[ids[at:at + n].long()].clone().requires_grad_(True)
        h = model.model(inputs_embeds=x[None], use_cache=False).last_hidden_state[0]
        (dx,) = torch.autograd.grad(h, x, dh[at:at + n].to(h.dtype))
        out.append((x, h, h @ head.T, dx))
        at += n
    return [torch.cat(part).detach() for part in zip(*out)]


def main():
    logging.disable_progress_bar()
    for name, spec in MODELS.items():
        rng, meta = generator(spec["seed"]), metadata("llama.py", spec["seed"])
        write_model(name, meta, random_weights(rng, **spec), **spec)
        lengths = spec["lengths"]
        ids = ints(rng.integers(0, spec["vocab"], sum(lengths)))
        dh = normal(rng, sum(lengths), spec["d"])

        double = in_double(load(name, torch.float64), frequencies(spec["head"], **spec["rope"]))
        x, h, logits, dx = forward_backward(double, ids, lengths, dh)
        _, h32, logits32, dx32 = forward_backward(load(name, torch.float32), ids, lengths, dh)
        print(f"  f32 against f64: h {relative(h32, h):.1e}, logits {relative(logits32, logits):.1e}, "
              f"dx {relative(dx32, dx):.1e}; rms h {h.square().mean().sqrt():.2f}, dx {dx.square().mean().sqrt():.2f}")
        assert relative(h32, h) < 5e-6 and relative(dx32, dx) < 1e-5

        save(GOLDEN / f"{name}.safetensors", dict(ids=ids, offsets=offsets(lengths), x=x, h=h, logits=logits, dh=dh, dx=dx), meta)


if __name__ == "__main__":
    main()
