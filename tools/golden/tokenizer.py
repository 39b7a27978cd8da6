"""Golden vectors of the byte-level BPE tokeniser: encoding with GPT-2's vocabulary, and training of new vocabularies.

    python tools/golden/tokenizer.py DATA      # DATA holds gpt2-tokenizer/, musical-instruments/ and imdb/

The oracle is Hugging Face's `tokenizers`. Of third-party texts only digests are written, never ids or words. A second, plain
implementation in this file says exactly what the first one does (it is checked on every text) and covers what the first one
cannot be asked: bytes that are not UTF-8. README.md defines the files.
"""
import base64
import gzip
import json
import lzma
import sys
from collections import Counter, defaultdict
from pathlib import Path

import regex
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from common import GOLDEN, generator

BLOCK = 100  # texts in one digest
IMDB_LINES = 16000
PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


# ---- GPT-2's byte alphabet, and an encoder of our own ------------------------------------------------------------------------

def byte_alphabet():
    """byte -> printable character: itself if printable in Latin-1, else the next free one from U+0100."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}


BYTE = byte_alphabet()


def pieces(data):
    """Pre-tokens of bytes, as strings of the byte alphabet.

    Each byte outside a well-formed UTF-8 sequence becomes a lone surrogate, which is neither space nor letter nor number: such
    bytes run together with punctuation, and come out as the bytes they were.
    """
    for piece in PATTERN.findall(data.decode("utf-8", "surrogateescape")):
        yield "".join(BYTE[b] for b in piece.encode("utf-8", "surrogateescape"))


class PlainBPE:
    def __init__(self, folder):
        self.ids = json.loads((folder / "vocab.json").read_text("utf-8"))
        lines = (folder / "merges.txt").read_text("utf-8").split("\n")
        self.rank = {tuple(line.split(" ")): r for r, line in enumerate(l for l in lines[1:] if l)}
        self.cache = {}

    def word(self, piece):
        if piece not in self.cache:
            parts = list(piece)
            while len(parts) > 1:
                best = min(range(len(parts) - 1), key=lambda k: self.rank.get((parts[k], parts[k + 1]), 1 << 30))
                pair = (parts[best], parts[best + 1])
                if pair not in self.rank:
                    break
                merged, k = [], 0  # all occurrences of the pair, from the left
                while k < len(parts):
                    here = tuple(parts[k:k + 2]) == pair
                    merged.append("".join(parts[k:k + 2]) if here else parts[k])
                    k += 2 if here else 1
                parts = merged
            self.cache[piece] = [self.ids[p] for p in parts]
        return self.cache[piece]

    def encode(self, data):
        return [t for piece in pieces(data) for t in self.word(piece)]


def byte_level(model):
    """No special tokens: `<|endoftext|>` in a text is text."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


# ---- Digests -----------------------------------------------------------------------------------------------------------------

def fnv1a(data, h=0xCBF29CE484222325):
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def as_bytes(ids):
    """A text's ids and the -1 that ends it, little-endian int32."""
    return b"".join(i.to_bytes(4, "little", signed=True) for i in [*ids, -1])


def write(name, text):
    path = GOLDEN / name
    path.write_text(text, "utf-8", newline="\n")
    print(f"tests/golden/{name}: {path.stat().st_size:,} bytes")


def corpus_digests(name, texts, oracle, plain):
    rows = []
    for first in range(0, len(texts), BLOCK):
        block = texts[first:first + BLOCK]
        ids = [e.ids for e in oracle.encode_batch(block)]
        assert ids == [plain.encode(t.encode()) for t in block]
        rows.append((first, len(block), sum(map(len, ids)), fnv1a(b"".join(map(as_bytes, ids)))))
    total = sum(row[2] for row in rows)
    print(f"{name}: {len(texts):,} texts, {total:,} tokens")
    write(f"tokenizer_{name}.tsv", "#first\ttexts\ttokens\tfnv1a64\n" + "".join(f"{a}\t{n}\t{t}\t{d:016x}\n" for a, n, t, d in rows))


# ---- Nasty strings (ours) ----------------------------------------------------------------------------------------------------

