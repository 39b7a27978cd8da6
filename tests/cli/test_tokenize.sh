# tokenize: GPT-2's published example where its vocabulary is at hand; else on a vocabulary learnt from a small shop.
. "$(dirname "$0")/../support/cli.sh"

check_help tokenize --text --template --file --n-users --n-items --pieces --bos
make_shop
run prepare reviews.tsv --items items.tsv -o data -q
run train data -o run --epochs 0/0/1 --max-text-tokens 8 -q
own=run/tokenizer

# Text and back: the pieces put together are the text.
run tokenize $own --text 'the lamp by item_3' --pieces
equal "the pieces" "$(cut -f 2- stdout | tr -d '\n')" 'the lamp by item_3'
run tokenize $own --text 'the lamp by item_3' --json --pieces
equal "count" "$(get count)" "$(get -n ids)"
equal "pieces" "$(get -n pieces)" "$(get -n ids)"
run tokenize $own --text ''
equal "ids of nothing" "$(cat stdout)" ''

# Templates: ids above the vocabulary, users first; what is out of range is text.
size=$(awk 'BEGIN { RS = "\"[^\"]*\":" } END { print NR - 1 }' <run/tokenizer/vocab.json)
run tokenize $own --n-users 5 --template 'user_4'
user=$(cat stdout)
run tokenize $own --n-users 5 --template 'item_0'
equal "item_0 follows user_4" "$(cat stdout)" "$((user + 1))"
run tokenize $own --n-users 5 --n-items 1 --template 'item_1'
[ "$(wc -w <stdout)" -gt 1 ] || die "item_1 of 1 item is no token"
run tokenize $own --n-users 5 --text 'user_4'
[ "$(wc -w <stdout)" -gt 1 ] || die "--text makes tokens of users"
run tokenize $own --n-users 5 --template 'user_4' --pieces
equal "name of a user token" "$(cut -f 2 stdout)" '<user_4>'

# A backbone may have more rows than its tokenizer has pieces: users and items begin above the rows.
cp -r run/tokenizer padded
printf '{"model_type": "gpt2", "vocab_size": %d}' $((size + 7)) >padded/config.json
run tokenize padded --n-users 5 --template 'user_4'
equal "a user above the rows" "$(cat stdout)" "$((user + 7))"
run tokenize padded --n-users 5 --template 'user_4 item_2' --pieces
equal "names above the rows" "$(cut -f 2 stdout | sed '1p;$!d' | tr '\n' ' ')" '<user_4> <item_2> '
printf '{"vocab_size": %d}' $((size - 1)) >padded/config.json
fails 4 "pieces" tokenize padded --n-users 5 --template 'user_4'
run tokenize padded --text 'the lamp'
printf '{"vocab_size": -1}' >padded/config.json
fails 3 "padded/config.json" tokenize padded --text a

# A line of ids for each line of a file, from a file and from stdin; the last line may lack its newline.
printf 'the lamp\n\nby the window' >lines
run tokenize $own --file lines
equal "lines" "$(wc -l <stdout)" 3
cp stdout lines.ids
"$program" tokenize $own -f - <lines >stdout 2>stderr || die "from stdin"
cmp -s stdout lines.ids || die "stdin and file differ"
run tokenize $own --text 'the lamp'
equal "line and text" "$(cat stdout)" "$(head -n 1 lines.ids)"
run tokenize $own --file lines --json
equal "lines in JSON" "$(get -n lines)" 3

# Each line a template.
printf 'user_4\nthe item_0 lamp\n' >templates
run tokenize $own --n-users 5 -f templates --template
equal "template lines" "$(head -n 1 stdout)" "$user"
run tokenize $own --n-users 5 --template 'the item_0 lamp'
cp stdout one
run tokenize $own --template --n-users 5 --file=templates
equal "second template" "$(tail -n 1 stdout)" "$(cat one)"
fails 2 "needs --n-users" tokenize $own -f templates --template

# A GGUF file; the token that begins a sequence follows the file, unless it is told otherwise.
golden=$here/../golden
run tokenize "$golden/tokenizer_llama2.gguf" --text 'a lamp'
cp stdout file.ids
run tokenize "$golden/tokenizer_llama2.json" --text 'a lamp'
equal "tokenizer.json and GGUF" "$(cat stdout)" "$(cat file.ids)"
run tokenize "$golden/tokenizer_llama2.gguf" --text 'a lamp' --bos off
equal "with the token before it" "1 $(cat stdout)" "$(cat file.ids)"
run tokenize "$golden/tokenizer_qwen2.gguf" --text '' --bos on
equal "a token that the file does not want" "$(cat stdout)" 350
fails 2 "auto, on or off" tokenize "$golden/tokenizer_qwen2.gguf" --text a --bos maybe
fails 2 "no token that begins a sequence" tokenize $own --text a --bos on

fails 2 "give one of" tokenize $own
fails 2 "give one of" tokenize $own --text a --file lines
fails 2 "needs --n-users" tokenize $own --template 'item_0'
fails 2 "31 bits" tokenize $own --n-users 3000000000 --template 'item_0'
fails 3 "no-such" tokenize no-such --text a
fails 3 "no-such" tokenize $own --file no-such
mkdir broken && printf '{"a": 0, "b": 0}' >broken/vocab.json && : >broken/merges.txt
fails 3 "broken/vocab.json" tokenize broken --text a
rm broken/merges.txt
fails 3 "merges.txt" tokenize broken --text a

# The published example.
if [ -e "$shared/gpt2-tokenizer/vocab.json" ]; then
    run tokenize "$shared/gpt2-tokenizer" --n-users 10 --template 'Hello, user_1! Have you seen item_2?'
    equal "the paper's example" "$(cat stdout)" '15496 11 50258 0 8192 345 1775 50269 30'
    run tokenize "$shared/gpt2-tokenizer" --text 'Hello, user_1! Have you seen item_2?'
    equal "as text" "$(cat stdout)" '15496 11 2836 62 16 0 8192 345 1775 2378 62 17 30'
else
    echo "skipped: GPT-2's vocabulary is not there"
fi

# A device that never ends, and a folder, are explained.
fails 3 "zero:1: the line is longer than 64 MiB" tokenize $own --file /dev/zero
fails 1 "cannot read '.': Is a directory" tokenize $own --file .
fails 3 "no-such': No such file" tokenize $own --file no-such
