"""The PyTorch peer of the step benchmarks: the same steps on the same shapes (shapes.json), as fast as eager PyTorch makes them.

    python bench/peer_torch.py --threads 2 --dtype f32 --steps collab,content,rec,users,one --repeat 5 --json

A training step is embedding, forward, loss, regulariser, backward and dense Adam over the stage's user and item tables (preset
`paper`: sums, first main token predicted, lambda_c = 100). The backbone has random GPT-2 weights, frozen, dropout off.

Variants, interleaved in every round so that all meet the same machine:
    padded        each batch padded to its longest row. One causal pass over [prompt ; main] instead of the authors' two: padding
                  stands on the right, where no real token sees it, so attention needs no mask, and one pass is faster. Heads
                  run at the positions with a loss only, which the authors' code doesn't do.
    packed        no padding: all tokens in one matrix, attention over groups of rows of equal length.
    transformers  padded, with the backbone of the transformers package (attn_implementation=sdpa).
Where all rows are equally long there is nothing to pack and `packed` is left out.

Fused Adam, fused attention, weights stored in the work type; with bf16, autocast around weights that are bf16 already.
Needs torch (and transformers for that variant); versions as in tools/golden/requirements.txt.
"""
import argparse
import json
import statistics
import time
from itertools import groupby
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

SHAPES = json.loads((Path(__file__).parent / "shapes.json").read_text())
LAMBDA_C = 100.0


# ---- Backbone ----------------------------------------------------------------------------------------------------------------

