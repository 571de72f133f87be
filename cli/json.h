// SPDX-License-Identifier: MIT
// Answers of the daemon as JSON (docs/cli.md, "JSON"): text stays text; bytes are text where they are UTF-8 and
// {"base64": "…"} where they are not; versions and cursors are hexadecimal.
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

#include "daemon/rpc_codec.h"

namespace kith::cli {

nlohmann::ordered_json to_json(const daemon::RpcValue& value);

std::string to_base64(crypto::ByteSpan bytes);
std::optional<crypto::Bytes> from_base64(std::string_view text);

// The bytes that a JSON value of the same form stands for: a string, or {"base64": "…"}.
std::optional<crypto::Bytes> bytes_of(const nlohmann::ordered_json& value);

}  // namespace kith::cli
