// SPDX-License-Identifier: MIT
#include "store/known_keys.h"

#include <algorithm>
#include <utility>

namespace kith::store {
namespace {

constexpr std::size_t keys_least = 4096;
constexpr std::size_t growth = 2;

}  // namespace

void KnownKeys::add(const dht::KeyHash& key, std::size_t keys) {
  if (learning_) learning_->add(key);
  if (!whole_) return;
  whole_->add(key);
  if (whole_->is_overfull() && !learning_ && !has_given_up_) learn_anew(keys);
}

void KnownKeys::learn(const std::vector<dht::KeyHash>& page) {
  for (const dht::KeyHash& key : page) learning_->add(key);
  if (page.empty() || page.back() == next_) {
    whole_ = std::exchange(learning_, std::nullopt);
  } else {
    next_ = page.back();
  }
}

void KnownKeys::give_up() {
  learning_.reset();
  has_given_up_ = true;
}

void KnownKeys::learn_anew(std::size_t keys) {
  learning_.emplace(std::max(growth * keys, keys_least));
  next_ = {};
}

}  // namespace kith::store
