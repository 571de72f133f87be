// SPDX-License-Identifier: MIT
// Comparing member lists with a peer whose digest differs steadily: gossip has passed, and still the views differ,
// as after a partition. One peer at a time is sent digests of ranges (member_ranges.h), and tells its members in those
// that differ, page by page.
//
//   resting ──begin──► asking ──page──► asking … ──last page, or three silences──► resting, not before a pause
//
// A comparison that brought nothing doubles the pause, up to five minutes; one that did resets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "crypto/rng.h"
#include "dht/liveness/member_list.h"
#include "dht/liveness/member_ranges.h"
#include "dht/model/outputs.h"
#include "dht/model/time.h"

namespace kith::dht {

class Reconciliation {
 public:
  // What each step looks at and acts with.
  struct Turn {
    Instant now;
    const MemberList& members;
    crypto::Rng& rng;
    Outputs& out;
  };

  explicit Reconciliation(Duration pause_least) : pause_least_(pause_least), pause_(pause_least) {}

  // Ignored while a comparison runs or its pause lasts.
  void begin(const Turn& turn, const NodeId& peer);

  // This is the answer that is waited for.
  bool has_asked(const NodeId& peer, std::uint64_t request_id) const {
    return question_ && question_->peer == peer && question_->request_id == request_id;
  }

  // Absent: nobody asked for this page, or it does not move on.
  std::optional<PageExtent> extent_of(const NodeId& from, std::uint64_t request_id, const MembersReply& page) const;

  // The page that spoke about this was read. Asks for the next one.
  enum class Yield : std::uint8_t { nothing, news };
  void advance(const Turn& turn, const PageExtent& extent, Yield yield);

  void on_deadline(const Turn& turn);

  // Empty while resting.
  std::optional<Instant> next_deadline() const;

 private:
  struct Question {
    NodeId peer;
    std::uint8_t depth = 0;
    NodeId after{};
    std::uint64_t request_id = 0;
    Instant deadline{};
    int silences = 0;
    std::size_t pages = 0;
    bool has_news = false;
  };

  void ask(const Turn& turn);
  void rest(Instant now, crypto::Rng& rng);

  Duration pause_least_;
  Duration pause_;
  Instant not_before_{};
  std::optional<Question> question_;
};

// What the sender of a page should know: members it lacks, newer contacts, deaths it missed. At most
// limits::members_pushed_per_page; the next comparison goes on.
std::vector<MemberUpdate> lacking_in(const MembersReply& page, const PageExtent& extent, const MemberList& members);

}  // namespace kith::dht
