# What the tests of the program share. To be sourced first: `. "$(dirname "$0")/../support/cli.sh"` with the test's own arguments:
# the program, a scratch folder (emptied, and the current folder afterwards), the folder of real data. JSON_GET names json_get.
set -eu
program=$1 scratch=$2 shared=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$scratch" && mkdir -p "$scratch" && cd "$scratch"
unset $(env | sed -n 's/^\(CLLM4REC_[A-Z0-9_]*\)=.*/\1/p') 2>/dev/null || true

die() {
    echo "FAILED: $*" >&2
    [ ! -s stderr ] || sed 's/^/    stderr: /' stderr >&2
    exit 1
}

# run COMMAND...: must end with 0; its output is in the files stdout and stderr.
run() {
    "$program" "$@" >stdout 2>stderr || die "cllm4rec $* ended with $?"
}

# fails CODE PATTERN COMMAND...: must end with that code, print nothing on stdout, and explain itself on stderr with the pattern.
fails() {
    want=$1 pattern=$2
    shift 2
    code=0
    "$program" "$@" >stdout 2>stderr </dev/null || code=$?
    [ "$code" = "$want" ] || die "cllm4rec $* ended with $code, not $want"
    grep -q -e "$pattern" stderr || die "cllm4rec $*: the message has no '$pattern'"
    [ ! -s stdout ] || die "cllm4rec $*: failed, but printed on stdout"
}

# full COMMAND...: with a full disk under its output it must end with 1 and say so.
full() {
    [ -e /dev/full ] || return 0
    code=0
    "$program" "$@" >/dev/full 2>stderr </dev/null || code=$?
    [ "$code" = 1 ] || die "cllm4rec $* ended with $code on a full disk, not 1"
    grep -q "cannot write the output.*make room" stderr || die "cllm4rec $*: a full disk is not explained"
}

# get PATH: a member of the JSON object in the file stdout.
get() {
    "$JSON_GET" "$@" <stdout || die "no member '$*' in: $(head -c 300 stdout)"
}

# equal WHAT GOT WANTED
equal() {
    [ "$2" = "$3" ] || die "$1: '$2', not '$3'"
}

# Leaves the file $models/smollm2.gguf, which other tests have too, or ends the test as skipped where it cannot be had.
need_smollm2() {
    models=$scratch/../../smollm2
    code=0
    sh "$here/../../tools/get-backbone" smollm2 "$models" >/dev/null || code=$?
    if [ $code = 69 ]; then
        echo "SKIPPED: SmolLM2 could not be downloaded"
        exit 77
    fi
    [ $code = 0 ] || die "tools/get-backbone ended with $code"
}

# Nothing half-written may stay in the current folder.
nothing_left() {
    left=$(find . -name '*.tmp-*' -o -name '*.old-*')
    [ -z "$left" ] || die "left behind: $left"
}

# help COMMAND WORD...: --help ends with 0 and knows the words; an unknown option ends with 2; so does an unknown value of none.
check_help() {
    command=$1
    shift
    "$program" $command --help >stdout 2>stderr || die "$command --help"
    grep -q "^Usage: cllm4rec $command" stdout || die "$command --help: no usage"
    for word in "$@"; do grep -q -e "$word" stdout || die "$command --help does not mention $word"; done
    fails 2 "unknown option" $command --no-such-option
}

# A shop of 12 users and 10 items, small enough to train on in a moment: reviews.tsv and items.tsv.
make_shop() {
    awk 'BEGIN {
        split("lamp window garden river music paper silver winter kettle ladder", word, " ");
        print "user\titem\trating\ttimestamp\treview" > "reviews.tsv";
        for (u = 1; u <= 12; u++) for (k = 0; k < 6; k++) {
            i = (u + k * (u % 3 + 1)) % 10 + 1;
            if (seen[u, i]++) continue;
            printf "u%02d\ti%02d\t%d\t%d\tthe %s by the %s is good, the %s too\n", u, i, 3 + (u + k) % 3, 1600000000 + 100 * u + k,
                word[i], word[u % 10 + 1], word[(i + u) % 10 + 1] > "reviews.tsv";
        }
        print "item\ttitle\tbrand\tcategories\tdescription" > "items.tsv";
        for (i = 1; i <= 10; i++) printf "i%02d\tThe %s\tbrand%d\tHome, Shelf %d\ta %s for the %s\n", i, word[i], i % 2, i % 3, word[i],
            word[i % 10 + 1] > "items.tsv";
    }'
}

# The shop as the data set folder `data` and a run trained for a moment in the folder `run`.
make_run() {
    make_shop
    run prepare reviews.tsv --items items.tsv -o data
    run train data -o run --epochs 1/1/1 --max-text-tokens 8 "$@"
}

# beside STUDY METHOD [COUNT]: popularity, item-kNN and EASE stand in the table of a study (COUNT data sets; 1), for the same users, each
# compared with the arm METHOD, on the page, and in the sentence, which says how the best of them does.
beside() {
    awk -F '\t' -v method="$2" -v sets="${3:-1}" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { set = "data" in at ? $at["data"] : "" }
        !("series" in at ? $at["series"] == "baselines" : $at["arm"] ~ /^(popularity|item-kNN|EASE)$/) {
            if ($at["arm"] == method && !(set in users)) { users[set] = $at["users"] } next }
        $at["ndcg@100"] <= 0 || $at["against"] != method || $at["low"] == "" || $at["users"] != users[set] || $at["seconds"] != "" { exit 1 }
        { told = told $at["arm"] ";"; if (!(set in most) || $at["ndcg@100"] > most[set] + 0) { most[set] = $at["ndcg@100"] } }
        END { all = ""; for (i = 0; i < sets; i++) all = all "popularity;item-kNN;EASE;"; exit told != all }' "$1/table.tsv" ||
        die "baselines beside the arms: $(cat "$1/table.tsv")"
    "$JSON_GET" conclusion <"$1/ablation.json" >sentence
    awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $at["arm"] ~ /^(popularity|item-kNN|EASE)$/ { print $at["arm"] " " $at["ndcg@100"] }' "$1/table.tsv" |
        while read -r figure; do grep -qF "$figure" sentence || die "'$figure' is not in: $(cat sentence)"; done
    grep -qE "; the best, (popularity|item-kNN|EASE), [a-z ]+ \"([a-z ]+, )?$2\"" sentence || die "the best baseline is not told of: $(cat sentence)"
    for name in popularity item-kNN EASE; do grep -q ">$name<" "$1/index.html" || die "no figure has $name"; done
}

# A study's table without what a clock measured.
without_times() {
    awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /^(seconds|rec_epoch|content_epoch|ms_one|users_per_second)$/) time[i] = 1 }
        { for (i in time) $i = ""; print }' "$1"
}

# resumed_alike TABLE STUDY...: the study, killed once it has a result and resumed, ends in that table.
resumed_alike() {
    table=$1
    shift
    "$program" ablate "$@" -o killed -q >killed.log 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null && ! grep -q "seed 1\"" killed/ablation.json 2>/dev/null; do sleep 0.02; done
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    had=$(grep -c "seed [0-9]*\":" killed/ablation.json || true)
    run ablate --resume -o killed -q
    all=$(grep -c "seed [0-9]*\":" killed/ablation.json || true)
    [ "$had" -ge 1 ] && [ "$had" -lt "$all" ] || die "killed with $had of $all results: nothing was resumed"
    without_times "$table" >table.whole
    without_times killed/table.tsv >table.killed
    cmp table.whole table.killed || die "killed and resumed: another table: $(cat killed/table.tsv)"
}
