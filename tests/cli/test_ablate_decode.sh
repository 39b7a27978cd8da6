# `cllm4rec ablate decode` at smoke scale: its arms, what must hold of any of them, the sentence, and going on.
. "$(dirname "$0")/../support/cli.sh"

run ablate decode -o study --scale smoke --threads 1 -q --json
equal study "$(get study)" decode
[ -s study/index.html ] || die "no page"

# column NAME ARM: a cell of the table.
column() {
    awk -F'\t' -v name="$1" -v arm="$2" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } $at["arm"] == arm { print $at[name] }' study/table.tsv
}
equal arms "$(awk 'END { print NR - 1 }' study/table.tsv)" 11

# holds WHAT ARM CONDITION: of the arm's ndcg, recall, ms, listed, repeats, words.
holds() {
    awk -v ndcg="$(column ndcg@100 "$2")" -v recall="$(column recall@20 "$2")" -v ms="$(column ms "$2")" -v listed="$(column listed "$2")" \
        -v repeats="$(column repeats "$2")" -v words="$(column words "$2")" "BEGIN { exit !($3) }" || die "$2: $1: $(grep -e "$2" study/table.tsv)"
}
for arm in "finetuned, one step" "finetuned, item by item" "finetuned, beam search" "pretrained, one step" "pretrained, item by item" "pretrained, beam search"; do
    holds "a list of 20 in some time" "$arm" 'listed == 20 && ms > 0 && ndcg > 0 && ndcg < 1 && recall > 0'
done
for arm in "finetuned, item by item" "pretrained, item by item" "finetuned, beam search"; do
    holds "nothing comes twice that is ruled out" "$arm" 'repeats == 0 && words == ""'
done
# One token after another takes longer than one question, and four beams longer than one.
awk -v one="$(column ms "finetuned, one step")" -v many="$(column ms "finetuned, item by item")" -v beams="$(column ms "finetuned, beam search")" \
    'BEGIN { exit !(many > one && beams > many) }' || die "times"
holds "repeats take places in the list" "pretrained, item by item, repeats allowed" 'repeats > 0 && listed < 20'
holds "words take places in the list" "pretrained, item by item, words allowed" 'words >= 0 && words <= 1 && listed <= 20 && (words > 0) == (listed < 20)'
for arm in "joint softmax, item by item" 'joint softmax with " and ", item by item'; do
    holds "words take places in the list" "$arm" 'words != "" && words >= 0 && words <= 1'
done

# The sentence has the table's figures.
sentence=$(get conclusion)
for part in "lists of 20" "item by item" "beam search" "items that the user had or was just given" "of the outputs are words"; do
    case $sentence in *"$part"*) ;; *) die "the sentence has no '$part': $sentence" ;; esac
done
share=$(column repeats "pretrained, item by item, repeats allowed" | awk '{ printf "%.0f %%", 100 * $1 }')
case $sentence in *"$share"*) ;; *) die "the sentence has no '$share': $sentence" ;; esac

# Complete: going on changes nothing.
cp study/table.tsv before.tsv
run ablate --resume -o study -q
cmp before.tsv study/table.tsv || die "another table"
nothing_left
