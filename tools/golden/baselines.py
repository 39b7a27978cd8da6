"""Baselines by numpy and scipy: a small fixture for the tests, and figures on a prepared data set beside those of the program.

    python tools/golden/baselines.py                    # tests/golden/baselines.safetensors
    python tools/golden/baselines.py check DATA CLLM4REC    # deterministic baselines on DATA, tuned by the program, test split
    python tools/golden/baselines.py implicit DATA CLLM4REC # als and bpr beside the package `implicit`, five seeds each

Everything is computed from the formulas of docs/EVALUATION.md, densely and in double precision.
"""
import json
import struct
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import scipy.linalg
import scipy.sparse as sp

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"
TYPES = {"F64": "<f8", "F32": "<f4", "U64": "<u8", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def read_tensors(path):
    data = Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    return {name: np.frombuffer(body[slice(*entry["data_offsets"])], TYPES[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


def write_tensors(path, tensors, meta):
    names = {np.dtype(value): key for key, value in TYPES.items()}
    header, blobs, at = {"__metadata__": meta}, [], 0
    for name, array in sorted(tensors.items(), key=lambda entry: -entry[1].itemsize):  # so that each is aligned
        blob = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
    print(f"{path.relative_to(GOLDEN.parents[1])}: {path.stat().st_size:,} bytes")


# ---- Order among equals: base/rng.h's numbers, for they decide where many scores are equal ----

class Random:
    """Philox4x32-10 (Salmon et al. 2011), keyed as in src/base/rng.c."""

    def __init__(self, seed, stage, epoch=0, example=0):
        self.key = seed & 0xffffffff, seed >> 32 ^ stage << 24
        self.counter, self.block = [0, epoch, example & 0xffffffff, example >> 32], []

    def u32(self):
        if not self.block:
            c, (k0, k1) = list(self.counter), self.key
            for _ in range(10):
                a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [b >> 32 ^ c[1] ^ k0, b & 0xffffffff, a >> 32 ^ c[3] ^ k1, a & 0xffffffff]
                k0, k1 = (k0 + 0x9E3779B9) & 0xffffffff, (k1 + 0xBB67AE85) & 0xffffffff
            self.block, self.counter[0] = c, self.counter[0] + 1
        return self.block.pop(0)

    def below(self, n):
        while True:
            value = self.u32() | self.u32() << 32
            if value >= 2 ** 64 % n:
                return value % n


def tie_keys(n, seed):
    """The place of each item among equals (src/eval/topk.c)."""
    order, random = np.arange(n), Random(seed, 10)
    for i in range(n, 1, -1):
        j = random.below(i)
        order[i - 1], order[j] = order[j], order[i - 1]
    return np.argsort(order)


# ---- The models: scores [users, items] from a matrix of zeros and ones ----

def popularity(x):
    return np.tile(x.sum(0), (len(x), 1))


def similarities(x, neighbours, shrinkage):
    """The `neighbours` most similar items of each item. Similarities are rounded to single precision, as the program does it:
    what is equal then is a tie."""
    both, count = x.T @ x, x.sum(0)
    norm = np.sqrt(np.outer(count, count)) + shrinkage
    similar = np.divide(both, norm, out=np.zeros_like(both), where=norm > 0)
    np.fill_diagonal(similar, 0)
    similar, keys = similar.astype(np.float32), tie_keys(len(count), 0)
    if 0 < neighbours < len(count):
        for j in range(len(count)):
            similar[np.lexsort((keys, -similar[:, j]))[neighbours:], j] = 0
    return similar


def itemknn(x, neighbours, shrinkage):
    return x @ similarities(x, neighbours, shrinkage).astype(float)


def itemknn_single(x, orders, neighbours, shrinkage):
    """The same in single precision, item after item in the user's order: sums that are equal on paper are then equal where they
    are in the program, and ties are broken alike."""
    similar, scores = similarities(x, neighbours, shrinkage), np.zeros(x.shape, np.float32)
    for user, items in enumerate(orders):
        for item in items:
            scores[user] += similar[item]
    return scores.astype(float)


def ease(x, regularization, t=None, weight=0.0):
    gram = x.T @ x + regularization * np.eye(x.shape[1])
    if t is not None:
        gram = gram + weight * (t @ t.T)
    p = scipy.linalg.inv(gram)
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0)
    return x @ b


def textknn(x, t):
    return x @ (t @ t.T)


def userknn(x, neighbours):
    """Cosines are rounded to single precision, as the program does it: what is equal then is a tie."""
    had = x.sum(0)
    w = np.where(had > 0, np.log(len(x) / np.maximum(had, 1)), 0)
    length = np.linalg.norm(x * w, axis=1)
    norm = np.outer(length, length)
    near = np.divide((x * w) @ (x * w).T, norm, out=np.zeros_like(norm), where=norm > 0)
    np.fill_diagonal(near, 0)
    near, keys = near.astype(np.float32), tie_keys(len(x), 0)
    for user in range(len(x)):
        near[user, np.lexsort((keys, -near[user]))[neighbours:]] = 0
    return near.astype(float) ** 2 @ x


def als(x, regularization, alpha, iterations, items):
    """Hu, Koren & Volinsky (2008), equation 4, as printed; `items` are the items' first vectors."""
    def solve(rows, y):
        inner = y.T @ y + regularization * np.eye(y.shape[1])
        return np.stack([np.linalg.solve(inner + alpha * y[row > 0].T @ y[row > 0], (1 + alpha) * y[row > 0].sum(0)) for row in rows])
    for _ in range(iterations):
        users = solve(x, items)
        items = solve(x.T, users)
    return solve(x, items) @ items.T


def words_of(text):
    """Runs of letters, marks and digits, in lower case, one character by one."""
    word = []
    for character in text + " ":
        if unicodedata.category(character)[0] in "LMN":
            low = character.lower()
            word.append(low if len(low) == 1 else character)
        elif word:
            yield "".join(word)
            word = []


def tfidf(texts, n_items):
    """texts: pairs of item and text."""
    names, counts = {}, {}
    for item, text in texts:
        for word in words_of(text):
            if len(word.encode()) <= 64:
                key = item, names.setdefault(word, len(names))
                counts[key] = counts.get(key, 0) + 1
    if not counts:
        return np.zeros((n_items, 0))
    rows, columns = np.array(list(counts)).T
    t = sp.coo_matrix((1 + np.log(list(counts.values())), (rows, columns)), shape=(n_items, len(names))).tocsr()
    t = t.multiply(np.log(n_items / np.bincount(columns, minlength=len(names)))[None, :]).toarray()
    length = np.linalg.norm(t, axis=1, keepdims=True)
    return np.divide(t, length, out=t, where=length > 0)


# ---- Full ranking ----

def metrics(scores, train, held, seed=1):
    """recall_capped@20, recall_capped@40, recall@20 and ndcg@100, one row a user with something held out."""
    scores = np.where(train > 0, -np.inf, scores)
    order = np.lexsort((tie_keys(scores.shape[1], seed)[None, :].repeat(len(scores), 0), -scores))
    rows = []
    for user in np.flatnonzero(held.sum(1)):
        ranked = order[user][scores[user][order[user]] > -np.inf]
        hits, n = held[user][ranked] > 0, int(held[user].sum())
        gain = 1 / np.log2(np.arange(2, 102))
        rows.append([hits[:20].sum() / min(20, n), hits[:40].sum() / min(40, n), hits[:20].sum() / n,
                     (hits[:100] * gain[:len(hits[:100])]).sum() / gain[:min(100, n)].sum()])
    return np.array(rows)


LABELS = "recall_capped@20", "recall_capped@40", "recall@20", "ndcg@100"


def read_data(folder):
    """The matrices of the three splits, the users' training items in their order, and the items' texts, from a data set folder
    (docs/FORMATS.md)."""
    rows = read_tensors(Path(folder) / "interactions.safetensors")
    n_items = sum(1 for _ in open(Path(folder) / "items.tsv", "rb")) - 1
    x = []
    for part in "train", "valid", "test":
        start, items = rows[part + ".start"].astype(int), rows[part + ".items"]
        dense = np.zeros((len(start) - 1, n_items))
        dense[np.repeat(np.arange(len(start) - 1), np.diff(start)), items] = 1
        x.append(dense)
    orders = np.split(rows["train.items"], rows["train.start"].astype(int)[1:-1])
    entries, blob = read_tensors(Path(folder) / "texts.safetensors"), (Path(folder) / "texts.utf8").read_bytes()
    start = entries["start"].astype(int)
    texts = [(int(entries["item"][i]), blob[start[i]:start[i + 1] - 1].decode()) for i in range(len(start) - 1)
             if entries["item"][i] >= 0 and entries["kind"][i] != 5 and not (entries["kind"][i] == 0 and entries["split"][i] != 0)]
    return x, orders, texts


def program(path, folder, *arguments):
    out = subprocess.run([path, "baseline", folder, "--json", "--quiet", *arguments], check=True, capture_output=True).stdout
    return json.loads(out)["models"]


def parameters_of(model):
    return {name: float(value) if value != "all" else 0.0
            for name, _, value in (part.partition("=") for part in model.get("parameters", "").split(",")) if value}


# ---- The three jobs ----

def fixture():
    rng = np.random.Generator(np.random.PCG64(11))
    users, items, words, factors = 70, 40, 90, 6
    taste, kind = rng.integers(0, 4, users), rng.integers(0, 4, items)
    x = (rng.random((users, items)) < np.where(taste[:, None] == kind[None, :], 0.35, 0.05)).astype(float)
    x[:, -1] = 0  # an item that nobody has, and a user who has nothing
    x[3] = 0
    counts = rng.poisson(np.where(kind[:, None] == np.arange(words)[None, :] % 4, 0.3, 0.03))
    counts[5] = 0  # an item without words
    weighted = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * np.log(items / np.maximum((counts > 0).sum(0), 1))
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    t = np.divide(weighted, length, out=np.zeros_like(weighted), where=length > 0).astype(np.float32)
    text = t.astype(float)
    initial = rng.standard_normal((items, factors)) * 0.3
    row, column = np.nonzero(x)
    word_row, word_column = np.nonzero(t)
    tensors = {
        "start": np.concatenate([[0], np.cumsum(x.sum(1))]).astype("<u8"), "items": column.astype("<i4"),
        "text.start": np.concatenate([[0], np.cumsum((t > 0).sum(1))]).astype("<u8"), "text.words": word_column.astype("<i4"),
        "text.values": t[word_row, word_column].astype("<f4"), "text.n_words": np.array([words], "<i4"),
        "popularity": popularity(x), "itemknn": itemknn(x, 0, 10.0), "itemknn_few": itemknn(x, 8, 2.5), "textknn": textknn(x, text),
        "userknn": userknn(x, 5),
        "ease": ease(x, 20.0), "ease_text": ease(x, 20.0, text, 7.0),
        "als.initial": initial, "als": als(x, 3.0, 8.0, 5, initial),
    }
    write_tensors(GOLDEN / "baselines.safetensors", tensors,
                  {"script": "tools/golden/baselines.py", "command": "python tools/golden/baselines.py", "seed": "11",
                   "numpy": np.__version__, "scipy": scipy.__version__})


def check(folder, path):
    (train, valid, test), orders, texts = read_data(folder)
    names = ["popularity", "itemknn", "textknn", "ease", "ease_text", "userknn"]
    ours = program(path, folder, "--models", ",".join(names))
    t = tfidf(texts, train.shape[1])
    worst = 0.0
    print(f"{'':12}" + "".join(f"{label:>28}" for label in LABELS))
    for name in names:
        p = parameters_of(ours[name])
        scores = {"popularity": lambda: popularity(train), "itemknn": lambda: itemknn_single(train, orders, int(p["neighbours"]), p["shrinkage"]),
                  "textknn": lambda: textknn(train, t), "ease": lambda: ease(train, p["lambda"]),
                  "ease_text": lambda: ease(train, p["lambda"], t, p["weight"]), "userknn": lambda: userknn(train, int(p["neighbours"]))}[name]()
        theirs = metrics(scores, train, test).mean(0)
        difference = max(abs(ours[name][label] - value) for label, value in zip(LABELS, theirs))
        worst = max(worst, difference)
        print(f"{name:12}" + "".join(f"{ours[name][label]:14.6f}{value:14.6f}" for label, value in zip(LABELS, theirs)), ours[name].get("parameters", ""))
    print(f"largest difference: {worst:.2e}")
    return 0 if worst < 5e-5 else 1


def compare(folder, path):
    import implicit
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.cpu.bpr import BayesianPersonalizedRanking
    (train, valid, test), _, _ = read_data(folder)
    matrix = sp.csr_matrix(train, dtype=np.float32)
    settings = {
        "als": {"factors": 64, "regularization": 64, "alpha": 32, "iterations": 15},
        "als ": {"factors": 64, "regularization": 4, "alpha": 4, "iterations": 15},
        "bpr": {"factors": 64, "learning_rate": 0.05, "regularization": 0.03, "epochs": 300, "popular_negatives": 1},
        "bpr ": {"factors": 64, "learning_rate": 0.05, "regularization": 0.01, "epochs": 100, "popular_negatives": 1},
    }
    print("implicit", implicit.__version__)
    for name, values in settings.items():
        name = name.strip()
        ours, theirs = [], []
        for seed in range(1, 6):
            report = program(path, folder, "--models", name, "--seed", str(seed), *sum((["--set", f"{name}.{k}={v}"] for k, v in values.items()), []))
            ours.append([report[name][label] for label in LABELS])
            if name == "als":  # its confidence is alpha alone, not 1 + alpha; users solved once more at the end, as ours are
                model = AlternatingLeastSquares(factors=values["factors"], regularization=values["regularization"], alpha=1 + values["alpha"],
                                                iterations=values["iterations"], use_cg=False, random_state=seed, num_threads=1)
                model.fit(matrix, show_progress=False)
                users = model.recalculate_user(np.arange(len(train)), matrix)
            else:
                model = BayesianPersonalizedRanking(factors=values["factors"], learning_rate=values["learning_rate"], num_threads=1,
                                                    regularization=values["regularization"], iterations=values["epochs"], random_state=seed)
                model.fit(matrix, show_progress=False)
                users = model.user_factors
            theirs.append(metrics(np.asarray(users, float) @ np.asarray(model.item_factors, float).T, train, test, seed).mean(0))
        ours, theirs = np.array(ours), np.array(theirs)
        error = np.sqrt(ours.var(0, ddof=1) / 5 + theirs.var(0, ddof=1) / 5)
        print(name, values)
        for i, label in enumerate(LABELS):
            print(f"  {label:17} ours {ours[:, i].mean():.4f} ± {ours[:, i].std(ddof=1):.4f}   implicit {theirs[:, i].mean():.4f} ± {theirs[:, i].std(ddof=1):.4f}"
                  f"   difference {ours[:, i].mean() - theirs[:, i].mean():+.4f} = {(ours[:, i].mean() - theirs[:, i].mean()) / (theirs[:, i].std(ddof=1) / 5 ** 0.5):+.1f}"
                  f" of its standard errors, {(ours[:, i].mean() - theirs[:, i].mean()) / error[i]:+.1f} of both")
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 1:
        fixture()
    elif len(sys.argv) == 4 and sys.argv[1] in ("check", "implicit"):
        sys.exit({"check": check, "implicit": compare}[sys.argv[1]](sys.argv[2], sys.argv[3]))
    else:
        sys.exit(__doc__)
