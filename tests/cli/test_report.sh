# report: one HTML file that loads nothing, with the figures of eval --json, whatever the data's titles are.
. "$(dirname "$0")/../support/cli.sh"

check_help report --output --force --title --split --baselines --samples --data
make_shop
# Titles that would be markup, an entity, or the end of an element, and a character that XML does not have.
awk -F '\t' -v OFS='\t' '$1 == "i03" { $2 = "<script>alert(\"1\")</script>" } $1 == "i04" { $2 = "</svg> & \"quoted\" <img src=x onerror=y>" }
    $1 == "i05" { $2 = "bell\007 ]]> -- lamp" } { print }' items.tsv >hostile.tsv
run prepare reviews.tsv --items hostile.tsv --raw-text -o data
for value in 0 1 100; do run train data -o lambda$value --epochs 1/1/2 --max-text-tokens 8 --lambda-c $value; done
run train data -o other --epochs 1/1/2 --max-text-tokens 8 --lambda-c 1 --seed 7

run report lambda1 -o one.html --json --samples 4
equal output "$(get output)" one.html
equal bytes "$(get bytes)" "$(wc -c <one.html | tr -d ' ')"
equal runs "$(get -n runs)" 1

# The table has eval's figures, to the fourth decimal, with their intervals.
run eval lambda1 --json
for model in cllm4rec popularity ease; do
    for metric in recall_capped@20 recall_capped@40 ndcg@100; do
        want=$(printf '%.4f<small>%.4f–%.4f' "$(get models/$model/$metric)" "$(get models/$model/interval/$metric/0)" "$(get models/$model/interval/$metric/1)")
        grep -q -F -e "$want" one.html || die "the table does not have $model's $metric, $want"
    done
done
for part in "popularity of the item" "Loss of histories" "NDCG@100 in validation" "80/10/10" "users" "max-text-tokens=8"; do
    grep -q -F -e "$part" one.html || die "the report has no '$part'"
done
# All users of this shop fall into one bucket: a figure of one point would say nothing.
! grep -q "length of history" one.html || die "a figure of one bucket"

# check_page FILE: nothing is loaded or run, and it is well-formed.
check_page() {
    ! grep -i -E -e '<script|<link|<img|<iframe|<object|<embed|@import|url\(|javascript:|https?://|[" ]on[a-z]+="' "$1" >found || die "$1: $(head -c 300 found)"
    equal "opened and closed svg" "$(grep -o '<svg' "$1" | wc -l)" "$(grep -o '</svg>' "$1" | wc -l)"
    ! grep -q 'NaN\|[^a-z]nan[^a-z]\|[^a-z]inf[^a-z]' "$1" || die "$1 has numbers that are none"
    if command -v xmllint >/dev/null; then xmllint --noout "$1" 2>stderr || die "$1 is not well-formed"; fi
}
check_page one.html
grep -q -F -e '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;' one.html || die "the hostile title is not shown as text"
# Each plot says what it shows.
equal titles "$(grep -o 'role="img"' one.html | wc -l)" "$(grep -o '<svg[^>]*role="img"[^>]*><title id=' one.html | wc -l)"

# The same runs, the same bytes; runs that differ in one setting get a curve over it.
grep -q "frozen transformer, random weights" one.html || die "the page does not say what the run reads histories with"
grep -q "lacks a run without one .* and one through pretrained weights" one.html || die "the page does not say which transformers it lacks"
run report lambda1 -o again.html --samples 4 --threads 1 -q
cmp one.html again.html || die "the same run gives another report"
run report lambda0 lambda1 lambda100 -o three.html --baselines ease --title 'What <b>λ</b> & co. do' --json
equal runs "$(get -n runs)" 3
equal title "$(get title)" 'What <b>λ</b> & co. do'
check_page three.html
grep -q -F -e 'What <code>lambda-c</code> does' three.html || die "no curve over lambda-c"
grep -q -F -e '<title>What &lt;b&gt;λ&lt;/b&gt; &amp; co. do</title>' three.html || die "the title is not escaped"
! grep -q -F -e 'does</h3>' one.html || die "a curve over nothing"
# Runs that differ in their seed alone are averaged; every run is measured as eval measures it, though against the best baseline only.
run report lambda1 lambda0 other -o seeds.html --json
check_page seeds.html
equal series "$(get -n means)" 1
equal "a setting unlike the preset's" "$(get runs/1/changed_settings/lambda-c)" 0
equal "the averaged runs" "$(get means/0/runs/0) $(get means/0/runs/1) $(get -n means/0/runs)" "lambda1 other 2"
equal "their seeds" "$(get means/0/seeds/0) $(get means/0/seeds/1)" "1 7"
equal "the best baseline" "$(get runs/0/evaluation/paired/best_baseline)" "$(get means/0/paired/best_baseline)"
equal "models of a later run" "$(get -n runs/2/evaluation/models)" 2
awk -v a="$(get runs/0/evaluation/models/cllm4rec/ndcg@100)" -v b="$(get runs/2/evaluation/models/cllm4rec/ndcg@100)" -v m="$(get means/0/mean/ndcg@100)" \
    -v da="$(get runs/0/evaluation/paired/difference)" -v db="$(get runs/2/evaluation/paired/difference)" -v d="$(get means/0/paired/difference)" \
    'function same(x, y) { return x - y < 2e-6 && y - x < 2e-6 } BEGIN { exit !(same((a + b) / 2, m) && same((da + db) / 2, d)) }' || die "these are no means: $(cat stdout)"
