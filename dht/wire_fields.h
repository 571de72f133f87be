// SPDX-License-Identifier: MIT
// Msgpack objects read as exact types. No reader coerces, and none trusts a count.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <msgpack.hpp>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht::wire {

// True when `bytes` are exactly one map that is safe to build in memory: no ext, no nesting deeper than
// limits::wire_depth_max, no more elements than a message can need, nothing after it. Allocates nothing that grows.
bool is_safe_map(crypto::ByteSpan bytes);

bool read(const msgpack::object& object, std::uint8_t& out);
bool read(const msgpack::object& object, std::uint16_t& out);
bool read(const msgpack::object& object, std::uint32_t& out);
bool read(const msgpack::object& object, std::uint64_t& out);
bool read(const msgpack::object& object, crypto::Bytes& out);
bool read(const msgpack::object& object, std::string& out);  // bin: keys need not be text
bool read(const msgpack::object& object, Id& out);
bool read(const msgpack::object& object, RowsDigest& out);
bool read(const msgpack::object& object, VersionVector& out);
bool read(const msgpack::object& object, MemberUpdate& out);
bool read(const msgpack::object& object, FetchAnswer& out);
bool read(const msgpack::object& object, StoreAnswer& out);

// A map whose fields are read by name. Fields that nobody asks for are from a newer version and are ignored.
class Fields {
 public:
  // Empty when it is no map, or a name is not short ASCII text, or one comes twice.
  static std::optional<Fields> of(const msgpack::object& object);

  // Each is false when the field is missing or not of the type.
  template <typename T>
  bool take(std::string_view name, T& out) const {
    const auto* object = find(name);
    return object != nullptr && read(*object, out);
  }
  template <typename Enum>
  bool take_enum(std::string_view name, Enum& out, Enum last) const {
    std::uint8_t code = 0;
    if (!take(name, code) || code > static_cast<std::uint8_t>(last)) return false;
    out = static_cast<Enum>(code);
    return true;
  }
  template <typename T>
  bool take_list(std::string_view name, std::vector<T>& out, std::size_t count_max) const {
    const auto* object = find(name);
    if (object == nullptr || object->type != msgpack::type::ARRAY || object->via.array.size > count_max) return false;
    out.resize(object->via.array.size);
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!read(object->via.array.ptr[i], out[i])) return false;
    }
    return true;
  }

  // As above, but a field that is missing leaves `out` as it is and is no fault.
  template <typename T>
  bool take_if_there(std::string_view name, T& out) const {
    return find(name) == nullptr || take(name, out);
  }
  template <typename T>
  bool take_if_there(std::string_view name, std::optional<T>& out) const {
    return find(name) == nullptr || take(name, out.emplace());
  }
  // 1, or left out. Anything else is a fault.
  bool take_flag(std::string_view name, bool& out) const {
    std::uint8_t flag = 0;
    if (!take_if_there(name, flag) || flag > 1) return false;
    out = flag == 1;
    return true;
  }
  template <typename T>
  bool take_list_if_there(std::string_view name, std::vector<T>& out, std::size_t count_max) const {
    return find(name) == nullptr || take_list(name, out, count_max);
  }

 private:
  explicit Fields(const msgpack::object_map& map) : map_(map) {}

  const msgpack::object* find(std::string_view name) const;

  msgpack::object_map map_;
};

}  // namespace kith::dht::wire
