# recommend: users, files, histories, filters, formats; a batch gives what single requests give; wrong usage.
. "$(dirname "$0")/../support/cli.sh"

check_help recommend --user --users-file --history --deny --allow --where --format --include-seen
make_run -q
had() { awk -F'\t' -v u="$1" '$1 == u { print $2 }' reviews.tsv; }

# What a user has had, in any split, is not recommended; with fewer than k left the reason is said.
run recommend run --user u01 -k 3
equal "rows" "$(wc -l <stdout)" 3
for item in $(had u01); do
    cut -f 2 stdout | grep -qx "$item" && die "$item was seen and comes again"
done
run recommend run --user u01 -k 100
equal "rows" "$(wc -l <stdout)" "$((10 - $(had u01 | wc -l)))"
grep -q "only .* items are left" stderr || die "no reason for fewer than k"
run recommend run --user u01 -k 100 --include-seen
equal "rows" "$(wc -l <stdout)" 10
# Probabilities of all items add up to one.
awk -F'\t' '{ s += exp($4) } END { exit !(s > 0.9999 && s < 1.0001) }' stdout || die "the probabilities do not add up"

run recommend run --user u01 -k 2 --json
equal user "$(get user)" u01
equal items "$(get -n items)" 2
get items/0/title >/dev/null
run recommend run --user u01 -k 2 --format trec
grep -Eq '^u01 Q0 i[0-9]+ 1 -[0-9.]+ cllm4rec$' stdout || die "TREC line: $(head -n 1 stdout)"

# A file of users, from a file and from stdin, is what single requests give.
for u in 12 03 07 01; do echo u$u; done >users
run recommend run --users-file users -k 4
cp stdout together
for u in $(cat users); do "$program" recommend run --user $u -k 4 --quiet; done >alone
cmp -s together alone || die "a batch differs from single requests"
"$program" recommend run --users-file - -k 4 <users >stdout 2>stderr
cmp -s together stdout || die "stdin differs from a file"
run recommend run --users-file users -k 4 --json
equal "JSON lines" "$("$JSON_GET" -l <stdout)" 4
# An unknown one among them fails alone.
printf 'u01\nnobody\nu03\n' >mixed
run recommend run --users-file mixed -k 1
equal "rows" "$(cut -f 1 stdout | tr '\n' ' ')" 'u01 u03 '
grep -q "nobody" stderr || die "the unknown user is not named"

# A bare history; its items don't come back.
run recommend run --history i01,i02 -k 3 --json
equal new_user "$(get new_user)" true
cut -d'"' -f 1- stdout | grep -q '"id":"i01"' && die "an item of the history comes back"
printf 'i01\ni02\n' >history
cp stdout inline
run recommend run --history @history -k 3 --json
cmp -s inline stdout || die "a history from a file differs"

# Filters.
run recommend run --history i01 --allow i03,i04,i05 -k 10 --quiet
equal "allowed" "$(cut -f 2 stdout | sort | tr '\n' ' ')" 'i03 i04 i05 '
run recommend run --history i01 --allow i03,i04,i05 --deny i04,unknown -k 10 --quiet
equal "allowed less denied" "$(cut -f 2 stdout | sort | tr '\n' ' ')" 'i03 i05 '
run recommend run --history i01 --where brand=brand0 -k 10 --quiet
equal "of a brand" "$(cut -f 2 stdout | sort | tr '\n' ' ')" 'i02 i04 i06 i08 i10 '
run recommend run --history i10 --where 'category=shelf 1' -k 10 --quiet
equal "of a category" "$(cut -f 2 stdout | sort | tr '\n' ' ')" 'i01 i04 i07 '
run recommend run --history i10 --where 'category=shelf 1' --where brand=BRAND1 -k 10 --quiet
equal "of a category and a brand" "$(cut -f 2 stdout | sort | tr '\n' ' ')" 'i01 i07 '
run recommend run --history i10 --where brand=brand1 --where 'category=shelf 1' -k 10 --quiet
equal "of a brand and a category" "$(cut -f 2 stdout | sort | tr '\n' ' ')" 'i01 i07 '

# Ids that the data does not have are said, also with --quiet.
run recommend run --history i01,no1,no2 --allow i03,no3 --deny no4 -k 1 --quiet
grep -q "^warning: --history: 2 of 3 items are not in the data.*'no1'" stderr || die "unknown items of the history are not said"
grep -q "^warning: --allow: 1 of 2 items" stderr || die "unknown allowed items are not said"
grep -q "^warning: --deny: 1 of 1 items" stderr || die "unknown denied items are not said"
run recommend run --history i01,i02 --deny i03 -k 1
[ ! -s stderr ] || die "known items are remarked upon: $(cat stderr)"
: >nobody
run recommend run --users-file nobody
grep -q "no users" stderr || die "nothing is said of a file without users"

# Ids and titles with tabs and line ends keep a line a line; TREC, which cannot hold blanks, says so.
sed 's/\ti01\t/\ti 01\t/' reviews.tsv >blanks.tsv
awk -F'\t' 'NR > 1 && !seen[$2]++ { printf "{\"item\":\"%s\",\"title\":\"a\\tb\\nc\\\\d\"}\n", $2 }' blanks.tsv >blank-items.jsonl
run prepare blanks.tsv --items blank-items.jsonl -o blank-data
run train blank-data -o blank-run --epochs 0/0/1 -q
run recommend blank-run --history i02 --allow 'i 01' -k 1
equal "a line" "$(cut -f 1,2,3,5 stdout)" "$(printf 'history\ti 01\t1\ta\\tb\\nc\\\\d')"
run similar blank-run --item i02 -k 10
equal "lines" "$(grep -c 'a\\tb\\nc\\\\d$' stdout)" 9
fails 3 "cannot hold the id 'i 01'" recommend blank-run --history i02 --allow 'i 01' --format trec

fails 2 "give --user" recommend run
fails 2 "not both" recommend run --user u01 --users-file users
fails 2 "give tsv, json or trec" recommend run --user u01 --format xml
fails 2 "category=NAME" recommend run --user u01 --where brand
fails 2 "give category or brand" recommend run --user u01 --where colour=red
fails 2 "at least one" recommend run --user u01 -k 0
fails 2 "give f32 or bf16" recommend run --user u01 --dtype f16
fails 3 "nobody" recommend run --user nobody
fails 3 "none of the 2 items" recommend run --history x,y
fails 3 "no-such" recommend run --users-file no-such
fails 3 "zero:1: a NUL byte" recommend run --users-file /dev/zero
fails 3 "zero' is longer than 64 MiB" recommend run --history @/dev/zero
printf 'u01\n\000u02\n' >nul
fails 3 "nul:2: a NUL byte" recommend run --users-file nul
printf '\357\273\277u01\r\n\r\nu02' >marked
run recommend run --users-file marked -k 1
equal "users behind a byte order mark" "$(cut -f 1 stdout | tr '\n' ' ')" "u01 u02 "
{ echo u01; head -c 3000 /dev/zero | tr '\0' x; } >long
fails 3 "long:2: 'xxx.*longer than an id" recommend run --users-file long -k 1
fails 3 "cannot read" recommend run --user u01 --deny @no-such
fails 3 "no run folder" recommend no-such --user u01
fails 2 "too few arguments" recommend --user u01
nothing_left
