# ablate prompt: the settings that it compares hold for a run wherever it is opened, and the study ends in a table and a sentence that agree.
. "$(dirname "$0")/../support/cli.sh"

# A run's prompts are the same in training, in evaluation and after an interruption.
make_shop
run prepare reviews.tsv --items items.tsv -o data
few="--epochs 1/2/3 --lr 1e-2 --max-text-tokens 8 --patience 0 --threads 1"
run train data -o plain $few
run backbone init -o tiny --layers 1 --heads 1 --width 16 --context 128 --tokenizer plain/tokenizer
for setting in "--user-token off" "--user-token shuffled" "--hard-words none" "--hard-words random" "--main-text joint" "--main-text joint-and" "--item-tokens spelled" "--reorder time --prompt-order time" "--histories spelled"; do
    run train data -o run --force --backbone tiny $few $setting --json
    best=$(get validation/ndcg@100)
    run eval run --split valid --baselines none --json
    awk -v a="$(get models/cllm4rec/ndcg@100)" -v b="$best" 'BEGIN { d = a - b; exit !(d < 1e-5 && d > -1e-5) }' || die "$setting: eval says $(get models/cllm4rec/ndcg@100), training said $best"
    run recommend run --user "$(awk 'NR == 2 { print $1 }' reviews.tsv)" -k 2
done
fails 2 "user-token 'maybe': give on, off or shuffled" train data -o never --user-token maybe
fails 2 "reorder 'maybe': give 1, 0 or time" train data -o never --reorder maybe
fails 2 "item-tokens 'digits': give id, text, id+text or spelled" train data -o never --item-tokens digits
fails 2 "take --histories tokens" train data -o never --backbone tiny --histories spelled --main-text joint
fails 2 "take --histories tokens" train data -o never --preset accurate --histories spelled
fails 2 "take histories=tokens" ablate decode data -o never --scale smoke --set histories=spelled
rm -rf never
fails 2 "nothing is left of the template" train data -o never --backbone tiny --user-token off --hard-words none
# In time order nothing is random: the seed of prompts does not matter, and a history given in another order is another question.
run train data -o run --force --backbone tiny $few --prompt-order time
run eval run --baselines none --json
ndcg=$(get models/cllm4rec/ndcg@20)
run eval run --baselines none --seed 9 --json
equal "another seed" "$(get models/cllm4rec/ndcg@20)" "$ndcg"
run recommend run --history i01,i02,i03,i04 -k 3 --json
get items/0/score >forth
run recommend run --history i04,i03,i02,i01 -k 3 --json
[ "$(get items/0/score)" != "$(cat forth)" ] || die "the order of a given history does not matter"
# Rows without times have no such order.
cut -f 1-3,5 reviews.tsv >timeless.tsv
run prepare timeless.tsv --items items.tsv -o timeless
fails 2 "prompt-order=time: the rows of 'timeless' have no times" train timeless -o never --prompt-order time
fails 2 "reorder=time: the rows of 'timeless' have no times" train timeless -o never --reorder time
[ ! -e never ] || die "a run of nothing"
run ablate prompt timeless -o without --scale smoke --set epochs=0/1/1 --set content=0 --set lambda-c=0 --threads 1 --json
! grep -q "time order" without/table.tsv || die "a time order without times"
get conclusion | grep -q "have no times" || die "nothing is said of the missing times: $(get conclusion)"
nothing_left

# The study, on the shop that it makes.
run ablate prompt --scale smoke -o study --threads 1 --json
equal study "$(get study)" prompt
conclusion=$(get conclusion)
equal rows "$(awk 'END { print NR - 1 }' study/table.tsv)" 21
beside study "the paper's prompt"
# column NAME: its number in the table.
column() {
    awk -F '\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) print i }' study/table.tsv
}
arm=$(column arm) verdict=$(column verdict) against=$(column against) nll=$(column collab_nll) difference=$(column difference)
equal "compared with the method" "$(awk -F '\t' -v c="$against" 'NR > 2 && $c == "the paper'\''s prompt"' study/table.tsv | wc -l | tr -d ' ')" 20
# Every change stands once in the sentence, behind the words that its verdict asks for, with its difference.
awk -F '\t' -v arm="$arm" -v verdict="$verdict" -v difference="$difference" 'NR > 2 && $1 != "baselines" && $1 != "pairs" { print $verdict "|" $arm "|" $difference }' study/table.tsv >verdicts
echo "$conclusion" | sed 's/\. \([A-Z]\)/.\
\1/g' >sentences
while IFS='|' read -r kind name by; do
    case $kind in
        worse) words="cost NDCG@100:" name="$name ($by)" ;;
        better) words="gain.*:" name="$name ($by)" ;;
        *) words="beyond the noise:" ;;
    esac
    grep "$words" sentences | grep -qF -e "$name" || die "'$name' ($kind) is not where it belongs in: $conclusion"
