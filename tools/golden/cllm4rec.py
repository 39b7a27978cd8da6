"""Golden vectors of the training mathematics: losses, gradients, Adam steps and alternation of CLLM4Rec.

    python tools/golden/cllm4rec.py

Written from the formulas, in double, as plainly as they can be written: one sequence at a time, every term of every sum a
term in a Python sum. The backbone is tests/golden/gpt2_bf16, computed by a GPT-2 of our own that is checked against
transformers' vectors. Two presets, one file each; README.md lists the tensors.

    paper      sums over tokens and users; the first main token is predicted; the target is the held-out items;
               lambda_c/2 on each pair of tokens, lambda_l/2 on each token in the L-step.
               RecLLM has no lambda_l term: the paper's finetuning objective adds the coupling alone.
    faithful   means over predicted tokens (over users in RecLLM); the first main token is not predicted; the target is all
               training items; lambda_V on every occurrence in prompt and main (L-step) or in the prompt (C-step, RecLLM).
"""
from dataclasses import dataclass, field

import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, log_softmax

from common import GOLDEN, generator, ints, metadata, normal, offsets, relative, save

HEADS, D, N, I, J = 4, 48, 131, 7, 11
SEED, LR, STEPS = 20231101, 1e-3, 20
LAMBDA_C, LAMBDA_L, LAMBDA_V = 0.9, 0.4, 0.15  # such that no term drowns another

# Hard tokens, standing for: has interacted with | will interact with | wrote the following review for ... : | The title of ... is:
HAS, WILL, COMMA = [17, 88, 5], [31, 64, 5], [11]
WROTE, COLON = [40, 3, 99, 7, 61], [12]
THE, IS = [83, 29, 54], [120]

USERS_ITEMS = {0: [4], 1: [0, 2, 7, 9], 2: [1, 3, 4, 5, 8, 9], 3: [2, 6, 8], 4: [0, 1, 2, 3, 5, 6, 7, 8, 9, 10], 5: [1, 4, 6, 7, 10]}
# User 6 is in no batch at all: their row must not change by a single bit.
FIRST_BATCH = [0, 1, 2, 3, 4]  # user 5 comes in steps 7 and 12 only: a row whose moments begin late, and then move it idle


# ---- The frozen backbone -----------------------------------------------------------------------------------------------------

WEIGHTS = {name: tensor.double() for name, tensor in load_file(GOLDEN / "gpt2_bf16" / "model.safetensors").items()}


