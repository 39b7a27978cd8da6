"""Golden vectors of GGUF: the number formats as the `gguf` package's numpy code reads them, and small models in GGUF files.

    python tools/golden/gguf_files.py

gguf_blocks.gguf has one tensor of random blocks for each number format, gguf_blocks.safetensors what they stand for. The
models are written as llama.cpp's converter lays them out (adjacent rotary pairs in `llama`, transposed matrices in `gpt2`),
in mixed number formats; the references are transformers' on the dequantised weights. README.md lists the tensors.
"""
import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from transformers import AutoConfig, AutoModelForCausalLM

import gpt2
import llama
from common import GOLDEN, generator, ints, metadata, normal, offsets, relative, save

# Where a block has its 16-bit floats: random bytes there could be infinite.
HALVES = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q2_K: [80, 82], Q.Q3_K: [108],
          Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208], Q.IQ4_NL: [0], Q.IQ4_XS: [0]}
BLOCKS = {32: 5, 256: 2}

LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=48)
MODELS = {
    "gguf_llama": dict(seed=131, arch="llama", type="llama", layers=2, d=32, heads=4, kv=2, head=8, inner=64, vocab=61, context=96,
                       lengths=[24, 1, 9, 3], tied=True, rope={"rope_theta": 500.0, "rope_scaling": LLAMA3},
                       types=dict(q=Q.Q4_1, k=Q.Q5_0, v=Q.Q5_1, o=Q.Q4_0, gate=Q.BF16, up=Q.F16, down=Q.Q8_0, embed=Q.Q8_0)),
    "gguf_bias": dict(seed=132, arch="llama", type="llama", layers=1, d=32, heads=2, kv=1, head=12, inner=32, vocab=37, context=20,
                      lengths=[20, 2], tied=False, bias="attention", alignment=64,
                      rope={"rope_parameters": dict(rope_type="linear", rope_theta=1000.0, factor=2.5)},
                      types=dict(q=Q.Q8_0, k=Q.F32, v=Q.F32, o=Q.F32, gate=Q.Q8_0, up=Q.Q8_0, down=Q.Q8_0, embed=Q.F16)),
    "gguf_qwen2": dict(seed=133, arch="qwen2", type="qwen2", layers=3, d=32, heads=4, kv=1, head=8, inner=32, vocab=53, context=32,
                       lengths=[5, 11, 1], tied=False, bias="qkv", parts=2, rope={"rope_theta": 10000.0},
                       types=dict(q=Q.Q8_0, k=Q.Q4_0, v=Q.F16, o=Q.Q8_0, gate=Q.Q4_1, up=Q.Q4_1, down=Q.Q5_1, embed=Q.F32)),
    "gguf_gpt2": dict(seed=134, arch="gpt2", layers=2, d=32, heads=4, vocab=67, context=24, lengths=[12, 3, 1],
                      types={"attn.c_attn": Q.Q8_0, "attn.c_proj": Q.Q5_0, "mlp.c_fc": Q.Q4_1, "mlp.c_proj": Q.F16, "wte": Q.Q8_0}),
}


def random_blocks(rng, kind, count):
    size, bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (count, bytes), dtype=np.uint8)
    for at in HALVES.get(kind, []):
        halves = (rng.standard_normal(count) * 0.01).astype(np.float16)
        blocks[:, at:at + 2] = halves.view(np.uint8).reshape(count, 2)
    return blocks


def write_blocks():
    rng, meta = generator(130), metadata("gguf_files.py", 130)
    writer, wanted = gguf.GGUFWriter(GOLDEN / "gguf_blocks.gguf", "blocks"), {}
    for kind in [Q.F32, Q.F16, Q.BF16, *HALVES]:
        size, bytes = gguf.GGML_QUANT_SIZES[kind]
        count = BLOCKS.get(size, 64)
        if kind in HALVES:
            blocks = random_blocks(rng, kind, count)
        else:
            values = rng.standard_normal(count).astype(np.float32)
            values[:4] = [0, -0.0, 6e-8, -5e4]  # 6e-8 is subnormal in half precision
            blocks = gguf.quants.quantize(values, kind).view(np.uint8).reshape(count, bytes)
        writer.add_tensor(kind.name.lower(), blocks.reshape(1, -1), raw_dtype=kind)
        values = gguf.quants.dequantize(blocks.reshape(1, -1) if kind in HALVES or kind == Q.BF16 else
                                        blocks.reshape(-1).view(np.float32 if kind == Q.F32 else np.float16), kind)
        assert np.isfinite(values).all()
        wanted[kind.name.lower()] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32).reshape(-1))
    finish(writer)
    save(GOLDEN / "gguf_blocks.safetensors", wanted, meta)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rounded(tensor, kind):
    """The stored bytes of a tensor, and the values that they stand for, in double."""
    data = gguf.quants.quantize(np.ascontiguousarray(tensor.to(torch.float32).numpy()), kind)
    values = gguf.quants.dequantize(data, kind) if kind not in (Q.F32, Q.F16) else data
    return data, torch.from_numpy(np.asarray(values, dtype=np.float64).reshape(tensor.shape))


