// SPDX-License-Identifier: MIT
#include "tests/sim/listing_clients.h"

#include <algorithm>

namespace kith::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int keys_count = 8;
constexpr std::size_t keys_per_page = 6;
constexpr dht::Duration interval = seconds(9);

}  // namespace

void ListingClients::schedule(dht::Instant start, dht::Instant end) {
  for (int i = 0; i < keys_count; ++i) {
    places_.queue.at(start + milliseconds(rng_.below(10'000)),
                     [this, i] { write(fmt::format("default/listed-{}", i)); });
  }
  for (dht::Instant when = start + interval; when < end; when += interval) list_at(when);
}

void ListingClients::list_at(dht::Instant when) {
  places_.queue.at(when, [this] { list(); });
}

void ListingClients::write(const std::string& key) {
  Device& device = places_.mesh.at(rng_.below(places_.mesh.size()));
  if (!device.is_up() || places_.mesh.is_liar(device.index())) return;
  dht::PutRequest request;
  request.key = key;
  request.value = {1};
  writes_[{device.index(), device.put(std::move(request))}] = {key, device.boots()};
}

void ListingClients::list() {
  const std::size_t device = rng_.below(places_.mesh.size());
  if (!places_.mesh.at(device).is_up() || !places_.mesh.is_member(device)) return;
  ask(device, {.boot = places_.mesh.at(device).boots(), .began = places_.queue.now(), .wanted = expected_, .seen = {}},
      {});
}

void ListingClients::ask(std::size_t device, Listing listing, const std::optional<dht::KeyHash>& after) {
  dht::ScanRequest request;
  request.prefix = "default/";
  request.after = after;
  request.count = keys_per_page;
  listings_[{device, places_.mesh.at(device).scan(request)}] = std::move(listing);
}

bool ListingClients::complete(std::size_t device, const dht::Completion& completion) {
  if (auto found = writes_.extract({device, completion.ticket}); !found.empty()) {
    const auto& [key, boot] = found.mapped();
    if (boot != places_.mesh.at(device).boots()) return false;
    const auto* receipt = std::get_if<dht::Receipt>(&completion.outcome);
    if (receipt != nullptr && receipt->copies >= 2) expect(key);
    return true;
  }
  auto found = listings_.extract({device, completion.ticket});
  if (found.empty() || found.mapped().boot != places_.mesh.at(device).boots()) return false;
  if (const auto* page = std::get_if<dht::ScanAnswer>(&completion.outcome)) {
    take_page(device, std::move(found.mapped()), *page);
  }
  return true;
}

// Of a page that not all have answered nothing can be said, nor of the listing.
void ListingClients::take_page(std::size_t device, Listing listing, const dht::ScanAnswer& page) {
  if (page.members_answered < page.members_asked) return;
  for (const std::string& key : page.keys) {
    if (!listing.seen.insert(key).second) {
      places_.findings.add({Invariant::listings_are_complete}, key + " is listed twice");
    }
  }
  page.next ? ask(device, std::move(listing), page.next) : check(device, listing);
}

void ListingClients::check(std::size_t device, const Listing& listing) {
  if (!places_.is_calm(device, listing.began)) return;
  for (const std::string& key : listing.wanted) {
    places_.findings.look(Invariant::listings_are_complete);
    if (listing.seen.contains(key)) continue;
    places_.findings.add({Invariant::listings_are_complete}, key + " was there all along, and is not listed");
  }
}

void ListingClients::on_crash(std::size_t device) {
  std::erase_if(writes_, [&](const auto& each) { return each.first.first == device; });
  std::erase_if(listings_, [&](const auto& each) { return each.first.first == device; });
}

}  // namespace kith::sim
