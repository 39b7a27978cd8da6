# backbone eval: SmolLM2's perplexity on the beginning of real reviews is transformers' (tests/golden/perplexity_smollm2.tsv). All 200 lines: docs/RESULTS.md.
. "$(dirname "$0")/../support/cli.sh"

lines=8
reviews=$shared/imdb/reviews.txt.xz
if [ ! -e "$reviews" ]; then
    echo "SKIPPED: $reviews is not there"
    exit 77
fi
need_smollm2
run backbone eval "$models/smollm2.gguf" --text "$reviews" --lines $lines --json --quiet
wanted=$(awk -v n=$lines '$1 == n' "$here/../golden/perplexity_smollm2.tsv")
[ -n "$wanted" ] || die "no line for $lines lines in perplexity_smollm2.tsv"
equal lines "$(get lines)" $lines
equal skipped "$(get skipped)" 0
equal tokens "$(get tokens)" "$(echo "$wanted" | cut -f 2)"
awk -v a="$(get perplexity)" -v b="$(echo "$wanted" | cut -f 4)" 'BEGIN { d = a / b - 1; exit !(d < 1e-3 && d > -1e-3) }' ||
    die "the perplexity is $(get perplexity), transformers' $(echo "$wanted" | cut -f 4)"
