# ablate backbone at smoke scale: with the made backbone, and with one that is given; accuracy, and what it costs.
. "$(dirname "$0")/../support/cli.sh"

check_help ablate backbone
run ablate backbone -o made --scale smoke --threads 1 --json
arms_of() { awk -F '\t' 'NR > 1 { printf "%s;", $1 }' "$1"; }
equal arms "$(arms_of made/table.tsv)" "random weights;first 1 layer;histories alone;no transformer;popularity;item-kNN;EASE;"
beside made "random weights"

# The costs are told for every arm, and less is read with fewer layers or none.
awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["arm"] ~ /^(popularity|item-kNN|EASE)$/ { next }
    $at["ndcg@100"] <= 0 || $at["rec_epoch"] == "" || $at["rec_epoch"] < 0 || $at["ms_one"] <= 0 || $at["users_per_second"] < 1 { print "row " NR; exit 1 }
    { memory[$at["arm"]] = $at["megabytes"]; content[$at["arm"]] = $at["content_epoch"]; epochs[$at["arm"]] = $at["epochs"] }
    END {
        if (!(memory["random weights"] > memory["first 1 layer"] && memory["first 1 layer"] > memory["no transformer"])) { print "memory"; exit 1 }
        if (content["no transformer"] != "" || content["histories alone"] != "" || content["random weights"] == "") { print "content"; exit 1 }
        if (epochs["no transformer"] != "0/0/6") { print "epochs " epochs["no transformer"]; exit 1 }
    }' made/table.tsv || die "the table: $(cat made/table.tsv)"

# What the sentence says of each comparison has the interval that goes with it.
get conclusion >said
equal "comparisons told" "$(grep -oE "[^.]*(make no difference beyond the noise|raise NDCG@100|lower NDCG@100), [a-z0-9 ]+ against" said | wc -l | tr -d ' ')" 2
awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["arm"] == "no transformer" { print $at["verdict"] == "better" ? "lower" : $at["verdict"] == "worse" ? "raise" : "make no difference" }' made/table.tsv >verdict
grep -q "Layers and texts together $(cat verdict)" said || die "the sentence does not follow the table ($(cat verdict)): $(cat said)"
if [ "$(cat verdict)" = raise ]; then ! grep -q "not supported" said || die "an argument that is supported"
else grep -q "is not supported on these data" said || die "an argument that is not supported: $(cat said)"; fi
grep -q "ms for one user" made/index.html || die "no figure of the latency"

# A backbone of one's own stands beside its own numbers in random order, so that only what they learnt differs.
make_shop
run prepare reviews.tsv --items items.tsv -o data
run train data -o base --epochs 0/0/1 --max-text-tokens 8
run backbone init -o tiny --layers 3 --heads 2 --width 16 --context 128 --tokenizer base/tokenizer --seed 5
run ablate backbone data -o given --backbone tiny --scale smoke --set epochs=1/1/1 --threads 1 --json
equal arms "$(arms_of given/table.tsv)" "given weights;shuffled weights;first 1 layer;first 2 layers;histories alone;no transformer;popularity;item-kNN;EASE;"
get conclusion | grep -qE "Pretrained weights [^:]*, given weights against shuffled weights" || die "nothing is said of the given weights"
run backbone convert tiny -o shuffled --shuffle --seed 1
cmp shuffled/model.safetensors given/backbones/shuffled/model.safetensors || die "the random arm is not the given model shuffled"
cmp shuffled/config.json given/backbones/shuffled/config.json || die "the random arm has another shape"
cmp -s tiny/model.safetensors given/backbones/shuffled/model.safetensors && die "the shuffled weights are the given ones"
resumed_alike given/table.tsv backbone data --backbone tiny --scale smoke --set epochs=1/1/1 --threads 1

# The setting it stands on: the first layers, refused beyond what there is, kept by the run.
run train data -o first --backbone tiny --backbone-layers 2 --epochs 0/1/1 --max-text-tokens 8
equal layers "$("$JSON_GET" backbone/layers <first/run.json)" 2
run recommend first --user u01 -k 3 --json
equal recommendations "$(get -n items)" 3
fails 2 "the first 4 layers: 'tiny' has 3" train data -o x --backbone tiny --backbone-layers 4
nothing_left
