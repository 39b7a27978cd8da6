# ablate vocabulary: the frozen language model stays what it was, to the last bit, and the study's table and sentence agree.
. "$(dirname "$0")/../support/cli.sh"

run ablate vocabulary --scale smoke -o study --threads 1 --json
equal study "$(get study)" vocabulary
conclusion=$(get conclusion)
# figure ARM NAME: what the study found.
figure() {
    get "results/1 shop |  | $1 | seed 1/columns/$2"
}
bare=$(figure "bare backbone" text_nll)
for arm in "a token an item" "numbers in pieces" "numbers written out" "random tokens" "trained in one softmax"; do
    equal "plain text, $arm" "$(figure "$arm" text_nll)" "$bare"
    # A larger softmax costs something, tokens that nobody trained too.
    for cost in joint_cost_collab joint_cost_content; do
        awk -v x="$(figure "$arm" $cost)" 'BEGIN { exit !(x > 0 && x < 20) }' || die "$arm: $cost $(figure "$arm" $cost)"
    done
done
# Reviews: the template's words alone say less than tokens that were trained for it, and tokens of one's own more than another's; random ones nothing.
own=$(figure "a token an item" review_nll) other=$(figure "a token an item" review_nll_shuffled) none=$(figure "a token an item" review_nll_absent)
awk -v own="$own" -v other="$other" -v none="$none" 'BEGIN { exit !(own < other && own < none) }' || die "reviews: $own, $other, $none"
equal "without tokens there is nothing to train" "$(figure "random tokens" review_nll_absent)" "$none"
awk -v own="$(figure "random tokens" review_nll)" -v other="$(figure "random tokens" review_nll_shuffled)" \
    'BEGIN { d = own - other; exit !(d < 0.01 && d > -0.01) }' || die "random tokens know reviews"
# Rows: trained items have moved; words are the same for all.
awk -v a="$(figure "a token an item" item_norm)" -v b="$(figure "random tokens" item_norm)" 'BEGIN { exit !(a > 1.2 * b) }' || die "norms"
equal "norm of words" "$(figure "random tokens" word_norm)" "$(figure "a token an item" word_norm)"
get "results/1 shop |  | a token an item | seed 1/neighbours/0/word" >/dev/null

equal rows "$(awk 'END { print NR - 1 }' study/table.tsv)" 9
beside study "a token an item"
for number in "$(echo "$bare" | awk '{ printf "%.4f", $1 }') nats a token" "$(awk -v a="$other" -v b="$own" 'BEGIN { printf "%+.4f", a - b }') nats a word"; do
    case "$conclusion" in *"$number"*) ;; *) die "'$number' is not in: $conclusion" ;; esac
done
# Two ways to do without a token an item: other runs than it, and than each other.
for arm in "numbers in pieces" "numbers written out"; do
    difference=$(awk -F '\t' -v arm="$arm" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "difference") c = i } $1 == arm { print $c }' study/table.tsv)
    case "$conclusion" in *"$difference (95"*) ;; *) die "'$difference' is not in: $conclusion" ;; esac
    echo "$difference"
done >differences
equal "distinct arms" "$(sort -u differences | grep -vc '^[-+]0.0000$')" 2
for word in "A token for every user and item" "Nearest words" "<svg"; do grep -q "$word" study/index.html || die "index.html has no '$word'"; done

cp study/table.tsv before.tsv
run ablate --resume -o study --json
equal "resumed when finished" "$(get conclusion)" "$conclusion"
cmp before.tsv study/table.tsv || die "resumed when finished: another table"

# A backbone that changed on the way was not frozen: the study says so instead of concluding.
sed 's/"text_nll":[0-9.]*/"text_nll":1.5/;' study/ablation.json | awk '/"text_nll":1.5/ && seen++ { sub(/1.5/, "2.5") } { print }' >changed.json
cp changed.json study/ablation.json
fails 1 "the backbone is not frozen" ablate --resume -o study
nothing_left
