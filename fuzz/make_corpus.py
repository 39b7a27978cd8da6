#!/usr/bin/env python3
"""Writes the seeds in fuzz/corpus for the parsers of src/formats. Standard library only; all contents are made up here."""
import gzip
import io
import json
import lzma
import pathlib
import shutil
import struct
import subprocess
import zipfile

ROOT = pathlib.Path(__file__).parent / "corpus"


def seeds(parser, **files):
    folder = ROOT / parser
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def safetensors(header, data, pad=0):
    text = (header if isinstance(header, str) else json.dumps(header)).encode() + b" " * pad
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def npy(descr, shape, data, version=1, fortran=False):
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape!r}, }}\n".encode()
    length = struct.pack("<H", len(text)) if version == 1 else struct.pack("<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def npz(members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name + ".npy"), data, compress_type=method)
    return out.getvalue()


def csr(method=zipfile.ZIP_STORED, fmt=b"csr"):
    return npz({
        "indices": npy("<i4", (3,), struct.pack("<3i", 0, 2, 1)),
        "indptr": npy("<i4", (3,), struct.pack("<3i", 0, 2, 3)),
        "format": npy("|S3", (), fmt),
        "shape": npy("<i8", (2,), struct.pack("<2q", 2, 3)),
        "data": npy("<f4", (3,), struct.pack("<3f", 1, 0, 5)),
    }, method)


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def key(name, kind, value):
    return text(name) + struct.pack("<I", kind) + value


def gguf(values, tensors, data=b"", version=3, align=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)) + b"".join(values)
    for name, shape, kind, offset in tensors:
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)
    return head + b"\0" * (-len(head) % align) + data


