// SPDX-License-Identifier: MIT
#include "store/batch.h"

namespace kith::store {
namespace {

// Walks rows in their order and knows each one's name.
class NamedRows {
 public:
  NamedRows(const dht::KeyHash& key, std::span<const dht::Row> rows) : rows_(rows) {
    name_.key = key;
    if (!at_end()) name_.tag = row().record.tag();
  }

  bool at_end() const { return index_ == rows_.size(); }
  const dht::Row& row() const { return rows_[index_]; }
  const RowName& name() const { return name_; }

  void advance() {
    ++index_;
    if (at_end()) return;
    const dht::ActorTag tag = row().record.tag();
    name_.variant = tag == name_.tag ? name_.variant + 1 : 0;
    name_.tag = tag;
  }

  bool is_before(const NamedRows& other) const {
    if (at_end() || other.at_end()) return !at_end();
    return std::pair(name_.tag, name_.variant) < std::pair(other.name_.tag, other.name_.variant);
  }

 private:
  std::span<const dht::Row> rows_;
  std::size_t index_ = 0;
  RowName name_;
};

Write put_of(const NamedRows& at) {
  return PutRow{.name = at.name(), .roles = roles_of(at.row()), .record = at.row().record.bytes()};
}

}  // namespace

std::uint8_t roles_of(const dht::Row& row) {
  return static_cast<std::uint8_t>((row.is_own ? role_own : 0) | (row.is_replica ? role_replica : 0) |
                                   (row.is_spare ? role_spare : 0));
}

void assign_roles(dht::Row& row, std::uint8_t roles) {
  row.is_own = (roles & role_own) != 0;
  row.is_replica = (roles & role_replica) != 0;
  row.is_spare = (roles & role_spare) != 0;
}

void append_changes(const dht::KeyHash& key, std::span<const dht::Row> before, std::span<const dht::Row> after,
                    std::vector<Write>& writes) {
  NamedRows old(key, before);
  NamedRows fresh(key, after);
  while (!old.at_end() || !fresh.at_end()) {
    if (old.is_before(fresh)) {
      writes.emplace_back(EraseRow{old.name()});
      old.advance();
    } else if (fresh.is_before(old)) {
      writes.push_back(put_of(fresh));
      fresh.advance();
    } else {
      if (!(old.row() == fresh.row())) writes.push_back(put_of(fresh));
      old.advance();
      fresh.advance();
    }
  }
}

}  // namespace kith::store