class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.fc, self.fc_proj = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def attention(self, qkv, rows, length):
        """Causal attention of `rows` sequences of one length, whose tokens follow each other in qkv."""
        q, k, v = qkv.view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(rows * length, -1)

    def forward(self, x, groups):
        parts = self.qkv(self.ln_1(x)).split([rows * length for rows, length in groups])
        x = x + self.proj(torch.cat([self.attention(part, *group) for part, group in zip(parts, groups)]))
        return x + self.fc_proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class Backbone(nn.Module):
    """GPT-2 over a matrix of tokens [T, d] that holds groups of (rows, length)."""

    def __init__(self, layers, d, heads, context, **_):
        super().__init__()
        self.wpe = nn.Embedding(context, d)
        self.blocks = nn.ModuleList(Block(d, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(d)

    def forward(self, x, groups):
        x = x + self.wpe(torch.cat([torch.arange(length).repeat(rows) for rows, length in groups]))
        for block in self.blocks:
            x = block(x, groups)
        return self.ln_f(x)


class TransformersBackbone(nn.Module):
    """The same weights in transformers' GPT-2."""

    def __init__(self, ours, layers, d, heads, context, **_):
        super().__init__()
        from transformers import GPT2Config, GPT2Model
        self.model = GPT2Model(GPT2Config(vocab_size=1, n_positions=context, n_embd=d, n_layer=layers, n_head=heads, bos_token_id=None,
                                          eos_token_id=None, attn_implementation="sdpa")).eval().requires_grad_(False)
        self.model.wpe.weight.data, self.model.ln_f = ours.wpe.weight.data, ours.ln_f
        for theirs, block in zip(self.model.h, ours.blocks):
            theirs.ln_1, theirs.ln_2 = block.ln_1, block.ln_2
            for conv, linear in ((theirs.attn.c_attn, block.qkv), (theirs.attn.c_proj, block.proj),
                                 (theirs.mlp.c_fc, block.fc), (theirs.mlp.c_proj, block.fc_proj)):
                conv.weight.data, conv.bias.data = linear.weight.data.T.contiguous(), linear.bias.data  # theirs is [in, out]

    def forward(self, x, groups):
        ((rows, length),) = groups
        return self.model(inputs_embeds=x.view(rows, length, -1), use_cache=False).last_hidden_state.view(rows * length, -1)


def frozen(module, dtype):
    """Random weights of GPT-2's size, without gradient; the products' weights in the work type, norms in f32."""
    module.eval().requires_grad_(False)
    for name, p in module.named_parameters():
        if p.dim() > 1:
            nn.init.normal_(p, std=0.02)
        if "ln_" not in name and "wpe" not in name:
            p.data = p.data.to(dtype)
    return module


# ---- Batches -----------------------------------------------------------------------------------------------------------------

class Batch:
    """Token ids as shapes.json defines them, laid out with or without padding, with all index arrays prepared."""

    def __init__(self, stage, shape, model, packed, only=None):
        N, I, J = model["vocab"], model["users"], model["items"]
        user = lambda r: N + r * 37 % I
        items = lambda r, n, shift=0: [(r * 131 + k * 17 + shift) % J for k in range(n)]
        token = lambda j: N + I + j
        rows, self.targets = [], []
        count = len(shape["main"] if "main" in shape else shape["lengths"])
        for r in only if only is not None else range(count):
            if stage == "collab":
                prompt, main = [user(r), 0, 1, 2], [token(j) for j in items(r, shape["main"][r])]
            elif stage == "content":
                prompt, main = [user(r), 0, 1, 2, 3, 4, token(items(r, 1)[0]), 5], [(r * 7919 + k * 104729) % N for k in range(shape["main"][r])]
            else:
                prompt, main = [user(r), 0, 1, 2, *map(token, items(r, shape["lengths"][r] - 9)), 3, user(r), 4, 5, 6], []
            rows.append((r, prompt, main))
        rows.sort(key=lambda row: len(row[1] + row[2]))

        lengths = [len(p + m) for _, p, m in rows]
        width = [max(lengths)] * len(rows) if not packed else lengths
        self.groups = [(len(list(g)), n) for n, g in groupby(width)]
        ids, at, read, label, own, target = [], 0, [], [], [], []
        for b, ((r, prompt, main), w) in enumerate(zip(rows, width)):
            sequence = prompt + main
            ids += sequence + [0] * (w - len(sequence))
            if main:  # the state before each main token predicts it
                read += range(at + len(prompt) - 1, at + len(sequence) - 1)
                label += [t - (N + I if stage == "collab" else 0) for t in main]
                own += [user(r)] + [t for t in sequence if t >= N + I]
            else:
                read.append(at + len(prompt) - 1)
                hidden = items(r, shape["targets"][r], 5) if "targets" in shape else []
                target += [(b, j) for j in hidden]
                own += [user(r)] + sorted({t for t in sequence if t >= N + I} | {token(j) for j in hidden})
            at += w
        ids, self.own = torch.tensor(ids), torch.tensor(own) - N
        self.read, self.label = torch.tensor(read), torch.tensor(label)
        if target:
            self.target = torch.zeros(len(rows), J)
            self.target[tuple(torch.tensor(target).T)] = 1
        self.seen = tuple(torch.tensor([(b, t - N - I) for b, (_, p, _) in enumerate(rows) for t in p if t >= N + I]).T) if stage == "users" else None
        # Embedding: three plain look-ups, then one permutation, so that no table is ever copied.
        kinds = [(ids < N).nonzero()[:, 0], ((ids >= N) & (ids < N + I)).nonzero()[:, 0], (ids >= N + I).nonzero()[:, 0]]
        self.words, self.users, self.items = ids[kinds[0]], ids[kinds[1]] - N, ids[kinds[2]] - N - I
        self.order = torch.argsort(torch.cat(kinds))


# ---- Steps -------------------------------------------------------------------------------------------------------------------

class Peer:
    def __init__(self, model, dtype):
        self.model, self.dtype = model, dtype
        self.wte = torch.empty(model["vocab"], model["d"]).normal_(std=0.02)
        self.head = self.wte.to(dtype)
        table = lambda: [nn.Parameter(torch.empty(model[n], model["d"]).normal_(std=0.02)) for n in ("users", "items")]
        self.tables, self.other = table(), [t.detach() for t in table()]
        self.adam = torch.optim.Adam(self.tables, lr=1e-3, fused=True)
        self.ours, self.theirs = frozen(Backbone(**model), dtype), None

    def backbone(self, variant):
        if variant != "transformers":
            return self.ours
        self.theirs = self.theirs or TransformersBackbone(self.ours, **self.model)
        return self.theirs

    def hidden(self, batch, variant):
        x = torch.cat([F.embedding(batch.words, self.wte), F.embedding(batch.users, self.tables[0]), F.embedding(batch.items, self.tables[1])])
        return self.backbone(variant)(x[batch.order], batch.groups)[batch.read]

    def autocast(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def loss(self, stage, batch, variant):
        with self.autocast():
            h = self.hidden(batch, variant)
            if stage == "content":
                loss = F.cross_entropy(F.linear(h, self.head), batch.label, reduction="sum")
            elif stage == "collab":
                loss = F.cross_entropy(F.linear(h, self.tables[1]), batch.label, reduction="sum")
            else:
                loss = -(F.log_softmax(F.linear(h, self.tables[1]), -1) * batch.target).sum()
        users, items = batch.own[batch.own < self.model["users"]], batch.own[batch.own >= self.model["users"]] - self.model["users"]
        for rows, mine, theirs in zip((users, items), self.tables, self.other):
            loss = loss + LAMBDA_C / 2 * (F.embedding(rows, mine) - F.embedding(rows, theirs)).square().sum()
        return loss

    def train(self, stage, batch, variant):
        self.adam.zero_grad()
        self.loss(stage, batch, variant).backward()
        self.adam.step()

    @torch.inference_mode()
    def recommend(self, batches, variant, top):
        best = []
        for batch in batches:
            with self.autocast():
                scores = F.linear(self.hidden(batch, variant), self.tables[1]).float()
            scores[batch.seen] = -torch.inf
            best.append(scores.topk(top).values)
        return torch.cat(best)


def prepare(peer, name, variant):
    """-> a function that runs the step once, its result as a number, the numbers of real tokens and of tokens computed."""
    shape = peer.model["steps"][name]
    stage, packed = {"ragged": "content", "one": "users"}.get(name, name), variant == "packed"
    if stage == "users":
        by_length = sorted(range(len(shape["lengths"])), key=lambda r: shape["lengths"][r])
        batches = [Batch(stage, shape, peer.model, packed, by_length[k:k + shape["batch"]]) for k in range(0, len(by_length), shape["batch"])]
        run = lambda: peer.recommend(batches, variant, shape["top"])
        value = run().sum().item()
    else:
        batches = [Batch(stage, shape, peer.model, packed)]
        run = lambda: peer.train(stage, batches[0], variant)
        with torch.no_grad():
            value = peer.loss(stage, batches[0], variant).item()
    return run, value, shape["real_tokens"], sum(rows * length for batch in batches for rows, length in batch.groups)


def main():
    arg = argparse.ArgumentParser(description="PyTorch's times for the steps of shapes.json")
    arg.add_argument("--model", choices=[m for m in SHAPES if m not in ("about", "smollm2")], default="gpt2")
    arg.add_argument("--steps", default="collab,content,rec,users,one", help="of collab, content, ragged, rec, users, one")
    arg.add_argument("--variants", default="padded,packed", help="of padded, packed, transformers")
    arg.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    arg.add_argument("--threads", type=int, default=2)
    arg.add_argument("--repeat", type=int, default=5)
    arg.add_argument("--json", action="store_true")
    arg = arg.parse_args()
    torch.set_num_threads(arg.threads)
    torch.manual_seed(1)

    peer = Peer(SHAPES[arg.model], {"f32": torch.float32, "bf16": torch.bfloat16}[arg.dtype])
    for name in arg.steps.split(","):
        runs, expected, tolerance = {}, None, 1e-4 if arg.dtype == "f32" else 2e-2  # all variants compute the same thing
        for variant in arg.variants.split(","):
            run, value, real, computed = prepare(peer, name, variant)
            expected = value if expected is None else expected
            assert abs(value - expected) <= tolerance * abs(expected), f"{name}: {variant} computes {value}, not {expected}"
            if variant == "packed" and "padded" in runs and runs["padded"][3] == computed:
                continue
            runs[variant] = (run, [], real, computed)
        for r in range(arg.repeat + 1):
            for run, times, *_ in runs.values():
                start = time.perf_counter()
                run()
                if r:  # the first round warms up
                    times.append(time.perf_counter() - start)
        for variant, (_, times, real, computed) in runs.items():
            row = dict(name=name, variant=variant, model=arg.model, dtype=arg.dtype, threads=arg.threads, seconds=min(times),
                       median=statistics.median(times), real_tokens=real, computed_tokens=computed, torch=torch.__version__.split("+")[0])
            print(json.dumps(row) if arg.json else f"{name:8} {variant:13} {min(times):9.4f} s ({statistics.median(times):.4f})  "
                  f"{real} real tokens of {computed}", flush=True)


if __name__ == "__main__":
    main()
