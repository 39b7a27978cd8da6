# A thin front for CMake: all logic is in CMakeLists.txt and the presets.
PRESET ?= release
PREFIX ?= /usr/local

.PHONY: all test asan tsan bench install clean
all:
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET)
test: all
	ctest --preset $(PRESET)
asan tsan:
	cmake --preset $@
	cmake --build --preset $@
	ctest --preset $@
bench: all
	build/$(PRESET)/cllm4rec bench
install: all
	cmake --install build/$(PRESET) --prefix $(PREFIX)
clean:
	rm -rf build
