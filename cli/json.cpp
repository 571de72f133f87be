// SPDX-License-Identifier: MIT
#include "cli/json.h"

namespace kith::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

Json bytes_to_json(crypto::ByteSpan bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (daemon::is_utf8(text)) return std::string(text);
  return Json{{"base64", to_base64(bytes)}};
}

// Opaque bytes that a person only hands on.
bool is_opaque(std::string_view field) { return field == "version" || field == "next" || field == "after"; }

Json map_to_json(const daemon::RpcValue& value) {
  Json object = Json::object();
  value.for_each_pair([&](const daemon::RpcValue& key, const daemon::RpcValue& field) {
    const std::string name(key.text().value_or(""));
    const auto bytes = field.bytes();
    object[name] = (bytes && is_opaque(name)) ? Json(crypto::to_hex(*bytes)) : to_json(field);
  });
  return object;
}

}  // namespace

Json to_json(const daemon::RpcValue& value) {
  using Kind = daemon::RpcToken::Kind;
  switch (value.kind()) {
    case Kind::nil:
      return nullptr;
    case Kind::boolean:
      return *value.boolean();
    case Kind::number:
      return *value.number();
    case Kind::negative:
      return *value.integer();
    case Kind::real:
      return *value.real();
    case Kind::text:
      return std::string(*value.text());
    case Kind::bytes:
      return bytes_to_json(*value.bytes());
    case Kind::map:
      return map_to_json(value);
    case Kind::array:
      break;
  }
  Json array = Json::array();
  value.for_each([&](const daemon::RpcValue& element) { array.push_back(to_json(element)); });
  return array;
}

std::string to_base64(crypto::ByteSpan bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = (group << 8U) | (j < count ? bytes[i + j] : 0U);
    for (std::size_t j = 0; j < 4; ++j) text += j <= count ? alphabet[(group >> (18U - 6U * j)) & 63U] : '=';
  }
  return text;
}

std::optional<crypto::Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  crypto::Bytes bytes;
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char character : text) {
    const std::size_t digit = alphabet.find(character);
    if (digit == std::string_view::npos) return std::nullopt;
    group = ((group << 6U) | static_cast<std::uint32_t>(digit)) & 0xFFFFFFU;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<std::uint8_t>(group >> bits));
  }
  return bytes;
}

std::optional<crypto::Bytes> bytes_of(const Json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return crypto::Bytes(text.begin(), text.end());
  }
  if (!value.is_object() || value.size() != 1 || !value.contains("base64") || !value["base64"].is_string()) {
    return std::nullopt;
  }
  return from_base64(value["base64"].get_ref<const std::string&>());
}

}  // namespace kith::cli
