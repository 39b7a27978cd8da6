# sweep: finds a planted best setting, ends in the same table after a kill and an interrupt, and explains spaces that are none.
. "$(dirname "$0")/../support/cli.sh"

check_help sweep --space --trials --rungs --keep --resume --seed --set
make_shop
run prepare reviews.tsv --items items.tsv -o data
run train data -o base --epochs 0/0/1 --max-text-tokens 8
run backbone init -o tiny --layers 1 --heads 1 --width 16 --context 128 --tokenizer base/tokenizer
# At a rate of 0 nothing is learnt, and of the rest the higher learns more over the epochs; shuffle-texts is there to be beside the point.
cat >space.json <<'END'
{"lr": ["0/0/0", "1e-9/1e-9/1e-9", "3e-2/3e-2/3e-2"],
 "lambda-c": {"min": 1, "max": 10, "log": true},
 "batch": {"min": 2, "max": 4}}
END
settings="--backbone tiny --set epochs=1/4/10 --set max-text-tokens=8 --set content-share=0.5 --set monitor=ndcg@5 --set patience=0 --trials 6 --rungs 0.2,1"

run sweep data --space space.json -o whole $settings --json
equal trials "$(get -n trials)" 6
equal best "$(get trials/0/settings/lr)" 3e-2/3e-2/3e-2
equal "rung of the best" "$(get trials/0/rung)" 2
equal "best run" "$(get best_run)" best
[ ! -e whole/runs ] || die "the other runs stay"
equal "trials at the last rung" "$(awk -F '\t' '$3 == 2' whole/results.tsv | wc -l | tr -d ' ')" 2
# Sorted by rung, then by what validation said; every draw within its range.
awk -F '\t' 'NR > 1 { if ($3 > rung + 0 && NR > 2 || $3 == rung && $5 > last) exit 1; rung = $3; last = $5;
    if ($7 < 1 || $7 > 10 || $8 != int($8) || $8 < 2 || $8 > 4) exit 1 }' whole/results.tsv || die "the table: $(cat whole/results.tsv)"
# The winner is a run like any other, and scores in eval what the table says.
run eval whole/best --split valid --baselines none --json
equal monitor "$(get models/cllm4rec/ndcg@5 | cut -c 1-6)" "$(awk -F '\t' 'NR == 2 { print substr($5, 1, 6) }' whole/results.tsv)"

# Killed again and again, then to the end: the same table; so with another number of threads.
"$program" sweep data --space space.json -o killed $settings --threads 1 -q &
pid=$!
rounds=0
while [ $rounds -lt 3 ]; do
    sleep 0.4
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    rounds=$((rounds + 1))
    [ ! -e killed/results.json ] || break
    [ -e killed/sweep.json ] || { "$program" sweep data --space space.json -o killed $settings --force -q & pid=$!; continue; }
    "$program" sweep --resume -o killed -q &
    pid=$!
done
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
run sweep --resume -o killed -q
cmp whole/results.tsv killed/results.tsv || die "killed and resumed: another table"
cmp whole/best/model.safetensors killed/best/model.safetensors || die "killed and resumed: another winner"
run sweep --resume -o killed --json
equal "resumed when finished" "$(get trials/0/settings/lr)" 3e-2/3e-2/3e-2

# Ctrl-C.
code=0
"$program" sweep data --space space.json -o stopped $settings -q 2>stopped.log &
pid=$!
sleep 0.6
kill -INT $pid 2>/dev/null || true
wait $pid || code=$?
if [ $code != 0 ]; then
    [ $code = 130 ] || die "interrupted: exit code $code: $(cat stopped.log)"
    if [ -e stopped/sweep.json ]; then
        grep -q -e "--resume -o stopped" stopped.log || die "no word of how to go on: $(cat stopped.log)"
        run sweep --resume -o stopped -q
        cmp whole/results.tsv stopped/results.tsv || die "interrupted and resumed: another table"
    fi
fi

# A space with fewer settings than trials; all run folders kept.
echo '{"lr": ["1e-2", "2e-2"]}' >small.json
run sweep data --space small.json -o small --backbone tiny --set epochs=1/1/2 --set max-text-tokens=8 --keep all --rungs 1 --json
equal trials "$(get -n trials)" 2
[ -e small/$(get best_run)/run.json ] || die "the best run is not where it is said to be"
equal "runs kept" "$(ls small/runs | wc -l | tr -d ' ')" 2

# bad CONTENT PATTERN: a space that is none is explained with its place, and nothing is made.
bad() {
    printf '%b' "$1" >bad.json
    fails 2 "bad.json: line $2" sweep data --space bad.json -o none
    [ ! -e none ] || die "a sweep of nothing"
}
bad '{"lr": [1e-3],\n "lambda": [1]}' "2: 'lambda': there is no such setting"
bad '{"lr": [1e-3],\n "batch": [10, 0]}' "2: 'batch': batch '0'"
bad '{"lr": [1e-3],\n\n "lambda-c": {"min": 0, "max": 1, "log": true}}' "3: 'lambda-c': .*min above 0"
bad '{"lambda-c": {"min": 2, "max": 1}}' "1: 'lambda-c': min 2 is above max 1"
bad '{"lambda-c": {"low": 2, "max": 1}}' "1: 'lambda-c': 'low'"
bad '{"lambda-c": {"min": 2}}' "1: 'lambda-c': a range needs"
bad '{"lambda-c": 3}' "1: 'lambda-c': give a list"
bad '{"lambda-c": []}' "1: 'lambda-c': the list is empty"
bad '{"monitor": ["ndcg@5"]}' "1: 'monitor'"
bad '{"lr": [1e-3],\n "batch" [1]}' "2: no JSON"
bad '[]' "1: not an object"
# json-c would keep the last of two.
bad '{"lr": [1e-3],\n "batch": [4],\n "lr": [1e-2]}' "3: 'lr' stands in line 1 already: leave one"
bad '{"lr": [1e-3],\n "l\\u0072": [1e-2]}' "2: 'lr' stands in line 1 already"
bad '{"lambda-c": {"min": 1,\n "max": 2, "min": 3}}' "2: 'min' stands in line 1 already"
fails 2 "give a data set" sweep data -o none
fails 3 "no-such" sweep data --space no-such -o none
fails 2 "rungs" sweep data --space small.json -o none --rungs 0.5,0.1
fails 2 "trials '0'.*from 1 on" sweep data --space small.json -o none --trials 0
export CLLM4REC_TRIALS=0
fails 2 "CLLM4REC_TRIALS is '0'.*from 1 on" sweep data --space small.json -o none
unset CLLM4REC_TRIALS
fails 2 "keep" sweep data --space small.json -o none --keep some
fails 2 "unknown setting" sweep data --space small.json -o none --set x=1
fails 2 "exists already" sweep data --space small.json -o small
fails 3 "no sweep" sweep --resume -o data
# A sweep.json that somebody changed.
mkdir broken
for change in 's/"lr=[^"]*"/null/' 's/"lr=/"lr/' 's/"format":"[^"]*"/"format":1/' 's/"results":\[/&null,null,null,/' 's/"trials":\[/&null,/'; do
    sed "$change" small/sweep.json >broken/sweep.json
    ! cmp -s small/sweep.json broken/sweep.json || die "$change changes nothing"
    fails 3 "broken/sweep.json.*begin the sweep anew" sweep --resume -o broken
done
nothing_left
