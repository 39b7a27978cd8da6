# eval: the report's members, baselines, profiles, per-user lines, wrong usage.
. "$(dirname "$0")/../support/cli.sh"

check_help eval --split --baselines --metrics-profile --per-user --mask-valid --prompt-valid
make_run -q

run eval run --json
equal split "$(get split)" test
equal users "$(get users)" 12
for model in cllm4rec popularity itemknn textknn ease ease_text userknn als bpr; do
    for metric in recall@20 recall_capped@20 ndcg@100 recall@5; do
        value=$(get models/$model/$metric)
        awk -v v="$value" 'BEGIN { exit !(v >= 0 && v <= 1) }' || die "$model $metric is $value"
    done
done
# Of 10 items none is missed at 20 by a model that ranks them all.
equal "recall@20 of popularity" "$(get models/popularity/recall@20)" 1
# Everything but the time that it took is the same on any number of threads.
timeless() { sed 's/"seconds":[0-9.e+-]*//; s/"peak_memory_bytes":[0-9]*//; s/"tuning_seconds":{[^}]*}//' stdout; }
timeless >first
run eval run --json --threads 1
timeless | cmp -s first - || die "1 thread gives another report"

run eval run --split valid --json
equal split "$(get split)" valid
# What training saw in validation is what eval finds: same tables, same protocol.
equal "ndcg@100" "$(get models/cllm4rec/ndcg@100 | cut -c 1-7)" "$("$JSON_GET" validation/ndcg@100 <run/run.json | cut -c 1-7)"
run eval run --baselines none -k 1,3 --metrics-profile recbole --json
equal models "$(get -n models)" 1
get models/cllm4rec/recall@3 >/dev/null
run eval --data data --baselines popularity --json
equal models "$(get -n models)" 1
run eval run --baselines none -k 2,3
grep -q "NDCG@3 .*coverage@2" stdout || die "the table does not show the cut-offs that were asked for: $(cat stdout)"
! grep -q nan stdout || die "nan in the table"
run eval run --mask-valid --prompt-valid --content --json
awk -v low="$(get content/nll_intervals/true/0)" -v nll="$(get content/nll/true)" -v high="$(get content/nll_intervals/true/1)" \
    'BEGIN { exit !(low < nll && nll < high && high - low < 1) }' || die "the likelihood lies outside its interval: $(cat stdout)"
run eval run --content --baselines none
grep -q "nats a token" stdout || die "the table does not show the likelihood: $(cat stdout)"
run eval run --baselines popularity --per-user --quiet
[ "$(grep -c '^{"user"' stdout)" -ge 12 ] || die "--per-user printed too little"
run eval run
grep -q "popularity" stdout || die "the table has no popularity"
grep -q "95 %" stdout || die "the table names no intervals"
cp stdout table
run eval run --quiet
cmp -s stdout table || die "--quiet prints another table"
run eval run --quiet --json
[ ! -s stderr ] || die "--quiet --json has words for people: $(head -n 3 stderr)"

fails 2 "give a run" eval
fails 2 "split" eval run --split train
fails 2 "baseline" eval run --baselines best
fails 2 "profile" eval run --metrics-profile mine
fails 2 "give up to 16 numbers" eval run -k 0
fails 2 "give up to 16 numbers" eval run -k 5,x
fails 3 "no run folder" eval no-such
fails 3 "no-such" eval run --data no-such
nothing_left