def backbone(x, past=None, mask=None):
    """GPT-2 on embeddings x [B, T, d] -> hidden states after ln_f, and each layer's keys and values.

    `past` continues an earlier call; `mask` [B, keys] is False where a key is padding. Positions simply go on counting, as the
    authors' version of transformers counted them.
    """
    w, start = WEIGHTS, past[0][0].shape[2] if past else 0
    batch, length, d = x.shape
    norm = lambda x, name: layer_norm(x, (d,), w[name + ".weight"], w[name + ".bias"], 1e-5)
    linear = lambda x, name: x @ w[name + ".weight"] + w[name + ".bias"]
    split = lambda x: x.view(batch, -1, HEADS, d // HEADS).transpose(1, 2)

    visible = torch.ones(length, start + length, dtype=torch.bool).tril(start)  # query t sees keys 0..start+t
    if mask is not None:
        visible = visible & mask[:, None, None, :]
    x, present = x + w["wpe.weight"][start:start + length], []
    for i in range(2):
        q, k, v = map(split, linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").chunk(3, -1))
        if past:
            k, v = torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2)
        present.append((k, v))
        scores = (q @ k.mT / (d // HEADS) ** 0.5).masked_fill(~visible, -torch.inf)
        x = x + linear((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, d), f"h.{i}.attn.c_proj")
        x = x + linear(gelu(linear(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh"), f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f"), present


def check_backbone():
    golden = load_file(GOLDEN / "gpt2_bf16.safetensors")
    for a, b in zip(golden["offsets"].tolist(), golden["offsets"].tolist()[1:]):
        h, _ = backbone(golden["x"][None, a:b])
        assert relative(h[0], golden["h"][a:b]) < 1e-13


# ---- Sequences ---------------------------------------------------------------------------------------------------------------

@dataclass
class Sequence:
    prompt: list
    main: list = field(default_factory=list)
    target: list = field(default_factory=list)  # item numbers; RecLLM only


def user(i):
    return N + i


def item(j):
    return N + I + j


def is_user(token):
    return N <= token < N + I


def is_item(token):
    return token >= N + I


def interactions(rng, u, preset):
    items = USERS_ITEMS[u]
    order = sorted(items) if preset == "faithful" else rng.permutation(items)  # B7
    return Sequence([user(u)] + HAS, [item(int(j)) for j in order])


def text(rng, kind, u, j):
    prompt = {"review": [user(u)] + WROTE + [item(j)] + COLON, "title": THE + [item(j)] + IS, "biography": THE + [user(u)] + IS}
    return Sequence(prompt[kind], rng.integers(0, N, int(rng.integers(1, 16))).tolist())


def recommendation(rng, u, preset):
    items = rng.permutation(USERS_ITEMS[u]).tolist()
    masked = max(1, len(items) // 5)
    shown = items[masked:]
    target = sorted(items if preset == "faithful" else items[:masked])  # B6
    return Sequence([user(u)] + HAS + [item(j) for j in shown] + COMMA + [user(u)] + WILL, target=target)


def make_batches(rng, stage, preset):
    """STEPS batches; the first holds many users, the others one to three, and not the same rows twice in a row."""
    batches = []
    for step in range(STEPS):
        users = FIRST_BATCH if step == 0 else rng.choice(5, int(rng.integers(1, 4)), replace=False).tolist()
        if step in (7, 12):
            users = [5] + users
        if stage == "collab":
            if preset == "faithful" and users == [0]:
                users = [0, 3]  # user 0 has one item: alone, there'd be no predicted token to take a mean over
            batch = [interactions(rng, u, preset) for u in users]
        elif stage == "content":
            users = users + users[-1:]  # two texts about one user, as neighbouring reviews are: each counts
            kinds = ["review"] if preset == "faithful" else ["review", "title", "review", "biography"]
            batch = [text(rng, kinds[k % len(kinds)], u, int(rng.choice(USERS_ITEMS[u]))) for k, u in enumerate(users)]
            if preset == "faithful" and sum(len(s.main) - 1 for s in batch) == 0:
                batch[0].main += [1, 2]
        else:
            batch = [recommendation(rng, u, preset) for u in users if u != 0] or [recommendation(rng, 2, preset)]
        batches.append(batch)
    return batches


# ---- The objective -----------------------------------------------------------------------------------------------------------

def embed(tokens, tables):
    """One table of N + I + J rows, so that the user and item tables always get a (dense) gradient."""
    return torch.cat([WEIGHTS["wte.weight"], *tables])[tokens]


def negative_log_likelihood(stage, preset, batch, tables):
    """-> (sum over the batch, number of predicted tokens or users)."""
    total, count = 0.0, 0
    for s in batch:
        h = backbone(embed(s.prompt + s.main, tables)[None])[0][0]
        if stage == "rec":
            total = total - log_softmax(tables[1] @ h[-1], 0)[s.target].sum()
            count += 1
            continue
        head, base = (tables[1], N + I) if stage == "collab" else (WEIGHTS["wte.weight"], 0)
        for k in range(1 if preset == "faithful" else 0, len(s.main)):  # B8
            total = total - log_softmax(head @ h[len(s.prompt) + k - 1], 0)[s.main[k] - base]
            count += 1
    return total, count


def regularised(stage, preset, s):
    """The tokens of one sequence that the regulariser counts, each as often as it counts."""
    if preset == "faithful":
        seen = s.prompt + s.main if stage == "collab" else s.prompt  # B4: the targets of RecLLM are not regularised
        return [t for t in seen if is_user(t) or is_item(t)]
    users = sorted({t for t in s.prompt if is_user(t)})
    items = [t for t in s.prompt + s.main if is_item(t)]
    if stage == "rec":
        items = sorted(set(items) | {item(j) for j in s.target})
    return users + items


def objective(stage, preset, batch, own, other):
    """-> likelihood, coupling, prior, total. `other` is constant."""
    nll, count = negative_log_likelihood(stage, preset, batch, own)
    mine, theirs = torch.cat(own), torch.cat(other).detach()
    rows = [t - N for s in batch for t in regularised(stage, preset, s)]
    coupling = sum(((mine[r] - theirs[r]) ** 2).sum() for r in rows)
    prior = torch.zeros((), dtype=torch.float64)
    if preset == "faithful":
        nll, coupling = nll / count, LAMBDA_V * coupling
    else:
        coupling = LAMBDA_C / 2 * coupling
        if stage == "collab":
            prior = LAMBDA_L / 2 * sum((mine[r] ** 2).sum() for r in rows)
    return nll, coupling, prior, nll + coupling + prior


def adam(tables):
    return torch.optim.Adam(tables, lr=LR, betas=(0.9, 0.999), eps=1e-8, foreach=False)


def step(stage, preset, batch, own, other, optimiser):
    optimiser.zero_grad()
    parts = objective(stage, preset, batch, own, other)
    parts[3].backward()
    grads = [t.grad.clone() for t in own]
    optimiser.step()
    return torch.stack([p.detach() for p in parts]), grads


# ---- Padding, two passes: the authors' way, as a check -----------------------------------------------------------------------

def padded_likelihood(stage, preset, batch, tables):
    """Prompts in one pass without a mask, then the padded mains on their keys and values. Needs prompts of one length."""
    if stage == "rec":
        width = max(len(s.prompt) for s in batch)
        ids = torch.tensor([s.prompt + [0] * (width - len(s.prompt)) for s in batch])
        h, _ = backbone(embed(ids, tables), mask=torch.tensor([[k < len(s.prompt) for k in range(width)] for s in batch]))
        last = h[range(len(batch)), [len(s.prompt) - 1 for s in batch]]
        target = torch.tensor([[j in s.target for j in range(J)] for s in batch]).double()
        return -(target * log_softmax(last @ tables[1].T, -1)).sum(), len(batch)
    prompt, width = len(batch[0].prompt), max(len(s.main) for s in batch)
    ids = torch.tensor([s.main + [0] * (width - len(s.main)) for s in batch])
    real = torch.tensor([[k < len(s.main) for k in range(width)] for s in batch])
    first, past = backbone(embed(torch.tensor([s.prompt for s in batch]), tables))
    h, _ = backbone(embed(ids, tables), past, torch.cat([torch.ones(len(batch), prompt, dtype=torch.bool), real], 1))
    head, base = (tables[1], N + I) if stage == "collab" else (WEIGHTS["wte.weight"], 0)
    h = torch.cat([first[:, -1:], h[:, :-1]], 1)
    if preset == "faithful":
        h, ids, real = h[:, 1:], ids[:, 1:], real[:, 1:]
    labels = torch.where(real, ids - base, 0)
    return -(log_softmax(h @ head.T, -1).gather(-1, labels[..., None])[..., 0] * real).sum(), int(real.sum())


def check_padding(stage, preset, batch, tables):
    if len({len(s.prompt) for s in batch}) > 1 and stage != "rec":
        return
    (a, n), (b, m) = (f(stage, preset, batch, tables) for f in (negative_log_likelihood, padded_likelihood))
    assert n == m and relative(b, a) < 1e-13, (stage, preset, a, b)
    for x, y in zip(torch.autograd.grad(a, tables), torch.autograd.grad(b, tables)):
        assert relative(y, x) < 1e-12 if x.any() else not y.any()


# ---- Fixtures ----------------------------------------------------------------------------------------------------------------

def trainable(tables):
    return [t.clone().requires_grad_(True) for t in tables]


def pack(stage, batches):
    flat = [s for batch in batches for s in batch]
    out = {"ids": ints(t for s in flat for t in s.prompt + s.main), "offsets": offsets([len(s.prompt + s.main) for s in flat]),
           "prompt": ints(len(s.prompt) for s in flat), "batches": offsets([len(batch) for batch in batches])}
    if stage == "rec":
        out |= {"targets": ints(j for s in flat for j in s.target), "target_offsets": offsets([len(s.target) for s in flat])}
    return out


def stage_fixture(stage, preset, batches, own, other):
    """20 Adam steps on the given batches; gradients of the first."""
    own, losses, first = trainable(own), [], None
    optimiser = adam(own)
    for batch in batches:
        check_padding(stage, preset, batch, own)
        parts, grads = step(stage, preset, batch, own, other, optimiser)
        losses.append(parts)
        first = first or grads
    return pack(stage, batches) | {"losses": torch.stack(losses), "grad_user": first[0], "grad_item": first[1],
                                   "adam_user": own[0], "adam_item": own[1]}


# (stage, batch, reset): L, C, L, C as in pretraining, then rec, C as in finetuning, which begins with fresh optimisers.
SCHEDULE = ([("content", b, 0) for b in (0, 1)] + [("collab", b, 0) for b in (0, 1, 2)] + [("content", b, 0) for b in (2, 3, 4)]
            + [("collab", b, 0) for b in (3, 4)] + [("content", b, 0) for b in (5, 6)]
            + [("rec", 0, 1), ("rec", 1, 0), ("rec", 2, 0)] + [("content", b, 0) for b in (7, 8)])
STAGES = ["collab", "content", "rec"]


def alternation_fixture(preset, batches, collab, content):
    """Each step reads the other model's tables as the last step has left them; moments survive a change of stage."""
    collab, content, losses, out = trainable(collab), trainable(content), [], {}
    for stage, batch, reset in SCHEDULE:
        if reset:
            out |= {f"pretrained_{name}": t.detach().clone() for name, t in named(collab, content).items()}
        if reset or not losses:
            optimisers = {"collab": adam(collab), "content": adam(content)}
        own, other = (content, collab) if stage == "content" else (collab, content)
        optimiser = optimisers["content" if stage == "content" else "collab"]
        losses.append(step(stage, preset, batches[stage][batch], own, other, optimiser)[0])
    schedule = torch.tensor([[STAGES.index(s), b, r] for s, b, r in SCHEDULE], dtype=torch.int32)
    return {"schedule": schedule, "losses": torch.stack(losses)} | out | named(collab, content)


def named(collab, content):
    return {"collab_user": collab[0], "collab_item": collab[1], "content_user": content[0], "content_item": content[1]}


def main():
    check_backbone()
    for preset in ("paper", "faithful"):
        rng = generator(SEED)
        tables = lambda: [normal(rng, I, D, std=0.3), normal(rng, J, D, std=0.3)]
        collab, content = tables(), tables()
        batches = {stage: make_batches(rng, stage, preset) for stage in STAGES}

        tensors = {name: torch.tensor([value], dtype=torch.float64) for name, value in
                   dict(lr=LR, lambda_c=LAMBDA_C, lambda_l=LAMBDA_L, lambda_v=LAMBDA_V).items()
                   if name == "lr" or (name == "lambda_v") == (preset == "faithful")}
        tensors |= {f"init.{name}": t for name, t in named(collab, content).items()}
        for stage in STAGES:
            own, other = (content, collab) if stage == "content" else (collab, content)
            fixture = stage_fixture(stage, preset, batches[stage], own, other)
            print(preset, stage, "first losses (likelihood, coupling, prior, total):", fixture["losses"][0].tolist())
            tensors |= {f"{stage}.{name}": t for name, t in fixture.items()}
            # A user whom no batch names stays as they were, bit by bit; one named late has moved.
            assert torch.equal(fixture["adam_user"][6], own[0][6]) and not torch.equal(fixture["adam_user"][5], own[0][5])
        tensors |= {f"alt.{name}": t for name, t in alternation_fixture(preset, batches, collab, content).items()}
        save(GOLDEN / f"cllm_{preset}.safetensors", tensors, metadata("cllm4rec.py", SEED) | {"preset": preset})


if __name__ == "__main__":
    main()
