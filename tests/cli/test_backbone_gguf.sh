# backbone inspect and convert of GGUF files; training on one.
. "$(dirname "$0")/../support/cli.sh"
golden=$here/../golden

check_help "backbone convert" --output --dtype --shuffle --seed --force
fails 2 "give init, inspect, convert, generate or eval" backbone

run backbone inspect "$golden/gguf_llama.gguf" --json
equal format "$(get format)" gguf
equal family "$(get family)" llama
equal layers "$(get layers)" 2
equal kv_heads "$(get kv_heads)" 2
equal vocabulary "$(get vocabulary)" 61
equal context "$(get context)" 96
equal "file size" "$(get file_bytes)" "$(wc -c <"$golden/gguf_llama.gguf" | tr -d ' ')"
equal "block count" "$(get metadata/llama.block_count)" 2
equal "tensors in Q8_0" "$(get tensor_types/Q8_0)" 3
parameters=$(get parameters)
equal "no window" "$(get sliding_window)" null
run backbone inspect "$golden/mistral" --json
equal context "$(get context)" 16
equal window "$(get sliding_window)" 16
run backbone inspect "$golden/gguf_llama.gguf" --verbose
grep -q 'llama.block_count  *2$' stdout || die "no metadata"
grep -q 'blk.0.attn_q.weight  *Q4_1  *\[32,32\]' stdout || die "no tensors"
run backbone inspect "$golden/gguf_qwen2-00001-of-00002.gguf" --json
equal layers "$(get layers)" 3

# As a folder it is the same model, in f32 to the bit: converted again, it does not change.
for name in gguf_llama gguf_bias gguf_gpt2; do
    run backbone convert "$golden/$name.gguf" -o $name --json
    grep -q "has none" stderr || die "nothing is said about the tokenizer"
    equal format "$(get format)" safetensors
    equal "hash of the folder" "$(get hash)" "$("$program" backbone inspect $name --json | "$JSON_GET" hash)"
    run backbone convert $name -o again --force -q
    cmp -s $name/model.safetensors again/model.safetensors || die "$name changes when it is converted again"
done
# Shuffled: the same names, shapes and numbers, each matrix's in another order, which the seed decides.
run backbone convert gguf_llama -o shuffled --shuffle --seed 3 -q
numbers() { od -An -v -t x4 -w4 "$1/model.safetensors"; }
numbers gguf_llama | sort >before
numbers shuffled | sort | cmp -s - before || die "shuffling changes numbers"
cmp -s gguf_llama/model.safetensors shuffled/model.safetensors && die "nothing is shuffled"
run backbone convert "$golden/gguf_llama.gguf" -o again --shuffle --seed 3 --force -q
cmp -s shuffled/model.safetensors again/model.safetensors || die "one seed gives two orders"
run backbone convert "$golden/gguf_llama.gguf" -o again --shuffle --force -q
cmp -s shuffled/model.safetensors again/model.safetensors && die "the seed makes no difference"
run backbone inspect gguf_llama --json
equal parameters "$(get parameters)" "$parameters"
run backbone convert "$golden/gguf_llama.gguf" -o narrow --dtype bf16 --json
equal "tensors in BF16" "$(get tensor_types/BF16)" 20

fails 2 "no output folder" backbone convert "$golden/gguf_llama.gguf"
fails 2 "exists already" backbone convert "$golden/gguf_llama.gguf" -o narrow
fails 2 "dtype" backbone convert "$golden/gguf_llama.gguf" -o x --dtype f64
fails 3 "no-such" backbone convert no-such.gguf -o x
fails 2 "00001-of-00002" backbone inspect "$golden/gguf_qwen2-00002-of-00002.gguf"
head -c 20000 "$golden/gguf_llama.gguf" >cut.gguf
fails 3 "cut.gguf" backbone inspect cut.gguf
fails 3 "cut.gguf" backbone convert cut.gguf -o x
echo text >text.gguf
printf 'G\001\\' >broken.gguf
: >empty.gguf
for command in inspect "convert -o x" "generate --prompt a" "eval --text text.gguf"; do
    fails 3 "'text.gguf' is neither a GGUF file nor a Hugging Face folder: it is a file that begins with 'text.x0a'; give" backbone $command text.gguf
    fails 3 "begins with 'G.x01.x5c'" backbone $command broken.gguf
    fails 3 "'empty.gguf' is neither.*that is empty" backbone $command empty.gguf
done
[ ! -e x ] || die "a failure left the folder x"
nothing_left
