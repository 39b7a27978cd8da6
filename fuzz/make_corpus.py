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
