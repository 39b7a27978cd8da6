# doctor; and the built-in shop as files.
. "$(dirname "$0")/../support/cli.sh"

check_help doctor --json
run doctor --json
equal ok "$(get ok)" true
[ "$(get -n checks)" -ge 5 ] || die "too few checks"
[ "$(get machine/threads)" -ge 1 ] || die "no threads"
get libraries/json-c >/dev/null
run doctor
grep -q "^  ok   tokenizer" stdout || die "the table has no tokenizer"
CLLM4REC_ISA=baseline "$program" doctor --json >stdout 2>stderr || die "the baseline instruction set fails its test"
equal operations "$(get kernels/operations)" baseline

check_help demo --shop-only --seed --output
run demo --shop-only -o one
run demo --shop-only -o two
for file in reviews.jsonl items.tsv users.tsv; do cmp -s one/shop/$file two/shop/$file || die "$file differs between two calls"; done
run demo --shop-only -o three --seed 2
cmp -s one/shop/reviews.jsonl three/shop/reviews.jsonl && die "the seed changes nothing"
equal "reviews that are JSON" "$("$JSON_GET" -l <one/shop/reviews.jsonl)" "$(wc -l <one/shop/reviews.jsonl)"
fails 1 "cannot" demo --shop-only -o /dev/null/x
nothing_left
