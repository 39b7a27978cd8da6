# A really pretrained model from the first command to the last: trained on, evaluated in f32 and in 8 bits, asked for recommendations.
. "$(dirname "$0")/../support/cli.sh"

need_smollm2

# 100 users, each of whom likes every seventh of 60 items, and the first ones more than others.
awk 'BEGIN {
    for (u = 0; u < 100; u++) for (k = 0; k < 8; k++) {
        i = (u % 7 + 7 * (k + u % 3)) % 60
        if (k == 7) i = u % 5
        if (!seen[u, i]++) printf "user%03d\titem%02d\n", u, i
    }
}' >pairs.tsv
awk 'BEGIN { print "item\ttitle"; for (i = 0; i < 60; i++) printf "item%02d\tThe book of number %d\n", i, i }' >items.tsv
run prepare pairs.tsv --items items.tsv -o data -q
run train data -o run --backbone "$models/smollm2.gguf" --epochs 0/1/1 --content-share 0.1 --lr 5e-3 --max-text-tokens 16 -q
run eval run --baselines none --json -q
ndcg=$(get models/cllm4rec/ndcg@100)
run eval run --baselines none --json -q --backbone-dtype q8_0
tables=$(wc -c <run/model.safetensors)
awk -v f32="$ndcg" -v q8="$(get models/cllm4rec/ndcg@100)" 'BEGIN { d = q8 / f32 - 1; exit !(d < 0.01 && d > -0.01) }' ||
    die "NDCG@100 is $(get models/cllm4rec/ndcg@100) in 8 bits and $ndcg in f32"
awk -v peak="$(get peak_memory_bytes)" -v tables="$tables" 'BEGIN { exit !(peak < 260e6 + tables) }' ||
    die "eval in 8 bits takes $(get peak_memory_bytes) bytes beside tables of $tables"
run recommend run --user user003 -k 5 --json -q --backbone-dtype q8_0
equal "items for user003" "$(get -n items)" 5
