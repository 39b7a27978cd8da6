# similar and export: order and range of cosines, spaces, texts, files and folders of vectors.
. "$(dirname "$0")/../support/cli.sh"

check_help similar --item --text --space
check_help export --output --force
make_run -q

run similar run --item i03 -k 4
equal rows "$(wc -l <stdout)" 4
cut -f 2 stdout | grep -qx i03 && die "an item is not similar to itself"
awk -F'\t' 'NR > 1 && $3 > last { bad = 1 } { last = $3; if ($3 > 1.0001 || $3 < -1.0001) bad = 1 } END { exit bad }' stdout || die "cosines are out of order or range"
run similar run --item i03 -k 100 --json
equal items "$(get -n items)" 9
get short >/dev/null
equal space "$(get space)" collab

# The cosine is that of the exported vectors; in content, seen from the items' mean.
run export run -o vectors
score() { # NAME A B
    awk -F'\t' -v a="$2" -v b="$3" -v centred="$([ "$1" = items_content ] && echo 1 || echo 0)" '
        { for (i = 2; i <= NF; i++) mean[i] += $i; if ($1 == a) split($0, x, "\t"); if ($1 == b) split($0, y, "\t"); n = NF }
        END {
            for (i = 2; i <= n; i++) { m = centred ? mean[i] / NR : 0; p += (x[i] - m) * (y[i] - m); q += (x[i] - m) ^ 2; r += (y[i] - m) ^ 2 }
            printf "%.3f", p / sqrt(q * r)
        }' "vectors/$1.tsv"
}
for space in collab content; do
    run similar run --item i03 -k 1 --space $space
    equal "cosine in $space" "$(cut -f 3 stdout | awk '{ printf "%.3f", $1 }')" "$(score items_$space i03 "$(cut -f 2 stdout)")"
done
run similar run --item i03 -k 9 --space both
other=$(sed -n 5p stdout | cut -f 2)
mean=$(awk -v a="$(score items_collab i03 "$other")" -v b="$(score items_content i03 "$other")" 'BEGIN { printf "%.2f", (a + b) / 2 }')
equal "both" "$(sed -n 5p stdout | cut -f 3 | awk '{ printf "%.2f", $1 }')" "$mean"

# A text, on any number of threads.
run similar run --text 'a lamp for the window' -k 3 --json
equal space "$(get space)" content
equal items "$(get -n items)" 3
cp stdout first
run similar run --text 'a lamp for the window' -k 3 --json --threads 1
cmp -s first stdout || die "1 thread finds other items"

fails 2 "give one of" similar run
fails 2 "give one of" similar run --item i01 --text a
fails 2 "content" similar run --text a --space collab
fails 2 "give collab, content or both" similar run --item i01 --space words
fails 2 "at least one" similar run --item i01 -k 0
fails 2 "empty" similar run --text ''
fails 3 "nothing" similar run --item nothing
fails 3 "no run folder" similar no-such --item i01

# Folders and files of vectors.
for name in users_collab users_content; do equal "$name" "$(wc -l <vectors/$name.tsv)" 12; done
for name in items_collab items_content; do equal "$name" "$(wc -l <vectors/$name.tsv)" 10; done
equal "columns" "$(awk -F'\t' 'NR == 1 { print NF }' vectors/items_collab.tsv)" 129
run export run -o vectors.npz --json
equal items "$(get items)" 10
equal "magic" "$(head -c 2 vectors.npz)" PK
for name in users_collab items_collab users_content items_content user_ids item_ids; do
    grep -aq "$name.npy" vectors.npz || die "vectors.npz has no $name"
done
fails 2 "exists already" export run -o vectors
fails 2 "exists already" export run -o vectors.npz
cp vectors.npz before
run export run -o vectors.npz --force --quiet
cmp -s vectors.npz before || die "the same run gives other bytes"
run export run -o vectors --force --quiet
printf 'PK\003\004 and some more' >other.npz
cp other.npz before
fails 2 "'other.npz' exists and is not of the kind.*--force leaves it alone: give another -o" export run -o other.npz --force
cmp other.npz before || die "other.npz was replaced"
mkdir folder.npz
fails 2 "'folder.npz' exists and is not of the kind" export run -o folder.npz --force
: >empty.npz
run export run -o empty.npz --force --quiet
cmp -s vectors.npz empty.npz || die "an empty file was not replaced"
fails 2 "no output" export run
fails 3 "no run folder" export no-such -o x
fails 1 "cannot write" export run -o no-such-folder/x.npz
[ ! -e x ] || die "a failure left x"
nothing_left
