# baseline: every model tuned and measured, fixed parameters, the cache, wrong usage and missing data.
. "$(dirname "$0")/../support/cli.sh"

check_help baseline --models --split --set --seed -k --json
make_shop
run prepare reviews.tsv --items items.tsv -o data -q

run baseline data --json
equal models "$(get -n models)" 8
for model in popularity itemknn textknn ease ease_text userknn als bpr; do
    value=$(get models/$model/ndcg@100)
    awk -v v="$value" 'BEGIN { exit !(v > 0 && v <= 1) }' || die "ndcg@100 of $model is $value"
done
grep -q "ease and ease_text: 10 items: .* GB of memory" stderr || die "it does not say what EASE needs"
timeless() { sed 's/"seconds":[0-9.e+-]*//; s/"peak_memory_bytes":[0-9]*//; s/"tuning_seconds":{[^}]*}//' stdout; }
timeless >first
run baseline data --json --threads 1
timeless | cmp -s first - || die "1 thread, or the cache, gives another report"
# It is what eval finds without a run.
run eval --data data --json
timeless | cmp -s first - || die "eval gives another report"
run baseline data --seed 2 --models als,bpr --json
equal models "$(get -n models)" 2

run baseline data --models als,ease --set als.factors=3 --set als.alpha=5 --set ease.lambda=7 --split valid -k 1,3 --json
equal split "$(get split)" valid
equal "parameters of ease" "$(get models/ease/parameters)" lambda=7
equal "parameters of als" "$(get models/als/parameters)" "factors=3,regularization=64,alpha=5,iterations=10"
get models/als/recall@3 >/dev/null
run baseline data --models bpr,random
grep -q "^random " stdout || die "the table has no row for random"
grep -q "uniform negatives" stdout || die "the table does not name bpr's parameters"

# 300,000 items, of which most are never bought: EASE would take 1,080 GB.
awk 'BEGIN { print "#item\ttitle"; for (i = 1; i <= 300000; i++) printf "i%02d\tThing\n", i }' >many.tsv
run prepare reviews.tsv --items many.tsv -o many -q
run baseline many -k 20 --set als.factors=1 --set bpr.factors=1 --json
equal models "$(get -n models)" 6
grep -q "ease is left out: ease and ease_text on 300000 items needs 1[0-9][0-9][0-9].* GB of memory" stderr || die "no warning about ease"
grep -q "ease_text is left out: ease_text on 300000 items needs" stderr || die "no warning about ease_text"
fails 3 "ease on 300000 items needs .* GB of memory, and .* GB are allowed" baseline many --models ease

fails 2 "baseline" baseline
fails 2 "'svd' is no baseline: give all, none, or some of random,popularity" baseline data --models ease,svd
fails 2 "twice" baseline data --models ease,ease
fails 2 "nothing to evaluate" baseline data --models none
fails 3 "no-such" baseline no-such
fails 2 "split" baseline data --split train
fails 2 "give up to 16 numbers" baseline data -k 0
fails 2 "no setting 'ease.rank'" baseline data --set ease.rank=3
fails 2 "ease.lambda=VALUE" baseline data --set ease.lambda=-1
fails 2 "als.factors=VALUE, a whole number from 1" baseline data --set als.factors=2.5
printf 'broken' >data/dataset.json
fails 3 "dataset.json" baseline data
nothing_left