awk -v low="$(get means/0/paired/interval/0)" -v d="$(get means/0/paired/difference)" -v high="$(get means/0/paired/interval/1)" -v p="$(get means/0/paired/p)" \
    'BEGIN { exit !(low <= d && d <= high && high - low < 2 && p > 0 && p <= 1) }' || die "the mean difference lies outside its interval: $(cat stdout)"
awk -v a="$(get runs/0/peak_memory_bytes)" -v b="$(get runs/2/peak_memory_bytes)" -v m="$(get means/0/peak_memory_bytes)" \
    'BEGIN { exit !(a > 1e6 && b > 1e6 && m == (a > b ? a : b)) }' || die "the peak of memory is not told: $(cat stdout)"
if command -v python3 >/dev/null; then
    results=$(dirname "$0")/../../tools/results
    "$results" <stdout >rows || die "tools/results fails on the report"
    mean=$(awk -v v="$(get means/0/mean/ndcg@100)" 'BEGIN { v = sprintf("%.4f", v); sub(/^0/, "", v); print v }')
    grep -q -F -e "| **mean, preset paper** | 1, 7 |" rows && grep -q "\*\*mean.* | $mean | " rows || die "no row of means with $mean: $(cat rows)"
    grep -q "\*\*mean.*\[[-+][.0-9]*, [-+][.0-9]*\] ($(get means/0/paired/best_baseline))" rows || die "the mean difference has no interval: $(cat rows)"
    grep -q "train .*data -o lambda0 --preset paper .*--set lambda-c=0" rows || die "no command of a run: $(cat rows)"
    equal "rows of baselines and runs" "$(grep -c '^| [a-z]' rows)" 12
    ! echo '{"runs": [{}]}' | "$results" >rows 2>stderr || die "tools/results takes what is no report"
    grep -q "report … --json" stderr || die "tools/results does not say what it wants"
fi
difference=$(get runs/2/evaluation/paired/difference)
run eval other --json
equal "the difference that eval finds" "$(get paired/difference)" "$difference"
for part in "Means over seeds" "1, 7" "peak memory"; do grep -q -F -e "$part" seeds.html || die "the report has no '$part'"; done
! grep -q "Means over seeds" three.html || die "means of runs that differ"

run report lambda1 -o bare.html --baselines none --samples 0 --split valid -q
check_page bare.html
grep -q "validation rows of" bare.html || die "the split is not named"

fails 2 "no run" report -o x.html
fails 2 "no output" report lambda1
fails 2 "exists already" report lambda1 -o one.html
run report lambda1 -o one.html --force -q
# With --force too, only a report gives way, or an empty file.
printf 'my notes\n' >notes.txt
printf '<!DOCTYPE html>\n<title>mine</title>\n' >page.html
for other in notes.txt page.html reviews.tsv; do
    cp $other before
    fails 2 "'$other' exists and is not of the kind.*--force leaves it alone: give another -o" report lambda1 -o $other --force
    cmp $other before || die "$other was replaced"
done
: >empty.html
run report lambda1 -o empty.html --baselines none --force -q
[ -s empty.html ] || die "an empty file was not replaced"
fails 2 "is a folder" report lambda1 -o data --force
fails 3 "no run folder" report lambda1 data -o x.html
fails 2 "split" report lambda1 -o x.html --split train
sed 's/"status":"done"/"status":"training"/' lambda0/run.json >run.json && mv run.json lambda0/run.json
fails 3 "not finished.*--resume -o lambda0" report lambda1 lambda0 -o x.html
[ ! -e x.html ] || die "a report of a failure"
fails 1 "cannot write" report lambda1 -o no/such/x.html --baselines none
! grep -q "users/s" stderr || die "the runs were evaluated before it was seen that the page cannot be written"
nothing_left
