// SPDX-License-Identifier: MIT
#include "dht/watch/watches.h"

#include <algorithm>

#include "dht/model/deadlines.h"
#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::dht {

namespace {

// A writer is given so many looks to settle what it writes to a register; then a reader does it.
constexpr int looks_max = 3;

bool is_value(const ReadValue& value) { return value.kind != EntryKind::tombstone; }

Seq newest_in(const ReadAnswer& answer) {
  Seq newest = 0;
  for (const ReadValue& value : answer.values) newest = std::max(newest, value.seq);
  return newest;
}

std::optional<WallMs> first_to_expire(const ReadAnswer& answer) {
  std::optional<WallMs> first;
  for (const ReadValue& value : answer.values) {
    if (value.expires_ms > 0) first = std::min(first.value_or(value.expires_ms), value.expires_ms);
  }
  return first;
}

}  // namespace

// ---- clients

Ticket Watches::refuse(Turn& turn, Error error) {
  turn.out.completions.push_back({.ticket = ++last_ticket_, .outcome = std::move(error), .partial = {}});
  return last_ticket_;
}

Ticket Watches::open(Turn& turn, const WatchRequest& request) {
  if (watches_.size() >= limits::watches_max) {
    return refuse(turn, {ErrorCode::quota, std::to_string(watches_.size()) + " watches are open; close some first"});
  }
  if (request.seen.size() > limits::watched_keys_max || request.target.size() > limits::key_bytes_max) {
    return refuse(
        turn, {ErrorCode::too_large, "a watch has a beginning of " + std::to_string(limits::key_bytes_max) +
                                         " bytes and " + std::to_string(limits::watched_keys_max) + " keys at most"});
  }
  const Ticket ticket = ++last_ticket_;
  Watching watching;
  watching.credit = request.credit;
  Feed& feed = feed_for({.name = request.target, .is_prefix = request.is_prefix}, watching.feed);
  take_over(watching, feed, request);
  watches_.emplace(ticket, std::move(watching));
  return ticket;
}

Feed& Watches::feed_for(const Feed::Target& target, Ticket& number) {
  const auto known = numbers_.find(target);
  number = known != numbers_.end() ? known->second : ++last_ticket_;
  numbers_[target] = number;
  return feeds_.try_emplace(number, number, target).first->second;
}

// What the client saw last is looked at, for it may be gone; and so is what others who watch the same were told of.
void Watches::take_over(Watching& watching, Feed& feed, const WatchRequest& request) {
  for (const WatchRequest::Seen& seen : request.seen) {
    const KeyHash hash = hash_key(seen.key);
    const auto version = open_token(seen.token, hash, data_key_);
    const bool is_meant = request.is_prefix ? seen.key.starts_with(request.target) : seen.key == request.target;
    if (!version || !is_meant || !is_canonical(seen.key)) continue;  // told as if it had never been seen
    feed.expect(seen.key, *version);
    watching.told[hash] = {.version = *version, .last = *version, .shown = std::nullopt};
  }
  for (const auto& [hash, key] : feed.keys()) {
    if (key.is_present && !watching.told.contains(hash)) watching.due.emplace(hash, key.name);
  }
}

// Those who tell of it hear that nobody wants that any more when they do so next, or let its lease run out.
void Watches::close(Ticket watch) {
  const auto watching = watches_.extract(watch);
  if (watching.empty()) return;
  const Ticket number = watching.mapped().feed;
  const auto shares = [&](const auto& each) { return each.second.feed == number; };
  if (std::ranges::any_of(watches_, shares)) return;
  numbers_.erase(feeds_.at(number).target());
  feeds_.erase(number);
}

void Watches::grant(Ticket watch, std::size_t credit) {
  const auto found = watches_.find(watch);
  if (found != watches_.end()) found->second.credit += credit;
}

// ---- hearing

void Watches::on_back(const NodeId& node) {
  for (auto& [number, feed] : feeds_) feed.on_back(node);
}

void Watches::on_policies() {
  for (auto& [number, feed] : feeds_) feed.list_all();
}

ChangedReply Watches::on_changed(const NodeId& from, const Changed& changed) {
  const auto feed = feeds_.find(changed.subscription);
  return {.is_wanted = feed != feeds_.end() && feed->second.on_changed(from, changed)};
}

void Watches::on_reply(Turn& turn, const NodeId& from, const RequestOwner& owner, const Body& body) {
  const auto feed = feeds_.find(owner.ticket);
  if (feed != feeds_.end()) feed->second.on_reply(turn, from, std::get_if<WatchReply>(&body));
}

void Watches::on_silence(Instant now, const NodeId& node, const RequestOwner& owner) {
  const auto feed = feeds_.find(owner.ticket);
  if (feed != feeds_.end()) feed->second.on_silence(now, node);
}

void Watches::on_deadline(Turn& turn) {
  for (auto& [number, feed] : feeds_) feed.list_due(turn.now.instant);
}

std::optional<Instant> Watches::next_tend() const {
  std::optional<Instant> next;
  for (const auto& [number, feed] : feeds_) next = earlier(next, feed.next_tend());
  return next;
}

std::optional<Instant> Watches::next_deadline() const {
  std::optional<Instant> next = next_tend();
  for (const auto& [number, feed] : feeds_) next = earlier(next, feed.next_due());
  return next;
}

// ---- reading