NASTY = [
    "", " ", "  ", "   a", "a   ", "a  b   c    d", "\t", "\n", "\r\n", "a\tb", "a\t\tb", "a \t b", "one\ntwo\n\nthree\n\n\n", " \n \n x",
    "a\r\nb\rc", "\x0b\x0c\x1c\x1d\x1e\x1f\x85 end", "\x1c!\x1d!\x1e!\x1f!", "!\x85!\xa0!\u2028!\u2029!\u3000!\u200b!\ufeff!",
    "\xa0no-break\xa0 space", "thin\u2009space\u200ahair", "\u3000ideographic\u3000space", "a\u180eb \u180e \u180e\u180e c", "zero\u200bwidth\ufeffmark",
    "\x00", "a\x00b", " \x00\x00 ", "\x01\x02\x7f\x80\x9f", "it's we're I'm you've he'll she'd don't", "IT'S WE'RE I'M YOU'VE HE'LL SHE'D DON'T",
    "It'S wE'Re i'M", "it’s we’re don’t", "'s 's's ''s 'sa 'lla 'tis 'd", "rock'n'roll o'clock ' s", "'", "''''", "x'S", "1's 2nd 3'll",
    "0 00 000 1234567890 3.14 1,000,000 -5 +7 1e-9 0x1F", "٣٤٥ १२३ ๑๒๓ 四五 Ⅷ ½ ² ₃ ⑩ 𝟘𝟙", "a1b2c3 4d5e", "abc123def456",
    "naïve café Ångström straße ŒUVRE ǅ", "cafe\u0301 A\u030angstro\u0308m", "e\u0301\u0302\u0303\u0304x", "\u0301alone", "n\u0303o n\u0303",
    "Привет, мир!", "Γειά σου Κόσμε", "שלום עולם", "مرحبا بالعالم", "\u202eright to left\u202c", "नमस्ते दुनिया", "สวัสดีชาวโลก", "안녕하세요 세계", "你好，世界。", "こんにちは世界",
    "日本語とEnglishの混在 text", "𠀀𠀁 𪜀", "🎸", "🎸🎸🎸 5⭐", "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪", "☺︎ ☺️ ❤️", "1️⃣ #️⃣", "ok👌ok", "\U0010ffff \ufffe \uffff \ufffd",
    "!!!!!!!!", "...---...", "--------------------------------", "=====>>>>>", "!?!?!? (a) [b] {c} <d> \"e\" `f` ~g^ @h #i $j %k &l *m",
    "<|endoftext|>", "a<|endoftext|>b", "user_1 item_2 user_00 item_99999", "Hello, user_1! Have you seen item_2?", "superuser_12item_3",
    "http://example.com/a?b=c&d=e#f", "C:\\temp\\x.txt", "snake_case camelCase kebab-case", "tab\tsep\tval", "&amp; &#39; <br/>", "soft\u00adhyphen",
    " leading", "trailing ", "  two leading", "trailing two  ", " \u00a0 mixed \u2003 spaces ", "a" * 200, "é" * 60, " " * 150, "\n" * 70, "ha" * 90,
    "ab" * 40 + " " + "ba" * 40, "x " * 50, "9" * 100, "!" * 99, "🎸" * 20, "Supercalifragilisticexpialidocious antidisestablishmentarianism",
    "The strings arrived well packed; tuning held after a day's play. Would buy again :-)",
]

INVALID = [
    b"\xff", b"\xc3", b"caf\xe9", b"a\x80b", b"\xe2\x82", b"\xe2\x82A", b"\xe2\x28\xa1", b"\xf0\x9f\x8e", b"\xf0\x9f\x8e!", b"\xf0\x9f \x8e\xb8", b"\xc0\x80",
    b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe\xff",
    b" \xff", b"  \xff", b"\xff \xff", b"\xff\xff\xff\xff", b"word\xffword", b"1\xff2", b"it\xff's", b"'\xffs", b"\xff!\xff?", b"!\xe9!", b"\n\xff\n",
    b"ok \xc3\xa9 bad \xc3 ok", b"\xc3\xc3\xa9", b"\xe2\x82\xac\xe2\x82", b"\x80\x81\x82\x83", b"\xf0\x9f\x8e\xb8\xff\xf0\x9f\x8e\xb8",
]