def pairs(tensor, heads):
    """Rows of each head from halves to adjacent pairs, as llama.cpp's converter has them for `llama`."""
    rows = torch.arange(tensor.shape[0]).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)
    return tensor[rows]


def add(writer, name, tensor, kind, heads=0):
    """Writes a tensor and returns its rounded values in the order in which they came."""
    data, values = rounded(pairs(tensor, heads) if heads else tensor, kind)
    writer.add_tensor(name, data, raw_dtype=kind)
    if heads:
        back = torch.empty_like(values)
        back[pairs(torch.arange(len(values)), heads)] = values
        values = back
    return values


def writer_of(name, arch, parts=1, alignment=0, **_):
    for old in GOLDEN.glob(f"{name}*.gguf"):
        old.unlink()
    writer = gguf.GGUFWriter(GOLDEN / f"{name}.gguf", arch, split_max_tensors=20 if parts > 1 else 0)
    if alignment:
        writer.add_custom_alignment(alignment)
    return writer


def write_llama(name, spec, weights):
    arch, heads, kv, head = spec["arch"], spec["heads"], spec["kv"], spec["head"]
    writer = writer_of(name, **spec)
    writer.add_block_count(spec["layers"])
    writer.add_context_length(spec["context"])
    writer.add_embedding_length(spec["d"])
    writer.add_feed_forward_length(spec["inner"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5)
    if head * heads != spec["d"]:
        writer.add_key_length(head)
        writer.add_value_length(head)
    rope = dict(rope_theta=10000.0) | spec["rope"] | spec["rope"].get("rope_parameters", {})
    if rope["rope_theta"] != 10000:
        writer.add_rope_freq_base(rope["rope_theta"])
    if rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    stored = {}
    if "rope_scaling" in rope:
        factors = llama.frequencies(head, rope["rope_theta"]) / llama.frequencies(head, **spec["rope"])
        writer.add_tensor("rope_freqs.weight", factors.to(torch.float32).numpy())
        stored["factors"] = factors.to(torch.float32).double()
    names = {"self_attn.q_proj": ("attn_q", "q"), "self_attn.k_proj": ("attn_k", "k"), "self_attn.v_proj": ("attn_v", "v"),
             "self_attn.o_proj": ("attn_output", "o"), "mlp.gate_proj": ("ffn_gate", "gate"), "mlp.up_proj": ("ffn_up", "up"),
             "mlp.down_proj": ("ffn_down", "down"), "input_layernorm": ("attn_norm", None), "post_attention_layernorm": ("ffn_norm", None)}
    tops = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    for key, tensor in weights.items():
        if key in tops:
            kind = Q.F32 if tensor.ndim == 1 else spec["types"]["embed"]
            stored[key] = add(writer, tops[key], tensor, kind)
            continue
        _, _, i, part, what = key.replace("self_attn.", "self_attn-").replace("mlp.", "mlp-").split(".")
        target, short = names[part.replace("-", ".")]
        permuted = {"q": heads, "k": kv}.get(short, 0) if arch == "llama" else 0
        kind = Q.F32 if tensor.ndim == 1 else spec["types"][short]
        stored[key] = add(writer, f"blk.{i}.{target}.{what}", tensor, kind, permuted)
    finish(writer)
    return stored


def write_gpt2(name, spec, weights):
    writer = writer_of(name, **spec)
    writer.add_block_count(spec["layers"])
    writer.add_context_length(spec["context"])
    writer.add_embedding_length(spec["d"])
    writer.add_feed_forward_length(4 * spec["d"])
    writer.add_head_count(spec["heads"])
    writer.add_layer_norm_eps(1e-5)
    names = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
             "ln_1": "attn_norm", "ln_2": "ffn_norm"}
    tops = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}
    stored = {}
    for key, tensor in weights.items():
        part, what = key.rsplit(".", 1)
        if part in tops:
            stored[key] = add(writer, f"{tops[part]}.{what}", tensor, spec["types"].get(part, Q.F32))
            continue
        _, i, part = part.split(".", 2)
        kind = spec["types"].get(part, Q.F32) if tensor.ndim == 2 else Q.F32
        turned = tensor.T if tensor.ndim == 2 else tensor
        values = add(writer, f"blk.{i}.{names[part]}.{what}", turned, kind)
        stored[key] = values.T if tensor.ndim == 2 else values
    finish(writer)
    return stored


