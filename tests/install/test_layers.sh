# tools/check-layers finds nothing in the tree, and finds each kind of breach in a copy that has one.
#
# Arguments: the source folder, a scratch folder.
set -eu
source=$1 scratch=$2
sh "$source/tools/check-layers"
rm -rf "$scratch" && mkdir -p "$scratch"
mkdir "$scratch/tools" "$scratch/cmake" "$scratch/src" "$scratch/src/cli" "$scratch/src/text" "$scratch/include" "$scratch/tests"
cp "$source/tools/check-layers" "$scratch/tools/" && cp "$source/cmake/layers.cmake" "$scratch/cmake/"
touch "$scratch/CMakeLists.txt" "$scratch/Makefile" "$scratch/quickstart"
sh "$scratch/tools/check-layers" >/dev/null || { echo "an empty tree is not in order"; exit 1; }
# finds FILE CONTENT PATTERN
finds() {
    printf '%s\n' "$2" >"$scratch/$1"
    if sh "$scratch/tools/check-layers" >"$scratch/out" 2>&1; then
        echo "not found: $2"
        exit 1
    fi
    grep -q -e "$1:1: .*$3" "$scratch/out" || { cat "$scratch/out"; echo "not explained: $2"; exit 1; }
    rm "$scratch/$1"
}
finds src/text/a.c '#include "model/engine.h"' "not below text"
finds src/text/a.c '#include "../base/io.h"' "by layer"
finds src/text/a.c '#include "words.h"' "write the layer"
finds src/cli/a.c '#include "base/io.h"' "own headers"
finds src/cli/a.c '#include <zstd.h>' "public header"
finds tests/a.sh "cat /ho""me/me/data" "one machine"
awk 'BEGIN { for (i = 0; i < 801; i++) print "x" }' >"$scratch/src/text/long.c"
if sh "$scratch/tools/check-layers" >"$scratch/out" 2>&1; then
    echo "a file of 801 lines is not found"
    exit 1
fi
