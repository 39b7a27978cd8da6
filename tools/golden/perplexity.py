"""Perplexity of a pretrained model on real texts: what `cllm4rec backbone eval` must find.

    tools/get-backbone smollm2 DIR && cllm4rec backbone convert DIR/smollm2.gguf -o DIR/hf --dtype f32
    python tools/golden/perplexity.py DATA DIR/smollm2.gguf DIR/hf      # DATA holds imdb/

transformers' model in single precision, loaded from the folder that was converted; tokens by Hugging Face's tokenizers from the
GGUF file's pieces and merges. Each line stands on its own, without a token before it, cut at 512 tokens, scored from its second.
Committed are counts and sums, no texts. README.md has the columns.
"""
import lzma
import math
import sys
from pathlib import Path

import gguf
import torch
from transformers import AutoModelForCausalLM

from common import GOLDEN
from smollm2 import tokenizer

LINES, SHOWN, CUT = 200, (1, 2, 4, 8, 25, 50, 100, 200), 512


def main():
    data, file, folder = sys.argv[1:]
    with lzma.open(Path(data) / "imdb" / "reviews.txt.xz", "rt", encoding="utf-8", newline="\n") as f:
        texts = [line.rstrip("\n") for _, line in zip(range(LINES), f)]
    tok = tokenizer(gguf.GGUFReader(file))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    rows, total, tokens = [], 0.0, 0
    with torch.inference_mode():
        for n, text in enumerate(texts, 1):
            ids = torch.tensor(tok.encode(text).ids[:CUT])
            assert len(ids) >= 2  # the other side leaves out lines of one token
            logits = model(ids[None], use_cache=False).logits[0, :-1]
            total += torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none").double().sum().item()
            tokens += len(ids) - 1
            if n in SHOWN:
                rows.append(f"{n}\t{tokens}\t{total / tokens:.9f}\t{math.exp(total / tokens):.7f}\n")
                print(rows[-1], end="", flush=True)
    (GOLDEN / "perplexity_smollm2.tsv").write_text("#lines\ttokens\tnll\tperplexity\n" + "".join(rows), "utf-8", newline="\n")


if __name__ == "__main__":
    main()
