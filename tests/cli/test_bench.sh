# bench: its report, in the quick form; no judgement about speed.
. "$(dirname "$0")/../support/cli.sh"

check_help bench --backbone --dtype --step --threads --quick
run bench --quick --dtype f32 --json --quiet
equal steps "$(get -n steps)" 5
i=0
for name in collab content rec users one; do
    equal "step $i" "$(get steps/$i/name)" $name
    equal dtype "$(get steps/$i/dtype)" f32
    for member in seconds floor share; do
        awk -v v="$(get steps/$i/$member)" 'BEGIN { exit !(v > 0) }' || die "$name's $member is not positive"
    done
    awk -v s="$(get steps/$i/seconds)" -v f="$(get steps/$i/floor)" -v x="$(get steps/$i/share)" \
        'BEGIN { d = f / s - x; exit !(d < 1e-6 && d > -1e-6) }' || die "$name's share is not floor / seconds"
    equal "allocations in $name" "$(get steps/$i/allocations)" 0
    i=$((i + 1))
done
for member in f32_gflops memory_gb_s; do
    awk -v v="$(get peak/$member)" 'BEGIN { exit !(v > 0) }' || die "$member is not positive"
done
fails 2 "give f32 or bf16" bench --dtype f8
fails 3 "no-such" bench --backbone no-such
fails 2 "give collab" bench --step walk
fails 2 "give f32 or bf16" bench --dtype q8_0 --step rec
for step in forward backward; do
    run bench --quick --dtype q8_0 --step $step --json --quiet
    equal steps "$(get -n steps)" 1
    equal step "$(get steps/0/name)" $step
    equal dtype "$(get steps/0/dtype)" q8_0
    equal tokens "$(get steps/0/tokens)" 2000
    equal "allocations in $step" "$(get steps/0/allocations)" 0
done
run bench --quick --dtype f32 --step forward --quiet
grep -q "^demo  *f32  *forward " stdout || die "no line about the forward pass"
run bench --quick --dtype f32 --step rec --json --quiet
equal steps "$(get -n steps)" 1
equal step "$(get steps/0/name)" rec
