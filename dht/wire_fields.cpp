// SPDX-License-Identifier: MIT
#include "dht/wire_fields.h"

#include <algorithm>
#include <limits>

#include "dht/model/limits.h"

namespace kith::dht::wire {
namespace {

using crypto::Bytes;
using crypto::ByteSpan;

constexpr std::size_t elements_max = 65536;
constexpr std::size_t fields_max = 64;
constexpr std::size_t name_bytes_max = 16;

// Walks the bytes without building anything and stops at the first thing that no message contains.
class Scan : public msgpack::null_visitor {
 public:
  bool is_clean() const { return clean_; }

  bool visit_ext(const char*, std::uint32_t) { return refuse(); }
  bool visit_str(const char*, std::uint32_t size) { return size <= limits::key_bytes_max || refuse(); }
  bool visit_bin(const char*, std::uint32_t size) { return size <= limits::record_bytes_max || refuse(); }
  bool start_array(std::uint32_t count) { return count <= limits::batch_items_max ? enter(count) : refuse(); }
  bool start_map(std::uint32_t count) { return count <= fields_max ? enter(std::size_t{count} * 2) : refuse(); }
  bool end_array() { return leave(); }
  bool end_map() { return leave(); }
  void parse_error(std::size_t, std::size_t) { clean_ = false; }
  void insufficient_bytes(std::size_t, std::size_t) { clean_ = false; }

 private:
  bool enter(std::size_t elements) {
    ++depth_;
    elements_ += elements;
    return (depth_ <= limits::wire_depth_max && elements_ <= elements_max) || refuse();
  }
  bool leave() {
    --depth_;
    return true;
  }
  bool refuse() {
    clean_ = false;
    return false;
  }

  std::size_t depth_ = 0;
  std::size_t elements_ = 0;
  bool clean_ = true;
};

template <typename Integer>
bool read_integer(const msgpack::object& object, Integer& out) {
  if (object.type != msgpack::type::POSITIVE_INTEGER) return false;
  if (object.via.u64 > std::numeric_limits<Integer>::max()) return false;
  out = static_cast<Integer>(object.via.u64);
  return true;
}

std::optional<ByteSpan> bin(const msgpack::object& object) {
  if (object.type != msgpack::type::BIN) return std::nullopt;
  return ByteSpan(reinterpret_cast<const std::uint8_t*>(object.via.bin.ptr), object.via.bin.size);
}

template <std::size_t N>
bool read_array(const msgpack::object& object, std::array<std::uint8_t, N>& out) {
  const auto bytes = bin(object);
  if (!bytes || bytes->size() != N) return false;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return true;
}

std::string_view text(const msgpack::object& object) { return {object.via.str.ptr, object.via.str.size}; }

bool is_name(const msgpack::object& object) {
  if (object.type != msgpack::type::STR) return false;
  const auto name = text(object);
  return !name.empty() && name.size() <= name_bytes_max &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

bool is_safe_map(ByteSpan bytes) {
  const auto is_map = [](std::uint8_t first) { return (first & 0xf0U) == 0x80U || first == 0xde || first == 0xdf; };
  if (bytes.empty() || !is_map(bytes.front())) return false;
  Scan scan;
  std::size_t offset = 0;
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  return msgpack::parse(data, bytes.size(), offset, scan) && scan.is_clean() && offset == bytes.size();
}

bool read(const msgpack::object& object, std::uint8_t& out) { return read_integer(object, out); }
bool read(const msgpack::object& object, std::uint16_t& out) { return read_integer(object, out); }
bool read(const msgpack::object& object, std::uint32_t& out) { return read_integer(object, out); }
bool read(const msgpack::object& object, std::uint64_t& out) { return read_integer(object, out); }

bool read(const msgpack::object& object, Bytes& out) {
  const auto bytes = bin(object);
  if (bytes) out.assign(bytes->begin(), bytes->end());
  return bytes.has_value();
}

bool read(const msgpack::object& object, std::string& out) {
  const auto bytes = bin(object);
  if (!bytes || bytes->size() > limits::key_bytes_max) return false;
  out.assign(bytes->begin(), bytes->end());
  return true;
}

bool read(const msgpack::object& object, Id& out) { return read_array(object, out.bytes); }
bool read(const msgpack::object& object, RowsDigest& out) { return read_array(object, out); }

bool read(const msgpack::object& object, VersionVector& out) {
  const auto bytes = bin(object);
  if (!bytes || bytes->size() % 16 != 0 || bytes->size() / 16 > limits::context_entries_max) return false;
  std::optional<ActorTag> last;
  for (std::size_t at = 0; at < bytes->size(); at += 16) {
    const auto tag = crypto::load_be64(bytes->data() + at);
    const auto seq = crypto::load_be64(bytes->data() + at + 8);
    if ((last && tag <= *last) || seq == 0) return false;
    out.raise(tag, seq);
    last = tag;
  }
  return true;
}

bool read(const msgpack::object& object, MemberUpdate& out) {
  const auto fields = Fields::of(object);
  return fields && fields->take("n", out.node) && fields->take_enum("s", out.state, MemberState::dead) &&
         out.state >= MemberState::alive && fields->take("i", out.incarnation) &&
         fields->take_if_there("a", out.accuser) && fields->take_if_there("c", out.contact) &&
         fields->take_if_there("w", out.away_s);
}

bool read(const msgpack::object& object, FetchAnswer& out) {
  const auto fields = Fields::of(object);
  return fields && fields->take_enum("s", out.status, FetchStatus::elsewhere) && fields->take("d", out.digest) &&
         fields->take_list_if_there("r", out.records, limits::batch_items_max);
}

bool read(const msgpack::object& object, StoreAnswer& out) {
  const auto fields = Fields::of(object);
  if (!fields || !fields->take_enum("s", out.status, StoreStatus::refused)) return false;
  if (out.status == StoreStatus::refused && !fields->take_enum("e", out.reason, ErrorCode::internal)) return false;
  return fields->take_if_there("v", out.seen);
}

std::optional<Fields> Fields::of(const msgpack::object& object) {
  if (object.type != msgpack::type::MAP) return std::nullopt;
  const Fields fields(object.via.map);
  for (std::uint32_t i = 0; i < fields.map_.size; ++i) {
    const auto& entry = fields.map_.ptr[i];
    // find() yields the first of that name: another one before this is a duplicate.
    if (!is_name(entry.key) || fields.find(text(entry.key)) != &entry.val) return std::nullopt;
  }
  return fields;
}

const msgpack::object* Fields::find(std::string_view name) const {
  for (std::uint32_t i = 0; i < map_.size; ++i) {
    if (text(map_.ptr[i].key) == name) return &map_.ptr[i].val;
  }
  return nullptr;
}

}  // namespace kith::dht::wire