def model_of(spec, stored, dtype):
    config = {"vocab_size": spec["vocab"], "tie_word_embeddings": spec.get("tied", True)}
    if spec["arch"] == "gpt2":
        config |= dict(n_layer=spec["layers"], n_embd=spec["d"], n_head=spec["heads"], n_positions=spec["context"])
        stored = {f"transformer.{k}": v for k, v in stored.items()}
    else:
        config |= dict(num_hidden_layers=spec["layers"], hidden_size=spec["d"], num_attention_heads=spec["heads"],
                       num_key_value_heads=spec["kv"], head_dim=spec["head"], intermediate_size=spec["inner"],
                       max_position_embeddings=spec["context"], rms_norm_eps=1e-5) | spec["rope"]
        if spec["type"] == "llama":
            config["attention_bias"] = spec.get("bias", "") == "attention"
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(spec.get("type", spec["arch"]), **config), attn_implementation="sdpa"
                                             if spec["arch"] != "gpt2" else "eager").to(dtype)
    missing, unexpected = model.load_state_dict({k: v.to(dtype) for k, v in stored.items() if k != "factors"}, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model.eval().requires_grad_(False)


def write_model(name, spec):
    rng, meta = generator(spec["seed"]), metadata("gguf_files.py", spec["seed"])
    lengths = spec["lengths"]
    if spec["arch"] == "gpt2":
        stored = write_gpt2(name, spec, gpt2.random_weights(rng, torch.float32, **spec))
    else:
        weights = llama.random_weights(rng, torch.float32, **{**spec, "bias": "all" if spec.get("bias") else ""})
        drop = {"attention": ["mlp."], "qkv": ["mlp.", "o_proj"]}.get(spec.get("bias"), [])
        weights = {k: v for k, v in weights.items() if not (k.endswith(".bias") and any(d in k for d in drop))}
        stored = write_llama(name, spec, weights)
    ids, dh = ints(rng.integers(0, spec["vocab"], sum(lengths))), normal(rng, sum(lengths), spec["d"])
    results = {}
    for dtype in (torch.float64, torch.float32):
        model = model_of(spec, stored, dtype)
        if spec["arch"] == "gpt2":
            results[dtype] = gpt2.forward_backward(model.transformer, ids, lengths, dh)
            continue
        if dtype == torch.float64:
            freq = llama.frequencies(spec["head"], **spec["rope"])
            if "factors" in stored:
                freq = llama.frequencies(spec["head"], spec["rope"]["rope_theta"]) / stored["factors"]
            model = llama.in_double(model, freq)
        results[dtype] = llama.forward_backward(model, ids, lengths, dh)
    (x, h, logits, dx), (_, h32, _, dx32) = results[torch.float64], results[torch.float32]
    print(f"  f32 against f64: h {relative(h32, h):.1e}, dx {relative(dx32, dx):.1e}; rms h {h.square().mean().sqrt():.2f}")
    assert relative(h32, h) < 1e-5 and relative(dx32, dx) < 2e-5
    save(GOLDEN / f"{name}.safetensors", dict(ids=ids, offsets=offsets(lengths), x=x, h=h, logits=logits, dh=dh, dx=dx), meta)


if __name__ == "__main__":
    write_blocks()
    for name, spec in MODELS.items():
        write_model(name, spec)
