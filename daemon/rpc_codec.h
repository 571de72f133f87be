// SPDX-License-Identifier: MIT
// MessagePack-RPC as bytes (docs/socket.md): read by the daemon and by its clients, the only place that knows msgpack.
//
//   request [0, id, method, params]    response [1, id, error, result]    notification [2, method, params]
//
// A message is read into a tape of tokens that point into the caller's bytes: one pass, no tree, no allocation once
// the tape has grown. What is built is appended to the caller's buffer at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"

namespace kith::daemon {

// One element of a message. A container is followed by its elements, which end before the token at index `end`.
struct RpcToken {
  enum class Kind : std::uint8_t { nil, boolean, number, negative, real, text, bytes, array, map };

  Kind kind = Kind::nil;
  std::uint32_t size = 0;  // text and bytes: their length; array and map: how many elements or pairs
  std::uint32_t end = 0;
  union {
    std::uint64_t number = 0;  // boolean, number
    std::int64_t negative;
    double real;
    const char* data;  // text, bytes
  };
};

// One value of a message that was read. Valid while the reader has read nothing else and the bytes still stand.
// Every accessor yields the exact type wanted or nothing; none coerces.
class RpcValue {
 public:
  RpcValue() = default;
  RpcValue(const std::vector<RpcToken>& tape, std::size_t at) : tape_(&tape), at_(at) {}

  bool is_nil() const { return kind() == RpcToken::Kind::nil; }
  bool is_array() const { return kind() == RpcToken::Kind::array; }
  bool is_map() const { return kind() == RpcToken::Kind::map; }

  std::optional<bool> boolean() const;
  std::optional<std::uint64_t> number() const;
  std::optional<std::int64_t> integer() const;
  std::optional<double> real() const;  // a float; integers are not
  std::optional<std::string_view> text() const;
  std::optional<crypto::ByteSpan> bytes() const;
  std::optional<crypto::ByteSpan> text_or_bytes() const;

  RpcToken::Kind kind() const { return tape_ == nullptr ? RpcToken::Kind::nil : token().kind; }

  // Elements of an array, pairs of a map; 0 for everything else.
  std::size_t size() const;

  // A map's value for this key; nil where there is none or this is no map.
  RpcValue operator[](std::string_view key) const;

  // visit(RpcValue) for each element of an array; nothing for other kinds.
  template <typename Visit>
  void for_each(Visit visit) const {
    if (!is_array()) return;
    for (std::size_t at = at_ + 1; at < token().end; at = after(at)) visit(RpcValue(*tape_, at));
  }

  // visit(RpcValue key, RpcValue value) for each pair of a map; nothing for other kinds.
  template <typename Visit>
  void for_each_pair(Visit visit) const {
    if (!is_map()) return;
    for (std::size_t at = at_ + 1; at < token().end; at = after(after(at))) {
      visit(RpcValue(*tape_, at), RpcValue(*tape_, after(at)));
    }
  }

 private:
  const RpcToken& token() const { return (*tape_)[at_]; }
  std::size_t after(std::size_t at) const { return (*tape_)[at].end; }

  const std::vector<RpcToken>* tape_ = nullptr;
  std::size_t at_ = 0;
};

enum class RpcKind : std::uint8_t { request = 0, response = 1, notification = 2 };

// The parts that the kind does not have are empty or nil.
struct RpcMessage {
  RpcKind kind = RpcKind::request;
  std::uint32_t id = 0;
  std::string_view method;
  RpcValue params;
  RpcValue error;
  RpcValue result;
};

struct RpcLimits {
  std::size_t message_bytes = 4U << 20;
  std::size_t elements = 16384;
  std::size_t depth = 8;
};

enum class RpcRead : std::uint8_t {
  message,     // message() and consumed() tell of it
  incomplete,  // give the same bytes again with more behind them
  malformed,   // no MessagePack, or no message of the three kinds
  too_large,   // beyond the limits
};

class RpcReader {
 public:
  explicit RpcReader(RpcLimits limits) : limits_(limits) {}
  RpcReader(const RpcReader&) = delete;
  RpcReader& operator=(const RpcReader&) = delete;

  // Reads the message at the front of `bytes`, which must stand still while it is used.
  RpcRead read(crypto::ByteSpan bytes);

  const RpcMessage& message() const { return message_; }
  std::size_t consumed() const { return consumed_; }

 private:
  bool is_message();

  RpcLimits limits_;
  std::vector<RpcToken> tape_;
  std::vector<std::uint32_t> open_;
  RpcMessage message_;
  std::size_t consumed_ = 0;
};

// Appends messages to a buffer. Containers announce how many elements (or pairs) follow.
class RpcWriter {
 public:
  // `out` must outlive the writer.
  explicit RpcWriter(crypto::Bytes& out) : out_(out) {}

  // Each is followed by what is missing of the message: params; error and result; params.
  RpcWriter& request(std::uint32_t id, std::string_view method);
  RpcWriter& response(std::uint32_t id);
  RpcWriter& notification(std::string_view method);

  RpcWriter& array(std::size_t size);
  RpcWriter& map(std::size_t size);
  RpcWriter& nil();
  RpcWriter& boolean(bool value);
  RpcWriter& number(std::uint64_t value);
  RpcWriter& integer(std::int64_t value);
  RpcWriter& real(double value);
  RpcWriter& text(std::string_view value);
  RpcWriter& bytes(crypto::ByteSpan value);

  // Names may be any bytes: text where they are UTF-8, bytes where they are not.
  RpcWriter& name(std::string_view value);

 private:
  crypto::Bytes& out_;
};

bool is_utf8(std::string_view text);

}  // namespace kith::daemon
