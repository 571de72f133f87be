// SPDX-License-Identifier: MIT
#include "cli/pages.h"

namespace kith::cli {

using daemon::RpcValue;
using daemon::RpcWriter;

std::vector<std::string> Pages::next(std::size_t count) {
  const RpcValue page = client_.call("scan", [&](RpcWriter& params) {
    params.map((after_.empty() ? 2U : 3U) + (is_of_manifests_ ? 1U : 0U))
        .text("prefix")
        .name(prefix_)
        .text("count")
        .number(count);
    if (!after_.empty()) params.text("after").bytes(after_);
    if (is_of_manifests_) params.text("only_manifests").boolean(true);
  });
  std::vector<std::string> keys;
  page["keys"].for_each([&](const RpcValue& key) {
    const auto bytes = key.text_or_bytes().value_or(crypto::ByteSpan{});
    keys.emplace_back(bytes.begin(), bytes.end());
  });
  is_partial_ |= page["members_answered"].number() != page["members_asked"].number();
  const auto next = page["next"].bytes();
  after_ = next ? crypto::Bytes(next->begin(), next->end()) : crypto::Bytes{};
  has_more_ = next.has_value();
  return keys;
}

}  // namespace kith::cli
