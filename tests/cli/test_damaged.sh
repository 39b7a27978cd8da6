# Damaged and mismatched runs, data sets and backbones: the exit code and the place for each command that opens them.
. "$(dirname "$0")/../support/cli.sh"

make_run -q
fresh() { rm -rf bad && cp -r run bad; }
# each CODE PATTERN: every command that needs the tables.
each() {
    fails "$1" "$2" eval bad
    fails "$1" "$2" recommend bad --user u01
    fails "$1" "$2" similar bad --item i01
    fails "$1" "$2" export bad -o x
}

fresh && head -c 100 run/run.json >bad/run.json
each 3 "bad/run.json"
fails 3 "bad/run.json" inspect bad
fresh && : >bad/run.json
each 3 "bad/run.json"
fresh && sed 's/cllm4rec run 1/cllm4rec run 99/' run/run.json >bad/run.json
each 3 "cllm4rec run 99"
fresh && sed 's/"epochs": *"[^"]*"/"epochs": "many"/' run/run.json >bad/run.json
each 3 "'bad/run.json': epochs 'many'"
fresh && sed 's/"epochs": *"[^"]*"/"epochs": null/' run/run.json >bad/run.json
each 3 "'bad/run.json': setting 'epochs' is null"
fresh && sed 's/"dtype": *"[^"]*"/"dtype": "f64"/' run/run.json >bad/run.json
each 3 "'bad/run.json': dtype 'f64'"
fresh && head -c 5000 run/model.safetensors >bad/model.safetensors
each 3 "bad/model.safetensors"
fresh && : >bad/model.safetensors
each 3 "bad/model.safetensors"
fresh && { printf '\377\377\377\377\377\377\377\177'; tail -c +9 run/model.safetensors; } >bad/model.safetensors
each 3 "bad/model.safetensors"
# NaN among the numbers.
fresh && { head -c -64 run/model.safetensors; printf '\377\377\377\177%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; } >bad/model.safetensors
fails 3 "bad/model.safetensors" recommend bad --user u01
fresh && rm bad/model.safetensors
each 3 "no trained tables"
fresh && rm -r bad/tokenizer
each 3 "bad/tokenizer"
fresh && rm -r bad/backbone
each 3 "bad/backbone"

# Another backbone than the one it was trained on; another data set.
fresh && rm -r bad/backbone && run backbone init -o bad/backbone --layers 2 --heads 4 --width 128 --tokenizer run/tokenizer --seed 77 -q
each 4 "backbone"
run prepare reviews.tsv --items items.tsv -o other --seed 5 -q
fails 4 "other" eval run --data other
fails 4 "other" recommend run --data other --user u01
mv data elsewhere
fails 3 "another place: --data DIR" recommend run --user u01
run recommend run --user u01 --data elsewhere -k 1

# The same for a backbone that moved; the run's own lies in the run.
run train elsewhere -o other-run --backbone run/backbone --epochs 0/0/1 --max-text-tokens 8 -q
cp -r run/backbone moved-backbone
sed 's,/run/backbone",/gone/backbone",' other-run/run.json >changed && mv changed other-run/run.json
for command in "eval other-run" "recommend other-run --user u01" "similar other-run --item i01" "export other-run -o vectors.npz" "train --resume -o other-run"; do
  fails 3 "say where it is with --backbone PATH" $command
done
run eval other-run --backbone moved-backbone --baselines none
run recommend other-run --user u01 --backbone moved-backbone -k 1
run similar other-run --item i01 --backbone moved-backbone
run export other-run -o vectors.npz --backbone moved-backbone
run train --resume -o other-run --backbone moved-backbone
run backbone init -o another --layers 1 --heads 1 --width 8 --vocab 300 -q
fails 4 "is not the one that the run was trained on" eval other-run --backbone another
mv elsewhere data

# A data set of which a file was cut in half or lost.
for file in data/*; do
    [ "$file" != data/source.json ] || continue
    cp -r data kept
    [ -s "$file" ] && { head -c $(($(wc -c <"kept/${file#data/}") / 2)) "kept/${file#data/}" >"$file"; fails 3 "${file#data/}" recommend run --user u01; }
    rm "$file"
    fails 3 "" recommend run --user u01
    rm -rf data && mv kept data
done
run recommend run --user u01 -k 1
[ ! -e x ] || die "a failure left x"
nothing_left
