# The smallest data sets: one user, one item, one row, users with a single interaction. Each works to the end, or says why not.
. "$(dirname "$0")/../support/cli.sh"

short="--epochs 1/1/1 --max-text-tokens 4 -q"
# all NAME: prepare, train, a last fit, export, dry run; whatever the size, nothing fails.
all() {
    run prepare $1.tsv -o $1 -q
    run train $1 -o run-$1 --init text-mean $short
    run train --resume --final -o run-$1 -q
    run export run-$1 -o run-$1.npz -q
    run inspect run-$1 --json
    equal "status of $1" "$(get status)" done
}

printf 'user\titem\nu\ta\n' >row.tsv
all row
fails 3 "row' has no test rows" eval run-row
fails 3 "row' has no validation rows" eval run-row --split valid
fails 3 "has no test rows" eval --data row --baselines popularity
run recommend run-row --user u -k 2
[ ! -s stdout ] || die "there is nothing left to recommend"
grep -q "only 0 of 1 items are left" stderr || die "no reason for an empty answer"
run recommend run-row --user u -k 2 --include-seen
equal "the only item" "$(cut -f 2 stdout)" a
equal "its log probability" "$(cut -f 4 stdout | tr -d -)" 0.000000
fails 3 "nobody" recommend run-row --user nobody
fails 3 "no content vectors" similar run-row --text lamp

printf 'user\titem\treview\nu\ta\tgood lamp\nu\tb\tbad lamp\nu\tc\told lamp\nu\td\tnew lamp\n' >user.tsv
all user
run eval run-user --json
equal "users measured" "$(get users)" 1
# A full disk under stdout is a failure of every command that has something to say.
for words in "inspect user" "inspect run-user" "tokenize run-user/tokenizer --text lamp" "train user --dry-run -q" "eval run-user" \
    "eval run-user --json" "baseline user --models popularity" "recommend run-user --user u --include-seen" "similar run-user --item a" \
    "prepare user.tsv -o user-again --json" "export run-user -o again.npz --json" "report run-user -o page.html --json"; do
    full $words
done
run eval run-user --baselines random,popularity,itemknn,ease,textknn,ease_text -q
run recommend run-user --user u -k 2 -q
[ ! -s stdout ] || die "the user has had everything"
run similar run-user --text 'a lamp' -k 1
equal "rows" "$(wc -l <stdout)" 1

printf 'user\titem\treview\nu\ta\tgood lamp\nv\ta\tbad lamp\nw\ta\told lamp\n' >item.tsv
all item
fails 3 "item' has no test rows" eval run-item
run recommend run-item --user v -k 1 --include-seen --json
equal "the only item" "$(get items/0/id)" a
run similar run-item --item a -k 1
[ ! -s stdout ] || die "an item is not similar to itself"

# One user among others with a single interaction: it is trained on, and asked for.
printf 'user\titem\treview\nu\ta\tgood lamp\nv\ta\tbad lamp\nv\tb\told lamp\nv\tc\tgood\nw\tc\tfine\nw\ta\tx\nw\tb\ty\n' >single.tsv
all single
run eval run-single --json
equal "users measured" "$(get users)" 2
equal "users without" "$(get users_without_targets)" 1
run recommend run-single --user u -k 5 -q
equal "what is left" "$(cut -f 2 stdout | sort | tr '\n' ' ')" 'b c '

# Filters that leave nobody.
fails 3 "" prepare single.tsv -o x --kcore 3
[ ! -e x ] || die "a failure left the folder x"
nothing_left
