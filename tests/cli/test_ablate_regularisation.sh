# ablate regularisation at smoke scale: strengths by stage, texts cut and shuffled.
. "$(dirname "$0")/../support/cli.sh"

check_help ablate regularisation
run ablate regularisation -o study --scale smoke --threads 1 --json
equal arms "$(awk -F '\t' 'NR > 1 { printf "%s;", $2 }' study/table.tsv)" \
    "0/0/0;0/0/100;0/100/0;0/100/100;100/0/0;100/0/100;100/100/0;100/100/100;whole texts;first 4 tokens;shuffled texts;popularity;item-kNN;EASE;"
beside study 0/0/0
awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["series"] == "baselines" { next }
    $at["ndcg@100"] <= 0 || $at["review_nll"] < 1 { print "row " NR; exit 1 }
    { ndcg[$at["arm"]] = $at["ndcg@100"]; nll[$at["arm"]] = $at["review_nll"]; difference[$at["arm"]] = $at["difference"] }
    END {
        # Nothing goes back from the texts to the histories unless L-steps or recommendation steps are coupled: the lists are the same to the last bit.
        if (difference["0/100/0"] + 0 != 0 || ndcg["0/100/0"] != ndcg["0/0/0"]) { print "C-steps alone moved the lists"; exit 1 }
        # Nor does coupling L-steps move the content model, though it does once C-steps are coupled too.
        if (nll["100/0/0"] != nll["0/0/0"] || nll["100/100/0"] == nll["0/100/0"]) { print "the content model"; exit 1 }
        if (difference["100/0/0"] == 0 || difference["0/0/100"] == 0) { print "a stage without effect"; exit 1 }
        if (ndcg["whole texts"] != ndcg["100/100/100"]) { print "whole texts are another run"; exit 1 }
        if (nll["shuffled texts"] == nll["whole texts"] || nll["first 4 tokens"] == nll["whole texts"]) { print "texts are all the same"; exit 1 }
    }' study/table.tsv || die "the table: $(cat study/table.tsv)"
get conclusion >said
best=$(awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["series"] == "strengths" && $at["ndcg@100"] > most + 0 { most = $at["ndcg@100"]; name = $at["arm"] } END { print name }' study/table.tsv)
if [ "$best" = 0/0/0 ]; then grep -q "no coupling is the best of 8 triples" said || die "the best: $(cat said)"
else grep -q "best of 8 triples of strengths .* is $best;" said || die "the best is $best: $(cat said)"; fi
grep -q "Whole texts against texts dealt to other items" said || die "nothing of shuffled texts: $(cat said)"
equal "heat maps" "$(grep -c "in recommendation steps; down: in L-steps" study/index.html)" 2

make_shop
run prepare reviews.tsv --items items.tsv -o data
run ablate regularisation data -o few --scale smoke --set epochs=1/1/1 --threads 1 -q
resumed_alike few/table.tsv regularisation data --scale smoke --set epochs=1/1/1 --threads 1
fails 2 "above 0, below infinity" ablate regularisation -o x --scale smoke --set lambda-c=inf
rm -rf x
nothing_left