def gguf_model():
    """A LLaMA of one layer, width 8, two heads of four, in F32."""
    sizes = {"block_count": 1, "embedding_length": 8, "feed_forward_length": 4, "context_length": 16, "attention.head_count": 2,
             "attention.head_count_kv": 1}
    values = [key("general.architecture", 8, text("llama"))] + [key(f"llama.{k}", 4, struct.pack("<I", v)) for k, v in sizes.items()]
    values += [key("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)), key("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b"))]
    shapes = {"token_embd": [8, 2], "output_norm": [8], "blk.0.attn_norm": [8], "blk.0.attn_q": [8, 8], "blk.0.attn_k": [8, 4],
              "blk.0.attn_v": [8, 4], "blk.0.attn_output": [8, 8], "blk.0.ffn_norm": [8], "blk.0.ffn_gate": [8, 4],
              "blk.0.ffn_up": [8, 4], "blk.0.ffn_down": [4, 8]}
    tensors, data = [], b""
    for name, shape in shapes.items():
        tensors.append((name + ".weight", shape, 0, len(data)))
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        data += struct.pack(f"<{count}f", *[(i % 7 - 3) / 4 for i in range(count)])
        data += b"\0" * (-len(data) % 32)
    return gguf(values, tensors, data)


def array(kind, code, members):
    return struct.pack("<IQ", kind, len(members)) + (b"".join(map(text, members)) if kind == 8 else struct.pack(f"<{len(members)}{code}", *members))


def gguf_tokenizer(model, tokens, types=None, merges=None, scores=None, **more):
    """The metadata of a tokenizer; `more`: numbers below tokenizer.ggml, or texts; None leaves a key out."""
    values = [key("general.architecture", 8, text("llama"))]
    parts = {"model": (8, text(model)), "tokens": (9, array(8, "", tokens)), "token_type": types and (9, array(5, "i", types)),
             "merges": merges and (9, array(8, "", merges)), "scores": scores and (9, array(6, "f", scores))}
    for name, value in more.items():
        parts[name] = (8, text(value)) if isinstance(value, str) else (7, bytes([value])) if isinstance(value, bool) else (4, struct.pack("<I", value))
    values += [key("tokenizer.ggml." + name, *value) for name, value in parts.items() if value is not None]
    return gguf(values, [])


BYTES = ["a", "e", "i", "t", "s", "o", "m", "\u0120", "'", "1", "2", "\u010a", "\u00c3", "\u00a9"]  # bytes as GPT-2 writes them
MERGES = ["\u0120 t", "e s", "\u0120t es", "i t", "\u00c3 \u00a9"]
PIECES = BYTES + [m.replace(" ", "") for m in MERGES]
PIECES_TYPES = [1] * len(PIECES)
SPM = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in (0x0a, 0xc3, 0xa9, 0xff)] + ["\u2581", "t", "e", "s", "\u2581t", "es", "\u2581test", "\u00e9", "<|x|>", "pad"]
SPM_TYPES = [2, 3, 3, 6, 6, 6, 6] + [1] * 8 + [4, 5]
SPM_SCORES = [0.0] * 7 + [-8.0, -7.0, -6.0, -6.0, -1.0, -1.0, -2.5, -9.0, 0.0, 0.0]

LINES = "user\titem\tstars\nann\tkettle\t5\nbob\tlamp, \"old\"\t4\r\n\nann\tlamp\t3"
zstd = lambda data: subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
plain = LINES.encode()
bzip = gzip.compress(plain, mtime=0)

seeds("utf8", ascii="plain text, longer than eight bytes", mixed="a é € 😀 \0 z", bad=b"ok \xc3\x28 \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80")
seeds("html",
      entities="salt &amp; pepper &lt;3 &#39;x&#x27; &nbsp;&eacute; &unknown; &#0; &#150; &#xD800; &#99999999; &amp",
      tags="one<br/>two <b>three</b> <!-- four --> <a href='x>y'>five</a> 3 < 4 <3 <sigh> <p",
      open="<!-- never closed <br", quote="<a title=\"open > here")
seeds("stream", plain=b"\x00" + plain, bom=b"\x00\xef\xbb\xbf" + plain, latin=b"\x01caf\xe9\nna\xefve", bytes=b"\x02\xff\xfe\x00\n\x80",
      gzip=b"\x00" + bzip, gzip_members=b"\x80" + bzip + bzip + b"\0" * 8, zstd=b"\x00" + zstd(plain) + zstd(b"more"),
      xz=b"\x00" + lzma.compress(plain), limit=b"\x80" + b"short\n" + b"long" * 20 + b"\nshort")
seeds("delimited", tsv=b"\x00" + plain, csv=b"\x02user,item,title\n1,2,\"a \"\"b\"\"\nc, d\"\n3,4,\n",
      colons=b"\x23" + b"1::10::5::978300760\n1::20::3::978302109", hash=b"\x41# user\titem\n1\t2\n3\n", open=b"\x02a,\"b\nc",
      semicolons=b"\x00user;price\na;3,5\nb;4,5\n")
seeds("record", json='{"user": "u1", "stars": 5.0, "text": "caf\\u00e9 \\ud83d\\ude00 \\ud83d", "votes": [0, 1], "x": null, "y": NaN}',
      python="{'asin': 'B1', u'title': u'caf\\xe9', \"b\": 'it\\'s \\xc3\\xa9 \\xe9' 'joined', 'n': [1, 2L, -3.5e2, (None, True, False)], 'd': {}}",
      deep='{"a":' * 33 + "1" + "}" * 33, pydeep="{'a':" * 33 + "1" + "}" * 33, cut='{"a": [1, 2', pycut="{'a': 'b",
      nul='{"a": "\\u0000", "b": 1e999}')
seeds("safetensors",
      two=safetensors({"__metadata__": {"format": "pt"}, "a": tensor("F32", [2, 2], 0, 16), "b": tensor("BF16", [3], 16, 22)}, bytes(range(22))),
      kinds=safetensors({"d": tensor("F64", [1], 0, 8), "h": tensor("F16", [2], 8, 12), "i": tensor("I64", [], 12, 20), "e": tensor("U8", [0, 9], 20, 20)},
                        bytes(range(20)), 3),
      twice=safetensors('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
      overlap=safetensors({"a": tensor("U8", [4], 0, 4), "b": tensor("U8", [4], 2, 6)}, bytes(6)),
      unknown=safetensors({"a": tensor("F8_E4M3", [4], 0, 4)}, bytes(4)), empty=safetensors({}, b""))
seeds("npz", csr=csr(), deflated=csr(zipfile.ZIP_DEFLATED), csc=csr(fmt=b"csc"),
      arrays=npz({"v2": npy("<f8", (2,), struct.pack("<2d", 1, 2), 2), "v3": npy("<U2", (2,), "abc\0".encode("utf-32-le"), 3),
                  "f": npy("<f4", (1, 2), bytes(8), 1, True), "o": npy("|O", (1,), b"x"), "b": npy("|b1", (0,), b"")}))
seeds("gguf", model=gguf_model(),
      kinds=gguf([key(f"k{i}", i, b"\1" * n) for i, n in enumerate([1, 1, 2, 2, 4, 4, 4, 1])] + [key("s", 8, text("café")),
                  key("a", 9, struct.pack("<IQ", 9, 2) + struct.pack("<IQ2B", 0, 2, 1, 2) + struct.pack("<IQ", 8, 1) + text("in")),
                  key("q", 10, b"\xff" * 8), key("d", 12, struct.pack("<d", 1.5))], [], version=2),
      blocks=gguf([key("general.alignment", 4, struct.pack("<I", 64))], [("q8", [32, 2], 8, 0), ("q4k", [256], 12, 128), ("q6k", [256], 14, 320)],
                  bytes(68) + bytes(60) + bytes(144) + bytes(48) + bytes(210), align=64),
      split=gguf([key("split.no", 2, struct.pack("<H", 1)), key("split.count", 2, struct.pack("<H", 2))], []),
      overlap=gguf([], [("a", [16], 0, 0), ("b", [8], 0, 32)], bytes(64)), big=b"GGUF" + struct.pack(">IQQ", 3, 0, 0))
seeds("tokenizer_gguf",
      smollm=gguf_tokenizer("gpt2", PIECES, PIECES_TYPES, MERGES, pre="smollm", bos_token_id=1, add_bos_token=False),
      qwen2=gguf_tokenizer("gpt2", PIECES + ["<|x|>", "[PAD0]"], PIECES_TYPES + [4, 5], MERGES, pre="qwen2", add_space_prefix=True),
      llama3=gguf_tokenizer("gpt2", PIECES + ["item", "<|x|>"], PIECES_TYPES + [1, 3], MERGES, pre="llama-bpe", bos_token_id=len(PIECES) + 1),
      spm=gguf_tokenizer("llama", SPM, SPM_TYPES, None, SPM_SCORES, bos_token_id=1, unknown_token_id=0),
      spm_plain=gguf_tokenizer("llama", SPM, SPM_TYPES, None, SPM_SCORES, bos_token_id=2, add_bos_token=False, add_space_prefix=False),
      old=gguf_tokenizer("gpt2", PIECES, None, MERGES, pre="gpt-2"),
      twice=gguf_tokenizer("gpt2", ["a", "b", "a"], None, ["a b"], pre="gpt-2"),
      no_piece=gguf_tokenizer("gpt2", ["a", "b"], None, ["a b"], pre="gpt-2"), no_space=gguf_tokenizer("gpt2", ["a", "b", "ab"], None, ["ab"], pre="gpt-2"),
      short_types=gguf_tokenizer("gpt2", PIECES, [1, 1], MERGES, pre="gpt-2"), short_scores=gguf_tokenizer("llama", SPM, SPM_TYPES, None, [0.0]),
      nan=gguf_tokenizer("llama", SPM, SPM_TYPES, None, SPM_SCORES[:-1] + [float("nan")]), unused=gguf_tokenizer("llama", ["a", "b"], [5, 5], None, [0.0, 1.0]),
      bos_outside=gguf_tokenizer("llama", SPM, SPM_TYPES, None, SPM_SCORES, bos_token_id=99), wpm=gguf_tokenizer("bert", ["a"]))
seeds("tokenizer_config", text='{"bos_token": "<s>", "add_bos_token": true}', object='{"bos_token": {"__type": "AddedToken", "content": "ab"}, "add_bos_token": false}',
      unknown='{"bos_token": "<|x|>", "add_bos_token": true}', kinds='{"bos_token": 3, "add_bos_token": "yes"}', empty_name='{"bos_token": "", "add_bos_token": true}',
      nul='{"bos_token": "<s>\\u0000", "add_bos_token": true}', twice='{"bos_token": "a", "bos_token": {"content": {}}, "add_bos_token": true}',
      array="[]", null="null", cut='{"bos_token": "<s', deep="[" * 40 + "]" * 40)
seeds("safetensors_index", both='{"metadata": {"total_size": 32}, "weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}',
      one='{"weight_map": {"a": "a.safetensors", "c": "a.safetensors"}}', other='{"weight_map": {"a": "c.safetensors"}}',
      above='{"weight_map": {"a": "../a.safetensors"}}', dots='{"weight_map": {"a": ".."}}', itself='{"weight_map": {"a": "model.safetensors.index.json"}}',
      nul='{"weight_map": {"a": "a.safetensors\\u0000x"}}', number='{"weight_map": {"a": 1}}', empty='{"weight_map": {}}', array='{"weight_map": ["a.safetensors"]}', none="{}")
cache = {"format": "cllm4rec baselines 1", "data": "0000000000000001", "itemknn": {"neighbours": 100, "shrinkage": 10}, "ease": {"lambda": 200},
         "ease_text": {"lambda": 200, "weight": 31.6}, "userknn": {"neighbours": 100}, "als": {"factors": 64, "regularization": 64, "alpha": 32, "iterations": 10},
         "bpr": {"factors": 64, "learning_rate": 0.05, "regularization": 0.03, "epochs": 300, "popular_negatives": 0}}
seeds("baseline_cache", all=json.dumps(cache), other=json.dumps({**cache, "data": "0000000000000002"}), format=json.dumps({**cache, "format": 1}),
      kinds=json.dumps({**cache, "ease": [200], "als": {"factors": "64"}, "popularity": {}, "random": {"seed": 1}}),
      ranges=json.dumps({**cache, "itemknn": {"neighbours": 1.5, "shrinkage": -1}, "ease": {"lambda": 0}, "bpr": {**cache["bpr"], "factors": 1e300}}),
      nan='{"format": "cllm4rec baselines 1", "data": "0000000000000001", "ease": {"lambda": NaN}, "itemknn": {"neighbours": Infinity, "shrinkage": -Infinity}}',
      cut=json.dumps(cache)[:150], array="[]")
seeds("baseline_settings", good="als.factors=64\nease.lambda=2e2\nbpr.popular_negatives=1\nitemknn.neighbours=0\n",
      wrong="als.factors\nals.factors=\nals.factors=1.5\nals.factors=nan\nease.lambda=inf\nease.lambda=0\nease.lambda=1e999\nease.lambda=2x\nrandom.seed=1\n.=\n=\nals.=1\n")
seeds("monitor", paper="recall_capped@20+recall_capped@40+ndcg@100", one="hit@1", none="", plus="ndcg@5+", zero="ndcg@0", long="ndcg@9999999999", longer="ndcg@99999999999",
      many="+".join(f"map@{k}" for k in range(1, 40)), bare="mrr", twice="ndcg@5@5", sign="ndcg@-5")


def named(parts, metadata=None):
    """A safetensors file of parts {name: (dtype, struct's code, shape, values)}."""
    header, data = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, (dtype, code, shape, values) in parts.items():
        packed = struct.pack(f"<{len(values)}{code}", *values)
        header[name] = tensor(dtype, shape, len(data), len(data) + len(packed))
        data += packed
    text = json.dumps(header)
    return safetensors(text, data, -(8 + len(text)) % 8)


def arrays(**given):
    """The same, of name=(...), with a point for each underscore."""
    return named({name.replace("_", "."): part for name, part in given.items()})


def linear(start=(0, 1, 3, 3), items=(1, 0, 2), values=(0.5, -1, 2), n=None):
    return arrays(start=("U64", "Q", [len(start)], start), items=("I32", "i", [len(items)], items), values=("F32", "f", [len(values)], values))


seeds("item_weights", good=linear(), none=linear((0,), (), ()), no_start=linear((), (), ()), back=linear((0, 3, 1, 3)), outside=linear(items=(1, 0, 3)), below=linear(items=(1, 0, -1)),
      beyond=linear((0, 1, 2**63, 3)), short=linear((0, 1, 2, 2)), nan=linear(values=(0.5, float("nan"), 2)), lengths=linear(values=(0.5, 1)))


def factors(shape=(2, 3), columns=(0.5, -1, 2, 0, 1, 3), alpha=(8,)):
    return arrays(alpha=("F64", "d", [len(alpha)], alpha), columns=("F32", "f", list(shape), columns))


seeds("fold_in", good=factors(), long=factors((1, 3), (1, 2, 3)), none=factors((2, 0), ()), no_factor=factors((0, 3), ()), wide=factors((2**40, 0), ()), wider=factors((5000, 1), (0.5,) * 5000), nan=factors(columns=(0.5, float("nan"), 2, 0, 1, 3)),
      large=factors(columns=(3e38,) * 6), negative=factors(alpha=(-1,)), infinite=factors(alpha=(float("inf"),)), two=factors(alpha=(1, 2)), short=factors(columns=(1, 2, 3)), huge=factors((2**32, 2**32), ()))


def words(names=b"lamp\0kettle\0", idf=(0.5, 1), vectors=(1, 2, 3, 4, 5, 6), shape=(2, 3)):
    return arrays(vectors=("F32", "f", list(shape), vectors), idf=("F32", "f", [len(idf)], idf), words=("U8", "B", [len(names)], names))


seeds("item_words", good=words(), lines=words(b"lamp\nkettle\n"), none=words(b"", (), (), (0, 3)), narrow=words(vectors=(), shape=(2, 0)), twice=words(b"lamp\nlamp\n"), fewer=words(b"lamp\n"), more=words(b"a\nb\nc\n"),
      cut=words(b"lamp\nkettle"), infinite=words(idf=(0.5, float("inf"))), bytes=words(b"\xff\xfe\nx\n"))


def tables(users=2, items=3, width=2, content_width=2, states=(0, 1, 2), value=0.5):
    table = lambda rows, width: ("F32", "f", [rows, width], [value] * (rows * width))
    return arrays(collab_users=table(users, width), collab_items=table(items, width), content_users=table(users, content_width), content_items=table(items, content_width),
                  items_state=("U8", "B", [len(states)], states))


seeds("model_tables", good=tables(), none=tables(0, 0, 0, 0, ()), narrow=tables(content_width=1), states=tables(states=(0, 3, 1)), short=tables(states=(0, 1)), nan=tables(value=float("nan")))


def interactions(starts=(0, 1, 2), train=(2, 0), valid=(1, 1), test=(3, 3), **more):
    rows = {"train": train, "valid": valid, "test": test}
    parts = {f"{name}_start": ("U64", "Q", [len(starts)], starts) for name in rows}
    parts |= {f"{name}_{of}": (dtype, code, [2], values) for of, dtype, code, values in (("times", "I64", "q", (1, 2)), ("ratings", "F32", "f", (4, 5))) for name in rows}
    return b"\0" + arrays(**parts, **{f"{name}_items": ("I32", "i", [len(items)], items) for name, items in rows.items()})


def texts(start=(0, 11, 15, 20, 25, 30, 35), item=(3, 2, 1, 3, 1, 0), user=(0, 0, 0, 1, 1, 1), kind=(0,) * 6, split=(2, 0, 1, 2, 1, 0)):
    return b"\4" + arrays(start=("U64", "Q", [len(start)], start), item=("I32", "i", [6], item), user=("I32", "i", [6], user), kind=("U8", "B", [6], kind), split=("U8", "B", [6], split))


seeds("dataset", interactions=interactions(), items_twice=interactions(train=(2, 1)), item_outside=interactions(test=(3, 4)), rows_back=interactions((0, 3, 2)), rows_far=interactions((0, 2**63, 2)),
      users=b"\1#user\nann\nbob\n", users_escaped=b"\1#user\na\\tb\nb\\\\o\n", users_twice=b"\1#user\nann\nann\n", users_bytes=b"\1#user\nan\xff\nbob\n", users_fewer=b"\1#user\nann\n", users_bad=b"\1#user\na\\q\nbob\n",
      users_cut=b"\1#user\nann\nbob", items=b"\2#item\ttitle\tbrand\tcategories\ncup\t\t\t\nrug\nkettle\t\nlamp\n", texts=b"\3good light\0hot\0soft\0fine\0warm\0blue\0",
      texts_cut=b"\3good light\0hot\0soft\0fine\0warm\0blue!", texts_bytes=b"\3good\xfflight\0hot\0soft\0fine\0warm\0blue\0", index=texts(), index_back=texts((0, 11, 10, 20, 25, 30, 35)),
      index_far=texts((0, 11, 2**63, 20, 25, 30, 35)), index_owner=texts(user=(0, 0, 0, 1, 1, 2)), index_kind=texts(kind=(0, 0, 0, 0, 0, 9)), index_split=texts(split=(2, 1, 0, 2, 1, 0)),
      dropped=b"\5#user\titem\tliked\nann\tcup\t0\neve\tla\\nmp\t1\n", dropped_order=b"\5#user\titem\tliked\neve\tcup\t0\nann\tlamp\t0\n", dropped_mark=b"\5#user\titem\tliked\nann\tcup\t2\n",
      dropped_cut=b"\5#user\titem\tliked\nann\tcup\t0", trusted_texts=b"\x09good\xfflight\0hot\0soft\0fine\0warm\0blue\0", trusted_dropped=b"\x0b#user\titem\tliked\neve\tcup\t0\nann\tlamp\n",
      dropped_bad=b"\5#user\titem\tliked\na\\\tcup\t0\n", dropped_empty=b"\5")
run = {"format": "cllm4rec run 1", "status": "done", "preset": "accurate", "settings": {"seed": "1", "epochs": "0/0/24", "lr": "0.001/0.001/0.0015", "mask-share": "0.3:0.8", "lambda-c": "inf",
       "item-tokens": "id+text", "reg": "map", "monitor": "recall_capped@20+ndcg@100", "shuffle": "1"}, "dtype": "f32", "backbone_dtype": "q8_0",
       "dataset": {"path": "data", "hash": "2efb963a2103c3b8"}, "backbone": {"path": "backbone", "hash": "34cbbae61670b222"}, "bos_token": None}
seeds("run_manifest", good=json.dumps(run), format=json.dumps({**run, "format": "cllm4rec run 99"}), preset=json.dumps({**run, "preset": "other"}), setting=json.dumps({**run, "settings": {"epochs": "many"}}),
      kinds=json.dumps({**run, "settings": {"seed": None, "epochs": ["0/0/1"], "lr": {}}}), number=json.dumps({**run, "settings": {"seed": 1, "dropout": 0.5}}), dtype=json.dumps({**run, "dtype": "f64"}),
      list=json.dumps({**run, "settings": []}), equals=json.dumps({**run, "settings": {"seed=1": "2"}}), nul=json.dumps({**run, "settings": {"seed": "1\0002"}}), long=json.dumps({**run, "settings": {"monitor": "x" * 300}}),
      cut=json.dumps(run)[:200], array="[]", weights=json.dumps({**run, "part_weights": {"linear": 0.07, "factors": 4e-1, "users": 3}}),
      weights_kinds=json.dumps({**run, "part_weights": {"linear": "0.1", "neighbours": None}}), weights_far=json.dumps({**run, "part_weights": {"recency": -1, "factors": 1e300}}),
      weights_list=json.dumps({**run, "part_weights": [1]}))
seeds("run_log", good='{"event":"epoch","phase":"rec","epoch":1,"seconds":0.1}\n{"event":"validation","monitor":1}\n{"event":"epoch","epoch":2}\n', cut='{"event":"epoch","epoch":1}\n{"event":"ep',
      kinds='{"event":1}\n{"event":["epoch"]}\n{"event":null}\n', array="[]\n", blank="\n\n", nul='{"event":"epoch"}\n\0{"event":"epoch"}\n', two='{"event":"epoch"}{"event":"epoch"}\n')
sweep = {"format": "cllm4rec sweep 1", "dataset": "no-such-data", "backbone": None, "preset": "paper", "dtype": None, "backbone_dtype": None, "monitor": "ndcg@100", "rungs": "0.5,1", "keep": "all", "seed": 1,
         "settings": ["lr=1e-3"]}
result = lambda monitor: {"part": 0.5, "monitor": monitor, "best_epoch": 1, "seconds": 0.1}
trial = lambda *results: {"settings": ["batch=4", "dropout=0.1"], "results": list(results)}
study = {"format": "cllm4rec ablation 1", "study": "lambda", "scale": "smoke", "split": "test", "seeds": 1, "dtype": None, "backbone_dtype": None, "settings": ["epochs=0/0/1"], "datasets": ["no-such-data"], "backbone": None,
         "results": {}}
seeds("study_state", done=json.dumps({**sweep, "trials": [trial(result(0.5), result(0.7)), trial(result(0.1))]}), begun=json.dumps({**sweep, "trials": [trial(), trial()]}),
      failed=json.dumps({**sweep, "trials": [trial({"part": 1, "error": "no"}), trial({"part": 1, "error": None})]}), none=json.dumps({**sweep, "trials": []}),
      nulls=json.dumps({**sweep, "settings": [None], "trials": [trial()]}), trial_nulls=json.dumps({**sweep, "trials": [{"settings": [None], "results": []}]}),
      results=json.dumps({**sweep, "trials": [trial(*[result(0.1)] * 12), trial(result(0.2))]}), result_nulls=json.dumps({**sweep, "trials": [trial(None, None)]}),
      kinds=json.dumps({**sweep, "trials": [trial(5, "x"), trial({"monitor": "0.5"}, {"monitor": [1]}), trial({"error": 1})]}), bare=json.dumps({**sweep, "trials": [{"settings": ["batch"], "results": [result(1), result(1)]}]}),
      rungs=json.dumps({**sweep, "rungs": "1", "trials": [trial(result(1), result(2))]}), study=json.dumps(study), study_data=json.dumps({**study, "datasets": [], "study": "backbone"}),
      study_seeds=json.dumps({**study, "seeds": 1.5}), study_many=json.dumps({**study, "seeds": 1e9}), study_scale=json.dumps({**study, "scale": None}), study_results=json.dumps({**study, "results": {"1 shop | strengths | 0 | seed 1": 1}}))
seeds("options", all="--flag\n--word\n5,10\n--list\na\n--list=b\n-t\n2\n-k7\n--positive\n3\n--seed=18446744073709551615\n--number\n-1.5e3\n--time\n30m\nleft\n",
      zero="--positive\n0\n", numbers="-k\n281474976710657\n", minus="--count\n-0\n", huge="--number=1e999\n", nan="--number=nan\n", times="--time=0.5h\n", time_long="--time=1e308d\n", time_unit="--time=3ms\n",
      unknown="--no\n", cut="--word\n", short="-fz\n", letters="-fkt\n", ks="-w5,0\n", ks_minus="-w-18446744073709551615\n", ks_later="--word\n5,-18446744073709551615\n", ks_long="-w" + ",".join("9" * 20) + "\n", ends="--\n--flag\n-f\n", help="--he\n", equals="--flag=1\n", empty="--=\n-\n")


NAN, INFINITE = float("nan"), float("inf")


def checkpoint(parts=None, scalars=None, dtype="F32", code="f", value=0.5, users=3, items=4, width=4, words=2, step=1):
    """Of fuzz_checkpoint.c's trainer, at the second epoch of the recommendation stage; `parts` and `scalars` replace some or, None, remove them."""
    table = lambda rows: (dtype, code, [rows, width], [value] * (rows * width))
    steps = lambda rows: ("U64", "Q", [rows], [step] * rows)
    all_parts = {}
    for tables in ("collab", "content", "best.collab", "best.content"):
        all_parts |= {f"{tables}.users": table(users), f"{tables}.items": table(items)}
    for of, rows in (("collab.users", users), ("collab.items", items), ("content.users", users), ("content.items", items), ("vectors", words)):
        all_parts |= {f"adam.{of}.first": table(rows), f"adam.{of}.second": table(rows), f"adam.{of}.step": steps(rows)}
    all_parts |= {"composer.free": table(items), "composer.vectors": table(words)} | (parts or {})
    all_scalars = {"format": "cllm4rec checkpoint 1", "phase": "3", "epoch": "1", "batch": "0", "best.known": "1", "best.monitor": "0x1p-1", "best.epoch": "0",
                   "lowest.collab": "0x1.8p+1", "lowest.content": "inf", "adam.collab.step": "2", "adam.content.step": "1", "extra": "{}"}
    all_scalars |= {f"sum.{name}": "0x0p+0" for name in ("nll", "regulariser", "prior", "total", "seconds")}
    all_scalars |= {f"sum.{name}": "0" for name in ("steps", "sequences", "rows", "targets", "predictions")} | (scalars or {})
    return named({k: v for k, v in all_parts.items() if v}, {k: v for k, v in all_scalars.items() if v is not None})


with_scalar = lambda **scalars: checkpoint(scalars={name.replace("_", "."): value for name, value in scalars.items()})
first = {"phase": "0", "epoch": "0", "best.known": "0", "best.monitor": "-inf", "best.epoch": "-1", "lowest.collab": "inf", "adam.collab.step": "0", "adam.content.step": "0"}
twice = checkpoint().replace(b'"best.content.users"', b'"best.collab.users"', 1)
seeds("checkpoint", good=checkpoint(), first=checkpoint(scalars=first, step=0), amid=with_scalar(batch="1", sum_steps="1", sum_targets="2", sum_nll="0x1p+2"), done=with_scalar(phase="5", epoch="0"),
      cut=checkpoint()[:-50], twice=struct.pack("<Q", struct.unpack("<Q", twice[:8])[0] - 1) + twice[8:], none=named({}, {"format": "cllm4rec checkpoint 1"}), bare=checkpoint(parts={"adam.vectors.step": None}),
      format=with_scalar(format="cllm4rec checkpoint 2"), extra=with_scalar(extra=None), missing=with_scalar(sum_rows=None), half=checkpoint(dtype="F16", code="e"), wide=checkpoint(width=5),
      more=checkpoint(items=5), flat=checkpoint(parts={"collab.users": ("F32", "f", [12], [0.5] * 12)}), nan=checkpoint(parts={"best.collab.items": ("F32", "f", [4, 4], [NAN] * 16)}),
      infinite=checkpoint(parts={"adam.vectors.second": ("F32", "f", [2, 4], [INFINITE] * 8)}), large=checkpoint(value=3e38), negative=checkpoint(value=-1),
      row_ahead=checkpoint(step=3), steps=with_scalar(adam_collab_step="1152921504606846976"), batch=with_scalar(batch="3"), batch_minus=with_scalar(batch="-18446744073709551615"), phase=with_scalar(phase="9"),
      epoch=with_scalar(epoch="2"), epoch_minus=with_scalar(epoch="-1"), epoch_long=with_scalar(epoch="4294967296"), count_long=with_scalar(sum_rows="99999999999999999999"), best_low=with_scalar(best_epoch="-2147483648"),
      best_far=with_scalar(best_epoch="2147483647"), monitor_nan=with_scalar(best_monitor="nan"), lowest_nan=with_scalar(lowest_content="nan"), sum_infinite=with_scalar(sum_nll="inf"), word=with_scalar(sum_total="1x"), empty=with_scalar(phase=""))


def item_states(dims=2, width=3, axes=None, mean=None, vectors=(1, 2, 3, 4, -1, 0, 1, 0), out=4, dtype="F32", code="f", key="0123456789abcdef", form="cllm4rec states 1"):
    parts = {"axes": (dtype, code, [dims, width], axes or [1.0] * (dims * width)), "mean": (dtype, code, [len(mean or [0] * width)], mean or [0.5] * width)}
    if vectors is not None:
        parts["vectors"] = (dtype, code, [dims, out], list(vectors))
    return named(parts, {"format": form, "key": key})


seeds("item_states", good=item_states(), untrained=item_states(vectors=None), narrow=item_states(vectors=(), out=0), none=item_states(dims=0, vectors=()), many=item_states(dims=4, vectors=(1,) * 16),
      no_width=item_states(width=0), wide=item_states(width=4), cut=item_states()[:-9], half=item_states(dtype="F16", code="e"), fewer=item_states(vectors=(1, 2, 3, 4), out=2).replace(b"[2, 2]", b"[1, 4]"),
      mean=item_states(mean=[1, 2]), nan=item_states(axes=[1, 2, 3, 4, 5, NAN]), infinite=item_states(vectors=(1, 2, 3, 4, 5, 6, 7, INFINITE)), large=item_states(axes=[3e38] * 6), same=item_states(axes=[0.0] * 6),
      key_short=item_states(key="0123"), key_word=item_states(key="0123456789abcdeg"), key_blank=item_states(key=" -23456789abcdef"), format=item_states(form="cllm4rec states 2"),
      twice=item_states().replace(b'"mean"', b'"axes"'), empty=b"", json="{}")


def text_states(values=(1, 2, 3, 4, 5, 6, 7, 8), shape=(2, 4), dtype="F32", code="f", name="states", **metadata):
    """Of fuzz_text_states.c's data; the program puts in the key and the checksum."""
    known = {"format": "cllm4rec-text-states-1", "key": "0123456789abcdef", "checksum": "fedcba9876543210"}
    return named({name: (dtype, code, list(shape), list(values))}, {k: v for k, v in (known | metadata).items() if v is not None})


seeds("text_states", good=text_states(), nan=text_states((NAN,) * 8), checksum=text_states(checksum="0000000000000000"), no_checksum=text_states(checksum=None), key=text_states(key="0000000000000000"),
      key_long=text_states(key="0123456789abcdef0"), no_key=text_states(key=None), format=text_states(format="cllm4rec-text-states-2"), turned=text_states(shape=(4, 2)), flat=text_states(shape=(8,)),
      fewer=text_states(range(4), (1, 4)), more=text_states(range(12), (3, 4)), double=text_states(dtype="F64", code="d"), huge=text_states((), (2**62, 0)), name=text_states(name="state"),
      cut=text_states()[:-4], long=text_states() + b"more", empty=b"", words=b"nonsense")
seeds("conditions", category="category=home", brand="brand=ACME", both="category=Home\nbrand=acme\n", blank="category=Shelf 1", part="category=Shelf", outer="category= Home ", comma="category=Home, Shelf 1",
      nothing="category=\n", no_brand="brand=\n", equals="brand==\ncategory=a=b", delimiter="category=,", bytes=b"brand=\xc3\x89clair\nbrand=\xc3", unknown="color=red\n", case="Category=Home\n",
      bare="category\n=\nbrand", long="brand=" + "x" * 2000, long_field="f" * 2000 + "=1", many="category=Home\n" * 20, empty="")
seeds("rungs", good="0.1,0.3,1\n1\n1.0\n0.5,1e0\n1e-3,0.25,0.5,0.75,1\n.125,.25,.375,.5,.625,.75,.875,1\n", wrong="\n,\n1,\n,1\n0.5\n0,1\n-1,1\n1,1\n0.5,0.4,1\n0.5,1,1\n0.5,2\n1;2\n0.5 1\n1x\n",
      numbers="nan,1\n0.5,nan\ninf\n0.5,inf\n1e999\n1e-400,1\n0x.8,1\n0.9999999999999999999,1\n", many="0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,1\n", long="0.5," + "1" * 200 + "\n", blanks=" 0.5, 1\n0.5 ,1\n1 \n")
