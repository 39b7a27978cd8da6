# train: its report, wrong settings, folders that exist, resume, dry run, budget, --final.
. "$(dirname "$0")/../support/cli.sh"

check_help train --backbone --epochs --lambda-c --resume --budget --dry-run --final --dtype --set
make_shop
run prepare reviews.tsv --items items.tsv -o data -q
short="--epochs 1/1/1 --max-text-tokens 8"

run train data -o run $short --json
equal status "$(get status)" done
equal "epochs" "$(get settings/epochs)" 1/1/1
get validation/ndcg@100 >/dev/null
get backbone/hash >/dev/null
for file in run.json model.safetensors metrics.csv log.jsonl tokenizer backbone/config.json backbone/model.safetensors; do
    [ -e "run/$file" ] || die "run/$file is missing"
done
[ ! -e run/checkpoint.safetensors ] || die "a finished run keeps its checkpoint"
[ "$("$JSON_GET" -l <run/log.jsonl)" -ge 3 ] || die "log.jsonl has too few lines"
run inspect run --json
equal "inspect's preset" "$(get preset)" paper

# Wrong usage says what would be right, and leaves nothing.
fails 2 "give a data set" train -o x
fails 2 "" train data
fails 2 "exists already" train data -o run $short
fails 2 "epochs" train data -o x --epochs some
fails 2 "lr" train data -o x --lr -1
fails 2 "batch" train data -o x --batch 0
fails 2 "beauty@10" train data -o x --monitor beauty@10
fails 2 "preset" train data -o x --preset best
fails 2 "reg" train data -o x --reg none
fails 2 "no-such-setting" train data -o x --set no-such-setting=1
fails 2 "give f32 or bf16" train data -o x --dtype f8
fails 2 "give a time" train data -o x --budget soon
fails 2 "a time above 0" train data -o x --budget 0
fails 3 "cannot read 'no-such.json'" train data -o x --prompts no-such.json
echo '{"review": "by user_{i}"}' >prompts.json
fails 3 "item_{j}" train data -o x --prompts prompts.json
echo '[1]' >prompts.json
fails 2 "templates" train data -o x --prompts prompts.json
fails 3 "no-such" train no-such -o x
fails 3 "no-such" train data -o x --backbone no-such
fails 3 "no run folder" train --resume -o no-such
[ ! -e x ] || die "a failure left the folder x"

# A dry run predicts and writes nothing. It says so even to those who want to hear nothing else.
run train data --dry-run --epochs 1/1/2 --quiet
grep -q "in all" stdout || die "a quiet dry run says nothing"
run train data --dry-run --epochs 1/1/2 --json
equal dry_run "$(get dry_run)" true
for member in tokens flops seconds memory_bytes phases; do get $member >/dev/null; done
equal "what is not counted" "$(get -n besides)" 0
run train data --dry-run --preset accurate --json # what stands beside the tokens is named
equal "what is not counted" "$(get besides/0) $(get besides/1) $(get besides/2)" "ease_text als weights"
run train data --dry-run --preset accurate --linear none --factors-weight 0 --part-weights given -q
grep -q "not counted" stdout && die "nothing beside the epochs, and yet: $(cat stdout)"
run train data --dry-run --preset accurate -q
grep -q "not counted *ease_text, als, the choice of the parts' weights; tuning" stdout || die "the plan: $(cat stdout)"
equal "folders" "$(ls -d */ | tr -d '\n')" data/run/

# Resuming a finished run does nothing; --final then fits on all rows and keeps what validation chose.
cp run/model.safetensors chosen
cp run/run.json run.json
run train --resume -o run --json
cmp -s run/model.safetensors chosen || die "resuming a finished run changed it"
run train --resume --final -o run --json
equal final "$(get final)" true
# run.json tells what all of it took: the last fit is added to the first.
awk -v first="$("$JSON_GET" seconds <run.json)" -v all="$("$JSON_GET" seconds <run/run.json)" -v memory="$("$JSON_GET" peak_memory_bytes <run/run.json)" \
    'BEGIN { exit !(first > 0 && all > first && memory > 1e6) }' || die "run.json does not tell seconds and peak memory: $(cat run/run.json)"
cmp -s run/fit.safetensors chosen || die "--final did not keep the measured tables"
cmp -s run/model.safetensors chosen && die "--final changed nothing"

