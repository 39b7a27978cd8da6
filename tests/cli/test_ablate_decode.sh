# `cllm4rec ablate decode` at smoke scale: its arms, what must hold of any of them, the sentence, and going on.
. "$(dirname "$0")/../support/cli.sh"

run ablate decode -o study --scale smoke --threads 1 -q --json
equal study "$(get study)" decode
[ -s study/index.html ] || die "no page"

# column NAME SERIES ARM: a cell of the table.
column() {
    awk -F'\t' -v name="$1" -v series="$2" -v arm="$3" \
        'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } $at["series"] == series && $at["arm"] == arm { print $at[name] }' study/table.tsv
}
equal arms "$(awk 'END { print NR - 1 }' study/table.tsv)" 14
beside study "one step"

# holds WHAT SERIES ARM CONDITION: of the arm's ndcg, recall, ms, listed, repeats, words.
holds() {
    awk -v ndcg="$(column ndcg@100 "$2" "$3")" -v recall="$(column recall@20 "$2" "$3")" -v ms="$(column ms "$2" "$3")" \
        -v listed="$(column listed "$2" "$3")" -v repeats="$(column repeats "$2" "$3")" -v words="$(column words "$2" "$3")" \
        "BEGIN { exit !($4) }" || die "$2, $3: $1: $(cat study/table.tsv)"
}
for series in finetuned pretrained; do
    for arm in "one step" "item by item" "beam search"; do
        holds "a list of 20 in some time" $series "$arm" 'listed == 20 && ms > 0 && ndcg > 0 && ndcg < 1 && recall > 0'
        [ "$arm" = "one step" ] || holds "nothing comes twice that is ruled out" $series "$arm" 'repeats == 0 && words == ""'
    done
done
holds "repeats take places in the list" pretrained "repeats too" 'repeats > 0 && listed < 20'
holds "words take places in the list" pretrained "words too" 'words >= 0 && words <= 1 && (words > 0) == (listed < 20)'
holds "words take places in the list" "joint softmax" "words too" 'words != "" && words >= 0 && words <= 1'
holds "words take places in the list" "joint softmax, joined items" "words too" 'words != "" && words >= 0 && words <= 1'

# The sentence has the table's figures.
sentence=$(get conclusion)
for part in "lists of 20" "item by item" "beam search" "items that the user had or was just given" "of the outputs are words"; do
    case $sentence in *"$part"*) ;; *) die "the sentence has no '$part': $sentence" ;; esac
done
share=$(column repeats pretrained "repeats too" | awk '{ printf "%.0f %%", 100 * $1 }')
case $sentence in *"$share"*) ;; *) die "the sentence has no '$share': $sentence" ;; esac

# Lists of 20 here, too: the figure is that of a ranking of all items only if nothing behind the 20 counts.
run baseline study/data/1 --models ease --split test --json
cut=$(column ndcg@100 baselines EASE)
awk -v cut="$cut" -v whole="$(get models/ease/ndcg@100)" 'BEGIN { exit !(cut < whole - 0.001) }' || die "EASE's list is as long as can be: $cut"
equal "EASE's first 20" "$(column recall@20 baselines EASE)" "$(get models/ease/recall_capped@20 | awk '{ printf "%.4f", $1 }')"

# Complete: going on changes nothing.
cp study/table.tsv before.tsv
run ablate --resume -o study -q
cmp before.tsv study/table.tsv || die "another table"
nothing_left
