# ablate lambda at smoke scale: its table, that it goes on after a kill to the same table, and that the sentence follows the figures.
. "$(dirname "$0")/../support/cli.sh"

check_help ablate --scale --seeds --split --resume --backbone --set lambda
run ablate lambda -o study --scale smoke --threads 1 --json
equal study "$(get study)" lambda
equal arms "$(get -n table/rows)" 22
beside study 0 2
head -1 study/table.tsv | grep -q "^data	series	arm	ndcg@100	.*	distance	cosine	review_nll	" || die "columns: $(head -1 study/table.tsv)"
awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["series"] == "baselines" { next }
    { key = $at["data"] " " $at["series"] }
    $at["ndcg@100"] <= 0 || $at["ndcg@100"] > 1 || $at["users"] < 50 || $at["review_nll"] < 1 { print "row " NR; exit 1 }
    $at["arm"] == "0" { free[key] = $at["distance"]; if ($at["against"] != "") exit 1 }
    $at["arm"] == "inf" && ($at["distance"] != 0 || $at["cosine"] != 1) { print "one table is not one"; exit 1 }
    $at["arm"] == "100" && !($at["distance"] < 0.5 * free[key]) { print "no coupling to be seen in " key; exit 1 }
    $at["arm"] != "0" {
        if ($at["low"] > $at["difference"] || $at["high"] < $at["difference"]) { print "interval in row " NR; exit 1 }
        clear = $at["low"] > 0 || $at["high"] < 0
        if (clear == ($at["verdict"] == "no difference")) { print "verdict in row " NR; exit 1 }
    }' study/table.tsv || die "the table: $(cat study/table.tsv)"
head -1 study/table.tsv | grep -q "	ndcg@100:1-2	ndcg@100:3-5	" || die "nothing by length of history"
# A strength that is said to help has an interval above 0 somewhere; what is said of a line is said once for each data set and convention.
get conclusion >said
equal "lines told" "$(grep -o "convention [a-z]*:" said | wc -l | tr -d ' ')" 4
if grep -q "over no coupling" said; then
    awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } $at["verdict"] == "better" { found = 1 } END { exit !found }' study/table.tsv ||
        die "the sentence praises what the table does not: $(cat said)"
fi
grep -q "<svg" study/index.html && ! grep -qE "(src|href)=" study/index.html || die "the page"
grep -q "$(cut -c 1-60 said)" study/index.html || die "the page has no conclusion"
[ ! -e study/runs ] || die "run folders stay behind"

# Killed again and again, then to the end: the same table but for the time it took.
cut_time() { awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "seconds") t = i } { $t = ""; print }' "$1"; }
make_shop
run prepare reviews.tsv --items items.tsv -o data
few="data --scale smoke --threads 1 --set epochs=1/2/2"
run ablate lambda -o whole $few -q
rounds=0
"$program" ablate lambda -o killed $few -q &
pid=$!
while [ $rounds -lt 3 ]; do
    sleep 0.4
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    rounds=$((rounds + 1))
    if [ -e killed/ablation.json ]; then "$program" ablate --resume -o killed -q & else "$program" ablate lambda -o killed $few -q --force & fi
    pid=$!
done
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
run ablate --resume -o killed -q
cut_time whole/table.tsv >a
cut_time killed/table.tsv >b
cmp a b || die "killed and resumed: another table"

# Data of one's own; seeds; and what is wrong is said.
run ablate lambda data -o own --scale smoke --seeds 2 --split valid --set epochs=0/1/1 --threads 1 --json
equal "arms on one data set" "$(get -n table/rows)" 11
equal seeds "$(get seeds)" 2
head -1 own/table.tsv | grep -q "^series	arm	ndcg@100	spread	" || die "no spread of the seeds"
mkdir broken && tr -d '\n' <own/ablation.json | sed 's/"settings": *\[/"settings":[null,/' >broken/ablation.json
grep -q "null," broken/ablation.json || die "the study was not damaged"
fails 3 "damaged" ablate --resume -o broken
rm -rf broken
fails 2 "there are lambda" ablate nothing -o x
fails 2 "scale 'big'" ablate lambda -o x --scale big
fails 2 "split 'train'" ablate lambda -o x --split train
fails 2 "unknown setting" ablate lambda -o x --set x=1
fails 2 "output" ablate lambda
fails 2 "exists already" ablate lambda -o own
fails 3 "no study" ablate --resume -o data
fails 2 "seeds '0'.*from 1 on" ablate lambda data -o none --seeds 0
fails 3 "no-such" ablate lambda no-such -o x
fails 3 "no backbone" ablate lambda -o x --backbone no-such
[ ! -e x ] || die "a study of nothing"
rm -rf killed # a kill may leave a temporary folder
nothing_left
