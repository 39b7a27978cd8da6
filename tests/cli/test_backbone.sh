# backbone init and inspect: shapes, seeds, tokenizers, bad folders.
. "$(dirname "$0")/../support/cli.sh"

check_help "backbone init" --layers --heads --width --vocab --context --seed --tokenizer
check_help "backbone inspect" --json
run backbone --help
fails 2 "give init, inspect, convert, generate or eval" backbone
fails 2 "give init, inspect, convert, generate or eval" backbone make

run backbone init -o small --layers 1 --heads 2 --width 16 --vocab 300 --context 32 --json
equal layers "$(get layers)" 1
equal width "$(get width)" 16
equal vocabulary "$(get vocabulary)" 300
equal context "$(get context)" 32
equal family "$(get family)" gpt2
# 300 + 32 embeddings of 16, final norm, and a layer of 12 C² + 13 C.
equal parameters "$(get parameters)" $(((300 + 32 + 2) * 16 + 12 * 256 + 13 * 16))
hash=$(get hash)
run backbone inspect small --json
equal "hash on second sight" "$(get hash)" "$hash"
equal tokenizer "$(get tokenizer_pieces)" null
run backbone init -o same --layers 1 --heads 2 --width 16 --vocab 300 --context 32 -q
cmp -s small/model.safetensors same/model.safetensors || die "the same seed gives other weights"
run backbone init -o other --layers 1 --heads 2 --width 16 --vocab 300 --context 32 --seed 2 --json
[ "$(get hash)" != "$hash" ] || die "another seed gives the same hash"

# With a tokenizer: its size is the vocabulary.
make_shop
run prepare reviews.tsv -o data -q
run train data -o run --epochs 0/0/1 --max-text-tokens 8 -q
run backbone init -o worded --layers 1 --heads 2 --width 16 --context 64 --tokenizer run/tokenizer --json
pieces=$(get tokenizer_pieces)
equal "vocabulary" "$(get vocabulary)" "$pieces"
run tokenize worded --text 'the lamp'
cp stdout ids
run tokenize run/tokenizer --text 'the lamp'
cmp -s stdout ids || die "the saved tokenizer cuts differently"
fails 2 "vocab '0'.*from 1 on" backbone init -o x --vocab 0
fails 4 "too small for the tokenizer" backbone init -o x --tokenizer run/tokenizer --vocab 10
run train data -o run2 --backbone worded --epochs 0/0/1 -q

fails 2 "exists already" backbone init -o small
run backbone init -o small --layers 1 --heads 1 --width 8 --vocab 10 --context 8 --force -q
fails 2 "no output folder" backbone init
fails 2 "not divisible" backbone init -o x --width 10 --heads 4
fails 2 "layers 0" backbone init -o x --layers 0
fails 2 "give a whole number" backbone init -o x --width many
fails 3 "no-such" backbone init -o x --tokenizer no-such
fails 3 "no-such" backbone inspect no-such
[ ! -e x ] || die "a failure left the folder x"

# Damaged backbones.
cp -r same cut && head -c 1000 same/model.safetensors >cut/model.safetensors
fails 3 "cut/model.safetensors" backbone inspect cut
cp -r same wide && sed 's/"n_embd": 16/"n_embd": 32/' same/config.json >wide/config.json
fails 4 "model.safetensors" backbone inspect wide
cp -r same odd && sed 's/"gpt2"/"bert"/' same/config.json >odd/config.json
fails 3 "bert" backbone inspect odd
cp -r same none && rm none/model.safetensors
fails 3 "model.safetensors" backbone inspect none
# A data set's words with a backbone of other words.
fails 4 "" train data -o x --backbone wide
[ ! -e x ] || die "a failure left the folder x"
nothing_left
