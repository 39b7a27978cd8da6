# A run that is killed or interrupted at any moment goes on to the bits of one that was not; so do other numbers of threads.
set -eu
program=$1 scratch=$2
rm -rf "$scratch" && mkdir -p "$scratch" && cd "$scratch"
quiet() { "$program" "$@" -q; }
# begun PID RUN: waits until the run is there, however slow the machine is, or the program ended.
begun() {
    while [ ! -e "$2/run.json" ] && kill -0 "$1" 2>/dev/null; do sleep 0.1; done
}

"$program" demo --shop-only -o . --json >/dev/null
quiet prepare shop/reviews.jsonl --items shop/items.tsv --users shop/users.tsv --min-rating 4 -o data
settings="--epochs 1/2/3 --max-text-tokens 12 --content-share 0.2 --patience 0"

quiet train data -o whole $settings --threads 1
quiet train data -o threads $settings --threads 2
cmp whole/model.safetensors threads/model.safetensors || { echo "1 and 2 threads give different bits"; exit 1; }

# kill -9 in mid-flight, again and again, with a checkpoint every second; then to the end.
"$program" train data -o killed $settings --checkpoint-seconds 1 -q &
pid=$!
begun $pid killed
sleep 2
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
rounds=0
while [ ! -e killed/model.safetensors ] && [ $rounds -lt 4 ]; do
    "$program" train --resume -o killed -q &
    pid=$!
    sleep 2
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    rounds=$((rounds + 1))
done
quiet train --resume -o killed
cmp whole/model.safetensors killed/model.safetensors || { echo "killed and resumed: other bits"; exit 1; }

# Ctrl-C: exit code 130 and a checkpoint, unless it was through already.
code=0
"$program" train data -o stopped $settings -q 2>stopped.log &
pid=$!
begun $pid stopped
sleep 1.5
kill -INT $pid 2>/dev/null || true
wait $pid || code=$?
if [ $code != 0 ]; then
    [ $code = 130 ] || { echo "interrupted: exit code $code"; cat stopped.log; exit 1; }
    grep -q -- "--resume" stopped.log || { echo "no word of how to go on"; exit 1; }
    [ -e stopped/checkpoint.safetensors ] || { echo "no checkpoint"; exit 1; }
    quiet train --resume -o stopped
fi
cmp whole/model.safetensors stopped/model.safetensors || { echo "interrupted and resumed: other bits"; exit 1; }
[ ! -e stopped/checkpoint.safetensors ] || { echo "a finished run keeps its checkpoint"; exit 1; }

# Each epoch stands in the logs once, whatever happened, with the same figures (seconds and rates apart).
for run in killed stopped; do
    cut -d, -f1-12,15- whole/metrics.csv >a.csv
    cut -d, -f1-12,15- $run/metrics.csv >b.csv
    cmp a.csv b.csv || { echo "$run: metrics.csv differs"; exit 1; }
    [ "$(wc -l <whole/log.jsonl)" = "$(wc -l <$run/log.jsonl)" ] || { echo "$run: log.jsonl differs"; exit 1; }
done

# A finished run has nothing to resume; an existing one is not overwritten.
quiet train --resume -o whole
! quiet train data -o whole $settings 2>err.log || { echo "an existing run was overwritten"; exit 1; }
grep -q "exists already" err.log

# A last fit on all rows; measuring still takes the tables that validation chose.
quiet train data -o final $settings --final
[ -e final/fit.safetensors ] && cmp final/fit.safetensors whole/model.safetensors || { echo "final: the fit differs"; exit 1; }
! cmp -s final/model.safetensors whole/model.safetensors || { echo "final: nothing was fitted"; exit 1; }
quiet train --resume --final -o whole
cmp final/model.safetensors whole/model.safetensors || { echo "final after the fact: other bits"; exit 1; }
