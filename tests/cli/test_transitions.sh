# train --transitions: what follows what, found by the validation rows where each user's last rows are held out, and nowhere else.
. "$(dirname "$0")/../support/cli.sh"

# Each item is followed by the next one of 60 nine times in ten, else by any; a user has ten, in this order.
walk() {
    awk -v times="$1" 'BEGIN { srand(11); print "user\titem" (times ? "\ttime" : "")
      for (u = 0; u < 300; u++) { delete had; n = 0; i = int(60 * rand())
        while (n < 10) { if (!(i in had)) { had[i]; print "u" u "\ti" i (times ? "\t" 1e9 + int(1e6 * u) + 60 * n : ""); n++ }
          i = rand() < 0.9 ? (i + 1) % 60 : int(60 * rand()) } } }'
}
walk 1 >timed.tsv
walk 0 >ordered.tsv
run prepare timed.tsv --split loo -o timed -q
run prepare ordered.tsv --split loo -o ordered -q
run prepare timed.tsv --split ratio -o mixed -q
run prepare ordered.tsv -o unordered -q
small="--preset accurate --epochs 0/0/1 --width 8 --linear none --neighbours-weight 0 --factors-weight 0 -q"
found() { "$JSON_GET" part_weights/transitions <"$1/run.json"; }

# As a baseline it is shown where last rows are held out, and sees what comes next.
run baseline timed --split valid --json
awk -v m="$(get models/markov/ndcg@100)" -v k="$(get models/itemknn/ndcg@100)" 'BEGIN { exit !(m > 0.6 && m > k + 0.1) }' || die "markov does not see the order: $(cat stdout)"
run baseline mixed --json
"$JSON_GET" models/markov <stdout >/dev/null 2>&1 && die "markov is shown for rows from anywhere"
run baseline mixed --models markov --set markov.decay=0.3 --json
get models/markov/ndcg@100 >/dev/null
# Fitted to the validation rows too, it knows what the test rows follow.
for with in "" --prompt-valid; do
    run baseline timed --models markov --set markov.decay=0 $with --json
    get models/markov/ndcg@100 >"next$with"
done
grep -q "with --prompt-valid all do" stderr && die "told of an option that was given"
run eval --data timed --baselines popularity
grep -q "with --prompt-valid all do" stderr || die "eval does not tell of the row that nobody reads"
awk -v without="$(cat next)" -v with="$(cat next--prompt-valid)" 'BEGIN { exit !(with > without + 0.2) }' || die "--prompt-valid: $(cat next--prompt-valid), $(cat next)"

# The preset finds a weight for it, with times or without.
for data in timed ordered; do
    run train $data -o run-$data $small
    awk -v w="$(found run-$data)" 'BEGIN { exit !(w > 0) }' || die "$data: no weight was found"
    run eval run-$data --split valid --baselines none --json
    awk -v got="$(get models/cllm4rec/ndcg@100)" 'BEGIN { exit !(got > 0.6) }' || die "$data: NDCG@100 $(get models/cllm4rec/ndcg@100)"
done
equal "what training saw" "$("$JSON_GET" part_weights/ndcg@100/after <run-ordered/run.json | cut -c 1-5)" "$(get models/cllm4rec/ndcg@100 | cut -c 1-5)"
# A history counts in its order.
run recommend run-timed --history i7,i20 -k 1
grep -q "i21" stdout || die "i20 is not followed by i21: $(cat stdout)"
run recommend run-timed --history i20,i7 -k 1
grep -q "i8" stdout || die "i7 is not followed by i8: $(cat stdout)"
cp stdout before
run train --resume -o run-timed --final -q
equal "the weight after --final" "$(found run-timed)" "$(found run-ordered)"
run recommend run-timed --history i20,i7 -k 1
grep -q "i8" stdout || die "after --final: $(cat stdout)"

# Elsewhere there is none of it.
run train mixed -o run-mixed $small
"$JSON_GET" transitions <run-mixed/run.json >/dev/null 2>&1 && die "rows from anywhere have transitions"
# Where they say nothing they get no weight, and nobody makes them.
awk 'BEGIN { srand(5); print "user\titem"
  for (u = 0; u < 300; u++) { delete had
    for (n = 0; n < 10;) { i = int(60 * rand()); if (!(i in had)) { had[i]; n++; print "u" u "\ti" i } } } }' >noise.tsv
run prepare noise.tsv --split loo -o noise -q
run train noise -o run-noise $small
equal "a weight for nothing" "$(awk -v w="$(found run-noise)" 'BEGIN { print w + 0 }')" 0
"$JSON_GET" transitions <run-noise/run.json >/dev/null 2>&1 && die "transitions without a weight were kept"

# By hand: with a weight, and only on rows that stand in order.
run train timed -o by-hand $small --part-weights given --transitions on --transitions-weight 2
run recommend by-hand --history i7,i20 -k 1
grep -q "i21" stdout || die "by hand: $(cat stdout)"
fails 2 "transitions=on: the rows of 'unordered' have no times" train unordered -o never $small --transitions on
fails 2 "off, valid or on" train timed -o never --transitions maybe

sed 's/"decay": *[0-9.e-]*/"decay": 7/' by-hand/run.json >away && mv away by-hand/run.json
fails 3 "transitions needs a decay" recommend by-hand --history i7 -k 1
nothing_left
