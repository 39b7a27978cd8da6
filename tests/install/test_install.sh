# Installs to a prefix of its own and uses what is there as a stranger would: header, exported symbols, pkg-config, CMake package,
# man page, the example against both libraries.
#
# Arguments: the program, a scratch folder, the source folder, the build folder, the compiler, flags that the build needs (sanitizers).
set -eu
. "$(dirname "$0")/../support/cli.sh"
source=$3 build=$4 cc=$5 flags=${6:-}
prefix=$scratch/prefix

cmake --install "$build" --prefix "$prefix" >install.log 2>&1 || { cat install.log; die "cmake --install"; }
libdir=$(dirname "$(find "$prefix" -name libcllm4rec.a)")
for file in bin/cllm4rec include/cllm4rec/cllm4rec.h share/man/man1/cllm4rec.1; do [ -e "$prefix/$file" ] || die "$file is not installed"; done
for file in libcllm4rec.so libcllm4rec.a pkgconfig/cllm4rec.pc cmake/cllm4rec/cllm4recConfig.cmake; do
    [ -e "$libdir/$file" ] || die "$file is not installed"
done
"$prefix/bin/cllm4rec" --version >stdout || die "the installed program does not run"
# DESTDIR stands before the prefix and in no file.
DESTDIR=$scratch/staged cmake --install "$build" --prefix /usr/local >install.log 2>&1 || die "cmake --install with DESTDIR"
staged=$(find "$scratch/staged" -name cllm4rec.pc)
[ -n "$staged" ] && grep -qx "prefix=/usr/local" "$staged" || die "the staged .pc file is wrong"

# The shared library exports the public header's functions and nothing else.
nm -D --defined-only "$libdir/libcllm4rec.so" | awk '$2 ~ /[TDBR]/ { print $3 }' | grep -v '^_\|^__' | LC_ALL=C sort >symbols
diff "$source/tests/install/symbols.txt" symbols >difference || { cat difference; die "exported symbols differ from tests/install/symbols.txt"; }

# The header alone, as C and as C++.
export PKG_CONFIG_PATH="$libdir/pkgconfig"
cflags=$(pkg-config --cflags cllm4rec)
echo '#include <cllm4rec/cllm4rec.h>' >header.c
$cc -std=c11 -pedantic -Wall -Wextra -Werror $cflags -c header.c -o header.o || die "the header does not compile alone as C11"
if command -v c++ >/dev/null; then
    c++ -std=c++11 -pedantic -Wall -Wextra -Werror $cflags -x c++ -c header.c -o header.o || die "the header does not compile as C++11"
fi

# The example, with the shared and with the static library, says what the program says.
make_run -q
run recommend run --user u01 -k 5 --quiet
awk -F'\t' '{ printf "%d\t%s\t%.4f\t%s\n", $3, $2, $4, $5 }' stdout >expected
$cc -std=c11 $flags $cflags "$source/examples/recommend.c" $(pkg-config --libs cllm4rec) -Wl,-rpath,"$libdir" -o shared
static=$(pkg-config --static --libs cllm4rec | sed 's/-lcllm4rec/-l:libcllm4rec.a/')
$cc -std=c11 $flags $cflags "$source/examples/recommend.c" $static -o static
for kind in shared static; do
    ./$kind run u01 >got || die "the example ($kind) failed"
    diff expected got >difference || { cat difference; die "the example ($kind) and the program differ"; }
    code=0
    ./$kind run nobody >got 2>stderr || code=$?
    equal "the example's exit code for an unknown user" "$code" 3
done
ldd static | grep -q libcllm4rec && die "the static example needs the shared library"

# find_package.
mkdir package
cat >package/CMakeLists.txt <<EOF
cmake_minimum_required(VERSION 3.21)
project(user C)
find_package(cllm4rec REQUIRED)
foreach(kind cllm4rec static)
  add_executable(with_\${kind} $source/examples/recommend.c)
  target_compile_options(with_\${kind} PRIVATE $flags)
  target_link_options(with_\${kind} PRIVATE $flags)
  target_link_libraries(with_\${kind} cllm4rec::\${kind})
endforeach()
EOF
cmake -G Ninja -S package -B package/build -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" >package.log 2>&1 && cmake --build package/build >>package.log 2>&1 ||
    { cat package.log; die "find_package(cllm4rec)"; }
for kind in cllm4rec static; do
    "package/build/with_$kind" run u01 | cmp -s - expected || die "the CMake package's $kind differs"
done

# The man page knows every command, and the options of each.
for option in max-bad-rows lambda-c per-user users-file n-users scale shuffle; do
    grep -q -- "\\\\-\\\\-$(echo $option | sed 's/-/\\\\-/g') " "$prefix/share/man/man1/cllm4rec.1" || die "the man page does not describe --$option"
done
for command in $("$program" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    grep -q "^\.SS $command" "$prefix/share/man/man1/cllm4rec.1" || die "the man page does not describe $command"
done
