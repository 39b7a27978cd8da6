# The program as a whole: help, version, wrong commands, the environment, output that cannot be written.
. "$(dirname "$0")/../support/cli.sh"

run --help
for command in demo prepare inspect train eval recommend similar export tokenize backbone bench doctor; do
    grep -q "^  $command " stdout || die "--help does not list $command"
done
run --version
grep -Eq '^cllm4rec [0-9]+\.[0-9]+\.[0-9]+$' stdout || die "--version prints: $(cat stdout)"
fails 2 "Usage: cllm4rec COMMAND"
grep -q "no such command" stderr && die "no command is not an unknown one"
fails 2 "no such command" recomend
fails 2 "unknown option '--frobnicate'" recommend --frobnicate
fails 2 "no value for" recommend run --user

# Environment variables stand for options; the command line wins; a wrong one is said with its name.
"$program" tokenize "$scratch" --text x >/dev/null 2>&1 && die "an empty folder is no tokenizer"
CLLM4REC_SEED=abc fails 2 "CLLM4REC_SEED is 'abc'" prepare x.tsv -o data
CLLM4REC_OUTPUT=from-environment run demo --shop-only
[ -e from-environment/shop/items.tsv ] || die "CLLM4REC_OUTPUT was not taken"
CLLM4REC_OUTPUT=from-environment run demo --shop-only -o from-line
[ -e from-line/shop/items.tsv ] || die "the command line does not win"

# A full disk under stdout is a failure.
full doctor --json
full --help
nothing_left