def nasty(oracle, plain):
    rows = []
    for text in NASTY:
        ids = oracle.encode(text).ids
        assert ids == plain.encode(text.encode()), text
        assert oracle.decode(ids, skip_special_tokens=False) == text
        rows.append((text.encode(), ids))
    for data in INVALID:
        ids = plain.encode(data)
        unbyte, name = {c: b for b, c in BYTE.items()}, {i: s for s, i in plain.ids.items()}
        assert bytes(unbyte[c] for i in ids for c in name[i]) == data  # nothing is lost
        rows.append((data, ids))
    return ",\n".join(json.dumps({"text": base64.b64encode(d).decode(), "ids": ids}, separators=(",", ":")) for d, ids in rows)


def lcg_letters(n):
    """x = 1; each letter: x = x * 6364136223846793005 + 1442695040888963407 (mod 2^64), 'a' + (x >> 33) % 26."""
    x, out = 1, bytearray()
    for _ in range(n):
        x = (x * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        out.append(ord("a") + (x >> 33) % 26)
    return out.decode()


def long_words(oracle):
    rows = []
    for rule, text in (("a", "a" * 2 ** 20), ("lcg", lcg_letters(2 ** 20))):
        ids = oracle.encode(text).ids
        rows.append(json.dumps({"rule": rule, "length": len(text), "tokens": len(ids), "fnv1a64": f"{fnv1a(as_bytes(ids)):016x}"}))
    return ",\n".join(rows)


# ---- Training ----------------------------------------------------------------------------------------------------------------

def hf_train(texts, vocab_size, min_frequency):
    tokenizer = byte_level(models.BPE())
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, show_progress=False, special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(tokenizer.to_str())["model"]
    alphabet = sorted(BYTE.values())  # the first 256 ids: the byte alphabet by code point
    assert [model["vocab"][c] for c in alphabet] == list(range(256))
    return [tuple(m) for m in model["merges"]], len(model["vocab"])


def plain_train(texts, vocab_size, min_frequency):
    """The rule in full: merge the most frequent pair; of equally frequent ones the pair with the smallest (left id, right id)."""
    words = Counter(piece for text in texts for piece in pieces(text.encode()))
    ids = {c: n for n, c in enumerate(sorted(BYTE.values()))}
    names = list(ids)
    words = [([ids[c] for c in piece], n) for piece, n in words.items()]
    count, where, merges = Counter(), defaultdict(set), []
    for w, (parts, n) in enumerate(words):
        for pair in zip(parts, parts[1:]):
            count[pair] += n
            where[pair].add(w)
    while len(names) < vocab_size and count:
        pair = min(count, key=lambda p: (-count[p], p))
        if count[pair] < max(min_frequency, 1):
            break
        name = names[pair[0]] + names[pair[1]]
        assert name not in ids  # Hugging Face's trainer would reuse the id; no text that we know gets there
        new = ids[name] = len(names)
        names.append(name)
        merges.append((names[pair[0]], names[pair[1]]))
        for w in sorted(where.pop(pair)):
            parts, n = words[w]
            for old in zip(parts, parts[1:]):
                count[old] -= n
            merged, k = [], 0  # from the left
            while k < len(parts):
                here = tuple(parts[k:k + 2]) == pair
                merged.append(new if here else parts[k])
                k += 2 if here else 1
            parts[:] = merged
            for fresh in zip(parts, parts[1:]):
                count[fresh] += n
                where[fresh].add(w)
        count = +count  # drops the pairs that are gone
    return merges


def as_lines(merges):
    return "".join(f"{a} {b}\n" for a, b in merges).encode()


def our_corpus():
    """200 lines of shop talk, drawn from word lists and made-up brand names, so that there is enough to merge."""
    rng = generator(7)
    pick = lambda *words: words[int(rng.integers(len(words)))]
    syllable = lambda: pick("br", "k", "l", "st", "t", "v", "m", "pl", "z", "gr", "d", "f") + pick("a", "e", "i", "o", "u", "au", "ee") + \
        pick("", "", "n", "r", "lt", "x", "sk", "m")
    brand = lambda: "".join(syllable() for _ in range(int(rng.integers(2, 4)))).capitalize()
    thing = lambda: pick("kettle", "lamp", "backpack", "keyboard", "umbrella", "blanket", "teapot", "headphones", "notebook", "camping chair",
                         "bicycle bell", "watering can", "desk fan", "coffee grinder", "pocket knife", "rain jacket", "door mat", "café set")
    quality = lambda: pick("sturdy", "lovely", "disappointing", "well-made", "noisy", "surprisingly light", "overpriced", "comfortable", "flimsy",
                           "beautiful", "reliable", "scratched", "waterproof", "naïvely designed", "soooo good", "not great, not terrible")
    when = lambda: pick("yesterday", "last winter", "two weeks ago", "in 2019", "on day 3", "after 12 months", "over the holidays", "at once")
    lines = []
    for _ in range(200):
        lines.append(pick(
            lambda: f"The {brand()} {thing()} is {quality()}{pick('.', '!', '!!!', '...')} I've had it since {when()}.",
            lambda: f"I bought this {thing()} {when()} and it's {quality()}; my {pick('sister', 'neighbour', 'dog', 'boss')} doesn't agree.",
            lambda: f"{pick('Five', 'Four', 'Three', 'Two')} stars: {quality()} {thing()}, but the {pick('handle', 'lid', 'cable', 'zip', 'colour')} "
                    f"broke {when()} (order no. {int(rng.integers(1000, 99999))}).",
            lambda: f"Don't buy {brand()}! They'll send a {quality()} {thing()}   and you'd wait {int(rng.integers(2, 60))} days.",
            lambda: f"{brand()} or {brand()}? We're happy with the {quality()} one{pick('', ' :-)', ' 👍', ' — really')}",
            lambda: f"Would I recommend this {thing()}?? {pick('Yes', 'No', 'Maybe')}, it’s {quality()} and {quality()}; ${int(rng.integers(5, 300))}.99 well spent.",
        )())
    return lines


def training(musical):
    corpus = our_corpus()
    write("bpe_corpus.txt", "".join(line + "\n" for line in corpus))
    rows = ["#texts\tvocab_size\tmin_frequency\tmerges\tfnv1a64\n"]
    for name, texts, sizes in (("bpe_corpus", corpus, [(2048, 0), (2048, 1), (300, 2), (512, 2), (2048, 2), (2048, 50)]),
                               ("musical", musical, [(300, 2), (512, 2), (2048, 2), (2048, 2000)])):
        full = plain_train(texts, 2048, 0)
        for vocab_size, min_frequency in sizes:  # a smaller vocabulary, or a higher bar, is a prefix of the full list
            merges, size = hf_train(texts, vocab_size, min_frequency)
            assert merges == full[:len(merges)] and size == 256 + len(merges), (name, vocab_size, min_frequency)
            rows.append(f"{name}\t{vocab_size}\t{min_frequency}\t{len(merges)}\t{fnv1a(as_lines(merges)):016x}\n")
        if texts is corpus:
            write("bpe_corpus.merges", as_lines(full).decode())
    write("bpe_trainer.tsv", "".join(rows))
    print("".join(rows))


def main():
    data = Path(sys.argv[1])
    files = [str(data / "gpt2-tokenizer" / f) for f in ("vocab.json", "merges.txt")]
    oracle, plain = byte_level(models.BPE.from_file(*files)), PlainBPE(data / "gpt2-tokenizer")

    write("tokenizer_nasty.json", '{"strings":[\n' + nasty(oracle, plain) + '\n],\n"generated":[\n' + long_words(oracle) + "\n]}\n")
    with gzip.open(next((data / "musical-instruments").glob("*.json.gz")), "rt", encoding="utf-8") as f:
        musical = [json.loads(line)["reviewText"] for line in f]
    corpus_digests("musical", musical, oracle, plain)
    with lzma.open(data / "imdb" / "reviews.txt.xz", "rt", encoding="utf-8", newline="\n") as f:
        corpus_digests("imdb", [line.rstrip("\n") for _, line in zip(range(IMDB_LINES), f)], oracle, plain)
    training(musical)


if __name__ == "__main__":
    main()