done <verdicts
awk -F '\t' -v arm="$arm" -v nll="$nll" '{ loss[$arm] = $nll } END { t = loss["time order"]
    exit !(t > 1 && t != loss["ascending order"] && t != loss["the paper'\''s prompt"]) }' study/table.tsv || die "time order is another: $(cat study/table.tsv)"
# Two changes at once: what both do beyond the sum is the table's, and the sentence names those that count.
equal pairs "$(awk -F '\t' '$1 == "pairs"' study/table.tsv | wc -l | tr -d ' ')" 5
awk -F '\t' -v arm="$arm" -v difference="$difference" '
    $1 != "pairs" { alone[$arm] = $difference; next }
    { n = split($arm, of, / \+ /); if (n != 2 || !(of[1] in alone) || !(of[2] in alone)) exit 1
      print $arm "|" $difference - alone[of[1]] - alone[of[2]] }' study/table.tsv >pairs || die "pairs of what? $(cat study/table.tsv)"
sed -n 's,^<tr><td>\([^<]*+[^<]*\)</td>.*<td class="n">\([-+0-9.]*\) ([^<]*</td><td>\([a-z ]*\)</td></tr>,\1|\2|\3,p' study/index.html >shown
equal "pairs on the page" "$(wc -l <shown | tr -d ' ')" 5
while IFS='|' read -r name beyond; do
    awk -F '|' -v name="$name" -v beyond="$beyond" '$1 == name { d = $2 - beyond; found = d < 0.0003 && d > -0.0003 } END { exit !found }' shown ||
        die "$name: $beyond by the table, on the page: $(cat shown)"
done <pairs
told=$(grep -vc "|adds up" shown || true)
if [ "$told" = 0 ]; then grep -q "No two changes" sentences || die "pairs: $conclusion"
else equal "pairs told" "$(grep "Two changes that do" sentences | grep -o " by [-+]" | wc -l | tr -d ' ')" "$told"; fi
# One softmax over more classes can only cost more; words between items are predicted, too.
awk -F '\t' -v arm="$arm" -v nll="$nll" '{ loss[$arm] = $nll }
    END { if (!(loss["the paper'\''s prompt"] > 1 && loss["joint softmax"] > loss["the paper'\''s prompt"] && loss["joint softmax, joined by and"] > loss["joint softmax"])) exit 1 }' \
    study/table.tsv || die "losses: $(cut -f "$arm,$nll" study/table.tsv)"
loss=$(awk -F '\t' -v nll="$nll" 'NR == 2 { printf "%.3f", $nll }' study/table.tsv)
echo "$conclusion" | grep -q "costs $loss nats" || die "the loss $loss is not in: $conclusion"
[ "$(get 'results/1 shop | user token | tokens shuffled in training | seed 1/ndcg@100')" != "$(get 'results/1 shop |  | the paper'\''s prompt | seed 1/ndcg@100')" ] ||
    die "shuffled tokens change nothing"
for word in "What in the prompt matters" "no user token when measured" "<svg"; do grep -q "$word" study/index.html || die "index.html has no '$word'"; done
[ ! -e study/runs ] || [ -z "$(ls study/runs)" ] || die "runs stay"

# Complete: resumed, it says the same.
cp study/table.tsv before.tsv
run ablate --resume -o study --json
equal "resumed when finished" "$(get conclusion)" "$conclusion"
cmp before.tsv study/table.tsv || die "resumed when finished: another table"
nothing_left
