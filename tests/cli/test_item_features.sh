# What the frozen backbone makes of texts as features of composed item tokens: they reach the tokens, of cold items too; the same bits
# on any number of threads, from the cache or not; what does not go together is refused.
. "$(dirname "$0")/../support/cli.sh"

make_shop
# Nobody has had i11, of which a title is known, nor i12, of which nothing is.
printf 'i11\tThe lamp whistle\t\t\t\ni12\t\t\t\t\n' >>items.tsv
run prepare reviews.tsv --items items.tsv -o data
short="--preset accurate --epochs 0/0/6 --width 24 --lr 1e-2 --item-tokens text --linear none --neighbours-weight 0"
check_help train --item-features --states-width --states-reviews --init-words

# The states are computed once, and read afterwards.
run train data -o states $short --item-features states --threads 1
grep -q "text states kept in 'data/cache/" stderr || die "no word of the cache"
grep -q "components of the backbone's states of 11 items' texts" stderr || die "no word of the states"
run train data -o again --backbone states/backbone $short --item-features states --threads 2
grep -q "text states from 'data/cache/" stderr || die "the cache was not read"
cmp states/model.safetensors again/model.safetensors || die "the cache, or 2 threads, give other bits"
mkdir elsewhere
export CLLM4REC_CACHE="$scratch/elsewhere"
run train data -o again --force --backbone states/backbone $short --item-features states --threads 2
unset CLLM4REC_CACHE
[ -n "$(ls elsewhere)" ] || die "nothing is kept where CLLM4REC_CACHE says"
for file in model states; do cmp states/$file.safetensors again/$file.safetensors || die "2 threads give other bits in $file"; done
[ ! -e states/words.safetensors ] || die "states alone have words"

# A token is a function of the text: the text of a cold item has that item's.
run train data -o both --backbone states/backbone $short --item-features words+states --init-words backbone
for kind in states both; do
    run similar $kind --text 'The lamp whistle' -k 1
    equal "the item of a text in $kind" "$(cut -f 2,3 stdout)" "$(printf 'i11\t1.0000')"
    run similar $kind --item i11 -k 3
    fails 3 "neither interactions nor texts" similar $kind --item i12
    run recommend $kind --history i01,i02 -k 11 --json
    grep -q i11 stdout || die "a cold item with a text is not recommended"
    ! grep -q i12 stdout || die "an item of which nothing is known is recommended"
    run eval $kind --baselines none -q
done
run similar both --text 'qzx' -k 2 # no known word, but a state
fails 2 "the text is empty" similar states --text ''
[ -e both/words.safetensors ] || die "words and states have no words"
run train data -o words --backbone states/backbone $short --item-features words
[ ! -e words/states.safetensors ] || die "words alone have states"
run train data -o random --backbone states/backbone $short --item-features words+states
cmp -s words/model.safetensors random/model.safetensors && die "states changed nothing"
cmp -s random/model.safetensors both/model.safetensors && die "init-words changed nothing"

# The preset takes states where a backbone is given and a twentieth of the items with a text, here i11 of 11, have no row.
run train data -o auto --backbone states/backbone $short
grep -q "1 of 11 items with a text have no training row: what the backbone makes" stderr || die "train does not say why it takes states"
equal "features with a backbone" "$("$JSON_GET" settings/item-features <auto/run.json)" words+states
cmp auto/model.safetensors random/model.safetensors || die "auto is not words+states"
run train data -o alone $short
grep -q "1 of 11 items with a text have no training row: with a language model" stderr || die "train does not say what a backbone would do"
equal "features without a backbone" "$("$JSON_GET" settings/item-features <alone/run.json)" words
head -n 11 items.tsv >warm.tsv
run prepare reviews.tsv --items warm.tsv -o warm
run train warm -o warm-run --backbone states/backbone $short
equal "features without cold items" "$("$JSON_GET" settings/item-features <warm-run/run.json)" words

# A last fit stands on the same components.
cp both/states.safetensors before
run train --resume -o both --final -q
cmp -s both/states.safetensors before && die "--final left the components' vectors alone"
run similar both --text 'The lamp whistle' -k 1
equal "the item of a text after --final" "$(cut -f 2,3 stdout)" "$(printf 'i11\t1.0000')"
head -c 300 both/states.safetensors >away && mv away both/states.safetensors
fails 3 "states.safetensors" similar both --text 'a lamp'

# What does not go together.
fails 2 "item-tokens id+text" train data -o x --preset paper --item-features states
fails 2 "item-tokens id+text" train data -o x $short --item-tokens spelled --item-features words+states
fails 2 "item-tokens id+text" train data -o x --preset paper --init-words backbone
fails 2 "words or words+states" train data -o x $short --item-features states --init-words backbone
fails 2 "take --width 128" train data -o x $short --width 256 --init-words backbone
fails 2 "words, states, words+states or auto" train data -o x --item-features text
run prepare reviews.tsv -o bare
fails 3 "no item has a text.*states-reviews=4" train bare -o x $short --item-features states
run train bare -o reviewed $short --item-features states --states-reviews 4 -q
cut -f 1-3 reviews.tsv >rows.tsv
run prepare rows.tsv -o silent
fails 3 "no item has a text" train silent -o x --backbone states/backbone $short --item-features words+states --states-reviews 4
[ ! -e x ] || die "a refused run left a folder"
# A tokenizer with more pieces than the backbone has embeddings.
cp -r states/backbone small
awk '{ print } ' states/tokenizer/vocab.json | sed 's/}$/,"qqqqq":'"$("$JSON_GET" -n "" <states/tokenizer/vocab.json)"'}/' >small/vocab.json
fails 4 "embedding" train data -o x --backbone small $short --item-features states
nothing_left
