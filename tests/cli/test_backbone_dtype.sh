# Frozen matrices in 8 bits: trained with, remembered, and nearly the same scores from much less memory.
. "$(dirname "$0")/../support/cli.sh"

make_run -q
fails 2 "give f32, bf16 or q8_0" train data -o other --backbone-dtype q4
fails 2 "give f32 or bf16" train data -o other --dtype q8_0
nothing_left
[ ! -e other ] || die "a refused run left its folder"

# An f32 run, opened with 8 bits.
run eval run --baselines none --json --backbone-dtype q8_0
grep -q "frozen matrices in q8_0" stderr || die "eval doesn't say how the backbone is held"
run recommend run --user u01 -k 3 --json
cp stdout plain
run recommend run --user u01 -k 3 --json --backbone-dtype q8_0
score=$(get items/0/score)
cp plain stdout
awk -v a="$score" -v b="$(get items/0/score)" 'BEGIN { d = a - b; exit !(d != 0 && d < 0.05 && d > -0.05) }' ||
    die "scores $score in 8 bits and $(get items/0/score) in f32"
run recommend run --user u01 -k 3 --backbone-dtype bf16

# A run trained with them; opened without a word, it is what it was.
run train data -o eight --epochs 1/1/1 --backbone-dtype q8_0 -q
cp eight/run.json stdout
equal "what the run remembers" "$(get backbone_dtype)" q8_0
equal "products" "$(get dtype)" f32
run eval eight --baselines none
grep -q "frozen matrices in q8_0" stderr || die "the run forgot"
run eval eight --baselines none --dtype f32
grep -q "frozen matrices in f32" stderr || die "--dtype didn't win"
