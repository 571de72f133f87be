// SPDX-License-Identifier: MIT
#include "daemon/rpc_codec.h"

#include <bit>
#include <limits>

#include <msgpack.hpp>

namespace kith::daemon {
namespace {

using Kind = RpcToken::Kind;

RpcToken token(Kind kind, std::uint32_t size = 0) {
  RpcToken result;
  result.kind = kind;
  result.size = size;
  return result;
}

// Writes the tape as msgpack's parser walks the bytes. A visit that answers false stops the parser.
class TapeVisitor : public msgpack::null_visitor {
 public:
  // Both are empty, and keep their memory from message to message.
  TapeVisitor(std::vector<RpcToken>& tape, std::vector<std::uint32_t>& open, const RpcLimits& limits)
      : tape_(tape), open_(open), limits_(limits) {}

  bool visit_nil() { return leaf(token(Kind::nil)); }
  bool visit_boolean(bool value) { return leaf_number(Kind::boolean, value ? 1 : 0); }
  bool visit_positive_integer(std::uint64_t value) { return leaf_number(Kind::number, value); }
  bool visit_negative_integer(std::int64_t value) {
    RpcToken leaf_token = token(Kind::negative);
    leaf_token.negative = value;
    return leaf(leaf_token);
  }
  bool visit_float32(float value) { return visit_float64(static_cast<double>(value)); }
  bool visit_float64(double value) {
    RpcToken leaf_token = token(Kind::real);
    leaf_token.real = value;
    return leaf(leaf_token);
  }
  bool visit_str(const char* data, std::uint32_t size) { return leaf_data(Kind::text, data, size); }
  bool visit_bin(const char* data, std::uint32_t size) { return leaf_data(Kind::bytes, data, size); }
  bool visit_ext(const char*, std::uint32_t) { return false; }
  bool start_array(std::uint32_t size) { return open(Kind::array, size); }
  bool start_map(std::uint32_t size) { return open(Kind::map, size); }
  bool end_array() { return close(); }
  bool end_map() { return close(); }

  void parse_error(std::size_t, std::size_t) { is_malformed_ = true; }
  void insufficient_bytes(std::size_t, std::size_t) { is_incomplete_ = true; }

  bool is_malformed() const { return is_malformed_; }
  bool is_incomplete() const { return is_incomplete_; }
  bool is_over_limit() const { return is_over_limit_; }

 private:
  bool leaf_number(Kind kind, std::uint64_t value) {
    RpcToken leaf_token = token(kind);
    leaf_token.number = value;
    return leaf(leaf_token);
  }

  bool leaf_data(Kind kind, const char* data, std::uint32_t size) {
    RpcToken leaf_token = token(kind, size);
    leaf_token.data = data;
    return leaf(leaf_token);
  }

  bool leaf(RpcToken leaf_token) {
    leaf_token.end = static_cast<std::uint32_t>(tape_.size() + 1);
    return append(leaf_token);
  }

  bool open(Kind kind, std::uint32_t size) {
    // A count is only believed as far as the elements could still be allowed: it allocates nothing by itself.
    if (open_.size() >= limits_.depth || size > limits_.elements) return over_limit();
    open_.push_back(static_cast<std::uint32_t>(tape_.size()));
    return append(token(kind, size));
  }

  bool close() {
    tape_[open_.back()].end = static_cast<std::uint32_t>(tape_.size());
    open_.pop_back();
    return true;
  }

  bool append(const RpcToken& next) {
    if (tape_.size() >= limits_.elements) return over_limit();
    tape_.push_back(next);
    return true;
  }

  bool over_limit() {
    is_over_limit_ = true;
    return false;
  }

