# train --part-weights: weights of the parts chosen on validation rows, and only where test rows are left to measure on.
. "$(dirname "$0")/../support/cli.sh"

# Four tastes of 20 items each; a user has nine of one.
awk 'BEGIN { srand(7); print "user\titem"
  for (u = 0; u < 240; u++) { n = 0; delete had
    while (n < 9) { i = u % 4 * 20 + int(20 * rand()); if (!(i in had)) { had[i]; n++; print "u" u "\ti" i } } } }' >rows.tsv
run prepare rows.tsv -o data -q
small="--preset accurate --epochs 0/0/1 --lr 1e-6 --width 8 --neighbours-weight 0 --factors-weight 0.001"

# From a model that has learnt nothing, the weight of a linear part that knows the tastes goes up.
run train data -o run $small --linear-weight 0.01
grep -q "weights of the parts, by validation rows of 240 users: linear" stderr || die "train does not tell the weights"
run train data -o run --force $small --linear-weight 0.01 --json
equal "chosen on" "$(get part_weights/chosen_on)" valid
awk -v linear="$(get part_weights/linear)" -v before="$(get part_weights/ndcg@100/before)" -v after="$(get part_weights/ndcg@100/after)" \
    'BEGIN { exit !(linear > 0.03 && after > before + 0.1) }' || die "the search found nothing: $(cat stdout)"
after=$(get part_weights/ndcg@100/after)
equal "the setting" "$("$JSON_GET" settings/linear-weight <run/run.json)" 0.01
"$JSON_GET" part_weights/neighbours <run/run.json >/dev/null 2>&1 && die "a part that is not there has a weight"
run train data -o one --threads 1 $small --linear-weight 0.01 -q
for weight in linear factors; do
    equal "$weight on one thread" "$("$JSON_GET" part_weights/$weight <one/run.json)" "$("$JSON_GET" part_weights/$weight <run/run.json)"
done

# eval and recommend use what was chosen, after --final too.
run eval run --split valid --baselines none --json
grep -q "validation rows chose the weights" stderr || die "eval does not say what chose the weights"
awk -v a="$(get models/cllm4rec/ndcg@100)" -v b="$after" 'BEGIN { exit !(a - b < 2e-4 && b - a < 2e-4) }' || die "eval has other weights than were chosen"
run report run --baselines popularity -o report.html
grep -q "weights by validation rows: linear" report.html || die "the report does not tell the weights"
run recommend run --history i1,i2 -k 5
cp stdout chosen.tsv
run train --resume -o run --final -q
equal "weights after --final" "$("$JSON_GET" part_weights/linear <run/run.json)" "$("$JSON_GET" part_weights/linear <one/run.json)"

# Given weights stay, and so they do where validation rows are all there is to measure on.
run train data -o given $small --linear-weight 0.01 --part-weights given -q
"$JSON_GET" part_weights <given/run.json >/dev/null 2>&1 && die "given weights were changed"
run recommend given --history i1,i2 -k 5
cmp -s stdout chosen.tsv && die "the weights changed nothing"
awk 'NR > 1 && NR % 9 == 0' rows.tsv >valid.tsv
awk 'NR > 1 && NR % 9 != 0' rows.tsv >train.tsv
run prepare --train train.tsv --valid valid.tsv -o untested -q
run train untested -o untested-run $small --linear-weight 0.01 -q
"$JSON_GET" part_weights <untested-run/run.json >/dev/null 2>&1 && die "weights were chosen on the only rows to measure on"

# A damaged run is told of.
sed 's/"linear": *[0-9][0-9.e-]*/"linear": -1/' one/run.json >away && mv away one/run.json
fails 3 "part_weights/linear" recommend one --history i1 -k 3
fails 2 "given or valid" train data -o x --part-weights best
