# `cllm4rec ablate cold-start` at smoke scale: who is withheld, the rules, the sentence, and going on.
. "$(dirname "$0")/../support/cli.sh"

run ablate cold-start -o study --scale smoke --threads 1 -q --json
equal study "$(get study)" cold-start
[ -s study/index.html ] || die "no page"
cp stdout study.json

# A tenth of the 60 items and of the users.
run inspect study/withheld-1 --json
equal "withheld items" "$(get withheld/items)" "$(($(get items) / 10))"
users=$(get withheld/users)
[ "$users" -ge 5 ] || die "only $users users are withheld"

# cell NAME SERIES ARM
cell() {
    awk -F'\t' -v name="$1" -v series="$2" -v arm="$3" \
        'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } $at["series"] == series && $at["arm"] == arm { print $at[name] }' study/table.tsv
}
# less WHAT A B: numbers, A < B
less() {
    awk -v a="$2" -v b="$3" 'BEGIN { exit !(a < b) }' || die "$1: $2 is not less than $3"
}
among="cold items among cold items"
all="cold items among all"
equal "rules for items" "$(grep -c "$among" study/table.tsv)" 12
equal "rules for users" "$(grep -c "new users, 3 items given" study/table.tsv)" 7
rows=$(cell targets "$among" random)
for arm in random popularity text-kNN "EASE + text" "negative: own" "negative: text" "mean row" "content row" "prior row" "text token" "id+text token" accurate; do
    equal "the same rows for $arm" "$(cell targets "$among" "$arm")" "$rows"
    equal "the same rows for $arm" "$(cell targets "$all" "$arm")" "$rows"
    less "$arm: fewer candidates are easier" "$(cell ndcg@100 "$all" "$arm")" "$(cell ndcg@100 "$among" "$arm")"
done
# Popularity knows nothing of cold items: none is among its first. Texts tell of the shop's planted tastes.
equal "popularity among all" "$(cell recall@20 "$all" popularity)" 0.0000
held_out=$(cell targets "other items among all" random)
[ "$held_out" -gt 50 ] || die "only $held_out rows of other items"
less "the model knows trained items" "$(cell ndcg@100 "other items among all" random)" "$(cell ndcg@100 "other items among all" "negative: own")"
less "texts know something" "$(cell ndcg@100 "$among" random)" "$(cell ndcg@100 "$among" text-kNN)"
less "composed tokens know something" "$(cell ndcg@100 "$among" random)" "$(cell ndcg@100 "$among" accurate)"
# The prior shrinks the rows of all cold items by one factor, which moves them among the others only.
less "the prior shrinks" "$(cell prior_factor "$all" "prior row")" 1
less "not to nothing" 0 "$(cell prior_factor "$all" "prior row")"
equal "cold items among themselves" "$(cell ndcg@100 "$among" "prior row")" "$(cell ndcg@100 "$among" "content row")"
[ "$(cell ndcg@100 "other items among all" "prior row")" != "$(cell ndcg@100 "other items among all" "content row")" ] ||
    [ "$(cell ndcg@100 "$all" "prior row")" != "$(cell ndcg@100 "$all" "content row")" ] || die "the prior changes nothing"
# New users: as many in each question, with the same rows to predict; what does not read the history does not change with it.
for given in "1 item" "2 items" "3 items" "5 items"; do
    equal "new users" "$(cell users "new users, $given given" "no token")" "$users"
    equal "their rows" "$(cell targets "new users, $given given" "fitted token")" "$(cell targets "new users, 1 item given" "no token")"
done
less "five items say more than one" "$(cell ndcg@100 "new users, 1 item given" "EASE + text")" "$(cell ndcg@100 "new users, 5 items given" "EASE + text")"

for given in "1 item" "2 items" "3 items" "5 items"; do less "fitting makes the given items likelier" 0 "$(cell fit_gain "new users, $given given" "fitted token")"; done

# The sentence has the table's figures.
cp study.json stdout
sentence=$(get conclusion)
for part in "\"content row\" ($(cell ndcg@100 "$among" "content row"))" "\"random\" ($(cell ndcg@100 "$among" random))" \
    "\"prior row\" ($(cell ndcg@100 "$all" "prior row"))" "\"fitted token\" ($(cell ndcg@100 "new users, 3 items given" "fitted token"))" "\"no token\" ($(cell ndcg@100 "new users, 3 items given" "no token"))"; do
    case $sentence in *"$part"*) ;; *) die "the sentence has no '$part': $sentence" ;; esac
done

# A prior of one's own: λ_c/(λ_c + λ_l) as they were given.
run ablate cold-start -o own --scale smoke --set lambda-l=300 --set lambda-c=100 --set epochs=0/0/1 --threads 1 --json
equal "factor of the prior" "$(get 'results/1 shop | cold items among all | prior row | seed 1/columns/prior_factor')" 0.25

# What the backbone makes of texts is a matter of composed tokens alone.
for arm in "content row" "id+text token" accurate; do cell ndcg@100 "$all" "$arm"; done >before
run ablate cold-start -o states --scale smoke --threads 1 --set item-features=words+states -q
cut -f 1-3 states/table.tsv >after
for arm in "content row" "id+text token" accurate; do awk -F'\t' -v s="$all" -v a="$arm" '$1 == s && $2 == a { print $3 }' after; done >with
equal "the content row" "$(sed -n 1p with)" "$(sed -n 1p before)"
for line in 2 3; do [ "$(sed -n ${line}p with)" != "$(sed -n ${line}p before)" ] || die "states changed nothing in arm $line"; done

# Complete: going on changes nothing.
cp study/table.tsv before.tsv
run ablate --resume -o study -q
cmp before.tsv study/table.tsv || die "another table"
nothing_left
