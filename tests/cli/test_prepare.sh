# prepare and inspect: summaries, wrong usage, bad files, folders that exist, nothing half-written.
. "$(dirname "$0")/../support/cli.sh"

check_help prepare --items --users --split --kcore --min-rating --max-bad-rows --json --seed
check_help inspect --json
make_shop
rows=$(($(wc -l <reviews.tsv) - 1))

run prepare reviews.tsv --items items.tsv -o data --json
equal users "$(get users)" 12
equal items "$(get items)" 10
equal interactions "$(get interactions)" "$rows"
equal "sum of the splits" "$(($(get train) + $(get valid) + $(get test)))" "$rows"
cp stdout first
run inspect data --json
for member in users items interactions train valid test density texts; do
    equal "inspect's $member" "$(get $member)" "$("$JSON_GET" $member <first)"
done
run inspect data
grep -q "interactions" stdout || die "inspect shows nothing"

# The same input gives the same bytes (source.json has the time of the call); another seed another split.
run prepare reviews.tsv --items items.tsv -o again
for file in data/[!s]*; do cmp -s "$file" "again/${file#data/}" || die "$file differs between two runs"; done
run prepare reviews.tsv --items items.tsv -o other --seed 2
for file in data/[!s]*; do cmp -s "$file" "other/${file#data/}" || differs=yes; done
[ "${differs:-no}" = yes ] || die "the seed changes nothing"

# From stdin; compressed.
run prepare - --items items.tsv -o piped --json <reviews.tsv
equal "interactions from stdin" "$(get interactions)" "$rows"
gzip -c reviews.tsv >reviews.gz
run prepare reviews.gz -o zipped --json
equal "interactions from .gz" "$(get interactions)" "$rows"

# Wrong usage.
fails 2 "no input" prepare -o x
fails 2 "no output folder" prepare reviews.tsv
fails 2 "give ratio, loo, time or files" prepare reviews.tsv -o x --split thirds
fails 2 "give a whole number" prepare reviews.tsv -o x --kcore -3
fails 2 "give a number" prepare reviews.tsv -o x --min-rating nan
fails 2 "give auto, yes or no" prepare reviews.tsv -o x --header perhaps
fails 2 "one character" prepare reviews.tsv -o x --quote ""
fails 2 "give either FILE" prepare reviews.tsv --train reviews.tsv -o x
fails 2 "exists already" prepare reviews.tsv -o data
run prepare reviews.tsv -o data --force -q

# Bad files: the message names file and line; no folder stays.
fails 3 "no-such-file" prepare no-such-file.tsv -o x
: >empty.tsv
fails 3 "empty.tsv" prepare empty.tsv -o x
printf 'user\titem\trating\nu1\ti1\t5\nu2\ti2\tmany\n' >bad-rating.tsv
fails 3 "bad-rating.tsv.*3" prepare bad-rating.tsv -o x
run prepare bad-rating.tsv -o tolerant --max-bad-rows 1 --json
equal "rows that are left" "$(get interactions)" 1
printf 'user\titem\trating\nu1\ti1\n' >short-row.tsv
fails 3 "short-row.tsv" prepare short-row.tsv -o x
printf 'user\titem\nu1\t\377\376\n' >latin.tsv
fails 3 "latin.tsv" prepare latin.tsv -o x
gzip -c reviews.tsv | head -c 200 >cut.gz
fails 3 "cut.gz" prepare cut.gz -o x
fails 3 "missing-items" prepare reviews.tsv --items missing-items.tsv -o x
fails 3 "" prepare reviews.tsv --kcore 100 -o x
fails 2 "no column .nobody." prepare reviews.tsv --user-col nobody -o x
[ ! -e x ] || die "a failure left the folder x"
nothing_left

# inspect on what it cannot read.
fails 3 "neither a data set" inspect .
fails 3 "neither a data set" inspect no-such-folder
fails 2 "too few arguments" inspect
fails 2 "too many arguments" inspect a b
printf '{"format": 1' >data/dataset.json
fails 3 "dataset.json" inspect data
