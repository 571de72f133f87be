// SPDX-License-Identifier: MIT
#include "dht/model/message.h"

namespace kith::dht {
namespace {

template <typename... Replies>
bool is_any_of(const Body& body) {
  return (std::holds_alternative<Replies>(body) || ...);
}

}  // namespace

Body::Body() = default;
Body::Body(const Body& other) = default;
Body::Body(Body&& other) noexcept = default;
Body& Body::operator=(const Body& other) = default;
Body& Body::operator=(Body&& other) noexcept = default;
Body::~Body() = default;

bool is_reply(const Body& body) {
  return is_any_of<PingReply, ProbeReply, MembersReply, FindReply, FetchReply, StoreReply, ScanReply, CompareReply,
                   ItemsReply, ReapReply, ReapedReply, PolicyReply, PrepareReply, AcceptReply, RegistersReply,
                   ConfigurationReply, WatchReply, ChangedReply, LeaseReply, Unsupported>(body);
}

}  // namespace kith::dht