// One key of each feed after the other, from the one on that has not had its turn.
std::vector<Watches::Wanted> Watches::take_wanted() {
  std::vector<Wanted> wanted;
  std::size_t feeds_without = 0;
  auto at = feeds_.upper_bound(last_read_for_);
  while (feeds_without < feeds_.size() && reads_.size() + wanted.size() < reads_max) {
    if (at == feeds_.end()) at = feeds_.begin();
    auto& [number, feed] = *at++;
    const auto hash = feed.next_to_read();
    feeds_without = hash ? 0 : feeds_without + 1;
    if (!hash) continue;
    const Feed::Key& key = feed.keys().at(*hash);
    wanted.push_back({.feed = number,
                      .key = *hash,
                      .name = key.name,
                      .is_repeated = key.tries > 0,
                      .only_looks = key.failures < looks_max});
    last_read_for_ = number;
  }
  return wanted;
}

void Watches::on_read(Turn& turn, const Completion& completion) {
  const Wanted wanted = reads_.extract(completion.ticket).mapped();
  const auto found = feeds_.find(wanted.feed);
  if (found == feeds_.end()) return;
  Feed& feed = found->second;
  const auto* answer = std::get_if<ReadAnswer>(&completion.outcome);
  const auto version = answer != nullptr ? open_token(answer->version, wanted.key, data_key_) : std::nullopt;
  if (!version) return feed.took_nothing(turn.now.instant, wanted.key);
  News news{
      .completion = completion, .answer = *answer, .key = wanted.key, .version = *version, .shown = shown_in(*answer)};
  if (!is_answered(feed.keys().at(wanted.key), news)) return feed.took_nothing(turn.now.instant, wanted.key);
  news.is_all = feed.took(turn.now, wanted.key,
                          {.version = *version,
                           .is_present = !news.shown.empty(),
                           .is_strong = answer->revision > 0,
                           .expires_ms = first_to_expire(*answer)});
  for (auto& [ticket, watching] : watches_) {
    if (watching.feed == wanted.feed) tell(turn, ticket, watching, news);
  }
}

// Where replicas are missing, that nothing was found says nothing, unless it is a delete of all that was heard of.
bool Watches::is_answered(const Feed::Key& key, const News& news) {
  const bool is_delete = !news.version.is_empty() && news.version.covers(key.heard);
  return !news.answer.degraded || !news.shown.empty() || is_delete;
}

// As a reader sees it who is shown what the policy of the namespace says.
Watches::Dots Watches::shown_in(const ReadAnswer& answer) {
  Dots shown;
  const bool is_one = answer.conflict == Conflict::newest;
  for (const ReadValue& value : answer.values) {
    if (is_value(value)) shown.emplace_back(value.author, value.seq);
    if (is_one) break;
  }
  return shown;
}

// ---- telling

// Never what is older. What is newer in some and older in other respects, as where a replica fell silent that alone had
// something, is told when nobody shows more, and it has replaced what was told last or is of later; and so is that
// there is nothing, as where it was forgotten.
bool Watches::is_news(const Told& told, const News& news) {
  const bool has_all = news.version.covers(told.version);
  if (news.shown.empty()) return told.is_present() && (has_all || news.is_all);
  if (told.version.covers(news.version)) return has_all && told.shown && *told.shown != news.shown;  // one has expired
  const bool has_last = news.version.covers(told.last);
  return has_all || (news.is_all && (has_last || newest_in(news.answer) > told.newest));
}

void Watches::tell(Turn& turn, Ticket ticket, Watching& watching, const News& news) {
  static const Told never{.version = {}, .last = {}, .shown = Dots{}};
  const auto before = watching.told.find(news.key);
  watching.due.erase(news.key);
  if (!is_news(before == watching.told.end() ? never : before->second, news)) return;
  if (watching.credit == 0) {
    watching.due.emplace(news.key, news.answer.key);
    return;
  }
  watching.credit -= 1;
  Told& told = watching.told[news.key];
  told.version.join(news.version);
  told.last = news.version;
  told.newest = std::max(told.newest, newest_in(news.answer));
  told.shown = news.shown;
  // All of them, in their order: one that need not wait must not pass one that does.
  turn.out.changes.push_back({.watch = ticket,
                              .kind = told.is_present() ? Change::Kind::value : Change::Kind::absent,
                              .answer = news.answer,
                              .release = Release::after_commit});
}

// No more than may be told: what changes meanwhile is read once.
void Watches::list_due(const Watching& watching, Feed& feed) {
  std::size_t room = watching.credit;
  for (auto due = watching.due.begin(); due != watching.due.end() && room > 0; ++due, --room) feed.list(due->second);
}

void Watches::forget_absent(Watching& watching, const Feed& feed) {
  if (std::exchange(watching.forgotten, feed.forgotten()) == feed.forgotten()) return;
  std::erase_if(watching.told,
                [&](const auto& each) { return !each.second.is_present() && !feed.keys().contains(each.first); });
}

void Watches::settle(Turn& turn) {
  std::vector<Ticket> ended;
  for (auto& [ticket, watching] : watches_) {
    Feed& feed = feeds_.at(watching.feed);
    list_due(watching, feed);
    forget_absent(watching, feed);
    if (feed.is_full() || feed.is_refused()) ended.push_back(ticket);
    const bool is_over = !watching.is_current && watching.due.empty() && feed.is_whole();
    if (!is_over) continue;
    watching.is_current = true;
    turn.out.changes.push_back(
        {.watch = ticket, .kind = Change::Kind::current, .answer = {}, .release = Release::after_commit});
  }
  for (const Ticket ticket : ended) end(turn, ticket, feeds_.at(watches_.at(ticket).feed));
}

void Watches::end(Turn& turn, Ticket ticket, const Feed& feed) {
  Error error{ErrorCode::quota, "a device that holds some of it has no room for another watch; close some first"};
  if (feed.is_full()) {
    error = {ErrorCode::too_large, "there are more than " + std::to_string(limits::watched_keys_max) +
                                       " keys that begin so; watch a longer beginning"};
  }
  turn.out.completions.push_back({.ticket = ticket, .outcome = std::move(error), .partial = {}});
  close(ticket);
}

}  // namespace kith::dht
