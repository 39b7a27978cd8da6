# ablate variants at smoke scale, and the presets that it stands on.
. "$(dirname "$0")/../support/cli.sh"

check_help ablate variants
run ablate variants -o study --scale smoke --threads 1 --json
equal study "$(get study)" variants
equal arms "$(awk -F '\t' 'NR > 1 { printf "%s;", $1 }' study/table.tsv)" "CLLM4Rec;LLM-CF;LLM-FixOrd;LLM-PreRec;target all;popularity;item-kNN;EASE;"
beside study CLLM4Rec
# The whole method is what the others are compared with; what a variant leaves out is not trained.
awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["against"] != (NR == 2 ? "" : "CLLM4Rec") { print "row " NR " against " $at["against"]; exit 1 }
    $at["ndcg@100"] <= 0 || $at["ndcg@100"] > 1 { print "row " NR; exit 1 }
    $at["arm"] == "LLM-CF" && $at["epochs"] != "0/2/4" { print "LLM-CF trained texts"; exit 1 }
    $at["arm"] == "LLM-PreRec" && $at["epochs"] != "1/2/0" { print "LLM-PreRec was finetuned"; exit 1 }
    NR > 2 && $at["difference"] == 0 { print "row " NR " is CLLM4Rec again"; exit 1 }' study/table.tsv || die "the table: $(cat study/table.tsv)"
# Every variant is told of once: as a difference, with the table's sign, or as none.
get conclusion >said
awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    NR > 2 && $at["arm"] !~ /^(popularity|item-kNN|EASE)$/ { print ($at["verdict"] == "no difference" ? "none" : $at["verdict"] == "worse" ? "helps" : "hurts") "\t" $at["arm"] }' study/table.tsv >wanted
while IFS='	' read -r verdict arm; do
    if [ "$verdict" = none ]; then grep -q "No difference beyond the noise to.*$arm" said || die "'$arm' is not told of: $(cat said)"
    else grep -q "Against $arm, [^:]* $verdict: " said || die "'$arm' $verdict is not told of: $(cat said)"; fi
done <wanted
grep -q "<svg" study/index.html || die "no figure"
# The baselines are those of the program, tuned and measured in the same way.
run baseline study/data/1 --models ease --split test --json
equal EASE "$(awk -F '\t' '$1 == "EASE" { print $2 }' study/table.tsv)" "$(get models/ease/ndcg@100 | awk '{ printf "%.4f", $1 }')"
cp study/table.tsv before
run ablate --resume -o study -q
cmp before study/table.tsv || die "resumed when finished: another table"

# The presets: LLM-PreRec asks the collaborative model's own prompt, and recommends like any other run.
make_shop
run prepare reviews.tsv --items items.tsv -o data
run train data -o prerec --preset llm-prerec --epochs 1/2/3 --max-text-tokens 8 --json
equal preset "$(get preset)" llm-prerec
"$JSON_GET" prompts/rec <prerec/run.json >template
equal template "$(cat template)" "user_{i} has interacted with {items}"
equal "epochs of finetuning" "$(grep -c ',rec,' prerec/metrics.csv || true)" 0
run recommend prerec --user u01 -k 3 --json
equal recommendations "$(get -n items)" 3
run train data -o fixed --preset llm-fixord --epochs 1/1/2 --max-text-tokens 8
run eval fixed --baselines none --json
# With items in one order there is nothing random left in a prompt: the seed of prompts does not matter.
equal "other seed" "$(get models/cllm4rec/ndcg@20; "$program" eval fixed --baselines none --seed 9 --json -q >stdout 2>stderr)" "$(get models/cllm4rec/ndcg@20)"
run train data -o cf --preset llm-cf --epochs 1/1/2
! grep -q "content" cf/metrics.csv || die "LLM-CF trained a content model: $(cat cf/metrics.csv)"
fails 2 "llm-cf, llm-fixord and llm-prerec" train data -o x --preset llm
fails 2 "nothing to do" train data -o x --preset llm-prerec --epochs 0/0/3
nothing_left
