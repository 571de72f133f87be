// SPDX-License-Identifier: MIT
// The numbers of the wire (docs/wire.md, "Messages"). They are never given a second meaning.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "dht/model/message.h"

namespace kith::dht::wire {

enum class Kind : std::uint8_t { request = 1, reply = 2, one_way = 3 };

// 13 and 14 are kept for renew and revoke.
enum class Method : std::uint8_t {
  unsupported = 0,
  ping = 1,
  gossip = 2,
  find = 3,
  fetch = 4,
  store = 5,
  prepare = 6,
  accept = 7,
  compare = 8,
  items = 9,
  watch = 10,
  changed = 11,
  join = 12,
  probe = 15,
  members = 16,
  scan = 17,
  reap = 18,
  reaped = 19,
  policies = 20,
  registers = 21,
  configurations = 22,
  lease = 23,
  lease_notice = 24,
};

enum class Side : std::uint8_t { asks, answers };

struct BodyCode {
  Method method;
  Side side;

  friend bool operator==(const BodyCode&, const BodyCode&) = default;
};

// In the order of Body's alternatives.
inline constexpr std::array body_codes{
    BodyCode{Method::ping, Side::asks},           BodyCode{Method::ping, Side::answers},
    BodyCode{Method::probe, Side::asks},          BodyCode{Method::probe, Side::answers},
    BodyCode{Method::gossip, Side::asks},         BodyCode{Method::join, Side::asks},
    BodyCode{Method::members, Side::asks},        BodyCode{Method::members, Side::answers},
    BodyCode{Method::find, Side::asks},           BodyCode{Method::find, Side::answers},
    BodyCode{Method::fetch, Side::asks},          BodyCode{Method::fetch, Side::answers},
    BodyCode{Method::store, Side::asks},          BodyCode{Method::store, Side::answers},
    BodyCode{Method::scan, Side::asks},           BodyCode{Method::scan, Side::answers},
    BodyCode{Method::compare, Side::asks},        BodyCode{Method::compare, Side::answers},
    BodyCode{Method::items, Side::asks},          BodyCode{Method::items, Side::answers},
    BodyCode{Method::reap, Side::asks},           BodyCode{Method::reap, Side::answers},
    BodyCode{Method::reaped, Side::asks},         BodyCode{Method::reaped, Side::answers},
    BodyCode{Method::policies, Side::asks},       BodyCode{Method::policies, Side::answers},
    BodyCode{Method::prepare, Side::asks},        BodyCode{Method::prepare, Side::answers},
    BodyCode{Method::accept, Side::asks},         BodyCode{Method::accept, Side::answers},
    BodyCode{Method::registers, Side::asks},      BodyCode{Method::registers, Side::answers},
    BodyCode{Method::configurations, Side::asks}, BodyCode{Method::configurations, Side::answers},
    BodyCode{Method::watch, Side::asks},          BodyCode{Method::watch, Side::answers},
    BodyCode{Method::changed, Side::asks},        BodyCode{Method::changed, Side::answers},
    BodyCode{Method::lease, Side::asks},          BodyCode{Method::lease, Side::answers},
    BodyCode{Method::lease_notice, Side::asks},   BodyCode{Method::unsupported, Side::answers},
};
static_assert(body_codes.size() == std::variant_size_v<AnyBody>);

inline constexpr std::size_t header_bytes = 10;

// The name of the field, in every message's map, that carries piggybacked gossip.
inline constexpr const char* gossip_field = "g";

}  // namespace kith::dht::wire
