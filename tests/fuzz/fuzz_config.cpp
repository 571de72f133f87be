// SPDX-License-Identifier: MIT
// The configuration's reader: any text is a configuration or an error, and what is accepted can be printed and read.
#include <cstdlib>

#include "daemon/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kith::daemon;
  const std::string text(data, data + size);
  ConfigBuilder builder;
  if (auto given = read_toml(text, "kith.toml"); given && builder.add(*given)) {
    ConfigBuilder again;
    const auto printed = read_toml(builder.print(), "printed");
    if (!printed || !again.add(*printed)) std::abort();
  }
  if (!builder.add_text(text, "--set")) return 0;
  return 0;
}
