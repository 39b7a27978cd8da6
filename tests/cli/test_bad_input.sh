# What is wrong with an input, for each reader and command: the exit code, the place and the fix; nothing stays behind.
# Damaged runs and data sets: test_damaged.sh. Full disks and missing rights: tests/api/test_faults.c.
. "$(dirname "$0")/../support/cli.sh"

# A table of rows: NAME CODE PATTERN CONTENT [options]: prepare of a file with that content (printf's escapes).
refuse() {
    name=$1 code=$2 pattern=$3 content=$4
    shift 4
    printf "$content" >"$name"
    fails "$code" "$pattern" prepare "$name" -o x "$@"
    [ ! -e x ] || die "$name: a failure left the folder x"
}

# Interactions: delimited.
refuse empty.csv 3 'empty.csv' ''
refuse header.csv 3 'header.csv' 'user,item,rating\n'
refuse short.csv 3 'short.csv:3' 'user,item,rating\nu,a,5\nu\n'
refuse quote.csv 3 'quote.csv' 'user,item,rating\nu,"a,5\n'
refuse nan.csv 3 'nan.csv:2.*nan' 'user,item,rating\nu,a,nan\n'
refuse inf.csv 3 'inf.csv:2' 'user,item,rating\nu,a,1e999\n'
refuse word.csv 3 'word.csv:2.*good' 'user,item,rating\nu,a,good\n'
refuse time.csv 3 'time.csv:2.*noon' 'user,item,rating,timestamp\nu,a,5,noon\n'
refuse nouser.csv 3 'nouser.csv:2' 'user,item,rating\n,a,5\n'
refuse noitem.csv 3 'noitem.csv:2' 'user,item,rating\nu,,5\n'
refuse bytes.csv 3 'bytes.csv:2.*latin1' 'user,item,rating\nu,\377a,5\n'
refuse columns.csv 3 'columns.csv:1.*--user-col' 'customer,thing\nu,a\n' --header yes
# JSON lines.
refuse cut.jsonl 3 'cut.jsonl:2' '{"reviewerID":"u","asin":"a","overall":5}\n{"reviewerID":"u","as\n'
refuse nouser.jsonl 3 'nouser.jsonl:1' '{"asin":"a","overall":5}\n' --format amazon
refuse nan.jsonl 3 'nan.jsonl:1' '{"reviewerID":"u","asin":"a","overall":NaN}\n' --min-rating 1
refuse inf.jsonl 3 'inf.jsonl:1' '{"reviewerID":"u","asin":"a","overall":Infinity}\n'
refuse bytes.jsonl 3 'bytes.jsonl:1' '{"reviewerID":"u\377","asin":"a","overall":5}\n'
# Archives and packings.
refuse bad.npz 3 'bad.npz' 'PK\003\004 this is no archive'
refuse cut.gz 3 'cut.gz' '\037\213\010\000\000\000\000\000\000\003'
refuse cut.xz 3 'cut.xz' '\3757zXZ\000\000\004'
refuse cut.zst 3 'cut.zst' '\050\265\057\375\044'
refuse folder-like 3 'folder-like' ''
mkdir folder
fails 3 "folder.*is a folder" prepare folder -o x
# A device whose line never ends.
fails 3 "zero:1: the line is longer than" prepare /dev/zero -o x
# Side files.
printf 'user,item\nu,a\nu,b\n' >rows.csv
refuse_side() {
    printf "$3" >side
    fails "$1" "$2" prepare rows.csv -o x "$4" side
    [ ! -e x ] || die "$4: a failure left the folder x"
}
for option in --items --users --texts; do
    refuse_side 3 'side' '' $option
    refuse_side 3 'side:2' 'user\titem\ttext\nu\377\ta\377\tgood\377\n' $option
    fails 3 "no-such" prepare rows.csv -o x $option no-such
done
fails 3 "no-such" prepare --train rows.csv --valid no-such -o x
fails 3 "no-such" prepare --train rows.csv --test no-such -o x
# Duplicates and rows that fit nothing are counted, not refused.
printf 'user,item,rating\nu,a,5\nu,a,4\nu,b,-3\nv,a,0\n' >twice.csv
run prepare twice.csv -o twice --json
equal duplicates "$(get dropped/duplicates)" 1
equal interactions "$(get interactions)" 3
printf 'item\ttitle\na\tA\na\tAgain\n' >items.tsv
run prepare rows.csv --items items.tsv -o unknown --json
equal "rows of unknown items" "$(get dropped/unknown_items)" 1
equal "lines without use" "$(get unused_fields)" 1

