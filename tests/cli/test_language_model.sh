# backbone generate and eval: a random model's text is a function of its seed, likelihoods add up, wrong use is explained.
. "$(dirname "$0")/../support/cli.sh"

check_help "backbone generate" --prompt --tokens --temperature --top-p --seed --backbone-dtype
check_help "backbone eval" --text --lines --backbone-dtype
make_run -q
model=run/backbone
run backbone generate $model --prompt 'the lamp' -n 5 -q
cp stdout greedy
[ -s greedy ] || die "no text"
run backbone generate $model --prompt 'the lamp' -n 5 -q -t 1 --seed 7
cmp -s stdout greedy || die "the likeliest text depends on threads or seed"
run backbone generate $model --prompt 'the lamp' -n 12 -q --temperature 2 --seed 1
cp stdout one
run backbone generate $model --prompt 'the lamp' -n 12 -q --temperature 2 --seed 1
cmp -s stdout one || die "the same seed writes another text"
run backbone generate $model --prompt 'the lamp' -n 12 -q --temperature 2 --seed 2
cmp -s stdout one && die "another seed writes the same text"
run backbone generate $model --prompt 'the lamp' -n 5 -q --temperature 1 --top-p 1e-9
cmp -s stdout greedy || die "the likeliest tokens alone are not the greedy text"
run backbone generate $model --prompt 'the lamp' -n 5 -q --json
equal text "$(get text)" "$(cat greedy)"
# llama.cpp's names.
run backbone generate -m $model -p 'the lamp' -n 12 -s 1 --temp 2 -t 1 -q
cmp -s stdout one || die "llama.cpp's names mean something else"
printf 'the lamp\n' >prompt
run backbone generate $model -f prompt -n 12 -s 1 --temp 2 -q
cmp -s stdout one || die "a prompt from a file is another"
run backbone inspect -m $model --json
get family >/dev/null

printf 'the lamp by the window\nx\n\nthe garden is good, the river too\n' >texts
run backbone eval $model --text texts --json
cp stdout scores
run backbone eval -m $model -f texts -t 1 --json
cmp -s stdout scores || die "eval: llama.cpp's names mean something else"
lines=$(get lines) tokens=$(get tokens) nll=$(get nll)
awk -v n="$nll" -v p="$(get perplexity)" 'BEGIN { d = log(p) - n; exit !(n > 0 && d < 1e-9 && d > -1e-9) }' || die "the perplexity is not exp(nll)"
equal "lines of the file" "$lines" 4
equal "a blank line and one of one token" "$(get skipped)" 2
# Line by line it is the same.
total=0 count=0
for line in 'the lamp by the window' 'the garden is good, the river too'; do
    printf '%s\n' "$line" >texts1
    run backbone eval $model --text texts1 --json
    total=$(awk -v t="$total" -v n="$(get nll)" -v k="$(get tokens)" 'BEGIN { printf "%.12g", t + n * k }')
    count=$((count + $(get tokens)))
done
equal tokens "$count" "$tokens"
awk -v a="$total" -v b="$nll" -v k="$tokens" 'BEGIN { d = a / k - b; exit !(d < 1e-6 && d > -1e-6) }' || die "lines together and alone differ"
fails 2 "lines '0'.*from 1 on" backbone eval $model --text texts --lines 0
run backbone eval $model --text texts --lines 1 --json
equal "the first line" "$(get lines)" 1
equal "none skipped" "$(get skipped)" 0
tokens=$(get tokens)
run backbone eval $model --text texts --lines 3 --json
equal "the first three lines" "$(get lines)" 3
equal "of which two are skipped" "$(get skipped)" 2
equal "tokens of the first line" "$(get tokens)" "$tokens"

fails 2 "give --prompt" backbone generate $model
fails 2 "see cllm4rec backbone generate --help" backbone generate $model --no-such
fails 2 "no backbone" backbone generate --prompt the
fails 2 "given twice" backbone generate $model -m $model --prompt the
fails 2 "a prompt and a file" backbone generate $model --prompt the --file prompt
fails 3 "cannot read 'no-such'" backbone generate $model --file no-such
fails 2 "prompt is empty" backbone generate $model --prompt ''
fails 2 "the backbone takes 1024" backbone generate $model --prompt the -n 1024
fails 2 "temperature -1" backbone generate $model --prompt the --temperature -1
fails 2 "top-p 0" backbone generate $model --prompt the --temperature 1 --top-p 0
fails 2 "give f32, bf16 or q8_0" backbone generate $model --prompt the --backbone-dtype q4
fails 2 "give --text" backbone eval $model
fails 3 "no-such" backbone eval $model --text no-such
: >empty
fails 3 "no line of two tokens" backbone eval $model --text empty
fails 3 "no-such" backbone generate no-such --prompt the

full backbone generate $model --prompt 'the lamp' -n 5 -q
full backbone eval $model --text texts --json
full backbone inspect $model
full backbone convert $model -o converted --json

# get-backbone says what it knows, and without a network what to do.
get="$here/../../tools/get-backbone" code=0
sh "$get" >stdout 2>stderr || code=$?
equal "wrong use" "$code" 1
for name in smollm2 gpt2; do grep -q "get-backbone $name DIR" stderr || die "get-backbone: its usage has no $name"; done
mkdir stub
printf '#!/bin/sh\nexit 6\n' >stub/curl
printf '#!/bin/sh\ncase "$*" in *--version*) exit 0 ;; esac\nexit 1\n' >stub/python3
chmod +x stub/curl stub/python3
for name in smollm2 gpt2; do
    code=0
    PATH=$PWD/stub:$PATH sh "$get" $name got >stdout 2>stderr || code=$?
    equal "$name without a network" "$code" 69
    grep -q "is there a network" stderr || die "get-backbone $name: no word about the network"
    [ -z "$(ls -A got)" ] || die "get-backbone $name leaves something behind"
done
nothing_left

# A context shorter than a line cuts it, and says so.
run backbone init -o narrow --layers 1 --heads 1 --width 8 --context 4 --tokenizer run/tokenizer -q
run backbone eval narrow --text texts --json
grep -q "longer than the backbone's context of 4 tokens" stderr || die "a cut line is not told: $(cat stderr)"
run backbone eval $model --text texts --json
grep -q "longer than" stderr && die "no line was cut"
true