  std::vector<RpcToken>& tape_;
  std::vector<std::uint32_t>& open_;  // containers that the walk is inside of
  const RpcLimits& limits_;
  bool is_malformed_ = false;
  bool is_incomplete_ = false;
  bool is_over_limit_ = false;
};

// msgpack's packer writes through this into our own buffer.
struct Appender {
  crypto::Bytes& out;
  void write(const char* data, std::size_t size) { out.insert(out.end(), data, data + size); }
};

msgpack::packer<Appender> packer(Appender& appender) { return msgpack::packer<Appender>(appender); }

std::optional<std::uint32_t> message_id(const RpcValue& value) {
  const auto number = value.number();
  if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// How many bytes a UTF-8 sequence with this first byte has; 0 where none begins so (RFC 3629).
std::size_t utf8_length(std::uint8_t first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 0;
}

// Overlong forms, surrogates and what lies above U+10FFFF differ from good ones in the second byte.
bool is_good_second(std::uint8_t first, std::uint8_t second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0;
    case 0xED:
      return second < 0xA0;
    case 0xF0:
      return second >= 0x90;
    case 0xF4:
      return second < 0x90;
    default:
      return true;
  }
}

}  // namespace

std::optional<bool> RpcValue::boolean() const {
  if (kind() != Kind::boolean) return std::nullopt;
  return token().number != 0;
}

std::optional<std::uint64_t> RpcValue::number() const {
  if (kind() != Kind::number) return std::nullopt;
  return token().number;
}

std::optional<std::int64_t> RpcValue::integer() const {
  if (kind() == Kind::negative) return token().negative;
  if (kind() != Kind::number || token().number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(token().number);
}

std::optional<double> RpcValue::real() const {
  if (kind() != Kind::real) return std::nullopt;
  return token().real;
}

std::optional<std::string_view> RpcValue::text() const {
  if (kind() != Kind::text) return std::nullopt;
  return std::string_view(token().data, token().size);
}

std::optional<crypto::ByteSpan> RpcValue::bytes() const {
  return kind() == Kind::bytes ? text_or_bytes() : std::nullopt;
}

std::optional<crypto::ByteSpan> RpcValue::text_or_bytes() const {
  if (kind() != Kind::text && kind() != Kind::bytes) return std::nullopt;
  return crypto::as_bytes(std::string_view(token().data, token().size));
}

std::size_t RpcValue::size() const { return is_array() || is_map() ? token().size : 0; }

RpcValue RpcValue::operator[](std::string_view key) const {
  RpcValue found;
  for_each_pair([&](const RpcValue& name, const RpcValue& value) {
    if (name.text() == key) found = value;
  });
  return found;
}

RpcRead RpcReader::read(crypto::ByteSpan bytes) {
  consumed_ = 0;
  tape_.clear();
  open_.clear();
  if (bytes.empty()) return RpcRead::incomplete;

  TapeVisitor visitor(tape_, open_, limits_);
  // Two bytes past the limit are enough to know that it is exceeded.
  const std::size_t size = std::min(bytes.size(), limits_.message_bytes + 1);
  msgpack::parse(reinterpret_cast<const char*>(bytes.data()), size, consumed_, visitor);
  if (visitor.is_over_limit()) return RpcRead::too_large;
  if (visitor.is_incomplete()) return size > limits_.message_bytes ? RpcRead::too_large : RpcRead::incomplete;
  if (visitor.is_malformed() || tape_.empty() || tape_.front().end == 0 || !is_message()) return RpcRead::malformed;
  return consumed_ > limits_.message_bytes ? RpcRead::too_large : RpcRead::message;
}

bool RpcReader::is_message() {
  const RpcValue whole(tape_, 0);
  if (!whole.is_array() || whole.size() < 3) return false;

  RpcValue parts[4];
  std::size_t count = 0;
  whole.for_each([&](const RpcValue& part) {
    if (count < 4) parts[count] = part;
    ++count;
  });
  const auto kind = parts[0].number();
  if (!kind || *kind > 2 || count != (*kind == 2 ? 3U : 4U)) return false;

  message_ = RpcMessage{};
  message_.kind = static_cast<RpcKind>(*kind);
  const auto id = message_.kind == RpcKind::notification ? 0U : message_id(parts[1]);
  if (!id) return false;
  message_.id = *id;
  if (message_.kind == RpcKind::response) {
    message_.error = parts[2];
    message_.result = parts[3];
    return true;
  }
  const RpcValue& method = parts[count - 2];
  message_.params = parts[count - 1];
  message_.method = method.text().value_or(std::string_view{});
  return method.text().has_value();
}

RpcWriter& RpcWriter::request(std::uint32_t id, std::string_view method) {
  return array(4).number(static_cast<unsigned>(RpcKind::request)).number(id).text(method);
}

RpcWriter& RpcWriter::response(std::uint32_t id) {
  return array(4).number(static_cast<unsigned>(RpcKind::response)).number(id);
}

RpcWriter& RpcWriter::notification(std::string_view method) {
  return array(3).number(static_cast<unsigned>(RpcKind::notification)).text(method);
}

RpcWriter& RpcWriter::array(std::size_t size) {
  Appender appender{out_};
  packer(appender).pack_array(static_cast<std::uint32_t>(size));
  return *this;
}

RpcWriter& RpcWriter::map(std::size_t size) {
  Appender appender{out_};
  packer(appender).pack_map(static_cast<std::uint32_t>(size));
  return *this;
}

RpcWriter& RpcWriter::nil() {
  Appender appender{out_};
  packer(appender).pack_nil();
  return *this;
}

RpcWriter& RpcWriter::boolean(bool value) {
  Appender appender{out_};
  value ? packer(appender).pack_true() : packer(appender).pack_false();
  return *this;
}

RpcWriter& RpcWriter::number(std::uint64_t value) {
  Appender appender{out_};
  packer(appender).pack_uint64(value);
  return *this;
}

RpcWriter& RpcWriter::integer(std::int64_t value) {
  Appender appender{out_};
  packer(appender).pack_int64(value);
  return *this;
}

// Not by the packer: it writes a whole number as an integer, so that a field's type would depend on its value.
RpcWriter& RpcWriter::real(double value) {
  static constexpr std::uint8_t float64 = 0xCB;
  out_.push_back(float64);
  out_.resize(out_.size() + sizeof value);
  crypto::store_be64(out_.data() + out_.size() - sizeof value, std::bit_cast<std::uint64_t>(value));
  return *this;
}

RpcWriter& RpcWriter::text(std::string_view value) {
  Appender appender{out_};
  packer(appender)
      .pack_str(static_cast<std::uint32_t>(value.size()))
      .pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  return *this;
}

RpcWriter& RpcWriter::bytes(crypto::ByteSpan value) {
  Appender appender{out_};
  const auto size = static_cast<std::uint32_t>(value.size());
  packer(appender).pack_bin(size).pack_bin_body(reinterpret_cast<const char*>(value.data()), size);
  return *this;
}

RpcWriter& RpcWriter::name(std::string_view value) {
  return is_utf8(value) ? text(value) : bytes(crypto::as_bytes(value));
}

bool is_utf8(std::string_view text) {
  const crypto::ByteSpan bytes = crypto::as_bytes(text);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = utf8_length(bytes[at]);
    if (length == 0 || length > bytes.size() - at) return false;
    if (length > 1 && !is_good_second(bytes[at], bytes[at + 1])) return false;
    for (std::size_t i = 1; i < length; ++i) {
      if ((bytes[at + i] & 0xC0U) != 0x80U) return false;
    }
    at += length;
  }
  return true;
}

}  // namespace kith::daemon
