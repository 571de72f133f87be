// SPDX-License-Identifier: MIT
//
// Replays the corpus of one fuzzer without libFuzzer, so that every input it ever found is tried in `make test`
// with either compiler. The program's name says which: replay_fuzz_wire reads tests/fuzz/corpus/fuzz_wire.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void replay(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int, char** argv) {
  const std::string program = std::filesystem::path(argv[0]).filename();
  const std::string fuzzer = program.substr(program.find("fuzz_"));
  const std::filesystem::path corpus = std::filesystem::path("tests/fuzz/corpus") / fuzzer;

  std::error_code failure;
  std::filesystem::directory_iterator files(corpus, failure);
  if (failure) {
    std::printf("not ok %s has a corpus: %s cannot be read\n", fuzzer.c_str(), corpus.c_str());
    return 1;
  }
  LLVMFuzzerTestOneInput(nullptr, 0);
  int inputs = 1;
  for (const auto& entry : files) {
    replay(entry.path());
    ++inputs;
  }
  std::printf("ok %s survives %d inputs of its corpus\n", fuzzer.c_str(), inputs);
  return 0;
}