# Tokens that begin at the words of their texts.
run train data -o worded --init text-mean $short -q
equal init "$("$JSON_GET" settings/init <worded/run.json)" text-mean
cmp -s worded/model.safetensors chosen && die "--init text-mean changed nothing"
equal "init without it" "$("$JSON_GET" settings/init <run/run.json)" normal
fails 2 "normal or text-mean" train data -o x --init words
fails 2 "composed item tokens begin as the sum of their parts.*take --init normal" train data -o x --preset accurate --init text-mean

# The other preset, bf16, and a backbone of one's own; --force replaces.
run train data -o run --force --preset faithful --dtype bf16 --backbone run/backbone --epochs 0/1/1 --max-text-tokens 8 --json
equal preset "$(get preset)" faithful
equal dtype "$("$JSON_GET" dtype <run/run.json)" bf16
nothing_left

# The preset beyond the paper: composed tokens, the bag readout, a linear part; threads, resume and --final as ever.
run train data -o accurate --preset accurate --epochs 0/0/3 --width 24 -q
run train data -o unread --preset accurate --epochs 0/0/3 --width 24
held=$(grep "whose words alone are used: .* MB in memory" stderr) || die "a backbone that nothing reads is held"
run eval unread --baselines none
equal "what eval holds" "$(grep "^backbone" stderr)" "$held"
[ -e accurate/linear.safetensors ] || die "preset accurate left no linear part"
equal "validations, below the heading" "$(cut -d, -f15 accurate/metrics.csv | grep -c .)" 2 # of three epochs the last one alone
run train data -o single --preset accurate --epochs 0/0/3 --width 24 -q --threads 1
for file in model linear factors; do cmp -s accurate/$file.safetensors single/$file.safetensors || die "$file.safetensors depends on the threads"; done
run eval accurate --split valid --baselines none --json
fused=$(get models/cllm4rec/ndcg@100)
run recommend accurate --history i01,i02 -k 3
cp stdout fused.tsv
run recommend accurate --history i01,i02 -k 3 --threads 1
cmp -s stdout fused.tsv || die "a recommendation depends on the threads"
mv accurate/linear.safetensors away
run recommend accurate --history i01,i02 -k 3
cmp -s stdout fused.tsv && die "the linear part changed nothing"
for file in linear factors; do
  [ "$file" = linear ] || mv accurate/$file.safetensors away
  head -c 200 away >accurate/$file.safetensors
  fails 3 "$file.safetensors" recommend accurate --history i01 -k 3
  mv away accurate/$file.safetensors
done
run train --resume -o accurate --final
equal "what --resume holds" "$(grep "^backbone" stderr)" "$held"
for file in linear factors; do
  [ -e accurate/fit-$file.safetensors ] || die "--final lost the measured $file"
  cmp -s accurate/$file.safetensors accurate/fit-$file.safetensors && die "--final did not fit the $file anew"
done
run eval accurate --split valid --baselines none --json
equal "the measured model after --final" "$(get models/cllm4rec/ndcg@100)" "$fused"
run similar accurate --item i01 -k 2
run similar accurate --text 'a lamp' -k 2 --json # the token that an item of this text would have
equal "the space of a text" "$(get space)" collab
fails 3 "none of the text's words" similar accurate --text 'qzx'
fails 2 "content model" similar accurate --text 'a lamp' --space content
fails 2 "no place" similar accurate --text 'a lamp' --space both
head -c 300 accurate/words.safetensors >away && mv away accurate/words.safetensors
fails 3 "words.safetensors" similar accurate --text 'a lamp'
fails 2 "content model" eval accurate --content
fails 2 "readout bag" train data -o x --width 24 $short

# What is asked for of late counts where the test rows are later than all others, or wherever it is wanted.
run prepare reviews.tsv --items items.tsv --split time -o timed -q
for data in data timed; do
  for recency in off by-time on; do
    run train $data -o $data-$recency --preset accurate --epochs 0/0/2 --width 8 --recency $recency --recency-weight 2 -q
    run eval $data-$recency --baselines none --json
    get models/cllm4rec/ndcg@100 >$data-$recency.ndcg
  done
  cmp -s $data-off.ndcg $data-on.ndcg && die "recency changed nothing on $data"
done
cmp -s data-off.ndcg data-by-time.ndcg || die "recency counts in a random split"
cmp -s timed-on.ndcg timed-by-time.ndcg || die "recency does not count in a split by time"
run eval timed-on --json -q
get models/recent/parameters >/dev/null || die "the baseline recent is not shown"
fails 2 "off, by-time or on" train data -o x --recency always

fails 2 "id, text, id+text or spelled" train data -o x --item-tokens words
run train data -o texts --item-tokens text $short -q
run eval texts --baselines none -q