# Outputs without a name of their own, which could not be replaced in the end.
for output in . .. ./ folder/.. folder/. /; do fails 2 "output '$output': give -o a folder's name" prepare rows.csv -o $output --force; done

# Training: backbones, templates, numbers out of range.
make_shop
run prepare reviews.tsv --items items.tsv -o data -q
fails 2 "output '': give -o a folder's name" train data -o ''
# With --force too, nothing of another kind is replaced: not the data that are trained on, not the run that is exported.
run train data -o made --epochs 0/0/1 --max-text-tokens 8 -q
fails 2 "'data' exists and is not of the kind.*no run.json.*leaves it alone" train data -o data --force
fails 2 "'made' exists and is not.*leaves it alone" export made -o made --force
fails 2 "'made' exists and is not.*leaves it alone" backbone convert made/backbone -o made --force
fails 2 "'made' exists and is not.*leaves it alone" prepare rows.csv -o made --force
fails 2 "'rows.csv' exists and is not.*leaves it alone" prepare rows.csv -o rows.csv --force
[ -e data/dataset.json ] && [ -e made/run.json ] && [ -s rows.csv ] || die "an input was replaced"
mkdir bare
run train data -o bare --force --epochs 0/0/1 --max-text-tokens 8 -q
no_run() {
    fails "$@"
    [ ! -e y ] || die "a failure left the folder y"
}
mkdir backbone
no_run 3 'config.json' train data -o y --backbone backbone
printf '{' >backbone/config.json
no_run 3 'config.json' train data -o y --backbone backbone
run backbone init -o wordless --layers 1 --heads 1 --width 8 --vocab 300 --context 16 -q
for value in -1 0 1.5 '"one"' 1e30 null; do
    rm -rf backbone && cp -r wordless backbone
    sed "s/\"n_layer\": 1/\"n_layer\": $value/" wordless/config.json >backbone/config.json
    no_run 3 'n_layer' train data -o y --backbone backbone
done
no_run 3 'wordless' train data -o y --backbone wordless
for setting in epochs=0/0/0 epochs=-1/0/0 lr=nan lr=-1 batch=-3 lambda-c=nan dropout=1.5 mask-share=2 content-share=0 seed=-1 "seed= -1" max-text-tokens=0 monitor=; do
    no_run 2 "${setting%%=*}" train data -o y --set "$setting"
done
no_run 2 'give a whole number' train data -o y --threads -1
no_run 2 'give a time' train data -o y --budget -5m
printf '{"review": "\\xff"}' >prompts.json
no_run 2 'templates' train data -o y --prompts prompts.json
printf '{"rec": "a {items}",\n "rec": "b {items}"}' >prompts.json
no_run 2 "templates: line 2: 'rec' stands in line 1 already" train data -o y --prompts prompts.json
printf '{"rec": "a {items}",\n "collab" "b"}' >prompts.json
no_run 2 'templates: line 2: not a JSON object' train data -o y --prompts prompts.json
no_run 3 'neither\|no folder\|no dataset' train rows.csv -o y
no_run 1 'cannot' train data -o /dev/null/y
no_run 1 'cannot' prepare rows.csv -o /dev/null/y
no_run 1 'cannot' backbone init -o /dev/null/y --layers 1 --heads 1 --width 8 --vocab 9 --context 8

# Asking: lists and files that are not what they should be.
run train data -o run --epochs 0/0/1 --max-text-tokens 4 -q
fails 3 "cannot read" recommend run --history @no-such
fails 3 "cannot read" recommend run --history @folder
fails 1 "cannot read" recommend run --users-file folder
: >none
run recommend run --users-file none
[ ! -s stdout ] || die "nobody asked, and somebody was answered"
fails 3 "the history is empty" recommend run --history @none
run recommend run --history i01,i01,i01,unknown -k 1 --json
printf 'u01\n\377\376\n' >bytes
run recommend run --users-file bytes -k 1
equal "answered" "$(cut -f 1 stdout)" u01
fails 2 "give up to 16 numbers" eval run -k -5
fails 2 "give up to 16 numbers" eval run -k -18446744073709551615
fails 2 "give up to 16 numbers" eval run -k 99999999999
fails 2 "twice" eval run --baselines ease,ease
fails 1 "cannot" export run -o /dev/null/x
fails 1 "cannot read 'folder'" tokenize run/tokenizer --file folder
nothing_left
