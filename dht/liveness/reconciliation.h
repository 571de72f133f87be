// SPDX-License-Identifier: MIT
// Comparing member lists with a peer whose digest differs steadily: gossip has passed, and still the views differ,
// as after a partition. One peer at a time is asked for its members, page by page.
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
#include "dht/model/outputs.h"
#include "dht/model/time.h"

namespace kith::dht {

class Reconciliation {
 public:
  // The members a page speaks about: those after `after`, up to and with `upto`; to the end where that is absent.
  struct Range {
    NodeId after;
    std::optional<NodeId> upto;
  };

  explicit Reconciliation(Duration pause_least) : pause_least_(pause_least), pause_(pause_least) {}

  // Ignored while a comparison runs or its pause lasts.
  void begin(Instant now, const NodeId& peer, crypto::Rng& rng, Outputs& out);

  // This is the answer that is waited for.
  bool has_asked(const NodeId& peer, std::uint64_t request_id) const {
    return question_ && question_->peer == peer && question_->request_id == request_id;
  }

  // Absent: nobody asked for this page, or it does not move on.
  std::optional<Range> range_of(const NodeId& from, std::uint64_t request_id, const MembersReply& page) const;

  // The page with this range was read. Asks for the next one.
  enum class Yield : std::uint8_t { nothing, news };
  void advance(Instant now, const Range& range, Yield yield, crypto::Rng& rng, Outputs& out);

  void on_deadline(Instant now, crypto::Rng& rng, Outputs& out);

  // Empty while resting.
  std::optional<Instant> next_deadline() const;

 private:
  struct Question {
    NodeId peer;
    NodeId after{};
    std::uint64_t request_id = 0;
    Instant deadline{};
    int silences = 0;
    std::size_t pages = 0;
    bool has_news = false;
  };

  void ask(Instant now, crypto::Rng& rng, Outputs& out);
  void rest(Instant now, crypto::Rng& rng);

  Duration pause_least_;
  Duration pause_;
  Instant not_before_{};
  std::optional<Question> question_;
};

// What the sender of a page should know: members it lacks, newer contacts, deaths it missed. At most
// limits::members_pushed_per_page; the next comparison goes on.
std::vector<MemberUpdate> lacking_in(const MembersReply& page, const Reconciliation::Range& range,
                                     const MemberList& members);

}  // namespace kith::dht
